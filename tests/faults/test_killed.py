"""Processes killed at every step: the world ends as it would have ended undisturbed.

Real processes, a durable PostgreSQL, a relay that writes down outside of them what it took.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app import embedded
from app.lifecycle.case import Answer, Word
from app.links import Links
from app.runs import Runs
from app.store import migrate
from app.store.database import Database
from app.store.tables import metadata
from tests.faults.driver import KEYS, SMALL
from tests.probe import MINUTE, window_ends
from tests.world import ACTOR, START, MovableClock, Town, row

SEED = int(os.environ.get("RECONFIRM_FAULT_SEED", "20241101"))
"""Printed when a test fails; another one is tried by setting it."""
MANY = int(os.environ.get("RECONFIRM_FAULTS", "6"))
"""How many steps of each job are chosen to die at."""
NAMES = [f"p{number}" for number in range(5)]
SILENT, CANCELS = NAMES[:4], NAMES[4]
LIFE = ("ask", "tell", "judge", "act")
JOBS = (*LIFE, "undo")
"""The last one takes back what was asked, instead of letting billing act."""
ROLES = {"ask": "sweep", "tell": "deliver", "judge": "sweep", "act": "deliver", "undo": "undo"}


@dataclass
class World:
    """A durable database, the forker of jobs, and how the world stood before each job."""

    url: str
    process: subprocess.Popen[str]
    folder: Path
    moments: dict[str, datetime] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    ends: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str) -> None:
        """Keep how everything stands before a job."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"create schema before_{name}")
            for table in metadata.sorted_tables:
                connection.execute(f"create table before_{name}.{table} as table public.{table}")

    def restore(self, name: str) -> None:
        """Let everything stand as it did before a job."""
        tables = metadata.sorted_tables
        with psycopg.connect(self.url) as connection:
            connection.execute("set local session_replication_role = replica")
            for table in reversed(tables):
                connection.execute(f"delete from {table}")  # noqa: S608
            for table in tables:
                connection.execute(
                    f"insert into {table} overriding system value table before_{name}.{table}"
                )

    def run(self, *jobs: dict[str, Any]) -> list[tuple[int, int]]:
        """Run jobs at once, and give how each ended and how many steps it took."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()
        return [tuple(each) for each in json.loads(self.process.stdout.readline())]

    def job(self, name: str, mails: Path, die_at: int = 0) -> dict[str, Any]:
        """Say what one job is to do."""
        now = self.moments[name].isoformat()
        mail = str(mails)
        return {"role": ROLES[name], "url": self.url, "now": now, "mails": mail, "die_at": die_at}


def end_of_it(url: str, mails: Path) -> dict[str, Any]:
    """Give everything that must be the same, whatever was killed on the way."""
    with psycopg.connect(url) as connection:

        def rows(statement: str) -> list[tuple[Any, ...]]:
            return connection.execute(statement).fetchall()

        return {
            "rounds": rows(
                "select subscription_id, number, stage, outcome, word, act, act_state, asked_at,"
                " answer_by, reminded, paid_until, erase_on, decided_by, wake_at"
                " from reconfirmation order by 1, 2"
            ),
            "outbox": rows(
                "select subscription_id, kind, state, not_before from outbox order by 1, 2"
            ),
            "timers": rows("select due_at, subscription_id from timer order by 1, 2"),
            "acts": rows("select external_id, act, idempotency_key from sandbox_act order by 1, 2"),
            "accounts": rows("select external_id, state from sandbox_account order by 1"),
            "charges": rows("select external_id, charged_at from sandbox_charge order by 1, 2"),
            "quota": rows("select day, taken from quota order by 1"),
            "runs": rows(
                "select number, day, version, step, asked, reminded, suspended, canceled"
                " from run order by 1"
            ),
            "undo": rows("select run, wanted, withdrawn, ended_at from run_undo"),
            "history": rows(
                "select subscription_id, round, what, why from history order by 1, 2, 3, 4"
            ),
            "mails": sorted(set(mails.read_text().splitlines())) if mails.exists() else [],
        }


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Let a small town live once, undisturbed, keeping how it stood before each job."""
    here = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.faults.driver"]
    with (
        tempfile.TemporaryDirectory(prefix="reconfirm-faults-") as folder,
        embedded.postgres(Path(folder) / "pg", durable=True) as server,
        subprocess.Popen(  # noqa: S603 - our own driver
            command, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        made = World(server.database("life"), process, Path(folder))
        database = Database(made.url)
        migrate.upgrade(database)
        _live(made, database)
        yield made
        assert process.stdin is not None
        process.stdin.close()


def _live(world: World, database: Database) -> None:
    clock = MovableClock()
    town = Town.founded(database, clock, Links(KEYS, "http://127.0.0.1:8080"))
    town.join(*(row(name) for name in NAMES))
    for name in LIFE:
        if name == "judge":
            town.tell(CANCELS, Answer(Word.CANCEL, 1))
            window_ends(town, NAMES[0])
        elif name == "act":
            town.answer(SILENT[1], "keep")
            clock.advance(11 * MINUTE)
        world.moments[name] = clock.now()
        database.close()
        _lived(world, name)
    assert (town.stage(SILENT[0]), town.stage(CANCELS)) == ("suspended", "canceled")
    assert (town.stage(SILENT[1]), clock.now() > START) == ("active", True)
    world.restore("act")
    world.moments["undo"] = clock.now()
    Runs(database, clock).begin_undo("tv", 1, ACTOR)
    database.close()
    _lived(world, "undo")
    ((_, wanted, withdrawn, ended),) = world.ends["undo"]["undo"]
    assert (wanted, withdrawn, ended) == (3, 3, clock.now())
    database.close()


def _lived(world: World, name: str) -> None:
    """Do one job undisturbed, keeping how it stood before and after."""
    world.keep(name)
    mails = world.folder / name
    ((status, steps),) = world.run(world.job(name, mails))
    assert status == 0
    world.steps[name] = steps
    world.ends[name] = end_of_it(world.url, mails)


def _chosen(name: str, steps: int) -> list[int]:
    """Choose the steps to die at: the first, the last, and some between."""
    numbers = random.Random(f"{SEED} {name}").sample(range(2, steps), min(MANY, steps) - 2)  # noqa: S311 - repeatable
    return [1, *sorted(numbers), steps]


def _leases_run_out(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("update outbox set lease_until = lease_until - interval '5 minutes'")


def _same(world: World, name: str, mails: Path) -> Counter[str]:
    """See that it ended as it would have undisturbed; count the copies of each mail."""
    found = end_of_it(world.url, mails)
    for what, expected in world.ends[name].items():
        assert found[what] == expected, f"{what} differ (seed {SEED})"
    copies = Counter(mails.read_text().splitlines()) if mails.exists() else Counter()
    assert max(copies.values(), default=1) <= 2, f"seed {SEED}"
    repeated = sum(many > 1 for many in copies.values())
    assert repeated <= SMALL, f"more than one small batch was repeated (seed {SEED})"
    return copies


@pytest.mark.parametrize("name", JOBS)
def test_killed_at_any_step_and_run_again_everything_ends_the_same(
    world: World, name: str, tmp_path: Path
) -> None:
    again = 0
    for die_at in _chosen(name, world.steps[name]):
        mails = tmp_path / str(die_at)
        world.restore(name)
        ((status, _),) = world.run(world.job(name, mails, die_at))
        assert status == -signal.SIGKILL, f"step {die_at}"
        _leases_run_out(world.url)
        ((status, _),) = world.run(world.job(name, mails))
        assert status == 0
        copies = _same(world, name, mails)
        again += sum(copies.values()) - len(copies)
    if name == "tell":
        assert again > 0, "no kill fell between a mail and its acknowledgement"


@pytest.mark.parametrize("name", JOBS)
def test_two_at_once_end_the_same_as_one(world: World, name: str, tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    world.restore(name)
    jobs = [world.job(name, mails)] * 3
    assert [status for status, _ in world.run(*jobs)] == [0, 0, 0]
    assert [status for status, _ in world.run(jobs[0])] == [0]
    copies = _same(world, name, mails)
    assert max(copies.values(), default=1) == 1


@pytest.mark.parametrize("name", JOBS)
def test_one_killed_beside_another_that_goes_on_ends_the_same(
    world: World, name: str, tmp_path: Path
) -> None:
    mails = tmp_path / "mails"
    world.restore(name)
    middle = max(2, world.steps[name] // 4)
    world.run(world.job(name, mails, middle), world.job(name, mails))
    _leases_run_out(world.url)
    assert [status for status, _ in world.run(world.job(name, mails))] == [0]
    _same(world, name, mails)
