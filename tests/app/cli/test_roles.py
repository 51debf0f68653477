"""The roles as real processes: they begin, end when told to, and say what a newcomer forgot."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
import urllib3

from app.cli import PLACES
from app.cli.checkup import GONE_AFTER
from app.clock import wall
from app.store import running
from app.store.database import Database
from tests.app.cli.conftest import Shell

PATIENCE = 60


@pytest.fixture
def environment(shell: Shell, redis_url: str) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return shell.environment | {
        "RECONFIRM_REDIS_URL": redis_url,
        "RECONFIRM_BIND": f"127.0.0.1:{port}",
    }


@contextmanager
def role(name: str, environment: dict[str, str], *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a role until the block ends; its log is in `stderr`."""
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("RECONFIRM_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "app.cli", name, *more],
        env=inherited | environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            if pipe is not None:
                pipe.close()


def wait_for(process: subprocess.Popen[bytes], event: str) -> dict[str, object]:
    """Read the log until an event."""
    assert process.stderr is not None
    for line in process.stderr:
        said = json.loads(line) if line.startswith(b"{") else {}
        if said.get("event") == event:
            return dict(said)
    raise AssertionError(f"{event} was not logged")


@pytest.mark.parametrize("name", ["web", "worker", "scheduler"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_role_that_is_told_to_end_ends_well(
    environment: dict[str, str], name: str, number: signal.Signals
) -> None:
    with role(name, environment) as process:
        wait_for(process, "starts" if name != "web" else "serves")
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", ["web", "worker", "scheduler"])
def test_a_role_ends_with_whoever_started_it(environment: dict[str, str], name: str) -> None:
    with role(name, environment, "--attached") as process:
        wait_for(process, "starts" if name != "web" else "serves")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_the_web_serves_pages_and_the_api(environment: dict[str, str]) -> None:
    with role("web", environment) as process:
        wait_for(process, "serves")
        base = f"http://{environment['RECONFIRM_BIND']}"
        found = {
            path: urllib3.request("GET", base + path, retries=False).status
            for path in ("/healthz", "/readyz", "/openapi.json", "/a/no-such-token", "/v1/x")
        }
    assert found == {
        "/healthz": 200,
        "/readyz": 200,
        "/openapi.json": 200,
        "/a/no-such-token": 404,
        "/v1/x": 404,
    }


def test_of_two_schedulers_one_leads_and_the_other_says_that_it_stands_by(
    environment: dict[str, str], database: Database
) -> None:
    with role("scheduler", environment) as first:
        wait_for(first, "leads")
        with role("scheduler", environment) as second:
            assert "takes over" in str(wait_for(second, "stands_by")["why"])
            first.kill()
            assert wait_for(second, "leads")["term"] == 2
    with database.transaction() as connection:
        assert running.term(connection) == 2


def test_a_worker_without_a_relay_says_what_to_set(environment: dict[str, str]) -> None:
    forgotten = {key: text for key, text in environment.items() if key != "RECONFIRM_SMTP_URL"}
    with role("worker", forgotten) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert b"RECONFIRM_SMTP_URL" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("postgresql://ada:hunter2@127.0.0.1:1/x", "nobody listens"),
        ("postgresql://ada:hunter2@no-such-host.invalid/x", "no host of that name"),
    ],
)
def test_a_mistyped_database_is_named_without_its_password(
    shell: Shell, address: str, why: str
) -> None:
    wrong = Shell(shell.folder, shell.environment | {"RECONFIRM_DATABASE_URL": address})
    result = wrong("product", "list")
    assert result.exit_code == 1
    assert why in result.stderr
    assert "RECONFIRM_DATABASE_URL" in result.stderr
    assert "hunter2" not in result.output


def test_a_worker_warns_where_redis_does_not_answer(
    environment: dict[str, str], tmp_path: Path
) -> None:
    away = environment | {"RECONFIRM_REDIS_URL": f"unix://{tmp_path}/nobody.sock"}
    with role("worker", away) as process:
        assert "RECONFIRM_REDIS_URL" in str(wait_for(process, "redis_does_not_answer")["mend"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


# --- the doctor ----------------------------------------------------------------------------------


def test_the_doctor_misses_a_scheduler_where_somebody_may_be_asked(
    running_for_real: Shell, database: Database
) -> None:
    result = running_for_real("doctor")
    assert result.exit_code == 1
    assert "nobody is asked, and no answer reaches billing" in result.output
    assert "reconfirm up" in result.output
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "insert into leader (term, backend, seen_at) values (1, 1, %s)", (wall(),)
        )
    assert "leads, seen" in running_for_real("doctor").output
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "update leader set seen_at = %s", (wall() - GONE_AFTER - timedelta(seconds=1),)
        )
    assert "last seen" in running_for_real("doctor").output


def test_the_doctor_shows_what_waits_for_a_person(running: Shell, database: Database) -> None:
    running("sweep", "tv")
    assert "nothing waits" in running("doctor").output
    with database.transaction() as connection:
        connection.exec_driver_sql("update outbox set state = 'parked'")
    result = running("doctor")
    assert (result.exit_code, "1 effects parked" in result.output) == (1, True)


def test_the_doctor_names_a_redis_that_is_away(running: Shell, tmp_path: Path) -> None:
    away = {"RECONFIRM_REDIS_URL": f"unix://{tmp_path}/nobody.sock"}
    result = Shell(running.folder, running.environment | away)("doctor")
    assert (result.exit_code, "RECONFIRM_REDIS_URL" in result.output) == (1, True)


@pytest.fixture
def running_for_real(running: Shell) -> Shell:
    """Give the shell of a product that is complete, on the machine's own clock."""
    real = {k: text for k, text in running.environment.items() if k != "RECONFIRM_CLOCK"}
    return Shell(running.folder, real)


# --- the command -------------------------------------------------------------------------------


def test_every_command_is_where_it_is_looked_for_and_none_is_forgotten() -> None:
    modules = {import_module(f"app.cli.{place}") for place in PLACES.values()}
    found = {each.name for module in modules for each in module.COMMANDS}
    assert found == set(PLACES)
    folder = Path(import_module("app.cli").__file__ or "").parent
    places = {path.stem for path in folder.glob("*.py") if "\nCOMMANDS = " in path.read_text()}
    assert places | {"demo"} == set(PLACES.values())
