"""On one's own machine there is no https: the cookie has a plain name, and forms still are ours."""

import hashlib
import secrets
from datetime import timedelta

import pytest

from app.store import console as store
from app.web import create_app
from app.web.console import Access
from tests.conftest import KEYS
from tests.world import Town


@pytest.mark.parametrize(
    ("base", "status"),
    [
        ("http://127.0.0.1:8080", 303),
        ("http://localhost:8080", 303),
        ("http://[::1]:9000", 303),
        ("http://evil.example:8080", 403),
        ("http://127.0.0.1.evil.example", 403),
    ],
)
def test_whoever_is_at_this_machine_may_enter(town: Town, base: str, status: int) -> None:
    app = create_app(
        town.database,
        town.clock,
        town.links,
        base_url="http://127.0.0.1:8080",
        console=Access(KEYS),
    )
    token, wall = secrets.token_urlsafe(32), town.clock.wall()
    with town.database.transaction() as connection:
        digest = hashlib.sha256(token.encode()).digest()
        store.add_link(connection, digest, "bob", ["admin"], wall, wall + timedelta(minutes=1))
    client = app.test_client()
    path = f"/console/enter/{token}"
    answer = client.post(path, base_url=base, headers={"Origin": base})
    assert answer.status_code == status
    if status == 303:
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("reconfirm=")
        assert "Secure" not in cookie
        assert "HttpOnly" in cookie
