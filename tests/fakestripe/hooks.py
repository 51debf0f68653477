"""Webhooks: signed, and handed over as a test wants them: in order, twice, shuffled, late, lost."""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from random import Random
from threading import RLock
from time import time
from typing import Literal
from urllib.parse import urlsplit

from msgspec.json import encode

from tests.fakestripe import events
from tests.fakestripe.book import Book
from tests.fakestripe.events import Event

Order = Literal["given", "reversed", "shuffled"]


def signature(body: bytes, secret: str, at: int) -> str:
    """Give the `Stripe-Signature` of a body; `at`: seconds since 1970, by the receiver's clock."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256)
    return f"t={at},v1={signed.hexdigest()}"


@dataclass(frozen=True)
class Delivery:
    """One webhook as it goes over the wire."""

    id: str
    type: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """Where an account's events go. Without a URL the test takes them itself."""

    book: Book
    lock: RLock
    secret: str
    version: str
    types: Sequence[str] = ("*",)
    url: str | None = None
    late: int = 0
    """Seconds on the fake's clock between an event and its first delivery."""
    waiting: dict[str, Event] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Never to be delivered; /v1/events has them for 30 days."""

    def offer(self, event: Event) -> None:
        """Note an event for delivery."""
        if any(fnmatchcase(event.type, wanted) for wanted in self.types):
            self.waiting[event.id] = event

    def owes(self, event: str) -> bool:
        return event in self.waiting or event in self.lost

    def take(  # noqa: PLR0913 - each is one way to be unreliable, all optional
        self,
        *,
        order: Order = "given",
        copies: int = 1,
        lose: float = 0.0,
        seed: int = 0,
        account: str | None = None,
        at: int | None = None,
    ) -> list[Delivery]:
        """Hand over what waits, as taken.

        `lose`: share of the events that never comes. `account`: say that they happened to
        this connected account. `at`: when they are signed, by default now by the wall clock.
        """
        with self.lock:
            chosen = self._chosen(order, copies, lose, seed)
            for event in chosen:
                self.waiting.pop(event.id, None)
            return [self._sealed(event, account, at) for event in chosen]

    def deliver(  # noqa: PLR0913 - as take()
        self,
        *,
        order: Order = "given",
        copies: int = 1,
        lose: float = 0.0,
        seed: int = 0,
        account: str | None = None,
        timeout: float = 5.0,
    ) -> list[tuple[Delivery, int]]:
        """Post what waits to the URL; give each status, 0 where nobody answered.

        What was not answered with 2xx waits for the next call, as Stripe tries again.
        """
        with self.lock:
            chosen = self._chosen(order, copies, lose, seed)
            sealed = [self._sealed(event, account, None) for event in chosen]
        answered = []
        # Without the lock: whoever is told may well ask the API at once.
        for delivery in sealed:
            status = _post(self.url or "", delivery, timeout)
            if 200 <= status < 300:
                with self.lock:
                    self.waiting.pop(delivery.id, None)
            answered.append((delivery, status))
        return answered

    def _chosen(self, order: Order, copies: int, lose: float, seed: int) -> list[Event]:
        chance = Random(seed)  # noqa: S311 - repeatable, not secret
        due = [each for each in self.waiting.values() if each.created + self.late <= self.book.now]
        for event in [each for each in due if lose and chance.random() < lose]:
            self.lost.add(event.id)
            del self.waiting[event.id]
        left = [each for each in due if each.id not in self.lost] * copies
        if order == "reversed":
            left.reverse()
        elif order == "shuffled":
            chance.shuffle(left)
        return left

    def _sealed(self, event: Event, account: str | None, at: int | None) -> Delivery:
        said = events.event(
            event,
            live=self.book.live,
            version=self.version,
            pending=max(1, pending(self.book, event.id)),
        )
        if account is not None:
            said["account"] = account
        return self.seal(event.id, event.type, encode(said), at=at)

    def seal(self, id_: str, type_: str, body: bytes, *, at: int | None = None) -> Delivery:
        """Sign any body with the secret of this endpoint."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(body, self.secret, int(time()) if at is None else at),
        }
        return Delivery(id_, type_, headers, body)


def pending(book: Book, event: str) -> int:
    """Count the endpoints that have not taken an event."""
    return sum(isinstance(each, Endpoint) and each.owes(event) for each in book.listeners)


def _post(url: str, delivery: Delivery, timeout: float) -> int:
    """Post a webhook; give the status, 0 where there is none."""
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=timeout)
    with suppress(OSError, HTTPException):
        connection.request("POST", where.path or "/", delivery.body, delivery.headers)
        status = connection.getresponse().status
        connection.close()
        return status
    connection.close()
    return 0
