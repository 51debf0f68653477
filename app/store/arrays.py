"""Arrays on their way to the database, written in one go.

The driver finds out for every value of a list how it is written and whether it needs quotes; a
batch holds thousands of numbers and moments, which never do. Other lists are left to the driver.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import NoneType
from typing import Any

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper

_PLAIN: Mapping[type, Callable[[Any], str]] = {
    int: str,
    date: date.isoformat,
    datetime: datetime.isoformat,
}
"""Kinds of value whose text holds no space, quote, comma or brace."""


class PlainListDumper(ListDumper):
    """Writes lists of one plain kind, where None may stand between, as PostgreSQL reads them."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Give the text of an array; a list of anything else is written by the driver."""
        kinds = set(map(type, obj))
        empty = NoneType in kinds
        kinds.discard(NoneType)
        write = _PLAIN.get(kinds.pop()) if len(kinds) == 1 else None
        if write is None:
            return super().dump(obj)
        if empty:
            texts = ["NULL" if each is None else write(each) for each in obj]
        else:
            texts = list(map(write, obj))
        return f"{{{','.join(texts)}}}".encode()


def write_plainly(connection: Connection[Any]) -> None:
    """Let a connection write its arrays so."""
    connection.adapters.register_dumper(list, PlainListDumper)
