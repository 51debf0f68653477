"""A database of the product's own, PostgreSQL: rows deleted, or columns of them blanked.

| setting | means |
|---|---|
| `database_file` | a file that holds the address: `postgresql://user:password@host/name`. The address itself is kept nowhere |
| `tables` | a list, as JSON, or `@FILE` that holds it: what to do in which table, in this order |

Each entry of `tables`:

    {"category": "profile", "table": "app.profile", "column": "subscription_id",
     "holds": "subscription", "action": "delete"}
    {"category": "account", "table": "customer", "column": "id", "holds": "customer",
     "action": "blank", "columns": ["email", "full_name"]}

`column` holds the id of the subscription or of the customer, as billing calls them, and nothing
else is ever compared. All of it is done in one transaction, which counts before and after. It says
no, and changes nothing, where rows are left, where more than ten thousand rows of a table are one
subscription's (then the column is a wrong one), and where the database compares more loosely than
letter by letter. Rows of a customer who has other subscriptions stay, and so does a category that
the policy keeps for a time of its own: when that has passed is for the database's owner to heed.

Blanked is set to null; a column that takes none is a no. The account needs to select, and to delete
or update, these tables and nothing else. It has to be tried before it may erase.
"""  # noqa: E501 - a table

import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from threading import Timer
from typing import Any

import psycopg
from psycopg import sql

from app.errors import Refused
from app.world.erasing import (
    CATEGORY,
    CONTRACT,
    LEGAL_OBLIGATION,
    NOT_TRIED,
    PATH,
    Answer,
    Given,
    Kept,
    Kind,
    Place,
    Receipt,
    Request,
    held_in,
)
from app.world.outcome import Later, No

MOST_ROWS = 10_000
"""More rows of one table are nobody's: the column is a wrong one."""
MOST_TABLES = 200
MOST_COLUMNS = 100
CONNECT_SECONDS = 5
WHOLE = 40.0
"""Seconds for all of it: then the line is cut, whatever the other side is doing."""
LIMITS = (
    "set local statement_timeout = '15s'",
    "set local lock_timeout = '5s'",
    "set local idle_in_transaction_session_timeout = '60s'",
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
"""Identifiers are plain names: anything else in one is an accident, or worse."""
NEVER = frozenset({"pg_catalog", "information_schema", "pg_toast"})
SUBSCRIPTION, CUSTOMER = "subscription", "customer"
DELETE, BLANK = "delete", "blank"
AGAIN = ("08", "25", "28", "40", "53", "55", "57", "58")
"""Classes of errors that pass: connections, time-outs, log-ins, lost races, full, locked, ended."""
OURS = ("manifest_entry", "reconfirmation", "tombstone")
"""Tables that only a database of reconfirm's has, all of them."""
TOO_LATE = Later("no answer at the end", unknown=True)


@dataclass(frozen=True, slots=True)
class Step:
    """What is done in one table."""

    category: str
    table: tuple[str, ...]
    column: str
    holds: str
    action: str
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The table as it is written in the settings."""
        return ".".join(self.table)


class _Refusal(Exception):
    """Nothing is to be changed; the text is a code."""


# --- settings --------------------------------------------------------------------------------


def read_tables(given: str) -> list[dict[str, Any]]:
    """Read the list of tables; ValueError says what is wrong with which entry."""
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        raise ValueError("write a list as JSON, or @FILE that holds it") from None
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_TABLES:
        raise ValueError(f"write a list of 1 to {MOST_TABLES} tables")
    for number, each in enumerate(found, 1):
        try:
            _step(each)
        except ValueError as error:
            raise ValueError(f"entry {number}: {error}") from None
    places = [(each["table"], each["column"], each["action"]) for each in found]
    if len(set(places)) != len(places):
        raise ValueError("a table stands twice with the same column and action")
    return found


def _step(each: Any) -> Step:
    """Read one entry; ValueError says what to write."""
    if not isinstance(each, dict) or set(each) - {
        "category",
        "table",
        "column",
        "holds",
        "action",
        "columns",
    }:
        raise ValueError("write category, table, column, holds, action, and columns where blanked")
    category, table = _text(each, "category"), tuple(_text(each, "table").split("."))
    if not CATEGORY.fullmatch(category):
        raise ValueError("category is a short lower-case name")
    if len(table) > 2 or not all(map(NAME.fullmatch, table)) or table[0].lower() in NEVER:  # noqa: PLR2004 - schema and name
        raise ValueError("table is a name, or schema.name, of letters, digits and underscores")
    column, holds, action = (_text(each, name) for name in ("column", "holds", "action"))
    if not NAME.fullmatch(column):
        raise ValueError("column is a name of letters, digits and underscores")
    if holds not in {SUBSCRIPTION, CUSTOMER}:
        raise ValueError("holds is subscription or customer")
    columns = _columns(each, action, column)
    return Step(category, table, column, holds, action, columns)


def _columns(each: Mapping[str, Any], action: str, key: str) -> tuple[str, ...]:
    """Read which columns are blanked; ValueError says what to write."""
    columns = each.get("columns", [])
    if action == DELETE:
        if columns:
            raise ValueError("what is deleted needs no columns")
        return ()
    if action != BLANK:
        raise ValueError("action is delete or blank")
    named = isinstance(columns, list) and all(
        isinstance(one, str) and NAME.fullmatch(one) for one in columns
    )
    if not named or not 1 <= len(columns) <= MOST_COLUMNS or len(set(columns)) != len(columns):
        raise ValueError("columns are the names of those to be blanked")
    if key in columns:
        raise ValueError("the column that holds the id cannot be blanked: nothing could be checked")
    return tuple(columns)


def _text(each: Mapping[str, Any], name: str) -> str:
    found = each.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{name} is missing")  # noqa: TRY004 - it says what to write, as all do
    return found


def _check(settings: Mapping[str, Any], categories: Sequence[str]) -> None:
    """Refuse tables of a category that is not registered, and a category without a table."""
    used = {each["category"] for each in settings["tables"]}
    if odd := sorted(used - set(categories)):
        raise Refused(
            f"tables name categories that are not registered: {', '.join(odd)}",
            "add them with --category",
        )
    if bare := sorted(set(categories) - used):
        raise Refused(
            f"no table holds the categories: {', '.join(bare)}", "name their tables, or leave them"
        )


# --- the target ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sql:
    """One database, and what is to be done in its tables."""

    address: str = field(repr=False)
    steps: tuple[Step, ...]
    tried: bool

    def erase(self, request: Request) -> Answer:
        """Do all of it in one transaction, or none of it."""
        if not self.tried:
            return NOT_TRIED
        try:
            with self._connected() as connection:
                receipt = _erased(connection, self.steps, request)
                try:
                    connection.commit()
                except psycopg.OperationalError:
                    return TOO_LATE
                return Given(receipt)
        except _Refusal as refusal:
            return No(str(refusal))
        except psycopg.Error as error:
            return _meant(error)

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:
        """Count the rows of somebody, by table; the transaction can change nothing."""
        found: dict[str, int] = {}
        try:
            with self._connected() as connection:
                connection.execute("set transaction read only")
                for each in self.steps:
                    who = subscription if each.holds == SUBSCRIPTION else customer
                    many = 0 if who is None else _counted(connection, each, who)
                    found[f"{each.name}.{each.column}"] = many
                    _check_columns(connection, each)
        except _Refusal as refusal:
            raise Refused(f"the tables do not fit: {refusal}", "mend `tables`") from None
        except psycopg.Error as error:
            raise Refused(
                f"the database does not answer as it should: {_meant(error).reason}",
                "see that the address, tables, columns and the account's rights are right",
            ) from None
        return found

    @contextmanager
    def _connected(self) -> Iterator["psycopg.Connection[Any]"]:
        """Connect for one transaction, which is rolled back unless somebody commits it."""
        connection = psycopg.connect(self.address, connect_timeout=CONNECT_SECONDS)
        with closing(connection), _cut_after(WHOLE, connection.fileno()):
            for each in LIMITS:
                connection.execute(each)
            ours = connection.execute(
                "select count(distinct relname) from pg_class where relname = any(%s)"
                " and relkind = 'r'",
                (list(OURS),),
            ).fetchone()
            if ours is not None and ours[0] == len(OURS):
                raise _Refusal("it is a database of reconfirm")
            yield connection


@contextmanager
def _cut_after(seconds: float, number: int) -> Iterator[None]:
    """Cut a connection after a time: a server that says nothing more would be waited for."""
    twin = socket.socket(fileno=os.dup(number))

    def cut() -> None:
        with suppress(OSError):
            twin.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        twin.close()


def _meant(error: psycopg.Error) -> Later | No:
    """Say what an error means; of its text nothing is repeated: it may hold an address, or data."""
    code = error.sqlstate
    if code is None:
        return Later("no connection")
    reason = f"sql {code.lower()}"
    return Later(reason) if code.startswith(AGAIN) else No(reason)


def _erased(
    connection: "psycopg.Connection[Any]", steps: Sequence[Step], request: Request
) -> Receipt:
    """Erase category by category; _Refusal where nothing is to be changed after all."""
    stay: list[Kept] = []
    gone: list[str] = []
    ordered = sorted(steps, key=lambda each: each.category)
    kept = {
        category: _why_kept(list(some), request)
        for category, some in groupby(ordered, key=lambda each: each.category)
    }
    for each in steps:
        if each.category not in request.keep:
            _do(connection, each, request)
    for category, why in kept.items():
        if why is None:
            gone.append(category)
        else:
            stay.append(why)
    return Receipt(request.erasure, tuple(gone), tuple(stay))


def _why_kept(steps: Sequence[Step], request: Request) -> Kept | None:
    """Say why (some of) a category stays; None where all of it goes."""
    category = steps[0].category
    if category in request.keep:
        return Kept(category, LEGAL_OBLIGATION, request.keep[category])
    if request.stays and any(each.holds == CUSTOMER for each in steps):
        return Kept(category, CONTRACT, None)
    return None


def _do(connection: "psycopg.Connection[Any]", step: Step, request: Request) -> None:
    """Erase in one table, and see that nothing is left; _Refusal where that is not so."""
    if step.holds == CUSTOMER and (request.stays or request.customer is None):
        return
    who = request.subscription if step.holds == SUBSCRIPTION else str(request.customer)
    if not _counted(connection, step, who):
        return
    table, column = sql.Identifier(*step.table), sql.Identifier(step.column)
    if step.action == DELETE:
        statement = sql.SQL("delete from {} where {} = %s").format(table, column)
        left = sql.SQL("select count(*) from {} where {} = %s").format(table, column)
    else:
        blanks = [sql.Identifier(each) for each in step.columns]
        nulls = sql.SQL(", ").join(sql.SQL("{} = null").format(each) for each in blanks)
        some = sql.SQL(" or ").join(sql.SQL("{} is not null").format(each) for each in blanks)
        statement = sql.SQL("update {} set {} where {} = %s").format(table, nulls, column)
        left = sql.SQL("select count(*) from {} where {} = %s and ({})").format(table, column, some)
    connection.execute(statement, (who,))
    if _number(connection, left, (who,)):
        raise _Refusal("rows are left")


def _counted(connection: "psycopg.Connection[Any]", step: Step, who: str) -> int:
    """Count the rows of somebody; _Refusal where they are too many, or not only theirs.

    A column that compares loosely (without case, or as numbers) would take others along.
    """
    table, column = sql.Identifier(*step.table), sql.Identifier(step.column)
    many = sql.SQL(
        "select count(*), count(*) filter (where {column}::text is distinct from %s)"
        " from (select {column} from {table} where {column} = %s limit {most}) found"
    ).format(table=table, column=column, most=sql.Literal(MOST_ROWS + 1))
    row = connection.execute(many, (who, who)).fetchone()
    found, others = row or (0, 0)
    if others:
        raise _Refusal("the column compares loosely")
    if found > MOST_ROWS:
        raise _Refusal("too many rows of one subscription")
    return int(found)


def _check_columns(connection: "psycopg.Connection[Any]", step: Step) -> None:
    """Look whether the columns to be blanked are there; what is not raises psycopg's error."""
    if step.columns:
        names = sql.SQL(", ").join(sql.Identifier(each) for each in step.columns)
        table = sql.Identifier(*step.table)
        connection.execute(sql.SQL("select {} from {} limit 0").format(names, table))


def _number(connection: "psycopg.Connection[Any]", statement: sql.Composed, values: Any) -> int:
    row = connection.execute(statement, values).fetchone()
    return int(row[0]) if row else 0


# --- the kind --------------------------------------------------------------------------------


def _connect(place: Place) -> Sql:
    """Read the address; Refused where there is none, repeating nothing of it."""
    address = held_in(str(place.settings.get("database_file", "")), "the database's address")
    if not address.startswith(("postgresql://", "postgres://")) or len(address.split()) != 1:
        raise Refused(
            "the file of the database's address holds none",
            "write it there, such as postgresql://user:password@host/name",
        )
    steps = tuple(_step(each) for each in place.settings["tables"])
    return Sql(address, steps, place.tried)


KIND = Kind(
    "a PostgreSQL database of the product's own",
    _connect,
    {
        "database_file": PATH,
        "tables": read_tables,
    },
    needed=("database_file", "tables"),
    tried_first=True,
    check=_check,
)
