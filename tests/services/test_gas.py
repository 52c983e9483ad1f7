"""What a slot costs, to the gas: a change of cost shows here first.

The figures are those of a node's receipts in the steady state (the second use of a place in
the ring). Keys, clock and contract address are the same in every run, and so is the gas.
"""

from __future__ import annotations

from bench.gas import SlotGas, measured

READINGS = (41_702, 41_738, 41_714, 41_738, 41_714, 41_738, 41_714)


def test_a_slot_of_seven_sites_costs_what_it_did() -> None:
    first, steady = measured(7, 2, alone=True)
    assert steady == SlotGas(
        orders=14, trades=12, post=138_213, clear=65_693, readings=READINGS, settle=121_309
    )
    assert steady.whole <= 620_000
    assert max(steady.readings) <= 42_000
    assert first.whole == 856_624


def test_a_batch_of_a_hundred_orders_costs_what_it_did() -> None:
    _, steady = measured(50, 2, alone=False)
    assert (steady.post, steady.clear, steady.settle) == (744_299, 238_660, 560_158)
    assert steady.post <= 100 * 8_700
    assert steady.clear <= 100 * 3_400
