"""`yui fleet list|watch|charge|discharge|hold|limit|stop|resume|trail`: batteries in bulk.

Each connects to the fleet's broker by itself, whether or not a control room keeps watch.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from energy.errors import AuditError, SettingError
from orchestrator import screen
from orchestrator.fleet.room_cli import FLEET_FOLDER, FleetPath
from orchestrator.fleet.view import (
    fleet_table,
    result_json,
    result_table,
    state_json,
    trail_table,
)
from orchestrator.fleet.words import say
from orchestrator.options import InLanguage, Json, print_json, with_options
from orchestrator.progress import progress_bar
from orchestrator.words import Language
from vpp.commands import Action
from vpp.link.folders import room_at
from vpp.room.room import Room
from vpp.room.selecting import Selection, chosen
from vpp.room.sending import Told
from vpp.room.store import LOST_SECONDS, Outcome, State, opened, records

NOT_ALL_TAKEN = 3
"""Exit code: a site refused, or did not answer."""
CONNECT_SECONDS = 10.0
DEFAULT_SPAN = "30m"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Why = Annotated[str, typer.Option(help="Why it is done, for the audit trail and the sites.")]
Power = Annotated[float, typer.Option(help="With how much power, in kW.")]
Span = Annotated[str, typer.Option("--for", help="How long it holds, as 90s, 30m, 2h or 1d.")]


@dataclass(frozen=True)
class Order:
    """What the commands that act share."""

    fleet: Path
    dry_run: bool
    yes: bool
    wait: float
    language: Language
    as_json: bool
    why: str


def _selection(
    site: Annotated[
        list[str] | None, typer.Option(help="A site, by name or number; repeat it, or a,b,c.")
    ] = None,
    municipality: Annotated[
        list[str] | None, typer.Option(help="The sites of a municipality; repeat it, or a,b.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="The sites of a type, as pv+battery.")
    ] = None,
    charge_above: Annotated[
        float | None, typer.Option(help="Only sites charged above so many per cent.")
    ] = None,
    charge_below: Annotated[
        float | None, typer.Option(help="Only sites charged below so many per cent.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All sites.")] = False,
) -> Selection:
    def parts(given: list[str] | None) -> tuple[str, ...]:
        return tuple(part for each in given or () for part in each.split(",") if part)

    return Selection(
        parts(site), parts(municipality), parts(kind), charge_above, charge_below, everything
    )


def _order(
    fleet: FleetPath = FLEET_FOLDER,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sending.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for answers.")] = 10.0,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    why: Why = "",
) -> Order:
    return Order(fleet, dry_run, yes, wait, language, as_json, why)


def mount(app: typer.Typer) -> None:
    """Add the commands to `yui fleet`."""
    for command in (watch, charge, discharge, hold, limit, stop, resume, trail):
        app.command()(command)
    app.command("list")(list_sites)


@with_options(_selection)
def list_sites(
    selection: Selection,
    fleet: FleetPath = FLEET_FOLDER,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """List the sites: how they stand now, what they follow, what is wrong."""

    async def asked() -> tuple[str, Sequence[State]]:
        async with _desk(fleet) as room:
            return room.place.fleet.name, chosen(room.states(), selection).states

    name, states = asyncio.run(asked())
    now = time.time()
    if as_json:
        print_json([state_json(state, now, LOST_SECONDS) for state in states])
    else:
        screen.console().print(fleet_table(name, states, now, LOST_SECONDS, language))


@with_options(_selection)
def watch(
    selection: Selection,
    fleet: FleetPath = FLEET_FOLDER,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
) -> None:
    """Watch the sites live, until Ctrl-C; with --json a line for each new report."""

    async def shown() -> None:
        async with _desk(fleet) as room:
            name, told = room.place.fleet.name, dict[int, int]()
            console = screen.console()
            with Live(console=console, auto_refresh=False, transient=as_json) as live:
                while True:
                    now = time.time()
                    states = chosen(room.states(), selection).states
                    if as_json:
                        _print_new(states, told, now)
                    else:
                        table = fleet_table(name, states, now, LOST_SECONDS, language)
                        live.update(table, refresh=True)
                    await asyncio.sleep(1)

    async def limited() -> None:
        try:
            async with asyncio.timeout(seconds):
                await shown()
        except TimeoutError:
            return

    asyncio.run(limited())


@with_options(_order)
@with_options(_selection)
def charge(selection: Selection, order: Order, power: Power, span: Span = DEFAULT_SPAN) -> None:
    """Charge with a power for a while."""
    _act(selection, order, Action.CHARGE, _watts(power, least=1), _seconds(span))


@with_options(_order)
@with_options(_selection)
def discharge(selection: Selection, order: Order, power: Power, span: Span = DEFAULT_SPAN) -> None:
    """Discharge with a power for a while."""
    _act(selection, order, Action.DISCHARGE, _watts(power, least=1), _seconds(span))


@with_options(_order)
@with_options(_selection)
def hold(selection: Selection, order: Order, span: Span = DEFAULT_SPAN) -> None:
    """Neither charge nor discharge for a while."""
    _act(selection, order, Action.HOLD, 0, _seconds(span))


@with_options(_order)
@with_options(_selection)
def limit(selection: Selection, order: Order, power: Power, span: Span = DEFAULT_SPAN) -> None:
    """Charge and discharge with at most a power for a while."""
    _act(selection, order, Action.LIMIT, _watts(power, least=0), _seconds(span))


@with_options(_order)
@with_options(_selection)
def stop(selection: Selection, order: Order) -> None:
    """Stop batteries until they are resumed, whatever else they were told; also those that are
    away now, when they come back within a day."""
    _act(selection, order, Action.STOP, 0, None)


@with_options(_order)
@with_options(_selection)
def resume(selection: Selection, order: Order) -> None:
    """End a stop, and take back commands, limits and calls; the plan goes on."""
    _act(selection, order, Action.RESUME, 0, None)


def trail(
    fleet: FleetPath = FLEET_FOLDER,
    limit: Annotated[int, typer.Option(help="How many of the newest entries to show.")] = 20,
    head: Annotated[
        str | None,
        typer.Option(help="A hash that must be in it: one noted before, or kept by a site."),
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="The room's store: a path, or a postgresql:// URL.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Show the audit trail, and check that nothing was changed in it or taken out."""
    engine = opened(store or str(room_at(fleet).store))
    with records(engine) as read:
        entries, checked = read.entries(limit), read.check_trail(head)
    engine.dispose()
    if as_json:
        print_json(
            {
                "entries": [
                    {
                        "number": entry.number,
                        "at": entry.at,
                        "kind": entry.kind,
                        "said": entry.content,
                        "hash": entry.hash,
                    }
                    for entry in entries
                ],
                "checked": checked.entries,
                "head": checked.head,
                "broken_at": checked.broken_at,
            }
        )
    else:
        console = screen.console()
        console.print(trail_table(entries, language))
        if checked.broken_at is None:
            whole = say(language, "sound", entries=checked.entries, head=checked.head)
            console.print(whole, style="green", soft_wrap=True)
    if checked.broken_at is not None:
        raise AuditError(f"the audit trail must be whole: {checked.reason}")


@asynccontextmanager
async def _desk(fleet: Path) -> AsyncIterator[Room]:
    place = room_at(fleet)
    engine = opened(str(place.store))
    try:
        async with Room(place, engine, place.key()).at_work(CONNECT_SECONDS) as room:
            await room.settled()
            yield room
    finally:
        engine.dispose()


def _act(
    selection: Selection, order: Order, action: Action, power_w: int, span: int | None
) -> None:
    if selection.empty:
        raise SettingError("--all or a selector must say which sites are meant, got none")
    told, states, seconds = asyncio.run(_acted(selection, order, action, power_w, span))
    if not told:
        return
    by_site = {state.site: state for state in states}
    if order.as_json:
        print_json([result_json(each, by_site[each.instruction.site]) for each in told])
    else:
        outcomes = [each.outcome for each in told]
        counts = {
            each.value: outcomes.count(each)
            for each in (Outcome.TAKEN, Outcome.REFUSED, Outcome.OPEN)
        }
        console = screen.console()
        console.print(result_table(told, by_site, order.language))
        console.print(say(order.language, "sum", **counts, seconds=seconds))
        if counts["open"]:
            console.print(say(order.language, "unanswered"))
    if any(each.outcome is not Outcome.TAKEN for each in told):
        raise typer.Exit(NOT_ALL_TAKEN)


async def _acted(
    selection: Selection, order: Order, action: Action, power_w: int, span: int | None
) -> tuple[list[Told], Sequence[State], float]:
    async with _desk(order.fleet) as room:
        found = chosen(room.states(), selection)
        if found.unknown:
            print(say(order.language, "skipped", count=len(found.unknown)), file=sys.stderr)
        if not found.states:
            raise SettingError(say(order.language, "nobody"))
        if not _agreed(order, room, found.states, action, power_w, span):
            return [], found.states, 0.0
        instructions = [
            room.instruction(state.site, action, lasts=span or 60, power_w=power_w)
            for state in found.states
        ]
        began = time.monotonic()
        with progress_bar(order.language) as progress:
            answered: set[int] = set()
            progress("told", 0, len(instructions))

            def heard(each: Told) -> None:
                answered.add(each.instruction.site)
                progress("told", len(answered), len(instructions))

            told = await room.send(
                instructions, getpass.getuser(), order.why, heard, patience=order.wait
            )
        return told, found.states, time.monotonic() - began


def _agreed(
    order: Order,
    room: Room,
    states: Sequence[State],
    action: Action,
    power_w: int,
    span: int | None,
) -> bool:
    """Say what is about to be sent; return whether it is to be."""
    language, now = order.language, time.time()
    word = "charge_action" if action is Action.CHARGE else action.value
    wish = say(
        language,
        "wish",
        action=say(language, word),
        count=len(states),
        power=say(language, "power", kw=power_w / 1000)
        if action in (Action.CHARGE, Action.DISCHARGE, Action.LIMIT)
        else "",
        span="" if span is None else say(language, "span", span=_spelled(span)),
    )
    if order.dry_run and order.as_json:
        print_json([state_json(state, now, LOST_SECONDS) for state in states])
        return False
    if order.dry_run or not order.yes:
        console = screen.console()
        name = room.place.fleet.name
        console.print(fleet_table(name, states, now, LOST_SECONDS, language))
        console.print(wish, style="bold")
    if order.dry_run:
        print(say(language, "dry"))
        return False
    if not order.yes:
        if not sys.stdin.isatty():
            raise SettingError("--yes must be given where nobody can be asked")
        typer.confirm(say(language, "confirm"), abort=True)
    return True


def _print_new(states: Sequence[State], told: dict[int, int], now: float) -> None:
    for state in states:
        if state.report is not None and told.get(state.site) != state.report.at:
            told[state.site] = state.report.at
            shown = state_json(state, now, LOST_SECONDS)
            print(json.dumps(shown, ensure_ascii=False), flush=True)


def _watts(kw: float, least: int) -> int:
    watts = round(kw * 1000)
    if watts < least or kw > 1_000_000:
        raise SettingError(
            f"--power must be {'above 0' if least else '0 or more'} kW and at most 1,000,000 kW, "
            f"got {kw:g} kW"
        )
    return watts


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)([smhd])", text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= 31 * 86_400:
        raise SettingError(f"--for must be as 90s, 30m, 2h or 1d, 31 days at most, got {text!r}")
    return seconds


def _spelled(seconds: int) -> str:
    for unit in ("d", "h", "m"):
        if not seconds % _UNITS[unit]:
            return f"{seconds // _UNITS[unit]} {unit}"
    return f"{seconds} s"
