"""What a site's owner allows, and what the battery has room for.

An instruction beyond the owner's limits is refused as a whole, with the value and the limit. What
was taken is bounded all the same by what device and state of charge allow at the moment.

Power in W, energy in Wh, states of charge in percent, hours in Japan time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from energy.errors import SettingError
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, half_hour, slot_of_day
from vpp.commands import Action, Instruction
from vpp.dispatch.device import BatteryShown

ALWAYS = frozenset({Action.STOP, Action.RESUME})
"""What no owner may forbid: the safe state, and the way back to what he allows."""
STEERING = frozenset(Action) - ALWAYS
ALL_DAY = frozenset(range(SLOTS_PER_DAY))
RETURN_SHARE = 0.005
"""After a limit of the state of charge was met, so much of the capacity must be free again."""


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """The owner's limits; `charge_w` and `discharge_w` are the most, both above 0."""

    charge_w: int
    discharge_w: int
    least_percent: float = 0.0
    most_percent: float = 100.0
    actions: frozenset[Action] = STEERING
    hours: frozenset[int] = field(default=ALL_DAY)
    """The half hours of the day (0 to 47, Japan time) in which others may steer."""
    grid_charging: bool = True

    def refusal(self, instruction: Instruction) -> str:
        """Return why an instruction is refused, naming value and limit; "" if it is not."""
        action = instruction.action
        if action in ALWAYS:
            return ""
        if action not in self.actions:
            allowed = ", ".join(sorted(each.value for each in self.actions)) or "nothing"
            return f"action must be one that the owner allows ({allowed}), got {action.value}"
        if action is Action.PLAN:
            return self._plan_refusal(instruction)
        if action is Action.LIMIT:
            return ""
        power_w = instruction.power_w
        if action is Action.CHARGE or (action is Action.CALL and power_w < 0):
            if abs(power_w) > self.charge_w:
                return _beyond("charging with", abs(power_w), self.charge_w, "W")
        elif power_w > self.discharge_w:
            return _beyond("discharging with", power_w, self.discharge_w, "W")
        return self._hours_refusal(instruction.starts_at, instruction.ends_at)

    def _plan_refusal(self, plan: Instruction) -> str:
        if plan.starts_at % SLOT_SECONDS:
            return f"a plan must begin with a half hour, got {plan.starts_at} s"
        for number, energy_wh in enumerate(plan.plan_wh):
            start = plan.starts_at + number * SLOT_SECONDS
            most_wh = (self.discharge_w if energy_wh > 0 else self.charge_w) * SLOT_SECONDS // 3600
            if abs(energy_wh) > most_wh:
                way = "discharging" if energy_wh > 0 else "charging"
                when = half_hour(start // SLOT_SECONDS)
                return _beyond(f"{way} from {when}", abs(energy_wh), most_wh, "Wh")
            if energy_wh and (why := self._hours_refusal(start, start + SLOT_SECONDS)):
                return why
        return ""

    def _hours_refusal(self, starts_at: int, ends_at: int) -> str:
        first, end = starts_at // SLOT_SECONDS, -(-ends_at // SLOT_SECONDS)
        for slot in range(first, min(end, first + SLOTS_PER_DAY)):
            if slot_of_day(slot) not in self.hours:
                return (
                    f"the hours must be those that the owner allows ({spelled(self.hours)}), "
                    f"got {half_hour(slot)}"
                )
        return ""

    def room(
        self, shown: BatteryShown, before: Room | None = None, surplus_w: int | None = None
    ) -> Room:
        """Return what the battery may be told now.

        A limit of the state of charge that was met holds until there is a little room again, so
        that nothing flutters about it. `surplus_w` is what the site has to spare, where charging
        from the network is not allowed and the device does not see to it.
        """
        charge_w = min(self.charge_w, shown.charge_w or self.charge_w)
        discharge_w = min(self.discharge_w, shown.discharge_w or self.discharge_w)
        if surplus_w is not None:
            charge_w = min(charge_w, max(surplus_w, 0))
        if shown.stored_wh is None or not shown.capacity_wh:
            return Room(0, 0)
        least_wh = max(shown.capacity_wh * self.least_percent / 100, shown.reserve_wh)
        above_wh = shown.stored_wh - least_wh
        below_wh = shown.capacity_wh * self.most_percent / 100 - shown.stored_wh
        again_wh = RETURN_SHARE * shown.capacity_wh
        is_empty = above_wh <= (again_wh if before is not None and before.empty else 0)
        is_full = below_wh <= (again_wh if before is not None and before.full else 0)
        return Room(
            0 if is_full else charge_w,
            0 if is_empty else discharge_w,
            empty=is_empty,
            full=is_full,
        )


@dataclass(frozen=True, slots=True)
class Room:
    """The most that a battery may be told to charge and to discharge with now."""

    charge_w: int
    discharge_w: int
    empty: bool = False
    full: bool = False

    def bounded(self, power_w: float) -> int:
        """Return the power within it."""
        return round(min(max(power_w, -self.charge_w), self.discharge_w))

    def narrowed(self, limit_w: int | None) -> Room:
        """Return the room under a limit of both."""
        if limit_w is None:
            return self
        return Room(
            min(self.charge_w, limit_w), min(self.discharge_w, limit_w), self.empty, self.full
        )


def hours_from(text: str) -> frozenset[int]:
    """Return the half hours of the day that a text names.

    >>> sorted(hours_from("23:00-01:00"))
    [0, 1, 46, 47]

    Raises:
        SettingError: if it names none.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        try:
            begin, end = _place(first), _place(last)
        except ValueError:
            raise SettingError(
                f"hours must be as '08:00-20:00', on half hours, got {text!r}"
            ) from None
        while begin != end:
            found.add(begin % SLOTS_PER_DAY)
            begin = (begin + 1) % SLOTS_PER_DAY if end < SLOTS_PER_DAY else begin + 1
    if not found:
        raise SettingError(f"hours must be as '08:00-20:00', on half hours, got {text!r}")
    return frozenset(found)


def spelled(hours: frozenset[int]) -> str:
    """Return half hours of a day as a person writes them.

    >>> spelled(frozenset({16, 17, 20}))
    '08:00-09:00, 10:00-10:30'
    """
    parts: list[list[int]] = []
    for place in sorted(hours):
        if parts and parts[-1][1] == place:
            parts[-1][1] = place + 1
        else:
            parts.append([place, place + 1])
    return ", ".join(f"{_time(begin)}-{_time(end)}" for begin, end in parts) or "none"


def _place(text: str) -> int:
    hour, _, minute = text.partition(":")
    if not (hour.isdecimal() and minute in ("00", "30") and 0 <= int(hour) <= 24):
        raise ValueError(text)
    place = int(hour) * 2 + int(minute) // 30
    if place > SLOTS_PER_DAY:
        raise ValueError(text)
    return place


def _time(place: int) -> str:
    return f"{place // 2:02d}:{place % 2 * 30:02d}"


def _beyond(what: str, got: int, limit: int, unit: str) -> str:
    return f"{what} must be at most {limit} {unit} (the owner's limit), got {got} {unit}"
