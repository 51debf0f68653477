"""The demo's story: a year in a small town of subscribers, on the running service.

Everything a person does follows from the mail they got and from a die that is thrown by (seed,
subscription, round): the same story for the same seed, whatever process dies on the way.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
from psycopg import OperationalError
from sqlalchemy.exc import DBAPIError

from app import clock
from app.cli.demo.caller import Caller
from app.cli.demo.people import DEAD, Person, chance
from app.cli.demo.town import APPROVERS, KEY, ONE_DAY, Town
from app.cli.installation import Installation
from app.errors import Refused
from app.manifests import Manifests
from app.store import products, running, testclock
from app.store.manifests import WAITING, listed

Found = TypeVar("Found")
LINK = re.compile(r"https?://\S+/a/[\w.~-]+")
NAMED = re.compile(r"<?(?P<notice>[\w-]+)\.(?P<rest>[^@]+)@")
STEP = timedelta(hours=8)
"""Every zone of the town has one of these within the hours in which people are written to."""
A_MOMENT = 0.1
MOST_OPEN = 10
"""There are never more manifests than this that wait, one being made a day."""
LISTENING = timedelta(seconds=1)
PATIENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Mail:
    """One notice in the mailbox."""

    id: str
    notice: str
    to: str
    subject: str
    text: str
    at: datetime

    @property
    def shown(self) -> str:
        """The mail as text, with the headers a person sees."""
        return f"To: {self.to}\nSubject: {self.subject}\n\n{self.text}"

    @property
    def link(self) -> str | None:
        """The path of the page that the mail leads to."""
        found = LINK.search(self.text)
        return urlsplit(found[0]).path if found else None


@dataclass
class Story:
    """One run: its people, what they do, and the mails they got."""

    service: Installation
    town: Town
    caller: Caller
    mailbox: Path
    seed: int
    plans: dict[date, list[tuple[str, Callable[[], None]]]] = field(default_factory=dict)
    back: set[str] = field(default_factory=set)
    mails: Counter[str] = field(default_factory=Counter)
    first: dict[str, Mail] = field(default_factory=dict)
    turns: Counter[tuple[str, str]] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)

    def day(self) -> date:
        """Live one day: people do what they planned, use it, time passes, mails are read."""
        today = self.now().date()
        for _, act in sorted(self.plans.pop(today, []), key=lambda each: each[0]):
            act()
        self.pass_time(ONE_DAY)
        self._tell_usage(today)
        patiently(self._agree)
        for mail in self._new_mails():
            self._answer(mail)
        return today

    def _agree(self) -> None:
        """Let two people approve whose data is due to be erased, having read the manifest."""
        manifests = Manifests(self.service.database, self.service.clock)
        with self.service.database.transaction() as connection:
            product_id = products.row_of(connection, KEY).id
            found = listed(connection, product_id, None, MOST_OPEN)
        for each in found:
            if each.state == WAITING and each.hash is not None:
                for name in APPROVERS:
                    manifests.approve(KEY, each.number, each.hash.hex(), f"console:{name}")

    def now(self) -> datetime:
        """Give the moment on the test clock."""
        return patiently(lambda: self.service.clock.now().astimezone(UTC))

    def pass_time(self, how_long: timedelta, step: timedelta = STEP) -> None:
        """Let the scheduler walk on, and wait until it has arrived with nothing left to do."""
        until = self.now() + how_long
        patiently(partial(self._walk, until, step))

    def _walk(self, until: datetime, step: timedelta) -> None:
        """Order a walk and wait for its end; ordering it again is no other walk."""
        with psycopg.connect(self.service.database.url, autocommit=True) as session:
            running.listen(session, testclock.NEWS)
            with self.service.database.transaction() as connection:
                testclock.order_walk(connection, until, step)
            deadline = clock.wall() + PATIENCE
            while not testclock.has_arrived(session):
                if clock.wall() > deadline:
                    raise Refused("the day does not end", "look at the log above; run it again")
                running.hear(session, LISTENING)

    def _tell_usage(self, day: date) -> None:
        """Tell who used it today, and that this was all."""
        used = [each.id for each in self.town.people.values() if self._uses(each, day)]
        events = [{"subscription": name, "used_at": f"{day}"} for name in used]
        document = {"events": events, "through": f"{day}"}
        self._call_as_the_app("usage", document)

    def _uses(self, person: Person, today: date) -> bool:
        return person.uses_on(today) or (person.id in self.back and today.day % 9 == 0)

    # --- mails -------------------------------------------------------------------------------

    def _new_mails(self) -> list[Mail]:
        """Give the mails that have come, in an order that does not depend on their sending."""
        new = self.mailbox / "new"
        names = sorted(each.name for each in new.iterdir()) if new.exists() else []
        found = [mail_from(new / name) for name in names if name not in self.read]
        self.read.update(names)
        return sorted(self._once_each(found), key=lambda mail: (mail.to, mail.notice, mail.at))

    def _once_each(self, mails: list[Mail]) -> Iterator[Mail]:
        """Leave out copies: a notice may come twice under the same Message-ID."""
        for mail in mails:
            if mail.id not in self.seen:
                self.seen.add(mail.id)
                yield mail

    # --- what people do about a mail ---------------------------------------------------------

    def _answer(self, mail: Mail) -> None:
        self.mails[mail.notice] += 1
        self.first.setdefault(mail.notice, mail)
        who, _, host = mail.to.partition("@")
        if host == DEAD:
            self._bounce(mail)
        elif mail.link is not None:
            self.turns[who, mail.notice] += 1
            luck = chance(self.seed, who, mail.notice, self.turns[who, mail.notice])
            self._react(mail.notice, who, mail.link, luck)

    def _bounce(self, mail: Mail) -> None:
        """Tell what the mail server of a dead address told us."""
        self._call_as_the_app("feedback", {"events": [{"type": "bounced", "message_id": mail.id}]})

    def _react(self, notice: str, who: str, path: str, luck: float) -> None:
        if notice == "ask":
            self._react_to_an_ask(who, path, luck)
        elif notice == "suspended" and luck < 0.15:  # noqa: PLR2004 - some want it back
            self._plan(3 + int(luck * 100), who, partial(self._click, path, "resume", who))
        elif notice == "suspended" and luck < 0.25:  # noqa: PLR2004 - some only look in again
            self._plan(20, who, partial(self.back.add, who))
        elif notice == "erasure_warning" and luck < 0.08:  # noqa: PLR2004 - a few keep their data
            self._plan(2, who, partial(self._click, path, "keep_data"))
        elif notice == "welcome_back":
            self._plan(2, who, partial(self._click, path, "resume", who))

    def _react_to_an_ask(self, who: str, path: str, luck: float) -> None:
        wait = 1 + int(chance(self.seed, who, "wait") * 26)
        if luck < 0.22:  # noqa: PLR2004 - a fifth keep it
            self._plan(wait, who, partial(self._click, path, "keep", who))
        elif luck < 0.25:  # noqa: PLR2004 - a few change their mind
            self._plan(wait, who, partial(self._hesitate, path, who))
        elif luck < 0.45:  # noqa: PLR2004 - a fifth cancel
            self._plan(wait, who, partial(self._click, path, "cancel"))
        elif luck < 0.55:  # noqa: PLR2004 - a tenth use it again
            self._plan(wait, who, partial(self.back.add, who))

    def _plan(self, days: int, who: str, act: Callable[[], None]) -> None:
        self.plans.setdefault(self.now().date() + timedelta(days=days), []).append((who, act))

    def _click(self, path: str, answer: str, returns: str | None = None) -> None:
        """Open the page as a person would, then press the button."""
        self._expect(200, self.caller.get(path))
        self._expect(303, self.caller.post_form(path, {"answer": answer}))
        if returns:
            self.back.add(returns)

    def _hesitate(self, path: str, who: str) -> None:
        """Cancel, and think better of it after a quarter of an hour."""
        self._click(path, "cancel")
        self._plan(1, who, partial(self._click, path, "undo", who))

    def _call_as_the_app(self, what: str, document: Any) -> None:
        path = f"/v1/products/{KEY}/{what}"
        self._expect(200, self.caller.post_json(path, document, self.town.usage_key))

    def _expect(self, status: int, got: int) -> None:
        if got != status:
            raise Refused(f"the service answered {got} and not {status}", "look at the log above")


def mail_from(path: Path) -> Mail:
    """Read one mail of a Maildir."""
    # The old policy of the library takes headers apart when they are asked for, not before.
    message = message_from_bytes(path.read_bytes(), policy=compat32)
    named = NAMED.match(message["Message-ID"])
    return Mail(
        message["Message-ID"],
        named["notice"].replace("-", "_") if named else "",
        str(make_header(decode_header(message["To"]))),
        str(make_header(decode_header(message["Subject"]))),
        _text_of(message),
        parsedate_to_datetime(message["Date"]),
    )


def _text_of(message: Message) -> str:
    """Give the plain text of a mail."""
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            raw = part.get_payload(decode=True)
            return raw.decode() if isinstance(raw, bytes) else ""
    return ""


def patiently(look: Callable[[], Found]) -> Found:
    """Look into the database, again where it is being started anew."""
    deadline = clock.wall() + PATIENCE
    while True:
        try:
            return look()
        except (OperationalError, DBAPIError) as error:
            if clock.wall() > deadline:
                raise Refused("PostgreSQL does not come back", "look at its log") from error
            Event().wait(A_MOMENT)
