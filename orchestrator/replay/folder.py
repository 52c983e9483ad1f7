"""The folder of a replay: `replay.json` says what is replayed there, and no other may enter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from chain.files import write_whole
from energy.errors import SettingError
from orchestrator.replay.plan import Plan

FILE = "replay.json"
_SHOWN = 12


def claim(folder: Path, plan: Plan, digests: Mapping[str, str], may_go_on: bool) -> None:
    """Take a folder for a replay, or find that it is the folder's own.

    Two replays are the same if they are asked for the same and made of the same: files count by
    what is in them (`digests`), wherever they lie.

    Raises:
        SettingError: if it holds another replay, naming what differs; or if it must hold none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, wanted = folder / FILE, plan.to_json()
    if not file.exists():
        text = json.dumps({**wanted, "sha256": digests}, indent=2, ensure_ascii=False)
        write_whole(file, text + "\n")
        return
    if not may_go_on:
        raise SettingError(
            f"{folder} must hold no replay: one on a node cannot be gone on with; name another"
        )
    kept = json.loads(file.read_text(encoding="utf-8"))
    known = kept.get("sha256")
    if known is None:
        found = "one that does not say what it is made of"
    else:
        found = _other(kept, wanted, known, digests)
    if found:
        raise SettingError(
            f"{folder} must hold this replay or none, got {found}: name another folder"
        )


def _other(
    kept: Mapping[str, object],
    wanted: Mapping[str, object],
    known: Mapping[str, str],
    digests: Mapping[str, str],
) -> str:
    """Return in words how a replay that is kept differs from the one that is wanted."""
    for name, value in wanted.items():
        if name not in digests and kept.get(name) != value:
            return f"one whose {name} is {kept.get(name)!r}, not {value!r}"
    for name, digest in digests.items():
        was = known.get(name, "")
        if was != digest:
            return f"one made of other {name} (SHA-256 {_short(was)}, now {_short(digest)})"
    return ""


def _short(digest: str) -> str:
    return f"{digest[:_SHOWN]}..." if digest else "of none"
