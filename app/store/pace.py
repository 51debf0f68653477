"""Counters that hold a product to its pace; their row lock makes rival sweeps take turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, delete, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.store.database import cursor
from app.store.tables import ramp


@dataclass(frozen=True, slots=True)
class Halt:
    """When somebody paused or stopped a ramp, who, and the code of the reason."""

    at: datetime
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class RampState:
    """How far a policy's ramp has come: `opened` counts the current step only.

    `backlog` is None where it was paused or stopped before anybody counted it.
    """

    backlog: int | None = None
    step: int = 0
    opened: int = 0
    handed_over_at: datetime | None = None
    paused: Halt | None = None
    stopped: Halt | None = None

    @property
    def halted(self) -> Halt | None:
        """What keeps new asks back: a stop, or else a pause."""
        return self.stopped or self.paused


def taken(connection: Connection, product_id: int, day: date) -> int:
    """Give how many notices a product has taken on a day, without waiting for anybody."""
    run = cursor(connection)
    run.execute("select taken from quota where product_id = %s and day = %s", (product_id, day))
    row = run.fetchone()
    return int(row[0]) if row else 0


def taken_for_sure(connection: Connection, product_id: int, day: date) -> int:
    """Lock the product's counter of a day and give how many notices it has taken."""
    run = cursor(connection)
    run.execute(
        """insert into quota (product_id, day, taken) values (%s, %s, 0)
           on conflict (product_id, day) do update set taken = quota.taken returning taken""",
        (product_id, day),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


def take(connection: Connection, product_id: int, day: date, many: int) -> None:
    """Count notices that were queued."""
    if many:
        cursor(connection).execute(
            """insert into quota (product_id, day, taken) values (%s, %s, %s)
               on conflict (product_id, day) do update set taken = quota.taken + excluded.taken""",
            (product_id, day, many),
        )


def ramp_of(
    connection: Connection, product_id: int, version: int, *, lock: bool = True
) -> RampState | None:
    """Give the state of a version's ramp, locked unless told not to; None where it has none yet."""
    run = cursor(connection)
    run.execute(
        f"""select backlog, step, opened, handed_over_at, paused_at, paused_by, paused_why,
              stopped_at, stopped_by, stopped_why from ramp
            where product_id = %s and version = %s {"for update" if lock else ""}""",  # noqa: S608
        (product_id, version),
    )
    row = run.fetchone()
    if row is None:
        return None
    backlog, step, opened, at = row[:4]
    return RampState(backlog, step, opened, at, _halt(row[4:7]), _halt(row[7:10]))


def _halt(columns: Sequence[Any]) -> Halt | None:
    return Halt(*columns) if columns[0] is not None else None


def begin_ramp(connection: Connection, product_id: int, version: int, backlog: int) -> None:
    """Begin a ramp with the backlog found at activation; one that has begun stays as it is."""
    statement = upsert(ramp).values(
        product_id=product_id, version=version, backlog=backlog, step=0, opened=0
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[ramp.c.product_id, ramp.c.version],
            set_={"backlog": statement.excluded.backlog},
            where=ramp.c.backlog.is_(None),
        )
    )


def begin_anew(connection: Connection, product_id: int, version: int) -> None:
    """Forget the ramp of a version that is put in force: its backlog is counted anew.

    A pause or a stop of an earlier time goes with it.
    """
    connection.execute(
        delete(ramp).where(ramp.c.product_id == product_id, ramp.c.version == version)
    )


def pause(connection: Connection, product_id: int, version: int, halt: Halt) -> None:
    """Pause the ramp of a version; one that has not begun, or never will, has a row from now on."""
    _set_halt(connection, product_id, version, "paused", halt)


def resume(connection: Connection, product_id: int, version: int) -> None:
    """Take a pause back."""
    _set_halt(connection, product_id, version, "paused", None)


def stop(connection: Connection, product_id: int, version: int, halt: Halt) -> None:
    """Stop the ramp of a version for good."""
    _set_halt(connection, product_id, version, "stopped", halt)


def _set_halt(
    connection: Connection, product_id: int, version: int, how: str, halt: Halt | None
) -> None:
    told = (halt.at, halt.by, halt.why) if halt else (None, None, None)
    said = dict(zip((f"{how}_at", f"{how}_by", f"{how}_why"), told, strict=True))
    connection.execute(
        upsert(ramp)
        .values(product_id=product_id, version=version, step=0, opened=0, **said)
        .on_conflict_do_update(index_elements=[ramp.c.product_id, ramp.c.version], set_=said)
    )


def next_step(connection: Connection, product_id: int, version: int, step: int) -> None:
    """Go on to a step of a ramp."""
    connection.execute(
        update(ramp)
        .where(ramp.c.product_id == product_id, ramp.c.version == version)
        .values(step=step, opened=0, handed_over_at=None)
    )


def count_opened(connection: Connection, product_id: int, version: int, many: int) -> None:
    """Count rounds opened in the current step."""
    connection.execute(
        update(ramp)
        .where(ramp.c.product_id == product_id, ramp.c.version == version)
        .values(opened=ramp.c.opened + many)
    )


def any_queued(connection: Connection, product_id: int) -> bool:
    """Say whether an ask of this product still waits to be handed over."""
    run = cursor(connection)
    run.execute(
        """select exists (select 1 from outbox where product_id = %s and kind = 'notice.ask'
             and state <> 'parked')""",
        (product_id,),
    )
    row = run.fetchone()
    return bool(row and row[0])


def note_handover(connection: Connection, product_id: int, version: int, at: datetime) -> None:
    """Note when the last ask of the current step was handed over."""
    connection.execute(
        update(ramp)
        .where(ramp.c.product_id == product_id, ramp.c.version == version)
        .values(handed_over_at=at)
    )


def more_due(connection: Connection, product_id: int, until: datetime, than: int) -> bool:
    """Say whether more timers than so many are due until a moment.

    In the order of the index: a limit alone lets the planner read the whole table for a few rows.
    """
    run = cursor(connection)
    run.execute(
        """select 1 from timer where product_id = %s and due_at <= %s
           order by product_id, due_at, subscription_id offset %s limit 1""",
        (product_id, until, than),
    )
    return run.fetchone() is not None


LIVING = ("active", "past_due", "trialing")
"""The statuses of those who pay, or are about to: a share of a product's people is one of these."""


def living(connection: Connection, product_id: int, most: int) -> int:
    """Count a product's living subscriptions; where there are `most` or more, estimate.

    The planner's estimate costs nothing and comes from a sample that autovacuum keeps fresh. It is
    good for a product that is a large part of the table; never less than `most` is given, which is
    certain, so that a table not analyzed yet errs on the side of stopping.
    """
    run = cursor(connection)
    where = "from subscription where product_id = %s and status = any(%s)"
    run.execute(
        f"select count(*) from (select 1 {where} limit %s) found",  # noqa: S608 - our own words
        (product_id, list(LIVING), most),
    )
    row = run.fetchone()
    counted = int(row[0]) if row else 0
    return counted if counted < most else max(most, _estimate(connection, product_id, where))


def _estimate(connection: Connection, product_id: int, where: str) -> int:
    run = cursor(connection)
    run.execute(f"explain (format json) select 1 {where}", (product_id, list(LIVING)))
    row = run.fetchone()
    return int(row[0][0]["Plan"]["Plan Rows"]) if row else 0
