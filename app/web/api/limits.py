"""How many calls are taken: a key's own many, and an address's few that fail.

Counted by key and not by product or address, so that nobody's flood slows another's calls. Whoever
guesses keys is slowed by address; a key known to be good is never held up by its neighbors. The
counts are kept in each process: with several, a key may make that many times as many calls.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from flask import Blueprint, Flask, Response, g
from flask_limiter import Limiter, RateLimitExceeded
from flask_limiter.util import get_remote_address

from app.web.api.keys import presented
from app.web.problems import Problem, problem

CALLS = "200 per second"
FAILURES = "30 per minute"
MOST_KNOWN = 10_000
UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an application, and the keys it has lately found good."""

    calls: str = CALLS
    failures: str = FAILURES
    good: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def guard(self, app: Flask, routes: Blueprint) -> None:
        """Limit the calls of these routes; to be called before they are registered."""
        limiter = Limiter(get_remote_address, storage_uri="memory://", strategy="moving-window")
        limiter.init_app(app)
        limiter.shared_limit(self.calls, scope="calls", key_func=_caller)(routes)
        limiter.shared_limit(
            self.failures,
            scope="failures",
            key_func=get_remote_address,
            exempt_when=self._is_good,
            deduct_when=_failed,
        )(routes)
        routes.after_request(self._note)

    def _is_good(self) -> bool:
        digest = presented()
        return digest is not None and digest in self.good

    def _note(self, response: Response) -> Response:
        digest = presented()
        if digest is not None and "key" in g:
            self.good[digest] = None
            if len(self.good) > MOST_KNOWN:
                self.good.popitem(last=False)
        return response


def _caller() -> str:
    digest = presented()
    return get_remote_address() if digest is None else digest.hex()


def _failed(response: Response) -> bool:
    return response.status_code == UNAUTHORIZED


def too_many(error: RateLimitExceeded) -> Problem:
    """Give the problem of a limit that was reached, and how long to wait."""
    refused = problem("too-many-requests")
    refused.extra_headers = {"Retry-After": str(error.limit.limit.get_expiry())}
    return refused
