"""What a battery could earn in the market if all were known: others' orders, all meters, a year.

The office's export is quoted to the Wh at its limits, so what it is owed in a slot is known for
each thing that its battery can do; dynamic programming finds the best path. Wear is priced in it at
a flat rate, near the law's slope, and counted by rainflow afterwards; what is held is priced as the
chemistry says. Steps are 0.5 kWh at the meter: a bound but for that and the flat rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energy.clearing import cleared, ranking_of
from energy.records import Order, Reading, Side
from energy.settlement import settled
from energy.units import MICROYEN_PER_YEN
from orchestrator.trading.agents import Limits
from orchestrator.trading.rehearsal import Rehearsed
from vpp.model import HALF_HOUR, Array
from vpp.rule import BatterySize

STEP_WH = 50
"""Of what is stored."""
METER_WH = 500
"""Of what a battery does in a slot, at the meter."""
WEAR = 6.0
"""JPY/kWh of a whole cycle."""


def foreseen(
    slots: Sequence[Rehearsed], site: int, limits: Limits, size: BatterySize, holding: float
) -> tuple[float, Array]:
    """Return (what the battery adds to what its site is owed, JPY; what is stored after each slot,
    kWh) of the best path through slots in which the battery rested; holding a kWh for an hour costs
    `holding` JPY."""
    most = size.slot_limit_wh // METER_WH * METER_WH
    moves = np.arange(-most, most + 1, METER_WH)
    owed = np.array([[_owed(slot, site, limits, int(move)) for move in moves] for slot in slots])
    owed -= owed[:, moves == 0]
    surplus = [slot.readings[site].exported for slot in slots]
    steps = [
        -(int(move) // STEP_WH) if move > 0 else int(-move) * size.efficiency // 1000 // STEP_WH
        for move in moves
    ]
    states = size.capacity_wh // STEP_WH + 1
    held = np.arange(states) * STEP_WH / 1000 * HALF_HOUR * holding
    worth, choices = np.zeros(states), np.zeros((len(slots), states), np.int8)
    for number in range(len(slots) - 1, -1, -1):
        best = np.full(states, -np.inf)
        for choice, (move, step) in enumerate(zip(moves, steps, strict=True)):
            if -move > surplus[number]:
                continue
            found = np.full(states, -np.inf)
            here = slice(max(-step, 0), states - max(step, 0))
            there = slice(max(step, 0), states - max(-step, 0))
            found[here] = worth[there] - held[there] - WEAR / 2 * abs(step) * STEP_WH / 1000
            found += owed[number, choice]
            choices[number][found > best] = choice
            best = np.maximum(best, found)
        worth = best
    state, gained, path = 0, 0.0, [0]
    for number in range(len(slots)):
        choice = choices[number][state]
        gained += owed[number, choice]
        state += steps[choice]
        path.append(state)
    return gained, np.array(path) * STEP_WH / 1000


def _owed(slot: Rehearsed, site: int, limits: Limits, move: int) -> float:
    """Return what a site is owed that quotes and does exactly so much beside its own net, JPY."""
    before = slot.readings[site]
    net = before.exported - before.imported + move
    book = [order for order in slot.orders if order.site != site]
    if net:
        side, price = (Side.ASK, limits.ask) if net > 0 else (Side.BID, limits.bid)
        book.append(Order(slot.slot, site, side, abs(net), price, 1))
    clearing = cleared(book, ranking_of(book, slot.tariff.fee), slot.tariff.fee)
    readings = list(slot.readings)
    readings[site] = Reading(slot.slot, site, max(-net, 0), max(net, 0), generated=max(net, 0))
    entries = settled(readings, clearing.trades, clearing.price, slot.tariff).entries
    return entries[site] / MICROYEN_PER_YEN
