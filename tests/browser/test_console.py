"""The console as a browser shows it: narrow and wide, light and dark, and by the keyboard."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest
from playwright.sync_api import Browser
from sqlalchemy import text
from werkzeug.serving import make_server

from app.engine import holds
from app.engine.holds import Wanted
from app.manifests import Manifests
from app.runs import Runs
from app.store import console as store
from app.store import products
from app.store.holds import Reason
from app.versions import Comment, Versions
from app.web import create_app
from app.web.console import Access
from tests.app.web.console.conftest import erased, late, message, parked
from tests.browser.test_pages import Watched
from tests.conftest import KEYS
from tests.manifests import hash_of, made, person
from tests.probe import rows
from tests.world import YEAR, Town, row

WIDTHS = (360, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TV = "/console/products/tv"
QUEUES = ("reviews", "unreachable", "parked", "inbox")
PAGES = {
    "products": "/console/",
    "sessions": "/console/sessions",
    "overview": f"{TV}/",
    "overview_new": "/console/products/radio/",
    "people": f"{TV}/people",
    "person": f"{TV}/people/PERSON",
    "policy": f"{TV}/policy",
    "version": f"{TV}/policy/versions/2",
    "version_first": f"{TV}/policy/versions/1",
    "list": "/console/products/films/policy/versions/2",
    "runs": f"{TV}/runs",
    "run": f"{TV}/runs/1",
    "run_undone": "/console/products/music/runs/1",
    "run_people": "/console/products/music/runs/1/people",
    "reviews": f"{TV}/queues?queue=reviews",
    "unreachable": f"{TV}/queues?queue=unreachable",
    "parked": f"{TV}/queues?queue=parked",
    "inbox": f"{TV}/queues?queue=inbox",
    "manifests": f"{TV}/manifests",
    "manifest": f"{TV}/manifests/1",
    "manifest_done": f"{TV}/manifests/2",
    "manifest_search": f"{TV}/manifests/1?who=sub_20",
    "erasures": f"{TV}/erasures",
    "erasure": f"{TV}/erasures/era_4kQ9wZ",
    "targets": f"{TV}/targets",
    "holds": f"{TV}/holds",
    "again": "/console/again",
    "nothing_here": f"{TV}/nothing",
}


@dataclass
class Served:
    """The console at an address, the cookie of who is signed in, and somebody to look at."""

    address: str
    cookie: str
    person: int

    def path(self, name: str) -> str:
        return PAGES[name].replace("PERSON", str(self.person))


def busy(town: Town) -> int:
    """Let a good deal happen; give the number of somebody with a story."""
    people = [
        row(f"sub_{each}", started_at=f"20{18 + each % 6}-03-01T00:00:00Z") for each in range(60)
    ]
    town.join(*people, row("sub_long_identifier_of_a_customer_0123456789_abcdefgh"))
    for each in range(0, 60, 3):
        town.use(f"sub_{each}", town.clock.now().date() - timedelta(days=17 * each))
    town.settle()
    town.clock.advance(timedelta(hours=1))
    for name in ("sub_1", "sub_4"):
        town.answer(name, "keep")
    town.answer("sub_7", "cancel")
    town.days_pass(32, at_a_time=8)
    parked(town, "sub_2", "billing.suspend", "the account does not allow it")
    parked(town, "sub_3")
    message(town)
    with town.database.transaction() as connection:
        number = products.add(connection, "radio", "Green Radio", "sandbox", town.clock.now())
        assert number
        connection.execute(
            text("""insert into review (product_id, subscription_id, round, asked_at, reason, state)
                    values (:product, :who, 1, :at, 'wrong_charge', 'open')"""),
            {"product": town.product.id, "who": town.id_of("sub_10"), "at": town.clock.now()},
        )
        connection.execute(
            text("""update reconfirmation set outcome = 'unreachable', closed_at = opened_at
                    where subscription_id = :who"""),
            {"who": town.id_of("sub_4")},
        )
        connection.execute(
            text("update contact set reach = 'bounced' where subscription_id = :who"),
            {"who": town.id_of("sub_4")},
        )
        products.set_brake(
            connection,
            town.product.id,
            "bounces",
            "bounced=7 of=90 at_most=5%",
            "guard",
            town.clock.now(),
        )
    versions = Versions.on(town.database, town.clock)
    shorter = YEAR | {"unused_after": "P6M", "segments": [{"when": {"country": ["FR"]}}]}
    number = versions.propose("tv", shorter, "console:ann")
    versions.comment("tv", number, Comment.NUMBERS_WANTED, "console:bob")
    long_list(town)
    erasing(town)
    taken_back(town)
    return town.id_of("sub_10")


def erasing(town: Town) -> None:
    """Let people be due to be erased, some held, one under way, and one too late to be held."""
    first = made(town, *(f"sub_{each}" for each in range(1, 60)))
    second = made(town, "sub_2", "sub_5", "sub_8", state="approved")
    desk = Manifests(town.database, town.clock)
    desk.approve("tv", first, hash_of(town, first), person(town, "bob", "approver"))
    for name in ("bob", "eve"):
        desk.approve("tv", second, hash_of(town, second), person(town, name, "approver"))
    today = town.clock.now().date()
    for name, reason, day in (
        ("sub_10", Reason.LEGAL, today),
        ("sub_10", Reason.ENTITLEMENT, None),
        ("sub_long_identifier_of_a_customer_0123456789_abcdefgh", Reason.DISPUTE, today),
    ):
        wanted = Wanted(town.id_of(name), reason, day)
        holds.add(town.database, town.clock, "tv", wanted, "console:bob")
    erased(town, "sub_2", "era_4kQ9wZ")
    erased(town, "sub_5", "era_7pX2aa", state="told")
    late(town, "sub_2")
    with town.database.transaction() as connection:
        for statement in (
            "update manifest_entry set state = 'begun' where number = 2",
            """update manifest_entry set state = 'skipped', skipped = 'used_again'
               where number = 2 and subscription_id = (
                 select max(subscription_id) from manifest_entry where number = 2)""",
            "update erasure set manifest = 2, cause = 'schedule' where id = 'era_4kQ9wZ'",
            """update reconfirmation set erasing = 'telling'
               where subscription_id in (select subscription_id from erasure)""",
        ):
            connection.execute(text(statement))


def long_list(town: Town) -> None:
    """Let another product have a version that asks more people than one person may decide."""
    films = Town.founded(town.database, town.clock, town.links, "films")
    now = films.clock.now()
    films.join(*(row(f"film_{each}", started_at="2024-03-01T00:00:00Z") for each in range(40)))
    films.hear()
    films.settle()
    with films.database.transaction() as connection:
        products.change(connection, films.product.id, {"approvals": 2, "name": "Films"})
    versions = Versions.on(films.database, films.clock)
    body = YEAR | {"never_used_after": "P3M", "pace": {}, "guards": {}}
    number = versions.propose("films", body, "console:ann")
    versions.approve("films", number, "console:bob")
    versions.activate("films", number, "console:ann")
    films.plan()
    films.settle()
    assert films.clock.now() == now
    assert films.stages() == {}


def taken_back(town: Town) -> None:
    """Let another product have a run taken back, whose people wait for somebody to agree."""
    music = Town.founded(town.database, town.clock, town.links, "music")
    with music.database.transaction() as connection:
        products.change(connection, music.product.id, {"name": "Music"})
    music.join(*(row(f"song_{each}", renews_at="2024-09-10T00:00:00Z") for each in range(12)))
    music.settle()
    rows(
        music.database,
        """update reconfirmation r set stage = 'suspended', decided_by = 'silence', asked_at = :now,
             decided_at = :now, paid_until = s.renews_at, erase_on = '2027-01-01', wake_at = null
           from subscription s where s.id = r.subscription_id and r.product_id = :product
             and s.external_id not in ('song_1', 'song_2')""",
        now=town.clock.now(),
        product=music.product.id,
    )
    music.answer("song_2", "keep")
    runs = Runs(music.database, music.clock)
    runs.begin_undo("music", 1, "console:bob", resume=True)
    assert runs.undo("music", lambda: True)[1]


def let_in(town: Town, *roles: str) -> str:
    cookie, wall = secrets.token_urlsafe(32), town.clock.wall()
    with town.database.transaction() as connection:
        who = store.person(connection, b"anna", "anna", "anna-2", list(roles), wall)
        store.begin(connection, hashlib.sha256(cookie.encode()).digest(), who, wall, wall)
    return cookie


@pytest.fixture
def served(town: Town) -> Iterator[Served]:
    app = create_app(
        town.database, town.clock, town.links, base_url="http://127.0.0.1", console=Access(KEYS)
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    number = busy(town)
    yield Served(f"http://127.0.0.1:{server.port}", let_in(town, "admin"), number)
    server.shutdown()
    thread.join()
    server.server_close()


def judge(watched: Watched, url: str) -> None:
    """Say what must hold of every page of the console, however it is shown."""
    assert [each.url for each in watched.asked] == [url], "one request, and none elsewhere"
    assert not [each for each in watched.said if "404" not in each], "nothing the policy refuses"
    beyond = watched.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert beyond == 0, "nothing is wider than the window"
    assert watched.faults() == []


def enters(watched: Watched, served: Served) -> None:
    watched.context.add_cookies(
        [{"name": "reconfirm", "value": served.cookie, "url": served.address}]
    )


def test_every_page(served: Served, town: Town, chromium: Browser, pictures: Path | None) -> None:
    for name in PAGES:
        for width in WIDTHS:
            for scheme in SCHEMES:
                with_cookie = Watched(chromium, width, scheme)
                enters(with_cookie, served)
                url = f"{served.address}{served.path(name)}"
                with_cookie.page.goto(url)
                if pictures is not None:
                    path = pictures / f"console_{name}-{width}-{scheme}.png"
                    with_cookie.page.screenshot(path=path, full_page=True)
                judge(with_cookie, url)
                with_cookie.context.close()
    assert town.stage("sub_1") == "active"


def test_a_narrow_page_has_room_for_french(
    served: Served, town: Town, chromium: Browser, pictures: Path | None
) -> None:
    with town.database.transaction() as connection:
        store.speak(connection, hashlib.sha256(served.cookie.encode()).digest(), "fr")
    for name in ("overview", "person", *QUEUES, "sessions"):
        watched = Watched(chromium, min(WIDTHS), "dark")
        enters(watched, served)
        url = f"{served.address}{served.path(name)}"
        watched.page.goto(url)
        assert watched.page.evaluate("document.documentElement.lang") == "fr"
        if pictures is not None:
            path = pictures / f"console_{name}-{min(WIDTHS)}-fr.png"
            watched.page.screenshot(path=path, full_page=True)
        judge(watched, url)
        watched.context.close()


def test_signing_in_finding_and_acting_with_the_keyboard(
    served: Served, town: Town, chromium: Browser
) -> None:
    token, wall = secrets.token_urlsafe(32), town.clock.wall()
    with town.database.transaction() as connection:
        digest = hashlib.sha256(token.encode()).digest()
        store.add_link(connection, digest, "kim", ["tv:editor"], wall, wall + timedelta(minutes=10))
    watched = Watched(chromium, 360, "light")
    page = watched.page
    page.goto(f"{served.address}/console/enter/{token}")
    page.get_by_role("button", name="Enter").press("Enter")
    page.wait_for_url("**/console/")
    with page.expect_navigation():
        page.get_by_role("link", name="Blue Television").press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("link", name="People").press("Enter")
    page.get_by_label("Id or address").fill("sub_10")
    page.keyboard.press("Enter")
    page.wait_for_url("**/people/*")
    page.get_by_role("button", name="They resume").press("Enter")
    page.get_by_role("status").wait_for()
    assert "Billing is being told" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Français").press("Enter")
    page.wait_for_function("document.documentElement?.lang == 'fr'")
    page.get_by_role("button", name="Se déconnecter").press("Enter")
    page.wait_for_url("**/console/sign-in")
    assert [each for each in watched.said if "404" not in each] == []
    watched.context.close()
