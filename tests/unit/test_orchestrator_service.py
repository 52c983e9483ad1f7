"""The orchestrator's settings, inbox, alerts and metrics, each by itself."""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

from chain.ports import free_port
from energy.errors import SettingError, StoreError, YuiError
from energy.messages import Domain, address_of, sign
from energy.records import Order, Side
from energy.registry import Tariff
from orchestrator.moving.mover import SignedOrder
from orchestrator.service import settings
from orchestrator.service.alerts import NAMES, Alerts
from orchestrator.service.cli import status
from orchestrator.service.deployment import ChainClock
from orchestrator.service.inbox import Inbox, signed_from
from orchestrator.service.metrics import REGISTRY
from orchestrator.service.settings import load_settings
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from orchestrator.trading.agents import (
    STRATEGIES,
    FixedMargin,
    Limits,
    Situation,
    Truthful,
    ZeroIntelligence,
    quoted,
)
from orchestrator.trading.backtest import Result, backtest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "orchestrator.md").read_text(encoding="utf-8")
DOMAIN = Domain(7_000, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
KEY = b"\1" * 32
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
LIMITS = Limits(ask=9_000, bid=18_000, most_energy=40_000)


def signed_order(sequence: int = 1, price: int = 9_000, site: int = 3) -> SignedOrder:
    order = Order(866_450, site, Side.ASK, 1_000, price, sequence)
    return SignedOrder(order, sign(order, DOMAIN, KEY))


# -- settings ------------------------------------------------------------------------------


def test_the_settings_that_are_documented_are_read(tmp_path: Path) -> None:
    text = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert text
    content = text[1].replace("0x...", "0x" + "00" * 19 + "01").replace("https://...", "http://x")
    assert tomllib.loads(content)
    path = tmp_path / "orchestrator.toml"
    path.write_text(content)
    read = load_settings(path)
    assert read.store == str(tmp_path / "store.sqlite")
    assert (read.port, read.poll_seconds) == (9465, 2.0)
    (agent,) = read.agents
    assert (agent.site, agent.ask, agent.bid, agent.margin) == (6, 9_000, 18_000, 1_000)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("port = 9465", "port = 70000", r"\[run\] port must be 0 to 65535, got 70000"),
        ("port = 9465", "prot = 9465", r"\[run\] prot must be a setting that there is, got 9465"),
        ("chain_id = 31337", "chain_id = 0", r"\[chain\] chain_id must be the number of the chain"),
        ('strategy = "truthful"', 'strategy = "greedy"', r"strategy must be one of truthful, zero"),
        ("sell_at_least_jpy_per_kwh = 9.0", "", r"sell_at_least_jpy_per_kwh must be there"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_value_and_limit(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    text = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert text
    assert before in text[1]
    path = tmp_path / "orchestrator.toml"
    address = "0x" + "00" * 19 + "01"
    path.write_text(text[1].replace("0x...", address).replace(before, after))
    with pytest.raises(SettingError, match=message):
        load_settings(path)


def test_the_settings_page_and_the_settings_text_show_the_same() -> None:
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    text = settings.__doc__ or ""
    assert dedent(text[text.index("    [chain]") : text.index("Paths are")]).strip() == (
        shown[1].strip()
    )


def test_a_plan_is_written_for_a_battery_that_is_planned_alone(tmp_path: Path) -> None:
    text = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert text
    path = tmp_path / "orchestrator.toml"
    address = "0x" + "00" * 19 + "01"
    content = text[1].replace("0x...", address).replace("https://...", "http://x")
    path.write_text(content)
    assert load_settings(path).agents[0].plan_file == tmp_path / "plan.json"
    path.write_text(content.replace('battery = "plan"', 'battery = "none"'))
    with pytest.raises(SettingError, match=r"plan_file must be given with a battery that is"):
        load_settings(path)


def asked(folder: Path, run: str) -> str:
    """What `yui orchestrator status` says under some settings of [run]."""
    path = folder / "orchestrator.toml"
    address = "0x" + "00" * 19 + "01"
    path.write_text(
        f'[chain]\nrpc = "http://x"\nmarket = "{address}"\nchain_id = 1\n'
        f'[key]\nkeystore = "k"\npassphrase = "p"\n[run]\n{run}\n'
    )
    with pytest.raises(YuiError) as error:
        status(path)
    return str(error.value)


def test_status_asks_where_the_service_is_or_says_why_it_cannot(tmp_path: Path) -> None:
    port = free_port()
    said = asked(tmp_path, f'host = "::1"\nport = {port}')
    assert f"must answer at http://[::1]:{port}/health, got [Errno" in said
    said = asked(tmp_path, f'host = "no\\thost"\nport = {port}')
    assert "must answer at http://no\thost" in said
    said = asked(tmp_path, "port = 0")
    assert said.endswith("[run] port must be above 0 for its service to be asked, got 0 (any)")


# -- inbox ---------------------------------------------------------------------------------


def test_an_order_that_was_taken_is_there_after_a_restart_and_comes_once(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite")
    first, second = signed_order(), signed_order(sequence=2)
    assert inbox.take([first, second]) == 2
    assert inbox.take([first]) == 0
    again = Inbox(tmp_path / "inbox.sqlite")
    assert again.waiting() == [first, second]
    assert again.sequence_of(866_450, 3) == 2
    again.let_go([first.order])
    assert again.waiting() == [second]


def test_another_order_of_a_sequence_is_refused_and_nothing_of_its_batch_is_kept(
    tmp_path: Path,
) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite")
    inbox.take([signed_order()])
    with pytest.raises(SettingError, match="order 1 of site 3 for slot 866450 must be the one"):
        inbox.take([signed_order(sequence=2), signed_order(price=9_001)])
    assert inbox.count() == 1


def test_one_site_cannot_fill_the_inbox_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.service.inbox.MOST_OF_A_SITE", 3)
    inbox = Inbox(tmp_path / "inbox.sqlite")
    inbox.take([signed_order(1), signed_order(2)])
    inbox.take([signed_order(2), signed_order(3)])
    with pytest.raises(SettingError, match="at most 3 orders of site 3 may wait, got one more"):
        inbox.take([signed_order(4)])
    assert inbox.take([signed_order(1), signed_order(1, site=4)]) == 1
    inbox.let_go([signed_order(1).order])
    assert inbox.take([signed_order(4)]) == 1


def test_a_full_disk_is_an_error_that_passes_and_loses_nothing(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite")
    inbox.take([signed_order(1)])
    (pages,) = inbox._disk.execute("PRAGMA page_count").fetchone()
    inbox._disk.execute(f"PRAGMA max_page_count = {pages}")
    many = [signed_order(1, site=site) for site in range(4, 400)]
    with pytest.raises(StoreError, match="the inbox must take an order, got: .* full"):
        inbox.take(many)
    assert inbox.waiting() == [signed_order(1)], "all or none"
    inbox._disk.execute("PRAGMA max_page_count = 100000")
    assert inbox.take(many) == len(many)
    other = sqlite3.connect(tmp_path / "inbox.sqlite")
    other.execute("ALTER TABLE orders RENAME TO gone")
    for ask in (
        inbox.waiting,
        inbox.count,
        lambda: inbox.take([signed_order(2)]),
        lambda: inbox.let_go([signed_order(1).order]),
        lambda: inbox.sequence_of(866_450, 3),
    ):
        with pytest.raises(StoreError, match="the inbox must .*, got: no such table"):
            ask()
    other.execute("ALTER TABLE gone RENAME TO orders")
    other.close()
    assert inbox.count() == 1 + len(many)


def test_an_order_is_read_from_json_or_refused() -> None:
    signed = signed_order()
    values = {
        "slot": signed.order.slot,
        "order": signed.order.to_bytes().hex(),
        "signature": "0x" + signed.signature.hex(),
    }
    assert signed_from(values, DOMAIN) == signed
    for wrong in (
        None,
        {},
        {**values, "slot": True},
        {**values, "slot": -1},
        {**values, "slot": 2**300},
        {**values, "order": "xx"},
        {**values, "x": 1},
    ):
        with pytest.raises(SettingError, match="an order must"):
            signed_from(wrong, DOMAIN)
    assert address_of(KEY)


def test_while_the_chain_is_away_its_time_lies_between_its_last_block_and_what_has_passed() -> None:
    passed = [100.0]
    clock = ChainClock(1_000, steady=lambda: passed[0])
    assert clock.earliest == 1_000
    assert clock.latest >= 1_700_000_000, "no block was seen: what this machine's date says"
    clock.seen(2_000)
    passed[0] += 50
    clock.seen(2_000)
    assert (clock.earliest, clock.latest) == (2_000, 2_050)
    clock.seen(2_030)
    assert (clock.earliest, clock.latest) == (2_030, 2_030)


# -- alerts and metrics --------------------------------------------------------------------


def test_an_alert_is_raised_once_and_cleared_once(caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts()
    for _ in range(3):
        alerts.update("low-funds", {"0x1": "0.5 coins"})
    assert len(alerts.raised) == 1
    alerts.update("low-funds", {"0x1": "0.4 coins"})
    assert alerts.raised["low-funds", "0x1"].details == "0.4 coins", "as it is now"
    alerts.note("low-funds", "0x2", "0.1 coins")
    assert len(alerts.raised) == 2, "one thing beside the other"
    for _ in range(2):
        alerts.note("low-funds", "0x2", None)
    assert list(alerts.raised) == [("low-funds", "0x1")]
    for _ in range(2):
        alerts.update("low-funds", {})
    told = [record.message for record in caplog.records]
    assert [line.split()[0] for line in told] in (
        ["alert.raised"] * 2,
        [],
    )  # cleared is told as info
    assert alerts.raised == {}


def test_every_alert_is_documented() -> None:
    for name, meaning in NAMES.items():
        assert f"| `{name}` | {meaning} |" in PAGE


def test_every_fault_in_the_table_has_a_test_that_is_there() -> None:
    table = (ROOT / "docs" / "orchestrator.md").read_text().partition("## Faults")[2]
    named = re.findall(r"`(test_\w+)` \|$", table, re.MULTILINE)
    there = "".join(path.read_text() for path in (ROOT / "tests").glob("*/*.py"))
    assert len(named) > 15
    for name in named:
        assert f"def {name}(" in there, name


def test_every_metric_of_the_dashboard_exists_and_every_metric_is_on_it() -> None:
    text = (ROOT / "deploy" / "grafana" / "orchestrator.json").read_text(encoding="utf-8")
    dashboard = json.loads(text)
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"yui_orchestrator_\w+", target["expr"])
    }
    assert shown == {metric.name for metric in REGISTRY.collect()}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


# -- agents --------------------------------------------------------------------------------


def situation(net: int, worth: int | None = None, region: int = 0) -> Situation:
    return Situation(866_450, 3, net, TARIFF, worth, region)


def test_the_truthful_say_what_the_energy_is_worth_to_them() -> None:
    assert Truthful().price(situation(1_000)) == TARIFF.buying
    assert Truthful().price(situation(-1_000)) == TARIFF.selling
    assert Truthful().price(situation(-1_000, worth=13_500)) == 13_500


def test_a_fixed_margin_is_kept_within_the_utilitys_prices() -> None:
    assert FixedMargin(1_500).price(situation(1_000)) == 9_500
    assert FixedMargin(1_500).price(situation(-1_000)) == 20_500
    assert FixedMargin(30_000).price(situation(1_000)) == TARIFF.selling
    assert FixedMargin(30_000).price(situation(-1_000)) == TARIFF.buying


def test_zero_intelligence_draws_the_same_again_and_never_beyond_the_utility() -> None:
    prices = [
        ZeroIntelligence(seed).price(Situation(866_450 + seed, 3, 1_000, TARIFF))
        for seed in range(300)
    ]
    assert min(prices) >= TARIFF.buying
    assert max(prices) <= TARIFF.selling
    assert len(set(prices)) > 200
    assert ZeroIntelligence(5).price(situation(1)) == ZeroIntelligence(5).price(situation(2))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("net", [50_000, -50_000])
@pytest.mark.parametrize("region", [0, 9_000, -9_000])
def test_no_strategy_goes_beyond_a_sites_limits(name: str, net: int, region: int) -> None:
    limits = Limits(9_000, 18_000, 40_000, region_discount=3_000)
    order = quoted(situation(net, region=region), STRATEGIES[name](1_000), limits)
    assert order
    assert order.energy == 40_000
    if order.side == Side.ASK:
        assert order.price >= limits.ask
    else:
        assert order.price <= limits.bid


def test_a_site_gives_way_for_its_own_region_alone() -> None:
    limits = Limits(9_000, 18_000, 40_000, region_discount=500)
    prices = [
        getattr(quoted(situation(net, 12_000, region), Truthful(), limits), "price")  # noqa: B009
        for net, region in ((1_000, -5_000), (1_000, 5_000), (-1_000, 5_000), (-1_000, -5_000))
    ]
    assert prices == [11_500, 12_000, 12_500, 12_000]


def test_nothing_to_trade_is_no_order() -> None:
    assert quoted(situation(0), Truthful(), LIMITS) is None


def test_a_backtest_ranks_the_strategies_the_same_again() -> None:
    strategies = {name: made(1_000) for name, made in STRATEGIES.items()}

    def ranked() -> list[Result]:
        first = date(2019, 6, 4)
        return backtest(load_setting(), load_series(), pv_series(), strategies, first, 1)

    found = ranked()
    assert found == ranked()
    assert {result.strategy for result in found} == set(STRATEGIES)
    gains = [result.gain_microyen for result in found]
    assert gains == sorted(gains, reverse=True)
    assert sum(result.sold_wh for result in found) == sum(result.bought_wh for result in found) > 0


def test_a_backtest_beyond_the_series_is_refused() -> None:
    with pytest.raises(SettingError, match="days must be within 2019-01-01 and 2019-12-31, got 2"):
        backtest(load_setting(), load_series(), pv_series(), {}, date(2019, 12, 31), 2)
