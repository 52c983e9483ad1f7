"""A plan in a file: what leaves the battery in each half hour, for want of the control room's.

    {"starts_at": 1559574000, "plan_wh": [0, 0, -1500, 3000]}

`starts_at` is in unix seconds and begins a half hour; `plan_wh` in Wh, positive out of the battery.
The file is read again when it changes; write a new one beside it and rename it, as `write_plan`
does.
"""

from __future__ import annotations

import json
from pathlib import Path

from chain.files import write_whole
from energy.errors import SettingError
from energy.reason import reason_of
from energy.units import SLOT_SECONDS
from vpp.commands import Action, Instruction
from vpp.dispatch.limits import OwnerLimits


class PlanFile:
    """A plan file that may come, change and go."""

    def __init__(self, path: Path, site: int, limits: OwnerLimits) -> None:
        self.path = path
        self.site = site
        self.limits = limits
        self.plans: tuple[Instruction, ...] = ()
        self.trouble = ""
        self._seen: tuple[int, int] | None = None

    def read(self) -> bool:
        """Read the file if it has changed; return whether the plan did.

        A file that is wrong leaves no plan: what it meant is not known. `trouble` says why.
        """
        try:
            found = self.path.stat()
        except OSError:
            changed, self._seen = bool(self.plans or self.trouble), None
            self.plans, self.trouble = (), ""
            return changed
        if (found.st_mtime_ns, found.st_size) == self._seen:
            return False
        self._seen = (found.st_mtime_ns, found.st_size)
        try:
            plan = plan_from(self.path.read_text(encoding="utf-8"), self.site)
            if why := self.limits.refusal(plan):
                raise SettingError(why)
            self.plans, self.trouble = (plan,), ""
        except (OSError, ValueError, SettingError) as error:
            self.plans, self.trouble = (), f"{self.path} must be a plan, got: {error}"
        return True


def plan_from(text: str, site: int) -> Instruction:
    """Return the plan that a file's text holds.

    >>> plan_from('{"starts_at": 1800, "plan_wh": [500, -20]}', site=6).plan_wh
    (500, -20)

    Raises:
        SettingError: naming what is wrong.
    """
    try:
        held = json.loads(text)
        starts_at, plan_wh = held["starts_at"], held["plan_wh"]
    except (ValueError, TypeError, KeyError) as error:
        raise SettingError(f"it must have starts_at and plan_wh, got {reason_of(error)}") from None
    if not isinstance(starts_at, int) or starts_at % SLOT_SECONDS or starts_at <= 0:
        raise SettingError(f"starts_at must begin a half hour, in unix seconds, got {starts_at!r}")
    if not isinstance(plan_wh, list) or not plan_wh or not all(type(e) is int for e in plan_wh):
        raise SettingError(f"plan_wh must be a list of whole Wh, got {plan_wh!r}")
    return plan_of(site, starts_at, plan_wh)


def plan_of(site: int, starts_at: int, plan_wh: list[int]) -> Instruction:
    """Return a plan as an instruction: what leaves the battery in each half hour, Wh."""
    ends_at = starts_at + len(plan_wh) * SLOT_SECONDS
    return Instruction(site, 1, Action.PLAN, starts_at, ends_at, ends_at, plan_wh=tuple(plan_wh))


def plan_text(plan: Instruction) -> str:
    """Return a plan as a file holds it.

    >>> plan_text(plan_from('{"starts_at": 1800, "plan_wh": [500, -20]}', site=6))
    '{"starts_at": 1800, "plan_wh": [500, -20]}'
    """
    return json.dumps({"starts_at": plan.starts_at, "plan_wh": list(plan.plan_wh)})


def write_plan(path: Path, plan: Instruction) -> None:
    """Write a plan where dispatch reads it: whoever reads finds the old one whole, or the new one.

    Raises:
        OSError: if it cannot be written; the old one stays.
    """
    # Dispatch may run as another user. What is planned is no secret on its machine.
    write_whole(path, plan_text(plan) + "\n", mode=0o644)
