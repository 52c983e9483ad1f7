"""Calls posted to the control room over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from contextlib import asynccontextmanager
from datetime import datetime

import httpx
import pytest
from typer.testing import CliRunner

from daemon.table import Table
from energy.errors import SettingError
from energy.units import JST, SLOT_SECONDS
from orchestrator.cli import app
from tests.steered import Battery, Clock, MemoryRoom
from tests.unit.test_calls_desk import a_call
from tests.vtn import served
from vpp.calls.call import Product, by_half_hour
from vpp.calls.desk import Desk
from vpp.calls.document import posted
from vpp.calls.rest import app_of
from vpp.calls.service import answering, listening
from vpp.calls.settings import call_settings, load_call_settings
from vpp.calls.store import CallStore

NOW = 1_000_000 * SLOT_SECONDS
TOKEN = "for these tests only"
A_CALL = {
    "name": "tohoku-7",
    "direction": "up",
    "start": "2027-01-15T17:10:00+09:00",
    "end": "2027-01-15T18:10:00+09:00",
    "kw": 25,
    "product": "tertiary-2",
    "priority": 1,
}
"""The clock stands at 17:00."""


@asynccontextmanager
async def a_room(folder):
    clock = Clock(NOW)
    room = MemoryRoom([Battery(number, clock) for number in range(5)])
    desk = Desk(CallStore.at(str(folder / "calls.sqlite"), durable=False), room, clock=clock)
    products = {"tertiary-2": Product("tertiary-2", price_kwh=30_500)}
    async with (
        served(app_of(desk, TOKEN, products)) as url,
        httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
        ) as http,
    ):
        yield desk, http


def test_a_call_is_posted_asked_about_and_cancelled(tmp_path):
    async def day():
        async with a_room(tmp_path) as (desk, http):
            answer = await http.post("/calls", json=A_CALL)
            assert (answer.status_code, answer.headers["location"]) == (201, "/calls/tohoku-7")
            assert answer.json()["state"] == "accepted"
            assert answer.json()["product"]["price_kwh"] == 30.5
            await desk.round()
            await desk.teller.idle()
            # Posted again, as after an answer that was lost, it is the same call.
            assert (await http.post("/calls", json=A_CALL)).status_code == 200
            whole = (await http.get("/calls/tohoku-7")).json()
            assert sum(share["power_w"] for share in whole["shares"]) == 25_000
            assert len(whole["instructions"]) == 3
            assert [entry["event"] for entry in whole["journal"]] == ["received", "split"]
            assert [each["name"] for each in (await http.get("/calls")).json()] == ["tohoku-7"]
            gone = await http.delete("/calls/tohoku-7")
            assert gone.json()["state"] == "cancelled"

    asyncio.run(day())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kw": -3}, "kw"),
        ({"kw": "many"}, "kw"),
        ({"kw": [1, 2, 3]}, "kw must have one value, or one for each of 2 half hours, got 3"),
        ({"kw": 0}, "must ask for power at some time"),
        ({"direction": "left"}, "direction: input should be 'up' or 'down', got 'left'"),
        ({"end": A_CALL["start"]}, "end must be after start"),
        ({"end": "2027-02-15T18:10:00+09:00"}, "seconds must be 1 to 86400"),
        ({"start": "2027-01-15T17:10:00"}, "start: input should have timezone info"),
        ({"product": "other"}, r"product must be one that is set \(tertiary-2\), got 'other'"),
        ({"product": {"tolerance": 3}}, "tolerance must be 0 to 1, got 3"),
        ({"priority": -1}, "priority must be 0 to"),
        ({"name": "a b"}, "name must be 1 to 150 letters"),
        ({"colour": "red"}, "colour: extra inputs are not permitted, got 'red'"),
        (
            {"start": "2027-01-15T15:10:00+09:00", "end": "2027-01-15T16:10:00+09:00"},
            "must end after now",
        ),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_by_name_and_value(tmp_path, changes, error):
    async def day():
        async with a_room(tmp_path) as (desk, http):
            answer = await http.post("/calls", json=A_CALL | changes)
            assert answer.status_code == 400
            with pytest.raises(SettingError, match=error):
                raise SettingError(answer.json()["error"])
            assert desk.store.calls() == []

    asyncio.run(day())


def test_who_has_no_token_learns_nothing(tmp_path):
    async def day():
        async with a_room(tmp_path) as (desk, http):
            for headers in ({"Authorization": ""}, {"Authorization": "Bearer guessed"}):
                for method, path in (
                    ("POST", "/calls"),
                    ("GET", "/calls"),
                    ("GET", "/calls/x"),
                    ("DELETE", "/calls/x"),
                    ("GET", "/offer"),
                ):
                    answer = await http.request(method, path, headers=headers)
                    assert answer.status_code == 401
                    assert answer.headers["www-authenticate"] == "Bearer"
            assert desk.store.calls() == []

    asyncio.run(day())


def test_other_requests_that_make_no_sense(tmp_path):
    async def day():
        async with a_room(tmp_path) as (_, http):
            assert (await http.post("/calls", content=b"{")).status_code == 400
            assert (await http.post("/calls", content=b" " * 200_000)).status_code == 413
            assert (await http.get("/calls/none")).status_code == 404
            assert (await http.delete("/calls/none")).status_code == 404
            assert (await http.post("/calls", json=A_CALL)).status_code == 201
            assert (await http.post("/calls", json=A_CALL | {"kw": 7})).status_code == 409
            for query in ("direction=left", "minutes=0", "minutes=x", "start=noon"):
                assert (await http.get(f"/offer?{query}")).status_code == 400
            # Whose half past five it is, nobody can say.
            answer = await http.get("/offer", params={"start": "2027-01-15T17:30:00"})
            assert answer.status_code == 400
            assert "must have its offset" in answer.json()["error"]

    asyncio.run(day())


def test_a_call_of_ages_is_refused_before_its_half_hours_are_laid_out():
    tracemalloc.start()
    try:
        ages = A_CALL | {"end": "2227-01-15T18:10:00+09:00", "product": {}}
        with pytest.raises(SettingError, match="seconds must be 1 to 86400"):
            posted(ages, NOW)
        with pytest.raises(SettingError, match=f"each of {2 * 10**6} half hours, got 2"):
            by_half_hour(0, 2 * 10**6 * SLOT_SECONDS, [10, 20])
        assert tracemalloc.get_traced_memory()[1] < 10**6, "bytes"
    finally:
        tracemalloc.stop()


def test_a_call_beyond_all_calendars_is_refused():
    late = {"start": "9999-12-31T20:00:00+00:00", "end": "9999-12-31T21:00:00+00:00"}
    with pytest.raises(SettingError, match="ends_at must be 1 to 8.58993e\\+09, got 253402290000"):
        posted(A_CALL | late | {"product": {}}, NOW)


def test_what_can_be_offered_leaves_out_who_is_promised(tmp_path):
    async def day():
        async with a_room(tmp_path) as (desk, http):
            free = (await http.get("/offer?direction=up&minutes=30")).json()
            assert free["power_w"] == 50_000
            # 20 kWh held of 40, less 5 % and losses, over three hours.
            long = (await http.get("/offer?minutes=180")).json()
            assert long["power_w"] == 5 * int(18_000 * 0.95 / 3)
            await desk.receive(a_call(start=NOW))
            await desk.round()
            await desk.teller.idle()
            rest = (await http.get("/offer?direction=up&minutes=30")).json()
            assert rest["power_w"] == 20_000
            assert [site["power_w"] for site in rest["sites"]].count(0) == 3

    asyncio.run(day())


def test_the_duties_take_a_call_and_tell_the_sites(tmp_path):
    (tmp_path / "calls.token").write_text(TOKEN + "\n")
    settings = call_settings(Table("test:", {"port": 0}), tmp_path)
    room = MemoryRoom([Battery(number, time.time) for number in range(5)])
    begins = int(time.time()) // 60 * 60
    call = A_CALL | {
        "start": datetime.fromtimestamp(begins, JST).isoformat(),
        "end": datetime.fromtimestamp(begins + 3600, JST).isoformat(),
        "product": {"name": "other"},
    }

    async def day():
        ready = asyncio.get_running_loop().create_future()
        duties = asyncio.create_task(answering(settings, room, ready=ready))
        port = await ready
        (tmp_path / "call.json").write_text(json.dumps(call))
        there = ["--room", f"http://127.0.0.1:{port}", "--token", str(tmp_path / "calls.token")]

        def run(*arguments):
            return asyncio.to_thread(
                CliRunner().invoke, app, ["calls", arguments[0], *there, *arguments[1:]]
            )

        sent = await run("send", "--file", str(tmp_path / "call.json"))
        assert "tohoku-7: accepted" in sent.stdout, sent.output
        async with asyncio.timeout(10):
            while room.called_w != 25_000:
                await asyncio.sleep(0.01)
        offer = json.loads((await run("offer", "--json")).stdout)
        assert offer["power_w"] == 20_000
        assert "Together" in (await run("offer")).stdout
        assert "tohoku-7: cancelled" in (await run("cancel", "tohoku-7")).stdout
        async with asyncio.timeout(10):
            while room.called_w:
                await asyncio.sleep(0.01)
        again = await run(
            "send", "late", "--start", "2020-01-01", "--end", "2020-01-02", "--kw", "1"
        )
        assert "must end after now" in str(again.exception)
        assert "must be a control room that answers" in str(
            (await run("cancel", "x", "--room", "http://127.0.0.1:9")).exception
        )
        duties.cancel()
        with pytest.raises(asyncio.CancelledError):
            await duties

    asyncio.run(day())


def test_settings_and_a_token_are_made_once(tmp_path):
    folder = tmp_path / "room"
    made = CliRunner().invoke(app, ["calls", "init", "--folder", str(folder), "--port", "9999"])
    assert made.exit_code == 0, made.output
    settings = load_call_settings(folder / "calls.toml")
    assert (settings.port, settings.host) == (9999, "127.0.0.1")
    assert settings.token.stat().st_mode & 0o777 == 0o600
    assert len(settings.token.read_text().strip()) > 40
    again = CliRunner().invoke(app, ["calls", "init", "--folder", str(folder)])
    assert "must not be there yet" in str(again.exception)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"port": 70_000}, "port must be 0 to 65535, got 70000"),
        ({"colour": "red"}, "colour must be a setting that there is, got 'red'"),
        ({"reverse_flow": "some"}, "reverse_flow must be one of counted, cut, got 'some'"),
        ({"products": {"a": {"tolerance": 2}}}, r"tolerance must be 0 to 1, got 2.0"),
        ({"openadr": {"vtn": "x"}}, r"\[openadr\] client_id must be there"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, content, error):
    with pytest.raises(SettingError, match=error):
        call_settings(Table("room.toml [calls]", content), tmp_path)


def test_all_settings_are_read(tmp_path):
    settings = call_settings(
        Table(
            "room.toml [calls]",
            {
                "store": "c.sqlite",
                "chain": "postgresql://db/yui",
                "reverse_flow": "cut",
                "products": {"t2": {"price_kwh": 30.5, "price_kw": 2, "basis": "plan"}},
                "openadr": {
                    "vtn": "https://vtn.example.org",
                    "client_id": "yui",
                    "client_secret": "s",
                    "ven": "miyagi",
                },
            },
        ),
        tmp_path,
    )
    assert settings.store == str(tmp_path / "c.sqlite")
    assert settings.chain == "postgresql://db/yui"
    assert settings.products["t2"].price_kwh == 30_500
    assert settings.openadr is not None
    assert settings.openadr.client_secret == tmp_path / "s"
    assert settings.openadr.poll_seconds == 10


@pytest.mark.parametrize("host", ["0.0.0.0", "8.8.8.8", "::"])
def test_calls_are_not_taken_from_the_whole_world(host):
    with pytest.raises(SettingError, match="must be a loopback or private address"):
        listening(host, 0)


def test_a_port_that_is_taken_is_told():
    taken = listening("127.0.0.1", 0)
    taken.listen()
    with pytest.raises(SettingError, match="must be free"):
        listening("127.0.0.1", taken.getsockname()[1])
    taken.close()
