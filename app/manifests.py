"""Manifests of who is due to be erased: read, approved by two people, refused.

Who is on one, since when and how they were warned is under its hash, and so is an approval: what is
approved is these people and no others. Nothing here means "all".

Two different people have to approve. Whoever works on the command line is one person, whatever name
is given there. Somebody of the console counts while they have the role; whoever had the manifest
made does not count, and keys of the API never do. Approvals, and manifests, are good for a week.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from itertools import chain, islice

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from app.clock import Clock
from app.errors import Conflict, NotFound, Refused
from app.store import cases, products
from app.store import manifests as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.manifests import Approval, Entry, Listed, Manifest
from app.store.products import Product

NEEDED = 2
"""So many different people have to approve."""
GOOD_FOR = timedelta(days=7)
"""For so long a manifest and its approvals are good: its people are then collected anew."""
LEFT_ALONE = timedelta(days=30)
"""For so long the people of a manifest that was refused are not collected again."""
SHELL, PAGES = "cli:", "console:"
"""How the actors begin who may approve."""
ROLES = ("approver", "admin")
MADE_BY_ITSELF = "clock"
COLUMNS = tuple(each.name for each in fields(Listed) if each.name != "id")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
A_PAGE = 2000
A_PIECE = 100


_LINE = msgspec.json.Encoder()


# --- the hash --------------------------------------------------------------------------------


class Header(Struct, frozen=True, array_like=True):
    """What a manifest is of: the product's key, its number there, and its day."""

    product: str
    number: int
    day: date


def digest(header: Header, entries: Iterable[Entry]) -> bytes:
    """Give the hash of a manifest: SHA-256 over a line of JSON for its header and for each entry.

    The entries come in the order of their subscriptions; days are written as 2026-09-01.
    """
    found = hashlib.sha256(_LINE.encode(header) + b"\n")
    for each in entries:
        found.update(_LINE.encode(each) + b"\n")
    return found.digest()


def hash_of(connection: Connection, product: Product, number: int) -> bytes:
    """Give the hash of a manifest as its rows now say it; NotFound where there is none."""
    found = _of(connection, product, number)
    header = Header(product.key, number, found.day)
    return digest(header, store.written(connection, product.id, number))


# --- who counts ------------------------------------------------------------------------------


def approvals_that_count(
    connection: Connection, product: Product, number: int, now: datetime
) -> list[str]:
    """Give the actors whose approvals of a manifest count now: one for each different person."""
    found = store.of(connection, product.id, number)
    if found is None or found.hash is None or now - found.made_at >= GOOD_FOR:
        return []
    given = [
        each.actor
        for each in store.approvals(connection, product.id, number)
        if each.hash == found.hash and now - each.approved_at < GOOD_FOR
    ]
    pages = _of_the_console(connection, product, given, found.made_by)
    return pages + _of_the_shell(given, pages, found.made_by)


def _of_the_console(
    connection: Connection, product: Product, given: list[str], made_by: str
) -> list[str]:
    """Give those of the console who still have the role, and did not have it made."""
    names = [each.removeprefix(PAGES) for each in given if each.startswith(PAGES)]
    roles = [*ROLES, *(f"{product.key}:{role}" for role in ROLES)]
    having = store.having(connection, names, roles)
    made = {made_by.removeprefix(prefix) for prefix in (PAGES, SHELL)}
    return [f"{PAGES}{name}" for name in names if name in having and name not in made]


def _of_the_shell(given: list[str], pages: list[str], made_by: str) -> list[str]:
    """Give who counts of the command line: one at most, and not who counts already by name."""
    shell = [each for each in given if each.startswith(SHELL)]
    if not shell or made_by.startswith(SHELL):
        return []
    known = {each.removeprefix(PAGES) for each in (*pages, made_by)}
    same = any(each.removeprefix(SHELL) in known for each in shell)
    return [] if same else shell[:1]


# --- reading ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """A manifest with who approved it, and whose approvals count now."""

    manifest: Manifest
    approvals: list[Approval]
    counting: list[str]

    @property
    def lacks(self) -> int:
        """How many people more have to approve it."""
        return max(0, NEEDED - len(self.counting))


def _of(connection: Connection, product: Product, number: int, *, lock: bool = False) -> Manifest:
    found = store.of(connection, product.id, number, lock=lock)
    if found is None:
        raise NotFound(
            f"{product.key} has no manifest {number}", "`reconfirm manifest list` shows them"
        )
    return found


def standing(connection: Connection, product: Product, number: int, now: datetime) -> Standing:
    """Give how a manifest stands; NotFound where there is none."""
    return Standing(
        _of(connection, product, number),
        store.approvals(connection, product.id, number),
        approvals_that_count(connection, product, number, now),
    )


def everybody(
    database: Database, product: Product, number: int, batch: int = A_PAGE
) -> Iterator[Listed]:
    """Give everybody on a manifest, a batch and a transaction at a time: who reads may be slow."""
    after = 0
    while True:
        with database.transaction() as connection:
            some = store.entries(connection, product.id, number, after, batch)
        if not some:
            return
        yield from some
        after = some[-1].id


def as_csv(entries: Iterable[Listed]) -> Iterator[str]:
    """Give a file a hundred lines at a time, its head first: each piece goes out as one."""
    lines = chain([_row(COLUMNS)], (_row(_cells(each)) for each in entries))
    while some := "".join(islice(lines, A_PIECE)):
        yield some


def _cells(entry: Listed) -> list[str]:
    return [_as_text(getattr(entry, name)) for name in COLUMNS]


def _as_text(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _row(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


# --- deciding --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Manifests:
    """Takes approvals and refusals."""

    database: Database
    clock: Clock

    def approve(self, product_key: str, number: int, seen: str, actor: str) -> Standing:
        """Approve the people of a manifest, by the hash (in hex) that was read; how it then stands.

        Refused for who is no person, Conflict where the hash is another one, where the manifest
        is not waiting any more, and for whoever had it made.
        """
        _check_person(actor)
        self.expire(product_key)

        def work(connection: Connection) -> Standing:
            product, now = products.load(connection, product_key), self.clock.now()
            found = _of(connection, product, number, lock=True)
            _check(found, seen, actor)
            if not found.people:
                store.finish(connection, product.id, number, now)
                return standing(connection, product, number, now)
            if hash_of(connection, product, number) != found.hash:
                raise Conflict(
                    f"manifest {number} is not as it was made",
                    "refuse it: its people are collected anew, and find out who changed it",
                )
            if store.approve(connection, product.id, number, actor, bytes.fromhex(seen), now):
                _note(connection, product, number, "manifest_approved", actor, now)
            after = standing(connection, product, number, now)
            if after.lacks or found.state == store.APPROVED:
                return after
            store.agreed(connection, product.id, number, now)
            return standing(connection, product, number, now)

        return self.database.retrying(work)

    def refuse(self, product_key: str, number: int, actor: str) -> Standing:
        """Refuse a manifest, approved or not: nobody else is erased by it; how it then stands.

        Whom it has begun to erase is erased. Conflict where it is over; refusing one again is none.
        """
        _check_person(actor)

        def work(connection: Connection) -> Standing:
            product, now = products.load(connection, product_key), self.clock.now()
            found = _of(connection, product, number, lock=True)
            if found.state in store.OPEN:
                store.refuse(connection, product.id, number, actor, now)
                _note(connection, product, number, "manifest_refused", actor, now)
            elif found.state != store.REFUSED:
                raise _over(found)
            return standing(connection, product, number, now)

        return self.database.retrying(work, few=True)

    def expire(self, product_key: str) -> list[int]:
        """End the manifests of a product that are a week old; give their numbers."""

        def work(connection: Connection) -> list[int]:
            product, now = products.load(connection, product_key), self.clock.now()
            ended = store.expire(connection, product.id, now - GOOD_FOR, now)
            for number in ended:
                _note(connection, product, number, "manifest_expired", MADE_BY_ITSELF, now)
            return ended

        return self.database.retrying(work, few=True)


def _check_person(actor: str) -> None:
    if not actor.startswith((SHELL, PAGES)):
        raise Refused(
            "manifests are approved and refused by people",
            "use the console, or `reconfirm manifest`",
        )


def _check(found: Manifest, seen: str, actor: str) -> None:
    """Raise Conflict where somebody may not approve a manifest as it stands."""
    if found.state not in store.OPEN or found.hash is None:
        raise _over(found)
    if found.hash.hex() != seen:
        raise Conflict(
            f"manifest {found.number} has another hash",
            "read it again, and approve what you have read",
        )
    same = actor.startswith(SHELL) and found.made_by.startswith(SHELL)
    if found.made_by == actor or same:
        raise Conflict(f"you had manifest {found.number} made", "two other people approve it")


def _over(found: Manifest) -> Conflict:
    if found.state == store.MAKING:
        return Conflict(f"manifest {found.number} is still being made", "try again when it is")
    return Conflict(
        f"manifest {found.number} is {found.state}", "`reconfirm manifest list` shows which wait"
    )


def _note(  # noqa: PLR0913, PLR0917 - a line of history
    connection: Connection,
    product: Product,
    number: int,
    what: str,
    actor: str,
    now: datetime,
) -> None:
    line = HistoryWrite(None, None, what, store.named(number), None)
    cases.insert_history(connection, product.id, now, actor, [line])
