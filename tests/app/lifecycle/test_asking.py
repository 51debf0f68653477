"""Who is asked, when, and what ends an ask before anybody has answered."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from app.lifecycle.case import (
    Claim,
    HandedOver,
    Kind,
    Outcome,
    Reach,
    Stage,
    StopReminders,
    Verdict,
    Why,
    Word,
)
from tests.app.lifecycle.build import DUE, Story, asked, at, day, overdue, policy, queued

EARLY = {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"}


# --- who is asked, and on which day --------------------------------------------------------


def test_two_years_and_a_day_after_the_last_use_a_person_is_asked() -> None:
    story = Story()

    assert story.wake == at(DUE)
    story.goes_to("2024-02-01T23:59:59")
    assert story.ticks() is Verdict.UNCHANGED
    story.goes_to(DUE)
    assert story.ticks() is Verdict.APPLIED
    assert (story.case.stage, story.round.why) == (Stage.ASKED, Why.UNUSED)
    assert story.waiting == [Kind.ASK]


def test_who_never_used_it_is_asked_a_year_and_a_day_after_the_start() -> None:
    story = Story(now="2022-06-01", last_used_on=None, started_on=day("2021-06-15"))

    assert story.wake == at("2022-06-16")
    story.sleeps()
    assert story.round.why is Why.NEVER_USED


def test_use_before_the_start_belongs_to_an_earlier_subscription() -> None:
    story = Story(now="2022-06-01", last_used_on=day("2020-01-01"), started_on=day("2021-06-15"))

    story.sleeps()
    assert (story.now, story.round.why) == (at("2022-06-16"), Why.NEVER_USED)


def test_use_on_the_first_day_counts_as_use() -> None:
    story = Story(last_used_on=day("2021-06-15"), started_on=day("2021-06-15"), now="2022-07-01")

    assert story.wake == at("2023-06-16")


def test_inactivity_counts_from_the_day_the_feeds_began_to_tell() -> None:
    assert Story(covers=day("2023-01-10")).wake == at("2025-01-11")


@pytest.mark.parametrize("status", ["trialing", "paused", "canceled"])
def test_who_is_not_charged_is_not_asked(status: str) -> None:
    assert Story(status=status).wake is None


def test_who_is_behind_with_a_payment_is_asked() -> None:
    assert Story(status="past_due").wake == at(DUE)


@pytest.mark.parametrize("amount", [0, -5])
def test_who_pays_nothing_is_not_asked(amount: int) -> None:
    assert Story(amount=amount).wake is None


def test_a_penny_is_a_charge() -> None:
    assert Story(amount=1).wake == at(DUE)


def test_nobody_is_asked_before_the_feeds_have_told_the_day_before() -> None:
    story = Story(now=DUE, heard=day("2024-01-31"))

    assert story.wake is None
    assert story.ticks() is Verdict.UNCHANGED
    story.sees(heard_until=day("2024-02-01"))
    assert story.ticks() is Verdict.APPLIED


def test_a_feed_that_never_spoke_means_that_nobody_is_asked() -> None:
    story = Story(now="2030-01-01", heard=None)

    assert (story.wake, story.ticks()) == (None, Verdict.UNCHANGED)


def test_whoever_is_long_overdue_is_asked_now() -> None:
    assert Story(now="2025-05-05T05:05").wake == at("2025-05-05T05:05")


def test_a_segment_has_its_own_threshold() -> None:
    terms = policy(segments=[{"when": {"plan": ["basic"]}, "unused_after": "P1Y"}])

    assert Story(terms=terms, now="2022-05-01").wake == at("2023-02-02")
    assert Story(terms=terms, now="2022-05-01", plan="plus").wake == at(DUE)


def test_the_round_keeps_the_version_and_segment_it_began_with() -> None:
    terms = policy(version=7, segments=[{"when": {"plan": ["basic"]}, "unused_after": "P1Y"}])
    story = queued(terms=terms, now="2023-02-01")

    assert (story.round.version, story.round.segment, story.round.number) == (7, 0, 1)


def test_somebody_new_is_not_asked_for_years() -> None:
    story = Story(now="2024-02-01", started_on=day("2024-02-01"), last_used_on=None)

    assert story.wake == at("2025-02-02")


# --- before a yearly renewal ---------------------------------------------------------------


def yearly(**how: object) -> Story:
    facts = {
        "terms": policy(before_renewal=EARLY),
        "interval": "year",
        "renews_at": at("2024-09-20T08:00"),
        "last_used_on": day("2023-12-01"),
        "now": "2024-02-01",
    }
    return Story(**facts | how)  # type: ignore[arg-type]


def test_an_unused_yearly_subscription_is_asked_ahead_of_its_charge() -> None:
    story = yearly()

    assert story.wake == at("2024-08-06")
    story.sleeps()
    assert story.round.why is Why.BEFORE_RENEWAL


def test_the_window_of_an_early_ask_ends_before_the_charge() -> None:
    story = yearly(now="2024-08-19")
    story.sleeps()
    story.waits(hours=9)
    story.delivers()

    assert story.round.answer_by == at("2024-09-19")


def test_who_becomes_unused_too_late_before_the_charge_is_asked_a_year_later() -> None:
    # Half a year after 20 February is 20 August: one day more, and the window has no room left.
    assert yearly(last_used_on=day("2024-02-17")).wake == at("2024-08-18")
    assert yearly(last_used_on=day("2024-02-18")).wake == at("2024-08-19")
    assert yearly(last_used_on=day("2024-02-20")).wake == at("2025-08-06")


def test_a_day_that_passed_leads_to_the_next_renewal_however_long_it_has_been_unused() -> None:
    terms = policy(before_renewal=EARLY, unused_after="P9Y")
    story = yearly(
        terms=terms, started_on=day("2018-01-01"), last_used_on=day("2018-01-01"), now="2024-09-01"
    )

    assert story.wake == at("2025-08-06")
    story.sleeps()
    assert story.round.why is Why.BEFORE_RENEWAL


def test_an_early_ask_that_was_held_up_until_it_no_longer_fits_is_withdrawn() -> None:
    story = yearly(now="2024-08-19T20:30")
    assert story.sleeps() is Verdict.APPLIED
    story.goes_to("2024-08-20T09:00")

    assert story.claims(Kind.ASK) is Verdict.VOID
    assert story.round.outcome is Outcome.WITHDRAWN
    assert story.wake == at("2025-08-06")


@pytest.mark.parametrize("interval", ["month", "week", "day"])
def test_only_the_intervals_named_are_asked_early(interval: str) -> None:
    assert yearly(interval=interval).wake == at("2025-12-02")


def test_without_a_known_charge_nobody_is_asked_early() -> None:
    assert yearly(renews_at=None).wake == at("2025-12-02")


def test_the_usual_threshold_holds_where_it_comes_first() -> None:
    story = yearly(last_used_on=day("2022-03-01"))

    story.sleeps()
    assert (story.now, story.round.why) == (at("2024-03-02"), Why.UNUSED)


def test_who_kept_it_is_left_in_peace_before_the_next_renewal_too() -> None:
    story = yearly()
    story.sleeps()
    story.waits(hours=9)
    story.delivers()
    story.says(Word.KEEP)

    # A year of peace ends on 6 August 2025, the very day on which the next early ask is due.
    assert story.wake == at("2025-08-06")
    story.sleeps()
    assert story.round.why is Why.BEFORE_RENEWAL


@pytest.mark.parametrize("interval", ["day", "week", "month", "year"])
def test_an_early_ask_can_be_had_for_every_interval(interval: str) -> None:
    early = EARLY | {"intervals": ["day", "week", "month", "year"]}
    story = yearly(terms=policy(before_renewal=early), interval=interval)
    story.sleeps()

    assert story.round.why is Why.BEFORE_RENEWAL


# --- the claim of the ask ------------------------------------------------------------------


def test_the_ask_states_the_date_it_is_claimed_for() -> None:
    story = queued()
    story.goes_to("2024-02-02T09:00")

    assert story.claims(Kind.ASK) is Verdict.GO
    assert (story.round.stated_by, story.round.answer_by) == (day("2024-03-03"), None)


def test_the_promise_starts_when_the_notice_has_gone_out() -> None:
    story = asked()

    assert (story.round.asked_at, story.round.answer_by) == (story.now, at("2024-03-04"))


def test_a_retry_on_a_later_day_states_the_later_date() -> None:
    story = queued()
    story.goes_to("2024-02-02T09:00")
    story.claims(Kind.ASK)
    story.goes_to("2024-02-03T09:00")
    story.happens(Claim(Kind.ASK, 1))

    assert story.round.stated_by == day("2024-03-04")
    story.succeeds(Kind.ASK)
    assert story.round.answer_by == at("2024-03-05")


def test_a_hand_over_after_midnight_still_leaves_the_whole_window() -> None:
    story = queued()
    story.goes_to("2024-02-02T19:59:59")
    story.claims(Kind.ASK)
    story.goes_to("2024-02-03T00:00:01")
    story.succeeds(Kind.ASK)

    assert story.round.answer_by == at("2024-03-05")


def test_a_second_copy_moves_no_promise() -> None:
    story = asked()
    before = story.round
    story.waits(days=2)
    story.happens(HandedOver(Kind.ASK, 1))

    assert story.round == before


def test_a_notice_goes_out_between_nine_and_eight() -> None:
    story = queued()

    assert story.pending[0].not_before == at("2024-02-02T09:00")
    assert story.claims(Kind.ASK) is Verdict.WAIT
    story.goes_to("2024-02-02T20:00")
    assert story.claims(Kind.ASK) is Verdict.WAIT
    story.goes_to("2024-02-02T19:59:59")
    assert story.claims(Kind.ASK) is Verdict.GO


def test_a_notice_that_must_wait_is_told_until_when() -> None:
    story = queued()
    claim = Claim(Kind.ASK, 1)

    from_night = story.goes_to("2024-02-02T03:00")
    assert from_night.happens(claim) is Verdict.WAIT


def test_an_ask_that_could_not_be_handed_over_in_three_days_is_withdrawn() -> None:
    story = queued()

    assert story.wake == at("2024-02-05")
    story.goes_to("2024-02-04T23:59:59")
    assert story.ticks() is Verdict.UNCHANGED
    story.sleeps()
    assert (story.round.outcome, story.waiting) == (Outcome.WITHDRAWN, [])


def test_a_withdrawn_ask_does_not_count_as_an_answer_and_is_asked_anew() -> None:
    story = queued()
    story.sleeps()

    assert story.wake == story.now
    story.sleeps()
    assert (story.round.number, story.waiting) == (2, [Kind.ASK])


def test_an_ask_claimed_after_three_days_is_withdrawn_and_not_sent() -> None:
    story = queued().goes_to("2024-02-05T10:00")

    assert story.claims(Kind.ASK) is Verdict.VOID
    assert story.round.outcome is Outcome.WITHDRAWN


def test_who_used_it_before_the_ask_was_claimed_is_not_asked() -> None:
    story = queued().goes_to("2024-02-02T10:00")
    story.case = replace(
        story.case, subscription=replace(story.case.subscription, last_used_on=day("2024-02-02"))
    )

    assert story.claims(Kind.ASK) is Verdict.VOID
    assert story.round.outcome is Outcome.RETURNED


def test_who_is_no_longer_charged_when_the_ask_is_claimed_is_not_asked() -> None:
    story = queued().goes_to("2024-02-02T10:00")
    story.case = replace(story.case, subscription=replace(story.case.subscription, amount=0))

    assert story.claims(Kind.ASK) is Verdict.VOID
    assert story.round.outcome is Outcome.WITHDRAWN


def test_a_feed_that_turns_out_to_know_less_stops_the_ask() -> None:
    story = queued().goes_to("2024-02-02T10:00")
    story.sees(covers_from=day("2023-06-01"))

    assert story.claims(Kind.ASK) is Verdict.VOID
    assert story.round.outcome is Outcome.WITHDRAWN


def test_a_feed_that_has_not_told_enough_any_more_stops_the_ask() -> None:
    story = queued().goes_to("2024-02-02T10:00")
    story.sees(heard_until=day("2024-01-20"))

    assert story.claims(Kind.ASK) is Verdict.VOID


def test_an_answer_before_the_ask_voids_it() -> None:
    story = queued()
    story.says(Word.KEEP, by="app")

    assert story.happens(Claim(Kind.ASK, 1)) is Verdict.VOID
    assert Kind.ASK not in story.waiting


def test_an_ask_is_not_sent_to_who_has_just_canceled() -> None:
    story = queued().goes_to("2024-02-02T10:00")
    story.says(Word.CANCEL, by="app")

    assert story.happens(Claim(Kind.ASK, 1)) is Verdict.VOID


def test_an_ask_that_was_handed_over_is_not_sent_again() -> None:
    assert asked().happens(Claim(Kind.ASK, 1)) is Verdict.VOID


def test_a_hand_over_of_an_ask_that_nobody_claimed_promises_nothing() -> None:
    story = queued()
    story.happens(HandedOver(Kind.ASK, 1))

    assert (story.round.asked_at, story.round.answer_by) == (None, None)


def test_a_retry_never_states_an_earlier_date() -> None:
    story = queued(zone=ZoneInfo("Pacific/Kiritimati"), now="2024-01-20")
    story.goes_to("2024-02-02T19:00")
    story.claims(Kind.ASK)
    story.billing_tells(zone=ZoneInfo("Etc/GMT+12"))
    story.goes_to("2024-02-03T00:00")
    story.happens(Claim(Kind.ASK, 1))

    assert story.round.stated_by == day("2024-03-04")


# --- reminders -----------------------------------------------------------------------------


def test_reminders_go_out_a_week_and_three_weeks_after_the_ask() -> None:
    story = asked()

    story.sleeps()
    assert (story.now, story.waiting) == (at("2024-02-09"), [Kind.REMINDER])
    story.waits(hours=9)
    story.delivers()
    story.sleeps()
    assert (story.now, [each.version for each in story.pending]) == (at("2024-02-23"), [2])


def test_missed_reminders_are_skipped_and_never_sent_together() -> None:
    story = asked().goes_to("2024-02-24T10:00")
    story.ticks()

    assert [(each.kind, each.version) for each in story.pending] == [(Kind.REMINDER, 2)]
    assert story.wake == at("2024-03-04")


def test_a_reminder_still_waiting_is_replaced_by_the_next() -> None:
    story = asked()
    story.sleeps()
    story.sleeps()

    assert [each.version for each in story.pending] == [2]


def test_no_reminder_is_queued_in_the_last_two_days() -> None:
    story = asked().goes_to("2024-03-02")

    assert story.ticks() is Verdict.APPLIED
    assert story.waiting == []


def test_a_reminder_queued_in_time_is_not_sent_in_the_last_two_days() -> None:
    story = asked()
    story.goes_to("2024-02-24").ticks()

    story.goes_to("2024-03-02T10:00")
    assert story.claims(Kind.REMINDER) is Verdict.VOID


def test_a_reminder_due_in_the_last_two_days_is_never_looked_for() -> None:
    story = asked(terms=policy(reminders=["P28D", "P29D"]))

    story.sleeps()
    assert (story.now, story.waiting) == (at("2024-03-01"), [Kind.REMINDER])
    assert story.wake == at("2024-03-04")


def test_one_click_stops_reminders_and_nothing_else() -> None:
    story = asked()
    assert story.happens(StopReminders(round=1)) is Verdict.APPLIED
    assert story.wake == at("2024-03-04")
    story.sleeps()
    assert story.waiting == [Kind.BILLING_SUSPEND]


def test_the_one_click_of_an_older_round_stops_nothing() -> None:
    story = asked()

    assert story.happens(StopReminders(round=2)) is Verdict.UNCHANGED
    assert story.wake == at("2024-02-09")


def test_a_reminder_already_queued_is_not_sent_after_the_one_click() -> None:
    story = asked()
    story.sleeps()
    story.waits(hours=10)
    story.happens(StopReminders(round=1))

    assert story.claims(Kind.REMINDER) is Verdict.VOID


def test_a_reminder_is_not_sent_to_who_used_it_meanwhile() -> None:
    story = asked()
    story.sleeps()
    story.waits(hours=10)
    story.case = replace(
        story.case, subscription=replace(story.case.subscription, last_used_on=day("2024-02-09"))
    )

    assert story.claims(Kind.REMINDER) is Verdict.VOID
    assert story.round.outcome is Outcome.RETURNED


def test_a_reminder_already_on_its_way_is_not_sent_after_a_return() -> None:
    story = asked()
    story.goes_to("2024-02-09T10:00").ticks()
    story.uses()

    assert story.happens(Claim(Kind.REMINDER, 1)) is Verdict.VOID


def test_a_reminder_keeps_to_the_hours() -> None:
    story = asked()
    story.sleeps()

    assert story.pending[0].not_before == at("2024-02-09T09:00")
    assert story.claims(Kind.REMINDER) is Verdict.WAIT


@pytest.mark.parametrize("word", [Word.KEEP, Word.CANCEL])
def test_no_reminder_after_an_answer(word: Word) -> None:
    story = asked()
    story.sleeps()
    story.says(word)

    assert Kind.REMINDER not in story.waiting
    assert story.happens(Claim(Kind.REMINDER, 1)) is Verdict.VOID


# --- use -----------------------------------------------------------------------------------


def test_use_ends_the_round_without_a_notice() -> None:
    story = asked().waits(days=5)

    story.uses()
    assert (story.round.outcome, story.case.stage, story.waiting) == (
        Outcome.RETURNED,
        Stage.ACTIVE,
        [],
    )


def test_after_a_return_the_years_count_anew() -> None:
    story = asked().waits(days=5)
    story.uses()

    assert story.wake == at("2026-02-08")


def test_use_before_the_ask_that_comes_to_light_late_is_a_return_too() -> None:
    story = asked().waits(days=5)
    story.uses(on=day("2024-01-15"))

    assert story.round.outcome is Outcome.RETURNED


def test_old_use_that_changes_nothing_withdraws_a_notice_that_named_the_wrong_day() -> None:
    # Used again in March 2022, says a late file: still two years ago when they were asked in 2024.
    story = asked(now="2024-06-01")
    story.waits(days=5)
    story.uses(on=day("2022-03-01"))

    assert story.round.outcome is Outcome.WITHDRAWN
    assert story.wake == story.now


def test_use_the_round_knew_of_changes_nothing() -> None:
    story = asked()

    assert story.uses(on=day("2022-02-01")) is Verdict.UNCHANGED


def test_use_of_somebody_who_is_not_being_asked_changes_nothing() -> None:
    assert Story().uses() is Verdict.UNCHANGED


def test_the_first_use_ever_is_a_return() -> None:
    story = asked(last_used_on=None)
    story.waits(days=1)

    story.uses()
    assert story.round.outcome is Outcome.RETURNED


def test_use_before_the_suspension_is_claimed_voids_it() -> None:
    story = overdue()
    story.uses()

    assert (story.round.outcome, story.waiting) == (Outcome.RETURNED, [])


def test_use_found_at_the_claim_of_the_suspension_voids_it() -> None:
    story = overdue()
    story.case = replace(
        story.case, subscription=replace(story.case.subscription, last_used_on=day("2024-03-01"))
    )

    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    assert story.round.outcome is Outcome.RETURNED


def test_use_of_who_is_canceling_does_not_undo_their_cancel() -> None:
    story = asked()
    story.says(Word.CANCEL)

    assert story.uses() is Verdict.UNCHANGED
    assert story.waiting == [Kind.BILLING_CANCEL]


# --- unreachable ---------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [Reach.BOUNCED, Reach.COMPLAINED])
def test_an_ask_that_comes_back_closes_its_round(reach: Reach) -> None:
    story = asked().waits(days=3)
    story.bounces(reach)

    assert (story.round.outcome, story.case.reach, story.waiting) == (
        Outcome.UNREACHABLE,
        reach,
        [],
    )
    assert story.wake is None


@pytest.mark.parametrize("reach", [Reach.NO_ADDRESS, Reach.BOUNCED, Reach.COMPLAINED])
def test_without_an_address_that_works_the_ask_is_not_sent(reach: Reach) -> None:
    story = queued()
    story.case = replace(story.case, reach=reach)
    story.waits(hours=9)

    assert story.claims(Kind.ASK) is Verdict.VOID
    assert story.round.outcome is Outcome.UNREACHABLE


def test_a_new_address_makes_them_due_now() -> None:
    story = asked().waits(days=3)
    story.bounces()
    story.waits(days=40)
    story.moves()

    assert story.wake == story.now
    story.sleeps()
    assert story.round.number == 2


def test_an_address_that_is_no_address_makes_nobody_due() -> None:
    story = asked().waits(days=3)
    story.bounces()
    story.moves(Reach.NO_ADDRESS)

    assert story.wake is None


def test_for_now_waiting_and_suspending_treat_the_unreachable_alike() -> None:
    story = asked(terms=policy(when_unreachable="suspend"))
    story.bounces()

    assert (story.round.outcome, story.wake) == (Outcome.UNREACHABLE, None)


def test_a_bounce_after_the_window_and_before_the_claim_stops_the_suspension() -> None:
    story = overdue()
    story.bounces()

    assert (story.round.outcome, story.waiting) == (Outcome.UNREACHABLE, [])


def test_an_address_lost_while_waiting_stops_the_suspension_at_its_claim() -> None:
    story = asked()
    story.moves(Reach.NO_ADDRESS)
    assert story.round.open
    story.goes_to("2024-03-04").ticks()

    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    assert story.round.outcome is Outcome.UNREACHABLE


def test_a_bounce_does_not_undo_a_persons_own_cancel() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.bounces()

    assert (story.case.reach, story.waiting) == (Reach.BOUNCED, [Kind.BILLING_CANCEL])


def test_the_same_bounce_told_twice_is_one() -> None:
    story = asked()
    story.bounces()

    assert story.bounces() is Verdict.UNCHANGED


def test_the_same_address_told_again_changes_nothing_but_is_looked_at() -> None:
    story = Story()

    assert story.moves() is Verdict.APPLIED
    assert story.notes == []


# --- zones and clocks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "due", "ask", "end"),
    [
        ("Etc/GMT+12", "2024-02-02T12:00", "2024-02-02T21:00", "2024-03-04T12:00"),
        ("America/Los_Angeles", "2024-02-02T08:00", "2024-02-02T17:00", "2024-03-04T08:00"),
        ("UTC", "2024-02-02T00:00", "2024-02-02T09:00", "2024-03-04T00:00"),
        ("Asia/Kolkata", "2024-02-01T18:30", "2024-02-02T03:30", "2024-03-03T18:30"),
        ("Pacific/Kiritimati", "2024-02-01T10:00", "2024-02-01T19:00", "2024-03-03T10:00"),
    ],
)
def test_days_begin_and_end_where_the_person_lives(zone: str, due: str, ask: str, end: str) -> None:
    story = Story(zone=ZoneInfo(zone), now="2024-01-20")

    assert story.wake == at(due)
    story.sleeps()
    assert story.pending[0].not_before == at(ask)
    story.goes_to(ask)
    story.delivers()
    assert (story.round.stated_by, story.round.answer_by) == (day("2024-03-03"), at(end))


@pytest.mark.parametrize(
    ("last_used", "ask", "end", "hours"),
    [
        ("2022-03-01", "2024-03-02T08:00", "2024-04-01T22:00", 734),  # an hour lost on 31 March
        ("2022-10-01", "2024-10-02T07:00", "2024-11-01T23:00", 736),  # an hour won on 27 October
    ],
)
def test_a_window_over_a_change_of_clocks_still_ends_at_midnight(
    last_used: str, ask: str, end: str, hours: int
) -> None:
    story = asked(zone=ZoneInfo("Europe/Paris"), last_used_on=day(last_used))

    assert (story.round.asked_at, story.round.answer_by) == (at(ask), at(end))
    assert at(end) - at(ask) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("last_used", "due"),
    [("2020-02-29", "2022-03-01"), ("2022-02-28", "2024-02-29"), ("2024-02-29", "2026-03-01")],
)
def test_a_leap_day_two_years_later_is_the_last_of_february(last_used: str, due: str) -> None:
    story = Story(now="2021-01-01", started_on=day("2019-01-01"), last_used_on=day(last_used))

    assert story.wake == at(due)


def test_a_month_after_the_31st_is_the_last_of_the_month() -> None:
    terms = policy(answer_within="P1M", reminders=[])
    story = asked(terms=terms, last_used_on=day("2022-01-30"), now="2024-01-15")

    assert (story.round.asked_at, story.round.stated_by) == (
        at("2024-01-31T09:00"),
        day("2024-02-29"),
    )


def test_thirty_days_after_the_31st_are_thirty_days() -> None:
    story = asked(last_used_on=day("2022-01-30"), now="2024-01-15")

    assert story.round.stated_by == date(2024, 3, 1)


def test_a_person_who_moves_zone_while_asked_keeps_the_promise_made() -> None:
    story = asked()
    before = story.round.answer_by
    story.billing_tells(zone=ZoneInfo("Pacific/Kiritimati"))

    assert story.round.answer_by == before
