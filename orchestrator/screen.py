"""What the command line draws: tables of trades, flows, money and statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from energy.units import kwh, yen
from orchestrator.statements.day import DayReport
from orchestrator.statements.statement import (
    Destination,
    Statement,
    cells,
    columns,
    cost_lines,
    totals,
)
from orchestrator.words import Language, say, say_day, say_slot, say_span, short

if TYPE_CHECKING:  # it brings what talks to a node, which takes a second
    from orchestrator.auditing.market import Findings


def day_view(
    report: DayReport, day: date, mode: str, names: Mapping[int, str], language: Language
) -> RenderableType:
    """Draw a day's trades and flows in brief, and each office's money."""

    def energy(wh: int) -> str:
        return f"{kwh(wh):,.1f} kWh"

    title = say(language, "day_title", day=say_day(language, day), mode=say(language, mode))
    brief = Table(title=say(language, "trades_title"), show_header=False, title_justify="left")
    price = "-" if report.mean_price is None else f"{report.mean_price / 1000:.2f}"
    price = say(language, "yen_per_kwh", yen=price)
    for word, value in (
        ("slots_with_trades", f"{report.slots_with_trades} / {report.slots}"),
        ("traded", f"{energy(report.traded_wh)} ({report.trades})"),
        ("delivered", energy(report.delivered_wh)),
        ("average_price", price),
        ("pooled", energy(report.pooled_wh)),
        ("used", energy(report.used_wh)),
        ("generated", energy(report.generated_wh)),
        ("self_sufficiency", f"{report.self_sufficiency:.1%}"),
        ("battery_charged", energy(report.charged_wh)),
        ("battery_discharged", energy(report.discharged_wh)),
    ):
        brief.add_row(say(language, word), value)
    return Group(
        Text(title, style="bold"),
        brief,
        _matrix(report, names, language),
        _money(report, names, language),
    )


def _matrix(report: DayReport, names: Mapping[int, str], language: Language) -> Table:
    table = Table(title=say(language, "flows_matrix"), title_justify="left")
    table.add_column("")
    for site in names:
        table.add_column(short(names[site]), justify="right")
    for site in names:
        to = report.matrix_wh.get(site, {})
        table.add_row(
            short(names[site]),
            *(f"{kwh(to[other]):.1f}" if to.get(other) else "" for other in names),
        )
    return table


def _money(report: DayReport, names: Mapping[int, str], language: Language) -> Table:
    table = Table(title=say(language, "money_title"), title_justify="left", show_footer=True)
    money = report.money

    def total(field: str) -> int:
        return int(sum(getattr(site, field) for site in money))

    table.add_column(say(language, "office_column"), footer=say(language, "total"))
    for word, field in (("imported", "imported_wh"), ("exported", "exported_wh")):
        footer = f"{kwh(total(field)):,.1f}"
        table.add_column(say(language, word), footer=footer, justify="right")
    for word, field in (
        ("without", "without_microyen"),
        ("with", "with_microyen"),
        ("gain", "gain_microyen"),
    ):
        footer = f"{yen(total(field)):,.0f}"
        table.add_column(say(language, word), footer=footer, justify="right")
    for site in money:
        table.add_row(
            short(names[site.site]),
            f"{kwh(site.imported_wh):,.1f}",
            f"{kwh(site.exported_wh):,.1f}",
            f"{yen(site.without_microyen):,.0f}",
            f"{yen(site.with_microyen):,.0f}",
            f"{yen(site.gain_microyen):,.0f}",
        )
    receipts = (("utility", report.utility_microyen), ("network", report.network_microyen))
    table.caption = "\n".join(
        [say(language, "how_money")]
        + [
            say(language, "receives", who=say(language, who), yen=f"{yen(amount):,.0f}")
            for who, amount in receipts
        ]
    )
    table.caption_justify = "left"
    return table


def statement_view(
    statement: Statement, names: Mapping[int, str], language: Language
) -> RenderableType:
    """Draw a site's statement in the form of the trial's handout, with its totals."""
    span = say_span(language, statement.slots)
    title = say(language, "statement", site=names[statement.site], day=span)
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns(language)):
        # Where the screen is narrow, what does not fit goes on below: nothing is cut off.
        table.add_column(column, justify="right" if number in (1, 5) else "left", overflow="fold")
    for line in cells(statement.rows, names, language):
        table.add_row(*line, end_section=False)
    sums = Table(title=say(language, "page_totals"), title_justify="left", show_header=False)
    for number in range(3):
        sums.add_column(justify="right" if number else "left")
    for what, energy, share in totals(statement, language):
        sums.add_row(what, f"{energy} kWh", share)
    costs = Table(title=say(language, "page_costs"), title_justify="left", show_header=False)
    costs.add_column()
    costs.add_column(justify="right")
    for what, amount in cost_lines(statement, language):
        costs.add_row(what, amount)
    notes = []
    if statement.unread:
        notes.append(Text(say(language, "unread_slots", count=len(statement.unread))))
    if statement.open:
        notes.append(Text(say(language, "open_slots", count=len(statement.open)), style="bold"))
    return Group(table, Columns([sums, costs]), *notes)


def destinations_view(
    ended: Sequence[Destination], slots: range, names: Mapping[int, str], language: Language
) -> Table:
    """Draw where the energy went that a site generated in some slots."""
    name, span = names[ended[0].row.origin.site], say_span(language, slots)
    table = Table(title=say(language, "went_to", site=name, day=span), title_justify="left")
    for word in ("generated_at", "generation", "end", "end_site", "end_at", "through"):
        right = word == "generation"
        justify: JustifyMethod = "right" if right else "left"
        table.add_column(say(language, word), justify=justify, overflow="fold")
    for one in ended:
        row = one.row
        battery = (
            ""
            if row.through is None
            else say(language, "battery_of", site=short(names[row.through]))
        )
        table.add_row(
            say_slot(language, row.origin.slot),
            f"{kwh(row.energy):.3f}",
            say(language, f"end_{one.end}"),
            short(names[row.site]),
            say_slot(language, row.slot),
            battery,
        )
    return table


def audit_line(findings: Findings, language: Language) -> str:
    """Return a sentence about a clean audit."""
    found = {name: count for name, count in findings.to_json().items() if count}
    counts = ", ".join(f"{count:,} {say(language, name)}" for name, count in found.items())
    return say(language, "audit_fine", counts=counts)


def console() -> Console:
    """Return the terminal, as wide as it is; 120 columns where there is none."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=130)
