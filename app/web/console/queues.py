"""What waits for a person: whom we cannot reach, cases to look at, parked effects, odd messages.

Each row has the one button that is right for it.
"""

from dataclasses import dataclass

from flask import Response, request
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.engine import parked
from app.errors import Conflict
from app.inbox import WAITING, Inbox
from app.links import Links
from app.returns import Returns
from app.store import cases, inbox, overview, products, queues, reading, reviews
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.web.console.roles import Role
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show

VIEWER, EDITOR = Needs(), Needs(Role.EDITOR)
NAMES = ("reviews", "unreachable", "parked", "inbox")
HIGHEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Queues:
    """The pages of what waits."""

    database: Database
    clock: Clock
    links: Links

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        return [
            ("GET", "/products/<product>/queues", self.shown, VIEWER),
            ("POST", "/products/<product>/queues/parked/<int:number>", self.retry, EDITOR),
            ("POST", "/products/<product>/queues/inbox/<int:number>", self.replay, EDITOR),
            ("POST", "/products/<product>/queues/unreachable/<int:number>", self.reached, EDITOR),
        ]

    def shown(self, product: str) -> Response:
        """Show one of the queues, a page of it, and how many wait in each."""
        queue = request.args.get("queue", "")
        following = min(max(0, request.args.get("after", 0, int)), HIGHEST)
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            standing = overview.standing(connection, row.id)
            each = (standing.reviews, standing.unreachable, standing.parked, standing.failed)
            counts = dict(zip(NAMES, each, strict=True))
            first = next((name for name in NAMES if counts[name]), NAMES[0])
            queue = queue if queue in NAMES else first
            found = _entries(connection, row.id, queue, following)
        role = here().roles.on(product)
        return show(
            "queues",
            here="queues",
            product=row,
            queue=queue,
            names=NAMES,
            counts=counts,
            most=overview.MANY,
            entries=found[: queues.A_PAGE],
            following=found[queues.A_PAGE - 1].id if len(found) > queues.A_PAGE else None,
            may_edit=role is not None and role >= Role.EDITOR,
        )

    # --- doing -----------------------------------------------------------------------------

    def retry(self, product: str, number: int) -> AnyResponse:
        """Let a parked effect be tried again; the rules are asked again before it is done."""
        try:
            parked.retry(self.database, self.clock, product, number, here().actor)
        except Conflict:
            raise Conflict(str(said()("refusal.not_parked"))) from None
        return self._back(product, "parked", "retried")

    def replay(self, product: str, number: int) -> AnyResponse:
        """Apply a message of billing again, from its kept body."""
        now, actor = self.clock.now(), here().actor
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            if not queues.message_of(connection, row.id, number):
                raise NotFound
            line = HistoryWrite(None, None, "message_replayed", "by_hand", None)
            cases.insert_history(connection, row.id, now, actor, [line])
        reply = Inbox(self.database, self.clock, links=self.links).replay(number, waiting=True)
        done = "not_replayed" if reply.result in WAITING else "replayed"
        return self._back(product, "inbox", done)

    def reached(self, product: str, number: int) -> AnyResponse:
        """Note that somebody whose notices came back has confirmed their address to us."""
        actor = here().actor
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            if number not in reading.in_product(connection, row.id, [number]):
                raise NotFound
            line = HistoryWrite(number, None, "address_confirmed", "by_hand", None)
            cases.insert_history(connection, row.id, self.clock.now(), actor, [line])
        returns = Returns(self.database, self.clock, self.links)
        returns.heard_from(product, number, actor)
        return self._back(product, "unreachable", "reached")

    def _back(self, product: str, queue: str, done: str) -> AnyResponse:
        return after(f"/console/products/{product}/queues?queue={queue}", done)


def _entries(
    connection: Connection, product_id: int, queue: str, following: int
) -> list[reviews.Review] | list[queues.Unreachable] | list[queues.Parked] | list[inbox.Entry]:
    match queue:
        case "unreachable":
            return queues.unreachable(connection, product_id, following)
        case "parked":
            return queues.parked(connection, product_id, following)
        case "inbox":
            waiting = [str(each) for each in WAITING]
            return inbox.waiting(connection, product_id, waiting, following, queues.A_PAGE + 1)
        case _:
            most = queues.A_PAGE + 1
            return reviews.listed(connection, product_id, (reviews.OPEN,), following, most)
