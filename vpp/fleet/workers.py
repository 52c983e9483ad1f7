"""Where a fleet's groups of sites are: in this process, or in worker processes of a Dask cluster.

Dask's actors keep their state, so that solvers stay warm from round to round. The cluster may be on
this machine or on many.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from vpp.fleet.group import Answer, Group
from vpp.fleet.model import Fleet
from vpp.fleet.schedule import SitePlan
from vpp.model import Array

PATIENCE = "300s"
"""Time in which a worker of a busy machine may be silent."""


class Workers(Protocol):
    """Something that holds groups of sites."""

    def take(self, fleet: Fleet, groups: Sequence[Sequence[int]]) -> None:
        """Build the groups of a fleet's sites, by number; earlier ones are dropped.

        It may return before they stand.
        """
        ...

    def answers(self, prices: Array) -> list[Answer]:
        """Return each group's answer at some prices."""
        ...

    def plans(self, weights: Array) -> list[list[SitePlan]]:
        """Return each group's plans, its schedules mixed by weights: groups x rounds."""
        ...


class Hall:
    """Groups in one process."""

    def __init__(self) -> None:
        self._groups: list[Group] = []

    def take(self, fleet: Fleet, groups: Sequence[Sequence[int]]) -> None:
        """Build the groups of a fleet's sites."""
        self._groups = [Group(fleet.only(numbers)) for numbers in groups]

    def answers(self, prices: Array) -> list[Answer]:
        """Return each group's answer at some prices."""
        return [group.answer(prices) for group in self._groups]

    def plans(self, weights: Array) -> list[list[SitePlan]]:
        """Return each group's plans."""
        return [group.plans(w) for group, w in zip(self._groups, weights, strict=True)]


class DaskWorkers:
    """Groups dealt out to an actor in each worker process of a Dask cluster."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._actors: list[Any] = []
        self._building: list[Any] = []

    def take(self, fleet: Fleet, groups: Sequence[Sequence[int]]) -> None:
        """Build the groups of a fleet's sites, dealt out in turn."""
        names = sorted(self._client.scheduler_info()["workers"])
        made = [
            self._client.submit(Hall, actor=True, workers=[name], allow_other_workers=False)
            for name in names
        ]
        self._actors = [future.result() for future in made]
        self._building = [
            actor.take(*_dealt_to(fleet, groups[place :: len(names)]))
            for place, actor in enumerate(self._actors)
        ]

    def answers(self, prices: Array) -> list[Answer]:
        """Return each group's answer at some prices, all workers at once."""
        while self._building:
            self._building.pop().result()
        return self._dealt([actor.answers(prices) for actor in self._actors])

    def plans(self, weights: Array) -> list[list[SitePlan]]:
        """Return each group's plans, all workers at once."""
        count = len(self._actors)
        return self._dealt(
            [actor.plans(weights[place::count]) for place, actor in enumerate(self._actors)]
        )

    def processor_seconds(self) -> list[float]:
        """Return what each worker process has computed since it began."""
        return list(self._client.run(time.process_time).values())

    def _dealt(self, waiting: list[Any]) -> list[Any]:
        parts = [each.result() for each in waiting]
        found: list[Any] = [None] * sum(map(len, parts))
        for place, part in enumerate(parts):
            found[place :: len(parts)] = part
        return found


def _dealt_to(fleet: Fleet, groups: Sequence[Sequence[int]]) -> tuple[Fleet, list[list[int]]]:
    """Return what a worker is sent at once: its sites alone, and its groups by their numbers."""
    numbers = [number for group in groups for number in group]
    places = iter(range(len(numbers)))
    return fleet.only(numbers), [[next(places) for _ in group] for group in groups]


@contextmanager
def local_workers(processes: int | None = None) -> Iterator[DaskWorkers]:
    """Start worker processes on this machine, one a core if no number is given."""
    import dask
    from distributed import Client, LocalCluster

    count = processes or os.cpu_count() or 1
    with (
        dask.config.set({"distributed.comm.timeouts": {"connect": PATIENCE, "tcp": PATIENCE}}),
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None,
            host="127.0.0.1", memory_limit=0, silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):  # fmt: skip
        yield DaskWorkers(client)
