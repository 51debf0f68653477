"""What a product made its own: a colour, a logo, and sentences in its notices."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from app.store.database import cursor

Words = tuple[tuple[str, str, str], ...]
"""Sentences, each as (notice, language, sentence)."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is a product's own: `color` is `#rrggbb` or empty, `logo` a PNG, a JPEG or None."""

    color: str = ""
    logo: bytes | None = None
    words: Words = ()


NOTHING = Own()


def read(connection: Connection, product_id: int) -> Own:
    """Give what is a product's own; nothing where it has set nothing."""
    run = cursor(connection)
    run.execute("select color, logo, words from brand where product_id = %s", (product_id,))
    row = run.fetchone()
    if row is None:
        return NOTHING
    words = tuple((notice, language, text) for notice, language, text in row[2])
    return Own(row[0], bytes(row[1]) if row[1] is not None else None, words)


def write(connection: Connection, product_id: int, own: Own) -> None:
    """Write what is a product's own."""
    cursor(connection).execute(
        """insert into brand (product_id, color, logo, words) values (%s, %s, %s, %s)
           on conflict (product_id) do update
             set color = excluded.color, logo = excluded.logo, words = excluded.words""",
        (product_id, own.color, own.logo, Jsonb(own.words)),
    )


def lock(connection: Connection, product_id: int) -> Own:
    """Keep others from changing it before this transaction ends, and give what it is now."""
    run = cursor(connection)
    run.execute("select 1 from product where id = %s for update", (product_id,))
    return read(connection, product_id)


def with_sentence(
    words: Sequence[tuple[str, str, str]], notice: str, language: str, text: str
) -> Words:
    """Give the words with one sentence set; an empty one takes it away."""
    rest = [each for each in words if each[:2] != (notice, language)]
    return tuple(sorted([*rest, (notice, language, text)] if text else rest))
