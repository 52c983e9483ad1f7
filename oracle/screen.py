"""Tables for the site's commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oracle.outbox import Entry
from oracle.probe import Unit
from oracle.status import Status, named, quality_of

_JST = timedelta(hours=9)
_COLUMNS = ("imported", "exported", "generated", "charged", "discharged", "stored")


def probe_view(where: str, units: Sequence[Unit], silent: Mapping[int, str]) -> RenderableType:
    """Return what answered, a table a unit, and what did not, a line each."""
    parts: list[RenderableType] = []
    for unit in units:
        table = Table(title=f"{where} unit {unit.number}", title_justify="left")
        table.add_column("model", justify="right")
        table.add_column("point")
        table.add_column("value", justify="right", overflow="fold")
        table.add_column("unit")
        for found in unit.found:
            point = found.point if found.part is None else f"{found.point} [{found.part}]"
            table.add_row(str(found.model or ""), Text(point), Text(found.value), found.measure)
        parts.append(table)
        if unit.unread:
            parts.append(Text(f"other models: {', '.join(map(str, unit.unread))}"))
    parts += [Text(f"unit {number}: {reason}", style="dim") for number, reason in silent.items()]
    return Group(*parts)


def status_view(status: Status) -> RenderableType:
    """Return a terminal's status as tables."""
    last = status.last_sample_seconds
    tally = ", ".join(f"{number} {state.value}" for state, number in status.tally.items())
    parts: list[RenderableType] = [
        Text(f"last sample: {'none' if last is None else when(last)}; readings: {tally}")
    ]
    if status.latest:
        parts.append(_readings("latest half hours (Wh)", status.latest))
    if status.refused:
        parts.append(_readings("refused by the chain", status.refused))
    if status.waiting:
        slots = ", ".join(named(slot) for slot in status.waiting[:12])
        parts.append(Text(f"waiting for a device to tell: {slots}"))
    parts += [Text(f"no reading of {named(slot)}: {why}") for slot, why in status.absent]
    if status.incidents:
        table = Table(title="what went wrong, last day", title_justify="left")
        for column in ("from", "until", "samples", "at", "kind", "what"):
            table.add_column(column, overflow="fold")
        for each in status.incidents:
            source, kind, detail = each.incident
            table.add_row(
                when(each.first_seconds),
                when(each.last_seconds),
                str(each.times),
                source,
                kind,
                Text(detail),
            )
        parts.append(table)
    return Group(*parts)


def _readings(title: str, entries: Sequence[Entry]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("half hour", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for column in ("quality", "state", "remark"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        reading = entry.reading
        revision = f" r{reading.revision}" if reading.revision else ""
        table.add_row(
            named(reading.slot) + revision,
            *(str(getattr(reading, column)) for column in _COLUMNS),
            quality_of(entry),
            entry.state.value + (", late" if entry.late else ""),
            Text(entry.remark),
        )
    return table


def when(seconds: int) -> str:
    """Return a moment in Japan time.

    >>> when(0)
    '1970-01-01 09:00:00'
    """
    return f"{datetime.fromtimestamp(seconds, UTC) + _JST:%Y-%m-%d %H:%M:%S}"
