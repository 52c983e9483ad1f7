"""What a terminal keeps on disk."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from energy.errors import SettingError
from energy.records import Reading
from oracle.outbox import Entry, Episode, Outbox, State
from oracle.quantity import Incident, Sample
from oracle.totals import Counter, Total, Track

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
