"""Sessions of the console, and what every request of it is checked for.

The cookie is 256 random bits, of which only a hash is kept; a new one is given at each sign-in.
Its forms carry a token made of it, and must come from our own pages.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from urllib.parse import urlencode, urlsplit

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden, NotFound, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.store import console as store
from app.store.database import Database
from app.web.console.roles import Role, Roles

FRESH = timedelta(minutes=10)
"""For what is hard to undo people must have proved who they are within this time."""
TOKEN = "csrf"  # noqa: S105 - the name of a field
View = Callable[..., ResponseReturnValue]


class NotFromHere(Forbidden):
    """A form that is not one of our own pages'."""


class SignedOut(Unauthorized):
    """A form of somebody whose session has ended, which can be sent again."""


@dataclass(frozen=True, slots=True)
class Present:
    """Who is there: their session, roles, and the token of their forms."""

    session: store.Session
    roles: Roles
    digest: bytes
    csrf: str

    @property
    def actor(self) -> str:
        """The actor in history."""
        return f"console:{self.session.name}"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a page wants of who calls it: a role, on the product it names; whether proved lately.

    Of a page that is of no product a viewer is whoever has any role; more is wanted everywhere.
    `instead` is what shows a form again that was made in an earlier session of theirs; it must
    change nothing. `largest` is how many bytes a form may have, where that is more than usual.
    """

    role: Role = Role.VIEWER
    product: bool = True
    fresh: bool = False
    instead: View | None = None
    largest: int | None = None


@dataclass(frozen=True, slots=True)
class Sessions:
    """Checks sessions; `base_url` is the address the console is reached at."""

    database: Database
    clock: Clock
    base_url: str

    # --- the cookie ------------------------------------------------------------------------

    @property
    def secure(self) -> bool:
        """Whether cookies travel by https only; not on this machine alone."""
        return urlsplit(self.base_url).scheme == "https"

    def cookie(self, name: str) -> str:
        """Give the name of a cookie, which says to the browser that no other host may set it."""
        return f"__Host-{name}" if self.secure else name

    def give(
        self, response: AnyResponse, name: str, value: str, seconds: int | None = None
    ) -> None:
        """Set a cookie."""
        response.set_cookie(
            self.cookie(name),
            value,
            max_age=seconds,
            secure=self.secure,
            httponly=True,
            samesite="Lax",
            path="/",
        )

    def take(self, response: AnyResponse, name: str) -> None:
        """Take a cookie away."""
        response.delete_cookie(
            self.cookie(name), secure=self.secure, httponly=True, samesite="Lax", path="/"
        )

    def begin(self, response: AnyResponse, person: int, fresh_at: datetime, language: str) -> str:
        """Begin a session under a new cookie and give its name; the one before it ends."""
        value = secrets.token_urlsafe(32)
        before = self._presented()
        with self.database.transaction() as connection:
            if before is not None:
                store.end(connection, before[0])
            wall = self.clock.wall()
            name = store.begin(connection, _digest(value), person, wall, fresh_at, language)
        self.give(response, SESSION, value)
        return name

    def present(self) -> Present | None:
        """Give who is there; None where nobody is signed in."""
        presented = self._presented()
        if presented is None:
            return None
        digest, csrf = presented
        with self.database.transaction() as connection:
            found = store.session(connection, digest, self.clock.wall())
        return None if found is None else Present(found, Roles.read(found.roles), digest, csrf)

    def _presented(self) -> tuple[bytes, str] | None:
        value = request.cookies.get(self.cookie(SESSION), "")
        if not value.isascii() or not 0 < len(value) <= LONGEST_COOKIE:
            return None
        token = hashlib.sha256(f"{TOKEN}\0{value}".encode()).hexdigest()
        return _digest(value), token

    # --- what is checked -------------------------------------------------------------------

    def guard(self, view: View, needs: Needs) -> View:
        """Let a view be called by those only who may; its form must be one of our own."""

        @wraps(view)
        def checked(**values: object) -> ResponseReturnValue:
            who = self.present()
            if who is None:
                return self._stranger(needs)
            g.present = who
            ours = request.method != "POST" or self._is_ours(who, needs)
            _check_role(who, needs, values)
            if not ours and needs.instead is not None:
                g.renewed = True
                return needs.instead(**values)
            if needs.fresh and self.clock.wall() - who.session.fresh_at >= FRESH:
                return self.to_sign_in_again(str(values.get("product", "")))
            return view(**values)

        checked.needs = needs  # type: ignore[attr-defined]
        return checked

    def _is_ours(self, who: Present, needs: Needs) -> bool:
        """Say whether a form is of this session; one of an earlier session can only be shown."""
        self.check_origin()
        if needs.largest is not None:
            request.max_content_length = needs.largest
        given = request.form.get(TOKEN, "")
        if hmac.compare_digest(given.encode(), who.csrf.encode()):
            return True
        if needs.instead is None:
            raise NotFromHere
        return False

    def check_origin(self) -> None:
        """Refuse a form that another site sent; 403."""
        if request.headers.get("Origin") not in self._origins():
            raise NotFromHere

    def _origins(self) -> set[str]:
        found = {self.base_url.rstrip("/")}
        if not self.secure and _is_this_machine(request.host):
            found.add(f"http://{request.host}")
        return found

    def to_sign_in_again(self, product: str) -> ResponseReturnValue:
        """Send to where people prove anew who they are, and then back to the product."""
        back = f"/console/products/{product}/" if product else "/console/"
        return redirect(f"/console/again?{urlencode({'back': back})}", 303)

    def _stranger(self, needs: Needs) -> ResponseReturnValue:
        if request.method == "POST":
            raise Unauthorized if needs.instead is None else SignedOut
        wanted = urlencode({"back": request.path})
        return redirect(f"/console/sign-in?{wanted}", 303)


SESSION = "reconfirm"
LONGEST_COOKIE = 64


def here() -> Present:
    """Give who is calling the present page."""
    found: Present = g.present
    return found


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


def _check_role(who: Present, needs: Needs, values: dict[str, object]) -> None:
    """Raise NotFound on products that do not exist for them, Forbidden where their role is small.

    A page that is of no product is for everybody who has any role, or wants a role on all of them.
    """
    if not needs.product:
        _check_everywhere(who, needs.role)
        return
    role = who.roles.on(str(values["product"]))
    if role is None:
        raise NotFound
    if role < needs.role:
        raise Forbidden


def _check_everywhere(who: Present, least: Role) -> None:
    """Raise Forbidden on those who have no role at all, or less than this one on all products."""
    everywhere = who.roles.everywhere
    if least is Role.VIEWER:
        allowed = who.roles.anywhere
    else:
        allowed = everywhere is not None and everywhere >= least
    if not allowed:
        raise Forbidden


def _is_this_machine(host: str) -> bool:
    """Say whether a Host header names this machine itself."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
