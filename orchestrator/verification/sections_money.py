"""The report's sections on money: gains against no trading, prices, and what forecasts cost."""

from __future__ import annotations

import numpy as np

from energy.units import MICROYEN_PER_YEN, SLOTS_PER_DAY
from orchestrator.verification.charts import bars, lines
from orchestrator.verification.energy import used_by_half_hour
from orchestrator.verification.money import TERMS
from orchestrator.verification.period import Array
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Section, Table, Voice
from orchestrator.verification.sections_energy import month_label, percent

_WH = 1_000
HALF_HOURS = [f"{number // 2}:{number % 2 * 3}0" for number in range(SLOTS_PER_DAY)]


def yen(microyen: float) -> float:
    """Return money in JPY."""
    return float(microyen) / MICROYEN_PER_YEN


def money_section(figures: Figures, say: Voice) -> Section:
    """Money against no trading: each office, the utility, the network."""
    money = figures.money
    gains = [yen(gain) for gain in money.gain]
    rows: list[tuple[Cell, ...]] = [
        (name, yen(money.without[n]), yen(money.paid[n]), gains[n], percent(gains[n], sum(gains)))
        for n, name in enumerate(say.names)
    ]
    rows.append(
        (say("all"), yen(money.without.sum()), yen(money.paid.sum()), sum(gains), 100.0)
    )  # fmt: skip
    offices = Table(
        "money",
        say("money_table"),
        (
            say.column("office"),
            say.column("without", "JPY"),
            say.column("paid", "JPY"),
            say.column("gain", "JPY"),
            say.column("gain_share", "%", 1),
        ),
        tuple(rows),
        1,
    )
    without, utility, network = (
        yen(money.utility_without), yen(money.utility), yen(money.network),
    )  # fmt: skip
    parties = Table(
        "parties",
        say("parties"),
        (
            say.column("party"),
            say.column("received_without", "JPY"),
            say.column("received", "JPY"),
            say.column("change", "JPY"),
        ),
        (
            (say("offices"), -without, -yen(money.paid.sum()), sum(gains)),
            (say("utility"), without, utility, utility - without),
            (say("network"), 0.0, network, network),
            (say("sum"), 0.0, -yen(money.paid.sum()) + utility + network,
             sum(gains) + utility - without + network),
        ),
        1,
    )  # fmt: skip
    terms = Table(
        "terms",
        say("terms"),
        (
            say.column("office"),
            *(say.column(f"term_{term}", "JPY") for term in TERMS),
            say.column("corrections", "JPY"),
            say.column("owed", "JPY"),
        ),
        tuple(
            (
                name,
                *(yen(money.terms[term][site]) for term in TERMS),
                yen(money.corrections[site]),
                -yen(money.paid[site]),
            )
            for site, name in enumerate(say.names)
        ),
    )
    with_, bare = money.with_batteries, money.without_batteries
    squares = Table(
        "squares",
        say("squares"),
        (
            say.column("case"),
            say.column("alone", "JPY"),
            say.column("together_pay", "JPY"),
            say.column("worth_trading", "JPY"),
        ),
        (
            (say("batteries_idle"), yen(bare.alone), yen(bare.together),
             yen(bare.alone - bare.together)),
            (say("batteries_run"), yen(with_.alone), yen(with_.together),
             yen(with_.alone - with_.together)),
            (say("worth_batteries"), yen(bare.alone - with_.alone),
             yen(bare.together - with_.together), None),
        ),
    )  # fmt: skip
    months = Table(
        "gain_by_month",
        say("gain_by_month"),
        (say.column("month"), say.column("gain", "JPY")),
        tuple(
            (month_label(name, say), yen(gain))
            for name, gain in zip(money.month_names, money.month_gain, strict=True)
        ),
    )
    agreeing = say("money_agrees", agreeing=f"{money.agreeing:,}", slots=f"{money.slots:,}")
    return Section(
        "money",
        say("money"),
        findings=(agreeing,),
        tables=(offices, parties, squares, terms, months),
        charts=(
            Chart(
                "gain", say("gain_chart"),
                bars(say("gain_chart"), say.names, [(say("gain"), gains)], say("yen"),
                     style=say.style),
                "money",
            ),
        ),
        method=say.lines("money_how"),
        again=query("money", figures.facts.slots),
    )  # fmt: skip


def price_section(figures: Figures, say: Voice) -> Section:
    """Prices: how they are spread, by half hour and by month; and why there was little to trade."""
    prices = figures.prices
    columns = (say.column("price", say("yen_per_kwh")), say.column("traded", "kWh"))
    spread = Table(
        "prices",
        say("prices_table"),
        (*columns, say.column("half_hours")),
        tuple(
            (f"{low}–{low + 1}", float(energy) / _WH, int(slots))
            for low, energy, slots in zip(
                prices.yen, prices.yen_energy, prices.yen_slots, strict=True
            )
        ),
    )
    exported, imported = used_by_half_hour(figures.facts)
    days = max(figures.facts.settled.sum() / SLOTS_PER_DAY, 1)
    by_half = Table(
        "prices_by_half_hour",
        say("prices_by_half_hour"),
        (
            say.column("half_hour"),
            say.column("mean_price", say("yen_per_kwh"), 2),
            say.column("traded_day", "kWh", 2),
            say.column("exports_day", "kWh", 2),
            say.column("imports_day", "kWh", 2),
        ),
        tuple(
            (
                HALF_HOURS[n],
                float(prices.half_mean[n]) if prices.half_energy[n] else None,
                float(prices.half_energy[n]) / days / _WH,
                float(exported[n]) / _WH,
                float(imported[n]) / _WH,
            )
            for n in range(SLOTS_PER_DAY)
        ),
    )
    by_month = Table(
        "prices_by_month",
        say("prices_by_month"),
        (
            say.column("month"),
            say.column("mean_price", say("yen_per_kwh"), 2),
            columns[1],
            say.column("half_hours"),
        ),
        tuple(
            (
                month_label(name, say),
                float(mean) if energy else None,
                float(energy) / _WH,
                int(slots),
            )
            for name, mean, energy, slots in zip(
                prices.month_names, prices.month_mean, prices.month_energy, prices.month_slots,
                strict=True,
            )
        ),
    )  # fmt: skip
    findings = [
        say(
            "prices_found",
            slots=f"{prices.slots:,}", all=f"{figures.money.slots:,}", mean=f"{prices.mean:.2f}",
            low=f"{prices.low:.2f}", median=f"{prices.median:.2f}", high=f"{prices.high:.2f}",
        ),
        say(
            "prices_bounds",
            buying=_span(prices.buying), selling=_span(prices.selling), fee=_span(prices.fee),
        ),
    ]  # fmt: skip
    return Section(
        "prices",
        say("prices"),
        findings=tuple(findings if prices.slots else findings[1:]),
        tables=(spread, by_half, by_month),
        charts=(
            Chart(
                "prices", say("prices_table"),
                bars(say("prices_table"), [str(row[0]) for row in spread.rows],
                     [(say("traded"), (prices.yen_energy / _WH).tolist())], "kWh",
                     style=say.style),
                "prices",
            ),
            Chart(
                "price_by_half_hour", say("prices_by_half_hour"),
                lines(say("prices_by_half_hour"), HALF_HOURS,
                      [(say("mean_price"), prices.half_mean.tolist())], say("yen_per_kwh"),
                      height=200, style=say.style),
                "prices_by_half_hour",
            ),
            Chart(
                "coincidence", say("coincidence_chart"),
                lines(say("coincidence_chart"), HALF_HOURS,
                      [(say("exports_day"), (exported / _WH).tolist()),
                       (say("imports_day"), (imported / _WH).tolist()),
                       (say("traded_day"), (prices.half_energy / days / _WH).tolist())],
                      "kWh", style=say.style),
                "prices_by_half_hour",
            ),
        ),
        method=say.lines("prices_how"),
        again=query("prices", figures.facts.slots),
    )  # fmt: skip


def _span(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def forecast_section(figures: Figures, say: Voice) -> Section:
    """How far orders were off, and what that cost, defined by the settlement's terms."""
    money, foresight = figures.money, figures.foresight
    if foresight is None:
        return Section(
            "forecast",
            say("forecast"),
            findings=(say("forecast_after"),),
            method=say.lines("forecast_how"),
        )
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            float(foresight.mean_absolute[site]) / _WH,
            float(foresight.bias[site]) / _WH,
            100 * float(foresight.part_of_flow[site]),
            float(money.undelivered[site]) / _WH,
            float(money.untaken[site]) / _WH,
            yen(money.lost_to_breaking[site]),
        )
        for site, name in enumerate(say.names)
    ]
    rows.append(
        (
            say("all"), None, None, None,
            float(money.undelivered.sum()) / _WH,
            float(money.untaken.sum()) / _WH,
            yen(money.lost_to_breaking.sum()),
        )
    )  # fmt: skip
    table = Table(
        "forecast",
        say("forecast_table"),
        (
            say.column("office"),
            say.column("error_absolute", "kWh", 2),
            say.column("error_bias", "kWh", 2),
            say.column("error_part", "%", 1),
            say.column("undelivered", "kWh"),
            say.column("untaken", "kWh"),
            say.column("lost_to_breaking", "JPY"),
        ),
        tuple(rows),
        1,
    )
    by_half = Table(
        "forecast_by_half_hour",
        say("forecast_by_half_hour"),
        (
            say.column("half_hour"),
            say.column("error_sum", "kWh", 2),
            say.column("error_together", "kWh", 2),
        ),
        tuple(
            (HALF_HOURS[n], _kwh(foresight.half_absolute, n), _kwh(foresight.half_together, n))
            for n in range(SLOTS_PER_DAY)
        ),
    )
    series = [
        (say("error_sum"), (foresight.half_absolute / _WH).tolist()),
        (say("error_together"), (foresight.half_together / _WH).tolist()),
    ]
    return Section(
        "forecast",
        say("forecast"),
        findings=(
            say(
                "forecast_found",
                traded=f"{money.traded / _WH:,.0f}", delivered=f"{money.delivered / _WH:,.0f}",
                share=f"{percent(money.delivered, money.traded) or 0:.0f}",
                pooled=f"{money.pooled / _WH:,.0f}",
                lost=f"{yen(money.lost_to_breaking.sum()):,.0f}",
                left=f"{yen(money.network - money.fees):,.0f}",
            ),
        ),
        tables=(table, by_half),
        charts=(
            Chart(
                "forecast_by_half_hour", say("forecast_by_half_hour"),
                lines(say("forecast_by_half_hour"), HALF_HOURS, series, "kWh", style=say.style),
                "forecast_by_half_hour",
            ),
        ),
        method=say.lines("forecast_how"),
        again=query("forecast", figures.facts.slots),
    )  # fmt: skip


def _kwh(values: Array, place: int) -> float:
    return float(np.asarray(values)[place]) / _WH
