"""A run is taken back: who it closes a round for, and whom it leaves as they are."""

import pytest

from app.lifecycle.case import (
    Act,
    ActState,
    Finding,
    Kind,
    Outcome,
    Reviewed,
    Stage,
    Verdict,
    Withdraw,
    Word,
)
from tests.app.lifecycle.build import Story, asked, overdue, queued

BACK = Withdraw(1)


def test_whoever_waits_for_an_answer_is_withdrawn_and_nothing_of_it_is_left() -> None:
    story = asked()

    assert story.happens(BACK) is Verdict.APPLIED

    assert (story.round.outcome, story.round.closed_at) == (Outcome.WITHDRAWN, story.now)
    assert (story.case.stage, story.waiting) == (Stage.ACTIVE, [])
    assert story.notes[-1] == ("withdrawn", "run_undone")


def test_an_ask_that_is_still_queued_does_not_go_out() -> None:
    story = queued()
    assert story.waiting == [Kind.ASK]

    story.happens(BACK)

    assert (story.round.outcome, story.waiting) == (Outcome.WITHDRAWN, [])


def test_a_suspension_that_nobody_has_begun_is_void() -> None:
    story = overdue()

    assert story.happens(BACK) is Verdict.APPLIED

    assert (story.round.act, story.round.outcome) == (None, Outcome.WITHDRAWN)
    assert story.waiting == []


def test_one_that_billing_refused_is_void_too() -> None:
    story = overdue()
    story.claims(Kind.BILLING_SUSPEND)
    story.declines(Kind.BILLING_SUSPEND)
    assert story.round.act_state is ActState.PARKED

    assert story.happens(BACK) is Verdict.APPLIED


def test_what_billing_is_just_being_told_goes_on() -> None:
    story = overdue()
    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.GO

    assert story.happens(BACK) is Verdict.UNCHANGED

    assert (story.round.act, story.round.act_state) == (Act.SUSPEND, ActState.CLAIMED)
    story.succeeds(Kind.BILLING_SUSPEND)
    assert story.case.stage is Stage.SUSPENDED
    assert story.happens(BACK) is Verdict.UNCHANGED


@pytest.mark.parametrize("word", [Word.KEEP, Word.CANCEL])
def test_a_word_stays_said(word: Word) -> None:
    story = asked().waits(hours=1)
    story.says(word)
    stood, waited = story.round, list(story.waiting)

    assert story.happens(BACK) is Verdict.UNCHANGED

    assert (story.round, story.waiting) == (stood, waited)


def test_a_cancel_of_their_own_stays_said_too() -> None:
    story = asked().waits(hours=1)
    story.says(Word.KEEP)
    story.waits(days=1)
    story.says(Word.CANCEL, round=None)
    assert story.round.number == 2

    assert story.happens(Withdraw(2)) is Verdict.UNCHANGED


def test_another_round_is_not_touched() -> None:
    story = asked()

    assert story.happens(Withdraw(2)) is Verdict.OLDER_ROUND
    assert Story().happens(BACK) is Verdict.OLDER_ROUND
    assert story.round.open


def test_taking_it_back_twice_changes_nothing_more() -> None:
    story = asked()
    story.happens(BACK)
    stood = story.round
    story.waits(days=1)

    assert story.happens(BACK) is Verdict.UNCHANGED
    assert story.round is stood


def test_it_was_no_answer_so_nobody_is_left_in_peace_for_it() -> None:
    story = asked()

    story.happens(BACK)

    assert story.wake == story.now


def test_a_keep_through_the_old_link_still_counts() -> None:
    story = asked()
    story.happens(BACK)
    story.waits(days=2)

    story.says(Word.KEEP)

    assert story.round.outcome is Outcome.KEPT


def test_a_mail_already_on_its_way_opens_nothing_again() -> None:
    story = queued()
    story.goes_to(story.pending[0].not_before)
    assert story.claims(Kind.ASK) is Verdict.GO
    story.happens(BACK)

    story.succeeds(Kind.ASK)

    assert (story.round.outcome, story.round.asked_at) == (Outcome.WITHDRAWN, None)
    assert story.happens(Reviewed(Finding.PUT_RIGHT)) is Verdict.UNCHANGED
