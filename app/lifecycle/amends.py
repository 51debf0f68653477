"""A run is taken back also for those whom it stopped: nothing is erased, and we say sorry.

Whoever has decided something themselves keeps what they decided; only the day of erasure, which the
run set, is taken off. Whom silence suspended or canceled is told once, and resumes by a click.
Where two people decided so they are resumed without one, the one exception to "only their own yes
charges again": so only where the next charge is the one of before and not at once, where a mail
reaches them, and where nobody is to look at their case. Everybody else is asked by the apology.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from app.lifecycle.answers import tell_billing
from app.lifecycle.case import (
    GRACE,
    Act,
    Amend,
    Amends,
    Case,
    Effect,
    Kind,
    Note,
    Outcome,
    Reach,
    Round,
    Stage,
    Step,
    Verdict,
    close,
    with_round,
)
from app.lifecycle.dates import day_at, next_charge, within_hours
from app.lifecycle.withdrawing import RUN_UNDONE, unanswered, withdraw
from app.policy import Policy

UNDO = "undo"
"""Whose decision it is (`decided_by`) where two people had somebody resumed."""
ONCE = 1
"""The version of an apology: there is one a round."""
STOPPED = frozenset({Stage.SUSPENDED, Stage.CANCELED})
NO_LONGER_SAID = frozenset({Kind.SUSPENDED, Kind.CANCELED, Kind.WELCOME_BACK, Kind.ERASURE_WARNING})
"""Notices that an apology stands in for."""
AT_ONCE = timedelta(days=GRACE)
"""Nobody is charged this soon after they were resumed without having been asked."""
MONTH_ENDS = timedelta(days=3)
"""Two dates of one series lie at most so far apart: the 28th and the 31st."""


def amended(case: Case, event: Amend, policy: Policy, now: datetime) -> Step:
    """Put right for one round what its run did, as far as that is wanted; twice is as once."""
    current = case.round
    if current is None or event.round != current.number:
        return Step(case, Verdict.OLDER_ROUND)
    if current.open and current.stage in (Stage.ERASING, Stage.ERASED):
        return Step(case, Verdict.TOO_LATE)
    if unanswered(current):
        return withdraw(case, now)
    if not current.open:
        return Step(case)
    spared = _spared(case, current, now)
    if event.how is Amends.SPARE or not owed_amends(current):
        return spared
    made = _restored if event.how is Amends.RESTORE else _apologized
    step = made(spared.case, policy, now)
    return replace(step, notes=(*spared.notes, *step.notes))


def owed_amends(current: Round) -> bool:
    """Say whether silence alone stopped it, and nobody has said sorry for it yet."""
    silent = current.decided_by == "silence" and current.word is None and current.act is None
    stopped = current.open and current.stage in STOPPED
    return stopped and silent and current.erase_at is None and current.amended_at is None


def _spared(case: Case, current: Round, now: datetime) -> Step:
    """See that nothing is erased because of this round any more."""
    if current.undone_at is not None and current.erase_on is None:
        return Step(case)
    notes = (Note("erasure_stopped", RUN_UNDONE),) if current.erase_on else ()
    changed = with_round(case, undone_at=current.undone_at or now, erase_on=None)
    return Step(changed, Verdict.APPLIED, notes)


# --- saying sorry ----------------------------------------------------------------------------


def _apologized(case: Case, policy: Policy, now: datetime, *reasons: Note) -> Step:
    changed = with_round(case, amended_at=now)
    notes = (*reasons, Note("apology_queued", RUN_UNDONE))
    return Step(changed, Verdict.APPLIED, notes, (_apology(case, policy, now),), NO_LONGER_SAID)


def _apology(case: Case, policy: Policy, now: datetime) -> Effect:
    at = within_hours(now, case.subscription.zone, policy.pace.send_between)
    return Effect(Kind.APOLOGY, ONCE, at)


def sorry_instead(
    case: Case, notes: tuple[Note, ...], policy: Policy, now: datetime
) -> Step | None:
    """Say sorry in the place of a receipt, where billing has just done what was taken back."""
    current = case.round
    if current is None or current.undone_at is None or not owed_amends(current):
        return None
    return _apologized(case, policy, now, *notes)


def apology_holds(case: Case, current: Round) -> bool:
    """Say whether an apology still says the truth: nobody has decided anything since."""
    if current.outcome is Outcome.RESUMED:
        return current.decided_by == UNDO
    silent = current.decided_by == "silence" and current.word is None and current.act is None
    stays = case.stage in STOPPED and current.erase_at is None
    return stays and silent and current.amended_at is not None


# --- resuming at once ------------------------------------------------------------------------


def not_restored(case: Case, now: datetime) -> str | None:  # noqa: PLR0911 - one reason each
    """Say by a code why somebody may not be resumed without their yes; None where they may."""
    current = case.round
    if current is None or not current.open or current.stage not in STOPPED:
        return "not_stopped"
    if case.reach is not Reach.OK:
        return "not_reached"
    if current.before_a_person:
        return "before_a_person"
    if current.paid_until is None:
        return "date_unknown"
    if current.stage is Stage.CANCELED and current.paid_until <= now:
        return "ended"
    coming = next_charge(case.subscription, now)
    before = next_charge(replace(case.subscription, renews_at=current.paid_until), now)
    if coming is None or before is None:
        return "date_unknown"
    if min(coming, before) < now + AT_ONCE:
        return "charged_at_once"
    zone = case.subscription.zone
    moved = abs(day_at(coming, zone) - day_at(before, zone)) > MONTH_ENDS
    return "date_moved" if moved else None


def restoring(current: Round) -> bool:
    """Say whether billing is to resume by our decision, and nobody has said otherwise since."""
    return current.act is Act.RESUME and current.decided_by == UNDO and current.word is None


def _restored(case: Case, policy: Policy, now: datetime) -> Step:
    refused = not_restored(case, now)
    if refused is not None:
        return _apologized(case, policy, now, Note("restore_refused", refused))
    told, effect = tell_billing(case, Act.RESUME, now, decided_by=UNDO, amended_at=now)
    note = Note("restore_queued", RUN_UNDONE)
    return Step(told, Verdict.APPLIED, (note,), (effect,), NO_LONGER_SAID)


def restore_broken(case: Case, policy: Policy, now: datetime) -> Step | None:
    """Ask by the apology instead where somebody may not be resumed any more; None: they may."""
    refused = not_restored(case, now)
    if refused is None:
        return None
    back = with_round(case, act=None, act_state=None, act_at=None, decided_by="silence")
    return _apologized(back, policy, now, Note("restore_refused", refused))


def restored(case: Case, policy: Policy, now: datetime) -> Step:
    """Close the round that billing has resumed; one mail says so, and sorry."""
    step = close(
        case,
        Outcome.RESUMED,
        now,
        RUN_UNDONE,
        erase_on=None,
        decided_by=UNDO,
        decided_at=now,
    )
    return replace(step, effects=(_apology(case, policy, now),))
