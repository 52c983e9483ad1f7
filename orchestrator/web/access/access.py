"""Access as a whole: the policy of a desk, and the accounts, sessions and limits that serve it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from itsdangerous import BadSignature, URLSafeTimedSerializer

from orchestrator.web.access.accounts import Accounts
from orchestrator.web.access.disk import IN_MEMORY, Disk
from orchestrator.web.access.limits import Limits
from orchestrator.web.access.pace import Pace
from orchestrator.web.access.passkeys import Passkeys
from orchestrator.web.access.sessions import WHOLE_SECONDS, Session, Sessions
from orchestrator.web.viewer import Others, Viewer

STATEMENTS_AT_ONCE, STATEMENT_SECONDS = 60, 1.0
CHALLENGES_AT_ONCE, CHALLENGE_SECONDS = 30, 2.0
GLANCE_SECONDS = 1.0
"""How long it may take until a desk without users notices its first."""


class Reading(StrEnum):
    """Who may read the pages."""

    OPEN = "open"
    LOG_IN = "log-in"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may see what. Without `others`: all while there are no users, then trades."""

    reading: Reading = Reading.OPEN
    others: Others | None = None
    origin: str = "http://localhost:8480"
    """Where browsers find the pages."""
    hosts: tuple[str, ...] | None = None
    """The names that a browser may have asked for; None: any."""

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.origin.startswith("https://")

    @property
    def session_cookie(self) -> str:
        """The name of the cookie with the session's token; `__Host-` binds it to the host."""
        return "__Host-yui" if self.is_secure else "yui"

    @property
    def form_cookie(self) -> str:
        """The name of the cookie that forms before a log-in are bound to."""
        return "__Host-yui-form" if self.is_secure else "yui-form"


@dataclass
class Access:
    """Everything that the guard and the log-in pages need. `clock` gives unix seconds."""

    policy: Policy = Policy()
    disk: Disk = field(default_factory=lambda: Disk(IN_MEMORY))
    clock: Callable[[], float] = time.time
    accounts: Accounts = field(init=False)
    sessions: Sessions = field(init=False)
    limits: Limits = field(init=False)
    passkeys: Passkeys = field(init=False)
    statements: Pace = field(init=False)
    challenges: Pace = field(init=False)
    """How often one user, or one address, may have these made."""

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.disk, self.clock)
        self.sessions = Sessions(self.disk, self.clock)
        self.limits = Limits(self.disk, self.clock)
        self.passkeys = Passkeys(self.disk, self.policy.origin, self.clock)
        self.statements = Pace(STATEMENTS_AT_ONCE, STATEMENT_SECONDS, self.clock)
        self.challenges = Pace(CHALLENGES_AT_ONCE, CHALLENGE_SECONDS, self.clock)
        secret = self.disk.noted("form secret", secrets.token_urlsafe(32))
        self._forms = URLSafeTimedSerializer(secret, salt="form")
        self._glanced: tuple[float, bool] = (float("-inf"), False)

    @property
    def has_users(self) -> bool:
        """Whether anybody can log in."""
        when, found = self._glanced
        if not found and time.monotonic() - when > GLANCE_SECONDS:
            found = not self.accounts.is_empty()
            self._glanced = (time.monotonic(), found)
        return found

    def viewer(self, session: Session | None) -> Viewer:
        """Return what a session's user may see, or with None whoever comes without one."""
        others = self.policy.others or (Others.TRADES if self.has_users else Others.ALL)
        if session is None:
            return Viewer(others=others)
        return Viewer(session.user.role, session.user.site, others)

    def form_token(self, bound: bytes) -> str:
        """Return a token for a form that is bound to a session or a browser.

        It is another one each time: a page that is compressed tells nothing of it.
        """
        return self._forms.dumps([secrets.token_urlsafe(9), bound.hex()])

    def is_form_token(self, token: str, bound: bytes) -> bool:
        """Return whether a token was given out for a session or a browser."""
        try:
            _, told = self._forms.loads(token, max_age=WHOLE_SECONDS)
        except (BadSignature, ValueError, TypeError):
            return False
        return secrets.compare_digest(str(told), bound.hex())
