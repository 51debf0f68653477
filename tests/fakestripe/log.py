"""What the fake was asked, and what came of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One request. `changes` counts the objects it changed: 0 had no effect."""

    number: int
    at: int
    """By the fake's clock."""
    wall: float
    """By the monotonic clock of this machine, in seconds."""
    method: str
    path: str
    params: dict[str, Any]
    version: str | None
    key: str | None
    """The idempotency key."""
    api_key: str | None
    headers: dict[str, str]
    account: str | None = None
    live: bool | None = None
    status: int = 0
    """0: no answer was sent."""
    replayed: bool = False
    changes: int = 0
    fault: str | None = None
    request: str = ""

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def took_effect(self) -> bool:
        return self.changes > 0


@dataclass
class Log:
    """All calls in the order they came."""

    calls: list[Call] = field(default_factory=list)

    def acts(self) -> list[Call]:
        """Give every write, with its key, and whether it was replayed or had an effect."""
        return [call for call in self.calls if call.writes]

    def versions(self) -> Counter[str | None]:
        """Count the calls by the API version they asked for."""
        return Counter(call.version for call in self.calls)

    def busiest_second(self) -> int:
        """Give the most calls that came within one second."""
        times = [call.wall for call in self.calls]
        first = most = 0
        for last, moment in enumerate(times):
            while moment - times[first] >= 1:
                first += 1
            most = max(most, last - first + 1)
        return most

    def clear(self) -> None:
        self.calls.clear()
