"""A bad policy: people suspended who should not have been, the run taken back, and all is well."""

import re
from datetime import timedelta

import pytest

from app.amends import People
from app.links import Links
from app.runs import Runs
from app.store.database import Database
from app.web import create_app
from tests.probe import DAY, HOUR, goes, mails
from tests.world import YEAR, MovableClock, Town, row

BAD = YEAR | {"never_used_after": "P30D", "unused_after": "P30D"}
NAMES = ("ada", "ben", "cyd", "dan")
BASE = "https://reconfirm.example"
DATE = "2024-09-10T00:00:00Z"


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    """Let a policy that asks a month after the last use suspend whoever is on holiday."""
    town = Town.founded(database, clock, links, "tv", BAD)
    town.join(*(row(name, renews_at=DATE) for name in NAMES))
    town.use("dan")
    town.settle()
    town.clock.advance(HOUR)
    town.answer("cyd", "cancel")
    goes(town, town.clock.now() + 32 * DAY)
    town.hear()
    town.settle()
    town.clock.advance(22 * HOUR)
    town.deliver()
    assert [town.stage(name) for name in NAMES] == ["suspended", "suspended", "canceled", "asked"]
    return town


def undo(town: Town, *, resume: bool = False) -> Runs:
    runs = Runs(town.database, town.clock)
    for each in runs.listed("tv", None, 99):
        if not each.asked:
            continue
        stopped = People(town.database, town.clock).counted("tv", each.number) or {}
        runs.begin_undo("tv", each.number, "console:eve", resume=resume and "suspended" in stopped)
    assert runs.undo("tv", lambda: True)[1]
    town.deliver()
    return runs


def a_month_later(town: Town) -> None:
    goes(town, town.clock.now() + 35 * DAY)
    town.settle()


def test_by_the_button_of_the_apology(town: Town) -> None:
    paid = {name: len(town.charges(name)) for name in NAMES}
    undo(town)

    assert mails(town, "ada")[-1] == mails(town, "ben")[-1] == "apology"
    assert mails(town, "cyd")[-1] == "canceled"
    assert town.stage("dan") == "active"
    mail = next(each for each in reversed(town.relay.mails()) if "ada@" in str(each["To"]))
    body = mail.get_body(("plain",))
    assert body is not None
    link = re.search(r"/a/[A-Za-z0-9_.-]+", body.get_content())
    assert link is not None

    browser = create_app(town.database, town.clock, town.links, base_url=BASE).test_client()
    page = browser.get(link[0])
    assert "We should not have stopped your subscription." in page.text
    assert town.acts("ada") == ["suspend"]
    assert browser.post(link[0], data={"answer": "resume"}).status_code in (200, 303)
    town.clock.advance(timedelta(seconds=10))
    town.deliver()

    assert (town.stage("ada"), town.acts("ada")) == ("active", ["suspend", "resume"])
    assert (town.stage("ben"), town.stage("cyd")) == ("suspended", "canceled")
    a_month_later(town)
    assert len(town.charges("ada")) == paid["ada"] + 1
    assert [len(town.charges(name)) for name in ("ben", "cyd")] == [paid["ben"], paid["cyd"]]
    assert {mails(town, name).count("apology") for name in ("ada", "ben")} == {1}


def test_at_once_as_two_people_decide(town: Town) -> None:
    paid = {name: town.charges(name) for name in NAMES}
    runs = undo(town, resume=True)
    (number,) = (
        each.number for each in runs.listed("tv", None, 99) if each.undo and each.undo.waits
    )
    assert mails(town, "ada")[-1] == "suspended"

    runs.agree("tv", number, "console:ada")
    assert runs.undo("tv", lambda: True)[1]
    town.deliver()
    town.deliver()

    asked = People(town.database, town.clock).everybody("tv", number)
    stands = {each.who.subscription: each.who.stands for each in asked}
    assert stands == {"ada": "restored", "ben": "restored", "cyd": "answered"}
    assert mails(town, "ada")[-1] == "apology"
    assert {name: town.charges(name) for name in NAMES} == paid
    a_month_later(town)
    assert [at.day for at in town.charges("ada")[len(paid["ada"]) :]] == [10]
    assert town.stage("ada") == "active"
