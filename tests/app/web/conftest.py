"""The pages over a town: a client that keeps no cookies, and a way back to how things were."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.links import Links
from app.store.database import Database
from app.store.tables import metadata
from app.web import create_app
from tests.snapshot import Snapshot
from tests.world import MovableClock, Town

BASE = "https://reconfirm.example"


FOUNDED: list[Snapshot] = []


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    if FOUNDED:
        FOUNDED[0].restore(database, clock)
        return Town(database, clock, links)
    town = Town.founded(database, clock, links)
    FOUNDED.append(Snapshot.of(database, clock))
    return town


@pytest.fixture
def browser(town: Town) -> FlaskClient:
    app = create_app(town.database, town.clock, town.links, base_url=BASE)
    return app.test_client(use_cookies=False)


@pytest.fixture
def everything(database: Database) -> Callable[[], dict[str, str]]:
    """Give a hash of every table."""

    def hashes() -> dict[str, str]:
        with database.transaction() as connection:
            return {
                name: str(
                    connection.scalar(
                        text(f"select md5(string_agg(t::text, '|' order by t::text)) from {name} t")  # noqa: S608
                    )
                )
                for name in metadata.tables
            }

    return hashes
