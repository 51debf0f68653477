"""Evidence: what each notice that was handed over said, and what came back of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Raw, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from app.store.database import cursor


class Words(NamedTuple):
    """A wording: the words of a notice with marks in place of facts; `templates` is a digest."""

    digest: bytes
    notice: str
    language: str
    templates: bytes
    subject: str
    text: str
    html: str


class Line(Struct, array_like=True):
    """What one person was told: facts and words as JSON; `kind` as in the outbox."""

    subscription_id: int
    round: int
    kind: str
    version: int
    wording: bytes
    facts: Raw
    told: Raw


class Shown(NamedTuple):
    """A notice with its wording, and when it was handed over, came back, was complained of."""

    round: int
    kind: str
    version: int
    facts: dict[str, Any]
    told: list[str]
    handed_over_at: datetime
    bounced_at: datetime | None
    complained_at: datetime | None
    words: Words


RETURNED = {"bounced": "bounced_at", "complained": "complained_at"}
"""Where it is noted that a notice came back, by how."""


def write(
    connection: Connection, wordings: Collection[Words], lines: Sequence[Line], now: datetime
) -> None:
    """Keep what was handed over at a moment, and wordings that are new; what is kept stays."""
    if not lines:
        return
    _keep_wordings(connection, {each.digest: each for each in wordings}, now)
    # One document in place of arrays: the driver takes 0.1 ms to quote the texts of one row.
    cursor(connection).execute(_INSERT, (now, encode(lines).decode()))


_INSERT = """
    insert into evidence (subscription_id, round, kind, version, wording, facts, told,
                          handed_over_at)
    select (v ->> 0)::bigint, (v ->> 1)::int, v ->> 2, (v ->> 3)::int, decode(v ->> 4, 'base64'),
           v -> 5, v -> 6, %s
    from json_array_elements(%s::json) v
    on conflict do nothing"""


def _keep_wordings(connection: Connection, wordings: dict[bytes, Words], now: datetime) -> None:
    run = cursor(connection)
    run.execute("select digest from wording where digest = any(%s)", (list(wordings),))
    known = {row[0] for row in run.fetchall()}
    for digest in sorted(wordings.keys() - known):
        run.execute(
            """insert into wording (digest, notice, language, templates, subject, text, html,
                                    first_at)
               values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
            (*wordings[digest], now),
        )


def returned(
    connection: Connection,
    notices: Sequence[tuple[int, int, str, int]],
    how: str,
    at: datetime,
) -> int:
    """Note that notices came back (`bounced`) or were complained of; the first time counts.

    A notice is (subscription, round, kind, version) as `Links.named_notice` gives it. Give how
    many were noted.
    """
    if not notices:
        return 0
    column = RETURNED[how]
    ids, rounds, kinds, versions = zip(*notices, strict=True)
    run = cursor(connection)
    run.execute(
        f"""update evidence e set {column} = %s
            from unnest(%s::bigint[], %s::int[], %s::text[], %s::int[]) as v(sid, round, kind, no)
            where e.subscription_id = v.sid and e.round = v.round and e.kind = v.kind
              and e.version = v.no and e.{column} is null""",  # noqa: S608 - a name of ours
        (at, list(ids), list(rounds), [_kind(each) for each in kinds], list(versions)),
    )
    return run.rowcount


def _kind(name: str) -> str:
    return name if name.startswith("notice.") else f"notice.{name}"


def of_subscription(
    connection: Connection, subscription_id: int, number: int | None = None
) -> list[Shown]:
    """Give the notices of a subscription in the order they went out, of one round if given."""
    run = cursor(connection)
    run.execute(
        """select e.round, e.kind, e.version, e.facts, e.told, e.handed_over_at, e.bounced_at,
                  e.complained_at, w.digest, w.notice, w.language, w.templates, w.subject, w.text,
                  w.html
           from evidence e join wording w on w.digest = e.wording
           where e.subscription_id = %s and (%s::int is null or e.round = %s)
           order by e.round, e.handed_over_at, e.kind, e.version""",
        (subscription_id, number, number),
    )
    return [Shown._make((*row[:8], Words(*row[8:]))) for row in run.fetchall()]


def forget(connection: Connection, subscription_id: int) -> int:
    """Delete what one person was told, when they are erased; give how many notices."""
    run = cursor(connection)
    run.execute("delete from evidence where subscription_id = %s", (subscription_id,))
    return run.rowcount
