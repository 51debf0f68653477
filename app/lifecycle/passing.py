"""What the passing of time and the news of use change."""

from datetime import datetime

from msgspec.structs import replace

from app.lifecycle.answers import YES, tell_billing
from app.lifecycle.case import (
    NO_REMINDER,
    QUEUED_FOR,
    Act,
    Case,
    Effect,
    Kind,
    Note,
    Outcome,
    Round,
    Stage,
    Step,
    Verdict,
    Why,
    Word,
    close,
    with_round,
)
from app.lifecycle.dates import (
    ask_at,
    day_at,
    deadline,
    next_reminder,
    reminder_moments,
    segment_for,
    silence_counts_at,
    terms_for,
    used_since,
    within_hours,
)
from app.lifecycle.erasing import next_warning, part_if_due, parting_ends, warn_if_due
from app.lifecycle.notices import returned
from app.policy import Period, Policy, Terms

A_MONTH = Period(months=1)
ACT_ON_SILENCE = {"suspend": Act.SUSPEND, "cancel_at_period_end": Act.CANCEL}


def acts_on_silence(policy: Policy) -> frozenset[Act]:
    """Give what billing may be told under a policy because somebody stayed silent."""
    terms = (policy.terms, *(segment.terms for segment in policy.segments))
    acts = (ACT_ON_SILENCE.get(each.on_no_answer) for each in terms)
    return frozenset(act for act in acts if act is not None)


def promised_act(case: Case, policy: Policy) -> Act | None:
    """Give what billing will be told should the person stay silent; None where they are told so."""
    current = case.round
    if current is None or case.stage is not Stage.ASKED or current.act is not None:
        return None
    if current.asked_at is None:
        return None
    return ACT_ON_SILENCE.get(terms_for(case, policy).on_no_answer)


def ticked(case: Case, policy: Policy, now: datetime) -> Step:
    """Do what has become due."""
    current = case.round
    if current is None or not current.open:
        return _ask_if_due(case, policy, now)
    if current.stage is Stage.ERASING:
        return part_if_due(case, current, now)
    if current.stage is Stage.ASKED:
        return _while_asked(case, current, policy, now)
    return warn_if_due(case, policy, now)


def _while_asked(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    if current.act is not None:
        return Step(case)
    if current.asked_at is None:
        if now < current.opened_at + QUEUED_FOR:
            return Step(case)
        return close(case, Outcome.WITHDRAWN, now, "not_handed_over")
    terms = terms_for(case, policy)
    due = silence_counts_at(case, current)
    if due is not None and due <= now:
        return _silence(case, terms, now)
    return _remind_if_due(case, current, policy, now)


def _ask_if_due(case: Case, policy: Policy, now: datetime) -> Step:
    due = ask_at(case, terms_for(case, policy), now)
    if due is None or due[0] > now:
        return Step(case)
    return open_round(case, due[1], policy, now)


def to_be_asked(case: Case, policy: Policy, now: datetime) -> bool:
    """Say whether a tick would open a round and queue its ask."""
    if case.stage is not Stage.ACTIVE:
        return False
    due = ask_at(case, terms_for(case, policy), now)
    return due is not None and due[0] <= now


def open_round(case: Case, why: Why, policy: Policy, now: datetime) -> Step:
    """Open a round under the policy in force, and queue its ask."""
    last = case.round
    opened = Round(
        number=last.number + 1 if last else 1,
        stage=Stage.ASKED,
        why=why,
        opened_at=now,
        version=policy.version,
        segment=segment_for(case, policy),
        used_known=case.subscription.last_used_on,
    )
    at = within_hours(now, case.subscription.zone, policy.pace.send_between)
    changed = replace(case, round=opened)
    return Step(changed, Verdict.APPLIED, (Note("asked", why),), (Effect(Kind.ASK, 1, at),))


def _silence(case: Case, terms: Terms, now: datetime) -> Step:
    """Tell billing what silence comes to, now that the window is over."""
    act = ACT_ON_SILENCE.get(terms.on_no_answer)
    if act is None:
        silent = {"decided_by": "silence", "decided_at": now}
        return close(case, Outcome.EXPIRED, now, "no_answer", **silent)
    told, effect = tell_billing(case, act, now)
    note = Note(f"{act}_queued", "no_answer")
    return Step(told, Verdict.APPLIED, (note,), (effect,), frozenset({Kind.REMINDER}))


def _remind_if_due(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    """Queue the latest reminder that is due; those missed before it are skipped."""
    terms = terms_for(case, policy)
    due, end = next_reminder(case, current, terms), deadline(case, current)
    if due is None or due > now or end is None:
        return Step(case)
    passed = sum(moment <= now for moment in reminder_moments(case, current, terms))
    changed = with_round(case, reminded=passed)
    if now >= end - NO_REMINDER:
        return Step(changed, Verdict.APPLIED, (Note("reminder_skipped", "too_late"),))
    at = within_hours(now, case.subscription.zone, policy.pace.send_between)
    effect = Effect(Kind.REMINDER, passed, at)
    note = Note("reminder_queued", f"reminder_{passed}")
    return Step(changed, Verdict.APPLIED, (note,), (effect,), frozenset({Kind.REMINDER}))


# --- use -----------------------------------------------------------------------------------


def used(case: Case, policy: Policy, now: datetime) -> Step:
    """Judge news of use: before the suspension is claimed it ends the round, after it welcomes."""
    current = case.round
    if current is None or not current.open:
        return Step(case)
    match current.stage:
        case Stage.ASKED:
            return _used_while_asked(case, current, policy, now)
        case Stage.SUSPENDED:
            return _used_while_suspended(case, current, policy, now)
        case Stage.CANCELED:
            return _used_while_canceled(case, current, now)
        case _:
            return Step(case)


def _used_while_asked(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    if not used_since(case, current) or current.in_flight or current.word is Word.CANCEL:
        return Step(case)
    return returned(case, current, policy, now)


def _used_while_suspended(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    """Welcome back, once a month at most; nothing is charged and nothing is erased for it."""
    changed = with_round(case, erase_on=None)
    notes = (Note("erasure_stopped", "used"),) if current.erase_on else ()
    if current.word in YES or current.word is Word.CANCEL or not _welcome_due(case, current, now):
        return Step(changed, Verdict.APPLIED, notes) if notes else Step(case)
    at = within_hours(now, case.subscription.zone, policy.pace.send_between)
    effect = Effect(Kind.WELCOME_BACK, day_at(now, case.subscription.zone).toordinal(), at)
    changed = with_round(changed, welcomed_at=now)
    return Step(changed, Verdict.APPLIED, (*notes, Note("welcomed_back", "used")), (effect,))


def _welcome_due(case: Case, current: Round, now: datetime) -> bool:
    if current.welcomed_at is None:
        return True
    zone = case.subscription.zone
    return day_at(now, zone) >= A_MONTH.after(day_at(current.welcomed_at, zone))


def _used_while_canceled(case: Case, current: Round, now: datetime) -> Step:
    """Keep the data of who uses it beyond the time already paid; until then use is expected."""
    paid = current.paid_until is not None and now < current.paid_until
    if paid or current.erase_on is None:
        return Step(case)
    changed = with_round(case, erase_on=None)
    return Step(changed, Verdict.APPLIED, (Note("erasure_stopped", "used"),))


# --- when to look again --------------------------------------------------------------------


def next_look(case: Case, policy: Policy, now: datetime) -> datetime | None:
    """Give the first moment from `now` on at which `ticked` changes something."""
    current, terms = case.round, terms_for(case, policy)
    if current is None or not current.open:
        due = ask_at(case, terms, now)
        return due[0] if due else None
    if current.stage is Stage.ERASING:
        return parting_ends(current)
    if current.stage is Stage.ASKED:
        return _next_while_asked(case, current, terms)
    return next_warning(case, policy)


def _next_while_asked(case: Case, current: Round, terms: Terms) -> datetime | None:
    if current.act is not None:
        return None
    if current.asked_at is None:
        return current.opened_at + QUEUED_FOR
    ends = silence_counts_at(case, current)
    reminder = next_reminder(case, current, terms)
    moments = [moment for moment in (ends, reminder) if moment is not None]
    return min(moments, default=None)
