"""Seven members' validators on this machine, a block a second: what they bear, and how much.

Faults first, each while a slot is traded; a row's remark says what happened. Then orders under
load, and the blocks of that load run again by one validator on one core.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure
from bench.load import sustained
from bench.town import GATE_SECONDS, Town
from chain.events import Cleared, market_events
from chain.network.client import geth_program
from chain.network.keys import key_at
from chain.network.local import await_height, await_joined, heal, split
from chain.network.node import MemberNode
from chain.network.trial import trial
from energy.errors import ChainError
from energy.units import SLOT_SECONDS

NAMES = ("ogawara", "sendai", "osaki", "kurihara", "tome", "ishinomaki", "kesennuma")
START = 1_559_574_000
PERIODS_TO_GO_ON = 5
SPLIT_SECONDS = 60
LOAD_SECONDS = 60
GAS_OF_A_SITE = 160_000
"""A site's slot in a large market: an allowance of orders, cleared; a reading; settlement."""


def figures() -> list[Figure]:
    """Run the fault table and the load."""
    with TemporaryDirectory(prefix="yui") as name:
        folder = Path(name)
        with trial(folder / "net", NAMES, START) as (chain, nodes):
            # The operator's node is the last: those before it fail.
            town = Town.founded(chain, len(NAMES), folder)
            town = town.through(nodes[-1].chain(chain.key), folder / "operator.sqlite")
            found = [*_told(Faults(town, nodes).rows())]
            found += _told(sustained(chain, nodes, LOAD_SECONDS))
        return [*found, *_told(_executed(nodes[-1]))]


def _told(figures: Iterable[Figure]) -> Iterator[Figure]:
    """Say each as it comes: the whole takes some minutes, and may end early."""
    for figure in figures:
        print(f"{figure.name}: {figure.value:,.6g} {figure.unit}", file=sys.stderr, flush=True)
        yield figure


class Faults:
    """The rows of the fault table; each leaves the network whole."""

    def __init__(self, town: Town, nodes: Sequence[MemberNode]) -> None:
        self.town = town
        self.nodes = nodes
        self.slot = town.first_slot + 1
        self.depth = nodes[0].profile.depth

    def rows(self) -> Iterator[Figure]:
        """Run all of them, in order."""
        yield self._gate_to_final()
        for number in (1, 2, 3):
            yield from self._killed(number)
        yield from self._stopped(4)
        yield from self._split(3)
        yield from self._wiped()

    def _next(self) -> int:
        slot, self.slot = self.slot, self.slot + 2
        return slot

    def _gate_to_final(self) -> Figure:
        """Count the blocks from the first past a gate to the one that makes its trades final."""
        slot, town = self._next(), self.town
        town.trade(slot)
        gate = slot * SLOT_SECONDS - GATE_SECONDS
        cleared = next(
            number
            for (number, _), log in town.chain.logs(town.market.address, 0, town.chain.height())
            for event in market_events([log])
            if isinstance(event, Cleared) and event.slot == slot
        )
        blocks = range(cleared, 0, -1)
        first = next(n for n in blocks if town.chain.time_of(n - 1) < gate)
        value = cleared + self.depth - first
        return Figure("gate closed to trades final", value, "blocks", 2 * self.depth + 3)

    def _killed(self, number: int) -> list[Figure]:
        """Kill some validators while a slot is traded, and bring them back."""
        killed = self.nodes[:number]
        longest = 0.0

        def kill() -> None:
            nonlocal longest
            for node in killed:
                node.kill()
            longest = self._longest_wait()

        self.town.trade(self._next(), kill)
        self._check()
        for node in killed:
            node.start()
        self._whole()
        name = f"{number} of {len(self.nodes)} killed: slot settled, longest wait for a block"
        return [Figure(name, longest, "s", PERIODS_TO_GO_ON)]

    def _stopped(self, number: int) -> list[Figure]:
        """Kill so many that the chain stops; start them again."""
        killed, town, slot = self.nodes[:number], self.town, self._next()
        alive = self.nodes[-1]
        town.set_time(slot * SLOT_SECONDS - GATE_SECONDS - 240)
        town.relay.take([town.order(slot, site) for site in range(town.sites)])
        town.persist(town.relay.push)
        stands = town.history()
        for node in killed:
            node.kill()
        time.sleep(3 * PERIODS_TO_GO_ON)
        before = alive.height()
        time.sleep(2 * PERIODS_TO_GO_ON)
        grown = alive.height() - before
        begun = time.monotonic()
        for node in killed:
            node.start()
        town.until(lambda: alive.height() > before, "a block after the restart")
        resumed = time.monotonic() - begun
        town.finish(slot)
        after = town.history()
        lost = sum(row not in after[kind] for kind, rows in stands.items() for row in rows)
        self._whole()
        name = f"{number} of {len(self.nodes)} killed:"
        return [
            Figure(f"{name} blocks that still came", grown, "count", 0),
            Figure(f"{name} rows lost after the restart", lost, "count", 0),
            Figure(f"{name} next block after the restart", resumed, "s"),
        ]

    def _split(self, number: int) -> list[Figure]:
        """Part the network, trade on both sides, and join it again."""
        town, slot = self.town, self._next()
        # The operator's node is on the larger side; a relay on the smaller one knows no better.
        side, key = self.nodes[:number], key_at(town.network / "accounts" / "relay.json")
        beyond = town.through(side[0].chain(key), town.network / "beyond.sqlite")
        town.set_time(slot * SLOT_SECONDS - GATE_SECONDS - 4 * SPLIT_SECONDS)
        split(self.nodes, side)
        begun = time.monotonic()
        town.relay.take([town.order(slot, site) for site in range(2, town.sites)])
        town.persist(town.relay.push)
        beyond.relay.take([town.order(slot, site) for site in range(4)])
        with suppress(ChainError):  # its block may not come before the lines are mended
            beyond.relay.push()
        left = SPLIT_SECONDS - (time.monotonic() - begun)
        time.sleep(max(left, 0))
        seen = beyond.history()
        ahead = self.nodes[-1].height() - side[0].height()
        heal(self.nodes, side)
        begun = time.monotonic()
        town.until(self._one_history, "one history")
        healed = time.monotonic() - begun
        town.until(lambda: not beyond.relay.push() and not beyond.relay.waiting, "orders final")
        town.finish(slot)
        ours, theirs = town.history(), beyond.history()
        once = [(slot, site, 1) for site in range(town.sites)]
        stand = sorted(row for row in ours["orders"] if row[0] == slot)
        differ = sum(ours[kind] != theirs[kind] for kind in ours)
        name = f"split {len(self.nodes) - number} / {number}:"
        return [
            Figure(f"{name} orders seen by the smaller side alone", _count(seen, slot), "count"),
            Figure(f"{name} blocks that it was behind", ahead, "count"),
            Figure(f"{name} one history after", healed, "s"),
            Figure(f"{name} orders lost", len(set(once) - set(stand)), "count", 0),
            Figure(f"{name} orders doubled", len(stand) - len(set(stand)), "count", 0),
            Figure(f"{name} tables that differ between the sides", differ, "count", 0),
        ]

    def _wiped(self) -> list[Figure]:
        """Lose a validator's disk; let it come back with its keys alone."""
        node, begun = self.nodes[1], time.monotonic()
        node.kill()
        node.wipe()
        node.start()
        height = self.nodes[-1].height()
        await_height([node], height, 120)
        synced = time.monotonic() - begun
        address = node.member.validator.lower()
        self.town.until(lambda: address in self._sealers_since(height), "a block that it sealed")
        sealed = time.monotonic() - begun
        self.town.trade(self._next())
        self._check()
        return [
            Figure("a validator wiped: all blocks again after", synced, "s", 120),
            Figure("a validator wiped: seals again after", sealed, "s", 120),
        ]

    def _sealers_since(self, height: int) -> set[str]:
        node = self.nodes[-1]
        return {
            str(node.ask("clique_getSigner", hex(number))).lower()
            for number in range(height + 1, node.height() + 1)
        }

    def _longest_wait(self) -> float:
        """Return the longest that a block lets wait for it, of the next few, in seconds."""
        node, longest = self.nodes[-1], 0.0
        # One may be on its way already: those after it are sealed by those left.
        for number in range(node.height() + 1, node.height() + 2 + self.depth):
            begun = time.monotonic()
            await_height([node], number)
            longest = max(longest, time.monotonic() - begun)
        return longest

    def _check(self) -> None:
        """Demand that what was traded stands, each once."""
        self.town.history()

    def _whole(self) -> None:
        """Wait until all nodes are joined and have the same history."""
        await_joined(self.nodes, 120)
        self.town.until(self._one_history, "one history")

    def _one_history(self) -> bool:
        final = min(node.height() for node in self.nodes) - self.depth
        hashes = {
            node.ask("eth_getBlockByNumber", hex(final), False)["hash"] for node in self.nodes
        }
        heights = [node.height() for node in self.nodes]
        return len(hashes) == 1 and max(heights) - min(heights) <= self.depth


def _count(history: dict[str, list[tuple[object, ...]]], slot: int) -> int:
    return sum(row[0] == slot for row in history["orders"])


def _executed(node: MemberNode) -> list[Figure]:
    """Run all blocks of a node that has ended again, on one core."""
    program, environment = geth_program(trial=True), {**node.environment, "GOMAXPROCS": "1"}

    def run(*arguments: str, cores: str = "1") -> str:
        done = subprocess.run(
            [program, *arguments],
            cwd=node.folder,
            env={**environment, "GOMAXPROCS": cores},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr

    run("export", "--datadir", "data", "blocks", cores="2")
    run("init", "--datadir", "again", "--state.scheme", "hash", "genesis.json", cores="2")
    log = run("import", "--datadir", "again", "--syncmode", "full", "blocks")
    gas, spent = 0.0, 0.0
    for line in re.findall(r"Imported new chain segment.*", log):
        mgas = float(re.search(r"mgas=([\d.]+)", line)[1])  # type: ignore[index]
        if mgas < 1:
            continue  # blocks of next to nothing measure the clock
        gas += mgas
        spent += _seconds(re.search(r"elapsed=(\S+)", line)[1])  # type: ignore[index]
    rate = gas / spent
    sites = rate * 1e6 * SLOT_SECONDS / GAS_OF_A_SITE
    return [
        Figure("gas that a validator executes on one core", rate, "Mgas/s"),
        Figure("sites that it could then carry in a slot, by gas alone", sites, "count"),
    ]


def _seconds(text: str) -> float:
    units = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
    return sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)(µs|ms|s|m)", text))
