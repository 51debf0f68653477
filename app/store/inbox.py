"""The inbox: what systems sent, one row a message, and what it came to.

A message that failed or could not be read is taken again when it is sent again; any other that
comes again finds its row and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.store.database import cursor

FIRST_PAUSE = timedelta(minutes=1)
MOST_TRIES = 13
"""With pauses that double from a minute on, the last try is nearly three days after the first."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is kept: what it says of itself, and what it came to.

    `about` is the one subscription that it names, by the id billing gave it.
    """

    source: str
    message_id: str
    kind: str | None
    event_at: datetime | None
    received_at: datetime
    state: str
    reason: str | None
    body: bytes | None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the inbox, without its body; `has_body` says whether that is still kept."""

    id: int
    product: str
    source: str
    message_id: str
    type: str | None
    event_at: datetime | None
    received_at: datetime
    state: str
    reason: str | None
    tries: int
    has_body: bool


_SECRETS = """select id, signing_secrets from product
              where key = %s and (billing = %s or %s = 'standard')"""
_SECRETS_LOCKED = f"{_SECRETS} for update"


def signing_secrets(
    connection: Connection, product_key: str, source: str = "standard", *, lock: bool = False
) -> tuple[int, list[str]] | None:
    """Give a product's id and its secrets, newest first; None where it has no such source."""
    run = cursor(connection)
    run.execute(_SECRETS_LOCKED if lock else _SECRETS, (product_key, source, source))
    row = run.fetchone()
    return (row[0], list(row[1])) if row else None


def insert(connection: Connection, product_id: int, message: Message) -> int | None:
    """Keep a message and give its row; None where it was taken before, by whoever it was.

    Waits for another transaction that is taking the same message, and then says what it came to.
    """
    run = cursor(connection)
    tried = message.state == "failed"
    run.execute(
        """insert into inbox as i (product_id, source, message_id, type, event_at, received_at,
             state, reason, tries, body, subscription_id)
           values (%(product)s, %(source)s, %(message)s, %(type)s, %(event_at)s, %(received_at)s,
             %(state)s, %(reason)s, %(tried)s, %(body)s,
             (select id from subscription
              where product_id = %(product)s and external_id = %(about)s))
           on conflict (product_id, source, message_id) do update
           set type = excluded.type, event_at = excluded.event_at, state = excluded.state,
             received_at = excluded.received_at, reason = excluded.reason, body = excluded.body,
             subscription_id = excluded.subscription_id,
             tries = least(i.tries + excluded.tries, 1000)
           where i.state in ('failed', 'unreadable')
           returning id""",
        {
            "product": product_id,
            "source": message.source,
            "message": message.message_id,
            "type": message.kind,
            "event_at": message.event_at,
            "received_at": message.received_at,
            "state": message.state,
            "reason": message.reason,
            "tried": int(tried),
            "body": message.body,
            "about": message.about,
        },
    )
    row = run.fetchone()
    return int(row[0]) if row else None


def note(connection: Connection, number: int, state: str) -> None:
    """Note that a message has come to something else than was expected of it."""
    cursor(connection).execute("update inbox set state = %s where id = %s", (state, number))


def note_erased(connection: Connection, number: int, reason: str) -> None:
    """Note that a message is about somebody who was erased: nothing of what it says is kept."""
    cursor(connection).execute(
        "update inbox set state = 'ignored', reason = %s, body = null where id = %s",
        (reason, number),
    )


def note_failure(connection: Connection, number: int, reason: str | None) -> None:
    """Note that a message was tried again in vain; one that was taken meanwhile stays so."""
    cursor(connection).execute(
        """update inbox set state = 'failed', reason = %s, tries = least(tries + 1, 1000)
           where id = %s and state in ('failed', 'unreadable')""",
        (reason, number),
    )


def note_again(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    number: int,
    kind: str | None,
    event_at: datetime | None,
    state: str,
    reason: str | None,
) -> None:
    """Note what a message that was read again says of itself, and what it came to."""
    cursor(connection).execute(
        "update inbox set type = %s, event_at = %s, state = %s, reason = %s where id = %s",
        (kind, event_at, state, reason, number),
    )


def due(connection: Connection, product_id: int, wall: datetime, limit: int) -> list[int]:
    """Give the failed messages whose pause is over, oldest first."""
    run = cursor(connection)
    run.execute(
        """select id from inbox
           where product_id = %s and state = 'failed' and body is not null and tries < %s
             and received_at + %s * (power(2, tries) - 1) <= %s
           order by id limit %s""",
        (product_id, MOST_TRIES, FIRST_PAUSE, wall, limit),
    )
    return [row[0] for row in run.fetchall()]


def failed(connection: Connection, product_id: int) -> list[int]:
    """Give the messages that wait for somebody: failed or unreadable ones, oldest first."""
    run = cursor(connection)
    run.execute(
        """select id from inbox where product_id = %s and state in ('failed', 'unreadable')
           order by id""",
        (product_id,),
    )
    return [row[0] for row in run.fetchall()]


def locked(connection: Connection, number: int) -> tuple[str, str, str, bytes | None] | None:
    """Lock a message; give its product's key, its source, its state and its body.

    None where there is none, or where somebody else has it in hand.
    """
    run = cursor(connection)
    run.execute(
        """select p.key, i.source, i.state, i.body
           from inbox i join product p on p.id = i.product_id
           where i.id = %s for update of i skip locked""",
        (number,),
    )
    row = run.fetchone()
    return (row[0], row[1], row[2], row[3]) if row else None


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Clear the bodies of some messages received before a moment; how many."""
    run = cursor(connection)
    run.execute(
        """update inbox set body = null where id in (
             select id from inbox where body is not null and received_at < %s
             order by received_at limit %s for update skip locked)""",
        (before, limit),
    )
    return run.rowcount


_ENTRY = """
    select i.id, p.key, i.source, i.message_id, i.type, i.event_at, i.received_at, i.state,
           i.reason, i.tries, i.body is not null
    from inbox i join product p on p.id = i.product_id"""


def entries(
    connection: Connection, product_id: int | None, states: Sequence[str], limit: int
) -> list[Entry]:
    """Give the newest messages, of one product or of all, newest first."""
    run = cursor(connection)
    run.execute(
        f"""{_ENTRY} where (%s::int is null or i.product_id = %s) and i.state = any(%s)
            order by i.id desc limit %s""",
        (product_id, product_id, list(states), limit),
    )
    return [Entry(*row) for row in run.fetchall()]


def waiting(
    connection: Connection, product_id: int, states: Sequence[str], after: int, limit: int
) -> list[Entry]:
    """Give the messages of a product in some states behind one of them, oldest first."""
    run = cursor(connection)
    run.execute(
        f"""{_ENTRY} where i.product_id = %s and i.state = any(%s) and i.id > %s
            order by i.id limit %s""",
        (product_id, list(states), after, limit),
    )
    return [Entry(*row) for row in run.fetchall()]


def entry(connection: Connection, number: int) -> tuple[Entry, bytes | None] | None:
    """Give one message with its body."""
    run = cursor(connection)
    run.execute(f"{_ENTRY} where i.id = %s", (number,))
    row: tuple[Any, ...] | None = run.fetchone()
    if row is None:
        return None
    run.execute("select body from inbox where id = %s", (number,))
    body = run.fetchone()
    return Entry(*row), body[0] if body else None
