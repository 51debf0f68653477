"""Who calls: the key, the product it belongs to, and what its scope allows.

A key is 256 random bits; only its SHA-256 is kept, and looked up. A key of another product is
answered as if the product did not exist, so that nobody learns which there are.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec

from flask import g, request
from flask.typing import ResponseReturnValue

from app.store import reading
from app.store.database import Database
from app.store.reading import Key
from app.usage import DEFAULT_FEED
from app.web.problems import Problem, problem

_KEY = re.compile(r"rk_[A-Za-z0-9_-]{43}")
_BEARER = re.compile(rf"bearer +({_KEY.pattern})", re.IGNORECASE)
FEEDBACK = "feedback"
LOGIN = "Put a key of scope feedback of this product into the address: https://x:rk_…@host/…"
NO_KEY = hashlib.sha256(b"").digest()
P = ParamSpec("P")
SCOPES = {
    "usage": {"usage", "manage"},
    "feedback": {"feedback", "usage", "manage"},
    "read": {"read", "manage"},
    "manage": {"manage"},
}
"""The scopes of keys that may do what a call of each scope does."""


def presented() -> bytes | None:
    """Give the hash of the key that a request carries; None where it carries none."""
    given = request.headers.getlist("Authorization")
    match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return hashlib.sha256(match[1].encode()).digest() if match else None


def presented_as_password() -> bytes | None:
    """Give the hash of the key that a request carries as the password of a login.

    The address of a webhook at a mail provider has room for a login, and for no other header.
    """
    login = request.authorization
    given = login.password if login is not None and login.type == "basic" else None
    if given is None or not _KEY.fullmatch(given):
        return None
    return hashlib.sha256(given.encode()).digest()


@dataclass(frozen=True, slots=True)
class Keys:
    """Checks keys; every call looks its key up, so that a revoked one is dead at once."""

    database: Database

    def check(self) -> None:
        """Let a request go on with its key in `g.key`; 401 without a live key, 404 elsewhere."""
        digest = presented()
        found = None if digest is None else self._find(digest)
        if found is None:
            raise _unauthorized()
        g.key = found
        if (request.view_args or {}).get("product") != found.product:
            raise problem("not-found")

    def for_feedback(self, product: str) -> Key:
        """Give the key of a mail provider's call; 401 where it is none of that product's.

        Narrow keys only: this one stands in an address at somebody else's. Whatever is wrong with
        it, as much is done, and the same is answered.
        """
        found = self._find(presented_as_password() or NO_KEY)
        if found is None or found.product != product or found.scope != FEEDBACK:
            raise _login_wanted()
        return found

    def _find(self, digest: bytes) -> Key | None:
        with self.database.transaction() as connection:
            return reading.key_by_hash(connection, digest, DEFAULT_FEED)


def needs(
    scope: str,
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Refuse a call whose key has too small a scope."""

    def around(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if key().scope not in SCOPES[scope]:
                raise problem("forbidden", f"This call needs a key of scope {scope} or manage.")
            return view(*args, **kwargs)

        checked.scope = scope  # type: ignore[attr-defined]
        return checked

    return around


def key() -> Key:
    """Give the key of the present request."""
    found: Key = g.key
    return found


def _login_wanted() -> Problem:
    refused = problem("unauthorized", LOGIN)
    refused.extra_headers = {"WWW-Authenticate": 'Basic realm="reconfirm"'}
    return refused


def _unauthorized() -> Problem:
    refused = problem("unauthorized")
    refused.extra_headers = {"WWW-Authenticate": 'Bearer realm="reconfirm"'}
    return refused
