"""Runs: what the sweeps of a UTC day did under one version of a policy, and taking one back.

A run is counted by the batches of the sweeps that make it. Which rounds began in it is not kept:
they are those of its version that were opened between its first moment and its last. Where the
ramp of a version goes on to its next step within one pass, two runs meet in one moment, and its
rounds are found in both.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from app.store.database import cursor

COUNTED = {
    "asked": "asked",
    "reminder_queued": "reminded",
    "suspend_queued": "suspended",
    "cancel_queued": "canceled",
}
"""The lines of history that a run counts, and by what name."""
BEGAN = """r.product_id = %(product)s and r.version = %(version)s
    and r.opened_at between %(first)s and %(last)s
    and r.why not in ('own_cancel', 'billing_cancel')"""
"""Of rounds: that they began in a run."""
IN_PEACE = """r.outcome is null and r.stage = 'asked' and r.word is null
    and r.act_state is distinct from 'claimed'"""
"""Of rounds: that they can be withdrawn. Nobody has said anything and billing is told nothing."""
PATIENCE = "4s"


@dataclass(frozen=True, slots=True)
class Did:
    """What a batch did under one version of the policy; `step` is that of its ramp, from 0.

    `day` is a UTC day.
    """

    day: date
    actor: str
    version: int
    step: int | None
    asked: int = 0
    reminded: int = 0
    suspended: int = 0
    canceled: int = 0


@dataclass(frozen=True, slots=True)
class Undo:
    """How far the taking back of a run has come, of `wanted` rounds.

    Of these some were `withdrawn`, of some the person was told that it was a mistake, and some were
    to be `resumed` by billing; of `spared` nothing is erased any more. `resume` says that whom it
    stopped is to be resumed at once, as soon as a second person agrees.
    """

    actor: str
    wanted_at: datetime
    wanted: int
    withdrawn: int
    ended_at: datetime | None
    resume: bool = False
    agreed_by: str | None = None
    agreed_at: datetime | None = None
    apologized: int = 0
    resumed: int = 0
    spared: int = 0

    @property
    def waits(self) -> bool:
        """Whether a second person has to agree before anybody is resumed."""
        return self.resume and self.agreed_at is None

    @property
    def done(self) -> int:
        """How many of those wanted have been put right."""
        return self.withdrawn + self.apologized + self.resumed


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands.

    `suspended` and `canceled` count what billing was to be told after silence; `step` is from 0.
    """

    number: int
    day: date
    version: int
    step: int | None
    first_at: datetime
    last_at: datetime
    actors: tuple[str, ...]
    asked: int
    reminded: int
    suspended: int
    canceled: int
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the rounds that began in a run.

    `open` can still be withdrawn. `in_hand` cannot: billing is being told, or the person has said
    something that is not done yet.
    """

    asked: int
    handed_over: int
    open: int
    in_hand: int
    suspended: int
    canceled: int
    outcomes: Mapping[str, int]

    @property
    def closed(self) -> int:
        """How many have come to an end."""
        return sum(self.outcomes.values())


# --- counting --------------------------------------------------------------------------------


def count(connection: Connection, product_id: int, now: datetime, did: Did) -> None:
    """Count what a batch did in the run it belongs to; the first of a day begins it.

    One statement; two where a run begins. Its row is hot: written late in a transaction.
    """
    values = asdict(did) | {"product": product_id, "now": now}
    run = cursor(connection)
    run.execute(
        f"""update run set {_ADDED} where product_id = %(product)s and day = %(day)s
              and version = %(version)s and coalesce(step, -1) = coalesce(%(step)s, -1)""",  # noqa: S608 - ours
        values,
    )
    if not run.rowcount:
        run.execute(_BEGIN, values)


_ADDED = """
    first_at = least(run.first_at, %(now)s), last_at = greatest(run.last_at, %(now)s),
    actors = case when run.actors @> to_jsonb(%(actor)s::text) then run.actors
             else run.actors || to_jsonb(%(actor)s::text) end,
    asked = run.asked + %(asked)s, reminded = run.reminded + %(reminded)s,
    suspended = run.suspended + %(suspended)s, canceled = run.canceled + %(canceled)s"""
# Numbers follow one another; rivals that take the same one run their batch again.
_BEGIN = f"""
    insert into run (product_id, number, day, version, step, first_at, last_at, actors, asked,
      reminded, suspended, canceled)
    select %(product)s,
      coalesce((select max(number) from run where product_id = %(product)s), 0) + 1,
      %(day)s, %(version)s, %(step)s, %(now)s, %(now)s, jsonb_build_array(%(actor)s::text),
      %(asked)s, %(reminded)s, %(suspended)s, %(canceled)s
    on conflict (product_id, day, version, coalesce(step, -1)) do update set {_ADDED}"""  # noqa: S608 - ours


# --- reading ---------------------------------------------------------------------------------


_NAMES = tuple(each.name for each in fields(Run))[:11]
_READ = f"""
    select {", ".join(f"n.{name}" for name in _NAMES)},
      {", ".join(f"u.{each.name}" for each in fields(Undo))}
    from run n left join run_undo u on u.product_id = n.product_id and u.run = n.number
    where n.product_id = %s"""  # noqa: S608 - our own names


def listed(connection: Connection, product_id: int, before: int | None, most: int) -> list[Run]:
    """Give runs, the newest first; with `before` those that come after that number in the list."""
    run = cursor(connection)
    run.execute(
        f"{_READ} and (%s::int is null or n.number < %s) order by n.number desc limit %s",
        (product_id, before, before, most),
    )
    return [_run(row) for row in run.fetchall()]


def of_version(connection: Connection, product_id: int, version: int) -> list[Run]:
    """Give the runs under a version of the policy, the oldest first."""
    run = cursor(connection)
    run.execute(f"{_READ} and n.version = %s order by n.number", (product_id, version))
    return [_run(row) for row in run.fetchall()]


def entry(connection: Connection, product_id: int, number: int) -> Run | None:
    """Give one run; None where the product has none of that number."""
    run = cursor(connection)
    run.execute(f"{_READ} and n.number = %s", (product_id, number))
    row = run.fetchone()
    return _run(row) if row else None


def _run(row: Any) -> Run:
    facts = dict(zip(_NAMES, row, strict=False)) | {"actors": tuple(row[6])}
    return Run(**facts, undo=Undo(*row[11:]) if row[11] is not None else None)


def began(product_id: int, found: Run) -> dict[str, Any]:
    """Give the values by which the rounds of a run are found."""
    return {
        "product": product_id,
        "version": found.version,
        "first": found.first_at,
        "last": found.last_at,
    }


def be_brief(connection: Connection) -> None:
    """Let no statement of this transaction take longer than somebody waits for a page."""
    cursor(connection).execute(f"set local statement_timeout = '{PATIENCE}'")


def tally(connection: Connection, product_id: int, found: Run) -> Tally:
    """Count what became of the rounds of a run; psycopg's QueryCanceled where it takes too long."""
    be_brief(connection)
    run = cursor(connection)
    run.execute(
        f"""select case when r.outcome is not null then r.outcome
                 when {IN_PEACE} then 'open' when r.stage = 'asked' then 'in_hand'
                 else r.stage end as stands, count(*), count(r.asked_at)
            from reconfirmation r where {BEGAN} group by 1""",  # noqa: S608 - ours
        began(product_id, found),
    )
    rows = run.fetchall()
    run.execute("set local statement_timeout = 0")
    many = {row[0]: row[1] for row in rows}
    still = {each: many.pop(each, 0) for each in ("open", "in_hand", "suspended", "canceled")}
    return Tally(
        asked=sum(row[1] for row in rows),
        handed_over=sum(row[2] for row in rows),
        **still,
        outcomes=many,
    )


def untouched(
    connection: Connection, product_id: int, found: Run, most: int
) -> list[tuple[int, str, str]]:
    """Give (our number, id at billing, stage) of whom a run has stopped, as an undo leaves it."""
    run = cursor(connection)
    run.execute(
        f"""select r.subscription_id, s.external_id,
              case when r.stage = 'asked' then 'in_hand' else r.stage end
            from reconfirmation r join subscription s on s.id = r.subscription_id
            where {BEGAN} and r.outcome is null and not ({IN_PEACE})
            order by r.subscription_id limit %(most)s""",  # noqa: S608 - ours
        began(product_id, found) | {"most": most},
    )
    return [(row[0], row[1], row[2]) for row in run.fetchall()]


# --- taking one back -------------------------------------------------------------------------


def undo_from_the_start(connection: Connection, product_id: int, number: int) -> None:
    """Go through the rounds of a run once more: a sweep may have added some behind the cursor."""
    cursor(connection).execute(
        "update run_undo set cursor = 0, since_start = 0 where product_id = %s and run = %s",
        (product_id, number),
    )


def end_undo(connection: Connection, product_id: int, number: int, now: datetime) -> None:
    """Note that a run has been taken back."""
    cursor(connection).execute(
        "update run_undo set ended_at = %s where product_id = %s and run = %s",
        (now, product_id, number),
    )
