"""The eraser killed again and again: everybody ends erased once, and every target told by one key.

The real command on the machine's clock, killed with SIGKILL at moments that dice choose. Billing
and notices are carried out here meanwhile, as a worker does.
"""

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest

from app import certificates, ledger, signing
from app.clock import wall
from app.links import Links
from app.store import products, targets
from app.store.database import Database
from app.store.wiping import forget_samples
from app.world.mail.maildir import Maildir
from tests import canary
from tests.conftest import KEYS
from tests.graveyard import SOON, Graveyard
from tests.probe import goes, rows
from tests.world import MovableClock, Town, row

SEED = int(os.environ.get("RECONFIRM_FAULT_SEED", "20241101"))
"""Printed; another one is tried by setting it."""
WAY = ("ending", "telling", "parting", "wiping", "erased")
KILLS = max(len(WAY), int(os.environ.get("RECONFIRM_FAULTS", "10")))
LATEST = 0.2
"""Seconds after somebody has come to a step within which the eraser is killed."""
PATIENCE = 60.0
NAMES = [f"zaunkönig-{number}-zw" for number in range(12)]
STAYS = "zaunkönig-99-zw-bleibt"


@dataclass
class Outside:
    """A system outside: what it was told, by whom and under which key."""

    told: list[tuple[str, str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Answer requests on this machine with receipts; give the address."""
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                data = body["data"]
                with outside.lock:
                    key = str(self.headers["webhook-id"])
                    outside.told.append((data["subscription"], data["erasure"], key))
                Event().wait(0.1)
                said = {"erasure": data["erasure"], "erased": data["categories"], "kept": []}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """Say nothing: who asked was killed."""

        server = Server(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/erase"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@dataclass
class Fault:
    """A town whose people are due, and the eraser that is killed."""

    yard: Graveyard
    folder: Path
    url: str

    @property
    def town(self) -> Town:
        return self.yard.town

    @contextmanager
    def eraser(self) -> Iterator[subprocess.Popen[str]]:
        """Start the eraser, and wait until it says that it works."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("RECONFIRM_")}
        settings = {
            "RECONFIRM_DATABASE_URL": self.url,
            "RECONFIRM_REDIS_URL": "redis://127.0.0.1:1",
            "RECONFIRM_SECRET_KEYS": ",".join(KEYS),
            "RECONFIRM_SMTP_URL": (self.folder / "mail").as_uri(),
            "RECONFIRM_ERASURE_LEDGER": str(self.folder / "erasures.ledger"),
            "RECONFIRM_DATA_DIR": str(self.folder / "data"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.eraser"],
            cwd=Path(__file__).parents[2],
            env=inherited | settings,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            assert '"starts"' in process.stderr.readline()
            yield process
        finally:
            process.kill()
            with process:
                process.wait()

    def work(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Do what a worker does for a while; say whether it came to what was wanted."""
        ends = wall().timestamp() + seconds
        while wall().timestamp() < ends:
            if until():
                return True
            self.town.clock.set(wall())
            self.town.worker().until_idle()
            Event().wait(0.01)
        return until()

    def comes_to(self, step: str, outside: Outside) -> bool:
        """Work until somebody is at a step or beyond, and for telling until somebody is told."""
        told = len(outside.told)

        def there() -> bool:
            furthest = max((WAY.index(each) for each in self.stages()), default=-1)
            if step == "telling" and furthest == WAY.index(step):
                return len(outside.told) > told
            return furthest >= WAY.index(step)

        return self.work(PATIENCE, there)

    def stages(self) -> dict[str, int]:
        """Count the erasures by how far they have come."""
        found = rows(
            self.town.database,
            """select coalesce(r.erasing, r.stage), count(*) from reconfirmation r
               join erasure e on e.subscription_id = r.subscription_id
               where r.latest group by 1""",
        )
        return {str(stage): int(many) for stage, many in found}

    def leases_run_out(self) -> None:
        """Let pass what a killed process had claimed, as two minutes would."""
        rows(self.town.database, "update receipt set lease_until = :now", now=wall())

    def over(self) -> bool:
        """Say whether everybody is erased, and the ledger is out."""
        path = self.folder / "erasures.ledger"
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
        return self.stages() == {"erased": len(NAMES)} and lines == len(NAMES)


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def fault(
    database: Database, clock: MovableClock, links: Links, tmp_path: Path, outside: Outside
) -> Iterator[Fault]:
    town = Town.founded(database, clock, links, policy_json=SOON)
    town.relay = Maildir(tmp_path / "mail")  # type: ignore[assignment]
    yard = Graveyard(town)
    with outside.serve() as address:
        _registered(town, address)
        yard.holds_data("billing", "sandbox", last=True)
        rows(
            database,
            "update target set categories = '[\"account\", \"charges\"]' where key = 'billing'",
        )
        yard.come_due(*NAMES)
        town.join(row(STAYS))
        goes(town, wall())
        town.use(STAYS)
        agreed(yard)
        yield Fault(yard, tmp_path, database.url)


def _registered(town: Town, address: str) -> None:
    """Register the system outside, that takes signed messages."""
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        values = {
            "key": "crm",
            "kind": "webhook",
            "categories": ["profile"],
            "settings": {"url": address},
            "secrets": [signing.new_secret()],
            "created_by": "cli:test",
            "created_at": town.clock.now(),
        }
        targets.add(connection, number, values)


def agreed(yard: Graveyard) -> None:
    """Have two people agree to everybody who is due."""
    number = yard.list_them()
    assert len(yard.listed(number)) == len(NAMES)
    yard.agree(number)


def test_an_eraser_killed_again_and_again_erases_everybody_once(
    fault: Fault, outside: Outside
) -> None:
    dice = random.Random(SEED)  # noqa: S311 - repeatable
    town, ids = fault.town, {fault.town.id_of(name) for name in NAMES}
    stays = town.id_of(STAYS)
    seen: list[tuple[str, dict[str, int]]] = []
    with town.database.transaction() as connection:
        before = canary.rows_of(connection, stays, STAYS)
    for step in _steps(dice):
        with fault.eraser() as process:
            assert fault.comes_to(step, outside), fault.stages()
            fault.work(dice.uniform(0, LATEST))
            process.kill()
            process.wait()
        seen.append((step, fault.stages()))
        fault.leases_run_out()
    print(f"seed {SEED}; told {len(outside.told)} times; killed at, how they stood: {seen}")  # noqa: T201 - wanted when it fails
    with fault.eraser():
        assert fault.work(PATIENCE, fault.over), fault.stages()

    _erased_once(fault, ids)
    _told_by_one_key(outside)
    with town.database.transaction() as connection:
        assert canary.rows_of(connection, stays, STAYS) == before
    _nothing_left(fault)


def _steps(dice: random.Random) -> list[str]:
    """Choose the steps to kill at: each one once, others again, in the order of the way."""
    return sorted([*WAY, *dice.choices(WAY[1:4], k=KILLS - len(WAY))], key=WAY.index)


def _erased_once(fault: Fault, ids: set[int]) -> None:
    """See one erasure, entry, certificate and last notice each."""
    found = rows(
        fault.town.database, "select id, subscription_id, ledger_no, certificate from erasure"
    )
    assert sorted(sid for _, sid, _, _ in found) == sorted(ids)
    assert sorted(no for _, _, no, _ in found) == list(range(1, len(NAMES) + 1))
    kept = list(ledger.read(fault.folder / "erasures.ledger"))
    assert {each.no: each.erasure_id for each in kept} == {no: name for name, _, no, _ in found}
    assert rows(fault.town.database, "select count(*) from ledger") == [(len(NAMES),)]
    trusted = certificates.public_keys(KEYS)
    for name, _, _, document in found:
        said = certificates.verify("certificate", json.dumps(document).encode(), trusted)
        assert said["erasure"] == name
        assert [each["target"] for each in said["targets"]] == ["billing", "crm"]
    told = rows(
        fault.town.database,
        "select subscription_id, count(*) from history where what = 'erased' group by 1",
    )
    assert {(sid, many) for sid, many in told} == {(sid, 1) for sid in ids}
    ended = rows(
        fault.town.database,
        "select subscription_id, count(*) from history where what = 'ended' group by 1",
    )
    assert {(sid, many) for sid, many in ended} == {(sid, 1) for sid in ids}


def _told_by_one_key(outside: Outside) -> None:
    """See that whoever was told of somebody twice was told the same, under the same key."""
    keys: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for name, erasure, key in outside.told:
        keys[name].add((erasure, key))
    assert set(keys) == set(NAMES)
    assert {name: len(found) for name, found in keys.items()} == dict.fromkeys(NAMES, 1)
    assert len({key for found in keys.values() for _, key in found}) == len(NAMES)


def _nothing_left(fault: Fault) -> None:
    """See that no name is left: in the database, the mailbox, or the ledger."""
    town = fault.town
    with town.database.transaction() as connection:
        forget_samples(connection)
        values = [str(value) for _, value in canary.every_value(connection)]
    places = "\n".join([*values, canary.dumped(town), str(canary.mails_in(fault.folder / "mail"))])
    places += (fault.folder / "erasures.ledger").read_text()
    assert STAYS in places
    assert [name for name in NAMES if name in places.replace(STAYS, "")] == []
