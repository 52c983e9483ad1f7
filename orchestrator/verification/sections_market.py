"""The report's sections on prices, and on what could be foreseen and what breaking trades cost."""

from __future__ import annotations

import numpy as np

from energy.units import SLOTS_PER_DAY
from orchestrator.verification.charts import bars, lines
from orchestrator.verification.energy import used_by_half_hour
from orchestrator.verification.foresight import Foresight, Orders
from orchestrator.verification.market import Prices
from orchestrator.verification.period import Array
from orchestrator.verification.queries import script
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Section, Table, Voice
from orchestrator.verification.sections_energy import month_label, percent
from orchestrator.verification.sections_money import yen

_WH = 1_000
HALF_HOURS = [f"{number // 2}:{number % 2 * 3}0" for number in range(SLOTS_PER_DAY)]


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
    exported, imported, met = used_by_half_hour(figures.facts)
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
            say.column("met_day", "kWh", 2),
        ),
        tuple(
            (
                HALF_HOURS[n],
                float(prices.half_mean[n]) if prices.half_energy[n] else None,
                float(prices.half_energy[n]) / days / _WH,
                float(exported[n]) / _WH,
                float(imported[n]) / _WH,
                float(met[n]) / _WH,
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
    quotes = _quotes(prices, say)
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
        *quoting_found(prices, say),
    ]  # fmt: skip
    return Section(
        "prices",
        say("prices"),
        findings=tuple(findings if prices.slots else findings[1:]),
        tables=(quotes, spread, by_half, by_month),
        charts=(
            Chart(
                "prices", say("prices_table"),
                bars(say("prices_table"), [str(row[0]) for row in spread.rows],
                     [(say("traded"), (prices.yen_energy / _WH).tolist())], "kWh",
                     style=say.style, axis=say("price_band_axis")),
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
                       (say("traded_day"), (prices.half_energy / days / _WH).tolist()),
                       (say("met_day"), (met / _WH).tolist())],
                      "kWh", style=say.style),
                "prices_by_half_hour",
            ),
        ),
        method=say.lines("prices_how"),
        again=script(figures.facts.slots, quotes, spread, by_half, by_month),
    )  # fmt: skip


def _quotes(prices: Prices, say: Voice) -> Table:
    """What each office asked and bid, by its orders."""
    columns = [say.column("office")]
    for side in ("ask", "bid"):
        columns += [say.column(f"{side}s", "")]
        columns += [
            say.column(f"{side}_{key}", say("yen_per_kwh"), 2) for key in ("least", "mean", "most")
        ]
        columns += [say.column(f"{side}_prices")]
    rows = [
        (
            name,
            *(
                cell
                for one in (prices.asks[site], prices.bids[site])
                for cell in (one.orders, *map(_known, (one.least, one.mean, one.most)), one.prices)
            ),
        )
        for site, name in enumerate(say.names)
    ]
    return Table("quotes", say("quotes"), tuple(columns), tuple(rows), note=say("quotes_note"))


def quoting_found(prices: Prices, say: Voice) -> list[str]:
    """Say of how many offices the quotes are set prices, and not what a market found."""
    fixed = len(prices.quoting_set_prices)
    if not prices.quoting or 2 * fixed < len(prices.quoting):
        return []
    return [say("prices_set", set=fixed, sites=len(prices.quoting))]


def _known(value: float | None) -> float | None:
    """Return a number, None in place of nan."""
    return None if value is None or np.isnan(value) else float(value)


def _span(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def forecast_section(figures: Figures, say: Voice) -> Section:
    """What could be foreseen, how far orders were from meters, and what broken trades cost."""
    orders, foresight = figures.orders, figures.foresight
    if orders is None:
        return Section(
            "forecast",
            say("forecast"),
            findings=(say("forecast_after"),),
            method=say.lines("forecast_how"),
        )
    charts, tables = [], []
    if foresight is not None:
        forecast, by_half = _forecasts(foresight, say), _forecast_halves(foresight, say)
        series = [
            (say(key), (of.half / _WH).tolist())
            for key, of in (("load", foresight.load), ("generation", foresight.generation))
        ]
        tables += [forecast, by_half]
        charts.append(_half_chart("forecast_by_half_hour", series, say))
    table, by_half = _orders(figures, orders, say), _order_halves(orders, say)
    series = [
        (say("error_sum"), (orders.half_absolute / _WH).tolist()),
        (say("error_together"), (orders.half_together / _WH).tolist()),
    ]
    tables += [table, by_half]
    charts.append(_half_chart("orders_by_half_hour", series, say))
    return Section(
        "forecast",
        say("forecast"),
        findings=(
            *_foreseen(foresight, say),
            _broken(figures, say),
        ),
        tables=tuple(tables),
        charts=tuple(charts),
        method=say.lines("forecast_how"),
        again=script(figures.facts.slots, *tables),
    )


def _half_chart(key: str, series: list[tuple[str, list[float]]], say: Voice) -> Chart:
    drawn = lines(say(key), HALF_HOURS, series, "kWh", style=say.style)
    return Chart(key, say(key), drawn, key)


def _foreseen(foresight: Foresight | None, say: Voice) -> list[str]:
    if foresight is None:
        return [say("forecast_short")]
    parts = {}
    for key, of in (("load", foresight.load), ("sun", foresight.generation)):
        each = percent(np.nansum(of.error[:-1]), np.nansum(of.mean[:-1]))
        parts[key] = f"{each or 0:.0f}"
        parts[f"{key}_all"] = f"{percent(of.error[-1], of.mean[-1]) or 0:.0f}"
    found = [say("forecast_error", **parts)]
    if foresight.every > 1:
        found.append(say("forecast_sampled", every=foresight.every))
    return found


def _broken(figures: Figures, say: Voice) -> str:
    money = figures.money
    return say(
        "forecast_found",
        traded=f"{money.traded / _WH:,.0f}", delivered=f"{money.delivered / _WH:,.0f}",
        share=f"{percent(money.delivered, money.traded) or 0:.0f}",
        pooled=f"{money.pooled / _WH:,.0f}",
        lost=f"{yen(money.lost_to_breaking.sum()):,.0f}",
        left=f"{yen(money.network - money.fees):,.0f}",
    )  # fmt: skip


def _forecasts(foresight: Foresight, say: Voice) -> Table:
    """Errors of forecasts of load, generation and both, by office and for their sum."""
    parts = {"load": foresight.load, "sun": foresight.generation, "net": foresight.net}
    columns = [say.column("office")]
    for key in parts:
        columns += [say.column(f"{key}_error", "kWh", 2), say.column(f"{key}_bias", "kWh", 2)]
        if key != "net":
            columns.append(say.column(f"{key}_part", "%", 1))
    rows: list[tuple[Cell, ...]] = []
    for place, name in enumerate((*say.names, say("sum_of_offices"))):
        cells: list[Cell] = []
        for key, of in parts.items():
            cells += [_known(of.error[place] / _WH), _known(of.bias[place] / _WH)]
            if key != "net":
                cells.append(_known(percent(of.error[place], of.mean[place])))
        rows.append((name, *cells))
    title = say("forecast_table")
    note = say("forecast_note", counted=f"{foresight.counted:,}")
    return Table("forecast", title, tuple(columns), tuple(rows), 1, note)


def _forecast_halves(foresight: Foresight, say: Voice) -> Table:
    return _by_half(
        "forecast_by_half_hour",
        {"load": foresight.load.half, "generation": foresight.generation.half},
        say,
    )


def _orders(figures: Figures, orders: Orders, say: Voice) -> Table:
    """Orders against meters, and broken trades, by office."""
    money = figures.money
    rows: list[tuple[Cell, ...]] = []
    for site, name in enumerate(say.names):
        errors: tuple[Cell, ...] = (None, None, None)
        if orders.compared[site]:
            errors = (
                float(orders.mean_absolute[site]) / _WH,
                float(orders.bias[site]) / _WH,
                100 * float(orders.part_of_flow[site]),
            )
        rows.append(
            (
                name,
                *errors,
                float(money.undelivered[site]) / _WH,
                float(money.untaken[site]) / _WH,
                yen(money.lost_to_breaking[site]),
            )
        )
    rows.append(
        (
            say("all"), None, None, None,
            float(money.undelivered.sum()) / _WH,
            float(money.untaken.sum()) / _WH,
            yen(money.lost_to_breaking.sum()),
        )
    )  # fmt: skip
    columns = (
        say.column("office"),
        say.column("order_absolute", "kWh", 2),
        say.column("order_bias", "kWh", 2),
        say.column("order_part", "%", 1),
        say.column("undelivered", "kWh"),
        say.column("untaken", "kWh"),
        say.column("lost_to_breaking", "JPY"),
    )
    left_out = [say.names[site] for site in np.flatnonzero(~orders.compared).tolist()]
    note = [say("broken_note")]
    if left_out:
        note.append(say("orders_left_out", sites=say("comma").join(left_out)))
    return Table("orders", say("orders_table"), columns, tuple(rows), 1, " ".join(note))


def _order_halves(orders: Orders, say: Voice) -> Table:
    return _by_half(
        "orders_by_half_hour",
        {"error_sum": orders.half_absolute, "error_together": orders.half_together},
        say,
    )


def _by_half(key: str, values: dict[str, Array], say: Voice) -> Table:
    return Table(
        key,
        say(key),
        (say.column("half_hour"), *(say.column(word, "kWh", 2) for word in values)),
        tuple(
            (HALF_HOURS[n], *(float(each[n]) / _WH for each in values.values()))
            for n in range(SLOTS_PER_DAY)
        ),
    )
