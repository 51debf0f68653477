"""Getting in and out: by the identity provider, or by a one-time link of `reconfirm console-link`.

A link is opened by mail programs and chat servers too, so that looking at it uses nothing up: the
button on its page does. What a try at the provider is checked by travels in a signed cookie, so
that whoever is not signed in writes nothing.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, redirect, request
from itsdangerous import BadSignature, URLSafeSerializer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, TooManyRequests
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.store import cases
from app.store import console as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.web.console.oidc import Attempt, Identity, NotSignedIn, Provider
from app.web.console.roles import Roles
from app.web.console.sessions import Needs, Sessions, View, here
from app.web.console.showing import after, show
from app.web.console.words import languages

TRY = "reconfirm-sign-in"
"""The cookie of a try at the provider."""
TRY_FOR = timedelta(minutes=10)
TRIES = RateLimitItemPerMinute(20)
"""Tries of one address; counted in each process."""
HOME = "/console/"
_BACK = re.compile(r"/console/(?:[A-Za-z0-9._~/-]*)")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
LINKED = "link\0"
ANYBODY = None
ANY_ROLE = Needs(product=False)


def linked(name: str) -> bytes:
    """Give the subject of whoever comes by a link that was made for a name."""
    return hashlib.sha256(f"{LINKED}{name}".encode()).digest()


@dataclass(frozen=True, slots=True)
class SigningIn:
    """The pages of signing in and out; `provider` None: by link only."""

    database: Database
    clock: Clock
    sessions: Sessions
    provider: Provider | None
    keys: Sequence[str]
    tries: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        return [
            ("GET", "/sign-in", self.ask, ANYBODY),
            ("GET", "/sign-in/start", self.start, ANYBODY),
            ("GET", "/callback", self.come_back, ANYBODY),
            ("GET", "/enter/<token>", self.look_at_link, ANYBODY),
            ("POST", "/enter/<token>", self.enter, ANYBODY),
            ("GET", "/again", self.ask_again, ANY_ROLE),
            ("POST", "/sign-out", self.leave, ANY_ROLE),
            ("POST", "/language", self.speak, ANY_ROLE),
        ]

    # --- at the provider -------------------------------------------------------------------

    def ask(self) -> Response:
        """Say how to get in."""
        return show("sign_in", provided=self.provider is not None, back=_back(), again=False)

    def ask_again(self) -> Response:
        """Say how to prove once more who one is."""
        return show("sign_in", provided=self.provider is not None, back=_back(), again=True)

    def start(self) -> AnyResponse:
        """Send to the provider."""
        if self.provider is None:
            raise NotFound
        self._count()
        attempt, again = Attempt.new(), request.args.get("again") == "1"
        answer = redirect(self.provider.address(attempt, self.clock.wall(), again=again), 303)
        kept = asdict(attempt) | {"back": _back(), "again": again, "until": self._until()}
        value = str(self._sealer().dumps(kept))
        self.sessions.give(answer, TRY, value, int(TRY_FOR.total_seconds()))
        return answer

    def come_back(self) -> AnyResponse:
        """Take what the provider sends back with."""
        if self.provider is None:
            raise NotFound
        self._count()
        kept = self._kept()
        attempt = Attempt(kept["state"], kept["nonce"], kept["verifier"])
        state, code = request.args.get("state", ""), request.args.get("code", "")
        if not hmac.compare_digest(state.encode(), attempt.state.encode()) or not code:
            raise BadRequest
        try:
            found = self.provider.identity(
                code, attempt, self.clock.wall(), again=bool(kept["again"])
            )
        except NotSignedIn:
            return self._without_try(show("error", status=403, what="not_signed_in", mend=""))
        if not found.roles.anywhere:
            return self._without_try(show("error", status=403, what="no_role", mend=""))
        answer = redirect(kept["back"], 303)
        self._let_in(answer, found, "oidc")
        return self._without_try(answer)

    def _kept(self) -> dict[str, Any]:
        """Give what the try was begun with; 400 where this browser began none, or long ago."""
        value = request.cookies.get(self.sessions.cookie(TRY), "")
        try:
            kept: dict[str, Any] = self._sealer().loads(value)
        except BadSignature:
            raise BadRequest from None
        if datetime.fromtimestamp(kept["until"], UTC) <= self.clock.wall():
            raise BadRequest
        return kept

    def _without_try(self, answer: AnyResponse) -> AnyResponse:
        self.sessions.take(answer, TRY)
        return answer

    def _sealer(self) -> URLSafeSerializer:
        return URLSafeSerializer(list(reversed(self.keys)), salt="reconfirm.console.sign-in")

    def _until(self) -> int:
        return int((self.clock.wall() + TRY_FOR).timestamp())

    # --- by a link -------------------------------------------------------------------------

    def look_at_link(self, token: str) -> Response:
        """Show whom a link lets in, and the button that does; 404 where it does not hold."""
        self._count()
        with self.database.transaction() as connection:
            found = store.link(connection, _digest(token), self.clock.wall())
        if found is None:
            return show("error", status=404, what="link_gone", mend="")
        return show("enter", token=token, name=found.name, roles=found.roles)

    def enter(self, token: str) -> AnyResponse:
        """Use a link up, and let in whom it was made for."""
        self.sessions.check_origin()
        self._count()
        wall = self.clock.wall()
        with self.database.transaction() as connection:
            found = store.use_link(connection, _digest(token), wall)
        if found is None:
            return show("error", status=404, what="link_gone", mend="")
        roles = Roles.read(found.roles)
        answer = redirect(HOME, 303)
        self._let_in(answer, Identity(linked(found.name), found.name, "", roles, wall), "link")
        return answer

    # --- inside ----------------------------------------------------------------------------

    def leave(self) -> AnyResponse:
        """Sign out: the session is over, whoever has its cookie."""
        with self.database.transaction() as connection:
            store.end(connection, here().digest)
            self._note(connection, "console_signed_out", "by_hand", here().actor)
        answer = redirect("/console/sign-in", 303)
        self.sessions.take(answer, "reconfirm")
        return answer

    def speak(self) -> AnyResponse:
        """Change the language of this session; that is nobody's business but theirs."""
        language = request.form.get("language", "")
        if language not in languages():
            raise BadRequest
        with self.database.transaction() as connection:
            store.speak(connection, here().digest, language)
        return after(_back(), "")

    def _let_in(self, answer: AnyResponse, who: Identity, how: str) -> None:
        wall = self.clock.wall()
        if how == "link":
            self._check_name(who)
        person = self.database.retrying(
            lambda connection: store.person(
                connection, who.subject, who.name, who.other_name, who.roles.written(), wall
            )
        )
        language = self._language()
        name = self.sessions.begin(answer, person, who.fresh_at, language)
        with self.database.transaction() as connection:
            self._note(connection, "console_signed_in", how, f"console:{name}")

    def _check_name(self, who: Identity) -> None:
        """Refuse a link for a name that came to belong to somebody of the provider meanwhile."""
        with self.database.transaction() as connection:
            if not store.is_of(connection, who.name, who.subject):
                raise Forbidden

    def _language(self) -> str:
        found = self.sessions.present()
        return found.session.language if found else ""

    def _note(self, connection: Connection, what: str, why: str, actor: str) -> None:
        line = HistoryWrite(None, None, what, why, None)
        cases.insert_history(connection, 0, self.clock.now(), actor, [line])

    def _count(self) -> None:
        """Count a try of this address; 429 where it has made too many."""
        if not self.tries.hit(TRIES, "console", request.remote_addr or ""):
            raise TooManyRequests


def _digest(token: str) -> bytes:
    if not _TOKEN.fullmatch(token):
        return b""
    return hashlib.sha256(token.encode()).digest()


def _back() -> str:
    """Give the page of the console to go on with; nothing leads out of it."""
    wanted = request.values.get("back", "")
    inside = _BACK.fullmatch(wanted) and "//" not in wanted and ".." not in wanted
    return wanted if inside and len(wanted) < LONGEST_BACK else HOME


LONGEST_BACK = 300
