"""What silence comes to, what comes after it, and how somebody comes back."""

from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from app.lifecycle.case import (
    Acknowledged,
    Act,
    ActState,
    Claim,
    Declined,
    Kind,
    NotDone,
    Outcome,
    Reach,
    Stage,
    Verdict,
    Word,
)
from tests.app.lifecycle.build import (
    asked,
    at,
    canceled,
    day,
    overdue,
    policy,
    resuming,
    suspended,
    suspending,
)

ERASING = policy(erase_after="P10M")


# --- the end of the window -----------------------------------------------------------------


def test_at_the_end_of_the_window_billing_is_to_be_told_and_the_stage_stays() -> None:
    story = asked().goes_to("2024-03-03T23:59:59.999999")

    story.ticks()
    assert story.round.act is None
    story.sleeps()
    assert (story.now, story.waiting) == (at("2024-03-04"), [Kind.BILLING_SUSPEND])
    assert (story.case.stage, story.round.act_state) == (Stage.ASKED, ActState.QUEUED)


def test_silence_may_mean_a_cancel_at_the_end_of_the_period() -> None:
    story = overdue(terms=policy(on_no_answer="cancel_at_period_end", erase_after="P1Y"))

    assert story.waiting == [Kind.BILLING_CANCEL]
    story.delivers("2024-03-15T08:00")
    assert (story.case.stage, story.round.decided_by) == (Stage.CANCELED, "silence")
    assert story.round.erase_on == day("2025-03-15")


def test_silence_may_mean_nothing() -> None:
    story = overdue(terms=policy(on_no_answer="nothing"))

    assert (story.round.outcome, story.waiting) == (Outcome.EXPIRED, [])
    assert (story.round.decided_by, story.round.decided_at) == ("silence", story.now)
    assert story.wake == at("2025-03-04")


def test_silence_does_not_count_while_the_feeds_have_not_told_the_whole_window() -> None:
    story = asked().goes_to("2024-03-10")
    story.sees(heard_until=day("2024-03-02"))
    story.goes_to("2024-03-03T10:00").ticks()
    story.goes_to("2024-03-10")

    assert (story.wake, story.ticks()) == (None, Verdict.UNCHANGED)
    story.sees(heard_until=day("2024-03-03"))
    assert story.ticks() is Verdict.APPLIED


def test_in_the_west_the_last_evening_is_told_with_the_next_day() -> None:
    story = asked(zone=ZoneInfo("America/Los_Angeles")).goes_to("2024-03-04T08:00")
    story.sees(heard_until=day("2024-03-03"))

    assert story.ticks() is Verdict.APPLIED  # the reminders that were missed
    assert story.ticks() is Verdict.UNCHANGED
    story.sees(heard_until=day("2024-03-04"))
    assert story.ticks() is Verdict.APPLIED


def test_in_the_east_the_last_day_is_told_with_its_own() -> None:
    story = asked(zone=ZoneInfo("Pacific/Kiritimati")).goes_to("2024-03-03T10:00")
    story.sees(heard_until=day("2024-03-02"))
    story.ticks()

    assert story.round.act is None
    story.sees(heard_until=day("2024-03-03"))
    story.ticks()
    assert story.round.act is Act.SUSPEND


def test_a_suspension_is_void_where_the_feeds_turn_out_to_have_told_less() -> None:
    story = overdue()
    story.sees(heard_until=day("2024-03-01"))

    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    assert (story.round.open, story.round.act) == (True, None)
    story.sees(heard_until=day("2024-03-03"))
    assert story.sleeps() is Verdict.APPLIED
    assert [each.version for each in story.pending] == [2]


def test_who_is_no_longer_charged_is_not_suspended() -> None:
    story = overdue()
    story.case = replace(
        story.case, subscription=replace(story.case.subscription, status="canceled")
    )

    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    assert story.round.outcome is Outcome.WITHDRAWN


# --- a brake that lifts --------------------------------------------------------------------


def test_after_a_brake_lifts_no_deadline_falls_sooner_than_three_days() -> None:
    story = asked().goes_to("2024-03-02T15:00")
    story.sees(lifted_at=story.now)
    story.ticks()

    assert story.wake == at("2024-03-06")
    story.goes_to("2024-03-05T23:59")
    assert story.ticks() is Verdict.UNCHANGED
    story.sleeps()
    assert story.waiting == [Kind.BILLING_SUSPEND]


def test_a_brake_that_lifted_long_before_the_deadline_moves_nothing() -> None:
    story = asked()
    story.sees(lifted_at=at("2024-02-10T15:00"))
    story.goes_to("2024-02-24").ticks()

    assert story.wake == at("2024-03-04")


def test_a_deadline_that_passed_under_the_brake_leaves_three_days() -> None:
    story = asked().goes_to("2024-04-01T15:00")
    story.sees(lifted_at=story.now)
    story.ticks()

    assert story.wake == at("2024-04-05")


def test_a_suspension_queued_under_the_brake_waits_those_three_days_too() -> None:
    story = overdue().waits(days=1, hours=1)
    story.sees(lifted_at=story.now)

    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    story.ticks()  # there is time again for the reminder that was missed
    assert story.wake == at("2024-03-09")
    story.sleeps()
    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.GO


# --- suspended -----------------------------------------------------------------------------


def test_a_suspension_is_one_only_when_billing_has_acknowledged_it() -> None:
    story = suspending()

    assert (story.case.stage, story.waiting) == (Stage.ASKED, [])
    story.succeeds(Kind.BILLING_SUSPEND, "2024-03-15T08:00")
    assert (story.case.stage, story.waiting) == (Stage.SUSPENDED, [Kind.SUSPENDED])
    assert (story.round.decided_by, story.round.decided_at) == ("silence", story.now)
    assert story.round.paid_until == at("2024-03-15T08:00")


def test_a_suspension_leaves_nothing_for_time_to_do() -> None:
    assert suspended().wake is None


def test_the_receipt_of_a_suspension_goes_out_at_once_even_at_night() -> None:
    story = suspended()

    assert story.delivers() == [Kind.SUSPENDED]


def test_an_acknowledgment_told_twice_is_one() -> None:
    story = suspended()

    assert story.happens(Acknowledged(Act.SUSPEND, 1, None)) is Verdict.UNCHANGED
    assert story.round.paid_until is not None


@pytest.mark.parametrize(("act", "version"), [(Act.SUSPEND, 2), (Act.CANCEL, 1), (Act.RESUME, 1)])
def test_an_acknowledgment_of_something_else_is_none(act: Act, version: int) -> None:
    assert suspending().happens(Acknowledged(act, version, None)) is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("paid_until", "erase_on"),
    [("2024-03-15T08:00", "2025-01-15"), ("2024-03-01T00:00", "2025-01-04"), (None, "2025-01-04")],
)
def test_data_is_due_ten_months_after_the_later_of_confirmation_and_paid_time(
    paid_until: str | None, erase_on: str
) -> None:
    story = suspended(paid_until, terms=ERASING)

    assert story.round.erase_on == day(erase_on)
    assert ("erasure_scheduled", "suspended") in story.notes


def test_without_a_term_nothing_is_ever_due_for_erasure() -> None:
    story = suspended()

    assert story.round.erase_on is None
    assert ("erasure_scheduled", "suspended") not in story.notes


def test_the_term_is_that_of_the_segment_the_round_began_with() -> None:
    segments = [{"when": {"plan": ["basic"]}, "erase_after": "P1Y"}]

    assert suspended(terms=policy(segments=segments)).round.erase_on == day("2025-03-15")


def test_billing_that_says_no_leaves_the_act_before_a_person() -> None:
    story = suspending()

    story.declines(Kind.BILLING_SUSPEND)
    assert (story.case.stage, story.round.act_state) == (Stage.ASKED, ActState.PARKED)
    assert story.wake is None
    assert story.happens(Claim(Kind.BILLING_SUSPEND, 1)) is Verdict.GO


def test_a_refusal_told_twice_is_one() -> None:
    story = suspending()
    story.declines(Kind.BILLING_SUSPEND)

    assert story.happens(Declined(Act.SUSPEND, 1)) is Verdict.UNCHANGED


@pytest.mark.parametrize(("act", "version"), [(Act.SUSPEND, 2), (Act.CANCEL, 1)])
def test_a_refusal_of_something_else_parks_nothing(act: Act, version: int) -> None:
    assert suspending().happens(Declined(act, version)) is Verdict.UNCHANGED


def test_use_ends_a_round_whose_suspension_is_parked() -> None:
    story = suspending()
    story.declines(Kind.BILLING_SUSPEND)
    story.uses()

    assert story.round.outcome is Outcome.RETURNED


# --- an act whose outcome nobody knows -----------------------------------------------------


def test_an_act_of_unknown_outcome_is_tried_again_under_the_same_number() -> None:
    story = suspending()
    before = story.round

    assert story.happens(Claim(Kind.BILLING_SUSPEND, 1)) is Verdict.GO
    assert story.round == before


@pytest.mark.parametrize("version", [0, 2])
def test_an_act_of_another_number_is_void(version: int) -> None:
    assert suspending().happens(Claim(Kind.BILLING_SUSPEND, version)) is Verdict.VOID


def test_another_act_of_the_same_number_is_void() -> None:
    assert suspending().happens(Claim(Kind.BILLING_CANCEL, 1)) is Verdict.VOID


def test_an_act_that_a_keep_overtook_is_only_read_back() -> None:
    story = suspending()
    story.says(Word.KEEP)

    assert story.happens(Claim(Kind.BILLING_SUSPEND, 1)) is Verdict.CHECK


def test_an_act_that_use_overtook_is_only_read_back() -> None:
    story = suspending()
    story.uses()

    assert story.happens(Claim(Kind.BILLING_SUSPEND, 1)) is Verdict.CHECK


def test_an_act_that_did_not_happen_waits_again() -> None:
    story = suspending()

    story.turns_out_undone(Kind.BILLING_SUSPEND)
    assert (story.round.act_state, story.waiting) == (ActState.QUEUED, [Kind.BILLING_SUSPEND])
    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.GO


def test_an_act_that_did_not_happen_can_be_voided_by_use() -> None:
    story = suspending()
    story.turns_out_undone(Kind.BILLING_SUSPEND)
    story.uses()

    assert (story.round.outcome, story.waiting) == (Outcome.RETURNED, [])


def test_an_act_that_did_not_happen_can_be_voided_by_a_keep() -> None:
    story = suspending()
    story.turns_out_undone(Kind.BILLING_SUSPEND)
    story.says(Word.KEEP)

    assert (story.round.outcome, story.waiting) == (Outcome.KEPT, [Kind.KEPT])


def test_use_while_billing_was_being_told_stops_an_act_that_did_not_happen() -> None:
    story = suspending()
    story.uses()
    story.turns_out_undone(Kind.BILLING_SUSPEND)

    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    assert story.round.outcome is Outcome.RETURNED


def test_a_keep_while_billing_was_being_told_holds_if_it_did_not_happen() -> None:
    story = suspending()
    story.says(Word.KEEP, reason="in_use")
    story.turns_out_undone(Kind.BILLING_SUSPEND)

    assert (story.round.outcome, story.round.reason) == (Outcome.KEPT, "in_use")
    assert story.waiting == [Kind.KEPT]


def test_a_cancel_while_billing_was_being_told_holds_if_it_did_not_happen() -> None:
    story = suspending()
    story.waits(minutes=1)
    story.says(Word.CANCEL)
    said = story.now
    story.waits(minutes=3)
    story.turns_out_undone(Kind.BILLING_SUSPEND)

    (effect,) = story.pending
    assert (effect.kind, effect.version) == (Kind.BILLING_CANCEL, 2)
    assert (effect.not_before - said).total_seconds() == 600


def test_a_cancel_overtaken_long_ago_does_not_rest_again() -> None:
    story = suspending()
    story.says(Word.CANCEL)
    story.waits(hours=3)
    story.turns_out_undone(Kind.BILLING_SUSPEND)

    assert story.pending[0].not_before == story.now


def test_only_an_act_on_its_way_can_turn_out_undone() -> None:
    story = overdue()
    assert story.happens(NotDone(Act.SUSPEND, 1)) is Verdict.UNCHANGED


@pytest.mark.parametrize(("act", "version"), [(Act.SUSPEND, 2), (Act.CANCEL, 1)])
def test_another_act_turning_out_undone_changes_nothing(act: Act, version: int) -> None:
    assert suspending().happens(NotDone(act, version)) is Verdict.UNCHANGED


# --- what overtakes a suspension on its way --------------------------------------------------


def test_a_keep_while_billing_is_being_told_is_followed_by_a_resume() -> None:
    story = suspending(terms=ERASING)

    assert story.says(Word.KEEP) is Verdict.APPLIED
    assert story.case.stage is Stage.ASKED
    story.succeeds(Kind.BILLING_SUSPEND, "2024-03-15T08:00")
    assert story.waiting == [Kind.BILLING_RESUME]
    assert story.round.erase_on is None
    story.delivers()
    assert (story.round.outcome, story.waiting) == (Outcome.RESUMED, [Kind.RESUMED])


def test_a_cancel_while_billing_is_being_told_follows_after_its_rest() -> None:
    story = suspending(terms=ERASING)
    story.says(Word.CANCEL)
    story.succeeds(Kind.BILLING_SUSPEND, "2024-03-15T08:00")

    assert (story.case.stage, story.waiting) == (Stage.SUSPENDED, [Kind.BILLING_CANCEL])
    assert story.claims(Kind.BILLING_CANCEL) is Verdict.WAIT
    story.waits(minutes=10)
    story.delivers("2024-03-15T08:00")
    assert (story.case.stage, story.round.decided_by) == (Stage.CANCELED, "subscriber")
    assert story.waiting == [Kind.CANCELED]
    assert story.round.erase_on == day("2025-01-15")


def test_a_cancel_said_long_before_the_acknowledgment_does_not_rest_again() -> None:
    story = suspending()
    story.says(Word.CANCEL)
    story.waits(hours=3)
    story.succeeds(Kind.BILLING_SUSPEND)

    assert story.pending[0].not_before == story.now


def test_use_while_billing_is_being_told_counts_as_use_after() -> None:
    story = suspending(terms=ERASING)

    assert story.uses() is Verdict.UNCHANGED
    story.succeeds(Kind.BILLING_SUSPEND)
    assert (story.case.stage, story.round.erase_on) == (Stage.SUSPENDED, None)


def test_a_bounce_while_billing_is_being_told_stops_the_erasure_only() -> None:
    story = suspending(terms=ERASING)
    story.bounces()
    story.succeeds(Kind.BILLING_SUSPEND)

    assert (story.case.stage, story.round.erase_on) == (Stage.SUSPENDED, None)
    assert story.claims(Kind.SUSPENDED) is Verdict.VOID


# --- coming back ---------------------------------------------------------------------------


def test_use_after_a_suspension_says_welcome_back_and_charges_nothing() -> None:
    story = suspended(terms=ERASING)
    story.delivers()
    story.goes_to("2024-04-20T23:00")

    story.uses()
    assert (story.case.stage, story.round.erase_on) == (Stage.SUSPENDED, None)
    assert story.waiting == [Kind.WELCOME_BACK]
    story.goes_to("2024-04-21T09:00")
    assert story.delivers() == [Kind.WELCOME_BACK]


def test_a_welcome_back_keeps_to_the_hours() -> None:
    story = suspended().goes_to("2024-04-20T23:00")
    story.uses()

    assert story.claims(Kind.WELCOME_BACK) is Verdict.WAIT


def test_somebody_is_welcomed_back_once_a_month_at_most() -> None:
    story = suspended().goes_to("2024-05-31T12:00")
    story.uses()
    welcomes = [story.waiting.count(Kind.WELCOME_BACK)]
    for moment in ("2024-06-01T12:00", "2024-06-29T12:00", "2024-06-30T12:00"):
        story.goes_to(moment).uses()
        welcomes.append(story.waiting.count(Kind.WELCOME_BACK))

    assert welcomes == [1, 1, 1, 2]
    assert len({each.version for each in story.pending if each.kind is Kind.WELCOME_BACK}) == 2


def test_use_on_the_day_after_a_welcome_still_stops_an_erasure() -> None:
    story = suspended(terms=ERASING).goes_to("2024-05-31T12:00")
    story.uses()
    story.case = replace(story.case, round=replace(story.round, erase_on=day("2025-05-01")))
    story.waits(days=1)

    assert story.uses() is Verdict.APPLIED
    assert story.round.erase_on is None


def test_who_has_already_said_yes_is_not_welcomed() -> None:
    story = resuming()
    story.uses()

    assert Kind.WELCOME_BACK not in story.waiting


def test_who_has_just_canceled_is_not_welcomed() -> None:
    story = suspended()
    story.says(Word.CANCEL)

    assert story.uses() is Verdict.UNCHANGED
    assert Kind.WELCOME_BACK not in story.waiting


def test_a_welcome_still_waiting_is_not_sent_once_they_have_said_yes() -> None:
    story = suspended().goes_to("2024-04-20T23:00")
    story.uses()
    story.says(Word.RESUME)
    story.goes_to("2024-04-21T10:00")

    assert story.claims(Kind.WELCOME_BACK) is Verdict.VOID


@pytest.mark.parametrize("reach", [Reach.BOUNCED, Reach.COMPLAINED, Reach.NO_ADDRESS])
def test_a_welcome_goes_to_nobody_who_does_not_want_or_get_mail(reach: Reach) -> None:
    story = suspended().goes_to("2024-04-20T12:00")
    story.uses()
    story.bounces(reach)

    assert story.claims(Kind.WELCOME_BACK) is Verdict.VOID


def test_who_complained_still_gets_their_receipts() -> None:
    story = suspended()
    story.bounces(Reach.COMPLAINED)

    assert story.claims(Kind.SUSPENDED) is Verdict.GO


@pytest.mark.parametrize("reach", [Reach.BOUNCED, Reach.COMPLAINED])
def test_a_bounce_after_a_suspension_stops_the_erasure(reach: Reach) -> None:
    story = suspended(terms=ERASING)
    story.bounces(reach)

    assert (story.case.stage, story.round.erase_on) == (Stage.SUSPENDED, None)
    assert ("erasure_stopped", str(reach)) in story.notes


def test_a_lost_address_after_a_suspension_stops_the_erasure() -> None:
    story = suspended(terms=ERASING)
    story.moves(Reach.NO_ADDRESS)

    assert story.round.erase_on is None


def test_a_new_address_schedules_no_erasure_by_itself() -> None:
    story = suspended(terms=ERASING)
    story.bounces()
    story.moves()

    assert (story.case.reach, story.round.erase_on) == (Reach.OK, None)


def test_only_the_persons_own_yes_charges_again() -> None:
    story = suspended(terms=ERASING)
    story.waits(days=3)

    story.says(Word.RESUME)
    assert (story.case.stage, story.waiting) == (
        Stage.SUSPENDED,
        [Kind.SUSPENDED, Kind.BILLING_RESUME],
    )
    assert story.claims(Kind.BILLING_RESUME) is Verdict.WAIT
    story.waits(seconds=10)
    assert story.claims(Kind.BILLING_RESUME) is Verdict.GO
    assert story.round.erase_on is None
    story.succeeds(Kind.BILLING_RESUME)
    assert (story.round.outcome, story.case.stage) == (Outcome.RESUMED, Stage.ACTIVE)
    assert (story.round.decided_by, story.round.decided_at) == ("subscriber", story.now)
    assert story.delivers() == [Kind.RESUMED]


def test_who_resumed_is_left_in_peace_for_a_year() -> None:
    story = resuming()
    story.succeeds(Kind.BILLING_RESUME)

    assert story.wake == at("2025-03-07")


def test_data_can_be_kept_without_paying() -> None:
    story = suspended(terms=ERASING)

    assert story.says(Word.KEEP_DATA) is Verdict.APPLIED
    assert (story.case.stage, story.round.erase_on) == (Stage.SUSPENDED, None)
    assert story.says(Word.KEEP_DATA) is Verdict.UNCHANGED


# --- canceled ------------------------------------------------------------------------------


def test_use_in_the_time_already_paid_is_expected() -> None:
    story = canceled(terms=ERASING).goes_to("2024-02-15T07:59")

    assert story.uses() is Verdict.UNCHANGED
    assert story.round.erase_on == day("2024-12-15")


def test_use_beyond_the_time_paid_stops_the_erasure() -> None:
    story = canceled(terms=ERASING).goes_to("2024-02-15T08:00")
    story.uses()

    assert (story.case.stage, story.round.erase_on) == (Stage.CANCELED, None)


def test_who_canceled_is_not_welcomed_back() -> None:
    story = canceled().goes_to("2024-06-15T08:00")

    assert story.uses() is Verdict.UNCHANGED
    assert Kind.WELCOME_BACK not in story.waiting
