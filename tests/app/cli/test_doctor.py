"""What the doctor finds of a policy that waits for a person."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.cli.checkup import _eraser, _erasures, _receipts
from app.errors import Refused
from app.links import Links
from app.store import running as noted
from app.store.database import Database
from app.store.running import ERASING, Run
from app.world.outcome import No
from tests.app.cli.conftest import HEADER, Shell, line
from tests.graveyard import SOON, Graveyard
from tests.probe import rows
from tests.world import MovableClock, Town

METERED = {"on_no_answer": "suspend", "never_used_after": "P1Y"}


def findings(shell: Shell) -> dict[str, str]:
    """Give what the doctor says of what is not well, by what it is about."""
    found = json.loads(shell("doctor", "--json").stdout)
    return {each["what"]: f"{each['says']}: {each['mend']}" for each in found if not each["well"]}


def test_a_list_that_nobody_has_approved(tv: Shell) -> None:
    tv("product", "set", "tv", "approvals=2")
    people = (line(f"p{each}") for each in range(30))
    tv("import", "subscriptions", "tv", tv.file("p.csv", HEADER, *people))
    use = tv.file("u.csv", "subscription,used_at")
    tv("import", "usage", "tv", use, "--covers-from", "2020-01-01", "--through", "2024-08-31")
    tv("policy", "propose", "tv", tv.file("p.json", json.dumps(METERED)), "--actor", "ann")
    tv("policy", "approve", "tv", "1", "--actor", "bob")
    tv("policy", "activate", "tv", "1", "--actor", "ann")
    assert "list of tv" not in findings(tv)
    swept = tv("sweep", "tv")
    assert "30 people would be asked at once" in swept.stderr
    says = findings(tv)["list of tv"]
    assert "30 people are on a list that nobody has approved" in says
    assert "reconfirm policy list show tv 1" in says
    made = tv.json("policy", "list", "show", "tv", "1")
    tv("policy", "list", "approve", "tv", "1", "--hash", made["hash"], "--actor", "bob")
    assert "list of tv" not in findings(tv)
    assert tv.json("sweep", "tv")["products"][0]["counts"] == {"asked": 10}


def test_a_version_that_could_not_be_put_in_force_at_its_time(running: Shell) -> None:
    shorter = {"never_used_after": "P6M"}
    running("product", "set", "tv", "approvals=2")
    running("policy", "propose", "tv", running.file("2.json", json.dumps(shorter)), "--actor", "a")
    running("policy", "approve", "tv", "2", "--actor", "b")
    running("policy", "activate", "tv", "2", "--at", "2024-09-02T12:00:00Z", "--actor", "b")
    assert "policy of tv" not in findings(running)
    running("clock", "advance", "PT1H")
    other = running.file("3.json", json.dumps({"never_used_after": "P9M"}))
    running("policy", "propose", "tv", other, "--actor", "a")
    running("policy", "approve", "tv", "3", "--actor", "b")
    running("policy", "activate", "tv", "3", "--actor", "b")
    running("clock", "advance", "P2D")
    assert running.json("policy", "show", "tv")["version"] == 3
    says = findings(running)["policy of tv"]
    assert "version 2 could not be put in force at its time: not_approved" in says
    assert "reconfirm policy activate tv 2, or withdraw it" in says
    running("policy", "withdraw", "tv", "2")
    assert "policy of tv" not in findings(running)


# --- erasing -----------------------------------------------------------------------------------


@pytest.fixture
def yard(database: Database, clock: MovableClock, links: Links) -> Graveyard:
    return Graveyard(Town.founded(database, clock, links, policy_json=SOON))


def looked_at(yard: Graveyard, clock: str = "system") -> Any:
    """Give what the doctor looks at, as the parts of an installation."""
    settings = SimpleNamespace(clock=clock)
    return SimpleNamespace(database=yard.town.database, clock=yard.clock, settings=settings)


def was_there(yard: Graveyard, before: timedelta) -> None:
    at = yard.clock.wall() - before
    run = Run(yard.town.product.id, ERASING, at, at, at, 0, 0, idle=True)
    with yard.town.database.transaction() as connection:
        noted.note_run(connection, run)


def test_an_eraser_that_is_away_while_somebody_is_due_alarms(yard: Graveyard) -> None:
    assert _eraser(looked_at(yard)) == "none has been needed yet"
    yard.come_due("ada")
    with pytest.raises(Refused, match="never seen, and erasures are due"):
        _eraser(looked_at(yard))
    assert "workers erase" in _eraser(looked_at(yard, "test"))
    was_there(yard, timedelta(minutes=59))
    assert _eraser(looked_at(yard)).startswith("last seen")
    was_there(yard, timedelta(minutes=61))
    with pytest.raises(Refused, match=r"last seen .* and erasures are due"):
        _eraser(looked_at(yard))


def test_an_eraser_that_is_away_while_nobody_is_due_does_not(yard: Graveyard) -> None:
    was_there(yard, timedelta(days=9))
    assert _eraser(looked_at(yard)).startswith("last seen")


def test_a_receipt_that_stopped_is_counted(yard: Graveyard) -> None:
    assert _receipts(looked_at(yard)) == "none has stopped"
    yard.holds_data("crm").answers = [No("unknown")]
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.works()
    with pytest.raises(Refused, match="1 have stopped"):
        _receipts(looked_at(yard))


def test_a_request_of_their_own_that_is_late_says_that_the_law_is_broken(yard: Graveyard) -> None:
    yard.stop("ada")
    sid, now = yard.town.id_of("ada"), yard.clock.now()
    rows(
        yard.town.database,
        """insert into review (product_id, subscription_id, round, reason, state, asked_at, due_on)
           values (:p, :s, 1, 'erase', 'open', :at, :due)""",
        p=yard.town.product.id,
        s=sid,
        at=now,
        due=(now + timedelta(days=30)).date(),
    )
    assert _erasures(looked_at(yard)).startswith("1 asked to be erased")
    yard.clock.advance(timedelta(days=30))
    with pytest.raises(Refused, match=r"to be done by [0-9-]+\.?$"):
        _erasures(looked_at(yard))
    yard.clock.advance(timedelta(days=1))
    with pytest.raises(Refused, match="that day is past"):
        _erasures(looked_at(yard))
