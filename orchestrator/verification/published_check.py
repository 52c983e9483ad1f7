"""Whether published readings are what the chain has: day by day by their hash, and one by one.

`days.csv` beside them says of each day how many readings there are, the SHA-256 of all of them
(each in the 32 bytes in which the chain logs it, by slot, site and revision), and the root of
origins that the sites attested; `figures.json` says of which chain and block. A block's hash stands
for all that was before it: a reader with a chain of that hash has the readings that were published,
or finds the one that is not.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

from chain.events import Corrected, ReadingMissed, ReadingPosted, Settled, market_events
from chain.node import NodeChain
from chain.origin import RootAttested, origin_events
from chain.recorded import RecordedChain
from energy.attestation import date_of
from energy.errors import AuditError, SettingError
from energy.reason import reason_of
from energy.records import Quality, Reading
from energy.units import day_of, half_hour

READINGS_FILE, DAYS_FILE, FIGURES_FILE = "readings.csv.gz", "days.csv", "figures.json"
DAY_COLUMNS = ("day", "readings", "sha256", "root", "attesting")
COLUMNS = tuple(field.name for field in fields(Reading))
_Key = tuple[int, int, int]
"""Slot, site, revision."""


@dataclass(frozen=True)
class Day:
    """A day's readings, hashed, and its root with how many sites attest it; none without one."""

    day: date
    readings: int
    sha256: str
    root: str
    attesting: int


@dataclass(frozen=True)
class Checked:
    """What was held against the chain."""

    readings: int
    days: int
    roots: int
    block: int


def days_of(readings: Iterable[Reading], roots: Mapping[date, Sequence[bytes]]) -> list[Day]:
    """Return the days of readings in the order of slots; `roots` are what the sites attest."""
    found = []
    for day, group in groupby(readings, key=lambda reading: day_of(reading.slot)):
        each = list(group)
        attested = roots.get(day, ())
        # Where they differ, none stands.
        root = attested[0] if len(set(attested)) == 1 else b""
        count = len(attested) if root else 0
        found.append(Day(day, len(each), _digest(each), root.hex(), count))
    return found


def checked(folder: Path, chain: NodeChain | RecordedChain) -> Checked:
    """Hold a folder's readings and days against its chain.

    Raises:
        SettingError: if a file is not there, or no such file.
        AuditError: at the first thing that differs: a day's hash, the chain, a reading, a root.
    """
    readings, said = _readings_in(folder / READINGS_FILE), _days_in(folder / DAYS_FILE)
    hashed = {day.day: day for day in days_of(readings, {})}
    listed = {day.day: day for day in said}
    for day in sorted({*hashed, *listed}):
        _agree(day, listed.get(day), hashed.get(day))
    source = _chain_in(folder / FIGURES_FILE)
    if chain.height() < source.block or chain.block_hash(source.block).hex() != source.hash:
        got = chain.block_hash(min(source.block, chain.height())).hex()
        raise AuditError(
            f"block {source.block} of the report's chain must have hash 0x{source.hash}, "
            f"got 0x{got}"
        )
    logged, roots = _logged(chain, source)
    _compare({_key(one): one for one in readings}, logged)
    for wanted, found in zip(said, days_of(readings, roots), strict=True):
        if wanted != found:
            raise AuditError(
                f"{DAYS_FILE}: {wanted.day} must be as on the chain: root {found.root or 'none'} "
                f"by {found.attesting} sites, got {wanted.root or 'none'} by {wanted.attesting}"
            )
    return Checked(len(readings), len(said), sum(bool(day.root) for day in said), source.block)


@dataclass(frozen=True)
class _Source:
    """The chain that a report is of, as it says: addresses, newest block, and the period."""

    market: str
    origin: str
    block: int
    hash: str
    slots: range


def _agree(day: date, said: Day | None, found: Day | None) -> None:
    """Demand that a day's readings are those that were hashed."""
    wanted, got = ((one.readings, one.sha256) if one else (0, "–") for one in (said, found))
    if wanted != got:
        raise AuditError(
            f"{READINGS_FILE}: {day} must have {wanted[0]} readings with SHA-256 {wanted[1]}, "
            f"got {got[0]} with {got[1]}"
        )


def reading_of(values: Sequence[int]) -> Reading:
    """Return the reading with the values of `COLUMNS`."""
    *plain, quality, revision = values
    slot, site, imported, exported, generated, charged, discharged, stored = plain
    flows = imported, exported, generated, charged, discharged, stored
    return Reading(slot, site, *flows, Quality(quality), revision)


def _digest(readings: Iterable[Reading]) -> str:
    return sha256(b"".join(reading.to_bytes() for reading in readings)).hexdigest()


def _key(reading: Reading) -> _Key:
    return reading.slot, reading.site, reading.revision


def _logged(
    chain: NodeChain | RecordedChain, source: _Source
) -> tuple[dict[_Key, Reading], dict[date, list[bytes]]]:
    """Return the readings that the chain logged of the period's settled slots, and the roots that
    sites attest by day, up to the report's block."""
    found: dict[_Key, Reading] = {}
    settled: set[int] = set()
    logs = (log for _, log in chain.logs(source.market, 0, source.block))
    for event in market_events(logs):
        if isinstance(event, (ReadingPosted, ReadingMissed, Corrected)):
            found[_key(event.reading)] = event.reading
        elif isinstance(event, Settled) and event.slot in source.slots:
            settled.add(event.slot)
    attested: dict[date, dict[int, bytes]] = {}
    logs = (log for _, log in chain.logs(source.origin, 0, source.block))
    for each in origin_events(logs):
        if isinstance(each, RootAttested):
            attested.setdefault(date_of(each.day), {})[each.site] = each.root
    roots = {day: list(by_site.values()) for day, by_site in attested.items()}
    return {key: one for key, one in found.items() if key[0] in settled}, roots


def _compare(published: Mapping[_Key, Reading], logged: Mapping[_Key, Reading]) -> None:
    """Demand that the same readings are published and logged."""
    for key in sorted({*published, *logged}):
        told, real = published.get(key), logged.get(key)
        slot, site, revision = key
        which = f"site {site}, {day_of(slot)} {half_hour(slot)}, revision {revision}"
        if told is None:
            raise AuditError(f"{READINGS_FILE}: {which} must be there, as on the chain, got none")
        if real is None:
            raise AuditError(f"{READINGS_FILE}: {which} must be on the chain, got none there")
        for name in COLUMNS:
            if getattr(told, name) != getattr(real, name):
                raise AuditError(
                    f"{READINGS_FILE}: {which}: {name} must be {getattr(real, name)} as on the "
                    f"chain, got {getattr(told, name)}"
                )


def _readings_in(file: Path) -> list[Reading]:
    try:
        with gzip.open(file, "rt", encoding="ascii", newline="") as text:
            rows = csv.DictReader(text)
            return [reading_of([int(row[name]) for name in COLUMNS]) for row in rows]
    except (OSError, EOFError, LookupError, TypeError, ValueError) as error:
        raise SettingError(
            f"{file} must hold published readings, got {reason_of(error)}"
        ) from error


def _days_in(file: Path) -> list[Day]:
    try:
        with file.open(encoding="ascii", newline="") as text:
            return [
                Day(date.fromisoformat(day), int(count), digest, root, int(attesting))
                for day, count, digest, root, attesting in list(csv.reader(text))[1:]
            ]
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{file} must hold the hash of each day, got {reason_of(error)}"
        ) from error


def _chain_in(file: Path) -> _Source:
    try:
        stated: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        chain, (first, last) = stated["chain"], stated["slots"]
        pinned = chain["market"], chain["origin"], chain["block"], chain["hash"]
        return _Source(*pinned, range(first, last + 1))
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise SettingError(
            f"{file} must say which chain it is of, got {reason_of(error)}"
        ) from error
