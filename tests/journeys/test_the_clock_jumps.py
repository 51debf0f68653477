"""The clock is set ten years forward, by mistake or by a machine: nobody is erased for that."""

from datetime import datetime, timedelta

import pytest

from app.links import Links
from app.store.database import Database
from tests.graveyard import SOON, Graveyard
from tests.probe import goes, mails, rows
from tests.world import MovableClock, Town, row

DAY = timedelta(days=1)
FAR = timedelta(days=3653)
NAMES = ("ada", "ben")


@pytest.fixture
def yard(database: Database, clock: MovableClock, links: Links) -> Graveyard:
    return Graveyard(Town.founded(database, clock, links, policy_json=SOON))


def jumps(yard: Graveyard, by: timedelta = FAR) -> None:
    """Set the clock forward; the feed then says that it has told everything."""
    goes(yard.town, yard.clock.now() + by)
    yard.works()


def noon(yard: Graveyard, days: int) -> None:
    """Go on to noon, some days later, when mails may go out, and let everybody work."""
    to: datetime = (yard.clock.now() + days * DAY).replace(hour=12)
    goes(yard.town, to)
    yard.works()


def begun(yard: Graveyard) -> int:
    ((many,),) = rows(yard.town.database, "select count(*) from erasure")
    return int(many)


def listed(yard: Graveyard) -> int:
    ((many,),) = rows(yard.town.database, "select count(*) from manifest_entry")
    return int(many)


def warned(yard: Graveyard) -> dict[str, int]:
    return {name: mails(yard.town, name).count("erasure-warning") for name in NAMES}


def test_who_was_never_warned_is_warned_twice_and_then_listed_and_not_erased(
    yard: Graveyard,
) -> None:
    crm = yard.holds_data("crm")
    yard.stop(*NAMES)
    jumps(yard)
    noon(yard, 1)
    assert warned(yard) == dict.fromkeys(NAMES, 1)
    assert (begun(yard), listed(yard)) == (0, 0)
    noon(yard, 1)
    assert warned(yard) == dict.fromkeys(NAMES, 2)
    for _ in range(13):
        noon(yard, 1)
        assert (begun(yard), listed(yard)) == (0, 0), "fourteen days after the last warning"
    noon(yard, 2)
    assert listed(yard) == len(NAMES)
    for _ in range(3):
        jumps(yard)
    assert begun(yard) == 0, "nobody agreed to it"
    assert crm.told == []
    assert rows(yard.town.database, "select count(*) from contact") == [(2,)]
    assert warned(yard) == dict.fromkeys(NAMES, 2)


def test_between_two_warnings_it_brings_the_second_and_its_fourteen_days(yard: Graveyard) -> None:
    yard.stop(*NAMES)
    wake = yard.woken(NAMES[0])
    goes(yard.town, wake.replace(hour=12) + DAY)
    yard.works()
    assert warned(yard) == dict.fromkeys(NAMES, 1)
    jumps(yard)
    noon(yard, 1)
    assert warned(yard) == dict.fromkeys(NAMES, 2)
    assert (begun(yard), listed(yard)) == (0, 0)
    noon(yard, 12)
    assert (begun(yard), listed(yard)) == (0, 0)


def test_what_people_agreed_to_is_good_for_a_week_and_not_for_ten_years(yard: Graveyard) -> None:
    yard.holds_data("crm")
    yard.come_due(*NAMES)
    yard.agree(yard.list_them())
    jumps(yard)
    assert begun(yard) == 0
    assert rows(yard.town.database, "select state from manifest where number = 1") == [("expired",)]
    assert rows(yard.town.database, "select count(*) from contact") == [(2,)]


def test_a_feed_that_has_not_caught_up_with_it_keeps_everybody(yard: Graveyard) -> None:
    yard.holds_data("crm")
    yard.come_due(*NAMES)
    yard.clock.advance(FAR)
    yard.works()
    assert (begun(yard), listed(yard)) == (0, 0)


def test_nobody_is_asked_suspended_and_erased_in_one_leap(yard: Graveyard) -> None:
    """Asked just before, they have not answered for ten years: and are still here."""
    yard.town.join(*(row(name) for name in NAMES))
    yard.town.sweep()
    yard.town.deliver()
    for _ in range(3):
        jumps(yard)
    assert begun(yard) == 0
    assert rows(yard.town.database, "select count(*) from contact") == [(2,)]
