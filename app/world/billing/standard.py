"""Any billing system that takes signed messages: Standard Webhooks, both ways.

The commands `billing.suspend`, `billing.resume` and `billing.cancel` go to the one endpoint of the
product that wants them. The message id is the order's key and the body the same on every try, so
a receiver that remembers ids acts once. A 2xx says that it is done; its answer may say until when
the time already paid lasts: `{"paid_until": "2026-10-01T00:00:00Z"}`. What comes back by itself,
`subscription.paused`, `resumed` or `canceled` at our webhook, is how an unknown outcome is read.

    {"type": "billing.suspend", "timestamp": "…", "data": {"subscription": "sub_1"}}
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.world.billing.connector import PAID_UNTIL, Order, Standing
from app.world.hooks import Answer, Message, Sender
from app.world.outcome import Done, Later, No, Outcome

AGAIN = frozenset({408, 425, 429, 503})
"""Answers that say that nothing was done, and that it may be later."""
SERVER_ERROR = 500
IN_A_ROW = 2


@dataclass(slots=True)
class Standard:
    """The connector to the endpoint of one product, made anew for each batch.

    After two commands in a row without any answer the rest of the batch is not sent: each would
    take as long, and others wait.
    """

    sender: Sender
    url: str
    secrets: Sequence[str]
    unanswered: int = 0

    def carry_out(self, order: Order) -> Outcome:
        """Send the command and say what its answer means.

        Unknown where no answer came, and after an error of the server, which may have done it
        first. Any other answer but a 2xx is a no.
        """
        if self.unanswered >= IN_A_ROW:
            return Later("endpoint not answering")
        answer = self.sender.send(self.url, self.secrets, Message(order.key, _body(order)))
        self.unanswered = self.unanswered + 1 if answer.status is None else 0
        if answer.status is None:
            return answer.outcome
        if isinstance(answer.outcome, Done):
            return Done(_detail(answer.body))
        return _refused(answer, answer.status)

    def read(self, order: Order) -> Standing | None:
        """Give what billing has told since the order was due: it cannot be asked."""
        return order.told


def _refused(answer: Answer, status: int) -> Outcome:
    if status in AGAIN or status >= SERVER_ERROR:
        later = answer.outcome if isinstance(answer.outcome, Later) else Later(f"http {status}")
        return replace(later, unknown=status not in AGAIN)
    return No(f"http {status}")


def _body(order: Order) -> bytes:
    at = (order.since or order.at).astimezone(UTC).isoformat().replace("+00:00", "Z")
    command = {
        "type": f"billing.{order.act}",
        "timestamp": at,
        "data": {"subscription": order.subscription},
    }
    return json.dumps(command, ensure_ascii=False, separators=(",", ":")).encode()


def _detail(body: bytes) -> dict[str, str] | None:
    """Read what the answer says; one that cannot be read says nothing, for it was a yes."""
    try:
        said = json.loads(body)
        moment = datetime.fromisoformat(said[PAID_UNTIL])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return None if moment.tzinfo is None else {PAID_UNTIL: moment.isoformat()}
