"""Holds on erasure: set on a person's page, looked at again by their day, released.

An editor sets them, since that can only keep data longer; releasing one may let somebody be erased.
"""

from dataclasses import dataclass
from datetime import date

from flask import Response, request
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.engine import holds as engine
from app.engine.holds import AT_MOST, LOOKED_AT, Wanted
from app.errors import Conflict
from app.store import cases, disputes, products, reading
from app.store import holds as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.holds import Reason
from app.web.console.roles import Role
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show

VIEWER, EDITOR, APPROVER = Needs(), Needs(Role.EDITOR), Needs(Role.APPROVER)
A_PAGE = 50
HIGHEST = 2**63 - 1
DUE, ON = "due", "on"


@dataclass(frozen=True, slots=True)
class HoldPages:
    """The pages of holds."""

    database: Database
    clock: Clock

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        one = "/products/<product>/holds/<int:number>"
        return [
            ("GET", "/products/<product>/holds", self.shown, VIEWER),
            ("POST", "/products/<product>/people/<int:number>/hold", self.add, EDITOR),
            ("POST", f"{one}/review", self.review, EDITOR),
            ("POST", f"{one}/release", self.release, APPROVER),
            ("POST", "/products/<product>/disputes/<int:number>/seen", self.seen, EDITOR),
        ]

    def shown(self, product: str) -> Response:
        """Show the holds to be looked at, or all that are on, and disputes that came too late."""
        following = min(max(0, request.args.get("after", 0, int)), HIGHEST)
        today = self.clock.now().date()
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            due = store.to_review(connection, row.id, today, following, A_PAGE + 1)
            wanted = request.args.get("show", "")
            which = wanted if wanted in (DUE, ON) else (DUE if due else ON)
            found = due
            if which == ON:
                found = store.listed(connection, row.id, following, A_PAGE + 1)
            late = disputes.late(connection, row.id, A_PAGE)
        role = here().roles.on(product)
        return show(
            "holds",
            here="erasing",
            product=row,
            which=which,
            entries=found[:A_PAGE],
            following=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
            late=late,
            today=today,
            usual=today + LOOKED_AT,
            last=AT_MOST.after(today),
            may_edit=role is not None and role >= Role.EDITOR,
            may_release=role is not None and role >= Role.APPROVER,
        )

    # --- doing -----------------------------------------------------------------------------

    def add(self, product: str, number: int) -> AnyResponse:
        """Keep somebody from being erased."""
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            if number not in reading.in_product(connection, row.id, [number]):
                raise NotFound
        reason = request.form.get("reason", "")
        if reason not in list(Reason):
            raise BadRequest
        wanted = Wanted(number, Reason(reason), _day())
        try:
            engine.add(self.database, self.clock, product, wanted, here().actor)
        except Conflict:
            raise Conflict(str(said()("refusal.hold_too_late"))) from None
        return after(f"/console/products/{product}/people/{number}", "hold_set")

    def review(self, product: str, number: int) -> AnyResponse:
        """Note that somebody has looked at a hold, which goes on until another day."""
        self._check(product, number)
        try:
            engine.review(self.database, self.clock, product, number, _day(), here().actor)
        except Conflict:
            raise Conflict(str(said()("refusal.finished"))) from None
        return self._back(product, "hold_reviewed")

    def release(self, product: str, number: int) -> AnyResponse:
        """Release one hold; the others stay."""
        engine.release(self.database, self.clock, product, number, here().actor)
        return self._back(product, "hold_released")

    def seen(self, product: str, number: int) -> AnyResponse:
        """Note that somebody has looked at a dispute that came too late for a hold."""
        now, actor = self.clock.now(), here().actor
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            if not disputes.came_late(connection, row.id, number):
                raise NotFound
            sid = disputes.seen(connection, row.id, number, actor, now)
            if sid is None:
                raise Conflict(str(said()("refusal.finished")))
            line = HistoryWrite(sid, None, "dispute_seen", "by_hand", None)
            cases.insert_history(connection, row.id, now, actor, [line])
        return self._back(product, "noted")

    def _check(self, product: str, number: int) -> None:
        """Raise NotFound before anything is said of the form."""
        with self.database.transaction() as connection:
            engine.entry(connection, products.load(connection, product), number)

    def _back(self, product: str, done: str) -> AnyResponse:
        person = request.form.get("person", "")
        if person.isascii() and person.isdigit():
            return after(f"/console/products/{product}/people/{int(person)}", done)
        return after(f"/console/products/{product}/holds", done)


def _day() -> date | None:
    """Give the day of review of a form; None: the usual one. 400 where it is none."""
    given = request.form.get("review_on", "")
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise BadRequest from None
