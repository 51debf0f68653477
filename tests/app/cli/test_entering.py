"""`reconfirm console-link` makes a link that lets one person in, once."""

import pytest

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
