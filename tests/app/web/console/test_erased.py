"""The page of somebody who was erased: that they were, by which erasure, and nothing else."""

from tests.app.web.console.conftest import Desk
from tests.canary import ERASURE, wiped
from tests.probe import suspended
from tests.world import Town, row


def test_the_page_says_that_they_were_erased_and_by_what(desk: Desk) -> None:
    town = desk.town
    (sid,) = town.join(row("zoe", customer="cus_zoe"))
    suspended(town, "zoe")
    viewer = desk.person("tv:viewer")
    path = f"/console/products/tv/people/{sid}"
    assert "zoe" in viewer.get(path).text
    wiped(town, sid)
    shown = viewer.get(path)
    assert shown.status_code == 200
    assert f"{ERASURE}_{sid}" in shown.text
    for word in ("zoe", "cus_zoe", "subscribers.example", "standard", "GBP", "erased:"):
        assert word not in shown.text, word


def test_nothing_is_done_for_them_and_nobody_finds_them(desk: Desk) -> None:
    town = desk.town
    (sid,) = town.join(row("zoe"))
    suspended(town, "zoe")
    wiped(town, sid)
    editor = desk.person("tv:editor")
    path = f"/console/products/tv/people/{sid}"
    assert editor.post(f"{path}/act", answer="resume", why="phone").status_code == 404
    assert editor.post(f"{path}/review", why="other").status_code == 404
    for wanted in ("zoe", "zoe@subscribers.example"):
        found = editor.post("/console/products/tv/people", who=wanted)
        assert found.status_code == 200
        assert f"people/{sid}" not in found.text


def test_the_page_is_not_shown_for_another_product(desk: Desk) -> None:
    town = desk.town
    (sid,) = town.join(row("zoe"))
    wiped(town, sid)
    other = Town.founded(town.database, town.clock, town.links, "radio")
    viewer = desk.person(f"{other.key}:viewer")
    assert viewer.get(f"/console/products/radio/people/{sid}").status_code == 404
