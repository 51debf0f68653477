"""The role `worker`: sweeps, tells billing, sends notices and webhooks."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import click

from app.cli.installation import Installation
from app.cli.role import attached_option, role, warn_of_redis
from app.world.pacing import Doors, Pace
from jobs.breaker import Breaker
from jobs.broker import open_broker
from jobs.crew import Crew, work

POLL = timedelta(milliseconds=200)
"""How long an idle worker waits at most before it asks Redis again."""
POLL_IN_TESTS = timedelta(milliseconds=8)
GOODBYE_MS = 30_000
"""Milliseconds that threads are given to finish what they have in hand."""


@click.command("worker")
@attached_option
def worker(is_attached: bool) -> None:
    """Sweep, tell billing, send notices and webhooks, as the scheduler calls for it."""
    with role("worker", is_attached=is_attached) as (parts, stopping):
        say_what_is_missing(parts)
        pace, doors = (
            Pace(parts.redis_url(), stopping),
            Doors(parts.mail_per_domain, parts.redis_url()),
        )
        paced = replace(parts, pace=pace, doors=doors)
        open_worker = partial(paced.worker, Breaker())
        in_tests = parts.settings.clock == "test"
        crew = Crew(
            parts.database,
            parts.clock,
            open_worker,
            parts.hooks,
            books=paced.books,
            erasing=paced.erasing if in_tests else None,
        )
        poll = POLL_IN_TESTS if in_tests else POLL
        hands = work(open_broker(parts.redis_url()), crew, parts.settings.workers, poll)
        stopping.wait()
        crew.end()
        hands.stop(GOODBYE_MS)
        crew.close()


def say_what_is_missing(parts: Installation) -> None:
    """Refuse to begin without a relay, and warn where Redis does not answer."""
    with parts.worker():
        pass
    warn_of_redis(parts.redis_url())


COMMANDS = (worker,)
