"""What is checked again in the moment an effect is carried out, and what its delivery means.

Deciding and acting lie apart, so the claim of an effect asks everything once more: used since?
answered? reachable? still charged? braked? An ask fixes only here the date that it states.
"""

from datetime import datetime

from msgspec.structs import replace

from app.lifecycle.amends import apology_holds, restore_broken, restoring
from app.lifecycle.answers import YES, erasable, over, taken_back
from app.lifecycle.case import (
    ACT_OF,
    EVERYTHING,
    LINKS,
    NO_REMINDER,
    QUEUED_FOR,
    UNASKED,
    Act,
    ActState,
    Case,
    Claim,
    Erasing,
    HandedOver,
    Kind,
    Note,
    Outcome,
    Reach,
    Round,
    Stage,
    Step,
    Undelivered,
    Verdict,
    Word,
    close,
    with_round,
)
from app.lifecycle.dates import (
    day_at,
    deadline,
    due_day,
    end_of,
    heard,
    may_be_asked,
    midnight,
    silence_counts_at,
    terms_for,
    used_since,
    within_hours,
)
from app.lifecycle.erasing import (
    CANNOT_BE_MAILED,
    STOPPED,
    end_claimed,
    may_be_warned,
    parted,
    warning_claimed,
    warning_handed_over,
)
from app.lifecycle.withdrawing import withdraw
from app.policy import Policy


def claimed(case: Case, event: Claim, policy: Policy, now: datetime) -> Step:
    """Say whether an effect may be carried out now: go, wait, check first, or void."""
    current = case.round
    if current is None:
        return Step(case, Verdict.VOID)
    if event.kind in ACT_OF:
        return _claim_act(case, current, event, policy, now)
    if event.kind is Kind.ASK:
        return _claim_ask(case, current, policy, now)
    return _claim_notice(case, current, event.kind, policy, now)


def _claim_notice(case: Case, current: Round, kind: Kind, policy: Policy, now: datetime) -> Step:
    unasked = kind in UNASKED
    if case.reach in CANNOT_BE_MAILED or (unasked and case.reach is not Reach.OK):
        note = Note(f"{kind}_not_sent", case.reach)
        return Step(case, Verdict.VOID, (note,))
    if not _still_true(case, current, kind, now):
        return Step(case, Verdict.VOID)
    if kind in LINKS:
        return Step(with_round(case, linked_at=now), Verdict.GO)
    if kind is Kind.REMINDER and used_since(case, current):
        return replace(returned(case, current, policy, now), verdict=Verdict.VOID)
    step = _in_hours(case, policy, now) if unasked else Step(case, Verdict.GO)
    if kind is Kind.ERASURE_WARNING and step.verdict is Verdict.GO:
        return warning_claimed(case, current, policy, now)
    return step


def _in_hours(case: Case, policy: Policy, now: datetime) -> Step:
    at = within_hours(now, case.subscription.zone, policy.pace.send_between)
    if at > now:
        return Step(case, Verdict.WAIT, wait_until=at)
    return Step(case, Verdict.GO)


def _still_true(  # noqa: C901, PLR0911 - one arm a notice
    case: Case, current: Round, kind: Kind, now: datetime
) -> bool:
    match kind:
        case Kind.REMINDER:
            end = deadline(case, current)
            waiting = current.stage is Stage.ASKED and current.open and current.word is None
            in_time = end is not None and now < end - NO_REMINDER
            calm = current.quiet or current.before_a_person
            return waiting and current.act is None and in_time and not calm
        case Kind.KEPT:
            return current.outcome is Outcome.KEPT
        case Kind.RESUMED:
            return current.outcome is Outcome.RESUMED
        case Kind.SUSPENDED:
            return case.stage is Stage.SUSPENDED
        case Kind.WELCOME_BACK:
            return case.stage is Stage.SUSPENDED and current.act is None
        case Kind.CANCELED:
            return case.stage is Stage.CANCELED
        case Kind.ERASURE_WARNING:
            return may_be_warned(case, current)
        case Kind.ERASED:
            return current.erasing is Erasing.PARTING
        case Kind.DATA_LINK:
            return not over(current)
        case Kind.APOLOGY:
            return apology_holds(case, current)
        case _:
            wanted = erasable(current) and current.erase_at is None
            return kind is Kind.FRESH_LINK and wanted


# --- the ask -------------------------------------------------------------------------------


def _claim_ask(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    if not current.open or current.asked_at or current.word or current.act:
        return Step(case, Verdict.VOID)
    withdrawn = _no_longer(case, current, policy, now)
    if withdrawn is not None:
        return replace(withdrawn, verdict=Verdict.VOID)
    step = _in_hours(case, policy, now)
    if step.verdict is Verdict.WAIT:
        return step
    within = terms_for(case, policy).answer_within
    day = within.after(day_at(now, case.subscription.zone))
    stated = max(day, current.stated_by) if current.stated_by else day
    return Step(with_round(case, stated_by=stated), Verdict.GO)


def _no_longer(case: Case, current: Round, policy: Policy, now: datetime) -> Step | None:
    """Close the round where the person is not to be asked after all."""
    if used_since(case, current):
        return returned(case, current, policy, now)
    if not may_be_asked(case):
        return close(case, Outcome.WITHDRAWN, now, "nothing_to_charge")
    if now >= current.opened_at + QUEUED_FOR:
        return close(case, Outcome.WITHDRAWN, now, "not_handed_over")
    if case.reach is not Reach.OK:
        return unreachable(case, case.reach, now)
    # As of now: the window of an ask before a renewal may no longer end before the charge.
    day, _ = due_day(case, terms_for(case, policy), now)
    if now < midnight(day, case.subscription.zone) or not heard(case, day):
        return close(case, Outcome.WITHDRAWN, now, "no_longer_due")
    return None


# --- acts at billing -----------------------------------------------------------------------


def _claim_act(case: Case, current: Round, event: Claim, policy: Policy, now: datetime) -> Step:
    act = ACT_OF[event.kind]
    if not current.open or current.act is not act or current.act_version != event.version:
        return Step(case, Verdict.VOID)
    if act is Act.END:
        return end_claimed(case, current, now)
    own = _own_word(current, act)
    stopped = None if own else _not_by_silence(case, current, policy, now)
    if current.in_flight:
        # What an earlier try did is not known; where nobody wants it any more it is only read back.
        wanted = own or (current.word is None and stopped is None)
        return Step(case, Verdict.GO if wanted else Verdict.CHECK)
    if current.act_at is not None and now < current.act_at:
        return Step(case, Verdict.WAIT, wait_until=current.act_at)
    if stopped is not None:
        return replace(stopped, verdict=Verdict.VOID)
    changes: dict[str, object] = {"act_state": ActState.CLAIMED}
    if act is Act.RESUME:  # a yes past its rest: nothing is erased, however long billing takes
        changes["erase_on"] = None
    return Step(with_round(case, **changes), Verdict.GO)


def _own_word(current: Round, act: Act) -> bool:
    if act is Act.RESUME:
        return current.word in YES
    return act is Act.CANCEL and current.word is Word.CANCEL


def _not_by_silence(case: Case, current: Round, policy: Policy, now: datetime) -> Step | None:
    """Say what becomes of a case whose act no word justifies; None where silence does.

    Two people may have decided on a resume, too.
    """
    if restoring(current):
        return restore_broken(case, policy, now)
    if current.stage is not Stage.ASKED or current.answer_by is None:
        return taken_back(case, current, now, Note("act_dropped", "word_taken_back"))
    return _silence_broken(case, current, policy, now)


def _silence_broken(case: Case, current: Round, policy: Policy, now: datetime) -> Step | None:
    """Close or hold an act that only silence justified and that silence no longer does."""
    if current.undone_at is not None:
        return withdraw(case, now)
    if used_since(case, current):
        return returned(case, current, policy, now)
    if not may_be_asked(case):
        return close(case, Outcome.WITHDRAWN, now, "nothing_to_charge")
    if case.reach is not Reach.OK:
        return unreachable(case, case.reach, now)
    due = silence_counts_at(case, current)
    if due is None or now < due:
        held = with_round(case, act=None, act_state=None, act_at=None)
        return Step(held, Verdict.VOID, (Note("act_held", "window_not_over"),), (), EVERYTHING)
    return None


# --- what use and delivery mean --------------------------------------------------------------


def returned(case: Case, current: Round, policy: Policy, now: datetime) -> Step:
    """End a round because of use.

    Use that would have prevented the ask is a return. Old use that came to light late and would
    not have prevented it withdraws the notice, which stated a wrong last day, and the person is
    asked anew with the right one.
    """
    day, _ = due_day(case, terms_for(case, policy), current.opened_at)
    if midnight(day, case.subscription.zone) > current.opened_at:
        return close(case, Outcome.RETURNED, now, "used")
    return close(case, Outcome.WITHDRAWN, now, "older_use_came_to_light")


def unreachable(case: Case, reach: Reach, now: datetime) -> Step:
    """End a round because the notice does not reach the person.

    Under both values of `when_unreachable`: for `suspend` the window would run from here, once the
    product has acknowledged the webhook that tells it to ask in its app; there are none yet.
    """
    return close(replace(case, reach=reach), Outcome.UNREACHABLE, now, reach)


def handed_over(case: Case, event: HandedOver, policy: Policy, now: datetime) -> Step:
    """Note that the relay took a notice; the promise of an ask starts here.

    The window is whole even where the hand-over took until the day after the claim.
    """
    current = case.round
    note = Note(f"{event.kind}_handed_over", "relay_took_it")
    if event.kind in LINKS and current is not None:
        return Step(with_round(case, linked_at=now), Verdict.APPLIED, (note,))
    if event.kind is Kind.ERASURE_WARNING:
        return warning_handed_over(case, policy, now, note)
    if event.kind is Kind.ERASED:
        return parted(case, now, note)
    asked_before = current is not None and (not current.open or current.asked_at is not None)
    if current is None or current.stated_by is None or event.kind is not Kind.ASK or asked_before:
        return Step(case, Verdict.APPLIED, (note,))
    zone = case.subscription.zone
    whole = terms_for(case, policy).answer_within.after(day_at(now, zone))
    end = end_of(max(current.stated_by, whole), zone)
    return Step(with_round(case, asked_at=now, answer_by=end), Verdict.APPLIED, (note,))


def undelivered(case: Case, event: Undelivered, now: datetime) -> Step:
    """Note that the person cannot be reached: silence no longer means anything."""
    current = case.round
    noted = replace(case, reach=event.reach)
    note = Note("unreachable", event.reach)
    if current is not None and case.stage is Stage.ASKED:
        if not current.in_flight and current.word is not Word.CANCEL:
            return unreachable(case, event.reach, now)
        # Their cancel, or what billing is being told, goes on; should it not, no promise does.
        changed = with_round(noted, answer_by=None)
        return Step(case) if changed == case else Step(changed, Verdict.APPLIED, (note,))
    if case.stage is Stage.ERASING:
        return parted(noted, now, note)
    if case.reach is event.reach and not erasure_scheduled(case):
        return Step(case)
    return not_erased(noted, note)


def not_erased(case: Case, note: Note) -> Step:
    """Take back the day of erasure of somebody who cannot be warned of it any more."""
    if not erasure_scheduled(case):
        return Step(case, Verdict.APPLIED, (note,))
    stopped = Note("erasure_stopped", note.why)
    return Step(with_round(case, erase_on=None), Verdict.APPLIED, (note, stopped))


def erasure_scheduled(case: Case) -> bool:
    """Say whether data has a day to be erased on that time leads to."""
    scheduled = case.round is not None and case.round.erase_on is not None
    return scheduled and case.stage in STOPPED
