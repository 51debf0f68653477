"""Somebody with a name that stands nowhere else, who lives through everything, and its traces."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes
from email import policy as policies
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Connection, text

from app.engine import door
from app.engine import erasures as asking
from app.engine.door import open_batch
from app.engine.mentions import readings
from app.engine.wiping import Keep, Wiped, wipe
from app.inbox import Inbox, Result
from app.lifecycle.case import Kind, Reach
from app.links import plain_address
from app.returns import Returns, Telling
from app.signing import sign
from app.store import erasures, looks, population, products, reconciliation, refunds, wiping
from app.store import webhooks as hooks
from app.store.database import cursor
from app.store.fates import DECISIONS, Fate
from app.store.refunds import Proposal
from app.store.webhooks import Letter
from app.usage import Intake, Told
from app.world.billing import sandbox
from app.world.mail.maildir import Maildir
from jobs.outbox import Worker
from tests.probe import listening, rows
from tests.world import ACTOR, Town, row

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAME = "canáry/sub_77"
CUSTOMER = "cus_Canáry€77"
EMAIL = "Canary.Ünï+news77@exämple-nest.example"
CHARGE = "ch_canary77"
DISPUTE = "dp_canary77"
MESSAGE = "evt_canary77"
ZONE, LOCALE = "Antarctica/Troll", "rm-CH"
WORDS = (NAME, CUSTOMER, CHARGE, DISPUTE, MESSAGE, ZONE, LOCALE)
ADDRESSES = (EMAIL.lower(), "ünï+news77@xn--exmple-nest")
ERASURE = "er_test"
LIKE = (
    {"name": "canáry/sub_7", "customer": "cus_Canáry€7", "email": "Canary.Ünï+news7@nest.example"},
    {"name": "CANÁRY/SUB_77", "customer": "cus_Canary77", "email": "77@exämple-nest.example"},
)
"""Neighbours whose names are nearly the same."""


@dataclass(frozen=True)
class Nest:
    """A town, its mailbox, and the relay that writes it."""

    town: Town
    folder: Path

    @property
    def worker(self) -> Worker:
        worker = self.town.worker()
        worker.relay = Maildir(self.folder)
        return worker

    def deliver(self) -> None:
        self.worker.until_idle()


def body_of(name: str, at: datetime, kind: str = "updated", **changes: Any) -> dict[str, Any]:
    data = {key: value for key, value in row(name, **changes).items() if value != "None"}
    return {"type": f"subscription.{kind}", "timestamp": at.isoformat(), "data": data}


def told(town: Town, message_id: str, body: dict[str, Any] | bytes) -> str:
    """Let billing send a message; give what became of it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = sign([SECRET], message_id, town.clock.wall(), raw)
    inbox = Inbox(town.database, town.clock, links=town.links)
    return inbox.receive(town.key, headers, raw).result


def lived(nest: Nest, *, bounced: bool = True) -> int:
    """Let the canary, and its neighbours, live through all that there is; give its number.

    Not `bounced`, all mail is still delivered, without which time alone leads to no erasure.
    """
    town = nest.town
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        products.change(connection, number, {"signing_secrets": [SECRET]})
    listening(town)
    start = town.clock.now()
    Intake(town.database, town.clock, links=town.links).record(
        town.key, Told({NAME: start.date() - timedelta(days=700)}, {}), ACTOR
    )
    for each in (_canary(), *LIKE):
        about = {"email": each["email"], "customer": each["customer"]}
        rare = {"timezone": ZONE, "locale": LOCALE} if each["name"] == NAME else {}
        town.join(row(each["name"], **about, **rare))
        _tell_of(town, each["name"], about | rare, start)
    _silence(nest)
    sid = town.id_of(NAME)
    for each in (_canary(), *LIKE):
        _odds_and_ends(nest, each["name"], number)
    if bounced:
        _bounce(town)
    return sid


def _canary() -> dict[str, str]:
    return {"name": NAME, "customer": CUSTOMER, "email": EMAIL}


def _tell_of(town: Town, name: str, about: dict[str, str], start: datetime) -> None:
    """Let billing say so by messages: applied, stale, unreadable, failed."""
    own = MESSAGE if name == NAME else f"evt_{len(name)}{name[0]}"
    assert told(town, f"{own}a", body_of(name, start, **about)) == Result.APPLIED
    late = body_of(name, start - timedelta(days=1), **about)
    assert told(town, f"{own}b", late) == Result.STALE
    wrong = body_of(name, start, **about, currency="€")
    assert told(town, f"{own}c", wrong) == Result.UNREADABLE
    slashed = json.dumps(wrong).replace("/", "\\/").replace("@", "\\u0040")
    assert told(town, f"{own}d", slashed.encode()[:-2]) == Result.UNREADABLE
    plain = json.dumps(wrong, ensure_ascii=False).replace(about["email"], about["email"].upper())
    assert told(town, f"{own}e", plain.encode()) == Result.UNREADABLE
    with mock.patch.object(door, "step", side_effect=ZeroDivisionError):
        failed = body_of(name, start + timedelta(minutes=1), **about, status="past_due")
        assert told(town, f"{own}f", failed) == Result.FAILED


def _silence(nest: Nest) -> None:
    """Let everybody be asked, say nothing, and be suspended."""
    town = nest.town
    town.sweep()
    nest.deliver()
    current = town.case(NAME).round
    assert current is not None
    assert current.answer_by is not None
    town.clock.set(current.answer_by + timedelta(days=1))
    town.hear(town.clock.now().date())
    with town.database.transaction() as connection:
        sandbox.charge_due(connection, town.clock.now())
    town.sweep()
    nest.deliver()
    assert town.stage(NAME) == "suspended"


def _odds_and_ends(nest: Nest, name: str, number: int) -> None:
    """Let happen what happens to few: a wrong charge, a dispute, a wish to be erased."""
    town, sid, now = nest.town, nest.town.id_of(name), nest.town.clock.now()
    asking.ask_link(town.database, town.clock, town.key, sid, 1)
    nest.deliver()
    own = name == NAME
    with town.database.transaction() as connection:
        looks.want(connection, number, [name], (), now)
        population.remember_unknown(connection, number, {name: now.date()})
        reconciliation.report(connection, number, reconciliation.LOST, [sid], now)
        charge = CHARGE if own else f"ch_{sid}"
        wrong = Proposal(sid, 1, charge, now, 1349, 0, "GBP", {"why": "charged"})
        refunds.propose(connection, number, [wrong], now)
        found = refunds.listed(connection, number, ["proposed"], 1)[0]
        refunds.decide(connection, found.id, "declined", ACTOR, "not_wrong", now)
        _hold(connection, number, sid, DISPUTE if own else f"dp_{sid}", now)
        _letters(connection, number, sid, now)
        _leave_waiting(connection, number, sid, now)
    if own:
        rows(
            town.database,
            """insert into reconciliation (product_id, due_at, phase, cursor)
               values (:number, :at, 'pages', :name)
               on conflict (product_id) do update set phase = 'pages', cursor = :name""",
            number=number,
            at=now,
            name=name,
        )


def _bounce(town: Town) -> None:
    told = [Telling(Reach.BOUNCED, subscription=each["name"]) for each in (_canary(), *LIKE)]
    Returns(town.database, town.clock, town.links).take(town.key, told, ACTOR)


def _hold(connection: Connection, number: int, sid: int, source: str, now: datetime) -> None:
    cursor(connection).execute(
        """insert into hold (product_id, subscription_id, reason, source, set_by, set_at, review_on,
             released_at, released_by)
           values (%s, %s, 'dispute', %s, 'billing:standard', %s, %s, %s, 'billing:standard')""",
        (number, sid, source, now, now.date(), now),
    )
    cursor(connection).execute(
        """insert into dispute (product_id, source, told_at, ended_at) values (%s, %s, %s, %s)""",
        (number, source, now, now),
    )


def _letters(connection: Connection, number: int, sid: int, now: datetime) -> None:
    """Try what endpoints are told once, and tell them of the erasure as well."""
    run = cursor(connection)
    run.execute(
        """insert into webhook_try (webhook_id, at, status, took_ms)
           select id, %s, 500, 7 from webhook where subscription_id = %s""",
        (now, sid),
    )
    endpoint = hooks.endpoints(connection, number)[0].id
    (one,) = hooks.next_ids(connection, 1)
    body = json.dumps({"type": wiping.LEFT, "data": {"erasure": ERASURE}})
    letter = Letter(one, endpoint, f"msg_hash_{sid}", wiping.LEFT, sid, 1, body)
    hooks.write(connection, number, now, [letter])


def _leave_waiting(connection: Connection, number: int, sid: int, now: datetime) -> None:
    cursor(connection).execute(
        """insert into outbox (product_id, subscription_id, round, lane, kind, version, not_before,
             state, fence, tries, unknown)
           values (%s, %s, 1, 'notice', %s, 1, %s, 'pending', 0, 0, 0)""",
        (number, sid, str(Kind.RESUMED), now + timedelta(days=1)),
    )


# --- wiping ----------------------------------------------------------------------------------


def wiped(town: Town, sid: int, keep: Keep = ()) -> Wiped:
    """Wipe somebody as the eraser does, and end their round as the rules will."""
    with town.database.transaction() as connection:
        return wiped_in(connection, town, sid, keep)


def wiped_in(connection: Connection, town: Town, sid: int, keep: Keep = ()) -> Wiped:
    now = town.clock.now()
    product = products.load(connection, town.key)
    open_batch(connection, product, [sid], now)
    erasures.take_role(connection)
    run = cursor(connection)
    run.execute(
        """insert into erasure (id, product_id, subscription_id, round, cause, begun_at, begun_by)
           values (%s, %s, %s, 1, 'schedule', %s, 'clock') on conflict do nothing""",
        (f"{ERASURE}_{sid}", product.id, sid, now),
    )
    run.execute(
        """update reconfirmation set stage = 'erased', outcome = 'erased', closed_at = %s,
             erase_on = null, wake_at = null where subscription_id = %s and outcome is null""",
        (now, sid),
    )
    return wipe(connection, product, sid, town.links, f"{ERASURE}_{sid}", now, keep)


# --- looking ---------------------------------------------------------------------------------


def every_value(connection: Connection) -> Iterator[tuple[str, Any]]:
    """Give every value of every table there is, and of what the planner remembers of them."""
    names = connection.execute(
        text(
            """select relname from pg_class where relkind in ('r', 'p', 'm')
               and relnamespace = 'public'::regnamespace order by 1"""
        )
    ).scalars()
    for name in list(names):
        yield from ((name, value) for line in _all(connection, name) for value in line)
    sampled = """select tablename, most_common_vals::text, histogram_bounds::text from pg_stats
        where schemaname = 'public'"""
    for table, *values in connection.execute(text(sampled)):
        yield from ((f"samples of {table}", value) for value in values)


def _all(connection: Connection, name: str) -> Sequence[Sequence[Any]]:
    return connection.execute(text(f'select * from "{name}"')).all()  # noqa: S608 - a name of ours


def dumped(town: Town) -> str:
    """Give the database as its own tool writes it, what is bytes decoded."""
    ((server,),) = rows(town.database, "select pg_backend_pid()")
    pg_dump = Path(f"/proc/{server}/exe").resolve().parent / "pg_dump"
    done = subprocess.run(  # noqa: S603 - our own tool
        [pg_dump, "--inserts", town.database.url], capture_output=True, check=True
    )
    return done.stdout.decode()


def traces(values: Iterator[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Give where, and what of the canary's, stands among values, however it is written."""
    found = set()
    for where, value in values:
        for reading in readings(_bytes(value)) if value is not None else ():
            # A neighbour's name is the canary's in capitals: only addresses are of any case.
            small = reading.lower()
            found |= {(where, each) for each in WORDS if each in reading}
            found |= {(where, each) for each in ADDRESSES if each in small}
    return sorted(found)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False).encode()
    return str(value).encode(errors="replace")


def rows_of(connection: Connection, sid: int, name: str) -> dict[str, list[str]]:
    """Give every row about a subscription, by table."""
    found: dict[str, list[str]] = {}
    columns = """select table_name, column_name from information_schema.columns
        where table_schema = 'public' and column_name in ('subscription_id', 'external_id')"""
    for table, column in connection.execute(text(columns)).all():
        value: Any = sid if column == "subscription_id" else name
        found_here = connection.execute(
            text(f'select t::text from "{table}" t where {column} = :value order by 1'),  # noqa: S608
            {"value": value},
        ).scalars()
        found[f"{table}.{column}"] = list(found_here)
    found["mails"] = []
    return found


BLANK = {
    "subscription": "id = :sid and (customer is not null or last_used_on is not null"
    " or renews_at is not null or told <> '' or told_at is not null or started_on > '1970-01-01')",
    "reconfirmation": "subscription_id = :sid and (used_known is not null"
    " or paid_until is not null)",
    "inbox": "subscription_id = :sid and (body is not null or state in ('failed', 'unreadable'))",
    "refund": "subscription_id = :sid and charge not like 'erased:%'",
    "hold": "subscription_id = :sid and source is not null",
}
"""What no row about an erased person may say."""


def undone(connection: Connection, sid: int, letters: list[int], mark: bytes) -> list[str]:
    """Give what of the decisions was not done, given their messages and their bounce."""
    left = []
    columns = """select table_name from information_schema.columns
        where table_schema = 'public' and column_name = 'subscription_id'"""
    named = set(connection.execute(text(columns)).scalars())
    gone = {each.table for each in DECISIONS if each.fate is Fate.DELETED}
    wheres = [(table, "subscription_id = :sid") for table in sorted(gone & named - {"webhook"})]
    wheres += [
        *BLANK.items(),
        ("webhook", f"subscription_id = :sid and type <> '{wiping.LEFT}'"),
        ("webhook", "subscription_id = :sid and message_id not like 'msg_erased_%'"),
        ("webhook_try", "webhook_id = any(:letters)"),
        ("suppression", "mark = :mark"),
    ]
    values = {"sid": sid, "letters": letters, "mark": mark}
    for table, where in wheres:
        found = connection.scalar(text(f"select count(*) from {table} where {where}"), values)  # noqa: S608
        left += [f"{table}: {found} where {where}"] if found else []
    return left


def mails_in(folder: Path) -> list[str]:
    """Give the addresses of the mails in a mailbox."""
    found = [path.read_bytes() for path in sorted(folder.glob("*/*"))]
    return [str(message_from_bytes(each, policy=policies.default)["To"]) for each in found]


def mails_to(folder: Path, address: str) -> list[str]:
    """Give those that went to an address, however its host is written."""
    wanted = plain_address(address)
    return [each for each in mails_in(folder) if plain_address(each) == wanted]
