"""A site's agent on a real chain: what it has read becomes one signed order, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chain.anvil import anvil
from chain.indexer import indexed
from chain.store import stored
from energy.records import Order, Reading, Side
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.moving.mover import SignedOrder, relayed
from orchestrator.service.agent import SiteAgent
from orchestrator.service.inbox import Inbox
from orchestrator.setting.sites import load_setting
from orchestrator.trading.agents import Limits, Truthful
from tests.services.test_node import KESENNUMA, OGAWARA, SENDAI, SLOT, Town, a_town, key
from tests.unit.test_twin import FIRST_SLOT

LIMITS = Limits(ask=9_000, bid=18_000, most_energy=50_000)


def agent_of(site: int) -> SiteAgent:
    return SiteAgent(site, key("trader", site), Truthful(), LIMITS)


def ordered(agent: SiteAgent, town: Town, inbox: Inbox) -> list[SignedOrder]:
    indexed(town.store, town.node, town.market.address)
    with stored(town.store) as store:
        return agent.orders(store, town.market, inbox, town.node.now())


def test_after_metering_an_agent_quotes_what_was_read_once(tmp_path: Path) -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        town = a_town(node, tmp_path, after_metering=True)
        inbox = Inbox(tmp_path / "inbox.sqlite")
        seller, buyer = agent_of(OGAWARA), agent_of(SENDAI)
        town.at((SLOT + 1) * SLOT_SECONDS)
        assert ordered(seller, town, inbox) == [], "nothing was read yet"
        town.push(*town.readings(SLOT))
        (offer,), (wish,) = ordered(seller, town, inbox), ordered(buyer, town, inbox)
        assert offer.order == Order(SLOT, OGAWARA, Side.ASK, 2_800, 9_000, 1)
        assert wish.order == Order(SLOT, SENDAI, Side.BID, 1_100, 18_000, 1)
        inbox.take([offer, wish])
        assert ordered(agent_of(OGAWARA), town, inbox) == [], "it waits in the inbox"
        assert relayed(town.market, [offer, wish]) == []
        inbox.let_go([offer.order, wish.order])
        assert ordered(agent_of(OGAWARA), town, inbox) == [], "it stands on the chain"


def test_ahead_an_agent_waits_for_a_day_of_readings_and_then_forecasts(tmp_path: Path) -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        town = a_town(node, tmp_path)
        inbox, agent = Inbox(tmp_path / "inbox.sqlite"), agent_of(OGAWARA)
        for slot in range(SLOT, SLOT + SLOTS_PER_DAY):
            town.at((slot + 1) * SLOT_SECONDS)
            town.push(*town.readings(slot))
            if slot == SLOT:
                assert ordered(agent, town, inbox) == []
        (signed,) = ordered(agent, town, inbox)
        # The gate of the slot that is next has closed; each slot read was alike.
        assert signed.order == Order(SLOT + SLOTS_PER_DAY + 1, OGAWARA, Side.ASK, 2_800, 9_000, 1)
        assert relayed(town.market, [signed]) == []


def test_an_agent_that_knows_of_a_battery_offers_in_parts_once_the_last_slot_is_read(
    tmp_path: Path,
) -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        town = a_town(node, tmp_path)
        inbox = Inbox(tmp_path / "inbox.sqlite")
        place = next(site for site in load_setting().sites if site.battery)
        last = SLOT + SLOTS_PER_DAY

        def agent(how: str) -> SiteAgent:
            found = SiteAgent(KESENNUMA, key("trader", KESENNUMA), Truthful(), LIMITS)
            found.steer(how, replace(place, number=KESENNUMA))
            return found

        def read(slot: int) -> None:
            night = slot - SLOT >= SLOTS_PER_DAY // 2
            flows = (2_000, 0, 0) if night else (0, 18_000, 20_000)
            town.push(
                Reading(slot, KESENNUMA, *flows, stored=24_400),
                *(each for each in town.readings(slot) if each.site != KESENNUMA),
            )

        for slot in range(SLOT, last):
            town.at((slot + 1) * SLOT_SECONDS)
            if slot + 1 < last:
                read(slot)
        assert ordered(agent("plan"), town, inbox) == [], "the last slot is waited for"
        read(last - 1)
        planning = agent("plan")
        signed = ordered(planning, town, inbox)
        orders = [each.order for each in signed]
        assert [order.sequence for order in orders] == list(range(1, len(orders) + 1))
        assert [order.side for order in orders] == [Side.ASK] * len(orders)
        # It takes in 7.5 kWh of 18; it could give 7.5 kWh more.
        assert [order.energy for order in orders] == [10_500, 7_500, 7_500]
        prices = [order.price for order in orders]
        assert prices == sorted(prices)
        assert prices[0] == LIMITS.ask < prices[-1]
        assert [each.order for each in ordered(agent("plan"), town, inbox)] == orders
        assert len(ordered(agent("none"), town, inbox)) == 1
        assert relayed(town.market, signed) == []
        assert ordered(planning, town, inbox) == []
