"""A site's dispatch: a cycle reads all devices, decides, and writes; a link gives and asks.

    read -> image -> trust, ledger -> what is followed -> set-point -> written if due -> report

Whatever is given is on disk before it is followed. What is owed to nobody, or can no longer be
heard of (`watches`), leaves the battery to itself.

Power in W, positive out of the battery; energy in Wh; `clock` is in unix seconds, `monotonic` in
seconds of a clock that nobody sets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from daemon.journal import said
from energy.errors import DeviceError, StoreError
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.dispatch.alarms import Alarms, log
from vpp.dispatch.answers import Answers
from vpp.dispatch.controller import Decision, Share, Tuning, decided, short_wh
from vpp.dispatch.device import BatteryShown, Setpoint
from vpp.dispatch.hand import Hand, Rhythm
from vpp.dispatch.image import Image
from vpp.dispatch.instruments import Instruments, Read
from vpp.dispatch.ledger import Ledger
from vpp.dispatch.limits import OwnerLimits, Room
from vpp.dispatch.standing import Duty, Standing, planned_in
from vpp.dispatch.store import Owner, SlotResult, Store
from vpp.dispatch.trust import ALARMS, Patience, Trust

T = TypeVar("T")

KEEP_SECONDS = 60
"""The half hour so far goes to disk so often; a kill between is made good by the counter."""
STEP_SECONDS = 2.0
"""A clock that goes on by so much more or less than time itself was set."""
SHORT_WH = 50
"""A half hour that will be missed by more is told while it lasts."""
HANDS_OFF = (Following.STOP, Following.OVERRIDE)
"""What is done whatever a device's state: it needs nothing that the device says."""


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

    def lost(self, now: float) -> str:
        """Return why he counts as lost; "" if he does not."""
        silent = now - self.heard_at
        if silent <= self.patience:
            return ""
        return f"it must be heard every {self.patience:g} s, silent {silent:.0f} s"


class SiteDispatch:
    """The dispatch of one site with one battery.

    What was kept in `store` goes on. `plans` are plans of a file, for want of the link's. With
    `without_timer` a device that does not let go by itself is dispatched all the same.
    """

    def __init__(
        self,
        place: Place,
        instruments: Instruments,
        limits: OwnerLimits,
        store: Store,
        *,
        tuning: Tuning | None = None,
        rhythm: Rhythm | None = None,
        patience: Patience | None = None,
        without_timer: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.instruments = instruments
        self.limits = limits
        self.store = store
        self.tuning = tuning or Tuning()
        self.patience = patience or Patience()
        self.without_timer = without_timer
        self.clock = clock
        self.monotonic = monotonic
        self.hand = Hand(instruments.battery, rhythm or Rhythm())
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
        self.share = Share()
        self.answers = Answers()
        self.alarms = Alarms()
        self._version = -1
        self._clocks = clock(), monotonic()
        self._kept_at = monotonic()

    # What a link does.

    async def give(self, instruction: Instruction) -> Answer:
        """Take or refuse an instruction; what is taken is on disk when this returns."""
        now = self.clock()
        self.heard("link")
        why = "" if self._holds(instruction) else self._refusal(instruction, now)
        standing = self.standing.taking(instruction)
        if not why:
            try:
                self.store.keep_standing(standing)
            except StoreError as error:
                self.alarms.set("store-failed", str(error))
                # A stop is safe to do, kept or not.
                why = "" if instruction.action is Action.STOP else str(error)
        told = {
            "sequence": instruction.sequence,
            "action": instruction.action.value,
            "power_w": instruction.power_w,
        }
        if why:
            log.warning(said("refused", **told, why=why))
        else:
            self.standing = standing
            log.info(said("taken", **told))
            self.woken.set()
        answer = Answer(instruction.site, instruction.sequence, int(now), why)
        self.answers.add(instruction, answer, self.image.battery_w)
        return answer

    def answer_of(self, sequence: int) -> Answer | None:
        """Return the answer to an instruction as it stands by now: with when power changed."""
        return self.answers.of(sequence)

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
            following=self.following,
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
            alarms=self.alarms.texts,
        )

    @property
    def following(self) -> Following:
        """What is followed by now; a device that is silent or not believed follows nothing."""
        is_silent = replace(self.image, at=self.monotonic()).shown is None
        if is_silent or (self.trust.out and self.duty.following not in HANDS_OFF):
            return Following.OUT
        return self.duty.following

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
        read = await self.instruments.read(self.image, self.monotonic)
        self.image = read.image
        for name, why in read.silent.items():
            self.alarms.set(name, why)
        now, wall = self.image.at, self.clock()
        self._hear_the_owner()
        self._judge(now, read)
        self._count(wall, now, read.battery)
        self.standing = self.standing.at(wall)
        self.duty = self.standing.duty(wall, self._lost(now), self.plans)
        self._decide(wall, now)
        await self._write(now, read)
        self._see(wall)
        self._tell(wall)

    def _hear_the_owner(self) -> None:
        try:
            version = self.store.version
            if version == self._version:
                return
            before, self.standing = self.standing, _with_owner(self.standing, self.store)
        except StoreError as error:
            self.alarms.set("store-failed", str(error))
            return
        self._version = version
        if before != self.standing:
            override = self.standing.override
            told_w = "none" if override is None else override.power_w
            log.info(said("owner", stop=self.standing.stopped_here, override_w=told_w))

    def _judge(self, now: float, read: Read) -> None:
        told_w = self.hand.held.power_w if self.hand.held is not None else None
        if read.battery is not None:
            self.hand.take_over(read.battery.held, now)
        self.trust = self.trust.judged(now, read.battery, self.patience, told_w)
        shown = read.battery
        if shown is not None and shown.power_w is not None and not self.trust.out:
            rating_w = shown.discharge_w or self.limits.discharge_w
            self.share = self.share.learned(now, told_w, shown.power_w, rating_w)

    def _count(self, wall: float, now: float, shown: BatteryShown | None) -> None:
        """Bring the half hour's energy up to date; keep what came of one that is over."""
        clocks, self._clocks = self._clocks, (wall, now)
        step = (wall - clocks[0]) - (now - clocks[1])
        if abs(step) >= STEP_SECONDS:
            log.warning(said("clock.step", seconds=round(step, 1)))
            if self.ledger is not None:
                self.ledger = self.ledger.moved(step)
        if shown is None or self.trust.alarm == "nonsense":
            return  # the counter will tell what comes meanwhile
        if self.ledger is None:
            self.ledger = Ledger.opened(wall, shown)
        slot = self.ledger.slot
        self.ledger, closed = self.ledger.advanced(wall, shown, self.duty.call_w)
        if closed is not None:
            planned = self._planned_wh(slot)
            result = SlotResult(
                closed.slot, planned, closed.called_wh, closed.delivered_wh, closed.known
            )
            self._keep(self.store.keep_slot, result)
            log.info(
                said(
                    "half-hour",
                    slot=closed.slot,
                    planned_wh="none" if planned is None else planned,
                    called_wh=round(closed.called_wh),
                    delivered_wh=round(closed.delivered_wh),
                )
            )
        if closed is not None or now - self._kept_at >= KEEP_SECONDS:
            self._keep(self.store.keep_ledger, self.ledger)
            self._kept_at = now

    def _planned_wh(self, slot: int) -> int | None:
        planned = self.standing.planned_wh(slot)
        return planned if planned is not None else planned_in(self.plans, slot)

    def _lost(self, now: float) -> Sequence[str]:
        """Return who is lost, and tell."""
        lost = {name: watch.lost(now) for name, watch in self.watches.items()}
        for name, why in lost.items():
            self.alarms.set(f"{name}-lost", why)
        return [name for name, why in lost.items() if why]

    def _decide(self, wall: float, now: float) -> None:
        battery, shown = self.instruments.battery, self.image.shown
        if shown is not None:
            spare_w = None
            if not (self.limits.grid_charging or shown.keeps_off_grid):
                spare_w = -self.image.need_w if self.image.need_w is not None else 0
            self.room = self.limits.room(shown, self.room, spare_w)
        no_timer = not (battery.reverts or self.without_timer or self.trust.out)
        self.alarms.set(
            "no-timer", "the device must have a revert timer, got none" if no_timer else ""
        )
        is_steered = self.duty.following not in HANDS_OFF
        if is_steered and (self.trust.out or shown is None or no_timer):
            self.decision = Decision(None)
            return
        hand = self.hand
        self.decision = decided(
            wall,
            self.image,
            self.duty,
            self.ledger,
            self.room if is_steered else self._owners_room(),
            self.tuning,
            follows_ranges=battery.follows_ranges,
            before=hand.told,
            elapsed=now - hand.at if hand.at is not None else 1.0,
            share=self.share.value,
        )

    def _owners_room(self) -> Room:
        """What the owner himself may: all that the device can."""
        shown = self.image.shown or BatteryShown()
        return Room(
            shown.charge_w or self.limits.charge_w, shown.discharge_w or self.limits.discharge_w
        )

    async def _write(self, now: float, read: Read) -> None:
        strayed = self.hand.strayed(read.battery.held) if read.battery is not None else ""
        if strayed:
            self.trust = self.trust.refusing(strayed, self.patience)
        wanted, stop = self.decision.setpoint, self.duty.following is Following.STOP
        if self.image.shown is None and not stop:
            return  # a device that is silent takes no command; its timer sees to it
        if not self.hand.is_due(wanted, now, stop=stop, strayed=bool(strayed)):
            self.alarms.set("readback", strayed)
            return
        before = self.hand.told
        try:
            await self.hand.command(wanted, now, stop=stop)
        except DeviceError as error:
            self.trust = self.trust.refusing(str(error), self.patience)
            self.alarms.set("readback", str(error))
            return
        self.alarms.set("readback", strayed)
        if not strayed:
            self.trust = self.trust.obeying()
        if wanted != before:
            log.info(said("set-point", power_w=_spelled(wanted), following=self.following.value))

    def _see(self, wall: float) -> None:
        """Note which instructions the battery's power has come to follow."""
        shown, setpoint = self.image.shown, self.decision.setpoint
        if shown is None or shown.power_w is None:
            return
        is_told = setpoint is not None and self.hand.told == setpoint
        wanted_w = setpoint.power_w if is_told and setpoint is not None else None
        rating_w = shown.discharge_w or self.limits.discharge_w
        self.answers.see(wall, shown.power_w, wanted_w, rating_w)

    def _tell(self, wall: float) -> None:
        """Raise and end the alarms of what was judged and decided."""
        trust = self.trust
        for name in ALARMS:
            self.alarms.set(name, trust.why if trust.out and trust.alarm == name else "")
        missed = 0.0
        if self.ledger is not None and self.following in (Following.PLAN, Following.CALL):
            missed = short_wh(wall, self.duty, self.ledger, self.room)
        why = f"this half hour must be met, will be missed by {missed:.0f} Wh or more"
        self.alarms.set("short", why if abs(missed) > SHORT_WH else "")

    def _keep(self, keep: Callable[[T], None], value: T) -> None:
        """Keep something; a disk that does not take it is an alarm, and no reason to let go."""
        try:
            keep(value)
        except StoreError as error:
            self.alarms.set("store-failed", str(error))
        else:
            self.alarms.set("store-failed", "")


def _with_owner(standing: Standing, store: Store) -> Standing:
    owner = store.owner()
    return replace(standing, stopped_here=owner.stopped, override=owner.override)


def _spelled(setpoint: Setpoint | None) -> str:
    return "self-consumption" if setpoint is None else str(setpoint).removesuffix(" W")
