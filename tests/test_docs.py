"""What the docs tell a reader to write works as it stands there."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from app.clock import Clock
from app.links import Links
from app.signing import new_secret, sign
from app.store import products
from app.store.database import Database
from app.web import create_app
from tests.probe import rows
from tests.world import MovableClock, Town, row

DOCS = Path(__file__).resolve().parents[1] / "docs"
ADDRESS = "https://reconfirm.example/webhooks/tv/standard"


def written(page: str) -> dict[str, Any]:
    """Give what the Python of a page defines, run from top to bottom."""
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(block, found)  # noqa: S102 - our own page
    return found


@pytest.fixture
def secret(database: Database, links: Links) -> str:
    made = new_secret()
    town = Town.founded(database, MovableClock(), links, "tv")
    with database.transaction() as connection:
        products.change(connection, town.product.id, {"signing_secrets": [made]})
    return made


def test_billing_tells_us_what_changed(
    database: Database, links: Links, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = create_app(database, Clock(), links, base_url="https://reconfirm.example").test_client()
    answers = []

    def post(address: str, data: bytes, headers: dict[str, str], timeout: int) -> Any:  # noqa: ARG001
        answer = ours.post(address, data=data, headers=headers)
        answers.append((answer.status_code, (answer.json or {}).get("result")))
        return SimpleNamespace(raise_for_status=lambda: None)

    monkeypatch.setattr(requests, "post", post)
    tell = written("billing.md")["tell"]
    for _ in range(2):
        tell(ADDRESS, secret, "subscription.created", row("ada"), datetime.now(UTC), "msg_1")
    assert answers == [(200, "applied"), (200, "duplicate")]
    assert rows(database, "select external_id from subscription") == [("ada",)]


def test_billing_obeys_each_command_once() -> None:
    acts: list[tuple[str, str]] = []
    billing = SimpleNamespace(
        pause=lambda who: acts.append(("pause", who)),
        resume=lambda who: acts.append(("resume", who)),
        cancel_at_period_end=lambda who: acts.append(("cancel", who)),
    )
    secret, done = new_secret(), set[str]()
    command = written("billing.md")["command"]
    for act in ("suspend", "resume", "cancel"):
        body = json.dumps({"type": f"billing.{act}", "data": {"subscription": "sub_1"}}).encode()
        signed = sign([secret], f"msg_{act}", datetime.now(UTC), body)
        for _ in range(2):
            status, _said = command(secret, signed, body, billing, done)
            assert status == 200
        assert command(new_secret(), signed, body, billing, done)[0] == 401
    assert acts == [("pause", "sub_1"), ("resume", "sub_1"), ("cancel", "sub_1")]
