"""Erasures for systems: how far each has come, and the receipts that targets give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from app.clock import Clock
from app.engine.receipts import NotYours, Receipts
from app.links import Links
from app.store import products
from app.store import receipts as store
from app.store.database import Database
from app.web.api import cursors
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import (
    Erasure,
    ErasureReceipt,
    Erasures,
    ErasureState,
    KeptCategory,
    ReceiptBody,
)
from app.web.api.subscriptions import limit_asked_for
from app.web.problems import problem
from app.world import erasing

LARGEST = 16 * 1024
LONGEST_ID = 128
LIST = "erasures"
STATES: tuple[str, ...] = get_args(ErasureState)
_BODY = msgspec.json.Decoder(ReceiptBody)


@dataclass(frozen=True, slots=True)
class ErasureCalls:
    """The calls about erasures that were begun."""

    database: Database
    clock: Clock
    links: Links

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List erasures, the newest first."""
        only_parameters("state", "limit", "cursor")
        state, limit = _state(), limit_asked_for()
        of = f"{LIST} {state or ''}"
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            before = str(cursors.place_of(request.args.get("cursor"), of, number, "str"))
            found = store.erasures(connection, number, state, before, limit + 1)
            owed = store.of_erasures(connection, [each.id for each in found])
        on = cursors.made(of, number, found[limit - 1].id) if len(found) > limit else None
        return answer(Erasures([_told(each, owed) for each in found[:limit]], on))

    @needs("read")
    def show(self, product: str, erasure: str) -> ResponseReturnValue:
        """Show one erasure, with what each target owes or has given."""
        only_parameters()
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            found = store.erasure(connection, number, _id(erasure))
            owed = store.of_erasures(connection, [erasure])
        if found is None:
            raise problem("not-found")
        return answer(_told(found, owed))

    @needs("manage")
    def give(self, product: str, erasure: str) -> ResponseReturnValue:
        """Take a receipt from a target, which proves itself by the token it was given."""
        only_parameters()
        said = decoded(_BODY, body_of(LARGEST, JSON))
        kept = tuple(erasing.Kept(each.category, each.why, each.until) for each in said.kept)
        receipt = erasing.Receipt(_id(erasure), tuple(said.erased), kept)
        made = Receipts(self.database, self.clock, self.links)
        actor = f"api:{key().id}"
        try:
            found = made.give(product, erasure, said.target, receipt, actor, said.token)
        except NotYours as refused:
            raise problem("token-refused", str(refused)) from None
        return answer(_receipt(found))


def _told(found: store.Erasure, owed: Sequence[store.Entry]) -> Erasure:
    names = [name for name in Erasure.__struct_fields__ if name != "receipts"]
    mine = [_receipt(each) for each in owed if each.erasure_id == found.id]
    return Erasure(**{name: getattr(found, name) for name in names}, receipts=mine)


def _receipt(each: store.Entry) -> ErasureReceipt:
    body = each.body or {"erased": [], "kept": []}
    names = ("target", "last", "told_at", "tries", "error", "given_at")
    return ErasureReceipt(
        **{name: getattr(each, name) for name in names},
        categories=list(each.categories),
        # Who tells right now is of no interest to a system that asks.
        state="due" if each.state == store.CLAIMED else each.state,  # type: ignore[arg-type]
        erased=body["erased"],
        kept=[msgspec.convert(one, KeptCategory) for one in body["kept"]],
    )


def _state() -> str | None:
    state = request.args.get("state")
    if state is not None and state not in STATES:
        raise problem("invalid-parameter", f"It is one of {', '.join(STATES)}.", field="state")
    return state


def _id(text: str) -> str:
    """Read the id of an erasure; 404 where it can be none."""
    if len(text) > LONGEST_ID or not text.isascii() or not text.isprintable():
        raise problem("not-found")
    return text
