"""Where calls are kept: all that a control room needs to go on where it was killed.

Any number of processes may read; the control room writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Engine, bindparam, delete, func, insert, select, update

from chain.database import opened, reading, writing
from energy.errors import SettingError
from energy.units import SLOT_SECONDS, day_of
from vpp.calls.call import Call, State
from vpp.calls.document import from_json, to_json
from vpp.calls.kept import Entry, Kept, Minute, Share, Told
from vpp.calls.tables import CALLS, JOURNAL, MINUTES, PLANS, SENT, SHARES, STEPS, TOLD
from vpp.commands import Answer, Instruction, Report


class CallStore:
    """The calls in a database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def at(cls, url: str, durable: bool = True) -> CallStore:
        """Open the store at a path or URL, made if need be; a durable one survives a power cut.

        Raises:
            SettingError, StoreError: as `chain.database.opened`.
        """
        return cls(opened(url, STEPS, durable))

    def add(self, call: Call, now: int) -> None:
        """Keep a new call, or a new version of one.

        Raises:
            SettingError: if there is another call of that name.
        """
        row = {
            "name": call.name,
            "state": State.ACCEPTED.value,
            "changed_at": now,
            "external": call.external,
            "document": json.dumps(to_json(call)),
        }
        with writing(self.engine) as connection:
            external = connection.scalar(select(CALLS.c.external).where(CALLS.c.name == call.name))
            if external is None:
                connection.execute(insert(CALLS).values(row))
            elif external and external == call.external:
                connection.execute(update(CALLS).where(CALLS.c.name == call.name).values(row))
            else:
                raise SettingError(f"a call's name must be new, got {call.name} again")

    def set_state(self, name: str, state: State, now: int) -> None:
        """Say how far a call is."""
        values = {"state": state.value, "changed_at": now}
        with writing(self.engine) as connection:
            connection.execute(update(CALLS).where(CALLS.c.name == name).values(values))

    def calls(self) -> list[Kept]:
        """Return every call, in the order in which they begin."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(CALLS)).all()
        return sorted(map(_kept, rows), key=lambda each: (each.call.starts_at, each.call.rank))

    def live(self) -> list[Kept]:
        """Return the calls that sites still have to do with, the first in rank first."""
        states = [state.value for state in State if state.is_live]
        with reading(self.engine) as connection:
            rows = connection.execute(select(CALLS).where(CALLS.c.state.in_(states))).all()
        return sorted(map(_kept, rows), key=lambda each: each.call.rank)

    def call(self, name: str) -> Kept:
        """Return a call.

        Raises:
            SettingError: if there is none of that name.
        """
        with reading(self.engine) as connection:
            row = connection.execute(select(CALLS).where(CALLS.c.name == name)).first()
        if row is None:
            raise SettingError(f"a call must be one that was received, got {name!r}")
        return _kept(row)

    def shares(self, name: str) -> list[Share]:
        """Return who was, and is, to give how much, in the order of time."""
        query = select(SHARES).where(SHARES.c.call == name)
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(SHARES.c.starts_at, SHARES.c.site)).all()
        return [Share(row.site, row.starts_at, row.ends_at, row.power_w) for row in rows]

    def set_shares(self, name: str, now: int, shares: Iterable[Share]) -> None:
        """Say who is to give how much from now on; what was until now stays."""
        mine = SHARES.c.call == name
        rows = [
            {
                "call": name,
                "site": each.site,
                "starts_at": each.starts_at,
                "ends_at": each.ends_at,
                "power_w": each.power_w,
            }
            for each in shares
        ]
        with writing(self.engine) as connection:
            connection.execute(delete(SHARES).where(mine, SHARES.c.starts_at >= now))
            connection.execute(
                update(SHARES).where(mine, SHARES.c.ends_at > now).values(ends_at=now)
            )
            if rows:
                connection.execute(insert(SHARES), rows)

    def days_served(self, but: str) -> dict[int, set[date]]:
        """Return the days on which each site served another call than the one named."""
        query = select(SHARES).where(SHARES.c.call != but, SHARES.c.ends_at > SHARES.c.starts_at)
        found: dict[int, set[date]] = {}
        with reading(self.engine) as connection:
            for row in connection.execute(query):
                slots = range(row.starts_at // SLOT_SECONDS, -(-row.ends_at // SLOT_SECONDS))
                found.setdefault(row.site, set()).update(map(day_of, slots))
        return found

    def telling(self, instructions: Sequence[Instruction], now: int) -> None:
        """Keep instructions before they are sent."""
        rows = [
            {
                "sequence": each.sequence,
                "site": each.site,
                "call": each.call,
                "starts_at": each.starts_at,
                "ends_at": each.ends_at,
                "power_w": each.power_w,
                "sent_at": now,
            }
            for each in instructions
        ]
        if rows:
            with writing(self.engine) as connection:
                connection.execute(insert(TOLD), rows)

    def answered(self, answers: Iterable[Answer]) -> None:
        """Keep what sites answered."""
        with writing(self.engine) as connection:
            for each in answers:
                connection.execute(
                    update(TOLD)
                    .where(TOLD.c.sequence == each.sequence, TOLD.c.site == each.site)
                    .values(answered_at=each.at, refused=each.refused, changed_at=each.changed_at)
                )

    def changed(self, told: Told, at: float) -> None:
        """Keep when a site's power was first seen to follow."""
        with writing(self.engine) as connection:
            connection.execute(
                update(TOLD)
                .where(TOLD.c.sequence == told.sequence, TOLD.c.site == told.site)
                .values(changed_at=at)
            )

    def told(self, name: str | None = None) -> list[Told]:
        """Return the instructions of a call, or of all, in the order in which they were sent."""
        query = select(TOLD) if name is None else select(TOLD).where(TOLD.c.call == name)
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(TOLD.c.sequence)).all()
        return [Told(**row._mapping) for row in rows]

    def told_lately(self, now: int) -> dict[int, list[Told]]:
        """Return the instructions whose time is not over, by site, in the order they were sent."""
        query = select(TOLD).where(TOLD.c.ends_at > now).order_by(TOLD.c.sequence)
        found: dict[int, list[Told]] = {}
        with reading(self.engine) as connection:
            for row in connection.execute(query):
                found.setdefault(row.site, []).append(Told(**row._mapping))
        return found

    def last_sequence(self) -> int:
        """Return the highest sequence that was used; 0 before the first."""
        with reading(self.engine) as connection:
            return connection.scalar(select(func.max(TOLD.c.sequence))) or 0

    def plan(self, name: str, planned_wh: Mapping[tuple[int, int], int]) -> None:
        """Keep what was planned, by (site, slot), of sites that had nothing kept for the call."""
        with writing(self.engine) as connection:
            query = select(PLANS.c.site).where(PLANS.c.call == name)
            known = set(connection.scalars(query))
            rows = [
                {"call": name, "site": site, "slot": slot, "battery_wh": wh}
                for (site, slot), wh in planned_wh.items()
                if site not in known
            ]
            if rows:
                connection.execute(insert(PLANS), rows)

    def plans(self, name: str) -> dict[tuple[int, int], int]:
        """Return what was planned, by (site, slot)."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(PLANS).where(PLANS.c.call == name)).all()
        return {(row.site, row.slot): row.battery_wh for row in rows}

    def sample(self, reports: Iterable[Report], now: int) -> None:
        """Add what sites report to the minute that runs."""
        rows = [
            {"of_site": each.site} | {f"more_{name}": getattr(each, name) or 0 for name in _POWERS}
            for each in reports
        ]
        if not rows:
            return
        minute = now // 60
        added: dict[str, Any] = {
            name: MINUTES.c[name] + bindparam(f"more_{name}") for name in _POWERS
        }
        here = (MINUTES.c.site == bindparam("of_site")) & (MINUTES.c.minute == minute)
        with writing(self.engine) as connection:
            begun = set(
                connection.scalars(select(MINUTES.c.site).where(MINUTES.c.minute == minute))
            )
            old = [row for row in rows if row["of_site"] in begun]
            new = [
                {"site": row["of_site"], "minute": minute, "samples": 1}
                | {name: row[f"more_{name}"] for name in _POWERS}
                for row in rows
                if row["of_site"] not in begun
            ]
            if old:
                statement = update(MINUTES).where(here)
                connection.execute(statement.values(samples=MINUTES.c.samples + 1, **added), old)
            if new:
                connection.execute(insert(MINUTES), new)

    def minutes(self, sites: Iterable[int], starts_at: int, ends_at: int) -> list[Minute]:
        """Return what sites reported in the minutes of a time, by minute and site."""
        query = select(MINUTES).where(
            MINUTES.c.site.in_(list(sites)),
            MINUTES.c.minute >= starts_at // 60,
            MINUTES.c.minute < -(-ends_at // 60),
        )
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(MINUTES.c.minute, MINUTES.c.site)).all()
        return [
            Minute(
                row.site,
                row.minute,
                row.samples,
                row.battery_w / row.samples,
                row.imported_w / row.samples,
                row.generated_w / row.samples,
            )
            for row in rows
        ]

    def write(self, call: str, now: int, event: str, detail: str = "", site: Any = None) -> None:
        """Add a line to a call's journal."""
        with writing(self.engine) as connection:
            connection.execute(
                insert(JOURNAL).values(call=call, at=now, event=event, site=site, detail=detail)
            )

    def journal(self, name: str) -> list[Entry]:
        """Return a call's journal."""
        query = select(JOURNAL).where(JOURNAL.c.call == name).order_by(JOURNAL.c.number)
        with reading(self.engine) as connection:
            rows = connection.execute(query).all()
        return [Entry(row.call, row.at, row.event, row.site, row.detail) for row in rows]

    def reported(self, name: str) -> dict[str, str]:
        """Return what the caller was reported of a call: the reports' ids by their names."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(SENT).where(SENT.c.call == name)).all()
        return {row.report: row.id for row in rows}

    def set_reported(self, name: str, report: str, identity: str, now: int) -> None:
        """Keep that the caller was reported something."""
        mine = (SENT.c.call == name) & (SENT.c.report == report)
        with writing(self.engine) as connection:
            connection.execute(delete(SENT).where(mine))
            connection.execute(insert(SENT).values(call=name, report=report, id=identity, at=now))


_POWERS = ("battery_w", "imported_w", "generated_w")


def _kept(row: Any) -> Kept:
    return Kept(from_json(json.loads(row.document)), State(row.state), row.changed_at)
