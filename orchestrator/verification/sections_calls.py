"""The report's section on balancing calls: asked and met, by the meters and against the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from energy.units import JST
from orchestrator.replay.asked import FILE
from orchestrator.verification.calls import Answer, CallFigures
from orchestrator.verification.charts import bars
from orchestrator.verification.provenance import Provenance
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Column, Section, Table, Voice
from orchestrator.verification.sections_energy import month_label, percent
from orchestrator.verification.sections_money import yen
from vpp.calls.call import Basis

_KWH = 1_000
_SINGLE = 24
"""Up to so many calls each has its bars; of more, each month."""
_APART = 10.0
"""From so many % of the asked on, what the two baselines say counts as different."""


def call_section(figures: Figures, say: Voice) -> Section:
    """Balancing calls: asked, delivered against both baselines, paid."""
    calls = figures.calls
    if calls is None or not calls.answers:
        none = say("calls_none")
        if calls is not None:
            none = say("calls_outside", file=calls.source, outside=calls.outside)
        return Section("calls", say("calls"), findings=(none, say("calls_how_to", name=FILE)))
    table = _by_call(calls, say)
    tables, charted = [table], "calls"
    labels, groups = [_day(one) for one in calls.answers], [[one] for one in calls.answers]
    if len(calls.answers) > _SINGLE:
        months = sorted({_month(one) for one in calls.answers})
        groups = [[one for one in calls.answers if _month(one) == month] for month in months]
        labels = months
        tables.append(_by_month([month_label(month, say) for month in months], groups, say))
        charted = "calls_by_month"
    return Section(
        "calls",
        say("calls"),
        findings=tuple(_found(figures, calls, say)),
        tables=tuple(tables),
        charts=(_chart(labels, groups, charted, say),),
        method=say.lines("calls_how"),
        again=query("calls", calls.answers[0].call.slots),
        by_command=say("calls_again", name=FILE),
    )


def _by_call(calls: CallFigures, say: Voice) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in calls.answers:
        kw = max(step.power_w for step in one.call.steps) / 1_000
        rows.append((_when(one), say(f"way_{one.call.direction.value}"), kw, *_sums([one])))
    rows.append((say("sum"), None, None, *_sums(calls.answers)))
    return Table(
        "calls",
        say("calls_table"),
        (
            say.column("call_when"),
            say.column("call_way"),
            say.column("power", "kW", 1),
            *_columns(say),
        ),
        tuple(rows),
        1,
    )


def _by_month(names: Sequence[str], groups: Sequence[Sequence[Answer]], say: Voice) -> Table:
    return Table(
        "calls_by_month",
        say("calls_month_table"),
        (say.column("month"), say.column("calls_count"), *_columns(say)),
        tuple((name, len(group), *_sums(group)) for name, group in zip(names, groups, strict=True)),
    )


def _columns(say: Voice) -> tuple[Column, ...]:
    return (
        say.column("call_asked", "kWh", 1),
        say.column("call_meter", "kWh", 1),
        say.column("call_meter_met", "%", 0),
        say.column("call_plan", "kWh", 1),
        say.column("call_plan_met", "%", 0),
        say.column("call_unread"),
        say.column("call_paid", "JPY"),
    )


def _sums(answers: Sequence[Answer]) -> tuple[Cell, ...]:
    """Return what some calls came to, in the order of the columns."""
    calls = CallFigures("", tuple(answers), 0)
    cells: list[Cell] = [calls.asked() / _KWH]
    for basis in (Basis.METER, Basis.PLAN):
        delivered, met = calls.total(basis), calls.total(basis, met=True)
        cells.append(None if delivered is None else delivered / _KWH)
        cells.append(None if met is None else percent(met, calls.asked(basis)))
    paid = yen(sum(one.found.paid_microyen for one in answers))
    return (*cells, sum(one.unread for one in answers), paid)


def _chart(
    labels: Sequence[str], groups: Sequence[Sequence[Answer]], table: str, say: Voice
) -> Chart:
    """Draw asked and delivered side by side."""

    def kwh(basis: Basis) -> list[float]:
        return [(CallFigures("", tuple(group), 0).total(basis) or 0) / _KWH for group in groups]

    asked = [sum(one.found.asked_wh for one in group) / _KWH for group in groups]
    series = [(say("call_asked"), asked), (say("call_meter"), kwh(Basis.METER))]
    if any(one.delivered(Basis.PLAN) is not None for group in groups for one in group):
        series.append((say("call_plan"), kwh(Basis.PLAN)))
    title = say("calls_chart")
    drawn = bars(title, labels, series, "kWh", colours=(3, 1, 0), height=230, style=say.style)
    return Chart("calls_chart", title, drawn, table)


def _found(figures: Figures, calls: CallFigures, say: Voice) -> Iterable[str]:
    answers = calls.answers
    slots = sum(len(one.call.slots) for one in answers)
    asked, unread = calls.asked(), sum(one.unread for one in answers)
    yield say(
        "calls_asked",
        calls=f"{len(answers):,}",
        asked=f"{asked / _KWH:,.1f}",
        slots=f"{slots:,}",
        file=calls.source,
    )
    yield say(_whose(figures.provenance))
    parts: dict[Basis, float] = {}
    for basis in (Basis.METER, Basis.PLAN):
        delivered, met = calls.total(basis), calls.total(basis, met=True)
        if delivered is None or met is None:
            yield say(f"calls_{basis.value}_unknown")
            continue
        of = calls.asked(basis)
        parts[basis] = percent(delivered, of) or 0.0
        yield say(
            f"calls_{basis.value}_found",
            delivered=f"{delivered / _KWH:,.1f}",
            part=f"{parts[basis]:.0f}",
            met=f"{percent(met, of) or 0.0:.0f}",
        )
    if len(parts) == 2 and abs(parts[Basis.METER] - parts[Basis.PLAN]) >= _APART:
        more = parts[Basis.METER] > parts[Basis.PLAN]
        yield say("calls_meter_more" if more else "calls_meter_less")
    adjusted = sum(one.adjusted for one in answers)
    if abs(percent(adjusted, asked) or 0.0) >= _APART:
        yield say("calls_adjusted", adjusted=f"{adjusted / _KWH:,.1f}")
    if unread:
        yield say("calls_unread_found", unread=f"{unread:,}")
    yield say(
        "calls_paid_found",
        paid=f"{yen(sum(one.found.paid_microyen for one in answers)):,.0f}",
        penalty=f"{yen(sum(one.found.penalty_microyen for one in answers)):,.0f}",
    )
    if calls.outside:
        yield say("calls_some_outside", outside=f"{calls.outside:,}")


def _whose(provenance: Provenance) -> str:
    """Return the phrase that says who asked: somebody, the replay, or nobody in it."""
    if not provenance.is_replay:
        return "calls_off_chain"
    return "calls_played" if provenance.settings.get("calls") else "calls_unplayed"


def _month(one: Answer) -> str:
    return datetime.fromtimestamp(one.call.starts_at, JST).strftime("%Y-%m")


def _day(one: Answer) -> str:
    return datetime.fromtimestamp(one.call.starts_at, JST).strftime("%m-%d")


def _when(one: Answer) -> str:
    begins, ends = (
        datetime.fromtimestamp(at, JST) for at in (one.call.starts_at, one.call.ends_at)
    )
    return f"{begins:%Y-%m-%d %H:%M}–{ends:%H:%M}"
