"""A database that was restored from a backup: found out before it serves, and put right.

A backup brings back people who were erased since, and notices and acts that went out since. It is
told by the ledger of erasures, kept outside of it, and by what the database says of itself. What
only a copy of the whole disk brings back, on the same server and timeline, the ledger alone tells.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from app import ledger as ledgers
from app.clock import Clock
from app.errors import Refused
from app.guards import RESTORED, trip
from app.links import Links
from app.store import cases, erasures, installation, ledger, products
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.installation import Identity, Somebody, Stamp
from app.store.ledger import Entry
from app.store.products import Product

WHY = "restored_backup"
REPLAYED = "erasures_replayed"
MANY = 1000
UNFINISHED, AHEAD, ELSEWHERE, PROMOTED = "unfinished", "ahead", "elsewhere", "promoted"
WORDS = {
    UNFINISHED: "a restored backup is being put right here, and that is not finished",
    AHEAD: "the ledger of erasures has entries that this database lacks: it was restored from a"
    " backup, and holds people who were erased since",
    ELSEWHERE: "this database was made elsewhere and loaded here: it may hold people who were"
    " erased since",
    PROMOTED: "this database goes on from another point in time, and no ledger of erasures shows"
    " that nobody was erased since",
}


@dataclass(frozen=True, slots=True)
class Found:
    """How a database stands to the ledger file and to what it says of itself."""

    here: Identity
    stamp: Stamp | None
    known: int
    """The last entry it had of the ledger, before any were entered anew; 0 for none."""
    file: int | None
    """The number of the file's last entry; None where there is no file."""
    why: str | None
    """Why it may not serve, as a code; None where it may."""


def find(connection: Connection, path: Path | None) -> Found:
    """Look how a database stands; Refused where the ledger file is there and cannot be read."""
    here, stamp = installation.identity(connection), installation.stamped(connection)
    last = None if path is None else ledgers.head(path)
    exists = path is not None and path.exists()
    known = ledger.head(connection)
    ahead = last is not None and ledger.entry(connection, last.no) != last
    level = exists and not ahead and _no(last) == _no(known)
    why = None
    if stamp is not None and stamp.restoring_since is not None:
        why = UNFINISHED
    elif ahead:
        why = AHEAD
    elif stamp is not None and not stamp.identity.same_place(here):
        why = ELSEWHERE
    elif stamp is not None and stamp.identity.timeline != here.timeline and not level:
        why = PROMOTED
    begun = None if stamp is None else stamp.restoring_from
    number = _no(known) if begun is None else begun
    return Found(here, stamp, number, _no(last) if exists else None, why)


def require_ours(database: Database, path: Path | None, wall: datetime) -> None:
    """Refuse to serve on a restored database that nobody has put right; stamp one that is new.

    The ledger file is begun with the stamp, so that its absence later on says something.
    """
    with database.transaction() as connection:
        found = find(connection, path)
        if found.why is not None:
            raise Refused(WORDS[found.why], mend_of(path))
        if found.stamp is None or found.stamp.identity != found.here:
            installation.stamp(connection, found.here, wall)
            if path is not None:
                ledgers.export(connection, path)


def mend_of(path: Path | None) -> str:
    """Give what to do about a restored database."""
    return f"run `reconfirm restore-check --ledger {path or 'FILE'}`, then start again"


def _no(entry: Entry | None) -> int:
    return 0 if entry is None else entry.no


# --- putting it right --------------------------------------------------------------------------


class Wipe(Protocol):
    """What deletes and blanks everything that is held here about a subscription."""

    def __call__(
        self,
        connection: Connection,
        product: Product,
        subscription_id: int,
        erasure_id: str,
        at: datetime,
    ) -> object:
        """Do so inside the transaction of the caller; done again, it changes nothing."""


@dataclass(slots=True)
class Restored:
    """What was found, or done: how many entries the database lacked, who was there all the same.

    `again` counts subscriptions that the ledger says are erased; of the outbox, `parked` notices
    and `doubted` acts of billing.
    """

    why: str | None
    entries: int = 0
    lacking: int = 0
    again: int = 0
    parked: int = 0
    doubted: int = 0
    brakes: int = 0

    @property
    def well(self) -> bool:
        """Whether there is nothing to do."""
        return self.why is None and not self.lacking and not self.again


@dataclass(slots=True)
class Marks:
    """The ledger in memory: which entry a mark is, by product; nothing else of it is kept."""

    by_product: dict[str, dict[bytes, int]] = field(default_factory=dict)
    last: int = 0

    def add(self, entry: Entry) -> None:
        """Take an entry; of two with the same mark the later counts."""
        self.by_product.setdefault(entry.product, {})[entry.mark] = entry.no
        self.last = entry.no


@dataclass(frozen=True, slots=True)
class Restorer:
    """Compares a database with the ledger, and puts it right where somebody says so.

    `path` is the ledger file; None takes the database's own entries, for who knows that nobody was
    erased since the backup.
    """

    database: Database
    clock: Clock
    links: Links
    wipe: Wipe
    path: Path | None

    def look(self) -> Restored:
        """Say what would be done; nothing is."""
        found, marks = self._compared()
        again = sum(1 for _ in self._still_there(marks, found.known))
        return Restored(found.why, marks.last, max(0, marks.last - found.known), again)

    def restore(self, actor: str, progress: Callable[[int], None] = lambda _: None) -> Restored:
        """Put it right, and stamp it as ours; done again, it changes nothing more.

        In this order, so that whoever dies over it leaves a database that does not serve: stop
        every product, hold back what may have gone out, enter what the ledger has, erase, stamp.
        """
        made = self.look()
        if made.well:
            return made
        found, marks = self._compared()
        self._hold_back(found, made)
        self._each_lacking(found.known, self._enter)
        made.again = 0
        for product, somebody, no in self._still_there(marks, found.known):
            self._erase_again(product, somebody, no, actor)
            made.again += 1
            progress(made.again)
        self._each_lacking(found.known, self._entomb)
        self._stamp(found.here, made, actor)
        return made

    def _compared(self) -> tuple[Found, Marks]:
        """Read the whole ledger, and see that the database's own is the beginning of it."""
        marks = Marks()
        with self.database.transaction() as connection:
            found = find(connection, self.path)
            both = min(found.known, found.file or 0)
            for entry in self._entries(connection):
                marks.add(entry)
                if entry.no == both and ledger.entry(connection, entry.no) != entry:
                    raise Refused(
                        f"entry {entry.no} of the ledger is not the one this database has",
                        "give the ledger of this very installation with --ledger",
                    )
        return found, marks

    def _entries(self, connection: Connection) -> Iterator[Entry]:
        """Give the entries of the file, and those that only the database has."""
        last = 0
        if self.path is not None:
            if not self.path.exists():
                raise Refused(
                    f"there is no ledger of erasures at {self.path}",
                    "name the file with --ledger; if nobody was erased since the backup was made,"
                    " say --without-ledger",
                )
            for entry in ledgers.read(self.path):
                yield entry
                last = entry.no
        for some in ledger.after(connection, last):
            yield from some

    # --- who is there all the same -------------------------------------------------------------

    def _still_there(self, marks: Marks, known: int) -> Iterator[tuple[str, Somebody, int]]:
        """Find the subscriptions that the ledger says are erased, a batch in memory at a time."""
        after = 0
        with self.database.transaction() as connection:
            keys = {number: key for key, number in installation.product_ids(connection).items()}
        while True:
            with self.database.transaction() as connection:
                some = installation.everybody(connection, after)
                found = list(self._matching(some, keys, marks))
                back = self._brought_back(connection, found, known)
            if not some:
                return
            yield from back
            after = some[-1].id

    def _matching(
        self, some: list[Somebody], keys: dict[int, str], marks: Marks
    ) -> Iterator[tuple[str, Somebody, int]]:
        for each in some:
            key = keys[each.product_id]
            wanted = marks.by_product.get(key)
            if wanted is None:
                continue
            for mark in self.links.subscription_marks(each.product_id, each.external_id):
                if mark in wanted:
                    yield key, each, wanted[mark]
                    break

    def _brought_back(
        self, connection: Connection, found: list[tuple[str, Somebody, int]], known: int
    ) -> list[tuple[str, Somebody, int]]:
        """Leave out who subscribed anew after an erasure that this database knows of."""
        erased = installation.erased_as(connection, [each.id for _, each, _ in found])
        numbers = {no for _, _, no in found if no <= known}
        names = {no: entry.erasure_id for no in numbers if (entry := ledger.entry(connection, no))}
        return [
            (key, each, no)
            for key, each, no in found
            if no > known or (each.id, names.get(no, "")) in erased
        ]

    # --- doing ---------------------------------------------------------------------------------

    def _hold_back(self, found: Found, made: Restored) -> None:
        now, wall = self.clock.now(), self.clock.wall()
        with self.database.transaction() as connection:
            installation.begin_restoring(connection, found.here, found.known, wall)
            for key in products.keys(connection):
                made.brakes += trip(connection, products.load(connection, key), RESTORED, WHY, now)
            made.parked = installation.park_notices(connection)
            made.doubted = installation.doubt_acts(connection)

    def _each_lacking(self, known: int, do: Callable[[Connection, Sequence[Entry]], None]) -> None:
        """Do something with the entries that the database lacked, some at a time."""
        if self.path is None:
            return
        lacking = (each for each in ledgers.read(self.path) if each.no > known)
        while some := list(islice(lacking, MANY)):
            with self.database.transaction() as connection:
                do(connection, some)

    @staticmethod
    def _enter(connection: Connection, some: Sequence[Entry]) -> None:
        ledger.insert(connection, some)

    @staticmethod
    def _entomb(connection: Connection, some: Sequence[Entry]) -> None:
        """Refuse re-imports of those who are not here: whoever was, has been erased again."""
        numbers = installation.product_ids(connection)
        rows = [
            (numbers[each.product], each.mark, each.ended_at)
            for each in some
            if each.product in numbers
        ]
        erasures.take_role(connection)
        installation.entomb(connection, rows)

    def _erase_again(self, key: str, somebody: Somebody, no: int, actor: str) -> None:
        """Erase one, without telling anybody: all were told before the backup was restored."""

        def work(connection: Connection) -> None:
            erasures.take_role(connection)
            product, entry = products.load(connection, key), ledger.entry(connection, no)
            if entry is None:
                raise LookupError(no)
            installation.note_erasure(connection, product.id, somebody.id, entry, actor)
            installation.close_round(connection, somebody.id, entry.ended_at)
            self.wipe(connection, product, somebody.id, entry.erasure_id, entry.ended_at)
            line = HistoryWrite(somebody.id, None, "erased", WHY, None)
            cases.insert_history(connection, product.id, self.clock.now(), actor, [line])

        self.database.retrying(work)

    def _stamp(self, here: Identity, made: Restored, actor: str) -> None:
        with self.database.transaction() as connection:
            line = HistoryWrite(None, None, REPLAYED, f"again:{made.again}", None)
            for number in installation.product_ids(connection).values():
                cases.insert_history(connection, number, self.clock.now(), actor, [line])
            installation.stamp(connection, here, self.clock.wall())
            if self.path is not None:
                ledgers.export(connection, self.path)
