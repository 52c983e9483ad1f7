"""What the room writes to its store.

Units as in `vpp.commands`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, and_, bindparam, delete, insert, select, update

from chain import database
from energy.units import SLOT_SECONDS
from vpp.commands import Answer, Report
from vpp.room import trail
from vpp.room.store import MINUTE_SECONDS, REPORTED, Outcome, Records, Registered, Sent, sent_from
from vpp.room.tables import INSTRUCTIONS, LATEST, MEANS, MINUTES, SITES

KEPT_MINUTES_DAYS = 7
KEPT_HALF_HOURS_DAYS = 400
_SLOT_MINUTES = SLOT_SECONDS // MINUTE_SECONDS


@contextmanager
def keeping(engine: Engine) -> Iterator[Keeper]:
    """Give the store to write to: all that was written is kept, or nothing.

    Raises:
        StoreError: if it does not answer, or another writer does not come to its end.
    """
    with database.writing(engine) as connection:
        yield Keeper(connection)


class Keeper(Records):
    """What the room writes, within one transaction."""

    def register(self, sites: Iterable[Registered]) -> None:
        """Replace the register."""
        self.connection.execute(delete(SITES))
        rows = [
            {
                "site": each.site,
                "name": each.name,
                "name_ja": each.name_ja,
                "municipality": each.municipality,
                "kind": each.kind,
            }
            for each in sites
        ]
        if rows:
            self.connection.execute(insert(SITES), rows)

    def reported(self, heard: Sequence[tuple[Report, float, bool]]) -> None:
        """Keep reports, each with when it was heard and whether it came live.

        One that the broker had kept says how the site stood; it counts for no minute.
        """
        newest = {report.site: (report, heard_at, live) for report, heard_at, live in heard}
        query = select(LATEST.c.site, LATEST.c.at).where(LATEST.c.site.in_(newest))
        there = {row.site: row.at for row in self.connection.execute(query)}
        new, fresh, kept = [], [], []
        for site, (report, heard_at, live) in newest.items():
            row = _latest_row(report, heard_at)
            if site not in there:
                new.append(row | {"linked": live})
            elif live:
                fresh.append(row | {"linked": True})
            elif report.at >= there[site]:
                kept.append(row)
        if new:
            self.connection.execute(insert(LATEST), new)
        for rows in (fresh, kept):
            if rows:
                chosen = update(LATEST).where(LATEST.c.site == bindparam("of_site"))
                self.connection.execute(chosen, [{**row, "of_site": row["site"]} for row in rows])
        by_minute: dict[int, dict[int, list[Report]]] = defaultdict(lambda: defaultdict(list))
        for report, _, live in heard:
            if live:
                by_minute[report.at // MINUTE_SECONDS][report.site].append(report)
        for minute, by_site in by_minute.items():
            self._in_minute(minute, by_site)

    def _in_minute(self, minute: int, by_site: Mapping[int, Sequence[Report]]) -> None:
        query = select(MINUTES).where(MINUTES.c.minute == minute, MINUTES.c.site.in_(by_site))
        before = {row.site: row for row in self.connection.execute(query)}
        rows = [
            _minute_row(site, minute, before.get(site), reports)
            for site, reports in by_site.items()
        ]
        new = [row for row in rows if row["site"] not in before]
        if new:
            self.connection.execute(insert(MINUTES), new)
        if len(new) < len(rows):
            chosen = update(MINUTES).where(
                MINUTES.c.minute == minute, MINUTES.c.site == bindparam("of_site")
            )
            self.connection.execute(
                chosen,
                [{**row, "of_site": row["site"]} for row in rows if row["site"] in before],
            )

    def linked(self, sites: Mapping[int, bool]) -> None:
        """Keep which sites the broker holds a connection of."""
        for linked in (True, False):
            chosen = [site for site, is_linked in sites.items() if is_linked is linked]
            if chosen:
                self.connection.execute(
                    update(LATEST).where(LATEST.c.site.in_(chosen)).values(linked=linked)
                )

    def sent(self, sent: Sequence[Sent]) -> None:
        """Keep instructions that are about to go out."""
        if sent:
            self.connection.execute(insert(INSTRUCTIONS), [_sent_row(each) for each in sent])

    def answered(self, answers: Iterable[tuple[Answer, str]], at: int) -> list[Answer]:
        """Keep answers, each with what it is of; say in the trail what is new, and return it."""
        taken: list[Answer] = []
        followed: list[Answer] = []
        for answer, of in answers:
            here = and_(
                INSTRUCTIONS.c.site == answer.site,
                INSTRUCTIONS.c.sequence == answer.sequence,
                INSTRUCTIONS.c.of == of,
            )
            row = self.connection.execute(select(INSTRUCTIONS).where(here)).first()
            if row is None:
                continue
            new: dict[str, Any] = {}
            if row.answered_at is None:
                outcome = Outcome.TAKEN if answer.taken else Outcome.REFUSED
                new = {
                    "state": outcome.value,
                    "answered_at": answer.at,
                    "refused": answer.refused,
                }
                taken.append(answer)
            if answer.changed_at is not None and row.changed_at is None:
                new["changed_at"] = answer.changed_at
                followed.append(answer)
            if new:
                self.connection.execute(update(INSTRUCTIONS).where(here).values(new))
        if taken:
            said = [[each.site, each.sequence, each.refused] for each in taken]
            trail.added(self.connection, "answered", {"answers": said}, at)
        if followed:
            changes = [[each.site, each.sequence, each.changed_at] for each in followed]
            trail.added(self.connection, "followed", {"changes": changes}, at)
        return [*taken, *(each for each in followed if each not in taken)]

    def expire(self, now: int) -> list[Sent]:
        """Close the open instructions that have expired, say so in the trail, return them."""
        late = and_(INSTRUCTIONS.c.state == Outcome.OPEN.value, INSTRUCTIONS.c.expires_at < now)
        found = [
            sent_from(row) for row in self.connection.execute(select(INSTRUCTIONS).where(late))
        ]
        if found:
            self.connection.execute(
                update(INSTRUCTIONS).where(late).values(state=Outcome.EXPIRED.value)
            )
            said = [[each.instruction.site, each.instruction.sequence] for each in found]
            trail.added(self.connection, "expired", {"instructions": said}, now)
        return found

    def note(self, kind: str, content: object, at: int) -> trail.Entry:
        """Add an entry to the audit trail."""
        return trail.added(self.connection, kind, content, at)

    def thin(self, now: int) -> int:
        """Make minutes of days ago one row a half hour, drop the oldest; return how many went."""
        old = (now - KEPT_MINUTES_DAYS * 86_400) // SLOT_SECONDS * _SLOT_MINUTES
        oldest = (now - KEPT_HALF_HOURS_DAYS * 86_400) // MINUTE_SECONDS
        gone = self.connection.execute(delete(MINUTES).where(MINUTES.c.minute < oldest)).rowcount
        within = MINUTES.c.minute % _SLOT_MINUTES != 0
        crowded = (
            select(MINUTES.c.site, (MINUTES.c.minute // _SLOT_MINUTES).label("slot"))
            .where(MINUTES.c.minute < old, within)
            .distinct()
            .limit(5_000)
        )
        # Integer division differs between databases, so the half hour is taken here.
        for site, slot in {(site, int(slot)) for site, slot in self.connection.execute(crowded)}:
            gone += self._as_half_hour(site, slot)
        return gone

    def _as_half_hour(self, site: int, slot: int) -> int:
        first = slot * _SLOT_MINUTES
        span = and_(
            MINUTES.c.site == site,
            MINUTES.c.minute >= first,
            MINUTES.c.minute < first + _SLOT_MINUTES,
        )
        rows = self.connection.execute(select(MINUTES).where(span).order_by(MINUTES.c.minute)).all()
        whole = dict(rows[-1]._mapping)
        for name in MEANS:
            known = [row._mapping[name] for row in rows if row._mapping[name] is not None]
            whole[name] = sum(known) / len(known) if known else None
        whole |= {"minute": first, "reports": sum(row.reports for row in rows)}
        self.connection.execute(delete(MINUTES).where(span))
        self.connection.execute(insert(MINUTES).values(whole))
        return len(rows) - 1


def _minute_row(site: int, minute: int, before: Any, reports: Sequence[Report]) -> dict[str, Any]:
    count, last = before.reports if before is not None else 0, reports[-1]
    means = {
        name: _mean_after(
            before._mapping[name] if before is not None else None,
            count,
            [getattr(each, name) for each in reports],
        )
        for name in MEANS
    }
    return means | {
        "site": site,
        "minute": minute,
        "reports": count + len(reports),
        "stored_wh": last.stored_wh,
        "following": last.following.value,
        "call": last.call,
    }


def _mean_after(before: float | None, count: int, values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return before
    if before is None or not count:
        return sum(known) / len(known)
    return (before * count + sum(known)) / (count + len(known))


def _latest_row(report: Report, heard_at: float) -> dict[str, Any]:
    row = {name: getattr(report, name) for name in REPORTED}
    return row | {
        "heard_at": heard_at,
        "following": report.following.value,
        "alarms": json.dumps(report.alarms, ensure_ascii=False),
    }


def _sent_row(sent: Sent) -> dict[str, Any]:
    told = sent.instruction
    return {
        "site": told.site,
        "sequence": told.sequence,
        "action": told.action.value,
        "starts_at": told.starts_at,
        "ends_at": told.ends_at,
        "expires_at": told.expires_at,
        "power_w": told.power_w,
        "plan_wh": json.dumps(told.plan_wh),
        "call": told.call,
        "trail": sent.trail,
        "made_at": sent.made_at,
        "by": sent.by,
        "why": sent.why,
        "envelope": sent.envelope,
        "of": sent.of,
        "state": sent.outcome.value,
        "answered_at": sent.answer and sent.answer.at,
        "refused": sent.answer.refused if sent.answer else "",
        "changed_at": sent.answer and sent.answer.changed_at,
    }
