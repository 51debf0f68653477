"""A brand, a brief, and a mail as a mail program reads it."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

from msgspec.structs import replace

from app.world.mail.brief import Brand, Brief
from app.world.mail.compose import Composer

BRAND = Brand(
    key="tv",
    name="Northlight TV",
    from_address="care@northlight.example",
    reply_to="help@northlight.example",
    support_url="https://northlight.example/help",
    app_url="https://northlight.example/watch",
)
BRIEF = Brief(
    notice="ask",
    to="ada@subscribers.example",
    message_id="n.17.1.ask@northlight.example",
    sent_at=datetime(2026, 9, 1, 12, tzinfo=UTC),
    language="en-GB",
    timezone="Europe/London",
    plan="Family",
    amount=1349,
    currency="GBP",
    interval="month",
    started_on=date(2021, 3, 14),
    answer_url="https://my.northlight.example/a/kJ3h5Gf8sQpLmN2bV7cX",
    one_click_url="https://my.northlight.example/a/kJ3h5Gf8sQpLmN2bV7cX/one-click",
    next_charge=datetime(2026, 10, 20, tzinfo=UTC),
    last_used_on=date(2024, 1, 2),
    answer_by=date(2026, 10, 1),
    erase_on=date(2027, 8, 5),
    paid_until=datetime(2026, 9, 20, tzinfo=UTC),
    decided_by="subscriber",
    decided_at=datetime(2026, 9, 3, 13, 5, tzinfo=UTC),
    erased_on=date(2027, 8, 6),
    fresh_url="https://my.northlight.example/e/Zq8v3KxW2pTrYb6nD1mF",
)
COMPOSER = Composer()
"""One for all tests: it keeps what it has built, as in a worker."""


def brief(**changes: Any) -> Brief:
    """Give a brief that has every fact, but for what is changed."""
    return replace(BRIEF, **changes)


def brand(**changes: Any) -> Brand:
    """Give a brand that has everything, but for what is changed."""
    return replace(BRAND, **changes)


@dataclass(frozen=True)
class Mail:
    """A message, taken apart."""

    raw: bytes
    message: EmailMessage
    text: str
    html: str

    @property
    def head(self) -> bytes:
        """The headers as they are on the wire."""
        return self.raw.partition(b"\r\n\r\n")[0] + b"\r\n"

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.message["Subject"])

    @property
    def page(self) -> "Page":
        """The HTML part, read."""
        page = Page()
        page.feed(self.html)
        return page

    @property
    def words(self) -> str:
        """What the HTML part says, without its tags, blanks run together."""
        return " ".join("".join(self.page.spoken).split())


def read(raw: bytes) -> Mail:
    """Read a message as a mail program does."""
    message = message_from_bytes(raw, policy=policy.default)
    return Mail(raw, message, _part(message, "plain"), _part(message, "html"))


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def written(*, by: Brand = BRAND, **changes: Any) -> Mail:
    """Compose a notice and read it."""
    return read(COMPOSER.compose(by, brief(**changes)))


class Page(HTMLParser):
    """The tags of a page with their attributes, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.spoken: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag; words in a style or title are not part of the letter."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._silent = tag if tag in {"style", "title"} else self._silent
        if tag in {"p", "li", "td", "h1", "h2", "a"} and not self._silent:
            self.spoken.append(" " if tag != "a" else "")

    def handle_endtag(self, tag: str) -> None:
        """Listen again after a style or title."""
        self._silent = "" if tag == self._silent else self._silent

    def handle_data(self, data: str) -> None:
        """Note words."""
        if not self._silent:
            self.spoken.append(data)

    def styles_of(self, tag: str, text: str = "") -> list[str]:
        """Give the style of each tag of a kind whose style holds a text."""
        styles = [found.get("style", "") for name, found in self.tags if name == tag]
        return [style for style in styles if text in style]

    def links(self) -> list[str]:
        """Give where the links lead."""
        return [found.get("href", "") for name, found in self.tags if name == "a"]


def addresses_in(html: str) -> set[str]:
    """Give every web address in a page, wherever it stands."""
    return set(re.findall(r"(?:https?:)?//[^\s\"'<>)&]+", html))
