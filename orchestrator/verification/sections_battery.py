"""The report's section on batteries: what they moved, and what ten years leave by strategy."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.steering.steering import PLAN, RULE
from orchestrator.verification.charts import bars
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Section, Table, Voice
from orchestrator.verification.storage import AS_RUN, STEPS, Store, Strategy
from orchestrator.words import Language
from vpp.chemistry import chemistries

_TENTHS = [f"{10 * step}–{10 * step + 10}" for step in range(STEPS)]


def battery_section(figures: Figures, say: Voice) -> Section:
    """Batteries: what they moved, cycles, states of charge, wear and outlook."""
    if not figures.batteries:
        return Section("battery", say("battery"), findings=(say("battery_none"),))
    tables: list[Table] = [_moved(figures, say)]
    charts: list[Chart] = []
    findings: list[str] = []
    for battery in figures.batteries:
        name = say.names[battery.site]
        states = say("battery_states", site=name)
        tables.append(
            Table(
                f"states_{battery.site}",
                states,
                (
                    say.column("tenth", "%"),
                    say.column("time", "%", 1),
                    say.column("cycles", "", 1),
                ),
                tuple(
                    (_TENTHS[n], 100 * float(battery.states[n]), float(battery.depths[n]))
                    for n in range(STEPS)
                ),
            )
        )
        time = [100 * float(part) for part in battery.states]
        for key, values, unit, axis in (
            ("battery_time_chart", time, "%", "charge_axis"),
            ("battery_cycle_chart", battery.depths.tolist(), say("cycles_unit"), "depth_axis"),
        ):
            title, series = say(key, site=name), [("", values)]
            drawn = bars(title, _TENTHS, series, unit, height=205, axis=say(axis), style=say.style)
            charts.append(Chart(f"{key}_{battery.site}", title, drawn, f"states_{battery.site}"))
        tables.append(_outlook(battery, name, say))
        findings += _found(figures, battery, say)
    return Section(
        "battery",
        say("battery"),
        findings=tuple(findings),
        tables=tuple(tables),
        charts=tuple(charts),
        method=(*say.lines("battery_how"), *_chemistry_sources(say)),
        again=query("battery", figures.facts.slots),
        by_command=say("battery_again"),
    )


def _moved(figures: Figures, say: Voice) -> Table:
    return Table(
        "battery",
        say("battery_table"),
        (
            say.column("office"),
            say.column("capacity", "kWh", 1),
            say.column("power", "kW", 1),
            say.column("round_trip", "%", 1),
            say.column("charged", "kWh"),
            say.column("discharged", "kWh"),
            say.column("lost", "kWh"),
            say.column("full_cycles", "", 1),
        ),
        tuple(
            (
                say.names[one.site],
                one.capacity,
                one.power,
                100 * one.efficiency,
                one.charged,
                one.discharged,
                float(figures.energy.lost[one.site]) / 1_000,
                one.full_cycles,
            )
            for one in figures.batteries
        ),
    )


def _outlook(battery: Store, name: str, say: Voice) -> Table:
    """Ten years of each strategy, by chemistry."""
    rows: list[tuple[Cell, ...]] = [
        (
            f"{_name_of(strategy, battery, say)} · {kind.upper()}",
            after.full_cycles_a_year,
            100 * after.capacity_left,
            100 * after.lost_to_cycles,
            100 * after.lost_to_rest,
            after.years_of_life,
            strategy.alone,
            strategy.together,
            strategy.wear_by_cycles(kind),
            strategy.wear_by_rest(kind),
            strategy.net(kind),
        )
        for strategy in battery.strategies
        for kind, after in strategy.outlooks.items()
    ]
    return Table(
        f"outlook_{battery.site}",
        say("outlook", site=name),
        (
            say.column("strategy"),
            say.column("cycles_a_year", "", 0),
            say.column("capacity_left", "%", 1),
            say.column("lost_to_cycles", "%", 1),
            say.column("lost_to_rest", "%", 1),
            say.column("years_of_life", "", 1),
            say.column("worth_alone", "JPY"),
            say.column("worth_market", "JPY"),
            say.column("wear_by_cycles", "JPY"),
            say.column("wear_by_rest", "JPY"),
            say.column("worth_net", "JPY"),
        ),
        tuple(rows),
    )


def _name_of(strategy: Strategy, battery: Store, say: Voice) -> str:
    """Return what a strategy is called; what ran, by who steered it, where that is known."""
    if strategy.key == AS_RUN and battery.steered in (RULE, PLAN):
        return say(f"strategy_as_run_{battery.steered}")
    return say(f"strategy_{strategy.key}")


def _found(figures: Figures, battery: Store, say: Voice) -> list[str]:
    """Say what a battery did, what running it left, and whether that hangs on the chemistry."""
    ran, site = battery.strategy(AS_RUN), say.names[battery.site]
    kinds = list(ran.outlooks)

    def by_kind(value: Callable[[str], float]) -> str:
        return say("comma").join(f"{kind.upper()} {value(kind):,.0f}" for kind in kinds)

    paid = [kind for kind in kinds if ran.net(kind) > 0]
    verdict = "battery_paid" if len(paid) == len(kinds) else "battery_unpaid"
    if 0 < len(paid) < len(kinds):
        verdict = "battery_depends"
    bests = {kind: battery.best(kind) for kind in kinds}
    return [
        say(
            "battery_found",
            site=site,
            cycles=f"{battery.full_cycles:,.0f}",
            full=f"{100 * battery.states[-1]:.0f}",
        ),
        say(
            "battery_worth",
            site=site,
            worth=f"{ran.together:,.0f}",
            wear=by_kind(ran.wear),
            idle=by_kind(lambda kind: ran.wear(kind) - ran.wear_beyond_idle(kind)),
            net=by_kind(ran.net),
        ),
        say(
            verdict,
            site=site,
            paid=say("comma").join(kind.upper() for kind in paid),
            unpaid=say("comma").join(kind.upper() for kind in kinds if kind not in paid),
        ),
        say(
            "battery_otherwise",
            cycles=by_kind(lambda kind: ran.together - ran.wear_by_cycles(kind)),
            whole=by_kind(lambda kind: ran.together - ran.wear(kind)),
        ),
        *(
            say(
                "battery_best",
                chemistry=kind.upper(),
                best=_name_of(best, battery, say),
                net=f"{best.net(kind):,.0f}",
            )
            for kind, best in bests.items()
        ),
    ]


def _chemistry_sources(say: Voice) -> list[str]:
    """Return where the wear laws come from, a line a chemistry."""
    lines = []
    for one in chemistries().values():
        japanese = say.language is Language.JAPANESE
        sources = one.sources_ja if japanese else one.sources
        said = [
            f"{say('law_' + number.replace('.', '_'))} – {source}"
            for number, source in sources.items()
        ]
        lines.append(f"{one.name_ja if japanese else one.name}: " + say("semicolon").join(said))
    return lines
