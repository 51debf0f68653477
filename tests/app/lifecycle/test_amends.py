"""A run is taken back for those whom it stopped: who is told, who is resumed, who is left alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.lifecycle.amends import UNDO, not_restored, restoring
from app.lifecycle.case import (
    Act,
    ActState,
    Amend,
    Amends,
    AskErasure,
    AskReview,
    Case,
    Claim,
    Concern,
    Event,
    Kind,
    Outcome,
    Reach,
    Stage,
    Verdict,
    Word,
)
from app.lifecycle.dates import next_charge
from app.policy import Policy
from tests.app.lifecycle.build import Story, asked, at, overdue, policy, suspended, suspending
from tests.app.lifecycle.walk import MOVES, POLICIES, STARTS, WALKS, ZONES, Moves, Truth, Walker

SPARE = Amend(1, Amends.SPARE)
SORRY = Amend(1, Amends.APOLOGIZE)
RESTORE = Amend(1, Amends.RESTORE)
ERASING = policy(erase_after="P10M")
CANCELING = policy(on_no_answer="cancel_at_period_end", erase_after="P10M")
PAID_UNTIL = at("2024-06-01T08:00")
"""What billing says in these lives where it says it."""
LIVES = settings(max_examples=1500, deadline=None, derandomize=True)


def stopped(how: Policy = ERASING, paid: str | None = "2024-03-15T08:00", **facts: Any) -> Story:
    """Suspend or cancel by silence, hand over the receipt, and let a month pass."""
    story = suspending(terms=how, **facts)
    story.succeeds(story.claimed[0].kind, paid)
    story.delivers()
    return story.goes_to("2024-04-05T12:00")


# --- the apology -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [ERASING, CANCELING])
def test_whom_silence_stopped_is_told_once_and_nothing_of_theirs_is_erased(how: Policy) -> None:
    story = stopped(how)
    stood = story.round
    assert stood.erase_on is not None

    assert story.happens(SORRY) is Verdict.APPLIED

    assert story.round.erase_on is None
    assert story.notes[-2:] == [("erasure_stopped", "run_undone"), ("apology_queued", "run_undone")]
    assert story.delivers() == [Kind.APOLOGY]
    stood = story.round
    said = {story.waits(days=1).happens(again) for again in (SORRY, RESTORE, SPARE)}
    assert said == {Verdict.UNCHANGED}
    assert story.round is stood


def test_it_charges_nobody_without_their_yes() -> None:
    story = stopped()
    story.happens(SORRY)
    assert story.delivers() == [Kind.APOLOGY]
    assert story.waiting == []

    story.says(Word.RESUME)
    story.waits(seconds=10)

    assert [*story.delivers(), *story.delivers()] == [Kind.BILLING_RESUME, Kind.RESUMED]
    assert (story.round.outcome, story.round.decided_by) == (Outcome.RESUMED, "subscriber")


def test_it_keeps_to_the_hours_and_goes_not_to_who_complained() -> None:
    story = stopped().goes_to("2024-04-05T22:00")
    story.happens(SORRY)
    assert [each.not_before for each in story.pending] == [at("2024-04-06T09:00")]
    assert story.claims(Kind.APOLOGY) is Verdict.WAIT
    story.goes_to("2024-04-06T09:00").bounces(Reach.COMPLAINED)
    assert story.claims(Kind.APOLOGY) is Verdict.VOID
    assert story.notes[-1] == ("notice.apology_not_sent", "complained")


def test_a_receipt_that_still_waits_is_not_sent_beside_it() -> None:
    story = suspended(terms=ERASING)
    assert story.waiting == [Kind.SUSPENDED]
    story.happens(SORRY)
    assert story.waiting == [Kind.APOLOGY]


@pytest.mark.parametrize("word", [Word.RESUME, Word.CANCEL])
def test_it_is_not_sent_to_who_has_answered_meanwhile(word: Word) -> None:
    story = stopped()
    story.happens(SORRY)
    story.says(word)
    if Kind.APOLOGY in story.waiting:
        assert story.claims(Kind.APOLOGY) is Verdict.VOID
    assert Kind.APOLOGY not in story.waiting


def test_what_billing_is_just_being_told_is_followed_by_it() -> None:
    story = suspending(terms=ERASING)
    assert story.happens(RESTORE) is Verdict.APPLIED
    assert story.waiting == []

    story.succeeds(Kind.BILLING_SUSPEND, "2024-03-15T08:00")

    assert (story.case.stage, story.round.erase_on) == (Stage.SUSPENDED, None)
    assert story.waiting == [Kind.APOLOGY]
    assert story.round.amended_at == story.now


def test_what_billing_turns_out_not_to_have_done_is_not_done_any_more() -> None:
    story = suspending(terms=ERASING)
    story.happens(SORRY)
    story.turns_out_undone(Kind.BILLING_SUSPEND)
    assert story.claims(Kind.BILLING_SUSPEND) is Verdict.VOID
    assert (story.round.outcome, story.waiting) == (Outcome.WITHDRAWN, [])


def test_what_billing_was_told_twice_is_read_back_first() -> None:
    story = suspending(terms=ERASING)
    story.happens(SORRY)
    effect = story.claimed[0]
    assert story.happens(Claim(effect.kind, effect.version)) is Verdict.CHECK


# --- whom it leaves as they are --------------------------------------------------------------


def own_cancel() -> Story:
    story = asked(terms=ERASING).waits(hours=1)
    story.says(Word.CANCEL)
    story.waits(minutes=10).delivers("2024-04-15T08:00")
    assert story.round.erase_on is not None
    return story


def resumed() -> Story:
    story = stopped()
    story.says(Word.RESUME)
    return story


def kept() -> Story:
    story = asked(terms=ERASING).waits(hours=1)
    story.says(Word.KEEP)
    return story


def to_be_erased() -> Story:
    story = stopped()
    story.happens(AskErasure(1))
    return story


def for_good() -> Story:
    story = stopped()
    story.says(Word.CANCEL)
    return story


@pytest.mark.parametrize("life", [own_cancel, resumed, kept, to_be_erased, for_good])
@pytest.mark.parametrize("event", [SORRY, RESTORE])
def test_who_decided_themselves_keeps_what_they_decided(
    life: Callable[[], Story], event: Event
) -> None:
    story = life()
    stood, waited = story.round, list(story.waiting)

    story.happens(event)

    freed = replace(stood, erase_on=None, undone_at=story.round.undone_at)
    assert (story.round, story.waiting) == (freed, waited)
    assert story.round.erase_on is None


def test_an_erasure_that_was_begun_is_too_late() -> None:
    story = stopped()
    story.case = replace(story.case, round=replace(story.round, stage=Stage.ERASING))
    stood = story.round
    assert story.happens(RESTORE) is Verdict.TOO_LATE
    assert story.round is stood


def test_another_round_is_not_touched() -> None:
    assert stopped().happens(Amend(2, Amends.RESTORE)) is Verdict.OLDER_ROUND
    assert Story().happens(SORRY) is Verdict.OLDER_ROUND


def test_who_has_not_answered_is_withdrawn() -> None:
    story = overdue()
    assert story.happens(SPARE) is Verdict.APPLIED
    assert (story.round.outcome, story.waiting) == (Outcome.WITHDRAWN, [])


def test_sparing_tells_nobody_anything_and_leaves_the_apology_due() -> None:
    story = stopped()
    story.happens(SPARE)
    assert (story.round.erase_on, story.waiting, story.round.amended_at) == (None, [], None)
    story.happens(SORRY)
    assert story.waiting == [Kind.APOLOGY]


def test_a_cancel_of_before_schedules_no_erasure_any_more() -> None:
    story = asked(terms=ERASING).waits(hours=1)
    story.says(Word.CANCEL)
    story.happens(SORRY)
    story.waits(minutes=10).delivers("2024-04-15T08:00")
    assert (story.case.stage, story.round.erase_on) == (Stage.CANCELED, None)


# --- resuming at once ------------------------------------------------------------------------


@pytest.mark.parametrize("how", [ERASING, CANCELING])
def test_two_people_may_have_somebody_resumed_and_one_mail_says_so(how: Policy) -> None:
    paid = "2024-04-15T08:00" if how is CANCELING else "2024-03-15T08:00"
    story = stopped(how, paid)

    assert story.happens(RESTORE) is Verdict.APPLIED
    assert story.waiting == [Kind.BILLING_RESUME]
    assert [*story.delivers(), *story.delivers()] == [Kind.BILLING_RESUME, Kind.APOLOGY]

    assert (story.round.outcome, story.round.decided_by) == (Outcome.RESUMED, UNDO)
    assert ("resumed", "run_undone") in story.notes
    assert story.round.erase_on is None
    assert story.wake is not None
    assert story.wake > story.now + timedelta(days=300)  # left in peace as after any answer
    assert story.happens(RESTORE) is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("refused", "paid", "facts"),
    [
        ("date_unknown", None, {}),
        ("date_moved", "2024-03-25T08:00", {}),
        ("charged_at_once", "2024-03-08T11:00", {"renews_at": at("2024-02-08T11:00")}),
    ],
)
def test_whose_charge_would_not_be_the_one_of_before_is_asked_instead(
    refused: str, paid: str | None, facts: dict[str, Any]
) -> None:
    story = stopped(ERASING, paid, **facts)

    story.happens(RESTORE)

    assert ("restore_refused", refused) in story.notes
    assert story.waiting == [Kind.APOLOGY]
    assert story.round.act is None


def test_whose_paid_time_is_over_cannot_be_resumed() -> None:
    story = stopped(CANCELING, "2024-03-15T08:00")
    story.happens(RESTORE)
    assert ("restore_refused", "ended") in story.notes


def test_whom_no_mail_reaches_is_not_resumed() -> None:
    story = stopped()
    story.bounces()
    story.happens(RESTORE)
    assert ("restore_refused", "not_reached") in story.notes


def test_who_wants_a_person_to_look_is_not_resumed() -> None:
    story = stopped()
    story.happens(AskReview(1, Concern.OTHER))
    story.happens(RESTORE)
    assert ("restore_refused", "before_a_person") in story.notes


def test_the_last_day_of_a_month_is_the_same_date() -> None:
    story = stopped(ERASING, "2024-02-29T08:00", renews_at=at("2024-01-31T08:00"))
    assert not_restored(story.case, story.now) is None


def test_their_own_word_overtakes_it() -> None:
    story = stopped()
    story.happens(RESTORE)
    story.says(Word.CANCEL)
    assert story.waiting == [Kind.BILLING_CANCEL]
    story = stopped()
    story.happens(RESTORE)
    story.says(Word.UNDO)
    assert (story.waiting, story.round.decided_by, story.round.act) == ([], "silence", None)
    assert story.happens(RESTORE) is Verdict.UNCHANGED


def test_a_yes_of_their_own_while_billing_is_told_is_theirs() -> None:
    story = stopped()
    story.happens(RESTORE)
    story.claims(Kind.BILLING_RESUME)
    story.says(Word.RESUME)
    story.succeeds(Kind.BILLING_RESUME)
    assert (story.round.decided_by, story.waiting) == ("subscriber", [Kind.RESUMED])


def test_what_has_changed_until_billing_is_told_counts() -> None:
    story = stopped()
    story.happens(RESTORE)
    story.goes_to("2024-04-14T12:00")
    assert story.claims(Kind.BILLING_RESUME) is Verdict.VOID
    assert story.notes[-2:] == [
        ("restore_refused", "charged_at_once"),
        ("apology_queued", "run_undone"),
    ]
    assert (story.waiting, story.round.decided_by) == ([Kind.APOLOGY], "silence")
    assert story.delivers() == [Kind.APOLOGY]


def test_a_try_of_unknown_outcome_is_read_back_once_it_is_not_to_be_any_more() -> None:
    story = stopped()
    story.happens(RESTORE)
    story.claims(Kind.BILLING_RESUME)
    effect = story.claimed[0]
    assert story.happens(Claim(effect.kind, effect.version)) is Verdict.GO
    story.goes_to("2024-04-14T12:00")
    assert story.happens(Claim(effect.kind, effect.version)) is Verdict.CHECK


def test_what_never_reached_billing_is_tried_again() -> None:
    story = stopped()
    story.happens(RESTORE)
    story.claims(Kind.BILLING_RESUME)
    story.turns_out_undone(Kind.BILLING_RESUME)
    assert (story.round.act, story.round.act_state) == (Act.RESUME, ActState.QUEUED)
    assert [*story.delivers(), *story.delivers()] == [Kind.BILLING_RESUME, Kind.APOLOGY]


# --- in every life ---------------------------------------------------------------------------


class Amended(Walker):
    """A life in which runs are taken back in every way, at any moment.

    Who is left in peace after a keep is judged in other lives: there are longer ones here.
    """

    def walks(self, moves: Moves) -> "Amended":
        for name, choice in moves:
            if name == "is taken back":
                self.is_put_right(choice)
            else:
                MOVES[name](self, choice)
        return self

    def is_put_right(self, choice: int) -> None:
        number = self.case.round.number if self.case.round else 1
        self.happens(Amend(number - choice % 7 // 6, list(Amends)[choice % len(Amends)]))

    def _hear_keep(self, truth: Truth, word: Word, verdict: Verdict) -> None:
        """Leave that law to others."""

    def _remember(self, before: Case, event: Event, verdict: Verdict) -> None:
        super()._remember(before, event, verdict)
        if isinstance(event, Amend):
            self._judge_amends(before, event, verdict)

    def _judge_amends(self, before: Case, event: Amend, verdict: Verdict) -> None:
        was, current = before.round, self.case.round
        if verdict is not Verdict.APPLIED or was is None or current is None:
            assert self.case == before
            return
        if current.outcome is Outcome.WITHDRAWN:
            self._judge_withdrawal(before, self.truths[current.number])
            return
        assert current.erase_on is None, "nothing is erased for it"
        assert (current.stage, current.outcome, current.word) == (was.stage, None, was.word)
        if was.word is not None or was.decided_by != "silence" or was.erase_at is not None:
            assert (current.act, current.decided_by) == (was.act, was.decided_by), "they decided"
            assert current.amended_at == was.amended_at
        if event.how is not Amends.RESTORE:
            assert current.act is was.act, "only two people have anybody resumed"
        self.seen["restoring"] += restoring(current)
        self.seen["spared"] += was.erase_on is not None

    def _judge_claim(self, before: Case, event: Event, verdict: Verdict) -> None:
        if not isinstance(event, Claim) or verdict is not Verdict.GO:
            return
        was = before.round
        if event.kind is Kind.APOLOGY:
            self._judge_apology()
        if event.kind is Kind.BILLING_RESUME and was is not None and restoring(was):
            self._judge_restore()
            return
        super()._judge_claim(before, event, verdict)

    def _judge_apology(self) -> None:
        truth = self.truths[self.round.number]
        assert self.case.reach is Reach.OK
        assert 9 <= self.now.astimezone(self.case.subscription.zone).hour < 20
        assert truth.word not in (Word.KEEP, Word.RESUME, Word.CANCEL) or not self.round.open
        self.seen["apologized"] += self.round.open
        self.seen["restored"] += self.round.outcome is Outcome.RESUMED

    def _judge_restore(self) -> None:
        """Nobody is charged for the time between, nor sooner than a mail can be read."""
        truth = self.truths[self.round.number]
        assert truth.word not in (Word.KEEP, Word.RESUME, Word.CANCEL)
        assert self.case.reach is Reach.OK
        assert not self.round.before_a_person
        coming = next_charge(self.case.subscription, self.now)
        assert coming is not None
        assert coming >= self.now + timedelta(days=3)
        paid: datetime | None = self.round.paid_until
        assert paid is not None
        series = next_charge(replace(self.case.subscription, renews_at=paid), self.now)
        assert series is not None
        assert abs(series.date() - coming.date()) <= timedelta(days=4)


def test_in_every_life_who_decided_is_left_and_nobody_is_charged_by_an_apology() -> None:
    seen: dict[str, int] = {}

    @LIVES
    @given(st.sampled_from(POLICIES), st.sampled_from(ZONES), STARTS, WALKS, WALKS)
    def live(terms: Policy, zone: str, start: Moves, moves: Moves, more: Moves) -> None:
        life = Amended(terms=terms, zone=ZoneInfo(zone), now="2024-01-20", renews_at=PAID_UNTIL)
        life.walks(start)
        life.is_put_right(len(moves))
        life.walks([*moves, *more])
        for name, many in life.seen.items():
            seen[name] = seen.get(name, 0) + many
        counted = [kind for kind in life.done if kind is Kind.APOLOGY]
        assert len(counted) <= life.round.number if life.case.round else not counted

    live()
    wanted = ("apologized", "restoring", "restored", "spared", "taken back")
    assert {place: seen.get(place, 0) for place in wanted if seen.get(place, 0) < 2} == {}
