"""Works off the outbox: claims a batch, lets the world act, brings back what it did."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from threading import Event

from app.clock import Clock
from app.engine.effects import KINDS, Effects, Result, Task, released
from app.errors import Refused
from app.lifecycle.case import Lane
from app.store import outbox, products
from app.store.database import Database
from app.world.connector import (
    REACHED,
    UNKNOWN,
    Acts,
    Away,
    Order,
    Standing,
    settled,
)
from app.world.mail import dkim
from app.world.mail.brief import Brand
from app.world.mail.relay import Relay
from app.world.mail.wording import Recorder, Said
from app.world.outcome import Done, Later, No, Outcome
from app.world.pacing import Doors
from jobs.breaker import Breaker
from jobs.queues import Queues

MANY = 100
MARGIN = 0.4
"""Nothing is begun with less of the lease left: a relay may take its time over one notice."""
BRAKE_EVERY = timedelta(seconds=1)
UNCONFIRMED = timedelta(days=2)
"""So long billing's silence about an act is waited out."""
A_MOMENT = 0.05


@dataclass(slots=True)
class Worker:
    """Delivers the effects of every product; several may run at once."""

    database: Database
    clock: Clock
    effects: Effects
    relay: Relay
    connector: Callable[[str], Acts]
    composer: Recorder = field(default_factory=Recorder)
    before_act: Callable[[Task], None] = lambda _: None
    after_act: Callable[[Task], None] = lambda _: None
    breaker: Breaker[str] = field(default_factory=Breaker)
    doors: Doors = field(default_factory=Doors)
    failures: list[Exception] = field(default_factory=list)
    stopping: Event = field(default_factory=Event)
    queues: Queues = field(init=False)

    def __post_init__(self) -> None:
        """Let those who wait for a receiving domain stand in line."""
        self.queues = Queues(self.clock, self.doors, self.breaker)

    def work(self, product: str, lane: Lane, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Work off one lane of one product while `go_on` says so.

        Give how many rows changed, and whether nothing was left that could be done.
        """
        did = 0
        while go_on():
            done = self._lane(product, lane).total()
            if not done:
                return did, True
            did += done
        return did, False

    def until_idle(self) -> Counter[str]:
        """Deliver until nothing is due for any product; count outcomes by kind.

        A product that fails stops no other: its first error is raised when the others are idle.
        """
        total: Counter[str] = Counter()
        while True:
            done = self.once()
            total += done
            if not done.total():
                break
        if self.failures:
            raise self.failures[0]
        return total

    def once(self) -> Counter[str]:
        """Claim and carry out one batch of each lane of every product; `failures` holds errors."""
        total: Counter[str] = Counter()
        self.failures = []
        with self.database.transaction() as connection:
            keys = products.keys(connection)
        for key in keys:
            for lane in KINDS:
                try:
                    total += self._lane(key, lane)
                except Exception as error:  # noqa: BLE001 - one bad product must not stop the others
                    sys.stderr.write(f"product {key} put off: {type(error).__name__}\n")
                    self.failures.append(error)
        return total

    def _lane(self, product: str, lane: Lane) -> Counter[str]:
        if self._rests(product) if lane is Lane.BILLING else self.queues.rests(product):
            return Counter()
        brand, tasks, seen = self.effects.claim(product, lane, MANY)
        carry_out = self._bill if lane is Lane.BILLING else self._mail
        results: list[Result] = []
        try:
            for result in carry_out(product, brand, tasks):
                results.append(result)  # noqa: PERF402 - what was done counts, even if the next raises
        except Exception:
            # Whatever an act raises is its outcome, so that those left have not been begun.
            results += map(released, tasks[len(results) :])
            raise
        finally:
            self.effects.acknowledge(product, results)
        counted = Counter(f"{each.task.kind} {_word(each.outcome)}" for each in results)
        if seen and not tasks:
            counted["looked at"] += 1
        return counted

    def _each(
        self, product: str, tasks: Sequence[Task], attempt: Callable[[Task], Result]
    ) -> Iterator[Result]:
        """Attempt each task, while the lease lasts and no brake has been set meanwhile."""
        checked, braked = self.clock.wall(), False
        for task in tasks:
            if self.clock.wall() - checked >= BRAKE_EVERY:
                checked, braked = self.clock.wall(), self._braked(product)
            if (braked and task.braked) or not self._may_begin(task):
                yield released(task)
                continue
            self.before_act(task)
            result = attempt(task)
            self.after_act(task)
            yield result

    # --- billing ---------------------------------------------------------------------------

    def _bill(self, product: str, brand: Brand, tasks: Sequence[Task]) -> Iterator[Result]:  # noqa: ARG002
        if not tasks:
            return
        watched = Watched(self.connector(product), partial(self._note, product))
        yield from self._each(product, tasks, partial(self._tell, product, watched))

    def _tell(self, product: str, billing: Acts, task: Task) -> Result:
        """Carry out one act, unless billing has stopped answering in the midst of the batch."""
        return released(task) if self._rests(product) else _acted(billing, task)

    def _rests(self, product: str) -> bool:
        return product in self.breaker.resting(self.clock.now())

    def _note(self, product: str, outcome: Outcome) -> None:
        well = not isinstance(outcome, Later)
        self.breaker.note(product, outcome, self.clock.now(), well=well)

    # --- notices ---------------------------------------------------------------------------

    def _mail(self, product: str, brand: Brand, tasks: Sequence[Task]) -> Iterator[Result]:
        """Send notices, but for those whose turn has not come at the domain they go to."""
        waits = self.queues.waits(tasks)
        yield from self._each(product, tasks, partial(self._post, product, brand, waits))

    def _post(self, product: str, brand: Brand, waits: Mapping[int, Later], task: Task) -> Result:
        """Send one notice, unless it waits, or its domain has had enough meanwhile."""
        later = waits.get(task.id) or self.queues.rest(product, task)
        if later is not None:
            return Result(task, later, begun=False)
        result = self._send(brand, task)
        self.queues.note(product, result)
        return result

    def _send(self, brand: Brand, task: Task) -> Result:
        """Write and hand over one notice; what cannot be written waits for a person."""
        if task.brief is None:
            return Result(task, No("no brief"), park=True)
        try:
            message = self.composer.compose(brand, task.brief)
            said = self.composer.record(brand, task.brief)
        except Refused as refused:
            return Result(task, No(refused.what), park=True)
        except Exception as error:  # noqa: BLE001 - one poisoned notice must not stop the others
            return Result(task, No(f"not written: {type(error).__name__}"), park=True)
        try:
            message = dkim.prepared(message, task.sending, self.clock.wall())
        except Refused as refused:
            # Never unsigned: it would look like a forgery. Keys come back; till then all wait.
            return Result(task, Later(f"not signed: {refused.what}"), begun=False)
        except Exception as error:  # noqa: BLE001 - one poisoned notice must not stop the others
            return Result(task, Later(f"not signed: {type(error).__name__}"), begun=False)
        return self._handed_over(brand, task, message, said)

    def _handed_over(self, brand: Brand, task: Task, message: bytes, said: Said) -> Result:
        """Give a message to the relay, with what it says."""
        to = task.brief.to if task.brief else ""
        sender = task.sending.envelope_from(brand.from_address)
        try:
            return Result(task, self.relay.send(sender, to, message), said=said)
        except Exception as error:  # noqa: BLE001 - nobody knows whether it went out
            return Result(task, Later(f"relay failed: {type(error).__name__}", unknown=True))

    def _may_begin(self, task: Task) -> bool:
        """Say whether there is time left for a task; who is asked to end begins no more."""
        return (
            not self.stopping.is_set()
            and self.clock.wall() < task.lease_until - self.effects.lease * MARGIN
        )

    def _braked(self, product: str) -> bool:
        with self.database.transaction() as connection:
            return bool(products.brakes(connection, products.row_of(connection, product).id))

    def waited_for_a_lease(self) -> bool:
        """Wait until a lease runs out whose worker may be dead; False where nothing is claimed."""
        with self.database.transaction() as connection:
            ends = outbox.next_lease(connection)
        if ends is None:
            return False
        Event().wait(max(0.0, (ends - self.clock.wall()).total_seconds()) + A_MOMENT)
        return True


@dataclass(frozen=True, slots=True)
class Watched:
    """A billing system whose health is noted: whether it answers, not what it says."""

    billing: Acts
    note: Callable[[Outcome], None]

    def carry_out(self, order: Order) -> Outcome:
        """Tell billing to act."""
        try:
            outcome = self.billing.carry_out(order)
        except Exception as error:
            self.note(Later(type(error).__name__))
            raise
        self.note(outcome)
        return outcome

    def read(self, order: Order) -> Standing | None:
        """Ask billing; that it says something proves nothing, since some say what we know."""
        try:
            return self.billing.read(order)
        except Away as away:
            self.note(Later(away.reason, retry_after=away.retry_after))
            raise


def _acted(connector: Acts, task: Task) -> Result:
    """Carry out one act; what a connector raises says nothing about what billing did."""
    try:
        return _act(connector, task)
    except Away as away:
        # Nothing was tried: it could not even be asked what became of an earlier try.
        later = Later(away.reason, retry_after=away.retry_after)
        return Result(task, later, begun=False)
    except Exception as error:  # noqa: BLE001 - one poisoned act must not stop the others
        return Result(task, Later(f"connector failed: {type(error).__name__}", unknown=True))


def _act(connector: Acts, task: Task) -> Result:
    """Carry out one act, read back first where an earlier try has no known outcome."""
    order = task.order
    if order is None:
        return Result(task, No("no order"))
    if task.check_first or task.check_only:
        standing = connector.read(order)
        if standing is not None and standing.state in REACHED[order.act]:
            return Result(task, Done(), standing)
        if task.check_only:
            return Result(task, _unwanted(order, standing))
    outcome = connector.carry_out(order)
    if isinstance(outcome, Done):
        return Result(task, outcome, settled(connector, order, outcome))
    return Result(task, outcome)


def _unwanted(order: Order, standing: Standing | None) -> Outcome:
    """Say what becomes of an act that nobody wants any more and that was not seen to be done.

    Where billing cannot say, its silence is no proof: after two days a person is to ask.
    """
    if standing is None or standing.state != UNKNOWN:
        return Later("never reached billing")
    if order.since is not None and order.at - order.since > UNCONFIRMED:
        return No("not confirmed by billing")
    return Later("not confirmed by billing", unknown=True)


def _word(outcome: Outcome) -> str:
    match outcome:
        case Done():
            return "done"
        case Later():
            return "later"
        case No():
            return "no"
