"""A file of balancing calls: a JSON list, read here for whoever plays them or reports on them.

An entry is a call as it is posted to a control room (`vpp.calls.document`), with the moment at
which it came as `received` where that is not three hours before its beginning; or one as
`calls.json` keeps it. Either may say, by site, in Wh for each half hour of the call, out of the
battery above 0:

    [{"name": "evening-1", "direction": "up", "steps": [[1559286000, 1559289600, 10000]], ...,
      "shares": {"6": [5000, 5000]}, "planned_wh": {"6": [1200, 0]}, "given_wh": {"6": [5000, 0]}}]
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from energy.errors import SettingError
from vpp.calls.call import Call
from vpp.calls.document import from_json, in_words, posted

FILE = "calls.json"
NOTICE_SECONDS = 3 * 3600
"""How long before its beginning a call comes, where its document does not say."""
KEPT = ("shares", "planned_wh", "given_wh")
"""What is kept of a call by site."""
_RECEIVED = "received"
_BySite = dict[Annotated[int, Field(ge=0)], list[int]]


class _Extras(BaseModel):
    shares: _BySite | None = None
    planned_wh: _BySite = {}
    given_wh: _BySite = {}


@dataclass(frozen=True)
class Asked:
    """A call, what each site was to give of it, what batteries were planned to do without it, and
    by how much they exceeded that; `shares` are None where the file does not say, and empty where
    nobody could serve it."""

    call: Call
    shares: Mapping[int, Sequence[int]] | None
    planned: Mapping[int, Sequence[int]]
    given: Mapping[int, Sequence[int]]

    def sites(self, batteries: Collection[int]) -> set[int]:
        """Return the sites that serve it: those with a battery where the file does not say."""
        if self.shares is not None:
            return {*self.shares, *self.planned}
        return set(self.planned) or set(batteries)


def asked_at(path: Path) -> list[Asked]:
    """Read a file of calls.

    Raises:
        SettingError: if it is none, with the entry and what is wrong in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} must be a list of calls, got {error}") from error
    return asked_in(text, str(path))


def asked_in(text: str, source: str) -> list[Asked]:
    """Return the calls of a text, in its order.

    Raises:
        SettingError: naming the source, and the entry, from 1 on, and value that is wrong.
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise SettingError(f"{source} must be JSON, got {error}") from error
    if not isinstance(entries, list):
        raise SettingError(f"{source} must be a list of calls, got {entries!r:.60}")
    found: dict[str, Asked] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            one = _asked(entry)
        except ValidationError as error:
            raise SettingError(f"{source}, call {number}: {in_words(error)}") from error
        except (SettingError, LookupError, TypeError, ValueError) as error:
            raise SettingError(f"{source}, call {number}: {error}") from error
        if one.call.name in found:
            raise SettingError(f"{source}, call {number}: {one.call.name} must be named once")
        found[one.call.name] = one
    return list(found.values())


def calls_in(text: str, source: str, slots: range) -> list[Call]:
    """Return the calls of a text that touch some slots.

    Raises:
        SettingError: as `asked_in`.
    """
    return [one.call for one in asked_in(text, source) if one.call.touches(slots)]


def _asked(entry: Any) -> Asked:
    extras = _Extras()
    if isinstance(entry, Mapping):
        extras = _Extras.model_validate({name: entry[name] for name in KEPT if name in entry})
        entry = {name: value for name, value in entry.items() if name not in KEPT}
    call = _call(entry)
    for name in KEPT:
        for site, values in (getattr(extras, name) or {}).items():
            if len(values) != len(call.slots):
                raise SettingError(
                    f"{name} of site {site} must have a value for each of "
                    f"{len(call.slots)} half hours, got {len(values)}"
                )
    return Asked(call, extras.shares, extras.planned_wh, extras.given_wh)


def _call(entry: Any) -> Call:
    if isinstance(entry, Mapping) and "steps" in entry:
        return from_json(entry)
    if not isinstance(entry, Mapping) or _RECEIVED not in entry:
        call = posted(entry, 0)
        return replace(call, received_at=call.starts_at - NOTICE_SECONDS)
    content = {name: value for name, value in entry.items() if name != _RECEIVED}
    moment = datetime.fromisoformat(entry[_RECEIVED])
    if moment.tzinfo is None:
        raise SettingError(f"received must say its time zone, got {entry[_RECEIVED]!r}")
    return posted(content, int(moment.timestamp()))
