"""What `yui plan` shows: tables, a chart for the terminal, one for a file, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from energy.errors import SettingError
from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY, half_hour, kwh
from orchestrator.words import Language, say, say_day, say_slot
from vpp.explain import Reason, reasons
from vpp.market import Quote
from vpp.model import Array
from vpp.plan import Plan

BLOCKS = " ▁▂▃▄▅▆▇█"
FORMATS = (".png", ".svg")


def plan_view(
    plan: Plan,
    quotes: Sequence[Quote],
    name: str,
    day: date,
    language: Language,
    *,
    explain: bool = False,
) -> RenderableType:
    """Draw a plan's first day: in brief, in lines, and by slot with reasons if asked."""
    parts: list[RenderableType] = [
        Text(say(language, "plan_title", site=name, day=say_day(language, day)), style="bold"),
        *(Text(alarm, style="bold red") for alarm in plan.alarms),
        *(Text(note) for note in plan.notes),
        _brief(plan, language),
        Text(say(language, "plan_span"), style="dim"),
        _lines(plan, language),
    ]
    if plan.breaches:
        parts.append(_breaches(plan, language))
    parts.append(_slots(plan, quotes, language, explain))
    if explain and plan.duals is not None:
        parts.append(Text(say(language, "plan_how"), style="dim"))
    return Group(*parts)


def _brief(plan: Plan, language: Language) -> Table:
    money = plan.money
    table = Table(show_header=False, title=say(language, "plan_money"), title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for word, value in (
        ("plan_bill", money.bill),
        ("plan_purchases", money.purchases),
        ("plan_sales", money.sales),
        ("plan_demand", money.demand),
        ("plan_reserve", money.reserve),
        ("plan_wear", money.wear + money.rest),
        ("plan_stored_value", money.stored),
    ):
        table.add_row(say(language, word), f"{value:,.1f}")
    made = (
        say(language, "plan_safe") if plan.is_safe_rule else f"{plan.made_by}, {plan.gap:.1e} JPY"
    )
    table.add_row(say(language, "plan_proof"), made)
    return table


def _lines(plan: Plan, language: Language) -> Table:
    table = Table(show_header=False, box=None)
    series = _series(plan)
    full = plan.problem.batteries[0].capacity_kwh
    for word in ("price", "pv", "load", "charge", "discharge", "stored"):
        name = f"plan_{word}"
        top = full if word == "stored" else None
        first = series[name][:SLOTS_PER_DAY]
        table.add_row(say(language, name), blocks(first, top), f"{first.max():.1f}")
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
        table.add_row(breach.limit, when, f"{breach.amount:.3f}", f"{breach.steering:,.0f}")
    return table


def _slots(plan: Plan, quotes: Sequence[Quote], language: Language, explain: bool) -> Table:
    table = Table()
    flows = ["plan_worth", "plan_charge", "plan_discharge", "plan_stored"]
    words = ["plan_why", "plan_value", "plan_below", "plan_above"]
    if not explain:
        flows = ["plan_price", "plan_load", "plan_pv", *flows[1:], "plan_imported", "plan_exported"]
        words = ["plan_quote"]
    for word in ("half_hour", *flows, *words):
        right = word not in ("plan_why", "half_hour")
        table.add_column(say(language, word), justify="right" if right else "left", no_wrap=True)
    offered = {quote.slot: quote for quote in quotes}
    series = _series(plan)
    for reason in reasons(plan)[:SLOTS_PER_DAY]:
        slot = plan.problem.first_slot + reason.slot
        cells = [f"{series[word][reason.slot]:.2f}" for word in flows]
        cells = [half_hour(slot), *("" if cell in ("0.00", "nan") else cell for cell in cells)]
        table.add_row(*cells, *(_why(reason, language) if explain else _quote(offered.get(slot))))
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


def _quote(quote: Quote | None) -> list[str]:
    if quote is None:
        return [""]
    price = quote.price / PRICE_PER_YEN
    return [f"{quote.side.name.lower()} {kwh(quote.energy):.1f} @ {price:.2f}"]


def plan_json(plan: Plan, quotes: Sequence[Quote], site: str) -> dict[str, object]:
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


def chart(plan: Plan, path: Path, title: str, language: Language) -> None:
    """Draw a plan's first day to a PNG or SVG file: prices, energy, and what is stored.

    An SVG keeps its text as text. Where no font for Japanese is installed, a PNG is in English.

    Raises:
        SettingError: if the file is of another kind or cannot be written.
    """
    if path.suffix not in FORMATS:
        raise SettingError(f"a chart must be one of {', '.join(FORMATS)}, got {path.name!r}")
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    style: dict[str, object] = {"svg.fonttype": "none"}
    if language is Language.JAPANESE:
        known = {font.name for font in font_manager.fontManager.ttflist}
        fonts = [name for name in JAPANESE_FONTS if name in known]
        if fonts:
            style["font.family"] = fonts[0]
        elif path.suffix == ".png":
            language, title = Language.ENGLISH, ""
    hours = np.arange(SLOTS_PER_DAY) / 2
    problem, day = plan.problem, slice(0, SLOTS_PER_DAY)
    with matplotlib.rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(9, 7), layout="constrained")
        price, energy, stored = figure.subplots(3, 1, sharex=True)
        for tier in (*problem.purchases, *problem.sales):
            price.step(hours, np.asarray(tier.price)[day], where="post", label=tier.name)
        if plan.duals is not None:
            value = plan.duals.stored[0][day]
            price.step(hours, value, "k:", where="post", label=say(language, "plan_stored_worth"))
        price.set_ylabel("JPY/kWh")
        energy.step(
            hours, np.asarray(problem.load_kwh)[day], where="post", label=say(language, "plan_load")
        )
        energy.step(
            hours, np.asarray(problem.pv_kwh)[day], where="post", label=say(language, "plan_pv")
        )
        for word, flow in (("plan_charge", plan.charge[0]), ("plan_discharge", -plan.discharge[0])):
            energy.bar(hours, flow[day], 0.5, align="edge", alpha=0.5, label=say(language, word))
        energy.set_ylabel("kWh")
        stored.fill_between(
            hours + 0.5, plan.stored[0][day], alpha=0.4, label=say(language, "plan_stored")
        )
        stored.set_ylim(0, problem.batteries[0].capacity_kwh)
        stored.set_ylabel("kWh")
        stored.set_xlim(0, 24)
        stored.set_xticks(range(0, 25, 3))
        for axes in (price, energy, stored):
            axes.legend(fontsize="small", loc="upper left")
            axes.grid(alpha=0.3)
        figure.suptitle(title)
        try:
            figure.savefig(path)
        except OSError as error:
            raise SettingError(f"{path} must be writable, got {error}") from error


JAPANESE_FONTS = ("Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "Hiragino Sans")
