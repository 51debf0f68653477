"""The role `scheduler`: sees what is due and calls workers for it."""

from datetime import timedelta
from functools import partial

import click

from app.cli.installation import Installation
from app.cli.role import attached_option, role, warn_of_redis
from app.inbox import Inbox
from app.store import products
from jobs.broker import RedisWaker, open_broker
from jobs.scheduler import CALL_AGAIN, Scheduler

CALL_AGAIN_IN_TESTS = timedelta(seconds=1)


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
            partial(tidy, parts),
            test=test,
            stopping=stopping,
            call_again=CALL_AGAIN_IN_TESTS if test else CALL_AGAIN,
        ).run()


def tidy(parts: Installation) -> None:
    """Try again what the inbox could not apply, and forget what is kept no longer."""
    inbox = Inbox(parts.database, parts.clock, parts.kept_for)
    with parts.database.transaction() as connection:
        keys = products.keys(connection)
    for key in keys:
        inbox.retry_failed(key)
    inbox.forget()
    while parts.hooks.tidy():
        pass


COMMANDS = (scheduler,)
