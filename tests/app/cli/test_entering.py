"""`reconfirm console-link` lets one person in, once; `console sessions` says who is in there."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from app.clock import Clock
from app.links import Links
from app.store.database import Database
from app.web import create_app
from app.web.console import Access
from tests.app.cli.conftest import KEY, Shell


def test_the_link_lets_in(tv: Shell, database: Database, links: Links) -> None:
    made = tv.json("console-link", "--role", "editor", "--product", "tv", "--name", "bob")
    assert made["roles"] == ["tv:editor"]
    assert made["name"] == "bob"
    base, _, path = made["link"].partition("/console/")
    app = create_app(database, Clock(), links, base_url=base, console=Access([KEY]))
    client = app.test_client()
    for status in (303, 404):
        answer = client.post(f"/console/{path}", base_url=base, headers={"Origin": base})
        assert answer.status_code == status
    assert client.get("/console/products/tv/", base_url=base).status_code == 200


def test_it_is_for_an_admin_of_everything_named_after_who_makes_it(tv: Shell) -> None:
    made = tv.json("console-link", "--actor", "eve")
    assert (made["name"], made["roles"]) == ("eve", ["admin"])


@pytest.mark.parametrize(
    "arguments", [("--name", "a b"), ("--name", "é"), ("--role", "root"), ("--product", "nothing")]
)
def test_what_does_not_fit_makes_no_link(tv: Shell, arguments: tuple[str, ...]) -> None:
    result = tv("console-link", *arguments)
    assert result.exit_code != 0
    assert "/console/enter/" not in result.output


# --- who is signed in ----------------------------------------------------------------------


def sign_in(tv: Shell, database: Database, links: Links, name: str) -> Callable[[], bool]:
    """Let somebody in; give what says whether they are in still."""
    link = tv.json("console-link", "--name", name)["link"]
    base, _, path = link.partition("/console/")
    app = create_app(database, Clock(), links, base_url=base, console=Access([KEY]))
    client = app.test_client()
    client.post(f"/console/{path}", base_url=base, headers={"Origin": base})
    return lambda: client.get("/console/", base_url=base).status_code == 200


def audited(database: Database) -> list[tuple[str, str]]:
    statement = "select why, actor from history where what = 'sessions_ended' order by id"
    with database.transaction() as connection:
        return [(why, actor) for why, actor in connection.execute(text(statement))]


def test_who_is_signed_in_is_listed_and_signed_out(
    tv: Shell, database: Database, links: Links
) -> None:
    assert "nobody is signed in" in tv("console", "sessions", "list").output
    ann, bob = (sign_in(tv, database, links, name) for name in ("ann", "bob"))
    found = tv.json("console", "sessions", "list")
    assert [(each["name"], each["roles"], each["sessions"]) for each in found] == [
        ("ann", ["admin"], 1),
        ("bob", ["admin"], 1),
    ]
    assert all(each["since"].endswith("Z") and each["seen_at"].endswith("Z") for each in found)
    assert tv.json("console", "sessions", "end", "bob", "--actor", "op") == {"ended": ["bob"]}
    assert (ann(), bob()) == (True, False)
    assert audited(database) == [("console:bob", "cli:op")]
    assert "signed out: ann" in tv("console", "sessions", "end", "--all").output
    assert not ann()
    assert len(audited(database)) == 2
    assert tv.json("console", "sessions", "end", "--all") == {"ended": []}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), (2, "a NAME, or --all")),
        (("bob", "--all"), (2, "a NAME, or --all")),
        (("zoe",), (1, "console sessions list")),
    ],
)
def test_whose_sessions_end_must_be_said(
    tv: Shell, database: Database, links: Links, arguments: tuple[str, ...], says: tuple[int, str]
) -> None:
    bob = sign_in(tv, database, links, "bob")
    result = tv("console", "sessions", "end", *arguments)
    assert result.exit_code == says[0]
    assert says[1] in result.output
    assert bob()
    assert audited(database) == []
