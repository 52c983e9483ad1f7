"""How a table's figures are got again from a store: in SQL, or by which function."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from energy.units import day_of, slots_of
from orchestrator.verification.section import Table


def query(key: str, slots: range) -> str:
    """Return a table's SQL for a period.

    Raises:
        KeyError: if SQL cannot do it.
    """
    queries = _kept()["sql"]
    text = queries[key].strip()
    for name, part in _kept()["parts"].items():
        text = text.replace(f"{{{name}}}", part.strip())
    return str(text.format(first=slots[0], last=slots[-1], months=_months(slots)))


def script(slots: range, *tables: Table) -> str:
    """Return SQL that gives tables again, one after the other, each under a comment with its key in
    `yui report --json`; for what SQL cannot do, the comment names the function."""
    return "\n\n".join(_of(table.key, slots) for table in tables)


def _of(key: str, slots: range) -> str:
    kept = _kept()
    notes = [f"-- yui report --json: tables.{key}"]
    if key in kept["functions"]:
        notes.append(f"-- by {kept['functions'][key]}")
    if key not in kept["sql"]:
        return "\n".join(notes)
    return "\n".join([*notes, f"{query(key, slots)};"])


def _months(slots: range) -> str:
    """Return the period's months as rows of SQL: (201905, its first slot, its last)."""
    rows = []
    begin = slots[0]
    while begin <= slots[-1]:
        day = day_of(begin)
        after = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1, day=1)
        end = min(slots_of(after).start - 1, slots[-1])
        rows.append(f"({day.year}{day.month:02d}, {begin}, {end})")
        begin = end + 1
    return ",\n       ".join(", ".join(rows[at : at + 3]) for at in range(0, len(rows), 3))


@cache
def _kept() -> dict[str, dict[str, str]]:
    text = files("orchestrator.verification").joinpath("data", "queries.toml").read_text("utf-8")
    return tomllib.loads(text)
