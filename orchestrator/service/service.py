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
a database that is away) is waited for, what does not ends the service with one sentence. It takes
orders from the first moment on, whether a node answers or not.

Time is the chain's, in unix seconds.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from web3.exceptions import Web3Exception

from chain.indexer import indexed
from chain.sending import SteadyChain
from chain.store import stored
from daemon.health import notify
from daemon.journal import said
from energy.errors import (
    ChainError,
    FinalReplaced,
    NodeBehind,
    SettingError,
    StoreError,
)
from energy.market import MOST_ORDERS_OF_A_SITE, MarketRules
from energy.messages import signer_of
from energy.records import Order
from energy.units import SLOT_SECONDS
from orchestrator.moving.mover import Mover, SignedOrder
from orchestrator.moving.relay import Relay
from orchestrator.service import endpoint
from orchestrator.service.alerts import Alerts, log
from orchestrator.service.deployment import Deployment
from orchestrator.service.inbox import Inbox
from orchestrator.service.watch import Watch, first_unsettled
from orchestrator.service.witness import Witness, WitnessAway

if TYPE_CHECKING:
    from orchestrator.service.agent import SiteAgent
    from vpp.commands import Instruction

MOST_BACKOFF_SECONDS = 10.0
MOST_THREADS = 32
"""So many that duties which wait for a node leave room for orders to be taken."""
INDEXED = ("relay", "clear", "settle", "agents")
"""Duties that begin once the store has been brought up to the chain."""
UNBOUND = ("watch",)
"""What goes on while the node may lie."""
PASSING = (ChainError, StoreError, OSError, Web3Exception)
"""The chain or the store is away, or a node answered nonsense: it passes, or a person is told."""


@dataclass
class Orchestrator:
    """A market's orchestrator with what it needs to run by itself."""

    deployment: Deployment
    chain: SteadyChain
    inbox: Inbox
    alerts: Alerts
    witness: Witness | None = None
    agents: list[SiteAgent] = field(default_factory=list)
    beats: dict[str, float] = field(default_factory=dict)
    """When each duty last came to its end, by the machine's steady clock."""
    settled: int = 0
    indexed_height: int = 0
    port: int = 0

    truthful: bool = False
    """Whether no second node contradicts the first: one that is set must have been looked for."""
    _foreign: bool = False
    """Whether the node has not, or not the same, what was final in the store."""

    def __post_init__(self) -> None:
        self.settings, self.store = self.deployment.settings, self.deployment.store
        self.market = self.deployment.market
        self.relay = Relay(self.chain, self.market.address)
        self.watch = Watch(self.market, self.chain, self.store, self.settings.alerts, self.alerts)
        self.truthful = self.witness is None
        self._held: set[tuple[int, int, int]] = set()
        self._movers: dict[str, Mover] = {}
        self._telling = threading.Lock()

    # Duties; each is called again and again, in a thread of its own.

    def index(self) -> None:
        """Bring the store up to the chain."""
        self.deployment.meet()
        self.deployment.clock.seen(self.chain.now())
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
        gone = {key: signed.order for key, signed in keys.items() if key not in held}
        self._held -= set(gone)
        told = {_key(each.order) for each in refused}
        self.inbox.let_go([gone[key] for key in gone if key in told or self._is_certain(gone[key])])

    def _is_certain(self, order: Order) -> bool:
        """Say whether an order that the node calls final need not be posted any more.

        Where there is a second node, the word of one alone loses no order that can still be
        posted: both have told of it, or its gate is over.
        """
        if self.witness is None:
            return True
        if self.deployment.known_rules().gate_of(order.slot) <= self.deployment.clock.earliest:
            return True
        with stored(self.store) as store:
            known = store.accepted(order.slot, self.witness.compared)
        return (order.site, order.sequence) in known

    def take(self, orders: list[SignedOrder]) -> int:
        """Put orders on disk that sites have signed; return how many are new.

        The chain is not asked: while it is away, what it may be by now decides (`ChainClock`).

        Raises:
            SettingError: if one is not by its site's trader, or of another order's sequence, or
                cannot stand: past its gate, beyond the horizon, or beyond the allowance.
            ChainError: if the market's rules and sites are not known yet.
            StoreError: if store or disk does not answer.
        """
        rules = self.deployment.known_rules()
        with stored(self.store) as store:
            sites = store.sites()
        for signed in orders:
            order = signed.order
            self._check_time(order, rules)
            trader = (sites.at(order.site, order.slot) or {}).get("trader") or "(it has none)"
            signer = signer_of(order, self.market.domain, signed.signature) or ""
            if signer.lower() != trader.lower():
                raise SettingError(
                    f"an order of site {order.site} for slot {order.slot} must be signed by its "
                    f"trader {trader}, got {signer}"
                )
        return self.inbox.take(orders)

    def _check_time(self, order: Order, rules: MarketRules) -> None:
        clock, gate = self.deployment.clock, rules.gate_of(order.slot)
        last = clock.latest // SLOT_SECONDS + rules.horizon
        about = f"order {order.sequence} of site {order.site} for slot {order.slot} must be"
        if order.slot < rules.first_slot:
            raise SettingError(f"{about} for the market's first slot {rules.first_slot} or later")
        if gate <= clock.earliest:
            raise SettingError(
                f"{about} before its gate at {gate} (unix seconds), got {clock.earliest}"
            )
        if order.slot > last:
            raise SettingError(
                f"{about} for slot {last} or earlier ({rules.horizon} slots ahead are open)"
            )
        if not 0 < order.sequence <= MOST_ORDERS_OF_A_SITE:
            # Number 0 would pass for posted: the chain has that of the newest, 0 if there is none.
            raise SettingError(
                f"{about} one of at most {MOST_ORDERS_OF_A_SITE} that a site may post for a slot, "
                "counted from 1"
            )

    def clear(self) -> None:
        """Clear the slots whose gate is over."""
        self._moved("clear")

    def settle(self) -> None:
        """Settle the slots that are over and read."""
        for slot in self._moved("settle"):
            self.settled += 1
            log.info(said("slot.settled", slot=slot))

    def _moved(self, duty: str) -> list[int]:
        """Move the slots as far as a duty does; return the settled ones, and say what is held."""
        settled = self._mover(duty).move(self.chain.now())
        with self._telling:
            refused = {
                f"slot {slot}": str(refusal)
                for mover in list(self._movers.values())
                for slot, refusal in mover.refused.items()
            }
            self.alerts.update("slot-refused", refused)
        return settled

    def _mover(self, duty: str) -> Mover:
        if duty not in self._movers:
            rules = self.deployment.known_rules()
            with stored(self.store) as store:
                first = first_unsettled(store, rules.first_slot)
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
            try:
                taken = self.inbox.take(found)
            except SettingError as error:
                # The site's trader has given another order itself, or very many: it goes first.
                self.alerts.tell("order-refused", f"site {agent.site}", str(error))
                continue
            if taken:
                log.info(said("agent.ordered", site=agent.site, orders=taken))
        self.alerts.update(
            "plan-unwritten",
            {
                f"site {agent.site}": agent.battery.trouble
                for agent in self.agents
                if agent.battery is not None and agent.battery.trouble
            },
        )

    def plan_of(self, site: int) -> Instruction | None:
        """Return the plan that a site's agent steers by; None if there is none."""
        return next(
            (each.battery.plan for each in self.agents if each.site == site and each.battery), None
        )

    def look(self) -> None:
        """Look for what is wrong."""
        self.watch.look_at_chain()
        self.deployment.open()
        # As of what is indexed: a reading that the store has not seen yet is not missing.
        self.watch.look_at_market(self.chain.time_of(self.indexed_height))

    # The whole.

    async def run(self) -> None:
        """Run until cancelled."""
        poll = self.settings.poll_seconds
        duties: list[tuple[str, float, Callable[[], None]]] = [
            ("index", poll, self.index),
            ("relay", poll, self.push_orders),
            ("clear", poll, self.clear),
            ("settle", poll, self.settle),
            ("watch", poll * 2, self.look),
        ]
        if self.agents:
            duties.append(("agents", poll, self.trade))
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MOST_THREADS))
        async with asyncio.TaskGroup() as tasks:
            await endpoint.serve(self, tasks)
            notify("READY=1")
            tasks.create_task(self.alerts.deliver())
            for duty in duties:
                tasks.create_task(self._every(*duty))
            if self.witness:
                tasks.create_task(self._witness(self.witness, poll * 2))

    async def _once(self, name: str, duty: Callable[[], None]) -> bool:
        """Do a duty once; return whether it came to its end. What passes is an alert."""
        wrong: dict[str, str] = {}
        try:
            await asyncio.to_thread(duty)
        except StoreError as error:
            wrong["store-failed"] = str(error)
        except NodeBehind as error:
            wrong["node-behind"] = str(error)
        except FinalReplaced as error:
            wrong["node-lies"] = str(error)
        except PASSING as error:
            wrong["chain-away"] = str(error) or type(error).__name__
        for alert in ("chain-away", "store-failed"):
            self.alerts.note(alert, name, wrong.get(alert))
        if name == "index":
            # It is the one that compares with what was final, and goes on to.
            for alert in ("node-behind", "node-lies"):
                self.alerts.note(alert, "store", wrong.get(alert))
            self._foreign = "node-behind" in wrong or "node-lies" in wrong
        # It lives, though what it needs may be away: to be started anew would not help.
        notify("WATCHDOG=1")
        if wrong:
            return False
        self.beats[name] = time.monotonic()
        return True

    async def _every(self, name: str, seconds: float, duty: Callable[[], None]) -> None:
        pause = seconds
        while True:
            if not self._may(name):
                await asyncio.sleep(seconds)
                continue
            came = await self._once(name, duty)
            pause = seconds if came else min(pause * 2, MOST_BACKOFF_SECONDS)
            await asyncio.sleep(pause)

    def _may(self, name: str) -> bool:
        """Say whether a duty may be done: nothing is built on a node that may lie."""
        if name in INDEXED and ("index" not in self.beats or self._foreign):
            return False
        return self.truthful or name in UNBOUND

    async def _witness(self, witness: Witness, seconds: float) -> None:
        """Let the witness look; until it has, or has been found away, the node may lie."""
        while True:
            came = await self._once("witness", partial(self._compare, witness))
            await asyncio.sleep(0 if came and witness.is_behind else seconds)

    def _compare(self, witness: Witness) -> None:
        self.deployment.meet()
        url, second, away = witness.first.url, witness.second.url, None
        try:
            witness.look()
        except WitnessAway as error:
            away = str(error)
        finally:
            self.truthful &= not witness.contradicted
        # A node that nobody contradicts is taken at its word; one that was is not, for want of one.
        self.truthful = not witness.contradicted
        alone = away or witness.ahead
        begin = witness.compared + 1
        told = f"what it tells from block {begin} on, it tells alone: {alone}"
        self.alerts.note("second-away", second, away)
        self.alerts.note("node-behind", url, witness.behind)
        self.alerts.note("node-lies", url, witness.contradicted)
        self.alerts.note("node-unverified", url, told if alone else None)

    def troubles(self) -> list[str]:
        """Return the names of the alerts that are raised."""
        return sorted({name for name, _ in list(self.alerts.raised)})


def _key(order: Order) -> tuple[int, int, int]:
    return order.slot, order.site, order.sequence
