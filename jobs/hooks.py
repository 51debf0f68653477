"""Tells endpoints what has happened: claims a batch, sends it, brings back what became of it.

Endpoints are strangers to each other: each has a few threads of its own, and one that does not
answer is left alone for a while after two failures in a row. It costs the others the time of those
two tries in one batch, and then nothing.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from app.clock import Clock
from app.engine.webhooks import THREE_DAYS, Delivery, Sent, Webhooks
from app.store.database import Database
from app.world.hooks import Message, Sender
from app.world.outcome import Done, Later, Outcome
from jobs.breaker import Breaker

MANY = 100
AT_ONCE = 4
"""How many messages go to one endpoint at a time."""
MOST_THREADS = 64
ABOUT_THE_MESSAGE = frozenset({400, 413, 422})
"""Answers about what was sent: the next message may well be taken."""


@dataclass
class Hooks:
    """Sends the messages of every product; one of these serves all threads of a process."""

    database: Database
    clock: Clock
    sender: Sender
    webhooks: Webhooks
    breaker: Breaker[int] = field(default_factory=Breaker)
    before_send: Callable[[Delivery], None] = lambda _: None
    after_send: Callable[[Delivery], None] = lambda _: None

    def work(self, product: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Send what is due while `go_on` says so; give how many tries, and whether none is left."""
        did = 0
        while go_on():
            done = self.once(product).total()
            if not done:
                return did, True
            did += done
        return did, False

    def once(self, product: str) -> Counter[str]:
        """Claim and send one batch of a product; count what came of it, such as `webhook done`."""
        now = self.clock.now()
        claimed = self.webhooks.claim(product, MANY, self.breaker.resting(now))
        if not claimed:
            return Counter()
        results: list[Sent] = []
        try:
            self._send_all(claimed, results, now)
        finally:
            self.webhooks.acknowledge(results)
        self.webhooks.give_up(self.breaker.silent_since(now - THREE_DAYS))
        return Counter(f"webhook {_word(each.outcome)}" for each in results if each.outcome)

    def tidy(self) -> int:
        """Forget a batch of what arrived long ago; give how many."""
        return self.webhooks.forget()

    def test(self, product: str, endpoint_id: int) -> Sent:
        """Send a `webhook.test` message now and say what came back; nothing is written about it."""
        endpoint, name, body = self.webhooks.trial(product, endpoint_id)
        message = Message(name, body.encode())
        answer = self.sender.send(endpoint.url, endpoint.secrets, message)
        trial = Delivery(
            id=0,
            fence=0,
            endpoint_id=endpoint_id,
            url=endpoint.url,
            secrets=(),
            message_id=name,
            type="webhook.test",
            body=body,
            tries=1,
            begin_by=self.clock.wall(),
        )
        return Sent(trial, answer.outcome, answer.status, answer.took)

    # --- sending -----------------------------------------------------------------------------

    def _send_all(self, claimed: Sequence[Delivery], results: list[Sent], now: datetime) -> None:
        """Send what was claimed, filling `results`; what ends a thread ends the batch."""
        lines = _by_endpoint(claimed)
        hands = [line for line in lines for _ in range(min(AT_ONCE, len(line)))]
        with ThreadPoolExecutor(min(len(hands), MOST_THREADS), "webhook") as pool:
            ends = [pool.submit(self._drain, line, results, now) for line in hands]
        for each in ends:
            each.result()

    def _drain(self, line: deque[Delivery], results: list[Sent], now: datetime) -> None:
        """Send one message after the other, as long as the endpoint answers."""
        while True:
            try:
                delivery = line.popleft()
            except IndexError:
                return
            results.append(self._send(delivery, now))

    def _send(self, delivery: Delivery, now: datetime) -> Sent:
        late = self.clock.wall() > delivery.begin_by
        if late or delivery.endpoint_id in self.breaker.resting(now):
            return Sent(delivery, None)
        self.before_send(delivery)
        message = Message(delivery.message_id, delivery.body.encode())
        try:
            answer = self.sender.send(delivery.url, delivery.secrets, message)
        except Exception as error:  # noqa: BLE001 - one poisoned message must not stop the others
            sent = Sent(delivery, Later(f"not sent: {type(error).__name__}"))
        else:
            sent = Sent(delivery, answer.outcome, answer.status, answer.took)
        self.after_send(delivery)
        if sent.outcome is not None:
            well = isinstance(sent.outcome, Done) or sent.status in ABOUT_THE_MESSAGE
            self.breaker.note(delivery.endpoint_id, sent.outcome, now, well=well)
        return sent


def _by_endpoint(claimed: Iterable[Delivery]) -> list[deque[Delivery]]:
    lines: dict[int, deque[Delivery]] = {}
    for each in claimed:
        lines.setdefault(each.endpoint_id, deque()).append(each)
    return list(lines.values())


def _word(outcome: Outcome | None) -> str:
    if isinstance(outcome, Done):
        return "done"
    return "later" if isinstance(outcome, Later) else "no"
