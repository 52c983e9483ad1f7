"""How a section's figures are got again from a store, in SQL."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


def query(key: str, slots: range) -> str:
    """Return a section's SQL for a period."""
    return _queries()[key].strip().format(first=slots[0], last=slots[-1])


@cache
def _queries() -> dict[str, str]:
    text = files("orchestrator.verification").joinpath("data", "queries.toml").read_text("utf-8")
    return tomllib.loads(text)
