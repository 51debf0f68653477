"""Who waits for a receiving domain: it takes so many mails a second, or wants to be left alone.

What waits goes back into the outbox for as long as its place in line asks for, so that others go on
and nothing is claimed again and again. The line is this process's own guess; what comes too early
is sent back once more. A domain that says that it has had enough, twice in a row, rests for a
minute and longer; where two domains in a row refuse us as such, the product's notices rest, so that
a relay of bad repute costs a few notices and not a campaign.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.clock import Clock
from app.engine.effects import Result, Task
from app.lifecycle.case import Kind
from app.world.outcome import Done, Later, No
from app.world.pacing import Doors
from jobs.breaker import Breaker

AT_ONCE = frozenset({Kind.KEPT, Kind.CANCELED, Kind.RESUMED})
"""Receipts for what a person has just done: counted, and never kept waiting for a place."""
LONGEST_LINE = timedelta(hours=1)
"""Nobody is sent away for longer, since lines move: pace is raised, processes come and go."""
A_SECOND = timedelta(seconds=1)


def domain_of(task: Task) -> str:
    """Give the domain a notice goes to."""
    return "" if task.brief is None else task.brief.to.rpartition("@")[2].lower()


@dataclass(slots=True)
class Queues:
    """The lines before receiving domains, as one worker sees them."""

    clock: Clock
    doors: Doors
    breaker: Breaker[str]
    ends: dict[str, datetime] = field(default_factory=dict)
    refused_by: dict[str, str] = field(default_factory=dict)

    # --- pace --------------------------------------------------------------------------------

    def waits(self, tasks: Sequence[Task]) -> Mapping[int, Later]:
        """Give those of a batch that find no place now, by their ids, and how long they wait."""
        if not self.doors.per_second:
            return {}
        wanted = Counter(map(domain_of, tasks))
        left = dict(self.doors.admitted(wanted, int(self.clock.wall().timestamp())))
        found = {}
        for task in sorted(tasks, key=lambda each: each.kind not in AT_ONCE):
            domain = domain_of(task)
            if left[domain] > 0 or task.kind in AT_ONCE:
                left[domain] -= 1
            else:
                found[task.id] = Later("domain is full", retry_after=self._place(domain))
        return found

    def _place(self, domain: str) -> timedelta:
        """Give how long the next in line before a domain waits."""
        now = self.clock.now()
        self.ends = {key: end for key, end in self.ends.items() if end > now or key == domain}
        step = A_SECOND / self.doors.per_second
        end = max(self.ends.get(domain, now), now + A_SECOND) + step
        self.ends[domain] = min(end, now + LONGEST_LINE)
        return self.ends[domain] - now

    # --- rest --------------------------------------------------------------------------------

    def rests(self, product: str) -> bool:
        """Say whether a product's notices rest, since nobody wants them from us."""
        return bool(self.breaker.rests) and bool(
            self.breaker.left(_notices(product), self.clock.now())
        )

    def rest(self, product: str, task: Task) -> Later | None:
        """Give until when a notice waits because its domain, or its product, rests."""
        if not self.breaker.rests:
            return None
        now = self.clock.now()
        left = max(self.breaker.left(key, now) for key in (_at(task), _notices(product)))
        return Later("domain rests", retry_after=left) if left else None

    def note(self, product: str, result: Result) -> None:
        """Take in what a domain said to a notice."""
        outcome, domain = result.outcome, _at(result.task)
        if isinstance(outcome, Done) and not (self.breaker.rests or self.refused_by):
            return
        now = self.clock.now()
        refused = isinstance(outcome, No) and outcome.ours
        if refused or (isinstance(outcome, Later) and outcome.busy):
            self.breaker.note(domain, outcome, now, well=False)
        elif not isinstance(outcome, Later):
            self.breaker.note(domain, outcome, now, well=True)
        if isinstance(outcome, Done):
            self.refused_by.pop(product, None)
            self.breaker.note(_notices(product), outcome, now, well=True)
        elif refused and self.refused_by.get(product) != domain:
            self.refused_by[product] = domain
            self.breaker.note(_notices(product), outcome, now, well=False)


def _at(task: Task) -> str:
    """Give the key under which a domain rests; no product's key holds an @."""
    return f"@{domain_of(task)}"


def _notices(product: str) -> str:
    """Give the key under which a product's notices rest; no product's key holds a space."""
    return f"notices of {product}"
