"""A product whose policies two people agree on."""

from typing import Any

import pytest

from app.store import products
from app.store import versions as store
from app.store.versions import Version
from app.versions import Versions
from tests.world import YEAR, Town

ANN, BOB, CYD = "cli:ann", "console:bob", "api:7"
SLOWER = YEAR | {"unused_after": "P2Y"}
QUICKER = YEAR | {"never_used_after": "P6M", "unused_after": "P6M"}
RAMPED = YEAR | {
    "never_used_after": "P6M",
    "pace": {"ramp": [2, "100%"]},
    "guards": {"max_newly_due_share": "1%"},
}
"""A policy that asks two people first, and of which one person may decide for twenty."""


@pytest.fixture
def versions(town: Town) -> Versions:
    """Give what people do to versions, where one may decide alone."""
    return Versions.on(town.database, town.clock)


@pytest.fixture
def agreed(town: Town, versions: Versions) -> Versions:
    """Give the same where two people have to agree."""
    with town.database.transaction() as connection:
        products.change(connection, town.product.id, {"approvals": 2})
    return versions


def version_of(town: Town, number: int) -> Version:
    """Give one version."""
    with town.database.transaction() as connection:
        return store.version(connection, products.row_of(connection, town.key).id, number)


def told(town: Town, number: int) -> list[tuple[str, str, str]]:
    """Give (what, why, actor) of the story of a version."""
    with town.database.transaction() as connection:
        lines = store.told_of(connection, town.product.id, number)
    return [(each.what, each.why, each.actor) for each in lines]


def in_force(versions: Versions, town: Town, body: dict[str, Any]) -> int:
    """Have Ann propose a policy, Bob agree, and Ann put it in force."""
    number = versions.propose(town.key, body, ANN)
    versions.approve(town.key, number, BOB)
    versions.activate(town.key, number, ANN)
    return number
