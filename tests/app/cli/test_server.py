"""The web as it is run: a process of its own, called over sockets, and ended by a signal."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from app.cli.server import LARGEST, THREADS
from app.links import Links
from app.store.database import Database
from tests.app.cli.conftest import KEY
from tests.probe import asked, rows
from tests.world import MovableClock, Town, row

HOST = "127.0.0.1"
PATIENCE = 60.0
PROMPTLY = 15.0
"""Less than what requests in hand are given: whoever takes longer waits for somebody."""
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: web\r\n\r\n"
STREAM = "/v1/products/tv/usage"


@dataclass
class Web:
    """A running `reconfirm web`."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection((HOST, self.port), PATIENCE)

    def get(self, path: str, **headers: str) -> int:
        """Give the status of a page."""
        caller = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        caller.request("GET", path, headers=headers)
        answer = caller.getresponse()
        answer.read()
        caller.close()
        return answer.status

    def said(self, event: str) -> None:
        """Read its log until it says something."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if json.loads(line)["event"] == event:
                return
        raise AssertionError(f"it never said {event}")

    def listens(self) -> bool:
        """Say whether a connection would be taken."""
        try:
            self.connect().close()
        except ConnectionError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def web(database: Database, redis_url: str, tmp_path: Path) -> Iterator[Web]:
    port = free_port()
    environ = os.environ | {
        "RECONFIRM_DATABASE_URL": database.url,
        "RECONFIRM_REDIS_URL": redis_url,
        "RECONFIRM_DATA_DIR": str(tmp_path),
        "RECONFIRM_SECRET_KEYS": KEY,
        "RECONFIRM_BIND": f"{HOST}:{port}",
        "RECONFIRM_LOG_LEVEL": "info",
    }
    command = [sys.executable, "-m", "app.cli", "web", "--attached"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environ,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        running = Web(process, port)
        running.said("serves")
        yield running
        process.kill()


@pytest.fixture
def page(database: Database, clock: MovableClock) -> str:
    """Give the address of somebody's page."""
    links = Links([KEY], f"http://{HOST}")
    town = Town.founded(database, clock, links)
    (ada,) = town.join(row("ada"))
    asked(town, "ada")
    return f"/a/{links.answer_token(ada, 1)}"


def until(wanted: Callable[[], bool]) -> None:
    """Look again and again until something is so."""
    with ThreadPoolExecutor() as pool:

        def look() -> None:
            while not wanted():
                pass

        pool.submit(look).result(PATIENCE)


def held_up(database: Database) -> int:
    """Count the sessions that wait for a lock."""
    (found,) = rows(database, "select count(*) from pg_locks where not granted")
    return int(found[0])


def test_it_says_that_it_is_alive(web: Web) -> None:
    assert web.get("/healthz") == 200


def test_what_a_proxy_passed_on_is_not_taken_for_this_machine(web: Web) -> None:
    assert web.get("/metrics") == 200
    assert web.get("/metrics", **{"X-Forwarded-For": "203.0.113.7"}) == 403
    assert web.get("/metrics", Forwarded="for=203.0.113.7") == 403


def test_requests_in_hand_and_in_line_are_answered_before_it_ends(
    web: Web, database: Database, page: str
) -> None:
    with ExitStack() as stack:
        callers = [stack.enter_context(web.connect()) for _ in range(THREADS + 2)]
        with database.transaction() as connection:
            connection.execute(text("lock table reconfirmation in access exclusive mode"))
            for each in callers:
                each.sendall(f"GET {page} HTTP/1.1\r\nHost: web\r\n\r\n".encode())
            until(lambda: held_up(database) == THREADS)
            # Who is answered by the loop itself after them shows that it has read them all.
            assert offered(web, page, 1) == b"HTTP/1.1 100 Continue"
            web.process.send_signal(signal.SIGTERM)
            until(lambda: not web.listens())
            assert web.process.poll() is None
        for each in callers:
            assert each.recv(1000).startswith(b"HTTP/1.1 200")
    assert web.process.wait(PROMPTLY) == 0


def test_idle_and_slow_connections_do_not_keep_it_from_ending(web: Web) -> None:
    with web.connect() as idle, web.connect() as slow, idle.makefile("rb") as answer:
        idle.sendall(HEALTH)
        assert answer.readline().startswith(b"HTTP/1.1 200")
        slow.sendall(HEALTH[:20])
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(PROMPTLY) == 0
        assert answer.read().endswith(b"\r\n\r\nok\n")


def test_it_ends_when_its_starter_is_gone(web: Web) -> None:
    assert web.process.stdin is not None
    web.process.stdin.close()
    assert web.process.wait(PROMPTLY) == 0


@pytest.mark.parametrize(
    "half",
    [HEALTH[:20], b"POST /a/x HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nansw"],
    ids=["headers", "body"],
)
def test_slow_clients_do_not_hold_up_others(web: Web, half: bytes) -> None:
    slow = [web.connect() for _ in range(200)]
    for each in slow:
        each.sendall(half)
    assert web.get("/healthz") == 200
    for each in slow:
        each.close()


def test_a_slow_request_is_answered_once_it_is_whole(web: Web) -> None:
    with web.connect() as slow:
        slow.sendall(HEALTH[:20])
        assert web.get("/healthz") == 200
        slow.sendall(HEALTH[20:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")


def offered(web: Web, path: str, size: int) -> bytes:
    """Give the first line said to a client that asks whether to send a body of some size."""
    with web.connect() as caller:
        head = f"POST {path} HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\n"
        caller.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        return caller.recv(1000).splitlines()[0]


def test_a_body_that_nothing_would_take_is_refused_by_its_headers(web: Web) -> None:
    assert offered(web, "/a/x", LARGEST + 1) == b"HTTP/1.1 413 Request Entity Too Large"
    assert offered(web, "/a/x", LARGEST) == b"HTTP/1.1 100 Continue"
    assert offered(web, STREAM, LARGEST + 1) == b"HTTP/1.1 100 Continue"


def test_a_body_of_unsaid_length_is_refused_where_it_grows_too_large(web: Web) -> None:
    with web.connect() as caller:
        caller.sendall(b"POST /a/x HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        with suppress(ConnectionError):
            for _ in range(2 * LARGEST // 0x100000):
                caller.sendall(chunk)
        said = caller.recv(1000)
    assert said.startswith(b"HTTP/1.1 413")
