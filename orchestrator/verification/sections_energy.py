"""The report's sections on energy: what was used and generated, and where it went."""

from __future__ import annotations

from calendar import month_abbr

import numpy as np

from orchestrator.verification.charts import Flow, bars, sankey
from orchestrator.verification.energy import DIRECT
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Column, Section, Table, Voice
from orchestrator.words import Language

_WH = 1_000
_FEWEST = 2_000
"""What is less than one in so many of the whole is not drawn."""


def percent(part: float, whole: float) -> float | None:
    """Return a share in %, None of nothing."""
    return 100 * float(part) / float(whole) if whole else None


def month_label(month: str, say: Voice) -> str:
    """Return a month, such as 2019-05, as people write it."""
    year, number = month.split("-")
    if say.language is Language.JAPANESE:
        return f"{year}年{int(number)}月"
    return f"{month_abbr[int(number)]} {year}"


def _short(month: str, say: Voice) -> str:
    number = int(month.split("-")[1])
    return f"{number}月" if say.language is Language.JAPANESE else month_abbr[number]


def energy_section(figures: Figures, say: Voice) -> Section:
    """What each office used, generated, bought, and how far roofs covered it."""
    energy = figures.energy
    columns = (
        say.column("office"),
        say.column("consumption", "kWh"),
        say.column("generation", "kWh"),
        say.column("imported", "kWh"),
        say.column("exported", "kWh"),
        say.column("from_own", "kWh"),
        say.column("from_others", "kWh"),
        say.column("from_utility", "kWh"),
        say.column("sufficiency_own", "%", 1),
        say.column("sufficiency_all", "%", 1),
        say.column("self_consumption_own", "%", 1),
        say.column("self_consumption_all", "%", 1),
    )
    used_of = energy.matrix.sum(axis=1)

    def row(name: str, at: slice) -> tuple[Cell, ...]:
        own, others = energy.own[at].sum(), energy.others[at].sum()
        used, made = energy.consumption[at].sum(), energy.generation[at].sum()
        kept = sum(energy.matrix[site, site] for site in range(*at.indices(len(say.names))))
        return (
            name,
            *(
                float(values[at].sum()) / _WH
                for values in (
                    energy.consumption, energy.generation, energy.imported, energy.exported,
                    energy.own, energy.others, energy.grid,
                )
            ),
            percent(own, used),
            percent(own + others, used),
            percent(kept, made),
            percent(used_of[at].sum(), made),
        )  # fmt: skip

    rows = [row(name, slice(site, site + 1)) for site, name in enumerate(say.names)]
    table = Table("energy", say("energy"), columns, (*rows, row(say("all"), slice(None))), 1)
    # Batteries' first stock is too little to be seen: it stands in the table of flows.
    sources = [
        (say(word), (values / _WH).tolist())
        for word, values in (
            ("from_own", energy.own),
            ("from_others", energy.others),
            ("from_utility", energy.grid),
        )
    ]
    months = [
        (
            month_label(name, say),
            *(float(value) / _WH for value in (used, own, others, used - own - others)),
            percent(own, used),
            percent(own + others, used),
        )
        for name, (used, own, others) in zip(energy.month_names, energy.month_use, strict=True)
    ]
    month_table = Table(
        "energy_by_month",
        say("energy_by_month"),
        (say.column("month"), *(columns[n] for n in (1, 5, 6, 7, 8, 9))),
        tuple(months),
    )
    short = [_short(name, say) for name in energy.month_names]
    used = np.maximum(energy.month_use[:, 0], 1)
    covers = [
        (say(word), (100 * energy.month_use[:, part] / used).tolist())
        for word, part in (("from_own", 1), ("from_others", 2))
    ]
    return Section(
        "energy",
        say("energy"),
        tables=(table, month_table),
        charts=(
            Chart(
                "energy", say("energy_chart"),
                bars(say("energy_chart"), say.names, sources, "kWh", True, (0, 2, 3),
                     style=say.style),
                "energy",
            ),
            Chart(
                "energy_by_month", say("energy_month_chart"),
                bars(say("energy_month_chart"), short, covers, "%", True, (0, 2), style=say.style),
                "energy_by_month",
            ),
        ),
        method=say.lines("energy_how"),
        again=query("energy", figures.facts.slots),
    )  # fmt: skip


def flow_section(figures: Figures, say: Voice) -> Section:
    """From where to where: the matrix of roofs and offices, and the same as a Sankey diagram."""
    energy = figures.energy
    columns = (
        say.column("from_to"),
        *(Column(f"to_{number}", name) for number, name in enumerate(say.names)),
        say.column("sold_on"),
        say.column("lost"),
        say.column("held"),
        say.column("generation"),
    )
    rows: list[tuple[Cell, ...]] = []
    for site, name in enumerate(say.names):
        used = [float(wh) / _WH for wh in energy.matrix[site]]
        rest = (energy.sold_on, energy.lost_of, energy.held + energy.unmetered, energy.generation)
        rows.append((name, *used, *(float(values[site]) / _WH for values in rest)))
    grid = [float(wh) / _WH for wh in energy.grid]
    rows.append((say("utility"), *grid, None, None, None, None))
    if energy.rest.any():
        rows.append((say("rest"), *(float(wh) / _WH for wh in energy.rest), None, None, None, None))
    totals = [float(wh) / _WH for wh in energy.consumption]
    sums = (energy.sold_on, energy.lost_of, energy.held + energy.unmetered, energy.generation)
    rows.append((say("together"), *totals, *(float(values.sum()) / _WH for values in sums)))
    matrix = Table("matrix", say("matrix"), columns, tuple(rows), 1)
    return Section(
        "flows",
        say("flows"),
        findings=(_flow_finding(figures, say),),
        tables=(matrix, _battery_paths(figures, say)),
        charts=(Chart("sankey", say("sankey"), _sankey(figures, say), "matrix"),),
        method=say.lines("flows_how"),
        again=query("flows", figures.facts.slots),
    )


def _flow_finding(figures: Figures, say: Voice) -> str:
    """Name the largest flow between two different offices."""
    between = figures.energy.matrix.copy()
    between[range(len(between)), range(len(between))] = 0
    if not between.any():
        return say("flows_none")
    seller, buyer = divmod(int(between.argmax()), len(between))
    return say(
        "flows_largest",
        seller=say.names[seller],
        buyer=say.names[buyer],
        energy=f"{between[seller, buyer] / _WH:,.0f}",
        share=f"{100 * between[seller, buyer] / between.sum():.0f}",
    )


def _battery_paths(figures: Figures, say: Voice) -> Table:
    """What each office used after a battery, and what was lost for it."""
    energy = figures.energy
    rows: list[tuple[Cell, ...]] = []
    for site, name in enumerate(say.names):
        use = energy.consumption[site]
        own = sum(
            wh for (_, battery, user), wh in energy.paths.items()
            if user == site and battery == site
        )  # fmt: skip
        rows.append(
            (
                name,
                float(energy.through[site]) / _WH,
                percent(energy.through[site], use),
                float(own) / _WH,
                float(energy.lost[site]) / _WH,
            )
        )
    through, lost = energy.through.sum(), energy.lost.sum()
    own_sum = sum(wh for (_, battery, user), wh in energy.paths.items() if user == battery)
    rows.append(
        (
            say("all"), float(through) / _WH, percent(through, energy.consumption.sum()),
            float(own_sum) / _WH, float(lost) / _WH,
        )
    )  # fmt: skip
    columns = (
        say.column("office"),
        say.column("through", "kWh"),
        say.column("through_share", "%", 2),
        say.column("through_own", "kWh"),
        say.column("lost_in_own", "kWh"),
    )
    return Table("through", say("through_table"), columns, tuple(rows), 1)


def _sankey(figures: Figures, say: Voice) -> str:
    energy = figures.energy
    flows: list[Flow] = []
    into: dict[tuple[int, int], float] = {}
    for (origin, battery, user), wh in energy.paths.items():
        begin = "utility" if origin == DIRECT else f"roof{origin}"
        colour = 3 if origin == DIRECT else 0
        if battery == DIRECT:
            end_colour = 2 if origin not in (DIRECT, user) else colour
            flows.append((begin, f"use{user}", wh / _WH, end_colour))
        else:
            into[origin, battery] = into.get((origin, battery), 0.0) + wh / _WH
            flows.append((f"battery{battery}", f"use{user}", wh / _WH, 1))
    for (origin, battery), wh in energy.losses.items():
        into[origin, battery] = into.get((origin, battery), 0.0) + wh / _WH
        flows.append((f"battery{battery}", "lost", wh / _WH, 4))
    for (origin, battery), amount in into.items():
        begin = "utility" if origin == DIRECT else f"roof{origin}"
        flows.append((begin, f"battery{battery}", amount, 1))
    flows += [(f"roof{site}", "sold", float(wh) / _WH, 7) for site, wh in enumerate(energy.sold_on)]
    total = float(energy.consumption.sum()) / _WH
    sites = range(len(say.names))
    left = [*((f"roof{n}", say("roof_of", site=say.names[n])) for n in sites)]
    left.append(("utility", say("utility")))
    middle = [(f"battery{n}", say("battery_at", site=say.names[n])) for n in sites]
    right = [*((f"use{n}", say.names[n]) for n in sites)]
    right += [("sold", say("sold_on")), ("lost", say("lost"))]
    words = ("own_use", "others_use", "from_utility", "by_battery", "sold_on", "lost")
    keys = [(say(word), colour) for word, colour in zip(words, (0, 2, 3, 1, 7, 4), strict=True)]
    return sankey(
        say("sankey"),
        (left, middle, right),
        [flow for flow in flows if flow[2] > 0],
        keys,
        least=total / _FEWEST,
        style=say.style,
    )
