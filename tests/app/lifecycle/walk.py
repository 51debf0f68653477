"""Random walks through lives, and what must hold after every single step of them.

A walk begins somewhere deep on purpose, and then lets anything happen. `Walker` keeps a small truth
of its own about the world (what went out, what came back, what people said), and judges every act
at billing by that truth alone, never by what the rules remember.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from msgspec.structs import replace

from app.lifecycle import step, wake_at
from app.lifecycle.case import (
    ACT_OF,
    TEN_MINUTES,
    TEN_SECONDS,
    Acknowledged,
    Act,
    ActState,
    Answer,
    AskErasure,
    AskLink,
    AskReview,
    Case,
    Claim,
    Concern,
    Declined,
    Erasure,
    ErasureSettled,
    Event,
    Finding,
    HandedOver,
    Kind,
    NotDone,
    Outcome,
    Reach,
    Reviewed,
    Stage,
    Step,
    StopReminders,
    Tick,
    Undelivered,
    Used,
    Verdict,
    Why,
    Withdraw,
    Word,
)
from app.policy import Policy
from tests.app.lifecycle import build
from tests.app.lifecycle.build import Story, policy

Moves = list[tuple[str, int]]
"""What happens in a walk: a move by its name, and a number that it makes its choices by."""
WINDOW = 30
"""Days to answer under every policy of these walks."""
POLICIES = (
    policy(erase_after="P10M"),
    policy(on_no_answer="cancel_at_period_end", erase_after="P10M", when_unreachable="suspend"),
    policy(on_no_answer="nothing"),
    policy(
        unused_after="P5Y",
        before_renewal={"intervals": ["month"], "unused_for": "P2Y", "ask_ahead": "P45D"},
        ask_again_after="P30D",
    ),
)
ZONES = ("UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Europe/Paris", "Etc/GMT+12")
PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        0,
        1,
        9,
        10,
        11,
        300,
        600,
        3600,
        40_000,
        86_400,
        259_200,
        691_200,
        2_700_000,
        3e7,
    )
)


@dataclass
class Truth:
    """What really happened in one round, as the world saw it."""

    known: date | None
    handed: datetime | None = None
    unreachable: bool = False
    used: bool = False
    undone: bool = False
    word: Word | None = None
    kept_at: datetime | None = None


class Walker(Story):
    """A story in which anything may happen, judged after every step."""

    def __init__(self, *, judged: bool = True, **how: Any) -> None:
        super().__init__(**how)
        self.judged = judged
        self.truths: dict[int, Truth] = {}
        self.peace: date | None = None
        self.review: datetime | None = None
        self.reviewed: datetime | None = None
        self.issued: set[tuple[int, Kind, int]] = set()
        self.seen: Counter[str] = Counter()
        self.trace: list[object] = []

    # --- every step ------------------------------------------------------------------------

    def happens(self, event: Event) -> Verdict:
        before = self.case
        verdict = super().happens(event)
        self.trace.append((verdict, self.case.round, tuple(self.pending)))
        if self.judged:
            self._remember(before, event, verdict)
            self._judge_claim(before, event, verdict)
            self._judge_numbers(before)
            self._judge_shape()
            self._judge_repeat(event)
            self._judge_wake()
        return verdict

    def take(self, made: Step) -> None:
        super().take(made)
        for effect in made.effects:
            name = (self.round.number, effect.kind, effect.version)
            assert name not in self.issued, "an effect is ordered once under one number"
            self.issued.add(name)

    def _remember(self, before: Case, event: Event, verdict: Verdict) -> None:
        current = self.case.round
        if current is None:
            return
        self._remember_review(event, verdict)
        truth = self.truths.setdefault(
            current.number, Truth(known=before.subscription.last_used_on)
        )
        match event:
            case HandedOver(kind=Kind.ASK) if truth.handed is None and Kind.ASK in self.done:
                truth.handed, truth.unreachable = self.now, False
            case Undelivered():
                truth.unreachable = True
            case Used():
                last = self.case.subscription.last_used_on
                truth.used |= last is not None and (truth.known is None or last > truth.known)
            case Answer(word=word):
                self._hear(truth, word, verdict)
            case Withdraw() if verdict is Verdict.APPLIED:
                self._judge_withdrawal(before, truth)
            case AskReview() if verdict is Verdict.DOUBTED:
                self._hear(truth, Word.KEEP_DATA, verdict)  # a word right before it is not believed
            case AskErasure() if verdict is Verdict.DOUBTED and current.word is None:
                self._hear(truth, Word.KEEP_DATA, verdict)
            case _:
                pass

    def _remember_review(self, event: Event, verdict: Verdict) -> None:
        """Note who wants a person to look; a contradiction right after it takes it back."""
        hasty = self.review is not None and self.now - self.review <= TEN_SECONDS
        if isinstance(event, AskReview) and verdict is Verdict.APPLIED:
            self.review = self.now
        elif isinstance(event, Reviewed) and verdict is Verdict.APPLIED:
            self.review, self.reviewed = None, self.now
        elif verdict is Verdict.DOUBTED and hasty:
            self.review = None

    def _hear(self, truth: Truth, word: Word, verdict: Verdict) -> None:
        self._hear_keep(truth, word, verdict)
        if verdict is Verdict.DOUBTED:
            truth.word = None
        elif word in (Word.KEEP, Word.RESUME, Word.CANCEL, Word.UNDO) and verdict in (
            Verdict.APPLIED,
            Verdict.UNCHANGED,
        ):
            truth.word = word

    def _hear_keep(self, truth: Truth, word: Word, verdict: Verdict) -> None:
        """Note an accepted keep; only an undo or a contradiction right after it takes it back."""
        since = self.now - truth.kept_at if truth.kept_at else None
        doubted = verdict is Verdict.DOUBTED and since is not None and since <= TEN_SECONDS
        undone = word is Word.UNDO and verdict is Verdict.APPLIED
        if self.round.outcome is Outcome.KEPT and since is None and verdict is Verdict.APPLIED:
            truth.kept_at, self.peace = self.now, self._peace_from(self.now)
        elif doubted or (undone and since is not None and since <= TEN_MINUTES):
            truth.kept_at = self.peace = None

    def _peace_from(self, moment: datetime) -> date:
        day = moment.astimezone(self.case.subscription.zone).date()
        return self.policy.terms.ask_again_after.after(day)

    # --- what must hold ----------------------------------------------------------------------

    def _judge_claim(self, before: Case, event: Event, verdict: Verdict) -> None:
        if not isinstance(event, Claim) or verdict is not Verdict.GO:
            return
        self.seen[f"go {event.kind}"] += 1
        truth = self.truths.get(self.round.number)
        assert truth is not None
        retried = before.round is not None and before.round.act_state is ActState.CLAIMED
        match event.kind:
            case Kind.BILLING_SUSPEND:
                assert truth.word not in (Word.KEEP, Word.RESUME, Word.CANCEL)
                self._judge_silence(truth, retried=retried)
            case Kind.BILLING_CANCEL if truth.word is not Word.CANCEL:
                assert truth.word not in (Word.KEEP, Word.RESUME)
                self._judge_silence(truth, retried=retried)
            case Kind.BILLING_RESUME:
                assert truth.word in (Word.KEEP, Word.RESUME, Word.UNDO)
            case Kind.ASK | Kind.REMINDER | Kind.WELCOME_BACK:
                assert self.case.reach is Reach.OK
                assert 9 <= self.now.astimezone(self.case.subscription.zone).hour < 20
            case _:
                pass

    def _judge_silence(self, truth: Truth, *, retried: bool) -> None:
        """R01, R02, R05, R09: only a whole window of real silence after a real notice counts."""
        zone, hearing = self.case.subscription.zone, self.case.hearing
        assert retried or self.case.reach is Reach.OK
        assert truth.handed is not None, "nobody is suspended without a notice handed over"
        assert not truth.unreachable, "or after it came back"
        assert not truth.undone, "or after it was taken back"
        assert retried or not truth.used, "or after they used it"
        assert truth.kept_at is None, "or after they kept it"
        assert retried or self.review is None, "or while a person is to look at it"
        assert retried or self.round.erase_at is None, "or who wants to be erased"
        last = truth.handed.astimezone(zone).date() + timedelta(days=WINDOW)
        today = self.now.astimezone(zone).date()
        assert today > last, "or before the last day of the window is over where they live"
        if not retried:
            assert hearing.heard_until is not None
            assert hearing.heard_until >= last
            for paused in filter(None, (hearing.lifted_at, self.reviewed)):
                assert (today - paused.astimezone(zone).date()).days > 3
        self.seen["suspended by silence"] += 1

    def _judge_withdrawal(self, before: Case, truth: Truth) -> None:
        """Whose run is taken back: of those alone who said nothing and whom nothing was done to."""
        was, stands = before.round, self.case.round
        assert was is not None
        assert stands is not None
        assert before.stage is Stage.ASKED
        assert truth.word not in (Word.KEEP, Word.RESUME, Word.CANCEL), "a word stays said"
        assert was.act_state is not ActState.CLAIMED, "what billing is being told is not taken back"
        assert stands.outcome is Outcome.WITHDRAWN
        assert not self.pending, "nothing follows"
        truth.undone = True
        self.seen["taken back"] += 1
        self.seen["suspension taken back"] += was.act is Act.SUSPEND

    def _judge_numbers(self, before: Case) -> None:
        old, new = before.round, self.case.round
        if old is None or new is None:
            return
        assert new.number in (old.number, old.number + 1)
        if new.number > old.number and new.why not in (Why.OWN_CANCEL, Why.BILLING_CANCEL):
            today = self.now.astimezone(self.case.subscription.zone).date()
            assert self.peace is None or today >= self.peace, "who kept it is left in peace"
            assert self.review is None, "who wants a person to look is not asked before they have"
            assert new.erase_at is None, "nor who wants to be erased"
        if new.number == old.number:
            assert new.act_version >= old.act_version
            if new.act is not None and new.act is not old.act:
                assert new.act_version > old.act_version, "each act has a number of its own"
            assert new.version == old.version, "a promise keeps the policy it was made under"
            self._judge_promise(old.answer_by, new.answer_by)

    def _judge_promise(self, old: datetime | None, new: datetime | None) -> None:
        if old is not None and new is not None:
            assert new >= old, "a promise never moves against the subscriber"

    def _judge_shape(self) -> None:
        current = self.case.round
        if current is None:
            return
        assert (current.act is None) == (current.act_state is None) == (current.act_at is None)
        assert current.open or current.act is None
        act = f"{current.act} {current.act_state}" if current.act else "no act"
        self.seen[f"{self.case.stage} {act}"] += 1
        self.seen[f"outcome {current.outcome}"] += 1
        if current.erase_at is not None:
            assert not (current.word in (Word.KEEP, Word.RESUME) and current.act is Act.RESUME)
            self.seen["to be erased"] += 1
        if self.case.stage is Stage.ASKED and current.act is None:
            everything = replace(
                self.case, hearing=replace(self.case.hearing, heard_until=date.max)
            )
            waits = current.review_at is not None and current.review_at == self.review
            woken = wake_at(everything, self.policy, self.now)
            assert woken or waits, "nobody is forgotten while asked"
            self.seen["asked and looked at"] += waits

    def _judge_repeat(self, event: Event) -> None:
        if isinstance(event, Tick) and self.wake == self.now:
            return  # a withdrawn ask is asked anew at once: that is another round
        if isinstance(event, AskLink):
            return  # one waits at a time, and three a day: that is for the engine
        again = step(self.case, event, self.policy, self.now)
        assert not again.effects, "what is told twice is done once"
        assert again.case.stage == self.case.stage

    def _judge_wake(self) -> None:
        """Before `wake_at` a tick changes nothing; at `wake_at` it changes something."""
        due = self.wake
        assert due is None or due >= self.now
        quiet = [self.now, self.now + timedelta(days=400)] if due is None else []
        if due is not None and due > self.now:
            quiet = [self.now, self.now + (due - self.now) / 2, due - timedelta(microseconds=1)]
        for moment in quiet:
            made = step(self.case, Tick(), self.policy, moment)
            assert (made.case, made.verdict) == (self.case, Verdict.UNCHANGED)
            later = wake_at(self.case, self.policy, moment)
            assert later == due
        if due is not None:
            made = step(self.case, Tick(), self.policy, due)
            assert made.case != self.case
            assert made.verdict is Verdict.APPLIED

    # --- anything may happen -----------------------------------------------------------------

    def walks(self, moves: Moves) -> "Walker":
        for name, choice in moves:
            self.does(name, choice)
        return self

    def does(self, name: str, choice: int) -> None:
        """Make one move."""
        MOVES[name](self, choice)

    def pauses(self, choice: int) -> None:
        self.now += PAUSES[choice % len(PAUSES)]

    def looks(self, choice: int) -> None:
        """Go to the next look, sometimes late, and look."""
        if self.wake is not None:
            self.now = self.wake + (timedelta(hours=choice) if choice % 3 == 0 else timedelta())
        self.ticks()

    def works(self, choice: int) -> None:
        """Claim what waits, when its time has come or too soon."""
        if not self.pending:
            return
        effect = self.pending[choice % len(self.pending)]
        if choice % 5:
            self.now = max(self.now, effect.not_before)
        self.claims(effect.kind)

    def hears_back(self, choice: int) -> None:
        """Let the world report what became of something claimed."""
        if not self.claimed:
            return
        kind = self.claimed[choice % len(self.claimed)].kind
        outcomes: list[Callable[[], object]] = [
            lambda: self.succeeds(kind, "2024-06-01T08:00"),
            lambda: self.succeeds(kind),
        ]
        if kind in ACT_OF:
            outcomes += [lambda: self.declines(kind), lambda: self.turns_out_undone(kind)]
        outcomes[choice % len(outcomes)]()

    def speaks(self, choice: int) -> None:
        word = list(Word)[choice % len(Word)]
        number = self.case.round.number if self.case.round else 1
        self.happens(Answer(word, round=(number, None, number, number - 1)[choice % 4]))

    def wants_a_look(self, choice: int) -> None:
        """Ask for a person to look, mostly by the link of the latest round."""
        number = self.case.round.number if self.case.round else 1
        self.happens(AskReview(number - choice % 5 // 4, list(Concern)[choice % len(Concern)]))

    def is_looked_at(self, choice: int) -> None:
        self.happens(Reviewed(list(Finding)[choice % len(Finding)]))

    def is_taken_back(self, choice: int) -> None:
        """Take back the run of the latest round, or of one before it."""
        number = self.case.round.number if self.case.round else 1
        self.happens(Withdraw(number - choice % 5 // 4))

    def wants_to_be_erased(self, choice: int) -> None:
        """Ask for a fresh link, or confirm by one."""
        number = self.case.round.number if self.case.round else 1
        self.happens((AskLink(number), AskErasure(number), AskErasure(number - 1))[choice % 3])

    def is_erased(self, choice: int) -> None:
        self.happens(ErasureSettled(list(Erasure)[choice % len(Erasure)]))

    def comes_by(self, choice: int) -> None:
        days = (0, 1, 40, 800)[choice % 4]
        last = self.case.subscription.last_used_on or build.day("2022-02-01")
        self.uses(on=max(self.now.date() - timedelta(days=days), last))

    def is_lost(self, choice: int) -> None:
        self.bounces((Reach.BOUNCED, Reach.COMPLAINED)[choice % 2])

    def has_moved(self, choice: int) -> None:
        self.moves((Reach.OK, Reach.OK, Reach.NO_ADDRESS)[choice % 3])

    def is_told(self, choice: int) -> None:
        facts: tuple[dict[str, Any], ...] = (
            {"amount": self.case.subscription.amount + 1},
            {"amount": max(0, self.case.subscription.amount - 1)},
            {"status": "paused"},
            {"status": "canceled"},
            {"status": "active"},
            {"status": "active"},
            {"renews_at": self.now + timedelta(days=choice % 40)},
        )
        self.billing_tells(**facts[choice % len(facts)])

    def is_heard(self, choice: int) -> None:
        """Move what the feeds cover, or lift a brake."""
        today = self.now.date()
        changes: tuple[dict[str, Any], ...] = (
            {"heard_until": date.max},
            {"heard_until": today - timedelta(days=choice % 4)},
            {"heard_until": date.max, "lifted_at": self.now},
        )
        self.sees(**changes[choice % len(changes)])
        self.ticks()

    def tries_again(self, choice: int) -> None:
        """Claim once more an act whose outcome nobody knows."""
        acts = [each for each in self.claimed if each.kind in ACT_OF]
        if acts:
            effect = acts[choice % len(acts)]
            self.happens(Claim(effect.kind, effect.version))

    def drifts(self, choice: int) -> None:
        """Let facts change that no event has told of yet, as between two transactions."""
        truth, today = (
            self.truths.get(self.case.round.number) if self.case.round else None,
            self.now,
        )
        if choice % 4 == 0:
            self.case = replace(
                self.case, subscription=replace(self.case.subscription, last_used_on=today.date())
            )
            if truth is not None and truth.known != today.date():
                truth.used = True
        elif choice % 4 == 1:
            self.case = replace(self.case, reach=Reach.NO_ADDRESS)
        elif choice % 4 == 2:
            self.sees(heard_until=today.date() - timedelta(days=2))
        else:
            self.sees(lifted_at=today)

    def is_confused(self, choice: int) -> None:
        """Hear what cannot be: another act, another number, a notice nobody claimed."""
        number, act = choice % 3, list(Act)[choice % 3]
        events: tuple[Event, ...] = (
            Acknowledged(act, 90 + number, None),
            Declined(act, 90 + number),
            NotDone(act, 90 + number),
            HandedOver(Kind.REMINDER, number),
            Claim(list(Kind)[choice % len(Kind)], 90 + number),
            StopReminders(number),
            Used(),
        )
        self.happens(events[choice % len(events)])


MOVES: dict[str, Callable[[Walker, int], None]] = {
    "pauses": Walker.pauses,
    "looks": Walker.looks,
    "works": Walker.works,
    "hears back": Walker.hears_back,
    "speaks": Walker.speaks,
    "wants a look": Walker.wants_a_look,
    "is looked at": Walker.is_looked_at,
    "is taken back": Walker.is_taken_back,
    "wants to be erased": Walker.wants_to_be_erased,
    "is erased": Walker.is_erased,
    "comes by": Walker.comes_by,
    "is lost": Walker.is_lost,
    "has moved": Walker.has_moved,
    "is told": Walker.is_told,
    "is heard": Walker.is_heard,
    "is confused": Walker.is_confused,
    "tries again": Walker.tries_again,
    "drifts": Walker.drifts,
}
# What moves a life on comes up more often than what ends it.
LIKELY = [
    *MOVES,
    "looks",
    "works",
    "works",
    "works",
    "hears back",
    "hears back",
    "speaks",
    "pauses",
]
WALKS: st.SearchStrategy[Moves] = st.binary(min_size=40, max_size=70).map(
    # Two bytes a move: drawn faster than a list of moves, and made shorter as well.
    lambda raw: [
        (LIKELY[one % len(LIKELY)], two) for one, two in zip(raw[::2], raw[1::2], strict=False)
    ]
)
TO_ASKED = [("looks", 1), ("works", 1), ("hears back", 0)]
TO_OVERDUE = [*TO_ASKED, ("looks", 1), ("looks", 1), ("looks", 1)]
TO_SUSPENDING = [*TO_OVERDUE, ("works", 2)]
TO_REMINDED = [*TO_ASKED, ("looks", 1), ("works", 1)]
TO_PARKED = [*TO_SUSPENDING, ("hears back", 2)]
TO_SUSPENDED = [*TO_SUSPENDING, ("hears back", 0)]
TO_CANCELING = [*TO_ASKED, ("speaks", 21), ("works", 1)]
TO_CANCELED = [*TO_CANCELING, ("hears back", 0)]
TO_KEPT = [*TO_ASKED, ("speaks", 0), ("pauses", 12)]
TO_RESUMING = [*TO_SUSPENDED, ("works", 1), ("hears back", 0), ("speaks", 2), ("works", 1)]
TO_RESUME_PARKED = [*TO_RESUMING, ("hears back", 2)]
TO_ENDING = [*TO_SUSPENDED, ("works", 1), ("hears back", 0), ("speaks", 21), ("works", 1)]
STARTS: st.SearchStrategy[Moves] = st.sampled_from(
    [
        [],
        TO_ASKED,
        TO_OVERDUE,
        TO_SUSPENDING,
        TO_SUSPENDED,
        TO_CANCELING,
        TO_CANCELED,
        TO_RESUMING,
        TO_KEPT,
        TO_PARKED,
        TO_REMINDED,
        TO_RESUME_PARKED,
        TO_ENDING,
    ]
)


# Right before an act, whatever might stop it happens, and then all goes on as if it had not.
NEAR_AN_ACT = {
    "overdue": TO_OVERDUE,
    "suspending": TO_SUSPENDING,
    "parked": TO_PARKED,
    "suspended": TO_SUSPENDED,
    "canceling": TO_CANCELING,
    "resuming": TO_RESUMING,
    "kept": TO_KEPT,
}
KEEPS, CANCELS, RESUMES, UNDOES = (("speaks", choice) for choice in (0, 16, 12, 8))
DANGERS = [
    *(KEEPS, CANCELS, RESUMES, UNDOES),
    *(("pauses", 4), ("pauses", 5)),
    *(("drifts", choice) for choice in range(4)),
    *(("is lost", 0), ("has moved", 0), ("comes by", 0), ("is told", 0)),
    *(("wants a look", 0), ("is looked at", 0), ("is taken back", 0)),
    *(("wants to be erased", 0), ("wants to be erased", 1)),
]
INSISTING: Moves = [
    ("tries again", 0),
    ("hears back", 3),
    ("works", 1),
    ("has moved", 0),
    *[("works", 1)] * 2,
    *[("looks", 1)] * 3,
    *[("works", 1)] * 2,
    ("tries again", 0),
]


def walker(terms: Policy, zone: str, **facts: Any) -> Walker:
    return Walker(terms=terms, zone=ZoneInfo(zone), now="2024-01-20", **facts)
