"""Modbus RTU over a serial line: two pseudo-terminals, joined as a cable joins two ports."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator

import pytest

from field.modbus import Line, NoAnswer, Serial
from oracle.device import Device, Instruments, SiteDevices
from oracle.simulator import METER, Fault, SiteSimulator

START = 1000 * 1800


@pytest.fixture
def cable() -> Iterator[tuple[int, int, str, str]]:
    """The two controlling ends, to be joined, and the paths that the two sides open."""
    ours, our_end = os.openpty()
    theirs, their_end = os.openpty()
    for end in (our_end, their_end):
        tty.setraw(end)
    yield ours, theirs, os.ttyname(our_end), os.ttyname(their_end)
    for end in (ours, our_end, theirs, their_end):
        os.close(end)


def joined(loop: asyncio.AbstractEventLoop, one: int, other: int) -> None:
    """Let what comes out of each end go into the other one."""

    def pass_on(source: int, sink: int) -> None:
        os.write(sink, os.read(source, 4096))

    loop.add_reader(one, pass_on, one, other)
    loop.add_reader(other, pass_on, other, one)


def test_a_site_on_a_serial_line_is_sampled(cable: tuple[int, int, str, str]):
    ours, theirs, our_path, their_path = cable

    async def play() -> None:
        joined(asyncio.get_running_loop(), ours, theirs)
        site = SiteSimulator(lambda _: 500, lambda _: 0, start_seconds=START)
        await site.start_serial(their_path, baud=115_200)
        site.advance(START + 1800)
        device = Device("meter", Serial(our_path, 115_200), METER, 50_000)
        instruments = Instruments(SiteDevices((device,)), timeout_seconds=1, retries=0)
        sample = await instruments.sample(START + 1800)
        assert sample.incidents == ()
        assert sample.counters["meter.imported"].value == 100_500_000
        assert sample.powers_w == {"meter.imported": 1000, "meter.exported": 0}
        site.break_(METER, Fault.GARBAGE)
        (incident,) = (await instruments.sample(START + 1860)).incidents
        assert incident.kind == "no-answer"
        site.mend(METER)
        assert (await instruments.sample(START + 1920)).incidents == ()
        instruments.close()
        await site.stop()

    asyncio.run(play())


def test_a_serial_line_that_is_not_there_is_named():
    async def play() -> None:
        with pytest.raises(NoAnswer, match="/dev/no-such-line must accept a connection"):
            await Line(Serial("/dev/no-such-line"), timeout_seconds=0.2).read(1, 0, 1)

    asyncio.run(play())
