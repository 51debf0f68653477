"""A person is to look at a case: what that stops, what goes on, and what robots make of it."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import pytest

from app.lifecycle.case import (
    ActState,
    Answer,
    AskReview,
    Claim,
    Concern,
    Event,
    Finding,
    Kind,
    Outcome,
    Reviewed,
    Stage,
    Verdict,
    Word,
)
from tests.app.lifecycle.build import Story, asked, at, overdue, policy, queued, suspended

LOOK = AskReview(1, Concern.WRONG_CHARGE)
FOUND = Reviewed(Finding.AS_IT_SHOULD_BE)
A_DAY_LATER = timedelta(days=1)


def calmly_asked() -> Story:
    story = asked()
    story.now += timedelta(hours=1)
    return story


def long_suspended() -> Story:
    story = suspended()
    story.now += timedelta(hours=1)
    return story


def waits_for_billing(story: Story) -> bool:
    return story.round.act is not None


def test_while_a_person_is_to_look_silence_leads_to_nothing() -> None:
    story = calmly_asked()

    assert story.happens(LOOK) is Verdict.APPLIED

    assert story.wake is None
    story.now += timedelta(days=4000)
    assert story.ticks() is Verdict.UNCHANGED
    assert story.case.stage is Stage.ASKED


def test_what_silence_has_queued_is_dropped_at_once_and_comes_back_later() -> None:
    story = overdue()

    story.happens(LOOK)
    assert story.round.act is None
    assert not [each for each in story.pending if each.kind is Kind.BILLING_SUSPEND]

    story.now += A_DAY_LATER
    story.happens(FOUND)
    since = story.now
    while not waits_for_billing(story):
        story.sleeps()
    assert story.round.act_state is ActState.QUEUED
    assert story.now - since > timedelta(days=3)


def test_what_billing_is_being_told_is_read_back_and_not_told_again() -> None:
    story = overdue()
    story.claims(Kind.BILLING_SUSPEND)

    story.happens(LOOK)

    assert story.round.in_flight
    effect = story.claimed[0]
    assert story.happens(Claim(effect.kind, effect.version)) is Verdict.CHECK


def test_pressing_again_is_one_wish() -> None:
    story = calmly_asked()
    story.happens(LOOK)
    since = story.round.review_at
    story.now += A_DAY_LATER

    assert story.happens(LOOK) is Verdict.UNCHANGED
    assert story.round.review_at == since


def test_an_older_link_asks_for_nothing() -> None:
    story = calmly_asked()

    assert story.happens(AskReview(0, Concern.OTHER)) is Verdict.OLDER_ROUND
    assert story.round.review_at is None


def test_every_answer_still_counts_meanwhile() -> None:
    for word, stage in ((Word.KEEP, Stage.ACTIVE), (Word.CANCEL, Stage.ASKED)):
        story = calmly_asked()
        story.happens(LOOK)
        story.now += A_DAY_LATER
        assert story.happens(Answer(word, 1)) is Verdict.APPLIED
        assert story.case.stage is stage


def test_who_is_kept_is_not_asked_again_before_somebody_has_looked() -> None:
    story = calmly_asked()
    story.happens(LOOK)
    story.now += A_DAY_LATER
    story.happens(Answer(Word.KEEP, 1))
    assert story.round.outcome is Outcome.KEPT
    assert story.wake is None

    story.happens(FOUND)

    assert story.wake is not None


def test_a_cancel_of_billings_takes_the_wish_over() -> None:
    story = calmly_asked()
    story.happens(LOOK)
    since = story.round.review_at

    story.billing_tells(status="canceled")

    assert story.round.number == 2
    assert story.round.review_at == since


def test_a_cancel_in_the_app_takes_the_wish_over() -> None:
    story = calmly_asked()
    story.happens(LOOK)
    since = story.round.review_at
    story.now += A_DAY_LATER
    story.happens(Answer(Word.KEEP, 1))
    story.now += A_DAY_LATER

    story.happens(Answer(Word.CANCEL, by="app"))

    assert story.round.number == 2
    assert story.round.review_at == since


def test_a_day_of_erasure_is_three_days_away_once_somebody_has_looked() -> None:
    story = suspended(terms=policy(erase_after="P10M"))
    day = story.round.erase_on
    assert day is not None
    story.now += A_DAY_LATER
    story.happens(LOOK)
    story.now = at(f"{day}T12:00")

    story.happens(FOUND)

    assert story.round.erase_on == day + timedelta(days=3)


# --- robots --------------------------------------------------------------------------------------

PRESSES: dict[str, Event] = {
    "keep": Answer(Word.KEEP, 1),
    "in_use": Answer(Word.KEEP, 1, reason="in_use"),
    "cancel": Answer(Word.CANCEL, 1),
    "resume": Answer(Word.RESUME, 1),
    "undo": Answer(Word.UNDO, 1),
    "keep_data": Answer(Word.KEEP_DATA, 1),
    "review": LOOK,
}
SAME = ({"keep", "in_use"}, {"keep", "resume"}, {"in_use", "resume"})
"""Presses that say the same."""
DECIDE = {"keep", "in_use", "cancel", "resume"}


@pytest.mark.parametrize(("first", "second"), [*permutations(PRESSES, 2)])
@pytest.mark.parametrize("place", [calmly_asked, long_suspended])
def test_two_buttons_that_contradict_within_ten_seconds_are_believed_neither(
    place: Callable[[], Story], first: str, second: str
) -> None:
    story = place()
    story.now += A_DAY_LATER
    before = story.case.stage
    story.happens(PRESSES[first])
    story.now += timedelta(seconds=3)

    verdict = story.happens(PRESSES[second])

    contradict = {first, second} <= DECIDE | {"review"} and {first, second} not in SAME
    after_a_keep_that_came_too_late = before is Stage.SUSPENDED and first in {"keep", "in_use"}
    if contradict and not after_a_keep_that_came_too_late:
        too_late = before is Stage.SUSPENDED and first == "review" and second in {"keep", "in_use"}
        assert verdict is Verdict.DOUBTED or too_late
        assert story.case.stage is before
        assert (story.round.word, story.round.act) == (None, None)
        assert story.round.review_at is None
    if (first, second) == ("resume", "keep_data") and before is Stage.SUSPENDED:
        assert verdict is Verdict.DOUBTED
        assert story.round.act is None


@pytest.mark.parametrize("place", [calmly_asked, long_suspended])
def test_whoever_presses_every_button_in_any_order_changes_nothing_that_lasts(
    place: Callable[[], Story],
) -> None:
    for order in permutations(("keep", "cancel", "resume", "review")):
        story = place()
        story.now += A_DAY_LATER
        before = story.case
        for press in order:
            story.happens(PRESSES[press])
            story.now += timedelta(seconds=1)
        assert story.case.stage is before.stage
        assert (story.round.word, story.round.act, story.round.outcome) == (None, None, None)
        assert story.round.review_at is None
        assert not [each for each in story.pending if each.kind in {Kind.KEPT, Kind.BILLING_RESUME}]


@pytest.mark.parametrize("press", ["keep", "in_use", "cancel", "resume", "review"])
def test_what_is_pressed_before_the_mail_can_be_read_is_not_believed_but_once(press: str) -> None:
    story = asked()
    story.now += timedelta(seconds=2)

    assert story.happens(PRESSES[press]) is Verdict.DOUBTED
    assert (story.round.word, story.round.act, story.round.review_at) == (None, None, None)
    assert story.case.stage is Stage.ASKED

    story.now += timedelta(seconds=10)
    assert story.happens(PRESSES[press]) is Verdict.APPLIED


def test_the_products_own_app_is_believed_at_any_time() -> None:
    story = asked()
    story.now += timedelta(seconds=2)

    assert story.happens(Answer(Word.KEEP, by="app")) is Verdict.APPLIED


def test_a_scanner_that_looks_into_a_mail_while_it_is_handed_over_is_not_believed() -> None:
    story = queued()
    story.goes_to(story.pending[0].not_before)
    story.claims(Kind.ASK)

    assert story.happens(PRESSES["cancel"]) is Verdict.DOUBTED
    story.now += timedelta(seconds=11)
    assert story.happens(PRESSES["cancel"]) is Verdict.APPLIED


def test_on_a_clock_that_stands_nothing_is_too_soon() -> None:
    assert asked().happens(PRESSES["keep"]) is Verdict.APPLIED
