"""A web server in a process of its own: our application, and bare Flask routes to measure it by.

`python -m tests.benchmarks.serving SERVER PORT PROCESSES` is what `served` starts.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import waitress
from flask import Flask, request

from app import log
from app.cli.role import until_told
from app.cli.server import serve
from app.clock import Clock
from app.links import Links
from app.store.database import Database
from app.web import create_app
from tests.benchmarks.caller import Load, call
from tests.benchmarks.sink import HOST, await_listener, free_port

KEYS = ["bench-key-0123456789-0123456789-0123456789"]
BASE = "http://127.0.0.1:8080"
LINKS = Links(KEYS, BASE)
BARE = "/bare"
GOODBYE = 30.0
TOLD = "RECONFIRM_BENCH"
"""Tells the server's processes what to serve."""
THREADS = 4
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it listens, and its processes."""

    ports: list[int]
    pids: list[int]

    def processor_time(self) -> float:
        """Give the seconds of processor that it has used, its children too; 0 without /proc.

        Unlike the rate this hardly depends on who else uses the machine.
        """
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(") ")[2].split()
                if int(stat.parent.name) in self.pids or int(fields[1]) in self.pids:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(
    url: str, server: str, *, processes: int = 1, threads: int = THREADS
) -> Iterator["Served"]:
    """Run a server on a database, and end it gracefully.

    Where a server has no processes of its own, several run, each on its own port.
    """
    ports = [free_port() for _ in range(processes if server in ALONE else 1)]
    environ = os.environ | {TOLD: json.dumps({"url": url, "threads": threads})}
    begin = [sys.executable, "-m", "tests.benchmarks.serving", server]
    with ExitStack() as stack:
        pids = []
        for port in ports:
            command = [*begin, str(port), str(processes)]
            process = subprocess.Popen(command, env=environ)  # noqa: S603 - our own command
            pids.append(process.pid)
            stack.callback(process.wait, GOODBYE)
            stack.callback(process.terminate)
        for port in ports:
            await_listener(port)
        yield Served(ports, pids)


def timed(server: Served, requests: Sequence[bytes], connections: int, status: int = 200) -> Load:
    """Call a server, and note what its processor has worked for it."""
    before = server.processor_time()
    load = call(server.ports, requests, connections, status)
    return replace(load, cost=(server.processor_time() - before) * 1000 / len(requests))


def application() -> Wsgi:
    """Make our application, with the bare one beside it."""
    told = json.loads(os.environ[TOLD])
    ours = create_app(Database(told["url"]), Clock(), LINKS, base_url=BASE, limited=False)
    bare = _bare(told["url"])

    def either(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        return (bare if environ["PATH_INFO"].startswith(BARE) else ours)(environ, start)

    return either


def _bare(url: str) -> Flask:
    """Make what a Flask application costs at least: hello, and one row committed."""
    app, mine = Flask("bare"), threading.local()

    def connection() -> "psycopg.Connection[Any]":
        if not hasattr(mine, "connection"):
            mine.connection = psycopg.connect(url)
        found: psycopg.Connection[Any] = mine.connection
        return found

    def hello() -> str:
        return "hello\n"

    def insert() -> str:
        kept = connection()
        kept.execute("insert into bare (body) values (%s)", (request.get_data(),))
        kept.commit()
        return "ok\n"

    app.add_url_rule(f"{BARE}/hello", view_func=hello)
    app.add_url_rule(f"{BARE}/insert", view_func=insert, methods=["POST"])
    return app


# --- the servers -------------------------------------------------------------------------------


def _ours(port: int, processes: int, threads: int) -> None:  # noqa: ARG001
    """Serve as `reconfirm web` does."""
    log.begin("error")
    with until_told() as stopping:
        serve(application(), f"{HOST}:{port}", stopping, threads)


def _waitress(port: int, processes: int, threads: int) -> None:  # noqa: ARG001
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(application(), host=HOST, port=port, threads=threads)


def _gunicorn(port: int, processes: int, threads: int) -> None:
    class Gunicorn(import_module("gunicorn.app.base").BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"{HOST}:{port}")
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("workers", processes)
            self.cfg.set("threads", threads)
            self.cfg.set("loglevel", "warning")

        def load(self) -> Wsgi:
            return application()

    Gunicorn().run()


def _granian(port: int, processes: int, threads: int) -> None:
    import_module("granian").Granian(
        "tests.benchmarks.serving:application",
        address=HOST,
        port=port,
        interface="wsgi",
        workers=processes,
        blocking_threads=threads,
        factory=True,
        log_enabled=False,
    ).serve()


SERVERS = {"ours": _ours, "waitress": _waitress, "gunicorn": _gunicorn, "granian": _granian}
"""What can be measured: `ours` is what `reconfirm web` runs."""
ALONE = ("ours", "waitress")
"""Servers that run in one process."""


def main() -> None:
    """Serve with the server named, until told to end."""
    name, port, processes = sys.argv[1:]
    SERVERS[name](int(port), int(processes), json.loads(os.environ[TOLD])["threads"])


if __name__ == "__main__":
    main()
