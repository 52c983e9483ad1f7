"""Tables for the site's commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from energy.japanese import in_language
from energy.language import Language
from oracle.outbox import Entry
from oracle.probe import Unit
from oracle.status import Status, named, quality_of
from oracle.words import say, say_kind

_JST = timedelta(hours=9)
_COLUMNS = ("imported", "exported", "generated", "charged", "discharged", "stored")


def probe_view(
    where: str, units: Sequence[Unit], silent: Mapping[int, str], language: Language
) -> RenderableType:
    """Return what answered, a table a unit, and what did not, a line each."""
    parts: list[RenderableType] = []
    for unit in units:
        title = say(language, "unit_title", where=where, number=unit.number)
        table = Table(title=title, title_justify="left")
        for word in ("model", "point", "value", "unit"):
            justify: JustifyMethod = "right" if word in ("model", "value") else "left"
            table.add_column(say(language, word), justify=justify, overflow="fold")
        for found in unit.found:
            point = found.point if found.part is None else f"{found.point} [{found.part}]"
            table.add_row(str(found.model or ""), Text(point), Text(found.value), found.measure)
        parts.append(table)
        if unit.unread:
            models = ", ".join(map(str, unit.unread))
            parts.append(Text(say(language, "other_models", models=models)))
    for number, reason in silent.items():
        told = say(language, "silent", number=number, reason=in_language(language, reason))
        parts.append(Text(told, style="dim"))
    return Group(*parts)


def status_view(status: Status, language: Language) -> RenderableType:
    """Return a terminal's status as tables."""
    last, comma = status.last_sample_seconds, say(language, "comma")
    tally = comma.join(
        say(language, "tally", number=number, state=say(language, state.value))
        for state, number in status.tally.items()
    )
    seen = say(language, "none") if last is None else when(last)
    parts: list[RenderableType] = [Text(say(language, "last_sample", when=seen, tally=tally))]
    if status.latest:
        parts.append(_readings("latest", status.latest, language))
    if status.refused:
        parts.append(_readings("refused_title", status.refused, language))
    if status.waiting:
        slots = comma.join(named(slot) for slot in status.waiting[:12])
        parts.append(Text(say(language, "waiting", slots=slots)))
    for slot, why in status.absent:
        told = say(language, "absent", slot=named(slot), why=in_language(language, why))
        parts.append(Text(told))
    if status.incidents:
        table = Table(title=say(language, "wrong"), title_justify="left")
        for word in ("from", "until", "samples", "at", "kind", "what"):
            table.add_column(say(language, word), overflow="fold")
        for each in status.incidents:
            source, kind, detail = each.incident
            table.add_row(
                when(each.first_seconds),
                when(each.last_seconds),
                str(each.times),
                source,
                say_kind(language, kind),
                Text(in_language(language, detail)),
            )
        parts.append(table)
    return Group(*parts)


def _readings(title: str, entries: Sequence[Entry], language: Language) -> Table:
    table = Table(title=say(language, title), title_justify="left")
    table.add_column(say(language, "half_hour"), overflow="fold")
    for column in _COLUMNS:
        table.add_column(say(language, column), justify="right", overflow="fold")
    for column in ("quality", "state", "remark"):
        table.add_column(say(language, column), overflow="fold")
    for entry in entries:
        reading = entry.reading
        revision = say(language, "revision", number=reading.revision) if reading.revision else ""
        flags = (say(language, flag) for flag in quality_of(entry).split(", "))
        state = say(language, entry.state.value)
        table.add_row(
            named(reading.slot) + revision,
            *(str(getattr(reading, column)) for column in _COLUMNS),
            say(language, "comma").join(flags),
            say(language, "late", state=state) if entry.late else state,
            Text(in_language(language, entry.remark)),
        )
    return table


def when(seconds: int) -> str:
    """Return a moment in Japan time.

    >>> when(0)
    '1970-01-01 09:00:00'
    """
    return f"{datetime.fromtimestamp(seconds, UTC) + _JST:%Y-%m-%d %H:%M:%S}"
