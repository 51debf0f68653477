"""Tells targets to erase: claims receipts, tells, brings back what became of it.

Targets are strangers to each other: each has a few threads of its own, and one that does not answer
is left alone for a while after two failures in a row.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from app import guards
from app.clock import Clock
from app.engine.receipts import LEASE, Receipts, Telling, Told
from app.errors import Refused
from app.links import Links
from app.store import products
from app.store.database import Database
from app.store.targets import Target as Registered
from app.world.erasing import Accepted, Answer, Given, Target
from app.world.outcome import Done, Later
from jobs.breaker import Breaker

MANY = 40
AT_ONCE = 4
"""How many requests go to one target at a time."""
MOST_THREADS = 32
BRAKE_EVERY = timedelta(seconds=1)
NOT_CONNECTED = "not connected"


@dataclass
class Teller:
    """Tells the targets of every product; one of these serves all threads of a process."""

    database: Database
    clock: Clock
    links: Links
    connect: Callable[[str, Registered], Target]
    """Connects to a product's target; Refused where it lacks what it needs."""
    lease: timedelta = LEASE
    breaker: Breaker[int] = field(default_factory=Breaker)
    before_tell: Callable[[Telling], None] = lambda _: None
    after_tell: Callable[[Telling], None] = lambda _: None

    def __post_init__(self) -> None:
        """Put together what writes."""
        self.receipts = Receipts(self.database, self.clock, self.links, self.lease)

    def work(self, product: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Tell what is due while `go_on` says so; give how many tries, and whether none is left."""
        did = 0
        while go_on():
            done = self.once(product).total()
            if not done:
                return did, True
            did += done
        return did, False

    def once(self, product: str) -> Counter[str]:
        """Claim and tell one batch of a product; count what came of it, such as `receipt given`."""
        now = self.clock.now()
        claimed = self.receipts.claim(product, MANY, self.breaker.resting(now))
        if not claimed:
            return Counter()
        results: list[Told] = []
        try:
            self._tell_all(product, claimed, results, now)
        finally:
            self.receipts.settle(product, results)
        return Counter(f"receipt {_word(each.answer)}" for each in results if each.answer)

    # --- telling -----------------------------------------------------------------------------

    def _tell_all(
        self, product: str, claimed: Sequence[Telling], results: list[Told], now: datetime
    ) -> None:
        """Tell what was claimed, filling `results`; what ends a thread ends the batch."""
        brake = _Brake(self.database, self.clock, product)
        lines = _by_target(claimed)
        hands = [line for line in lines for _ in range(min(AT_ONCE, len(line)))]
        with ThreadPoolExecutor(min(len(hands), MOST_THREADS), "telling") as pool:
            ends = [pool.submit(self._drain, product, line, results, brake, now) for line in hands]
        for each in ends:
            each.result()

    def _drain(
        self,
        product: str,
        line: deque[Telling],
        results: list[Told],
        brake: "_Brake",
        now: datetime,
    ) -> None:
        """Tell one after the other over one connection, as long as the target answers."""
        target: Target | None = None
        while True:
            try:
                telling = line.popleft()
            except IndexError:
                return
            if self._waits(telling, brake, now):
                results.append(Told(telling, None))
                continue
            try:
                target = target or self.connect(product, telling.target)
            except Refused:
                results.append(Told(telling, Later(NOT_CONNECTED)))
                continue
            except Exception as error:  # noqa: BLE001 - one bad target must not stop the others
                results.append(Told(telling, Later(f"{NOT_CONNECTED}: {type(error).__name__}")))
                continue
            results.append(self._tell(target, telling, now))

    def _waits(self, telling: Telling, brake: "_Brake", now: datetime) -> bool:
        """Say whether one is not begun: it is late, its target rests, or a brake is on."""
        late = self.clock.wall() > telling.begin_by
        resting = telling.target.id in self.breaker.resting(now)
        return late or resting or (telling.scheduled and brake.is_on())

    def _tell(self, target: Target, telling: Telling, now: datetime) -> Told:
        self.before_tell(telling)
        answer: Answer
        try:
            answer = target.erase(telling.request)
        except Exception as error:  # noqa: BLE001 - one poisoned request must not stop the others
            answer = Later(f"target failed: {type(error).__name__}", unknown=True)
        self.after_tell(telling)
        outcome = Done() if isinstance(answer, Given | Accepted) else answer
        well = not isinstance(outcome, Later)
        self.breaker.note(telling.target.id, outcome, now, well=well)
        return Told(telling, answer)


@dataclass
class _Brake:
    """Looks from time to time whether a brake on a product was set since the batch began."""

    database: Database
    clock: Clock
    product: str
    lock: Lock = field(default_factory=Lock)
    on: bool = False

    def __post_init__(self) -> None:
        """Begin with the claim, which has looked."""
        self.checked = self.clock.wall()

    def is_on(self) -> bool:
        """Say whether it is on, as of a second ago at most."""
        with self.lock:
            if self.clock.wall() - self.checked >= BRAKE_EVERY:
                self.checked = self.clock.wall()
                with self.database.transaction() as connection:
                    product = products.load(connection, self.product)
                    self.on = guards.braked(connection, product)
            return self.on


def _by_target(claimed: Iterable[Telling]) -> list[deque[Telling]]:
    lines: dict[int, deque[Telling]] = {}
    for each in claimed:
        lines.setdefault(each.target.id, deque()).append(each)
    return list(lines.values())


def _word(answer: Answer | None) -> str:
    if isinstance(answer, Given):
        return "given"
    if isinstance(answer, Accepted):
        return "accepted"
    return "later" if isinstance(answer, Later) else "no"
