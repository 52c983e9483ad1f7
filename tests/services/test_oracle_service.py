"""`yui oracle run` as an installer meets it: a real node, real devices, the real command line."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chain.anvil import AnvilChain, anvil
from chain.market import MarketContract
from energy.errors import ChainError, SettingError
from energy.market import MarketRules
from energy.messages import address_of
from energy.records import Reading
from energy.registry import Ratings, Tariff
from oracle import health
from oracle.cli import app
from oracle.clock import ClockWatch
from oracle.deployment import check_enrolled, connected, signer_of
from oracle.keys import KeySigner
from oracle.outbox import Outbox, State
from oracle.plant import Battery
from oracle.service import Service, service_of
from oracle.settings import Settings, load_settings
from oracle.simulator import METER, Fault, SiteSimulator
from oracle.terminal import RESEND_SECONDS

NOW = 950_000 * 1800
SLOT = NOW // 1800


@pytest.fixture
def node() -> Iterator[AnvilChain]:
    with anvil(NOW - 20 * 1800) as chain:
        yield chain


def invoked(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@dataclass
class Office:
    """An office as `yui oracle init` leaves it, enrolled at a market, its devices simulated."""

    node: AnvilChain
    market: MarketContract
    settings: Settings
    site: SiteSimulator
    now: int = NOW

    def at(self, moment: int) -> None:
        self.now = moment
        self.site.advance(moment)
        self.node.set_time(moment)

    async def pass_slots(self, service: Service, number: int) -> None:
        for _ in range(number):
            self.at(self.now - self.now % 1800 + 1800)
            await service.sample()
            await service.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What `yui oracle init` made, and the address that it printed."""
    folder = tmp_path_factory.mktemp("made")
    told = invoked(
        *("oracle", "init", "--site", "0", "--market", "0x" + "22" * 20, "--chain-id", "7000"),
        *("--rpc", "http://node:8545", "--folder", str(folder)),
    )
    assert told.exit_code == 0
    again = invoked(
        *("oracle", "init", "--site", "0", "--market", "0x" + "22" * 20, "--chain-id", "7000"),
        *("--folder", str(folder)),
    )
    assert "oracle.toml must not be there yet: a key is never overwritten" in str(again.exception)
    return folder, told.output.split("site 0: ")[1].split()[0]


@pytest.fixture
def office(node: AnvilChain, tmp_path: Path, made: tuple[Path, str]) -> Office:
    """Slot `SLOT` begins; the site's key is enrolled."""
    folder, address = made
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    rules = MarketRules(SLOT - 30, 10, 3600, 600, after_metering=False)
    market = MarketContract.deployed(node, node.sender, rules)
    market.enact_tariff(SLOT - 8, [Tariff(22_000, 8_000, 1_000)] * 48)
    path = tmp_path / "oracle.toml"
    text = path.read_text().replace("http://node:8545", node.url)
    path.write_text(text.replace("0x" + "22" * 20, market.address))
    ratings = Ratings(50_000, 30_000, 30_000, 15_000, 44_000, 900)
    market.enrol(SLOT - 8, address_of(bytes(31) + b"\1"), address, ratings)
    node.fund(address)
    battery = Battery(44_000, 15_000, initial_wh=22_000)
    site = SiteSimulator(lambda _: 3_000, lambda _: 5_000, battery, start_seconds=NOW - 1800)
    return Office(node, market, load_settings(path), site)


def play(office: Office, scene: Callable[[Service], Awaitable[None]]) -> None:
    """Play a scene with the office's service, in the office's time."""

    async def played() -> None:
        async with office.site:
            office.at(office.now)
            settings = replace(office.settings, devices=office.site.devices())
            async with service_of(settings) as service:
                service.terminal.clock = lambda: office.now
                service.terminal._monotonic = None
                await service.sample()
                await scene(service)

    asyncio.run(played())


def shallow(office: Office) -> Office:
    chain = replace(office.settings.chain, confirmations=0)
    office.settings = replace(office.settings, chain=chain)
    return office


def test_a_reading_goes_from_the_devices_to_the_chain_and_is_final_when_deep_enough(
    office: Office,
):
    async def scene(service: Service) -> None:
        await office.pass_slots(service, 1)
        await service.deliver()
        (entry,) = service.terminal.outbox.entries(State.SENT)
        assert office.market.reading_of(SLOT, 0) == entry.reading
        await service.deliver()
        assert service.terminal.outbox.tally()[State.FINAL] == 0  # four blocks are to follow
        for _ in range(4):
            office.node.request("evm_mine", [])
        await service.deliver()
        assert service.terminal.outbox.tally()[State.FINAL] == 1
        assert service.troubles() == []

    play(office, scene)


def test_a_reading_that_a_reorganisation_drops_comes_back(office: Office):
    async def scene(service: Service) -> None:
        await service.deliver()
        before = office.node.request("evm_snapshot", [])
        await office.pass_slots(service, 1)
        await service.deliver()
        assert service.terminal.outbox.tally()[State.SENT] == 1
        office.node.request("evm_revert", [before])
        assert office.market.reading_of(SLOT, 0) is None
        office.at(office.now + RESEND_SECONDS + 1)
        await service.deliver()
        assert office.market.reading_of(SLOT, 0) == service.terminal.close_slot(SLOT)

    play(office, scene)


def test_even_a_final_reading_comes_back_if_the_chain_breaks_its_promise(office: Office):
    async def scene(service: Service) -> None:
        await service.deliver()
        before = office.node.request("evm_snapshot", [])
        await office.pass_slots(service, 1)
        await service.deliver()
        await service.deliver()
        assert service.terminal.outbox.tally()[State.FINAL] == 1
        office.node.request("evm_revert", [before])
        office.at(office.now + 60)
        await service.deliver()
        assert office.market.reading_of(SLOT, 0) == service.terminal.close_slot(SLOT)

    play(shallow(office), scene)


def test_a_correction_follows_once_its_slot_is_settled(office: Office):
    async def scene(service: Service) -> None:
        await office.pass_slots(service, 1)
        await service.deliver()
        await service.deliver()
        made = service.terminal.correct(SLOT, {"imported": 40}, "the old meter's last count")
        assert (made.imported, made.revision) == (40, 1)
        office.at((SLOT + 1) * 1800 + 3600)
        office.market.settle(SLOT, [])
        await service.deliver()
        await service.deliver()
        assert office.market.reading_of(SLOT, 0) == made
        assert service.terminal.outbox.tally()[State.FINAL] == 2
        with pytest.raises(SettingError, match="must change the reading"):
            service.terminal.correct(SLOT, {"imported": 40}, "again")
        with pytest.raises(SettingError, match="must be of a slot with a reading"):
            service.terminal.correct(SLOT + 9, {"imported": 40}, "never")

    play(shallow(office), scene)


def test_a_clock_that_is_off_signs_nothing_and_what_it_dated_ahead_is_taken_back(office: Office):
    async def scene(service: Service) -> None:
        await service.deliver()
        ahead = 7200
        service.terminal.clock = lambda: office.now + ahead
        office.at(office.now + 600)
        await service.sample()
        await service.close()
        assert service.terminal.outbox.tally()[State.MADE] > 0
        for _ in range(2):
            office.at(office.now + 10)
            await service.deliver()
        assert service.troubles() == ["clock-refused"]
        assert service.terminal.outbox.tally()[State.SENT] == 0
        service.terminal.clock = lambda: office.now
        office.at(office.now + 10)
        await service.deliver()
        assert service.terminal.outbox.tally()[State.MADE] == 0
        await office.pass_slots(service, 1)
        await service.deliver()
        standing = office.market.reading_of(SLOT, 0)
        assert standing is not None
        assert standing.generated == 5_000

    play(office, scene)


def test_a_slow_clock_is_seen_by_a_block_from_the_future():
    watch = ClockWatch()
    watch.observe(1000, 1, 1030)
    assert watch.warns
    assert not watch.refuses
    watch.observe(1000, 2, 1061)
    assert watch.refuses


def test_the_wrong_chain_market_or_key_ends_it_with_one_sentence(office: Office):
    settings, chain = office.settings, office.settings.chain

    def attempt(changed: Settings, key: bytes = bytes(31) + b"\5") -> None:
        async def check() -> None:
            there = await connected(changed, key)
            await check_enrolled(there, changed, address_of(key), NOW)

        asyncio.run(check())

    with pytest.raises(SettingError, match="chain_id must be that of .*, which is 7000, got 1"):
        attempt(replace(settings, chain=replace(chain, chain_id=1)))
    with pytest.raises(SettingError, match=r"\[chain\] market must be a market on .*, got 0x3333"):
        attempt(replace(settings, chain=replace(chain, market="0x" + "33" * 20)))
    with pytest.raises(ChainError, match="a node must answer at http://127.0.0.1:9"):
        attempt(replace(settings, chain=replace(chain, rpc="http://127.0.0.1:9")))
    with pytest.raises(
        SettingError, match="the key of site 0 must be enrolled, got 0x.* where the market has 0x"
    ):
        attempt(settings)
    signer, payer = signer_of(settings)
    assert isinstance(signer, KeySigner)
    attempt(settings, payer)


def test_health_and_metrics_say_what_is_wrong(office: Office):
    def asked(port: int, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def scene(service: Service) -> None:
        office.site.break_(METER, Fault.EXCEPTION)
        await office.pass_slots(service, 1)
        async with health.served(service, 0) as port:
            status, body = await asyncio.to_thread(asked, port, "/health")
            assert (status, json.loads(body)["troubles"]) == (503, ["chain-away"])
            await service.deliver()
            status, body = await asyncio.to_thread(asked, port, "/health")
            assert (status, json.loads(body)["troubles"]) == (200, [])
            status, body = await asyncio.to_thread(asked, port, "/metrics")
            assert status == 200
            assert 'yui_oracle_faults_total{kind="exception-code",source="meter"} 1.0' in body
            for name in ("sample_age_seconds", "outbox_depth", "chain_lag_seconds"):
                assert f"yui_oracle_{name} 0.0" in body
            assert (await asyncio.to_thread(asked, port, "/"))[0] == 404

    play(office, scene)


def test_a_full_disk_is_told_and_outlived(office: Office, caplog: pytest.LogCaptureFixture):
    async def scene(service: Service) -> None:
        store = service.terminal.outbox._store
        (pages,) = store.execute("PRAGMA page_count").fetchone()
        store.execute(f"PRAGMA max_page_count = {pages}")
        while service.store_works:  # until the last page is full
            office.site.advance(office.now + 1)
            office.now += 1
            await service.sample()
        assert service.troubles()[0] == "store-failed"
        store.execute("PRAGMA max_page_count = 1000000")
        await office.pass_slots(service, 1)
        assert service.store_works
        await service.deliver()
        standing = office.market.reading_of(SLOT, 0)
        assert standing is not None
        assert standing.generated == 5_000

    play(office, scene)


def test_a_slot_of_no_revision_left_is_not_corrected(office: Office):
    async def scene(service: Service) -> None:
        made = Reading(SLOT, 0, imported=40, revision=255)
        service.terminal.outbox.keep_reading(made, office.now)
        with pytest.raises(SettingError, match="must have fewer than 256 revisions"):
            service.terminal.correct(SLOT, {"imported": 41}, "once more")
        assert service.terminal.close_slot(SLOT) == made

    play(shallow(office), scene)


def test_status_retry_and_correct_as_typed(office: Office):
    settings = ("--settings", str(office.settings.path))
    missing = invoked("oracle", "status", *settings)
    assert isinstance(missing.exception, SettingError)
    outbox = Outbox(office.settings.outbox)
    outbox.claim(f"site 0 of {office.market.address} on chain 7000")
    good, bad = Reading(SLOT, 0, imported=5), Reading(SLOT + 1, 0, imported=60_000)
    for reading in (good, bad):
        outbox.keep_reading(reading, NOW)
    outbox.mark([bad], State.REFUSED, "ReadingBeyondRating: ...", NOW)
    outbox.close()
    shown = json.loads(invoked("oracle", "status", *settings, "--json").stdout)
    assert shown["readings"] == {"made": 1, "sent": 0, "final": 0, "refused": 1}
    assert shown["refused"][0]["remark"] == "ReadingBeyondRating: ..."
    half_hour = shown["refused"][0]["half_hour"]
    assert "refused by the chain" in invoked("oracle", "status", *settings).stdout
    assert invoked("oracle", "retry", half_hour, *settings).exit_code == 0
    again = invoked("oracle", "retry", half_hour, *settings)
    assert str(again.exception) == f"the reading of {half_hour} must be refused, got made"
    done = invoked("oracle", "correct", half_hour, "typed", "--imported", "7", *settings)
    assert "revision 1 waits to be sent" in done.stdout
    wrong = invoked("oracle", "correct", half_hour, "x", "--imported", "-1", *settings)
    assert "--imported must be 0 to 4294967295 Wh, got -1" in str(wrong.exception)


def test_run_once_is_a_test_of_an_installation(office: Office, tmp_path: Path):
    async def served() -> Result:
        async with office.site:
            path = office.settings.path
            path.write_text(path.read_text().replace("5020", str(office.site.port)))
            words = ("oracle", "run", "--once", "--settings", str(path))
            return await asyncio.to_thread(invoked, *words)

    # The office's key is enrolled for good; only the node's clock stands in another year.
    office.node.set_time(int(time.time()))
    done = asyncio.run(served())
    assert done.exit_code == 0, done.exception
    assert Outbox(office.settings.outbox).last_sample_seconds() is not None


def test_probe_shows_every_value_with_its_unit(office: Office):
    async def probed(*more: str) -> Result:
        async with office.site:
            office.at(NOW)
            words = ("oracle", "probe", "127.0.0.1", "--port", str(office.site.port), *more)
            return await asyncio.to_thread(invoked, *words)

    found = json.loads(asyncio.run(probed("--json", "--units", "1,3,9", "--timeout", "0.2")).stdout)
    assert [unit["number"] for unit in found["units"]] == [1, 3]
    assert "9" in found["silent"]
    values = {(each["model"], each["point"]): each for each in found["units"][0]["found"]}
    assert values[203, "TotWhImp"]["value"] == "100000"
    assert values[203, "TotWhImp"]["measure"] == "Wh"
    assert (203, "TotWh_SF") not in values
    assert "TotWhImp" in asyncio.run(probed("--units", "1")).stdout
    wrong = invoked("oracle", "probe", "127.0.0.1", "--units", "0-3")
    assert str(wrong.exception) == "--units must be within 1 to 247, got '0-3'"


def test_funds_that_run_low_are_told_in_journal_status_health_and_metrics(
    office: Office, caplog: pytest.LogCaptureFixture
):
    async def scene(service: Service) -> None:
        await service.count()  # before it is connected, nothing
        await service.deliver()
        await service.count()
        assert service.warnings() == []
        payer = service.terminal.signer.address
        office.node.request("anvil_setBalance", [payer, hex(10**17)])
        for _ in range(2):
            await service.count()
        assert service.warnings() == ["low-funds"]
        assert service.troubles() == []
        told = health.metrics_of(service).decode()
        assert "yui_oracle_low_funds 1.0" in told
        assert "yui_oracle_funds_coins 0.1" in told
        office.node.fund(payer)
        await service.count()
        assert service.warnings() == []

    with caplog.at_level("INFO"):
        play(office, scene)
    lines = [line for line in caplog.messages if "funds" in line]
    assert [line.split()[0] for line in lines] == ["low_funds", "funds.enough"]
    assert "coins=0.1 transactions=1000 days=unknown" in lines[0]
    shown = invoked("oracle", "status", "--settings", str(office.settings.path), "--json").stdout
    (incident,) = [one for one in json.loads(shown)["incidents"] if one["kind"] == "low-funds"]
    assert (incident["source"], incident["times"]) == ("account", 2)
    assert "has 0.100 coins, 1,000 transactions" in incident["detail"]
