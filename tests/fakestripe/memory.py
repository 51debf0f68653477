"""What idempotency keys remember, and how many calls a second an account may make."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from tests.fakestripe.errors import Refused
from tests.fakestripe.periods import DAY


@dataclass(frozen=True)
class Answer:
    """A status, headers and a body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class _Kept:
    asked: Any
    at: int
    answer: Answer | None = None


@dataclass
class Memory:
    """Answers by idempotency key, for 24 hours of the fake's clock."""

    kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)

    def begin(self, scope: str, key: str, asked: Any, now: int) -> Answer | None:
        """Give the answer to play again, or None: then it is begun, and to be ended."""
        found = self.kept.get((scope, key))
        if found is None or now - found.at >= DAY:
            self.kept[scope, key] = _Kept(asked, now)
            return None
        if found.answer is None:
            raise Refused(
                "There is currently another in-progress request using this Stripe-Idempotency-Key "
                "(that probably means you submitted twice, and the other request is still going "
                f"through): {key}.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        if found.asked != asked:
            raise Refused(
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
                kind="idempotency_error",
            )
        return found.answer

    def end(self, scope: str, key: str, answer: Answer | None) -> None:
        """Keep an answer, or forget the key where the endpoint had not begun."""
        if answer is None:
            self.kept.pop((scope, key), None)
        else:
            self.kept[scope, key].answer = answer


@dataclass
class Bucket:
    """A token bucket; without a rate it never refuses."""

    rate: float | None = None
    clock: Callable[[], float] = monotonic
    _tokens: float = 0.0
    _filled: float = 0.0

    def limit(self, per_second: float | None, clock: Callable[[], float] = monotonic) -> None:
        """Allow this many calls a second from now on, as many at once; None: any number."""
        self.rate, self.clock = per_second, clock
        self._tokens, self._filled = per_second or 0.0, clock()

    def take(self) -> float:
        """Take a token; give the seconds to wait where there is none, else 0."""
        if self.rate is None:
            return 0.0
        now = self.clock()
        self._tokens = min(self.rate, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return (1 - self._tokens) / self.rate
        self._tokens -= 1
        return 0.0
