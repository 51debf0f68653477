"""Whom a run asked and how each of them stands: what taking it back puts right, or has.

Read before anything is done and after: as a page, as CSV and as JSON. Nothing here changes a case.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from psycopg.errors import QueryCanceled

from app.clock import Clock
from app.lifecycle.amends import not_restored
from app.runs import run_of
from app.store import amends, cases, products, runs
from app.store.amends import Touched
from app.store.database import Database
from app.versions.listed import FORMULA

RESUMABLE = ("suspended", "canceled")
"""How those stand who would be resumed, if two people want it."""
BATCH = 1000
A_PIECE = 100
HEADER = (
    "subscription",
    "stands",
    "erase_on",
    "undone_at",
    "told_at",
    "reach",
    "owed",
    "currency",
    "not_resumed",
)
"""The columns of the list; what is owed is in minor units."""


@dataclass(frozen=True, slots=True)
class Affected:
    """Somebody whom a run asked; `alone` is why they may not be resumed without their yes.

    None also where nobody would resume them.
    """

    who: Touched
    alone: str | None


@dataclass(frozen=True, slots=True)
class People:
    """Those whom the runs of products asked, on one database."""

    database: Database
    clock: Clock
    batch: int = BATCH

    def counted(self, product_key: str, number: int) -> dict[str, int] | None:
        """Count whom a run asked by how they stand; None where counting takes too long."""
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            found = run_of(connection, product, number)
        try:
            with self.database.transaction() as connection:
                runs.be_brief(connection)
                return amends.counted(connection, product.id, found)
        except QueryCanceled:
            return None

    def some(
        self,
        product_key: str,
        number: int,
        after: tuple[int, int] = (0, 0),
        most: int = BATCH,
        only: str | None = None,
    ) -> list[Affected]:
        """Give those whom a run asked, by our number and the round, behind `after`.

        With `only` those who stand so.
        """
        with self.database.transaction() as connection:
            product, now = products.load(connection, product_key), self.clock.now()
            found = run_of(connection, product, number)
            people = amends.touched(connection, product.id, found, after, most, only)
            stopped = [each.id for each in people if each.stands in RESUMABLE]
            known = cases.read(connection, product.id, stopped, product.hearing, lock=False)
        return [
            Affected(each, not_restored(known[each.id], now) if each.id in known else None)
            for each in people
        ]

    def everybody(self, product_key: str, number: int) -> Iterator[Affected]:
        """Give everybody whom a run asked, a batch and a transaction at a time."""
        after = (0, 0)
        while found := self.some(product_key, number, after, self.batch):
            yield from found
            after = (found[-1].who.id, found[-1].who.round)

    def as_csv(self, product_key: str, number: int) -> Iterator[str]:
        """Give everybody as CSV, a hundred lines at a time, which a spreadsheet runs nothing of."""
        lines = chain([HEADER], (_cells(each) for each in self.everybody(product_key, number)))
        written = (_line(each) for each in lines)
        while some := "".join(islice(written, A_PIECE)):
            yield some


def _cells(each: Affected) -> tuple[str, ...]:
    who = each.who
    cells = (
        who.subscription,
        who.stands,
        who.erase_on,
        who.undone_at and who.undone_at.isoformat(),
        who.amended_at and who.amended_at.isoformat(),
        who.reach or "no_address",
        who.owed,
        who.currency,
        each.alone,
    )
    return tuple("" if cell is None else str(cell) for cell in cells)


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)
    return text.getvalue()
