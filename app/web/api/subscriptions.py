"""Subscriptions over HTTP: a list, one, and the story of one. Nothing here names a person.

Who was erased is gone from all of it. Where somebody stands and what comes next is said by the
rules themselves, so that it is what the engine would do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Batch
from app.engine.explain import explain
from app.lifecycle.case import Case, Round
from app.links import Links
from app.store import cases, products, reading, tombstones
from app.store.database import Database
from app.store.products import Product
from app.usage import LONGEST_NAME
from app.web.api import cursors
from app.web.api.bodies import answer, only_parameters
from app.web.api.keys import needs
from app.web.api.shapes import (
    Listed,
    Stage,
    Subscription,
    Subscriptions,
    Timeline,
    TimelineEntry,
)
from app.web.problems import problem

MOST_LISTED = 200
USUALLY_LISTED = 50
STAGES: tuple[str, ...] = get_args(Stage)
ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class SubscriptionCalls:
    """The calls that read subscriptions."""

    database: Database
    clock: Clock
    links: Links

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List subscriptions, all or those of a stage."""
        only_parameters("stage", "limit", "cursor")
        stage, limit = _stage(), limit_asked_for()
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            page, cursor = _page(connection, found.id, stage, limit)
            listed = self._listed(connection, found, page)
        return answer(Subscriptions(listed, cursor))

    def _listed(
        self, connection: Connection, product: Product, page: Sequence[reading.Listed]
    ) -> list[Listed]:
        ids = [each.id for each in page]
        known = cases.read(connection, product.id, ids, product.hearing, lock=False)
        batch = Batch(product, self.clock.now(), known)
        rows = [(each.external_id, known[each.id]) for each in page if each.id in known]
        return [Listed(**_standing(name, case, batch.wake(case))) for name, case in rows]

    @needs("read")
    def show(self, product: str, subscription: str) -> ResponseReturnValue:
        """Show where one stands."""
        only_parameters()
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            now = self.clock.now()
            return answer(described(connection, found, subscription, now, self.links))

    @needs("read")
    def timeline(self, product: str, subscription: str) -> ResponseReturnValue:
        """Tell the story of one."""
        only_parameters("limit", "cursor")
        limit, of = limit_asked_for(), f"timeline {subscription}"
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            sid = present(connection, product_id, subscription, self.links)
            after = cursors.place_of(request.args.get("cursor"), of, product_id, "int")
            lines = reading.story_after(connection, sid, int(after), limit + 1)
        entries = [TimelineEntry(**line.told()) for line in lines[:limit]]
        more = len(lines) > limit
        on = cursors.made(of, product_id, lines[limit - 1].id) if more else None
        return answer(Timeline(subscription, entries, on))


def present(connection: Connection, product_id: int, subscription: str, links: Links) -> int:
    """Give the id of a subscription; 404 where there is none, 410 where it was erased."""
    if len(subscription) > LONGEST_NAME or not subscription.isprintable():
        raise problem("not-found")
    found = reading.find_present(connection, product_id, subscription)
    if found:
        return found
    erased = found == 0 or tombstones.gone(connection, links, product_id, [subscription])
    raise problem("gone" if erased else "not-found")


def described(
    connection: Connection, product: Product, subscription: str, now: datetime, links: Links
) -> Subscription:
    """Describe one subscription as it stands; 404 and 410 as `present` has them."""
    sid = present(connection, product.id, subscription, links)
    told = explain(connection, product, sid, now)
    case = cases.read(connection, product.id, [sid], product.hearing, lock=False)[sid]
    wake = Batch(product, now, {sid: case}).wake(case)
    facts, current = case.subscription, case.round
    return Subscription(
        **_standing(subscription, case, wake),
        customer=reading.customer_of(connection, sid),
        plan=facts.plan,
        country=facts.country,
        amount=facts.amount,
        currency=facts.currency,
        interval=facts.interval,
        started_on=facts.started_on,
        renews_at=facts.renews_at,
        reach=case.reach.value,
        policy_version=current.version if current else product.policy_version,
        word=_value(current and current.word),
        decided_by=current.decided_by if current else None,
        act=_value(current and current.act),
        next=told.next_step,
        blocked_by=told.blocked_by,
    )


def _standing(name: str, case: Case, wake: datetime | None) -> dict[str, Any]:
    return {
        "id": name,
        "stage": str(case.stage),
        "status": case.subscription.status,
        "last_used_on": case.subscription.last_used_on,
        "next_look": wake,
        **_of_round(case.round),
    }


def _of_round(current: Round | None) -> dict[str, Any]:
    same = ("asked_at", "answer_by", "paid_until", "erase_on")
    found: dict[str, Any] = {name: getattr(current, name, None) for name in same}
    return found | {
        "round": current.number if current else None,
        "why": _value(current and current.why),
        "outcome": _value(current and current.outcome),
    }


def _value(word: Any) -> Any:
    return None if word is None else str(word)


# --- parameters ------------------------------------------------------------------------------


def _page(
    connection: Connection, product_id: int, stage: str | None, limit: int
) -> tuple[Sequence[reading.Listed], str | None]:
    """Give a page and the cursor that leads on; those of a stage go in the order of our own ids."""
    given, of = request.args.get("cursor"), f"subscriptions {stage or ''}"
    if stage is None or stage == ACTIVE:
        name = str(cursors.place_of(given, of, product_id, "str"))
        only = stage == ACTIVE
        rows = reading.page_by_name(connection, product_id, name, limit + 1, active_only=only)
        place: Any = rows[limit - 1].external_id if len(rows) > limit else None
    else:
        after = int(cursors.place_of(given, of, product_id, "int"))
        rows = reading.page_by_stage(connection, product_id, stage, after, limit + 1)
        place = rows[limit - 1].id if len(rows) > limit else None
    return rows[:limit], None if place is None else cursors.made(of, product_id, place)


def _stage() -> str | None:
    stage = request.args.get("stage")
    if stage is not None and stage not in STAGES:
        raise problem("invalid-parameter", f"It is one of {', '.join(STAGES)}.", field="stage")
    return stage


def limit_asked_for() -> int:
    """Give how many a list is to give; 422 where the parameter is not a number it may be."""
    text = request.args.get("limit", str(USUALLY_LISTED))
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_LISTED))
    if not digits or not 1 <= int(text) <= MOST_LISTED:
        raise problem("invalid-parameter", f"It is from 1 to {MOST_LISTED}.", field="limit")
    return int(text)
