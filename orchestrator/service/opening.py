"""From settings to an orchestrator: key, nodes, store, inbox and agents.

No node and no database is asked: one that is away is waited for by the duties that need it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from chain.database import described
from daemon.journal import said
from daemon.told import until_told
from energy.errors import SettingError
from oracle.keys import passphrase_from, unlocked
from orchestrator.service.alerts import Alerts, log
from orchestrator.service.deployment import Deployment, node_of, second_of
from orchestrator.service.inbox import Inbox
from orchestrator.service.service import Orchestrator
from orchestrator.service.settings import AgentSettings, KeyFile, Settings
from orchestrator.service.witness import Witness
from orchestrator.setting.sites import Setting, load_setting
from orchestrator.trading.agents import STRATEGIES, Limits

if TYPE_CHECKING:
    from orchestrator.service.agent import SiteAgent


@contextmanager
def opening(settings: Settings) -> Iterator[Orchestrator]:
    """Open what an orchestrator needs, and close it afterwards.

    Raises:
        SettingError: if a key does not open, or a setting cannot be.
    """
    chain = node_of(settings, key_of(settings.key))
    setting = load_setting(settings.sites)
    store = described(settings.store)
    try:
        deployment = Deployment(settings, chain, store, _told(settings, setting))
        agents = [agent_of(each, setting) for each in settings.agents]
        witness = None
        if second := second_of(settings):
            contracts = [deployment.market.address, *filter(None, [settings.chain.origin])]
            behind = settings.alerts.behind_blocks
            witness = Witness(chain, second, contracts, behind, store)
        with closing(Inbox(settings.inbox)) as inbox:
            alerts = Alerts(settings.alerts.webhook)
            yield Orchestrator(deployment, chain, inbox, alerts, witness, agents)
    finally:
        store.dispose()


def key_of(file: KeyFile) -> bytes:
    """Return the private key of a keystore.

    Raises:
        SettingError: if it does not open.
    """
    return unlocked(file.keystore, passphrase_from(file.passphrase, file.credential))


def _told(settings: Settings, setting: Setting) -> dict[str, str]:
    """Return what a store's readers want to know and the chain does not tell."""
    told = {
        "names": json.dumps({site.number: [site.name, site.name_ja] for site in setting.sites}),
        "mode": setting.market.mode,
    }
    if settings.chain.origin:
        told["origin"] = settings.chain.origin
    return told


def agent_of(wanted: AgentSettings, setting: Setting) -> SiteAgent:
    """Return a site's agent.

    Raises:
        SettingError: if its key does not open, or the sites file has no such site, or none with
            the battery that a plan is wanted for.
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
    if wanted.plan_file and own.battery is None:
        raise SettingError(
            f"an agent with a plan_file must be of a site with a battery, got {wanted.site}"
        )
    agent.steer(wanted.battery, own, wanted.plan_file)
    return agent


async def run_until_told(settings: Settings) -> None:
    """Run an orchestrator until SIGINT or SIGTERM.

    Raises:
        YuiError: the first that ended a duty.
    """
    with opening(settings) as orchestrator:
        market, payer = orchestrator.market.address, orchestrator.chain.sender
        log.info(said("started", market=market, payer=payer))
        await until_told(orchestrator.run(), log)
