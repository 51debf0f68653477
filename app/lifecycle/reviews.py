"""A person is to look at a case: what that stops, and what follows once they have.

What is asked for is a look, not an answer: it decides nothing, and every answer still counts. While
it is open nothing follows from silence, since something is unknown.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from app.lifecycle.answers import contradicts, doubt, over, unread
from app.lifecycle.case import (
    GRACE,
    NOTHING,
    AskReview,
    Case,
    Kind,
    Note,
    Reviewed,
    Round,
    Stage,
    Step,
    Verdict,
)
from app.lifecycle.dates import day_at, in_grace

BY_SILENCE = frozenset({Kind.REMINDER, Kind.BILLING_SUSPEND, Kind.BILLING_CANCEL})
"""Effects of a round that nobody answered."""


def review_asked(case: Case, event: AskReview, now: datetime) -> Step:
    """Put the case before a person; pressing again changes nothing."""
    current = case.round
    if current is None or event.round != current.number:
        return Step(case, Verdict.OLDER_ROUND)
    if over(current):
        return Step(case, Verdict.ENDED)
    if contradicts(current, None, now):
        return doubt(case, current, now)
    if unread(current, now):
        return doubt(case, current, now, "before_it_could_be_read")
    if current.review_at is not None:
        return Step(case)
    note, silent = Note("review_asked", event.concern), _silent(current)
    changed = replace(current, review_at=now)
    if silent:
        changed = replace(changed, act=None, act_state=None, act_at=None)
    void = BY_SILENCE if silent else NOTHING
    return Step(replace(case, round=changed), Verdict.APPLIED, (note,), (), void)


def _silent(current: Round) -> bool:
    """Say whether whatever waits here follows from silence, and has not begun."""
    return (
        current.open
        and current.stage is Stage.ASKED
        and current.word is None
        and current.answer_by is not None
        and not current.in_flight
    )


def reviewed(case: Case, event: Reviewed, now: datetime) -> Step:
    """Let the case go on: no deadline falls sooner than three days from now."""
    current = case.round
    if current is None or current.review_at is None:
        return Step(case)
    changes: dict[str, object] = {"review_at": None}
    if current.open and current.answer_by is not None and current.stage is Stage.ASKED:
        changes["answer_by"] = max(current.answer_by, in_grace(case, now))
    if current.erase_on is not None:
        first = day_at(now, case.subscription.zone) + timedelta(days=GRACE)
        changes["erase_on"] = max(current.erase_on, first)
    after = replace(case, round=replace(current, **changes))
    return Step(after, Verdict.APPLIED, (Note("reviewed", event.finding),))
