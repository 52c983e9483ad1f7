"""The way to a VTN: OpenADR 3.1 over HTTP, with an OAuth 2 token by client credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

import httpx

from energy.errors import SettingError, YuiError

PAGE = 50
TIMEOUT_SECONDS = 10.0
EARLY_SECONDS = 60
"""A token is renewed so long before it expires."""


class VtnError(YuiError):
    """A VTN does not answer, or answers what OpenADR does not allow."""


class Vtn:
    """A VTN at a URL, as one client of it."""

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        scope: str = "",
        token_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for each in (url, *([token_url] if token_url else [])):
            _check_private(each)
        self._url = url.rstrip("/")
        self._credentials = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        } | ({"scope": scope} if scope else {})
        self._token_url = token_url
        self._clock = clock
        self._token = ""
        self._good_until = 0.0
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def every(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind, page by page.

        Raises:
            VtnError: if the VTN does not give them all.
        """
        found: list[dict[str, Any]] = []
        while True:
            page = {"skip": str(len(found)), "limit": str(PAGE)}
            part = await self.ask("GET", path, query=dict(query or {}) | page)
            if not isinstance(part, list) or not all(isinstance(each, dict) for each in part):
                raise VtnError(f"{self._url}{path} must give a list of objects, got {part!r:.60}")
            found += part
            if len(part) < PAGE:
                return found

    async def ask(
        self,
        method: str,
        path: str,
        content: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return what the VTN answers; a token that it takes no more is renewed once.

        Raises:
            VtnError: if it does not answer, or refuses.
        """
        for again in (True, False):
            if self._clock() >= self._good_until:
                await self._renew()
            answer = await self._send(
                method,
                f"{self._url}{path}",
                json=content,
                params=query,
                headers={"Authorization": f"Bearer {self._token}"},
            )
            if answer.status_code == 401 and again:
                self._good_until = 0.0
                continue
            return self._body(answer, f"{method} {path}")
        raise AssertionError("the second answer is returned or raised")

    async def _renew(self) -> None:
        url = self._token_url
        if url is None:
            server = self._body(
                await self._send("GET", f"{self._url}/auth/server"), "GET /auth/server"
            )
            url = str(server.get("tokenURL"))
            try:
                _check_private(url)
            except SettingError as error:
                raise VtnError(f"{self._url} must say where tokens are, got: {error}") from error
        answer = await self._send("POST", url, data=self._credentials)
        body = self._body(answer, "a token")
        self._token = str(body["access_token"])
        seconds = float(body.get("expires_in", 3600))
        self._good_until = self._clock() + max(seconds - EARLY_SECONDS, seconds / 2)

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            given = {name: value for name, value in options.items() if value is not None}
            return await self._http.request(method, url, **given)
        except httpx.HTTPError as error:
            raise VtnError(
                f"{self._url} must answer, got {error or type(error).__name__}"
            ) from error

    def _body(self, answer: httpx.Response, what: str) -> Any:
        if not answer.is_success:
            raise VtnError(
                f"{self._url} must give {what}, got {answer.status_code}: {answer.text:.200}"
            )
        try:
            return answer.json()
        except ValueError as error:
            raise VtnError(
                f"{self._url} must give {what} as JSON, got {answer.text:.60!r}"
            ) from error


def _check_private(url: str) -> None:
    """Raise if what is sent to a URL could be read on its way: it carries secrets."""
    try:
        parsed = httpx.URL(url)
        here = parsed.host == "localhost" or ip_address(parsed.host).is_loopback
    except (httpx.InvalidURL, ValueError):
        here = False
    if not url.startswith("https://") and not (here and url.startswith("http://")):
        raise SettingError(f"a VTN must be at https://, or http:// on this machine, got {url!r}")
