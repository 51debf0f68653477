"""Leaves alone for a while whatever does not answer, so that others need not wait for it."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

from app.world.outcome import Later, Outcome

IN_A_ROW = 2
FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)
NO_REST = timedelta()

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Rest:
    """How somebody has been failing: since when, how often, and until when they are left alone."""

    since: datetime
    failures: int = 0
    until: datetime | None = None


@dataclass
class Breaker(Generic[Key]):
    """Rests after two failures in a row: a minute, then twice as long, up to fifteen.

    Who asks for a pause gets it at once. Kept in this process: another one finds out by itself, at
    the price of two tries. It is on the life clock, as the pauses between tries are.
    """

    rests: dict[Key, Rest] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def resting(self, now: datetime) -> set[Key]:
        """Give those that are left alone now."""
        with self.lock:
            return {
                key
                for key, each in self.rests.items()
                if each.until is not None and now < each.until
            }

    def left(self, key: Key, now: datetime) -> timedelta:
        """Give how much longer one of them is left alone; nothing where it is not."""
        with self.lock:
            rest = self.rests.get(key)
            until = None if rest is None else rest.until
        return NO_REST if until is None else max(NO_REST, until - now)

    def silent_since(self, before: datetime) -> set[Key]:
        """Give those that have only failed since before a moment."""
        with self.lock:
            return {key for key, each in self.rests.items() if each.since <= before}

    def note(self, key: Key, outcome: Outcome, now: datetime, *, well: bool) -> None:
        """Take in what came of one try; `well` says that whoever was asked is in good health."""
        with self.lock:
            if well:
                self.rests.pop(key, None)
                return
            rest = self.rests.setdefault(key, Rest(now))
            rest.failures += 1
            asked = outcome.retry_after if isinstance(outcome, Later) else None
            if rest.failures >= IN_A_ROW or asked is not None:
                rest.until = now + min(max(_pause(rest.failures), asked or NO_REST), LONGEST_REST)


def _pause(failures: int) -> timedelta:
    if failures < IN_A_ROW:
        return NO_REST
    return FIRST_REST * (1 << min(failures - IN_A_ROW, 10))
