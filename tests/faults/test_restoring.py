"""The drill of a restored backup with what people use: pg_dump, pg_restore, real processes."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from app.engine.rights import Rights
from app.lifecycle.case import Stage
from app.lifecycle.erasures import OWN_REST
from app.links import Links
from app.store import testclock
from app.store.database import Database
from app.world.mail.maildir import Maildir
from tests import canary
from tests.conftest import KEYS, URL, new_database
from tests.graveyard import SOON, Graveyard
from tests.probe import HOUR, goes, rows
from tests.world import MovableClock, Town, row

NAME = "spine_drill"
PATIENCE = 60
ADA, BEN = "zaunkönig-1-zw", "ben"


@dataclass
class Machine:
    """One database, the tools of its server, and the service on it."""

    url: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the service, on the test clock."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("RECONFIRM_")}
        return inherited | {
            "RECONFIRM_DATABASE_URL": self.url,
            "RECONFIRM_REDIS_URL": "redis://127.0.0.1:1",
            "RECONFIRM_SECRET_KEYS": ",".join(KEYS),
            "RECONFIRM_SMTP_URL": (self.folder / "mail").as_uri(),
            "RECONFIRM_ERASURE_LEDGER": str(self.ledger),
            "RECONFIRM_CLOCK": "test",
            "RECONFIRM_DATA_DIR": str(self.folder / "data"),
            "RECONFIRM_BIND": f"127.0.0.1:{port}",
        }

    @property
    def ledger(self) -> Path:
        return self.folder / "erasures.ledger"

    def says(self, *line: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "app.cli", *line],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def serves(self) -> bool:
        """Start the web, and say whether it comes to serving; then end it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "web"],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr is not None
            found = any('"serves"' in line for line in process.stderr)
            process.kill()
        return found

    def backup(self) -> Path:
        """Write the database to a file."""
        path = self.folder / "backup.dump"
        self._tool("pg_dump", "--format=custom", f"--file={path}", self.url)
        return path

    def restore(self, path: Path) -> None:
        """Put a backup where the database was, under the same name."""
        with psycopg.connect(os.environ[URL], autocommit=True) as connection:
            name = sql.Identifier(NAME)
            connection.execute(sql.SQL("drop database {} with (force)").format(name))
            connection.execute(sql.SQL("create database {} template template0").format(name))
        self._tool("pg_restore", "--exit-on-error", f"--dbname={self.url}", str(path))

    def _tool(self, name: str, *given: str) -> None:
        with psycopg.connect(self.url) as connection:
            folder = Path(f"/proc/{connection.info.backend_pid}/exe").resolve().parent
        subprocess.run([folder / name, *given], check=True, timeout=PATIENCE)  # noqa: S603 - PostgreSQL's own


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield Machine(new_database(NAME), tmp_path)
    with psycopg.connect(os.environ[URL], autocommit=True) as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(NAME))
        )


def test_a_restored_backup_serves_once_who_was_erased_is_erased_again(
    machine: Machine, clock: MovableClock, links: Links
) -> None:
    database = Database(machine.url)
    town = Town.founded(database, clock, links, policy_json=SOON)
    town.relay = Maildir(machine.folder / "mail")  # type: ignore[assignment]
    yard = Graveyard(town, ledger=machine.ledger, mailbox=machine.folder / "mail")
    yard.stop(ADA)
    town.join(row(BEN))
    town.sweep()  # ben's question waits, in the backup too
    sid = town.id_of(ADA)
    _set_clock(town)
    assert machine.serves()
    database.close()
    backup = machine.backup()

    Rights(database, clock).erase(town.key, sid, "cli:test", cancel=False)
    goes(town, clock.now() + OWN_REST + HOUR)
    yard.works()
    assert _stage(town, sid) == Stage.ERASED
    ((erasure, ended),) = rows(database, "select id, ended_at from erasure")
    mails = sorted((machine.folder / "mail").rglob("*"))
    database.close()

    machine.restore(backup)
    assert _stage(town, sid) == Stage.SUSPENDED
    acts = rows(database, "select external_id, act, idempotency_key from sandbox_act order by 1, 2")
    _set_clock(town)
    for role in ("web", "eraser"):
        refused = machine.says(role)
        assert refused.returncode == 1, role
        assert "reconfirm restore-check --ledger" in refused.stderr
    looked = machine.says("restore-check")
    assert (looked.returncode, "subscriptions to erase again" in looked.stdout) == (1, True)
    assert _stage(town, sid) == Stage.SUSPENDED
    done = machine.says("restore-check", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["lacking"], said["again"], said["brakes"], said["parked"]) == (1, 1, 1, 1)
    assert machine.serves()

    assert _stage(town, sid) == Stage.ERASED
    assert rows(database, "select id, ended_at from erasure") == [(erasure, ended)]
    for line in (["sweep", "tv"], ["deliver"]):
        assert machine.says(*line).returncode in {0, 1}, line
    goes(town, clock.now() + OWN_REST)
    yard.works()
    assert sorted((machine.folder / "mail").rglob("*")) == mails
    found = rows(
        database, "select external_id, act, idempotency_key from sandbox_act order by 1, 2"
    )
    assert [each[1:] for each in found] == [each[1:] for each in acts]
    assert "erased" in machine.says("subject", "explain", "tv", ADA).stdout
    with database.transaction() as connection:
        assert [where for where, value in canary.every_value(connection) if ADA in str(value)] == []
    assert machine.says("restore-check").returncode == 0
    database.close()


def _set_clock(town: Town) -> None:
    """Let the clock of commands stand where the town's does."""
    with town.database.transaction() as connection:
        testclock.write(connection, town.clock.now())


def _stage(town: Town, sid: int) -> str:
    ((found,),) = rows(
        town.database,
        "select stage from reconfirmation where subscription_id = :sid and latest",
        sid=sid,
    )
    return str(found)
