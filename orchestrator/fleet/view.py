"""How the fleet is shown: its sites, what became of a command, the audit trail."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.table import Table

from energy.japanese import in_language
from energy.units import JST
from orchestrator.fleet.words import say
from orchestrator.words import Language
from vpp.link.folders import Member
from vpp.room.sending import Told
from vpp.room.store import Outcome, Standing, State
from vpp.room.trail import Entry

_RIGHT = {"charge", "battery", "target", "solar", "imported", "age", "answered", "changed"}
_STYLES = {Standing.LOST: "bold red", Standing.UNHEARD: "dim", Standing.ALIVE: ""}
_OUTCOMES = {Outcome.TAKEN: "green", Outcome.REFUSED: "bold red", Outcome.OPEN: "yellow"}


def fleet_table(
    name: str, states: Sequence[State], now: float, lost: float, language: Language
) -> Table:
    """Return the sites as a table."""
    alive = sum(state.standing(now, lost) is Standing.ALIVE for state in states)
    title = say(language, "title", name=name, alive=alive, all=len(states))
    table = _table(
        title,
        (
            *("site", "municipality", "kind", "standing", "charge", "battery", "target"),
            *("solar", "imported", "following", "alarms", "age"),
        ),
        language,
    )
    for state in states:
        report, standing, age = state.report, state.standing(now, lost), state.age(now)
        share = report.charge_share if report else None
        table.add_row(
            named(state, language),
            state.municipality,
            state.kind,
            say(language, standing.value),
            _number(None if share is None else 100 * share, 0),
            *(
                _kw(getattr(report, field, None))
                for field in ("battery_w", "target_w", "generated_w", "imported_w")
            ),
            say(language, report.following.value) if report else "-",
            ", ".join(in_language(language, one) for one in report.alarms) if report else "",
            _number(age, 0),
            style=_STYLES[standing],
        )
    return table


def state_json(state: State, now: float, lost: float) -> dict[str, Any]:
    """Return a site's state as JSON has it."""
    report = state.report
    shown: dict[str, Any] = {
        "site": state.site,
        "name": state.name,
        "municipality": state.municipality,
        "type": state.kind,
        "state": state.standing(now, lost).value,
        "age_seconds": None if report is None else round(state.age(now) or 0.0, 1),
    }
    if report is not None:
        known = asdict(report) | {"following": report.following.value}
        shown |= {key: value for key, value in known.items() if key not in (*shown, "kind")}
    return shown


def result_table(told: Sequence[Told], states: Mapping[int, State], language: Language) -> Table:
    """Return what became of a command at each site."""
    table = _table(
        None, ("site", "municipality", "outcome", "why", "answered", "changed"), language
    )
    for each in told:
        state, answer = states[each.instruction.site], each.answer
        table.add_row(
            named(state, language),
            state.municipality,
            say(language, each.outcome.value),
            answer.refused if answer else "",
            *(_number(seconds, 1) for seconds in _seconds(each)),
            style=_OUTCOMES[each.outcome],
        )
    return table


def result_json(each: Told, state: State) -> dict[str, Any]:
    """Return what became of a command at a site as JSON has it."""
    told, answer = each.instruction, each.answer
    answered, changed = _seconds(each)
    return {
        "site": told.site,
        "name": state.name,
        "municipality": state.municipality,
        "action": told.action.value,
        "power_w": told.power_w,
        "sequence": told.sequence,
        "ends_at": told.ends_at,
        "outcome": "no answer" if answer is None else each.outcome.value,
        "refused": answer.refused if answer else "",
        "answered_seconds": answered,
        "changed_seconds": changed,
    }


def trail_table(entries: Sequence[Entry], language: Language) -> Table:
    """Return entries of the audit trail."""
    table = _table(say(language, "trail"), ("number", "at", "event", "said", "hash"), language)
    for entry in entries:
        at = datetime.fromtimestamp(entry.at, JST)
        table.add_row(
            str(entry.number), f"{at:%Y-%m-%d %H:%M:%S}", entry.kind, _brief(entry), entry.hash[:16]
        )
    return table


def named(site: State | Member, language: Language) -> str:
    """Return a site's name in a language."""
    return (language is Language.JAPANESE and site.name_ja) or site.name


def _brief(entry: Entry) -> str:
    content = entry.content
    if entry.kind == "sent":
        told = content["instructions"]
        sites = ", ".join(str(each["site"]) for each in told[:8])
        more = f" and {len(told) - 8} more" if len(told) > 8 else ""
        actions = ", ".join(sorted({each["action"] for each in told}))
        return f"{actions} to {sites}{more}; by {content['by']}: {content['why'] or '-'}"
    if entry.kind == "answered":
        answers = content["answers"]
        refused = [f"{site}: {why}" for site, _, why in answers if why]
        return f"{len(answers) - len(refused)} taken" + "".join(f"; {each}" for each in refused[:5])
    text = json.dumps(content, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."


def _table(title: str | None, columns: Sequence[str], language: Language) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        justify = "right" if column in _RIGHT else "left"
        whole = column in ("standing", "outcome", "at", "event")
        table.add_column(say(language, column), justify=justify, no_wrap=whole)  # type: ignore[arg-type]
    return table


def _seconds(each: Told) -> tuple[float | None, float | None]:
    """How long answer and first power change took, from when it was made: its sequence."""
    answer, made_at = each.answer, each.instruction.sequence / 1e6
    if answer is None:
        return None, None
    changed = answer.changed_at
    return max(answer.at - made_at, 0.0), None if changed is None else max(changed - made_at, 0.0)


def _kw(watts: int | None) -> str:
    return _number(None if watts is None else watts / 1000, 1)


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:,.{places}f}"
