"""`yui replay`: a period of all offices, through the real contracts."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy.errors import SettingError
from energy.units import PRICE_LIMIT, PRICE_PER_YEN
from orchestrator import screen
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.progress import progress_bar
from orchestrator.replay.plan import BUNDLED, MARKUP, TRUTHFUL, Plan
from orchestrator.setting.sites import load_setting, with_mode
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import PLAN
from orchestrator.trading.agents import STRATEGIES
from orchestrator.words import Language, say

if TYPE_CHECKING:
    from chain.anvil import AnvilChain

FOLDER = Path(".yui/replay")
EVM, ANVIL = "evm", "anvil"


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
    loads: Annotated[
        Path | None, typer.Option(help="Hourly loads (kWh) of your own, as the bundled CSV file.")
    ] = None,
    pv: Annotated[
        Path | None,
        typer.Option(help="A year of PV of your own, parts of its peak, as the bundled CSV file."),
    ] = None,
    tariffs: Annotated[
        Path | None,
        typer.Option(
            help="Prices that change from a date on: CSV of from_date, from_time, selling, "
            "buying, fee (JPY/kWh)."
        ),
    ] = None,
    exchange: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|synthetic",
            help="Link the utility's prices to an exchange's by day, enacted at 11:00 the day "
            "before.",
        ),
    ] = None,
    markup: Annotated[
        float | None,
        typer.Option(help="JPY/kWh that the utility sells above the exchange's price; 8."),
    ] = None,
    calls: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|example",
            help="Balancing calls that the batteries serve: a JSON list, or the example's.",
        ),
    ] = None,
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
    from orchestrator.replay.period import beginning_of, replayed

    check_steering(battery)
    if agents not in STRATEGIES:
        raise SettingError(f"--agents must be one of {', '.join(STRATEGIES)}, got {agents!r}")
    if days < 1:
        raise SettingError(f"--days must be at least 1, got {days}")
    if markup is not None and exchange is None:
        raise SettingError(f"--markup must come with --exchange, got {markup:g} without")
    most = (PRICE_LIMIT - 1) / PRICE_PER_YEN
    if markup is not None and not 0 <= markup <= most:
        raise SettingError(f"--markup must be 0 to {most} JPY/kWh, got {markup:g}")
    setting = with_mode(load_setting(sites), mode)
    plan = Plan(
        day_from(first),
        days,
        battery,
        setting.market.mode,
        seed,
        sites=str(sites or BUNDLED),
        agents=agents,
        loads=str(loads or BUNDLED),
        pv=str(pv or BUNDLED),
        tariffs=str(tariffs or ""),
        exchange=exchange or "",
        markup=MARKUP if markup is None else round(markup * PRICE_PER_YEN),
        calls=calls or "",
    )
    begun = time.monotonic()
    with progress_bar(language) as progress, _node(chain, beginning_of(setting, plan)) as node:
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
    store = shlex.quote(str(folder / "store.sqlite"))
    for command in (f"yui report --store {store}", f"yui web --store {store}"):
        console.print(say(language, "go_on", command=command), soft_wrap=True)


@contextmanager
def _node(chain: str, start: int) -> Iterator[AnvilChain | None]:
    """The chain that is asked for: None where it is this process's own."""
    from chain.anvil import AnvilChain, anvil

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
