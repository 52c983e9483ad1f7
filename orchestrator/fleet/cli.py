"""`yui fleet`: many sites' batteries together."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from energy.errors import SettingError
from orchestrator import screen
from orchestrator.fleet import commands as fleet_commands
from orchestrator.fleet import setup as fleet_setup
from orchestrator.fleet_demo import cli as fleet_demo_cli
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.words import Language

app = typer.Typer(no_args_is_help=True, help="Many sites' batteries together.")


@app.callback()
def fleet() -> None:
    """Many sites' batteries together."""


@app.command()
def plan(
    sites: Annotated[int, typer.Option(help="How many sites, resampled from the real series.")] = (
        100
    ),
    day: Annotated[str, typer.Option(help="A day of 2019, as 2019-06-04.")] = "2019-06-04",
    seed: Annotated[int, typer.Option(help="What the sites are drawn from.")] = 1,
    tight: Annotated[
        float, typer.Option(help="How many times as tight as usual the shared limits are.")
    ] = 1.0,
    gap: Annotated[float, typer.Option(help="How far from the best it may be, a part.")] = 1e-3,
    processes: Annotated[int, typer.Option(help="Worker processes; 1 plans in this one.")] = 1,
    pools: Annotated[bool, typer.Option("--pools", help="Sell the reserve region by region.")] = (
        False
    ),
    alone: Annotated[
        bool,
        typer.Option(
            "--apart",
            help="Plan each site with its share of the limits as well: what is sharing worth?",
        ),
    ] = False,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Plan a fleet's day within shared limits: caps on import and export, a reserve to hold."""
    # The planner takes seconds to load, and a stop is not to wait for it.
    from orchestrator.fleet.plan_view import plan_parts, plan_values, say_fleet
    from orchestrator.setting.fleet import Limits, pooled, synthetic
    from vpp.fleet.apart import apart
    from vpp.fleet.planner import EXACT_UP_TO, joint_plan
    from vpp.fleet.workers import local_workers

    if tight <= 0:
        raise SettingError(f"--tight must be above 0, got {tight}")
    if gap <= 0:
        raise SettingError(f"--gap must be above 0, got {gap}")
    if processes < 1:
        raise SettingError(f"--processes must be at least 1, got {processes}")
    made = synthetic(sites, day_from(day), seed, Limits().tighter(tight))
    if pools:
        made = pooled(made)
    console = Console(stderr=True)

    def shown(number: int, cost: float, bound: float) -> None:
        console.print(say_fleet(language, "round", number=number, cost=cost, bound=bound))

    if sites <= EXACT_UP_TO or processes == 1:
        found = joint_plan(made, gap=gap, progress=shown)
    else:
        with local_workers(processes) as workers:
            found = joint_plan(made, workers, gap=gap, progress=shown)
    compared = apart(made) if alone else None
    if as_json:
        print_json(plan_values(found, compared))
        return
    for part in plan_parts(found, language, compared):
        screen.console().print(part)


fleet_setup.mount(app)
fleet_commands.mount(app)
fleet_demo_cli.mount(app)
