"""What the unit tests share."""

from __future__ import annotations

import pytest

from tests.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """A market with its tariff and three offices."""
    return Desk().open()
