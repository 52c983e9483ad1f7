"""What an orchestrator believes of its node while the second one is away, after a restart too."""

from __future__ import annotations

import time
from functools import partial

from chain.anvil import anvil
from energy.units import SLOT_SECONDS
from tests.orchestrated import Place, Service, Wire, wait_for
from tests.services.test_node import KESENNUMA, SLOT
from tests.unit.test_twin import FIRST_SLOT


def waiting(service: Service) -> int:
    answer = service.ask("/health")
    return -1 if answer is None else int(answer.json()["waiting_orders"])


def test_a_node_that_was_contradicted_is_not_believed_after_a_restart_without_the_second(
    place: Place,
) -> None:
    node = place.town.node.url
    with anvil(FIRST_SLOT * SLOT_SECONDS) as other:
        for _ in range(place.town.node.height()):
            other.request("evm_mine", [])
        service = place.service(more=f'second = "{other.url}"').start()
        wait_for(lambda: ("node-lies", node) in service.alerts(), place, "they differ")
    service.kill()
    place.now((SLOT + 1) * SLOT_SECONDS)
    place.town.push(*place.town.readings(SLOT))
    service.start()
    wait_for(lambda: ("second-away", other.url) in service.alerts(), place, "it is away")
    wait_for(lambda: ("node-lies", node) in service.alerts(), place, "what was known is known")
    time.sleep(1.0)
    assert not place.settled(SLOT)


def test_a_node_that_has_not_what_was_final_is_not_built_on_though_the_second_is_away(
    place: Place,
) -> None:
    town, wire = place.town, Wire(place.town.node.url)
    town.node.request("anvil_mine", ["0x8"])
    begun = town.node.height()
    service = place.service(more=f'second = "{wire.url}"', confirmations=2).start()
    wait_for(lambda: (answer := service.ask("/health")) and answer.json()["healthy"], place, "well")
    # Blocks in which nothing happens are known as well.
    town.node.request("anvil_mine", ["0x8"])
    height = f"yui_orchestrator_chain_height {begun + 8}.0"
    wait_for(lambda: (told := service.ask("/metrics")) and height in told.text, place, "it sees")
    wait_for(
        lambda: "indexed_lag_blocks 0.0" in getattr(service.ask("/metrics"), "text", ""),
        place,
        "and indexes",
    )
    service.kill()
    wire.cut()
    # Empty blocks by another are others.
    town.node.request("anvil_setCoinbase", ["0x" + "55" * 20])
    town.node.request("anvil_reorg", [8, []])
    place.now((SLOT + 1) * SLOT_SECONDS)
    town.push(*town.readings(SLOT))
    service.start()
    wait_for(lambda: ("node-lies", "store") in service.alerts(), place, "another final block")
    assert "was final and must stand, got another" in service.alerts()["node-lies", "store"]
    assert ("node-unverified", town.node.url) in service.alerts()
    time.sleep(1.0)
    assert not place.settled(SLOT)


def test_an_order_is_let_go_of_when_the_second_node_has_told_of_it_too(place: Place) -> None:
    wire, node = Wire(place.town.node.url), place.town.node.url
    place.now(place.town.market.rules.gate_of(SLOT) - 60)
    wire.cut()
    service = place.service(more=f'second = "{wire.url}"').start()
    wait_for(lambda: ("node-unverified", node) in service.alerts(), place, "it says so")
    wait_for(partial(service.give, place.town.orders(SLOT)), place, "orders must be taken")
    wait_for(lambda: place.town.market.sequence_of(SLOT, KESENNUMA) == 1, place, "and posted")
    time.sleep(1.0)
    assert waiting(service) == 3, "the word of one node alone loses none"
    wire.mend()
    wait_for(lambda: waiting(service) == 0, place, "the second has told of them")
    wait_for(lambda: not service.alerts(), place, "and nothing is wrong any more")
    # Of one whose gate is over nothing can be done any more.
    wire.cut()
    place.now(place.town.market.rules.gate_of(SLOT + 1) - 60)
    wait_for(partial(service.give, place.town.orders(SLOT + 1)), place, "orders must be taken")
    wait_for(lambda: place.town.market.sequence_of(SLOT + 1, KESENNUMA) == 1, place, "and posted")
    place.now(place.town.market.rules.gate_of(SLOT + 1))
    wait_for(lambda: waiting(service) == 0, place, "they are let go of")
