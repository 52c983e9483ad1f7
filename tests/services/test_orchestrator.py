"""The orchestrator as a process on a real chain: killed at any instant, doubled, cut off, lied to.

The test plays sites and clock: it gives orders to the service, pushes readings and lets time
pass. Kills come at random instants of a fixed seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from eth_account import Account
from sqlalchemy import text

from chain.anvil import AnvilChain, anvil
from chain.indexer import indexed
from chain.node import fresh_key
from chain.origin import OriginContract
from chain.ports import free_port
from chain.store import opened, stored
from chain.writer import written
from energy.attestation import Attestation, day_number, signed
from energy.market import SETTLED
from energy.messages import address_of
from energy.units import SLOT_SECONDS, day_of, slots_of
from orchestrator.audit import audited
from orchestrator.mover import SignedOrder, relayed
from tests.services.conftest import FreshStore
from tests.services.test_node import SLOT, Town, a_town, content, key
from tests.unit.test_twin import FIRST_SLOT

PASSPHRASE = "correct horse"
PATIENCE = 60.0


@dataclass
class Service:
    """An orchestrator's process, that can be killed and started again."""

    settings: Path
    folder: Path
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> Service:
        """Start it; it need not have come up."""
        self.starts += 1
        code = (
            "import sys; from pathlib import Path; from orchestrator.service.cli import run; "
            "run(Path(sys.argv[1]))"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(self.settings)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            )
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it as it should be ended; return its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, path: str) -> httpx.Response | None:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5.0)
        return None

    def alerts(self) -> dict[tuple[str, str], str]:
        answer = self.ask("/health")
        told = answer.json()["alerts"] if answer is not None else []
        return {(each["name"], each["about"]): each["details"] for each in told}

    def give(self, orders: list[SignedOrder]) -> bool:
        """Give it orders; return whether it answered that it has them."""
        body = [
            {
                "slot": one.order.slot,
                "order": one.order.to_bytes().hex(),
                "signature": one.signature.hex(),
            }
            for one in orders
        ]
        with suppress(httpx.HTTPError):
            answer = httpx.post(f"http://127.0.0.1:{self.port}/orders", json=body, timeout=5.0)
            return answer.status_code == 200
        return False

    def log(self) -> str:
        return (self.folder / "log").read_text()


@dataclass
class Place:
    """A market, what its services share, and those that run."""

    town: Town
    origin: OriginContract
    folder: Path
    fresh_store: FreshStore
    services: list[Service] = field(default_factory=list)

    def service(
        self,
        store: str | None = None,
        payer: bytes | None = None,
        more: str = "",
        alerts: str = "",
        stalled: int = 3600,
    ) -> Service:
        """Describe a service with an account and store of its own, if not told otherwise."""
        number = len(self.services)
        folder = self.folder / f"service{number}"
        folder.mkdir()
        payer = payer or fresh_key()
        self.town.node.fund(address_of(payer))
        keystore = Account.encrypt(payer, PASSPHRASE, kdf="pbkdf2", iterations=1)
        (folder / "relay.json").write_text(json.dumps(keystore))
        (folder / "relay.passphrase").write_text(PASSPHRASE)
        (folder / "relay.passphrase").chmod(0o600)
        port = free_port()
        (folder / "orchestrator.toml").write_text(
            f"""
[chain]
rpc = "{self.town.node.url}"
market = "{self.town.market.address}"
origin = "{self.origin.address}"
chain_id = 7000
confirmations = 0
patience_seconds = 0.5
{more}
[key]
keystore = "relay.json"
passphrase = "relay.passphrase"
[store]
url = "{store or self.fresh_store()}"
[run]
poll_seconds = 0.05
port = {port}
[alerts]
late_seconds = 60
stalled_seconds = {stalled}
{alerts}
"""
        )
        service = Service(folder / "orchestrator.toml", folder, port=port)
        self.services.append(service)
        return service

    def settled(self, slot: int) -> bool:
        return self.town.stage(slot) == SETTLED

    def now(self, moment: int) -> None:
        self.town.at(max(moment, self.town.node.now()))


def wait_for(holds: Callable[[], object], place: Place, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        told = "\n".join(service.log()[-3000:] for service in place.services)
        assert time.monotonic() < end, f"{what}\n{told}"
        time.sleep(0.03)


@pytest.fixture
def place(tmp_path: Path, fresh_store: FreshStore) -> Iterator[Place]:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        town = a_town(node, tmp_path)
        origin = OriginContract.deployed(node, town.market.address)
        made = Place(town, origin, tmp_path, fresh_store)
        yield made
        for service in made.services:
            if service.runs:
                service.kill()


def live(
    place: Place,
    slots: range,
    give: Callable[[list[SignedOrder]], None],
    enough: Callable[[], bool] = lambda: False,
) -> range:
    """Lead slots through their life, orders before the gate, readings at the end; return which.

    It stops early once it is enough.
    """

    def posted(slot: int) -> bool:
        return all(place.town.market.sequence_of(slot, site) == 1 for site in range(3))

    def end(slot: int) -> None:
        place.now((slot + 1) * SLOT_SECONDS)
        place.town.push(*place.town.readings(slot))
        wait_for(lambda: place.settled(slot), place, f"slot {slot} must be settled")

    for slot in slots:
        # The gate closes while the slot before runs.
        place.now(place.town.market.rules.gate_of(slot) - 60)
        give(place.town.orders(slot))
        wait_for(partial(posted, slot), place, "what was taken must be posted")
        if slot > slots.start:
            end(slot - 1)
        if enough():
            break
    end(slot)
    return range(slots.start, slot + 1)


def check_nothing_lost_or_doubled(place: Place, slots: range) -> None:
    """All orders stand once, the audit is clean, and each store is what the chain says."""
    fresh = opened("sqlite://")
    with written(fresh) as writer:
        writer.set("origin", place.origin.address)
    indexed(fresh, place.town.node, place.town.market.address)
    with stored(fresh) as store:
        expected = [one.order for slot in slots for one in place.town.orders(slot)]
        assert sorted(map(str, store.orders(slots))) == sorted(map(str, expected))
        assert store.slots(slots) == list(slots)
    findings = audited(place.town.node, place.town.market.address, place.origin.address)
    assert (findings.slots, findings.orders) == (len(slots), 3 * len(slots))
    for service in place.services:
        url = [line for line in service.settings.read_text().splitlines() if "url" in line]
        engine = opened(url[0].split('"')[1])
        indexed(engine, place.town.node, place.town.market.address)
        mine, theirs = content(engine), content(fresh)
        for held in (mine, theirs):  # what no chain tells
            held["settings"] = [row for row in held["settings"] if row[0] not in ("names", "mode")]
        assert mine == theirs


def test_a_service_that_is_killed_at_any_instant_loses_and_doubles_nothing(place: Place) -> None:
    service = place.service().start()
    chance = random.Random(20190604)
    over = threading.Event()

    def kill_at_random() -> None:
        while not over.wait(chance.uniform(0.8, 3.0)):
            service.kill()
            service.start()

    killer = threading.Thread(target=kill_at_random)
    kills = 8
    killer.start()
    try:

        def give(orders: list[SignedOrder]) -> None:
            # An agent gives its orders until they are answered for; then they are the service's.
            wait_for(lambda: service.give(orders), place, "orders must be taken")

        # However quick the machine is, some kills fall into the day.
        slots = live(place, range(SLOT, SLOT + 40), give, lambda: service.starts > kills)
    finally:
        over.set()
        killer.join()
    assert service.starts > kills
    wait_for(
        lambda: (answer := service.ask("/health")) and not answer.json()["waiting_orders"],
        place,
        "the inbox must become empty",
    )
    assert service.stop() == 0
    check_nothing_lost_or_doubled(place, slots)


def test_two_at_once_with_one_account_and_one_store_do_no_harm(place: Place) -> None:
    store, payer = place.fresh_store(), fresh_key()
    pair = [place.service(store, payer).start() for _ in range(2)]

    def give(orders: list[SignedOrder]) -> None:
        for service in pair:
            wait_for(partial(service.give, orders), place, "orders must be taken")

    slots = range(SLOT, SLOT + 6)
    live(place, slots, give)
    assert [service.stop() for service in pair] == [0, 0]
    check_nothing_lost_or_doubled(place, slots)


def test_after_hours_without_a_chain_a_service_catches_up_many_slots(place: Place) -> None:
    service = place.service().start()
    slots = range(SLOT, SLOT + 16)
    wait_for(lambda: service.ask("/health"), place, "it must come up")
    process = anvil_process(place.town.node)
    for slot in slots:
        place.now(place.town.market.rules.gate_of(slot) - 60)
        assert service.give(place.town.orders(slot))
        wait_for(
            partial(is_posted, place, slot),
            place,
            "orders must be posted before the gate",
        )
        if slot == SLOT:
            # The service alone is cut off: it cannot tell a node that does not answer from none.
            os.kill(service._process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
            os.kill(process, signal.SIGSTOP)
            os.kill(service._process.pid, signal.SIGCONT)  # type: ignore[union-attr]
            time.sleep(1.0)
            os.kill(process, signal.SIGCONT)
        if slot == SLOT + 1:
            break
    service.kill()
    # Hours go by; sites' own relays and terminals go on.
    for slot in slots:
        place.now(place.town.market.rules.gate_of(slot) - 60)
        if slot > SLOT + 1:
            assert relayed(place.town.market, place.town.orders(slot)) == []
    place.now(slots.stop * SLOT_SECONDS)
    for slot in slots:
        place.town.push(*place.town.readings(slot))
    service.start()
    wait_for(lambda: all(map(place.settled, slots)), place, "all must be settled")
    assert service.stop() == 0
    check_nothing_lost_or_doubled(place, slots)


def is_posted(place: Place, slot: int) -> bool:
    return place.town.market.sequence_of(slot, 2) == 1


def anvil_process(node: AnvilChain) -> int:
    """Return the process that listens at a node's port."""
    port = node.url.rpartition(":")[2]
    found = subprocess.run(
        ["pgrep", "-f", f"anvil.* --port {port}"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


class Hook:
    """A webhook that keeps what it is told."""

    def __init__(self) -> None:
        told: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.told = told
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def events(self) -> set[tuple[str, str]]:
        return {(each["event"], each["name"]) for each in self.told}


def test_what_is_wrong_is_told_to_log_health_metrics_and_webhook_and_cleared(place: Place) -> None:
    hook, payer = Hook(), fresh_key()
    alerts = f'webhook = "{hook.url}"\nlow_coins = 5.0'
    service = place.service(payer=payer, alerts=alerts).start()
    place.town.node.request("anvil_setBalance", [address_of(payer), hex(10**18)])
    wait_for(lambda: ("low-funds", address_of(payer)) in service.alerts(), place, "low funds")
    place.town.node.fund(address_of(payer))
    wait_for(lambda: not service.alerts(), place, "funds again")
    assert hook.events() >= {("raised", "low-funds"), ("cleared", "low-funds")}
    # A reading that does not come, and an order by another's key.
    stranger = place.town.signed(place.town.orders(SLOT)[0].order, role="oracle")
    assert not service.give([stranger]), "it is not even taken"
    place.now(place.town.market.rules.gate_of(SLOT) - 60)
    wrong = place.town.signed(replace(stranger.order, energy=40_001))
    assert service.give([wrong])
    wait_for(lambda: ("told", "order-refused") in hook.events(), place, "a refused order")
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT)[1:])
    place.now(place.town.market.rules.deadline_of(SLOT))
    wait_for(lambda: ("reading-missing", "site 0") in service.alerts(), place, "a missing reading")
    wait_for(lambda: place.settled(SLOT), place, "it is settled without")
    answer = service.ask("/metrics")
    assert answer is not None
    metrics = answer.text
    assert 'yui_orchestrator_alerts{name="reading-missing"} 1.0' in metrics
    assert "yui_orchestrator_healthy 0.0" in metrics
    assert "alert.raised name=reading-missing" in service.log()
    # Sites that attest another root than what the store has.
    day = day_of(SLOT)
    last = slots_of(day).stop
    for slot in range(SLOT + 1, last):
        place.now((slot + 1) * SLOT_SECONDS)
        place.town.push(*place.town.readings(slot))
    wait_for(lambda: place.settled(last - 1), place, "the day must be settled")
    place.now((last + 1) * SLOT_SECONDS)
    wrong_root = Attestation(day_number(day), 1, b"\7" * 32)
    place.origin.attest(wrong_root, signed(wrong_root, place.origin.domain, key("oracle", 1)))
    wait_for(lambda: ("roots-conflict", day.isoformat()) in service.alerts(), place, "another root")
    assert "sites 1 attest another root than" in service.alerts()["roots-conflict", str(day)]
    assert service.stop() == 0


def test_a_settlement_that_does_not_come_is_told(place: Place) -> None:
    # Without money nothing is settled.
    payer = fresh_key()
    service = place.service(payer=payer).start()
    wait_for(lambda: service.ask("/health"), place, "it must come up")
    place.town.node.request("anvil_setBalance", [address_of(payer), "0x0"])
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT))
    place.town.node.request("anvil_setNextBlockBaseFeePerGas", [hex(10**9)])
    place.now(place.town.market.rules.deadline_of(SLOT) + 120)
    wait_for(lambda: ("settlement-late", f"slot {SLOT}") in service.alerts(), place, "late")
    assert not place.settled(SLOT)
    place.town.node.fund(address_of(payer))
    wait_for(lambda: place.settled(SLOT), place, "with money it is settled")
    wait_for(lambda: ("settlement-late", f"slot {SLOT}") not in service.alerts(), place, "cleared")


def test_a_chain_that_stands_still_and_a_store_that_fails_are_told_and_cleared(
    place: Place,
) -> None:
    store = place.fresh_store()
    service = place.service(store, stalled=1).start()
    node = place.town.node.url
    wait_for(lambda: ("chain-stalled", node) in service.alerts(), place, "no block comes")
    place.now(place.town.market.rules.gate_of(SLOT))
    wait_for(lambda: ("chain-stalled", node) not in service.alerts(), place, "a block came")

    def failed() -> bool:
        return any(name == "store-failed" for name, _ in service.alerts())

    engine = opened(store)
    rename = "ALTER TABLE {} RENAME TO {}"
    with engine.connect() as connection:
        connection.execute(text(rename.format("blocks", "gone")))
        connection.commit()
    wait_for(failed, place, "the store does not answer")
    with engine.connect() as connection:
        connection.execute(text(rename.format("gone", "blocks")))
        connection.commit()
    engine.dispose()
    wait_for(lambda: not failed(), place, "the store answers")
    assert service.runs
    assert "alert.cleared name=store-failed" in service.log()
    assert service.stop() == 0


def test_a_node_that_lies_or_is_behind_is_found_out_by_a_second_one_and_not_built_on(
    place: Place,
) -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as other:
        for _ in range(place.town.node.height() + 20):
            other.request("evm_mine", [])
        more = f'second = "{other.url}"'
        service = place.service(more=more, alerts="behind_blocks = 5").start()
        url = place.town.node.url
        wait_for(lambda: ("node-behind", url) in service.alerts(), place, "it is behind")
        wait_for(lambda: ("node-lies", url) in service.alerts(), place, "they differ")
        place.now((SLOT + 1) * SLOT_SECONDS)
        place.town.push(*place.town.readings(SLOT))
        time.sleep(1.0)
        assert not place.settled(SLOT)
    wait_for(lambda: ("second-away", other.url) in service.alerts(), place, "it is away")
