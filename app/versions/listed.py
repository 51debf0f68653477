"""A list of people to be asked, as lines of CSV that a spreadsheet opens without running anything.

Ids and plans come from elsewhere: one that begins as a formula does is given as text.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import chain, islice

from app.errors import Conflict
from app.store import lists
from app.store.database import Database
from app.store.lists import AskList, Entry

COLUMNS = tuple(each.name for each in fields(Entry) if each.name != "id")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
BATCH = 2000
A_PIECE = 100


def everybody(
    database: Database, product_id: int, found: AskList, batch: int = BATCH
) -> Iterator[Entry]:
    """Give everybody on a list, a batch and a transaction at a time: who reads may be slow.

    Conflict where the list is made anew meanwhile: what was read would be of two lists.
    """
    after = 0
    while True:
        with database.transaction() as connection:
            now = lists.of(connection, product_id, found.version)
            if now is None or now.hash != found.hash:
                raise Conflict("the list was made anew while it was read", "read it again")
            some = lists.entries(connection, product_id, found.version, after, batch)
        if not some:
            return
        yield from some
        after = some[-1].id


def as_csv(entries: Iterable[Entry]) -> Iterator[str]:
    """Give a file a hundred lines at a time, its head first: each piece goes out as one."""
    lines = chain([_line(COLUMNS)], (_line(_cells(each)) for each in entries))
    while some := "".join(islice(lines, A_PIECE)):
        yield some


def _cells(entry: Entry) -> list[str]:
    return [_as_text(getattr(entry, name)) for name in COLUMNS]


def _as_text(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
