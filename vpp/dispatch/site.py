"""A site's dispatch: a cycle reads all devices, decides, and writes; a link gives and asks.

    read -> image -> trust, ledger -> what is followed -> set-point -> written if due -> report

Whatever is given is on disk before it is followed. What is owed to nobody, or can no longer be
heard of (`watches`), leaves the battery to itself.

Power in W, positive out of the battery; energy in Wh; `clock` is in unix seconds, `monotonic` in
seconds of a clock that nobody sets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from energy.errors import DeviceError, StoreError
from energy.journal import said
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.dispatch.controller import Decision, Tuning, decided
from vpp.dispatch.device import Battery, BatteryShown, Power, Setpoint
from vpp.dispatch.hand import Hand, Rhythm
from vpp.dispatch.image import Aged, Image
from vpp.dispatch.ledger import Ledger
from vpp.dispatch.limits import OwnerLimits, Room
from vpp.dispatch.standing import Duty, Standing
from vpp.dispatch.store import Owner, SlotResult, Store
from vpp.dispatch.trust import Patience, Trust

log = logging.getLogger("yui.dispatch")
# Only a daemon has a journal; a check tells what it found.
log.addHandler(logging.NullHandler())
T = TypeVar("T")

KEEP_SECONDS = 60
"""The half hour so far goes to disk so often; a kill between is made good by the counter."""
MOST_ANSWERS = 200
CHANGED_SHARE = 0.02
"""Power has changed when it moved by this share of the rating."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which site it is; `kind` is what stands behind the meter, as `pv+battery`."""

    site: int
    name: str = ""
    municipality: str = ""
    kind: str = "battery"


@dataclass
class Watch:
    """Someone whose silence ends what he said: the link, the chain."""

    patience: float
    heard_at: float

    def silent(self, now: float) -> float:
        """Return the seconds since he was last heard."""
        return now - self.heard_at

    def is_lost(self, now: float) -> bool:
        """Whether that is too long."""
        return self.silent(now) > self.patience


@dataclass
class _Followed:
    """An instruction whose effect is awaited."""

    answer: Answer
    starts_at: int
    power_w: int | None = None
    """What left the battery before it began."""


class SiteDispatch:
    """The dispatch of one site with one battery.

    What was kept in `store` goes on. `plans` are plans of a file, for want of the link's.
    """

    def __init__(
        self,
        place: Place,
        battery: Battery,
        limits: OwnerLimits,
        store: Store,
        *,
        meter: Power | None = None,
        inverter: Power | None = None,
        tuning: Tuning | None = None,
        rhythm: Rhythm | None = None,
        patience: Patience | None = None,
        without_timer: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.battery = battery
        self.limits = limits
        self.store = store
        self.meter = meter
        self.inverter = inverter
        self.tuning = tuning or Tuning()
        self.patience = patience or Patience()
        self.without_timer = without_timer
        self.clock = clock
        self.monotonic = monotonic
        self.hand = Hand(battery, rhythm or Rhythm())
        self.plans: tuple[Instruction, ...] = ()
        self.watches: dict[str, Watch] = {}
        self.woken = asyncio.Event()
        """Set when something was said that should not wait for the next cycle."""
        self.standing = _with_owner(store.standing(), store)
        self.ledger = store.ledger()
        self.trust = Trust()
        self.image = Image(monotonic(), self.patience.stale)
        self.duty = Duty(Following.SELF)
        self.room = Room(0, 0)
        self.decision = Decision(None)
        self.alarms: dict[str, str] = {}
        self.cycles = 0
        self._version = -1
        self._kept_at = monotonic()
        self._followed: dict[int, _Followed] = {}

    # What a link does.

    async def give(self, instruction: Instruction) -> Answer:
        """Take or refuse an instruction; what is taken is on disk when this returns."""
        now = self.clock()
        self.heard("link")
        why = "" if self._holds(instruction) else self._refusal(instruction, now)
        answer = Answer(instruction.site, instruction.sequence, int(now), why)
        told = {
            "sequence": instruction.sequence,
            "action": instruction.action.value,
            "power_w": instruction.power_w,
        }
        if why:
            log.warning(said("refused", **told, why=why))
            return answer
        standing = self.standing.taking(instruction)
        try:
            self.store.keep_standing(standing)
        except StoreError as error:
            self._alarm("store-failed", str(error))
            if instruction.action is not Action.STOP:  # which is safe to do, kept or not
                return replace(answer, refused=str(error))
        self.standing = standing
        log.info(said("taken", **told))
        self._followed[instruction.sequence] = _Followed(
            answer, instruction.starts_at, self.image.battery_w
        )
        while len(self._followed) > MOST_ANSWERS:
            del self._followed[next(iter(self._followed))]
        self.woken.set()
        return answer

    def answer_of(self, sequence: int) -> Answer | None:
        """Return the answer to an instruction as it stands by now, with when power changed."""
        followed = self._followed.get(sequence)
        return None if followed is None else followed.answer

    def take_over(self, owner: Owner) -> None:
        """Follow what the owner says at the site; it is on disk when this returns."""
        self.store.keep_owner(owner)
        self._version = -1
        self.woken.set()

    def heard(self, name: str) -> None:
        """Say that the link, or the chain, is there."""
        if name in self.watches:
            self.watches[name].heard_at = self.monotonic()

    def report(self) -> Report:
        """Return how the site stands, from the last cycle; what is too old by now is None."""
        image = replace(self.image, at=self.monotonic())
        shown = image.shown
        return Report(
            site=self.place.site,
            name=self.place.name,
            municipality=self.place.municipality,
            kind=self.place.kind,
            at=int(self.clock()),
            following=self._following(),
            sequence=self.standing.sequence,
            stored_wh=image.stored_wh,
            capacity_wh=shown.capacity_wh if shown else None,
            battery_w=image.battery_w,
            generated_w=image.generation_w,
            imported_w=image.import_w,
            charge_w=0 if self.trust.out else self.room.charge_w,
            discharge_w=0 if self.trust.out else self.room.discharge_w,
            target_w=self.decision.target_w,
            call=self.duty.call,
            alarms=tuple(f"{name}: {why}" for name, why in sorted(self.alarms.items())),
        )

    def _holds(self, instruction: Instruction) -> bool:
        """Whether it was taken before and still stands: a link may say things twice."""
        standing = self.standing
        return standing.told.get(instruction.action) == instruction or instruction in standing.plans

    def _refusal(self, instruction: Instruction, now: float) -> str:
        if instruction.site != self.place.site:
            return f"site must be {self.place.site}, got {instruction.site}"
        if instruction.sequence <= self.standing.sequence:
            return f"sequence must be above {self.standing.sequence}, got {instruction.sequence}"
        if now >= instruction.expires_at:
            return f"it must be taken before {instruction.expires_at}, got at {int(now)}"
        if now >= instruction.ends_at and instruction.action not in (Action.STOP, Action.RESUME):
            return f"it must end after now, {int(now)}, got {instruction.ends_at}"
        return self.limits.refusal(instruction)

    # A cycle.

    async def cycle(self) -> None:
        """Read everything, decide, and write what is due."""
        self.woken.clear()
        await self._read()
        now, wall = self.image.at, self.clock()
        self._hear_the_owner()
        self.standing = self.standing.at(wall)
        shown = self.image.shown
        is_first = self.trust.seen_at is None
        told = self.hand.held.power_w if self.hand.held is not None else None
        answered = self._answered
        self.trust = self.trust.judged(now, answered, self.patience, told)
        if answered is not None and is_first:
            self.hand.take_over(answered.held, now)
        if shown is not None and not shown.nonsense:
            self._count(wall, shown)
        lost = self._lost(now)
        self.duty = self.standing.duty(wall, lost, self.plans)
        self._decide(wall, now, shown)
        await self._write(now)
        self._alarm_of_trust()
        self._watch_answers(wall)
        self._keep(now)
        self.cycles += 1

    async def _read(self) -> None:
        began = self.monotonic()
        battery, imported, generated = await asyncio.gather(
            _asked(self.battery.read), _asked(self.meter), _asked(self.inverter)
        )
        image = replace(self.image, at=self.monotonic())
        self._answered = None
        if isinstance(battery, BatteryShown):
            self._answered = battery
            image = replace(image, battery=Aged(battery, began))
        self._raise("battery", battery)
        if isinstance(imported, int):
            image = replace(image, imported_w=Aged(imported, began))
        self._raise("meter", imported)
        if isinstance(generated, int):
            image = replace(image, generated_w=Aged(generated, began))
        self._raise("inverter", generated)
        self.image = image

    def _hear_the_owner(self) -> None:
        try:
            version = self.store.version
            if version == self._version:
                return
            before, self.standing = self.standing, _with_owner(self.standing, self.store)
        except StoreError as error:
            self._alarm("store-failed", str(error))
            return
        self._version = version
        if before != self.standing:
            override = self.standing.override
            log.info(
                said(
                    "owner",
                    stop=self.standing.stopped_here,
                    override_w="none" if override is None else override.power_w,
                )
            )

    def _count(self, wall: float, shown: BatteryShown) -> None:
        """Bring the half hour's energy up to date; keep what came of one that is over."""
        if self.ledger is None or wall - self.ledger.at > 2 * 86_400:
            self.ledger = Ledger.opened(wall, shown)
            self._try(self.store.keep_ledger, self.ledger)
            return
        planned = self._planned_wh(self.ledger.slot)
        self.ledger, closed = self.ledger.advanced(wall, shown, self.duty.call_w)
        if closed is None:
            return
        result = SlotResult(
            closed.slot, planned, closed.called_wh, closed.delivered_wh, closed.known
        )
        self._try(self.store.keep_slot, result)
        self._try(self.store.keep_ledger, self.ledger)
        log.info(
            said(
                "half-hour",
                slot=closed.slot,
                planned_wh="none" if planned is None else planned,
                called_wh=round(closed.called_wh),
                delivered_wh=round(closed.delivered_wh),
            )
        )

    def _planned_wh(self, slot: int) -> int | None:
        planned = self.standing.planned_wh(slot)
        return planned if planned is not None else Standing(plans=self.plans).planned_wh(slot)

    def _lost(self, now: float) -> list[str]:
        lost = [name for name, watch in self.watches.items() if watch.is_lost(now)]
        for name, watch in self.watches.items():
            why = f"it must be heard every {watch.patience:.0f} s, silent {watch.silent(now):.0f} s"
            self._alarm(f"{name}-lost", why if name in lost else "")
        return lost

    def _decide(self, wall: float, now: float, shown: BatteryShown | None) -> None:
        follows_ranges = self.battery.follows_ranges
        if shown is not None:
            need_w = self.image.need_w
            spare_w = None
            if not self.limits.grid_charging and not follows_ranges:
                spare_w = 0 if need_w is None else -need_w
            self.room = self.limits.room(shown, self.room, spare_w)
        no_timer = not (self.battery.reverts or self.without_timer or self.trust.out)
        self._alarm("no-timer", "the device must have a revert timer, got none" if no_timer else "")
        steered = self.duty.following not in (Following.STOP, Following.OVERRIDE)
        if steered and (self.trust.out or shown is None or no_timer):
            self.decision = Decision(None)
            return
        hand = self.hand
        self.decision = decided(
            wall,
            self.image,
            self.duty,
            self.ledger,
            self.room if steered else self._owners_room(),
            self.tuning,
            follows_ranges=follows_ranges,
            before=hand.told,
            elapsed=now - hand.at if hand.at is not None else 1.0,
        )

    def _owners_room(self) -> Room:
        """What the owner himself may: all that the device can."""
        shown = self.image.shown
        charge_w = shown.charge_w if shown and shown.charge_w else self.limits.charge_w
        discharge_w = shown.discharge_w if shown and shown.discharge_w else self.limits.discharge_w
        return Room(charge_w, discharge_w)

    async def _write(self, now: float) -> None:
        held = self._answered.held if self._answered is not None else None
        strayed = self.hand.strayed(held)
        if strayed:
            self.trust = self.trust.refusing(strayed, self.patience)
        wanted, urgent = self.decision.setpoint, self.duty.is_urgent
        if self._answered is None and self.image.shown is None and not urgent:
            return  # a device that is silent takes no command; its timer sees to it
        if not self.hand.is_due(wanted, now, urgent=urgent, strayed=bool(strayed)):
            self._alarm("readback", strayed)
            return
        before = self.hand.told
        try:
            await self.hand.command(wanted, now, urgent=urgent)
        except DeviceError as error:
            self.trust = self.trust.refusing(str(error), self.patience)
            self._alarm("readback", str(error))
            return
        self._alarm("readback", strayed)
        if not strayed:
            self.trust = self.trust.obeying()
        if wanted != before:
            log.info(said("set-point", power_w=_told(wanted), following=self._following().value))

    def _watch_answers(self, wall: float) -> None:
        """Note for each instruction when the battery's power first followed it."""
        power_w = self.image.battery_w
        if power_w is None:
            return
        shown = self.image.shown
        rating_w = (shown.discharge_w if shown else None) or self.limits.discharge_w
        least_w = max(CHANGED_SHARE * rating_w, 50)
        wanted_w = self.decision.setpoint.power_w if self.decision.setpoint else None
        for followed in self._followed.values():
            if followed.answer.changed_at is not None or wall < followed.starts_at:
                followed.power_w = power_w
                continue
            before_w = followed.power_w
            moved = before_w is not None and abs(power_w - before_w) >= least_w
            arrived = wanted_w is not None and abs(power_w - wanted_w) < least_w
            if moved or (arrived and self.hand.told == self.decision.setpoint):
                followed.answer = replace(followed.answer, changed_at=wall)

    def _keep(self, now: float) -> None:
        if self.ledger is not None and now - self._kept_at >= KEEP_SECONDS:
            self._try(self.store.keep_ledger, self.ledger)
            self._kept_at = now

    def _try(self, keep: Callable[[T], None], value: T) -> None:
        """Keep something; a disk that does not take it is an alarm, and no reason to let go."""
        try:
            keep(value)
        except StoreError as error:
            self._alarm("store-failed", str(error))
        else:
            self._alarm("store-failed", "")

    # What it says of itself.

    def _following(self) -> Following:
        silent = replace(self.image, at=self.monotonic()).shown is None
        if silent or (
            self.trust.out and self.duty.following not in (Following.STOP, Following.OVERRIDE)
        ):
            return Following.OUT
        return self.duty.following

    def _alarm_of_trust(self) -> None:
        for name in ("no-answer", "nonsense", "frozen", "does-not-follow", "does-not-obey"):
            is_on = self.trust.out and self.trust.alarm == name
            self._alarm(name, self.trust.why if is_on else "")

    def _raise(self, name: str, answer: object) -> None:
        """Alarm where a device other than the battery, which is judged, does not answer."""
        if name != "battery":
            self._alarm(name, str(answer) if isinstance(answer, DeviceError) else "")
        elif isinstance(answer, DeviceError) and not isinstance(answer, TimeoutError):
            log.debug(said("battery", error=answer))

    def _alarm(self, name: str, why: str) -> None:
        if why and name not in self.alarms:
            log.warning(said("alarm", of=name, why=why))
        elif not why and name in self.alarms:
            log.info(said("alarm.over", of=name))
        if why:
            self.alarms[name] = why
        else:
            self.alarms.pop(name, None)


def _with_owner(standing: Standing, store: Store) -> Standing:
    owner = store.owner()
    return replace(standing, stopped_here=owner.stopped, override=owner.override)


def _told(setpoint: Setpoint | None) -> str:
    return "self-consumption" if setpoint is None else str(setpoint).removesuffix(" W")


async def _asked(device: Power | Callable[[], Awaitable[T]] | None) -> T | int | DeviceError | None:
    """Return what a device answers; an error as such, None without one."""
    if device is None:
        return None
    try:
        return await (device() if callable(device) else device.read())
    except DeviceError as error:
        return error
