"""The report's section on how the verdict on a battery turns with its price, its life, and the
spread between the utility's prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.verification.charts import lines
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Column, Section, Table, Voice
from orchestrator.verification.storage import AS_RUN, Store
from orchestrator.verification.turns import (
    BUYING,
    LIVES,
    PRICES,
    RESTS,
    RUNNING,
    SPREADS,
    Assumed,
    BreakEven,
    assumed,
    best,
    break_even,
    cycles_of_life,
    left,
    spread,
    years_of_life,
)
from vpp.chemistry import chemistries

QUESTIONS = (RUNNING, BUYING)


def turns_section(figures: Figures, say: Voice) -> Section:
    """How the verdict on each battery turns."""
    if not figures.batteries:
        return Section("turns", say("turns"), findings=(say("battery_none"),))
    apart = spread(figures.facts)
    tables: list[Table] = []
    charts: list[Chart] = []
    findings: list[str] = []
    for battery in figures.batteries:
        name = say.names[battery.site]
        by_price = _by_price(battery, name, say)
        tables += [
            _break_even(battery, name, apart, say),
            by_price,
            _by_life(battery, name, say),
            _by_spread(battery, name, apart, say),
        ]
        charts.append(_chart(battery, name, by_price, say))
        findings += [_found(battery, kind, apart, say) for kind in chemistries()]
    return Section(
        "turns",
        say("turns"),
        findings=tuple(findings),
        tables=tuple(tables),
        charts=tuple(charts),
        method=say.lines("turns_how"),
        again=query("turns", figures.facts.slots),
        by_command=say("turns_again"),
    )


def kinds_by_cost(battery: Store) -> list[str]:
    """Return the chemistries, the one by which running the battery leaves most first."""
    ran = battery.strategy(AS_RUN)
    return sorted(chemistries(), key=lambda kind: -ran.net(kind))


def _found(battery: Store, kind: str, apart: float, say: Voice) -> str:
    """Say where a verdict turns, by a chemistry."""
    run, buy = (break_even(battery, kind, question) for question in QUESTIONS)
    return say(
        "turns_found",
        site=say.names[battery.site],
        kind=kind.upper(),
        assumed=f"{assumed(kind).price:,.0f}",
        run_price=_or_never(run.price, say),
        buy_price=_or_never(buy.price, say),
        spread=f"{apart:.1f}",
        run_spread=_apart(run, apart, say),
        buy_spread=_apart(buy, apart, say),
        life=f"{years_of_life(battery.strategy(AS_RUN), kind, assumed(kind)):.2f}",
        run_years=_or_never(run.years, say, 2),
        buy_years=_or_never(buy.years, say, 2),
    )


def _or_never(value: float | None, say: Voice, digits: int = 0) -> str:
    return say("never") if value is None else f"{value:,.{digits}f}"


def _apart(found: BreakEven, apart: float, say: Voice) -> str:
    return _or_never(None if found.dearer is None else apart + found.dearer, say, 1)


def _break_even(battery: Store, name: str, apart: float, say: Voice) -> Table:
    ran = battery.strategy(AS_RUN)
    rows: list[tuple[Cell, ...]] = []
    for kind in chemistries():
        now = assumed(kind)
        for question in QUESTIONS:
            found = break_even(battery, kind, question)
            rows.append(
                (
                    f"{kind.upper()} · {say(question)}",
                    found.left,
                    now.price,
                    found.price,
                    apart,
                    None if found.dearer is None else apart + found.dearer,
                    years_of_life(ran, kind, now),
                    found.years,
                    cycles_of_life(kind),
                    None if found.cycles is None else found.cycles * cycles_of_life(kind),
                )
            )
    return Table(
        f"break_even_{battery.site}",
        say("break_even", site=name),
        (
            say.column("question"),
            say.column("left_now", "JPY"),
            say.column("price_assumed", say("yen_per_kwh")),
            say.column("price_most", say("yen_per_kwh")),
            say.column("spread_now", say("yen_per_kwh"), 2),
            say.column("spread_least", say("yen_per_kwh"), 2),
            say.column("life_now", "", 2),
            say.column("life_least", "", 2),
            say.column("cycles_assumed"),
            say.column("cycles_least"),
        ),
        tuple(rows),
        note=say("break_even_note"),
    )


def _by_price(battery: Store, name: str, say: Voice) -> Table:
    columns = (say.column("price", say("yen_per_kwh")), *_columns(say))
    rows = [(price, *_row(battery, _priced(price), say)) for price in PRICES]
    key = f"by_price_{battery.site}"
    return Table(key, say("by_price", site=name), columns, tuple(rows))


def _priced(price: float) -> Callable[[Assumed], Assumed]:
    return lambda now: replace(now, price=float(price))


def _by_life(battery: Store, name: str, say: Voice) -> Table:
    def lived(cycles: float, rest: float) -> Callable[[Assumed], Assumed]:
        return lambda now: replace(now, cycles=cycles, rest=rest)

    rows = [
        (say("times_cycles", times=f"{times:g}"), *_lives(battery, times, 1.0),
         *_row(battery, lived(times, 1.0), say))
        for times in LIVES
    ]  # fmt: skip
    rows += [
        (say("times_rest", times=f"{times:g}"), *_lives(battery, 1.0, times),
         *_row(battery, lived(1.0, times), say))
        for times in RESTS
    ]  # fmt: skip
    years = tuple(
        Column(f"{kind}_years", say("life_of", kind=kind.upper()), "", 1) for kind in chemistries()
    )
    columns = (say.column("varied"), *years, *_columns(say))
    cycles = {kind: f"{cycles_of_life(kind):,.0f}" for kind in chemistries()}
    return Table(
        f"by_life_{battery.site}",
        say("by_life", site=name),
        columns,
        tuple(rows),
        note=say("by_life_note", **cycles),
    )


def _lives(battery: Store, cycles: float, rest: float) -> list[float]:
    ran = battery.strategy(AS_RUN)
    return [
        years_of_life(ran, kind, replace(assumed(kind), cycles=cycles, rest=rest))
        for kind in chemistries()
    ]


def _by_spread(battery: Store, name: str, apart: float, say: Voice) -> Table:
    def dearer(more: float) -> Callable[[Assumed], Assumed]:
        return lambda now: replace(now, dearer=more)

    columns = (say.column("spread", say("yen_per_kwh"), 2), *_columns(say))
    rows = [(apart + more, *_row(battery, dearer(more), say)) for more in SPREADS]
    key, note = f"by_spread_{battery.site}", say("by_spread_note")
    return Table(key, say("by_spread", site=name), columns, tuple(rows), note=note)


def _columns(say: Voice) -> list[Column]:
    """Return the columns of what is left, by chemistry."""
    found = []
    for kind in chemistries():
        for key in (RUNNING, BUYING, "most"):
            title = say(f"left_{key}", kind=kind.upper())
            found.append(Column(f"{kind}_{key}", title, say("yen")))
        found.append(Column(f"{kind}_by", say("left_by", kind=kind.upper())))
    return found


def _row(battery: Store, varied: Callable[[Assumed], Assumed], say: Voice) -> list[Cell]:
    """Return what is left by each chemistry, if what it rests on is varied: running the battery as
    it ran, buying one, and by the strategy that then leaves most."""
    ran = battery.strategy(AS_RUN)
    cells: list[Cell] = []
    for kind in chemistries():
        case = varied(assumed(kind))
        most = best(battery, kind, case)
        cells += [left(ran, kind, question, case) for question in QUESTIONS]
        cells += [left(most, kind, RUNNING, case), say(f"strategy_{most.key}")]
    return cells


def _chart(battery: Store, name: str, table: Table, say: Voice) -> Chart:
    def column(key: str) -> list[float]:
        place = [one.key for one in table.columns].index(key)
        return [float(row[place] or 0.0) for row in table.rows]

    series: Sequence[tuple[str, list[float]]] = [
        (say("left_line", kind=kind.upper(), question=say(question)), column(f"{kind}_{question}"))
        for kind in chemistries()
        for question in QUESTIONS
    ]
    title = say("by_price_chart", site=name)
    labels = [f"{price:,}" for price in PRICES]
    drawn = lines(title, labels, series, say("yen"), style=say.style, axis=say("price_axis"))
    return Chart(f"by_price_chart_{battery.site}", title, drawn, table.key)
