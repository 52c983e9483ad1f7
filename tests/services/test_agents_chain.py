"""A site's agent on a real chain: what it has read becomes one signed order, once."""

from __future__ import annotations

from pathlib import Path

from chain.anvil import anvil
from chain.indexer import indexed
from chain.store import stored
from energy.records import Order, Side
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.agents import Limits, Truthful
from orchestrator.mover import SignedOrder, relayed
from orchestrator.service.agent import SiteAgent
from orchestrator.service.inbox import Inbox
from tests.services.test_node import OGAWARA, SENDAI, SLOT, Town, a_town, key
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
