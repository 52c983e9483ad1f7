"""Roots and claims: the contract on a real EVM beside its twin, call by call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chain.evm import EvmChain
from chain.market import MarketContract
from chain.origin import OriginContract, RootAttested, claimed_by, origin_events
from energy import errors
from energy.attestation import NO_ROOT, Attestation, Claim, Slice, day_number, signed, typed
from energy.attested import RING, OriginLedger, Standing
from energy.errors import Refusal
from energy.lots import Kind, Origin
from energy.market import MarketRules
from energy.merkle import MerkleTree, MultiProof
from energy.messages import address_of
from energy.registry import Ratings, Registry
from energy.rows import Row
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from tests.desk import MET

# What the tests below meet, as they say it themselves.
MET.update(
    getattr(errors, name)
    for name in re.findall(r"(?:raises\(|\}, |, )errors\.(\w+)[()]", Path(__file__).read_text())
)
THE_DAY = date(2019, 6, 4)
DAY = day_number(THE_DAY)
SLOTS = slots_of(THE_DAY)
END = (SLOTS[-1] + 1) * SLOT_SECONDS
HORIZON = 96
RATINGS = Ratings(100_000, 2_000, 800, 150, 440, 900)
ROOTS = [bytes([number]) * 32 for number in (1, 2, 3)]


def key(role: str, site: int, version: int = 0) -> bytes:
    return f"{role} {site} {version}".encode().rjust(32, b"\1")


def met(call):
    """Return what a call returned, and the refusal that it met."""
    try:
        return call(), None
    except Refusal as refusal:
        return None, refusal


class Both:
    """The contract and its twin, told the same; each answer is compared."""

    def __init__(self, sites: int) -> None:
        start = (SLOTS[0] - HORIZON - 2) * SLOT_SECONDS
        self.chain = EvmChain(start)
        rules = MarketRules(SLOTS[0] - HORIZON, HORIZON, 3_600, 600, after_metering=False)
        self.market = MarketContract.deployed(self.chain, self.chain.sender, rules)
        self.origin = OriginContract.deployed(self.chain, self.market.address)
        self.registry = Registry(HORIZON, self.chain.sender)
        self.twin = OriginLedger(self.registry, self.origin.domain)
        self.sites = sites
        for site in range(sites):
            keys = address_of(key("trader", site)), address_of(key("oracle", site))
            self.market.enrol(SLOTS[0], *keys, RATINGS)
            self.registry.enrol(start, self.chain.sender, SLOTS[0], *keys, RATINGS)
        self.at(END)

    def at(self, moment: int) -> None:
        self.chain.set_time(moment)

    def rotate(self, site: int, version: int) -> None:
        """Give a site new keys, and let the time come from which they hold."""
        since = self.chain.now() // SLOT_SECONDS + HORIZON + 1
        keys = address_of(key("trader", site, version)), address_of(key("oracle", site, version))
        self.market.amend(site, since, *keys, RATINGS)
        self.registry.amend(self.chain.now(), self.chain.sender, site, since, *keys, RATINGS)
        self.at(since * SLOT_SECONDS)

    def retire(self, site: int) -> None:
        since = self.chain.now() // SLOT_SECONDS + HORIZON + 1
        self.market.retire(site, since)
        self.registry.retire(self.chain.now(), self.chain.sender, site, since)
        self.at(since * SLOT_SECONDS)

    def attest(
        self, site: int, root: bytes, replaced: bytes = NO_ROOT, day: int = DAY, version: int = 0
    ) -> None:
        message = Attestation(day, site, root, replaced)
        self.attest_signed(
            message, signed(message, self.origin.domain, key("oracle", site, version))
        )

    def attest_signed(self, message: Attestation, signature: bytes) -> None:
        is_new, refusal = met(lambda: self.twin.attest(self.chain.now(), message, signature))
        receipt, found = met(lambda: self.origin.attest(message, signature))
        assert found == refusal
        if refusal:
            raise refusal
        said = RootAttested(message.day, message.site, message.root, message.replaced)
        assert origin_events(receipt.logs) == ([said] if is_new else [])
        self.compare(message.day)

    def attest_together(
        self, sites: Sequence[int], root: bytes, versions: Sequence[int] = (), day: int = DAY
    ) -> None:
        domain = self.origin.domain
        by = [
            signed(Attestation(day, site, root), domain, key("oracle", site, version))
            for site, version in zip(sites, versions or [0] * len(sites), strict=True)
        ]
        now = self.chain.now()
        new, refusal = met(lambda: self.twin.attest_together(now, day, root, sites, by))
        receipt, found = met(lambda: self.origin.attest_together(day, root, sites, by))
        assert found == refusal
        if refusal:
            self.compare(day)
            raise refusal
        said = [RootAttested(day, site, root, NO_ROOT) for site in new]
        assert origin_events(receipt.logs) == said
        self.compare(day)

    def compare(self, day: int = DAY) -> None:
        assert self.origin.standing_of(day) == self.twin.standing_of(day)
        for site in range(self.sites):
            assert self.origin.root_of(day, site) == self.twin.root_of(day, site)

    def claim(
        self,
        claim: Claim,
        tree: MerkleTree,
        signature: bytes | None = None,
        proof: MultiProof | None = None,
        root: bytes | None = None,
    ) -> None:
        proof = proof or tree.multiproof(one.row for one in claim.slices)
        root = root or tree.root
        signature = signature or signed(claim, self.origin.domain, key("trader", claim.site))
        now = self.chain.now()
        _, refusal = met(
            lambda: self.twin.claim(now, claim, root, proof.nodes, proof.flags, signature)
        )
        receipt, found = met(lambda: self.origin.claim(claim, root, proof, signature))
        assert found == refusal
        if refusal:
            raise refusal
        assert origin_events(receipt.logs) == [claimed_by(claim)]
        for one in claim.slices:
            assert self.origin.claimed_of(one.row) == self.twin.claimed_of(one.row)


ROWS = [
    Row(SLOTS[36], 6, 8_100, Origin(Kind.GENERATION, 4, SLOTS[24]), 6),
    Row(SLOTS[20], 0, 100_000, Origin(Kind.GENERATION, 1, SLOTS[20])),
    Row(SLOTS[20], 0, 4_000, Origin(Kind.GRID, 0, SLOTS[20])),
    *(Row(slot, 2, 10 + slot % 7, Origin(Kind.GENERATION, 2, slot)) for slot in SLOTS),
]
TREE = MerkleTree(ROWS)
SITES = st.integers(0, 6)
SOME_ROOTS = [TREE.root, ROOTS[0], ROOTS[1]]
REPLACED = [NO_ROOT, *SOME_ROOTS]


@pytest.fixture
def both() -> Both:
    return Both(7)


@pytest.fixture
def standing(both: Both) -> Both:
    for site in range(5):
        both.attest(site, TREE.root)
    return both


def claim_of(row: Row = ROWS[0], start: int = 0, energy: int = 8_100) -> Claim:
    return Claim((Slice(row, start, energy),), "宮城県", "RE100 2019")


def claim_together(tree: MerkleTree, rows: list[Row]) -> Claim:
    """A claim of the whole of some rows."""
    order = tree.multiproof(rows).rows
    return Claim(tuple(Slice(row, 0, row.energy) for row in order), "宮城県", "RE100 2019")


def test_sites_attest_together_what_each_could_alone(both: Both) -> None:
    both.attest(2, TREE.root)
    both.attest(4, ROOTS[0])
    both.attest_together([0, 1, 2, 3, 4, 0], TREE.root)
    assert both.origin.standing_of(DAY).attesting == 4
    both.attest_together([0, 1, 2, 3, 4], TREE.root)
    both.attest_together([], TREE.root)
    # Who attests together first attests alone what replaces it.
    both.attest(0, ROOTS[1], replaced=TREE.root)


def test_sites_of_several_words_attest_together() -> None:
    many = Both(60)
    many.attest_together(range(60), TREE.root)
    assert many.origin.standing_of(DAY).attesting == 60


def test_one_that_must_not_attest_stops_those_beside_it(both: Both) -> None:
    with pytest.raises(errors.WrongSigner, match="index=1, site=5"):
        both.attest_together([0, 5, 6], TREE.root, versions=[0, 1, 0])
    with pytest.raises(errors.UnknownSite, match="index=2, site=7"):
        both.attest_together([0, 5, 7], TREE.root)
    with pytest.raises(errors.RootMissing):
        both.attest_together([0], bytes(32))
    with pytest.raises(errors.DayNotOver):
        both.attest_together([0], TREE.root, day=DAY + 1)


def test_packed_sites_and_signatures_have_their_lengths(both: Both) -> None:
    domain = both.origin.domain
    by = signed(Attestation(DAY, 0, TREE.root), domain, key("oracle", 0))
    with pytest.raises(errors.WrongLength, match="length=64, expected=128"):
        both.origin.attest_together(DAY, TREE.root, [0, 1], [by])
    with pytest.raises(errors.WrongLength, match="length=1, expected=2"):
        both.origin._send("attestTogether", DAY, TREE.root, b"\0", by)


def test_a_root_stands_from_two_thirds_of_the_active_sites_on(both: Both) -> None:
    for site in range(4):
        both.attest(site, TREE.root)
    assert both.origin.standing_of(DAY) == Standing(TREE.root[:24], 4, 0, 7)
    assert not both.origin.standing_of(DAY).stands
    both.attest(6, TREE.root)
    assert both.origin.standing_of(DAY).stands


def test_an_attestation_sent_twice_does_no_harm(both: Both) -> None:
    both.attest(0, TREE.root)
    both.attest(0, TREE.root)
    assert both.origin.standing_of(DAY).attesting == 1


def test_a_day_that_is_not_over_is_not_attested(both: Both) -> None:
    both.at(END - 1)
    with pytest.raises(errors.DayNotOver) as refused:
        both.attest(0, TREE.root)
    assert (refused.value.day, refused.value.end) == (DAY, END)


def test_a_root_of_zero_is_not_attested(both: Both) -> None:
    with pytest.raises(errors.RootMissing) as refused:
        both.attest(0, bytes(32))
    assert refused.value.day == DAY


def test_only_sites_of_the_day_attest_it_with_their_own_key(both: Both) -> None:
    with pytest.raises(errors.UnknownSite):
        both.attest(7, TREE.root)
    with pytest.raises(errors.UnknownSite):
        both.attest(0, TREE.root, day=DAY - 1)
    message = Attestation(DAY, 1, TREE.root)
    with pytest.raises(errors.WrongSigner) as refused:
        both.attest_signed(message, signed(message, both.origin.domain, key("oracle", 0)))
    assert refused.value.site == 1
    with pytest.raises(errors.WrongLength):
        both.attest_signed(message, b"\0" * 65)


def test_another_root_is_visible_and_blocks_claims_until_it_is_withdrawn(standing: Both) -> None:
    standing.attest(5, ROOTS[0])
    assert standing.origin.standing_of(DAY) == Standing(TREE.root[:24], 5, 1, 7)
    assert standing.origin.root_of(DAY, 5) == ROOTS[0][:24]
    with pytest.raises(errors.RootsConflict) as refused:
        standing.claim(claim_of(), TREE)
    assert (refused.value.day, refused.value.dissenting) == (DAY, 1)
    with pytest.raises(errors.RootNotReplaced):
        standing.attest(5, TREE.root)
    standing.attest(5, TREE.root, replaced=ROOTS[0])
    standing.claim(claim_of(), TREE)


def test_an_old_attestation_does_not_come_back(standing: Both) -> None:
    standing.attest(5, ROOTS[0])
    standing.attest(5, TREE.root, replaced=ROOTS[0])
    with pytest.raises(errors.RootNotReplaced):
        standing.attest(5, ROOTS[0])


def test_who_agreed_with_a_later_root_is_counted_when_sent_again(both: Both) -> None:
    both.attest(0, ROOTS[0])
    for site in range(1, 7):
        both.attest(site, TREE.root)
    assert both.origin.standing_of(DAY).dissenting == 6
    both.attest(0, TREE.root, replaced=ROOTS[0])
    for site in range(1, 7):
        both.attest(site, TREE.root)
    assert both.origin.standing_of(DAY) == Standing(TREE.root[:24], 7, 0, 7)


def test_a_replaced_key_signs_nothing_more_and_the_new_one_attests_late(both: Both) -> None:
    both.rotate(3, version=1)
    with pytest.raises(errors.WrongSigner):
        both.attest(3, TREE.root)
    both.attest(3, TREE.root, version=1)


def test_a_site_that_has_left_attests_no_more_but_is_counted_on_its_days(both: Both) -> None:
    both.retire(3)
    with pytest.raises(errors.UnknownSite):
        both.attest(3, TREE.root)
    assert both.origin.standing_of(DAY).active == 7


def test_sites_beyond_a_word_are_counted_with_the_others() -> None:
    both = Both(60)
    for site in (0, 1, 57, 58):
        both.attest(site, TREE.root)
    both.attest(59, ROOTS[0])
    assert both.origin.standing_of(DAY) == Standing(TREE.root[:24], 4, 1, 60)


def test_a_row_is_claimed_in_parts_and_each_wh_once(standing: Both) -> None:
    standing.claim(claim_of(energy=8_000), TREE)
    with pytest.raises(errors.AlreadyClaimed) as twice:
        standing.claim(claim_of(energy=8_000), TREE)
    assert (twice.value.start, twice.value.claimed) == (0, 8_000)
    with pytest.raises(errors.ClaimBeyondRow) as more:
        standing.claim(claim_of(start=8_000, energy=101), TREE)
    assert (more.value.end, more.value.energy) == (8_101, 8_100)
    with pytest.raises(errors.ClaimBeyondRow):
        standing.claim(claim_of(start=8_000, energy=0), TREE)
    standing.claim(claim_of(start=8_000, energy=100), TREE)
    assert standing.origin.claimed_of(ROWS[0]) == 8_100


def test_a_root_that_does_not_stand_bears_no_claim(both: Both) -> None:
    both.attest(0, TREE.root)
    with pytest.raises(errors.RootNotStanding) as refused:
        both.claim(claim_of(), TREE)
    assert (refused.value.attesting, refused.value.needed) == (1, 5)


def test_a_forged_proof_is_refused(standing: Both) -> None:
    good = TREE.proof(ROWS[0])
    forged = Row(ROWS[0].slot, 6, 9_000, ROWS[0].origin, 6)
    for row, root, proof in (
        (forged, TREE.root, good),
        (ROWS[0], TREE.root, good[:-1]),
        (ROWS[0], MerkleTree([forged]).root, []),
        (forged, MerkleTree([forged]).root, []),
    ):
        path = MultiProof((row,), tuple(proof), ())
        with pytest.raises(errors.ProofWrong) as refused:
            standing.claim(claim_of(row), TREE, proof=path, root=root)
        assert refused.value.day == DAY


def test_another_sites_row_is_refused(standing: Both) -> None:
    claim = claim_of()
    by_other = signed(claim, standing.origin.domain, key("trader", 0))
    with pytest.raises(errors.WrongSigner):
        standing.claim(claim, TREE, by_other)


def test_what_was_not_generated_is_not_claimed(standing: Both) -> None:
    with pytest.raises(errors.NotGenerated) as refused:
        standing.claim(claim_of(ROWS[2], energy=1), TREE)
    assert refused.value.kind == Kind.GRID


def test_a_site_that_has_left_claims_no_more(standing: Both) -> None:
    standing.retire(6)
    with pytest.raises(errors.UnknownSite):
        standing.claim(claim_of(), TREE)


def test_wh_are_not_claimed_again_when_a_days_root_has_changed(standing: Both) -> None:
    standing.claim(claim_of(), TREE)
    larger = Row(ROWS[0].slot, 6, 9_000, ROWS[0].origin, 6)
    tree = MerkleTree([larger, *ROWS[1:]])
    for site in range(5):
        standing.attest(site, tree.root, replaced=TREE.root)
    for site in range(5):
        standing.attest(site, tree.root, replaced=TREE.root)
    assert standing.origin.standing_of(DAY).stands
    with pytest.raises(errors.AlreadyClaimed):
        standing.claim(claim_of(larger, energy=9_000), tree)
    standing.claim(claim_of(larger, start=8_100, energy=900), tree)


def test_rows_are_claimed_together_and_counted_each(standing: Both) -> None:
    rows = [ROWS[5], ROWS[6], ROWS[14], ROWS[40]]
    standing.claim(claim_together(TREE, rows), TREE)
    assert [standing.origin.claimed_of(row) for row in rows] == [row.energy for row in rows]
    neighbours = ROWS[3], ROWS[7], ROWS[15], ROWS[41]
    assert not any(standing.origin.claimed_of(row) for row in neighbours)
    assert standing.origin.claimed_of(ROWS[2]) == 0
    with pytest.raises(errors.AlreadyClaimed) as twice:
        standing.claim(claim_together(TREE, [*rows, ROWS[8]]), TREE)
    assert twice.value.claimed


def test_a_flaw_in_one_slice_refuses_the_claim_by_its_place(standing: Both) -> None:
    rows = ROWS[5:9]
    good = claim_together(TREE, rows)
    proof = TREE.multiproof(rows)
    for change, error in (
        ({"energy": 0}, errors.ClaimBeyondRow(2, 0, good.slices[2].row.energy)),
        ({"start": 1}, errors.AlreadyClaimed(2, 1, 0)),
        ({"row": ROWS[1]}, errors.ClaimMixed(2)),
        ({"row": replace(good.slices[2].row, slot=SLOTS[0] - 1)}, errors.ClaimMixed(2)),
        ({"row": ROWS[50]}, errors.ProofWrong(DAY)),
        ({"row": replace(good.slices[2].row, energy=1), "energy": 1}, errors.ProofWrong(DAY)),
    ):
        slices = list(good.slices)
        slices[2] = replace(slices[2], **change)
        with pytest.raises(type(error)) as refused:
            standing.claim(Claim(tuple(slices), "", ""), TREE, proof=proof)
        assert refused.value == error
    assert not any(standing.origin.claimed_of(row) for row in rows)


def test_rows_of_two_sites_are_not_claimed_together(standing: Both) -> None:
    claim = claim_together(TREE, [ROWS[1], ROWS[5]])
    with pytest.raises(errors.ClaimMixed) as refused:
        standing.claim(claim, TREE)
    assert refused.value.index == 1


def test_the_same_row_twice_in_a_claim_is_refused(standing: Both) -> None:
    twice = Slice(ROWS[5], 0, 4), Slice(ROWS[5], 4, 1)
    with pytest.raises(errors.ProofWrong):
        standing.claim(Claim(twice, "", ""), TREE, proof=TREE.multiproof([ROWS[5], ROWS[6]]))


@pytest.mark.parametrize("broken", ["flags", "nodes", "order", "no flags"])
def test_a_forged_multiproof_is_refused(standing: Both, broken: str) -> None:
    claim = claim_together(TREE, ROWS[5:9])
    good = TREE.multiproof(ROWS[5:9])
    bad = {
        "flags": replace(good, flags=tuple(not flag for flag in good.flags)),
        "nodes": replace(good, nodes=good.nodes[:-1]),
        "order": good,
        "no flags": replace(good, flags=()),
    }[broken]
    if broken == "order":
        claim = replace(claim, slices=claim.slices[::-1])
    with pytest.raises(errors.ProofWrong):
        standing.claim(claim, TREE, proof=bad)
    standing.claim(claim_together(TREE, ROWS[5:9]), TREE)


def test_a_claim_without_slices_is_refused(standing: Both) -> None:
    with pytest.raises(errors.ClaimEmpty):
        standing.claim(Claim((), "", ""), TREE, bytes(64), TREE.multiproof(ROWS[:1]))


def test_what_the_ring_holds_no_more_is_neither_attested_nor_claimed(standing: Both) -> None:
    standing.claim(claim_of(energy=8_000), TREE)
    standing.at(END + (RING - 1) * 86_400 - 1)
    standing.claim(claim_of(start=8_000, energy=50), TREE)
    standing.attest(6, TREE.root)
    standing.at(END + (RING - 1) * 86_400)
    for refused in (
        lambda: standing.attest(5, TREE.root),
        lambda: standing.claim(claim_of(start=8_050, energy=50), TREE),
    ):
        with pytest.raises(errors.DayGone) as gone:
            refused()
        assert (gone.value.day, gone.value.earliest) == (DAY, DAY + 1)


def test_the_ring_comes_round_and_forgets(standing: Both) -> None:
    """What stood in the words before counts for nothing."""
    standing.attest(5, ROOTS[0])
    standing.attest(5, TREE.root, replaced=ROOTS[0])
    standing.attest(6, ROOTS[1])
    standing.attest(6, TREE.root, replaced=ROOTS[1])
    standing.claim(claim_together(TREE, ROWS[3:]), TREE)
    shift = RING * SLOTS_PER_DAY
    later = [
        replace(
            row, slot=row.slot + shift, origin=row.origin._replace(slot=row.origin.slot + shift)
        )
        for row in ROWS
    ]
    tree = MerkleTree(later)
    standing.at(END + RING * 86_400)
    assert standing.origin.standing_of(DAY + RING) == Standing(bytes(24), 0, 0, 7)
    for site in range(5):
        standing.attest(site, tree.root, day=DAY + RING)
    standing.compare(DAY)
    assert standing.origin.standing_of(DAY).attesting == 0
    assert standing.origin.claimed_of(later[5]) == 0
    standing.claim(claim_together(tree, later[3:20]), tree)
    assert standing.origin.claimed_of(later[5]) == later[5].energy
    for row in (*ROWS, *later):
        assert standing.origin.claimed_of(row) == standing.twin.claimed_of(row)


def test_a_wallet_signs_the_same() -> None:
    domain = Both(1).origin.domain
    for message in (Attestation(DAY, 0, ROOTS[0], ROOTS[1]), claim_together(TREE, ROWS[3:6])):
        text = encode_typed_data(full_message=typed(message, domain))
        by_wallet = Account.sign_message(text, key("trader", 0))
        compact = signed(message, domain, key("trader", 0))
        assert by_wallet.r.to_bytes(32) == compact[:32]
        assert by_wallet.s | (by_wallet.v - 27) << 255 == int.from_bytes(compact[32:])


def test_both_have_the_same_domain(both: Both) -> None:
    assert both.origin.domain_separator() == both.origin.domain.separator
    assert both.origin.registry().lower() == both.market.address


class Ledger(RuleBasedStateMachine):
    """Sites attest, change their minds, change keys, leave and claim, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.both = Both(7)
        self.versions = dict.fromkeys(range(7), 0)
        self.left: set[int] = set()

    def tried(self, act) -> None:
        """What the contract refuses, its twin has refused by the same name and values."""
        with suppress(Refusal):
            act()

    @rule(site=SITES, root=st.sampled_from(SOME_ROOTS), replaced=st.sampled_from(REPLACED))
    def attests(self, site, root, replaced):
        self.tried(lambda: self.both.attest(site, root, replaced, version=self.versions[site]))

    @rule(root=st.sampled_from(SOME_ROOTS))
    def all_come_to_agree(self, root):
        for _ in range(2):
            for site, version in self.versions.items():
                known = self.both.twin.root_of(DAY, site).ljust(32, b"\0")
                self.tried(
                    lambda s=site, k=known, v=version: self.both.attest(s, root, k, version=v)
                )

    @rule(site=SITES)
    def attests_with_its_first_key(self, site):
        self.tried(lambda: self.both.attest(site, TREE.root))

    @rule(site=SITES)
    def changes_its_keys(self, site):
        if site not in self.left:
            self.versions[site] += 1
            self.both.rotate(site, self.versions[site])

    @rule(site=st.sampled_from([4, 5]))
    def leaves(self, site):
        if site not in self.left:
            self.left.add(site)
            self.both.retire(site)

    @rule(
        row=st.sampled_from(ROWS[:4]),
        start=st.sampled_from([0, 4_000, 8_000]),
        energy=st.sampled_from([0, 10, 100, 4_000, 9_000]),
        root=st.sampled_from([TREE.root, ROOTS[0]]),
    )
    def claims(self, row, start, energy, root):
        claim = claim_of(row, start, energy)
        trader = key("trader", row.site, self.versions[row.site])
        signature = signed(claim, self.both.origin.domain, trader)
        self.tried(lambda: self.both.claim(claim, TREE, signature, root=root))

    @rule(numbers=st.sets(st.integers(3, 50), min_size=2, max_size=8))
    def claims_together(self, numbers):
        claim = claim_together(TREE, [ROWS[number] for number in numbers])
        signature = signed(claim, self.both.origin.domain, key("trader", 2, self.versions[2]))
        self.tried(lambda: self.both.claim(claim, TREE, signature))

    @invariant()
    def invariant_each_wh_is_claimed_at_most_once(self):
        for row in ROWS[:9]:
            claimed = self.both.origin.claimed_of(row)
            assert claimed == self.both.twin.claimed_of(row)
            assert claimed <= row.energy

    @invariant()
    def invariant_both_say_the_same_of_a_day(self):
        self.both.compare()


Ledger.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestLedger = Ledger.TestCase
