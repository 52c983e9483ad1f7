"""A site's battery as its agent steers it: by the store's readings and books.

When a slot has begun, a plan is made for it and the day ahead (`orchestrator.steering`). What the
agent then offers rests on it, and it is written where the site's dispatch reads it
(`vpp.dispatch.planfile`): the battery does what was offered. Without a new plan, dispatch goes on
with the last. Energies in Wh, times in unix seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chain.store import Store
from daemon.journal import said
from energy.errors import SettingError
from energy.records import Reading
from energy.registry import Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.setting.sites import Site
from orchestrator.steering.choice import steering_of
from orchestrator.steering.neighbours import Neighbours
from orchestrator.steering.plan import LEAST_WH
from orchestrator.steering.rule import Idle
from orchestrator.steering.steering import Steering, position_of
from vpp.calendar import works_on
from vpp.commands import Instruction
from vpp.dispatch.limits import OwnerLimits
from vpp.dispatch.planfile import plan_from, plan_of, plan_text, write_plan
from vpp.forecast import HISTORY_DAYS, History

log = logging.getLogger("yui.orchestrator")


class SteeredBattery:
    """A site's battery and its plan; `plan_file` is where that is written, if anywhere."""

    def __init__(
        self, how: str, site: Site, history: History, plan_file: Path | None = None
    ) -> None:
        assert site.battery is not None
        self.plan: Instruction | None = None
        """The plan that the offers rest on, as dispatch would be told it."""
        self.trouble = ""
        """Why dispatch cannot follow the plan, if so."""
        self._file, self._written = plan_file, True
        if plan_file is not None:
            with suppress(OSError, ValueError, SettingError):
                self.plan = plan_from(plan_file.read_text(encoding="utf-8"), site.number)
        self._site, self._least = site.number, site.battery.minimum_wh
        power_w = site.battery.size.power_w
        self._most_wh = site.battery.size.slot_limit_wh
        self._limits = OwnerLimits(charge_w=power_w, discharge_w=power_w)
        self._tariff_of: Callable[[int], Tariff]
        self._neighbours: Neighbours | None = None
        self._how, self._place, self._history = how, site, history
        self._begun = -1
        self.steering: Steering = Idle(history)

    def begin(self, store: Store, running: int, hurry: bool) -> bool:
        """Steer the slot that runs; return whether that has been done.

        Without the reading of the slot before, only in a hurry.
        """
        if self._begun == running:
            return True
        since = range(running - HISTORY_DAYS * SLOTS_PER_DAY, running)
        own = store.readings(since, self._site)
        if not own or (own[-1].slot != running - 1 and not hurry):
            return hurry
        self._tariff_of = store.tariffs().at
        if self._neighbours is None:
            self._neighbours = Neighbours(dict.fromkeys(store.sites_at(running), works_on))
            self.steering = steering_of(
                self._how,
                self._place,
                self._history,
                lambda slot, _: self._tariff_of(slot),
                self._neighbours,
                lambda words: log.warning(said("plan", site=self._site, alarm=words)),
            )
            self.steering.go_on([self._available(reading) for reading in own])
            news = since
        else:
            news = range(max(self._begun - 1, since.start), running)
        self._neighbours.read(store.readings(news))
        self._neighbours.ordered(store.orders(news))
        span = range(running, running + 1)
        trades = [trade for trade, _ in store.trades(span)]
        position = position_of(self._site, store.orders(span), trades)
        self.steering.begin(running, self._available(own[-1]), position)
        self._begun = running
        self.plan, self._written = self._planned(running), False
        self.write()
        return True

    def _planned(self, slot: int) -> Instruction | None:
        """Return the plan from a slot on as an instruction to dispatch; None if it may be none."""
        day = (self.steering.planned(at) for at in range(slot, slot + SLOTS_PER_DAY))
        # What is so little is not worth a set-point; a solver's rounding is no breach of limits.
        leaving = [
            max(-self._most_wh, min(each, self._most_wh)) if abs(each) >= LEAST_WH else 0
            for each in day
        ]
        planned = plan_of(self._site, slot * SLOT_SECONDS, leaving)
        try:
            # What dispatch would not follow is not put before it.
            plan = plan_from(plan_text(planned), self._site)
            if why := self._limits.refusal(plan):
                raise SettingError(why)
        except SettingError as error:
            self.trouble = f"the plan must be one that dispatch may follow, got: {error}"
            return None
        return plan

    def write(self) -> None:
        """Write the plan for dispatch, if that has not been done."""
        if self.plan is None or self._written or self._file is None:
            return
        try:
            write_plan(self._file, self.plan)
        except OSError as error:
            # It is tried again; until then dispatch goes on with the plan before.
            self.trouble = f"{self._file} must be written, got {error}"
            return
        self.trouble, self._written = "", True
        log.info(said("plan.written", site=self._site, half_hours=len(self.plan.plan_wh)))

    def _available(self, reading: Reading) -> int:
        return max(reading.stored - self._least, 0)
