"""The report's sections on what makes it run: batteries, readings, calls, CO2, the chain."""

from __future__ import annotations

from orchestrator.verification.charts import bars
from orchestrator.verification.ledger import ChainFigures
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Section, Table, Voice
from orchestrator.verification.sections_energy import percent
from orchestrator.verification.storage import AS_RUN, STEPS, Store, Strategy
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
        for key, values, unit in (
            ("battery_time_chart", time, "%"),
            ("battery_cycle_chart", battery.depths.tolist(), ""),
        ):
            title = say(key, site=name)
            drawn = bars(title, _TENTHS, [("", values)], unit, height=190, style=say.style)
            charts.append(Chart(f"{key}_{battery.site}", title, drawn, f"states_{battery.site}"))
        tables.append(_outlook(battery, name, say))
        findings.append(_wear_found(figures, battery, say))
    return Section(
        "battery",
        say("battery"),
        findings=tuple(findings),
        tables=tuple(tables),
        charts=tuple(charts),
        method=(*say.lines("battery_how"), *_chemistry_sources()),
        again=query("battery", figures.facts.slots),
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
    rows: list[tuple[Cell, ...]] = []
    for strategy in battery.strategies:
        for key, after in strategy.outlooks.items():
            wear = strategy.wear(key)
            rows.append(
                (
                    f"{say(f'strategy_{strategy.key}')} · {key.upper()}",
                    after.full_cycles_a_year,
                    100 * after.capacity_left,
                    100 * after.lost_to_cycles,
                    100 * after.lost_to_rest,
                    after.years_of_life,
                    strategy.alone,
                    strategy.together,
                    wear,
                    strategy.together - wear,
                )
            )
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
            say.column("wear_a_year", "JPY"),
            say.column("worth_net", "JPY"),
        ),
        tuple(rows),
    )


def strategy_of(battery: Store, key: str) -> Strategy:
    """Return one of a battery's strategies."""
    return next(one for one in battery.strategies if one.key == key)


def best_of(battery: Store) -> tuple[Strategy, str]:
    """Return the strategy and chemistry that leave most of the market's worth after wear."""
    every = [(one, key) for one in battery.strategies for key in one.outlooks]
    return max(every, key=lambda pair: pair[0].together - pair[0].wear(pair[1]))


def _wear_found(figures: Figures, battery: Store, say: Voice) -> str:
    ran, (best, chemistry) = strategy_of(battery, AS_RUN), best_of(battery)
    return say(
        "battery_found",
        site=say.names[battery.site],
        cycles=f"{battery.full_cycles:,.0f}",
        full=f"{100 * battery.states[-1]:.0f}",
        worth=f"{ran.together:,.0f}",
        wear=say("comma").join(f"{key.upper()} {ran.wear(key):,.0f}" for key in ran.outlooks),
        best=say(f"strategy_{best.key}"),
        chemistry=chemistry.upper(),
        net=f"{best.together - best.wear(chemistry):,.0f}",
    )


def _chemistry_sources() -> list[str]:
    """Return where the wear laws come from."""
    return [
        f"{one.name}: " + "; ".join(f"{number} {source}" for number, source in one.sources.items())
        for one in chemistries().values()
    ]


def reading_section(figures: Figures, say: Voice) -> Section:
    """Readings that did not come in time, and of what quality those were that came."""
    facts = figures.facts
    rows: list[tuple[Cell, ...]] = []
    for site, name in enumerate(say.names):
        asked = int((facts.settled & facts.active[:, site]).sum())
        missed, mended = int(facts.missed[:, site].sum()), int(facts.mended[:, site].sum())
        flagged = int(((facts.quality[:, site] > 0) & ~facts.missed[:, site]).sum())
        rows.append((name, asked, missed, percent(missed, asked), mended, flagged))
    sums = [sum(int(row[n] or 0) for row in rows) for n in (1, 2, 4, 5)]
    rows.append((say("all"), sums[0], sums[1], percent(sums[1], sums[0]), sums[2], sums[3]))
    table = Table(
        "readings",
        say("readings_table"),
        (
            say.column("office"),
            say.column("asked"),
            say.column("missed"),
            say.column("missed_share", "%", 2),
            say.column("mended"),
            say.column("flagged"),
        ),
        tuple(rows),
        1,
    )
    unsettled = len(facts.slots) - facts.counts["settled"]
    return Section(
        "readings",
        say("readings"),
        findings=(say("readings_found", missed=f"{sums[1]:,}", asked=f"{sums[0]:,}",
                      unsettled=f"{unsettled:,}"),),
        tables=(table,),
        method=say.lines("readings_how"),
        again=query("readings", facts.slots),
    )  # fmt: skip


def call_section(figures: Figures, say: Voice) -> Section:
    """Balancing calls: the contracts know none."""
    return Section("calls", say("calls"), findings=(say("calls_none"),))


def carbon_section(figures: Figures, say: Voice) -> Section:
    """CO2: what was bought, what roofs spare, and what trading moves between accounts."""
    carbon = figures.carbon
    columns = (carbon.bought, carbon.spared_own, carbon.spared_others)
    rows: list[tuple[Cell, ...]] = [
        (name, *(values[site] for values in columns)) for site, name in enumerate(say.names)
    ]
    rows.append((say("all"), *(sum(values) for values in columns)))
    factor = carbon.factor
    japanese = str(say.language) == "ja"
    return Section(
        "carbon",
        say("carbon"),
        findings=(
            say("carbon_factor", factor=f"{factor.kg_per_kwh:g}", year=factor.year,
                source=factor.sources[japanese]),
        ),
        tables=(
            Table(
                "carbon",
                say("carbon_table"),
                (
                    say.column("office"),
                    say.column("co2_bought", "kg"),
                    say.column("co2_own", "kg"),
                    say.column("co2_others", "kg"),
                ),
                tuple(rows),
                1,
            ),
        ),
        method=say.lines("carbon_how"),
        again=query("carbon", figures.facts.slots),
    )  # fmt: skip


def chain_section(figures: Figures, say: Voice) -> Section:
    """The chain: transactions, gas, finality, validators' share; and the audit's result."""
    chain = figures.chain
    rows: list[tuple[Cell, ...]] = [
        (
            say(f"step_{step.key}"),
            step.transactions,
            step.records,
            step.gas / 1e6,
            step.gas / max(chain.settled * chain.sites, 1),
        )
        for step in chain.steps
    ]
    rows.append(
        (
            say("sum"),
            sum(step.transactions for step in chain.steps),
            None,
            chain.gas / 1e6,
            chain.gas / max(chain.settled * chain.sites, 1),
        )
    )
    gas = Table(
        "gas",
        say("gas_table"),
        (
            say.column("step"),
            say.column("transactions"),
            say.column("records"),
            say.column("gas", "M", 1),
            say.column("gas_site_slot"),
        ),
        tuple(rows),
        1,
    )
    whole: list[tuple[Cell, ...]] = [
        (say(f"chain_{key}"), None if value is None else f"{value:,}")
        for key, value in (
            ("blocks", chain.blocks),
            ("event_blocks", chain.blocks_with_events),
            ("transactions", chain.transactions),
            ("bytes", chain.calldata_bytes),
            ("final", chain.final_block),
            ("depth", chain.depth),
        )
    ]
    tables = [
        gas,
        Table("chain", say("chain_table"), (say.column("what"), say.column("count")), tuple(whole)),
    ]
    if chain.sealers:
        tables.append(
            Table(
                "validators",
                say("validators_table"),
                (say.column("validator"), say.column("sealed", "%", 1)),
                tuple((who, 100 * part) for who, part in chain.sealers.items()),
            )
        )
    findings = [audit_found(chain, say)]
    if not chain.sealers:
        findings.append(say("validators_none"))
    if chain.audit:
        tables.append(
            Table(
                "audit",
                say("audit_table"),
                (say.column("checked"), say.column("count")),
                tuple((say(f"audit_{key}"), value) for key, value in chain.audit.items()),
            )
        )
    return Section(
        "chain",
        say("chain"),
        findings=tuple(findings),
        tables=tuple(tables),
        method=say.lines("chain_how"),
        again="yui audit --rpc URL --manifest FILE",
    )  # fmt: skip


def audit_found(chain: ChainFigures, say: Voice) -> str:
    """Say what the audit found; it stops at the first thing that is wrong, and keeps no state."""
    if chain.audit is None:
        return say("audit_missing")
    return say(
        "audit_fine",
        block=f"{chain.audited_to:,}",
        transactions=f"{chain.audit['transactions']:,}",
        signatures=f"{chain.audit['signatures']:,}",
    )
