"""What mail servers tell later on: a notice came back for good, or somebody complained.

A relay answers within seconds; many bounces and all complaints arrive hours or days later, at the
product. A notice is named by its Message-ID, which is signed and names the subscription, or by the
subscription itself. Soft bounces are not taken: what is tried again has not come back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.exceptions import InternalServerError

from app.clock import Clock
from app.engine.door import Door
from app.lifecycle.case import Reach, Undelivered, Verdict
from app.links import Links
from app.store import products, reading
from app.store.database import Database
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import FeedbackBody, FeedbackEvent, FeedbackResult, Rejected

LARGEST = 1024 * 1024
NOT_OURS = "is no notice of this product"
NO_SUBSCRIPTION = "is no subscription of this product"
_BODY = msgspec.json.Decoder(FeedbackBody)


@dataclass(frozen=True, slots=True)
class FeedbackCalls:
    """The call that takes in what mail servers told."""

    database: Database
    clock: Clock
    links: Links

    @needs("usage")
    def take(self, product: str) -> ResponseReturnValue:
        """Take in a batch, each event judged on its own."""
        only_parameters()
        events = decoded(_BODY, body_of(LARGEST, JSON)).events
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            about = self._about(connection, product_id, events)
        items = [
            (sid, Undelivered(Reach(event.type)))
            for event, sid in zip(events, about, strict=True)
            if isinstance(sid, int)
        ]
        door = Door(self.database, self.clock)
        replies = door.apply(product, items, f"api:{key().id}") if items else []
        if any(each.verdict is Verdict.FAILED for each in replies):
            raise InternalServerError
        applied = sum(each.verdict is Verdict.APPLIED for each in replies)
        rejected = [Rejected(at, why) for at, why in enumerate(about) if isinstance(why, str)]
        unchanged = len(items) - applied
        return answer(FeedbackResult(len(events), applied, unchanged, rejected, len(rejected)))

    def _about(
        self, connection: Connection, product_id: int, events: Sequence[FeedbackEvent]
    ) -> list[int | str]:
        """Give the id of the subscription each event is about, or why it is about none."""
        named = [self._named(event) for event in events]
        ids = [each for each in named if isinstance(each, int)]
        ours = reading.in_product(connection, product_id, ids)
        names = [each.subscription for each in events if each.subscription]
        known = reading.ids_present(connection, product_id, [n for n in names if n.isprintable()])
        return [
            _judged(event, name, ours, known) for event, name in zip(events, named, strict=True)
        ]

    def _named(self, event: FeedbackEvent) -> int | None:
        return self.links.read_notice(event.message_id) if event.message_id else None


def _judged(
    event: FeedbackEvent, named: int | None, ours: set[int], known: Mapping[str, int]
) -> int | str:
    if bool(event.message_id) == bool(event.subscription):
        return "name a message_id or a subscription, and one of the two only"
    if event.message_id:
        return named if named in ours and named is not None else NOT_OURS
    return known.get(event.subscription or "", NO_SUBSCRIPTION)
