"""What the demo prints at its end leads where it says."""

import re
import shlex
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from app import settings
from app.cli import PLACES
from app.cli.demo.showing import serve
from app.cli.installation import Installation, assemble
from app.clock import Clock
from app.links import Links
from app.store.database import Database
from app.web import create_app
from app.web.console import Access
from tests.app.cli.conftest import KEY


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Installation:
    environ = {
        "RECONFIRM_CLOCK": "test",
        "RECONFIRM_BIND": "127.0.0.1:8471",
        "RECONFIRM_DATA_DIR": str(tmp_path / "a folder"),
    }
    return assemble(settings.load(environ), database, ExitStack())


def said(service: Installation, capsys: pytest.CaptureFixture[str]) -> str:
    """Give what is said when the year is over, and stdout left alone."""
    over, story = Event(), SimpleNamespace(service=service)
    over.set()
    found: Any = story
    serve(found, ("127.0.0.1", 0), dict, over)
    printed = capsys.readouterr()
    assert printed.out == "", "stdout is for the summary"
    return printed.err


def test_a_link_lets_in_to_the_console_as_admin_once(
    service: Installation, database: Database, links: Links, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(r"http://127\.0\.0\.1:8471(/console/enter/\S+)", said(service, capsys))
    assert found is not None
    base = service.settings.base_url
    app = create_app(database, Clock(), links, base_url=base, console=Access([KEY]))
    client = app.test_client()
    assert "lets demo in as admin" in client.get(found[1], base_url=base).text
    for status in (303, 404):
        answer = client.post(found[1], base_url=base, headers={"Origin": base})
        assert answer.status_code == status
    assert client.get("/console/sessions", base_url=base).status_code == 200
    with database.transaction() as connection:
        made = connection.execute(text("select what, why, actor from history order by id")).all()
    assert [tuple(each) for each in made] == [
        ("console_link_made", "admin", "cli:demo"),
        ("console_signed_in", "link", "console:demo"),
    ]


def test_the_command_for_another_link_names_this_very_service(
    service: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(said(service, capsys).strip().splitlines()[-1])
    around = dict(each.split("=", 1) for each in words if each.startswith("RECONFIRM_"))
    assert settings.load(around) == service.settings
    command = words[len(around) :]
    assert command == ["reconfirm", "console-link", "--name", "demo"]
    assert command[1] in PLACES
