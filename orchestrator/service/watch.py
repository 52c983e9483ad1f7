"""What an operator wants to be told of, before someone else tells: the watch over a market.

Missing readings, late settlements, sites that attest different roots, an account that runs out
of funds, a chain that stands still. All of it is read from chain and store, so that a watch that
starts again says the same. Times in unix seconds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sqlalchemy import Engine

from chain.attesting import day_tree
from chain.market import MarketContract
from chain.node import NodeChain
from chain.store import Store, stored
from energy.attestation import date_of, day_number
from energy.attested import ROOT_BYTES
from energy.errors import SettingError
from energy.market import RING
from energy.records import Quality
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, day_of, half_hour
from orchestrator.service.alerts import Alerts
from orchestrator.service.settings import AlertSettings

COIN = 10**18
LOOK_BACK_SLOTS = 2 * SLOTS_PER_DAY
LOOK_BACK_DAYS = 7
PASSED_OVER_SLOTS = 2 * RING
"""How far back slots are looked for that were passed over of late: they were, a ring after them."""
TOLD_SECONDS = 2 * SLOTS_PER_DAY * SLOT_SECONDS
"""How long it is said of a slot that it was passed over."""


@dataclass
class Watch:
    """Looks at a market and says what is wrong; the figures of the last look are for metrics."""

    market: MarketContract
    node: NodeChain
    store: Engine
    settings: AlertSettings
    alerts: Alerts
    height: int = 0
    funds_wei: int = 0
    unsettled: int = 0
    """Slots past their reading deadline, or with all readings, that are not settled."""
    missing: int = 0
    """Readings of the last two days that did not come."""
    _seen: tuple[int, float] = (-1, 0.0)
    _roots: dict[int, bytes] = field(default_factory=dict)

    def look_at_market(self, now: int) -> None:
        """Look at readings, settlements and roots; `now` is the chain's time.

        Raises:
            ChainError, StoreError: if chain or store does not answer.
        """
        with stored(self.store) as store:
            first = store.first_slot()
            if first is None:
                return
            newest = now // SLOT_SECONDS
            slots = range(max(first, newest - LOOK_BACK_SLOTS), newest)
            self._look_at_readings(store, slots, now)
            # A slot that hangs is late until it is settled, however long ago it was.
            unsettled = first_unsettled(store, self.market.rules.first_slot)
            self._look_at_settlements(store, range(unsettled, newest), now)
            passed = range(max(first, newest - PASSED_OVER_SLOTS), newest)
            self._look_at_passed_over(store, passed, now)
            self._look_at_roots(store, newest)

    def look_at_chain(self) -> None:
        """Look at the chain's height and the payer's funds, for which no store is needed.

        Raises:
            ChainError: if the node does not answer.
        """
        self.height = self.node.height()
        self.funds_wei = self.node.balance_of(self.node.sender)
        low = self.funds_wei < self.settings.low_coins * COIN
        told = f"{self.funds_wei / COIN:.6f} coins left, {self.settings.low_coins:g} wanted"
        self.alerts.update("low-funds", {self.node.sender: told} if low else {})
        height, since = self._seen
        clock = time.monotonic()
        if height != self.height:
            self._seen = self.height, clock
        stalled = height == self.height and clock - since > self.settings.stalled_seconds
        told = f"block {self.height} for {clock - since:.0f} s"
        self.alerts.update("chain-stalled", {self.node.url: told} if stalled else {})

    def _look_at_readings(self, store: Store, slots: range, now: int) -> None:
        rules = self.market.rules
        due = range(slots.start, slots.start)
        for slot in slots:
            if rules.deadline_of(slot) <= now:
                due = range(slots.start, slot + 1)
        came = {
            (one.slot, one.site) for one in store.readings(due) if not one.quality & Quality.ASSUMED
        }
        sites = store.sites()
        gone: dict[int, list[int]] = {}
        for slot in due:
            for site, terms in sites.all_at(slot).items():
                if terms["trader"] and (slot, site) not in came:
                    gone.setdefault(site, []).append(slot)
        self.missing = sum(map(len, gone.values()))
        self.alerts.update(
            "reading-missing",
            {
                f"site {site}": f"{len(missed)} half hours, the newest {_when(missed[-1])}"
                for site, missed in gone.items()
            },
        )

    def _look_at_settlements(self, store: Store, slots: range, now: int) -> None:
        rules, settled = self.market.rules, {*store.slots(slots), *store.passed_over(slots)}
        late: dict[str, str] = {}
        self.unsettled = 0
        for slot in slots:
            ready = max(rules.deadline_of(slot), rules.gate_of(slot))
            if slot in settled or ready > now:
                continue
            self.unsettled += 1
            if now - ready > self.settings.late_seconds:
                late[f"slot {slot}"] = f"{_when(slot)}, due for {now - ready} s"
        self.alerts.update("settlement-late", late)

    def _look_at_passed_over(self, store: Store, slots: range, now: int) -> None:
        gone: dict[str, list[int]] = {}
        blocks = store.traced(slots)
        for slot in sorted(set(blocks).difference(store.slots(slots))):
            if now - (store.block_time(blocks[slot]) or 0) < TOLD_SECONDS:
                gone.setdefault(day_of(slot).isoformat(), []).append(slot)
        self.alerts.update(
            "slot-passed-over",
            {
                day: f"{len(passed)} half hours, the newest {_when(passed[-1])}: no order and no "
                "reading of them came; they count as half hours without readings"
                for day, passed in gone.items()
            },
        )

    def _look_at_roots(self, store: Store, newest: int) -> None:
        today = day_number(day_of(newest))
        conflicts: dict[str, str] = {}
        for day, roots in store.roots(range(today - LOOK_BACK_DAYS, today)).items():
            distinct = {root[:ROOT_BYTES].hex() for root in roots.values()}
            own = self._own_root(store, day)
            if own is not None and distinct - {own.hex()}:
                others = sorted(site for site, root in roots.items() if root[:ROOT_BYTES] != own)
                conflicts[date_of(day).isoformat()] = (
                    f"sites {', '.join(map(str, others))} attest another root than {own.hex()}"
                )
            elif len(distinct) > 1:
                conflicts[date_of(day).isoformat()] = f"{len(distinct)} different roots"
        self.alerts.update("roots-conflict", conflicts)

    def _own_root(self, store: Store, day: int) -> bytes | None:
        """Return a day's root as this store has it; None if it is not settled to its end."""
        if day not in self._roots:
            try:
                root = day_tree(store, date_of(day)).root[:ROOT_BYTES]
            except SettingError:
                return None
            self._roots = {day: root, **dict(list(self._roots.items())[:LOOK_BACK_DAYS])}
        return self._roots[day]


def _when(slot: int) -> str:
    return f"{day_of(slot)} {half_hour(slot)}"


def first_unsettled(store: Store, first_of_rules: int) -> int:
    """Return the first slot of which something can still become, as far as a store knows.

    It is where a mover goes on: all before it are settled or passed over for good, or no site took
    part.
    """
    first, final = store.first_slot(), store.last_final()
    begin = max(first_of_rules, first_of_rules if first is None else first)
    return begin if final is None else max(begin, final + 1)
