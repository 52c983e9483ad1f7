"""The guard at the door: what comes in, who it is, whether they may, and what goes out with it.

Each request passes it in this order: the host's name, the session, whether reading needs a
log-in, and, of whatever is no mere reading, that it comes from a page of ours (`Origin`,
`Sec-Fetch-Site`) and carries that page's token. A new address is so guarded by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.web.access.access import Access, Policy, Reading
from orchestrator.web.access.disk import hash_of
from orchestrator.web.access.limits import network_of
from orchestrator.web.access.sessions import Session
from orchestrator.web.viewer import Viewer

MOST_BYTES = 65_536
"""The largest body; the largest there is, a passkey's, has a few thousand."""
MERELY_READING = ("GET", "HEAD", "OPTIONS")
ALWAYS_OPEN = ("/log-in", "/invitation", "/static")
FORM_FIELD, FORM_HEADER = "token", "x-form-token"
LIVE, EVENTS = "live", "/events"
"""The element that renews itself, and what it listens to: neither is a sign of a person."""
HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000"


@dataclass
class Visit:
    """A request's visitor: the session if they are logged in, and what they may see."""

    access: Access
    session: Session | None
    viewer: Viewer
    browser: str | None
    """What the forms of a browser without a session are bound to; None: nothing yet."""
    is_new_browser: bool = False

    @property
    def bound(self) -> bytes:
        """What forms are bound to: the session, or else the browser, which is marked for it."""
        if self.session is not None:
            return self.session.key
        if self.browser is None:
            self.browser, self.is_new_browser = secrets.token_urlsafe(32), True
        return hash_of(self.browser)

    def who(self, address: str) -> str:
        """Return who is counted where something may be asked for only so often."""
        if self.session is not None:
            return f"user {self.session.user.number}"
        return f"address {network_of(address)}"

    @property
    def token(self) -> str:
        """A token for a form."""
        return self.access.form_token(self.bound)


def visit_of(request: Request) -> Visit:
    """Return who is there."""
    visit: Visit = request.state.visit
    return visit


def check_wait(wait: int, why: str) -> None:
    """Answer who has to wait.

    Raises:
        HTTPException: 429, saying why and for how many seconds; none for 0.
    """
    if wait:
        raise HTTPException(429, f"{why}: wait {wait} seconds", {"Retry-After": str(wait)})


def address_of(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else "unknown"


class Guard:
    """Wraps an application; `tell` answers an error in the form that was asked for."""

    def __init__(
        self, app: ASGIApp, access: Access, tell: Callable[[Request, Exception], Response]
    ) -> None:
        self._app = app
        self._access = access
        self._tell = tell
        self._headers = dict(HEADERS)
        if access.policy.is_secure:
            self._headers["strict-transport-security"] = HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        visit = self._visit(headers)
        scope.setdefault("state", {})["visit"] = visit

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    answer.setdefault(name, value)
                if visit.is_new_browser and visit.browser:
                    answer.append("set-cookie", self._cookie(visit.browser))
            await send(message)

        try:
            self._check_host(headers)
            refused = self._refused(scope, visit)
            if refused is None and _acts(scope):
                receive = await self._checked(headers, visit, receive)
        except HTTPException as error:
            refused = self._tell(Request(scope), error)
        if refused is not None:
            await refused(scope, receive, guarded)
            return
        by_itself = headers.get("hx-trigger") == LIVE or scope["path"] == EVENTS
        if visit.session is not None and not by_itself:
            await self._see(visit.session)
        await self._app(scope, receive, guarded)

    def _visit(self, headers: Headers) -> Visit:
        cookies = cookie_parser(headers.get("cookie", ""))
        policy = self._access.policy
        token = cookies.get(policy.session_cookie)
        session = self._access.sessions.of(token) if token else None
        viewer = self._access.viewer(session)
        return Visit(self._access, session, viewer, cookies.get(policy.form_cookie))

    async def _see(self, session: Session) -> None:
        if self._access.sessions.is_due(session):
            await asyncio.to_thread(self._access.sessions.see, session)

    def _check_host(self, headers: Headers) -> None:
        hosts = self._access.policy.hosts
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if hosts is not None and name.strip("[]").lower() not in hosts:
            raise HTTPException(400, f"the host must be one of {', '.join(hosts)}, got {name!r}")

    def _refused(self, scope: Scope, visit: Visit) -> Response | None:
        path: str = scope["path"]
        if visit.session is not None or self._access.policy.reading is Reading.OPEN:
            return None
        if any(path == one or path.startswith(f"{one}/") for one in ALWAYS_OPEN):
            return None
        if path.endswith(".json") or path == EVENTS or scope["method"] not in MERELY_READING:
            raise HTTPException(
                401,
                "this needs a log-in: /log-in",
                {"WWW-Authenticate": 'Cookie realm="Yui", form-action="/log-in"'},
            )
        query = scope.get("query_string", b"").decode("ascii", "replace")
        return RedirectResponse(
            "/log-in?" + urlencode({"next": path + (f"?{query}" if query else "")}),
            status_code=303,
            headers={"Cache-Control": "no-store"},
        )

    async def _checked(self, headers: Headers, visit: Visit, receive: Receive) -> Receive:
        """Return the body again once it has shown that it comes from a page of ours."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPException(403, "this must come from a page of this desk, not another site's")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise HTTPException(403, f"this must come from a page of this desk, got {origin}")
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise HTTPException(400, "the request must be whole, got a part of it")
            body += message.get("body", b"")
            if len(body) > MOST_BYTES:
                raise HTTPException(413, f"a request must have at most {MOST_BYTES} bytes")
            if not message.get("more_body"):
                break
        token = headers.get(FORM_HEADER)
        if token is None and headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        ):
            fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
            token = fields.get(FORM_FIELD, [""])[0]
        bound = visit.session is not None or visit.browser is not None
        if not token or not bound or not self._access.is_form_token(token, visit.bound):
            raise HTTPException(
                403, "the form must be of this desk and this log-in: load its page again"
            )
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    def _cookie(self, browser: str) -> str:
        return cookie(self._access.policy, self._access.policy.form_cookie, browser, "strict")


def _acts(scope: Scope) -> bool:
    """Return whether a request may change something: no mere reading, and there is a route."""
    if scope["method"] in MERELY_READING:
        return False
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


def cookie(policy: Policy, name: str, value: str, same_site: str = "lax") -> str:
    """Return a `Set-Cookie` that scripts do not see, and that is for this host alone."""
    secure = "; Secure" if policy.is_secure else ""
    return f"{name}={value}; HttpOnly; Path=/; SameSite={same_site}{secure}"
