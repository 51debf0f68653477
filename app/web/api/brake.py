"""The one stop of a product: which brakes are on, and setting and lifting its own."""

from dataclasses import dataclass

import msgspec
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.store import cases, products
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import Brake, BrakeOff, BrakeOn, Brakes

SMALL = 16 * 1024
_ACT = msgspec.json.Decoder(BrakeOn | BrakeOff)


@dataclass(frozen=True, slots=True)
class BrakeCalls:
    """The calls about the brake."""

    database: Database
    clock: Clock

    @needs("read")
    def show(self, product: str) -> ResponseReturnValue:
        """Show which brakes stop this product."""
        only_parameters()
        with self.database.transaction() as connection:
            return answer(_brakes(connection, products.row_of(connection, product).id))

    @needs("manage")
    def act(self, product: str) -> ResponseReturnValue:
        """Set the brake of this product by hand, or lift its own."""
        only_parameters()
        said, now = decoded(_ACT, body_of(SMALL, JSON)), self.clock.now()
        actor = f"api:{key().id}"
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            if isinstance(said, BrakeOff):
                guards.lift(connection, number, actor, said.why, now)
            elif products.set_brake(connection, number, guards.BY_HAND, said.why, actor, now):
                line = HistoryWrite(None, None, "brake_on", said.why, None)
                cases.insert_history(connection, number, now, actor, [line])
            return answer(_brakes(connection, number))


def _brakes(connection: Connection, product_id: int) -> Brakes:
    return Brakes([_told(each) for each in products.brakes(connection, product_id)])


def _told(each: products.Brake) -> Brake:
    says, mend = guards.in_words(each)
    everywhere = each.product is None
    return Brake(each.cause, each.why, each.actor, each.set_at, everywhere, says, mend)
