"""What billing does: acts of ours that it confirms, and acts of its own.

The stage changes when billing has acknowledged, never before. A change that matches our act in
flight or last confirmed is its echo; any other is billing's own and ends what we were about to do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.lifecycle.answers import YES, tell_billing
from app.lifecycle.case import (
    EVERYTHING,
    TEN_MINUTES,
    Acknowledged,
    Act,
    ActState,
    AddressChanged,
    Case,
    Declined,
    Effect,
    Kind,
    NotDone,
    Note,
    Outcome,
    Reach,
    Round,
    Stage,
    Step,
    Told,
    Verdict,
    Why,
    Word,
    close,
    with_round,
)
from app.lifecycle.dates import ASKABLE, erase_day, next_charge, segment_for, terms_for

if TYPE_CHECKING:
    from datetime import date, datetime

    from app.lifecycle.case import Subscription
    from app.policy import Policy

LIVING = ASKABLE | {"trialing"}


# --- our acts, confirmed or not ------------------------------------------------------------


def acknowledged(case: Case, event: Acknowledged, policy: Policy, now: datetime) -> Step:
    """Billing has carried out an act of ours: the stage follows."""
    current = case.round
    if current is None or not _awaited(current, event.act, event.version):
        return Step(case)
    if event.act is Act.RESUME:
        return _resumed(case, current, now)
    stage, kind = {
        Act.SUSPEND: (Stage.SUSPENDED, Kind.SUSPENDED),
        Act.CANCEL: (Stage.CANCELED, Kind.CANCELED),
    }[event.act]
    erase_on = _erase_on(case, current, policy, event.paid_until, now)
    changed = with_round(
        case,
        stage=stage,
        act=None,
        act_state=None,
        act_at=None,
        decided_by=_decider(current, event.act),
        decided_at=now,
        paid_until=event.paid_until,
        erase_on=erase_on,
    )
    notes = [Note(stage, f"billing_acknowledged_{event.act}")]
    notes += [Note("erasure_scheduled", stage)] if erase_on else []
    return _follow(changed, event, tuple(notes), Effect(kind, event.version, now), now)


def _awaited(current: Round, act: Act, version: int) -> bool:
    return current.open and current.act is act and current.act_version == version


def _decider(current: Round, act: Act) -> str:
    own = act is Act.CANCEL and current.word is Word.CANCEL
    return (current.decided_by or "subscriber") if own else "silence"


def _erase_on(
    case: Case, current: Round, policy: Policy, paid_until: datetime | None, now: datetime
) -> date | None:
    """Give the day of erasure: none for who used it meanwhile or cannot be reached by silence."""
    used = current.act is Act.SUSPEND and _used_since(case, current)
    if used or (case.reach is not Reach.OK and current.word is not Word.CANCEL):
        return None
    day = erase_day(case, terms_for(case, policy), now, paid_until)
    if day is None or current.erase_on is None:
        return day
    return max(day, current.erase_on)


def _used_since(case: Case, current: Round) -> bool:
    used = case.subscription.last_used_on
    return used is not None and (current.used_known is None or used > current.used_known)


def _follow(
    case: Case, event: Acknowledged, notes: tuple[Note, ...], receipt: Effect, now: datetime
) -> Step:
    """Send the receipt, or tell billing the next thing where the person's word has overtaken."""
    word = case.round.word if case.round else None
    if word in YES:
        told, effect = tell_billing(case, Act.RESUME, now)
        return Step(told, Verdict.APPLIED, notes, (effect,))
    if word is Word.CANCEL and event.act is Act.SUSPEND:
        said = case.round.word_at if case.round else None
        told, effect = tell_billing(case, Act.CANCEL, max(now, (said or now) + TEN_MINUTES))
        return Step(told, Verdict.APPLIED, notes, (effect,))
    return Step(case, Verdict.APPLIED, notes, (receipt,))


def _resumed(case: Case, current: Round, now: datetime) -> Step:
    if current.word is Word.CANCEL:
        back = with_round(case, stage=Stage.ASKED, erase_on=None)
        told, effect = tell_billing(back, Act.CANCEL, (current.word_at or now) + TEN_MINUTES)
        return Step(told, Verdict.APPLIED, (Note("resumed", "then_canceled"),), (effect,))
    step = close(
        case,
        Outcome.RESUMED,
        now,
        "billing_acknowledged_resume",
        erase_on=None,
        decided_by=current.decided_by or "subscriber",
        decided_at=now,
    )
    return replace(step, effects=(Effect(Kind.RESUMED, current.act_version, now),))


def declined(case: Case, event: Declined) -> Step:
    """Billing said no: the act waits for a person, and a person's own word may overtake it."""
    if case.round is None or not _awaited(case.round, event.act, event.version):
        return Step(case)
    note = Note(f"{event.act}_parked", "billing_said_no")
    return Step(with_round(case, act_state=ActState.PARKED), Verdict.APPLIED, (note,))


def not_done(case: Case, event: NotDone, now: datetime) -> Step:
    """Reading back showed that an act nobody wants any more never happened: drop it."""
    current = case.round
    if current is None or not _awaited(current, event.act, event.version):
        return Step(case)
    dropped = with_round(case, act=None, act_state=None, act_at=None)
    note = Note(f"{event.act}_dropped", "never_reached_billing")
    if current.word in YES and current.stage is Stage.ASKED:
        step = close(dropped, Outcome.KEPT, now, "said_before_billing_was_told")
        return replace(step, effects=(Effect(Kind.KEPT, current.act_version, now),))
    if current.word is Word.CANCEL:
        told, effect = tell_billing(dropped, Act.CANCEL, (current.word_at or now) + TEN_MINUTES)
        return Step(told, Verdict.APPLIED, (note,), (effect,), EVERYTHING)
    return Step(dropped, Verdict.APPLIED, (note,), (), EVERYTHING)


# --- billing's own acts ----------------------------------------------------------------------


def told(case: Case, event: Told, policy: Policy, now: datetime) -> Step:
    """Judge facts that billing changed."""
    before, after = event.before, case.subscription
    if before.status != after.status:
        if after.status == "canceled":
            return _foreign_cancel(case, policy, now)
        if after.status == "paused":
            return _foreign_pause(case, now)
        if before.status in ("paused", "canceled"):
            return _foreign_resume(case, now)
    return _facts_changed(case, before, now)


def _foreign_pause(case: Case, now: datetime) -> Step:
    current = case.round
    if current is None or case.stage is not Stage.ASKED or current.in_flight:
        return Step(case)
    return close(case, Outcome.BY_BILLING, now, "paused_by_billing", **_by_billing(now))


def _foreign_resume(case: Case, now: datetime) -> Step:
    current = case.round
    if case.stage not in (Stage.SUSPENDED, Stage.CANCELED) or current is None or current.in_flight:
        return Step(case, Verdict.APPLIED)
    why = "resumed_by_billing"
    return close(case, Outcome.RESUMED, now, why, erase_on=None, **_by_billing(now))


def _foreign_cancel(case: Case, policy: Policy, now: datetime) -> Step:
    current = case.round
    if current is not None and current.open:
        if current.stage is Stage.CANCELED or (current.in_flight and current.act is Act.CANCEL):
            return Step(case)
        if current.stage is Stage.SUSPENDED:
            return _ended_while_suspended(case, current, policy, now)
    closed = None
    notes: tuple[Note, ...] = (Note("canceled", "canceled_by_billing"),)
    if current is not None and current.open:
        step = close(case, Outcome.BY_BILLING, now, "canceled_by_billing", **_by_billing(now))
        closed, notes = step.case.round, (*step.notes, *notes)
    opened = _canceled_round(case, current, policy, now)
    notes += (Note("erasure_scheduled", "canceled_by_billing"),) if opened.erase_on else ()
    changed = replace(case, round=opened)
    return Step(changed, Verdict.APPLIED, notes, (), EVERYTHING, None, closed)


def _canceled_round(case: Case, last: Round | None, policy: Policy, now: datetime) -> Round:
    """Open a round in stage `canceled`, so that the day of erasure has a home."""
    segment = segment_for(case, policy)
    return Round(
        number=last.number + 1 if last else 1,
        stage=Stage.CANCELED,
        why=Why.BILLING_CANCEL,
        opened_at=now,
        version=policy.version,
        segment=segment,
        used_known=case.subscription.last_used_on,
        paid_until=case.subscription.renews_at,
        erase_on=erase_day(case, policy.terms_of(segment), now, case.subscription.renews_at),
        decided_by="billing",
        decided_at=now,
    )


def _ended_while_suspended(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    day = erase_day(case, terms_for(case, policy), now, current.paid_until)
    later = max(day, current.erase_on) if day and current.erase_on else None
    changed = with_round(
        case,
        stage=Stage.CANCELED,
        act=None,
        act_state=None,
        act_at=None,
        erase_on=later,
        **_by_billing(now),
    )
    return Step(changed, Verdict.APPLIED, (Note("canceled", "canceled_by_billing"),), (), EVERYTHING)


def _facts_changed(case: Case, before: Subscription, now: datetime) -> Step:
    current, after = case.round, case.subscription
    if case.stage is not Stage.ASKED or current is None or current.in_flight:
        return Step(case, Verdict.APPLIED)
    if current.word is Word.CANCEL:
        return Step(case, Verdict.APPLIED)
    why = _worse(before, after, now)
    if why is None:
        return Step(case, Verdict.APPLIED)
    return close(case, Outcome.WITHDRAWN, now, why)


def _worse(before: Subscription, after: Subscription, now: datetime) -> str | None:
    """Say why a notice already sent no longer states the truth to the person's advantage."""
    if after.status not in ASKABLE or after.amount <= 0:
        return "nothing_to_charge"
    if (before.currency, before.interval) != (after.currency, after.interval):
        return "price_changed"
    if after.amount > before.amount:
        return "price_rose"
    old, new = next_charge(before, now), next_charge(after, now)
    return "charged_earlier" if new is not None and (old is None or new < old) else None


def _by_billing(now: datetime) -> dict[str, object]:
    return {"decided_by": "billing", "decided_at": now}


# --- the contact -------------------------------------------------------------------------------


def address_changed(case: Case, event: AddressChanged) -> Step:
    """Note whether the person can be reached from now on; who could not is looked at again."""
    if case.reach is event.reach:
        return Step(case, Verdict.APPLIED)
    note = Note("reachable" if event.reach is Reach.OK else "unreachable", "address_changed")
    return Step(replace(case, reach=event.reach), Verdict.APPLIED, (note,))
