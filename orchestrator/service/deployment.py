"""The market that an orchestrator serves, whether its node answers or not.

Chain id and address are in the settings, so that signatures can be checked at once. The market's
rules are kept in the store from when the node was first heard, and never change. Whether the node
is of that chain, and the market on it, is asked when the node first answers; the store is brought
up to date when its database first does.

Times in unix seconds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple

from sqlalchemy import Engine

from chain.database import bring_up_to_date, named
from chain.indexer import MARKET
from chain.market import MarketContract
from chain.node import NodeChain
from chain.sending import SteadyChain
from chain.store import stored
from chain.writer import written
from energy.errors import ChainError, SettingError, StoreAway, StoreError
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
    """The market of some settings, checked when store and node answer.

    `told` are the settings that the store is to keep: what its readers want to know and the chain
    does not tell.
    """

    def __init__(
        self, settings: Settings, chain: NodeChain, store: Engine, told: Mapping[str, str]
    ) -> None:
        self.settings, self.chain, self.store = settings, chain, store
        self.market = MarketContract(chain, settings.chain.market)
        self.rules: MarketRules | None = None
        """What the market was made with; None as long as neither store nor node has told."""
        self.clock = ChainClock()
        self._told = told
        self._opened = self._met = False
        self._opening = threading.Lock()

    def open(self) -> None:
        """Bring the store up to date, once, and read what it keeps.

        Raises:
            StoreAway: if its database does not answer.
            SettingError: if it never will, is no store, or one of another market.
        """
        with self._opening:
            if not self._opened:
                self._open()
                self._opened = True

    def _open(self) -> None:
        where = f"{self.settings.path}: [store] url must be a store"
        try:
            bring_up_to_date(self.store)
        except StoreAway:
            raise
        except (StoreError, SettingError) as error:
            raise SettingError(f"{where} that can be used: {error}") from error
        wanted = f"{self.chain.chain_id}:{self.market.address.lower()}"
        with stored(self.store) as kept:
            known, rules, last = kept.setting(MARKET), kept.setting(RULES), kept.last_block()
            seen = (kept.block_time(last[0]) if last else None) or 0
            new = {key: value for key, value in self._told.items() if kept.setting(key) != value}
        if known not in (None, wanted):
            raise SettingError(f"{where} of market {wanted}, got one of {known}")
        if new:
            with written(self.store) as writer:
                for key, value in new.items():
                    writer.set(key, value)
        if rules is not None:
            self.rules = MarketRules(*json.loads(rules))
        self.clock = ChainClock(seen)

    def meet(self) -> MarketRules:
        """Return the market's rules; ask its node once whether it is the one that is meant.

        Raises:
            StoreError: if the store does not answer.
            ChainError: if the node does not.
            SettingError: if one of them is another one, or no such market is there.
        """
        self.open()
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
            StoreError: if the store has not answered yet.
            ChainError: if no node has told them yet.
        """
        if not self._opened:
            raise StoreError(
                f"{named(self.store)} must have answered once, to know the market's rules and sites"
            )
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
