"""The report's section on where energy went: a matrix, a Sankey diagram, and what passed batteries.

All three are the same Wh: each row of the matrix adds up, and so does each node of the diagram.
"""

from __future__ import annotations

from orchestrator.verification.charts import Flow, sankey
from orchestrator.verification.energy import (
    DIRECT,
    ENDS,
    STOCK,
    UTILITY,
    EnergyFigures,
    stock_change,
)
from orchestrator.verification.queries import script
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Column, Section, Table, Voice
from orchestrator.verification.sections_energy import percent

_WH = 1_000
_FEWEST = 2_000
"""What is less than one in so many of the whole is not drawn."""
_ROOF, _BATTERY, _OTHER, _GRID, _LOST, _HELD, _STOCK, _SOLD = range(8)
"""Colours: their numbers in `charts`."""
_ENDS = {"utility": ("sold", _SOLD), "lost": ("lost", _LOST), "unmetered": ("unmetered", _HELD)}


def flow_section(figures: Figures, say: Voice) -> Section:
    """From where to where: the matrix of roofs and offices, and the same as a Sankey diagram."""
    matrix, through = _matrix(figures.energy, say), _battery_paths(figures.energy, say)
    return Section(
        "flows",
        say("flows"),
        findings=(_flow_finding(figures, say),),
        tables=(matrix, through),
        charts=(Chart("sankey", say("sankey"), _sankey(figures.energy, say), "matrix"),),
        method=say.lines("flows_how"),
        again=script(figures.facts.slots, matrix, through),
    )


def _matrix(energy: EnergyFigures, say: Voice) -> Table:
    sites = len(say.names)
    sold, lost, held, unmetered = range(sites, sites + len(ENDS))
    ends = energy.ends
    kept = ends[:, held] + ends[:, unmetered]
    names = [*say.names, say("utility"), say("rest")]
    rows: list[tuple[Cell, ...]] = []
    for number, name in enumerate(names):
        row = ends[number]
        if number < sites or row.any():
            cells = (*row[:sites], row[sold], row[lost], kept[number], row.sum())
            rows.append((name, *(float(wh) / _WH for wh in cells)))
    sums = ends.sum(axis=0)
    cells = (*sums[:sites], sums[sold], sums[lost], kept.sum(), ends.sum())
    rows.append((say("together"), *(float(wh) / _WH for wh in cells)))
    columns = (
        say.column("from_to"),
        *(Column(f"to_{number}", name) for number, name in enumerate(say.names)),
        say.column("sold_on"),
        say.column("lost"),
        say.column("held"),
        say.column("entered"),
    )
    return Table("matrix", say("matrix"), columns, tuple(rows), 1)


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


def _battery_paths(energy: EnergyFigures, say: Voice) -> Table:
    """What each office used after a battery, and what was lost for it."""

    def row(name: str, at: slice) -> tuple[Cell, ...]:
        through = energy.through[at].sum()
        return (
            name,
            float(through) / _WH,
            percent(through, energy.consumption[at].sum()),
            float(energy.through_own[at].sum()) / _WH,
            float(energy.lost[at].sum()) / _WH,
        )

    rows = [row(name, slice(site, site + 1)) for site, name in enumerate(say.names)]
    columns = (
        say.column("office"),
        say.column("through", "kWh"),
        say.column("through_share", "%", 2),
        say.column("through_own", "kWh"),
        say.column("lost_in_own", "kWh"),
    )
    rows.append(row(say("all"), slice(None)))
    return Table("through", say("through_table"), columns, tuple(rows), 1)


def sankey_flows(energy: EnergyFigures) -> list[tuple[str, str, int, int]]:
    """Return the diagram's flows, Wh: from a node, to a node, how much, its colour's number.

    What a battery holds more at the end than at the start goes to `held`; what it holds less
    comes from `before`.
    """
    sums: dict[tuple[str, str, int], int] = {}

    def flow(begin: str, end: str, colour: int, wh: int) -> None:
        sums[begin, end, colour] = sums.get((begin, end, colour), 0) + wh

    def begin_of(origin: int, battery: int) -> str:
        if battery != DIRECT:
            return f"battery{battery}"
        return {UTILITY: "utility", STOCK: "stock"}.get(origin, f"roof{origin}")

    for (part, origin, battery, site), wh in energy.paths.items():
        begin = begin_of(origin, battery)
        if part != "used":
            flow(begin, *_ENDS[part], wh)
        elif battery != DIRECT:
            flow(begin, f"use{site}", _BATTERY, wh)
        else:
            own = _ROOF if origin == site else _OTHER
            flow(begin, f"use{site}", _GRID if origin == UTILITY else own, wh)
        if origin == STOCK and battery != DIRECT:
            flow("stock", begin, _STOCK, wh)
    for (origin, before, battery), wh in energy.charged_from.items():
        flow(begin_of(origin, before), f"battery{battery}", _BATTERY, wh)
    for (_, battery), wh in stock_change(energy).items():
        if wh > 0:
            flow(f"battery{battery}", "held", _HELD, wh)
        else:
            flow("before", f"battery{battery}", _STOCK, -wh)
    return [(*key[:2], wh, key[2]) for key, wh in sums.items() if wh > 0]


def _sankey(energy: EnergyFigures, say: Voice) -> str:
    flows: list[Flow] = [
        (begin, end, wh / _WH, colour) for begin, end, wh, colour in sankey_flows(energy)
    ]
    sites = range(len(say.names))
    left = [*((f"roof{n}", say("roof_of", site=say.names[n])) for n in sites)]
    left += [("utility", say("utility")), ("stock", say("rest")), ("before", say("before"))]
    middle = [(f"battery{n}", say("battery_at", site=say.names[n])) for n in sites]
    right = [*((f"use{n}", say.names[n]) for n in sites)]
    right += [(end, say(word)) for end, word in (
        ("sold", "sold_on"), ("lost", "lost"), ("held", "held_only"), ("unmetered", "unmetered"),
    )]  # fmt: skip
    words = {
        "own_use": _ROOF, "others_use": _OTHER, "from_utility": _GRID, "by_battery": _BATTERY,
        "sold_on": _SOLD, "lost": _LOST,
    }  # fmt: skip
    return sankey(
        say("sankey"),
        (left, middle, right),
        flows,
        [(say(word), colour) for word, colour in words.items()],
        least=float(energy.consumption.sum()) / _WH / _FEWEST,
        style=say.style,
    )
