"""The demo's story: a year in a small town of subscribers, on the real engine, mail and pages."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from sqlalchemy import text

from app import policy as policies
from app import rows
from app.cli.installation import Installation
from app.cli.people import Person, chance, population
from app.mirror import replan
from app.store import products, testclock
from app.usage import Told
from app.web import create_app
from app.world.billing import sandbox
from jobs.walk import Walker

KEY = "bluetv"
ACTOR = "cli:demo"
POLICY = {
    "on_no_answer": "suspend",
    "never_used_after": "P6M",
    "unused_after": "P1Y",
    "answer_within": "P30D",
    "erase_after": "P10M",
    "pace": {"ramp": [5, 20, "10%", "100%"], "notices_per_day": 200},
}
ONE_DAY = timedelta(days=1)
LINK = re.compile(r"https?://\S+/a/[\w.~-]+")


@dataclass
class Story:
    """One run: its people, what they do, and what came of it."""

    service: Installation
    walker: Walker
    mailbox: Path
    seed: int
    people: dict[str, Person]
    client: FlaskClient
    plans: dict[date, list[Callable[[], None]]] = field(default_factory=dict)
    back: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept_mails: dict[str, str] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The day it is on the test clock."""
        return self.service.clock.now().astimezone(UTC).date()

    def day(self) -> None:
        """Live one day: people do what they planned, use it, time passes, mails are read."""
        today = self.today
        for act in self.plans.pop(today, []):
            act()
        used = {each.id: today for each in self.people.values() if self._uses(each, today)}
        self.walker.advance(self.service.clock.now() + ONE_DAY)
        self.service.intake.record(KEY, Told(used, {}), ACTOR)
        self.service.intake.covers(KEY, "app", None, today)
        self.walker.settle()
        for mail in self._new_mails():
            self._read(mail)

    def _uses(self, person: Person, today: date) -> bool:
        return person.uses_on(today) or (person.id in self.back and today.day % 9 == 0)

    def _new_mails(self) -> Iterator[EmailMessage]:
        for path in sorted((self.mailbox / "new").iterdir()):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            path.rename(self.mailbox / "cur" / f"{path.name}:2,S")
            yield mail

    # --- what people do about a mail ---------------------------------------------------------

    def _read(self, mail: EmailMessage) -> None:
        notice = str(mail["Message-ID"]).removeprefix("<").partition(".")[0]
        self.counts[notice] += 1
        body = mail.get_body(("plain",))
        text_part = body.get_content() if body else ""
        shown = f"To: {mail['To']}\nSubject: {mail['Subject']}\n\n{text_part}"
        self.kept_mails.setdefault(notice, shown)
        found = LINK.search(text_part)
        if found is not None:
            who = str(mail["To"]).partition("@")[0]
            self._react(notice, who, urlsplit(found[0]).path)

    def _react(self, notice: str, who: str, path: str) -> None:
        self.seen[who, notice] += 1
        luck = chance(self.seed, who, notice, self.seen[who, notice])
        if notice == "ask":
            self._answer_an_ask(luck, who, path)
        elif notice == "suspended" and luck < 0.15:  # noqa: PLR2004 - some want it back
            self._plan(3 + int(luck * 100), lambda: self._click(path, "resume", who))
        elif notice == "suspended" and luck < 0.25:  # noqa: PLR2004 - some only look in again
            self._plan(20, lambda: self._come_back(who))
        elif notice == "welcome-back":
            self._plan(2, lambda: self._click(path, "resume", who))

    def _answer_an_ask(self, luck: float, who: str, path: str) -> None:
        wait = 1 + int(chance(self.seed, who, "wait") * 26)
        if luck < 0.25:  # noqa: PLR2004 - a quarter keep it
            self._plan(wait, lambda: self._click(path, "keep", who))
        elif luck < 0.45:  # noqa: PLR2004 - a fifth cancel
            self._plan(wait, lambda: self._click(path, "cancel"))
        elif luck < 0.55:  # noqa: PLR2004 - a tenth use it again
            self._plan(wait, lambda: self._come_back(who))

    def _plan(self, days: int, act: Callable[[], None]) -> None:
        self.plans.setdefault(self.today + timedelta(days=days), []).append(act)

    def _click(self, path: str, answer: str, returns: str | None = None) -> None:
        """Open the page as a person would, then press the button."""
        self.client.get(path)
        self.client.post(path, data={"answer": answer})
        if returns:
            self.back.add(returns)

    def _come_back(self, who: str) -> None:
        self.back.add(who)

    # --- what came of it -----------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Give the funnel and the money, from the database and the sandbox."""
        with self.service.database.transaction() as connection:
            rounds: dict[str, int] = dict(
                connection.execute(
                    text("select coalesce(outcome, stage), count(*) from reconfirmation group by 1")
                )
                .tuples()
                .all()
            )
            said: dict[str, int] = dict(
                connection.execute(text("select what, count(*) from history group by 1"))
                .tuples()
                .all()
            )
            scheduled = connection.scalar(
                text("select count(*) from reconfirmation where erase_on is not null")
            )
            told = sandbox.acts(connection, KEY)
            charged = sandbox.charges(connection, KEY)
            avoided = sandbox.avoided(connection, KEY, self.service.clock.now())
        return {
            "subscribers": len(self.people),
            "asked": self.counts["ask"],
            "reminded": self.counts["reminder"],
            "kept": rounds.get("kept", 0),
            "returned": rounds.get("returned", 0),
            "canceled": said.get("canceled", 0),
            "suspended": said.get("suspended", 0),
            "resumed": said.get("resumed", 0),
            "unreachable": rounds.get("unreachable", 0),
            "still_waiting": rounds.get("asked", 0),
            "erasure_scheduled": scheduled,
            "charges_avoided": sum(count for count, _ in avoided.values()),
            "money_no_longer_taken": {cur: minor for cur, (_, minor) in sorted(avoided.items())},
            "charged_after_suspension": _charged_while_suspended(told, charged),
        }


def _charged_while_suspended(
    acts: list[tuple[str, str, datetime, str, int]], charges: list[tuple[str, datetime, int, str]]
) -> int:
    """Count charges that fell between a suspension and its resumption."""
    stops: dict[str, list[tuple[datetime, bool]]] = {}
    for who, act, at, _, _ in acts:
        stops.setdefault(who, []).append((at, act != "resume"))
    count = 0
    for who, at, _, _ in charges:
        before = [stopped for moment, stopped in stops.get(who, []) if moment < at]
        count += bool(before and before[-1])
    return count


def begin(service: Installation, walker: Walker, mailbox: Path, seed: int, many: int) -> Story:
    """Found the product, import its people and a year and more of their habits."""
    now = service.clock.now()
    people = {each.id: each for each in population(seed, many, now.date())}
    with service.database.transaction() as connection:
        number = products.add(connection, KEY, "Blue TV", "sandbox", now)
        settings = {
            "from_address": "hello@bluetv.example",
            "support_url": "https://bluetv.example/help",
            "app_url": "https://bluetv.example",
        }
        products.change(connection, number, settings)
        body = policies.write(policies.read(POLICY))
        version = products.propose(connection, number, body, ACTOR, now)
        products.activate(connection, number, version, ACTOR, now)
    facts = [rows.read(each.row) for each in people.values()]
    for start in range(0, len(facts), 1000):
        service.mirror("sandbox").bring(KEY, facts[start : start + 1000], ACTOR)
    _tell_the_past(service, list(people.values()), now.date())
    app = create_app(
        service.database, service.clock, service.links, base_url=service.settings.base_url
    )
    return Story(service, walker, mailbox, seed, people, app.test_client())


def _tell_the_past(service: Installation, people: list[Person], today: date) -> None:
    last: dict[str, date] = {}
    for each in people:
        start = date.fromisoformat(each.row["started_at"][:10])
        days = (today - ONE_DAY * back for back in range(1, (today - start).days + 1))
        found = next((day for day in days if each.uses_on(day)), None)
        if found is not None:
            last[each.id] = found
    service.intake.covers(KEY, "app", today - timedelta(days=1200), today - ONE_DAY)
    service.intake.record(KEY, Told(last, {}), ACTOR)
    replan(service.database, service.clock, KEY)


def set_clock(service: Installation, moment: datetime) -> None:
    """Set the test clock."""
    with service.database.transaction() as connection:
        testclock.write(connection, moment)
