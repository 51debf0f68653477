"""What the demo's year came to: counts, money, and who was charged and should not."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from app.store import population
from app.world.billing import sandbox

FUNNEL = (
    ("asked", "were asked whether they still want it"),
    ("reminded", "reminders went out"),
    ("kept", "said that they keep it"),
    ("returned", "used it again"),
    ("canceled", "canceled with a click"),
    ("suspended", "stayed silent: no charge from then on"),
    ("resumed", "came back after that, by their own yes"),
    ("unreachable", "could not be reached: nothing happens to them"),
    ("still_waiting", "still have time to answer"),
    ("erasure_scheduled", "were given a date on which their data goes"),
    ("data_kept", "asked that it be kept after all"),
    ("erased", "were erased, warned twice and approved by two people"),
)
Acts = list[tuple[str, str, datetime, str, int]]
Charges = list[tuple[str, datetime, int, str]]


def funnel(
    connection: Connection, product: str, product_id: int, mails: dict[str, int], now: datetime
) -> dict[str, Any]:
    """Give the funnel, from the history, the mailbox and the sandbox's own books."""
    stages = population.stages(connection, product_id)
    said = _noted(connection)
    acts, charges = sandbox.acts(connection, product), sandbox.charges(connection, product)
    avoided = sandbox.avoided(connection, product, now)
    return {
        "subscribers": population.count(connection, product_id),
        "asked": mails.get("ask", 0),
        "reminded": mails.get("reminder", 0),
        "kept": stages.get("kept", 0),
        "returned": stages.get("returned", 0),
        "canceled": said.get("canceled", 0),
        "suspended": said.get("suspended", 0),
        "resumed": said.get("resumed", 0),
        "unreachable": stages.get("unreachable", 0),
        "still_waiting": stages.get("asked", 0),
        "erasure_scheduled": said.get("erasure_scheduled", 0),
        "data_kept": _asked_to_keep(connection),
        "erased": stages.get("erased", 0),
        "mails": dict(sorted(mails.items())),
        "charges": len(charges),
        "charges_avoided": sum(count for count, _ in avoided.values()),
        "money_no_longer_taken": {cur: minor for cur, (_, minor) in sorted(avoided.items())},
        "charged_after_suspension": charged_while_stopped(acts, charges),
    }


def _noted(connection: Connection) -> dict[str, int]:
    statement = text("select what, count(*) from history group by what")
    return dict(connection.execute(statement).tuples().all())


def _asked_to_keep(connection: Connection) -> int:
    statement = text(
        "select count(*) from history where what = 'erasure_stopped' and why like 'said_by_%'"
    )
    return int(connection.execute(statement).scalar_one())


def charged_while_stopped(acts: Acts, charges: Charges) -> int:
    """Count charges that fell between a suspension or a cancel and the resume after it."""
    turns: dict[str, list[tuple[datetime, bool]]] = {}
    for who, act, at, _, _ in acts:
        turns.setdefault(who, []).append((at, act != "resume"))
    return sum(_stopped_at(turns.get(who, []), at) for who, at, _, _ in charges)


def _stopped_at(turns: list[tuple[datetime, bool]], at: datetime) -> bool:
    before = [stopped for moment, stopped in turns if moment < at]
    return bool(before and before[-1])
