"""Steering by the plan: a linear program over the coming day, renewed when each slot begins.

The plan of a slot says what the battery does in it, and what energy in the battery is worth then.
That worth prices the orders of the next slot: the site offers what the battery could take in at
what charging would bring, what it could give at what keeping it would bring, and the rest at what
the utility pays. So the book decides, whichever price it comes to, and what it commits to is a
commitment in the next plan.

A plan depends on nothing but readings, trades and the tariff, so that one who starts again plans
the same. Where the solver fails or a plan fails its check, the safe rule stands in within the plan.

Energy in Wh and prices in 0.001 JPY/kWh outside, kWh and JPY/kWh in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from energy.records import Side
from energy.registry import Tariff
from energy.units import PRICE_PER_YEN, SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.steering.steering import OPEN, Keeps, Offer, Position, Tariffs, net_offers
from vpp.ahead import Ahead
from vpp.chemistry import chemistry
from vpp.explain import thresholds
from vpp.forecast import History
from vpp.model import HALF_HOUR, Array, Battery, Problem, Tier
from vpp.mpc import Controller
from vpp.plan import Plan
from vpp.rule import BatterySize, Command, Mode

CHEMISTRY = "lfp"
WEAR_PIECES = 4
HORIZON = SLOTS_PER_DAY
WH = 1_000
LEAST_WH = 10
"""Wh in a slot below which a battery is left to rest, and nothing is offered."""

LATER_SURPLUS = 0.6
"""What part of the surplus beyond the next slot a plan counts on to charge from: it may be cloudy
then, or sold."""
SOONER = 1.0 - 1e-4 * np.arange(HORIZON)
"""What is spared in a later slot counts for so much: of two that are equal, the battery serves the
first."""


class ByPlan:
    """Plans a day ahead again each slot, from what was measured and sold (`vpp.mpc`).

    `wanted` says what can be expected to be sold in the books to come; None: nothing. `keeps` says
    what is to be left in the battery, for a balancing call that is known of.
    """

    def __init__(
        self,
        history: History,
        size: BatterySize,
        tariffs: Tariffs,
        wanted: Callable[[int, Sequence[int]], tuple[Array, Array]] | None = None,
        alarm: Callable[[str], None] = lambda _: None,
        keeps: Keeps = lambda _: None,
    ) -> None:
        self._keeps = keeps
        self._ahead, self._tariffs, self._alarm = Ahead(history), tariffs, alarm
        self._wanted, self._size, self._stored = wanted, size, 0
        self._one_way = sqrt(size.efficiency / 1000)
        capacity, power = size.capacity_wh / WH / self._one_way, size.power_w / WH
        of_kind = chemistry(CHEMISTRY)
        wear = of_kind.wear(capacity, WEAR_PIECES)
        # At its least charge it is free to rise: what was before is no cycle that is known of.
        self._started = replace(wear, followers_kwh=np.asarray(wear.kinks_kwh) / 2)
        self._battery = Battery(
            "battery", capacity, power, power, 0.0, self._one_way, self._one_way,
            wear=wear, rests=of_kind.rests(),
        )  # fmt: skip
        self._controller = Controller(warm=False)
        self._plan: Plan | None = None
        self.go_on([])

    @property
    def plan(self) -> Plan | None:
        """The newest plan."""
        return self._plan

    def begin(self, slot: int, stored_wh: int, position: Position) -> Command:
        """Return what the plan for the measured state does in a slot."""
        if self._plan is not None:
            self._controller.measured([self._inside(stored_wh)], 0.0)
        self._stored = stored_wh
        self._plan = self._planned(slot, position)
        return command_of(self._plan, self._size, stored_wh)

    def offers(self, slot: int) -> list[Offer]:
        """Return what the site would trade in a slot, priced by the plan of the one that runs."""
        plan = self._plan
        if plan is None or slot - plan.problem.first_slot >= HORIZON:
            plan = self._planned(slot, OPEN)
        return offers_of(plan, slot, self._tariffs(slot, plan.problem.first_slot))

    def planned(self, slot: int) -> int:
        """Return what the plan has leave the battery in a slot; nothing beyond its horizon."""
        plan = self._plan
        if plan is None or not 0 <= slot - plan.problem.first_slot < HORIZON:
            return 0
        number = slot - plan.problem.first_slot
        return round(float(plan.discharge[0][number] - plan.charge[0][number]) * WH)

    def go_on(self, stored_wh: Sequence[int]) -> None:
        """Let the followers of wear stand where the battery's path has left them."""
        path = [self._battery.initial_kwh, *(self._inside(each) for each in stored_wh)]
        self._controller.go_on(self._battery.name, self._started, np.array(path))
        self._stored = stored_wh[-1] if stored_wh else self._stored

    def _planned(self, slot: int, position: Position) -> Plan:
        plan = self._controller.plan(self._problem(slot, position))
        for alarm in plan.alarms:
            self._alarm(alarm)
        return plan

    def _inside(self, stored_wh: int) -> float:
        return min(stored_wh / WH / self._one_way, self._battery.capacity_kwh)

    def _problem(self, slot: int, position: Position) -> Problem:
        load, sun = (each / WH for each in self._ahead(slot))
        tariffs = [self._tariffs(at, slot) for at in range(slot, slot + HORIZON)]
        buying, selling, middle, fee = (
            np.array([getattr(tariff, name) for tariff in tariffs]) / PRICE_PER_YEN
            for name in ("buying", "selling", "middle", "fee")
        )
        # It is charged from the site's own roof alone: what comes from the network has another
        # origin, and the device is told to refuse it.
        surplus = np.maximum(sun - load, 0.0) / HALF_HOUR
        surplus[2:] *= LATER_SURPLUS
        battery = replace(
            self._battery,
            initial_kwh=self._inside(self._stored),
            charge_kw=np.minimum(np.asarray(self._battery.charge_kw), surplus),
            end_value=float(buying.mean()) * self._one_way,
        )
        kept = self._keeps(slot)
        if kept is not None:
            power = np.asarray(battery.discharge_kw) - np.array(kept.free) / WH / HALF_HOUR
            battery = replace(
                battery,
                least_kwh=np.array([self._inside(each) for each in kept.left]),
                discharge_kw=np.maximum(power, 0.0),
            )
        sold, short, long = np.zeros((3, HORIZON))
        sold[0] = position.sold / WH
        short[0] = max(position.wanted - position.offered, 0) / WH
        long[0] = max(position.offered - position.wanted, 0) / WH
        sales = [Tier("utility, sold", buying), Tier("pool, sold", middle, short)]
        if self._wanted is not None:
            energy, price = self._wanted(slot, [tariff.fee for tariff in tariffs])
            if not position.is_open:
                energy[0] = 0.0
            sales.append(Tier("book, sold", price / PRICE_PER_YEN, energy / WH))
        return Problem(
            load_kwh=load,
            pv_kwh=sun,
            purchases=(Tier("utility", selling * SOONER), Tier("pool", middle + fee, long)),
            sales=tuple(sales),
            batteries=(battery,),
            sold_kwh=sold,
            first_slot=slot,
        )


def command_of(plan: Plan, size: BatterySize, stored_wh: int) -> Command:
    """Return what a battery is told for a plan's first slot.

    Where it stores all that it can, or gives all that the site lacks, it is to follow that,
    whatever that comes to; else it keeps to what was planned.
    """
    charge, discharge = (round(float(flow[0][0]) * WH) for flow in (plan.charge, plan.discharge))
    if max(charge, discharge) < LEAST_WH:
        return Command(Mode.HOLD)
    if charge > discharge:
        most = float(np.asarray(plan.problem.batteries[0].charge_kw)[0]) * plan.problem.hours
        return Command(Mode.STORE, None if charge > most * WH - LEAST_WH else _power(charge))
    net = round(float(plan.net_export[0]) * WH)
    if net >= LEAST_WH:
        return Command(Mode.DISCHARGE, _power(discharge))
    # The reserve for an outage stays, and what a call will want: it is told no more than what it
    # may give.
    battery = plan.problem.batteries[0]
    left = float(np.asarray(battery.least_kwh)[0]) * battery.discharge_efficiency
    power = float(np.asarray(battery.discharge_kw)[0]) * plan.problem.hours
    most_wh = max(min(stored_wh - round(left * WH), round(power * WH)), 0)
    return Command(Mode.SERVE, _power(most_wh if net > -LEAST_WH else discharge))


def _power(energy_wh: int) -> int:
    return energy_wh * 3600 // SLOT_SECONDS


def offers_of(plan: Plan, slot: int, tariff: Tariff) -> list[Offer]:
    """Return what a plan's site would trade in a slot, each part at what it is worth otherwise."""
    number, problem = slot - plan.problem.first_slot, plan.problem
    if plan.duals is None:
        return net_offers(slot, round(float(plan.net_export[number]) * WH))
    battery = problem.batteries[0]
    below, above = (float(each[number]) for each in thresholds(plan)[:2])
    before = float(plan.stored[0][number - 1]) if number else battery.initial_kwh
    power = float(np.asarray(battery.discharge_kw)[number]) * problem.hours
    gives = min(power, before * battery.discharge_efficiency)
    room = (battery.capacity_kwh - before) / battery.charge_efficiency
    takes = min(float(np.asarray(battery.charge_kw)[number]) * problem.hours, room)
    surplus = -float(problem.net_load_kwh[number])
    stores, serves = max(min(takes, surplus), 0.0), max(min(gives, -surplus), 0.0)
    buying, selling = tariff.buying / PRICE_PER_YEN, tariff.selling / PRICE_PER_YEN
    parts = (
        (Side.ASK, surplus - stores, buying),
        (Side.ASK, stores, max(below, buying)),
        (Side.ASK, gives - serves, above),
        (Side.BID, -surplus - serves, selling),
        (Side.BID, serves, min(above, selling)),
    )
    found = []
    for side, kwh, price in parts:
        energy, worth = round(kwh * WH), round(price * PRICE_PER_YEN)
        hopeless = (
            worth + tariff.fee >= tariff.selling
            if side is Side.ASK
            else worth <= tariff.buying + tariff.fee
        )
        if energy >= LEAST_WH and not hopeless:
            found.append(Offer(slot, side, energy, worth))
    return found
