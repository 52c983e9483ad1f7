"""A day on a real node: attested by its sites, claimed, verified, audited, and tampered with."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from sqlalchemy import Engine
from typer.testing import CliRunner

from chain.anvil import AnvilChain, anvil
from chain.attesting import Attestor, day_tree, key_signed
from chain.contract import Log, interface
from chain.indexer import FINAL, indexed
from chain.market import MarketContract
from chain.network.folders import create, new_member
from chain.node import NodeChain
from chain.origin import OriginContract
from chain.store import Store, opened
from chain.terminal import TerminalChain
from chain.writer import written
from energy.attestation import NO_ROOT, Attestation, Claim, Slice, day_number, signed
from energy.attested import RING, SLOTS_IN_A_WORD
from energy.errors import (
    AuditError,
    ChainError,
    ProofWrong,
    RootNotStanding,
    RootsConflict,
    SettingError,
    YuiError,
)
from energy.lots import Kind
from energy.market import MarketRules
from energy.messages import address_of, sign
from energy.records import Reading
from energy.registry import Ratings, Tariff
from energy.rows import Row
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from oracle.service import service_of
from oracle.settings import load_settings
from orchestrator.auditing.audit import audited
from orchestrator.auditing.market import Findings
from orchestrator.cli import app

ROOT = Path(__file__).resolve().parents[2]
THE_DAY = date(2019, 6, 4)
DAY = day_number(THE_DAY)
SLOTS = slots_of(THE_DAY)
NOON, EVENING = SLOTS[24], SLOTS[36]
TOME, SENDAI, KESENNUMA = range(3)
PASSPHRASE = "seven offices"
FORGED = b"\x07" * 32


def key(role: str, site: int) -> bytes:
    return f"{role} {site}".encode().rjust(32, b"\1")


def readings_of(slot: int) -> list[Reading]:
    """At noon Tome's sun goes into Kesennuma's battery; in the evening Kesennuma lives on it."""
    tome, sendai = Reading(slot, TOME, imported=200), Reading(slot, SENDAI, imported=300)
    kesennuma = Reading(slot, KESENNUMA, imported=100)
    if slot == NOON:
        tome = Reading(slot, TOME, exported=9_000, generated=10_000)
        kesennuma = Reading(slot, KESENNUMA, imported=10_100, charged=10_000, stored=9_000)
    elif slot == EVENING:
        kesennuma = Reading(slot, KESENNUMA, discharged=1_800, stored=7_200)
    elif slot > NOON:
        kesennuma = replace(kesennuma, stored=9_000 if slot < EVENING else 7_200)
    return [tome, sendai, kesennuma]


class Place:
    """A node, what stands on it, and the operator's store of it."""

    def __init__(self, node: AnvilChain, folder: Path) -> None:
        self.node, self.folder = node, folder
        rules = MarketRules(SLOTS[0] - 8, 4, 0, 600, after_metering=False)
        self.market = MarketContract.deployed(node, node.sender, rules)
        self.origin = OriginContract.deployed(node, self.market.address)
        self.market.enact_tariff(SLOTS[0], [Tariff(22_000, 8_000, 1_000)] * 48)
        plain, battery = Ratings(40_000, 800, 800), Ratings(40_000, 800, 800, 300, 440, 900)
        for site, ratings in enumerate((plain, plain, battery)):
            keys = address_of(key("trader", site)), address_of(key("oracle", site))
            self.market.enrol(SLOTS[0], *keys, ratings)
            for address in keys:
                node.fund(address)
        for slot in SLOTS:
            node.set_time((slot + 1) * SLOT_SECONDS)
            readings = readings_of(slot)
            signatures = [
                sign(one, self.market.domain, key("oracle", one.site)) for one in readings
            ]
            self.market.push(readings, signatures)
            self.market.settle(slot, [])
        self.store_path = folder / "store.sqlite"
        self.store = opened(str(self.store_path))
        indexed(self.store, node, self.market.address)
        with written(self.store) as store:
            names = {0: ["Tome", "登米"], 1: ["Sendai", "仙台"], 2: ["Kesennuma", "気仙沼"]}
            store.set("names", json.dumps(names))
            store.set("day", THE_DAY.isoformat())
            store.set("origin", self.origin.address)
        self.manifest = folder / "manifest.json"
        addresses = {"Market": self.market.address, "Origin": self.origin.address}
        self.manifest.write_text(
            json.dumps({"contracts": {name: {"address": at} for name, at in addresses.items()}})
        )
        (folder / "passphrase").write_text(PASSPHRASE + "\n")

    @property
    def root(self) -> bytes:
        with self.store.connect() as connection:
            return day_tree(Store(connection), THE_DAY).root

    def row(self) -> Row:
        """What Kesennuma used in the evening that was Tome's at noon."""
        with self.store.connect() as connection:
            rows = Store(connection).origins("used", range(EVENING, EVENING + 1), KESENNUMA)
        return rows[0]

    def attestor(self, site: int, store: Engine | None = None) -> Attestor:
        sign_it = key_signed(self.origin, key("oracle", site))
        store = store or opened("sqlite://")
        return Attestor(store, self.node, self.market.address, self.origin, site, sign_it)

    def attest_all(self) -> None:
        for site in range(3):
            assert self.attestor(site).attest_due() == [THE_DAY]

    def attest(self, site: int, root: bytes, replaced: bytes = NO_ROOT) -> None:
        message = Attestation(DAY, site, root, replaced)
        self.origin.attest(message, signed(message, self.origin.domain, key("oracle", site)))

    def claim(
        self, energy: int = 1_000, start: int = 0, through: OriginContract | None = None
    ) -> None:
        row = self.row()
        message = Claim((Slice(row, start, energy),), "宮城県", "RE100 2019")
        with self.store.connect() as connection:
            tree = day_tree(Store(connection), THE_DAY)
        signature = signed(message, self.origin.domain, key("trader", KESENNUMA))
        to = through or self.origin
        to.claim(message, tree.root, tree.multiproof([row]), signature)

    def audit(self, node: NodeChain | None = None, state: Path | None = None) -> Findings:
        return audited(node or self.node, self.market.address, self.origin.address, state=state)

    def keystore(self, role: str, site: int) -> Path:
        path = self.folder / f"{role}-{site}.json"
        secret = Account.encrypt(key(role, site), PASSPHRASE, kdf="pbkdf2", iterations=1)
        path.write_text(json.dumps(secret))
        return path

    def yui(self, *arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0
        return done.stdout

    def signing(self, role: str, site: int) -> list[str]:
        """The options of a command that signs."""
        return [
            *("--rpc", self.node.url, "--manifest", str(self.manifest)),
            *("--keystore", str(self.keystore(role, site))),
            *("--passphrase-file", str(self.folder / "passphrase")),
        ]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with anvil((SLOTS[0] - 6) * SLOT_SECONDS) as node:
        yield Place(node, tmp_path_factory.mktemp("origin"))


@pytest.fixture
def place(settled: Place) -> Iterator[Place]:
    """The day, settled and not attested; what a test does to the chain is taken back."""
    before = settled.node.request("evm_snapshot", [])
    yield settled
    settled.node.request("evm_revert", [before])


@pytest.fixture
def attested(place: Place) -> Place:
    place.attest_all()
    return place


# -- roots ---------------------------------------------------------------------------------


def test_each_terminal_comes_to_the_same_root_by_itself(place: Place) -> None:
    place.attest_all()
    standing = place.origin.standing_of(DAY)
    assert (standing.root, standing.attesting, standing.dissenting) == (place.root[:24], 3, 0)
    assert place.attestor(0).attest_due() == []


def test_a_terminal_attests_no_day_that_a_fork_can_still_change(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = place.node.height()
    monkeypatch.setattr(place.node, "depth", 3)
    attestor = place.attestor(0)
    assert attestor.attest_due() == []
    for _ in range(3):
        place.node.request("evm_mine", [])
    assert place.node.final_height() == settled
    assert attestor.attest_due() == [THE_DAY]


def test_a_terminals_service_signs_the_root_that_it_recomputed_and_no_other(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.attest(SENDAI, FORGED)
    keystore = place.keystore("oracle", TOME)
    secret = tmp_path / "passphrase"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE)
    settings = tmp_path / "oracle.toml"
    settings.write_text(
        f"""
        site.number = {TOME}
        chain = {{ rpc = "{place.node.url}", manifest = "{place.manifest}", chain_id = 31337 }}
        key = {{ keystore = "{keystore}", passphrase = "{secret}" }}
        device = [{{ role = "meter", host = "127.0.0.1", port = 1, ceiling_w = 80_000 }}]
        """
    )

    async def attest() -> None:
        async with service_of(load_settings(settings)) as service:
            await service.attest()  # before it is connected, nothing
            payer = NodeChain(place.node.url, key("oracle", TOME))
            service.chain = TerminalChain(MarketContract(payer, place.market.address))
            for _ in range(2):
                await service.attest()

    with caplog.at_level("INFO"):
        asyncio.run(attest())
    assert place.origin.root_of(DAY, TOME) == place.root[:24]
    assert place.origin.standing_of(DAY).attesting == 1, "the forged root was first, and dissents"
    assert [line for line in caplog.messages if "attest" in line] == [f"attested day={THE_DAY}"]
    assert (tmp_path / "chain.sqlite").exists(), "a store of its own"


def test_a_terminal_replaces_a_root_that_it_finds_otherwise(place: Place) -> None:
    place.attest(0, FORGED)
    for site in (1, 2, 0):
        assert place.attestor(site).attest_due() == [THE_DAY]
    # They dissented from a root that is withdrawn: sent again, they count.
    for site in (1, 2):
        assert place.attestor(site).attest_due() == [THE_DAY]
    standing = place.origin.standing_of(DAY)
    assert (standing.root, standing.attesting, standing.dissenting) == (place.root[:24], 3, 0)


def test_a_day_that_is_not_settled_to_its_end_has_no_root(place: Place) -> None:
    with place.store.connect() as connection, pytest.raises(SettingError, match="must be settled"):
        day_tree(Store(connection), date(2019, 6, 5))


def test_a_terminal_attests_by_command(place: Place) -> None:
    said = place.yui("attest", "2", *place.signing("oracle", 2))
    assert said == "2019-06-04: attested, 1 of 3 sites agree\n"
    assert place.yui("attest", "2", *place.signing("oracle", 2)) == "no day is due\n"


# -- claims and proofs ---------------------------------------------------------------------


def test_the_evening_of_kesennuma_was_generated_at_noon_in_tome_and_came_by_the_battery(
    place: Place,
) -> None:
    row = place.row()
    assert row.origin == (Kind.GENERATION, TOME, NOON)
    assert row.through == KESENNUMA
    said = place.yui(
        *("statement", "--site", "Kesennuma", "--slot", str(EVENING), "--json"),
        *("--store", str(place.store_path)),
    )
    energies = json.loads(said)["energies_wh"]
    assert (energies["through_battery"], energies["battery_loss"]) == (1_800, 200)


def test_a_site_claims_a_part_and_anyone_verifies_it(attested: Place, tmp_path: Path) -> None:
    place = attested
    with_store = ["--store", str(place.store_path), "--folder", str(tmp_path)]
    claim = ["claim", "kesennuma", str(EVENING), "--beneficiary", "宮城県", "--purpose", "RE100"]
    claim += [*place.signing("trader", KESENNUMA), *with_store]
    (planned,) = json.loads(place.yui(*claim, "--dry-run", "--json"))["claims"]
    assert planned == {"day": "2019-06-04", "rows": 1, "energy_wh": 1_800}
    (done,) = json.loads(place.yui(*claim, "--energy", "1000", "--json"))["claims"]
    assert (done["rows"], done["energy_wh"]) == (1, 1_000)
    (file,) = done["files"]
    said = json.loads(Path(file).read_text())["claim"]
    assert (said["from_wh"], said["energy_wh"], said["beneficiary"]) == (0, 1_000, "宮城県")
    checked = json.loads(place.yui("verify", file, "--rpc", place.node.url, "--json"))
    assert checked["claimed_wh"] == 1_000
    assert checked["claims"] == [
        {"from_wh": 0, "energy_wh": 1_000, "beneficiary": "宮城県", "purpose": "RE100"}
    ]
    assert "3 of 3 sites attest it" in place.yui("verify", file, "--rpc", place.node.url)
    (rest,) = json.loads(place.yui(*claim, "--json"))["claims"]
    assert rest["energy_wh"] == 800
    with pytest.raises(SettingError, match="unclaimed solar energy must be at least 1 Wh, got 0"):
        place.yui(*claim)


def test_what_a_fork_can_still_change_is_neither_claimed_nor_verified(
    attested: Place, tmp_path: Path
) -> None:
    place = attested
    member = new_member(tmp_path / "a", "a")
    profile = create(tmp_path / "net", "x", [member], place.node.chain_id, 1)
    deep = tuple(f"0x{n:040x}" for n in range(2 * place.node.height()))
    profile.with_validators(deep).write(tmp_path / "net")
    network = ["--network", str(tmp_path / "net")]
    said = [*network, "--folder", str(tmp_path), "--beneficiary", "x", "--purpose", "y"]
    store = ["--store", str(tmp_path / "claims.sqlite")]
    (tmp_path / "claims.sqlite").write_bytes(place.store_path.read_bytes())
    # What was final by the chain's own profile never goes back; by this one nothing is yet.
    engine = opened(str(tmp_path / "claims.sqlite"))
    with written(engine) as copied:
        copied.set(FINAL, "-1")
    engine.dispose()
    claim = ["claim", "kesennuma", str(EVENING), *place.signing("trader", KESENNUMA), *store]
    with pytest.raises(SettingError, match="a half hour must be final to be claimed, got"):
        place.yui(*claim, *said)
    file = str(proof_of(place, tmp_path))
    place.yui("verify", file, "--rpc", place.node.url)
    with pytest.raises(ChainError, match="a contract must be at 0x.*, got none"):
        place.yui("verify", file, "--rpc", place.node.url, *network)


def test_a_site_claims_a_whole_day(attested: Place, tmp_path: Path) -> None:
    done = attested.yui(
        *("claim", "tome", "2019-06-04", "--beneficiary", "登米", "--purpose", "RE100", "--json"),
        *attested.signing("trader", TOME),
        *("--store", str(attested.store_path), "--folder", str(tmp_path)),
    )
    # Tome lives on its own roof at noon alone.
    assert [one["energy_wh"] for one in json.loads(done)["claims"]] == [1_000]
    assert attested.audit().claimed_wh == 1_000


def proof_of(place: Place, folder: Path) -> Path:
    place.yui(
        *("proof", "kesennuma", str(EVENING), "--folder", str(folder)),
        *("--store", str(place.store_path)),
    )
    return folder / f"proof-Kesennuma-{EVENING}-0.json"


def test_a_proof_is_checked_offline(place: Place, tmp_path: Path) -> None:
    file = proof_of(place, tmp_path)
    assert "The proof holds: 1800 Wh" in place.yui("verify", str(file))
    place.yui("verify", str(file), "--root", "0x" + place.root.hex())
    with pytest.raises(ProofWrong):
        place.yui("verify", str(file), "--root", "0x" + FORGED.hex())


def test_a_script_with_none_of_our_code_comes_to_the_same(place: Place, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "@openzeppelin" / "merkle-tree").exists():
        pytest.skip("needs node and the npm packages: make setup")
    file = proof_of(place, tmp_path)

    def run(*arguments: str) -> int:
        script = ROOT / "docs" / "verify.mjs"
        return subprocess.run([node, script, *arguments], capture_output=True).returncode

    assert run(str(file)) == 0
    assert run(str(file), "0x" + FORGED.hex()) == 1
    content = json.loads(file.read_text())
    content["leaf_values"][2] = "1801"
    file.write_text(json.dumps(content))
    assert run(str(file)) == 1


def test_a_forged_file_is_named(place: Place, tmp_path: Path) -> None:
    file = proof_of(place, tmp_path)
    content = json.loads(file.read_text())
    for name, value, error in (
        ("proof", content["proof"][:-1], ProofWrong),
        ("leaf", "0x" + FORGED.hex(), SettingError),
        ("used", {"energy_wh": 1_900}, SettingError),
        ("format", "another", SettingError),
        ("leaf_values", ["x"], SettingError),
    ):
        file.write_text(json.dumps({**content, name: value}))
        with pytest.raises(error):
            place.yui("verify", str(file))


def test_a_node_says_whether_the_root_stands(place: Place, tmp_path: Path) -> None:
    file, url = str(proof_of(place, tmp_path)), place.node.url
    with pytest.raises(RootNotStanding):
        place.yui("verify", file, "--rpc", url)
    place.attest_all()
    place.yui("verify", file, "--rpc", url)
    place.attest(0, FORGED, replaced=place.root)
    with pytest.raises(RootsConflict):
        place.yui("verify", file, "--rpc", url)


def test_a_root_agreed_on_that_is_not_the_files_is_named(place: Place, tmp_path: Path) -> None:
    for site in range(3):
        place.attest(site, FORGED)
    with pytest.raises(ProofWrong):
        place.yui("verify", str(proof_of(place, tmp_path)), "--rpc", place.node.url)


def test_a_node_of_another_chain_is_named(place: Place, tmp_path: Path) -> None:
    file = proof_of(place, tmp_path)
    with (
        anvil(SLOTS[0] * SLOT_SECONDS, chain_id=7_103) as other,
        pytest.raises(ChainError, match="the chain must be 7000, got 7103"),
    ):
        place.yui("verify", str(file), "--rpc", other.url)


def test_a_trace_shows_signatures_that_it_has_checked(place: Place) -> None:
    said = place.yui(
        *("trace", "kesennuma", str(EVENING), "--rpc", place.node.url, "--json"),
        *("--store", str(place.store_path)),
    )
    way = json.loads(said)
    battery = next(
        s for part in way["from"] for s in part.get("from", []) if s["step"] == "battery"
    )
    charged = next(step for step in battery["from"] if step["step"] == "charged")
    assert charged["slot"] == NOON
    assert {step["step"] for step in charged["from"]} == {"reading", "pool"}
    readings = [step for step in charged["from"] if step["step"] == "reading"]
    assert {step["site"] for step in readings} == {"Tome", "Kesennuma"}
    assert all(len(step["signature"]) == 2 + 128 for step in readings)


# -- the audit -----------------------------------------------------------------------------


def test_the_audit_counts_roots_and_claims(attested: Place) -> None:
    attested.claim()
    found = attested.audit()
    assert (found.roots, found.attestations, found.claims, found.claimed_wh) == (1, 3, 1, 1_000)
    assert found.slots == 48


def test_the_audit_goes_on_where_it_ended(attested: Place, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = attested.audit(state=state)
    attested.claim()
    second = attested.audit(state=state)
    assert second.transactions == first.transactions + 1
    assert second == attested.audit()
    other = OriginContract.deployed(attested.node, attested.market.address)
    with pytest.raises(SettingError, match="must be of this deployment"):
        audited(attested.node, attested.market.address, other.address, state=state)
    state.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(SettingError, match="must be an audit's state"):
        attested.audit(state=state)


def test_the_audit_names_a_forged_root(place: Place) -> None:
    place.attest(0, place.root)
    place.attest(1, FORGED)
    with pytest.raises(AuditError, match=r"^block \d+: the root of day 2019-06-04 that site 1 att"):
        place.audit()


def test_a_root_that_was_withdrawn_is_not_held_against_a_site(place: Place) -> None:
    place.attest(1, FORGED)
    place.attest(1, place.root, replaced=FORGED)
    assert place.audit().attestations == 2


def test_the_audit_names_a_root_and_a_claim_that_were_changed_in_the_state(attested: Place) -> None:
    attested.claim()
    row = attested.row()
    hours, lane = divmod(row.slot, SLOTS_IN_A_WORD)
    place = hours % (RING * SLOTS_PER_DAY // SLOTS_IN_A_WORD)
    ago = row.slot - row.origin.slot
    spot = place << 88 | row.site << 72 | row.origin.site << 48 | ago << 16 | KESENNUMA
    claimed = hours << 224 | 500 << 32 * lane
    for kept, value, message in (
        (mapped(spot, 2), claimed, f"^slot {EVENING}: of a row of site 2 1000 Wh must be claimed"),
        (mapped(0, mapped(DAY % RING, 0)), 0, r"^day 2019-06-04: the root of site 0 must be"),
    ):
        before = attested.node.request("evm_snapshot", [])
        word = "0x" + value.to_bytes(32).hex()
        attested.node.request("anvil_setStorageAt", [attested.origin.address, hex(kept), word])
        attested.node.request("evm_mine", [])
        with pytest.raises(AuditError, match=message):
            attested.audit()
        attested.node.request("evm_revert", [before])


def mapped(key_: int, slot: int) -> int:
    """Return where Solidity keeps a mapping's value."""
    return int.from_bytes(keccak(key_.to_bytes(32) + slot.to_bytes(32)))


def test_the_audit_names_a_claim_that_a_patched_contract_let_pass(attested: Place) -> None:
    """For a while it asks another registry for keys."""
    code = attested.node.code_at(attested.origin.address)
    row = attested.row()
    stolen = Claim((Slice(row, 0, 10),), "a thief", "none")
    with attested.store.connect() as connection:
        tree = day_tree(Store(connection), THE_DAY)
    signature = signed(stolen, attested.origin.domain, key("trader", TOME))
    trader = bytes.fromhex(address_of(key("trader", KESENNUMA))[2:])
    thief = bytes.fromhex(address_of(key("trader", TOME))[2:])
    # Every question is answered there with the thief's key, and then the trader's.
    liar = "0x00000000000000000000000000000000000000ee"
    answer = "73" + thief.hex() + "600052" + "73" + trader.hex() + "602052" + "6101006000f3"
    attested.node.request("anvil_setCode", [liar, "0x" + answer])
    market = bytes.fromhex(attested.market.address[2:])
    assert market in code
    patched = code.replace(market, bytes.fromhex(liar[2:]))
    attested.node.request("anvil_setCode", [attested.origin.address, "0x" + patched.hex()])
    attested.origin.claim(stolen, tree.root, tree.multiproof([row]), signature)
    attested.node.request("anvil_setCode", [attested.origin.address, "0x" + code.hex()])
    with pytest.raises(
        AuditError, match=r"^block \d+: a transaction must have been refused.*Wrong"
    ):
        attested.audit()


def test_the_audit_names_code_that_is_not_this_versions(attested: Place) -> None:
    for address, name in ((attested.market.address, "Market"), (attested.origin.address, "Origin")):
        code = bytearray(attested.node.code_at(address))
        code[len(code) // 2] ^= 1
        before = attested.node.request("evm_snapshot", [])
        attested.node.request("anvil_setCode", [address, "0x" + code.hex()])
        with pytest.raises(
            AuditError, match=f"the code at {address} must be this version's {name}"
        ):
            attested.audit()
        attested.node.request("evm_revert", [before])


class LyingNode(NodeChain):
    """A node that shows a byte changed in the logs of one kind."""

    event, at = "", 0

    def batch(self, method: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        answers = super().batch(method, parameters)
        if method == "eth_getLogs":
            for log in answers[0]:
                log["data"] = self._changed(log)
        return answers

    def _changed(self, shown: dict[str, Any]) -> str:
        data = bytes.fromhex(shown["data"][2:])
        topics = tuple(bytes.fromhex(topic[2:]) for topic in shown["topics"])
        log = Log(shown["address"], topics, data)
        known = interface("Market").event(log) or interface("Origin").event(log)
        if known is None or known.name != self.event:
            return str(shown["data"])
        changed = bytes([data[self.at] ^ 1])
        return "0x" + (data[: self.at] + changed + data[self.at + 1 :]).hex()


@pytest.mark.parametrize(
    ("event", "at"),
    [("ReadingsPosted", 70), ("Settled", 127), ("RootAttested", 31), ("Claimed", 127)],
)
def test_the_audit_names_a_changed_log(attested: Place, event: str, at: int) -> None:
    attested.claim()
    node = LyingNode(attested.node.url)
    node.event, node.at = event, at
    with pytest.raises(AuditError, match=r"^block \d+: (events must be \[|its logs must be read)"):
        attested.audit(node)


class BlindNode(NodeChain):
    """A node that does not trace."""

    def batch(self, method: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        if method == "debug_traceTransaction":
            raise ChainError("debug_traceTransaction must be answered by the node, got -32601")
        return super().batch(method, parameters)


def test_the_audit_follows_a_council_that_acts_through_a_contract(place: Place) -> None:
    """By the node's trace; without one, what it does to the registry is read from its events."""
    forwarder = "0x00000000000000000000000000000000000000cc"
    place.node.request("anvil_setCode", [forwarder, "0x" + _forwarder(place.market.address)])
    place.market.change_owner(forwarder)
    through = MarketContract(place.node, forwarder)
    later = SLOTS[-1] + 20
    through.amend(0, later, address_of(key("trader", 9)), address_of(key("oracle", 9)), PLAIN)
    assert place.audit() == place.audit(BlindNode(place.node.url))


def test_the_audit_follows_what_a_strangers_contract_relays(attested: Place) -> None:
    node = attested.node
    to_market, to_origin = ("0x" + f"{number:040x}" for number in (0xCC, 0xCD))
    node.request("anvil_setCode", [to_market, "0x" + _forwarder(attested.market.address)])
    node.request("anvil_setCode", [to_origin, "0x" + _forwarder(attested.origin.address)])
    before = attested.audit()
    reading = Reading(SLOTS[-1], 0, imported=210, revision=1)
    signature = sign(reading, attested.market.domain, key("oracle", 0))
    relayed = MarketContract(node, to_market).push([reading], [signature])
    attested.claim(through=OriginContract(node, to_origin))
    found = attested.audit()
    assert found.corrections == before.corrections + 1
    assert (found.claims, found.claimed_wh) == (1, 1_000)
    with pytest.raises(AuditError, match="0x" + relayed.transaction.hex()) as named:
        attested.audit(BlindNode(node.url))
    assert f"block {relayed.block}" in str(named.value)
    assert "what it called with" in str(named.value)


def test_a_call_that_failed_within_a_transaction_is_not_run_again(place: Place) -> None:
    """It settles, and tries to settle once more."""
    settler = "0x00000000000000000000000000000000000000ce"
    market = bytes.fromhex(place.market.address[2:])
    call = "60006000366000600073" + market.hex() + "5af1"
    # Without the first one's success it reverts: else the gas estimate would starve both.
    code = "366000600037" + call + "602e5760006000fd5b" + call + "5000"
    place.node.request("anvil_setCode", [settler, "0x" + code])
    slot = SLOTS.stop
    place.node.set_time((slot + 1) * SLOT_SECONDS)
    readings = [replace(one, slot=slot) for one in readings_of(SLOTS[-1])]
    signatures = [sign(one, place.market.domain, key("oracle", one.site)) for one in readings]
    place.market.push(readings, signatures)
    MarketContract(place.node, settler).settle(slot, [])
    assert place.audit().slots == 49


PLAIN = Ratings(40_000, 800, 800)


def _forwarder(market: str) -> str:
    """Code that calls a market with the calldata that it is given."""
    head = "36600060003760006000366000600073" + market[2:].lower() + "5af1"
    jump = len(head) // 2 + 3
    return head + f"60{jump + 5:02x}57" + "60006000fd" + "5b00"


def test_an_error_is_one_line(place: Place) -> None:
    with pytest.raises(YuiError, match="must be a manifest"):
        place.yui("audit", "--rpc", place.node.url, "--manifest", str(place.folder / "none"))
