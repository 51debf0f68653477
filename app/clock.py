"""The two clocks; nothing else reads time.

`now()` drives the life of subscriptions and can be moved in test mode. `wall()` serves signatures,
leases, sessions and the expiry of links, and never stands still.
"""

from collections.abc import Callable
from datetime import UTC, datetime


def wall() -> datetime:
    """Give the machine's time (aware, UTC)."""
    return datetime.now(UTC)


class Clock:
    """Both clocks; `read_now` gives the life clock where it is not the machine's."""

    def __init__(
        self,
        read_now: Callable[[], datetime] = wall,
        read_wall: Callable[[], datetime] = wall,
    ) -> None:
        """Take where each clock is read."""
        self._read_now = read_now
        self._read_wall = read_wall

    def now(self) -> datetime:
        """Give the moment in the life of subscriptions (aware, UTC)."""
        return self._read_now()

    def wall(self) -> datetime:
        """Give the machine's time (aware, UTC)."""
        return self._read_wall()
