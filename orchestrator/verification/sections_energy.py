"""The report's section on energy: what each office used and generated, and from which roofs."""

from __future__ import annotations

from calendar import month_abbr

import numpy as np

from orchestrator.verification.charts import bars
from orchestrator.verification.period import Array
from orchestrator.verification.queries import script
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Section, Table, Voice
from orchestrator.words import Language

_WH = 1_000


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
    rest = bool(energy.rest.any())
    sources = ("from_own", "from_others", "from_utility", *(["rest"] if rest else []))
    shares = (say.column("sufficiency_own", "%", 1), say.column("sufficiency_all", "%", 1))
    columns = (
        say.column("office"),
        *(say.column(key, "kWh") for key in ("consumption", "generation", "imported", "exported")),
        *(say.column(key, "kWh") for key in sources),
        *shares,
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
                    energy.own, energy.others, energy.grid, *([energy.rest] if rest else []),
                )
            ),
            percent(own, used),
            percent(own + others, used),
            percent(kept, made),
            percent(used_of[at].sum(), made),
        )  # fmt: skip

    rows = [row(name, slice(site, site + 1)) for site, name in enumerate(say.names)]
    table = Table("energy", say("energy"), columns, (*rows, row(say("all"), slice(None))), 1)
    # Batteries' first stock is too little to be seen.
    drawn = [
        (say(word), (values / _WH).tolist())
        for word, values in (
            ("from_own", energy.own),
            ("from_others", energy.others),
            ("from_utility", energy.grid),
        )
    ]

    def month(name: str, parts: Array) -> tuple[Cell, ...]:
        used, own, others = parts[:3]
        shown = (float(wh) / _WH for wh in parts[: 1 + len(sources)])
        return name, *shown, percent(own, used), percent(own + others, used)

    months = [
        month(month_label(name, say), parts)
        for name, parts in zip(energy.month_names, energy.month_use, strict=True)
    ]
    months.append(month(say("sum"), energy.month_use.sum(axis=0)))
    month_table = Table(
        "energy_by_month",
        say("energy_by_month"),
        (
            say.column("month"),
            say.column("consumption", "kWh"),
            *(say.column(key, "kWh") for key in sources),
            *shares,
        ),
        tuple(months),
        1,
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
                bars(say("energy_chart"), say.names, drawn, "kWh", True, (0, 2, 3),
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
        again=script(figures.facts.slots, table, month_table),
    )  # fmt: skip
