"""Brownie runs these: `pytest -p pytest-brownie tests/contracts`, on a chain of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def at(web3: Any) -> Callable[[int], None]:
    """Let the next transaction happen at a moment, unix seconds."""

    def set_time(moment: int) -> None:
        for method, parameters in (("evm_setNextBlockTimestamp", [moment]), ("evm_mine", [])):
            answer = web3.provider.make_request(method, parameters)
            assert "error" not in answer, answer

    web3.provider.make_request("anvil_setBlockTimestampInterval", [0])
    return set_time
