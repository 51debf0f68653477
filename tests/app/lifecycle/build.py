"""One subscription's life, told step by step, so that a test reads like what happened to a person.

A `Story` keeps the clock, the case and the effects that wait, as the engine would: voids drop what
nobody has claimed, a claim that says go takes an effect out, and its outcome comes back by hand.
Every step is made twice, so each story also shows that the rules are a pure function.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from app.lifecycle import step, wake_at
from app.lifecycle.case import (
    ACT_OF,
    Acknowledged,
    AddressChanged,
    Answer,
    Case,
    Claim,
    Declined,
    Effect,
    Event,
    HandedOver,
    Hearing,
    Kind,
    NotDone,
    Reach,
    Round,
    Step,
    Subscription,
    Tick,
    Told,
    Undelivered,
    Used,
    Verdict,
    Word,
)
from app.policy import Policy, read

NOON = "2024-02-01T12:00"
DUE = "2024-02-02"
"""The day on which the person of these stories has not used it for two years."""


def at(text: str) -> datetime:
    """Read a moment in UTC; a bare day is its midnight."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def policy(version: int = 1, **knobs: Any) -> Policy:
    return read({"on_no_answer": "suspend"} | knobs, version=version)


def person(**facts: Any) -> Subscription:
    """Somebody who pays 9.99 a month and used it last on 1 February 2022."""
    known: dict[str, Any] = {
        "id": 1,
        "status": "active",
        "plan": "basic",
        "country": "FR",
        "interval": "month",
        "amount": 999,
        "currency": "EUR",
        "started_on": day("2021-06-15"),
        "renews_at": at("2024-02-15T08:00"),
        "last_used_on": day("2022-02-01"),
        "zone": ZoneInfo("UTC"),
    }
    return Subscription(**known | facts)


class Story:
    """A life; `pending` and `claimed` are its effects, `done` those that came about."""

    def __init__(
        self,
        *,
        now: str = NOON,
        terms: Policy | None = None,
        heard: date | None = date.max,
        covers: date | None = None,
        **facts: Any,
    ) -> None:
        self.now = at(now)
        self.policies = {1: terms or policy()}
        self.in_force = 1
        hearing = Hearing(covers, heard)
        self.case = Case(person(**facts), Reach.OK, None, hearing)
        self.pending: list[Effect] = []
        self.claimed: list[Effect] = []
        self.done: list[Kind] = []
        self.notes: list[tuple[str, str]] = []

    # --- looking ---------------------------------------------------------------------------

    @property
    def round(self) -> Round:
        assert self.case.round is not None
        return self.case.round

    @property
    def policy(self) -> Policy:
        """What an open round began with, or what is in force."""
        current = self.case.round
        return self.policies[current.version if current and current.open else self.in_force]

    @property
    def waiting(self) -> list[Kind]:
        return [each.kind for each in self.pending]

    @property
    def wake(self) -> datetime | None:
        return wake_at(self.case, self.policy, self.now)

    def sees(self, **changes: Any) -> None:
        """Let other facts hold without an event, as where feeds or a brake move."""
        hearing = replace(self.case.hearing, **changes)
        self.case = replace(self.case, hearing=hearing)

    # --- happening -------------------------------------------------------------------------

    def happens(self, event: Event) -> Verdict:
        made = step(self.case, event, self.policy, self.now)
        assert made == step(self.case, event, self.policy, self.now)
        self.take(made)
        return made.verdict

    def take(self, made: Step) -> None:
        # As the engine does: a step that says unchanged is not written.
        if made.verdict is Verdict.UNCHANGED:
            assert (made.case, made.effects, made.notes) == (self.case, (), ())
        self.pending = [each for each in self.pending if each.kind not in made.void]
        if made.case.round is not self.case.round and self._another(made.case.round):
            self.pending = []
        self.case = made.case
        self.pending += made.effects
        self.notes += [(note.what, note.why) for note in made.notes]

    def _another(self, found: Round | None) -> bool:
        return bool(found and self.case.round and found.number != self.case.round.number)

    def goes_to(self, moment: str | datetime) -> "Story":
        self.now = at(moment) if isinstance(moment, str) else moment
        return self

    def waits(self, **time: float) -> "Story":
        self.now += timedelta(**time)
        return self

    def ticks(self) -> Verdict:
        return self.happens(Tick())

    def sleeps(self) -> Verdict:
        """Wait until the next look, and look."""
        assert self.wake is not None
        self.goes_to(self.wake)
        return self.ticks()

    # --- effects ---------------------------------------------------------------------------

    def claims(self, kind: Kind) -> Verdict:
        """Claim the first effect of a kind: it goes out, is dropped as void, or waits on."""
        effect = next(each for each in self.pending if each.kind is kind)
        verdict = self.happens(Claim(effect.kind, effect.version))
        if verdict is not Verdict.WAIT and effect in self.pending:
            self.pending.remove(effect)
        if verdict in (Verdict.GO, Verdict.CHECK):
            self.claimed.append(effect)
        return verdict

    def succeeds(self, kind: Kind, paid_until: str | None = None) -> Verdict:
        """Let the world report that it has done what was claimed."""
        effect = next(each for each in self.claimed if each.kind is kind)
        self.claimed.remove(effect)
        self.done.append(kind)
        if kind in ACT_OF:
            paid = at(paid_until) if paid_until else None
            return self.happens(Acknowledged(ACT_OF[kind], effect.version, paid))
        return self.happens(HandedOver(kind, effect.version))

    def declines(self, kind: Kind) -> Verdict:
        effect = next(each for each in self.claimed if each.kind is kind)
        self.claimed.remove(effect)
        return self.happens(Declined(ACT_OF[kind], effect.version))

    def turns_out_undone(self, kind: Kind) -> Verdict:
        """Learn that an act never happened; it waits again if it is still wanted."""
        effect = next(each for each in self.claimed if each.kind is kind)
        self.claimed.remove(effect)
        verdict = self.happens(NotDone(ACT_OF[kind], effect.version))
        current = self.round
        if current.open and (current.act, current.act_version) == (ACT_OF[kind], effect.version):
            self.pending.append(effect)
        return verdict

    def delivers(self, paid_until: str | None = None) -> list[Kind]:
        """Do everything that may be done now; give what was done."""
        before = len(self.done)
        for effect in list(self._due()):
            if effect in self.pending and self.claims(effect.kind) is Verdict.GO:
                self.succeeds(effect.kind, paid_until)
        return self.done[before:]

    def _due(self) -> Iterator[Effect]:
        return (each for each in self.pending if each.not_before <= self.now)

    # --- people and billing ----------------------------------------------------------------

    def says(self, word: Word, **details: Any) -> Verdict:
        return self.happens(Answer(word, **details))

    def uses(self, on: date | None = None) -> Verdict:
        last = on or self.now.date()
        self.case = replace(
            self.case, subscription=replace(self.case.subscription, last_used_on=last)
        )
        return self.happens(Used())

    def bounces(self, reach: Reach = Reach.BOUNCED) -> Verdict:
        return self.happens(Undelivered(reach))

    def moves(self, reach: Reach = Reach.OK) -> Verdict:
        return self.happens(AddressChanged(reach))

    def billing_tells(self, **facts: Any) -> Verdict:
        before = self.case.subscription
        self.case = replace(self.case, subscription=replace(before, **facts))
        return self.happens(Told(before))


# --- places in a life, each reached the way a person would -----------------------------------


def queued(**how: Any) -> Story:
    """Let the day come: a round is open, its ask not yet handed over."""
    story = Story(**how)
    story.sleeps()
    return story


def asked(**how: Any) -> Story:
    """Hand over the ask at nine; the answer is due by the end of 3 March 2024."""
    story = queued(**how)
    story.goes_to(story.pending[0].not_before)
    story.delivers()
    return story


def overdue(**how: Any) -> Story:
    """Let the window pass without an answer, so that billing is to be told."""
    story = asked(**how)
    assert story.round.answer_by is not None
    story.goes_to(story.round.answer_by)
    story.ticks()
    return story


def suspending(**how: Any) -> Story:
    """Billing is being told right now."""
    story = overdue(**how)
    story.claims(story.waiting[0])
    return story


def suspended(paid_until: str | None = "2024-03-15T08:00", **how: Any) -> Story:
    """Billing has acknowledged, in the night to 4 March 2024."""
    story = suspending(**how)
    story.succeeds(Kind.BILLING_SUSPEND, paid_until)
    return story


def canceling(**how: Any) -> Story:
    """They canceled, the ten minutes are over, and billing is being told."""
    story = asked(**how)
    story.says(Word.CANCEL)
    story.waits(minutes=10)
    story.claims(Kind.BILLING_CANCEL)
    return story


def canceled(paid_until: str | None = "2024-02-15T08:00", **how: Any) -> Story:
    """Billing has acknowledged the person's own cancel, on 2 February 2024."""
    story = canceling(**how)
    story.succeeds(Kind.BILLING_CANCEL, paid_until)
    return story


def resuming(**how: Any) -> Story:
    """After a suspension they said yes, and billing is being told."""
    story = suspended(**how)
    story.waits(days=3)
    story.says(Word.RESUME)
    story.waits(seconds=10)
    story.claims(Kind.BILLING_RESUME)
    return story
