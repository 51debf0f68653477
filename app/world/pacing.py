"""Keeps the calls to one account under what it allows, for all processes together.

They are counted in Redis. Where Redis is away each process counts for itself: a few calls too many
are refused by the other side, and come back as any refusal does.
"""

from dataclasses import dataclass, field
from threading import Event

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

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
