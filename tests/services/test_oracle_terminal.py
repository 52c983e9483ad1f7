"""A whole terminal: simulated devices over TCP, an outbox on disk, the market's own rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chain.terminal import Standing
from energy.errors import ChainError
from energy.market import Market, MarketRules
from energy.messages import Domain, address_of, signer_of
from energy.records import Quality, Reading
from energy.registry import Ratings, Registry, Tariff
from oracle.device import Instruments
from oracle.keys import KeySigner
from oracle.outbox import Outbox, State
from oracle.plant import Battery, Flows
from oracle.simulator import BATTERY, INVERTER, METER, Fault, SiteSimulator
from oracle.terminal import RESEND_SECONDS, SignedReading, Terminal

FIRST = 1000
OWNER = "0x" + "11" * 20
KEY = bytes(31) + b"\x07"
DOMAIN = Domain(31337, "0x" + "22" * 20)
KESENNUMA = Battery(44_000, 15_000, efficiency=900, initial_wh=4_400)


def load_wh(slot: int) -> int:
    return 4_000 + 137 * (slot % 13)


def generation_wh(slot: int) -> int:
    return max(0, 16_003 - 911 * abs(slot % 48 - 24))


class Clock:
    """The site's time, moved by the test."""

    def __init__(self) -> None:
        self.now = FIRST * 1800

    def __call__(self) -> int:
        return self.now


@dataclass
class MarketOnTheDesk:
    """The reference market as the chain: the same rules, no transactions in between."""

    market: Market
    clock: Clock
    posted: list[list[Reading]] = field(default_factory=list)
    reachable: bool = True
    loses: bool = False
    """Whether transactions vanish after they were accepted."""

    async def post_readings(self, readings: Sequence[SignedReading]) -> str:
        if not self.reachable:
            raise ChainError("the chain must answer, got nothing")
        self.posted.append([each.reading for each in readings])
        kept = dict(self.market.readings)
        self.market.push(
            self.clock(), [each.reading for each in readings], [each.signature for each in readings]
        )
        if self.loses:
            self.market.readings = kept
        return f"0x{len(self.posted):02x}"

    async def standing_of(self, slot: int, site: int) -> Standing:
        if not self.reachable:
            raise ChainError("the chain must answer, got nothing")
        held = self.market.reading_of(slot, site)
        return Standing(held, held)


def deployed(clock: Clock, oracle: bytes = KEY) -> MarketOnTheDesk:
    registry = Registry(horizon=10, owner=OWNER)
    registry.enact_tariff(0, OWNER, FIRST - 10, [Tariff(22_000, 8_000, 1_000)] * 48)
    ratings = Ratings(50_000, 1_000, 800, 150, 440, 900)
    registry.enrol(0, OWNER, FIRST - 10, OWNER, address_of(oracle), ratings)
    rules = MarketRules(FIRST - 10, 10, 3600, 600, after_metering=False)
    return MarketOnTheDesk(Market(rules, registry, DOMAIN), clock)


@dataclass
class Scene:
    """A site, its terminal, and the chain."""

    site: SiteSimulator
    terminal: Terminal
    clock: Clock
    chain: MarketOnTheDesk

    @property
    def outbox(self) -> Outbox:
        return self.terminal.outbox

    async def pass_to(self, seconds: int) -> tuple[str, ...]:
        """Let time pass and take a sample; return what was wrong with it."""
        self.site.advance(seconds)
        self.clock.now = seconds
        return tuple(map(str, (await self.terminal.sample()).incidents))

    async def pass_slot(self, slot: int) -> Reading | None:
        """Let a slot pass, sampled at its end, and close it."""
        await self.pass_to((slot + 1) * 1800)
        return self.terminal.close_slot(slot)


@pytest.fixture
def play(tmp_path: Path):
    """Play a scene that begins with a sample at the start of slot 1000."""

    def play(scene: Callable[[Scene], Awaitable[None]], oracle: bytes = KEY) -> None:
        async def played() -> None:
            clock = Clock()
            site = SiteSimulator(load_wh, generation_wh, KESENNUMA, start_seconds=clock() - 1800)
            async with site:
                instruments = Instruments(site.devices(), timeout_seconds=1, retries=0)
                outbox = Outbox(tmp_path / "outbox.sqlite")
                signer = KeySigner(DOMAIN, KEY)
                terminal = Terminal(0, instruments, outbox, signer, clock)
                stage = Scene(site, terminal, clock, deployed(clock, oracle))
                await stage.pass_to(FIRST * 1800)
                await scene(stage)
                instruments.close()
                outbox.close()

        asyncio.run(played())

    return play


def total(readings: Sequence[Reading]) -> Flows:
    return Flows(
        sum(each.imported for each in readings),
        sum(each.exported for each in readings),
        sum(each.generated for each in readings),
        sum(each.charged for each in readings),
        sum(each.discharged for each in readings),
    )


def test_a_day_of_readings_is_the_day_of_the_plant(play):
    async def scene(stage: Scene) -> None:
        begin = stage.site.plant.counters
        readings = []
        for slot in range(FIRST, FIRST + 48):
            reading = await stage.pass_slot(slot)
            assert reading is not None
            assert reading.quality == Quality.MEASURED
            assert reading.consumption == load_wh(slot)
            assert reading.generated == generation_wh(slot)
            assert reading.stored == stage.site.plant.stored_wh
            readings.append(reading)
            await stage.terminal.push(stage.chain)
        await stage.terminal.push(stage.chain)
        assert begin + total(readings) == stage.site.plant.counters
        assert [entry.reading for entry in stage.outbox.entries(State.FINAL)] == readings
        assert stage.chain.posted == [[reading] for reading in readings]
        assert [stage.chain.market.reading_of(each.slot, 0) for each in readings] == readings
        assert total(readings).charged > 0
        assert total(readings).discharged > 0

    play(scene)


def test_a_reading_is_signed_by_the_sites_key(play):
    async def scene(stage: Scene) -> None:
        reading = await stage.pass_slot(FIRST)
        assert reading is not None
        signed = stage.terminal.sign(reading)
        assert signed.reading == reading
        assert signer_of(reading, DOMAIN, signed.signature) == address_of(KEY)

    play(scene)


def test_a_slot_that_is_not_over_has_no_reading_yet(play):
    async def scene(stage: Scene) -> None:
        await stage.pass_to(FIRST * 1800 + 1799)
        assert stage.terminal.close_slot(FIRST) is None
        assert stage.outbox.absence_of(FIRST) is None
        assert await stage.pass_slot(FIRST) is not None

    play(scene)


def test_a_slot_whose_start_was_not_seen_is_absent_and_says_so(play):
    async def scene(stage: Scene) -> None:
        await stage.pass_slot(FIRST)
        assert stage.terminal.close_slot(FIRST - 1) is None
        reason = stage.outbox.absence_of(FIRST - 1) or ""
        assert "slot 999 must begin with a sample of meter.imported" in reason

    play(scene)


@pytest.mark.parametrize("unit", [METER, INVERTER, BATTERY])
@pytest.mark.parametrize(
    "fault", [Fault.NO_ANSWER, Fault.EXCEPTION, Fault.GARBAGE, Fault.NOT_IMPLEMENTED]
)
def test_a_device_that_failed_at_a_boundary_makes_late_readings_that_invent_nothing(
    play, unit: int, fault: Fault
):
    async def scene(stage: Scene) -> None:
        begin = stage.site.plant.counters
        stage.site.break_(unit, fault)
        assert await stage.pass_slot(FIRST) is None
        stage.site.mend(unit)
        second = await stage.pass_slot(FIRST + 1)
        first = stage.terminal.close_slot(FIRST)
        assert first is not None
        assert second is not None
        guessed = Quality.INTERPOLATED | Quality.PARTIAL
        assert first.quality & guessed == guessed
        assert second.quality & guessed == guessed
        assert begin + total([first, second]) == stage.site.plant.counters
        named = [str(each.incident) for each in stage.outbox.incidents_since((FIRST + 1) * 1800)]
        assert named
        role = {METER: "meter", INVERTER: "inverter", BATTERY: "battery"}[unit]
        assert all(fault.startswith(role) for fault in named)

    play(scene)


@pytest.mark.parametrize("fault", [Fault.COARSER_SCALE, Fault.WRONG_SCALE])
def test_a_scale_factor_that_changed_for_a_while_invents_nothing(play, fault: Fault):
    async def scene(stage: Scene) -> None:
        begin = stage.site.plant.counters
        stage.site.break_(METER, fault)
        faults = await stage.pass_to((FIRST + 1) * 1800)
        if fault is Fault.WRONG_SCALE:
            assert [each.split(":")[0] for each in faults] == ["meter.imported", "meter.exported"]
        stage.site.mend(METER)
        await stage.pass_to((FIRST + 2) * 1800)
        readings = [stage.terminal.close_slot(slot) for slot in (FIRST, FIRST + 1)]
        known = [reading for reading in readings if reading is not None]
        assert len(known) == 2
        assert begin + total(known) == stage.site.plant.counters

    play(scene)


def test_an_exchanged_meter_leaves_out_what_no_one_counted(play):
    async def scene(stage: Scene) -> None:
        start = FIRST * 1800
        for minute in range(1, 91):
            if minute == 40:  # in the second half hour, between two samples
                stage.site.replace_device(METER, shows_wh=3)
            await stage.pass_to(start + 60 * minute)
        first, second, third = (stage.terminal.close_slot(FIRST + n) for n in range(3))
        assert first is not None
        assert first.quality == Quality.MEASURED
        assert second is not None
        assert second.quality == Quality.PARTIAL
        assert third is not None
        assert third.quality == Quality.MEASURED
        minute_wh = load_wh(FIRST + 1) // 30
        missing_wh = load_wh(FIRST + 1) - second.consumption
        assert 0 < abs(missing_wh) <= 2 * minute_wh
        named = [str(each.incident) for each in stage.outbox.incidents_since(start)]
        assert any("got another that goes on from 3 Wh" in fault for fault in named)

    play(scene)


def test_an_inverter_that_reads_a_little_low_is_reconciled_with_the_meter(play):
    async def scene(stage: Scene) -> None:
        stage.site.load = lambda _: 0
        stage.site.generation = lambda _: 20_000
        stage.site.advance((FIRST + 1) * 1800)
        low = stage.site.plant.counters.generated - 150
        stage.site.replace_device(INVERTER, shows_wh=low)
        reading = await stage.pass_slot(FIRST)
        assert reading is not None
        assert reading.generated == 20_000
        assert reading.consumption == 0
        assert reading.quality == Quality.RECONCILED

    play(scene)


def test_an_inverter_beyond_the_tolerance_makes_no_reading(play):
    async def scene(stage: Scene) -> None:
        stage.site.load = lambda _: 0
        stage.site.generation = lambda _: 20_000
        stage.site.advance((FIRST + 1) * 1800)
        stage.site.replace_device(INVERTER, stage.site.plant.counters.generated - 201)
        assert await stage.pass_slot(FIRST) is None
        assert stage.outbox.absence_of(FIRST) == (
            "slot 1000: generated must be at least 20000 Wh for what meter and battery say, "
            "less 200 Wh, got 19799 Wh"
        )

    play(scene)


def test_a_terminal_that_starts_again_goes_on_where_it_was(play, tmp_path: Path):
    async def scene(stage: Scene) -> None:
        begin = stage.site.plant.counters
        first = await stage.pass_slot(FIRST)
        stage.outbox.close()
        outbox = Outbox(tmp_path / "outbox.sqlite")
        terminal = stage.terminal
        stage.terminal = Terminal(0, terminal.instruments, outbox, terminal.signer, stage.clock)
        assert stage.terminal.close_slot(FIRST) == first
        second = await stage.pass_slot(FIRST + 1)
        assert first is not None
        assert second is not None
        assert second.quality == Quality.MEASURED
        assert begin + total([first, second]) == stage.site.plant.counters
        await stage.terminal.push(stage.chain)
        assert stage.chain.posted == [[first, second]]
        outbox.close()

    play(scene)


def test_readings_made_while_the_chain_is_away_follow_oldest_first_in_batches(play):
    async def scene(stage: Scene) -> None:
        stage.chain.reachable = False
        readings = []
        for slot in range(FIRST, FIRST + 120):
            readings.append(await stage.pass_slot(slot))
        with pytest.raises(ChainError):
            await stage.terminal.push(stage.chain)
        stage.chain.reachable = True
        await stage.terminal.push(stage.chain)
        assert stage.chain.posted == [readings[:100], readings[100:]]
        await stage.terminal.push(stage.chain)
        assert len(stage.outbox.entries(State.FINAL)) == 120

    play(scene)


def test_a_refused_reading_is_kept_with_the_rule_and_the_others_go_on(play):
    async def scene(stage: Scene) -> None:
        await stage.pass_slot(FIRST)
        bad = stage.outbox.keep_reading(Reading(FIRST + 1, 0, imported=50_001), stage.clock())
        await stage.pass_slot(FIRST + 1)
        await stage.pass_slot(FIRST + 2)
        await stage.terminal.push(stage.chain)
        await stage.terminal.push(stage.chain)
        (refused,) = stage.outbox.entries(State.REFUSED)
        assert refused.reading == bad
        assert refused.remark.startswith("ReadingBeyondRating")
        assert "energy=50001, limit=50000" in refused.remark
        final = [entry.reading.slot for entry in stage.outbox.entries(State.FINAL)]
        assert final == [FIRST, FIRST + 2]
        attempts = sum(bad in batch for batch in stage.chain.posted)
        assert attempts == 1

    play(scene)


def test_a_refusal_that_does_not_say_which_is_found_one_by_one(play):
    async def scene(stage: Scene) -> None:
        early = stage.outbox.keep_reading(Reading(FIRST - 11, 0), stage.clock())
        await stage.pass_slot(FIRST)
        await stage.pass_slot(FIRST + 1)
        await stage.terminal.push(stage.chain)
        await stage.terminal.push(stage.chain)
        (refused,) = stage.outbox.entries(State.REFUSED)
        assert refused.reading == early
        assert refused.remark.startswith("BeforeFirstSlot")
        assert len(stage.outbox.entries(State.FINAL)) == 2

    play(scene)


def test_a_refusal_that_time_cures_is_tried_again(play):
    async def scene(stage: Scene) -> None:
        reading = stage.outbox.keep_reading(Reading(FIRST + 1, 0), stage.clock())
        await stage.terminal.push(stage.chain)
        assert [entry.reading for entry in stage.outbox.entries(State.MADE)] == [reading]
        stage.clock.now = (FIRST + 2) * 1800
        await stage.terminal.push(stage.chain)
        assert [entry.reading for entry in stage.outbox.entries(State.SENT)] == [reading]

    play(scene)


def test_a_key_that_is_not_enrolled_is_named(play):
    async def scene(stage: Scene) -> None:
        await stage.pass_slot(FIRST)
        await stage.terminal.push(stage.chain)
        (refused,) = stage.outbox.entries(State.REFUSED)
        assert refused.remark.startswith("WrongSigner")

    play(scene, oracle=bytes(31) + b"\x08")


def test_a_transaction_that_vanished_is_sent_again_after_a_while(play):
    async def scene(stage: Scene) -> None:
        reading = await stage.pass_slot(FIRST)
        stage.chain.loses = True
        await stage.terminal.push(stage.chain)
        stage.chain.loses = False
        stage.clock.now += RESEND_SECONDS
        await stage.terminal.push(stage.chain)
        assert len(stage.chain.posted) == 1
        stage.clock.now += 1
        await stage.terminal.push(stage.chain)
        assert stage.chain.posted == [[reading], [reading]]
        await stage.terminal.push(stage.chain)
        assert len(stage.outbox.entries(State.FINAL)) == 1

    play(scene)


def test_another_reading_on_the_chain_is_named_and_not_fought(play):
    async def scene(stage: Scene) -> None:
        reading = await stage.pass_slot(FIRST)
        assert reading is not None
        other = replace(reading, imported=reading.imported + 1)
        signature = stage.terminal.signer.sign(other)
        stage.chain.market.push(stage.clock(), [other], [signature])
        await stage.terminal.push(stage.chain)
        await stage.terminal.push(stage.chain)
        (refused,) = stage.outbox.entries(State.REFUSED)
        assert refused.remark == f"another reading stands: {other}"

    play(scene)


def test_a_reading_that_the_settlement_assumed_is_no_other_reading(play):
    async def scene(stage: Scene) -> None:
        reading = await stage.pass_slot(FIRST)
        stage.chain.loses = True
        await stage.terminal.push(stage.chain)
        stage.chain.loses = False
        stage.clock.now = (FIRST + 4) * 1800
        stage.chain.market.settle(stage.clock(), FIRST, [])
        assumed = stage.chain.market.reading_of(FIRST, 0)
        assert assumed is not None
        assert assumed.quality == Quality.ASSUMED
        await stage.terminal.push(stage.chain)
        await stage.terminal.push(stage.chain)
        assert stage.chain.market.reading_of(FIRST, 0) == reading
        assert len(stage.outbox.entries(State.FINAL)) == 1

    play(scene)


def test_a_reading_that_was_corrected_meanwhile_is_final(play):
    async def scene(stage: Scene) -> None:
        reading = await stage.pass_slot(FIRST)
        assert reading is not None
        await stage.terminal.push(stage.chain)
        stage.clock.now = (FIRST + 4) * 1800
        stage.chain.market.settle(stage.clock(), FIRST, [])
        correction = replace(reading, imported=reading.imported + 1, revision=1)
        stage.chain.market.push(
            stage.clock(), [correction], [stage.terminal.signer.sign(correction)]
        )
        await stage.terminal.push(stage.chain)
        assert [entry.reading for entry in stage.outbox.entries(State.FINAL)] == [reading]

    play(scene)
