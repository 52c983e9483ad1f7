"""A replay in a folder: set up or gone on with, indexed, attested and audited.

    replay.json     what is replayed: the same for as long as the folder lives
    chain.sqlite    the chain: every transaction (`chain.recorded`); on a node, none
    store.sqlite    the read model of its events, which all other commands read
    audit.state     the audit, to go on from
    calls.json      balancing calls and who served them, where there are any

Two processes: one plays and signs, the other indexes and traces the days that are over. A day's
root is attested when the next day is over, so that nothing depends on which of them is faster.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from chain.anvil import AnvilChain
from chain.database import opened
from chain.indexer import indexed
from chain.market import MarketContract
from chain.origin import OriginContract
from chain.recorded import RecordedChain
from chain.store import stored
from chain.writer import written
from energy.attestation import Attestation, day_number, signed
from energy.messages import address_of
from energy.units import PRICE_PER_YEN, SLOT_SECONDS, SLOTS_PER_DAY, day_of
from orchestrator.auditing.audit import audited
from orchestrator.auditing.market import Findings
from orchestrator.replay.calls import Calls
from orchestrator.replay.folder import claim
from orchestrator.replay.indexing import CHAIN, STORE, Index, SettableChain, index_here, indexer
from orchestrator.replay.plan import Plan, digests
from orchestrator.replay.replay import Replay, known_tariffs
from orchestrator.replay.site import key_of, replayed_sites
from orchestrator.replay.town import Made, made_of
from orchestrator.setting.series import PvSeries
from orchestrator.setting.sites import Setting
from orchestrator.trading.agents import STRATEGIES

MARGIN = 1 * PRICE_PER_YEN
"""Of agents that want a fixed one."""
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Replayed:
    """What a replay left, and what the audit found."""

    folder: Path
    market: str
    origin: str
    findings: Findings


def replayed(
    setting: Setting, plan: Plan, folder: Path, progress: Progress, chain: AnvilChain | None = None
) -> Replayed:
    """Replay a period into a folder, or go on with it where it stopped, and audit it.

    `chain` is a node whose clock can be set, at `beginning_of` the period; on it, a replay cannot
    be gone on with. Without it, the chain is the folder's own.

    Raises:
        SettingError: if the folder holds another replay, or a site has no series to be played.
        Refusal, ChainError, AuditError.
    """
    made = made_of(setting, plan)
    claim(folder, plan, digests(plan, made.calls_text), may_go_on=chain is None)
    if chain is not None:
        period = _Period(made, plan, folder, chain, index_here(folder, chain))
        return _played(period, progress)
    own = RecordedChain(folder / CHAIN, beginning_of(setting, plan))
    try:
        own.run_again(lambda done, total: progress("again", done, total))
        with indexer(folder) as index:
            return _played(_Period(made, plan, folder, own, index), progress)
    finally:
        own.close()


def beginning_of(setting: Setting, plan: Plan) -> int:
    """Return when the chain of a replay has to begin, for sites to be enrolled in time."""
    return (plan.slots.start - setting.market.horizon_slots - 3) * SLOT_SECONDS


def _played(period: _Period, progress: Progress) -> Replayed:
    period.play(progress)
    market, origin = period.market.address, period.origin.address
    findings = audited(
        period.chain,
        market,
        origin,
        lambda done, total: progress("audit", done, total),
        period.folder / "audit.state",
    )
    return Replayed(period.folder, market, origin, findings)


class _Period:
    """The market of a replay, its sites, and how far they are."""

    def __init__(
        self, made: Made, plan: Plan, folder: Path, chain: SettableChain, index: Index
    ) -> None:
        town = made.town
        setting = town.setting
        self.plan, self.folder, self.chain, self.index = plan, folder, chain, index
        self.kept = chain if isinstance(chain, RecordedChain) else None
        self.store = str(folder / STORE)
        self.calls = Calls(made.calls) if plan.calls else None
        first = plan.slots.start
        if self.kept and self.kept.mark("begun"):
            self.market = MarketContract(chain, self.kept.created(0))
            self.origin = OriginContract(chain, self.kept.created(1))
        else:
            rules = setting.market.rules(chain.now() // SLOT_SECONDS)
            self.market = MarketContract.deployed(chain, chain.sender, rules)
            self.origin = OriginContract.deployed(chain, self.market.address)
            self.market.enact_tariff(first, town.tariffs_on(plan.first))
            for site in setting.sites:
                trader, oracle = (
                    address_of(key_of(plan.seed, role, site.number))
                    for role in ("trader", "oracle")
                )
                self.market.enrol(first, trader, oracle, site.ratings)
            self._name(setting, made.sun)
            self._commit(begun=1)
        tariffs = known_tariffs(town.tariffs_on, town.is_linked)
        self.sites = replayed_sites(setting.sites, town.series, plan.seed, town.battery, tariffs)
        for played in self.sites:
            played.strategy = STRATEGIES[plan.agents](MARGIN)
            if self.calls:
                played.keeps = partial(self.calls.keeps, self.sites, played.site.number)
        self.replay = Replay(
            chain,
            self.market,
            self.sites,
            town.tariffs_on,
            chain.set_time,
            enacts_daily=town.is_linked,
            calls=self.calls,
        )

    def play(self, progress: Progress) -> None:
        """Play what is left, a day at a time."""
        slots = self.plan.slots
        waiting: list[tuple[date, Future[bytes]]] = []
        settled = self._restored()
        if settled:
            waiting.append(self._over(slots.start + settled - 1))
        for slot in self.replay.run(slots):
            settled += 1
            progress("day", settled, len(slots))
            if settled % SLOTS_PER_DAY:
                continue
            for day, root in waiting:
                self._attest(day, root.result())
            self._commit(acts=self.replay.acts, settled=settled)
            waiting = [self._over(slot)]
        for day, root in waiting:
            self._attest(day, root.result())
        self._commit()
        for day, _ in waiting[-1:]:
            # What was attested last is in the store as well.
            self.index(self.market.address, self.chain.height(), day).result()

    def _commit(self, **marks: int) -> None:
        if self.calls:
            # Before the chain says that they were served: what is written twice is the same.
            self.calls.write(self.folder)
        if self.kept:
            self.kept.commit(**marks)

    def _over(self, slot: int) -> tuple[date, Future[bytes]]:
        """Have a day that is over, with its last slot, indexed and traced."""
        day = day_of(slot)
        return day, self.index(self.market.address, self.chain.height(), day)

    def _restored(self) -> int:
        """Know what the sites' meters showed, before the market began and in it; return how
        many slots are settled."""
        done = self.kept.mark("acts") if self.kept else 0
        first = self.plan.slots.start
        if self.kept is None or not done:
            for site in self.sites:
                site.remember(first)
            return 0
        now = self.chain.now() // SLOT_SECONDS
        engine = opened(self.store)
        indexed(engine, self.kept, self.market.address)  # type: ignore[arg-type]
        if self.calls:
            self.calls.go_on(self.folder)
        with stored(engine) as store:
            for site in self.sites:
                site.remember(now)
                site.go_on(store.readings(range(first, now), site.site.number))
            self.replay.go_on(done, self.plan.slots, store)
        engine.dispose()
        return self.kept.mark("settled")

    def _attest(self, day: date, root: bytes) -> None:
        """Have every site's oracle sign the day's root; one that has done so says nothing."""
        number = day_number(day)
        silent = [
            site for site in self.sites if not any(self.origin.root_of(number, site.site.number))
        ]
        signatures = [
            signed(Attestation(number, site.site.number, root), self.origin.domain, site.oracle_key)
            for site in silent
        ]
        if silent:
            numbers = [site.site.number for site in silent]
            self.origin.attest_together(number, root, numbers, signatures)

    def _name(self, setting: Setting, sun: PvSeries) -> None:
        """Leave in the store what commands and pages call the sites, and what is played."""
        engine = opened(self.store)
        with written(engine) as store:
            names = {site.number: [site.name, site.name_ja] for site in setting.sites}
            last = self.plan.dates[-1]
            for name, value in (
                ("names", json.dumps(names)),
                ("day", last.isoformat()),
                ("origin", self.origin.address),
                *self.plan.provenance(sun).items(),
            ):
                store.set(name, value)
        engine.dispose()
