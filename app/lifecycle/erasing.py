"""Erasing: the warnings before it, what forbids it, and its way once it was begun.

Nothing is erased because time has passed: a day of erasure that comes is for two people to agree
to, and everything is asked once more in the moment it begins. What a person asks for themselves
needs nobody's leave. From there on nothing is taken back, and each step waits for the one before:
billing has ended the subscription, every system that holds data has answered, the last notice has
gone out, and what is left of them here is deleted.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from app.lifecycle.answers import YES, tell_billing
from app.lifecycle.case import (
    EVERYTHING,
    Act,
    ActState,
    AllReceipts,
    BeginErasure,
    Case,
    Effect,
    Erasing,
    Kind,
    Note,
    Outcome,
    Reach,
    Round,
    Stage,
    Step,
    Verdict,
    Wiped,
    with_round,
)
from app.lifecycle.dates import (
    ONE_DAY,
    day_at,
    heard,
    in_grace,
    midnight,
    within_hours,
)
from app.lifecycle.erasures import OWN_REST
from app.policy import Period, Policy

STOPPED = frozenset({Stage.SUSPENDED, Stage.CANCELED})
"""The stages in which nothing is charged any more, so that data has a day to be erased on."""
ENOUGH_WARNINGS = 2
"""Handed over on different days; with fewer nobody is erased by silence (R10)."""
LAST_WARNING = timedelta(days=14)
"""The last of them comes at least so long before."""
PARTING = timedelta(days=3)
"""So long the last notice may take; then data is erased without it."""
AT_REST = frozenset({"paused", "canceled"})
"""What billing says of a subscription that it does not charge."""
CANNOT_BE_MAILED = frozenset({Reach.NO_ADDRESS, Reach.BOUNCED})


# --- warnings ----------------------------------------------------------------------------------


def warning_periods(policy: Policy) -> list[Period]:
    """Give how long before the erasure each warning goes out, the earliest warning first."""
    return sorted(policy.erasure_warnings, key=lambda period: -period.rough_days)


def next_warning(case: Case, policy: Policy) -> datetime | None:
    """Give when the next warning is due; None where none is, or one is on its way.

    A warning that was missed is not skipped: it goes out late, the next one another day, and the
    erasure waits for them.
    """
    current = case.round
    if current is None or not _scheduled(case, current) or current.warned > current.warnings:
        return None
    periods = warning_periods(policy)
    if current.warned >= len(periods) or current.erase_on is None:
        return None
    due = periods[current.warned].before(current.erase_on)
    if current.warned_on is not None:
        due = max(due, current.warned_on + ONE_DAY)
    return midnight(due, case.subscription.zone)


def _scheduled(case: Case, current: Round) -> bool:
    """Say whether the passing of time leads to an erasure, so that the person is to be warned."""
    return _stands_scheduled(current) and case.reach is Reach.OK and not case.held


def _stands_scheduled(current: Round) -> bool:
    return (
        current.open
        and current.stage in STOPPED
        and current.erase_on is not None
        and current.act is None
        and current.word not in YES
        and not current.before_a_person
    )


def warn_if_due(case: Case, policy: Policy, now: datetime) -> Step:
    """Queue a warning that is due; one goes out on a day, at most."""
    due = next_warning(case, policy)
    if due is None or due > now or case.round is None:
        return Step(case)
    zone = case.subscription.zone
    number = case.round.warned + 1
    at = within_hours(now, zone, policy.pace.send_between)
    effect = Effect(Kind.ERASURE_WARNING, day_at(now, zone).toordinal(), at)
    note = Note("erasure_warning_queued", f"warning_{number}")
    return Step(with_round(case, warned=number), Verdict.APPLIED, (note,), (effect,))


def may_be_warned(case: Case, current: Round) -> bool:
    """Say whether a warning that was queued still holds, as it is claimed."""
    return _scheduled(case, current) and current.warned > current.warnings


def is_final(current: Round, policy: Policy) -> bool:
    """Say whether no more warnings follow the one that is being handed over."""
    return current.warned >= len(policy.erasure_warnings)


def warning_claimed(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    """Fix the day of erasure that a warning states: never sooner than it leaves time for."""
    return Step(with_round(case, erase_on=_day_after(case, current, policy, now)), Verdict.GO)


def warning_handed_over(case: Case, policy: Policy, now: datetime, note: Note) -> Step:
    """Count a warning by the day it was handed over; one that is not awaited counts nothing."""
    current = case.round
    if current is None or current.warned <= current.warnings or not current.erase_on:
        return Step(case, Verdict.APPLIED, (note,))
    today = day_at(now, case.subscription.zone)
    warned = with_round(
        case,
        warnings=current.warned,
        warned_from=current.warned_from or today,
        warned_on=today,
        erase_on=_day_after(case, current, policy, now),
    )
    return Step(warned, Verdict.APPLIED, (note,))


def _day_after(case: Case, current: Round, policy: Policy, now: datetime) -> object:
    """Give the first day of erasure after a warning handed over now; it only ever moves later."""
    if current.erase_on is None:
        return None
    more = 0 if is_final(current, policy) else 1
    first = day_at(now, case.subscription.zone) + LAST_WARNING + more * ONE_DAY
    return max(current.erase_on, first)


def with_new_warnings(before: Case, made: Step) -> Step:
    """Forget the warnings of a day of erasure that no longer stands: a new one needs new ones.

    A day that only moved later in the same stage is the one they stated, kept a little longer.
    """
    old, new = before.round, made.case.round
    if old is None or new is None or not old.warned or _same_promise(old, new):
        return made
    forgotten = replace(new, warned=0, warnings=0, warned_from=None, warned_on=None)
    void = made.void | {Kind.ERASURE_WARNING}
    return replace(made, case=replace(made.case, round=forgotten), void=void)


def _same_promise(old: Round, new: Round) -> bool:
    if old.number != new.number or new.stage in (Stage.ERASING, Stage.ERASED):
        return True
    if old.stage is not new.stage or old.erase_on is None or new.erase_on is None:
        return False
    return new.erase_on >= old.erase_on


# --- what forbids it -----------------------------------------------------------------------------


def barred(case: Case, now: datetime) -> str | None:  # noqa: C901, PLR0911 - one line a reason
    """Say by a code why the passing of time erases nobody here now; None where it may.

    R06, R09, R10, R11: asked when a manifest is made and again as each erasure of it begins.
    """
    current, zone = case.round, case.subscription.zone
    if current is None or not current.open or current.stage not in STOPPED:
        return "not_stopped"
    if current.erase_on is None:
        return "not_scheduled"
    if case.held:
        return "hold"
    if current.before_a_person:
        return "before_a_person"
    if current.word in YES:
        return "wanted"
    if current.act is not None:
        return "billing_act"
    if _charged(case, current):
        return "charged_by_billing"
    if case.reach is not Reach.OK:
        return "unreachable"
    if _used_meanwhile(case, current):
        return "used"
    if _warned_too_little(case, current, now):
        return "not_warned"
    lifted = case.hearing.lifted_at
    if now < midnight(current.erase_on, zone) or (lifted and now < in_grace(case, lifted)):
        return "not_due"
    return None if heard(case, current.erase_on) else "not_heard"


def _charged(case: Case, current: Round) -> bool:
    """Say whether billing has told since the stop that it charges; what is not known is no."""
    if case.subscription.status in AT_REST:
        return False
    told, since = case.told_at, current.decided_at
    return told is None or since is None or told >= since


def _used_meanwhile(case: Case, current: Round) -> bool:
    """Say whether it was used since nothing is charged; time already paid may be used up."""
    last, since = case.subscription.last_used_on, current.decided_at
    if last is None or (current.used_known is not None and last <= current.used_known):
        return False
    if current.stage is Stage.SUSPENDED:
        return True
    paid = current.paid_until or since
    return paid is not None and last >= day_at(paid, case.subscription.zone)


def _warned_too_little(case: Case, current: Round, now: datetime) -> bool:
    if current.warnings < ENOUGH_WARNINGS or current.warned > current.warnings:
        return True
    first, last = current.warned_from, current.warned_on
    if first is None or last is None or first >= last:
        return True
    return day_at(now, case.subscription.zone) < last + LAST_WARNING


def barred_own(case: Case, now: datetime) -> str | None:
    """Say by a code why somebody is not erased now who asked for it; None where they are.

    R14: no schedule, guard or brake matters; R11 does, and that nothing is charged any more.
    """
    current = case.round
    if current is None or current.erase_at is None:
        return "not_asked"
    if not current.open or current.stage not in STOPPED or current.act is not None:
        return "not_stopped"
    if case.held:
        return "hold"
    if current.review_at is not None:
        return "before_a_person"
    if current.word in YES:
        return "wanted"
    return "rests" if now < current.erase_at + OWN_REST else None


# --- once it was begun ---------------------------------------------------------------------------


def erasure_begun(case: Case, event: BeginErasure, now: datetime) -> Step:
    """Enter `erasing`, where nothing forbids it in this very moment.

    By the passing of time only for the round and the day that were agreed to.
    """
    current = case.round
    if current is None or event.round != current.number:
        return Step(case, Verdict.OLDER_ROUND)
    if event.erase_on is None:
        why, forbidden = "own_request", barred_own(case, now)
    else:
        why, forbidden = "manifest", barred(case, now)
        if event.erase_on != current.erase_on:
            forbidden = "changed"
    if forbidden is not None:
        return Step(case, Verdict.VOID)
    begun = with_round(case, stage=Stage.ERASING, erasing_at=now)
    notes = (Note("erasing", why),)
    if case.subscription.status == "canceled":
        telling = with_round(begun, erasing=Erasing.TELLING)
        return Step(telling, Verdict.APPLIED, notes, (), EVERYTHING)
    told, effect = tell_billing(begun, Act.END, now, erasing=Erasing.ENDING)
    return Step(told, Verdict.APPLIED, notes, (effect,), EVERYTHING)


def ended(case: Case, current: Round, now: datetime, why: str = "billing_acknowledged_end") -> Step:
    """Billing has ended the subscription: now every system that holds data is told."""
    if current.erasing is not Erasing.ENDING:
        return Step(case)
    changed = with_round(
        case, act=None, act_state=None, act_at=None, erasing=Erasing.TELLING, erasing_at=now
    )
    void = frozenset({Kind.BILLING_END})
    return Step(changed, Verdict.APPLIED, (Note("ended", why),), (), void)


def all_answered(case: Case, event: AllReceipts, now: datetime) -> Step:
    """Every system has given its receipt: the person is told, where they can be."""
    current = case.round
    if current is None or event.round != current.number or current.erasing is not Erasing.TELLING:
        return Step(case)
    note = Note("receipts_complete", "every_target_answered")
    if case.reach in CANNOT_BE_MAILED:
        wiping = with_round(case, erasing=Erasing.WIPING, erasing_at=now)
        return Step(wiping, Verdict.APPLIED, (note,))
    parting = with_round(case, erasing=Erasing.PARTING, erasing_at=now)
    return Step(parting, Verdict.APPLIED, (note,), (Effect(Kind.ERASED, 1, now),))


def parted(case: Case, now: datetime, note: Note) -> Step:
    """Go on to the end: the last notice has gone out, or cannot."""
    current = case.round
    if current is None or current.erasing is not Erasing.PARTING:
        return Step(case, Verdict.APPLIED, (note,))
    wiping = with_round(case, erasing=Erasing.WIPING, erasing_at=now)
    return Step(wiping, Verdict.APPLIED, (note,), (), frozenset({Kind.ERASED}))


def parting_ends(current: Round) -> datetime | None:
    """Give when the last notice is waited for no longer; None where none is."""
    if current.erasing is not Erasing.PARTING or current.erasing_at is None:
        return None
    return current.erasing_at + PARTING


def part_if_due(case: Case, current: Round, now: datetime) -> Step:
    """Go on without the last notice once it has taken too long."""
    ends = parting_ends(current)
    if ends is None or now < ends:
        return Step(case)
    return parted(case, now, Note("erased_not_sent", "not_handed_over"))


def wiped(case: Case, event: Wiped, now: datetime) -> Step:
    """Close the round: what was left of the person here is deleted."""
    current = case.round
    if current is None or event.round != current.number or current.erasing is not Erasing.WIPING:
        return Step(case)
    done = with_round(
        case,
        stage=Stage.ERASED,
        outcome=Outcome.ERASED,
        closed_at=now,
        erasing=None,
        erase_at=None,
        review_at=None,
    )
    note = Note("erased", "every_step_done")
    return Step(done, Verdict.APPLIED, (note,), (), EVERYTHING)


def end_claimed(case: Case, current: Round, now: datetime) -> Step:
    """Say whether billing may be told to end it: not where it charges again, as it did not before.

    What an earlier try did is not known then, and is only read back; it is stopped once that is.
    Whoever asked for it themselves may be charged until then.
    """
    again = current.erase_at is None and _charged(case, current)
    if current.in_flight:
        return Step(case, Verdict.CHECK if again else Verdict.GO)
    if case.subscription.status == "canceled":
        return replace(ended(case, current, now, "ended_by_billing"), verdict=Verdict.VOID)
    if again:
        return replace(told_while_erasing(case, again, now), verdict=Verdict.VOID)
    return Step(with_round(case, act_state=ActState.CLAIMED), Verdict.GO)


def told_while_erasing(case: Case, charged_again: bool, now: datetime) -> Step:  # noqa: FBT001 - yes or no
    """Judge what billing tells meanwhile: only a resume before anybody was told stops it.

    That it has ended by itself is as good as our telling it to, also where it refused that.

    The round then stands as one that billing ended: they pay again, and can do what anybody can.
    """
    current = case.round
    untold = current is not None and current.erasing is Erasing.ENDING and not current.in_flight
    if current is not None and untold and case.subscription.status == "canceled":
        return ended(case, current, now, "ended_by_billing")
    if not charged_again or not untold:
        return Step(case, Verdict.APPLIED)
    stopped = with_round(
        case,
        stage=Stage.SUSPENDED,
        outcome=Outcome.BY_BILLING,
        closed_at=now,
        act=None,
        act_state=None,
        act_at=None,
        erasing=None,
        erase_on=None,
        erase_at=None,
        decided_by="billing",
        decided_at=now,
    )
    note = Note("erasure_stopped", "resumed_by_billing")
    return Step(stopped, Verdict.APPLIED, (note,), (), EVERYTHING)
