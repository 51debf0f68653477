"""Webhooks while the web and PostgreSQL are killed: what was acknowledged is in the state.

Real processes and a durable PostgreSQL. Truth is what the sender saw, and nothing else.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import pytest

from app import embedded
from app.clock import wall
from app.links import Links
from app.signing import new_secret, sign
from app.store import migrate, products
from app.store.database import Database
from tests.faults.receiver import HOST, KEYS
from tests.probe import fingerprint, rows
from tests.world import START, MovableClock, Town, row

SEED = int(os.environ.get("RECONFIRM_FAULT_SEED", "20241101"))
"""Printed when a test fails; another one is tried by setting it."""
KILLS = int(os.environ.get("RECONFIRM_FAULTS", "6"))
MESSAGES = 40 * KILLS
NAMES = [f"p{number}" for number in range(8)]
KINDS = ("created", "updated", "updated", "paused", "resumed")
SENDERS = 4
PATIENCE = 60.0
SECRET = new_secret()


@dataclass(frozen=True)
class Told:
    """One message: what it says of whom, as of when."""

    message_id: str
    name: str
    at: datetime
    plan: str
    body: bytes


def messages(chance: random.Random) -> list[Told]:
    """Make messages of distinct moments, in a shuffled order."""
    made = []
    for number in range(MESSAGES):
        name, at = chance.choice(NAMES), START - timedelta(seconds=number)
        event = {
            "type": f"subscription.{chance.choice(KINDS)}",
            "timestamp": at.isoformat(),
            "data": row(name, plan=f"plan{number}"),
        }
        body = json.dumps(event).encode()
        made.append(Told(f"m{number}", name, at, f"plan{number}", body))
    chance.shuffle(made)
    return made


@dataclass
class Place:
    """The servers, which of them stand, and what the senders saw."""

    folder: Path
    server: embedded.Postgres
    url: str
    web: subprocess.Popen[str] | None = None
    port: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    changed: Condition = field(default_factory=Condition)

    # --- the servers -------------------------------------------------------------------------

    def serve(self) -> None:
        """Start the web, and let the senders go on."""
        command = [sys.executable, "-m", "tests.faults.receiver", self.url, START.isoformat()]
        here = Path(__file__).parents[2]
        self.web = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        assert self.web.stdout is not None
        port = int(self.web.stdout.readline())
        with self.changed:
            self.port = port
            self.changed.notify_all()

    def kill_web(self) -> None:
        """Kill the web in the middle of what it does, and start it again."""
        self.end_web()
        self.serve()

    def end_web(self) -> None:
        """Kill the web; the senders wait for the next."""
        assert self.web is not None
        self.web.kill()
        with self.changed:
            self.port = 0
        assert self.web.stdout is not None
        self.web.stdout.close()
        self.web.wait()

    def kill_postgres(self) -> None:
        """Kill every process of PostgreSQL in the middle of what it does, and start it again."""
        cluster = self.folder / "postgres" / "cluster"
        pid = int((cluster / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for victim in (pid, *map(int, children)):
            os.kill(victim, signal.SIGKILL)
        before = self.server
        self.server = embedded.postgres(self.folder, durable=True)
        before.stop()
        assert not self.server.joined

    def end_postgres(self) -> None:
        """Stop PostgreSQL, whichever it is by now."""
        self.server.stop()

    # --- the senders ---------------------------------------------------------------------------

    def wait_for_port(self) -> int:
        """Wait until the web stands, and give where."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.port, PATIENCE)
            return self.port

    def send(self, told: Told) -> int:
        """Send a message once; give the status that the sender saw, or 0 for none."""
        headers = sign([SECRET], told.message_id, wall(), told.body)
        line = http.client.HTTPConnection(HOST, self.wait_for_port(), timeout=PATIENCE)
        try:
            line.request("POST", "/webhooks/tv/standard", told.body, headers)
            return line.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            line.close()

    def send_all(self, some: list[Told]) -> None:
        """Send messages once each, and note what was seen."""
        for told in some:
            status = self.send(told)
            with self.changed:
                self.seen[told.message_id] = status
                self.changed.notify_all()

    def wait_for(self, many: int) -> None:
        """Wait until so many messages were sent."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= many, PATIENCE)


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconfirm-hooks-")))
        server = embedded.postgres(folder, durable=True)
        made = Place(folder, server, server.database("life"))
        stack.callback(made.end_postgres)
        database = Database(made.url)
        stack.callback(database.close)
        migrate.upgrade(database)
        Town.founded(database, MovableClock(), Links(KEYS, f"http://{HOST}:8080"))
        with database.transaction() as connection:
            number = products.row_of(connection, "tv").id
            values = {"billing": "standard", "signing_secrets": [SECRET]}
            products.change(connection, number, values)
        made.serve()
        stack.callback(made.end_web)
        yield made


def state(url: str) -> dict[str, tuple[datetime, str]]:
    """Give the moment and the plan of each subscription."""
    found = asked(url, "select external_id, told_at, plan from subscription")
    return {name: (at, plan) for name, at, plan in found}


def asked(url: str, statement: str) -> list[tuple[Any, ...]]:
    database = Database(url)
    try:
        return rows(database, statement)
    finally:
        database.close()


def latest(some: list[Told]) -> dict[str, tuple[datetime, str]]:
    """Give what the mirror must hold of each, told these."""
    return {each.name: (each.at, each.plan) for each in sorted(some, key=lambda each: each.at)}


def endure(place: Place, told: list[Told], chance: random.Random) -> None:
    """Send everything once, while one server after the other is killed."""
    parts = [told[number::SENDERS] for number in range(SENDERS)]
    senders = [Thread(target=place.send_all, args=(part,), daemon=True) for part in parts]
    for sender in senders:
        sender.start()
    moments = sorted(chance.sample(range(1, MESSAGES - SENDERS), KILLS))
    for number, moment in enumerate(moments):
        place.wait_for(moment)
        if number % 2:
            place.kill_postgres()
        else:
            place.kill_web()
    place.wait_for(MESSAGES)
    for sender in senders:
        sender.join(PATIENCE)


def test_whatever_is_killed_what_was_acknowledged_is_in_the_state(place: Place) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable
    told = messages(chance)
    endure(place, told, chance)
    acknowledged = [each for each in told if place.seen[each.message_id] == 200]
    lost = [each for each in told if place.seen[each.message_id] != 200]
    assert {place.seen[each.message_id] for each in lost} <= {0, 500}, f"seed {SEED}"
    assert acknowledged, f"seed {SEED}"
    assert lost, f"no kill fell into a message (seed {SEED})"

    found = state(place.url)
    plans = {each.plan: each for each in told}
    for name, (at, plan) in latest(acknowledged).items():
        assert found[name] >= (at, plan), f"an acknowledged message is not there (seed {SEED})"
        assert (plans[found[name][1]].name, plans[found[name][1]].at) == (name, found[name][0])
    kept = dict(asked(place.url, "select message_id, state from inbox"))
    assert {kept[each.message_id] for each in acknowledged} <= {"applied", "stale"}

    place.seen.clear()
    place.send_all(lost)
    assert set(place.seen.values()) == {200}, f"seed {SEED}"
    assert state(place.url) == latest(told), f"seed {SEED}"
    database = Database(place.url)
    before = fingerprint(database)
    place.send_all(told)
    assert fingerprint(database) == before, f"seed {SEED}"
    database.close()
