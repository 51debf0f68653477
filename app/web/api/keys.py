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

_BEARER = re.compile(r"bearer +(rk_[A-Za-z0-9_-]{43})", re.IGNORECASE)
P = ParamSpec("P")
SCOPES = {"usage": {"usage", "manage"}, "read": {"read", "manage"}, "manage": {"manage"}}
"""The scopes of keys that may do what a call of each scope does."""


def presented() -> bytes | None:
    """Give the hash of the key that a request carries; None where it carries none."""
    given = request.headers.getlist("Authorization")
    match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return hashlib.sha256(match[1].encode()).digest() if match else None


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


def _unauthorized() -> Problem:
    refused = problem("unauthorized")
    refused.extra_headers = {"WWW-Authenticate": 'Bearer realm="reconfirm"'}
    return refused
