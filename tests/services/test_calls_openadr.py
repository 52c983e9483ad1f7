"""The fleet as a VEN of a VTN over real HTTP: events become calls, and are reported of."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from chain.database import writing
from energy.errors import SettingError
from energy.records import Reading
from energy.units import SLOT_SECONDS
from tests.steered import Battery, Clock, MemoryRoom
from tests.vtn import CLIENT, SECRET, small_vtn
from vpp.calls.call import Basis, Direction, Product, State
from vpp.calls.desk import Desk
from vpp.calls.fulfilment import fulfilment
from vpp.calls.openadr import Event, Program, calls_of, moment_of, seconds_of
from vpp.calls.store import CallStore
from vpp.calls.tables import SENT
from vpp.calls.ven import Ven
from vpp.calls.vtn import Vtn, VtnError
from vpp.commands import Following

NOW = 1_000_000 * SLOT_SECONDS
START = NOW + 600
TERMS = {"tertiary": Product("tertiary", price_kwh=30_000, basis=Basis.PLAN)}


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def an_event(program, kw=-25.0, start=START, duration="PT1H", kind="DISPATCH_SETPOINT_RELATIVE"):
    return {
        "programID": program,
        "eventName": "evening",
        "priority": 1,
        "intervalPeriod": {"start": moment(start), "duration": duration},
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": "KW"}
        ],
        "intervals": [{"id": 0, "payloads": [{"type": kind, "values": [kw]}]}],
    }


class Side:
    """A VTN, and the fleet that answers it."""

    def __init__(self, folder, vtn, evidence=None):
        self.vtn = vtn
        self.program = vtn.put("programs", {"programName": "tertiary"})
        self.clock = Clock(NOW)
        self.sites = [Battery(number, self.clock) for number in range(5)]
        self.folder = folder
        self.evidence = evidence
        self.restart()

    def restart(self):
        self.store = CallStore.at(str(self.folder / "calls.sqlite"), durable=False)
        self.desk = Desk(
            self.store,
            MemoryRoom(self.sites),
            planned=lambda site, slot: 0,
            clock=self.clock,
        )
        self.link = Vtn(self.vtn.url, CLIENT, SECRET)
        self.ven = Ven(self.link, self.desk, "miyagi", TERMS, self.evidence)

    async def poll(self):
        await self.ven.round()
        await self.desk.round()
        await self.desk.teller.idle()
        await self.ven.round()

    async def at(self, seconds):
        self.clock.time = seconds
        await self.desk.round()
        await self.desk.teller.idle()
        await self.ven.round()

    @property
    def called_w(self):
        return sum(site.called_w for site in self.sites)


@asynccontextmanager
async def side(folder, evidence=None):
    async with small_vtn() as vtn:
        made = Side(folder, vtn, evidence)
        try:
            yield made
        finally:
            await made.link.close()
        assert vtn.refused == []


def values(report, payload, resource="AGGREGATED_REPORT"):
    found = next(each for each in report["resources"] if each["resourceName"] == resource)
    return [
        value
        for interval in found["intervals"]
        for each in interval["payloads"]
        if each["type"] == payload
        for value in each["values"]
    ]


def test_an_event_becomes_a_call_and_is_reported_from_beginning_to_end(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            event = here.vtn.put("events", an_event(here.program))
            await here.poll()
            assert [each["venName"] for each in here.vtn.objects["vens"].values()] == ["miyagi"]
            call = here.store.call(f"{event}.up").call
            assert (call.direction, call.asked_w(START), call.priority) == (Direction.UP, 25_000, 1)
            assert (call.starts_at, call.ends_at) == (START, START + 3600)
            assert call.product == TERMS["tertiary"]
            accepted = here.vtn.reports[f"{event}.up/accepted"]
            assert values(accepted, "LOAD_SHED_DELTA_AVAILABLE") == [-25.0]
            await here.at(START + 10)
            assert here.called_w == 25_000
            running = here.vtn.reports[f"{event}.up/running"]
            assert values(running, "OPERATING_STATE") == ["RUNNING_CURTAILED"]
            for _ in range(3):
                await here.poll()
            assert len(here.vtn.reports) == len(here.vtn.objects["reports"]) == 2
            assert here.vtn.token_requests == 1

    asyncio.run(day())


def test_a_modified_event_is_a_new_version_and_a_withdrawn_one_is_cancelled(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            event = here.vtn.put("events", an_event(here.program))
            await here.poll()
            await here.at(START + 10)
            here.vtn.put("events", an_event(here.program, kw=-12.0), event)
            await here.poll()
            assert here.called_w == 12_000
            # The other way: the one call ends, another begins.
            here.vtn.put("events", an_event(here.program, kw=8.0), event)
            await here.poll()
            assert here.called_w == -8_000
            assert here.store.call(f"{event}.up").state is State.CANCELLED
            here.vtn.withdraw(event)
            await here.poll()
            assert here.called_w == 0
            assert here.store.call(f"{event}.down").state is State.CANCELLED

    asyncio.run(day())


def test_intervals_priorities_and_both_directions(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            content = an_event(here.program, duration="PT30M")
            kind = "DISPATCH_SETPOINT_RELATIVE"
            content["intervals"] = [
                {"id": number, "payloads": [{"type": kind, "values": [kw]}]}
                for number, kw in enumerate((-20, -10, 0, 5))
            ]
            event = here.vtn.put("events", content)
            await here.poll()
            up, down = (here.store.call(f"{event}.{way}").call for way in ("up", "down"))
            assert [step.power_w for step in up.steps] == [20_000, 10_000]
            assert (down.starts_at, down.ends_at) == (START + 5400, START + 7200)
            assert (await here.at(START + 1810)) is None
            assert here.called_w == 10_000
            await here.at(START + 5410)
            assert here.called_w == -5_000

    asyncio.run(day())


@pytest.mark.parametrize(
    ("kind", "kw", "asked"),
    [
        ("DISPATCH_SETPOINT", 5.0, 10_000),
        ("DISPATCH_SETPOINT", 20.0, -5_000),
        ("IMPORT_CAPACITY_LIMIT", 6.0, 9_000),
        ("IMPORT_CAPACITY_LIMIT", 40.0, 0),
        ("EXPORT_CAPACITY_LIMIT", 3.0, 0),
    ],
)
def test_absolute_set_points_and_limits_are_measured_against_what_flows(tmp_path, kind, kw, asked):
    async def day():
        async with side(tmp_path) as here:
            # Five sites of 3 kW each.
            event = here.vtn.put("events", an_event(here.program, kw=kw, kind=kind))
            await here.poll()
            await here.at(START + 10)
            assert here.called_w == asked
            # A later half hour is worked out anew, with what the call itself gives taken off.
            for site in here.sites:
                site.load_w = 4_000
            await here.at(START + 1810)
            await here.poll()
            more = 0 if asked == 0 else 5_000
            assert here.called_w == asked + more
            assert event in {kept.call.external for kept in here.store.calls()} or asked == 0

    asyncio.run(day())


def test_an_event_that_cannot_be_answered_is_opted_out_of_and_the_others_are_served(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            odd = here.vtn.put("events", an_event(here.program, kind="CHARGE_STATE_SETPOINT"))
            endless = here.vtn.put("events", an_event(here.program, duration="P9999Y"))
            good = here.vtn.put("events", an_event(here.program))
            await here.poll()
            await here.poll()
            for event in (odd, endless):
                report = here.vtn.reports[f"{event}/opted-out"]
                assert values(report, "OPERATING_STATE") == ["RUNNING_OPTED_OUT"]
            assert [kept.call.external for kept in here.store.calls()] == [good]
            assert len(here.vtn.objects["reports"]) == 3

    asyncio.run(day())


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "true", '"5"'])
def test_what_is_no_number_of_kilowatts_cannot_be_answered(value):
    content = json.dumps(an_event("p", kw=0.0) | {"id": "e", "modificationDateTime": "now"})
    event = Event(**json.loads(content.replace("[0.0]", f"[{value}]")))
    program = Program(id="p", programName="tertiary")
    with pytest.raises(
        SettingError, match="event e: DISPATCH_SETPOINT_RELATIVE must have one number"
    ):
        calls_of(event, program, Product(), NOW, lambda *_: None, lambda _: 0, "1", NOW)


def test_an_event_that_begins_now_begins_when_it_is_seen(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            content = an_event(here.program)
            content["intervalPeriod"]["start"] = "0001-01-01T00:00:00Z"
            event = here.vtn.put("events", content)
            await here.poll()
            await here.at(NOW + 300)
            await here.poll()
            assert here.store.call(f"{event}.up").call.starts_at == NOW

    asyncio.run(day())


def test_a_random_start_stays_what_it_is(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            content = an_event(here.program)
            content["intervalPeriod"]["randomizeStart"] = "PT10M"
            event = here.vtn.put("events", content)
            await here.poll()
            start = here.store.call(f"{event}.up").call.starts_at
            assert START <= start <= START + 600
            await here.link.close()
            here.restart()
            here.vtn.put("events", content, event)
            await here.poll()
            assert here.store.call(f"{event}.up").call.starts_at == start

    asyncio.run(day())


def test_after_a_restart_nothing_is_taken_or_reported_twice(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            event = here.vtn.put("events", an_event(here.program))
            await here.poll()
            # It was killed after it had posted, and before it kept that.
            with writing(here.store.engine) as connection:
                connection.execute(delete(SENT))
            given = [len(site.given) for site in here.sites]
            await here.link.close()
            here.restart()
            await here.poll()
            assert len(here.vtn.objects["reports"]) == 1
            assert len(here.vtn.objects["vens"]) == 1
            assert here.store.reported(f"{event}.up").keys() == {"accepted"}
            assert [len(site.given) for site in here.sites] == given

    asyncio.run(day())


def test_more_events_than_a_page_holds_are_all_taken(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            for number in range(51):
                here.vtn.put("events", an_event(here.program, kw=-0.1, start=START + 7200 * number))
            await here.ven.round()
            assert len(here.store.calls()) == 51

    asyncio.run(day())


def test_events_of_other_programs_are_none_of_ours(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            other = here.vtn.put("programs", {"programName": "prices"})
            here.vtn.put("events", an_event(other))
            await here.poll()
            assert here.store.calls() == []

    asyncio.run(day())


def test_what_makes_no_sense_at_a_vtn_is_passed_over(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            here.vtn.objects["programs"]["odd"] = here.vtn.objects["programs"][here.program] | {
                "id": "odd",
                "programName": "tertiary",
                "payloadDescriptors": [
                    {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "X"}
                ],
            }
            event = here.vtn.put("events", an_event(here.program))
            content = an_event(here.program)
            content["intervals"][0]["payloads"][0]["values"] = ["much"]
            odd = here.vtn.put("events", content)
            await here.poll()
            assert [kept.call.external for kept in here.store.calls()] == [event]
            assert f"{odd}/opted-out" in here.vtn.reports

    asyncio.run(day())


def test_a_vtn_that_fails_is_asked_again_and_cancels_nothing(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            here.vtn.put("events", an_event(here.program))
            await here.poll()
            await here.at(START + 10)
            here.vtn.fails = 1
            with pytest.raises(VtnError, match="got 503"):
                await here.ven.round()
            assert here.called_w == 25_000
            here.vtn.tokens.clear()
            await here.ven.round()
            assert here.vtn.token_requests == 2
            assert here.called_w == 25_000

    asyncio.run(day())


def test_once_the_readings_are_in_the_result_is_reported(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            readings: dict[tuple[int, int], Reading] = {}

            def evidence(name):
                kept, shares = here.store.call(name), here.store.shares(name)
                plans = here.store.plans(name)
                return fulfilment(kept, shares, readings, {}, plans, [], here.store.told(name))

            here.ven = Ven(here.link, here.desk, "miyagi", TERMS, evidence)
            # Of two whole half hours, so that all of them is the call's.
            start = NOW + 1800
            event = here.vtn.put("events", an_event(here.program, start=start))
            await here.poll()
            await here.at(start + 10)
            await here.at(start + 3610)
            assert here.store.call(f"{event}.up").state is State.ENDED
            assert f"{event}.up/result" not in here.vtn.reports
            for site in {share.site for share in here.store.shares(f"{event}.up")}:
                for slot in here.store.call(f"{event}.up").call.slots:
                    readings[site, slot] = Reading(slot, site, discharged=4_000)
            await here.ven.round()
            await here.ven.round()
            report = here.vtn.reports[f"{event}.up/result"]
            assert values(report, "DELTA_USAGE") == [-12.0, -12.0]
            assert values(report, "BASELINE", "Site 1") == [0.0, 0.0]
            assert values(report, "DELTA_USAGE", "Site 1") == [-4.0, -4.0]
            # What left the battery is no usage.
            assert values(report, "USAGE", "Site 1") == []
            assert len(here.vtn.reports) == len(here.vtn.objects["reports"]) == 3

    asyncio.run(day())


def test_a_call_that_nobody_could_serve_is_said_to_be_unserved(tmp_path):
    async def day():
        async with side(tmp_path) as here:
            for site in here.sites:
                site.following = Following.STOP
            event = here.vtn.put("events", an_event(here.program))
            await here.poll()
            await here.at(START + 10)
            await here.at(START + 3610)
            report = here.vtn.reports[f"{event}.up/unserved"]
            assert values(report, "OPERATING_STATE") == ["ERROR"]
            assert f"{event}.up/accepted" not in here.vtn.reports

    asyncio.run(day())


@pytest.mark.parametrize("url", ["http://vtn.example.org", "ftp://x", "vtn", "http://10.0.0.1"])
def test_secrets_are_not_sent_in_clear(url):
    with pytest.raises(SettingError, match="a VTN must be at https://"):
        Vtn(url, CLIENT, SECRET)
    with pytest.raises(SettingError, match="a VTN must be at https://"):
        Vtn("https://vtn.example.org", CLIENT, SECRET, token_url=url)


def test_wrong_credentials_are_told():
    async def day():
        async with small_vtn() as vtn:
            link = Vtn(vtn.url, CLIENT, "guessed")
            with pytest.raises(VtnError, match="must give a token, got 401"):
                await link.every("/programs")
            await link.close()
        link = Vtn("http://127.0.0.1:9", CLIENT, SECRET)
        with pytest.raises(VtnError, match="http://127.0.0.1:9 must answer, got"):
            await link.every("/programs")
        await link.close()

    asyncio.run(day())


def test_durations_and_times():
    assert seconds_of("PT1H30M") == 5400
    assert seconds_of("P1DT1S") == 86_401
    assert moment_of("2026-11-25T17:00:00+09:00", 0) == moment_of("2026-11-25T08:00:00Z", 0)
    for wrong in ("P", "1H", "PT"):
        with pytest.raises(SettingError, match="must be as PT30M"):
            seconds_of(wrong)
