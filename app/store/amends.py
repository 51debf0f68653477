"""Putting right what a run did: of whom, how each of them stands, and how far it has come.

Whose rounds are of a run is said in `runs`: those of its version that it opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.lifecycle.case import Amends
from app.store.database import Session, cursor
from app.store.runs import BEGAN, IN_PEACE, Run, began

STOPPED_BY_SILENCE = """r.latest and r.outcome is null and r.stage in ('suspended', 'canceled')
    and r.decided_by = 'silence' and r.word is null and r.act is null and r.erase_at is null"""
"""Of rounds: that silence alone stopped them, and nobody has decided anything since."""
OWED = f"{STOPPED_BY_SILENCE} and r.amended_at is null"
"""Of rounds: that nobody has said sorry for it yet."""
NOT_SPARED = """r.latest and r.outcome is null and r.stage in ('asked', 'suspended', 'canceled')
    and (r.undone_at is null or r.erase_on is not null)"""
"""Of rounds: that something may still be erased because of them."""
STANDS = f"""case
    when r.outcome = 'erased' or r.stage = 'erased' then 'erased'
    when r.outcome = 'resumed' and r.decided_by = 'undo' then 'restored'
    when r.outcome in ('kept', 'resumed') then 'answered'
    when r.outcome is not null or not r.latest then 'closed'
    when r.stage = 'erasing' then 'erasing'
    when {IN_PEACE} then 'open'
    when r.act = 'resume' and r.decided_by = 'undo' and r.word is null then 'restoring'
    when r.word is not null or r.erase_at is not null then 'answered'
    when r.stage = 'asked' then 'in_hand'
    when r.decided_by is distinct from 'silence' then 'answered'
    when r.amended_at is not null then r.stage || '_told'
    else r.stage end"""
"""How a round of a run stands, as a code."""
STANDINGS = (
    "open",
    "in_hand",
    "suspended",
    "canceled",
    "suspended_told",
    "canceled_told",
    "restoring",
    "restored",
    "erasing",
    "erased",
    "answered",
    "closed",
)
"""Every such code: first whom an undo puts right, then whom it did, then whom it leaves."""
SETTLED = ("declined", "made")
"""Entries of the refund ledger under which nothing is owed any more."""


def _left(how: Amends) -> str:
    """Give what says of rounds that something is still to be put right."""
    return NOT_SPARED if how is Amends.SPARE else f"(({NOT_SPARED}) or ({OWED}))"


# --- where one stands ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Where the taking back of a run stands, locked."""

    run: int
    actor: str
    cursor: int
    since_start: int
    resume: bool
    agreed_at: datetime | None

    @property
    def how(self) -> Amends:
        """What is done: nobody is resumed, nor told, while two people have not agreed on it."""
        if not self.resume:
            return Amends.APOLOGIZE
        return Amends.SPARE if self.agreed_at is None else Amends.RESTORE


@dataclass(slots=True)
class Came:
    """What a batch came to; `changed` counts everybody for whom anything was put right."""

    changed: int = 0
    withdrawn: int = 0
    apologized: int = 0
    resumed: int = 0
    spared: int = 0


def begin(  # noqa: PLR0913 - a row
    connection: Connection,
    product_id: int,
    number: int,
    actor: str,
    now: datetime,
    *,
    wanted: int,
    resume: bool,
) -> bool:
    """Note that a run is to be taken back; False where it is being taken back already."""
    run = cursor(connection)
    run.execute(
        """insert into run_undo (product_id, run, actor, wanted_at, wanted, withdrawn, cursor,
             since_start, resume)
           values (%s, %s, %s, %s, %s, 0, 0, 0, %s)
           on conflict (product_id, run) do update set actor = excluded.actor,
             wanted_at = excluded.wanted_at, resume = excluded.resume, agreed_by = null,
             agreed_at = null, cursor = 0, since_start = 0, ended_at = null,
             wanted = run_undo.withdrawn + run_undo.apologized + run_undo.resumed
               + excluded.wanted
           where run_undo.ended_at is not null""",
        (product_id, number, actor, now, wanted, resume),
    )
    return bool(run.rowcount)


def agree(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection, product_id: int, number: int, actor: str, now: datetime, more: int
) -> None:
    """Note that a second person agrees that those of a run are resumed, so many more."""
    cursor(connection).execute(
        """update run_undo set agreed_by = %s, agreed_at = %s, wanted = wanted + %s, cursor = 0,
             since_start = 0, ended_at = null
           where product_id = %s and run = %s and agreed_at is null""",
        (actor, now, more, product_id, number),
    )


def under_way(
    connection: Connection, product_id: int, number: int | None = None
) -> UnderWay | None:
    """Lock and give a run that is being taken back, that one or the first; None where none is."""
    session: Session = connection.connection.driver_connection  # type: ignore[assignment]
    with session.cursor(row_factory=class_row(UnderWay), binary=True) as run:
        run.execute(
            """select run, actor, cursor, since_start, resume, agreed_at from run_undo
               where product_id = %s and ended_at is null and (%s::int is null or run = %s)
               order by run limit 1 for update""",
            (product_id, number, number),
        )
        return run.fetchone()


def lock(connection: Connection, product_id: int, number: int) -> None:
    """Hold the row of a run that was taken back, if there is one, until the transaction ends."""
    cursor(connection).execute(
        "select 1 from run_undo where product_id = %s and run = %s for update",
        (product_id, number),
    )


def came_to(connection: Connection, product_id: int, number: int, after: int, came: Came) -> None:
    """Note how far the taking back of a run has come, and what it did more."""
    cursor(connection).execute(
        """update run_undo set cursor = %s, since_start = since_start + %s,
             withdrawn = withdrawn + %s, apologized = apologized + %s, resumed = resumed + %s,
             spared = spared + %s
           where product_id = %s and run = %s""",
        (
            after,
            came.changed,
            came.withdrawn,
            came.apologized,
            came.resumed,
            came.spared,
            product_id,
            number,
        ),
    )


# --- who is left -----------------------------------------------------------------------------


def count(connection: Connection, product_id: int, found: Run) -> tuple[int, int, int]:
    """Count of a run (who can be withdrawn, who was stopped by silence, who is left at all)."""
    run = cursor(connection)
    run.execute(
        f"""select count(*) filter (where {IN_PEACE}), count(*) filter (where {OWED}), count(*)
            from reconfirmation r where {BEGAN} and {_left(Amends.APOLOGIZE)}""",  # noqa: S608 - ours
        began(product_id, found),
    )
    row = run.fetchone()
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


def to_amend(  # noqa: PLR0913, PLR0917 - of whom, and where to go on
    connection: Connection, product_id: int, found: Run, how: Amends, after: int, most: int
) -> list[tuple[int, int, date | None]]:
    """Give the next (subscription, round, day of erasure) that is to be put right, in order."""
    run = cursor(connection)
    run.execute(
        f"""select r.subscription_id, r.number, r.erase_on from reconfirmation r
            where {BEGAN} and {_left(how)} and r.subscription_id > %(after)s
            order by r.subscription_id limit %(most)s""",  # noqa: S608 - ours
        began(product_id, found) | {"after": after, "most": most},
    )
    return [(row[0], row[1], row[2]) for row in run.fetchall()]


# --- everybody of a run ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Touched:
    """One person whom a run asked, by our number and the id at billing, and how they stand.

    `owed` is what the refund ledger has open for this round, and `currency` in what: minor units,
    0 where it has nothing.
    """

    id: int
    subscription: str
    round: int
    stands: str
    erase_on: date | None
    undone_at: datetime | None
    amended_at: datetime | None
    reach: str | None
    currency: str
    owed: int


_TOUCHED = f"""
    select r.subscription_id as id, s.external_id as subscription, r.number as round,
      {STANDS} as stands, r.erase_on, r.undone_at, r.amended_at, c.reach, s.currency,
      coalesce((select sum(greatest(f.amount - f.refunded, 0)) from refund f
        where f.product_id = r.product_id and f.subscription_id = r.subscription_id
          and f.round = r.number and f.currency = s.currency and not f.absurd
          and f.state <> all (%(settled)s)), 0)::bigint as owed
    from reconfirmation r join subscription s on s.id = r.subscription_id
    left join contact c on c.subscription_id = r.subscription_id
    where {BEGAN} and (r.subscription_id, r.number) > (%(after)s, %(round)s)
      and (%(only)s::text is null or {STANDS} = %(only)s)
    order by r.subscription_id, r.number limit %(most)s"""  # noqa: S608 - ours


def touched(  # noqa: PLR0913, PLR0917 - of whom, and where to go on
    connection: Connection,
    product_id: int,
    found: Run,
    after: tuple[int, int],
    most: int,
    only: str | None = None,
) -> list[Touched]:
    """Give those whom a run asked behind (our number, round); with `only` those who stand so."""
    last = {"after": after[0], "round": after[1]}
    values = last | {"most": most, "only": only, "settled": list(SETTLED)}
    run = cursor(connection)
    run.row_factory = class_row(Touched)
    run.execute(_TOUCHED, began(product_id, found) | values)
    rows: list[Touched] = run.fetchall()
    return rows


def counted(connection: Connection, product_id: int, found: Run) -> dict[str, int]:
    """Count those whom a run asked by how they stand."""
    run = cursor(connection)
    run.execute(
        f"select {STANDS}, count(*) from reconfirmation r where {BEGAN} group by 1",  # noqa: S608 - ours
        began(product_id, found),
    )
    many = {row[0]: row[1] for row in run.fetchall()}
    return {each: many[each] for each in STANDINGS if each in many}


# --- what is given back ----------------------------------------------------------------------


def promised(connection: Connection, ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """Give what people decided to give back by (subscription, round), in minor units.

    Of what still waits for a decision nothing is promised. Only the currency that is charged.
    """
    run = cursor(connection)
    run.execute(
        """select f.subscription_id, f.round, sum(greatest(f.amount - f.refunded, 0))::bigint
           from refund f join subscription s on s.id = f.subscription_id
           where f.subscription_id = any(%s) and f.state = 'approved' and not f.absurd
             and f.currency = s.currency
           group by f.subscription_id, f.round""",
        (list(ids),),
    )
    return {(row[0], row[1]): row[2] for row in run.fetchall()}
