"""Sweeps, delivers and takes runs back in processes that kill themselves at a step they are given.

A run is one JSON line on stdin: a list of jobs that go on at once, each in a forked process. The
answer is one JSON line: how each job ended (0, or minus the signal) and how many steps it took.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.engine.door import Batch
from app.engine.effects import Effects
from app.engine.sweep import Sweeper
from app.links import Links
from app.runs import Runs
from app.store import amends
from app.store.database import Database
from app.world.billing.sandbox import Sandbox
from app.world.connector import Order, Standing
from app.world.outcome import Done, Outcome
from jobs import outbox
from tests.world import RememberingRelay

KEYS = ["test-key-0123456789-0123456789-0123456789"]
SMALL = 2
"""How many cases or effects one transaction takes."""


@dataclass
class Steps:
    """Counts steps, and ends the process without a word at one of them."""

    die_at: int
    taken: int = 0

    def __call__(self, *_: object) -> None:
        self.taken += 1
        if self.taken == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Take a step before and after a call."""

        @wraps(real)
        def stepping(*given: Any, **named: Any) -> Any:
            self()
            done = real(*given, **named)
            self()
            return done

        return stepping


@dataclass
class Post(RememberingRelay):
    """A relay outside: what it took it has written down, one line a mail."""

    file: Path = Path()
    step: Callable[[], None] = lambda: None

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:  # noqa: ARG002
        """Take a mail."""
        self.step()
        start = message.index(b"Message-ID: <")
        name = message[start + 13 : message.index(b">", start)]
        with self.file.open("ab") as stream:
            stream.write(to.encode() + b" " + name + b"\n")
        self.step()
        return Done()


@dataclass
class Billing:
    """The sandbox, a step before and after each call."""

    real: Sandbox
    step: Callable[[], None]

    def carry_out(self, order: Order) -> Outcome:
        """Act."""
        self.step()
        done = self.real.carry_out(order)
        self.step()
        return done

    def read(self, order: Order) -> Standing | None:
        """Read."""
        self.step()
        return self.real.read(order)


def job(role: str, url: str, now: str, mails: str, die_at: int) -> int:
    """Sweep, deliver or take back a run once, or die on the way; give the steps taken."""
    step = Steps(die_at)
    moment = datetime.fromisoformat(now)
    clock = Clock(lambda: moment)
    database = Database(url)
    Batch.flush = step.around(Batch.flush)  # type: ignore[method-assign]
    if role == "sweep":
        Sweeper(database, "tv", moment, batch=SMALL, after_batch=step).run()
        return step.taken
    if role == "undo":
        amends.came_to = step.around(amends.came_to)
        Runs(database, clock, SMALL).undo("tv", lambda: True, after_batch=step)
        return step.taken
    outbox.MANY = SMALL
    effects = Effects(database, clock, Links(KEYS, "http://127.0.0.1:8080"))
    for name in ("claim", "acknowledge"):
        setattr(Effects, name, step.around(getattr(Effects, name)))
    outbox.Worker(
        database,
        clock,
        effects,
        Post(file=Path(mails), step=step),
        lambda product: Billing(Sandbox(database.engine, product), step),
        before_act=step,
        after_act=step,
    ).until_idle()
    return step.taken


def forked(given: dict[str, Any]) -> tuple[int, int]:
    """Run a job in a process of its own; give its id and where it tells its steps."""
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        return child, told
    status = 1
    try:
        os.write(tell, str(job(**given)).encode())
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Answer runs until there are no more."""
    for line in sys.stdin:
        answers = []
        for child, told in [forked(given) for given in json.loads(line)]:
            _, status = os.waitpid(child, 0)
            steps = os.read(told, 20) or b"0"
            os.close(told)
            answers.append([os.waitstatus_to_exitcode(status), int(steps)])
        print(json.dumps(answers), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
