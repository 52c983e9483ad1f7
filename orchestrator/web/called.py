"""Balancing calls as the pages read them: what each wanted of a site's battery, half hour by half
hour.

The market's contracts keep no calls. A replay leaves them in `calls.json` beside the store; a
control room keeps them in a store of their own.

Energy in Wh, times in unix seconds; what leaves a battery is positive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine

from energy.units import SLOT_SECONDS
from orchestrator.replay.asked import Asked, asked_at
from vpp.calls.call import Call
from vpp.calls.kept import Share
from vpp.calls.store import CallStore

Origin = Path | Engine
"""Where calls are kept: the file that a replay leaves, or a control room's store of calls."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call, and what it wanted of a site's battery besides its plan, by half hour."""

    call: Call
    by_slot: Mapping[int, int]
    planned: Mapping[int, int]
    """What the battery was planned to give without it, as far as that was kept."""


def wanted_of(kept: Origin | None, site: int, slots: range) -> list[Wanted]:
    """Return the calls that wanted something of a site's battery in some slots, in order of time.

    Raises:
        SettingError: if the file is not one of calls.
        StoreError: if the store does not answer.
    """
    if kept is None:
        return []
    if isinstance(kept, Path):
        found = [(one.call, *_of_file(one, site)) for one in _read(kept, _written_at(kept))]
    else:
        store = CallStore(kept)
        calls = [each.call for each in store.calls() if each.call.touches(slots)]
        found = [
            (
                call,
                _of_shares(store.shares(call.name), site),
                {slot: wh for (one, slot), wh in store.plans(call.name).items() if one == site},
            )
            for call in calls
        ]
    wanted = [
        Wanted(call, {slot: wh for slot, wh in by_slot.items() if wh and slot in slots}, planned)
        for call, by_slot, planned in found
    ]
    return sorted(
        (one for one in wanted if one.by_slot), key=lambda one: (one.call.starts_at, one.call.name)
    )


def planned_for(kept: Origin | None) -> list[Call]:
    """Return the calls that a replay's plans kept energy for: a control room's sites plan without
    them.

    Raises:
        SettingError: if the file is not one of calls.
    """
    if not isinstance(kept, Path):
        return []
    return [one.call for one in _read(kept, _written_at(kept))]


def changed_at(kept: Origin | None) -> float:
    """Return when a file was last written, unix seconds; 0 if there is none."""
    return _written_at(kept) if isinstance(kept, Path) else 0.0


def _written_at(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


@lru_cache(maxsize=4)
def _read(path: Path, written_at: float) -> tuple[Asked, ...]:
    return tuple(asked_at(path)) if written_at else ()


def _of_file(one: Asked, site: int) -> tuple[dict[int, int], dict[int, int]]:
    sign, slots = one.call.direction.sign, one.call.slots
    shares, planned = (one.shares or {}).get(site), one.planned.get(site)
    return (
        {slot: sign * wh for slot, wh in zip(slots, shares, strict=True)} if shares else {},
        dict(zip(slots, planned, strict=True)) if planned else {},
    )


def _of_shares(shares: Iterable[Share], site: int) -> dict[int, int]:
    """Return the energy of a site's shares: a share counts in a slot for as long as it held."""
    watt_seconds: Counter[int] = Counter()
    for share in shares:
        if share.site != site:
            continue
        first, end = share.starts_at // SLOT_SECONDS, -(-share.ends_at // SLOT_SECONDS)
        for slot in range(first, end):
            begin = max(share.starts_at, slot * SLOT_SECONDS)
            held = min(share.ends_at, (slot + 1) * SLOT_SECONDS) - begin
            watt_seconds[slot] += share.power_w * max(held, 0)
    return {slot: round(total / 3600) for slot, total in watt_seconds.items()}
