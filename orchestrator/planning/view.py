"""What `yui plan` shows: what the battery does and why, what it saves, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY, half_hour, kwh
from orchestrator.words import Language, say, say_day, say_slot
from vpp.explain import SOME, Reason, Why, reasons
from vpp.market import Quote
from vpp.model import Array
from vpp.plan import Money, Plan, money_of

PRICES = ("plan_worth", "plan_price", "plan_value", "plan_below", "plan_above")
FLOWS = (
    "plan_charge", "plan_discharge", "plan_stored", "plan_load", "plan_pv", "plan_imported",
    "plan_exported",
)  # fmt: skip
BLOCKS = " ▁▂▃▄▅▆▇█"


def plan_view(
    plan: Plan,
    without: Plan,
    quotes: Sequence[Quote],
    name: str,
    day: date,
    language: Language,
    *,
    explain: bool = False,
) -> RenderableType:
    """Draw a plan's first day: in brief, in lines, and by slot with reasons if asked.

    `without` is the plan of the same slots without batteries.
    """
    parts: list[RenderableType] = [
        Text(say(language, "plan_title", site=name, day=say_day(language, day)), style="bold"),
        *(Text(alarm, style="bold red") for alarm in plan.alarms),
        *(Text(note) for note in plan.notes),
        _spans(plan, language),
        _lines(plan, language),
        _money(plan, without, language),
        Text(_worth(plan, without, language)),
    ]
    if plan.breaches:
        parts.append(_breaches(plan, language))
    parts.append(_slots(plan, quotes, language, explain))
    if explain and plan.duals is not None:
        parts.append(Text(say(language, "plan_how"), style="dim"))
    return Group(*parts)


def _spans(plan: Plan, language: Language) -> Table:
    """What the battery does from when to when: half hours alike are one line."""
    table = Table(title=say(language, "plan_does"), title_justify="left")
    for word in ("plan_hours", "plan_way", "plan_energy", "plan_stored_after", "plan_why"):
        right = word in ("plan_energy", "plan_stored_after")
        table.add_column(say(language, word), justify="right" if right else "left", no_wrap=True)
    for (way, why), group in groupby(reasons(plan)[:SLOTS_PER_DAY], key=_doing):
        slots = list(group)
        first, last = (half_hour(plan.problem.first_slot + slots[end].slot) for end in (0, -1))
        moved = sum(reason.charge + reason.discharge for reason in slots)
        table.add_row(
            f"{first[:5]}-{last[-5:]}",
            say(language, f"plan_{way}"),
            "" if way == "rests" else f"{moved:.1f}",
            f"{plan.stored[0][slots[-1].slot]:.1f}",
            say(language, f"why_{why.name}"),
        )
    return table


def _doing(reason: Reason) -> tuple[str, Why]:
    if reason.charge > SOME:
        return "charge", reason.why
    return ("discharge" if reason.discharge > SOME else "rests"), reason.why


def _money(plan: Plan, without: Plan, language: Language) -> Table:
    """What the day costs, and the day with the next, beside what they would cost without a
    battery."""
    table = Table(title=say(language, "plan_money"), title_justify="left")
    table.add_column("")
    for word in ("plan_day", "plan_both", "plan_without"):
        table.add_column(say(language, word), justify="right")
    of_day, of_both, bare = first_day(plan), plan.money, without.money
    for word, values in (
        ("plan_purchases", [money.purchases for money in (of_day, of_both, bare)]),
        ("plan_sales", [money.sales for money in (of_day, of_both, bare)]),
        ("plan_demand", [money.demand for money in (of_day, of_both, bare)]),
        ("plan_reserve", [money.reserve for money in (of_day, of_both, bare)]),
        ("plan_bill", [money.bill for money in (of_day, of_both, bare)]),
        ("plan_wear", [money.wear + money.rest for money in (of_day, of_both, bare)]),
        ("plan_stored_value", [money.stored for money in (of_day, of_both, bare)]),
        ("plan_total", [money.total for money in (of_day, of_both, bare)]),
    ):
        strong = "bold" if word in ("plan_bill", "plan_total") else ""
        table.add_row(
            say(language, word), *(f"{value + 0.0:,.0f}" for value in values), style=strong
        )
    return table


def _worth(plan: Plan, without: Plan, language: Language) -> str:
    """What the battery saves, and how sure it is that no plan saves more."""
    before = sum(battery.end_value * battery.initial_kwh for battery in plan.problem.batteries)
    saved = without.money.total - plan.money.total - before
    told = say(language, "plan_saves", saved=f"{saved:,.0f}")
    if plan.is_safe_rule:
        return told + say(language, "plan_safe")
    if np.isnan(plan.gap):
        return told
    return told + say(language, "plan_proof", gap=f"{max(plan.gap, 0.0):.2f}", by=plan.made_by)


def first_day(plan: Plan) -> Money:
    """Return what the first day of a plan costs; what is stored at its end is valued as at the
    plan's end, and the demand charge is that of the plan."""
    day = slice(0, SLOTS_PER_DAY)
    return money_of(
        plan.problem,
        {name: flow[day] for name, flow in plan.purchases.items()},
        {name: flow[day] for name, flow in plan.sales.items()},
        [states[day] for states in plan.stored],
        plan.peak_kw,
        [offer[day] for offer in plan.reserve_up],
        [offer[day] for offer in plan.reserve_down],
    )


def _lines(plan: Plan, language: Language) -> Table:
    table = Table(show_header=False, box=None)
    series = _series(plan)
    full = plan.problem.batteries[0].capacity_kwh
    for word in ("price", "pv", "load", "charge", "discharge", "stored"):
        name = f"plan_{word}"
        top = full if word == "stored" else None
        first = series[name][:SLOTS_PER_DAY]
        unit = say(language, "per_kwh") if word == "price" else "kWh"
        most = say(language, "plan_most", value=f"{first.max():.1f}", unit=unit)
        table.add_row(say(language, name), blocks(first, top), most)
    table.add_row("", "0     3     6     9     12    15    18    21    ", "")
    return table


def blocks(series: Array, top: float | None = None) -> str:
    """Return a series as a line of blocks, from 0 to `top` or its own highest value.

    >>> blocks(np.array([0.0, 1.0, 2.0]))
    ' ▄█'
    """
    top = top or float(series.max()) or 1.0
    heights = np.clip(np.round(np.maximum(series, 0.0) / top * 8), 0, 8).astype(int)
    return "".join(BLOCKS[height] for height in heights)


def _breaches(plan: Plan, language: Language) -> Table:
    table = Table(title=say(language, "plan_breaches"), title_justify="left")
    for word in ("plan_limit", "half_hour", "plan_amount", "plan_steering"):
        table.add_column(say(language, word))
    for breach in plan.breaches:
        when = say_slot(language, plan.problem.first_slot + breach.slot)
        limit, _, whose = breach.limit.partition(" of ")
        named = say(language, f"limit_{limit}")
        named += f" ({whose})" if whose else ""
        table.add_row(named, when, f"{breach.amount:.3f}", f"{breach.steering:,.0f}")
    return table


def _slots(plan: Plan, quotes: Sequence[Quote], language: Language, explain: bool) -> Table:
    table = Table()
    flows = ["plan_worth", "plan_charge", "plan_discharge", "plan_stored"]
    words = ["plan_why", "plan_value", "plan_below", "plan_above"]
    if not explain:
        flows = ["plan_price", "plan_load", "plan_pv", *flows[1:], "plan_imported", "plan_exported"]
        words = ["plan_quote"]
    for word in ("half_hour", *flows, *words):
        heading = say(language, word)
        if word in (*PRICES, *FLOWS):
            heading += "\n" + (say(language, "per_kwh") if word in PRICES else "kWh")
        right = word not in ("plan_why", "half_hour")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    offered = {quote.slot: quote for quote in quotes}
    series = _series(plan)
    for reason in reasons(plan)[:SLOTS_PER_DAY]:
        slot = plan.problem.first_slot + reason.slot
        cells = [f"{series[word][reason.slot]:.2f}" for word in flows]
        cells = [half_hour(slot), *("" if cell in ("0.00", "nan") else cell for cell in cells)]
        more = _why(reason, language) if explain else [_quote(offered.get(slot), language)]
        table.add_row(*cells, *more)
    return table


def _series(plan: Plan) -> dict[str, Array]:
    problem = plan.problem
    worth = np.full(problem.slots, np.nan) if plan.duals is None else plan.duals.energy
    return {
        "plan_worth": worth,
        "plan_price": np.max([np.asarray(tier.price) for tier in problem.purchases], axis=0),
        "plan_load": np.asarray(problem.load_kwh),
        "plan_pv": np.asarray(problem.pv_kwh),
        "plan_charge": plan.charge[0],
        "plan_discharge": plan.discharge[0],
        "plan_stored": plan.stored[0],
        "plan_imported": plan.imported,
        "plan_exported": plan.exported,
    }


def _why(reason: Reason, language: Language) -> list[str]:
    values = (reason.stored_value, reason.charge_below, reason.discharge_above)
    shown = ["" if np.isnan(value) else f"{value:.2f}" for value in values]
    return [say(language, f"why_{reason.why.name}"), *shown]


def _quote(quote: Quote | None, language: Language) -> str:
    if quote is None:
        return ""
    side, price = quote.side.name.lower(), quote.price / PRICE_PER_YEN
    return say(language, f"plan_{side}", energy=f"{kwh(quote.energy):.1f}", price=f"{price:.2f}")


def plan_json(plan: Plan, without: Plan, quotes: Sequence[Quote], site: str) -> dict[str, object]:
    """Return a plan as JSON: kWh a slot, JPY, JPY/kWh; all planned slots."""
    problem, money = plan.problem, plan.money

    def rounded(series: Array) -> list[float]:
        return [round(float(value), 6) for value in series]

    def number(value: float) -> float | None:
        return round(value, 6) if np.isfinite(value) else None

    why = reasons(plan)
    return {
        "site": site,
        "first_slot": problem.first_slot,
        "slots": problem.slots,
        "made_by": plan.made_by,
        "seconds": plan.seconds,
        "gap_jpy": number(plan.gap),
        "alarms": list(plan.alarms),
        "notes": list(plan.notes),
        "money_jpy": {
            "bill": money.bill,
            "purchases": money.purchases,
            "sales": money.sales,
            "demand": money.demand,
            "reserve": money.reserve,
            "wear": money.wear,
            "rest": money.rest,
            "stored": money.stored,
        },
        "total_jpy": money.total,
        "without_battery_jpy": without.money.total,
        "steering_jpy": plan.steering,
        "breaches": [
            {
                "limit": breach.limit,
                "slot": problem.first_slot + breach.slot,
                "amount": breach.amount,
                "steering_jpy": breach.steering,
            }
            for breach in plan.breaches
        ],
        "peak_kw": plan.peak_kw,
        "load_kwh": rounded(np.asarray(problem.load_kwh)),
        "pv_kwh": rounded(np.asarray(problem.pv_kwh)),
        "charge_kwh": rounded(plan.charge[0]),
        "discharge_kwh": rounded(plan.discharge[0]),
        "stored_kwh": rounded(plan.stored[0]),
        "imported_kwh": rounded(plan.imported),
        "exported_kwh": rounded(plan.exported),
        "reserve_up_kw": rounded(plan.reserve_up[0]) if plan.reserve_up else None,
        "reserve_down_kw": rounded(plan.reserve_down[0]) if plan.reserve_down else None,
        "why": [
            {
                "why": reason.why.value,
                "energy_price": number(reason.energy_price),
                "stored_value": number(reason.stored_value),
                "charge_below": number(reason.charge_below),
                "discharge_above": number(reason.discharge_above),
            }
            for reason in why
        ],
        "quotes": [
            {
                "slot": quote.slot,
                "side": quote.side.name.lower(),
                "energy_wh": quote.energy,
                "price_milliyen_per_kwh": quote.price,
            }
            for quote in quotes
        ],
    }
