"""Timers are hints: after any history, whoever has a moment to be looked at is woken by then."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from app.engine import door as doors
from app.lifecycle.case import (
    AddressChanged,
    Answer,
    Event,
    Reach,
    StopReminders,
    Undelivered,
    Word,
)
from app.links import Links
from app.mirror import Mirror, open_at_sandbox
from app.rows import read as read_row
from app.store.database import Database
from app.world.outcome import Done, Later, No, Outcome
from tests.probe import DAY, HOUR, asked, brake, goes, lift, rows, unheeded
from tests.world import ACTOR, START, YEAR, MovableClock, Town, row

NAMES = ["ada", "bob", "cyd", "dan"]
ZONES = ["Europe/London", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "America/St_Johns"]


class Walk:
    """A random life of a small town, made of everything that can happen."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.random = random.Random(seed)  # noqa: S311 - a walk that can be repeated
        self.rows = {name: self.born(name) for name in NAMES}
        self.seen: Counter[str] = Counter()
        self.braked = False

    def born(self, name: str) -> dict[str, str]:
        return row(
            name,
            timezone=self.random.choice(ZONES),
            interval=self.random.choice(["month", "year"]),
            started_at=f"202{self.random.randint(1, 3)}-0{self.random.randint(1, 9)}-11T10:00:00Z",
        )

    def one(self) -> str:
        return self.random.choice(NAMES)

    def step(self) -> None:
        moves = [
            (self.time, 30),
            (self.works, 30),
            (self.silence, 5),
            (self.answer, 10),
            (self.use, 4),
            (self.tell, 8),
            (self.worse, 4),
            (self.deep, 6),
            (self.back, 3),
            (self.reach, 3),
            (self.relay, 3),
            (self.brake, 2),
            (self.policy, 2),
        ]
        weights = [weight for _, weight in moves]
        self.random.choices([move for move, _ in moves], weights)[0]()

    def time(self) -> None:
        by = self.random.choice([timedelta(minutes=11), HOUR * 7, DAY, 5 * DAY, 12 * DAY, 29 * DAY])
        self.town.clock.advance(by)
        if self.random.random() < 0.9:
            self.town.hear()
        if self.random.random() < 0.3:
            self.town.hear(self.town.clock.now().astimezone(UTC).date())

    def works(self) -> None:
        self.town.sweep()
        self.town.deliver()
        self.town.clock.advance(timedelta(seconds=61))
        self.town.deliver()

    def silence(self) -> None:
        """Go to the end of somebody's window."""
        current = self.town.case(self.one()).round
        if current and current.open and current.answer_by:
            self.town.clock.set(max(self.town.clock.now(), current.answer_by + HOUR))
            self.town.hear(self.town.clock.now().date())
            self.works()

    def answer(self) -> None:
        name = self.one()
        current = self.town.case(name).round
        word = self.random.choice(list(Word))
        self.town.tell(name, Answer(word, current.number if current else None, "app"))
        if current and self.random.random() < 0.2:
            self.town.tell(name, StopReminders(current.number))

    def use(self) -> None:
        back = self.random.choice([0, 0, 3, 40, 400])
        self.town.use(self.one(), self.town.clock.now().date() - back * DAY)

    def tell(self) -> None:
        name = self.one()
        changes: dict[str, str] = self.random.choice(
            [
                {"amount": str(self.random.choice([0, 900, 1349, 1999]))},
                {"status": self.random.choice(["active", "paused", "canceled", "past_due"])},
                {"timezone": self.random.choice(ZONES)},
                {"country": self.random.choice(["FR", "GB"])},
                {"email": self.random.choice(["", f"{name}@new.example"])},
                {"renews_at": (self.town.clock.now() + 9 * DAY).isoformat()},
                {"status": "active"},
            ]
        )
        self.rows[name] |= changes
        self.bring(name)

    def worse(self) -> None:
        """Raise the price for who is asked, or let billing pause them."""
        for name in NAMES:
            if self.town.stage(name) == "asked":
                higher = {"amount": str(int(self.rows[name]["amount"]) + 100)}
                self.rows[name] |= self.random.choice([higher, {"status": "paused"}])
                self.bring(name)
                return

    def deep(self) -> None:
        """Let everything be well and everybody silent for five weeks."""
        if self.braked:
            self.brake()
        self.town.relay.answer = lambda _: Done()
        for days in (1, 32, 4):
            noon = self.town.clock.now().replace(hour=12) + days * DAY
            goes(self.town, noon)
            self.works()

    def back(self) -> None:
        """Let who is suspended come back."""
        for name in NAMES:
            if self.town.stage(name) == "suspended":
                self.town.answer(name, "resume", None)
                self.works()
                return

    def bring(self, name: str) -> None:
        facts = [read_row(self.rows[name])]
        Mirror(self.town.database, self.town.clock, open_at_sandbox).bring(
            self.town.key, facts, ACTOR
        )

    def reach(self) -> None:
        events: list[Event] = [Undelivered(Reach.BOUNCED), Undelivered(Reach.COMPLAINED)]
        events.append(AddressChanged(Reach.OK))
        self.town.tell(self.one(), self.random.choice(events), "relay")

    def relay(self) -> None:
        outcomes: list[Outcome] = [Done(), Done(), Later("smtp 451"), No("smtp 550")]
        outcomes.append(Later("timeout after data", unknown=True))
        outcome = self.random.choice(outcomes)
        self.town.relay.answer = lambda _: outcome

    def brake(self) -> None:
        if self.braked:
            lift(self.town)
        else:
            brake(self.town)
        self.braked = not self.braked

    def policy(self) -> None:
        chosen = {
            "unused_after": self.random.choice(["P6M", "P1Y"]),
            "never_used_after": self.random.choice(["P6M", "P1Y"]),
            "ask_again_after": self.random.choice(["P3M", "P1Y"]),
        }
        if self.random.random() < 0.5:
            chosen["on_no_answer"] = self.random.choice(["suspend", "cancel_at_period_end"])
        more = {"segments": [{"when": {"country": ["FR"]}, "unused_after": "P4M"}]}
        self.town.put_in_force(YEAR | chosen | (more if self.random.random() < 0.5 else {}))

    def note(self) -> None:
        for name in NAMES:
            case = self.town.case(name)
            current = case.round
            self.seen[str(case.stage)] += 1
            if current is not None:
                self.seen[f"act {current.act_state}"] += 1
                self.seen[f"outcome {current.outcome}"] += 1
                self.seen["second round"] += current.number > 1


DEEP = ("active", "asked", "suspended", "canceled", "second round")
OUTCOMES = ("kept", "returned", "withdrawn", "unreachable", "resumed", "by_billing")


def test_whoever_is_to_be_looked_at_is_woken_by_then(
    database: Database, clock: MovableClock, links: Links
) -> None:
    seen: Counter[str] = Counter()
    for seed in range(3):
        clock.set(START)
        walk = Walk(Town.founded(database, clock, links, f"tv{seed}"), seed)
        walk.town.join(*walk.rows.values())
        for number in range(35):
            walk.step()
            assert unheeded(walk.town, NAMES) == [], f"seed {seed}, step {number}"
            walk.note()
        seen += walk.seen
    assert min(seen[state] for state in DEEP) >= 5, seen
    assert sum(seen[f"outcome {outcome}"] > 0 for outcome in OUTCOMES) >= 4, seen


def test_a_zone_further_east_moves_the_look_at_an_open_round_forward(town: Town) -> None:
    town.join(row("ada"))
    goes(town, datetime(2024, 9, 2, 9, 30, tzinfo=UTC))  # the second in London and on Kiritimati
    asked(town, "ada")
    before = unheeded(town, ["ada"])
    facts = read_row(row("ada", timezone="Pacific/Kiritimati"))
    Mirror(town.database, town.clock).bring("tv", [facts], ACTOR)
    assert before == unheeded(town, ["ada"]) == []


def test_a_change_the_rules_choke_on_is_looked_at_all_the_same(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    sooner = {"when": {"plan": ["premium"]}, "never_used_after": "P1M", "unused_after": "P1M"}
    town.put_in_force(YEAR | {"segments": [sooner]})
    town.join(row("ada", started_at="2024-08-20T00:00:00Z"))
    monkeypatch.setattr(doors, "step", lambda *_: 1 / 0)
    facts = read_row(row("ada", started_at="2024-08-20T00:00:00Z", plan="premium"))
    Mirror(town.database, town.clock).bring("tv", [facts], ACTOR)
    assert unheeded(town, ["ada"]) == []


def test_another_plan_that_is_asked_sooner_gets_an_earlier_timer(town: Town) -> None:
    sooner = {"when": {"plan": ["premium"]}, "never_used_after": "P1M", "unused_after": "P1M"}
    town.put_in_force(YEAR | {"segments": [sooner]})
    town.join(row("ada", started_at="2024-08-20T00:00:00Z"))
    Mirror(town.database, town.clock).bring(
        "tv", [read_row(row("ada", started_at="2024-08-20T00:00:00Z", plan="premium"))], ACTOR
    )
    assert unheeded(town, ["ada"]) == []


def test_use_touches_no_timer(town: Town) -> None:
    town.join(row("ada", started_at="2024-08-20T00:00:00Z"))
    before = rows(town.database, "select ctid::text, xmin::text from timer")
    town.use("ada")
    assert rows(town.database, "select ctid::text, xmin::text from timer") == before


def test_a_shorter_threshold_brings_earlier_timers(town: Town) -> None:
    town.join(row("ada", started_at="2024-08-20T00:00:00Z"))
    town.put_in_force(YEAR | {"never_used_after": "P1M"})
    assert unheeded(town, ["ada"]) == []


def test_a_longer_threshold_leaves_the_timers_that_stand(town: Town) -> None:
    town.join(row("ada", started_at="2024-02-20T00:00:00Z"))
    town.put_in_force(YEAR | {"never_used_after": "P2Y"})
    assert unheeded(town, ["ada"]) == []
    goes(town, START + 300 * DAY)
    assert not town.sweep().counts
    found = rows(town.database, "select due_at from timer")
    assert [at.date() for (at,) in found] == [date(2026, 2, 21)]
