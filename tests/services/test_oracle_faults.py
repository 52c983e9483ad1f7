"""Every fault in any combination: nothing is lost, doubled or invented, and each is named.

Real devices over TCP, a real outbox on disk, the real contract in an EVM.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.evm import EvmChain
from chain.market import MarketContract
from chain.terminal import TerminalChain
from energy.errors import ChainError
from energy.market import MarketRules
from energy.messages import address_of
from energy.records import Quality
from energy.registry import Ratings, Tariff
from oracle.clock import REFUSE_SECONDS
from oracle.device import Instruments
from oracle.journal import log
from oracle.keys import KeySigner
from oracle.outbox import Outbox, State
from oracle.plant import Battery
from oracle.quantity import Incident, quantity_of
from oracle.simulator import BATTERY, INVERTER, METER, Fault, SiteSimulator
from oracle.terminal import Terminal
from oracle.weather import clear_sky, office

FIRST = 1_000_000
KEY = bytes(31) + b"\x09"
UNITS = {METER: "meter", INVERTER: "inverter", BATTERY: "battery"}
NAMED = {
    Fault.NO_ANSWER: {"no-answer"},
    Fault.SLOW: {"no-answer"},
    Fault.EXCEPTION: {"exception-code"},
    Fault.GARBAGE: {"garbage"},
    Fault.NOT_IMPLEMENTED: {"not-implemented"},
}
PASSING_FAULTS = (Fault.WRONG_SCALE, Fault.COARSER_SCALE)
"""Faults that last a single sample: a counter that lies steadily is another counter."""


class Heard(logging.Handler):
    """What the terminal wrote to its journal."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Cupboard:
    """A site's cupboard in a public building, and all that happens in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.now, self.offset, self.uptime = FIRST * 1800, 0, 0.0
        self.replaced: set[str] = set()
        self.swaps = 0
        self.exact: dict[int, dict[str, int]] = {}
        self.away = False
        self.heard = Heard()
        log.addHandler(self.heard)
        log.setLevel(logging.INFO)

    def open(self) -> None:
        chain = EvmChain((FIRST - 20) * 1800)
        rules = MarketRules(FIRST - 30, 10, 3600, 600, after_metering=False)
        market = MarketContract.deployed(chain, chain.sender, rules)
        market.enact_tariff(FIRST - 5, [Tariff(22_000, 8_000, 1_000)] * 48)
        ratings = Ratings(50_000, 30_000, 30_000, 15_000, 44_000, 900)
        market.enrol(FIRST - 5, address_of(KEY), address_of(KEY), ratings)
        self.evm, self.chain = chain, TerminalChain(market)
        battery = Battery(44_000, 15_000, initial_wh=22_000)
        self.site = SiteSimulator(
            office(20_000), clear_sky(60_000), battery, start_seconds=self.now - 1800
        )
        self.site.slow_seconds = 0.1
        self.loop.run_until_complete(self.site.start())
        self._switch_on()
        self._sample(0)

    def _switch_on(self) -> None:
        async def connected() -> Instruments:
            return Instruments(self.site.devices(), timeout_seconds=0.05, retries=0)

        self.instruments = self.loop.run_until_complete(connected())
        self.outbox = Outbox(Path(self.folder.name) / "outbox.sqlite")
        self.terminal = Terminal(
            0,
            self.instruments,
            self.outbox,
            KeySigner(self.chain.market.domain, KEY),
            lambda: self.now + self.offset,
            monotonic=lambda: self.uptime,
            deadline_seconds=3600,
        )

    def _switch_off(self) -> None:
        self.instruments.close()
        self.outbox.close()

    def _sample(self, seconds: int) -> list[Incident]:
        self.now += seconds
        self.uptime += seconds
        self.evm.set_time(self.now)
        self.site.advance(self.now)
        latest = max(
            (track.total.time_seconds for track in self.outbox.tracks().values() if track.total),
            default=0,
        )
        sample = self.loop.run_until_complete(self.terminal.sample())
        self.terminal.close_slots()
        incidents = list(sample.incidents)
        faulty = {incident.source for incident in incidents}
        # After a clock that was an hour slow, a counter may look like another one as well.
        self.replaced |= {
            each.source.split(".")[0] for each in incidents if each.kind == "counter-replaced"
        }
        if not self.now % 1800 and not self.offset and latest < self.now:
            counters = self.site.plant.counters
            self.exact[self.now // 1800] = {
                key: getattr(counters, quantity_of(key))
                for key in sample.counters
                if key not in faulty
                and key.split(".")[0] not in faulty
                and not self.site.faults().get(self._unit(key))
            }
        return incidents

    @staticmethod
    def _unit(key: str) -> int:
        return next(unit for unit, name in UNITS.items() if key.startswith(name))

    def _to_boundary(self) -> int:
        return 1800 - self.now % 1800

    # What happens.

    def time_passes(self, minutes: int) -> None:
        self._expect(self._sample(min(60 * minutes, self._to_boundary())))

    def a_half_hour_passes(self) -> None:
        self._expect(self._sample(self._to_boundary()))

    def _expect(self, incidents: list[Incident]) -> None:
        """Each fault that a device has now is named now, by its kind."""
        for unit, fault in self.site.faults().items():
            kinds = {each.kind for each in incidents if each.source.startswith(UNITS[unit])}
            assert NAMED.get(fault, kinds) <= kinds, (UNITS[unit], fault, incidents)

    def a_device_fails(self, unit: int, fault: Fault) -> None:
        self.site.break_(unit, fault)
        self._expect(self._sample(self._to_boundary()))

    def a_scale_factor_changes_for_a_sample(self, unit: int, fault: Fault) -> None:
        if unit in self.site.faults():
            return
        self.site.break_(unit, fault)
        self._sample(60)
        self.site.mend(unit)
        self._sample(60)

    def a_device_is_mended(self, unit: int) -> None:
        self.site.mend(unit)
        self._expect(self._sample(self._to_boundary()))

    def a_device_is_replaced(self, unit: int, shows: int) -> None:
        """The other device's counters are farther off than its power could have brought them."""
        for broken in list(self.site.faults()):
            self.site.mend(broken)
        self._sample(60)
        self._sample(60)
        self.swaps += 1
        self.site.replace_device(unit, shows + 1_000_000 * (self.swaps * 11 % 29))
        kinds = {each.kind for each in self._sample(60) if each.source.startswith(UNITS[unit])}
        assert kinds
        self.replaced.add(UNITS[unit])
        self._sample(60)
        self._sample(self._to_boundary())

    def the_clock_is_set_wrong(self, step: int) -> None:
        self.offset = step
        assert "clock-step" in {each.kind for each in self._sample(60)} or self.offset == step

    def the_clock_is_set_right(self) -> None:
        self.offset = 0
        self._sample(60)

    def the_terminal_is_killed_and_starts_again(self) -> None:
        self._switch_off()
        self._switch_on()
        self._sample(self._to_boundary())

    def cables_are_out_for_a_while(self) -> None:
        self.loop.run_until_complete(self.site.stop())
        port = self.site.port
        kinds = {each.kind for each in self._sample(600)}
        assert "no-answer" in kinds
        self.loop.run_until_complete(self.site.start(port=port))

    def the_chain_is_away_or_back(self, away: bool) -> None:
        self.away = away

    def readings_are_pushed(self) -> None:
        if abs(self.offset) > REFUSE_SECONDS:
            return  # a terminal whose clock is off signs nothing
        self.terminal.rewind()
        try:
            self.loop.run_until_complete(self.terminal.push(self._gate()))
        except ChainError:
            assert self.away

    def _gate(self) -> TerminalChain:
        chain, away = self.chain, self.away

        class Gate(TerminalChain):
            async def post_readings(self, readings):
                if away:
                    raise ChainError("a node must answer, got nothing")
                return await chain.post_readings(readings)

        return Gate(chain.market)

    # What holds in the end.

    def close(self) -> None:
        """Switch everything off."""
        log.removeHandler(self.heard)
        self._switch_off()
        self.loop.run_until_complete(self.site.stop())
        self.loop.close()
        self.folder.cleanup()

    def all_is_well_again(self) -> None:
        """Mend everything and let readings out."""
        self.offset, self.away = 0, False
        for unit in UNITS:
            self.site.mend(unit)
        self.readings_are_pushed()
        for _ in range(3):
            self._sample(60)
        for _ in range(2):
            self._sample(self._to_boundary())
        for _ in range(3):
            self.readings_are_pushed()

    def nothing_is_lost_doubled_or_invented(self) -> None:
        """Compare what stands on the chain with what the plant did."""
        slots = range(FIRST, self.now // 1800)
        tally = self.outbox.tally()
        assert tally[State.MADE] == tally[State.SENT] == tally[State.REFUSED] == 0, tally
        readings = {}
        for slot in slots:
            standing = self.chain.market.reading_of(slot, 0)
            entry = self.outbox.reading_of(slot)
            if entry is None:
                assert standing is None
                assert self.outbox.absence_of(slot), slot
                continue
            assert standing == entry.reading
            assert entry.state == State.FINAL
            readings[slot] = entry.reading
        boundaries = sorted(self.exact)
        for key in self.instruments.devices.ceilings_w:
            device, quantity = key.split(".")
            known = [slot for slot in boundaries if key in self.exact[slot]]
            for first, last in pairwise(known):
                if not all(slot in readings for slot in range(first, last)):
                    continue
                inside = [readings[slot] for slot in range(first, last)]
                told = sum(getattr(each, quantity) for each in inside)
                truth = self.exact[last][key] - self.exact[first][key]
                raised = any(each.quality & Quality.RECONCILED for each in inside)
                partial = any(each.quality & Quality.PARTIAL for each in inside)
                if quantity == "generated" and raised:
                    continue
                if device in self.replaced and partial:
                    assert told <= truth, (key, first, last)
                else:
                    assert told == truth, (key, first, last)
        for episode in self.outbox.incidents_since(0):
            source, kind, _ = episode.incident
            assert any(f"source={source} kind={kind}" in line for line in self.heard.lines)


def event(act: Callable[..., None], **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One thing that may happen, with its arguments."""
    return st.tuples(st.just(act.__name__), st.fixed_dictionaries(arguments))


UNIT = st.sampled_from(list(UNITS))
EVENTS = st.one_of(
    event(Cupboard.time_passes, minutes=st.integers(1, 25)),
    event(Cupboard.a_half_hour_passes),
    event(Cupboard.a_device_fails, unit=UNIT, fault=st.sampled_from([*NAMED, Fault.STUCK])),
    event(
        Cupboard.a_scale_factor_changes_for_a_sample,
        unit=UNIT,
        fault=st.sampled_from(PASSING_FAULTS),
    ),
    event(Cupboard.a_device_is_mended, unit=UNIT),
    event(Cupboard.a_device_is_replaced, unit=UNIT, shows=st.integers(1, 50_000)),
    event(Cupboard.the_clock_is_set_wrong, step=st.sampled_from([-3600, -20, 20, 3600, 400_000])),
    event(Cupboard.the_clock_is_set_right),
    event(Cupboard.the_terminal_is_killed_and_starts_again),
    event(Cupboard.cables_are_out_for_a_while),
    event(Cupboard.the_chain_is_away_or_back, away=st.booleans()),
    event(Cupboard.readings_are_pushed),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(events=st.lists(EVENTS, min_size=25, max_size=25))
def test_whatever_happens_nothing_is_lost_doubled_or_invented(events: list[tuple[str, Any]]):
    cupboard = Cupboard()
    cupboard.open()
    try:
        for name, arguments in events:
            getattr(cupboard, name)(**arguments)
        cupboard.all_is_well_again()
        cupboard.nothing_is_lost_doubled_or_invented()
    finally:
        cupboard.close()
