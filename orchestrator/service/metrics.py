"""What the orchestrator says of itself in Prometheus' text format."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from energy.errors import StoreError
from orchestrator.service.alerts import NAMES
from orchestrator.service.inbox import Inbox

if TYPE_CHECKING:
    from orchestrator.service.service import Orchestrator

REGISTRY = CollectorRegistry()


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"yui_orchestrator_{name}", what, labels, registry=REGISTRY)


_healthy = _gauge("healthy", "1 if no alert is raised")
_alerts = _gauge("alerts", "Alerts that are raised, by name", "name")
_untold = _gauge("webhook_failed", "Alerts that the webhook did not take")
_height = _gauge("chain_height", "The newest block of the node")
_indexed = _gauge("indexed_lag_blocks", "Blocks that the node has and the store has not seen")
_waiting = _gauge("inbox_orders", "Signed orders that are not final yet")
_settled = _gauge("settled_slots", "Slots that this process has seen settled")
_unsettled = _gauge("unsettled_slots", "Slots past their deadline that are not settled")
_missing = _gauge("missing_readings", "Readings of the last two days that did not come")
_funds = _gauge("funds_coins", "What the account that pays for gas has left")
_replaced = _gauge("transactions_replaced", "Transactions replaced by one that pays more")
_resent = _gauge("transactions_resent", "Transactions sent again after a node lost them")
_resynced = _gauge("transactions_renumbered", "Transactions whose number another's had taken")
_beat = _gauge("duty_age_seconds", "Time since a duty last came to its end", "duty")


def metrics_of(orchestrator: Orchestrator) -> bytes:
    """Return the metrics of an orchestrator."""
    raised = [name for name, _ in list(orchestrator.alerts.raised)]
    _healthy.set(not raised)
    for name in NAMES:
        _alerts.labels(name).set(raised.count(name))
    _untold.set(orchestrator.alerts.failed)
    watch, chain = orchestrator.watch, orchestrator.chain
    _height.set(watch.height)
    _indexed.set(max(watch.height - orchestrator.indexed_height, 0))
    waiting = waiting_in(orchestrator.inbox)
    _waiting.set(math.nan if waiting is None else waiting)
    _settled.set(orchestrator.settled)
    _unsettled.set(watch.unsettled)
    _missing.set(watch.missing)
    _funds.set(watch.funds_wei / 1e18)
    _replaced.set(chain.replaced)
    _resent.set(chain.resent)
    _resynced.set(chain.resynced)
    now = time.monotonic()
    for duty, beat in list(orchestrator.beats.items()):
        _beat.labels(duty).set(now - beat)
    return generate_latest(REGISTRY)


def waiting_in(inbox: Inbox) -> int | None:
    """Return how many orders wait; None if the inbox does not answer."""
    try:
        return inbox.count()
    except StoreError:
        return None
