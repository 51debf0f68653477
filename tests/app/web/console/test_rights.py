"""What somebody may ask of us, done for them in the console, and all that is held, to read."""

import json

import pytest

from tests.app.web.console.conftest import Desk
from tests.probe import rows
from tests.world import row

TV = "/console/products/tv/people"


@pytest.fixture
def number(desk: Desk) -> int:
    found = desk.town.join(row("ann"))[0]
    desk.town.settle()
    return found


def test_every_look_at_all_that_is_held_is_noted(desk: Desk, number: int) -> None:
    who = desk.person("tv:editor")
    page = who.get(f"{TV}/{number}/data").text
    file = who.get(f"{TV}/{number}/data.json")
    assert "ann@subscribers.example" in page
    assert json.loads(file.data)["contact"]["email"] == "ann@subscribers.example"
    looked = [line for line in desk.audited() if line[0] == "data_exported"]
    assert looked == [("data_exported", "console", "console:tv.editor")] * 2


def test_erasing_takes_two_steps_and_the_cancel(desk: Desk, number: int) -> None:
    who, path = desk.person("tv:editor"), f"{TV}/{number}/erase"
    first = who.post(path, why="phone", cancel="yes")
    assert (first.status_code, 'name="sure"' in first.text) == (200, True)
    assert rows(desk.town.database, "select count(*) from review") == [(0,)]
    assert who.post(path, why="phone", sure="yes").status_code == 409
    assert who.post(path, why="by word of mouth", sure="yes", cancel="yes").status_code == 400
    for _ in range(2):
        assert who.post(path, why="phone", sure="yes", cancel="yes").status_code == 303
    assert rows(desk.town.database, "select reason, state from review") == [("erase", "open")]
    assert ("acted_for_them", "erase_phone", "console:tv.editor") in desk.audited()
    assert "nothing follows from silence any more" in who.get(f"{TV}/{number}").text


def test_locks_objections_and_corrections_are_noted(desk: Desk, number: int) -> None:
    who, path = desk.person("tv:editor"), f"{TV}/{number}"
    new = "ann@elsewhere.example"
    assert who.post(f"{path}/restrict", why="mail").status_code == 303
    assert who.post(f"{path}/object", why="mail").status_code == 303
    assert who.post(f"{path}/correct", why="mail", email=new, again="x").status_code == 409
    assert who.post(f"{path}/correct", why="mail", email="x", again="x").status_code == 409
    assert who.post(f"{path}/correct", why="mail", email=new, again=new).status_code == 303
    assert who.post(f"{path}/correct", why="mail", email=new, again=new).status_code == 409
    told = [why for what, why, _ in desk.audited() if what == "acted_for_them"]
    assert told == ["restrict_mail", "object_mail", "correct_mail"]
    assert rows(desk.town.database, "select email from contact") == [(new,)]
    assert new not in str(desk.audited())
    assert who.get(f"{path}/rights").status_code == 200
