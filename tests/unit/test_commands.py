"""The command line over a store: columns that stay, filters, dates as people write them, errors."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from bench.desk import fill
from chain.store import opened, stored
from chain.writer import written
from energy.errors import SettingError, YuiError
from energy.units import slots_of
from orchestrator.cli import app
from orchestrator.dates import (
    day_named,
    moment,
    month_named,
    period_named,
    slot_named,
    slots_named,
    time_named,
)
from orchestrator.next_step import what_next
from orchestrator.records import commands as store_commands
from orchestrator.records.words import COLUMNS
from orchestrator.words import Language
from tests.program import run

DAY = date(2019, 6, 4)
NAMES = {"0": ["Ogawara", "大河原合同庁舎"], "1": ["Sendai", "仙台合同庁舎"], "2": ["Tome", "登米"]}
TEN = "2019年6月4日 10:00-10:30"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two days of three sites."""
    path = str(tmp_path_factory.mktemp("commands") / "store.sqlite")
    engine = opened(path)
    fill(engine, 3, 2)
    with written(engine) as writer:
        writer.set("names", json.dumps(NAMES))
        writer.set("market", "7000:0x01")
    engine.dispose()
    return path


def told(*arguments: str) -> str:
    answer = CliRunner().invoke(app, list(arguments))
    assert answer.exception is None, (arguments, answer.exception)
    return answer.stdout


def rows(store: str, *arguments: str) -> list[dict[str, object]]:
    found = json.loads(told(*arguments, "--store", store, "--json"))
    assert isinstance(found, list)
    return found


LISTINGS = {
    "slots": store_commands.SLOT_COLUMNS,
    "orders": store_commands.ORDER_COLUMNS,
    "trades": store_commands.TRADE_COLUMNS,
    "readings": store_commands.READING_COLUMNS,
    "balance": store_commands.BALANCE_COLUMNS,
    "invoice": store_commands.INVOICE_COLUMNS,
}


def test_columns_stay() -> None:
    when = ("slot", "day", "half_hour")
    assert {
        "slots": (
            *when,
            *("stage", "orders", "trades", "price_milliyen_per_kwh", "traded_wh"),
            *("delivered_wh", "pooled_wh", "missing_readings"),
        ),
        "orders": (
            *when,
            *("site", "side", "energy_wh", "price_milliyen_per_kwh", "sequence", "fresh"),
        ),
        "trades": (
            *when,
            *("seller", "buyer", "energy_wh", "delivered_wh", "price_milliyen_per_kwh", "final"),
        ),
        "readings": (
            *when,
            *("site", "imported_wh", "exported_wh", "generated_wh", "charged_wh"),
            *("discharged_wh", "stored_wh", "consumption_wh", "quality", "revision"),
        ),
        "balance": ("account", "owed_microyen"),
        "invoice": ("site", "component", "amount_microyen"),
    } == LISTINGS


@pytest.mark.parametrize("name", LISTINGS)
def test_json_and_csv_have_the_same_columns_and_rows(store: str, name: str) -> None:
    arguments = [name, "--day", "2019/6/4", *(["--site", "Tome"] if name == "invoice" else [])]
    found = rows(store, *arguments)
    assert found
    assert tuple(found[0]) == LISTINGS[name]
    text = told(*arguments, "--store", store, "--csv")
    read = list(csv.DictReader(io.StringIO(text)))
    assert [list(row.values()) for row in read] == [
        ["" if value is None else str(value) for value in row.values()] for row in found
    ]
    table = told(*arguments, "--store", store)
    assert len(table.splitlines()) >= len(found)


def test_filters_leave_what_they_say(store: str) -> None:
    everything = rows(store, "orders", "--month", "令和元年6月")
    assert {row["day"] for row in everything} == {"2019-06-04", "2019-06-05"}
    asks = rows(store, "orders", "--month", "2019-06", "--side", "ask", "--site", "大河原")
    assert asks == [row for row in everything if row["side"] == "ask" and row["site"] == "Ogawara"]
    one = rows(store, "readings", "--slot", TEN)
    assert {(row["half_hour"], row["day"]) for row in one} == {("10:00-10:30", "2019-06-04")}
    assert {row["site"] for row in one} == {"Ogawara", "Sendai", "Tome"}
    every = rows(store, "trades", "--day", "2019-06-04")
    seller = str(every[0]["seller"])
    sold = rows(store, "trades", "--day", "2019-06-04", "--site", seller, "--side", "ask")
    assert sold == [row for row in every if row["seller"] == seller]
    assert sum(int(str(row["owed_microyen"])) for row in rows(store, "balance")) == 0


def test_an_invoice_sums_to_what_the_entries_say(store: str) -> None:
    components = rows(store, "invoice", "--site", "Sendai", "--day", "2019-06-04")
    amounts = {row["component"]: int(str(row["amount_microyen"])) for row in components}
    total = amounts.pop("total")
    assert sum(amounts.values()) == total
    with stored(opened(store)) as reader:
        assert total == -sum(reader.owed(1, slots_of(DAY)))


def test_status_and_watch_tell_how_far_it_is(store: str) -> None:
    status = json.loads(told("status", "--store", store, "--json"))
    assert status["settled_slots"] == 96
    assert status["newest_settled"] == "2019-06-05 23:30-24:00"
    assert "2019-06-05 23:30-24:00 final: 3 orders" in told("watch", "--store", store, "--once")


JAPANESE = {
    "slots": ("コマ番号", "段階", "確定", "約定量 kWh"),
    "orders": ("庁舎", "大河原", "買い", "差替", "いいえ"),
    "trades": ("売り手", "買い手", "大河原"),
    "readings": ("受電", "残量", "仙台"),
    "balance": ("口座", "受取額 円", "電力会社", "送配電側"),
    "invoice": ("項目", "系統利用料", "合計", "仙台"),
    "status": ("最新ブロックの日時", "確定ブロック", "庁舎数"),
}


@pytest.mark.parametrize("name", JAPANESE)
def test_listings_speak_japanese_and_their_data_stays_as_it_is(
    store: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    site = ["--site", "仙台"] if name == "invoice" else []
    table = told(name, "--store", store, "--language", "ja", *site)
    missing = [word for word in JAPANESE[name] if word not in table]
    assert missing == [], table[:2000]
    head = table.splitlines()[1]
    assert not re.search("[A-Za-z]{4}", head), head
    data = told(name, "--store", store, "--json", *site)
    assert told(name, "--store", store, "--json", "--language", "ja", *site) == data


def test_every_column_has_its_name_in_japanese() -> None:
    assert {column for columns in LISTINGS.values() for column in columns} <= set(COLUMNS)


def test_the_newest_blocks_time_is_shown_as_it_is_in_japan(store: str) -> None:
    seconds = json.loads(told("status", "--store", store, "--json"))["newest_block_time"]
    assert moment(seconds) in told("status", "--store", store)
    assert str(seconds) not in told("status", "--store", store)
    assert "23:30-24:00 確定: 注文3件" in told(
        "watch", "--store", store, "--once", "--language", "ja"
    )


def test_a_days_half_hours_are_followed_one_by_one(store: str) -> None:
    ways = json.loads(told("trace", "Sendai", "2019-06-04", "--store", store, "--json"))
    assert len(ways) == 48
    one = told("trace", "Sendai", "2019-06-04 10:00", "--store", store, "--json")
    assert ways[20] == json.loads(one)
    refused = CliRunner().invoke(
        app, ["trace", "Sendai", "2019-06-04", "--store", store, "--from", "5"]
    )
    assert "--from and --to must go with one half hour, got 48" in str(refused.exception)
    nothing = CliRunner().invoke(app, ["trace", "Sendai", "2019-05", "--store", store])
    assert "got nothing" in str(nothing.exception)


# -- dates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("2019-06-04", "2019/6/4", "2019.6.4", "2019年6月4日", "2019年 6月 4日"),
        *(
            "令和元年6月4日",
            "令和1年6月4日",
            "R1.6.4",
            "R元.6.4",
            "２０１９年６月４日",
            " 2019/06/04 ",
        ),
    ],
)
def test_a_day_is_read_as_people_in_japan_write_it(text: str) -> None:
    assert day_named(text) == DAY
    assert slots_named(text) == slots_of(DAY)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2019-13-01", "2019-02-29", "2019-6", "19-06-04", "元年6月4日"),
        *("平成31年6月4日", "令和元年4月30日", "令和元年", "2019-06-04 10:00"),
    ],
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="must"):
        day_named(text)


@pytest.mark.parametrize("text", ["2019-06", "2019/6", "2019年6月", "令和元年6月", "R1.6"])
def test_a_month_is_its_days(text: str) -> None:
    assert month_named(text) == range(
        slots_of(date(2019, 6, 1)).start, slots_of(date(2019, 7, 1)).start
    )


@pytest.mark.parametrize(
    "text",
    [
        *("2019-06-04 10:00", "2019-06-04T10:00", "2019/6/4 10:00-10:30", TEN),
        *(
            "令和元年6月4日10時",
            "2019年6月4日 10時00分",
            "2019年6月4日 １０：００〜１０：３０",
            "866450",
        ),
    ],
)
def test_a_half_hour_is_read_as_people_in_japan_write_it(text: str) -> None:
    assert slot_named(text) == 866_450


@pytest.mark.parametrize(
    "text", ["2019-06-04 10:15", "2019-06-04 24:00", "2019-06-04 10:00-11:00", "10:00", "-1"]
)
def test_what_is_no_half_hour_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="a half hour must be"):
        slot_named(text)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2019", date(2019, 1, 1), date(2019, 12, 31)),
        ("２０１９年", date(2019, 1, 1), date(2019, 12, 31)),
        ("令和元年", date(2019, 1, 1), date(2019, 12, 31)),
        ("2019-05", date(2019, 5, 1), date(2019, 5, 31)),
        ("令和元年6月", date(2019, 6, 1), date(2019, 6, 30)),
        ("2019-06-04", DAY, DAY),
        ("R1.6.4", DAY, DAY),
        ("2019-05-15..2019-06-11", date(2019, 5, 15), date(2019, 6, 11)),
        ("令和元年5月15日〜令和元年6月11日", date(2019, 5, 15), date(2019, 6, 11)),
    ],
)
def test_a_period_is_read_as_people_in_japan_write_it(text: str, first: date, last: date) -> None:
    assert period_named(text) == range(slots_of(first).start, slots_of(last).stop)


@pytest.mark.parametrize(
    "text", ["", "元年", "19", "令和9999年", "2019-13", "2019-06-11..2019-05-15", "..", "soon"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="must"):
        period_named(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026-11-25 17:05",
            "2026/11/25 17:05",
            "2026年11月25日 17時5分",
            "令和8年11月25日17時5分",
        ),
        *("2026-11-25T17:05+09:00", "2026-11-25T08:05:00Z", "２０２６年１１月２５日 １７：０５"),
    ],
)
def test_a_time_is_read_as_people_in_japan_write_it(text: str) -> None:
    assert time_named(text).timestamp() == 1_795_593_900


@pytest.mark.parametrize("text", ["", "17:05", "2026-11-25 25:00", "2026-11-25 17:61", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="a time must be as"):
        time_named(text)


def test_every_command_takes_a_day_as_people_in_japan_write_it() -> None:
    plans = [
        json.loads(told("plan", *day, "--known", "--json"))
        for day in (("--day", "令和元年6月4日"), ("--day", "2019-06-04"))
    ]
    for plan in plans:
        del plan["seconds"]
    assert plans[0] == plans[1]
    for command in (
        ["plan", "--day", "soon"],
        ["report", "--period", "soon"],
        ["calls", "send", "a", "--start", "soon", "--end", "2026年11月25日 17時", "--kw", "1"],
    ):
        refused = CliRunner().invoke(app, command).exception
        assert isinstance(refused, SettingError)


# -- what is said to a user -----------------------------------------------------------------


def test_yui_alone_says_what_to_do_next(tmp_path: Path, store: str) -> None:
    assert any("yui demo" in line for line in what_next(tmp_path))
    (tmp_path / ".yui/demo").mkdir(parents=True)
    here = tmp_path / ".yui/demo/store.sqlite"
    opened(str(here)).dispose()
    assert any("without a settled slot" in line for line in what_next(tmp_path))
    here.write_bytes(Path(store).read_bytes())
    assert any("settled up to 2019-06-05 23:30-24:00" in line for line in what_next(tmp_path))
    here.write_bytes(b"nonsense" * 2_000)
    assert any("delete" in line for line in what_next(tmp_path))
    (tmp_path / "orchestrator.toml").write_text("")
    assert any("yui orchestrator check" in line for line in what_next(tmp_path))


@pytest.mark.parametrize("language", list(Language))
def test_the_commands_that_yui_alone_names_stand_below_each_other(
    tmp_path: Path, store: str, language: Language
) -> None:
    (tmp_path / ".yui/demo").mkdir(parents=True)
    (tmp_path / ".yui/demo/store.sqlite").write_bytes(Path(store).read_bytes())
    (tmp_path / "oracle.toml").write_text("")
    lines = list(what_next(tmp_path, language))
    columns = {cell_len(line[: line.index("yui ")]) for line in lines}
    assert len(lines) > 6
    assert len(columns) == 1


def test_an_error_names_an_office_as_people_do(store: str) -> None:
    asked = ("statement", "--store", store, "--site", "Sendai", "--day", "2019-06-01")
    refused = CliRunner().invoke(app, asked).exception
    assert str(refused).startswith(
        "site Sendai (仙台) must have used energy in a settled half hour"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["slots", "--store", "broken.sqlite"], 1, "yui: broken.sqlite must be a store that works"),
        (["slots", "--store", "absent.sqlite"], 1, "yui: absent.sqlite must be a store (run"),
        (["slots", "--store", "mysql://x"], 1, "yui: a store must be at sqlite:// or postgresql"),
        (["orders", "--day", "soon"], 1, "yui: "),
        (["slots", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command"),
        (["audit", "--rpc", "http://127.0.0.1:9", "--manifest", "deployed.json"], 1, "yui: a node"),
        (["orchestrator", "run"], 1, "yui: orchestrator.toml must be a readable settings file"),
        (["orchestrator", "status"], 1, "yui: orchestrator.toml must be a readable settings file"),
    ],
)
def test_no_traceback_reaches_a_user(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "broken.sqlite").write_bytes(b"nonsense" * 2_000)
    deployed = {name: {"address": "0x" + "1" * 40} for name in ("Market", "Origin")}
    (tmp_path / "deployed.json").write_text(json.dumps({"contracts": deployed}))
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


NO_STORE = ".yui/demo/store.sqlite must be a store (run `yui demo` first), got no such file"
NO_STORE_JA = (
    "指定または設定に誤り: .yui/demo/store.sqliteに記録があること(先に `yui demo` を実行。"
    "実際: ファイルなし)"
)
BROKEN_JA = (
    "記録を読めない: broken.sqliteは使える記録であること(実際: データベースのファイルではない)"
)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["slots"], 1, NO_STORE),
        (["slots", "--language", "ja"], 1, NO_STORE_JA),
        (["slots", "--language=ja", "--store", "broken.sqlite"], 1, BROKEN_JA),
        (["nonsense"], 2, "No such command 'nonsense'. (yui --help)"),
        (["nonsense", "--language", "ja"], 2, "コマンド'nonsense'はない。 (yui --help)"),
        (["trace", "--language", "ja"], 2, "引数'site'の指定が要る。 (yui trace --help)"),
        (
            ["watch", "--seconds", "x"],
            2,
            "Invalid value for '--seconds': Input should be a valid number, unable to parse "
            "string as a number (yui watch --help)",
        ),
        (
            ["watch", "--seconds", "x", "--language", "ja"],
            2,
            "'--seconds'の値に誤り: 数ではない (yui watch --help)",
        ),
    ],
)
def test_an_error_is_one_line_in_the_language_that_is_asked_for(
    tmp_path: Path, arguments: list[str], code: int, line: str
) -> None:
    (tmp_path / "broken.sqlite").write_bytes(b"nonsense" * 2_000)
    done = run(*arguments, folder=tmp_path)
    assert (done.returncode, done.stderr) == (code, f"yui: {line}\n")


def test_a_group_without_a_command_shows_its_help(tmp_path: Path) -> None:
    done = run("council", folder=tmp_path)
    assert done.returncode == 2
    assert "Usage: yui council" in done.stdout + done.stderr
    assert "--help)" not in done.stderr


class Terminal(io.StringIO):
    """A terminal that remembers what was written on it."""

    def isatty(self) -> bool:
        return True


def shown_at(width: int, store: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """What a listing looks like at a terminal of so many columns."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", terminal)
    app([*arguments, "--store", store], standalone_mode=False)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    return [line.rstrip() for line in plain.splitlines()]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_cuts_nothing_short_however_narrow_the_terminal_is(
    store: str, monkeypatch: pytest.MonkeyPatch, name: str, language: str
) -> None:
    asked = [name, "--day", "2019-06-04", *(["--site", "Ogawara"] if name == "invoice" else [])]
    for width in (40, 60, 80, 100, 140, 200):
        lines = shown_at(width, store, monkeypatch, *asked, "--language", language)
        assert max(map(cell_len, lines)) <= max(width, 46), width
        assert not any("…" in line for line in lines), (width, lines[:4])


def test_a_narrow_listing_leaves_the_slots_number_out_and_a_narrower_one_has_lines(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("readings", "--slot", TEN, "--site", "Sendai", "--language", "ja")
    forms = []
    for width in range(150, 50, -4):
        lines = shown_at(width, store, monkeypatch, *asked)
        table, number = ("┏" in lines[0], any("コマ番号" in line for line in lines))
        forms.append("lines" if not table else "whole" if number else "without number")
    assert list(dict.fromkeys(forms)) == ["whole", "without number", "lines"]
    assert lines[1] == "時間帯    10:00-10:30"
    assert lines[2] == "庁舎      仙台"


def test_where_there_is_nothing_to_list_that_is_said(store: str) -> None:
    asked = ("trades", "--day", "2031-01-01", "--store", store)
    assert told(*asked) == "Nothing found.\n"
    assert told(*asked, "--language", "ja") == "該当なし\n"
    assert told(*asked, "--json") == "[]\n"


def test_what_is_unforeseen_is_one_line_and_a_file_to_send_in(tmp_path: Path) -> None:
    code = (
        "from oracle.cli import run; import typer; app = typer.Typer()\n"
        "@app.command()\ndef falls(): raise ZeroDivisionError('by nothing')\n"
        "run(app)"
    )
    done = run(folder=tmp_path, code=code)
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert line.startswith("yui: ZeroDivisionError: by nothing (unforeseen; please send in ")
    assert "Traceback" in Path(line.split()[-1].rstrip(")")).read_text()


def test_every_error_is_a_yui_error() -> None:
    assert issubclass(SettingError, YuiError)
