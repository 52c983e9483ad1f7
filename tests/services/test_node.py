"""A real node (anvil): the same words as the twin, relays, movers, the read model, the audit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from sqlalchemy import Engine, MetaData, select

from chain.anvil import AnvilChain, anvil
from chain.contract import interface
from chain.indexer import indexed
from chain.market import MarketContract
from chain.node import NodeChain, fresh_key
from chain.store import Store, opened
from energy import errors
from energy.clearing import ranking_of
from energy.errors import AuditError, ChainError
from energy.market import CLEARED, OPEN, SETTLED, MarketRules
from energy.messages import address_of, sign
from energy.records import Order, Reading, Side
from energy.registry import Ratings, Tariff
from energy.units import SLOT_SECONDS
from orchestrator.auditing.audit import audited
from orchestrator.moving.mover import Mover, Refused, SignedOrder, relayed
from tests.unit.test_twin import FIRST_SLOT, a_pair, govern, one_slot

SLOT = FIRST_SLOT + 5
"""The first in which the offices take part."""
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
OGAWARA, SENDAI, KESENNUMA = range(3)


def key(role: str, site: int) -> bytes:
    return f"{role} {site}".encode().rjust(32, b"\1")


@pytest.fixture
def node() -> Iterator[AnvilChain]:
    """A node whose clock stands still until it is set."""
    with anvil(FIRST_SLOT * SLOT_SECONDS) as chain:
        chain.request("anvil_setBlockTimestampInterval", [0])
        yield chain


@dataclass
class Town:
    """Three offices on a node, and a store beside it."""

    node: AnvilChain
    market: MarketContract
    store: Engine
    folder: Path

    def at(self, moment: int) -> int:
        """Let it be a moment, unix seconds; return it."""
        self.node.set_time(moment)
        return moment

    def mover(self, name: str | None = None) -> Mover:
        """Return a mover with this store, or with a store and connection of its own."""
        if name is None:
            return Mover(self.market, self.node, self.store, SLOT)
        chain = NodeChain(self.node.url)
        market = MarketContract(chain, self.market.address)
        return Mover(market, chain, self.another_store(name), SLOT)

    def another_store(self, name: str) -> Engine:
        return opened(str(self.folder / f"{name}.sqlite"))

    def orders(self, slot: int) -> list[SignedOrder]:
        return [
            self.signed(Order(slot, OGAWARA, Side.ASK, 3_000, 9_000, 1)),
            self.signed(Order(slot, SENDAI, Side.BID, 1_000, 18_000, 1)),
            self.signed(Order(slot, KESENNUMA, Side.BID, 1_500, 17_000 + slot % 7, 1)),
        ]

    def signed(self, order: Order, role: str = "trader") -> SignedOrder:
        return SignedOrder(order, sign(order, self.market.domain, key(role, order.site)))

    def push(self, *readings: Reading) -> None:
        signatures = [sign(one, self.market.domain, key("oracle", one.site)) for one in readings]
        self.market.push(readings, signatures)

    def readings(self, slot: int) -> list[Reading]:
        return [
            Reading(slot, OGAWARA, exported=2_800, generated=4_000),
            Reading(slot, SENDAI, imported=1_100),
            Reading(slot, KESENNUMA, imported=1_600, generated=100, charged=500, stored=5_000),
        ]

    def live(self, slot: int, mover: Mover | None = None) -> None:
        """Lead a slot of an ahead market through its life."""
        mover = mover or self.mover()
        gate = self.market.rules.gate_of(slot)
        self.at(gate - 1)
        assert relayed(self.market, self.orders(slot)) == []
        mover.move(self.at(gate))
        end = self.at((slot + 1) * SLOT_SECONDS)
        self.push(*self.readings(slot))
        mover.move(end)
        assert self.stage(slot) == SETTLED

    def stage(self, slot: int) -> int:
        return self.market.state_word(slot) >> 216 & 0xFF

    def content(self, store: Engine | None = None) -> dict[str, list[tuple[object, ...]]]:
        return content(store or self.store)


def content(store: Engine, blocks: bool = True) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a store holds, by table; `blocks` says whether with block and hash."""
    tables = MetaData()
    tables.reflect(store)
    held = {}
    with store.connect() as connection:
        for table in tables.sorted_tables:
            if table.name == "blocks" and not blocks:
                continue
            columns = [column for column in table.c if blocks or column.name != "block"]
            held[table.name] = sorted(tuple(row) for row in connection.execute(select(*columns)))
    # How far the chain is final says nothing of what came from it.
    held["settings"] = [row for row in held["settings"] if row[0] not in ("final", "final_hash")]
    return held


def a_town(node: AnvilChain, folder: Path, after_metering: bool = False) -> Town:
    rules = MarketRules(FIRST_SLOT, 4, 900, 600, after_metering)
    market = MarketContract.deployed(node, node.sender, rules)
    market.enact_tariff(SLOT, [TARIFF] * 48)
    plain, battery = Ratings(40_000, 800, 800), Ratings(40_000, 800, 800, 150, 440, 900)
    for site, ratings in enumerate((plain, plain, battery)):
        trader, oracle = address_of(key("trader", site)), address_of(key("oracle", site))
        market.enrol(SLOT, trader, oracle, ratings)
    return Town(node, market, opened(str(folder / "store.sqlite")), folder)


@pytest.fixture
def town(node: AnvilChain, tmp_path: Path) -> Town:
    return a_town(node, tmp_path)


# -- the contract through a node -----------------------------------------------------------


class ForwardChain(AnvilChain):
    """A node's clock does not go back: a moment that is over is now."""

    def set_time(self, moment: int) -> None:
        super().set_time(max(moment, self.now()))


@pytest.mark.parametrize("after_metering", [False, True], ids=["ahead", "after metering"])
def test_through_a_node_contract_and_twin_agree_word_for_word(
    node: AnvilChain, after_metering: bool
) -> None:
    chain = ForwardChain(node.url)
    pair = a_pair(seed=2 + after_metering, after_metering=after_metering, chain=chain)
    slot = FIRST_SLOT + 5
    for _ in range(8):
        govern(pair, slot)
        one_slot(pair, slot)
        # The next gate closes after this slot's deadline.
        slot += 3
    assert len(pair.refused) > 2


def test_refusals_come_through_a_node_with_their_arguments(town: Town) -> None:
    gate = town.market.rules.gate_of(SLOT)
    (order, *_) = town.orders(SLOT)
    with pytest.raises(errors.TooSoon) as too_soon:
        town.market.retire(SENDAI, FIRST_SLOT + 1)
    assert too_soon.value == errors.TooSoon(FIRST_SLOT + 1, SLOT)
    town.at(gate)
    with pytest.raises(errors.GateClosed) as closed:
        town.market.post(SLOT, [order.order], [order.signature])
    assert closed.value == errors.GateClosed(SLOT, gate)
    stranger = NodeChain(town.node.url, fresh_key())
    with pytest.raises(errors.NotOwner) as not_owner:
        MarketContract(stranger, town.market.address).change_owner(stranger.sender)
    assert not_owner.value == errors.NotOwner(stranger.sender.lower())
    town.at(gate + 1_536 * SLOT_SECONDS)
    with pytest.raises(errors.SlotGone):
        town.push(*town.readings(SLOT))
    with pytest.raises(ChainError, match=r"must not revert, got 0x$"):
        town.node.call(town.market.address, b"\xde\xad\xbe\xef")


def test_a_slot_whose_place_in_the_ring_is_taken_holds_no_mover_up(town: Town) -> None:
    # A month without readings and without a mover: then meters begin.
    later = SLOT + 1_536
    town.at((later + 1) * SLOT_SECONDS)
    town.push(*town.readings(later))
    mover = Mover(town.market, town.node, town.store, SLOT, clears=False, settles=False)
    assert mover.move(town.node.now()) == []
    assert mover.first_open == SLOT + 1


def test_a_sender_with_a_key_of_its_own_pays_for_a_transaction(town: Town) -> None:
    chain = NodeChain(town.node.url, secret := fresh_key())
    assert chain.sender == address_of(secret)
    town.at(town.market.rules.gate_of(SLOT) - 1)
    orders = town.orders(SLOT)
    receipt = MarketContract(chain, town.market.address).post(
        SLOT, [one.order for one in orders], [one.signature for one in orders]
    )
    assert receipt.block == town.node.height()
    assert 21_000 < receipt.gas_used < 300_000
    assert town.market.sequence_of(SLOT, OGAWARA) == 1


def test_a_node_that_is_not_there_is_one_error() -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as chain:
        url = chain.url
    with pytest.raises(ChainError, match="a node must answer at"):
        NodeChain(url)
    with pytest.raises(ChainError, match="a node must answer"):
        chain.call(chain.sender, b"")


# -- relays and movers ---------------------------------------------------------------------


def test_a_bad_order_is_left_out_and_the_others_go_on(town: Town) -> None:
    town.at(town.market.rules.gate_of(SLOT) - 1)
    good = town.orders(SLOT)
    wrong = town.signed(Order(SLOT, OGAWARA, Side.ASK, 1, 9_000, 2), role="oracle")
    large = town.signed(Order(SLOT, SENDAI, Side.BID, 40_001, 9_000, 2))
    refused = relayed(town.market, [good[0], wrong, good[1], large, good[2]])
    assert refused == [
        Refused(wrong.order, errors.WrongSigner(1, OGAWARA)),
        Refused(large.order, errors.OrderBeyondRating(2, 40_001, 40_000)),
    ]
    indexed(town.store, town.node, town.market.address)
    with town.store.connect() as connection:
        assert Store(connection).orders(range(SLOT, SLOT + 1)) == [one.order for one in good]
    assert relayed(town.market, good) == [], "a second relay does no harm"
    town.at(town.market.rules.gate_of(SLOT))
    with pytest.raises(errors.GateClosed):
        relayed(town.market, good)


def test_nothing_is_sent_when_all_orders_are_bad(town: Town) -> None:
    town.at(town.market.rules.gate_of(SLOT) - 1)
    wrong = [town.signed(one.order, role="oracle") for one in town.orders(SLOT)]
    height = town.node.height()
    assert [one.order for one in relayed(town.market, wrong)] == [one.order for one in wrong]
    assert town.node.height() == height


def test_a_mover_clears_at_the_gate_and_settles_at_the_end(town: Town) -> None:
    mover, gate = town.mover(), town.market.rules.gate_of(SLOT)
    town.at(gate - 1)
    relayed(town.market, town.orders(SLOT))
    assert mover.move(gate - 1) == []
    assert town.stage(SLOT) == OPEN
    assert mover.move(town.at(gate)) == []
    assert town.stage(SLOT) == CLEARED
    end = town.at((SLOT + 1) * SLOT_SECONDS)
    town.push(*town.readings(SLOT)[:2])
    assert mover.move(end) == [], "a reading may still come"
    deadline = town.at(town.market.rules.deadline_of(SLOT))
    # The next slot has no orders and no readings yet.
    assert mover.move(deadline) == [SLOT]
    assert town.stage(SLOT) == SETTLED
    assert mover.move(deadline) == []
    assert town.stage(SLOT + 1) == OPEN
    with town.store.connect() as connection:
        store = Store(connection)
        assert store.slots() == [SLOT]
        assert [one.energy for one, _ in store.trades(range(SLOT, SLOT + 1))] == [1_000, 1_500]


def test_after_metering_a_mover_clears_and_settles_at_once(
    node: AnvilChain, tmp_path: Path
) -> None:
    town = a_town(node, tmp_path, after_metering=True)
    mover, gate = town.mover(), town.market.rules.gate_of(SLOT)
    town.at((SLOT + 1) * SLOT_SECONDS)
    town.push(*town.readings(SLOT))
    town.at(gate - 1)
    relayed(town.market, town.orders(SLOT))
    assert mover.move(gate - 1) == []
    assert mover.move(town.at(gate)) == [SLOT]
    with town.store.connect() as connection:
        store = Store(connection)
        found = store.trades(range(SLOT, SLOT + 1))
        # Sendai wants 1,000 of the 1,100 Wh that it imported; all of Ogawara's 2,800 count.
        assert [(one.buyer, one.energy, given) for one, given in found] == [
            (SENDAI, 1_000, 1_000),
            (KESENNUMA, 1_500, 1_500),
        ]
    assert audited(node, town.market.address).slots == 1


def test_a_mover_that_starts_again_goes_on_from_the_chain(town: Town) -> None:
    gate = town.market.rules.gate_of(SLOT)
    town.at(gate - 1)
    relayed(town.market, town.orders(SLOT))
    town.mover().move(town.at(gate))
    end = town.at((SLOT + 1) * SLOT_SECONDS)
    town.push(*town.readings(SLOT))
    assert town.mover("another").move(end) == [SLOT]
    assert town.mover().move(end) == [SLOT], "it is told, though another one did it"


def test_two_movers_at_once_do_no_harm(town: Town) -> None:
    movers = [town.mover("one"), town.mover("other")]
    faults: list[BaseException] = []

    def together(now: int) -> None:
        start = threading.Barrier(len(movers))

        def run(mover: Mover) -> None:
            try:
                start.wait()
                mover.move(now)
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=run, args=(mover,)) for mover in movers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for slot in range(SLOT, SLOT + 3):
        gate = town.market.rules.gate_of(slot)
        town.at(max(gate - 1, town.node.now()))
        relayed(town.market, town.orders(slot))
        together(town.at(gate))
        end = town.at((slot + 1) * SLOT_SECONDS - 600 - 1)
        together(end)
    # Readings and settlements after all three gates.
    end = town.at((SLOT + 3) * SLOT_SECONDS)
    for slot in range(SLOT, SLOT + 3):
        town.push(*town.readings(slot))
    together(end)
    together(end)
    assert faults == []
    assert [town.stage(slot) for slot in range(SLOT, SLOT + 3)] == [SETTLED] * 3
    findings = audited(town.node, town.market.address)
    assert (findings.slots, findings.trades) == (3, 6)


class Beaten(MarketContract):
    """A market which another mover clears just before this one looks at it."""

    def state_word(self, slot: int) -> int:
        indexing = opened("sqlite://")
        other = Mover(MarketContract(self.chain, self.address), self.node, indexing, slot)
        other.move(self.rules.gate_of(slot))
        return super().state_word(slot)

    @property
    def node(self) -> NodeChain:
        assert isinstance(self.chain, NodeChain)
        return self.chain


def test_a_mover_that_is_overtaken_between_two_looks_tries_again(town: Town) -> None:
    town.at(town.market.rules.gate_of(SLOT) - 1)
    relayed(town.market, town.orders(SLOT))
    end = town.at((SLOT + 1) * SLOT_SECONDS)
    town.push(*town.readings(SLOT))
    market = Beaten(town.node, town.market.address)
    mover = Mover(market, town.node, town.store, SLOT)
    assert mover.move(end) == []
    assert town.stage(SLOT) == CLEARED
    assert mover.move(end) == [SLOT]


# -- the read model ------------------------------------------------------------------------


def test_a_store_is_of_one_market(town: Town) -> None:
    indexed(town.store, town.node, town.market.address)
    other = MarketContract.deployed(town.node, town.node.sender, town.market.rules)
    with pytest.raises(ChainError, match="the store must be of market 7000:0x"):
        indexed(town.store, town.node, other.address)


def test_what_the_store_says_is_what_the_chain_holds(town: Town) -> None:
    town.live(SLOT)
    with town.store.connect() as connection:
        store = Store(connection)
        span = range(SLOT, SLOT + 1)
        balances = {account: amount for _, account, amount in store.entries(span)}
        assert store.readings(span) == town.readings(SLOT)
        assert store.price(SLOT) == town.market.state_word(SLOT) >> 192 & 0xFFFFFF
        assert store.tariff(SLOT, 0) == TARIFF
        assert list(store.sites_at(SLOT)) == [OGAWARA, SENDAI, KESENNUMA]
        assert store.sites_at(SLOT - 1) == {}
    assert sum(balances.values()) == 0
    for account, amount in balances.items():
        assert town.market.balance_of(account) == amount


def test_a_shorter_chain_is_noticed_as_well(town: Town) -> None:
    snapshot = town.node.request("evm_snapshot", [])
    indexed(town.store, town.node, town.market.address)
    before = town.content()
    town.at(town.market.rules.gate_of(SLOT) - 1)
    relayed(town.market, town.orders(SLOT))
    indexed(town.store, town.node, town.market.address)
    assert town.content() != before
    town.node.request("evm_revert", [snapshot])
    indexed(town.store, town.node, town.market.address)
    assert town.content() == before


# -- the audit -----------------------------------------------------------------------------


def test_the_audit_finds_nothing_wrong_and_says_what_it_counted(town: Town) -> None:
    mover = town.mover()
    town.live(SLOT, mover)
    later = SLOT + 1
    town.at((later + 1) * SLOT_SECONDS)
    town.push(*town.readings(later)[:2])
    mover.move(town.at(town.market.rules.deadline_of(later)))
    town.push(replace(town.readings(SLOT)[0], exported=2_700, revision=1))
    told: list[tuple[int, int]] = []
    findings = audited(
        town.node,
        town.market.address,
        progress=lambda done, blocks: told.append((done, blocks)),
    )
    assert findings.to_json() == {
        "blocks": town.node.height() + 1,
        "transactions": 12,
        "signatures": 9,
        "orders": 3,
        "trades": 2,
        "readings": 5,
        "missed": 1,
        "corrections": 1,
        "slots": 2,
        "flows": findings.flows,
        "origin_rows": findings.origin_rows,
        "balances": 5,
        "roots": 0,
        "attestations": 0,
        "claims": 0,
        "claimed_wh": 0,
    }
    assert findings.flows >= 2
    assert findings.origin_rows >= 4
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def sent_blindly(town: Town, data: bytes, **more: object) -> None:
    """Send a transaction that will fail, without asking first whether it will."""
    transaction: dict[str, object] = {
        "from": town.node.sender,
        "to": town.market.address,
        "data": "0x" + data.hex(),
    }
    transaction |= {"gas": hex(1_000_000), "gasPrice": "0x0", **more}
    sent = town.node.request("eth_sendTransaction", [transaction])
    receipt = town.node.web3.eth.wait_for_transaction_receipt(HexBytes(str(sent)))
    assert receipt["status"] == 0


def test_no_stranger_disturbs_the_audit_with_transactions_that_fail(town: Town) -> None:
    market = interface("Market")
    gate = town.market.rules.gate_of(SLOT)
    orders = town.orders(SLOT)
    town.at(gate - 1)
    good = market.call(
        "post",
        SLOT,
        b"".join(one.order.to_bytes() for one in orders),
        b"".join(one.signature for one in orders),
    )
    failing = [
        (market.call("post", SLOT, bytes(11), b""), {}),  # no whole orders
        (market.call("post", SLOT, bytes(10), bytes(63)), {}),
        (market.call("settle", SLOT, bytes(7)), {}),
        (market.call("settle", 2**255, b""), {}),
        (good[:40], {}),
        (b"\xde\xad\xbe\xef", {}),
        (b"", {}),
        (good, {"value": "0x1"}),
        (good, {"gas": hex(60_000)}),  # not enough
    ]
    for data, more in failing:
        sent_blindly(town, data, **more)
    town.live(SLOT)
    findings = audited(town.node, town.market.address)
    assert (findings.slots, findings.orders) == (1, 3)


def test_a_market_without_sites_can_be_audited(node: AnvilChain) -> None:
    rules = MarketRules(FIRST_SLOT, 4, 900, 600, after_metering=False)
    market = MarketContract.deployed(node, node.sender, rules)
    node.set_time(rules.gate_of(FIRST_SLOT + 1))
    market.settle(FIRST_SLOT, [])
    market.settle(FIRST_SLOT + 1, [])
    assert audited(node, market.address).slots == 2


def storage_of(town: Town, place: int) -> int:
    return int(
        str(town.node.request("eth_getStorageAt", [town.market.address, hex(place), "latest"])), 16
    )


def mapped(key_: int, slot: int) -> int:
    """Return where Solidity keeps a mapping's value."""
    return int.from_bytes(keccak(key_.to_bytes(32) + slot.to_bytes(32)))


def tampered(town: Town, mapping_key: int, value: int) -> int:
    """Change the one word of a mapping with this key and value; return its place."""
    for slot in range(16):
        place = mapped(mapping_key, slot)
        if storage_of(town, place) == value:
            changed = "0x" + (value + 1).to_bytes(32).hex()
            town.node.request("anvil_setStorageAt", [town.market.address, hex(place), changed])
            town.node.request("evm_mine", [])
            return place
    raise AssertionError("the word was not found")


def test_the_audit_names_a_balance_that_was_changed(town: Town) -> None:
    town.live(SLOT)
    # Three accounts a word, of 85 bits each; what is added to it is the first one's.
    first = KESENNUMA // 3 * 3
    owed = [town.market.balance_of(first + lane) for lane in range(3)]
    word = sum((each % 2**85) << 85 * lane for lane, each in enumerate(owed))
    audited(town.node, town.market.address)
    tampered(town, first // 3, word)
    message = f"account {first} must be owed {owed[0]} microyen, got {owed[0] + 1}"
    with pytest.raises(AuditError, match=f"^{message}$"):
        audited(town.node, town.market.address)


def test_the_audit_names_a_slot_whose_word_was_changed(town: Town) -> None:
    town.live(SLOT)
    word = town.market.state_word(SLOT)
    tampered(town, SLOT % 1_536, word)
    with pytest.raises(AuditError, match=f"^slot {SLOT}: its word must be {word:#x}, got"):
        audited(town.node, town.market.address)


def test_the_audit_names_events_that_a_patched_contract_made(town: Town) -> None:
    """For a while its code logs clearings under another name."""
    gate = town.market.rules.gate_of(SLOT)
    town.at(gate - 1)
    relayed(town.market, town.orders(SLOT))
    code = town.node.code_at(town.market.address)
    town.at(gate)
    indexed(town.store, town.node, town.market.address)
    with town.store.connect() as connection:
        book = Store(connection).orders(range(SLOT, SLOT + 1))
    topic = keccak(text="Cleared(uint256,uint256,bytes)")
    assert topic in code
    other = code.replace(topic, keccak(text="Nothing()"))
    town.node.request("anvil_setCode", [town.market.address, "0x" + other.hex()])
    town.market.clear(SLOT, book, ranking_of(book, TARIFF.fee))
    town.node.request("anvil_setCode", [town.market.address, "0x" + code.hex()])
    with pytest.raises(AuditError, match=r"^block \d+: events must be \[Cleared\(.*\], got \[\]$"):
        audited(town.node, town.market.address)


def test_the_audit_wants_this_versions_code(node: AnvilChain) -> None:
    rules = MarketRules(FIRST_SLOT, 4, 900, 600, after_metering=False)
    market = interface("Market")
    arguments = [node.sender, FIRST_SLOT, 4, 900, 600, False]
    code = bytearray(market.init_code(arguments))
    assert MarketContract.deployed(node, node.sender, rules).rules == rules
    metadata = code.rfind(b"ipfs") if b"ipfs" in code else len(market.bytecode) - 20
    code[metadata + 10] ^= 1
    address, _ = node.deploy(bytes(code))
    with pytest.raises(AuditError, match=r"the code must be this version's market"):
        audited(node, address)
