"""*Audit*: the rows of its tables."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from markupsafe import Markup

from energy.units import day_of, half_hour
from orchestrator.claims.certificate import file_name
from orchestrator.web.drawing import DASH, Pen
from orchestrator.web.views.audit import AuditPage, Check, DayRoot, SiteRoot
from orchestrator.web.words import say_month
from orchestrator.words import say_day

KEPT = "audit.state"
JUDGED = {"fine": True, "wrong": False, "not_all": None, "none": None}
"""Whether a check's verdict is a good or a bad one."""
RPC = ("--rpc", "http://127.0.0.1:8545")
"""A node of the reader's own, where it usually listens."""


def drawn(pen: Pen, view: AuditPage) -> dict[str, Any]:
    """Return the tables of the last audit, the month's roots, the day's sites and its checks."""
    first = date.fromisoformat(f"{view.month}-01")
    counts = view.last_audit.counts if view.last_audit else {}
    return {
        "when": say_day(pen.language, date.fromisoformat(view.day)),
        "month_name": say_month(pen.language, view.month),
        "before": f"{first - timedelta(days=1):%Y-%m}",
        "after": f"{first + timedelta(days=31):%Y-%m}",
        "count_rows": [[pen.say(f"count_{name}"), f"{count:,}"] for name, count in counts.items()],
        "day_rows": [_day(pen, one) for one in view.days],
        "site_rows": [_site(pen, one) for one in view.sites],
        "verdict": _verdict(pen, view.checks),
        "check_rows": [_check(pen, one) for one in view.checks],
        "commands": [(pen.say(what), command) for what, command in commands_of(view)],
    }


def commands_of(view: AuditPage) -> list[tuple[str, str]]:
    """Return how the same is found without these pages: what, and the line that is typed."""
    lines = [("audit_run", ["audit", "--manifest", "manifest.json", *RPC, "--state", KEPT])]
    example = view.example
    if example is not None:
        site, slot = example.site.en, example.slot
        when = f"{day_of(slot)} {half_hour(slot)[:5]}"
        store = ["--store", view.store] if view.store else []
        lines += [
            ("audit_prove", ["proof", site, when, *store]),
            ("audit_verify", ["verify", file_name(site, slot, 0), *RPC]),
            ("audit_trace", ["trace", site, when, *store]),
        ]
    return [(what, shlex.join(["yui", *words])) for what, words in lines]


def _day(pen: Pen, one: DayRoot) -> list[object]:
    day = date.fromisoformat(one.day)
    link = Markup('<a href="/audit?day={}">{}</a>').format(one.day, say_day(pen.language, day))
    return [
        link,
        f"{one.settled_slots} / 48",
        f"{one.final_slots} / 48",
        _code(one.root),
        f"{one.attesting} / {one.active}",
        one.dissenting or DASH,
        _badge(pen, "stands" if one.stands else "not_yet", one.stands),
    ]


def _site(pen: Pen, one: SiteRoot) -> list[object]:
    word = {True: "same", False: "differs", None: "not_yet"}[one.agrees]
    return [pen.name(one.site), _code(one.root), _badge(pen, word, one.agrees)]


def _verdict(pen: Pen, checks: Sequence[Check]) -> Markup | str:
    """Return what all checks of the day come to: nothing if there is nothing to look at."""
    judged = [_judged(one) for one in checks if one.of]
    if not judged:
        return ""
    worst = next((word for word in ("wrong", "not_all") if word in judged), "fine")
    return _badge(pen, worst, JUDGED[worst])


def _judged(one: Check) -> str:
    if not one.of:
        return "none"
    if one.is_fine:
        return "fine"
    # Not there yet, or never come: nothing contradicts the rules.
    return "not_all" if one.name in ("readings", "final", "roots") else "wrong"


def _check(pen: Pen, one: Check) -> list[object]:
    word = _judged(one)
    return [
        pen.say(f"check_{one.name}"),
        f"{one.holds:,} / {one.of:,}",
        _badge(pen, word, JUDGED[word]),
    ]


def _badge(pen: Pen, word: str, is_good: bool | None) -> Markup:
    kind = {True: "good", False: "bad", None: "wait"}[is_good]
    return Markup('<span class="badge {}">{}</span>').format(kind, pen.say(word))


def _code(text: str | None) -> object:
    if text is None:
        return DASH
    return Markup('<code title="{}">{}…</code>').format(text, text[:14])
