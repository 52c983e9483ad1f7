"""The control room's store: states, minutes, instructions and their answers, the audit trail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from chain import database
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.room.keeper import KEPT_MINUTES_DAYS, keeping
from vpp.room.store import Outcome, Registered, Sent, Standing, opened, records
from vpp.room.tables import TRAIL

NOW = 1_760_000_400


@pytest.fixture
def engine(tmp_path):
    engine = opened(str(tmp_path / "room.sqlite"))
    with keeping(engine) as keep:
        keep.register([Registered(3, "Osaki", "Osaki city", "pv+battery", "大崎")])
    yield engine
    engine.dispose()


def report(site=3, at=NOW, **values) -> Report:
    known = {"stored_wh": 20_000, "capacity_wh": 40_000, "battery_w": 1_000} | values
    return Report(site, "Osaki", "Osaki city", "pv+battery", at, Following.SELF, **known)


def sent(sequence=5, site=3, **values) -> Sent:
    told = Instruction(site, sequence, Action.STOP, NOW, NOW + 600, NOW + 60)
    made = Sent(told, "tanaka", "fire", NOW, Outcome.OPEN, None, 1, "{}", f"of{sequence}")
    return replace(made, **values)


def test_a_site_is_unheard_then_alive_then_lost(engine):
    with records(engine) as read:
        (state,) = read.states()
    assert state.standing(NOW) is Standing.UNHEARD
    assert state.age(NOW) is None
    with keeping(engine) as keep:
        keep.reported([(report(alarms=("hot",)), NOW + 0.5, True)])
    with records(engine) as read:
        (state,) = read.states()
    assert state.report == report(alarms=("hot",))
    assert state.name_ja == "大崎"
    assert state.standing(NOW + 1) is Standing.ALIVE
    assert state.standing(NOW + 31) is Standing.LOST
    with keeping(engine) as keep:
        keep.linked({3: False})
    with records(engine) as read:
        assert read.states()[0].standing(NOW + 1) is Standing.LOST


def test_a_report_that_the_broker_had_kept_neither_counts_nor_links_nor_replaces_a_newer(engine):
    with keeping(engine) as keep:
        keep.reported([(report(at=NOW - 500), NOW, False), (report(site=9), NOW, False)])
    with records(engine) as read:
        first, stray = read.states()
        assert read.minutes(3, NOW - 1_000, NOW + 100) == []
    assert stray.site == 9
    assert not first.linked
    assert first.age(NOW) == 500
    with keeping(engine) as keep:
        keep.reported([(report(), NOW, True)])
        keep.reported([(report(at=NOW - 100), NOW, False)])
    with records(engine) as read:
        assert read.states()[0].report == report()
        assert read.states()[0].linked


def test_a_minutes_reports_are_one_row_of_means(engine):
    minute = NOW // 60 * 60
    with keeping(engine) as keep:
        keep.reported([(report(at=minute + at, battery_w=at * 100), NOW, True) for at in (0, 5)])
        keep.reported([(report(at=minute + 55, battery_w=4_000, generated_w=10), NOW, True)])
        keep.reported([(report(at=minute + 60, battery_w=7), NOW, True)])
    with records(engine) as read:
        first, second = read.minutes(3, minute, minute + 120)
        assert read.minutes(3, minute + 1, minute + 60) == []
    assert (first.at, first.reports) == (minute, 3)
    assert first.battery_w == pytest.approx(1_500)
    assert first.generated_w == 10
    assert first.imported_w is None
    assert second.battery_w == 7


def test_minutes_of_days_ago_become_half_hours_with_the_same_mean(engine):
    start = (NOW - (KEPT_MINUTES_DAYS + 1) * 86_400) // 1800 * 1800
    with keeping(engine) as keep:
        for minute in range(60):
            one = report(at=start + 60 * minute, battery_w=minute)
            keep.reported([(one, NOW, True)])
        assert keep.thin(NOW) == 58
        assert keep.thin(NOW) == 0
    with records(engine) as read:
        first, second = read.minutes(3, start, start + 3600)
    assert (first.at, first.reports, first.battery_w) == (start, 30, 14.5)
    assert second.battery_w == 44.5


def test_an_answer_is_kept_once_and_a_power_change_after_it(engine):
    with keeping(engine) as keep:
        keep.sent([sent(), sent(6)])
        taken = Answer(3, 5, NOW + 1)
        assert keep.answered([(taken, "of5"), (taken, "of5")], NOW) == [taken]
        changed = replace(taken, changed_at=NOW + 1.5)
        assert keep.answered([(changed, "of5")], NOW) == [changed]
        assert keep.answered([(changed, "of5")], NOW) == []
    with records(engine) as read:
        (found,) = read.instructions(outcome=Outcome.TAKEN)
        assert found.answer == changed
        assert found.instruction == sent().instruction
        assert [each.instruction.sequence for each in read.instructions()] == [6, 5]
        assert [each.kind for each in read.entries()] == ["answered", "followed"]


def test_an_answer_to_another_envelope_of_the_same_sequence_changes_nothing(engine):
    with keeping(engine) as keep:
        keep.sent([sent()])
        assert keep.answered([(Answer(3, 5, NOW, "signer"), "forged")], NOW) == []
    with records(engine) as read:
        assert read.instructions()[0].outcome is Outcome.OPEN


def test_what_nobody_answered_expires_and_a_late_answer_still_counts(engine):
    with keeping(engine) as keep:
        keep.sent([sent()])
        assert keep.expire(NOW + 60) == []
        assert [each.instruction.sequence for each in keep.expire(NOW + 61)] == [5]
        assert keep.expire(NOW + 61) == []
        keep.answered([(Answer(3, 5, NOW + 59, "out of limits"), "of5")], NOW + 70)
    with records(engine) as read:
        (found,) = read.instructions()
    assert found.outcome is Outcome.REFUSED
    assert found.answer == Answer(3, 5, NOW + 59, "out of limits")


@pytest.fixture
def trailed(engine):
    with keeping(engine) as keep:
        for number in range(5):
            keep.note("room", {"began": number, "語": "結"}, NOW + number)
    return engine


def tampered(engine, *statements):
    with database.writing(engine) as connection:
        for statement in statements:
            connection.execute(statement)
    with records(engine) as read:
        return read.check_trail()


def test_the_trail_holds_as_it_was_written(trailed):
    with records(trailed) as read:
        found = read.check_trail()
        assert found.broken_at is None
        assert found.entries == 5
        assert found.head == read.entries()[-1].hash
        assert read.entries(2)[0].content == {"began": 3, "語": "結"}


def test_an_entry_that_was_changed_is_seen(trailed):
    found = tampered(trailed, update(TRAIL).where(TRAIL.c.number == 3).values(said='{"began":9}'))
    assert found.broken_at == 3


def test_an_entry_that_was_taken_out_is_seen(trailed):
    assert tampered(trailed, delete(TRAIL).where(TRAIL.c.number == 2)).broken_at == 2


def test_an_entry_taken_out_and_the_rest_renumbered_is_seen(trailed):
    renumbered = [
        update(TRAIL).where(TRAIL.c.number == number).values(number=number - 1)
        for number in (3, 4, 5)
    ]
    removed = delete(TRAIL).where(TRAIL.c.number == 2)
    assert tampered(trailed, removed, *renumbered).broken_at == 2


def test_a_trail_whose_end_was_cut_off_is_seen_by_who_was_told_a_hash_of_it(trailed):
    with records(trailed) as read:
        witnessed = read.entries()[-1].hash
        assert read.check_trail(witnessed).broken_at is None
    assert tampered(trailed, delete(TRAIL).where(TRAIL.c.number > 3)).broken_at is None
    with records(trailed) as read:
        found = read.check_trail(witnessed)
    assert found.broken_at == 4
    assert "was cut" in found.reason
