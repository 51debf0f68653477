"""What a worker process does when it is called: one job of one product, for a few seconds.

A call names a product and a term. Everything else is read from the database, so that a call that
comes twice, late, or from a leader that was deposed changes nothing that was not due anyway.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Lock, local
from typing import Any, Protocol

import dramatiq

from app import log
from app.clock import Clock
from app.lifecycle.case import Lane
from app.runs import Runs
from app.sealing import Sealer
from app.store import running
from app.store.database import Database
from app.store.running import (
    EVERYTHING,
    JOBS,
    SWEEP,
    Run,
)
from app.versions.planning import Planner
from jobs.billing import Books
from jobs.broker import QUEUE
from jobs.erasing import Erasing
from jobs.outbox import Worker
from jobs.sweep import sweep

STINT = timedelta(seconds=5)
"""How long one call works before it gives way to others; well under the lease of a claim."""
SAY = log.logger("worker")


class Telling(Protocol):
    """Whoever tells the endpoints of a product what has happened."""

    def work(self, product: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Send what is due while `go_on` says so; give how many, and whether nothing is left."""


Work = Callable[[str, Callable[[], bool]], tuple[int, bool]]
"""Does what is due for a product while it may; how much, and whether nothing is left."""


def nothing(_: str, _go_on: Callable[[], bool]) -> tuple[int, bool]:
    """Do nothing: another process does this."""
    return 0, True


class _TimeIsUp(Exception):
    """A sweep is to go on with the next call; what its batches did is committed."""


@dataclass
class Crew:
    """The hands of one process; each of its threads has a relay of its own."""

    database: Database
    clock: Clock
    open_worker: Callable[[], AbstractContextManager[Worker]]
    hooks: Telling
    stint: timedelta = STINT
    stopping: Event = field(default_factory=Event)
    books: Books | None = None
    erasing: Erasing | None = None

    def __post_init__(self) -> None:
        """Prepare what the threads keep."""
        self._mine = local()
        self._open: list[ExitStack] = []
        self._lock = Lock()

    def declare(self, broker: dramatiq.Broker) -> None:
        """Take the calls of a broker."""
        for job in (*JOBS, EVERYTHING):
            listed = dramatiq.actor(broker=broker, actor_name=job, queue_name=QUEUE)
            listed(partial(self.called, job))

    def called(self, job: str, product_id: int, term: int) -> None:
        """Do a job, and note what it came to; whatever it raises is logged and found again."""
        key = self._product(product_id, term)
        if key is None:
            return
        started, at = self.clock.wall(), self.clock.now()
        try:
            if job == EVERYTHING:
                did, idle, failed, stopped = self._do_everything(product_id, key)
            else:
                did, idle, failed, stopped = self._do(job, key)
        except Exception as error:  # noqa: BLE001 - one bad product must not end the others' worker
            SAY.error("job_failed", job=job, product=key, exc_info=error)
            did, idle, failed, stopped = 0, True, 1, f"failed: {type(error).__name__}"
        run = Run(product_id, job, at, started, self.clock.wall(), did, failed, idle, stopped)
        with self.database.transaction() as connection:
            running.note_run(connection, run)
        if did or failed:
            SAY.info("job_done", job=job, product=key, did=did, failed=failed)

    def _product(self, product_id: int, term: int) -> str | None:
        """Give the product's key; None for a call of a leader long gone, or about no product."""
        with self.database.transaction() as connection:
            if term < running.term(connection):
                return None
            return running.product_key(connection, product_id)

    def _do(self, job: str, key: str) -> tuple[int, bool, int, str | None]:
        until = self.clock.wall() + self.stint
        if job == SWEEP:
            return self._sweep(key, until)
        did, idle = self._work(job)(key, partial(self._go_on, until))
        return did, idle, 0, None

    def _work(self, job: str) -> Work:  # noqa: PLR0911 - one arm a job
        """Give what does a job other than the sweep, for a product and as long as it may."""
        match job:
            case "policy":
                return Planner(self.database, self.clock).work
            case "undo":
                return Runs(self.database, self.clock).undo
            case "seal":
                return lambda _, go_on: Sealer(self.database, self.clock).seal(go_on)
            case "webhooks":
                return self.hooks.work
            case "erasing":
                # Where time stands until everything is done; else the eraser does it alone.
                return self.erasing.work if self.erasing is not None else nothing
            case "look" | "reconcile" | "refund":
                return partial(self.books.work, job) if self.books is not None else nothing
            case _:
                worker = self._worker()
                return lambda key, go_on: worker.work(key, Lane(job), go_on)

    def _do_everything(self, product_id: int, key: str) -> tuple[int, bool, int, str | None]:
        """Do whatever is due, job by job, until none of those that are called for can do more."""
        total = failures = 0
        stuck: set[str] = set()
        until = self.clock.wall() + self.stint
        while todo := [job for job in self._called_for(product_id) if job not in stuck]:
            for job in todo:
                did, idle, failed, _ = self._do(job, key)
                total, failures = total + did, failures + failed
                stuck = set() if did else stuck | {job}
                if not idle or not self._go_on(until):
                    return total, False, failures, None
        return total, True, failures, None

    def _called_for(self, product_id: int) -> list[str]:
        now, wall = self.clock.now(), self.clock.wall()
        with self.database.transaction() as connection:
            due = running.due_of(connection, product_id, now, wall)
        return [job for job in JOBS if due is not None and due.waiting(job)]

    def _go_on(self, until: datetime) -> bool:
        return not self.stopping.is_set() and self.clock.wall() < until

    def _sweep(self, key: str, until: datetime) -> tuple[int, bool, int, str | None]:
        def after_batch(_: int) -> None:
            if not self._go_on(until):
                raise _TimeIsUp

        try:
            (done,) = sweep(self.database, self.clock, key, after_batch=after_batch)
        except _TimeIsUp:
            return 1, False, 0, None
        return done.counts.total(), True, done.failed, done.stopped

    # --- threads -----------------------------------------------------------------------------

    def _worker(self) -> Worker:
        """Give the worker of this thread, with its own relay."""
        found: Worker | None = getattr(self._mine, "worker", None)
        if found is None:
            stack = ExitStack()
            found = stack.enter_context(self.open_worker())
            found.stopping = self.stopping
            self._mine.worker = found
            with self._lock:
                self._open.append(stack)
        return found

    def end(self) -> None:
        """Begin nothing new; what is in hand is finished."""
        self.stopping.set()

    def close(self) -> None:
        """Close the relays, once every thread has ended."""
        for stack in self._open:
            stack.close()


def work(broker: dramatiq.Broker, crew: Crew, threads: int, poll: timedelta) -> Any:
    """Start the threads that take the broker's calls; give dramatiq's worker, to be stopped."""
    crew.declare(broker)
    milliseconds = max(1, int(poll.total_seconds() * 1000))
    worker = dramatiq.Worker(broker, worker_timeout=milliseconds, worker_threads=threads)
    worker.start()
    return worker
