"""Walks that lead into every step of an erasure, judged by what the world saw and never by rules.

A `Mourner` keeps beside a walker's truth what erasing depends on: which warnings were handed over
on which days and what came of them since, who holds a case, what people agreed to, what the person
wants, and what every system has answered.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from msgspec.structs import replace

from app.lifecycle.case import (
    Acknowledged,
    AddressChanged,
    AllReceipts,
    Answer,
    AskErasure,
    BeginErasure,
    Case,
    Claim,
    Erasing,
    ErasureSettled,
    Event,
    HandedOver,
    Kind,
    Outcome,
    Reach,
    Round,
    Stage,
    Told,
    Undelivered,
    Used,
    Verdict,
    Wiped,
    Word,
)
from app.lifecycle.erasing import barred
from app.policy import Policy
from tests.app.lifecycle.build import policy
from tests.app.lifecycle.walk import (
    DANGERS,
    LIKELY,
    MOVES,
    TO_CANCELED,
    TO_SUSPENDED,
    Moves,
    Walker,
)

POLICIES = (
    policy(erase_after="P10M"),
    policy(on_no_answer="cancel_at_period_end", erase_after="P3M"),
    policy(erase_after="P10M", erasure_warnings=["P90D", "P30D", "P15D"]),
    policy(erase_after="P60D", erasure_warnings=["P20D", "P19D"]),
)
YES = (Word.KEEP, Word.RESUME)
STOPPED = (Stage.SUSPENDED, Stage.CANCELED)


@dataclass
class Proof:
    """What would have to be proved in court, as the world saw it."""

    warned: list[date] = field(default_factory=list)
    stated: date | None = None
    used: bool = False
    wished_at: datetime | None = None
    undone: date | None = None
    agreed: tuple[int, date] | None = None
    begun: str | None = None
    erased: bool = False


class Mourner(Walker):
    """A life that may come to its erasure, judged after every step."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.proof = Proof()
        self.holds = 0
        self.visited: set[str] = set()

    @property
    def today(self) -> date:
        return self.now.astimezone(self.case.subscription.zone).date()

    # --- every step ------------------------------------------------------------------------

    def happens(self, event: Event) -> Verdict:
        before = self.case
        verdict = super().happens(event)
        self._learn(before, event, verdict)
        self._judge_erasing(before, event, verdict)
        return verdict

    def _learn(self, before: Case, event: Event, verdict: Verdict) -> None:
        if self.case.round is None:
            return
        self._learn_of_warnings(before, event, verdict)
        self._learn_of_wishes(self.case.round, event, verdict)
        if self.case.round.erase_at is None:
            self.proof.wished_at = None
        if before.round is not None and before.stage is not self.case.stage:
            self._stage_changed(before)

    def _learn_of_warnings(self, before: Case, event: Event, verdict: Verdict) -> None:
        proof, erase_on = self.proof, self.round.erase_on
        match event:
            case Claim(kind=Kind.ERASURE_WARNING) if verdict is Verdict.GO:
                proof.stated = max(filter(None, (proof.stated, erase_on)))
            case HandedOver(kind=Kind.ERASURE_WARNING) if self._one_was_owed(before):
                proof.warned.append(self.today)
            case Undelivered() | AddressChanged(reach=Reach.NO_ADDRESS):
                self._no_longer_warned()
            case Told() if self.case.stage is not before.stage:
                self._no_longer_warned()
            case _:
                pass

    def _learn_of_wishes(self, current: Round, event: Event, verdict: Verdict) -> None:
        match event:
            case Used():
                self._used()
            case AskErasure() if verdict is Verdict.APPLIED:
                self.proof.wished_at = self.now
            case ErasureSettled() if verdict is Verdict.APPLIED and current.erase_on is None:
                self._no_longer_warned()
            case Answer() if verdict is Verdict.APPLIED:
                self._heard_say(event.word)
            case _:
                pass

    def _one_was_owed(self, before: Case) -> bool:
        was = before.round
        return was is not None and was.warned > was.warnings and was.erase_on is not None

    def _no_longer_warned(self) -> None:
        if self.case.stage is not Stage.ERASING:
            self.proof.warned, self.proof.stated = [], None

    def _heard_say(self, word: Word) -> None:
        if word is Word.UNDO:
            self.proof.undone = self.today
        elif word in (*YES, Word.KEEP_DATA) and self.case.stage is not Stage.ERASING:
            self._no_longer_warned()

    def _used(self) -> None:
        current, last = self.case.round, self.case.subscription.last_used_on
        if current is None or last is None or self.case.stage not in STOPPED:
            return
        paid = current.paid_until if self.case.stage is Stage.CANCELED else None
        if paid is None or self.now >= paid:
            self.proof.used |= current.used_known is None or last > current.used_known

    def _stage_changed(self, before: Case) -> None:
        if self.case.stage in (Stage.ERASING, Stage.ERASED) or before.stage is Stage.ERASING:
            return
        wished = self.proof.wished_at
        self.proof = Proof(wished_at=wished)

    # --- what must hold ----------------------------------------------------------------------

    def _judge_erasing(self, before: Case, event: Event, verdict: Verdict) -> None:
        current = self.case.round
        if current is None:
            return
        if before.stage is not Stage.ERASING and self.case.stage is Stage.ERASING:
            assert isinstance(event, BeginErasure)
            assert verdict is Verdict.APPLIED
            self._judge_beginning(before, event)
        if before.stage is Stage.ERASING:
            self._judge_going_on(before, event)
        elif isinstance(event, BeginErasure) and event.erase_on is None:
            self._judge_wish(before, event, verdict)
        self._judge_what_goes_out(event, verdict)
        self._visit()

    def _judge_beginning(self, before: Case, event: BeginErasure) -> None:
        assert before.round is not None
        assert before.stage in STOPPED, "nobody is erased while they are charged"
        assert self.holds == 0, "R11: nobody is erased under a hold"
        assert before.round.act is None, "nor while billing is being told something"
        assert before.round.word not in YES, "nor who wants it back"
        assert self.review is None, "nor while a person is to look"
        proof = self.proof
        proof.begun = "own" if event.erase_on is None else "agreed"
        if event.erase_on is None:
            self._judge_own(proof)
        else:
            self._judge_agreed(before, proof, event.erase_on)

    def _judge_own(self, proof: Proof) -> None:
        assert proof.wished_at is not None, "only who asked for it is erased without two people"
        assert self.now >= proof.wished_at + timedelta(days=1)

    def _judge_wish(self, before: Case, event: BeginErasure, verdict: Verdict) -> None:
        """R14: what a person asked for themselves waits for no schedule, guard or agreement."""
        was, wished = before.round, self.proof.wished_at
        if was is None or wished is None or event.round != was.number or verdict is Verdict.APPLIED:
            return
        rested = self.now >= wished + timedelta(days=1)
        at_rest = before.stage in STOPPED and was.act is None and was.word not in YES
        free = self.holds == 0 and self.review is None
        assert not (rested and at_rest and free), "R14: an own wish beats every schedule"

    def _judge_agreed(self, before: Case, proof: Proof, day: date) -> None:
        current, hearing = self.round, before.hearing
        assert proof.agreed == (current.number, day), "R13: only what two people agreed to"
        assert before.reach is Reach.OK, "R09: nobody is erased by silence who cannot be reached"
        assert len(set(proof.warned)) >= 2, "R10: two warnings, on different days"
        assert self.today - max(proof.warned) >= timedelta(days=14), "R10: the last 14 days before"
        assert not proof.used, "nor who uses it"
        assert before.subscription.status in ("paused", "canceled"), "nor whom billing charges"
        assert proof.stated is not None
        assert self.today >= max(day, proof.stated), "never sooner than a warning said"
        assert hearing.heard_until is not None, "R06: no data is not inactivity"
        assert hearing.heard_until >= day - timedelta(days=1), "R06: nor is yesterday's silence"
        assert proof.undone is None or (self.today - proof.undone).days >= 3, "who is just there"
        assert proof.wished_at is None, "who asked for it themselves is on no manifest"

    def _judge_going_on(self, before: Case, event: Event) -> None:
        """Nothing is taken back, and each step waits for the one before."""
        was, current = before.round, self.round
        assert was is not None
        order = [Erasing.ENDING, Erasing.TELLING, Erasing.PARTING, Erasing.WIPING, None]
        steps = order.index(current.erasing) - order.index(was.erasing)
        stopped = current.outcome is Outcome.BY_BILLING
        if stopped:
            claimed = isinstance(event, Claim) and event.kind is Kind.BILLING_END
            assert isinstance(event, Told) or claimed
            assert before.subscription.status not in ("paused", "canceled") or not claimed
            assert current.stage is Stage.SUSPENDED, "nothing was erased of who pays again"
            assert was.erasing is Erasing.ENDING
            assert not was.in_flight
            self.visited.add("stopped by billing")
            return
        skipped = was.erasing is Erasing.TELLING and isinstance(event, AllReceipts)
        assert steps <= 1 + skipped, "nobody goes on without every receipt"
        assert steps >= 0
        if current.erasing is Erasing.TELLING and steps:
            ended = self.case.subscription.status == "canceled" and not was.in_flight
            told = ended and isinstance(event, Told | Claim)
            assert isinstance(event, Acknowledged) or told, "no system is told before it has ended"
        if current.erasing in (Erasing.PARTING, Erasing.WIPING) and was.erasing is Erasing.TELLING:
            assert isinstance(event, AllReceipts), "nobody goes on without every receipt"
        if current.outcome is Outcome.ERASED:
            assert isinstance(event, Wiped)
            assert was.erasing is Erasing.WIPING
            assert not self.pending
            self.proof.erased = True
        else:
            assert current.open
            assert self.case.stage is Stage.ERASING, "what was begun is finished"

    def _judge_what_goes_out(self, event: Event, verdict: Verdict) -> None:
        if not isinstance(event, Claim) or verdict is not Verdict.GO:
            return
        stage, kind = self.case.stage, event.kind
        assert not self.proof.erased, "R23: nothing goes out after the erasure"
        if stage is Stage.ERASING:
            assert kind in (Kind.BILLING_END, Kind.ERASED)
        if kind is Kind.BILLING_END:
            rests = self.case.subscription.status in ("paused", "canceled")
            assert rests or self.proof.begun == "own", "nor who pays again"
            assert self.proof.begun, "billing ends nothing for good that is not being erased"
        if kind is Kind.ERASURE_WARNING:
            assert self.holds == 0
            assert stage in STOPPED
            assert self.round.erase_on is not None
            more = 14 if self.round.warned == len(self.policy.erasure_warnings) else 15
            assert self.round.erase_on >= self.today + timedelta(days=more), "R10: time to answer"

    def _visit(self) -> None:
        current = self.round
        if current.warnings:
            self.visited.add(f"warned {min(current.warnings, 2)}")
        if current.erasing is not None:
            self.visited |= {f"{current.erasing}", f"{self.proof.begun} {current.erasing}"}
        if current.outcome is Outcome.ERASED:
            self.visited |= {"erased", f"erased {self.proof.begun}"}

    # --- what may happen beside all else -------------------------------------------------------

    def does(self, name: str, choice: int) -> None:
        if self.proof.erased and name in AFTER_NOTHING:
            return  # whatever they do then is another subscription's life
        {**MOVES, **MORE}[name](self, choice)

    def is_held(self, choice: int) -> None:
        """Set a hold, or release one."""
        self.holds = self.holds + 1 if choice % 3 == 0 else max(0, self.holds - 1)
        self.case = replace(self.case, held=self.holds > 0)

    def is_at_rest(self, choice: int) -> None:  # noqa: ARG002
        """Let billing tell what it has done."""
        status = {Stage.SUSPENDED: "paused", Stage.CANCELED: "canceled"}.get(self.case.stage)
        if status is not None:
            self.billing_tells(status=status)

    def goes_on(self, choice: int) -> None:  # noqa: ARG002
        """Let everything that waits be done, in its own time."""
        for effect in list(self.pending):
            if effect in self.pending:
                self.now = max(self.now, effect.not_before)
                if self.claims(effect.kind) is Verdict.GO:
                    self.succeeds(effect.kind, "2024-04-01T08:00")

    def comes_due(self, choice: int) -> None:
        """Let the day of erasure come, or go by."""
        current = self.case.round
        if current is not None and current.erase_on is not None:
            day = datetime.combine(current.erase_on, datetime.min.time())
            local = day.replace(tzinfo=self.case.subscription.zone) + timedelta(days=choice % 3)
            self.now = max(self.now, local)

    def is_listed(self, choice: int) -> None:
        """Make the manifest of the day, to which two people agree; or agree to what was never."""
        current = self.case.round
        if current is None or current.erase_on is None:
            return
        if barred(self.case, self.now) is None:
            self.proof.agreed = (current.number, current.erase_on)
        elif choice % 7 == 6:
            self.proof.agreed = (current.number + 1, current.erase_on)

    def is_begun(self, choice: int) -> None:
        """Begin: mostly what was agreed to, sometimes what was not, sometimes what they want."""
        current, agreed = self.case.round, self.proof.agreed
        if current is None:
            return
        day = current.erase_on or self.today
        wrong = BeginErasure(current.number, day - timedelta(days=1))
        mine = BeginErasure(*agreed) if agreed else BeginErasure(current.number, day)
        if agreed is None:  # whoever skips the manifest is to find nothing that lets them
            mine = wrong
        self.happens((mine, mine, BeginErasure(current.number), wrong)[choice % 4])

    def is_answered(self, choice: int) -> None:
        number = self.case.round.number if self.case.round else 1
        self.happens(AllReceipts(number + choice % 9 // 8))

    def is_wiped(self, choice: int) -> None:
        number = self.case.round.number if self.case.round else 1
        self.happens(Wiped(number + choice % 9 // 8))


AFTER_NOTHING = frozenset({"is told", "drifts", "comes by"})
MORE: dict[str, Callable[[Any, int], None]] = {
    "is held": Mourner.is_held,
    "is at rest": Mourner.is_at_rest,
    "goes on": Mourner.goes_on,
    "comes due": Mourner.comes_due,
    "is listed": Mourner.is_listed,
    "is begun": Mourner.is_begun,
    "is answered": Mourner.is_answered,
    "is wiped": Mourner.is_wiped,
}
OFTEN = [*LIKELY, *MORE, *MORE, "goes on", "is listed", "is begun"]
WALKS: st.SearchStrategy[Moves] = st.binary(min_size=24, max_size=60).map(
    lambda raw: [
        (OFTEN[one % len(OFTEN)], two) for one, two in zip(raw[::2], raw[1::2], strict=False)
    ]
)
STOPS: dict[str, Moves] = {
    "suspended": [*TO_SUSPENDED, ("is at rest", 0), ("goes on", 0)],
    "canceled": [*TO_CANCELED, ("is at rest", 0), ("goes on", 0)],
}
A_WARNING: Moves = [("looks", 1), ("goes on", 0)]
TO_LISTED: Moves = [("comes due", 0), ("is listed", 0)]
TO_AGREED: Moves = [*A_WARNING * 3, *TO_LISTED]
TO_BEGUN: Moves = [*TO_AGREED, ("is begun", 0)]
TO_WANTED: Moves = [("wants to be erased", 1), ("pauses", 11)]
TO_OWN_BEGUN: Moves = [*TO_WANTED, ("is begun", 2)]
TO_TELLING: Moves = [("goes on", 0)]
TO_PARTING: Moves = [*TO_TELLING, ("is answered", 0)]
TO_WIPING: Moves = [*TO_PARTING, ("goes on", 0)]
TO_ERASED: Moves = [*TO_WIPING, ("is wiped", 0)]
LAST_MINUTE: Moves = [
    *DANGERS,
    *(("is held", 0), ("is heard", 7), ("drifts", 2), ("speaks", 4), ("is told", 4)),
]
"""What may happen between the agreement and the beginning."""
WAYS: list[Moves] = [
    *([*TO_AGREED, danger, ("is begun", 0)] for danger in LAST_MINUTE),
    *([*TO_WANTED, danger, ("is begun", 2)] for danger in LAST_MINUTE),
    *([*warned, *TO_LISTED, ("is begun", 0)] for warned in ([], A_WARNING)),
    *(A_WARNING, A_WARNING * 2, TO_AGREED, TO_WANTED),
    *([*begun, *rest] for begun in (TO_BEGUN, TO_OWN_BEGUN) for rest in ([], TO_TELLING)),
    *([*begun, *rest] for begun in (TO_BEGUN, TO_OWN_BEGUN) for rest in (TO_PARTING, TO_WIPING)),
    *([*begun, *TO_ERASED] for begun in (TO_BEGUN, TO_OWN_BEGUN, TO_OWN_BEGUN) * 24),
]
STOPPING = [STOPS[each] for each in ("suspended", "suspended", "canceled")]
STARTS: st.SearchStrategy[Moves] = st.builds(
    lambda stop, way: [*stop, *way], st.sampled_from(STOPPING), st.sampled_from(WAYS)
)


def mourner(terms: Policy, zone: str, **facts: Any) -> Mourner:
    return Mourner(terms=terms, zone=ZoneInfo(zone), now="2024-01-20", **facts)
