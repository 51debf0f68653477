"""What people say, what robots say, and what can be taken back."""

import pytest
from msgspec.structs import replace

from app.lifecycle.answers import undo_exists
from app.lifecycle.case import (
    Act,
    ActState,
    Answer,
    Kind,
    Outcome,
    Reach,
    Stage,
    Verdict,
    Why,
    Word,
)
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


# --- keep ----------------------------------------------------------------------------------


def test_a_keep_closes_the_round_with_a_receipt() -> None:
    story = asked().waits(days=4)

    assert story.says(Word.KEEP) is Verdict.APPLIED
    assert (story.round.outcome, story.case.stage) == (Outcome.KEPT, Stage.ACTIVE)
    assert (story.round.decided_by, story.round.decided_at) == ("subscriber", story.now)
    story.waits(seconds=10)
    assert story.delivers() == [Kind.KEPT]


def test_the_receipt_of_a_keep_rests_until_a_robot_would_have_shown_itself() -> None:
    story = asked()
    story.says(Word.KEEP)

    assert (story.pending[0].not_before - story.now).total_seconds() == 10


def test_who_kept_it_is_left_in_peace_for_a_year() -> None:
    story = asked().goes_to("2024-02-20T10:00")
    story.says(Word.KEEP)

    assert story.wake == at("2025-02-20")


def test_after_an_accepted_keep_nothing_of_that_round_happens_any_more() -> None:
    story = overdue()
    story.says(Word.KEEP)

    assert story.waiting == [Kind.KEPT]
    assert story.goes_to("2024-12-01").ticks() is Verdict.UNCHANGED


def test_i_do_use_it_is_a_keep_with_a_reason() -> None:
    story = asked()
    story.says(Word.KEEP, reason="in_use")

    assert (story.round.outcome, story.round.reason) == (Outcome.KEPT, "in_use")
    assert ("kept", "in_use") in story.notes


def test_the_products_own_app_may_answer_without_naming_a_round() -> None:
    story = asked()
    story.says(Word.KEEP, by="app")

    assert (story.round.outcome, story.round.decided_by) == (Outcome.KEPT, "app")


def test_repeating_a_keep_shows_the_same_result_and_does_nothing_again() -> None:
    story = asked()
    story.says(Word.KEEP)
    story.waits(hours=1)

    assert story.says(Word.KEEP) is Verdict.APPLIED
    assert (story.round.outcome, story.waiting) == (Outcome.KEPT, [Kind.KEPT])
    assert story.says(Word.KEEP) is Verdict.UNCHANGED


def test_a_resume_while_asked_means_keep() -> None:
    story = asked()
    story.says(Word.RESUME)

    assert story.round.outcome is Outcome.KEPT


@pytest.mark.parametrize("begun", [suspended, canceled])
def test_a_keep_comes_too_late_once_the_charge_has_stopped(begun: type[Story]) -> None:
    story = begun()

    assert story.says(Word.KEEP) is Verdict.TOO_LATE
    assert story.round.act is None


def test_a_keep_within_the_rest_of_a_cancel_is_the_last_word() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.waits(minutes=5)
    story.says(Word.KEEP)

    assert (story.round.outcome, story.waiting) == (Outcome.KEPT, [Kind.KEPT])


@pytest.mark.parametrize("end", ["withdrawn", "returned", "unreachable", "expired"])
def test_a_keep_through_the_link_of_a_round_nobody_decided_still_counts(end: str) -> None:
    story = closed(end)

    assert story.says(Word.KEEP, round=1) is Verdict.APPLIED
    assert (story.round.outcome, story.round.closed_at) == (Outcome.KEPT, story.now)


@pytest.mark.parametrize("end", ["resumed", "by_billing"])
def test_a_keep_changes_nothing_where_somebody_has_decided(end: str) -> None:
    story = closed(end)

    assert story.says(Word.KEEP) is Verdict.ENDED
    assert story.round.outcome == end


def test_nobody_was_ever_asked_so_nothing_is_there_to_answer() -> None:
    words = {word: Story().says(word) for word in (Word.KEEP, Word.RESUME, Word.UNDO)}

    assert set(words.values()) == {Verdict.NOTHING_OPEN}
    assert Story().says(Word.KEEP_DATA) is Verdict.UNCHANGED


@pytest.mark.parametrize("word", list(Word))
def test_a_link_to_an_older_round_shows_what_it_came_to_and_cannot_act(word: Word) -> None:
    story = closed("withdrawn")
    story.sleeps()

    assert story.says(word, round=1) is Verdict.OLDER_ROUND
    assert Story().says(word, round=1) is Verdict.OLDER_ROUND


def closed(end: str) -> Story:
    """Bring a round to one of its ends, and let a month pass."""
    if end == "withdrawn":
        story = asked()
        story.billing_tells(amount=1999)
    elif end == "returned":
        story = asked()
        story.uses()
    elif end == "unreachable":
        story = asked()
        story.bounces()
    elif end == "expired":
        story = overdue(terms=policy(on_no_answer="nothing"))
    elif end == "kept":
        story = asked()
        story.says(Word.KEEP)
    elif end == "resumed":
        story = resuming()
        story.succeeds(Kind.BILLING_RESUME)
    else:
        story = asked()
        story.billing_tells(status="paused")
        story.billing_tells(status="active")
    assert story.round.outcome == end
    return story.waits(days=31)


# --- cancel --------------------------------------------------------------------------------


def test_a_cancel_rests_ten_minutes_before_billing_is_told() -> None:
    story = asked()

    assert story.says(Word.CANCEL) is Verdict.APPLIED
    assert (story.case.stage, story.waiting) == (Stage.ASKED, [Kind.BILLING_CANCEL])
    story.waits(minutes=9, seconds=59)
    assert story.claims(Kind.BILLING_CANCEL) is Verdict.WAIT
    story.waits(seconds=1)
    assert story.claims(Kind.BILLING_CANCEL) is Verdict.GO
    story.succeeds(Kind.BILLING_CANCEL, "2024-02-15T08:00")
    assert (story.case.stage, story.round.decided_by) == (Stage.CANCELED, "subscriber")
    assert story.waiting == [Kind.CANCELED]


def test_a_cancel_stops_silence_from_counting() -> None:
    story = asked()
    story.says(Word.CANCEL)

    assert story.wake is None
    assert story.goes_to("2024-03-10").ticks() is Verdict.UNCHANGED


def test_a_cancel_replaces_a_suspension_that_waits() -> None:
    story = overdue()
    story.says(Word.CANCEL)

    assert [(each.kind, each.version) for each in story.pending] == [(Kind.BILLING_CANCEL, 2)]


def test_a_cancel_goes_on_though_they_are_unreachable_or_use_it() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.bounces()
    story.uses()
    story.waits(minutes=10)

    assert story.claims(Kind.BILLING_CANCEL) is Verdict.GO


def test_repeating_a_cancel_starts_no_second_one_and_no_second_rest() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.waits(minutes=9)
    story.says(Word.CANCEL)

    assert story.waiting == [Kind.BILLING_CANCEL]
    story.waits(minutes=1)
    assert story.claims(Kind.BILLING_CANCEL) is Verdict.GO
    story.says(Word.CANCEL)
    story.succeeds(Kind.BILLING_CANCEL)
    assert (story.case.stage, story.waiting) == (Stage.CANCELED, [Kind.CANCELED])


def test_a_cancel_in_the_app_says_that_it_came_from_there() -> None:
    story = asked()
    story.says(Word.CANCEL, by="app")
    story.waits(minutes=10)
    story.delivers()

    assert story.round.decided_by == "app"


def test_a_suspended_subscription_can_be_canceled() -> None:
    story = suspended(terms=ERASING)
    story.says(Word.CANCEL)
    story.waits(minutes=10)
    assert story.claims(Kind.BILLING_CANCEL) is Verdict.GO
    story.succeeds(Kind.BILLING_CANCEL, "2024-03-15T08:00")

    assert (story.case.stage, story.round.decided_by) == (Stage.CANCELED, "subscriber")
    assert story.round.erase_on == day("2025-01-15")


def test_a_cancel_after_a_suspension_never_brings_an_erasure_forward() -> None:
    story = suspended("2024-12-01", terms=ERASING)
    story.says(Word.CANCEL)
    story.waits(minutes=10)
    story.claims(Kind.BILLING_CANCEL)
    story.succeeds(Kind.BILLING_CANCEL, "2024-03-15T08:00")

    assert story.round.erase_on == day("2025-10-01")


def test_somebody_nobody_asked_can_cancel_in_the_app() -> None:
    story = Story()

    assert story.says(Word.CANCEL, by="app") is Verdict.APPLIED
    assert (story.round.why, story.waiting) == (Why.OWN_CANCEL, [Kind.BILLING_CANCEL])
    story.waits(minutes=10)
    story.delivers()
    assert (story.case.stage, story.round.decided_by) == (Stage.CANCELED, "app")


def test_a_cancel_in_the_app_is_held_to_the_terms_of_its_segment() -> None:
    segments = [{"when": {"plan": ["basic"]}, "erase_after": "P1Y"}]
    story = Story(terms=policy(segments=segments))
    story.says(Word.CANCEL, by="app")
    story.waits(minutes=10)
    story.delivers("2024-02-15T08:00")

    assert story.round.erase_on == day("2025-02-15")


@pytest.mark.parametrize("status", ["trialing", "active", "past_due", "paused"])
def test_whatever_lives_can_be_canceled(status: str) -> None:
    assert Story(status=status).says(Word.CANCEL, by="app") is Verdict.APPLIED


def test_what_billing_has_ended_cannot_be_canceled() -> None:
    assert Story(status="canceled").says(Word.CANCEL, by="app") is Verdict.ENDED


@pytest.mark.parametrize(
    "end", ["withdrawn", "returned", "unreachable", "expired", "kept", "resumed"]
)
def test_the_link_of_a_closed_round_can_still_cancel(end: str) -> None:
    story = closed(end)

    assert story.says(Word.CANCEL, round=1) is Verdict.APPLIED
    assert (story.round.number, story.waiting) == (1, [Kind.BILLING_CANCEL])
    story.waits(minutes=10)
    story.delivers()
    assert story.case.stage is Stage.CANCELED


def test_a_cancel_in_the_app_after_a_closed_round_is_a_round_of_its_own() -> None:
    story = closed("kept")
    story.says(Word.CANCEL, by="app")

    assert (story.round.number, story.round.why) == (2, Why.OWN_CANCEL)


# --- undo ----------------------------------------------------------------------------------


def test_a_cancel_is_undone_with_a_click_while_it_rests() -> None:
    story = asked()
    story.says(Word.CANCEL, reason="too_expensive")
    story.waits(minutes=5)

    assert undo_exists(story.case, story.now)
    assert story.says(Word.UNDO) is Verdict.APPLIED
    assert (story.case.stage, story.round.act, story.waiting) == (Stage.ASKED, None, [])
    assert (story.round.act_state, story.round.act_at) == (None, None)
    assert (story.round.word, story.round.word_at, story.round.reason) == (None, None, None)
    assert story.wake == at("2024-02-09")


def test_an_undo_leaves_at_least_three_days_to_answer() -> None:
    story = asked().goes_to("2024-03-03T12:00")
    story.says(Word.CANCEL)
    story.waits(minutes=5)
    story.says(Word.UNDO)

    assert story.round.answer_by == at("2024-03-07")


def test_an_undo_early_on_moves_no_deadline() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.waits(minutes=5)
    story.says(Word.UNDO)

    assert story.round.answer_by == at("2024-03-04")


def test_a_keep_is_undone_with_a_click_for_ten_minutes() -> None:
    story = asked()
    story.says(Word.KEEP)
    story.waits(minutes=10)

    assert undo_exists(story.case, story.now)
    assert story.says(Word.UNDO) is Verdict.APPLIED
    assert (story.case.stage, story.waiting) == (Stage.ASKED, [])
    assert story.round.decided_by is None
    assert story.wake == at("2024-02-09")


def test_a_keep_cannot_be_undone_later_though_it_was_repeated() -> None:
    story = asked()
    story.says(Word.KEEP)
    story.waits(minutes=9)
    story.says(Word.KEEP)
    story.waits(minutes=2)

    assert not undo_exists(story.case, story.now)
    assert story.says(Word.UNDO) is Verdict.TOO_LATE


def test_a_keep_undone_and_said_again_has_a_receipt_of_its_own() -> None:
    story = asked()
    story.says(Word.KEEP)
    story.waits(minutes=1)
    story.delivers()
    story.says(Word.UNDO)
    story.waits(minutes=1)
    story.says(Word.KEEP)

    assert [(each.kind, each.version) for each in story.pending] == [(Kind.KEPT, 2)]


def test_what_nobody_said_cannot_be_undone() -> None:
    for story in (asked(), suspended(), closed("returned"), closed("withdrawn")):
        assert not undo_exists(story.case, story.now)
        assert story.says(Word.UNDO) is Verdict.TOO_LATE
    assert not undo_exists(Story().case, at("2024-02-01"))


def test_the_undo_of_a_late_keep_is_gone_because_its_promise_is() -> None:
    story = closed("expired")
    story.says(Word.KEEP)
    story.waits(minutes=1)

    assert story.says(Word.UNDO) is Verdict.TOO_LATE


def test_an_undo_while_billing_is_told_of_a_cancel_is_followed_by_a_resume() -> None:
    story = canceling()

    assert undo_exists(story.case, story.now)
    story.says(Word.UNDO)
    story.succeeds(Kind.BILLING_CANCEL, "2024-02-15T08:00")
    assert (story.case.stage, story.waiting) == (Stage.CANCELED, [Kind.BILLING_RESUME])
    story.delivers()
    assert story.round.outcome is Outcome.RESUMED


def test_an_undo_while_billing_is_told_of_a_cancel_holds_if_it_did_not_happen() -> None:
    story = canceling()
    story.says(Word.UNDO)
    story.turns_out_undone(Kind.BILLING_CANCEL)

    assert (story.round.outcome, story.waiting) == (Outcome.KEPT, [Kind.KEPT])


def test_an_undo_while_a_suspension_is_on_its_way_only_takes_back_the_cancel() -> None:
    story = suspending()
    story.says(Word.CANCEL)
    story.waits(minutes=1)
    story.says(Word.UNDO)
    story.succeeds(Kind.BILLING_SUSPEND)

    assert (story.case.stage, story.waiting) == (Stage.SUSPENDED, [Kind.SUSPENDED])
    assert story.round.decided_by == "silence"


def test_after_a_cancel_is_done_its_undo_is_a_resume_until_the_period_ends() -> None:
    story = canceled().goes_to("2024-02-15T07:59")

    assert undo_exists(story.case, story.now)
    story.says(Word.UNDO)
    story.waits(seconds=10)
    assert story.claims(Kind.BILLING_RESUME) is Verdict.GO
    story.succeeds(Kind.BILLING_RESUME)
    assert story.round.outcome is Outcome.RESUMED


def test_after_the_period_a_cancel_can_be_neither_undone_nor_resumed() -> None:
    story = canceled().goes_to("2024-02-15T08:00")

    assert not undo_exists(story.case, story.now)
    assert story.says(Word.UNDO) is Verdict.TOO_LATE
    assert story.says(Word.RESUME) is Verdict.ENDED


def test_a_cancel_of_a_suspended_subscription_is_undone_to_suspended() -> None:
    story = suspended()
    story.says(Word.CANCEL)
    story.waits(minutes=5)
    story.says(Word.UNDO)

    assert (story.case.stage, story.round.act) == (Stage.SUSPENDED, None)
    assert (story.round.decided_by, story.waiting) == ("silence", [Kind.SUSPENDED])


def test_an_undo_never_charges_somebody_who_was_suspended() -> None:
    story = suspended()
    story.says(Word.CANCEL)
    story.waits(minutes=10)
    story.claims(Kind.BILLING_CANCEL)

    assert story.says(Word.UNDO) is Verdict.TOO_LATE


def test_a_resume_is_undone_before_billing_is_told() -> None:
    story = suspended()
    story.says(Word.RESUME)
    story.waits(seconds=5)

    assert story.says(Word.UNDO) is Verdict.APPLIED
    assert (story.case.stage, story.round.act) == (Stage.SUSPENDED, None)
    assert Kind.BILLING_RESUME not in story.waiting


def test_a_resume_on_its_way_cannot_be_undone() -> None:
    assert resuming().says(Word.UNDO) is Verdict.TOO_LATE


@pytest.mark.parametrize(
    ("end", "then"),
    [
        ("withdrawn", Outcome.WITHDRAWN),
        ("returned", Outcome.WITHDRAWN),
        ("expired", Outcome.KEPT),
        ("kept", Outcome.KEPT),
        ("resumed", Outcome.KEPT),
    ],
)
def test_undoing_a_cancel_of_a_closed_round_never_leads_to_a_suspension(
    end: str, then: Outcome
) -> None:
    story = closed(end)
    before = story.round.closed_at
    story.says(Word.CANCEL, round=1)
    story.waits(minutes=5)
    story.says(Word.UNDO, round=1)

    assert (story.round.outcome, story.waiting) == (then, [])
    assert then is Outcome.WITHDRAWN or story.round.closed_at == before


def test_undoing_a_cancel_made_in_the_app_leaves_everything_as_it_was() -> None:
    story = closed("kept")
    peace = story.wake
    story.says(Word.CANCEL, by="app")
    story.waits(minutes=5)
    story.says(Word.UNDO, by="app")

    assert (story.case.stage, story.wake) == (Stage.ACTIVE, peace)


def test_undoing_a_cancel_before_anybody_was_asked_closes_the_round() -> None:
    story = queued()
    story.says(Word.CANCEL, by="app")
    story.waits(minutes=5)
    story.says(Word.UNDO, by="app")

    assert (story.round.outcome, story.waiting) == (Outcome.WITHDRAWN, [])
    assert story.notes[-1] == ("withdrawn", "answer_undone")
    assert story.round.closed_at == story.now


# --- resume --------------------------------------------------------------------------------


def test_repeating_a_resume_charges_once() -> None:
    story = resuming()
    story.says(Word.RESUME)
    story.succeeds(Kind.BILLING_RESUME)
    story.waits(minutes=1)

    assert story.waiting.count(Kind.RESUMED) == 1
    assert story.says(Word.RESUME) is Verdict.APPLIED
    assert story.waiting == [Kind.RESUMED]


def test_a_resume_repeated_while_it_waits_is_one() -> None:
    story = suspended()
    story.says(Word.RESUME)
    story.waits(seconds=5)
    story.says(Word.RESUME)

    assert [each.version for each in story.pending if each.kind is Kind.BILLING_RESUME] == [2]


def test_a_keep_repeated_while_billing_is_being_told_is_noted_once() -> None:
    story = suspending()
    story.says(Word.KEEP, by="app")
    story.waits(seconds=5)
    story.says(Word.KEEP, by="app")

    assert story.round.decided_by == "app"
    assert story.notes.count(("keep_recorded", "said_by_app")) == 1


def test_a_cancel_takes_back_a_resume_that_waits() -> None:
    story = suspended()
    story.says(Word.RESUME)
    story.waits(seconds=30)
    story.says(Word.CANCEL)

    assert story.round.act is Act.CANCEL
    assert Kind.BILLING_RESUME not in story.waiting


def test_a_cancel_while_billing_is_told_of_a_resume_follows_it() -> None:
    story = resuming(terms=ERASING)
    story.waits(minutes=1)
    story.says(Word.CANCEL)
    story.succeeds(Kind.BILLING_RESUME)

    assert (story.case.stage, story.round.act) == (Stage.ASKED, Act.CANCEL)
    assert story.round.erase_on is None
    assert story.wake is None
    story.waits(minutes=10)
    story.delivers()
    assert story.case.stage is Stage.CANCELED


def test_a_cancel_after_a_resume_can_be_undone_and_leads_to_no_suspension() -> None:
    story = resuming()
    story.waits(minutes=1)
    story.says(Word.CANCEL)
    story.succeeds(Kind.BILLING_RESUME)
    story.waits(minutes=1)
    story.says(Word.UNDO)

    assert (story.round.outcome, Kind.BILLING_CANCEL in story.waiting) == (Outcome.KEPT, False)


def test_a_cancel_holds_if_the_resume_before_it_did_not_happen() -> None:
    story = resuming()
    story.waits(minutes=1)
    story.says(Word.CANCEL)
    story.turns_out_undone(Kind.BILLING_RESUME)

    assert (story.case.stage, story.round.act) == (Stage.SUSPENDED, Act.CANCEL)


def test_a_resume_holds_if_the_cancel_before_it_did_not_happen() -> None:
    story = suspended()
    story.says(Word.CANCEL)
    story.waits(minutes=10)
    story.claims(Kind.BILLING_CANCEL)
    story.waits(minutes=1)
    story.says(Word.RESUME)
    assert (story.round.act, story.round.act_state) == (Act.CANCEL, ActState.CLAIMED)
    story.turns_out_undone(Kind.BILLING_CANCEL)

    assert (story.case.stage, story.round.act) == (Stage.SUSPENDED, Act.RESUME)


def test_after_a_cancel_a_resume_can_be_canceled_again() -> None:
    story = canceled()
    story.says(Word.RESUME)
    story.waits(seconds=30)
    story.says(Word.CANCEL)

    assert (story.case.stage, story.round.act) == (Stage.CANCELED, None)
    assert (story.round.act_state, story.round.act_at) == (None, None)
    assert Kind.BILLING_RESUME not in story.waiting


def test_after_a_cancel_a_resume_on_its_way_is_canceled_again_once_it_is_known() -> None:
    for undone in (True, False):
        story = canceled()
        story.says(Word.RESUME)
        story.waits(seconds=10)
        story.claims(Kind.BILLING_RESUME)
        story.waits(seconds=30)
        story.says(Word.CANCEL)
        if undone:
            story.turns_out_undone(Kind.BILLING_RESUME)
            assert (story.case.stage, story.round.act) == (Stage.CANCELED, None)
        else:
            story.succeeds(Kind.BILLING_RESUME)
            assert (story.case.stage, story.round.act) == (Stage.ASKED, Act.CANCEL)


# --- robots --------------------------------------------------------------------------------

YES_AND_NO = [(Word.KEEP, Word.CANCEL), (Word.CANCEL, Word.KEEP)]
YES_AND_NO += [(Word.RESUME, Word.CANCEL), (Word.CANCEL, Word.RESUME)]


@pytest.mark.parametrize(("first", "second"), YES_AND_NO)
@pytest.mark.parametrize("seconds", [0, 1, 10])
def test_keep_and_cancel_within_ten_seconds_are_believed_neither(
    first: Word, second: Word, seconds: int
) -> None:
    story = asked()
    story.says(first, round=1)
    story.waits(seconds=seconds)

    assert story.says(second, round=1) is Verdict.DOUBTED
    assert (story.case.stage, story.round.word, story.round.act) == (Stage.ASKED, None, None)
    assert (story.waiting, story.wake) == ([], at("2024-02-09"))


@pytest.mark.parametrize(("first", "second"), YES_AND_NO)
def test_after_more_than_ten_seconds_the_last_answer_is_their_word(
    first: Word, second: Word
) -> None:
    story = asked()
    story.says(first, round=1)
    story.waits(seconds=11)

    assert story.says(second, round=1) is Verdict.APPLIED
    assert story.round.word is second


@pytest.mark.parametrize("word", [Word.KEEP, Word.CANCEL, Word.RESUME])
def test_what_follows_a_doubt_at_once_is_doubted_too(word: Word) -> None:
    story = asked()
    story.says(Word.KEEP)
    story.says(Word.CANCEL)
    for _ in range(3):
        story.waits(seconds=9)
        assert story.says(word) is Verdict.DOUBTED
    story.waits(seconds=10)
    assert story.says(word) is Verdict.APPLIED


@pytest.mark.parametrize(("first", "second"), YES_AND_NO)
def test_robots_leave_a_suspension_as_it_was(first: Word, second: Word) -> None:
    story = suspended(terms=ERASING)
    before = story.round
    story.says(first)
    verdict = story.says(second)

    if Word.KEEP in (first, second):
        return  # a keep comes too late here, so nothing contradicts it
    assert verdict is Verdict.DOUBTED
    assert (story.round.act, story.round.erase_on) == (None, before.erase_on)
    assert story.waiting == [Kind.SUSPENDED]
    assert story.round.decided_by == "silence"


def test_robots_leave_a_cancel_as_it_was() -> None:
    story = canceled()
    before = story.round
    story.says(Word.RESUME)
    assert story.says(Word.CANCEL) is Verdict.DOUBTED

    assert (story.case.stage, story.round.act) == (Stage.CANCELED, None)
    assert story.round.decided_by == before.decided_by
    assert Kind.BILLING_RESUME not in story.waiting


@pytest.mark.parametrize(("first", "second"), YES_AND_NO)
def test_while_billing_is_being_told_only_the_word_is_taken_back(first: Word, second: Word) -> None:
    story = suspending()
    story.says(first)

    assert story.says(second) is Verdict.DOUBTED
    assert (story.round.word, story.round.act_state) == (None, ActState.CLAIMED)
    story.succeeds(Kind.BILLING_SUSPEND)
    assert (story.case.stage, story.waiting) == (Stage.SUSPENDED, [Kind.SUSPENDED])
    assert story.round.decided_by == "silence"


def test_robots_press_again_on_a_page_that_shows_what_was_kept() -> None:
    story = closed("kept")
    story.says(Word.KEEP, round=1)
    story.waits(seconds=2)

    assert story.says(Word.CANCEL, round=1) is Verdict.DOUBTED
    assert (story.case.stage, Kind.BILLING_CANCEL in story.waiting) == (Stage.ACTIVE, False)


@pytest.mark.parametrize("end", ["withdrawn", "returned", "expired", "kept", "resumed"])
@pytest.mark.parametrize(("first", "second"), YES_AND_NO)
def test_robots_open_no_closed_round(end: str, first: Word, second: Word) -> None:
    story = closed(end)
    story.says(first, round=1)
    story.waits(seconds=1)
    story.says(second, round=1)
    story.waits(seconds=1)
    story.says(first, round=1)

    assert not {Kind.BILLING_SUSPEND, Kind.BILLING_CANCEL} & {*story.waiting}
    assert not story.round.open


def test_robots_that_press_undo_as_well_are_not_believed_either() -> None:
    story = asked()
    story.says(Word.KEEP)
    story.waits(seconds=1)
    story.says(Word.UNDO)
    story.waits(seconds=1)

    assert story.says(Word.CANCEL) is Verdict.DOUBTED
    assert story.waiting == []


def test_who_thinks_before_an_undo_may_answer_at_once() -> None:
    story = asked()
    story.says(Word.CANCEL)
    story.waits(seconds=30)
    story.says(Word.UNDO)

    assert story.says(Word.KEEP) is Verdict.APPLIED


def test_a_doubt_leaves_at_least_three_days_to_answer() -> None:
    story = asked().goes_to("2024-03-03T12:00")
    story.says(Word.KEEP)
    story.says(Word.CANCEL)

    assert story.round.answer_by == at("2024-03-07")


def test_a_round_that_closed_meanwhile_is_not_opened_by_more_doubt() -> None:
    story = asked()
    story.says(Word.KEEP)
    story.says(Word.CANCEL)
    story.uses()
    story.waits(seconds=5)

    assert story.says(Word.KEEP) is Verdict.DOUBTED
    assert story.round.outcome is Outcome.RETURNED


def test_an_app_that_answers_both_ways_leaves_nothing_behind() -> None:
    story = Story()
    story.says(Word.CANCEL, by="app")

    assert story.says(Word.KEEP, by="app") is Verdict.DOUBTED
    assert (story.round.outcome, story.waiting) == (Outcome.WITHDRAWN, [])


def test_a_word_taken_back_in_doubt_does_not_carry_an_act_that_did_not_happen() -> None:
    story = resuming()
    story.says(Word.CANCEL)
    story.says(Word.RESUME)
    story.turns_out_undone(Kind.BILLING_RESUME)

    assert story.claims(Kind.BILLING_RESUME) is Verdict.VOID
    assert (story.case.stage, story.round.act) == (Stage.SUSPENDED, None)


def test_after_erasure_no_answer_does_anything() -> None:
    story = closed("withdrawn")
    story.case = replace(story.case, round=replace(story.round, outcome=Outcome.ERASED))

    assert {story.happens(Answer(word)) for word in Word} == {Verdict.ENDED}
    assert story.wake is None


def test_an_answer_of_somebody_unreachable_counts() -> None:
    story = closed("unreachable")
    story.says(Word.KEEP, by="app")

    assert (story.round.outcome, story.case.reach) == (Outcome.KEPT, Reach.BOUNCED)
