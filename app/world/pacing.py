"""Keeps the calls to one account under what it allows, for all processes together.

They are counted in Redis. Where Redis is away each process counts for itself: a few calls too many
are refused by the other side, and come back as any refusal does.

Mails to one receiving domain are counted alike, but nobody waits for them: what is too much is
sent later, and others go on.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis import Redis
from redis.exceptions import RedisError

ALONE = "memory://"
"""Where the calls of one process are counted, if others are not to be heeded."""
NAMESPACE = "reconfirm-calls"


def _by_itself() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


@dataclass
class Pace:
    """Lets so many calls a second pass for each account; `stopping` ends every wait."""

    url: str = ALONE
    stopping: Event = field(default_factory=Event)
    alone: MovingWindowRateLimiter = field(default_factory=_by_itself)

    def __post_init__(self) -> None:
        """Open what counts; nothing is connected yet."""
        shared = f"redis+{self.url}" if self.url.startswith("unix:") else self.url
        self.shared = MovingWindowRateLimiter(storage_from_string(shared, wrap_exceptions=True))

    def wait(self, account: str, per_second: int) -> None:
        """Wait until one more call may be made."""
        limit = RateLimitItemPerSecond(per_second, namespace=NAMESPACE)
        while not self._may(limit, account) and not self.stopping.wait(1 / per_second):
            pass

    def _may(self, limit: RateLimitItemPerSecond, account: str) -> bool:
        try:
            return self.shared.hit(limit, account)
        except StorageError:
            return self.alone.hit(limit, account)


MAILS = "reconfirm-mails"
PATIENCE = 0.5
"""Seconds that Redis is given to count mails."""
KEPT = 3
"""Seconds that a count is kept: it serves for one of them."""


@dataclass
class Doors:
    """Lets so many mails a second through to each receiving domain, for all processes together.

    `per_second` 0 lets everything through and counts nothing. A whole batch is counted in one
    round trip to Redis, so that counting costs next to nothing beside sending.
    """

    per_second: int = 0
    url: str = ALONE
    alone: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Open what counts; nothing is connected yet."""
        self._lock = Lock()
        self._redis = None if self.url == ALONE else _patient(self.url)

    def admitted(self, wanted: Mapping[str, int], second: int) -> Mapping[str, int]:
        """Give how many of the wanted mails to each domain may go in a second of the wall clock."""
        if not self.per_second or not wanted:
            return wanted
        counted = self._counted(wanted, second)
        room = {domain: self.per_second - counted[domain] for domain in wanted}
        return {domain: max(0, min(many, room[domain] + many)) for domain, many in wanted.items()}

    def _counted(self, wanted: Mapping[str, int], second: int) -> Mapping[str, int]:
        """Count these mails; give how many there are in this second with them."""
        if self._redis is not None:
            with suppress(RedisError):
                return _counted(self._redis, wanted, second)
        with self._lock:
            for key in [key for key in self.alone if key[1] != second]:
                del self.alone[key]
            for domain, many in wanted.items():
                self.alone[domain, second] += many
            return {domain: self.alone[domain, second] for domain in wanted}


def _patient(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def _counted(redis: Redis, wanted: Mapping[str, int], second: int) -> dict[str, int]:
    line = redis.pipeline(transaction=False)
    for domain, many in wanted.items():
        key = f"{MAILS}:{domain}:{second}"
        line.incrby(key, many)
        line.expire(key, KEPT)
    return dict(zip(wanted, line.execute()[::2], strict=True))
