"""What billing does: acts of ours that it confirms, and acts of its own.

The stage changes when billing has acknowledged, never before. A change that matches our act in
flight or last confirmed is its echo; any other is billing's own and ends what we were about to do.
"""

from datetime import date, datetime

from msgspec.structs import replace

from app.lifecycle.amends import restored, restoring, sorry_instead
from app.lifecycle.answers import YES, kept, tell_billing
from app.lifecycle.case import (
    EVERYTHING,
    TEN_MINUTES,
    Acknowledged,
    Act,
    ActState,
    AddressChanged,
    Answer,
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
    Subscription,
    Told,
    Verdict,
    Why,
    Word,
    close,
    with_round,
)
from app.lifecycle.dates import (
    ASKABLE,
    day_at,
    erase_day,
    next_charge,
    segment_for,
    terms_for,
    used_since,
)
from app.lifecycle.erasing import AT_REST, ended, told_while_erasing
from app.lifecycle.notices import erasure_scheduled, not_erased
from app.policy import Policy

# --- our acts, confirmed or not ------------------------------------------------------------


def acknowledged(case: Case, event: Acknowledged, policy: Policy, now: datetime) -> Step:
    """Billing has carried out an act of ours: the stage follows."""
    current = case.round
    if current is None or not _awaited(current, event.act, event.version):
        return Step(case)
    if event.act is Act.RESUME:
        if restoring(current):
            return restored(case, policy, now)
        return _resumed(case, current, now)
    if event.act is Act.END:
        return ended(case, current, now)
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
        decided_by=_decider(current),
        decided_at=now,
        paid_until=event.paid_until,
        erase_on=erase_on,
    )
    notes = [Note(stage, f"billing_acknowledged_{event.act}")]
    notes += [Note("erasure_scheduled", stage)] if erase_on else []
    sorry = sorry_instead(changed, tuple(notes), policy, now)
    receipt = Effect(kind, event.version, now)
    return sorry or _follow(changed, event, tuple(notes), receipt, now)


def _awaited(current: Round, act: Act, version: int) -> bool:
    return current.open and current.act is act and current.act_version == version


def _decider(current: Round) -> str:
    return "silence" if current.word is None else current.decided_by or "subscriber"


def _erase_on(
    case: Case, current: Round, policy: Policy, paid_until: datetime | None, now: datetime
) -> date | None:
    """Give the day of erasure: by silence none for who used it, wants it or cannot be reached."""
    if current.undone_at is not None:
        return None
    alive = current.word in YES or used_since(case, current) or case.reach is not Reach.OK
    if alive and current.word is not Word.CANCEL:
        return None
    day = erase_day(case, terms_for(case, policy), now, paid_until)
    if day is None or current.erase_on is None:
        return day
    return max(day, current.erase_on)


def _follow(
    case: Case, event: Acknowledged, notes: tuple[Note, ...], receipt: Effect, now: datetime
) -> Step:
    """Send the receipt, or tell billing the next thing where the person's word has overtaken."""
    word = case.round.word if case.round else None
    if word in YES:
        told, effect = tell_billing(case, Act.RESUME, now)
        return Step(told, Verdict.APPLIED, notes, (effect,))
    if case.round and word is Word.CANCEL and event.act is Act.SUSPEND:
        told, effect = tell_billing(case, Act.CANCEL, _rested(case.round, now))
        return Step(told, Verdict.APPLIED, notes, (effect,))
    return Step(case, Verdict.APPLIED, notes, (receipt,))


def _resumed(case: Case, current: Round, now: datetime) -> Step:
    if current.word is Word.CANCEL:
        told, effect = tell_billing(_charged_again(case, now), Act.CANCEL, _rested(current, now))
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


def _charged_again(case: Case, now: datetime) -> Case:
    """Give the case of who is charged again and has a cancel on the way: silence means nothing."""
    return with_round(case, stage=Stage.ASKED, erase_on=None, answer_by=None, closed_at=now)


def _rested(current: Round, now: datetime) -> datetime:
    """Give when billing may be told of a cancel that was recorded while it did something else."""
    return max(now, (current.word_at or now) + TEN_MINUTES)


def declined(case: Case, event: Declined) -> Step:
    """Park an act that billing refused: it waits for a person, whose own word may overtake it."""
    current = case.round
    if current is None or not _awaited(current, event.act, event.version):
        return Step(case)
    if current.act_state is ActState.PARKED:
        return Step(case)
    note = Note(f"{event.act}_parked", "billing_said_no")
    return Step(with_round(case, act_state=ActState.PARKED), Verdict.APPLIED, (note,))


def not_done(case: Case, event: NotDone, now: datetime) -> Step:
    """Put an act back that is known not to have happened, or do what a word since then wants."""
    current = case.round
    if current is None or not current.in_flight:
        return Step(case)
    if not _awaited(current, event.act, event.version):
        return Step(case)
    if event.act is Act.END:
        return Step(with_round(case, act_state=ActState.QUEUED), Verdict.APPLIED)
    if current.word in YES and event.act is not Act.RESUME:
        return _yes_instead(case, current, event, now)
    if current.word is Word.CANCEL and event.act is not Act.CANCEL:
        return _cancel_instead(case, current, event, now)
    return Step(with_round(case, act_state=ActState.QUEUED), Verdict.APPLIED)


def _yes_instead(case: Case, current: Round, event: NotDone, now: datetime) -> Step:
    if current.stage is Stage.ASKED and current.word is not None:
        said = Answer(current.word, by=current.decided_by or "subscriber", reason=current.reason)
        return kept(case, said, now)
    told, effect = tell_billing(case, Act.RESUME, now)
    return Step(told, Verdict.APPLIED, (_dropped(event.act),), (effect,))


def _cancel_instead(case: Case, current: Round, event: NotDone, now: datetime) -> Step:
    if current.stage is Stage.CANCELED:
        stays = with_round(case, act=None, act_state=None, act_at=None)
        return Step(stays, Verdict.APPLIED, (_dropped(event.act),))
    told, effect = tell_billing(case, Act.CANCEL, _rested(current, now))
    return Step(told, Verdict.APPLIED, (_dropped(event.act),), (effect,))


def _dropped(act: Act) -> Note:
    return Note(f"{act}_dropped", "never_reached_billing")


# --- billing's own acts ----------------------------------------------------------------------


def told(case: Case, event: Told, policy: Policy, now: datetime) -> Step:
    """Judge facts that billing changed."""
    before, after = event.before, case.subscription
    if case.round is not None and case.round.outcome is Outcome.ERASED:
        return Step(case)
    if case.stage is Stage.ERASING:
        again = before.status in AT_REST and after.status not in AT_REST
        return told_while_erasing(case, again, now)
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
    if current.word is Word.CANCEL:  # a pause may end by itself, and they want an end
        return Step(case)
    return close(case, Outcome.BY_BILLING, now, "paused_by_billing", **_by_billing(now))


def _foreign_resume(case: Case, now: datetime) -> Step:
    current = case.round
    if case.stage not in (Stage.SUSPENDED, Stage.CANCELED) or current is None or current.in_flight:
        return Step(case, Verdict.APPLIED)
    why = "resumed_by_billing"
    if current.act is Act.CANCEL and current.word is Word.CANCEL:
        return Step(_charged_again(case, now), Verdict.APPLIED, (Note("resumed", why),))
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
    segment, paid_until = segment_for(case, policy), case.subscription.renews_at
    warned = case.reach is Reach.OK
    day = erase_day(case, policy.terms_of(segment), now, paid_until) if warned else None
    return Round(
        number=last.number + 1 if last else 1,
        stage=Stage.CANCELED,
        why=Why.BILLING_CANCEL,
        opened_at=now,
        version=policy.version,
        segment=segment,
        used_known=case.subscription.last_used_on,
        paid_until=paid_until,
        erase_on=day,
        decided_by="billing",
        decided_at=now,
        review_at=last.review_at if last else None,
        # What they asked for before they were charged again rests once more.
        erase_at=now if last and last.erase_at else None,
    )


def _ended_while_suspended(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    day = erase_day(case, terms_for(case, policy), now, current.paid_until)
    wanted = current.word in YES
    later = max(day, current.erase_on) if day and current.erase_on and not wanted else None
    changed = with_round(
        case,
        stage=Stage.CANCELED,
        act=None,
        act_state=None,
        act_at=None,
        erase_on=later,
        **_by_billing(now),
    )
    note = Note("canceled", "canceled_by_billing")
    return Step(changed, Verdict.APPLIED, (note,), (), EVERYTHING)


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
    if new is None:
        return None
    earlier = old is None or day_at(new, after.zone) < day_at(old, after.zone)
    return "charged_earlier" if earlier else None


def _by_billing(now: datetime) -> dict[str, object]:
    return {"decided_by": "billing", "decided_at": now}


# --- the contact -------------------------------------------------------------------------------


def address_changed(case: Case, event: AddressChanged) -> Step:
    """Note whether the person can be reached from now on; who could not is looked at again."""
    known = case.reach is event.reach
    if known and (event.reach is Reach.OK or not erasure_scheduled(case)):
        return Step(case, Verdict.APPLIED)
    note = Note("reachable" if event.reach is Reach.OK else "unreachable", "address_changed")
    changed = replace(case, reach=event.reach)
    if event.reach is Reach.OK:
        return Step(changed, Verdict.APPLIED, (note,))
    return not_erased(changed, note)
