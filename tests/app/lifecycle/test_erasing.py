"""Warnings, what forbids an erasure, and its steps, each told as what happened to one person."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from app.lifecycle.case import (
    AllReceipts,
    Answer,
    BeginErasure,
    Erasing,
    Kind,
    Outcome,
    Reach,
    Stage,
    Tick,
    Verdict,
    Wiped,
    Word,
)
from app.lifecycle.erasing import barred, barred_own
from tests.app.lifecycle.build import Story, at, day, policy, suspended

DAY = timedelta(days=1)
ERASES = policy(erase_after="P10M")


def stopped(**how: Any) -> Story:
    """Suspend somebody on 4 March 2024, whose data is due on 15 January 2025."""
    story = suspended(terms=ERASES, **how)
    story.billing_tells(status="paused")
    story.delivers()
    assert story.round.erase_on == day("2025-01-15")
    return story


def warned(**how: Any) -> Story:
    """Hand over both warnings, sixty and fourteen days before."""
    story = stopped(**how)
    for _ in range(2):
        story.sleeps()
        story.goes_to(story.pending[0].not_before)
        story.delivers()
    return story


def due(**how: Any) -> Story:
    """Let the day come."""
    story = warned(**how)
    story.goes_to("2025-01-15")
    assert barred(story.case, story.now) is None
    return story


def begun(**how: Any) -> Story:
    story = due(**how)
    event = BeginErasure(story.round.number, story.round.erase_on)
    assert story.happens(event) is Verdict.APPLIED
    return story


# --- warnings --------------------------------------------------------------------------------


def test_warnings_go_out_sixty_and_fourteen_days_before_in_the_hours() -> None:
    story = stopped()
    assert story.wake == at("2024-11-16")
    story.sleeps()
    assert story.pending[0].not_before == at("2024-11-16T09:00")
    story.goes_to(story.pending[0].not_before)
    story.delivers()
    assert story.wake == at("2025-01-01")
    story.sleeps()
    story.goes_to(story.pending[0].not_before)
    story.delivers()
    silent: object = story.wake
    assert silent is None
    assert (story.round.warnings, story.round.warned_from, story.round.warned_on) == (
        2,
        day("2024-11-16"),
        day("2025-01-01"),
    )
    assert story.round.erase_on == day("2025-01-15")


def test_a_late_last_warning_moves_the_day_on_and_never_back() -> None:
    story = stopped()
    story.sleeps()
    story.goes_to(story.pending[0].not_before)
    story.delivers()
    story.sleeps()
    story.goes_to("2025-01-10T10:00")
    story.delivers()
    assert story.round.erase_on == day("2025-01-24")
    assert barred(story.case, at("2025-01-23T23:00")) == "not_warned"
    assert barred(story.case, at("2025-01-24")) is None


def test_warnings_missed_for_months_go_out_on_two_days_and_the_day_waits() -> None:
    story = stopped()
    story.goes_to("2025-06-01T10:00")
    story.ticks()
    story.delivers()
    assert story.round.erase_on == day("2025-06-16")
    story.ticks()
    assert story.waiting == [], "not two on one day"
    story.sleeps()
    story.goes_to(story.pending[0].not_before)
    story.delivers()
    assert story.now.date() == day("2025-06-02")
    assert story.round.erase_on == day("2025-06-16")


def test_a_warning_that_comes_back_stops_the_erasure_for_good() -> None:
    story = warned()
    story.bounces()
    assert story.round.erase_on is None
    assert story.round.warnings == 0
    story.moves(Reach.OK)
    assert story.wake is None
    assert barred(story.case, at("2030-01-01")) == "not_scheduled"


def test_nobody_is_warned_under_a_hold_and_everybody_after_it() -> None:
    story = stopped()
    story.case = replace(story.case, held=True)
    assert story.wake is None
    story.goes_to("2025-03-01")
    story.case = replace(story.case, held=False)
    assert story.wake == story.now


def test_a_warning_held_up_in_the_outbox_is_void_once_they_keep_their_data() -> None:
    story = stopped()
    story.sleeps()
    assert story.says(Word.KEEP_DATA) is Verdict.APPLIED
    assert story.waiting == []


# --- what forbids it -------------------------------------------------------------------------


FORBIDDEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("hold", {"held": True}, {}),
    ("unreachable", {"reach": Reach.COMPLAINED}, {}),
    ("before_a_person", {}, {"review_at": at("2025-01-10")}),
    ("before_a_person", {}, {"erase_at": at("2025-01-10")}),
    ("wanted", {}, {"word": Word.RESUME}),
    ("not_scheduled", {}, {"erase_on": None}),
    ("not_warned", {}, {"warnings": 1, "warned": 1}),
    ("not_warned", {}, {"warned": 3}),
    ("not_warned", {}, {"warned_on": day("2025-01-02")}),
    ("not_warned", {}, {"warned_from": day("2025-01-01")}),
    ("not_due", {}, {"erase_on": day("2025-01-16")}),
    ("not_stopped", {}, {"stage": Stage.ASKED}),
    ("not_stopped", {}, {"outcome": Outcome.RESUMED}),
]


@pytest.mark.parametrize(("why", "facts", "changes"), FORBIDDEN)
def test_whatever_speaks_against_it_is_named(
    why: str, facts: dict[str, Any], changes: dict[str, Any]
) -> None:
    story = due()
    case = replace(story.case, round=replace(story.round, **changes), **facts)
    assert barred(case, story.now) == why


def test_the_day_begins_where_they_live_and_a_brake_that_lifted_gives_three_more() -> None:
    story = due()
    west = replace(story.case.subscription, zone=ZoneInfo("America/Los_Angeles"))
    earlier = replace(story.round, warned_on=day("2024-12-30"))
    there = replace(story.case, subscription=west, round=earlier)
    assert barred(there, story.now) == "not_due"
    assert barred(there, story.now + timedelta(hours=8)) is None
    story.sees(lifted_at=story.now - DAY)
    assert barred(story.case, story.now) == "not_due"
    assert barred(story.case, story.now + 3 * DAY) is None


def test_feeds_have_to_have_told_the_day_before() -> None:
    story = due()
    story.sees(heard_until=day("2025-01-13"))
    assert barred(story.case, story.now) == "not_heard"
    story.sees(heard_until=None)
    assert barred(story.case, story.now) == "not_heard"


def test_what_billing_told_before_the_stop_proves_no_charge_and_after_it_does() -> None:
    story = due()
    active = replace(story.case.subscription, status="active")
    since = story.round.decided_at
    assert since is not None
    told = {"before": since - DAY, "after": since, "never": None}
    said = {
        name: barred(replace(story.case, subscription=active, told_at=moment), story.now)
        for name, moment in told.items()
    }
    assert said == {
        "before": None,
        "after": "charged_by_billing",
        "never": "charged_by_billing",
    }


def test_paid_time_of_a_cancel_may_be_used_up_and_no_day_more() -> None:
    story = due()
    paid = at("2024-03-15T08:00")
    ended = replace(story.round, stage=Stage.CANCELED, paid_until=paid, decided_by="subscriber")
    last = {
        used: barred(
            replace(
                story.case,
                round=ended,
                subscription=replace(story.case.subscription, last_used_on=day(used)),
            ),
            story.now,
        )
        for used in ("2024-03-14", "2024-03-15")
    }
    assert last == {"2024-03-14": None, "2024-03-15": "used"}


def test_an_own_wish_rests_a_day_and_waits_for_no_warning() -> None:
    story = stopped()
    story.case = replace(story.case, round=replace(story.round, erase_at=story.now))
    assert barred_own(story.case, story.now + DAY - timedelta(seconds=1)) == "rests"
    assert barred_own(story.case, story.now + DAY) is None
    assert barred_own(replace(story.case, held=True), story.now + DAY) == "hold"
    unreached = replace(story.case, reach=Reach.BOUNCED)
    assert barred_own(unreached, story.now + DAY) is None


# --- its steps -------------------------------------------------------------------------------


def test_another_day_or_round_than_was_agreed_to_begins_nothing() -> None:
    story = due()
    number, on = story.round.number, story.round.erase_on
    assert on is not None
    assert story.happens(BeginErasure(number, on - DAY)) is Verdict.VOID
    assert story.happens(BeginErasure(number, date.max)) is Verdict.VOID
    assert story.happens(BeginErasure(number + 1, on)) is Verdict.OLDER_ROUND
    assert story.happens(BeginErasure(number)) is Verdict.VOID


def test_each_step_waits_for_the_one_before() -> None:
    story = begun()
    number = story.round.number
    assert (story.round.erasing, story.waiting) == ("ending", [Kind.BILLING_END])
    for early in (AllReceipts(number), Wiped(number), Tick()):
        assert story.happens(early) is Verdict.UNCHANGED
    story.delivers()
    assert story.round.erasing == "telling"
    assert story.happens(Wiped(number)) is Verdict.UNCHANGED
    assert story.happens(AllReceipts(number)) is Verdict.APPLIED
    assert (story.round.erasing, story.waiting) == ("parting", [Kind.ERASED])
    story.delivers()
    assert story.round.erasing == "wiping"
    assert story.happens(Wiped(number)) is Verdict.APPLIED
    assert (story.case.stage, story.round.outcome) == (Stage.ERASED, Outcome.ERASED)
    assert story.wake is None


def test_the_last_notice_is_waited_for_three_days_and_no_longer() -> None:
    story = begun()
    story.delivers()
    story.happens(AllReceipts(story.round.number))
    assert story.wake == story.now + 3 * DAY
    story.sleeps()
    assert (story.round.erasing, story.waiting) == (Erasing.WIPING, [])


def test_a_last_notice_that_comes_back_ends_the_waiting() -> None:
    story = begun()
    story.delivers()
    story.happens(AllReceipts(story.round.number))
    story.bounces()
    assert (story.round.erasing, story.waiting) == (Erasing.WIPING, [])


def test_nothing_that_is_said_or_used_takes_it_back_once_it_was_begun() -> None:
    story = begun()
    verdicts = {story.happens(Answer(word)) for word in Word}
    story.uses()
    story.moves(Reach.NO_ADDRESS)
    assert verdicts == {Verdict.ENDED}
    assert story.case.stage is Stage.ERASING


def test_a_resume_at_billing_before_anybody_was_told_stops_it() -> None:
    story = begun()
    story.billing_tells(status="active")
    assert story.round.outcome is Outcome.BY_BILLING
    assert story.waiting == []


@pytest.mark.parametrize("when", ["being told", "told"])
def test_a_resume_at_billing_later_than_that_stops_nothing(when: str) -> None:
    story = begun()
    story.claims(Kind.BILLING_END)
    if when == "told":
        story.succeeds(Kind.BILLING_END)
    story.billing_tells(status="active")
    assert story.case.stage is Stage.ERASING


def test_an_end_that_never_reached_billing_is_told_again_under_the_same_number() -> None:
    story = begun()
    story.claims(Kind.BILLING_END)
    number = story.round.act_version
    story.turns_out_undone(Kind.BILLING_END)
    assert story.waiting == [Kind.BILLING_END]
    assert story.round.act_version == number


def test_what_has_ended_at_billing_is_not_ended_again() -> None:
    story = due()
    story.billing_tells(status="canceled")
    story.case = replace(
        story.case,
        round=replace(story.round, **{name: getattr(due().round, name) for name in WARNED}),
    )
    story.happens(BeginErasure(story.round.number, story.round.erase_on))
    assert (story.round.erasing, story.waiting) == (Erasing.TELLING, [])


WARNED = ("erase_on", "warned", "warnings", "warned_from", "warned_on", "decided_at")
