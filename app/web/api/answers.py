"""What people answered inside the product's own app: the same door as the page they get by mail.

Repeating an answer is harmless: the last one is the person's word, and saying it again changes
nothing. So no Idempotency-Key is needed.
"""

from dataclasses import dataclass

import msgspec
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import InternalServerError

from app.clock import Clock
from app.engine.door import Door
from app.lifecycle.case import Answer, Verdict, Word
from app.links import Links
from app.store import products
from app.store.database import Database
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import needs
from app.web.api.shapes import AnswerBody, Answered
from app.web.api.subscriptions import described, present

LARGEST = 16 * 1024
_BODY = msgspec.json.Decoder(AnswerBody)


@dataclass(frozen=True, slots=True)
class AnswerCalls:
    """The call that takes an answer."""

    database: Database
    clock: Clock
    links: Links

    @needs("manage")
    def take(self, product: str, subscription: str) -> ResponseReturnValue:
        """Take an answer, and say where the subscription stands after it."""
        only_parameters()
        said = decoded(_BODY, body_of(LARGEST, JSON))
        verdict = self._apply(product, subscription, said)
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            now = self.clock.now()
            after = described(connection, found, subscription, now, self.links)
        return answer(Answered(verdict.value, after))  # type: ignore[arg-type]

    def _apply(self, product: str, subscription: str, said: AnswerBody) -> Verdict:
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            sid = present(connection, product_id, subscription, self.links)
        event = Answer(Word(said.answer), None, said.actor)
        reply = Door(self.database, self.clock).apply(product, [(sid, event)], said.actor)[0]
        if reply.verdict is Verdict.FAILED:
            raise InternalServerError
        return reply.verdict
