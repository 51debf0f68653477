"""What billing does of its own accord, and what the rules make of it."""

from datetime import time
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from app.lifecycle import step
from app.lifecycle.case import (
    BRAKED,
    Act,
    Claim,
    Kind,
    Lane,
    Outcome,
    Reach,
    Stage,
    Told,
    Verdict,
    Why,
    Word,
    lane_of,
)
from app.lifecycle.dates import next_charge, within_hours
from tests.app.lifecycle.build import (
    Story,
    asked,
    at,
    canceled,
    canceling,
    day,
    overdue,
    policy,
    queued,
    resuming,
    suspended,
    suspending,
)

ERASING = policy(erase_after="P10M")


# --- echoes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (suspending, "paused"),
        (suspended, "paused"),
        (canceling, "canceled"),
        (canceled, "canceled"),
    ],
)
def test_the_echo_of_our_own_act_changes_nothing(begun: type[Story], status: str) -> None:
    story = begun()
    before = (story.round, story.waiting)
    story.billing_tells(status=status)

    assert (story.round, story.waiting) == before


def test_the_echo_of_our_own_resume_changes_nothing() -> None:
    story = resuming(status="active")
    story.case = replace(story.case, subscription=replace(story.case.subscription, status="paused"))
    before = story.round
    story.billing_tells(status="active")
    assert story.round == before

    story.succeeds(Kind.BILLING_RESUME)
    story.billing_tells(status="paused")
    story.billing_tells(status="active")
    assert story.round.outcome is Outcome.RESUMED


# --- acts of its own -----------------------------------------------------------------------


@pytest.mark.parametrize("begun", [queued, asked, overdue])
def test_a_foreign_pause_closes_a_round_and_voids_its_effects(begun: type[Story]) -> None:
    story = begun()
    story.billing_tells(status="paused")

    assert (story.round.outcome, story.round.decided_by) == (Outcome.BY_BILLING, "billing")
    assert (story.case.stage, story.waiting, story.wake) == (Stage.ACTIVE, [], None)


def test_a_foreign_pause_does_not_swallow_a_persons_cancel() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.billing_tells(status="paused")

    assert (story.case.stage, story.waiting) == (Stage.ASKED, [Kind.BILLING_CANCEL])


def test_a_foreign_pause_of_somebody_nobody_asked_changes_nothing() -> None:
    story = Story()

    assert story.billing_tells(status="paused") is Verdict.UNCHANGED
    assert story.wake is None


@pytest.mark.parametrize("begun", [queued, asked, overdue, suspending])
def test_a_foreign_cancel_closes_the_round_and_opens_one_for_the_day_of_erasure(
    begun: type[Story],
) -> None:
    story = begun(terms=ERASING)
    story.billing_tells(status="canceled", renews_at=at("2024-03-20T08:00"))

    assert (story.round.number, story.round.why) == (2, Why.BILLING_CANCEL)
    assert (story.case.stage, story.waiting) == (Stage.CANCELED, [])
    assert (story.round.paid_until, story.round.erase_on) == (
        at("2024-03-20T08:00"),
        day("2025-01-20"),
    )
    assert ("by_billing", "canceled_by_billing") in story.notes
    assert ("erasure_scheduled", "canceled_by_billing") in story.notes


def test_the_round_that_a_foreign_cancel_closed_is_written_too() -> None:

    story = asked()
    before = story.case.subscription
    case = replace(story.case, subscription=replace(before, status="canceled"))
    made = step(case, Told(before), story.policy, story.now)

    assert made.replaced is not None
    assert (made.replaced.number, made.replaced.outcome) == (1, Outcome.BY_BILLING)
    assert made.replaced.closed_at == story.now


def test_a_foreign_cancel_of_somebody_nobody_asked_opens_a_round() -> None:
    story = Story(terms=ERASING)
    story.billing_tells(status="canceled")

    assert (story.round.number, story.case.stage) == (1, Stage.CANCELED)
    assert (story.round.erase_on, story.round.decided_by) == (day("2024-12-15"), "billing")


def test_a_foreign_cancel_without_a_term_schedules_nothing() -> None:
    story = Story()
    story.billing_tells(status="canceled")

    assert (story.case.stage, story.round.erase_on) == (Stage.CANCELED, None)
    assert [what for what, _ in story.notes] == ["canceled"]


def test_a_foreign_cancel_schedules_no_erasure_of_who_cannot_be_warned() -> None:
    story = Story(terms=ERASING)
    story.bounces()
    story.billing_tells(status="canceled")

    assert story.round.erase_on is None


def test_a_foreign_cancel_of_a_suspended_subscription_keeps_the_later_day() -> None:
    story = suspended(terms=ERASING).goes_to("2024-06-01")
    story.billing_tells(status="canceled")

    assert (story.case.stage, story.round.erase_on) == (Stage.CANCELED, day("2025-04-01"))
    assert (story.round.number, story.round.decided_by) == (1, "billing")


def test_a_foreign_cancel_never_brings_an_erasure_forward() -> None:
    story = suspended("2024-12-01", terms=ERASING).goes_to("2024-06-01")
    story.billing_tells(status="canceled")

    assert story.round.erase_on == day("2025-10-01")


@pytest.mark.parametrize("said", [Word.KEEP_DATA, Word.RESUME])
def test_a_foreign_cancel_brings_back_no_erasure_that_was_stopped(said: Word) -> None:
    story = suspended(terms=ERASING)
    story.says(said)
    story.billing_tells(status="canceled")

    assert (story.case.stage, story.round.erase_on) == (Stage.CANCELED, None)


def test_a_foreign_resume_closes_a_suspension() -> None:
    story = suspended(terms=ERASING, status="active")
    story.billing_tells(status="paused")
    story.waits(days=3)
    story.billing_tells(status="active")

    assert (story.round.outcome, story.round.decided_by) == (Outcome.RESUMED, "billing")
    assert (story.round.erase_on, story.waiting) == (None, [])


def test_a_foreign_resume_closes_a_cancel() -> None:
    story = canceled()
    story.billing_tells(status="canceled")
    story.billing_tells(status="active")

    assert (story.round.outcome, story.case.stage) == (Outcome.RESUMED, Stage.ACTIVE)


def test_a_foreign_resume_does_not_swallow_a_persons_cancel() -> None:
    story = suspended(terms=ERASING)
    story.billing_tells(status="paused")
    story.says(Word.CANCEL)
    story.billing_tells(status="active")

    assert (story.case.stage, story.round.act, story.round.erase_on) == (
        Stage.ASKED,
        Act.CANCEL,
        None,
    )
    assert (story.round.answer_by, story.wake) == (None, None)
    story.waits(minutes=10)
    assert story.claims(Kind.BILLING_CANCEL) is Verdict.GO


def test_a_foreign_resume_while_a_resume_waits_closes_the_round_once() -> None:
    story = suspended()
    story.billing_tells(status="paused")
    story.says(Word.RESUME)
    story.billing_tells(status="active")

    assert (story.round.outcome, story.waiting) == (Outcome.RESUMED, [])


def test_a_foreign_resume_of_who_was_paused_makes_them_due() -> None:
    story = Story(now="2025-05-05", status="paused")

    assert story.billing_tells(status="active") is Verdict.APPLIED
    assert story.wake == story.now


def test_who_was_paused_by_billing_is_left_in_peace_for_a_year() -> None:
    story = asked()
    story.billing_tells(status="paused")
    story.billing_tells(status="active")

    assert story.wake == at("2025-02-02")


# --- prices and dates ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"amount": 1000}, "price_rose"),
        ({"currency": "CHF"}, "price_changed"),
        ({"interval": "year"}, "price_changed"),
        ({"amount": 0}, "nothing_to_charge"),
        ({"status": "trialing"}, "nothing_to_charge"),
        ({"renews_at": at("2024-02-14T23:59")}, "charged_earlier"),
    ],
)
@pytest.mark.parametrize("begun", [queued, asked, overdue])
def test_a_notice_that_no_longer_states_the_truth_is_withdrawn(
    begun: type[Story], facts: dict[str, object], why: str
) -> None:
    story = begun()
    if "renews_at" in facts and story.now > at("2024-02-15"):
        facts = {"renews_at": at("2024-03-14T08:00")}
    story.billing_tells(**facts)

    assert story.round.outcome is Outcome.WITHDRAWN
    assert story.notes[-1] == ("withdrawn", why)
    assert story.waiting == []


@pytest.mark.parametrize(
    "facts",
    [
        {"amount": 500},
        {"renews_at": at("2024-02-16T08:00")},
        {"renews_at": at("2024-02-15T07:59")},
        {"renews_at": at("2024-03-15T08:00")},
        {"renews_at": None},
        {"plan": "plus"},
        {"status": "past_due"},
        {"country": "DE"},
    ],
)
def test_a_change_that_is_no_worse_for_them_withdraws_nothing(facts: dict[str, object]) -> None:
    story = asked()

    assert story.billing_tells(**facts) is Verdict.APPLIED
    assert story.round.open


def test_the_usual_renewal_is_no_earlier_charge() -> None:
    story = asked().goes_to("2024-02-15T08:00:05")
    story.billing_tells(renews_at=at("2024-03-15T08:00"))

    assert story.round.open


def test_a_first_charge_that_becomes_known_withdraws_a_notice_that_named_none() -> None:
    story = asked(renews_at=None)
    story.billing_tells(renews_at=at("2024-05-01"))

    assert story.round.outcome is Outcome.WITHDRAWN


def test_a_withdrawn_person_is_asked_anew_with_the_new_facts() -> None:
    story = asked()
    story.billing_tells(amount=1999)

    assert story.wake == story.now
    story.sleeps()
    assert (story.round.number, story.waiting) == (2, [Kind.ASK])


def test_a_price_rise_does_not_swallow_a_persons_cancel() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.billing_tells(amount=1999)

    assert story.waiting == [Kind.BILLING_CANCEL]


@pytest.mark.parametrize("begun", [suspending, suspended, canceled, Story])
def test_a_price_rise_of_who_is_not_being_asked_changes_nothing(begun: type[Story]) -> None:
    story = begun()
    before = story.case.round
    story.billing_tells(amount=1999)

    assert story.case.round == before


@pytest.mark.parametrize("status", ["canceled", "paused"])
def test_only_a_change_of_status_is_an_act_of_billing(status: str) -> None:
    story = Story(status=status)

    assert story.billing_tells(amount=1999) is Verdict.APPLIED
    assert story.case.round is None


def test_nothing_that_billing_tells_wakes_the_erased() -> None:
    story = canceled()
    story.case = replace(story.case, round=replace(story.round, outcome=Outcome.ERASED))

    for status in ("canceled", "active", "paused"):
        assert story.billing_tells(status=status) is Verdict.UNCHANGED
    assert story.wake is None


# --- notices at the wrong moment -------------------------------------------------------------


@pytest.mark.parametrize(
    ("begun", "true"),
    [
        (suspended, Kind.SUSPENDED),
        (canceled, Kind.CANCELED),
    ],
)
def test_a_receipt_is_sent_only_while_it_is_true(begun: type[Story], true: Kind) -> None:
    story = begun()
    receipts = (Kind.KEPT, Kind.RESUMED, Kind.SUSPENDED, Kind.CANCELED)
    verdicts = {kind: story.happens(Claim(kind, 1)) for kind in receipts}

    assert verdicts.pop(true) is Verdict.GO
    assert set(verdicts.values()) == {Verdict.VOID}


def test_without_a_round_every_claim_is_void() -> None:
    assert {Story().happens(Claim(kind, 1)) for kind in Kind} == {Verdict.VOID}


@pytest.mark.parametrize("reach", [Reach.BOUNCED, Reach.NO_ADDRESS])
def test_a_receipt_to_nowhere_is_noted_and_not_sent(reach: Reach) -> None:
    story = suspended()
    story.case = replace(story.case, reach=reach)

    assert story.claims(Kind.SUSPENDED) is Verdict.VOID
    assert story.notes[-1] == ("notice.suspended_not_sent", str(reach))


def test_what_tells_billing_waits_for_no_notice_and_no_notice_for_it() -> None:
    lanes = {kind: lane_of(kind) for kind in Kind}

    assert {kind for kind, lane in lanes.items() if lane is Lane.BILLING} == {
        Kind.BILLING_SUSPEND,
        Kind.BILLING_RESUME,
        Kind.BILLING_CANCEL,
        Kind.BILLING_END,
    }
    assert {*lanes.values()} == {Lane.BILLING, Lane.NOTICE}


def test_a_brake_stops_asks_reminders_warnings_and_suspensions_and_nothing_else() -> None:
    stopped = {Kind.ASK, Kind.REMINDER, Kind.ERASURE_WARNING, Kind.BILLING_SUSPEND}
    assert set(BRAKED) == stopped


# --- charges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "told", "after", "due"),
    [
        ("month", "2024-01-31T08:00", "2024-02-10", "2024-02-29T08:00"),
        ("month", "2024-01-31T08:00", "2024-03-10", "2024-03-31T08:00"),
        ("month", "2024-01-31T08:00", "2024-01-31T08:00", "2024-02-29T08:00"),
        ("month", "2014-01-31T08:00", "2024-03-10", "2024-03-31T08:00"),
        ("year", "2020-02-29T08:00", "2023-01-01", "2023-02-28T08:00"),
        ("year", "2020-02-29T08:00", "2023-03-01", "2024-02-29T08:00"),
        ("week", "2014-01-01T08:00", "2024-03-10", "2024-03-13T08:00"),
        ("day", "2014-01-01T08:00", "2024-03-10T09:00", "2024-03-11T08:00"),
        ("day", "2024-03-08T08:00", "2024-03-08T09:00", "2024-03-09T08:00"),
        ("month", "2024-06-01T08:00", "2024-03-10", "2024-06-01T08:00"),
    ],
)
def test_charges_roll_on_from_the_one_that_was_told(
    interval: str, told: str, after: str, due: str
) -> None:

    subscription = Story(interval=interval, renews_at=at(told)).case.subscription
    assert next_charge(subscription, at(after)) == at(due)


def test_a_night_of_two_ones_opens_the_hours_once() -> None:

    zone, hours = ZoneInfo("America/New_York"), (time(1, 30), time(3))
    first, between, second = at("2024-11-03T05:30"), at("2024-11-03T06:10"), at("2024-11-03T06:30")
    assert within_hours(at("2024-11-03T05:35"), zone, hours) == at("2024-11-03T05:35")
    assert within_hours(between, zone, hours) == second
    assert within_hours(at("2024-11-03T05:00"), zone, hours) >= first


def test_hours_that_a_night_skips_open_at_its_end() -> None:

    hours = (time(2, 30), time(5))
    opened = within_hours(at("2024-03-10T06:00"), ZoneInfo("America/New_York"), hours)
    assert opened == at("2024-03-10T07:30")
