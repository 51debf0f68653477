"""A whole campaign through the running service: found, asked, mailed, marked.

One scheduler and two workers, each the very command, over an embedded Redis, a durable PostgreSQL
and a sink for mail on this machine. A tenth of the subscriptions are due. It is over when every one
of them has been found by the sweep, asked by the rules, mailed, and marked with the day by which
an answer is awaited; the four are counted apart and must be equal.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time, sleep

from itsdangerous import Signer

from app import embedded
from app.store.database import Database
from tests.benchmarks import ground
from tests.benchmarks.serving import BASE, KEYS
from tests.benchmarks.sink import HOST, Sink, name, sink

MOST = 2_000_000
CAMPAIGN = 900_000
TARGET = 180
WORKERS = 2
THREADS = 2
LOOK_EVERY = 0.25
PATIENCE = 900.0
NOON = 13
GOODBYE = 60.0
SIGNED = 76_000
"""Signatures of itsdangerous a second on the machine that the target was set on."""


@dataclass(frozen=True, slots=True)
class Look:
    """How far a campaign has come, after so many seconds, and the workers' memory in MiB."""

    seconds: float
    asked: int
    marked: int
    mailed: int
    memory: tuple[int, ...]


def run(rows: int) -> None:
    """Fill a database, start the service, and wait until everybody due has been marked."""
    rows, now = min(rows, MOST), datetime.now(UTC)
    with ground.database() as database, sink() as relay, tempfile.TemporaryDirectory() as folder:
        due = ground.fill(database, rows, now, _zone(now))
        ground.wind(database, now)
        with embedded.redis(Path(folder)) as redis:
            environ = _environ(database, redis.url, relay, folder)
            looks = list(_looks(database, relay, due, environ))
        _tell(rows, due, looks)
        _check(database, due, relay)


def _zone(now: datetime) -> str:
    """Give a zone in which it is the middle of the day: notices go out between nine and eight."""
    return f"Etc/GMT{now.hour - NOON:+d}"  # the sign is POSIX's: -9 is nine hours ahead


def _environ(database: Database, redis: str, relay: Sink, folder: str) -> Mapping[str, str]:
    return os.environ | {
        "RECONFIRM_DATABASE_URL": database.url,
        "RECONFIRM_REDIS_URL": redis,
        "RECONFIRM_SMTP_URL": f"smtp://{HOST}:{relay.port}",
        "RECONFIRM_SECRET_KEYS": KEYS[0],
        "RECONFIRM_BASE_URL": BASE,
        "RECONFIRM_DATA_DIR": folder,
        "RECONFIRM_WORKERS": str(THREADS),
        "RECONFIRM_LOG_LEVEL": "error",
        # All are at one domain: counted as in earnest, with more places than are ever wanted.
        "RECONFIRM_MAIL_PER_DOMAIN": "1000000",
    }


def _looks(database: Database, relay: Sink, due: int, environ: Mapping[str, str]) -> Iterator[Look]:
    """Run the service and look at it every now and then, until everybody is marked."""
    with ExitStack() as stack:
        start = perf_counter()
        workers = [stack.enter_context(_role("worker", environ)) for _ in range(WORKERS)]
        stack.enter_context(_role("scheduler", environ))
        while perf_counter() - start < PATIENCE:
            memory = tuple(_resident(each.pid) for each in workers)
            asked = ground.number(database, "select count(*) from reconfirmation")
            marked = ground.number(
                database, "select count(*) from reconfirmation where answer_by is not null"
            )
            yield Look(perf_counter() - start, asked, marked, relay.taken(), memory)
            if marked >= due:
                return
            sleep(LOOK_EVERY)
    raise SystemExit("the campaign did not end")


@contextmanager
def _role(role: str, environ: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "app.cli", role]
    process = subprocess.Popen(command, env=environ)  # noqa: S603 - our own command
    try:
        yield process
    finally:
        process.terminate()
        process.wait(GOODBYE)


def _resident(pid: int) -> int:
    """Give the memory of a process in MiB; 0 where the system does not say."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(found[0]) // 1024 if found else 0


def _tell(rows: int, due: int, looks: list[Look]) -> None:
    end = looks[-1].seconds
    begun = next(after.seconds for after, look in pairwise(looks) if look.asked)
    asked = next(look.seconds for look in looks if look.asked >= due)
    rate = due / (end - begun)
    print(
        f"{rows:,} subscriptions, {due:,} due; {WORKERS} workers of {THREADS} threads and a"
        f" scheduler; durable; mail to {name()} on loopback"
    )
    print(f"begun {begun:.1f} s after the start of the processes")
    print(f"all asked after {asked - begun:.1f} s, all marked after {end - begun:.1f} s")
    print(f"    {rate:,.0f} people/s end to end; {CAMPAIGN:,} would take {CAMPAIGN / rate:,.0f} s")
    print(f"    {TARGET * rate / CAMPAIGN:.2f} of the target ({TARGET} s)")
    print(f"    {_scaled(CAMPAIGN / rate)}")
    for share in (0.25, 0.5, 0.75, 1.0):
        look = next(look for look in looks if look.marked >= due * share)
        print(f"    memory of the workers at {share:4.0%} marked: {look.memory} MiB")
    print(f"    peak: {max(max(look.memory) for look in looks)} MiB in one worker")


def _check(database: Database, due: int, relay: Sink) -> None:
    """Refuse figures of a campaign in which the counts are not equal."""
    counts = {
        "found": due
        - ground.number(
            database, "select count(*) from timer where due_at <= now() - interval '12 hours'"
        ),
        "asked": ground.number(database, "select count(*) from reconfirmation"),
        "mailed": relay.taken(),
        "marked": ground.number(
            database, "select count(*) from reconfirmation where answer_by is not null"
        ),
    }
    print("    " + ", ".join(f"{what} {many:,}" for what, many in counts.items()))
    if set(counts.values()) != {due}:
        raise SystemExit(f"the counts are not equal; {due:,} were due")


def _scaled(seconds: float) -> str:
    """Say how long it would take where the target was set: the same library signs there, too."""
    signer, many = Signer("k" * 40, salt="reconfirm.bench"), 50_000
    begun = process_time()
    for _ in range(many):
        signer.sign(b"AAAAAAAAAAEAAQ")
    rate = many / (process_time() - begun)
    return (
        f"this machine signs {rate:,.0f}/s, the one of the target {SIGNED:,}:"
        f" there it would be about {seconds * rate / SIGNED:,.0f} s"
    )
