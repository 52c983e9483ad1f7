"""`yui fleet`: many sites' batteries together."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from energy.errors import SettingError
from energy.units import half_hour
from orchestrator import fleet_commands, fleet_setup, screen
from orchestrator.options import Json, day_from, print_json
from orchestrator.setting.fleet import Limits, municipality, synthetic
from vpp.fleet.planner import EXACT_UP_TO, joint_plan
from vpp.fleet.result import JointPlan
from vpp.fleet.workers import local_workers

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
    as_json: Json = False,
) -> None:
    """Plan a fleet's day within shared limits: caps on import and export, a reserve to hold."""
    if tight <= 0:
        raise SettingError(f"--tight must be above 0, got {tight}")
    if gap <= 0:
        raise SettingError(f"--gap must be above 0, got {gap}")
    if processes < 1:
        raise SettingError(f"--processes must be at least 1, got {processes}")
    made = synthetic(sites, day_from(day), seed, Limits().tighter(tight))
    console = Console(stderr=True)

    def shown(number: int, cost: float, bound: float) -> None:
        console.print(f"round {number}: {cost:,.0f} JPY, none below {bound:,.0f}")

    if sites <= EXACT_UP_TO or processes == 1:
        found = joint_plan(made, gap=gap, progress=shown)
    else:
        with local_workers(processes) as workers:
            found = joint_plan(made, workers, gap=gap, progress=shown)
    if as_json:
        print_json(_json(found))
        return
    output = screen.console()
    output.print(_summary(found))
    if found.prices:
        output.print(_prices(found))
    output.print(_accounts(found))
    for breach in found.breaches:
        slot = half_hour(made.members[0].problem.first_slot + breach.slot)
        output.print(f"missed: {breach.limit} at {slot} by {breach.amount:,.1f}", style="red")
    for fault in found.faults:
        output.print(f"fault: {fault}", style="bold red")


fleet_setup.mount(app)
fleet_commands.mount(app)


def _summary(plan: JointPlan) -> Table:
    table = Table(title=f"A joint plan of {len(plan.sites)} sites", title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in (
        ("money, JPY", f"{plan.money:,.0f}"),
        ("no plan costs less than, JPY", f"{plan.bound:,.0f}"),
        ("gap, proven", f"{plan.gap:.4%}"),
        ("made by", f"{plan.made_by}, {plan.rounds} rounds, {plan.seconds:.1f} s"),
        ("shared limits missed", f"{len(plan.breaches)}"),
    ):
        table.add_row(name, value)
    return table


def _prices(plan: JointPlan) -> Table:
    table = Table(title="What a unit of a shared limit is worth", title_justify="left")
    for name in ("limit", "half hour", "price JPY", "taken", "limit is"):
        table.add_column(name, justify="left" if name in ("limit", "half hour") else "right")
    first = plan.fleet.members[0].problem.first_slot
    for limit in plan.fleet.limits:
        prices, taken = plan.prices[limit.kind], plan.sums[limit.kind]
        bounds = limit.lower if limit.kind.startswith("reserve") else limit.upper
        edges = np.broadcast_to(bounds, limit.slots.shape)
        for number in np.flatnonzero(np.abs(prices) > 1e-6):
            table.add_row(
                limit.kind,
                half_hour(first + int(limit.slots[number])),
                f"{prices[number]:,.2f}",
                f"{taken[number]:,.1f}",
                f"{edges[number]:,.1f}",
            )
    return table


def _accounts(plan: JointPlan) -> Table:
    kinds = [limit.kind for limit in plan.fleet.limits]
    table = Table(title="Who pays for the limits", title_justify="left")
    table.add_column("municipality")
    for name in ("sites", "money JPY", *(f"for {kind} JPY" for kind in kinds), "settled JPY"):
        table.add_column(name, justify="right")
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * (len(kinds) + 3))
    for account in plan.accounts:
        values = [1.0, account.money, *(account.transfers[kind] for kind in kinds)]
        row = sums[municipality(account.name)]
        for place, value in enumerate([*values, account.settled]):
            row[place] += value
    for name, row in sorted(sums.items()):
        table.add_row(name, *(f"{value:,.0f}" for value in row))
    return table


def _json(plan: JointPlan) -> dict[str, object]:
    return {
        "sites": len(plan.sites),
        "money_jpy": plan.money,
        "steering_jpy": plan.steering,
        "bound_jpy": plan.bound,
        "gap": plan.gap,
        "made_by": plan.made_by,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "first_slot": plan.fleet.members[0].problem.first_slot,
        "limits": {
            limit.kind: {
                "slots": limit.slots.tolist(),
                "prices_jpy": plan.prices[limit.kind].tolist(),
                "taken": plan.sums[limit.kind].tolist(),
            }
            for limit in plan.fleet.limits
        },
        "breaches": [
            {"limit": each.limit, "slot": each.slot, "amount": each.amount}
            for each in plan.breaches
        ],
        "accounts": [
            {
                "site": each.name,
                "money_jpy": each.money,
                "transfers_jpy": each.transfers,
                "settled_jpy": each.settled,
            }
            for each in plan.accounts
        ],
        "faults": plan.faults,
    }
