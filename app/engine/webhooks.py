"""Claims messages for endpoints and takes back what became of them, in a transaction each.

The same way as effects: a claim takes a lease under a new fence, the world sends between the two
transactions, and what comes back counts only under the fence it was claimed with. A sender that
dies in between leaves a lease that runs out; the message is then sent again under the same id.

A message that does not arrive is tried again after the pauses of `PAUSES`: twelve tries, the last
of them three days after the first. Then it is parked: before a person, who may replay it. A 410
parks it at once, and retires nothing: whether an endpoint is gone is for a person to say. What is
parked stands in nobody's way, so the messages behind it go on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.clock import Clock
from app.engine.news import message_id, moment
from app.errors import NotFound
from app.store import products, webhooks
from app.store.database import Database
from app.store.webhooks import Endpoint, Waiting
from app.world.outcome import Done, Later, No, Outcome

LEASE = timedelta(seconds=60)
BEGIN_WITHIN = 6
"""A part of the lease, a sixth: what has not been begun by then is given back."""
PAUSES = tuple(
    timedelta(minutes=each)
    for each in (1, 5, 30, 120, 240, 480, 720, 720, 720, 720, 564)  # three days in all
)
"""How long to wait after each try that failed."""
THREE_DAYS = timedelta(days=3)
KEPT_FOR = timedelta(days=30)
"""How long what arrived is remembered."""
NO_ANSWER = "endpoint not answering"
FORGOTTEN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed message: what goes where, and the fence its outcome counts under.

    `tries` counts this one; nothing is begun after `begin_by`.
    """

    id: int
    fence: int
    endpoint_id: int
    url: str
    secrets: tuple[str, ...]
    message_id: str
    type: str
    body: str
    tries: int
    begin_by: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a delivery; None for one that was not begun."""

    delivery: Delivery
    outcome: Outcome | None
    status: int | None = None
    took: timedelta = timedelta()

    @property
    def id(self) -> int:
        """The message."""
        return self.delivery.id

    @property
    def error(self) -> str | None:
        """The code of what went wrong."""
        return self.outcome.reason if isinstance(self.outcome, Later | No) else None

    @property
    def took_ms(self) -> int:
        """How long it took, in milliseconds."""
        return int(self.took.total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The messages of products, for those who send them."""

    database: Database
    clock: Clock
    lease: timedelta = LEASE
    kept_for: timedelta = KEPT_FOR

    # --- claiming --------------------------------------------------------------------------

    def claim(self, product_key: str, limit: int, resting: Collection[int] = ()) -> list[Delivery]:
        """Claim up to `limit` messages, shared among the endpoints but for those `resting`."""

        def work(connection: Connection) -> list[Delivery]:
            product_id = products.row_of(connection, product_key).id
            live = webhooks.live_endpoints(connection, product_id)
            awake = [each for each in live if each.id not in resting]
            share = max(1, limit // max(1, len(awake)))
            return [one for each in awake for one in self._claim_for(connection, each, share)]

        return self.database.retrying(work)

    def _claim_for(self, connection: Connection, endpoint: Endpoint, limit: int) -> list[Delivery]:
        now, wall = self.clock.now(), self.clock.wall()
        found = webhooks.forsaken(connection, endpoint.id, wall, limit)
        worn = [each.id for each in found if each.tries > len(PAUSES)]
        webhooks.park(connection, worn, "outcome unknown")
        found = [each for each in found if each.id not in worn]
        found += webhooks.due(connection, endpoint.id, now, limit - len(found))
        webhooks.claim(connection, [each.id for each in found], wall + self.lease)
        begin_by = wall + self.lease / BEGIN_WITHIN
        return [_delivery(endpoint, each, begin_by) for each in found]

    # --- acknowledging ---------------------------------------------------------------------

    def acknowledge(self, results: Sequence[Sent]) -> int:
        """Write what became of deliveries; give how many counted, those of an old fence do not."""

        def work(connection: Connection) -> int:
            return _acknowledge_in(connection, results, self.clock.now())

        return self.database.retrying(work) if results else 0

    def give_up(self, endpoint_ids: Collection[int]) -> None:
        """Park what has waited three days for endpoints that answered nothing in as long.

        A batch of each: while they are left alone most of what waits is never tried.
        """

        def work(connection: Connection) -> None:
            before = self.clock.now() - THREE_DAYS
            for each in sorted(endpoint_ids):
                webhooks.park_overdue(connection, each, before, NO_ANSWER, FORGOTTEN_AT_ONCE)

        if endpoint_ids:
            self.database.retrying(work)

    # --- housekeeping ------------------------------------------------------------------------

    def forget(self, limit: int = FORGOTTEN_AT_ONCE) -> int:
        """Delete what arrived longer ago than it is kept, with the log of its tries; how many.

        Also puts before a person what was written for an endpoint while it was being retired.
        """

        def work(connection: Connection) -> int:
            webhooks.park_retired(connection)
            return webhooks.forget(connection, self.clock.now() - self.kept_for, limit)

        return self.database.retrying(work)

    # --- trying an endpoint out ----------------------------------------------------------------

    def trial(self, product_key: str, endpoint_id: int) -> tuple[Endpoint, str, str]:
        """Give a live endpoint with the id and body of a `webhook.test` message, or NotFound."""
        with self.database.transaction() as connection:
            endpoint = endpoint_of(connection, product_key, endpoint_id)
        at = self.clock.now()
        name = message_id("webhook.test", product_key, endpoint_id, at, self.clock.wall())
        body = (
            f'{{"type":"webhook.test","timestamp":"{moment(at)}",'
            f'"data":{{"endpoint":{endpoint_id}}}}}'
        )
        return endpoint, name, body


def endpoint_of(connection: Connection, product_key: str, endpoint_id: int) -> Endpoint:
    """Give a live endpoint of a product; NotFound where it has none of that number."""
    product_id = products.row_of(connection, product_key).id
    for each in webhooks.live_endpoints(connection, product_id):
        if each.id == endpoint_id:
            return each
    raise NotFound(
        f"{product_key} has no live endpoint {endpoint_id}", "`reconfirm endpoint list` shows them"
    )


def _delivery(endpoint: Endpoint, row: Waiting, begin_by: datetime) -> Delivery:
    return Delivery(
        id=row.id,
        fence=row.fence + 1,
        endpoint_id=endpoint.id,
        url=endpoint.url,
        secrets=tuple(endpoint.secrets),
        message_id=row.message_id,
        type=row.type,
        body=row.body,
        tries=row.tries + 1,
        begin_by=begin_by,
    )


def _acknowledge_in(connection: Connection, results: Sequence[Sent], now: datetime) -> int:
    claims = [(each.delivery.id, each.delivery.fence) for each in results]
    mine = webhooks.still_mine(connection, claims)
    counted = [each for each in results if each.id in mine]
    webhooks.note_tries(connection, [each for each in counted if each.outcome is not None], now)
    webhooks.release(connection, [each.id for each in counted if each.outcome is None])
    arrived = [each.id for each in counted if isinstance(each.outcome, Done)]
    webhooks.deliver(connection, arrived, now)
    parked: list[int] = []
    back: list[tuple[int, datetime]] = []
    for each in counted:
        if isinstance(each.outcome, Later) and each.delivery.tries <= len(PAUSES):
            back.append((each.id, now + _pause(each.outcome, each.delivery.tries)))
        elif isinstance(each.outcome, Later | No):
            parked.append(each.id)
    webhooks.park(connection, parked)
    webhooks.put_back(connection, back)
    return len(counted)


def _pause(later: Later, tries: int) -> timedelta:
    """Give the pause after so many tries, or the longer one that the endpoint asked for."""
    return max(PAUSES[tries - 1], later.retry_after or timedelta())
