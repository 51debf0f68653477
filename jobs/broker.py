"""The broker: dramatiq over Redis, as a wake-up call and nothing more.

A message names a product and the term of the leader that sent it; what is to be done stands in
the database. So no message is retried, delayed or kept for its result: one that is lost, doubled
or replayed changes nothing, since the scheduler finds from PostgreSQL whatever was not done.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError as NoBroker

NAMESPACE = "reconfirm"
QUEUE = "work"
DEAD_AFTER = 15_000
"""Milliseconds without a heartbeat after which a worker's messages go to another."""
MAINTENANCE = 20_000
"""Of a million commands, how many look for dead workers: one in fifty."""
PATIENCE = 5.0
"""Seconds that Redis is given to answer."""
FORGOTTEN_AFTER = 60_000
"""Milliseconds that a failed message is kept: there is nothing in it."""


def open_broker(url: str) -> RedisBroker:
    """Give the broker at a Redis address; nothing is connected yet."""
    # No middleware: no retries, no results, no time limit that would raise in the midst of an act.
    client = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        client=client,
        middleware=[],
        namespace=NAMESPACE,
        heartbeat_timeout=DEAD_AFTER,
        maintenance_chance=MAINTENANCE,
        dead_message_ttl=FORGOTTEN_AFTER,
    )
    broker.declare_queue(QUEUE)
    return broker


class Waker(Protocol):
    """Whatever wakes workers."""

    def wake(self, job: str, product_id: int, term: int, hands: int = 1) -> None:
        """Ask for a job of a product to be done, by several hands at once."""

    def waiting(self) -> int:
        """Give how many calls nobody has taken up yet."""


@dataclass(frozen=True, slots=True)
class RedisWaker:
    """Wakes workers through the broker; where Redis is away nobody is woken, and nothing lost."""

    broker: RedisBroker

    def wake(self, job: str, product_id: int, term: int, hands: int = 1) -> None:
        """Enqueue a call for each hand."""
        for _ in range(hands):
            message: dramatiq.Message[Any] = dramatiq.Message(
                queue_name=QUEUE, actor_name=job, args=(product_id, term), kwargs={}, options={}
            )
            try:
                self.broker.enqueue(message)
            except (NoBroker, redis.RedisError):
                return

    def waiting(self) -> int:
        """Give how many calls wait; 0 where Redis does not say."""
        try:
            return int(self.broker.do_qsize(QUEUE))
        except (NoBroker, redis.RedisError):
            return 0
