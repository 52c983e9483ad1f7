"""The market that an orchestrator serves, whether its node answers or not.

Chain id and address are in the settings, so that signatures can be checked at once. The market's
rules are kept in the store from when the node was first heard, and never change. Whether the node
is of that chain, and the market on it, is asked when the node first answers.

Times in unix seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import astuple

from sqlalchemy import Engine

from chain.indexer import MARKET
from chain.market import MarketContract
from chain.node import NodeChain
from chain.sending import SteadyChain
from chain.store import stored
from chain.writer import written
from energy.errors import ChainError, SettingError
from energy.market import MarketRules
from orchestrator.service.settings import Settings

RULES = "rules"
"""The store's setting that holds the market's rules, as JSON."""


def node_of(settings: Settings, key: bytes) -> SteadyChain:
    """Return the node of the settings, which has not been asked anything."""
    wanted = settings.chain
    return SteadyChain(
        wanted.rpc,
        key,
        wanted.gas_price_wei,
        wanted.confirmations,
        settings.most_gas_price_wei,
        settings.patience_seconds,
        chain_id=wanted.chain_id,
    )


def second_of(settings: Settings) -> NodeChain | None:
    """Return the second node, which has not been asked anything; None if there is none."""
    if not settings.second:
        return None
    chain = settings.chain
    return NodeChain(settings.second, depth=chain.confirmations, chain_id=chain.chain_id)


def check_chain(settings: Settings, node: NodeChain) -> None:
    """Demand that a node is of the settings' chain.

    Raises:
        ChainError: if it does not answer.
        SettingError: if it is of another chain.
    """
    told = node.told_chain_id()
    if told != node.chain_id:
        raise SettingError(
            f"{settings.path}: [chain] chain_id must be that of {node.url}, which is {told}, "
            f"got {node.chain_id}"
        )


def check_market(settings: Settings, node: NodeChain) -> None:
    """Demand that a node is of the settings' chain, with their market on it.

    Raises:
        As `check_chain`.
    """
    check_chain(settings, node)
    wanted = settings.chain
    market = MarketContract(node, wanted.market)
    if not node.code_at(wanted.market) or market.domain_separator() != wanted.domain.separator:
        raise SettingError(
            f"{settings.path}: [chain] market must be a market on {node.url}, got {wanted.market}"
        )


class Deployment:
    """The market of some settings, as the store knows it, checked when its node answers."""

    def __init__(self, settings: Settings, chain: NodeChain, store: Engine) -> None:
        """Read what is kept.

        Raises:
            SettingError: if the store is of another market.
        """
        self.settings, self.chain, self.store = settings, chain, store
        self.market = MarketContract(chain, settings.chain.market)
        self.rules: MarketRules | None = None
        """What the market was made with; None as long as no node has told."""
        self._met = False
        wanted = f"{chain.chain_id}:{self.market.address.lower()}"
        with stored(store) as kept:
            known, rules, last = kept.setting(MARKET), kept.setting(RULES), kept.last_block()
            seen = (kept.block_time(last[0]) if last else None) or 0
        if known not in (None, wanted):
            raise SettingError(
                f"{settings.path}: [store] url must be a store of market {wanted}, got one of "
                f"{known}"
            )
        if rules is not None:
            self.rules = MarketRules(*json.loads(rules))
        self.clock = ChainClock(seen)

    def meet(self) -> MarketRules:
        """Return the market's rules; ask its node once whether it is the one that is meant.

        Raises:
            ChainError: if the node does not answer.
            SettingError: if it is of another chain, or no such market is there.
        """
        if not self._met or self.rules is None:
            check_market(self.settings, self.chain)
            self.rules = self.market.rules
            told = json.dumps(astuple(self.rules))
            with written(self.store) as writer:
                if writer.setting(RULES) != told:
                    writer.set(RULES, told)
            self._met = True
        return self.rules

    def known_rules(self) -> MarketRules:
        """Return the market's rules without asking.

        Raises:
            ChainError: if no node has told them yet.
        """
        if self.rules is None:
            raise ChainError(
                f"a node must have answered at {self.chain.url} once, to know the market's rules "
                "and sites"
            )
        return self.rules


class ChainClock:
    """What time it is on the chain, without asking: no earlier than the newest block seen, and no
    later than what has passed on this machine since then."""

    def __init__(self, earliest: int = 0, steady: Callable[[], float] = time.monotonic) -> None:
        self.earliest = earliest
        self._steady = steady
        self._since: float | None = None

    def seen(self, moment: int) -> None:
        """Take note of the newest block's time."""
        if moment != self.earliest or self._since is None:
            self.earliest, self._since = moment, self._steady()

    @property
    def latest(self) -> int:
        """The latest that it may be; by this machine's date until a block has been seen."""
        if self._since is None:
            return max(self.earliest, int(time.time()))
        return self.earliest + int(self._steady() - self._since)
