"""The rules: how a subscription moves between its stages, as pure functions.

    active --inactive too long--> asked --no answer by answer_by--> suspended --erase_on--> erasing
       ^                            | |                                |  |                    |
       +---- kept, or used again ---+ +--- canceled ---> canceled -----|--+---- erase_on -----+
       +------------------ resumed by the subscriber ------------------+                   erased

`step(case, event, policy, now)` says what an event leads to; `wake_at(case, policy, now)` says
when time alone changes something. The law that joins them: from `now` until `wake_at` a tick
changes nothing, at `wake_at` it changes something. (`wake_at` takes `now` because the next
renewal, and so the day to ask before it, depends on it.)

Time alone never erases: on the day `erase_on` a manifest is made for two people to agree to, and
what they agreed to is asked once more as `erasing` is entered (`erasing.py`). While a person is to
look at a case (`review_at`) nothing follows from silence. What a person asks for themselves
(`erase_at`) rests a day and then needs nobody's leave.
"""

from datetime import datetime

from app.lifecycle.amends import amended
from app.lifecycle.answers import answered
from app.lifecycle.billing import acknowledged, address_changed, declined, not_done, told
from app.lifecycle.case import (
    Acknowledged,
    AddressChanged,
    AllReceipts,
    Amend,
    Answer,
    AskDataLink,
    AskErasure,
    AskLink,
    AskReview,
    BeginErasure,
    Case,
    Claim,
    Declined,
    ErasureSettled,
    Event,
    HandedOver,
    NotDone,
    Note,
    RequestErasure,
    Reviewed,
    Step,
    StopReminders,
    Tick,
    Told,
    Undelivered,
    Used,
    Verdict,
    Wiped,
    Withdraw,
    with_round,
)
from app.lifecycle.erasing import all_answered, erasure_begun, wiped, with_new_warnings
from app.lifecycle.erasures import (
    data_link_asked,
    erasure_asked,
    erasure_requested,
    erasure_settled,
    link_asked,
)
from app.lifecycle.notices import claimed, handed_over, undelivered
from app.lifecycle.passing import next_look, ticked, used
from app.lifecycle.reviews import review_asked, reviewed
from app.lifecycle.withdrawing import withdrawn
from app.policy import Policy

__all__ = ["step", "wake_at"]


def step(case: Case, event: Event, policy: Policy, now: datetime) -> Step:
    """Say what `event` leads to at `now` (aware, UTC).

    `policy` is the version the open round began with, or the one in force where none is open.
    """
    return with_new_warnings(case, _judged(case, event, policy, now))


def _judged(  # noqa: C901, PLR0911, PLR0912 - one arm an event
    case: Case, event: Event, policy: Policy, now: datetime
) -> Step:
    match event:
        case Tick():
            return ticked(case, policy, now)
        case Used():
            return used(case, policy, now)
        case Claim():
            return claimed(case, event, policy, now)
        case HandedOver():
            return handed_over(case, event, policy, now)
        case Acknowledged():
            return acknowledged(case, event, policy, now)
        case Answer():
            return answered(case, event, policy, now)
        case Undelivered():
            return undelivered(case, event, now)
        case Told():
            return told(case, event, policy, now)
        case AskReview():
            return review_asked(case, event, now)
        case Reviewed():
            return reviewed(case, event, now)
        case AskLink():
            return link_asked(case, event, now)
        case AskDataLink():
            return data_link_asked(case, now)
        case AskErasure():
            return erasure_asked(case, event, now)
        case RequestErasure():
            return erasure_requested(case, event, policy, now)
        case ErasureSettled():
            return erasure_settled(case, event)
        case Withdraw():
            return withdrawn(case, event, now)
        case BeginErasure():
            return erasure_begun(case, event, now)
        case AllReceipts():
            return all_answered(case, event, now)
        case Wiped():
            return wiped(case, event, now)
        case Amend():
            return amended(case, event, policy, now)
        case StopReminders():
            return _stop_reminders(case, event)
        case Declined():
            return declined(case, event)
        case NotDone():
            return not_done(case, event, now)
        case AddressChanged():
            return address_changed(case, event)


def wake_at(case: Case, policy: Policy, now: datetime) -> datetime | None:
    """Give the first moment from `now` on at which a tick changes something; None if never.

    None also where the feeds have not been heard far enough: what they tell next may change it.
    """
    due = next_look(case, policy, now)
    return None if due is None else max(due, now)


def _stop_reminders(case: Case, event: StopReminders) -> Step:
    current = case.round
    if current is None or current.number != event.round or current.quiet:
        return Step(case)
    note = Note("reminders_stopped", "one_click")
    return Step(with_round(case, quiet=True), Verdict.APPLIED, (note,))
