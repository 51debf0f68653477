"""Erasures that have come to telling, and targets whose answers a test decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.engine.receipts import open_for
from app.store import products, targets
from app.store.targets import Target as Registered
from app.world.erasing import Accepted, Answer, Given, Kept, Receipt, Request
from tests.probe import rows, suspended
from tests.world import ACTOR, Town, row

CATEGORIES = ("invoices", "profile")


def registered(town: Town, key: str, kind: str = "webhook", **changes: Any) -> int:
    """Register a target of a town's product, past every check; give its id."""
    values = {
        "key": key,
        "kind": kind,
        "categories": list(CATEGORIES),
        "settings": {},
        "secrets": [],
        "created_by": ACTOR,
        "created_at": town.clock.now(),
    }
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        return targets.add(connection, number, values | changes)


def erasing(town: Town, name: str, cause: str = "schedule", stage: str = "telling") -> str:
    """Have somebody suspended and their erasure begun, as far as telling; give its id."""
    town.join(row(name, customer=f"cus_{name}"))
    suspended(town, name)
    return begun(town, name, cause, stage)


def begun(town: Town, name: str, cause: str = "schedule", stage: str = "telling") -> str:
    """Begin the erasure of somebody who is suspended, and have every target owe a receipt."""
    erasure, number = f"era_{town.key}_{name}", town.id_of(name)
    rows(
        town.database,
        """update reconfirmation set stage = 'erasing', erasing = :stage, erasing_at = :at,
             wake_at = null where subscription_id = :id and latest""",
        id=number,
        stage=stage,
        at=town.clock.now(),
    )
    with town.database.transaction() as connection:
        product = products.load(connection, town.key)
    rows(
        town.database,
        """insert into erasure (id, product_id, subscription_id, round, cause, begun_at, begun_by)
           values (:erasure, :product, :id, 1, :cause, :at, 'eraser')""",
        erasure=erasure,
        product=product.id,
        id=number,
        cause=cause,
        at=town.clock.now(),
    )
    with town.database.transaction() as connection:
        open_for(connection, product, erasure, town.clock.now())
    return erasure


def comes_to_telling(town: Town) -> None:
    """Have every erasure come to telling."""
    rows(town.database, "update reconfirmation set erasing = 'telling' where stage = 'erasing'")


def receipt(erasure: str, until: str = "2034-01-01") -> Receipt:
    """Give a receipt that accounts for everything."""
    day = datetime.fromisoformat(until).date()
    return Receipt(erasure, ("profile",), (Kept("invoices", "legal_obligation", day),))


def gives(request: Request) -> Answer:
    """Give a receipt at once."""
    return Given(receipt(request.erasure))


def accepts(_: Request) -> Answer:
    """Take the request; the receipt comes later."""
    return Accepted()


@dataclass
class Scripted:
    """Targets whose answers a test decides, by their keys; and what they were told."""

    answers: dict[str, Callable[[Request], Answer]] = field(default_factory=dict)
    told: list[Request] = field(default_factory=list)
    otherwise: Callable[[Request], Answer] = gives

    def connect(self, product: str, target: Registered) -> "Scripted":  # noqa: ARG002
        return self

    def erase(self, request: Request) -> Answer:
        self.told.append(request)
        return self.answers.get(request.target, self.otherwise)(request)

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:  # noqa: ARG002
        return {}

    @property
    def keys(self) -> list[str]:
        """Give the targets that were told, in order."""
        return [each.target for each in self.told]


def receipts(town: Town) -> dict[str, str]:
    """Give the states of receipts by their targets."""
    found = rows(
        town.database,
        "select t.key, r.state from receipt r join target t on t.id = r.target_id order by t.id",
    )
    return dict(map(tuple, found))


def errors(town: Town) -> list[str | None]:
    """Give the errors of receipts in the order of their targets."""
    found = rows(town.database, "select error from receipt order by erasure_id, target_id")
    return [error for (error,) in found]


def history(town: Town, *whats: str) -> list[tuple[str, str]]:
    """Give (what, why) of the lines of history about receipts, in order."""
    wanted = whats or ("erasure_requested", "receipt_given", "receipt_parked", "receipt_retried")
    found = rows(
        town.database,
        "select what, why from history where what = any(:whats) order by id",
        whats=list(wanted),
    )
    return [(what, why) for what, why in found]
