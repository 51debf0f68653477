"""A list of people to be asked, as lines of CSV that a spreadsheet opens without running anything.

Ids and plans come from elsewhere: one that begins as a formula does is given as text.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import fields

from app.store import lists
from app.store.database import Database
from app.store.lists import Entry

COLUMNS = tuple(each.name for each in fields(Entry) if each.name != "id")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def everybody(
    database: Database, product_id: int, version: int, batch: int = 2000
) -> Iterator[Entry]:
    """Give everybody on a list; a transaction a batch, since who reads may be slow."""
    after = 0
    while True:
        with database.transaction() as connection:
            found = lists.entries(connection, product_id, version, after, batch)
        if not found:
            return
        yield from found
        after = found[-1].id


def as_csv(entries: Iterable[Entry]) -> Iterator[str]:
    """Give the lines of a file, its head first."""
    yield _line(COLUMNS)
    for each in entries:
        yield _line([_as_text(getattr(each, name)) for name in COLUMNS])


def _as_text(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
