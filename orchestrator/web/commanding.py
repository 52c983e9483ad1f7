"""Commands to the fleet: an operator chooses sites by the fleet's filters, says what and why, sees
which sites are meant, and sends. Nobody else comes here.

What carries the commands is the desk's `Commander`. Without one the page says which command of
`yui fleet` does the same.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from energy.errors import LinkError, SettingError, StoreError
from orchestrator.web.access.guard import visit_of
from orchestrator.web.answers import language_of, rendered, source_for
from orchestrator.web.draw.fleet import answer_rows, meant_rows
from orchestrator.web.drawing import Pen
from orchestrator.web.pages import FILTERS, filters_of
from orchestrator.web.views.fleet import (
    Filters,
    FleetSite,
    Town,
    matching_sites,
    towns_of,
    unnamed,
)
from vpp.commands import Action

ACTIONS = (
    Action.CHARGE,
    Action.DISCHARGE,
    Action.HOLD,
    Action.LIMIT,
    Action.RESUME,
    Action.STOP,
)
WITH_POWER = (Action.CHARGE, Action.DISCHARGE, Action.LIMIT)
ENDLESS = (Action.RESUME, Action.STOP)
MOST_KW, MOST_MINUTES, LONGEST_WHY = 100_000, 31 * 1_440, 200
PATH = "/fleet/command"
EMPTY = {"action": "", "power": "", "minutes": "30", "why": ""}


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be told, whoever is told: `seconds` is how long it holds, None without an end."""

    action: Action
    power_w: int
    seconds: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a command at a site: `outcome` as in `vpp.room.store.Outcome`."""

    site: int
    outcome: str
    refused: str = ""


class Commander(Protocol):
    """What carries commands to sites, and waits for their answers."""

    async def give(self, sites: Sequence[int], command: Command, by: str) -> Sequence[Answered]:
        """Tell sites, and return what they answered within a few seconds.

        Raises:
            LinkError, StoreError: if it did not go out.
        """
        ...


Answer = Callable[[Request], Awaitable[Response]]


def routes() -> list[Route]:
    """Return the routes; whatever is posted has passed the guard: its token is right."""
    return [
        Route(PATH, _operators(_form), name="command"),
        Route(PATH, _operators(_give), methods=["POST"]),
    ]


def _operators(answer: Answer) -> Answer:
    @wraps(answer)
    async def checked(request: Request) -> Response:
        visit = visit_of(request)
        if visit.session is None and request.method == "GET":
            here = quote(f"{PATH}?{request.url.query}" if request.url.query else PATH)
            return RedirectResponse(f"/log-in?next={here}", status_code=303)
        if not visit.viewer.may_command:
            raise HTTPException(403, "commands are for operators")
        return await answer(request)

    return checked


async def _form(request: Request) -> Response:
    filters, asked = _filters(request)
    return await asyncio.to_thread(_page, request, filters, asked)


async def _give(request: Request) -> Response:
    visit = visit_of(request)
    filters, asked = _filters(request)
    fields = {name: str(value) for name, value in (await request.form()).items()}
    commander = request.app.state.desk.commander
    try:
        command = command_of(fields)
        sites, every = _listed(request, fields)
    except SettingError as error:
        return _page(request, filters, asked, fields, told=str(error), status=400)
    if commander is None:
        typed = as_typed(command, sites, everything=every and not asked)
        return _page(request, filters, asked, fields, typed=typed, meant=sites, status=400)
    assert visit.session is not None
    try:
        answers = await commander.give(sites, command, visit.session.user.name)
    except (LinkError, StoreError) as error:
        told = str(error)
        return _page(request, filters, asked, fields, told=told, meant=sites, status=503)
    return _page(request, filters, asked, fields, answers=answers, meant=sites)


def _listed(request: Request, fields: Mapping[str, str]) -> tuple[list[int], bool]:
    """Return the sites that were shown as those that are meant: they, whatever has changed since;
    and whether they are all of the fleet's.

    Raises:
        SettingError: if there is none, or one that the fleet does not have.
    """
    with source_for(request) as source:
        known = {site.site.number for site in matching_sites(source, Filters())}
    listed = [text for text in fields.get("sites", "").split(",") if text]
    if not listed or not all(text.isdecimal() and int(text) in known for text in listed):
        raise SettingError(f"sites must be some of the fleet's, got {fields.get('sites')!r:.80}")
    sites = [int(text) for text in listed]
    return sites, set(sites) == known


def command_of(fields: Mapping[str, str]) -> Command:
    """Return the command that a form's fields say.

    >>> command_of({"action": "charge", "power": "7.5", "minutes": "30", "why": "cheap noon"})
    Command(action=<Action.CHARGE: 'charge'>, power_w=7500, seconds=1800, why='cheap noon')

    Raises:
        SettingError: if a field is missing or makes no sense.
    """
    wanted, why = fields.get("action", ""), fields.get("why", "").strip()
    if wanted not in [action.value for action in ACTIONS]:
        known = ", ".join(action.value for action in ACTIONS)
        raise SettingError(f"an action must be one of {known}, got {wanted!r}")
    action = Action(wanted)
    if not why or len(why) > LONGEST_WHY:
        raise SettingError(
            f"a reason must be given, in at most {LONGEST_WHY} characters, got {len(why)}"
        )
    least = 0.0 if action is Action.LIMIT else 0.001
    power = _number(fields, "power", least, MOST_KW) if action in WITH_POWER else 0.0
    seconds = None
    if action not in ENDLESS:
        seconds = round(_number(fields, "minutes", 1, MOST_MINUTES)) * 60
    return Command(action, round(power * 1_000), seconds, why)


def _number(fields: Mapping[str, str], name: str, least: float, most: float) -> float:
    text = fields.get(name, "")
    try:
        value = float(text)
    except ValueError as error:
        raise SettingError(f"{name} must be a number, got {text!r}") from error
    if not least <= value <= most:
        raise SettingError(f"{name} must be from {least:g} to {most:g}, got {value:g}")
    return value


def as_typed(command: Command, sites: Sequence[int], *, everything: bool = False) -> str:
    """Return the command line that tells the same sites the same.

    They go by number, however they were filtered: what holds of a site may change until it is
    typed.

    >>> as_typed(Command(Action.STOP, 0, None, "smoke"), [3, 14])
    'yui fleet stop --site 3,14 --why smoke'
    """
    words = ["yui", "fleet", command.action.value]
    words += ["--all"] if everything else ["--site", ",".join(map(str, sorted(sites)))]
    if command.action in WITH_POWER:
        words += ["--power", f"{command.power_w / 1_000:g}"]
    if command.seconds is not None:
        words += ["--for", f"{command.seconds // 60}m"]
    return shlex.join([*words, "--why", command.why])


def _filters(request: Request) -> tuple[Filters, dict[str, str]]:
    query = request.query_params
    asked = {one.name: query[one.name] for one in FILTERS if query.get(one.name)}
    read = {one.name: one.read(asked[one.name]) for one in FILTERS if one.name in asked}
    return filters_of(read), asked


def _meant(
    request: Request, filters: Filters, listed: Collection[int] | None
) -> tuple[list[FleetSite], tuple[Town, ...]]:
    """Return the sites that are listed, or else those that filters leave now."""
    with source_for(request) as source:
        sites = matching_sites(source, filters if listed is None else Filters())
        if listed is not None:
            sites = [site for site in sites if site.site.number in listed]
        return sites, towns_of(source, sites)


def _page(
    request: Request,
    filters: Filters,
    asked: Mapping[str, str],
    fields: Mapping[str, str] | None = None,
    *,
    told: str | None = None,
    typed: str | None = None,
    answers: Sequence[Answered] | None = None,
    meant: Collection[int] | None = None,
    status: int = 200,
) -> Response:
    sites, towns = _meant(request, filters, meant)
    names = {site.site.number: site.site for site in sites}
    pen = Pen(language_of(request), request.app.state.desk.environment)
    values: dict[str, Any] = {
        "page": "fleet",
        "sites": [site.site.number for site in sites],
        "meant_rows": meant_rows(pen, sites, towns),
        "back": f"/fleet?{urlencode(asked)}",
        "post_to": f"{PATH}?{urlencode(asked)}",
        "actions": [action.value for action in ACTIONS],
        "fields": {**EMPTY, **(fields or {})},
        "told": told,
        "typed": typed,
        "answer_rows": None
        if answers is None
        else answer_rows(
            pen,
            [(names.get(one.site, unnamed(one.site)), one.outcome, one.refused) for one in answers],
        ),
        "most_minutes": MOST_MINUTES,
        "token": visit_of(request).token,
    }
    body = rendered(request, "command.html", list(asked.items()), **values)
    headers = {"Cache-Control": "no-store"}
    return Response(body, status, headers, media_type="text/html; charset=utf-8")
