"""What each step costs, to the gas: a change of cost shows here first.

The figures are those of a node's receipts, on the first and the second use of a place in the
ring. Keys, clock and contract address are the same in every run, and so is the gas. They stand
in `gas.json` beside this file, which `make gas` writes anew; a review then shows the change.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from bench.gas import APART, CASES, CODE_BYTES, code_size, measured

SNAPSHOT = Path(__file__).with_name("gas.json")


def test_each_step_costs_what_the_snapshot_says() -> None:
    found: dict[str, object] = {"code": code_size()}
    for sites, each, alone in CASES:
        for use, slot in zip(("first", "steady"), measured(sites, each, alone), strict=True):
            found[f"{sites} sites, {use} use"] = asdict(slot) | {"readings": list(slot.readings)}
    for sites, each, alone in APART:
        slot = measured(sites, each, alone, apart=True)[1]
        found[f"{sites} sites, no trades"] = asdict(slot) | {"readings": list(slot.readings)}
    written = json.dumps(found, indent=1) + "\n"
    if os.environ.get("YUI_GAS_SNAPSHOT"):
        SNAPSHOT.write_text(written)
    assert written == SNAPSHOT.read_text(), "gas has changed: make gas, and say why in the commit"


def test_the_steady_state_stays_within_its_bars() -> None:
    few, some, many = (measured(*case)[1] for case in CASES)
    for slot in (some, many):
        assert slot.post <= slot.orders * 8_700
    assert some.clear <= some.orders * 2_400
    assert many.clear <= many.orders * 2_200
    assert max(few.readings) <= 41_500
    assert many.readings[0] <= 100 * 14_200
    assert few.settle <= 115_000
    assert few.whole <= 600_000
    assert code_size() <= CODE_BYTES
