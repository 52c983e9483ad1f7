"""Health and metrics on a local port: `/health` for people and `/metrics` for Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from daemon import health
from daemon.health import METRICS, Page, json_page
from oracle.quantity import Sample

if TYPE_CHECKING:
    from oracle.service import Service

_registry = CollectorRegistry()
_samples = Counter("yui_oracle_samples", "Samples taken", registry=_registry)
_faults = Counter(
    "yui_oracle_faults", "What went wrong, by sample", ["source", "kind"], registry=_registry
)
_sample_age = Gauge(
    "yui_oracle_sample_age_seconds", "Age of the last sample on disk", registry=_registry
)
_outbox = Gauge(
    "yui_oracle_outbox_readings", "Readings on disk, by state", ["state"], registry=_registry
)
_depth = Gauge(
    "yui_oracle_outbox_depth", "Readings that the chain does not hold yet", registry=_registry
)
_chain_lag = Gauge(
    "yui_oracle_chain_lag_seconds", "Time since the chain last answered", registry=_registry
)
_drift = Gauge(
    "yui_oracle_clock_drift_seconds", "Clock against the chain's, ahead > 0", registry=_registry
)
_coins = Gauge("yui_oracle_funds_coins", "What is left to pay for gas with", registry=_registry)
_days = Gauge(
    "yui_oracle_funds_days", "How long that lasts at the use of the last day", registry=_registry
)
_low_funds = Gauge("yui_oracle_low_funds", "1 if that is too little", registry=_registry)
_healthy = Gauge("yui_oracle_healthy", "1 if nothing is wrong", registry=_registry)


def observe(sample: Sample) -> None:
    """Count a sample and what was wrong with it."""
    _samples.inc()
    for incident in sample.incidents:
        _faults.labels(incident.source, incident.kind).inc()


def metrics_of(service: Service) -> bytes:
    """Return the metrics of a service in Prometheus' text format."""
    age = service.sample_age_seconds
    _sample_age.set(float("nan") if age is None else age)
    for state, number in service.terminal.outbox.tally().items():
        _outbox.labels(state.value).set(number)
    _depth.set(service.depth)
    delivered = service.delivered_seconds
    _chain_lag.set(service.terminal.clock() - delivered if delivered else float("nan"))
    drift = service.watch.drift_seconds
    _drift.set(float("nan") if drift is None else drift)
    funds, unknown = service.funds, float("nan")
    _coins.set(unknown if funds is None else funds.coins)
    _days.set(unknown if funds is None or funds.days is None else funds.days)
    _low_funds.set(funds is not None and funds.low)
    _healthy.set(not service.troubles())
    return generate_latest(_registry)


@asynccontextmanager
async def served(service: Service, port: int) -> AsyncIterator[int]:
    """Serve health and metrics on this machine alone; yields the port.

    Raises:
        SettingError: if the port is taken.
    """
    pages = {
        "/health": lambda: _health(service),
        "/metrics": lambda: Page("200 OK", METRICS, metrics_of(service)),
    }
    async with health.served(pages, port) as taken:
        yield taken


def _health(service: Service) -> Page:
    troubles = service.troubles()
    body = {
        "healthy": not troubles,
        "troubles": troubles,
        "warnings": service.warnings(),
        "outbox_depth": service.depth,
    }
    return json_page(body, well=not troubles)
