"""The command line on an operator's store, which no demo has written: sites that nobody has named
yet, no day that it is of, more than a day in it; and how the program starts and ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete
from typer.testing import CliRunner

from bench.desk import fill
from chain import tables
from chain.attesting import day_tree
from chain.ports import free_port, is_free
from chain.store import opened, stored
from chain.writer import written
from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, day_of
from orchestrator.claims import certificate
from orchestrator.cli import app
from orchestrator.names import names_of, site_number
from orchestrator.next_step import what_next
from orchestrator.records.commands import SLOT_COLUMNS
from orchestrator.records.standing import STATUS_COLUMNS
from orchestrator.statements import commands as statement_commands
from orchestrator.statements.tracing import TRACE_COLUMNS
from orchestrator.words import Language
from tests.program import run

MONTH = ("--month", "2019-06")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two days of three sites, of which one has a name."""
    path = str(tmp_path_factory.mktemp("desk") / "store.sqlite")
    engine = opened(path)
    fill(engine, 3, 2)
    with written(engine) as writer:
        writer.set("names", json.dumps({"0": ["Ogawara", "大河原合同庁舎"]}))
        writer.set("market", "7000:0x01")
        writer.set("origin", "0x" + "22" * 20)
        writer.connection.execute(delete(tables.SETTINGS).where(tables.SETTINGS.c.name == "day"))
    engine.dispose()
    return path


def told(store: str, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--store", store], env={"COLUMNS": "200"})
    assert done.exception is None, (arguments, done.exception)
    return done.stdout


def rows(store: str, *arguments: str) -> list[dict[str, object]]:
    found = json.loads(told(store, *arguments, "--json"))
    assert isinstance(found, list)
    return found


# -- sites without a name, a store without a day ---------------------------------------------


def test_a_site_that_nobody_has_named_is_called_by_its_number(store: str) -> None:
    sellers = {row["seller"] for row in rows(store, "trades", *MONTH)}
    assert {"Ogawara", "Site 1"} & sellers
    assert sellers <= {"Ogawara", "Site 1", "Site 2"}
    shown = told(store, "readings", "--language", "ja", "--site", "2")
    assert "庁舎2" in shown
    assert {row["site"] for row in rows(store, "orders", "--site", "Site 1")} == {"Site 1"}
    assert {row["account"] for row in rows(store, "balance")} == {
        *("Ogawara", "Site 1", "Site 2", "utility", "network")
    }
    for command in (
        ("statement", "--site", "1"),
        ("statement", "--site", "庁舎1", "--language", "ja", *MONTH),
        ("statement", "--generator", "1"),
        ("trace", "1", "2019-06-04 12:00"),
    ):
        assert told(store, *command)


def test_a_site_beyond_all_of_them_is_refused_in_one_line(store: str) -> None:
    with stored(opened(store)) as reader:
        names = names_of(reader)
    with pytest.raises(
        SettingError, match=r"one of Ogawara \(大河原\), Site 1 \(庁舎1\), "
    ) as error:
        site_number(names, "9")
    assert str(error.value).endswith(", got '9'")
    assert names["en"][9] == "Site 9"
    assert names["ja"].shortened()[9] == "庁舎9"


def test_without_a_day_of_its_own_a_store_is_asked_of_its_newest(store: str) -> None:
    said = json.loads(told(store, "statement", "--site", "Ogawara", "--json"))
    assert {row["day"] for row in said["rows"]} == {"2019-06-05"}
    assert "Wed 5 June 2019" in told(store, "statement", "--site", "Ogawara")


def test_what_is_next_names_a_site_and_a_half_hour_of_the_store(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".yui/demo").mkdir(parents=True)
    (tmp_path / ".yui/demo/store.sqlite").write_bytes(Path(store).read_bytes())
    lines = list(what_next(tmp_path))
    (trace,) = [line for line in lines if "yui trace" in line]
    found = re.search(r"yui trace ('Site \d'|Ogawara) '(2019-06-05 \d\d:\d\d)'$", trace)
    assert found, trace
    assert told(store, "trace", found[1].strip("'"), found[2])
    for command in ("trades", "statement", "invoice"):
        assert any(line.endswith(f"yui {command} --site {found[1]}") for line in lines)
        assert told(store, command, "--site", found[1].strip("'"))
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["--language", "ja"]).stdout
    assert "精算済みの記録がある" in said
    assert "まだ何もない" in "\n".join(what_next(tmp_path / ".yui", Language.JAPANESE))


# -- months keep their days ------------------------------------------------------------------


def test_a_months_tables_say_of_which_day_each_line_is(store: str) -> None:
    shown = told(store, "trades", *MONTH)
    assert "2019-06-04" in shown
    assert "2019-06-05" in shown
    title = "Sat 1 June 2019 – Sun 30 June 2019"
    assert title in told(store, "statement", "--site", "0", *MONTH)
    assert title in told(store, "statement", "--generator", "0", *MONTH)
    assert "2019年6月1日(土) – 2019年6月30日(日)" in told(
        store, "statement", "--site", "0", *MONTH, "--language", "ja"
    )
    assert "2019-06-04 12:00-12:30" in told(
        store, "statement", "--site", "0", "--slot", "2019-06-04 12:00"
    )


# -- forms and filters -----------------------------------------------------------------------


def test_a_sites_own_of_each_slot_sums_to_what_all_of_them_had(store: str) -> None:
    every = rows(store, "slots", *MONTH)
    own = [rows(store, "slots", *MONTH, "--site", str(site)) for site in range(3)]
    for number, line in enumerate(every):
        parts = [of_site[number] for of_site in own]
        assert {part["slot"] for part in parts} == {line["slot"]}
        assert sum(int(str(part["orders"])) for part in parts) == line["orders"]
        for column in ("trades", "traded_wh", "delivered_wh"):
            assert sum(int(str(part[column])) for part in parts) == 2 * int(str(line[column]))
        assert {part["price_milliyen_per_kwh"] for part in parts} == {
            line["price_milliyen_per_kwh"]
        }
    assert any(int(str(line["traded_wh"])) for line in every)


def test_watch_prints_a_json_object_a_line_with_the_columns_of_slots(store: str) -> None:
    lines = told(store, "watch", "--once", "--json", "--site", "Ogawara").splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) >= SLOTS_PER_DAY
    assert all(tuple(one) == SLOT_COLUMNS for one in found)
    newest = rows(store, "slots", "--site", "Ogawara")
    assert found[-len(newest) :] == newest


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_status_is_one_line_of_csv(store: str) -> None:
    (line,) = read(told(store, "status", "--csv"))
    assert tuple(line) == STATUS_COLUMNS
    assert line["settled_slots"] == "96"


def test_where_energy_went_is_had_as_csv(store: str) -> None:
    found = read(told(store, "statement", "--generator", "0", *MONTH, "--csv"))
    assert tuple(found[0]) == statement_commands.DESTINATION_COLUMNS
    said = rows(store, "statement", "--generator", "0", *MONTH)
    assert [line["energy_wh"] for line in found] == [str(row["energy_wh"]) for row in said]
    assert {row["generated_day"] for row in said} == {"2019-06-04", "2019-06-05"}


def test_a_trace_as_csv_has_each_step_under_the_one_it_rests_on(store: str) -> None:
    found = read(told(store, "trace", "0", "2019-06-04", "--csv"))
    assert tuple(found[0]) == TRACE_COLUMNS
    assert [line["step"] for line in found].count("use") == SLOTS_PER_DAY
    parts = [line for line in found if line["step"] == "part"]
    for use in (line for line in found if line["step"] == "use"):
        below = [part for part in parts if part["under"] == use["number"]]
        assert sum(int(part["energy_wh"]) for part in below) == int(use["energy_wh"])


@pytest.mark.parametrize(
    "arguments",
    [("statement", "--site", "0"), ("trace", "0", "2019-06-04"), ("proof", "0", "R1.6")],
)
def test_two_forms_at_once_are_refused(store: str, arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--json", "--csv", "--store", store])
    assert "--json and --csv must not be given together" in str(done.exception)


# -- long work -------------------------------------------------------------------------------


def test_proofs_of_two_days_are_of_two_trees(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(*arguments: object) -> object:
        made.append(arguments[1])
        return day_tree(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(certificate, "day_tree", counted)
    found = rows(store, "proof", "1", "2019-06", "--folder", str(tmp_path))
    assert [str(day) for day in made] == ["2019-06-04", "2019-06-05"]
    assert len(found) == len(list(tmp_path.glob("proof-Site-1-*.json"))) > 2 * SLOTS_PER_DAY
    for row in (found[0], found[-1]):
        certificate.certificate_from(Path(str(row["file"]))).check()
        content = json.loads(Path(str(row["file"])).read_text())
        assert content["used"]["energy_wh"] == row["energy_wh"]
        assert day_of(int(str(row["slot"]))).isoformat() == row["day"] == content["day"]
    assert "ファイル" in told(
        store, "proof", "1", "2019-06-04 12:00", "--folder", str(tmp_path), "--language", "ja"
    )


def test_on_a_terminal_long_work_says_how_far_it_is_and_the_data_stays_clean(store: str) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "orchestrator.entry", "statement", "--site", "0", *MONTH),
            *("--json", "--language", "ja", "--store", store),
        ],
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    said = b""
    while b"30/30" not in said:
        said += os.read(ours, 4096)
    os.close(ours)
    assert "日別ルートを計算中" in said.decode(errors="replace")
    assert set(json.loads(done.stdout)["roots"]) == {"2019-06-04", "2019-06-05"}


# -- how the program starts and ends ---------------------------------------------------------


LOADED = """
import atexit, json, sys
from orchestrator.entry import main
heavy = ("sklearn", "pandas", "scipy", "numpy", "web3", "matplotlib")
say = lambda: print(json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr)
atexit.register(say)
main()
"""


@pytest.mark.parametrize(("arguments", "also"), [(["--help"], ["web3"]), (["status"], [])])
def test_what_is_asked_all_day_waits_for_no_planner(
    store: str, tmp_path: Path, arguments: list[str], also: list[str]
) -> None:
    place = [] if "--help" in arguments else ["--store", store]
    done = run(*arguments, *place, folder=tmp_path, code=LOADED)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert set(loaded) <= set(also)


def test_a_package_that_is_not_installed_is_named_and_how_to_get_it(tmp_path: Path) -> None:
    for arguments, extra in ((["trades"], "operator"), (["oracle", "status"], "site")):
        code = f"import sys; sys.modules['typer'] = None; sys.argv[1:] = {arguments}\n"
        code += "from orchestrator.entry import main\nmain()"
        done = run(folder=tmp_path, code=code)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("yui: the package typer must be installed (run make setup in ")
        assert f"'yui[{extra}]'" in line


def test_an_interruption_while_it_still_starts_is_130(tmp_path: Path) -> None:
    code = (
        "import sys, builtins\nfrom orchestrator import entry\n"
        "def interrupted(name): raise KeyboardInterrupt\n"
        "entry.import_module = interrupted\nentry.main()"
    )
    done = run(folder=tmp_path, code=code)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_to_be_sent_in(
    store: str, tmp_path: Path
) -> None:
    pdf = ["statement", "--site", "0", "--slot", "2019-06-04 12:00", "--pdf", "/"]
    done = run(*pdf, "--store", store, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "yui: /: Is a directory\n")


PAGES = """
import sys
from pathlib import Path
from orchestrator.demo import cli as demo_cli
from orchestrator.web import cli
from orchestrator.words import Language
cli.PORT = int(sys.argv[2])
demo_cli.show_pages(Path(sys.argv[1]), None, None, Language.JAPANESE)
print("ended")
"""


def test_at_a_terminal_a_demo_ends_with_its_pages_and_their_address(
    store: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert not is_free(taken)
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-c", PAGES, store, str(taken)],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        os.close(theirs)
        said = ""
        while not (found := re.search(r"(http://localhost:(\d+)/now)  \(Ctrl-C ends\)", said)):
            said += os.read(ours, 1024).decode()
        assert "この日をページで見る" in said
        assert int(found[2]) != taken
        for _ in range(100):
            try:
                page = httpx.get(found[1], trust_env=False, timeout=30)
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        assert page.status_code == 200
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0
        assert "ended" in os.read(ours, 1024).decode()
        os.close(ours)


def test_into_a_pipe_a_demo_ends_with_the_command_that_shows_its_pages(
    store: str, tmp_path: Path
) -> None:
    done = run(store, str(free_port()), folder=tmp_path, code=PAGES)
    assert done.returncode == 0
    assert f"yui web --store {store} --open" in done.stdout
    assert "http://" not in done.stdout
