"""The orchestrator as a service: one process, one task a duty.

    index    the chain's events into the store
    relay    signed orders of the inbox to the chain, until they are final
    clear    slots whose gate is over
    settle   slots that are over and read
    agents   what the sites of the settings offer and ask for
    watch    readings, settlements, attested roots and funds: what is wrong is an alert
    witness  the node against a second one
    tell     alerts to the webhook
    serve    health, metrics and incoming orders

Each duty resumes from the chain, the store or the inbox: killed at any instant and started
again, nothing is lost or done twice. Two orchestrators at once do no harm. What passes (a chain or
a database that is away) is waited for, what does not ends the service with one sentence.

Time is the chain's, in unix seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from web3.exceptions import Web3Exception

from chain.indexer import indexed
from chain.market import MarketContract
from chain.node import NodeChain
from chain.sending import SteadyChain
from chain.store import Store, stored
from daemon.health import notify
from daemon.journal import said
from energy.errors import ChainError, SettingError, StoreError
from energy.market import MarketRules
from energy.messages import signer_of
from energy.records import Order
from orchestrator.mover import Mover, SignedOrder
from orchestrator.relay import Relay
from orchestrator.service import endpoint
from orchestrator.service.alerts import Alerts, log
from orchestrator.service.inbox import Inbox
from orchestrator.service.settings import Settings
from orchestrator.service.watch import Watch
from orchestrator.service.witness import Witness

if TYPE_CHECKING:
    from orchestrator.service.agent import SiteAgent

MOST_BACKOFF_SECONDS = 60.0
PASSING = (ChainError, StoreError, OSError, Web3Exception)
"""The chain or the store is away, or a node answered nonsense: it passes, or a person is told."""


@dataclass
class Orchestrator:
    """A market's orchestrator with what it needs to run by itself."""

    settings: Settings
    chain: SteadyChain
    store: Engine
    inbox: Inbox
    alerts: Alerts
    second: NodeChain | None = None
    agents: list[SiteAgent] = field(default_factory=list)
    truthful: bool = True
    """Whether the second node, if there is one, tells the same as the first."""
    beats: dict[str, float] = field(default_factory=dict)
    """When each duty last came to its end, by the machine's steady clock."""
    settled: int = 0
    indexed_height: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self.market = MarketContract(self.chain, self.settings.chain.market)
        self.relay = Relay(self.chain, self.market.address)
        self.watch = Watch(self.market, self.chain, self.store, self.settings.alerts, self.alerts)
        self._held: set[tuple[int, int, int]] = set()
        self._movers: dict[str, Mover] = {}

    @property
    def rules(self) -> MarketRules:
        """What the market was made with."""
        return self.market.rules

    # Duties; each is called again and again, in a thread of its own.

    def index(self) -> None:
        """Bring the store up to the chain."""
        self.indexed_height = indexed(self.store, self.chain, self.market.address)

    def push_orders(self) -> None:
        """Post what waits in the inbox; let go of what is final or refused for good."""
        waiting = self.inbox.waiting()
        keys = {_key(signed.order): signed for signed in waiting}
        new = [signed for key, signed in keys.items() if key not in self._held]
        self.relay.take(new)
        self._held = set(keys)
        refused = self.relay.push()
        for each in refused:
            about = f"site {each.order.site}, slot {each.order.slot}"
            self.alerts.tell("order-refused", about, str(each.refusal))
        held = {_key(signed.order) for signed in self.relay.held()}
        gone = [signed.order for key, signed in keys.items() if key not in held]
        self.inbox.let_go(gone)
        self._held -= {_key(order) for order in gone}

    def take(self, orders: list[SignedOrder]) -> int:
        """Put orders on disk that sites have signed; return how many are new.

        Raises:
            SettingError: if one is not by its site's trader, or of another order's sequence.
            StoreError: if store or disk does not answer.
        """
        with stored(self.store) as store:
            sites = store.sites()
        for signed in orders:
            order = signed.order
            trader = (sites.at(order.site, order.slot) or {}).get("trader") or "(it has none)"
            signer = signer_of(order, self.market.domain, signed.signature) or ""
            if signer.lower() != trader.lower():
                raise SettingError(
                    f"an order of site {order.site} for slot {order.slot} must be signed by its "
                    f"trader {trader}, got {signer}"
                )
        return self.inbox.take(orders)

    def clear(self) -> None:
        """Clear the slots whose gate is over."""
        self._mover("clear").move(self.chain.now())

    def settle(self) -> None:
        """Settle the slots that are over and read."""
        for slot in self._mover("settle").move(self.chain.now()):
            self.settled += 1
            log.info(said("slot.settled", slot=slot))

    def _mover(self, duty: str) -> Mover:
        if duty not in self._movers:
            with stored(self.store) as store:
                first = first_unsettled(store, self.rules.first_slot)
            self._movers[duty] = Mover(
                self.market,
                self.chain,
                self.store,
                first,
                clears=duty == "clear",
                settles=duty == "settle",
            )
        return self._movers[duty]

    def trade(self) -> None:
        """Let each agent put its orders for the gates ahead into the inbox."""
        now = self.chain.now()
        for agent in self.agents:
            with stored(self.store) as store:
                found = agent.orders(store, self.market, self.inbox, now)
            taken = self.inbox.take(found)
            if taken:
                log.info(said("agent.ordered", site=agent.site, orders=taken))

    def look(self) -> None:
        """Look for what is wrong."""
        # As of what is indexed: a reading that the store has not seen yet is not missing.
        self.watch.look(self.chain.time_of(self.indexed_height))

    # The whole.

    async def run(self) -> None:
        """Run until cancelled."""
        poll = self.settings.poll_seconds
        async with asyncio.TaskGroup() as duties:
            await endpoint.serve(self, duties)
            duties.create_task(self.alerts.deliver())
            # What the others build on comes first.
            await self._once("index", self.index)
            duties.create_task(self._every("index", poll, self.index))
            duties.create_task(self._every("relay", poll, self.push_orders))
            duties.create_task(self._every("clear", poll, self.clear))
            duties.create_task(self._every("settle", poll, self.settle))
            duties.create_task(self._every("watch", poll * 2, self.look))
            if self.agents:
                duties.create_task(self._every("agents", poll, self.trade))
            if self.second:
                contracts = [self.market.address, *filter(None, [self.settings.chain.origin])]
                behind = self.settings.alerts.behind_blocks
                witness = Witness(self.chain, self.second, contracts, behind)
                duties.create_task(self._witness(witness, poll * 2))
            notify("READY=1")

    async def _once(self, name: str, duty: Callable[[], None]) -> bool:
        """Do a duty once; return whether it came to its end. What passes is an alert."""
        away: dict[str, str] = {}
        failed: dict[str, str] = {}
        try:
            await asyncio.to_thread(duty)
        except StoreError as error:
            failed[name] = str(error)
        except PASSING as error:
            away[name] = str(error) or type(error).__name__
        self._note("chain-away", name, away)
        self._note("store-failed", name, failed)
        if away or failed:
            return False
        self.beats[name] = time.monotonic()
        notify("WATCHDOG=1")
        return True

    def _note(self, alert: str, duty: str, wrong: dict[str, str]) -> None:
        others = {
            about: each.details
            for (name, about), each in self.alerts.raised.items()
            if name == alert and about != duty
        }
        self.alerts.update(alert, others | wrong)

    async def _every(self, name: str, seconds: float, duty: Callable[[], None]) -> None:
        pause = seconds
        while True:
            if not self.truthful and name in ("index", "relay", "clear", "settle", "agents"):
                # Nothing is built on a node that may lie.
                await asyncio.sleep(seconds)
                continue
            came = await self._once(name, duty)
            pause = seconds if came else min(pause * 2, MOST_BACKOFF_SECONDS)
            await asyncio.sleep(pause)

    async def _witness(self, witness: Witness, seconds: float) -> None:
        while True:
            try:
                behind, lies = await asyncio.to_thread(witness.look)
            except PASSING as error:
                told = str(error) or type(error).__name__
                self.alerts.update("second-away", {witness.second.url: told})
            else:
                self.alerts.update("second-away", {})
                url = witness.first.url
                self.alerts.update("node-behind", {url: behind} if behind else {})
                self.alerts.update("node-lies", {url: lies} if lies else {})
                self.truthful = lies is None
            await asyncio.sleep(seconds)

    def troubles(self) -> list[str]:
        """Return the names of the alerts that are raised."""
        return sorted({name for name, _ in self.alerts.raised})


def _key(order: Order) -> tuple[int, int, int]:
    return order.slot, order.site, order.sequence


def first_unsettled(store: Store, first_of_rules: int) -> int:
    """Return the first slot whose settlement is not final, as far as a store knows.

    It is where a mover goes on: all before it are settled for good, or no site took part.
    """
    first, traced = store.first_slot(), store.last_traced()
    begin = max(first_of_rules, first_of_rules if first is None else first)
    if traced is None:
        return begin
    unsure = store.first_unsure()
    return max(begin, traced + 1 if unsure is None else min(unsure, traced + 1))
