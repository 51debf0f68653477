"""What every role of the running service has in common: how it begins, and how it is ended."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import click
import redis

from app import log
from app.cli.installation import Installation
from app.cli.serving import serving

PATIENCE = 2
SAY = log.logger("role")


def attached_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the switch with which `up` starts its processes."""
    return click.option(
        "--attached", "is_attached", is_flag=True, hidden=True, help="End when stdin closes."
    )(command)


@contextmanager
def until_told() -> Iterator[Event]:
    """Give an event that SIGTERM and SIGINT set."""
    stopping = Event()

    def stop(_number: int, _frame: object) -> None:
        stopping.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def role(name: str, *, is_attached: bool) -> Iterator[tuple[Installation, Event]]:
    """Give an installation to a role, which ends when it is told to, or its starter is gone."""
    with until_told() as stopping, serving() as parts:
        log.begin(parts.settings.log_level)
        if is_attached:
            _end_with_the_starter()
        SAY.info("starts", role=name)
        yield parts, stopping
        SAY.info("ends", role=name)


def _end_with_the_starter() -> None:
    """Ask this process to end when whoever started it is gone: its end of our stdin closes."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="attached", daemon=True).start()


def warn_of_redis(url: str) -> None:
    """Say so where Redis does not answer: nobody is woken then, and everything due waits."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=PATIENCE) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        mend = "check RECONFIRM_REDIS_URL; what is due waits in PostgreSQL until it answers"
        SAY.warning("redis_does_not_answer", error=type(error).__name__, mend=mend)
