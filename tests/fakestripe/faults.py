"""What can go wrong between a client and Stripe, ordered by a test."""

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from zlib import crc32

from msgspec.json import decode, encode

from tests.fakestripe.memory import Answer

HUGE = 10_000_000
"""Bytes of a huge body."""


class Kind(StrEnum):
    """What happens to a call."""

    DROP = "drop"
    """The connection ends without an answer."""
    CUT = "cut"
    """The connection ends in the middle of the answer."""
    DELAY = "delay"
    """The answer comes after `seconds`; not applied: the act, too."""
    HANG = "hang"
    """No answer until the fake is closed or `release()` is called, then a drop."""
    LIMIT = "limit"
    """429 with Retry-After and Stripe-Rate-Limited-Reason; no key remembers it."""
    LOCK = "lock"
    """429 with code lock_timeout: the object is in use; no key remembers it."""
    ERROR = "error"
    """500 that the idempotency key remembers for 24 hours."""
    REFUSE = "refuse"
    """A plain no, 400 unless `status` says otherwise; the idempotency key remembers it."""
    UNAVAILABLE = "unavailable"
    """503 that no key remembers."""
    HTML = "html"
    """A page of somebody in between, with `status` (502 by default, 200 for a portal)."""
    HUGE = "huge"
    """The true answer with ten megabytes in it."""
    TRUNCATED = "truncated"
    """The first half of the true answer, its length right."""
    TYPES = "types"
    """The true answer with every value of another type."""
    EMPTY = "empty"
    """`status` (200 by default) and no body."""


NEVER_APPLIED = frozenset({Kind.LIMIT, Kind.LOCK, Kind.REFUSE, Kind.UNAVAILABLE})
ALWAYS_APPLIED = frozenset({Kind.HUGE, Kind.TRUNCATED, Kind.TYPES, Kind.CUT})
"""They spoil the true answer, so there has to be one."""


@dataclass
class Fault:
    """A fault and the calls that meet it; method and path are patterns as of file names."""

    kind: Kind
    applied: bool = False
    """Whether the act is done all the same."""
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    """How often; None: always."""
    after: int = 0
    """How many matching calls pass first."""
    share: float = 1.0
    """Of the matching calls, by seed."""
    seconds: float = 0.2
    """Of a delay, and of Retry-After (rounded up)."""
    status: int | None = None
    seen: int = 0
    met: int = 0

    def __post_init__(self) -> None:
        self.kind = Kind(self.kind)
        if self.kind in NEVER_APPLIED and self.applied:
            raise ValueError(f"{self.kind} happens before anything is done")
        self.applied = self.applied or self.kind in ALWAYS_APPLIED

    def meets(self, method: str, path: str, seed: int) -> bool:
        """Tell whether a call meets the fault, and count it."""
        if not (fnmatchcase(method, self.method) and fnmatchcase(path, self.path)):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.met >= self.times):
            return False
        if crc32(f"{seed}:{self.kind}:{self.seen}".encode()) / 2**32 >= self.share:
            return False
        self.met += 1
        return True


@dataclass
class Faults:
    """The faults that are ordered; a call meets the first that fits."""

    seed: int = 0
    ordered: list[Fault] = field(default_factory=list)

    def add(self, kind: Kind | str, **how: object) -> Fault:
        """Order a fault: `add("drop", applied=True, method="POST", path="*/pause")`."""
        fault = Fault(Kind(kind), **how)  # type: ignore[arg-type] # names are checked by Fault
        self.ordered.append(fault)
        return fault

    def clear(self) -> None:
        self.ordered.clear()

    def meet(self, method: str, path: str) -> Fault | None:
        return next((each for each in self.ordered if each.meets(method, path, self.seed)), None)


def spoiled(fault: Fault, answer: Answer) -> Answer:
    """Give what the client gets to read instead of an answer."""
    plain = {**answer.headers, "Content-Type": "text/html"}
    match fault.kind:
        case Kind.HTML:
            page = b"<html><body><h1>Bad Gateway</h1></body></html>"
            return Answer(fault.status or 502, plain, page)
        case Kind.EMPTY:
            return Answer(fault.status or 200, plain, b"")
        case Kind.HUGE:
            padded = {**decode(answer.body), "padding": "x" * HUGE}
            return Answer(answer.status, answer.headers, encode(padded))
        case Kind.TRUNCATED:
            return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
        case Kind.TYPES:
            return Answer(answer.status, answer.headers, encode(twisted(decode(answer.body))))
    return answer


def twisted(value: object) -> object:
    """Give a value of another type: what is a number is a text, a list is an object."""
    match value:
        case dict():
            return {key: twisted(each) for key, each in value.items()}
        case bool() | None:
            return "maybe"
        case int():
            return str(value)
        case str():
            return [value]
        case list():
            return {str(at): twisted(each) for at, each in enumerate(value)}
    return value
