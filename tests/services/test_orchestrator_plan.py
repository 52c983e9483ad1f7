"""One plan for book and battery: what an agent's offers rest on is what dispatch reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from chain.indexer import indexed
from chain.store import opened, stored
from energy.records import Order, Reading
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.service.agent import SiteAgent
from orchestrator.service.inbox import Inbox
from orchestrator.setting.sites import load_setting
from orchestrator.trading.agents import Limits, Truthful
from tests.orchestrated import Place, Service, keystore, wait_for
from tests.services.test_node import KESENNUMA, SLOT, key
from vpp.dispatch.limits import OwnerLimits
from vpp.dispatch.planfile import PlanFile

SITES = Path(__file__).resolve().parents[2] / "orchestrator" / "setting" / "sites.toml"
RUNNING = SLOT + SLOTS_PER_DAY


def read(place: Place, slot: int) -> None:
    """Let a slot end and be read: by day Kesennuma has surplus, by night it lacks some."""
    place.now((slot + 1) * SLOT_SECONDS)
    night = (slot - SLOT) % SLOTS_PER_DAY >= SLOTS_PER_DAY // 2
    flows = (2_000, 0, 0) if night else (0, 18_000, 20_000)
    place.town.push(
        Reading(slot, KESENNUMA, *flows, stored=24_400),
        *(each for each in place.town.readings(slot) if each.site != KESENNUMA),
    )


def with_agent(place: Place, plan_file: str) -> Service:
    """Describe a service with an agent for Kesennuma, of three sites the last."""
    first, *sites = SITES.read_text(encoding="utf-8").split("[[site]]")
    text = "[[site]]".join([first, sites[0], sites[1], sites[6]])
    (place.folder / "sites.toml").write_text(text, encoding="utf-8")
    agent = f"""
[[agent]]
site = {KESENNUMA}
keystore = "trader.json"
passphrase = "trader.passphrase"
sell_at_least_jpy_per_kwh = 9.0
buy_at_most_jpy_per_kwh = 18.0
battery = "plan"
plan_file = "{plan_file}"
"""
    service = place.service(stores=f'sites = "{place.folder / "sites.toml"}"', alerts=agent)
    keystore(service.folder, "trader", key("trader", KESENNUMA))
    return service


def posted(place: Place, slot: int) -> list[Order]:
    engine = opened("sqlite://")
    indexed(engine, place.town.node, place.town.market.address)
    with stored(engine) as store:
        return store.orders(range(slot, slot + 1), KESENNUMA)


def same_again(place: Place, folder: Path) -> tuple[tuple[int, ...], list[Order]]:
    """What an agent that knows the same plans and orders."""
    engine = opened("sqlite://")
    indexed(engine, place.town.node, place.town.market.address)
    limits = Limits(ask=9_000, bid=18_000, most_energy=50_000)
    agent = SiteAgent(KESENNUMA, key("trader", KESENNUMA), Truthful(), limits)
    own = next(site for site in load_setting().sites if site.battery)
    agent.steer("plan", replace(own, number=KESENNUMA))
    folder.mkdir()
    with stored(engine) as store:
        found = agent.orders(
            store, place.town.market, Inbox(folder / "inbox.sqlite"), place.town.node.now()
        )
    assert agent.battery is not None
    assert agent.battery.plan is not None
    return agent.battery.plan.plan_wh, [each.order for each in found]


def test_the_plan_that_an_agents_offers_rest_on_is_the_one_that_dispatch_reads(
    place: Place, tmp_path: Path
) -> None:
    for slot in range(SLOT, RUNNING):
        read(place, slot)
    planned, offered = same_again(place, tmp_path / "same")
    service = with_agent(place, "mounted/plan.json").start()
    path = service.folder / "mounted" / "plan.json"
    dispatch = PlanFile(path, KESENNUMA, OwnerLimits(15_000, 15_000))
    # Where it cannot be written, that is told; the agent orders all the same.
    alert = ("plan-unwritten", f"site {KESENNUMA}")
    wait_for(lambda: alert in service.alerts(), place, "it must be told")
    assert "plan.json must be written, got" in service.alerts()[alert]
    wait_for(lambda: posted(place, RUNNING + 1), place, "the agent must order")
    path.parent.mkdir()
    wait_for(lambda: alert not in service.alerts(), place, "it must be written")
    assert dispatch.read()
    (plan,) = dispatch.plans
    assert dispatch.trouble == ""
    assert plan.starts_at == RUNNING * SLOT_SECONDS
    assert len(plan.plan_wh) == SLOTS_PER_DAY
    assert plan.plan_wh == planned
    orders = posted(place, RUNNING + 1)
    assert orders == offered
    # By day it takes in what the roof has to spare, at night it gives it to the site.
    day, night = plan.plan_wh[: SLOTS_PER_DAY // 2], plan.plan_wh[SLOTS_PER_DAY // 2 :]
    assert -7_500 <= min(day) < 0 == max(day)
    assert 0 == min(night) < max(night) <= 7_500
    answer = service.ask(f"/plan/{KESENNUMA}")
    assert answer is not None
    assert answer.json() == json.loads(path.read_text())
    nobody = service.ask("/plan/0")
    assert nobody is not None
    assert nobody.status_code == 404
    # The next half hour has a plan of its own, as soon as the one before has been read.
    before = path.read_bytes()
    service.kill()
    service.start()
    read(place, RUNNING)
    wait_for(lambda: posted(place, RUNNING + 2), place, "the agent must order again")
    assert path.read_bytes() != before
    assert dispatch.read()
    assert dispatch.plans[0].starts_at == (RUNNING + 1) * SLOT_SECONDS
    assert list(path.parent.iterdir()) == [path]
