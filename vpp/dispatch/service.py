"""`yui vpp run`: a site's dispatch as a service, one task a duty.

    cycle    reads, decides and writes, every second, and at once when something was said
    plan     the plan's file, when it changes
    chain    whether blocks go on, where a node is named
    link     instructions from the control room and reports to it, where there is one
    serve    health, status and metrics on a local port
    watch    tells systemd that the cycle goes on

What was told is on disk; a daemon that was killed goes on with it. What it leaves behind, the
device lets go of by itself.

Units: seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Protocol

from daemon.health import Page, json_page, notify, served
from daemon.journal import said
from daemon.told import until_told
from energy.errors import ChainError, DeviceError, SettingError
from vpp.commands import Following
from vpp.dispatch.alarms import log
from vpp.dispatch.health import health_page, metrics_page, status_of
from vpp.dispatch.opening import alone, site_of
from vpp.dispatch.planfile import PlanFile
from vpp.dispatch.settings import Settings
from vpp.dispatch.site import SiteDispatch, Watch
from vpp.link.folders import site_at
from vpp.link.ledger import Ledger
from vpp.link.site import SiteLink

PLAN_SECONDS = 2.0
HEAR_SECONDS = 1.0
MOST_CHAIN_SECONDS = 15.0
WATCH_SECONDS = 10.0
LATE_CYCLES = 20
"""A cycle that is late by so many of its periods is no longer alive."""


class Link(Protocol):
    """The way to the control room: it gives what comes to the site, and sends its reports."""

    @property
    def connected(self) -> bool:
        """Whether the control room can be heard now."""
        ...

    async def run(self) -> None:
        """Keep the link until cancelled."""
        ...


class Service:
    """A site's dispatch with what it needs to run by itself."""

    def __init__(self, settings: Settings, site: SiteDispatch, link: Link | None = None) -> None:
        self.settings = settings
        self.site = site
        self.link = link
        self.plan = PlanFile(settings.plan, settings.place.site, settings.limits)
        self._cycled_at = site.monotonic()
        now = site.monotonic()
        if link is not None:
            site.watches["link"] = Watch(settings.lost.link_seconds, now)
        if settings.lost.rpc:
            site.watches["chain"] = Watch(settings.lost.chain_seconds, now)

    async def run(self) -> None:
        """Run until cancelled; then let the battery go, unless it is stopped."""
        try:
            async with AsyncExitStack() as stack:
                if self.settings.port:
                    await stack.enter_async_context(served(self._pages(), self.settings.port))
                async with asyncio.TaskGroup() as duties:
                    duties.create_task(self._cycle_for_good())
                    duties.create_task(self._read_plan())
                    duties.create_task(self._tell_systemd())
                    if self.settings.lost.rpc:
                        duties.create_task(self._watch_the_chain(self.settings.lost.rpc))
                    if self.link is not None:
                        duties.create_task(self.link.run())
                        duties.create_task(self._hear(self.link))
        finally:
            await self._let_go()

    @property
    def cycle_age(self) -> float:
        """How long ago the last cycle ended."""
        return self.site.monotonic() - self._cycled_at

    @property
    def cycle_limit(self) -> float:
        """From what age on something holds it up."""
        return max(LATE_CYCLES * self.settings.cycle_seconds, 5.0)

    # Duties.

    async def _cycle_for_good(self) -> None:
        period, site = self.settings.cycle_seconds, self.site
        while True:
            begun = site.monotonic()
            await site.cycle()
            self._cycled_at = site.monotonic()
            left = period - (self._cycled_at - begun)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0.0)):
                    await site.woken.wait()

    async def _read_plan(self) -> None:
        while True:
            if self.plan.read():
                self.site.plans = self.plan.plans
                if self.plan.trouble:
                    log.warning(said("plan.refused", why=self.plan.trouble))
                else:
                    slots = sum(len(plan.plan_wh) for plan in self.plan.plans)
                    log.info(said("plan.read", path=self.plan.path, half_hours=slots))
                self.site.woken.set()
            await asyncio.sleep(PLAN_SECONDS)

    async def _watch_the_chain(self, rpc: str) -> None:
        # It takes web3 a while to load, and few sites need it.
        from chain.node import NodeChain

        node: NodeChain | None = None
        newest = -1
        while True:
            try:
                if node is None:
                    node = await asyncio.to_thread(NodeChain, rpc)
                height, _ = await asyncio.to_thread(node.head)
                if height > newest:
                    newest = height
                    self.site.heard("chain")
            except ChainError as error:
                log.debug(said("chain", error=error))
            await asyncio.sleep(min(self.settings.lost.chain_seconds / 4, MOST_CHAIN_SECONDS))

    async def _hear(self, link: Link) -> None:
        while True:
            if link.connected:
                self.site.heard("link")
            await asyncio.sleep(HEAR_SECONDS)

    async def _tell_systemd(self) -> None:
        notify("READY=1")
        while True:
            if self.cycle_age < self.cycle_limit:
                notify("WATCHDOG=1")
            await asyncio.sleep(WATCH_SECONDS)

    async def _let_go(self) -> None:
        """Leave the battery to itself, at once and not only when its timer runs out."""
        if self.site.duty.following is Following.STOP or self.site.hand.told is None:
            return
        try:
            await self.site.instruments.battery.command(None, self.settings.rhythm.revert_seconds)
        except DeviceError as error:
            log.warning(said("not.let.go", error=error))

    def _pages(self) -> dict[str, Callable[[], Page]]:
        return {
            "/health": lambda: health_page(self.site, self.cycle_age, self.cycle_limit),
            "/status": lambda: json_page(status_of(self.site)),
            "/metrics": lambda: metrics_page(self.site, self.cycle_age),
        }


def link_of(folder: Path, site: SiteDispatch) -> SiteLink:
    """Open a site's link by the folder that the fleet's set-up made for it.

    Raises:
        SettingError: if the folder is another site's, or something of it is missing.
        StoreError: if its ledger does not open.
    """
    place = site_at(folder)
    if place.site != site.place.site:
        raise SettingError(f"{folder} must be of site {site.place.site}, got {place.site}")
    return SiteLink(place, site, Ledger(place.ledger))


async def run_until_told(settings: Settings) -> None:
    """Run a site's dispatch until SIGINT or SIGTERM.

    Raises:
        YuiError: the first that ended a duty.
    """
    with alone(settings), site_of(settings) as site:
        log.info(said("started", site=settings.place.site, name=settings.place.name))
        link = link_of(settings.link, site) if settings.link else None
        await until_told(Service(settings, site, link).run(), log)
