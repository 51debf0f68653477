"""Takes in what billing systems send: once, whatever comes twice, late or in whatever order.

A message is kept, judged and committed in one transaction, and only then acknowledged. One that
cannot be read waits for an operator; one that raises is kept as failed and tried again. Both are
also taken again when their sender sends them again. Of one about who was erased nothing is kept.
"""

import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection

from app import signing
from app.clock import Clock
from app.engine import holds
from app.engine.mentions import words
from app.errors import Conflict, NotFound
from app.links import Links
from app.mirror import mirror_of
from app.personal import masked
from app.signing import Headers, NotSigned
from app.store import inbox, looks, products, tombstones
from app.store.database import Database
from app.store.inbox import Message
from app.store.products import Product
from app.world import billing
from app.world.connector import Event, Read, Verify


class Result(StrEnum):
    """What became of a message; `stale` told of an earlier moment than what is known."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE = "stale"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"
    FAILED = "failed"


ERASED = "erased"
"""Why a message is ignored that is about nobody but who was erased: nothing of it is kept."""
MOST_WORDS = 2000
"""So much of a message that could not be read is looked through for who was erased."""
STANDARD = "standard"
"""The messages that any product takes, whatever its billing system."""
WAITING = (Result.FAILED, Result.UNREADABLE)
"""What a message has come to that is taken again, by itself or when it is sent again."""
FOR_A_PERSON = "waits for a person: its address is to be opened by hand"
KEPT_FOR = timedelta(days=30)
"""For how long the raw body of a message is of use."""
AT_A_TIME = 1000
"""Bodies that one transaction clears."""
NOBODY = (signing.new_secret(),)
"""Stands in for the secrets of a product that does not exist: it is refused just the same."""
NO_PRODUCT = (0, list(NOBODY))


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a message, and the reason where it could not be read or applied."""

    result: Result
    reason: str | None = None


class _RulesFailed(Exception):
    """The rules raised about this one: nothing of it is written."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A message as it arrived: from which system, for which product."""

    source: str
    product_key: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class _Speaker:
    """How the messages of one billing system are verified and read."""

    verify: Verify
    read: Read


def speaks(source: str) -> bool:
    """Say whether a billing system of that name sends messages."""
    found = billing.system(source)
    return found is not None and found.verify is not None and found.read is not None


def _speaker(source: str) -> _Speaker:
    found = billing.system(source)
    if found is None or found.verify is None or found.read is None:
        raise LookupError(source)
    return _Speaker(found.verify, found.read)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Takes in messages for products; raw bodies are kept for `kept_for`.

    By the keys of `links` it knows who was erased.
    """

    database: Database
    clock: Clock
    kept_for: timedelta = KEPT_FOR
    links: Links | None = None

    # --- taking in ---------------------------------------------------------------------------

    def receive(
        self, product_key: str, headers: Headers, body: bytes, source: str = STANDARD
    ) -> Reply:
        """Take in one delivery; when this returns, what it says is committed.

        NotSigned where the signature does not fit, and where there is no such product or it has
        another billing system. Two deliveries of one message at once: one applies, and the other,
        which waits, is a duplicate.
        """
        work = partial(self._receive, delivery=_Delivery(source, product_key, headers, body))
        try:
            return self.database.retrying(work, few=True)
        except NotSigned:
            raise
        except Exception as error:  # noqa: BLE001 - kept, and answered as our own failure
            _report(error)
            return self.database.retrying(partial(work, failure=type(error).__name__))

    def _receive(
        self,
        connection: Connection,
        delivery: _Delivery,
        failure: str | None = None,
    ) -> Reply:
        """Take in a delivery, or only keep it where taking it in has raised before."""
        wall = self.clock.wall()
        source, body = delivery.source, delivery.body
        system = _speaker(source)
        found = inbox.signing_secrets(connection, delivery.product_key, source)
        product_id, secrets = found or NO_PRODUCT
        message_id = system.verify(secrets or NOBODY, delivery.headers, body, wall)
        event = self._outline(system, body) if failure else system.read(body, self.clock.now())
        expected = Reply(Result.FAILED, failure) if failure else _expected(event)
        if expected.result in WAITING and self._names_erased(connection, product_id, body):
            expected = Reply(Result.IGNORED, ERASED)
        kept, about = _kept(body, expected.result), _about(event)
        told = (event.type, event.at, wall, expected.result, expected.reason, kept, about)
        number = inbox.insert(connection, product_id, Message(source, message_id, *told))
        if number is None:
            return Reply(Result.DUPLICATE)
        if not event.ours or event.wrong or expected.reason == ERASED:
            return expected
        product = products.load(connection, delivery.product_key)
        reply = self._apply(connection, product, event, source)
        if reply.reason == ERASED:
            inbox.note_erased(connection, number, ERASED)
        elif reply.result is not expected.result:
            inbox.note(connection, number, reply.result)
        return reply

    def _names_erased(self, connection: Connection, product_id: int, body: bytes) -> bool:
        """Say whether a message that is to be kept for later names somebody who was erased."""
        if not tombstones.has_any(connection, product_id):
            return False
        found = words(body, MOST_WORDS)
        return bool(tombstones.gone(connection, self.links, product_id, found))

    def _outline(self, system: _Speaker, body: bytes) -> Event:
        """Give what a message says of itself, where taking it in has raised."""
        try:
            said = system.read(body, self.clock.now())
            return Event(said.type, said.at)
        except Exception:  # noqa: BLE001 - it may be the reading that raises
            return Event()

    def _apply(self, connection: Connection, product: Product, event: Event, source: str) -> Reply:
        """Bring an event into the mirror and through the door; raises what the rules raise.

        What only names subscriptions has them read back.
        """
        if event.dispute is not None:
            holds.told(connection, product, source, event.dispute, self.clock.now())
        if event.facts is None:
            return self._look(connection, product, event)
        mirror = mirror_of(product.billing, self.database, self.clock, self.links)
        actor = f"billing:{source}"
        counts = mirror.bring_in(connection, product, [event.facts], actor, news=True)
        if counts["failed"]:
            raise _RulesFailed
        if counts["erased"]:
            return Reply(Result.IGNORED, ERASED)
        return Reply(Result.STALE if counts["stale"] else Result.APPLIED)

    def _look(self, connection: Connection, product: Product, event: Event) -> Reply:
        """Have subscriptions read back, but for who was erased.

        A message that names one of these, or only a customer of whom nobody is here, is not kept.
        """
        gone = tombstones.gone(connection, self.links, product.id, event.look)
        left = [name for name in event.look if name not in gone]
        many = looks.want(connection, product.id, left, event.customers, self.clock.wall())
        nobody = not many and tombstones.has_any(connection, product.id)
        return Reply(Result.IGNORED, ERASED) if gone or nobody else Reply(Result.APPLIED)

    def keep(
        self, product_key: str, source: str, message_id: str, kind: str, body: bytes
    ) -> int | None:
        """Keep a message that only a person may act on; give its row, None where it is kept."""
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product_key).id
            wall = self.clock.wall()
            kept = _kept(body, Result.APPLIED)
            message = Message(
                source, message_id, kind, None, wall, Result.IGNORED, FOR_A_PERSON, kept
            )
            return inbox.insert(connection, product_id, message)

    # --- again -------------------------------------------------------------------------------

    def retry_failed(self, product_key: str, limit: int = 100) -> Counter[str]:
        """Try failed messages again whose pause is over, and count what they come to.

        The pauses double with each try; after the last, nearly three days on, a person is needed.
        """
        with self.database.transaction() as connection:
            product = products.row_of(connection, product_key)
            found = inbox.due(connection, product.id, self.clock.wall(), limit)
        return self._again(found)

    def replay_failed(self, product_key: str) -> Counter[str]:
        """Apply all that failed or could not be read again, now, and count what they come to."""
        with self.database.transaction() as connection:
            product = products.row_of(connection, product_key)
            found = inbox.failed(connection, product.id)
        return self._again(found)

    def _again(self, numbers: Sequence[int]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for number in numbers:
            try:
                counts[self.replay(number, waiting=True).result] += 1
            except Conflict:
                counts["passed over"] += 1
        return counts

    def replay(self, number: int, *, waiting: bool = False) -> Reply:
        """Apply one message again from its kept body, through the code that took it in.

        NotFound where there is none; Conflict where its body has been forgotten, where somebody
        else has it in hand, and, with `waiting`, where it no longer waits for anybody.
        """
        try:
            return self.database.retrying(partial(self._replay, number=number, waiting=waiting))
        except (NotFound, Conflict):
            raise
        except Exception as error:  # noqa: BLE001 - one poisoned message must not stop the others
            _report(error)
            reply = Reply(Result.FAILED, type(error).__name__)
        with self.database.transaction() as connection:
            inbox.note_failure(connection, number, reply.reason)
        return reply

    def _replay(self, connection: Connection, number: int, *, waiting: bool) -> Reply:
        found = inbox.locked(connection, number)
        if found is None:
            raise _missing(connection, number)
        product_key, source, state, body = found
        if waiting and state not in WAITING:
            raise Conflict(f"message {number} was {state} in the meantime")
        if not speaks(source):
            raise Conflict(f"message {number} {FOR_A_PERSON}")
        if body is None:
            raise Conflict(
                f"the body of message {number} is no longer kept", "have its sender send it again"
            )
        event = _speaker(source).read(body, self.clock.now())
        reply = _expected(event)
        if event.ours and not event.wrong:
            product = products.load(connection, product_key)
            reply = self._apply(connection, product, event, source)
        inbox.note_again(connection, number, event.type, event.at, reply.result, reply.reason)
        if reply.reason == ERASED:
            inbox.note_erased(connection, number, ERASED)
        return reply

    # --- forgetting ----------------------------------------------------------------------------

    def forget(self, before: datetime | None = None) -> int:
        """Clear the raw bodies received before a moment, or kept for too long; how many."""
        moment = before or self.clock.wall() - self.kept_for
        cleared = 0
        while True:
            with self.database.transaction() as connection:
                some = inbox.forget(connection, moment, AT_A_TIME)
            cleared += some
            if some < AT_A_TIME:
                return cleared


def _expected(event: Event) -> Reply:
    """Give what an event comes to if nothing speaks against it."""
    if event.wrong is not None:
        return Reply(Result.UNREADABLE, event.wrong)
    return Reply(Result.APPLIED if event.ours else Result.IGNORED)


def _about(event: Event) -> str | None:
    """Give the one subscription that an event names, if it is one."""
    if event.facts is not None:
        return event.facts.external_id
    return event.look[0] if len(event.look) == 1 and not event.customers else None


def _kept(body: bytes, result: Result) -> bytes | None:
    """Give what is kept of a body: no card number, and nothing of what is none of ours."""
    if result is Result.IGNORED:
        return None
    text = body.decode(errors="surrogateescape")
    return masked(text).encode(errors="surrogateescape")


def _missing(connection: Connection, number: int) -> NotFound | Conflict:
    if inbox.entry(connection, number) is None:
        return NotFound(f"there is no message {number}", "`reconfirm inbox list` shows them")
    return Conflict(f"message {number} is being taken in", "try again in a moment")


def _report(error: Exception) -> None:
    """Say where a message failed, and nothing of what it said."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(
        f"inbox: {type(error).__name__} at {where.filename}:{where.lineno}, kept as failed\n"
    )
