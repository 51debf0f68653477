"""Erasures: how far each has come, which system owes a receipt, and those that stopped."""

import re
from dataclasses import dataclass

from flask import Response, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.errors import Conflict
from app.lifecycle.case import Erasing
from app.store import cases, products
from app.store import erasing_views as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.erasing_views import Erasure
from app.web.console.roles import Role
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show

VIEWER, EDITOR = Needs(), Needs(Role.EDITOR)
A_PAGE = 50
ENDED = "ended"
STEPS = (*Erasing, ENDED)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an erasure: done, here or ahead."""

    name: str
    stands: str


@dataclass(frozen=True, slots=True)
class ErasurePages:
    """The pages of erasures and of the systems that are told."""

    database: Database
    clock: Clock

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        one = "/products/<product>/erasures/<erasure>"
        return [
            ("GET", "/products/<product>/erasures", self.listed, VIEWER),
            ("GET", one, self.shown, VIEWER),
            ("POST", f"{one}/receipts/<int:number>/retry", self.retry, EDITOR),
            ("GET", "/products/<product>/targets", self.targets, VIEWER),
        ]

    def listed(self, product: str) -> Response:
        """Show the erasures under way, or those that have ended, newest first."""
        before = request.args.get("before", "")
        ended = request.args.get("show") == ENDED
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            before = before if _ID.fullmatch(before) else ""
            found = store.erasures(connection, row.id, before, A_PAGE + 1, ended=ended)
        return show(
            "erasures",
            here="erasing",
            product=row,
            ended=ended,
            entries=found[:A_PAGE],
            following=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
        )

    def shown(self, product: str, erasure: str) -> Response:
        """Show one erasure: its steps and receipts."""
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = store.erasure(connection, row.id, erasure)
            if found is None:
                raise NotFound
            receipts = store.receipts(connection, row.id, erasure)
        return show(
            "erasure",
            here="erasing",
            product=row,
            erasure=found,
            steps=steps_of(found),
            receipts=receipts,
            may_edit=_may(product),
        )

    def targets(self, product: str) -> Response:
        """Show the systems that are told to erase, and what each owes."""
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = store.targets(connection, row.id)
            stopped = store.parked(connection, row.id, A_PAGE)
        return show(
            "targets",
            here="erasing",
            product=row,
            entries=found,
            stopped=stopped,
            may_edit=_may(product),
        )

    def retry(self, product: str, erasure: str, number: int) -> AnyResponse:
        """Let a target be told again whose receipt stopped."""
        now, actor = self.clock.now(), here().actor
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            if store.erasure(connection, row.id, erasure) is None:
                raise NotFound
            whose = store.retry(connection, row.id, erasure, number, now)
            if whose is None:
                raise Conflict(str(said()("refusal.not_parked")))
            line = HistoryWrite(*whose, "receipt_retried", "by_hand", None)
            cases.insert_history(connection, row.id, now, actor, [line])
        return after(f"/console/products/{product}/erasures/{erasure}", "retried")


def steps_of(found: Erasure) -> list[Step]:
    """Give the steps of an erasure: what is done, where it is, and what is ahead."""
    at = len(STEPS) if found.ended_at is not None else STEPS.index(found.step or STEPS[0])
    stands = ("done", "here", "ahead")
    return [
        Step(name, stands[0 if place < at else 1 if place == at else 2])
        for place, name in enumerate(STEPS)
    ]


def _may(product: str) -> bool:
    role = here().roles.on(product)
    return role is not None and role >= Role.EDITOR
