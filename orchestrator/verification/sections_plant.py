"""The report's sections on what was metered, and on CO2."""

from __future__ import annotations

from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Section, Table, Voice
from orchestrator.verification.sections_energy import percent


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
    found = [
        say(
            "readings_found",
            missed=f"{sums[1]:,}",
            asked=f"{sums[0]:,}",
            unsettled=f"{unsettled:,}",
        )
    ]
    gaps = figures.provenance.gap_days
    if gaps and figures.provenance.is_played:
        found.append(say("readings_gaps", days=gaps))
    return Section(
        "readings",
        say("readings"),
        findings=tuple(found),
        tables=(table,),
        method=say.lines("readings_how"),
        again=query("readings", facts.slots),
    )


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
            say(
                "carbon_factor",
                factor=f"{factor.kg_per_kwh:g}",
                year=factor.years[japanese],
                kind=factor.kinds[japanese],
                source=factor.sources[japanese],
            ),
            say("carbon_sold", sold=f"{figures.energy.sold_on.sum() / 1_000:,.0f}"),
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
        by_command=say("carbon_again"),
    )
