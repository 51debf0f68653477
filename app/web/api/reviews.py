"""Cases that subscribers want a person to look at, for the product's own desk."""

from dataclasses import dataclass
from typing import get_args

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from app.clock import Clock
from app.engine import reviews as engine
from app.lifecycle.case import Erasure, Finding
from app.store import products
from app.store import reviews as store
from app.store.database import Database
from app.web.api import cursors
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import Review, ReviewDone, Reviews, ReviewState
from app.web.api.subscriptions import limit_asked_for
from app.web.problems import problem

LARGEST = 16 * 1024
LONGEST_NUMBER = 18
STATES: tuple[str, ...] = get_args(ReviewState)
_CODES: dict[str, Finding | Erasure] = {str(each): each for each in (*Finding, *Erasure)}
_BODY = msgspec.json.Decoder(ReviewDone)


@dataclass(frozen=True, slots=True)
class ReviewCalls:
    """The calls that list cases and take what was found."""

    database: Database
    clock: Clock

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List cases: requests to erase by the day they are due, then who has waited longest."""
        only_parameters("state", "limit", "cursor")
        state, limit = _state(), limit_asked_for()
        of = f"reviews {state}"
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            after = int(cursors.place_of(request.args.get("cursor"), of, number, "int"))
            found = store.listed(connection, number, (state,), after, limit + 1)
        on = cursors.made(of, number, found[limit - 1].id) if len(found) > limit else None
        return answer(Reviews([_told(each) for each in found[:limit]], on))

    @needs("read")
    def show(self, product: str, review: str) -> ResponseReturnValue:
        """Show one case."""
        only_parameters()
        number = _number(review)
        with self.database.transaction() as connection:
            found = store.entry(connection, products.row_of(connection, product).id, number)
        if found is None:
            raise problem("not-found")
        return answer(_told(found))

    @needs("manage")
    def done(self, product: str, review: str) -> ResponseReturnValue:
        """Take what a person found, and let the case go on."""
        only_parameters()
        number = _number(review)
        finding = _CODES[decoded(_BODY, body_of(LARGEST, JSON)).outcome]
        actor = f"api:{key().id}"
        found = engine.finish(self.database, self.clock, product, number, finding, actor)
        return answer(_told(found))


def _told(found: store.Review) -> Review:
    names = Review.__struct_fields__
    return Review(**{name: getattr(found, name) for name in names})


def _state() -> str:
    state = request.args.get("state", store.OPEN)
    if state not in STATES:
        raise problem("invalid-parameter", f"It is one of {', '.join(STATES)}.", field="state")
    return state


def _number(text: str) -> int:
    """Read the number of a case; 404 where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise problem("not-found")
    return int(text)
