"""Slots that do not go the usual way: never settled and passed over, or refused by the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator.moving.mover
from chain.attesting import Attestor, key_signed
from chain.indexer import indexed
from chain.market import MarketContract
from chain.store import opened, stored
from chain.writer import written
from energy.errors import BeforeFirstSlot, RankingIncomplete, SlotUnsettled
from energy.market import CLEARED, OPEN, RING, SETTLED
from energy.units import SLOT_SECONDS, day_of, slots_of
from orchestrator.auditing.audit import audited
from orchestrator.moving.clearing import Proposal, proposed
from orchestrator.moving.mover import (
    FIRST_PAUSE_SECONDS,
    Mover,
    relayed,
)
from orchestrator.service.alerts import Alerts
from orchestrator.service.opening import opening
from orchestrator.service.service import Orchestrator
from orchestrator.service.settings import load_settings
from orchestrator.service.watch import TOLD_SECONDS, Watch, first_unsettled
from orchestrator.statements.statement import statement_of
from tests.orchestrated import Place
from tests.services.test_node import KESENNUMA, OGAWARA, SENDAI, SLOT, Town, key

PASSED = SLOT + 1
DAY = day_of(SLOT)
LAST = slots_of(DAY)[-1]


@pytest.fixture
def place(place: Place) -> Place:
    """The same, with a clock that stands still until it is set."""
    place.town.node.request("anvil_setBlockTimestampInterval", [0])
    return place


def traced_up_to(town: Town) -> int | None:
    indexed(town.store, town.node, town.market.address)
    with stored(town.store) as store:
        return store.last_traced()


@pytest.fixture
def stuck(place: Place) -> Town:
    """A day of which all half hours are settled but one, that no order or reading touched."""
    town = place.town
    with written(town.store) as writer:
        writer.set("origin", place.origin.address)
    town.live(SLOT)
    after = Mover(town.market, town.node, town.store, PASSED + 1)
    town.live(PASSED + 1, after)
    after.move(town.at(town.market.rules.deadline_of(LAST)))
    assert traced_up_to(town) == SLOT
    return town


def take_the_place(town: Town) -> None:
    """Let a reading of the slot a ring later come, the first of its place."""
    later = PASSED + RING
    town.at((later + 1) * SLOT_SECONDS)
    town.push(town.readings(later)[SENDAI])


def attestor(place: Place, site: int) -> Attestor:
    sign = key_signed(place.origin, key("oracle", site))
    market = place.town.market.address
    return Attestor(opened("sqlite://"), place.town.node, market, place.origin, site, sign)


def test_a_slot_whose_place_is_taken_is_traced_as_one_without_readings_by_all(
    stuck: Town, place: Place
) -> None:
    assert attestor(place, SENDAI).attest_due() == []
    before = stuck.node.request("evm_snapshot", [])
    take_the_place(stuck)
    assert traced_up_to(stuck) == LAST
    with stored(stuck.store) as store:
        assert PASSED not in store.slots()
        assert store.passed_over(range(SLOT, LAST + 1)) == {PASSED}
        assert store.origins("used", range(PASSED, PASSED + 1)) == []
        assert store.origins("used", range(PASSED + 1, PASSED + 2))
        said = statement_of(store, KESENNUMA, slots_of(DAY))
        assert (said.open, said.unread[0]) == ((), PASSED)
        # The same as if it had been settled without a reading.
        expected = store.holdings()
        assert first_unsettled(store, stuck.market.rules.first_slot) == LAST + 1
    for site in (OGAWARA, SENDAI, KESENNUMA):
        assert attestor(place, site).attest_due() == [DAY]
    findings = audited(stuck.node, stuck.market.address, place.origin.address)
    assert (findings.attestations, findings.roots) == (3, 1)
    # What took its place can vanish in a fork: then it can be settled again.
    stuck.node.request("evm_revert", [before])
    assert traced_up_to(stuck) == SLOT
    stuck.market.settle(PASSED, [])
    assert traced_up_to(stuck) == LAST
    with stored(stuck.store) as store:
        assert store.holdings() == expected
        assert store.origins("used", range(PASSED, PASSED + 1)) == []


def test_a_slot_that_was_passed_over_is_told_of_and_is_late_no_more(stuck: Town) -> None:
    alerts = Alerts()
    settings = load_settings(place_settings(stuck)).alerts
    watch = Watch(stuck.market, stuck.node, stuck.store, settings, alerts)
    late, passed = ("settlement-late", f"slot {PASSED}"), ("slot-passed-over", DAY.isoformat())
    watch.look_at_market(stuck.node.now())
    assert late in alerts.raised
    assert passed not in alerts.raised
    take_the_place(stuck)
    indexed(stuck.store, stuck.node, stuck.market.address)
    for _ in range(2):
        watch.look_at_market(stuck.node.now())
        assert late not in alerts.raised
        assert alerts.raised[passed].details.startswith("1 half hours, the newest 2019-")
        # A watch that starts again says the same.
        alerts = Alerts()
        watch = Watch(stuck.market, stuck.node, stuck.store, settings, alerts)
    watch.look_at_market(stuck.node.now() + TOLD_SECONDS)
    assert passed not in alerts.raised


def place_settings(town: Town) -> Path:
    path = town.folder / "orchestrator.toml"
    path.write_text(
        f'[chain]\nrpc = "{town.node.url}"\nmarket = "{town.market.address}"\nchain_id = 7000\n'
        '[key]\nkeystore = "k"\npassphrase = "p"\n'
    )
    return path


def test_a_slot_that_an_order_or_a_reading_touched_keeps_its_place_until_it_is_settled(
    place: Place,
) -> None:
    town = place.town
    town.live(SLOT)
    town.at((PASSED + 1) * SLOT_SECONDS)
    town.push(town.readings(PASSED)[SENDAI])
    later = PASSED + RING
    town.at((later + 1) * SLOT_SECONDS)
    with pytest.raises(SlotUnsettled):
        town.push(town.readings(later)[SENDAI])
    assert traced_up_to(town) == SLOT
    town.market.settle(PASSED, [])
    assert traced_up_to(town) == PASSED
    town.push(town.readings(later)[SENDAI])


# -- refusals that nobody expected ---------------------------------------------------------


def short_of_an_order(slot: int, book: bytes, fee: int) -> Proposal:
    """A proposal that leaves an order of one slot out."""
    found = proposed(slot, book, fee)
    return Proposal(found.bids[2:], found.asks, b"", 0) if slot == SLOT else found


@pytest.fixture
def orchestrator_(place: Place) -> Iterator[Orchestrator]:
    """An orchestrator in this process, with two books whose gate is over."""
    town = place.town
    for slot in (SLOT, SLOT + 1):
        town.at(town.market.rules.gate_of(slot) - 1)
        assert relayed(town.market, town.orders(slot)) == []
    town.at(town.market.rules.gate_of(SLOT + 1))
    with opening(load_settings(place.service().settings)) as made:
        made.index()
        yield made


def test_a_slot_that_the_contract_refuses_is_held_and_told_and_the_others_go_on(
    orchestrator_: Orchestrator, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, raised = place.town, orchestrator_.alerts.raised
    about = ("slot-refused", f"slot {SLOT}")
    monkeypatch.setattr(orchestrator.moving.mover, "proposed", short_of_an_order)
    orchestrator_.clear()
    orchestrator_.settle()
    assert (town.stage(SLOT), town.stage(SLOT + 1)) == (OPEN, CLEARED)
    assert raised[about].details == str(RankingIncomplete(2, 3))
    # It is not tried again at once, though it would go well now.
    monkeypatch.undo()
    orchestrator_.clear()
    assert town.stage(SLOT) == OPEN
    town.at(town.node.now() + FIRST_PAUSE_SECONDS)
    orchestrator_.clear()
    orchestrator_.settle()
    assert town.stage(SLOT) == CLEARED
    assert about not in raised


class Mistaken(MarketContract):
    """A market that is asked to settle the wrong slot in place of one."""

    tried = 0

    def settle(self, slot, trades):
        if slot != SLOT:
            return super().settle(slot, trades)
        Mistaken.tried += 1
        return super().settle(self.rules.first_slot - 1, trades)


def test_a_refused_settlement_is_tried_again_ever_more_seldom_until_another_settles_it(
    place: Place,
) -> None:
    town = place.town
    town.at(town.market.rules.gate_of(SLOT) - 1)
    relayed(town.market, town.orders(SLOT))
    for slot in (SLOT, SLOT + 1):
        town.at((slot + 1) * SLOT_SECONDS)
        town.push(*town.readings(slot))
    mover = Mover(Mistaken(town.node, town.market.address), town.node, town.store, SLOT)
    now = town.node.now()
    assert mover.move(now) == [SLOT + 1]
    first = town.market.rules.first_slot
    assert mover.refused == {SLOT: BeforeFirstSlot(first - 1, first)}
    for tried, pause in enumerate((60, 120, 240, 480, 960, 1_800, 1_800), 1):
        mover.move(now + pause - 1)
        assert Mistaken.tried == tried
        mover.move(now := now + pause)
        assert Mistaken.tried == tried + 1
    town.mover("another").move(town.node.now())
    assert town.stage(SLOT) == SETTLED
    assert mover.move(now) == [SLOT]
    assert mover.refused == {}
