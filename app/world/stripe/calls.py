"""Calls Stripe through its SDK, and says of every answer, or none, what it means.

The SDK neither retries here (the outbox does) nor logs: its log would name people. Of an answer
that cannot be used nothing is repeated.
"""

import logging
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NoReturn

import stripe
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from app.clock import Clock
from app.world.connector import Away
from app.world.hooks import LONGEST_PAUSE, SHORTEST_PAUSE
from app.world.outcome import Later, No
from app.world.stripe.fields import Node

VERSION = "2026-10-28.endive"
"""The API version every call asks for: what stands in these files was read with it."""
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
WHOLE = timedelta(seconds=30)
"""An answer that comes in drops is given up after so long."""
LONGEST_ANSWER = 8 * 2**20
"""Bytes. A page of a hundred subscriptions has under one megabyte."""
A_PIECE = 1 << 16
MOST_KEYS = 4
"""Keys that one call may use up; see `Api.act`."""
UNAUTHORIZED, FORBIDDEN, MISSING, CONFLICT, TOO_MANY, SERVER_ERROR = 401, 403, 404, 409, 429, 500
ERROR = 400
NO_SUCH = "resource_missing"
OTHER_MODE = "a similar object exists in"
"""Stripe says so, and in no other way, where the object is live and the key is not, or reversed."""
_CODE = re.compile(r"[a-z][a-z_]{1,59}")

logging.getLogger("stripe").disabled = True
stripe.enable_telemetry = False


# --- there and back --------------------------------------------------------------------------


class _Unsent(Exception):
    """Nothing has been sent; the text is a code."""


class _Unanswered(Exception):
    """It was sent, and no answer came that can be read; the text is a code."""


class Transport(stripe.HTTPClient):
    """Carries the SDK's requests over kept connections: bounded in time and size, unredirected."""

    name = "urllib3"

    def __init__(self, clock: Clock) -> None:
        """Take the clock whose wall says when an answer has taken too long."""
        super().__init__()
        self._clock = clock
        timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        self._pool = PoolManager(num_pools=1, maxsize=1, timeout=timeout, retries=False)

    def request(  # type: ignore[override] # the SDK takes bytes too, and says so nowhere
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | None = None,
        **_: object,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Give body, status and headers of the answer."""
        try:
            response = self._pool.request(
                method.upper(),
                url,
                body=post_data,
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            return self._body(response), response.status, response.headers
        except (NewConnectionError, ConnectTimeoutError):
            raise _Unsent("no connection") from None
        except ReadTimeoutError:
            raise _Unanswered("timeout after request") from None
        except SSLError as error:
            refused = any(isinstance(each, ssl.SSLCertVerificationError) for each in error.args)
            if refused:
                raise _Unsent("certificate refused") from None
            raise _Unanswered("no secure connection") from None
        except (HTTPError, OSError):
            raise _Unanswered("no answer") from None

    def _body(self, response: BaseHTTPResponse) -> bytes:
        ends = self._clock.wall() + WHOLE
        found = bytearray()
        while piece := response.read1(A_PIECE):
            found += piece
            if len(found) > LONGEST_ANSWER:
                response.close()
                raise _Unanswered("answer too large")
            if self._clock.wall() > ends:
                response.close()
                raise _Unanswered("timeout of answer")
        response.release_conn()
        return bytes(found)

    def close(self) -> None:
        """Close what is open."""
        self._pool.clear()


# --- what went wrong -------------------------------------------------------------------------


@dataclass(eq=False)
class Failed(Exception):
    """A call that came to nothing we can use; `outcome` is what it means for an act.

    `operator`: it is about our key, and not about what was asked. `spent`: the idempotency key
    remembers this answer, and that call is over; the same key will only ever say the same.
    """

    outcome: Later | No
    status: int | None = None
    code: str = ""
    operator: bool = False
    spent: bool = False
    other_mode: bool = False

    def __post_init__(self) -> None:
        """Say the code, as exceptions do."""
        super().__init__(self.outcome.reason)

    @property
    def missing(self) -> bool:
        """Whether Stripe itself says that there is no such object."""
        return self.status == MISSING and self.code == NO_SUCH

    def away(self) -> Away:
        """Give it as what a question comes to that has no answer now."""
        later = self.outcome
        return Away(later.reason, later.retry_after if isinstance(later, Later) else None)


def _failed(error: stripe.StripeError) -> Failed:
    """Judge an answer that is an error, or that the SDK could not read."""
    status = error.http_status or 0
    headers = error.headers or {}
    code = error.code if isinstance(error.code, str) and _CODE.fullmatch(error.code) else ""
    if status in {UNAUTHORIZED, FORBIDDEN}:
        why = "key refused" if status == UNAUTHORIZED else "key may not"
        return Failed(Later(why), status, code, operator=True)
    if status == TOO_MANY:
        return Failed(Later("http 429", retry_after=_pause(headers)), status, code)
    replayed = str(headers.get("Idempotent-Replayed")) == "true"
    spent = replayed or isinstance(error, stripe.IdempotencyError)
    if status >= SERVER_ERROR or status == CONFLICT:
        later = Later(f"http {status}", unknown=True, retry_after=_pause(headers))
        return Failed(later, status, code, spent=spent and status != CONFLICT)
    if status < ERROR or not _in_stripes_words(error):
        return Failed(Later("answer unreadable", unknown=True), status, code)
    other_mode = OTHER_MODE in str(error.user_message)
    no = No(f"http {status} {code}".strip())
    if other_mode:
        return Failed(Later("key of another mode"), status, code, operator=True, other_mode=True)
    return Failed(no, status, code, spent=spent)


def _in_stripes_words(error: stripe.StripeError) -> bool:
    """Say whether it was Stripe that answered, and no proxy in between with a page of its own."""
    body = error.json_body
    said = body.get("error") if isinstance(body, dict) else None
    return isinstance(said, dict) and isinstance(said.get("type"), str)


def _pause(headers: Mapping[str, Any]) -> timedelta | None:
    """Give the pause asked for, within bounds; Stripe writes whole seconds."""
    asked = str(headers.get("Retry-After", ""))
    if not re.fullmatch(r"[0-9]{1,9}", asked):
        return None
    return min(max(timedelta(seconds=int(asked)), SHORTEST_PAUSE), LONGEST_PAUSE)


# --- calls -----------------------------------------------------------------------------------


class Api:
    """The API of one account in one mode; for one thread."""

    def __init__(
        self, key: str, clock: Clock, pace: Callable[[], None], base: str | None = None
    ) -> None:
        """Take the key, and what waits until one more call may be made.

        `base` is another address than Stripe's, for tests.
        """
        self._pace = pace
        self.live = "_live_" in key[:8]
        self.wrote = False
        """Whether anything may have been changed since this was last set to False."""
        self._client = stripe.StripeClient(
            key,
            stripe_version=VERSION,
            max_network_retries=0,
            base_addresses={"api": base} if base else {},
            http_client=Transport(clock),
        )

    def get(self, path: str, **params: Any) -> Node:
        """Ask; raises Failed, of which nothing is unknown."""
        try:
            return self._said("get", path, params)
        except Failed as failed:
            if isinstance(failed.outcome, Later):
                failed.outcome = replace(failed.outcome, unknown=False)
            raise

    def act(self, method: str, path: str, key: str, **params: Any) -> Node:
        """Have something done under an idempotency key; raises Failed.

        A key remembers an error for a day, too. Where Stripe plays one again that is over, the
        next key of the same series is taken: the caller has looked, and it was not done.
        """
        for number in range(1, MOST_KEYS + 1):
            try:
                found = self._said(method, path, params, key if number == 1 else f"{key}-{number}")
            except Failed as failed:
                unknown = isinstance(failed.outcome, Later) and failed.outcome.unknown
                self.wrote = self.wrote or unknown
                if not failed.spent or number == MOST_KEYS:
                    raise
            else:
                self.wrote = True
                return found
        raise AssertionError

    def _said(
        self, method: str, path: str, params: Mapping[str, Any], key: str | None = None
    ) -> Node:
        self._pace()
        try:
            answer = self._client.raw_request(method, path, **params, idempotency_key=key)
        except _Unsent as unsent:
            raise Failed(Later(str(unsent))) from None
        except _Unanswered as unanswered:
            raise Failed(Later(str(unanswered), unknown=True)) from None
        except stripe.StripeError as error:
            raise _failed(error) from None
        except Exception:  # noqa: BLE001 - the SDK trips over an answer in ways of its own
            unreadable()
        if not isinstance(answer.data, dict):
            unreadable()
        return Node(answer.data)


def unreadable() -> NoReturn:
    """Raise that an answer came that says nothing."""
    raise Failed(Later("answer unreadable", unknown=True)) from None
