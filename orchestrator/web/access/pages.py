"""The pages of access: log-in and log-out, one's account, an invitation, and the log.

All but passkeys work without a script. What is posted has passed the guard: its token is right.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from energy.errors import SettingError
from energy.japanese import in_language
from energy.units import JST
from orchestrator.web.access.accounts import LONGEST_NAME, User
from orchestrator.web.access.guard import Visit, address_of, check_wait, cookie, visit_of
from orchestrator.web.access.sessions import Session
from orchestrator.web.answers import language_of
from orchestrator.web.desk import Desk
from orchestrator.web.reads import Ref, source_of

ATTEMPTS = "too many attempts"
PASSWORD, PASSKEY, INVITATION = "password", "passkey", "invitation"
FIRST_PAGE = "/now"
Answer = Callable[[Request], Awaitable[Response]]
Render = Callable[..., str]


def routes(render: Render) -> list[Route]:
    """Return the routes; `render` makes a page of a request, a template and values."""
    pages = _Pages(render)
    return [
        Route("/log-in", pages.log_in_form, name="log-in"),
        Route("/log-in", pages.log_in, methods=["POST"]),
        Route("/log-in/passkey/ask", pages.ask_passkey, methods=["POST"]),
        Route("/log-in/passkey", pages.log_in_by_passkey, methods=["POST"]),
        Route("/log-out", pages.log_out, methods=["POST"]),
        Route("/invitation/{invitation}", pages.invitation_form, name="invitation"),
        Route("/invitation/{invitation}", pages.take_invitation, methods=["POST"]),
        Route("/account", pages.account, name="account"),
        Route("/account/password", pages.change_password, methods=["POST"]),
        Route("/account/sessions", pages.end_others, methods=["POST"]),
        Route("/account/passkeys/ask", pages.ask_new_passkey, methods=["POST"]),
        Route("/account/passkeys", pages.add_passkey, methods=["POST"]),
        Route("/account/passkeys/remove", pages.remove_passkey, methods=["POST"]),
        Route("/log-ins", pages.log_ins, name="log-ins"),
    ]


def _logged_in(answer: Callable[[Any, Request, Visit, Session], Awaitable[Response]]) -> Any:
    """Answer only who is logged in; others are shown the way."""

    @wraps(answer)
    async def checked(self: _Pages, request: Request) -> Response:
        visit = visit_of(request)
        if visit.session is not None:
            return await answer(self, request, visit, visit.session)
        if request.method == "GET":
            return RedirectResponse(f"/log-in?next={quote(request.url.path)}", status_code=303)
        raise HTTPException(401, "this needs a log-in: /log-in")

    return checked


class _Pages:
    def __init__(self, render: Render) -> None:
        self._render = render

    def _page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        visit = visit_of(request)
        values |= {"token": visit.token, "moment": moment}
        body = self._render(request, f"access/{name}.html", **values)
        headers = {"Cache-Control": "no-store"}
        return Response(body, status, headers, media_type="text/html; charset=utf-8")

    # -- log-in and log-out ------------------------------------------------------------------

    async def log_in_form(self, request: Request) -> Response:
        """Show the form, or lead on who is logged in already."""
        visit = visit_of(request)
        after = next_of(request.query_params.get("next"))
        if visit.session is not None:
            return RedirectResponse(after, status_code=303)
        return self._log_in_page(request, visit, after)

    def _log_in_page(
        self, request: Request, visit: Visit, after: str, status: int = 200, **values: Any
    ) -> Response:
        passkeys = visit.access.passkeys
        return self._page(
            request,
            "log-in",
            status,
            after=after,
            has_users=visit.access.has_users,
            passkeys_at=passkeys.origin,
            takes_passkeys=passkeys.domain == request.url.hostname,
            **{"told": None, "wait": 0, "name_typed": "", **values},
        )

    async def log_in(self, request: Request) -> Response:
        """Log in by name and password."""
        visit = visit_of(request)
        form = await _form(request)
        name, password = form.get("name", "")[:LONGEST_NAME], form.get("password", "")
        after, address = next_of(form.get("next")), address_of(request)
        access = visit.access

        def found() -> tuple[User | None, int]:
            user = access.accounts.named(name)
            known = user.name if user else None
            wait = access.limits.attempt(name, address)
            if wait:
                access.limits.record(known, address, PASSWORD, "held")
                return None, wait
            if not access.accounts.has_password(user, password):
                access.limits.record(known, address, PASSWORD, "refused")
                return None, 0
            access.limits.succeeded(name, address)
            return user, 0

        user, wait = await asyncio.to_thread(found)
        if user is None:
            told = "log_in_held" if wait else "log_in_refused"
            status = 429 if wait else 401
            page = self._log_in_page(
                request, visit, after, status, told=told, wait=wait, name_typed=name
            )
            if wait:
                page.headers["Retry-After"] = str(wait)
            return page
        return await self._begun(request, visit, user, PASSWORD, after)

    async def ask_passkey(self, request: Request) -> Response:
        """Return what a browser asks its passkeys."""
        visit = visit_of(request)
        wait = visit.access.challenges.wait(visit.who(address_of(request)))
        check_wait(wait, ATTEMPTS)
        asked = await asyncio.to_thread(visit.access.passkeys.to_log_in, visit.bound)
        return _json(asked)

    async def log_in_by_passkey(self, request: Request) -> Response:
        """Log in by what a passkey answered."""
        visit, address = visit_of(request), address_of(request)
        credential = await _json_of(request)
        access = visit.access

        def found() -> User | int:
            wait = access.limits.attempt(None, address)
            if wait:
                access.limits.record(None, address, PASSKEY, "held")
                return wait
            try:
                user = access.passkeys.log_in(access.accounts, visit.bound, credential)
            except SettingError:
                access.limits.record(None, address, PASSKEY, "refused")
                raise
            access.limits.succeeded(None, address)
            return user

        try:
            user = await asyncio.to_thread(found)
        except SettingError as error:
            return _refusal(request, str(error), 401)
        if isinstance(user, int):
            answer = _refusal(request, f"{ATTEMPTS}: wait {user} seconds", 429)
            answer.headers["Retry-After"] = str(user)
            return answer
        after = next_of(request.query_params.get("next"))
        begun = await self._begun(request, visit, user, PASSKEY, after)
        answer = JSONResponse({"next": after})
        answer.raw_headers += [one for one in begun.raw_headers if one[0] == b"set-cookie"]
        return answer

    async def _begun(
        self, request: Request, visit: Visit, user: User, way: str, after: str
    ) -> Response:
        """Begin a session under a token of its own, whatever the browser had before."""
        access, address = visit.access, address_of(request)

        def begin() -> str:
            if visit.session is not None:
                access.sessions.end(visit.session)
            access.limits.record(user.name, address, way, "logged-in")
            return access.sessions.begin(user, way, address)

        token = await asyncio.to_thread(begin)
        answer = RedirectResponse(after, status_code=303)
        policy = access.policy
        answer.headers.append("set-cookie", cookie(policy, policy.session_cookie, token))
        answer.headers.append("set-cookie", _gone(visit, policy.form_cookie))
        return answer

    @_logged_in
    async def log_out(self, request: Request, visit: Visit, session: Session) -> Response:
        """End the session, and have the browser forget the pages it kept."""

        def end() -> None:
            visit.access.sessions.end(session)
            name = session.user.name
            visit.access.limits.record(name, address_of(request), session.way, "logged-out")

        await asyncio.to_thread(end)
        answer = RedirectResponse("/log-in", status_code=303)
        answer.headers.append("set-cookie", _gone(visit, visit.access.policy.session_cookie))
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    # -- invitation --------------------------------------------------------------------------

    async def invitation_form(self, request: Request) -> Response:
        """Show who an invitation is for, and ask for a password."""
        return self._invitation_page(request, self._invited(request))

    def _invitation_page(self, request: Request, user: User, **values: Any) -> Response:
        status = 400 if values else 200
        return self._page(request, "invitation", status, user=user, **{"told": None, **values})

    def _invited(self, request: Request) -> User:
        access = visit_of(request).access
        user = access.accounts.invited(request.path_params["invitation"])
        if user is None:
            raise HTTPException(410, "an invitation must not be older than three days, or taken")
        return user

    async def take_invitation(self, request: Request) -> Response:
        """Set the password, and log in."""
        visit, user = visit_of(request), self._invited(request)
        form = await _form(request)
        told = await self._set(visit, user, form)
        if told is not None:
            return self._invitation_page(request, user, told=told)
        return await self._begun(request, visit, user, INVITATION, "/account")

    async def _set(
        self, visit: Visit, user: User, form: Mapping[str, str], *, keeps_passkeys: bool = False
    ) -> str | None:
        """Set a password that was typed twice; return what is wrong with it."""
        password = form.get("password", "")
        if password != form.get("again", ""):
            return "passwords_differ"
        try:
            set_password = visit.access.accounts.set_password
            await asyncio.to_thread(set_password, user, password, keeps_passkeys=keeps_passkeys)
        except SettingError as error:
            return str(error)
        return None

    # -- account -----------------------------------------------------------------------------

    @_logged_in
    async def account(self, request: Request, visit: Visit, session: Session) -> Response:
        """Show who is logged in, and what they may change of it."""
        return await self._account_page(request, visit, session)

    async def _account_page(
        self, request: Request, visit: Visit, session: Session, **values: Any
    ) -> Response:
        access = visit.access
        office = await asyncio.to_thread(office_of, request, session.user)
        return self._page(
            request,
            "account",
            400 if values.get("told") else 200,
            user=session.user,
            office=office,
            session=session,
            passkeys=[
                (one, bytes_to_base64url(one.credential))
                for one in access.passkeys.of(session.user)
            ],
            takes_passkeys=access.passkeys.domain == request.url.hostname,
            passkeys_at=access.passkeys.origin,
            others=access.sessions.count(session.user) - 1,
            log_ins=access.limits.log_ins(session.user.name, 10),
            **{"told": None, **values},
        )

    @_logged_in
    async def change_password(self, request: Request, visit: Visit, session: Session) -> Response:
        """Change the password; all sessions end, and this one goes on under another token."""
        form = await _form(request)
        user = session.user
        if user.has_password and not await _is_password(request, user, form.get("old", "")):
            return await self._account_page(request, visit, session, told="old_password_wrong")
        told = await self._set(visit, user, form, keeps_passkeys=user.has_password)
        if told is not None:
            return await self._account_page(request, visit, session, told=told)
        return await self._begun(request, visit, user, session.way, "/account")

    @_logged_in
    async def end_others(self, request: Request, visit: Visit, session: Session) -> Response:
        """End the user's other sessions."""
        await asyncio.to_thread(visit.access.sessions.end_others, session)
        return RedirectResponse("/account", status_code=303)

    @_logged_in
    async def ask_new_passkey(self, request: Request, visit: Visit, session: Session) -> Response:
        """Return what a browser is asked in order to make a passkey, to who knows the password:
        who finds a session open is not to leave a way in that outlasts it."""
        password = (await _json_of(request)).get("password")
        if not await _is_password(request, session.user, str(password or "")):
            told = "the password must be the user's, got another one"
            return JSONResponse({"error": told, "is": "wrong"}, 403)
        passkeys = visit.access.passkeys
        return _json(await asyncio.to_thread(passkeys.to_register, session.user, visit.bound))

    @_logged_in
    async def add_passkey(self, request: Request, visit: Visit, session: Session) -> Response:
        """Keep a passkey that a browser made."""
        values = await _json_of(request)
        credential, label = values.get("credential"), values.get("label")
        if not isinstance(credential, dict) or not isinstance(label, str):
            return _refusal(request, "credential and label must be given", 400)
        access, user, address = visit.access, session.user, address_of(request)

        def add() -> None:
            access.passkeys.register(user, visit.bound, credential, label)
            access.limits.record(user.name, address, PASSKEY, "added")

        try:
            await asyncio.to_thread(add)
        except SettingError as error:
            return _refusal(request, str(error), 400)
        return JSONResponse({"next": "/account"})

    @_logged_in
    async def remove_passkey(self, request: Request, visit: Visit, session: Session) -> Response:
        """Remove a passkey; the password remains, if there is one."""
        form = await _form(request)
        access, user = visit.access, session.user
        if not user.has_password and len(access.passkeys.of(user)) <= 1:
            return await self._account_page(request, visit, session, told="last_passkey")
        try:
            credential = base64url_to_bytes(form.get("credential", ""))
        except ValueError as error:
            raise HTTPException(400, "a passkey must be named as it is shown") from error
        if await asyncio.to_thread(access.passkeys.remove, user, credential):
            access.limits.record(user.name, address_of(request), PASSKEY, "removed")
        return RedirectResponse("/account", status_code=303)

    # -- the log -----------------------------------------------------------------------------

    @_logged_in
    async def log_ins(self, request: Request, visit: Visit, session: Session) -> Response:
        """Show everyone's log-ins to operators and auditors."""
        if not visit.viewer.sees_log_ins:
            raise HTTPException(403, "everyone's log-ins are for operators and auditors")
        found = await asyncio.to_thread(visit.access.limits.log_ins)
        return self._page(request, "log-ins", log_ins=found)


def next_of(wanted: str | None) -> str:
    """Return where to go after a log-in: an address of this desk, whatever is asked for.

    >>> next_of("/site/6?day=2019-06-04"), next_of("//evil.example"), next_of("/\\\\evil.example")
    ('/site/6?day=2019-06-04', '/now', '/now')
    """
    if not wanted or not wanted.isprintable() or "\\" in wanted:
        return FIRST_PAGE
    if not wanted.startswith("/") or wanted.startswith(("//", "/log-in", "/invitation")):
        return FIRST_PAGE
    return wanted


def office_of(request: Request, user: User) -> Ref | None:
    """Return a member's office, as the store names it."""
    if user.site is None:
        return None
    desk: Desk = request.app.state.desk
    viewer = visit_of(request).viewer
    with source_of(desk.engine, desk.setting, int(desk.clock()), viewer) as source:
        return source.ref(user.site)


def moment(seconds: float) -> str:
    """Return a time in Japan as text.

    >>> moment(866450 * 1800)
    '2019-06-04 10:00'
    """
    return f"{datetime.fromtimestamp(seconds, JST):%Y-%m-%d %H:%M}"


async def _is_password(request: Request, user: User, password: str) -> bool:
    """Return whether a password is that of a user who is logged in; it is guessed no more often
    than at the log-in.

    Raises:
        HTTPException: 429 after too many attempts.
    """
    access, address = visit_of(request).access, address_of(request)
    check_wait(await asyncio.to_thread(access.limits.attempt, user.name, address), ATTEMPTS)
    if not await asyncio.to_thread(access.accounts.has_password, user, password):
        return False
    await asyncio.to_thread(access.limits.succeeded, user.name, address)
    return True


async def _form(request: Request) -> dict[str, str]:
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def _json_of(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body())
    except ValueError as error:
        raise HTTPException(400, "a body must be JSON") from error
    if not isinstance(found, dict):
        raise HTTPException(400, "a body must be a JSON object")
    return found


def _refusal(request: Request, error: str, status: int) -> Response:
    """Answer a page's script: the error, and how its page tells it."""
    told = in_language(language_of(request), error)
    return JSONResponse({"error": error, "told": told}, status)


def _json(text: str) -> Response:
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def _gone(visit: Visit, name: str) -> str:
    return cookie(visit.access.policy, name, "") + "; Max-Age=0"
