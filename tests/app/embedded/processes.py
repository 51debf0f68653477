"""Other processes that start or join a server, and what can be asked of either kind of server."""

import contextlib
import fcntl
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.retry import Retry
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from app import embedded
from app.embedded.home import _listener
from app.embedded.places import reachable

ROOT = Path(__file__).parents[3]
NOBODY = pwd.getpwnam("nobody")
# Starts (or joins) a server, says so, and lives until its stdin ends or it is killed.
CHILD = """
import functools, os, pathlib, sys, threading, psycopg
from app import embedded
kind, role, folder = sys.argv[1:4]
if role == "nobody" and os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(sys.argv[5])); os.setuid(int(sys.argv[4]))
serve = getattr(embedded, kind)
if kind == "postgres":
    serve = functools.partial(serve, durable=role not in ("fleeting", "nobody"))
made = []
def start():
    made.append(serve(pathlib.Path(folder)))
if role == "thread":
    other = threading.Thread(target=start); other.start(); other.join()
else:
    start()
server = made[0]
print(server.url, "joined" if server.joined else "started", flush=True)
if role == "writer":
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS acknowledged (n int)")
        for n in range(1_000_000):
            connection.execute("INSERT INTO acknowledged VALUES (%s)", [n])
            print(n, flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Kind:
    """One kind of server: how it is started, where it listens, and whether it serves a URL."""

    name: str
    start: Callable[..., embedded.Server]
    asks: Callable[[str], bool]
    folder: str
    socket: str

    def pid(self, data: Path) -> int:
        """Return who listens, 0 if nobody does."""
        folder = data / self.name / self.folder
        return _listener(Path(reachable(folder, self.socket), self.socket))

    def is_free(self, data: Path) -> bool:
        """Whether no process of the server lives."""
        with (data / self.name / "server.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    @contextlib.contextmanager
    def child(self, role: str, data: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run CHILD; end it in the end."""
        who = [str(NOBODY.pw_uid), str(NOBODY.pw_gid)]
        clean = {name: value for name, value in os.environ.items() if name != "HOME"}
        with subprocess.Popen(  # noqa: S603  # our own interpreter and script
            [sys.executable, "-c", CHILD, self.name, role, str(data), *who],
            env=clean | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                # communicate closes stdin, and so ends the child; after a kill it only reaps
                process.communicate(timeout=30)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def client(url: str) -> Redis:
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0))


def _redis_asks(url: str) -> bool:
    try:
        with client(url) as connection:
            return bool(connection.echo("here") == b"here")
    except NoConnection:
        return False


def _postgres_asks(url: str) -> bool:
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(text("SELECT 1")) == 1)
    except OperationalError:
        return False


POSTGRES = Kind("postgres", embedded.postgres, _postgres_asks, "cluster", ".s.PGSQL.5432")
REDIS = Kind("redis", embedded.redis, _redis_asks, "run", "server.sock")
