"""What a terminal's outbox says: readings and where they are, what is missing, what was wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from energy.units import SLOT_SECONDS, start_of
from oracle.outbox import Entry, Episode, Outbox, State

RECENT_SECONDS = 86_400


@dataclass(frozen=True)
class Status:
    """The state of an outbox; incidents and absences are those of its last day."""

    last_sample_seconds: int | None
    tally: dict[State, int]
    latest: list[Entry]
    refused: list[Entry]
    waiting: list[int]
    absent: list[tuple[int, str]]
    incidents: list[Episode]

    def to_json(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        return {
            "last_sample_seconds": self.last_sample_seconds,
            "readings": {state.value: number for state, number in self.tally.items()},
            "latest": [_entry(entry) for entry in self.latest],
            "refused": [_entry(entry) for entry in self.refused],
            "waiting": self.waiting,
            "absent": [{"slot": slot, "reason": reason} for slot, reason in self.absent],
            "incidents": [
                {
                    **each.incident._asdict(),
                    "first_seconds": each.first_seconds,
                    "last_seconds": each.last_seconds,
                    "times": each.times,
                }
                for each in self.incidents
            ],
        }


def _entry(entry: Entry) -> dict[str, object]:
    reading = entry.reading
    return {
        **asdict(reading),
        "half_hour": named(reading.slot),
        "quality": quality_of(entry),
        "state": entry.state.value,
        "remark": entry.remark,
        "late": entry.late,
    }


def named(slot: int) -> str:
    """Return a slot's beginning in Japan, as commands take it.

    >>> named(0)
    '1970-01-01 09:00'
    """
    return f"{start_of(slot):%Y-%m-%d %H:%M}"


def quality_of(entry: Entry) -> str:
    """Return a reading's quality in words."""
    return (entry.reading.quality.name or "MEASURED").lower().replace("|", ", ")


def status_of(outbox: Outbox, slots: int) -> Status:
    """Return the status, with so many of the latest readings."""
    last = outbox.last_sample_seconds()
    since = (last or 0) - RECENT_SECONDS
    return Status(
        last,
        outbox.tally(),
        outbox.latest(slots),
        outbox.entries(State.REFUSED),
        outbox.open_slots((last or 0) // SLOT_SECONDS),
        outbox.absences(since // SLOT_SECONDS),
        outbox.incidents_since(since),
    )
