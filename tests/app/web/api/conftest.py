"""A town with keys, and what calls its API as a system would."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.links import Links
from app.store import products
from app.store.database import Database
from app.web import create_app
from tests.snapshot import Snapshot
from tests.world import MovableClock, Town

BASE = "https://reconfirm.example"
FOUNDED: list[Snapshot] = []


def key_for(town: Town, scope: str, feed: str | None = None) -> str:
    """Make a key as the command does."""
    key = "rk_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).digest()
    with town.database.transaction() as connection:
        number, now = products.row_of(connection, town.key).id, town.clock.now()
        feed_id = products.feed_named(connection, number, feed, now).id if feed else None
        products.add_key(connection, number, digest, key[:7], scope, feed_id, now)
    return key


@dataclass
class System:
    """Calls the API with a key."""

    client: FlaskClient
    key: str | None
    product: str = "tv"

    def path(self, rest: str) -> str:
        """Give an address below the product."""
        return rest if rest.startswith("/") else f"/v1/products/{self.product}/{rest}"

    def open(self, method: str, rest: str, **more: Any) -> TestResponse:
        """Call anything."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= more.pop("headers", {})
        return self.client.open(self.path(rest), method=method, headers=headers, **more)

    def get(self, rest: str, **more: Any) -> TestResponse:
        """Read something."""
        return self.open("GET", rest, **more)

    def post(self, rest: str, body: Any = None, **more: Any) -> TestResponse:
        """Send JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body)
        return self.open("POST", rest, data=data, **{"content_type": "application/json", **more})

    def use(self, *events: dict[str, Any], **more: Any) -> Any:
        """Tell usage and give what became of it."""
        reply = self.post("usage", {"events": list(events), **more})
        assert reply.status_code == 200, reply.text
        return reply.json


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    if FOUNDED:
        FOUNDED[0].restore(database, clock)
        return Town(database, clock, links)
    town = Town.founded(database, clock, links)
    FOUNDED.append(Snapshot.of(database, clock))
    return town


@pytest.fixture
def client(town: Town) -> FlaskClient:
    app = create_app(town.database, town.clock, town.links, base_url=BASE, limited=False)
    return app.test_client(use_cookies=False)


@pytest.fixture
def system(town: Town, client: FlaskClient) -> Callable[..., System]:
    """Give a caller with a new key of some scope."""

    def with_key(scope: str = "manage", feed: str | None = None) -> System:
        return System(client, key_for(town, scope, feed))

    return with_key


@pytest.fixture
def app_feed(system: Callable[..., System]) -> System:
    """Give a caller whose key brings the usage of the town's feed."""
    return system("usage", "app")


def problem_in(reply: TestResponse) -> str:
    """Give the kind of the problem that an answer is."""
    assert reply.content_type == "application/problem+json", reply.text
    body = reply.get_json(force=True)
    assert body["status"] == reply.status_code
    return str(body["type"]).removeprefix("/docs/problems#")
