"""An orchestrator whose node, or the second one, is not there: when it starts, or for hours."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import orchestrator.moving.mover
from chain.indexer import indexed
from chain.node import NodeChain
from chain.ports import free_port
from chain.store import opened
from chain.writer import written
from energy.errors import SettingError
from energy.records import Order, Side
from energy.units import SLOT_SECONDS
from orchestrator.moving.mover import SignedOrder, relayed
from orchestrator.moving.relay import Relay
from orchestrator.service.alerts import Alerts
from orchestrator.service.deployment import Deployment, node_of
from orchestrator.service.settings import load_settings
from orchestrator.service.watch import LOOK_BACK_SLOTS, Watch
from orchestrator.service.witness import MOST_BLOCKS, Witness
from tests.orchestrated import (
    PATIENCE,
    Place,
    Service,
    Wire,
    check_nothing_lost_or_doubled,
    wait_for,
)
from tests.services.test_node import KESENNUMA, OGAWARA, SENDAI, SLOT


def is_posted(place: Place, slot: int) -> bool:
    return place.town.market.sequence_of(slot, KESENNUMA) == 1


def waiting(service: Service) -> int:
    answer = service.ask("/health")
    return -1 if answer is None else int(answer.json()["waiting_orders"])


def before_gate(place: Place, slot: int) -> None:
    place.now(place.town.market.rules.gate_of(slot) - 60)


def test_a_service_that_starts_without_its_node_takes_orders_and_posts_them_when_it_comes(
    place: Place, tmp_path: Path
) -> None:
    before_gate(place, SLOT)
    wire = Wire(place.town.node.url)
    service = place.service(rpc=wire.url)
    wire.cut()
    service.start()
    wait_for(lambda: ("chain-away", "index") in service.alerts(), place, "it must come up")
    # Whose orders they are, a store that has seen nothing cannot know.
    answer = service.post(place.town.orders(SLOT))
    assert answer.status_code == 503
    assert f"a node must have answered at {wire.url} once" in answer.json()["error"]
    wire.mend()
    wait_for(lambda: service.give(place.town.orders(SLOT)), place, "orders must be taken")
    wait_for(partial(is_posted, place, SLOT), place, "and posted")
    wait_for(lambda: waiting(service) == 0, place, "and let go of")
    # The power fails. The machine is started again, the node is not.
    wire.cut()
    service.kill()
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.settimeout(PATIENCE)
    service.notified = str(tmp_path / "notify")
    systemd.bind(service.notified)
    service.start()
    assert systemd.recv(100) == b"READY=1"
    wait_for(lambda: ("chain-away", "index") in service.alerts(), place, "it must come up")
    before_gate(place, SLOT + 1)
    assert service.give(place.town.orders(SLOT + 1))
    assert systemd.recv(100) == b"WATCHDOG=1", "a service that waits is not killed for it"
    systemd.close()
    assert waiting(service) == 3
    wire.mend()
    wait_for(partial(is_posted, place, SLOT + 1), place, "what was taken must be posted")
    place.now((SLOT + 2) * SLOT_SECONDS)
    for slot in (SLOT, SLOT + 1):
        place.town.push(*place.town.readings(slot))
    wait_for(lambda: place.settled(SLOT) and place.settled(SLOT + 1), place, "both are settled")
    wait_for(lambda: not service.alerts(), place, "and nothing is wrong any more")
    assert service.stop() == 0
    check_nothing_lost_or_doubled(place, range(SLOT, SLOT + 2))


def test_after_hours_without_a_chain_a_service_catches_up_many_slots(place: Place) -> None:
    slots, lost = range(SLOT, SLOT + 16), range(SLOT + 1, SLOT + 2)
    wire = Wire(place.town.node.url)
    service = place.service(rpc=wire.url).start()
    before_gate(place, SLOT)
    wait_for(lambda: service.give(place.town.orders(SLOT)), place, "orders must be taken")
    wait_for(partial(is_posted, place, SLOT), place, "and posted")
    wire.cut()
    wait_for(lambda: ("chain-away", "index") in service.alerts(), place, "it is cut off")
    for slot in range(SLOT + 1, SLOT + 4):
        assert service.give(place.town.orders(slot)), "what is within the horizon is taken"
    # Hours go by; of all slots but one, sites have relays of their own.
    for slot in slots:
        before_gate(place, slot)
        if slot > SLOT and slot not in lost:
            assert relayed(place.town.market, place.town.orders(slot)) == []
    place.now(slots.stop * SLOT_SECONDS)
    for slot in slots:
        place.town.push(*place.town.readings(slot))
    assert service.runs
    wire.mend()
    wait_for(lambda: all(map(place.settled, slots)), place, "all must be settled")
    wait_for(lambda: waiting(service) == 0, place, "what stands, or came too late, is let go of")
    told = [line for line in service.log().splitlines() if "alert.told name=order-refused" in line]
    assert len(told) == 3
    assert all(f"slot {lost.start}" in line and "GateClosed" in line for line in told)
    assert service.stop() == 0
    check_nothing_lost_or_doubled(place, slots, without=lost)


def test_orders_are_taken_at_once_while_every_duty_waits_for_a_node_that_hangs(
    place: Place,
) -> None:
    before_gate(place, SLOT)
    url = place.town.node.url
    # The second node hangs as well: here it is the same one.
    service = place.service(more=f'second = "{url}"').start()
    wait_for(lambda: service.give(place.town.orders(SLOT)), place, "orders must be taken")
    wait_for(partial(is_posted, place, SLOT), place, "and posted")
    found = subprocess.run(
        ["pgrep", "-f", f"anvil.* --port {url.rpartition(':')[2]}"],
        capture_output=True,
        text=True,
        check=True,
    )
    process = int(found.stdout.split()[0])
    os.kill(process, signal.SIGSTOP)
    try:
        for slot in range(SLOT + 1, SLOT + 4):
            assert service.give(place.town.orders(slot))
    finally:
        os.kill(process, signal.SIGCONT)
    wait_for(partial(is_posted, place, SLOT + 3), place, "they are posted then")


def test_a_service_does_not_need_its_witness_to_start(place: Place) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    service = place.service(more=f'second = "{nowhere}"').start()
    wait_for(lambda: ("second-away", nowhere) in service.alerts(), place, "it says so")
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT))
    wait_for(lambda: place.settled(SLOT), place, "and goes on")
    alone = ("node-unverified", place.town.node.url)
    assert set(service.alerts()) == {("second-away", nowhere), alone}


def test_a_service_of_another_chain_or_store_ends_with_one_sentence(place: Place) -> None:
    service = place.service(chain_id=7_001).start()
    wait_for(lambda: not service.runs, place, "it must end")
    assert f"chain_id must be that of {place.town.node.url}, which is 7000, got 7001" in (
        service.log()
    )
    engine = opened(place.fresh_store())
    with written(engine) as writer:
        writer.set("market", "7000:0x01")
    settings = load_settings(service.settings)
    with pytest.raises(SettingError, match="must be a store of market 7001:0x.*, got one of 7000"):
        Deployment(settings, node_of(settings, b"\1" * 32), engine, {}).open()


def many(place: Place, site: int, slot: int, sequences: range) -> list[SignedOrder]:
    orders = [Order(slot, site, Side.ASK, 1_000, 9_000, number) for number in sequences]
    return [place.town.signed(order) for order in orders]


def test_no_member_can_keep_anothers_orders_waiting(place: Place) -> None:
    before_gate(place, SLOT)
    service, rules = place.service().start(), place.town.market.rules
    last = SLOT - 1 + rules.horizon
    for slot in range(SLOT, last + 1):
        orders = many(place, OGAWARA, slot, range(1, 15))
        wait_for(partial(service.give, orders), place, "all that it may post is taken")

    def refused(slot: int, sequences: range = range(1, 2)) -> str:
        answer = service.post(many(place, OGAWARA, slot, sequences))
        assert answer.status_code == 400
        return str(answer.json()["error"])

    assert refused(last + 1) == (
        f"order 1 of site 0 for slot {last + 1} must be for slot {last} or earlier "
        f"({rules.horizon} slots ahead are open)"
    )
    assert f"must be before its gate at {rules.gate_of(SLOT - 1)}" in refused(SLOT - 1)
    assert "must be one of at most 14 that a site may post for a slot" in refused(
        SLOT, range(15, 16)
    )
    assert "that a site may post for a slot, counted from 1" in refused(SLOT, range(1))
    assert "must be for the market's first slot" in refused(rules.first_slot - 1)
    assert service.give([place.town.orders(SLOT)[SENDAI]])
    wait_for(
        lambda: place.town.market.sequence_of(SLOT, SENDAI), place, "it is posted all the same"
    )


def test_many_orders_of_a_slot_are_posted_in_several_transactions_by_the_nearest_gate_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_gate(place, SLOT)
    monkeypatch.setattr(orchestrator.moving.mover, "MOST_POSTED", 2)
    town = place.town
    relay, begun = Relay(town.node, town.market.address), town.node.height()
    wrong = town.signed(replace(town.orders(SLOT)[OGAWARA].order, energy=40_001))
    relay.take(town.orders(SLOT + 1))
    relay.take([wrong, *town.orders(SLOT)[1:]])
    assert [each.order for each in relay.push()] == [wrong.order]
    assert [town.market.sequence_of(SLOT, site) for site in range(3)] == [0, 1, 1]
    assert town.node.height() == begun + 4
    indexed(town.store, town.node, town.market.address)
    relay.push()
    assert relay.waiting == 0


def test_a_slot_that_hangs_is_told_of_until_it_is_settled_however_long(place: Place) -> None:
    town = place.town
    watch = Watch(
        town.market, town.node, town.store, load_settings(place.service().settings).alerts, Alerts()
    )
    late = ("settlement-late", f"slot {SLOT}")
    for days in (1, 30):
        place.now((SLOT + 2 + days * LOOK_BACK_SLOTS) * SLOT_SECONDS)
        indexed(town.store, town.node, town.market.address)
        watch.look_at_market(town.node.now())
        assert late in watch.alerts.raised


class Counted(NodeChain):
    """A node that notes which blocks it was asked the logs of."""

    asked: list[tuple[int, int]]
    lies = False

    def logs(self, addresses, first_block, last_block, topics=()):
        self.asked.append((first_block, last_block))
        found = list(super().logs(addresses, first_block, last_block, topics))
        return iter(found[1:] if self.lies else found)


def test_a_witness_begins_where_the_store_is_final_and_goes_on_where_it_was(place: Place) -> None:
    town, blocks = place.town, 3 * MOST_BLOCKS
    town.node.request("anvil_mine", [hex(blocks)])
    height = town.node.height()
    first, second = NodeChain(town.node.url), Counted(town.node.url)
    second.asked = []

    def witness(store: str) -> Witness:
        return Witness(first, second, [town.market.address], 10, opened(store))

    # A store that has seen nothing is witnessed from the first block on, without a pause.
    fresh = witness(place.fresh_store())
    second.lies = True
    fresh.look()
    assert "hold" in (fresh.contradicted or "")
    second.lies = False
    fresh.look()
    while fresh.contradicted is None and fresh.is_behind:
        fresh.look()
    assert second.asked[0] == second.asked[1] == (0, MOST_BLOCKS - 1), "a lie is not passed over"
    assert second.asked[-1] == (3 * MOST_BLOCKS, height)
    # One that has is witnessed from there; and after a restart from where it was.
    url = place.fresh_store()
    indexed(opened(url), town.node, town.market.address)
    town.node.request("anvil_mine", ["0x5"])
    for _ in range(2):
        second.asked.clear()
        restarted = witness(url)
        restarted.look()
        assert (restarted.behind, restarted.contradicted) == (None, None)
        height = town.node.height()
        assert second.asked == [(height - 4, height)]
        town.node.request("anvil_mine", ["0x5"])
