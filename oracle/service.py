"""`yui oracle run`: a terminal as a service, one task a duty.

    sample   the devices, every few seconds
    close    half hours that are over
    deliver  readings to the chain; it reconnects, and backs off while the chain is away
    attest   the origins of each day that is over, recomputed from the chain
    count    what the account that pays for gas has left
    prune    what is no longer needed
    serve    health and metrics on a local port
    watch    tells systemd that all of this is alive

Each duty resumes from what is on disk or on the chain. What passes is waited for (a device, the
chain, a full disk), what does not ends the service with one sentence (another deployment, a key
that is not enrolled).

Units: time in unix seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from chain.attesting import Attestor
from chain.funds import Funds, funds_of
from chain.terminal import TerminalChain
from daemon.health import notify
from daemon.journal import said
from daemon.told import until_told
from energy.errors import ChainError, Refusal, SettingError
from oracle import health
from oracle.attestation import attestor_of
from oracle.clock import REFUSE_SECONDS, ClockWatch
from oracle.deployment import check_enrolled, connected, signer_of
from oracle.device import Instruments
from oracle.journal import log
from oracle.outbox import Outbox, State, StoreFailed
from oracle.quantity import Incident
from oracle.settings import Settings
from oracle.terminal import Terminal

DELIVER_SECONDS = 15
ATTEST_SECONDS = 600
COUNT_SECONDS = 3600
MOST_BACKOFF_SECONDS = 300
PRUNE_SECONDS = 3600
WATCH_SECONDS = 10
STALE_SAMPLES = 6
"""Without a sample for so many of its periods, the service is not healthy."""
DAY_SECONDS = 86_400


@dataclass
class Service:
    """A terminal with what it needs to run by itself."""

    settings: Settings
    terminal: Terminal
    payer: bytes
    chain: TerminalChain | None = None
    attestor: Attestor | None = None
    watch: ClockWatch = field(default_factory=ClockWatch)
    store_works: bool = True
    delivered_seconds: int = 0
    funds: Funds | None = None
    _beats: dict[str, float] = field(default_factory=dict)

    # Duties.

    async def sample(self) -> None:
        """Take one sample; a disk that does not take it is told, once."""
        try:
            sample = await self.terminal.sample()
        except StoreFailed as error:
            if self.store_works:
                log.error(said("store.failed", error=error))
            self.store_works = False
            return
        if not self.store_works:
            log.info(said("store.works"))
        self.store_works = True
        health.observe(sample)

    async def close(self) -> None:
        """Close what half hours can be told."""
        with contextlib.suppress(StoreFailed):  # told by the samples
            self.terminal.close_slots()

    async def deliver(self) -> None:
        """Look at the chain, check the clock against it, and deliver.

        Raises:
            ChainError: if the chain is away.
            SettingError: if it is another one, or the key is not this site's.
        """
        now = self.terminal.clock()
        if self.chain is None:
            self.chain = await connected(self.settings, self.payer)
            await check_enrolled(self.chain, self.settings, self.terminal.signer.address, now)
            self.terminal.deadline_seconds = self.chain.market.rules.reading_deadline_seconds
            log.info(said("chain.connected", rpc=self.settings.chain.rpc))
        block = await self.chain.newest_block()
        self._check_clock(block.number, block.seconds)
        if self.watch.refuses:
            return
        self.terminal.rewind()
        try:
            await self.terminal.push(self.chain)
        except StoreFailed as error:
            log.error(said("store.failed", error=error))
        self.delivered_seconds = now

    async def attest(self) -> None:
        """Attest the days that are over and settled; what does not pass now is tried again."""
        if self.chain is None or self.watch.refuses:
            return
        try:
            if self.attestor is None:
                self.attestor = attestor_of(self.settings, self.chain, self.terminal.signer)
            if self.attestor is None:
                return
            for day in await asyncio.to_thread(self.attestor.attest_due):
                log.info(said("attested", day=day))
        except ChainError:
            return  # told by the deliveries
        except (Refusal, SettingError) as error:
            log.warning(said("attestation.waits", error=error))

    async def count(self) -> None:
        """Look at what is left to pay for gas with; too little is told once, and kept on disk."""
        if self.chain is None:
            return
        node, before = self.chain.node, self.funds
        try:
            self.funds = await asyncio.to_thread(
                funds_of, node, node.sender, self.settings.chain.low_days
            )
        except ChainError:
            return  # told by the deliveries
        was_low = before is not None and before.low
        if self.funds.low:
            incident = Incident("account", "low-funds", f"{node.sender} has {self.funds}")
            with contextlib.suppress(StoreFailed):  # told by the samples
                self.terminal.outbox.keep_incident(
                    incident, self.terminal.clock(), 2 * COUNT_SECONDS
                )
        if self.funds.low and not was_low:
            log.warning(said("low_funds", account=node.sender, **_left(self.funds)))
        elif was_low and not self.funds.low:
            log.info(said("funds.enough", account=node.sender, **_left(self.funds)))

    def _check_clock(self, block: int, block_seconds: int) -> None:
        before = self.watch.refuses, self.watch.warns
        self.watch.observe(self.terminal.clock(), block, block_seconds)
        if (self.watch.refuses, self.watch.warns) == before:
            return
        drift = self.watch.drift_seconds
        if self.watch.refuses:
            log.error(said("clock.refused", drift_seconds=drift, limit_seconds=REFUSE_SECONDS))
        elif self.watch.warns:
            log.warning(said("clock.drifts", drift_seconds=drift))
        else:
            log.info(said("clock.agrees", drift_seconds=drift))

    async def prune(self) -> None:
        """Forget samples that are older than the settings keep them."""
        keep = self.settings.keep_days * DAY_SECONDS
        with contextlib.suppress(StoreFailed):
            self.terminal.outbox.prune(self.terminal.clock() - keep)

    # The whole.

    async def once(self) -> None:
        """Do each duty once, as a test: sample, close, deliver, attest, count."""
        await self.sample()
        await self.close()
        await self.deliver()
        await self.attest()
        await self.count()

    async def run(self) -> None:
        """Run until cancelled."""
        async with contextlib.AsyncExitStack() as stack:
            if self.settings.port:
                await stack.enter_async_context(health.served(self, self.settings.port))
            async with asyncio.TaskGroup() as duties:
                duties.create_task(self._every("sample", self.settings.sample_seconds, self.sample))
                duties.create_task(self._every("close", self.settings.sample_seconds, self.close))
                duties.create_task(self._deliver_for_good())
                duties.create_task(self._every("attest", ATTEST_SECONDS, self.attest))
                duties.create_task(self._count_for_good())
                duties.create_task(self._every("prune", PRUNE_SECONDS, self.prune))
                duties.create_task(self._watch())

    async def _every(self, name: str, seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
        """Do a duty at every whole multiple of a period, so that half hours are met exactly."""
        while True:
            self._beats[name] = time.monotonic()
            await duty()
            now = time.time()
            await asyncio.sleep(seconds - now % seconds)

    async def _deliver_for_good(self) -> None:
        pause = float(DELIVER_SECONDS)
        away = False
        while True:
            self._beats["deliver"] = time.monotonic()
            try:
                await self.deliver()
            except ChainError as error:
                if not away:
                    log.warning(said("chain.away", error=error))
                away, pause = True, min(pause * 2, MOST_BACKOFF_SECONDS)
            else:
                if away:
                    log.info(said("chain.back", waiting=self.depth))
                away, pause = False, float(DELIVER_SECONDS)
            await asyncio.sleep(pause)

    async def _count_for_good(self) -> None:
        while self.chain is None:
            await asyncio.sleep(DELIVER_SECONDS)
        await self._every("count", COUNT_SECONDS, self.count)

    async def _watch(self) -> None:
        notify("READY=1")
        while True:
            if self.alive:
                notify("WATCHDOG=1")
            await asyncio.sleep(WATCH_SECONDS)

    # What it says of itself.

    @property
    def depth(self) -> int:
        """How many readings the chain does not yet hold for good."""
        tally = self.terminal.outbox.tally()
        return tally[State.MADE] + tally[State.SENT]

    @property
    def sample_age_seconds(self) -> int | None:
        """The age of the last sample on disk; None if there is none."""
        last = self.terminal.outbox.last_sample_seconds()
        return None if last is None else max(self.terminal.clock() - last, 0)

    @property
    def alive(self) -> bool:
        """Whether the sampling duty goes on, whatever the devices say."""
        beat = self._beats.get("sample")
        patience = max(60.0, STALE_SAMPLES * self.settings.sample_seconds)
        return beat is None or time.monotonic() - beat < patience

    def troubles(self) -> list[str]:
        """Return what is wrong right now, as fixed words."""
        age = self.sample_age_seconds
        limit = STALE_SAMPLES * self.settings.sample_seconds
        found = {
            "store-failed": not self.store_works,
            "no-sample": age is None or age > limit,
            "chain-away": self.terminal.clock() - self.delivered_seconds > 2 * MOST_BACKOFF_SECONDS
            and not self.watch.refuses,
            "clock-refused": self.watch.refuses,
        }
        return [name for name, holds in found.items() if holds]

    def warnings(self) -> list[str]:
        """Return what will go wrong if nobody sees to it, as fixed words."""
        return ["low-funds"] if self.funds is not None and self.funds.low else []


def _left(funds: Funds) -> dict[str, object]:
    days = "unknown" if funds.days is None else round(funds.days)
    return {"coins": round(funds.coins, 6), "transactions": funds.transactions, "days": days}


@contextlib.asynccontextmanager
async def service_of(settings: Settings) -> AsyncIterator[Service]:
    """Open a site's outbox and devices as a service, and close them afterwards.

    Raises:
        SettingError: if something of it cannot be opened.
    """
    signer, payer = signer_of(settings)
    outbox = Outbox(settings.outbox)
    outbox.claim(
        f"site {settings.site} of {settings.chain.market} on chain {settings.chain.chain_id}"
    )
    instruments = Instruments(settings.devices, timeout_seconds=settings.timeout_seconds)
    terminal = Terminal(
        settings.site,
        instruments,
        outbox,
        signer,
        lambda: int(time.time()),
        monotonic=time.monotonic,
    )
    try:
        yield Service(settings, terminal, payer)
    finally:
        instruments.close()
        outbox.close()


async def run_until_told(settings: Settings) -> None:
    """Run a site's terminal until SIGINT or SIGTERM; what it was doing is on disk.

    Raises:
        YuiError: the first that ended a duty.
    """
    async with service_of(settings) as service:
        log.info(said("started", site=settings.site, address=service.terminal.signer.address))
        await until_told(service.run(), log)


async def run_once(settings: Settings) -> None:
    """Do each duty once, as a test of an installation.

    Raises:
        YuiError: what stands in the way.
    """
    async with service_of(settings) as service:
        await service.once()


async def corrected(settings: Settings, slot: int, energies: Mapping[str, int], why: str) -> int:
    """Make a correction of a slot's reading and return its revision; `run` sends it.

    Raises:
        SettingError, ReadingImpossible: as `Terminal.correct`.
    """
    async with service_of(settings) as service:
        return service.terminal.correct(slot, energies, why).revision
