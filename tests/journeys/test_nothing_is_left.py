"""Somebody with a rare name lives through everything and is erased: nothing is left of them.

The real parts erase, by schedule and on their own request. They are looked for in the database, its
dump, the log, Redis, the mailbox, the ledger, the certificate, and in whatever any page, call or
command gives out.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email import policy as policies
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
import redis

from app.engine.holds import Wanted
from app.engine.holds import add as add_hold
from app.engine.rights import Rights
from app.lifecycle.erasures import OWN_REST
from app.links import Links
from app.store import wiping as store
from app.store.database import Database, cursor
from app.store.holds import Reason
from app.web import create_app
from app.web.console import Access
from app.world.mail.maildir import Maildir, by_subscription
from jobs.broker import RedisWaker, open_broker
from jobs.crew import Crew, work
from jobs.outbox import Worker
from tests import canary
from tests.app.cli.conftest import Shell, shell
from tests.app.web.api.conftest import key_for
from tests.app.web.console.conftest import BASE, Desk
from tests.canary import CUSTOMER, EMAIL, LIKE, NAME, Nest, lived, rows_of, traces
from tests.conftest import KEYS
from tests.graveyard import SOON, Graveyard
from tests.probe import HOUR, goes, rows
from tests.world import START, MovableClock, Town, row

__all__ = ["shell"]
DAY = timedelta(days=1)


@dataclass
class Life:
    """Who is to be erased, where, and what Redis was told of it."""

    yard: Graveyard
    nest: Nest
    redis_url: str
    sid: int = 0

    @property
    def town(self) -> Town:
        return self.yard.town


@pytest.fixture
def life(
    database: Database, clock: MovableClock, links: Links, redis_url: str, tmp_path: Path
) -> Life:
    town = Town.founded(database, clock, links, policy_json=SOON)
    town.relay = Maildir(tmp_path / "mail")  # type: ignore[assignment]
    yard = Graveyard(town, ledger=tmp_path / "erasures.ledger", mailbox=tmp_path / "mail")
    yard.holds_data("crm")
    yard.holds_data("billing", "sandbox", last=True)
    return Life(yard, Nest(town, tmp_path / "mail"), redis_url)


# --- two ways to the end -----------------------------------------------------------------------


def by_schedule(life: Life) -> None:
    """Warn them twice, wait, and let two people agree."""
    town, yard = life.town, life.yard
    town.join(row(NAME, email=EMAIL, customer=CUSTOMER, status="paused"))
    town.settle()
    yard.warn(NAME)
    current = town.case(NAME).round
    assert current is not None
    assert current.erase_on is not None
    goes(town, START + (current.erase_on - START.date()) + HOUR)
    town.settle()
    number = yard.list_them()
    assert yard.listed(number) == {life.sid: ("waiting", None)}
    yard.agree(number)


def on_request(life: Life) -> None:
    """Let the desk pass on that they want it, and wait the day that it rests."""
    town = life.town
    town.join(row(NAME, email=EMAIL, customer=CUSTOMER, status="paused"))
    Rights(town.database, town.clock).erase(town.key, life.sid, "cli:test", cancel=False)
    town.settle()
    goes(town, town.clock.now() + OWN_REST + HOUR)
    town.settle()


@contextmanager
def working(life: Life) -> Iterator[Callable[[], None]]:
    """Have a crew work that is called through Redis; what is given calls it once for everything."""

    @contextmanager
    def one() -> Iterator[Worker]:
        yield life.town.worker()

    crew = Crew(
        life.town.database,
        life.town.clock,
        one,
        mock.Mock(work=lambda *_: (0, True)),
        timedelta(minutes=1),
        erasing=life.yard.erasing(),
    )
    waker = RedisWaker(open_broker(life.redis_url))
    hands = work(open_broker(life.redis_url), crew, 1, timedelta(milliseconds=5))
    try:
        yield lambda: waker.wake("everything", life.town.product.id, 0)
    finally:
        crew.end()
        hands.stop(10_000)
        crew.close()


def erased(life: Life) -> None:
    """Let a crew do it all, called through Redis."""
    with working(life) as call:
        for _ in range(40):
            call()
            for _ in range(100):
                if rows(life.town.database, "select 1 from erasure where ended_at is not null"):
                    return
                Event().wait(0.05)
    raise AssertionError(rows(life.town.database, "select * from job_run"))


# --- everywhere that can be looked ---------------------------------------------------------------


def redis_holds(url: str) -> Iterator[tuple[str, Any]]:
    """Give every key of Redis and what stands under it."""
    client = redis.Redis.from_url(url)
    readers: dict[Any, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    for key in client.scan_iter():
        yield "redis", key
        yield "redis", repr(readers[client.type(key)](key))


def mailbox_holds(folder: Path) -> Iterator[tuple[str, Any]]:
    """Give every file of the mailbox, as it is and as a mail program reads it."""
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            mail = message_from_bytes(raw, policy=policies.default)
            yield "mailbox", path.name.encode() + raw
            for name, value in mail.items():
                yield "mailbox", f"{name}: {value}"
            for part in mail.walk():
                if not part.is_multipart():
                    yield "mailbox", part.get_content()


def filled(rule: str, life: Life) -> Iterator[str]:
    """Give the addresses of a route: about them, and about all else that there is of its kind."""
    town = life.town
    found = [(rule, "")]
    kinds: dict[str, list[Any]] = {
        "<product>": [town.key],
        "<subscription>": [NAME, *_all(life, "select external_id from subscription")],
        "<erasure>": _all(life, "select id from erasure"),
        "<manifest>": _all(life, "select number from manifest"),
        "<hold>": _all(life, "select id from hold"),
        "<review>": _all(life, "select id from review") or [1],
        "<run>": _all(life, "select number from run"),
        "<version>": [1],
        "<token>": [
            town.links.answer_token(life.sid, 1),
            town.links.fresh_token(life.sid, 1, town.clock.wall()),
            town.links.data_token(life.sid, 1, town.clock.wall()),
        ],
        "<name>": [path.name for path in life.nest.folder.glob("new/*")] or ["none"],
        "<int:number>": [life.sid, *range(1, 9)],
    }
    for mark, values in kinds.items():
        found = [
            (address.replace(mark, quote(str(value), safe="")), str(value))
            for address, _ in found
            for value in (values if mark in address else [""])
        ]
    for address, _ in found:
        assert "<" not in address, f"say what stands for {address}"
        yield address


def _all(life: Life, statement: str) -> list[Any]:
    return [each for (each,) in rows(life.town.database, statement)]


def web_shows(life: Life) -> Iterator[tuple[str, Any]]:
    """Give what every page and every call answers to who may see most."""
    town = life.town
    app = create_app(
        town.database,
        town.clock,
        town.links,
        base_url=BASE,
        limited=False,
        redis_url=life.redis_url,
        mailbox=life.nest.folder,
        console=Access(KEYS),
        erasure_ledger=life.yard.ledger,
        certificate_keys=KEYS,
    )
    admin = Desk(town, app).person("admin")
    headers = {"Authorization": f"Bearer {key_for(town, 'manage')}"}
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        for address in filled(rule.rule, life):
            shown = admin.client.get(
                address, base_url=BASE, headers=headers, environ_base={"REMOTE_ADDR": "127.0.0.1"}
            )
            assert shown.status_code != HTTPStatus.INTERNAL_SERVER_ERROR, address
            yield rule.rule, shown.get_data()
            yield rule.rule, str(shown.headers)
    for address in ("people?who=", "queues?who="):
        yield address, admin.get(f"/console/products/tv/{address}").get_data()


def commands_print(life: Life, run: Shell) -> Iterator[tuple[str, Any]]:
    """Give what commands print that list people, or tell of one."""
    number = str(life.sid)
    for line in (
        ["subject", "export", "tv", NAME],
        ["subject", "explain", "tv", NAME],
        *(
            ["manifest", "show", "tv", str(n), "--all"]
            for n in _all(life, "select number from manifest")
        ),
        *(["certificate", "show", "tv", e] for e in _all(life, "select id from erasure")),
        ["manifest", "list", "tv"],
        ["hold", "list", "tv", "--json"],
        ["review", "list", "tv"],
        ["refund", "list", "tv"],
        ["outbox", "list", "tv"],
        ["inbox", "list", "tv"],
        ["webhook", "list", "tv"],
        ["suppression", "list", "tv"],
        ["reconcile", "show", "tv"],
        ["target", "list", "tv"],
        ["audit", "verify"],
        ["doctor"],
    ):
        done = run(*line)
        said = done.stdout + done.stderr
        # What was asked for is theirs who asked: it may be said back.
        yield " ".join(line[:2]), said.replace(NAME, "")
        assert "Traceback" not in said, line
        assert done.exit_code in {0, 1}, (line, said, number)


# --- the search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [by_schedule, on_request])
def test_nothing_is_left_anywhere_of_who_was_erased(
    life: Life,
    way: Callable[[Life], None],
    shell: Shell,
    capfd: pytest.CaptureFixture[str],
) -> None:
    town = life.town
    life.sid = lived(life.nest, bounced=way is on_request)
    for each in LIKE:
        wanted = Wanted(town.id_of(each["name"]), Reason.LEGAL)
        add_hold(town.database, town.clock, town.key, wanted, "cli:test")
    way(life)
    with town.database.transaction() as connection:
        cursor(connection).execute("analyze")
    there = set(everything(life, shell))
    assert {where for where, _ in there} >= {
        *("dump", "contact", "mailbox", "inbox", "subject export", "refund"),
        "/v1/products/<product>/subscriptions",
        "/console/products/<product>/people/<int:number>",
    }
    like, theirs = neighbours(town), mails_of_others(life)
    erased(life)
    assert neighbours(town) == like
    assert mails_of_others(life) == theirs
    with town.database.transaction() as connection:
        store.forget_samples(connection)

    assert everything(life, shell) == []
    told = "".join(capfd.readouterr())
    assert traces(iter([("log", told)])) == []
    assert [each.subscription for each in life.yard.systems["crm"].told] == [NAME]
    assert [each.subscription for each in life.yard.systems["billing"].told] == [NAME]
    assert json.loads(shell("subject", "export", "tv", NAME).stdout)["held"] is False


def everything(life: Life, run: Shell) -> list[tuple[str, str]]:
    """Give where the canary is found."""
    assert life.yard.ledger is not None
    ledger = life.yard.ledger.read_bytes() if life.yard.ledger.exists() else b""
    with life.town.database.transaction() as connection:
        found = traces(canary.every_value(connection))
    found += traces(iter([("dump", canary.dumped(life.town)), ("ledger", ledger)]))
    found += traces(redis_holds(life.redis_url))
    found += traces(mailbox_holds(life.nest.folder))
    found += traces(web_shows(life))
    return found + traces(commands_print(life, run))


def mails_of_others(life: Life) -> list[bytes]:
    """Give the mails that are about anybody else, to the byte."""
    found = by_subscription(life.nest.folder, life.town.links)
    others = [path for sid, paths in found.items() if sid != life.sid for path in paths]
    return [path.read_bytes() for path in sorted(others)]


def neighbours(town: Town) -> list[dict[str, list[str]]]:
    with town.database.transaction() as connection:
        return [rows_of(connection, town.id_of(each["name"]), each["name"]) for each in LIKE]


def test_who_shares_a_customer_and_an_address_keeps_every_row(life: Life) -> None:
    town = life.town
    both = {"email": EMAIL, "customer": CUSTOMER}
    town.join(row("stays", **both))
    town.use("stays")
    life.yard.stop(NAME)
    town.join(row(NAME, status="paused", **both))
    life.sid = town.id_of(NAME)
    town.settle()
    on_request(life)
    stays = town.id_of("stays")
    with town.database.transaction() as connection:
        before = rows_of(connection, stays, "stays")
    erased(life)
    with town.database.transaction() as connection:
        assert rows_of(connection, stays, "stays") == before
        left = traces(canary.every_value(connection))
    assert {what for _, what in left} <= {CUSTOMER, EMAIL.lower()}
    assert town.stage("stays") == "active"
