"""Holds on erasure for systems: set, listed, released."""

import hashlib
from dataclasses import dataclass
from datetime import date

import msgspec
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from app.clock import Clock
from app.engine import holds as engine
from app.engine.holds import Wanted
from app.links import Links
from app.store import holds as store
from app.store import products
from app.store.database import Database
from app.store.holds import Reason
from app.web.api import cursors
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.policies import once_only
from app.web.api.shapes import Hold, HoldBody, Holds
from app.web.api.subscriptions import limit_asked_for, present
from app.web.problems import problem

LARGEST = 16 * 1024
LONGEST_NUMBER = 18
STATES = ("on", "all")
_BODY = msgspec.json.Decoder(HoldBody)


@dataclass(frozen=True, slots=True)
class HoldCalls:
    """The calls about holds."""

    database: Database
    clock: Clock
    links: Links

    def register(self, routes: Blueprint) -> None:
        """Put the routes on a blueprint."""
        of_one = "/subscriptions/<subscription>/holds"
        routes.add_url_rule("/holds", "holds", self.page)
        routes.add_url_rule(of_one, "holds_of", self.of_one)
        routes.add_url_rule(of_one, "hold_add", self.add, methods=["POST"])
        routes.add_url_rule("/holds/<hold>", "hold", self.show)
        routes.add_url_rule("/holds/<hold>", "hold_release", self.release, methods=["DELETE"])

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List holds, the oldest first: those that are on, or all."""
        only_parameters("state", "limit", "cursor")
        return self._page(product, None)

    @needs("read")
    def of_one(self, product: str, subscription: str) -> ResponseReturnValue:
        """List the holds on one subscription."""
        only_parameters("state", "limit", "cursor")
        return self._page(product, subscription)

    def _page(self, product: str, subscription: str | None) -> ResponseReturnValue:
        state, limit = _state(), limit_asked_for()
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            sid = (
                None
                if subscription is None
                else present(connection, number, subscription, self.links)
            )
            of = f"holds {state} {sid or ''}"
            after = int(cursors.place_of(request.args.get("cursor"), of, number, "int"))
            found = store.listed(
                connection,
                number,
                after,
                limit + 1,
                subscription_id=sid,
                released=state != STATES[0],
            )
        on = cursors.made(of, number, found[limit - 1].id) if len(found) > limit else None
        return answer(Holds([_told(each) for each in found[:limit]], on))

    @needs("read")
    def show(self, product: str, hold: str) -> ResponseReturnValue:
        """Show one hold."""
        only_parameters()
        number = _number(hold)
        with self.database.transaction() as connection:
            return answer(
                _told(engine.entry(connection, products.load(connection, product), number))
            )

    @needs("manage")
    def add(self, product: str, subscription: str) -> ResponseReturnValue:
        """Set a hold."""
        only_parameters()
        once = once_only()
        body = decoded(_BODY, body_of(LARGEST, JSON))
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            sid = present(connection, product_id, subscription, self.links)
        wanted = Wanted(sid, Reason(body.reason), _day(body.review_on), _source(once))
        return answer(_told(engine.add(self.database, self.clock, product, wanted, _actor())))

    @needs("manage")
    def release(self, product: str, hold: str) -> ResponseReturnValue:
        """Release a hold; one that was released stays as it is."""
        only_parameters()
        found = engine.release(self.database, self.clock, product, _number(hold), _actor())
        return answer(_told(found))


def _told(found: store.Hold) -> Hold:
    return Hold(**{name: getattr(found, name) for name in Hold.__struct_fields__})


def _actor() -> str:
    return f"api:{key().id}"


def _source(once: str | None) -> str | None:
    """Give what a call's own key is kept as: nobody reads out of it what was sent."""
    return once and f"{_actor()}:{hashlib.sha256(once.encode()).hexdigest()[:32]}"


def _day(given: str | None) -> date | None:
    try:
        return None if given is None else date.fromisoformat(given)
    except ValueError:
        raise problem("invalid-body", "It is no day: 2026-09-01.", field="review_on") from None


def _state() -> str:
    state = request.args.get("state", STATES[0])
    if state not in STATES:
        raise problem("invalid-parameter", f"It is one of {', '.join(STATES)}.", field="state")
    return state


def _number(text: str) -> int:
    """Read the number of a hold; 404 where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise problem("not-found")
    return int(text)
