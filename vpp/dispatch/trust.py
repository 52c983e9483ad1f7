"""Which battery is believed: what it says is judged, and nonsense takes it out of dispatch.

| judged                                                    | alarm            |
| --------------------------------------------------------- | ---------------- |
| no answer for longer than a value may be old              | `no-answer`      |
| a value that cannot be, as the device's reader found it   | `nonsense`       |
| power beyond the rating, more stored than fits            | `nonsense`       |
| its counters stand still while it says that power flows   | `frozen`         |
| nothing it shows moves although it was told other powers  | `frozen`         |
| its power stays away from what it holds as its set-point  | `does-not-follow` |
| it declines commands, or holds something else afterwards  | `does-not-obey`  |

A battery that is out comes back when all of it has been right for `sane_seconds`; one that did not
follow or obey waits twice as long each time, since only a command can show whether it does again.

Power in W, energy in Wh, time in seconds of a clock that nobody sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vpp.dispatch.device import BatteryShown

ALARMS = ("no-answer", "nonsense", "frozen", "does-not-follow", "does-not-obey")
OVER = 1.1
"""A power beyond the rating by more than this factor cannot be."""
STILL_W = 200
"""A power below this may leave counters standing for long."""
FROZEN_STEPS = 3
"""A counter that should have moved by so many of its steps, and did not, is stuck."""
ASTRAY = 0.2
"""Power may stay away from its set-point by this share of it."""
FULL, EMPTY = 0.9, 0.1
"""Beyond these states of charge a battery may well take or give less than it is told."""
BACKOFF_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each thing may last, in seconds; how far power may stay from its set-point."""

    stale: float = 5.0
    sane: float = 30.0
    frozen: float = 30.0
    follow: float = 60.0
    follow_w: int = 500
    refusals: int = 3


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of a battery's sanity; replaced each cycle by `judged`.

    `alarm` and `why` say what is wrong now; `out` holds until it was sane for long enough.
    """

    out: bool = False
    alarm: str = ""
    why: str = ""
    sane_since: float | None = None
    seen_at: float | None = None
    shown: BatteryShown | None = None
    moved_at: float = 0.0
    """When a counter last moved, or power was last small."""
    changed_at: float = 0.0
    """When anything it shows last changed."""
    told_w: int | None = None
    told_at: float = 0.0
    off_since: float | None = None
    refused: int = 0
    backoff: int = 1

    def judged(
        self, now: float, shown: BatteryShown | None, patience: Patience, told_w: int | None
    ) -> Trust:
        """Return the trust after a cycle; `shown` is None where it did not answer.

        `told_w` is the one power that it holds as its set-point, None where it is on its own.
        """
        trust = self._with_told(now, told_w)
        if shown is None:
            seen = trust.seen_at
            if seen is not None and now - seen <= patience.stale:
                return trust
            why = "it must answer" if seen is None else f"it must answer, silent {now - seen:.0f} s"
            return trust._wrong("no-answer", why)
        trust = trust._with_shown(now, shown)
        nonsense = [*shown.nonsense, *impossible(shown)]
        if nonsense:
            return trust._wrong("nonsense", "; ".join(nonsense))
        if why := trust._frozen(now, patience):
            return trust._wrong("frozen", why)
        if why := trust._astray(now, patience):
            return replace(trust, off_since=None)._wrong("does-not-follow", why, doubled=True)
        return trust._right(now, patience)

    def refusing(self, why: str, patience: Patience) -> Trust:
        """Return the trust after a command that it did not take or hold."""
        refused = self.refused + 1
        if refused < patience.refusals:
            return replace(self, refused=refused)
        return replace(self, refused=0)._wrong("does-not-obey", why, doubled=True)

    def obeying(self) -> Trust:
        """Return the trust after a command that it took and holds."""
        return replace(self, refused=0)

    def _with_told(self, now: float, told_w: int | None) -> Trust:
        if told_w == self.told_w:
            return self
        return replace(self, told_w=told_w, told_at=now, off_since=None)

    def _with_shown(self, now: float, shown: BatteryShown) -> Trust:
        before = self.shown
        counted = before is None or (
            (shown.charged_mwh, shown.discharged_mwh) != (before.charged_mwh, before.discharged_mwh)
        )
        still = abs(shown.power_w or 0) < STILL_W or shown.charged_mwh is None
        return replace(
            self,
            shown=shown,
            seen_at=now,
            moved_at=now if counted or still else self.moved_at,
            changed_at=now if before is None or _moves(before, shown) else self.changed_at,
        )

    def _frozen(self, now: float, patience: Patience) -> str:
        shown = self.shown
        assert shown is not None
        power_w, stood = abs(shown.power_w or 0), now - self.moved_at
        due_mwh = power_w * stood * 1000 / 3600
        if stood > patience.frozen and due_mwh > FROZEN_STEPS * shown.step_mwh:
            return f"its counters must move at {power_w} W, stood {stood:.0f} s"
        stood = now - self.changed_at
        is_told_new = self.told_w is not None and self.changed_at < self.told_at
        wanted = abs((self.told_w or 0) - (shown.power_w or 0))
        if is_told_new and now - self.told_at > patience.frozen and wanted > patience.follow_w:
            return f"what it shows must change after a command, stood {stood:.0f} s"
        return ""

    def _astray(self, now: float, patience: Patience) -> str:
        """Say that power stays away from the set-point; keeps `off_since` on the way."""
        if self.off_since is None or now - self.off_since <= patience.follow:
            return ""
        power_w = self.shown.power_w if self.shown else None
        return f"its power must come to {self.told_w} W, got {power_w} W"

    def watching(self, now: float, patience: Patience) -> Trust:
        """Return the trust that knows since when power is away from the set-point."""
        shown, told_w = self.shown, self.told_w
        is_off = (
            shown is not None
            and told_w is not None
            and shown.power_w is not None
            and abs(shown.power_w - told_w) > max(patience.follow_w, ASTRAY * abs(told_w))
            and not _excused(shown, told_w)
        )
        if not is_off:
            return replace(self, off_since=None)
        return self if self.off_since is not None else replace(self, off_since=now)

    def _wrong(self, alarm: str, why: str, *, doubled: bool = False) -> Trust:
        again = doubled and not self.out
        backoff = min(self.backoff * 2, BACKOFF_LIMIT) if again else self.backoff
        return replace(self, out=True, alarm=alarm, why=why, sane_since=None, backoff=backoff)

    def _right(self, now: float, patience: Patience) -> Trust:
        trust = self.watching(now, patience)
        since = now if trust.sane_since is None else trust.sane_since
        if not trust.out:
            # Good for as long as it was kept out: what was is forgotten.
            lasted = now - since > 10 * patience.sane * trust.backoff
            return replace(trust, sane_since=since, backoff=1 if lasted else trust.backoff)
        if now - since < patience.sane * trust.backoff:
            return replace(trust, sane_since=since)
        return replace(trust, out=False, alarm="", why="", sane_since=since)


def impossible(shown: BatteryShown) -> list[str]:
    """Return what a battery shows that contradicts its own ratings.

    >>> impossible(BatteryShown(power_w=99_000, discharge_w=15_000, stored_wh=0, capacity_wh=9))
    ['power must be at most 15000 W, got 99000 W']
    """
    found = []
    power_w = shown.power_w
    if power_w is None:
        found.append("power must be told, got none")
    else:
        most_w = shown.discharge_w if power_w > 0 else shown.charge_w
        if most_w is not None and abs(power_w) > most_w * OVER:
            found.append(f"power must be at most {most_w} W, got {abs(power_w)} W")
    if shown.stored_wh is None or not shown.capacity_wh:
        found.append("the stored energy and the capacity must be told, got none")
    elif not 0 <= shown.stored_wh <= shown.capacity_wh:
        found.append(
            f"the stored energy must be 0 to {shown.capacity_wh} Wh, got {shown.stored_wh} Wh"
        )
    return found


def _moves(before: BatteryShown, now: BatteryShown) -> bool:
    return (before.power_w, before.stored_wh, before.charged_mwh, before.discharged_mwh) != (
        now.power_w,
        now.stored_wh,
        now.charged_mwh,
        now.discharged_mwh,
    )


def _excused(shown: BatteryShown, told_w: int) -> bool:
    """Whether a battery near full or empty may give or take less than it is told."""
    if shown.power_w is None or not shown.capacity_wh or shown.stored_wh is None:
        return False
    charge = shown.stored_wh / shown.capacity_wh
    reserve = shown.reserve_wh / shown.capacity_wh
    near = charge >= FULL if told_w < 0 else charge <= reserve + EMPTY
    return near and abs(shown.power_w) <= abs(told_w) and shown.power_w * told_w >= 0
