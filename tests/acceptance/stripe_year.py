"""A year on the fake Stripe's clock, after which both sides have to be equal.

    python -m tests.acceptance.stripe_year --people 5000 --days 365 --seed 7 [--faults]

People use the product or stop, answer or stay silent, come back, and cancel at Stripe. Every day
Stripe charges, its messages come (with `--faults` three times and at times a hundred, shuffled,
some never), and the product's jobs do what is due. With `--faults` calls are also dropped after
they were applied, refused, answered by an error or not at all, or hang until we give up, and are
applied before that, after it or never; and what failed is tried again.

Truth is what the fake has seen. At the end every subscription stands as Stripe says; an act had one
effect for each decision; nobody was charged after a suspension; and, without faults, the nightly
comparison has found no difference that was not our own doing. Whatever does not hold is named at
the end, and the exit status is 1.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from app import embedded
from app.inbox import Inbox
from app.links import Links
from app.store import migrate, products
from app.store.database import Database
from app.store.running import BOOKS
from app.usage import Intake, Told
from app.world import billing
from app.world.connector import Connector, Site
from app.world.hooks import Sender
from app.world.stripe import calls
from jobs.billing import Books
from tests.fakestripe import FakeStripe, Kind
from tests.fakestripe.hooks import Endpoint
from tests.probe import rows
from tests.world import ACTOR, MovableClock, Town

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICY = {
    "on_no_answer": "suspend",
    "reminders": ["P7D"],
    "pace": {"ramp": ["100%"]},
    "guards": {"max_newly_due_share": "100%", "max_in_use_rate": "50%"},
}
SECRET = "whsec_" + "c2VjcmV0" * 4
ALWAYS, UNTIL, FAMILIES, KEEPS = 0.4, 0.3, 0.3, 0.7
"""Shares of people: who always use it, who do until some day, with families, and who keep."""


class A_DAY:  # noqa: N801 - read as a phrase
    """How likely something is on one day."""

    uses, answers, comes_back, cancels, goes_bad = 0.2, 0.02, 0.005, 0.0004, 0.3


FLOODS = 0.02
"""On so many of the bad days' rounds every message comes a hundred times."""
ROUNDS = 4
"""How often a day the work is done after a bad start: by then every pause is over."""
BAD = (
    (Kind.DROP, True),
    (Kind.DROP, False),
    (Kind.LIMIT, False),
    (Kind.ERROR, True),
    (Kind.ERROR, False),
    (Kind.HTML, False),
    (Kind.TRUNCATED, True),
    (Kind.HANG, True),
    (Kind.HANG, False),
    (Kind.DELAY, False),
)
PATIENCE, TOO_LATE = 0.3, 1.0
"""Seconds that a call is waited for while faults are about (a true answer takes some hundredths),
and after which one is applied that nobody waits for any more."""
COMPARED = ("ours", "repaired", "unexplained", "wrong")
"""What a comparison may find: our own doing, other differences, those that have no explanation, and
charges after a suspension."""
NOT_WITHOUT_FAULTS = COMPARED[1:]
BROKEN = ("differences", "doubled effects", "charged after suspension")
"""What must be empty in any run."""


@dataclass(frozen=True)
class Plan:
    """What is asked of a run; `unused` and `within` are the policy's."""

    people: int
    days: int
    seed: int
    faults: bool
    unused: str = "P90D"
    within: str = "P30D"

    @property
    def policy(self) -> dict[str, Any]:
        """The policy of the product."""
        return POLICY | {
            "never_used_after": self.unused,
            "unused_after": self.unused,
            "answer_within": self.within,
        }


@dataclass
class Year:
    """One run, and what it has come to."""

    database: Database
    fake: FakeStripe
    plan: Plan
    clock: MovableClock = field(init=False)
    town: Town = field(init=False)
    endpoint: Endpoint = field(init=False)
    names: list[str] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    ended_at: datetime | None = None

    def dice(self, *what: object) -> float:
        """Give a number in [0, 1) that depends on the seed and on what it is for, alone."""
        said = json.dumps([self.plan.seed, *map(str, what)]).encode()
        return int.from_bytes(blake2b(said, digest_size=8).digest()) / 2**64

    # --- before the year -----------------------------------------------------------------------

    def found(self) -> None:
        """Set up the product, its people at Stripe, and have them all imported."""
        self.clock = MovableClock(START)
        links = Links(["a key for tests, long enough for a key"], "https://asks.example")
        self.town = Town.founded(self.database, self.clock, links, "tv", self.plan.policy)
        with self.database.transaction() as connection:
            number = products.row_of(connection, "tv").id
            settings = {"api_base": self.fake.url}
            changes: dict[str, Any] = {"billing": "stripe", "billing_settings": settings}
            products.change(connection, number, changes | {"signing_secrets": [SECRET]})
        shop = self.fake.shop
        prices = [shop.price(minor, name=name) for minor, name in ((999, "Plus"), (1999, "Family"))]
        for number in range(self.plan.people):
            customer = shop.customer(f"person{number}@subscribers.example")
            began = START - timedelta(days=200 + 400 * self.dice("began", number))
            price = prices[self.dice("price", number) < 0.3]
            self.names.append(shop.subscribe(customer, price, start=began).id)
        self.endpoint = shop.webhook(secret=SECRET)
        self.books.run("tv", pages_only=True)

    @property
    def books(self) -> Books:
        return Books(self.database, self.clock, self.connector)

    def connector(self, product: str) -> Connector:
        """Give what talks to the fake, by the SDK."""
        system = billing.system("stripe")
        assert system is not None
        return system.connect(
            Site(
                product,
                self.clock,
                self.database.engine,
                Sender(self.clock, local=True),
                key=self.fake.shop.key,
                settings={"api_base": self.fake.url},
                base_url="https://asks.example",
            )
        )

    # --- a day ---------------------------------------------------------------------------------

    def day(self, number: int) -> None:
        """Let a day pass: Stripe charges, people live, messages come, and the work is done."""
        self.clock.advance(DAY)
        self.fake.advance(self.clock.moment)
        self._people_live(number)
        self.town.hear()
        if self.plan.faults:
            self._misbehave(number)
        self._messages_come(number)
        with self._impatient():
            self._work()
        for again in range(ROUNDS if self.plan.faults else 0):
            self.fake.faults.clear()
            self.fake.release()
            self.clock.advance(HOUR)
            self._messages_come(number * 100 + again)
            self._work()
        if self.plan.faults:
            self.clock.advance(-ROUNDS * HOUR)
        self._note_comparison()

    def _note_comparison(self) -> None:
        """Add up what each nightly comparison came to."""
        for ended_at, result in rows(self.database, "select ended_at, result from reconciliation"):
            if ended_at is not None and ended_at != self.ended_at:
                self.ended_at = ended_at
                self.compared.update({k: v for k, v in result.items() if isinstance(v, int)})
                self.compared["runs"] += 1

    def _misbehave(self, number: int) -> None:
        for place, (kind, applied) in enumerate(BAD):
            if self.dice("bad", number, place) < 0.3:
                how = {"applied": applied, "seconds": TOO_LATE}
                self.fake.faults.add(kind, **how, times=3, share=0.5)

    @contextmanager
    def _impatient(self) -> Iterator[None]:
        """With faults, have calls given up soon, so that one that hangs costs the run no time."""
        with pytest.MonkeyPatch.context() as patch:
            if self.plan.faults:
                patch.setattr(calls, "READ_SECONDS", PATIENCE)
            yield

    def _people_live(self, number: int) -> None:
        used = {}
        for person, name in enumerate(self.names):
            if self._uses(person, number):
                used[name] = self.clock.moment.date()
            if self.dice("cancels", person, number) < A_DAY.cancels:
                self._cancels_at_stripe(name)
        if used:
            Intake(self.database, self.clock).record("tv", Told(used, {}), ACTOR)
        self._answer(number)

    def _uses(self, person: int, number: int) -> bool:
        """Say whether somebody uses it on a day: some always do, some until a day, some never."""
        kind, stops = self.dice("kind", person), self.dice("stops", person) * self.plan.days
        lives = kind < ALWAYS or (kind < ALWAYS + UNTIL and number < stops)
        return lives and self.dice("uses", person, number) < A_DAY.uses

    def _cancels_at_stripe(self, name: str) -> None:
        if self.fake.shop.subscription(name).status == "active":
            self.fake.shop.portal_cancel(name)
            self.results["canceled at Stripe"] += 1

    def _answer(self, number: int) -> None:
        """Let some of those who are asked or suspended say something."""
        found = rows(
            self.database,
            """select s.external_id, r.number, r.stage from reconfirmation r
               join subscription s on s.id = r.subscription_id
               where r.latest and r.outcome is null and r.asked_at is not null
                 and r.stage in ('asked', 'suspended') order by 1""",
        )
        for name, round_number, stage in found:
            chance = self.dice("answers", name, round_number, number)
            if stage == "asked" and chance < 0.02:
                word = "keep" if self.dice("word", name, round_number) < 0.7 else "cancel"
                self.town.answer(name, word, round_number)
                self.results[word] += 1
            elif stage == "suspended" and chance < 0.005:
                self.town.answer(name, "resume", round_number)
                self.results["resume"] += 1

    def _messages_come(self, seed: int) -> None:
        at = int(self.clock.wall().timestamp())
        if self.plan.faults:
            copies = 100 if self.dice("flood", seed) < FLOODS else 3
            taken = self.endpoint.take(order="shuffled", copies=copies, lose=0.05, seed=seed, at=at)
        else:
            taken = self.endpoint.take(at=at)
        inbox = Inbox(self.database, self.clock)
        for each in taken:
            self.results[str(inbox.receive("tv", each.headers, each.body, "stripe").result)] += 1

    def _work(self) -> None:
        """Do what the jobs would be called for, until nothing is due."""
        worker = self.town.worker()
        worker.connector = self.connector
        self.town.sweep()
        worker.until_idle()
        for job in BOOKS:
            self.books.work(job, "tv", lambda: True)
        self.town.sweep()
        worker.until_idle()

    # --- after the year ------------------------------------------------------------------------

    def verdict(self) -> dict[str, Any]:
        """Say where the two sides differ, and what happened on the way."""
        return {
            "people": self.plan.people,
            "days": self.plan.days,
            "seed": self.plan.seed,
            "faults": self.plan.faults,
            "results": dict(sorted(self.results.items())),
            "rounds": dict(
                rows(
                    self.database,
                    "select coalesce(outcome, stage), count(*) from"
                    " reconfirmation group by 1 order by 1",
                )
            ),
            "calls": len(self.fake.log.calls),
            "faults met": dict(Counter(each.fault for each in self.fake.log.calls if each.fault)),
            "busiest second": self.fake.log.busiest_second(),
            "differences": self._differences(),
            "doubled effects": self._doubled(),
            "charged after suspension": self._charged_wrongly(),
            "refunds": rows(self.database, "select count(*) from refund")[0][0],
            "stuck": rows(
                self.database,
                "select kind, state, error, count(*) from outbox"
                " where lane = 'billing' group by 1, 2, 3 order by 1, 2, 3",
            ),
            "compared": dict.fromkeys(COMPARED, 0) | dict(sorted(self.compared.items())),
        }

    def _differences(self) -> list[str]:
        """Compare what the mirror holds with what the fake knows, field by field."""
        connector = self.connector("tv")
        held = {
            row[0]: tuple(row[1:])
            for row in rows(
                self.database,
                """select s.external_id, s.status, s.amount, s.currency, s.renews_at, c.email
                   from subscription s join contact c on c.subscription_id = s.id""",
            )
        }
        found = []
        for name in self.names:
            facts = connector.look(name)
            assert facts is not None
            truth = (facts.status, facts.amount, facts.currency, facts.renews_at, facts.email)
            if _but_for_the_end(held.get(name)) != _but_for_the_end(truth):
                found.append(f"{name}: {held.get(name)} is {truth}")
        return found

    def _doubled(self) -> list[str]:
        """Find acts of billing that had more effects than there were decisions."""
        decided = Counter(
            (row[0], row[1])
            for row in rows(
                self.database,
                """select s.external_id, h.what from history h
                   join subscription s on s.id = h.subscription_id
                   where h.what in ('suspended', 'resumed')""",
            )
        )
        made: Counter[tuple[str, str]] = Counter()
        paused = dict.fromkeys(self.names, False)
        for name, now_paused in self._pauses():
            if now_paused != paused[name]:
                paused[name] = now_paused
                made[name, "suspended" if now_paused else "resumed"] += 1
        return [
            f"{key}: {many} for {decided[key]}" for key, many in made.items() if many > decided[key]
        ]

    def _pauses(self) -> list[tuple[str, bool]]:
        """Give each write to a subscription that paused or resumed it, in order."""
        found = []
        for call in self.fake.acts():
            if not call.took_effect or "/subscriptions/" not in call.path:
                continue
            name = call.path.split("/subscriptions/")[1].split("/")[0]
            if call.path.endswith("/pause") or call.params.get("pause_collection"):
                found.append((name, True))
            elif call.path.endswith("/resume") or call.params.get("pause_collection") == "":
                found.append((name, False))
        return found

    def _charged_wrongly(self) -> list[str]:
        """Find charges between a confirmed suspension and what ended it."""
        found = []
        for name, since, until in self._suspensions():
            found += [
                f"{name}: {each.id}"
                for each in self.fake.shop.charged_after(name, since)
                if until is None or datetime.fromtimestamp(each.created, UTC) < until
            ]
        return found

    def _suspensions(self) -> list[tuple[str, datetime, datetime | None]]:
        """Give each confirmed suspension, and until when it held."""
        told = rows(
            self.database,
            """select s.external_id, h.what, h.at, lead(h.at) over (partition by s.id order by h.id)
               from history h join subscription s on s.id = h.subscription_id
               where h.what in ('suspended', 'resumed')""",
        )
        return [(name, at, until) for name, what, at, until in told if what == "suspended"]


def _but_for_the_end(told: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """Leave out when it ends, or has ended: that is not told again once it is over."""
    return told[:3] + told[4:] if told and told[0] == "canceled" else told


def failures(report: Mapping[str, Any]) -> list[str]:
    """Name what does not hold in a verdict; nothing where all does."""
    found = [name for name in BROKEN if report[name]]
    if not report["faults"]:
        # With faults messages are lost, and it is the comparison that finds what they said.
        found += [f"compared: {name}" for name in NOT_WITHOUT_FAULTS if report["compared"][name]]
    return found


def lived(plan: Plan, database: Database, progress: Callable[[int], None] = lambda _: None) -> Any:
    """Let the time pass and give the verdict."""
    with FakeStripe(start=START, seed=plan.seed) as fake:
        year = Year(database, fake, plan)
        year.found()
        for number in range(plan.days):
            year.day(number)
            progress(number)
        return year.verdict()


def main() -> None:
    """Run from the command line, on a database of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", action="store_true")
    given = parser.parse_args()
    report = on_a_database_of_its_own(Plan(given.people, given.days, given.seed, given.faults))
    sys.stdout.write(json.dumps(report, indent=2, default=str) + "\n")
    if failed := failures(report):
        raise SystemExit(f"does not hold: {', '.join(failed)}")


def on_a_database_of_its_own(plan: Plan) -> Any:
    """Let the time pass and give the verdict, saying how far it has come."""
    begun = perf_counter()

    def progress(number: int) -> None:
        if number % 10 == 9:
            sys.stderr.write(f"day {number + 1}: {perf_counter() - begun:,.0f} s\n")

    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        embedded.postgres(Path(folder)) as server,
    ):
        database = Database(server.database("year"))
        migrate.upgrade(database)
        report = lived(plan, database, progress)
        database.close()
    return report


if __name__ == "__main__":
    main()
