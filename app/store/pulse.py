"""Counters of what happened to a product's people, by day: for its guards, and to be looked at.

A day is a UTC day of the clock that subscriptions live by. The rows are hot, since whoever acts on
a product counts in the same few. So a transaction writes them last, all in one statement, and in
the order of their keys: rivals wait for each other a moment, and never in a circle.

Beside what history notes the guards keep here what they need from one day to the next: bad news by
the day of its ask (`ask_…`), where counters stood when a person lifted a brake (`seen_…`), how many
were named (`…_named`) and how many are `living`. Those are no sums and stand for their day only.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from app.lifecycle.case import ACT_OF, Case, Kind, Outcome, Reach, Round, Stage, Why
from app.store.database import cursor

ASKED = "asked"
HANDED_OVER = f"{Kind.ASK}_handed_over"
REFUSED = "ask_refused"
"""Asks that came back in the moment of their hand-over, and so never counted as handed over."""
IN_USE = "in_use"
BAD = frozenset({Reach.BOUNCED, Reach.COMPLAINED})
COUNTED = frozenset(
    {
        ASKED,
        "reminder_queued",
        "suspend_queued",
        "cancel_queued",
        "cancel_recorded",
        "answer_undone",
        "doubted",
        "welcomed_back",
        "erasure_scheduled",
        "erasure_stopped",
        "erasure_warning_queued",
        "erasing",
        *(str(outcome) for outcome in Outcome),
        str(Stage.SUSPENDED),
        str(Stage.CANCELED),
        *(f"{kind}_handed_over" for kind in Kind if kind not in ACT_OF),
    }
)
"""The lines of history that are counted, each under its own name."""

Counts = Mapping[tuple[date, str], int]
"""How many, by day and counter."""


@dataclass(frozen=True, slots=True)
class News:
    """What somebody newly tells of how asks are received; `many` is -1 where it is taken back.

    `asked_at` is when the ask it is about was handed over, None where none was; `refused` says that
    it came back in that very moment.
    """

    what: str
    asked_at: datetime | None
    many: int = 1
    refused: bool = False


def news(before: Mapping[int, Case], after: Mapping[int, Case]) -> Iterator[News]:
    """Give what is new between two states of the same cases.

    States and not notes are compared, so that nobody counts twice in a round, however often they
    answer and undo it.
    """
    for subscription_id, case in after.items():
        was = before[subscription_id]
        if case.reach is not was.reach and case.reach in BAD:
            asked_at = was.round.asked_at if was.round else None
            refused = case.reach is Reach.BOUNCED and _being_asked(was.round)
            yield News(case.reach, asked_at, refused=refused)
        if case.round is not was.round and case.round is not None:
            many = _in_use(case.round) - _in_use(_same(was.round, case.round))
            if many:
                yield News(IN_USE, case.round.asked_at, many)


def _being_asked(current: Round | None) -> bool:
    """Say whether the only notice that can come back now is the ask."""
    if current is None or not current.open or current.asked_at or current.word:
        return False
    return current.stage is Stage.ASKED and current.why not in {Why.OWN_CANCEL, Why.BILLING_CANCEL}


def _same(before: Round | None, after: Round | None) -> Round | None:
    """Give the round as it was before; None where another one has opened since."""
    return before if before and after and before.number == after.number else None


def _in_use(current: Round | None) -> bool:
    if current is None or current.reason != IN_USE:
        return False
    return current.outcome is Outcome.KEPT


# --- reading and writing -------------------------------------------------------------------


def add(connection: Connection, product_id: int, counts: Counts) -> None:
    """Count, by day and counter; where nothing counts, nothing is written."""
    rows = sorted((*key, many) for key, many in counts.items() if many)
    if rows:
        _write(connection, product_id, rows, "pulse.many + excluded.many")


def put(connection: Connection, product_id: int, day: date, values: Mapping[str, int]) -> None:
    """Write what counters stand at, whatever they stood at before; zero is written too."""
    rows = [(day, what, many) for what, many in sorted(values.items())]
    if rows:
        _write(connection, product_id, rows, "excluded.many")


def _write(
    connection: Connection, product_id: int, rows: Iterable[tuple[date, str, int]], then: str
) -> None:
    cursor(connection).execute(
        f"""insert into pulse (product_id, day, what, many)
            select %s, * from unnest(%s::date[], %s::text[], %s::bigint[])
            on conflict (product_id, day, what) do update set many = {then}""",  # noqa: S608
        (product_id, *(list(column) for column in zip(*rows, strict=True))),
    )


def since(connection: Connection, product_id: int, day: date) -> Counter[tuple[date, str]]:
    """Give every counter of a product from a day on."""
    run = cursor(connection)
    run.execute(
        "select day, what, many from pulse where product_id = %s and day >= %s", (product_id, day)
    )
    return Counter({(row[0], row[1]): row[2] for row in run.fetchall()})


def sums(
    connection: Connection, product_id: int, first: date, last: date | None = None
) -> Counter[str]:
    """Sum each counter over days, both ends included."""
    found: Counter[str] = Counter()
    for (day, what), many in since(connection, product_id, first).items():
        if last is None or day <= last:
            found[what] += many
    return found


def hold(connection: Connection, product_id: int, day: date) -> None:
    """Lock the counters of a day, so that nobody counts before the transaction ends."""
    cursor(connection).execute(
        """select 1 from pulse where product_id = %s and day = %s order by what for update""",
        (product_id, day),
    )


def lifts(connection: Connection, product_id: int) -> dict[str, datetime]:
    """Give when a product's brake was last lifted, by cause."""
    run = cursor(connection)
    run.execute(
        """select cause, max(lifted_at) from brake
           where product_id = %s and lifted_at is not null group by cause""",
        (product_id,),
    )
    return {row[0]: row[1] for row in run.fetchall()}
