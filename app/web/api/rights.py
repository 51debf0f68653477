"""What people may ask of us, passed on by the product's own app or desk.

Each is harmless when repeated, so no Idempotency-Key is needed. Reading what is held changes
nothing: who holds a key of scope manage answers for who sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import InternalServerError

from app import export
from app.clock import Clock
from app.engine.rights import Rights, refuse
from app.errors import Conflict
from app.lifecycle.case import Verdict
from app.lifecycle.erasures import OWN_REST
from app.links import Links
from app.rows import RowRefused, address
from app.store import cases, products
from app.store.database import Database
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import (
    AddressBody,
    ErasureBody,
    ErasureWanted,
    NothingMore,
    RightTaken,
)
from app.web.api.subscriptions import present
from app.web.problems import problem
from app.web.words import sentences

LARGEST = 16 * 1024
_ADDRESS = msgspec.json.Decoder(AddressBody)
_ERASURE = msgspec.json.Decoder(ErasureBody)
_NOTHING = msgspec.json.Decoder(NothingMore)


@dataclass(frozen=True, slots=True)
class RightsCalls:
    """The calls about what is held of somebody, and what they may ask."""

    database: Database
    clock: Clock
    links: Links

    @needs("manage")
    def data(self, product: str, subscription: str) -> ResponseReturnValue:
        """Give all that is held about one."""
        only_parameters()
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            sid = present(connection, found.id, subscription, self.links)
            words, now = sentences("en"), self.clock.now()
            held = export.everything(connection, self.links, found, sid, now, words)
        if held is None:
            raise problem("gone")
        return answer(held)

    @needs("manage")
    def erasure(self, product: str, subscription: str) -> ResponseReturnValue:
        """Take a request to erase."""
        only_parameters()
        cancel = decoded(_ERASURE, body_of(LARGEST, JSON)).cancel
        sid = self._present(product, subscription)
        verdict = self._rights.erase(product, sid, _actor(), cancel=cancel)
        if verdict is Verdict.TOO_LATE:
            raise Conflict(
                "it is still charged, and nothing is erased while it is",
                'send {"cancel": true} to have it canceled as their own word',
            )
        asked_at = self._asked_at(product, sid) if _taken(verdict) else None
        begins_at = None if asked_at is None else asked_at + OWN_REST
        return answer(ErasureWanted(verdict.value, asked_at, begins_at))  # type: ignore[arg-type]

    @needs("manage")
    def restriction(self, product: str, subscription: str) -> ResponseReturnValue:
        """Lock somebody's data."""
        return self._bare(product, subscription, self._rights.restrict)

    @needs("manage")
    def objection(self, product: str, subscription: str) -> ResponseReturnValue:
        """Take an objection."""
        return self._bare(product, subscription, self._rights.object)

    @needs("manage")
    def correction(self, product: str, subscription: str) -> ResponseReturnValue:
        """Write to another address."""
        only_parameters()
        said = decoded(_ADDRESS, body_of(LARGEST, JSON))
        try:
            email = address(said.email)
        except RowRefused:
            detail = "It is no address that can be written to, and nothing but one is taken."
            raise problem("invalid-body", detail, field="email") from None
        sid = self._present(product, subscription)
        verdict = self._rights.correct(product, sid, email, _actor())
        _taken(verdict)
        return answer(RightTaken(verdict.value))  # type: ignore[arg-type]

    def _bare(
        self, product: str, subscription: str, act: Callable[[str, int, str], Verdict]
    ) -> ResponseReturnValue:
        only_parameters()
        decoded(_NOTHING, body_of(LARGEST, JSON))
        verdict = act(product, self._present(product, subscription), _actor())
        _taken(verdict)
        return answer(RightTaken(verdict.value))  # type: ignore[arg-type]

    def _present(self, product: str, subscription: str) -> int:
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            return present(connection, product_id, subscription, self.links)

    def _asked_at(self, product: str, sid: int) -> datetime | None:
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            case = cases.read(connection, found.id, [sid], found.hearing, lock=False)[sid]
        return case.round.erase_at if case.round else None

    @property
    def _rights(self) -> Rights:
        return Rights(self.database, self.clock)


def _actor() -> str:
    return f"api:{key().id}"


def _taken(verdict: Verdict) -> bool:
    """Say that it was done; a defect of ours is a 500, any other refusal a conflict."""
    if verdict is Verdict.FAILED:
        raise InternalServerError
    refuse(verdict)
    return True
