"""What is published beside a report is held against the chain, and what was changed is found."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain.recorded import RecordedChain
from chain.store import opened, stored
from energy.errors import AuditError, SettingError
from orchestrator.cli import app
from orchestrator.verification.document import json_of
from orchestrator.verification.published import write_data
from orchestrator.verification.published_check import checked
from tests.played import DAYS, NAMES

Rows = list[dict[str, str]]


@pytest.fixture
def published(folder, figures, tmp_path) -> Path:
    """The three days' readings, hashes and figures."""
    engine = opened(str(folder / "store.sqlite"))
    with stored(engine) as store:
        write_data(store.connection, figures.facts, json_of(figures, NAMES), tmp_path)
    engine.dispose()
    return tmp_path


@pytest.fixture
def chain(folder) -> Iterator[RecordedChain]:
    """Their chain."""
    chain = RecordedChain(folder / "chain.sqlite")
    yield chain
    chain.close()


def rows_of(published: Path) -> Rows:
    with gzip.open(published / "readings.csv.gz", "rt") as text:
        return list(csv.DictReader(text))


def write_rows(published: Path, rows: Rows) -> None:
    with gzip.open(published / "readings.csv.gz", "wt", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def hashed(rows: Rows) -> str:
    """The SHA-256 of readings as the chain packs them, by hand: widths in bytes by column."""
    widths = {"slot": 4, "site": 2, "quality": 1, "revision": 1}
    packed = b"".join(
        int(value).to_bytes(widths.get(name, 4)) for row in rows for name, value in row.items()
    )
    return hashlib.sha256(packed).hexdigest()


def hash_again(published: Path) -> None:
    """Write the days' hashes as whoever changes a reading would."""
    file = published / "days.csv"
    with file.open() as text:
        days = list(csv.DictReader(text))
    rows = rows_of(published)
    for number, day in enumerate(days):
        part = rows[number * 48 * 7 : (number + 1) * 48 * 7]
        day |= {"readings": str(len(part)), "sha256": hashed(part)}
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(days[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(days)


def test_what_is_published_is_what_the_chain_has(published, chain):
    found = checked(published, chain)
    assert (found.readings, found.days, found.roots) == (DAYS * 48 * 7, DAYS, DAYS)
    assert found.block == chain.height()


def test_a_days_hash_is_that_of_its_readings_as_the_chain_packs_them(published):
    with (published / "days.csv").open() as text:
        days = list(csv.DictReader(text))
    rows = rows_of(published)
    assert [day["day"] for day in days] == ["2019-05-31", "2019-06-01", "2019-06-02"]
    assert [day["sha256"] for day in days] == [
        hashed(rows[at : at + 48 * 7]) for at in range(0, len(rows), 48 * 7)
    ]
    assert {day["attesting"] for day in days} == {"7"}
    assert {len(day["root"]) for day in days} == {64}


def test_a_kwh_that_was_changed_is_found_by_its_days_hash(published, chain):
    rows = rows_of(published)
    rows[400]["generated"] = str(int(rows[400]["generated"]) + 1_000)
    write_rows(published, rows)
    with pytest.raises(AuditError, match="2019-06-01 must have 336 readings with SHA-256"):
        checked(published, chain)


@pytest.mark.parametrize("column", ["imported", "exported", "generated", "stored", "quality"])
def test_a_value_that_was_changed_with_its_hash_is_found_on_the_chain(published, chain, column):
    """Also what is sold to the utility, and what a battery holds: no root of origins tells it."""
    rows = rows_of(published)
    before = int(rows[400][column])
    rows[400][column] = str(before + 1)
    write_rows(published, rows)
    hash_again(published)
    words = f"site 1, 2019-06-01 .*revision 0: {column} must be {before} as on the chain"
    with pytest.raises(AuditError, match=words):
        checked(published, chain)


def test_a_half_hour_that_was_left_out_or_made_up_is_found(published, chain):
    rows = rows_of(published)
    write_rows(published, rows[:-7])
    hash_again(published)
    with pytest.raises(AuditError, match=r"site 0, 2019-06-02 23:30.* must be there"):
        checked(published, chain)
    write_rows(published, [*rows, {**rows[-1], "revision": "1"}])
    with (published / "days.csv").open() as text:
        said = text.read()
    last = said.splitlines()[-1]
    made_up = last.split(",")
    made_up[1:3] = ["337", hashed([*rows[-48 * 7 :], {**rows[-1], "revision": "1"}])]
    (published / "days.csv").write_text(said.replace(last, ",".join(made_up)))
    with pytest.raises(AuditError, match=r"revision 1 must be on the chain too"):
        checked(published, chain)


def test_a_root_that_no_site_attests_is_found(published, chain):
    file = published / "days.csv"
    day, *_, root, _attesting = file.read_text().splitlines()[2].split(",")
    other = root[::-1]
    file.write_text(file.read_text().replace(root, other))
    with pytest.raises(AuditError, match=f"{day} must be as on the chain: root {root} by 7"):
        checked(published, chain)


def test_a_report_of_another_chain_is_told_by_the_blocks_hash(published, chain):
    file = published / "figures.json"
    stated = json.loads(file.read_text())
    right = stated["chain"]["hash"]
    file.write_text(file.read_text().replace(right, right[::-1]))
    with pytest.raises(AuditError, match=f"must have hash 0x{right[::-1]}, got 0x{right}"):
        checked(published, chain)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("readings.csv.gz", lambda file: file.write_bytes(b"no gzip")),
        ("days.csv", lambda file: file.write_text("day\n2019\n")),
        ("figures.json", lambda file: file.write_text("{}")),
        ("readings.csv.gz", lambda file: file.unlink()),
    ],
)
def test_files_that_say_nothing_are_named(
    published, chain, name: str, spoil: Callable[[Path], object]
):
    spoil(published / name)
    with pytest.raises(SettingError, match=f"{name} must "):
        checked(published, chain)


def test_the_command_holds_a_published_report_against_a_replays_chain(published, folder, tmp_path):
    store = str(folder / "store.sqlite")
    told = CliRunner().invoke(app, ["report", "--check", str(published), "--store", store])
    assert told.exit_code == 0, told.output
    assert "1,008 readings of 3 days" in " ".join(told.output.split())
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(store, alone)
    asked = ["report", "--check", str(published), "--store", str(alone / "store.sqlite")]
    refused = CliRunner().invoke(app, asked)
    assert isinstance(refused.exception, SettingError)
    assert "--check must have a chain" in str(refused.exception)
