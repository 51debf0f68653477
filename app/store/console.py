"""Who works in the console: people, their sessions, and the one-time links that let them in.

All moments are on the wall clock. Of cookies and links only SHA-256 hashes are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from app.store.database import cursor

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
"""A session ends after half an hour without a page, and after a working day in any case."""
SEEN_EVERY = timedelta(minutes=1)
"""A page within a minute of the last one writes nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """A live session: whose it is, what they may do, and when they last proved who they are."""

    person_id: int
    name: str
    roles: list[str]
    began_at: datetime
    seen_at: datetime
    fresh_at: datetime
    language: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is signed in: in how many browsers, since when, and when last seen."""

    name: str
    roles: list[str]
    sessions: int
    since: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A one-time link that still holds: the name it was made for, and the roles it gives."""

    name: str
    roles: list[str]


# --- people --------------------------------------------------------------------------------


def person(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    subject: bytes,
    name: str,
    other_name: str,
    roles: Sequence[str],
    wall: datetime,
) -> int:
    """Give the number of who signs in; whoever comes with other roles is signed out elsewhere.

    At the first sign-in they are given `name`, or `other_name` where somebody else has that one.
    """
    run = cursor(connection)
    run.execute("select id, roles from console_person where subject = %s for update", (subject,))
    found = run.fetchone()
    if found is None:
        run.execute("select 1 from console_person where name = %s", (name,))
        free = name if run.fetchone() is None else other_name
        run.execute(
            """insert into console_person (subject, name, roles, seen_at)
               values (%s, %s, %s, %s) returning id""",
            (subject, free, Jsonb(list(roles)), wall),
        )
        made = run.fetchone()
        return int(made[0]) if made else 0
    if found[1] != list(roles):
        run.execute("delete from console_session where person_id = %s", (found[0],))
    run.execute(
        "update console_person set roles = %s, seen_at = %s where id = %s",
        (Jsonb(list(roles)), wall, found[0]),
    )
    return int(found[0])


def is_of(connection: Connection, name: str, subject: bytes) -> bool:
    """Say whether a name is free, or belongs to this very subject."""
    run = cursor(connection)
    run.execute("select subject from console_person where name = %s", (name,))
    found = run.fetchone()
    return found is None or found[0] == subject


# --- sessions ------------------------------------------------------------------------------


def begin(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    digest: bytes,
    person_id: int,
    wall: datetime,
    fresh_at: datetime,
    language: str = "",
) -> str:
    """Begin a session and give whose it is; those that have ended are cleared away on the way."""
    run = cursor(connection)
    run.execute(
        "delete from console_session where seen_at <= %s or began_at <= %s",
        (wall - IDLE, wall - LONGEST),
    )
    run.execute(
        """insert into console_session (hash, person_id, began_at, seen_at, fresh_at, language)
           values (%s, %s, %s, %s, %s, %s)""",
        (digest, person_id, wall, wall, fresh_at, language),
    )
    run.execute("select name from console_person where id = %s", (person_id,))
    row = run.fetchone()
    return str(row[0]) if row else ""


def session(connection: Connection, digest: bytes, wall: datetime) -> Session | None:
    """Give the live session of a cookie's hash, and note that it is used."""
    run = cursor(connection)
    run.row_factory = class_row(Session)
    run.execute(
        """select s.person_id, p.name, p.roles, s.began_at, s.seen_at, s.fresh_at, s.language
           from console_session s join console_person p on p.id = s.person_id
           where s.hash = %s and s.seen_at > %s and s.began_at > %s""",
        (digest, wall - IDLE, wall - LONGEST),
    )
    found: Session | None = run.fetchone()
    if found is not None and wall - found.seen_at >= SEEN_EVERY:
        cursor(connection).execute(
            "update console_session set seen_at = %s where hash = %s", (wall, digest)
        )
    return found


def speak(connection: Connection, digest: bytes, language: str) -> None:
    """Note the language that a session is held in."""
    cursor(connection).execute(
        "update console_session set language = %s where hash = %s", (language, digest)
    )


def end(connection: Connection, digest: bytes) -> None:
    """End one session."""
    cursor(connection).execute("delete from console_session where hash = %s", (digest,))


def signed_in(connection: Connection, wall: datetime) -> list[SignedIn]:
    """Give everybody who has a live session, by name."""
    run = cursor(connection)
    run.row_factory = class_row(SignedIn)
    run.execute(
        """select p.name, p.roles, count(*) as sessions, min(s.began_at) as since,
                  max(s.seen_at) as seen_at
           from console_session s join console_person p on p.id = s.person_id
           where s.seen_at > %s and s.began_at > %s group by p.id order by p.name""",
        (wall - IDLE, wall - LONGEST),
    )
    return run.fetchall()


def end_all(connection: Connection, wall: datetime, name: str | None = None) -> list[str]:
    """End every session of one person, or (None) of everybody; give who was signed in, by name."""
    run = cursor(connection)
    run.execute(
        """with ended as (
               delete from console_session s using console_person p
               where p.id = s.person_id and (p.name = %(name)s or %(name)s::text is null)
               returning p.name, s.seen_at > %(idle)s and s.began_at > %(longest)s as live)
           select distinct name from ended where live order by name""",
        {"name": name, "idle": wall - IDLE, "longest": wall - LONGEST},
    )
    return [each for (each,) in run.fetchall()]


# --- one-time links ------------------------------------------------------------------------


def add_link(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    digest: bytes,
    name: str,
    roles: Sequence[str],
    wall: datetime,
    expires_at: datetime,
) -> None:
    """Keep the hash of a link; those that have expired go."""
    run = cursor(connection)
    run.execute("delete from console_link where expires_at <= %s", (wall,))
    run.execute(
        "insert into console_link (hash, name, roles, expires_at) values (%s, %s, %s, %s)",
        (digest, name, Jsonb(list(roles)), expires_at),
    )


def link(connection: Connection, digest: bytes, wall: datetime) -> Link | None:
    """Give a link that still holds, without using it."""
    run = cursor(connection)
    run.execute(
        "select name, roles from console_link where hash = %s and expires_at > %s", (digest, wall)
    )
    row = run.fetchone()
    return Link(*row) if row else None


def use_link(connection: Connection, digest: bytes, wall: datetime) -> Link | None:
    """Use a link up; None where it never was, was used or has expired."""
    run = cursor(connection)
    run.execute(
        "delete from console_link where hash = %s and expires_at > %s returning name, roles",
        (digest, wall),
    )
    row = run.fetchone()
    return Link(*row) if row else None
