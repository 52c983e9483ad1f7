"""What goes over the link: signatures, messages, a site's ledger, its checks, selections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import typer
from aiomqtt import MqttError
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from energy.errors import LinkError, SettingError, StoreError
from energy.messages import address_of
from orchestrator.entry import DESK_COMMANDS
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.link import site as site_link
from vpp.link.client import Broker, ended, heeded, kept_connected, together
from vpp.link.folders import Member, SitePlace
from vpp.link.ledger import KEPT_REFUSALS, Ledger
from vpp.link.signing import Order, digest, typed_message
from vpp.link.simulated import SimulatedBattery
from vpp.link.site import SiteLink
from vpp.link.wire import (
    answer_from,
    answer_text,
    envelope_from,
    enveloped,
    link_from,
    link_text,
    report_from,
    report_text,
    topic,
    topic_parts,
)
from vpp.room.selecting import Selection, chosen
from vpp.room.store import State

KEY, OTHER_KEY = bytes(range(1, 33)), bytes(range(2, 34))
FLEET, OTHER_FLEET = b"\x07" * 32, b"\x08" * 32
NOW = 1_760_000_400


def instruction(action=Action.DISCHARGE, sequence=NOW * 1_000_000, site=7, **values) -> Instruction:
    power_w = 3_000 if action in (Action.CHARGE, Action.DISCHARGE) else 0
    known = {"starts_at": NOW, "ends_at": NOW + 1_800, "expires_at": NOW + 60, "power_w": power_w}
    return Instruction(site, sequence, action, **(known | values))


def envelope(told=None, key=KEY, fleet=FLEET, **words):
    order = Order(told or instruction(), **({"by": "tanaka", "why": "試験"} | words))
    return enveloped(order, order.signed(fleet, key))


plans = instruction(Action.PLAN, plan_wh=(100, -200, 2**31 - 1))
call = instruction(Action.CALL, power_w=-4_000, call="c-1")


@pytest.mark.parametrize("told", [instruction(), plans, call], ids=["plain", "plan", "call"])
def test_an_orders_digest_is_what_another_eip_712_library_signs(told):
    order = Order(told, "tanaka", "試験", b"\x05" * 32)
    signed = Account.sign_message(encode_typed_data(full_message=typed_message(order, FLEET)), KEY)
    assert signed.message_hash == digest(order, FLEET)
    r, vs = order.signed(FLEET, KEY)[:32], int.from_bytes(order.signed(FLEET, KEY)[32:])
    assert (int.from_bytes(r), vs & (1 << 255) - 1) == (signed.r, signed.s)


CHANGES: dict[str, Any] = {
    "site": 8,
    "sequence": 1,
    "action": Action.CHARGE,
    "starts_at": NOW - 1,
    "ends_at": NOW + 9_999,
    "expires_at": NOW + 61,
    "power_w": 3_001,
    "call": "x",
}


def test_the_signer_is_known_and_each_field_counts():
    order = Order(instruction(), "tanaka", "why")
    signature = order.signed(FLEET, KEY)
    assert order.signer(FLEET, signature) == address_of(KEY)
    changed = [
        replace(order, by="sato"),
        replace(order, why="other"),
        replace(order, trail=b"\x01" * 32),
        *(
            replace(order, instruction=replace(order.instruction, **{name: value}))
            for name, value in CHANGES.items()
        ),
    ]
    for each in changed:
        assert each.signer(FLEET, signature) != address_of(KEY)
    assert order.signer(OTHER_FLEET, signature) != address_of(KEY)


def test_an_envelope_comes_through_as_it_was():
    made = envelope(plans)
    read = envelope_from(made.payload.encode())
    assert read == made
    assert read.of == made.of


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"site": -1}, "site"),
        ({"site": True}, "site"),
        ({"sequence": 0}, "sequence"),
        ({"sequence": 2**63}, "sequence"),
        ({"action": "explode"}, "explode"),
        ({"ends_at": NOW}, "end after"),
        ({"power_w": 1.5}, "power_w"),
        ({"power_w": 0}, "power_w"),
        ({"plan_wh": [2**31]}, "plan_wh"),
        ({"plan_wh": [0] * 1_001}, "plan_wh"),
        ({"why": "x" * 501}, "why"),
        ({"by": None}, "by"),
        ({"trail": "00"}, "trail"),
        ({"signature": "zz"}, "signature"),
        ({"extra": 1}, "extra"),
    ],
)
def test_an_envelope_of_nonsense_is_refused_by_name(change, named):
    values = json.loads(envelope().payload) | change
    with pytest.raises(LinkError, match=named):
        envelope_from(json.dumps(values))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_of_any_kind_are_a_message_or_a_named_error(payload):
    for read in (envelope_from, answer_from, report_from, link_from):
        with pytest.raises(LinkError):
            read(payload)


def test_what_is_too_long_or_too_deep_is_no_message():
    for payload in (b" " * 70_000, b"[" * 60_000, b"null", b"\xff\xfe"):
        with pytest.raises(LinkError):
            report_from(payload)


report = Report(
    7, "Osaki", "Osaki city", "pv+battery", NOW, Following.CALL, NOW * 10**6,
    20_000, 40_000, -500, 700, None, 9_000, 8_000, -450, "c-1", ("hot",),
)  # fmt: skip


def test_reports_and_answers_come_through_and_may_hold_more_than_is_known():
    assert report_from(report_text(report)) == report
    empty = replace(report, stored_wh=None, battery_w=None, target_w=None, alarms=())
    assert report_from(report_text(empty)) == empty
    newer = json.loads(report_text(report)) | {"humidity": 3}
    assert report_from(json.dumps(newer)) == report
    answer = Answer(7, 5, NOW, "limit", NOW + 0.25)
    assert answer_from(answer_text(answer, "ab")) == (answer, "ab")
    assert link_from(link_text(up=True)) is True
    for change in ({"following": "dance"}, {"alarms": "hot"}, {"alarms": [1]}, {"stored_wh": "x"}):
        with pytest.raises(LinkError):
            report_from(json.dumps(json.loads(report_text(report)) | change))
    with pytest.raises(LinkError, match="changed_at"):
        answer_from(json.dumps(json.loads(answer_text(answer, "ab")) | {"changed_at": "soon"}))
    with pytest.raises(LinkError, match="up"):
        link_from('{"up": 1}')


@pytest.mark.parametrize(
    "change",
    [
        {"name": "\ud800"},
        {"municipality": "Osaki\0city"},
        {"call": "\udfff"},
        {"alarms": ["hot", "\ud800"]},
        {"alarms": ["\0"]},
        {"at": 2**62},
    ],
)
def test_a_report_that_no_store_or_page_could_hold_is_refused(change):
    """Else one site's terminal could end the control room."""
    values = json.loads(report_text(report)) | change
    (named,) = change
    with pytest.raises(LinkError, match=named):
        report_from(json.dumps(values))


@pytest.mark.parametrize(
    "change",
    [
        {"refused": "\ud800"},
        {"of": "\0"},
        {"at": 2**62},
        {"changed_at": math.inf},
        {"changed_at": math.nan},
        {"changed_at": -1},
        {"changed_at": 10**400},
    ],
)
def test_an_answer_that_no_store_could_hold_is_refused(change):
    values = json.loads(answer_text(Answer(7, 5, NOW, "limit", NOW + 0.25), "ab")) | change
    (named,) = change
    with pytest.raises(LinkError, match=named):
        answer_from(json.dumps(values))


def test_a_topic_names_its_site():
    assert topic_parts(topic("miyagi", 7, "report")) == (7, "report")
    assert topic("miyagi", "+", "report") == "yui/miyagi/+/report"
    long = f"yui/miyagi/site-{'9' * 5_000}/report"
    for text in ("yui/miyagi/room/report", "yui/miyagi/site-7/else", "other", long):
        with pytest.raises(LinkError, match="topic"):
            topic_parts(text)


@pytest.fixture
def ledger(tmp_path):
    found = Ledger(tmp_path / "ledger.sqlite")
    yield found
    found.close()


def told_at(offset, action=Action.DISCHARGE, **values):
    values = {"plan_wh": (1,)} | values if action is Action.PLAN else values
    return envelope(instruction(action, (NOW + offset) * 1_000_000, **values))


def take(ledger, *envelopes, refused=""):
    for each in envelopes:
        told = each.order.instruction
        ledger.take_up(each, NOW)
        ledger.answer(Answer(told.site, told.sequence, NOW, refused))


def held(ledger, now=NOW):
    return [each.envelope.order.instruction.action for each in ledger.holding(now)]


def test_a_ledger_remembers_across_a_restart(tmp_path, ledger):
    first, second = told_at(0), told_at(1)
    take(ledger, first)
    ledger.take_up(second, NOW)
    again = Ledger(tmp_path / "ledger.sqlite")
    assert again.last == second.order.instruction.sequence
    kept, cut_off = again.found(first), again.found(second)
    assert kept is not None
    assert cut_off is not None
    assert kept.answer == Answer(7, first.order.instruction.sequence, NOW)
    assert cut_off.answer is None
    other = envelope(instruction(Action.HOLD, first.order.instruction.sequence))
    assert again.found(other) is None
    assert again.found(told_at(9)) is None
    assert [each.envelope for each in again.kept()] == [first, second]
    with pytest.raises(StoreError, match="UNIQUE"):
        again.take_up(first, NOW)


def test_a_ledger_knows_what_still_holds(ledger):
    take(ledger, told_at(0, Action.PLAN), told_at(1), told_at(2, Action.LIMIT))
    assert held(ledger) == [Action.PLAN, Action.DISCHARGE, Action.LIMIT]
    take(ledger, told_at(3, Action.LIMIT, ends_at=NOW + 10))
    assert held(ledger, NOW + 11) == [Action.PLAN, Action.DISCHARGE]
    take(ledger, told_at(4, Action.STOP))
    assert held(ledger, NOW + 10**6) == [Action.STOP]
    take(ledger, told_at(5, Action.RESUME))
    assert held(ledger) == [Action.PLAN]
    take(ledger, told_at(6, Action.HOLD), refused="limit")
    assert held(ledger) == [Action.PLAN]


def test_what_was_cut_off_before_its_answer_is_done_again_while_it_is_good(ledger):
    ledger.take_up(told_at(0, Action.RESUME), NOW)
    assert held(ledger) == [Action.RESUME]
    assert held(ledger, NOW + 61) == []


def test_a_stop_outlives_all_that_is_told_after_it(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite", kept=3)
    take(ledger, told_at(0, Action.STOP), *(told_at(at) for at in range(1, 130)))
    assert len(ledger.kept()) < 70
    assert Action.STOP in held(ledger, NOW + 10**6)


def test_an_answer_is_untold_until_the_broker_took_that_very_one(ledger):
    take(ledger, told_at(0))
    (kept,) = ledger.untold()
    assert kept.answer is not None
    changed = replace(kept.answer, changed_at=NOW + 0.5)
    ledger.answer(changed)
    ledger.told(kept.answer)
    assert [each.answer for each in ledger.untold()] == [changed]
    ledger.told(changed)
    assert ledger.untold() == []


def test_refused_messages_fill_no_disk(ledger):
    for number in range(KEPT_REFUSALS + 5):
        ledger.refuse("signer", str(number), b"x" * 100, NOW)
    found = ledger.refusals()
    assert len(found) == KEPT_REFUSALS
    assert found[-1].detail == str(KEPT_REFUSALS + 4)


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database, whatever its name" * 100)
    with pytest.raises(StoreError, match="ledger"):
        Ledger(tmp_path / "ledger.sqlite")


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Asked(SimulatedBattery):
    """A battery that counts what it is given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.given: list[Instruction] = []

    async def give(self, told):
        self.given.append(told)
        return await super().give(told)


class Site:
    """A site whose link has no broker: what it says is kept here."""

    def __init__(self, folder) -> None:
        nowhere = Broker("nowhere", 1, folder, folder, folder)
        place = SitePlace(folder, "test", FLEET, frozenset({address_of(KEY)}), 7, nowhere)
        self.clock = Clock()
        self.battery = Asked(Member(7, "Osaki", "Osaki city", "pv+battery"), clock=self.clock)
        self.ledger = Ledger(place.ledger)
        self.said: list[tuple[Answer, str]] = []
        self.link = SiteLink(place, self.battery, self.ledger, clock=self.clock)
        self.link._say = self._say  # type: ignore[method-assign]

    async def _say(self, kind, text, qos=1, retain=False):
        if kind == "answer":
            self.said.append(answer_from(text))
        return True

    def hears(self, payload):
        async def told():
            before = len(self.said)
            await self.link.hear(payload if isinstance(payload, bytes) else payload.encode())
            for each in self.link._watches.values():
                each.cancel()
            return self.said[before:]

        return asyncio.run(told())

    def refused(self, payload) -> str:
        ((answer, _),) = self.hears(payload)
        assert self.ledger.refusals()[-1].reason == answer.refused
        return answer.refused


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_good_instruction_is_kept_given_and_answered(site):
    made = envelope()
    ((answer, of),) = site.hears(made.payload)
    assert answer == Answer(7, made.order.instruction.sequence, NOW)
    assert of == made.of
    assert site.battery.given == [made.order.instruction]
    assert site.ledger.last == answer.sequence
    assert site.link.report().following is Following.COMMAND


def test_a_second_time_it_gets_the_same_answer_and_is_done_once(site):
    made = envelope()
    (first,) = site.hears(made.payload)
    site.clock.now += 3_600
    assert site.hears(made.payload) == [first]
    assert len(site.battery.given) == 1


def test_another_key_is_refused_and_logged_and_alarms(site, caplog):
    assert site.refused(envelope(key=OTHER_KEY).payload).startswith("signer")
    assert "message.refused" in caplog.text
    assert site.battery.given == []
    assert site.link.report().alarms == ("link: signer",)
    site.clock.now += site_link.ALARM_SECONDS + 1
    assert site.link.report().alarms == ()


def test_another_fleets_instruction_is_refused(site):
    assert site.refused(envelope(fleet=OTHER_FLEET).payload).startswith("signer")


def test_an_instruction_that_was_changed_on_the_way_is_refused(site):
    values = json.loads(envelope().payload) | {"power_w": 9_000}
    assert site.refused(json.dumps(values)).startswith("signer")
    assert site.battery.given == []


def test_another_sites_instruction_is_refused(site):
    assert site.refused(envelope(instruction(site=8)).payload).startswith("site")


def test_an_expired_instruction_is_refused_by_the_sites_clock(site):
    site.clock.now = NOW + 61
    assert site.refused(envelope().payload) == f"expired at {NOW + 60}"
    assert site.battery.given == []
    assert site.ledger.last == 0


def test_what_is_older_than_what_was_taken_up_is_refused(site):
    late, early = told_at(5), told_at(4)
    site.hears(late.payload)
    assert site.refused(early.payload).startswith("sequence")
    other = envelope(instruction(Action.HOLD, (NOW + 5) * 1_000_000))
    assert site.refused(other.payload).startswith("sequence")
    assert len(site.battery.given) == 1


def test_a_replay_after_a_restart_is_not_done_again(tmp_path, site):
    made = envelope()
    (first,) = site.hears(made.payload)
    site.ledger.close()
    again = Site(tmp_path)
    assert again.hears(made.payload) == [first]
    assert again.battery.given == []


def test_a_sequence_far_ahead_of_the_clock_locks_nobody_out(site):
    ahead = envelope(instruction(sequence=(NOW + 10**8) * 1_000_000))
    assert site.refused(ahead.payload).startswith("clock")
    assert site.hears(envelope().payload)[0][0].taken


def test_what_the_owner_forbids_is_refused_and_kept(site):
    made = envelope(instruction(power_w=20_001))
    ((answer, _),) = site.hears(made.payload)
    assert answer.refused == "limit: power must be at most 20000 W, got 20001 W"
    assert site.ledger.kept()[-1].answer == answer


def test_garbage_is_logged_and_gets_no_answer(site):
    assert site.hears(b"\xff\x00garbage") == []
    assert site.ledger.refusals()[-1].reason == "garbled"


@pytest.mark.parametrize("field", ["by", "why", "call"])
def test_a_text_that_cannot_be_signed_is_garbage_and_no_end(site, field):
    values = json.loads(envelope().payload) | {field: "\ud800"}
    assert site.hears(json.dumps(values)) == []
    assert site.ledger.refusals()[-1].reason == "garbled"


def test_a_device_that_fails_is_an_answer_and_no_end(site, monkeypatch):
    async def fails(told):
        raise RuntimeError("no such register")

    monkeypatch.setattr(site.battery, "give", fails)
    ((answer, _),) = site.hears(envelope().payload)
    assert answer.refused == "failed: no such register"


class Rude:
    """A client to which nobody can say goodbye."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        raise MqttError("Operation timed out")


def test_a_link_that_is_told_to_end_ends_though_the_goodbye_fails():
    async def story():
        used = asyncio.Event()

        async def use(client):
            used.set()
            await asyncio.Event().wait()

        made: Any = Rude
        link = asyncio.create_task(kept_connected(made, use, "rude"))
        await used.wait()
        link.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(link, return_exceptions=True)
        assert link.cancelled()

    asyncio.run(story())


async def forgetful():
    """As `asyncio.wait_for` may be in Python 3.11: cancelled, it returns what has just come."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return 1


def test_a_task_ends_though_a_call_forgot_that_it_was_to():
    async def story():
        async def calls_on():
            while True:
                await heeded(forgetful())

        async def deaf():
            await forgetful()
            await asyncio.Event().wait()

        duty = asyncio.create_task(together(calls_on(), calls_on()))
        await asyncio.sleep(0.01)
        duty.cancel()
        async with asyncio.timeout(2):
            await asyncio.gather(duty, return_exceptions=True)
        assert duty.cancelled()
        heard = asyncio.create_task(deaf())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(2):
            await ended(heard)
        assert heard.cancelled()

    asyncio.run(story())


def test_a_lost_connection_is_made_again(monkeypatch):
    monkeypatch.setattr("vpp.link.client.FIRST_WAIT_SECONDS", 0.001)

    async def story():
        times, lost = 0, []

        async def use(client):
            nonlocal times
            times += 1
            await together(asyncio.sleep(60), fails() if times < 4 else asyncio.sleep(60))

        async def fails():
            raise MqttError("gone")

        made: Any = contextlib.nullcontext
        link = asyncio.create_task(kept_connected(made, use, "x", lambda: lost.append(times)))
        async with asyncio.timeout(5):
            while times < 4:
                await asyncio.sleep(0.001)
        link.cancel()
        await asyncio.gather(link, return_exceptions=True)
        assert lost == [1, 2, 3, 4]

    asyncio.run(story())


def test_a_disk_that_takes_nothing_stops_all_but_a_stop(site, monkeypatch):
    def full(*_):
        raise StoreError("disk full")

    for name in ("take_up", "answer", "refuse"):
        monkeypatch.setattr(site.ledger, name, full)
    ((answer, _),) = site.hears(told_at(0).payload)
    assert answer.refused == site_link.UNKEPT
    ((answer, _),) = site.hears(told_at(1, Action.STOP).payload)
    assert answer.taken
    assert site.link.report().following is Following.STOP


def test_what_held_is_given_again_after_a_restart(tmp_path, site):
    site.hears(told_at(0, Action.PLAN, plan_wh=(500,)).payload)
    site.hears(told_at(1, Action.STOP).payload)
    site.ledger.close()
    again = Site(tmp_path)
    asyncio.run(again.link._restore())
    assert [each.action for each in again.battery.given] == [Action.PLAN, Action.STOP]
    assert again.said == []


def test_a_battery_says_when_its_power_first_followed(site):
    made = told_at(0)
    site.hears(made.payload)
    sequence = made.order.instruction.sequence
    assert site.battery.answer_of(sequence).changed_at is None
    site.clock.now += 1
    assert site.battery.answer_of(sequence).changed_at == NOW + site.battery.lag_seconds
    assert site.battery.answer_of(1) is None


def state(site, name="Osaki", city="Osaki city", kind="pv+battery", charge=None) -> State:
    stored = None if charge is None else charge * 400
    said = replace(report, site=site, stored_wh=stored, capacity_wh=40_000)
    return State(site, name, city, kind, said, NOW, True, "大崎" if name == "Osaki" else "")


FLEET_STATES = [
    state(0, "Osaki", charge=20),
    state(1, "Tome", "Tome city", charge=80),
    state(2, "Sendai", "Sendai city", "pv"),
]


@pytest.mark.parametrize(
    ("selection", "sites"),
    [
        (Selection(everything=True), [0, 1, 2]),
        (Selection(), [0, 1, 2]),
        (Selection(sites=("0", "tome")), [0, 1]),
        (Selection(sites=("大崎",)), [0]),
        (Selection(municipalities=("TOME city", "Sendai city")), [1, 2]),
        (Selection(kinds=("pv",)), [2]),
        (Selection(charge_above=20), [1]),
        (Selection(charge_below=80), [0]),
        (Selection(charge_above=10, charge_below=90), [0, 1]),
        (Selection(municipalities=("Tome city",), charge_below=50), []),
    ],
)
def test_a_selection_means_the_sites_of_which_all_of_it_holds(selection, sites):
    assert [each.site for each in chosen(FLEET_STATES, selection).states] == sites


def test_a_site_of_unknown_charge_is_not_chosen_by_charge_and_named():
    found = chosen(FLEET_STATES, Selection(charge_below=100))
    assert [each.site for each in found.unknown] == [2]


@pytest.mark.parametrize(
    "selection",
    [
        Selection(sites=("9",)),
        Selection(municipalities=("Kyoto",)),
        Selection(kinds=("wind",)),
        Selection(charge_above=101),
        Selection(charge_below=-1),
        Selection(everything=True, sites=("0",)),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(selection):
    with pytest.raises(SettingError):
        chosen(FLEET_STATES, selection)


def test_the_commands_that_load_little_are_those_of_the_control_room():
    from orchestrator.desk_cli import app

    groups: Any = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = {(group, name) for group, found in groups.items() for name in found.commands}
    assert names == set(DESK_COMMANDS)
    loaded = "import sys, orchestrator.desk_cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "scipy", "sklearn", "matplotlib"} & set(done.stdout.split())
