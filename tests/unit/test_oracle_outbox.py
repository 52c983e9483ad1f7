"""What a terminal keeps on disk."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from energy.errors import SettingError
from energy.records import Reading
from oracle.outbox import Entry, Episode, Outbox, State, StoreFailed
from oracle.quantity import Incident, Sample
from oracle.totals import Counter, Total, Track, followed

SPAN = 2**64 * 1000

WRITER = """
import sys
from energy.records import Reading
from oracle.quantity import Incident, Sample
from oracle.outbox import Outbox, State
from oracle.totals import Counter, Total, Track

outbox = Outbox(sys.argv[1])
for n in range(1, 10**9):
    track = Track(Total(n, n * 1000), Counter(n * 1000, 2**32, 1000))
    incidents = [Incident("meter", "silent", "a fault")]
    outbox.keep_sample(Sample(n), {"imported": track, "exported": track}, incidents)
    outbox.keep_reading(Reading(n, 0, imported=n), n)
    if n > 1:
        outbox.mark([Reading(n - 1, 0)], State.SENT, "0x00", n)
    print(n, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def outbox(path: Path):
    outbox = Outbox(path)
    yield outbox
    outbox.close()


def test_tracks_come_back_as_they_were(outbox: Outbox, path: Path):
    tracks = {
        "imported": Track(
            Total(60, 10**18 - 1, broken=True),
            Counter(10**18 - 1, SPAN, 1000),
            suspect=(90, Counter(SPAN - 1, SPAN, 1000)),
        ),
        "generated": Track(Total(60, 5, integrated=True), power_w=700),
        "exported": Track(),
    }
    outbox.keep_sample(Sample(60), tracks, [])
    outbox.close()
    reopened = Outbox(path)
    assert reopened.tracks() == tracks
    assert reopened.totals_around("imported", 0, 100) == [tracks["imported"].total]
    assert reopened.totals_around("exported", 0, 100) == []
    reopened.close()


def test_totals_of_a_slot_reach_from_the_last_before_to_the_first_after(outbox: Outbox):
    for time in (1, 5, 9, 10, 14, 20, 25):
        outbox.keep_sample(Sample(time), {"imported": Track(Total(time, time))}, [])

    def times(start: int, end: int) -> list[int]:
        return [total.time_seconds for total in outbox.totals_around("imported", start, end)]

    assert times(10, 20) == [10, 14, 20]
    assert times(11, 19) == [10, 14, 20]
    assert times(0, 4) == [1, 5]
    assert times(21, 30) == [20, 25]


def test_an_incident_is_one_row_for_as_long_as_it_lasts(outbox: Outbox):
    silent, odd = Incident("meter", "no-answer", "silent"), Incident("imported", "odd", "odd")
    outbox.keep_sample(Sample(60), {}, [silent, odd])
    outbox.keep_sample(Sample(120), {}, [Incident("meter", "no-answer", "silent still")])
    outbox.keep_sample(Sample(180), {}, [])
    outbox.keep_sample(Sample(240), {}, [silent])
    assert outbox.incidents_since(0) == [
        Episode(silent, 60, 120, 2),
        Episode(odd, 60, 60, 1),
        Episode(silent, 240, 240, 1),
    ]
    assert outbox.incidents_since(121) == [Episode(silent, 240, 240, 1)]


def test_a_reading_once_made_stays(outbox: Outbox):
    first = Reading(7, 1, imported=100)
    assert outbox.keep_reading(first, 10) == first
    assert outbox.keep_reading(Reading(7, 1, imported=999), 20) == first
    assert outbox.reading_of(7) == Entry(first, State.MADE, "", 10)
    assert outbox.reading_of(8) is None


def test_readings_move_through_their_states_oldest_first(outbox: Outbox):
    readings = [Reading(slot, 1, imported=slot) for slot in (9, 7, 8)]
    for reading in readings:
        outbox.keep_reading(reading, 10)
    assert [entry.reading.slot for entry in outbox.entries(State.MADE)] == [7, 8, 9]
    outbox.mark(readings[:2], State.SENT, "0xab", 20)
    outbox.mark([readings[2]], State.REFUSED, "UnknownSite", 30)
    assert [entry.reading.slot for entry in outbox.entries(State.SENT)] == [7, 9]
    assert outbox.entries(State.REFUSED) == [Entry(readings[2], State.REFUSED, "UnknownSite", 30)]
    assert outbox.entries(State.MADE) == []


def test_an_absent_slot_keeps_its_first_reason(outbox: Outbox):
    outbox.keep_absent(5, "not seen")
    outbox.keep_absent(5, "something else")
    assert outbox.absence_of(5) == "not seen"
    assert outbox.absence_of(6) is None


def test_a_file_that_is_no_outbox_is_refused(path: Path):
    path.write_bytes(b"these are the minutes of the meeting" * 100)
    with pytest.raises(SettingError, match="outbox.sqlite must be a terminal's outbox"):
        Outbox(path)


def test_an_outbox_of_another_version_is_refused(path: Path):
    store = sqlite3.connect(path)
    store.execute("PRAGMA user_version = 9")
    store.close()
    with pytest.raises(SettingError, match="must be an outbox of version 2, got 9"):
        Outbox(path)


def test_a_commit_is_on_the_disk_before_the_next_step(outbox: Outbox):
    settings = [
        outbox._store.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    ]
    assert settings == ["wal", 2]  # 2 is FULL


def test_a_killed_terminal_finds_everything_whole(path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        done = 0
        while done < 40:
            done = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        written = [int(line) for line in writer.stdout.read().splitlines() if line.isdecimal()]
    done = max([done, *written])
    outbox = Outbox(path)
    tracks = outbox.tracks()
    last = tracks["imported"].total
    assert last is not None
    assert last.time_seconds in (done, done + 1)
    assert tracks["exported"] == tracks["imported"]
    assert len(outbox.totals_around("imported", 0, 10**9)) == last.time_seconds
    made = outbox.entries(State.MADE)
    sent = outbox.entries(State.SENT)
    slots = [entry.reading.slot for entry in sent + made]
    assert slots == list(range(1, len(slots) + 1))
    assert len(slots) >= done
    assert all(entry.reading.imported == entry.reading.slot for entry in sent + made)
    outbox.close()


def held(path: Path, time: int, wh: int) -> dict[str, Track]:
    return {"meter.imported": Track(Total(time, wh * 1000), Counter(wh * 1000, SPAN, 1000))}


def test_a_full_disk_takes_nothing_and_loses_nothing(outbox: Outbox, path: Path):
    outbox.keep_sample(Sample(60), held(path, 60, 1), [])
    made = outbox.keep_reading(Reading(7, 1, imported=1), 60)
    (pages,) = outbox._store.execute("PRAGMA page_count").fetchone()
    outbox._store.execute(f"PRAGMA max_page_count = {pages}")
    incident = Incident("meter", "odd", "long " * 5000)
    with pytest.raises(StoreFailed, match="outbox.sqlite must take what is written, got: .*full"):
        outbox.keep_sample(Sample(120), held(path, 120, 2), [incident])
    assert outbox.last_sample_seconds() == 60
    assert outbox.tracks() == held(path, 60, 1)
    assert outbox.incidents_since(0) == []
    assert outbox.entries(State.MADE)[0].reading == made
    outbox._store.execute("PRAGMA max_page_count = 1000000")
    outbox.keep_sample(Sample(180), held(path, 180, 3), [incident])
    assert outbox.last_sample_seconds() == 180


def test_a_file_belongs_to_one_site_of_one_deployment(outbox: Outbox):
    outbox.claim("site 0 of A")
    outbox.claim("site 0 of A")
    with pytest.raises(SettingError, match="must be the outbox of site 1 of A, got that of site 0"):
        outbox.claim("site 1 of A")


def test_open_slots_are_those_that_neither_have_nor_lack_a_reading(outbox: Outbox, path: Path):
    assert outbox.open_slots(10) == []
    outbox.keep_sample(Sample(3 * 1800 + 5), held(path, 3 * 1800 + 5, 1), [])
    outbox.keep_absent(3, "not seen")
    outbox.keep_reading(Reading(5, 0), 0)
    assert outbox.open_slots(8) == [4, 6, 7]


def test_a_reading_sent_after_its_deadline_is_late_for_good(outbox: Outbox):
    reading = outbox.keep_reading(Reading(1, 0), 3600)
    outbox.mark([reading], State.SENT, "0x1", 3600 + 600, deadline_seconds=600)
    assert not outbox.entries(State.SENT)[0].late
    outbox.mark([reading], State.SENT, "0x2", 3600 + 601, deadline_seconds=600)
    assert outbox.entries(State.SENT)[0].late
    outbox.mark([reading], State.FINAL, "0x2", 3700)
    assert outbox.entries(State.FINAL)[0].late


def test_samples_are_forgotten_and_readings_are_not(outbox: Outbox, path: Path):
    for slot in range(1, 7):
        outbox.keep_sample(Sample(slot * 1800), held(path, slot * 1800, slot), [])
    for slot in range(1, 4):
        outbox.keep_reading(Reading(slot, 0, imported=1), 0)
    outbox.prune(6 * 1800)  # slots 4 and 5 still need what is from their start on
    times = [total.time_seconds for total in outbox.totals_around("meter.imported", 0, 9 * 1800)]
    assert times == [4 * 1800, 5 * 1800, 6 * 1800]
    assert outbox.open_slots(6) == [4, 5]
    assert outbox.tally()[State.MADE] == 3


def test_what_a_clock_dated_ahead_is_dated_again(outbox: Outbox, path: Path):
    outbox.keep_sample(Sample(1800), held(path, 1800, 100), [])
    outbox.keep_sample(Sample(9 * 1800), held(path, 9 * 1800, 160), [])  # the clock ran ahead
    sent, waiting = Reading(1, 0, imported=1), Reading(2, 0, imported=2)
    for reading in (sent, waiting):
        outbox.keep_reading(reading, 0)
    outbox.mark([sent], State.SENT, "0x", 0)
    assert outbox.rewind(2 * 1800) == [2]
    track = outbox.tracks()["meter.imported"]
    assert track.total == Total(1800, 160_000)
    assert track.counter == Counter(160_000, SPAN, 1000)
    assert outbox.last_sample_seconds() == 1800
    assert [entry.reading for entry in outbox.entries(State.SENT)] == [sent]
    assert outbox.entries(State.MADE) == []


def test_a_counter_that_made_no_sense_while_the_clock_ran_ahead_does_not_hold_up_the_next(
    outbox: Outbox, path: Path
):
    ahead = 9 * 1800
    fine = held(path, 1800, 100)["meter.imported"]
    odd = replace(fine, suspect=(ahead, Counter(5, SPAN, 1000)))
    outbox.keep_sample(Sample(ahead), {"meter.imported": odd}, [])
    outbox.rewind(2 * 1800)
    track, oddity = followed(
        outbox.tracks()["meter.imported"], 2 * 1800 + 60, Counter(101_000, SPAN, 1000), None, 50_000
    )
    assert oddity is None
    assert track.total == Total(2 * 1800 + 60, 101_000)
