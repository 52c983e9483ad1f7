"""From settings to an orchestrator: key, node, contracts, store, inbox and agents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from chain.market import MarketContract
from chain.node import NodeChain
from chain.sending import SteadyChain
from chain.store import opened, stored
from chain.writer import written
from daemon.journal import said
from daemon.told import until_told
from energy.errors import SettingError
from oracle.keys import passphrase_from, unlocked
from orchestrator.agents import STRATEGIES, Limits
from orchestrator.service.alerts import Alerts, log
from orchestrator.service.inbox import Inbox
from orchestrator.service.service import Orchestrator
from orchestrator.service.settings import AgentSettings, KeyFile, Settings
from orchestrator.setting.sites import Setting, load_setting

if TYPE_CHECKING:
    from orchestrator.service.agent import SiteAgent


@asynccontextmanager
async def opening(settings: Settings) -> AsyncIterator[Orchestrator]:
    """Open what an orchestrator needs, and close it afterwards.

    Raises:
        SettingError: if a key does not open, or the chain or market is another one.
        ChainError: if the node does not answer.
        StoreError: if store or inbox cannot be opened.
    """
    key = key_of(settings.key)
    chain = await asyncio.to_thread(connected, settings, key)
    setting = load_setting(settings.sites)
    store = opened(settings.store)
    try:
        await asyncio.to_thread(_describe, settings, setting, store)
        second = None
        if settings.second:
            second = await asyncio.to_thread(second_node, settings, settings.second)
        agents = [agent_of(each, setting) for each in settings.agents]
        with closing(Inbox(settings.inbox)) as inbox:
            alerts = Alerts(settings.alerts.webhook)
            yield Orchestrator(settings, chain, store, inbox, alerts, second, agents)
    finally:
        store.dispose()


def key_of(file: KeyFile) -> bytes:
    """Return the private key of a keystore.

    Raises:
        SettingError: if it does not open.
    """
    return unlocked(file.keystore, passphrase_from(file.passphrase, file.credential))


def connected(settings: Settings, key: bytes) -> SteadyChain:
    """Return the chain of the settings, with the market on it.

    Raises:
        ChainError: if no node answers.
        SettingError: if it is another chain, or no such market is there.
    """
    wanted = settings.chain
    chain = SteadyChain(
        wanted.rpc,
        key,
        wanted.gas_price_wei,
        wanted.confirmations,
        settings.most_gas_price_wei,
        settings.patience_seconds,
    )
    _check_chain(settings, chain)
    market = MarketContract(chain, wanted.market)
    if not chain.code_at(wanted.market) or market.domain_separator() != wanted.domain.separator:
        raise SettingError(
            f"{settings.path}: [chain] market must be a market on {wanted.rpc}, got {wanted.market}"
        )
    return chain


def second_node(settings: Settings, url: str) -> NodeChain:
    """Return the second node.

    Raises:
        ChainError: if it does not answer.
        SettingError: if it is of another chain.
    """
    node = NodeChain(url, depth=settings.chain.confirmations)
    _check_chain(settings, node)
    return node


def _check_chain(settings: Settings, node: NodeChain) -> None:
    if node.chain_id != settings.chain.chain_id:
        raise SettingError(
            f"{settings.path}: [chain] chain_id must be that of {node.url}, which is "
            f"{node.chain_id}, got {settings.chain.chain_id}"
        )


def _describe(settings: Settings, setting: Setting, store: Engine) -> None:
    """Keep in the store what its readers want to know and the chain does not tell."""
    wanted = {
        "names": json.dumps({site.number: [site.name, site.name_ja] for site in setting.sites}),
        "mode": setting.market.mode,
    }
    if settings.chain.origin:
        wanted["origin"] = settings.chain.origin
    with stored(store) as reader:
        new = {name: value for name, value in wanted.items() if reader.setting(name) != value}
    if new:
        with written(store) as writer:
            for name, value in new.items():
                writer.set(name, value)


def agent_of(wanted: AgentSettings, setting: Setting) -> SiteAgent:
    """Return a site's agent.

    Raises:
        SettingError: if its key does not open, or the sites file has no such site.
    """
    # The forecasts' libraries are large, and not needed without an agent.
    from orchestrator.service.agent import SiteAgent

    by_number = {site.number: site for site in setting.sites}
    if wanted.site not in by_number:
        raise SettingError(
            f"an agent's site must be one of the sites file's {len(by_number)}, got {wanted.site}"
        )
    own = by_number[wanted.site]
    region = {
        site.number for site in setting.sites if site.region == own.region and site is not own
    }
    limits = Limits(wanted.ask, wanted.bid, own.ratings.order_energy, wanted.region_discount)
    strategy = STRATEGIES[wanted.strategy](wanted.margin)
    agent = SiteAgent(wanted.site, key_of(wanted.key), strategy, limits, frozenset(region))
    agent.steer(wanted.battery, own)
    return agent


async def run_until_told(settings: Settings) -> None:
    """Run an orchestrator until SIGINT or SIGTERM.

    Raises:
        YuiError: the first that ended a duty.
    """
    async with opening(settings) as orchestrator:
        market, payer = orchestrator.market.address, orchestrator.chain.sender
        log.info(said("started", market=market, payer=payer))
        await until_told(orchestrator.run(), log)
