"""What a site was told and how far it is, on disk before it acts: it survives a kill.

    standing   what the control room said and is not over
    owner      the owner's stop and override; `yui vpp override` writes it, the daemon reads it
    ledger     the half hour so far, with the counter at its start
    slots      what each half hour should have brought, and did

One writer of each; SQLite keeps them apart (WAL). A disk that does not take something raises
`StoreError`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from energy.errors import SettingError, StoreError
from vpp.commands import Action, Instruction
from vpp.dispatch.ledger import Ledger
from vpp.dispatch.standing import Override, Standing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS slots (
    slot INTEGER PRIMARY KEY, planned_wh REAL, called_wh REAL NOT NULL,
    delivered_wh REAL NOT NULL, known INTEGER NOT NULL
);
"""
KEEP_SLOTS = 48 * 400


@dataclass(frozen=True, slots=True)
class SlotResult:
    """What left the battery in a half hour, and what should have."""

    slot: int
    planned_wh: float | None
    called_wh: float
    delivered_wh: float
    known: bool
    """Whether it was followed and measured from its start to its end."""

    @property
    def missed_wh(self) -> float | None:
        """Delivered less planned and called; None without a plan."""
        if self.planned_wh is None:
            return None
        return self.delivered_wh - self.planned_wh - self.called_wh


@dataclass(frozen=True, slots=True)
class Owner:
    """What the owner said at the site."""

    stopped: bool = False
    override: Override | None = None


class Store:
    """A site's state on disk.

    Raises:
        SettingError: if the file cannot be opened, or is none of its kind.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        try:
            self._database = sqlite3.connect(path, timeout=5.0, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise SettingError(f"{path} must be a dispatch state file, got: {error}") from error

    @classmethod
    def copied(cls, path: Path) -> Store:
        """Return a copy, in memory, of the state at a path; an empty one if there is none."""
        copy = cls(":memory:")
        if path.exists():
            whole = cls(path)
            whole._database.backup(copy._database)
            whole.close()
        return copy

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # The control room's word.

    def standing(self) -> Standing:
        """Return what the control room said, without what the owner did."""
        held = self._get("standing")
        if held is None:
            return Standing()
        told = [_instruction(each) for each in held["told"]]
        return Standing(
            sequence=held["sequence"],
            stopped=held["stopped"],
            told={each.action: each for each in told},
            plans=tuple(map(_instruction, held["plans"])),
        )

    def keep_standing(self, standing: Standing) -> None:
        """Keep what the control room said."""
        self._set(
            "standing",
            {
                "sequence": standing.sequence,
                "stopped": standing.stopped,
                "told": [_plain(each) for each in standing.told.values()],
                "plans": [_plain(each) for each in standing.plans],
            },
        )

    # The owner's word.

    def owner(self) -> Owner:
        """Return what the owner said."""
        held = self._get("owner")
        if held is None:
            return Owner()
        override = held["override"]
        return Owner(held["stopped"], Override(**override) if override else None)

    def keep_owner(self, owner: Owner) -> None:
        """Keep what the owner said."""
        override = asdict(owner.override) if owner.override else None
        self._set("owner", {"stopped": owner.stopped, "override": override})

    @property
    def version(self) -> int:
        """A number that changes when another process has written."""
        (version,) = self._asked("PRAGMA data_version")[0]
        return int(version)

    # The half hours.

    def ledger(self) -> Ledger | None:
        """Return the half hour that was last kept."""
        held = self._get("ledger")
        return None if held is None else Ledger(**held)

    def keep_ledger(self, ledger: Ledger) -> None:
        """Keep a half hour so far."""
        self._set("ledger", asdict(ledger))

    def keep_slot(self, result: SlotResult) -> None:
        """Keep what came of a half hour."""
        row = asdict(result)
        self._execute(
            "INSERT OR REPLACE INTO slots VALUES"
            " (:slot, :planned_wh, :called_wh, :delivered_wh, :known)",
            row,
        )
        self._execute("DELETE FROM slots WHERE slot < ?", (result.slot - KEEP_SLOTS,))

    def slots(self, number: int = 48) -> list[SlotResult]:
        """Return the latest half hours, oldest first."""
        rows = self._asked(
            "SELECT slot, planned_wh, called_wh, delivered_wh, known FROM slots"
            " ORDER BY slot DESC LIMIT ?",
            (number,),
        )
        return [
            SlotResult(slot, planned, called, delivered, bool(known))
            for slot, planned, called, delivered, known in reversed(rows)
        ]

    def _get(self, name: str) -> Any:
        rows = self._asked("SELECT value FROM state WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def _set(self, name: str, value: Mapping[str, Any]) -> None:
        self._execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, json.dumps(value)))

    def _asked(self, text: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._database.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} must tell what is kept, got: {error}") from error

    def _execute(self, text: str, values: tuple[Any, ...] | dict[str, Any]) -> None:
        try:
            self._database.execute(text, values)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} must take what is kept, got: {error}") from error


def _plain(instruction: Instruction) -> dict[str, Any]:
    return {**asdict(instruction), "action": instruction.action.value}


def _instruction(plain: Mapping[str, Any]) -> Instruction:
    return Instruction(
        **{**plain, "action": Action(plain["action"]), "plan_wh": tuple(plain["plan_wh"])}
    )
