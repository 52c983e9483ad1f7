"""`yui replay`: a period of all offices, through the real contracts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from chain.anvil import AnvilChain, anvil
from energy.errors import SettingError
from orchestrator import screen
from orchestrator.agents import STRATEGIES
from orchestrator.demo import with_mode
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.replay.period import beginning_of, replayed
from orchestrator.replay.plan import TRUTHFUL, Plan
from orchestrator.setting.sites import MODES, load_setting
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import PLAN
from orchestrator.words import Language

FOLDER = Path(".yui/replay")
EVM, ANVIL = "evm", "anvil"
_STEPS = {
    "again": "running the kept transactions again",
    "slots": "half hours settled",
    "audit": "blocks audited",
}


def replay(
    first: Annotated[str, typer.Option("--from", help="The first day, as 2019-01-01.")] = (
        "2019-01-01"
    ),
    days: Annotated[int, typer.Option(help="How many days.")] = 365,
    mode: Annotated[
        str | None, typer.Option(help="ahead or after-metering; the sites file's if not given.")
    ] = None,
    battery: InSteering = PLAN,
    agents: Annotated[
        str,
        typer.Option(
            help="How agents quote, within their sites' limits: truthful, zero-intelligence, "
            "fixed-margin (of 1 JPY/kWh)."
        ),
    ] = TRUTHFUL,
    seed: Annotated[str, typer.Option(help="What keys and chance are drawn from.")] = "yui",
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
    folder: Annotated[
        Path, typer.Option(help="Where it is kept; gone on with if it stopped there.")
    ] = FOLDER,
    chain: Annotated[
        str,
        typer.Option(help="evm: in this process; anvil: a node of its own; or an anvil's URL."),
    ] = EVM,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Replay a period of all offices through the real contracts, and audit it."""
    if mode is not None and mode not in MODES:
        raise SettingError(f"--mode must be one of {', '.join(MODES)}, got {mode!r}")
    check_steering(battery)
    if agents not in STRATEGIES:
        raise SettingError(f"--agents must be one of {', '.join(STRATEGIES)}, got {agents!r}")
    if days < 1:
        raise SettingError(f"--days must be at least 1, got {days}")
    setting = with_mode(load_setting(sites), mode)
    played = str(sites or "bundled")
    plan = Plan(day_from(first), days, battery, setting.market.mode, seed, played, agents)
    begun = time.monotonic()
    with _shown() as progress, _node(chain, beginning_of(setting, plan)) as node:
        done = replayed(setting, plan, folder, progress, node)
    if as_json:
        print_json(
            {
                **plan.to_json(),
                "store": str(folder / "store.sqlite"),
                "market": done.market,
                "origin": done.origin,
                "audit": done.findings.to_json(),
                "seconds": round(time.monotonic() - begun, 1),
            }
        )
        return
    console = screen.console()
    console.print(screen.audit_line(done.findings, language), style="bold green")
    console.print(f"{folder / 'store.sqlite'}: yui report --store, yui statement --store ...")


@contextmanager
def _node(chain: str, start: int) -> Iterator[AnvilChain | None]:
    """The chain that is asked for: None where it is this process's own."""
    if chain == EVM:
        yield None
    elif chain == ANVIL:
        with anvil(start) as node:
            yield node
    elif "://" in chain:
        node = AnvilChain(chain)
        if node.now() > start:
            raise SettingError(
                f"{chain} must be a development node whose clock stands before {start} "
                f"(unix seconds), got {node.now()}: the clock can only be set forward"
            )
        node.set_time(start)
        yield node
    else:
        raise SettingError(f"--chain must be {EVM}, {ANVIL} or a URL, got {chain!r}")


@contextmanager
def _shown() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far it is on stderr, with the time that is left."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks = {}
    with bar:

        def shown(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(_STEPS[step], total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield shown
