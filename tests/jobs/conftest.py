"""A town with one product, for the tests of the engine."""

import pytest

from app.links import Links
from app.store.database import Database
from tests.world import MovableClock, Town


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)
