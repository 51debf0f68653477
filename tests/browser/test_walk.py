"""A threshold is tuned by four people: one looks, one proposes, one agrees, one reads the list."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from app.runs import Runs
from app.store import console as store
from app.store import products
from app.web import create_app
from app.web.console import Access
from tests.browser.test_pages import Watched
from tests.conftest import KEYS
from tests.world import Town, row

FILMS = "/console/products/films"
IDLE, BUSY = 30, 10


@pytest.fixture
def films(town: Town) -> Town:
    """Give a product that has people and usage, and nobody has said yet whom to ask."""
    with town.database.transaction() as connection:
        number = products.add(connection, "films", "Films", "sandbox", town.clock.now())
        settings = {"from_address": "hello@films.example", "approvals": 2}
        products.change(connection, number, settings)
    found = Town(town.database, town.clock, town.links, "films")
    found.join(*(row(f"s{each:02}") for each in range(IDLE + BUSY)))
    today = town.clock.now().date()
    for each in range(IDLE + BUSY):
        ago = 240 if each < IDLE else 2
        found.use(f"s{each:02}", today - timedelta(days=ago))
    found.hear()
    return found


@pytest.fixture
def address(town: Town) -> Iterator[str]:
    access = Access(KEYS)
    app = create_app(
        town.database, town.clock, town.links, base_url="http://127.0.0.1", console=access
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Desk:
    """Somebody at a browser of their own, let in by a one-time link."""

    def __init__(self, chromium: Browser, address: str, link: str, pictures: Path | None) -> None:
        self.watched = Watched(chromium, 1440, "light")
        self.page: Page = self.watched.page
        self.address, self.pictures = address, pictures
        self.page.goto(f"{address}/console/enter/{link}")
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Enter").click()

    def opens(self, path: str = "") -> None:
        self.page.goto(f"{self.address}{FILMS}/{path}")

    @contextmanager
    def leads_on(self) -> Iterator[None]:
        with self.page.expect_navigation():
            yield

    def presses(self, name: str) -> None:
        with self.leads_on():
            self.page.get_by_role("button", name=name).click()

    def follows(self, name: str) -> None:
        with self.leads_on():
            self.page.get_by_role("link", name=name).first.click()

    def told(self) -> str:
        return self.page.locator("p.note[role=status]").inner_text()

    def looks(self, name: str) -> None:
        """Have the page judged, narrow and wide, and pictured where pictures are wanted."""
        for width in (360, 1440):
            self.page.set_viewport_size({"width": width, "height": 900})
            if self.pictures is not None:
                path = self.pictures / f"walk_{name}-{width}.png"
                self.page.screenshot(path=path, full_page=True)
            beyond = self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert beyond == 0, (name, width)
        assert self.watched.faults() == [], name
        asked = {each.url.partition("/console")[0] for each in self.watched.asked}
        assert asked == {self.address}, "nothing is asked for elsewhere"


def link(town: Town, role: str, name: str) -> str:
    """Make the one-time link that lets somebody in."""
    token, wall = secrets.token_urlsafe(32), town.clock.wall()
    digest = hashlib.sha256(token.encode()).digest()
    with town.database.transaction() as connection:
        store.add_link(connection, digest, name, [role], wall, wall + timedelta(minutes=10))
    return token


def test_a_threshold_is_tuned_by_four_people(
    films: Town, address: str, chromium: Browser, pictures: Path | None
) -> None:
    def let_in(role: str, name: str) -> Desk:
        return Desk(chromium, address, link(films, role, name), pictures)

    eve, ann = let_in("films:viewer", "eve"), let_in("films:editor", "ann")
    bob, ruth = let_in("films:approver", "bob"), let_in("admin", "ruth")
    looking(eve)
    proposing(ann)
    agreeing(ann, bob)
    films.plan()
    films.settle()
    assert films.stages() == {}
    reading_the_list(ann, bob, ruth)
    films.settle()
    assert films.stages() == {"asked": 10}
    ramp_and_brake(ann)
    taking_back(bob)
    Runs(films.database, films.clock).undo("films", lambda: True)
    assert films.stages() == {"withdrawn": 10}
    finding(bob, ann)
    signing_out(ruth, eve)


def looking(eve: Desk) -> None:
    """See from the first page how many six months would ask, and change nothing."""
    with eve.leads_on():
        eve.page.get_by_role("link", name="Films").first.click()
    done = eve.page.locator(".checks li.done strong")
    expect(done).to_have_text(["Billing is connected", "The usage feed speaks"])
    line = eve.page.get_by_role("row", name="6 months").first
    expect(line).to_contain_text(f"{IDLE} people")
    eve.looks("first_page")
    eve.follows("in the editor")
    expect(eve.page.locator("#propose")).to_have_count(0)


def proposing(ann: Desk) -> None:
    """Tune the threshold, see what it would do, read whom it would ask, and propose it."""
    ann.opens("policy/edit?months=6")
    ann.page.get_by_label("On no answer").first.select_option("suspend")
    ann.page.get_by_label("Ramp", exact=True).fill("10, 100%")
    expect(ann.page.locator("#tomorrow")).to_have_text(str(IDLE))
    ann.page.locator("#unused_after").fill("3")
    expect(ann.page.locator("#w-unused_after")).to_contain_text("3 months")
    ann.page.locator("#unused_after").fill("12")
    expect(ann.page.locator("#tomorrow")).to_have_text("0")
    ann.page.locator("#unused_after").fill("6")
    expect(ann.page.locator("#tomorrow")).to_have_text(str(IDLE))
    ann.looks("editor")
    ann.page.evaluate("window.scrollTo(0, 0)")
    if ann.pictures is not None:
        ann.page.screenshot(path=ann.pictures / "walk_editor_seen-1440.png")
    with ann.leads_on():
        ann.page.locator("#propose").click()
    assert ann.page.url.partition("?")[0].endswith("/policy/versions/1")
    ann.follows("Dry run: see whom it would ask")
    expect(ann.page.get_by_role("heading", level=2)).to_have_text(
        f"By the counts {IDLE} would be asked today."
    )
    ann.looks("dry_run")
    ann.presses("I have read it")
    expect(ann.page.get_by_text("You proposed it yourself")).to_be_visible()
    expect(ann.page.get_by_role("button", name="Approve this version")).to_have_count(0)


def agreeing(ann: Desk, bob: Desk) -> None:
    bob.opens()
    bob.follows("Version 1 is proposed")
    expect(bob.page.get_by_role("button", name="Put it in force now")).to_have_count(0)
    bob.presses("Approve this version")
    bob.looks("version")
    bob.presses("Put it in force now")
    assert "never the last one" in bob.told()
    ann.opens("policy")
    expect(ann.page.locator(".badge")).to_have_text("in force")


def reading_the_list(ann: Desk, bob: Desk, ruth: Desk) -> None:
    """More than one person may decide: who put it in force is not who approves the list."""
    bob.opens()
    bob.follows(f"A list of {IDLE} people to approve")
    expect(bob.page.get_by_text("somebody else approves the list")).to_be_visible()
    ann.opens("policy/versions/1")
    expect(ann.page.get_by_role("button", name="I have read it")).to_have_count(0)
    with ann.page.expect_download() as file:
        ann.page.get_by_role("link", name="Download the whole list").click()
    lines = file.value.path().read_text("utf-8").splitlines()
    assert len(lines) == IDLE + 1
    ruth.opens("policy/versions/1")
    ruth.looks("list")
    ruth.presses(f"I have read it: ask these {IDLE}")
    assert "Approved" in ruth.told()


def ramp_and_brake(ann: Desk) -> None:
    ann.opens("runs")
    expect(ann.page.locator(".ladder li[aria-current]")).to_contain_text("here: 10 of 10 asked")
    ann.looks("runs")
    ann.presses("Pause the ramp")
    expect(ann.page.get_by_text("Paused: nobody new is asked.", exact=True)).to_be_visible()
    ann.presses("Resume the ramp")
    expect(ann.page.get_by_text("Paused: nobody new is asked.", exact=True)).to_have_count(0)
    expect(ann.page.get_by_role("button", name="Stop the ramp for good")).to_have_count(0)
    ann.opens()
    ann.presses("Pause this product")
    expect(ann.page.locator(".alarm")).to_contain_text("Stopped")
    ann.looks("stopped")
    ann.presses("Lift the stop")
    expect(ann.page.locator(".alarm")).to_have_count(0)


def taking_back(bob: Desk) -> None:
    bob.opens("runs")
    bob.follows("Run 1")
    bob.looks("run")
    bob.presses("Take this run back")
    expect(bob.page.get_by_text("0 of 10 put right")).to_be_visible()


def finding(bob: Desk, ann: Desk) -> None:
    with bob.leads_on():
        bob.page.reload()
    expect(bob.page.get_by_text("10 of 10 put right")).to_be_visible()
    ann.opens("people")
    ann.page.get_by_label("Id or address").fill("s00")
    with ann.leads_on():
        ann.page.keyboard.press("Enter")
    expect(ann.page.get_by_text("The question is withdrawn").first).to_be_visible()
    ann.looks("person")


def signing_out(ruth: Desk, eve: Desk) -> None:
    ruth.page.goto(f"{ruth.address}/console/sessions")
    ruth.looks("sessions")
    with ruth.leads_on():
        ruth.page.get_by_role("row", name="eve").get_by_role("button").click()
    eve.opens()
    assert "/console/sign-in" in eve.page.url
