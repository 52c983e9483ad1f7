"""Orchestrators as processes on a real chain, for the tests that kill, double and cut them off.

The test plays sites and clock: it gives orders to the service, pushes readings and lets time pass.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from eth_account import Account

from chain.anvil import anvil
from chain.indexer import indexed
from chain.node import fresh_key
from chain.origin import OriginContract
from chain.ports import free_port
from chain.store import opened, stored
from chain.writer import written
from energy.market import SETTLED
from energy.messages import address_of
from energy.units import SLOT_SECONDS
from orchestrator.auditing.audit import audited
from orchestrator.moving.mover import SignedOrder
from tests.services.test_node import Town, a_town, content
from tests.unit.test_twin import FIRST_SLOT

PASSPHRASE = "correct horse"
PATIENCE = 180.0
OF_THE_SERVICE = ("names", "mode", "rules", "witnessed", "contradicted")
"""Settings of a store that the chain does not tell."""


@dataclass
class Service:
    """An orchestrator's process, that can be killed and started again."""

    settings: Path
    folder: Path
    starts: int = 0
    notified: str = ""
    """The socket at which systemd would listen."""
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
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path.cwd()),
                    "NOTIFY_SOCKET": self.notified,
                },
            )
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it as it should be ended; return its exit code.

        A duty that has begun is finished; systemd waits for that as long (TimeoutStopSec).
        """
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(90)

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
        with suppress(httpx.HTTPError):
            return self.post(orders).status_code == 200
        return False

    def post(self, orders: list[SignedOrder]) -> httpx.Response:
        """Give it orders; return what it answered."""
        body = [
            {
                "slot": one.order.slot,
                "order": one.order.to_bytes().hex(),
                "signature": one.signature.hex(),
            }
            for one in orders
        ]
        return httpx.post(f"http://127.0.0.1:{self.port}/orders", json=body, timeout=20.0)

    def log(self) -> str:
        return (self.folder / "log").read_text()


@dataclass
class Place:
    """A market, what its services share, and those that run."""

    town: Town
    origin: OriginContract
    folder: Path
    fresh_store: Callable[[], str]
    services: list[Service] = field(default_factory=list)

    def service(
        self,
        store: str | None = None,
        payer: bytes | None = None,
        more: str = "",
        alerts: str = "",
        stalled: int = 3600,
        rpc: str | None = None,
        stores: str = "",
        chain_id: int = 7_000,
        confirmations: int = 0,
    ) -> Service:
        """Describe a service with an account and store of its own, if not told otherwise."""
        number = len(self.services)
        folder = self.folder / f"service{number}"
        folder.mkdir()
        payer = payer or fresh_key()
        self.town.node.fund(address_of(payer))
        keystore(folder, "relay", payer)
        port = free_port()
        (folder / "orchestrator.toml").write_text(
            f"""
[chain]
rpc = "{rpc or self.town.node.url}"
market = "{self.town.market.address}"
origin = "{self.origin.address}"
chain_id = {chain_id}
confirmations = {confirmations}
patience_seconds = 0.5
{more}
[key]
keystore = "relay.json"
passphrase = "relay.passphrase"
[store]
url = "{store or self.fresh_store()}"
{stores}
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


@contextmanager
def a_place(folder: Path, fresh_store: Callable[[], str]) -> Iterator[Place]:
    """A market on a chain of its own; what services still run at the end are killed."""
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        town = a_town(node, folder)
        origin = OriginContract.deployed(node, town.market.address)
        made = Place(town, origin, folder, fresh_store)
        yield made
        for service in made.services:
            if service.runs:
                service.kill()


def keystore(folder: Path, name: str, key: bytes) -> None:
    """Put a key into a folder, with its passphrase."""
    made = Account.encrypt(key, PASSPHRASE, kdf="pbkdf2", iterations=1)
    (folder / f"{name}.json").write_text(json.dumps(made))
    (folder / f"{name}.passphrase").write_text(PASSPHRASE)
    (folder / f"{name}.passphrase").chmod(0o600)


class Wire:
    """A way to a node that can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._to, self._port = int(url.rpartition(":")[2]), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port), reuse_port=False)
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        assert self._listener
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=[one, other], daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with closing(one), closing(other), suppress(OSError):
            while piece := one.recv(65_536):
                other.sendall(piece)


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


def check_nothing_lost_or_doubled(place: Place, slots: range, without: range = range(0)) -> None:
    """All orders stand once, but those of some slots; the audit is clean, and each store is what
    the chain says."""
    fresh = opened("sqlite://")
    with written(fresh) as writer:
        writer.set("origin", place.origin.address)
    indexed(fresh, place.town.node, place.town.market.address)
    with stored(fresh) as store:
        kept = [slot for slot in slots if slot not in without]
        expected = [one.order for slot in kept for one in place.town.orders(slot)]
        assert sorted(map(str, store.orders(slots))) == sorted(map(str, expected))
        assert store.slots(slots) == list(slots)
    findings = audited(place.town.node, place.town.market.address, place.origin.address)
    assert (findings.slots, findings.orders) == (len(slots), len(expected))
    for service in place.services:
        url = [line for line in service.settings.read_text().splitlines() if "url" in line]
        engine = opened(url[0].split('"')[1])
        indexed(engine, place.town.node, place.town.market.address)
        mine, theirs = content(engine), content(fresh)
        for held in (mine, theirs):
            held["settings"] = [row for row in held["settings"] if row[0] not in OF_THE_SERVICE]
        assert mine == theirs
