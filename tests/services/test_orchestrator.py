"""The orchestrator as a process on a real chain: killed at any instant, doubled, lied to, and what
it tells of what is wrong.

Kills come at random instants of a fixed seed.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import text

from chain.anvil import anvil
from chain.node import fresh_key
from chain.store import opened
from energy.attestation import Attestation, day_number, signed
from energy.messages import address_of
from energy.units import SLOT_SECONDS, day_of, slots_of
from orchestrator.moving.mover import SignedOrder
from tests.orchestrated import Place, a_place, check_nothing_lost_or_doubled, live, wait_for
from tests.services.conftest import FreshStore
from tests.services.test_node import SLOT, key
from tests.unit.test_twin import FIRST_SLOT


@pytest.fixture
def place(tmp_path: Path, fresh_store: FreshStore) -> Iterator[Place]:
    with a_place(tmp_path, fresh_store) as made:
        yield made


def test_a_service_that_is_killed_at_any_instant_loses_and_doubles_nothing(place: Place) -> None:
    service = place.service().start()
    chance = random.Random(20190604)
    over = threading.Event()

    def kill_at_random() -> None:
        while not over.wait(chance.uniform(0.0, 1.0)):
            if chance.random() < 0.7:
                # The others fall before it has come up, however long that takes here.
                while not service.ask("/health") and not over.wait(0.1):
                    pass
                over.wait(chance.uniform(0.0, 2.0))
            service.kill()
            service.start()

    killer = threading.Thread(target=kill_at_random)
    kills = 8
    killer.start()
    try:

        def give(orders: list[SignedOrder]) -> None:
            # An agent gives its orders until they are answered for; then they are the service's.
            wait_for(lambda: service.give(orders), place, "orders must be taken")

        # However quick the machine is, some kills fall into the day.
        slots = live(place, range(SLOT, SLOT + 40), give, lambda: service.starts > kills)
    finally:
        over.set()
        killer.join()
    assert service.starts > kills
    wait_for(
        lambda: (answer := service.ask("/health")) and not answer.json()["waiting_orders"],
        place,
        "the inbox must become empty",
    )
    assert service.stop() == 0
    check_nothing_lost_or_doubled(place, slots)


def test_two_at_once_with_one_account_and_one_store_do_no_harm(place: Place) -> None:
    store, payer = place.fresh_store(), fresh_key()
    pair = [place.service(store, payer).start() for _ in range(2)]

    def give(orders: list[SignedOrder]) -> None:
        for service in pair:
            wait_for(partial(service.give, orders), place, "orders must be taken")

    slots = range(SLOT, SLOT + 6)
    live(place, slots, give)
    assert [service.stop() for service in pair] == [0, 0]
    check_nothing_lost_or_doubled(place, slots)


class Hook:
    """A webhook that keeps what it is told."""

    def __init__(self) -> None:
        told: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.told = told
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def events(self) -> set[tuple[str, str]]:
        return {(each["event"], each["name"]) for each in self.told}


def test_what_is_wrong_is_told_to_log_health_metrics_and_webhook_and_cleared(place: Place) -> None:
    hook, payer = Hook(), fresh_key()
    alerts = f'webhook = "{hook.url}"\nlow_coins = 5.0'
    service = place.service(payer=payer, alerts=alerts).start()
    place.town.node.request("anvil_setBalance", [address_of(payer), hex(10**18)])
    wait_for(lambda: ("low-funds", address_of(payer)) in service.alerts(), place, "low funds")
    place.town.node.fund(address_of(payer))
    wait_for(lambda: not service.alerts(), place, "funds again")
    # The webhook is told on its own time, after /health.
    both = {("raised", "low-funds"), ("cleared", "low-funds")}
    wait_for(lambda: hook.events() >= both, place, "low funds told and cleared")
    # A reading that does not come, and an order by another's key.
    stranger = place.town.signed(place.town.orders(SLOT)[0].order, role="oracle")
    assert not service.give([stranger]), "it is not even taken"
    place.now(place.town.market.rules.gate_of(SLOT) - 60)
    wrong = place.town.signed(replace(stranger.order, energy=40_001))
    wait_for(lambda: service.give([wrong]), place, "it is taken once the chain's time is seen")
    wait_for(lambda: ("told", "order-refused") in hook.events(), place, "a refused order")
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT)[1:])
    place.now(place.town.market.rules.deadline_of(SLOT))
    wait_for(lambda: ("reading-missing", "site 0") in service.alerts(), place, "a missing reading")
    wait_for(lambda: place.settled(SLOT), place, "it is settled without")
    answer = service.ask("/metrics")
    assert answer is not None
    metrics = answer.text
    assert 'yui_orchestrator_alerts{name="reading-missing"} 1.0' in metrics
    assert "yui_orchestrator_healthy 0.0" in metrics
    assert "alert.raised name=reading-missing" in service.log()
    # Sites that attest another root than what the store has.
    day = day_of(SLOT)
    last = slots_of(day).stop
    for slot in range(SLOT + 1, last):
        place.now((slot + 1) * SLOT_SECONDS)
        place.town.push(*place.town.readings(slot))
    wait_for(lambda: place.settled(last - 1), place, "the day must be settled")
    place.now((last + 1) * SLOT_SECONDS)
    wrong_root = Attestation(day_number(day), 1, b"\7" * 32)
    place.origin.attest(wrong_root, signed(wrong_root, place.origin.domain, key("oracle", 1)))
    wait_for(lambda: ("roots-conflict", day.isoformat()) in service.alerts(), place, "another root")
    assert "sites 1 attest another root than" in service.alerts()["roots-conflict", str(day)]
    assert service.stop() == 0


def test_a_settlement_that_does_not_come_is_told(place: Place) -> None:
    # Without money nothing is settled.
    payer = fresh_key()
    service = place.service(payer=payer).start()
    wait_for(lambda: service.ask("/health"), place, "it must come up")
    place.town.node.request("anvil_setBalance", [address_of(payer), "0x0"])
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT))
    place.town.node.request("anvil_setNextBlockBaseFeePerGas", [hex(10**9)])
    place.now(place.town.market.rules.deadline_of(SLOT) + 120)
    wait_for(lambda: ("settlement-late", f"slot {SLOT}") in service.alerts(), place, "late")
    assert not place.settled(SLOT)
    place.town.node.fund(address_of(payer))
    wait_for(lambda: place.settled(SLOT), place, "with money it is settled")
    wait_for(lambda: ("settlement-late", f"slot {SLOT}") not in service.alerts(), place, "cleared")


def test_a_chain_that_stands_still_and_a_store_that_fails_are_told_and_cleared(
    place: Place,
) -> None:
    store = place.fresh_store()
    service = place.service(store, stalled=1).start()
    node = place.town.node.url
    wait_for(lambda: ("chain-stalled", node) in service.alerts(), place, "no block comes")
    place.now(place.town.market.rules.gate_of(SLOT))
    wait_for(lambda: ("chain-stalled", node) not in service.alerts(), place, "a block came")

    def failed() -> bool:
        return any(name == "store-failed" for name, _ in service.alerts())

    engine = opened(store)
    rename = "ALTER TABLE {} RENAME TO {}"
    with engine.connect() as connection:
        connection.execute(text(rename.format("blocks", "gone")))
        connection.commit()
    wait_for(failed, place, "the store does not answer")
    with engine.connect() as connection:
        connection.execute(text(rename.format("gone", "blocks")))
        connection.commit()
    engine.dispose()
    wait_for(lambda: not failed(), place, "the store answers")
    inbox = sqlite3.connect(service.folder / "inbox.sqlite", isolation_level=None)
    inbox.execute("ALTER TABLE orders RENAME TO gone")
    wait_for(failed, place, "the inbox does not answer")
    answer = service.ask("/health")
    assert answer is not None
    assert (answer.status_code, answer.json()["waiting_orders"]) == (503, None)
    metrics = service.ask("/metrics")
    assert metrics is not None
    assert "yui_orchestrator_inbox_orders NaN" in metrics.text
    assert service.post(place.town.orders(SLOT + 1)).status_code == 503
    inbox.execute("ALTER TABLE gone RENAME TO orders")
    inbox.close()
    wait_for(lambda: not failed(), place, "the inbox answers")
    assert service.runs
    assert "alert.cleared name=store-failed" in service.log()
    assert service.stop() == 0


def test_a_node_that_lies_or_is_behind_is_found_out_by_a_second_one_and_not_built_on(
    place: Place,
) -> None:
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT))
    with anvil(FIRST_SLOT * SLOT_SECONDS) as other:
        for _ in range(place.town.node.height() + 20):
            other.request("evm_mine", [])
        service = place.service(more=f'second = "{other.url}"', alerts="behind_blocks = 5").start()
        url = place.town.node.url
        wait_for(lambda: ("node-behind", url) in service.alerts(), place, "it is behind")
        wait_for(lambda: ("node-lies", url) in service.alerts(), place, "they differ")
        time.sleep(1.0)
        assert not place.settled(SLOT), "nothing is done before the first look either"
    wait_for(lambda: ("second-away", other.url) in service.alerts(), place, "it is away")
    time.sleep(0.5)
    assert not place.settled(SLOT), "a node that was contradicted is not trusted for want of one"
