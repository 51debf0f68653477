"""The role `scheduler`: sees what is due and calls workers for it."""

import threading
from datetime import timedelta
from functools import partial

import click

from app import log
from app.cli.installation import Installation
from app.cli.role import attached_option, role, warn_of_redis
from app.forecast import Keeper
from app.inbox import Inbox
from app.store import products
from jobs.broker import RedisWaker, open_broker
from jobs.scheduler import CALL_AGAIN, Scheduler

CALL_AGAIN_IN_TESTS = timedelta(seconds=1)
MOST_FOLDS = 500
"""So many batches are folded before others have their turn; the rest a minute later."""
NIGHTLY = "counts"
"""The thread that looks at every subscription: the leader does not wait for it."""
SAY = log.logger("scheduler")


@click.command("scheduler")
@attached_option
def scheduler(is_attached: bool) -> None:
    """See what is due and call workers for it; of several, one leads and the others stand by."""
    with role("scheduler", is_attached=is_attached) as (parts, stopping):
        warn_of_redis(parts.redis_url())
        test = parts.settings.clock == "test"
        Scheduler(
            parts.database,
            parts.clock,
            RedisWaker(open_broker(parts.redis_url())),
            partial(look_after, parts),
            test=test,
            stopping=stopping,
            call_again=CALL_AGAIN_IN_TESTS if test else CALL_AGAIN,
        ).run()


def look_after(parts: Installation) -> None:
    """Tidy, and see that everybody is counted at night, beside it: the leader does not wait."""
    tidy(parts)
    if not any(each.name == NIGHTLY for each in threading.enumerate()):
        threading.Thread(target=_count, args=(parts,), name=NIGHTLY, daemon=True).start()


def tidy(parts: Installation) -> None:
    """Try again what the inbox could not apply, fold counts, and forget what is kept no longer."""
    inbox = Inbox(parts.database, parts.clock, parts.kept_for, parts.links)
    with parts.database.transaction() as connection:
        keys = products.keys(connection)
    counts = Keeper(parts.database, parts.clock)
    for key in keys:
        inbox.retry_failed(key)
        counts.fold(key, MOST_FOLDS)
    inbox.forget()
    while parts.hooks.tidy():
        pass


def _count(parts: Installation) -> None:
    """Count at night what a forecast asks for, and compare once a week; drift is logged."""
    counts = Keeper(parts.database, parts.clock)
    with parts.database.transaction() as connection:
        keys = products.keys(connection)
    for key in keys:
        try:
            drift = counts.nightly(key)
        except Exception as error:  # noqa: BLE001 - one product must not stop the others' counts
            SAY.error("not_counted", product=key, exc_info=error)
            continue
        if drift:
            SAY.error("counts_drifted", product=key, wrong=drift)


COMMANDS = (scheduler,)
