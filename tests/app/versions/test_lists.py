"""Whom a version would ask at once: written down, approved by somebody else, then asked."""

import csv
import io
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing import get_context
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection

from app import guards
from app.engine.sweep import Pass, Sweeper
from app.errors import Conflict
from app.store import lists, pace, products
from app.store.database import Database
from app.store.lists import AskList
from app.versions import Versions
from app.versions.listed import COLUMNS, as_csv, everybody
from app.versions.planning import Planner
from jobs.sweep import sweep
from tests.app.versions.conftest import ANN, BOB, CYD, RAMPED, in_force, told
from tests.probe import DAY, fingerprint, goes, rows
from tests.world import MovableClock, Town, row

NAMES = [f"p{number:02}" for number in range(23)]
OLD = NAMES[:2]
"""Two of them are due under the first policy already."""


@pytest.fixture
def people(town: Town) -> list[str]:
    """Have 23 people there, which is more than one person may decide for."""
    spring = "2024-02-01T00:00:00Z"
    town.join(*(row(name, **({} if name in OLD else {"started_at": spring})) for name in NAMES))
    return NAMES


@pytest.fixture
def number(town: Town, agreed: Versions, people: list[str]) -> int:  # noqa: ARG001
    """Have a version in force that would ask them all, proposed by Ann and put in force by her."""
    found = in_force(agreed, town, RAMPED)
    Planner(town.database, town.clock).work(town.key, lambda: True)
    return found


def the_list(town: Town, number: int) -> AskList | None:
    with town.database.transaction() as connection:
        return lists.of(connection, town.product.id, number)


def made(town: Town, number: int) -> AskList:
    """Sweep once and give the list that this made."""
    town.sweep()
    found = the_list(town, number)
    assert found is not None
    return found


def on_it(town: Town, number: int) -> list[str]:
    """Give who is on a list."""
    with town.database.transaction() as connection:
        found = lists.entries(connection, town.product.id, number, 0, 1000)
    return [each.external_id for each in found]


def asked_of(town: Town) -> set[str]:
    """Give who has been asked."""
    found = rows(
        town.database,
        "select s.external_id from reconfirmation r"
        " join subscription s on s.id = r.subscription_id",
    )
    return {row[0] for row in found}


# --- when there is one ---------------------------------------------------------------------------


def test_a_sweep_writes_down_whom_it_would_ask_and_asks_nobody(town: Town, number: int) -> None:
    done = town.sweep()
    found = the_list(town, number)

    assert found is not None
    assert (found.people, found.approved_at, found.done_at) == (23, None, None)
    assert on_it(town, number) == NAMES
    assert asked_of(town) == set()
    assert done.stopped is not None
    assert "23 people would be asked at once" in done.stopped
    assert "policy list show" in done.stopped
    assert town.sweep().stopped == done.stopped
    assert the_list(town, number) == found


def test_a_dry_run_says_that_it_waits_and_writes_nothing(town: Town, number: int) -> None:
    before = fingerprint(town.database)
    first = town.sweep(dry=True)
    assert first.stopped is not None
    assert "23 people would be asked at once" in first.stopped
    assert fingerprint(town.database) == before
    town.sweep()
    assert town.sweep(dry=True).stopped == first.stopped
    assert the_list(town, number) is not None


OF_SOME = "delete from timer where subscription_id in (select id from subscription where {})"
BODY = "update policy set body = jsonb_set(body, '{guards,max_newly_due_share}', '\"100%\"')"


@pytest.mark.parametrize(
    "change",
    ["update product set approvals = 1", OF_SOME.format("external_id > 'p19'"), BODY],
    ids=["one may decide", "few enough", "its share allows all"],
)
def test_there_is_none_where_one_person_may_decide(town: Town, number: int, change: str) -> None:
    rows(town.database, change)
    town.sweep()
    assert the_list(town, number) is None
    assert len(asked_of(town)) == 2


def test_of_a_larger_share_the_quota_of_a_day_decides(town: Town, agreed: Versions) -> None:
    town.join(*(row(name) for name in NAMES[:3]))
    wide = RAMPED | {"guards": {"max_newly_due_share": "100%"}}
    pace_of = {"ramp": [2, "100%"], "notices_per_day": 2}
    number = in_force(agreed, town, wide | {"pace": pace_of})
    assert made(town, number).people == 3


def test_an_open_ramp_has_none_and_is_stopped_by_its_share(
    town: Town, agreed: Versions, people: list[str]
) -> None:
    number = agreed.propose("tv", RAMPED | {"pace": {"ramp": ["100%"]}}, ANN, caps=False)
    agreed.approve("tv", number, BOB)
    agreed.activate("tv", number, ANN)
    Planner(town.database, town.clock).work(town.key, lambda: True)
    assert "newly_due" in (town.sweep().stopped or "")
    assert asked_of(town) == set()
    assert len(people) == 23


# --- approving it --------------------------------------------------------------------------------


def test_an_approval_is_by_its_hash_of_who_is_on_it_and_by_somebody_else(
    town: Town, agreed: Versions, number: int
) -> None:
    found = made(town, number)
    with pytest.raises(Conflict, match="another by now"):
        agreed.approve_list("tv", number, "0" * 64, BOB)
    with pytest.raises(Conflict, match=f"you put version {number} in force yourself"):
        agreed.approve_list("tv", number, found.hash, ANN)
    with pytest.raises(Conflict, match="has no list that waits"):
        agreed.approve_list("tv", 1, found.hash, BOB)
    assert town.sweep().counts["asked"] == 0

    agreed.approve_list("tv", number, found.hash, BOB)
    agreed.approve_list("tv", number, found.hash, CYD)

    approved = the_list(town, number)
    assert approved is not None
    assert (approved.approved_by, approved.approved_at) == (BOB, town.clock.now())
    assert told(town, number)[-1] == ("list_approved", "by_hand", BOB)
    assert town.sweep().counts["asked"] == 2


def test_a_list_of_a_version_that_is_in_force_no_more_is_not_approved(
    town: Town, agreed: Versions, number: int
) -> None:
    found = made(town, number)
    town.clock.advance(DAY)
    agreed.activate("tv", 1, BOB)
    with pytest.raises(Conflict, match="has no list that waits"):
        agreed.approve_list("tv", number, found.hash, CYD)


def test_a_list_goes_with_its_version_and_is_made_anew_when_that_is_put_back(
    town: Town, agreed: Versions, number: int
) -> None:
    found = made(town, number)
    agreed.approve_list("tv", number, found.hash, BOB)
    agreed.activate("tv", 1, BOB)
    agreed.activate("tv", number, CYD)
    assert the_list(town, number) is None
    assert on_it(town, number) == []
    assert town.sweep().counts["asked"] == 0
    assert not made(town, number).approved_by


def test_a_list_that_waits_is_made_anew_and_one_that_is_approved_is_not(
    town: Town, agreed: Versions, number: int
) -> None:
    first = made(town, number)
    town.use("p05")
    agreed.make_list_anew("tv", number, ANN)
    assert (the_list(town, number), on_it(town, number)) == (None, [])

    second = made(town, number)
    assert second.people == 22
    assert second.hash != first.hash
    assert on_it(town, number) == [each for each in NAMES if each != "p05"]
    with pytest.raises(Conflict, match="another by now"):
        agreed.approve_list("tv", number, first.hash, BOB)
    agreed.approve_list("tv", number, second.hash, BOB)
    with pytest.raises(Conflict, match="no list that waits"):
        agreed.make_list_anew("tv", number, ANN)


# --- only they are asked -------------------------------------------------------------------------


def test_only_who_is_on_it_is_asked_until_it_is_done_and_then_the_others(
    town: Town, agreed: Versions, number: int
) -> None:
    found = made(town, number)
    town.join(row("new"))
    town.use("p07")
    agreed.approve_list("tv", number, found.hash, BOB)

    town.settle()
    assert len(asked_of(town)) == 2
    goes(town, town.clock.now() + DAY)
    town.sweep()
    assert asked_of(town) == {*NAMES} - {"p07"}
    listed = the_list(town, number)
    assert listed is not None
    assert listed.done_at == town.clock.now()
    town.sweep()
    assert asked_of(town) == {*NAMES, "new"} - {"p07"}


def test_a_list_is_not_done_while_somebody_on_it_is_still_due(
    town: Town, agreed: Versions, number: int
) -> None:
    found = made(town, number)
    agreed.approve_list("tv", number, found.hash, BOB)
    with town.database.transaction() as connection:
        until = guards.horizon(town.product, town.clock.now())
        assert until is not None
        lists.finish(connection, town.product.id, number, town.clock.now(), until)
    listed = the_list(town, number)
    assert listed is not None
    assert listed.done_at is None


# --- several at once -----------------------------------------------------------------------------


def in_the_middle(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, act: Callable[[], None]
) -> None:
    """Have something happen once, just before a function is called for the first time."""
    real = getattr(place, name)

    def first(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(place, name, real)
        act()
        return real(*args, **more)

    monkeypatch.setattr(place, name, first)


def test_two_sweeps_make_one_list(town: Town, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has seen that there is none before the first has made it."""
    in_the_middle(monkeypatch, lists, "take_turn", lambda: _ignored(town.sweep()))
    done = town.sweep()
    assert done.stopped is not None
    assert "23 people would be asked at once" in done.stopped
    assert rows(town.database, "select people from ask_list") == [(23,)]
    assert asked_of(town) == set()
    assert number == 2


def _ignored(_: Pass) -> None:
    """Do nothing with what a sweep came to."""


def test_while_one_sweep_makes_it_another_says_that_it_waits(
    town: Town, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str | None] = []
    in_the_middle(monkeypatch, lists, "complete", lambda: said.append(town.sweep().stopped))
    thread = Thread(target=town.sweep)
    thread.start()
    thread.join()
    assert said == [town.sweep().stopped]
    assert the_list(town, number) is not None


def test_a_ramp_that_another_sweep_has_begun_opens_no_list_that_waits(
    town: Town, number: int
) -> None:
    """A sweep that found fewer may begin the ramp while another writes the list."""
    made(town, number)
    with town.database.transaction() as connection:
        pace.begin_ramp(connection, town.product.id, number, 19)
    done = town.sweep()
    assert done.counts["asked"] == 0
    assert "23 people would be asked at once" in (done.stopped or "")


@pytest.mark.parametrize("first", [2, "100%"])
def test_a_version_that_comes_into_force_during_a_pass_is_not_gone_by_in_it(
    town: Town, agreed: Versions, people: list[str], first: Any
) -> None:
    other = agreed.propose("tv", RAMPED | {"pace": {"ramp": [first, "100%"]}}, ANN)
    agreed.approve("tv", other, BOB)
    batches: list[int] = []

    def comes(_: int) -> None:
        batches.append(1)
        if asked_of(town) == {OLD[0]} and town.product.policy_version == 1:
            agreed.activate("tv", other, CYD)
            Planner(town.database, town.clock).work(town.key, lambda: True)

    done = Sweeper(town.database, "tv", town.clock.now(), batch=1, after_batch=comes).run()

    assert "another version of the policy" in (done.stopped or "")
    assert asked_of(town) == {OLD[0]}
    assert town.product.policy_version == other
    made(town, other)
    assert asked_of(town) == {OLD[0]}
    assert len(people) == 23


def stops(town: Town) -> None:
    """Set the brake by hand, where it is not set."""
    with town.database.transaction() as connection:
        now = town.clock.now()
        products.set_brake(connection, town.product.id, "by_hand", "trial", ANN, now)


def test_a_brake_while_a_list_is_made_leaves_none(
    town: Town, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_middle(monkeypatch, lists, "add", lambda: stops(town))
    assert "the brake is on: by_hand" in (town.sweep().stopped or "")
    assert the_list(town, number) is None
    assert on_it(town, number) == []


def test_a_brake_while_a_crowd_is_counted_ends_the_pass(
    town: Town, agreed: Versions, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = agreed.propose("tv", RAMPED | {"pace": {"ramp": ["100%"]}}, ANN, caps=False)
    agreed.approve("tv", number, BOB)
    agreed.activate("tv", number, ANN)
    Planner(town.database, town.clock).work(town.key, lambda: True)
    in_the_middle(monkeypatch, Sweeper, "backlog", lambda: stops(town))
    assert "the brake is on: by_hand" in (town.sweep().stopped or "")
    assert (asked_of(town), len(people)) == (set(), 23)


def test_nobody_is_asked_under_a_ramp_that_has_not_begun(town: Town, number: int) -> None:
    with town.database.transaction() as connection:
        allowed = guards.allowance(connection, town.product, town.clock.now())
    assert (allowed.left, number) == (0, 2)
    assert "has not begun" in allowed.because


def _sweeps_and_is_killed(url: str, town: Town) -> None:
    """Sweep in a process of its own that dies once the list is written, and not yet closed."""
    added: list[int] = []
    add = lists.add

    def dies(connection: Connection, *args: Any) -> None:
        add(connection, *args)
        added.append(1)
        if len(added) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    patch = pytest.MonkeyPatch()
    patch.setattr(lists, "add", dies)
    patch.setattr("app.engine.sweep.BATCH", 5)
    Sweeper(Database(url), town.key, town.clock.now(), batch=5).run()


def test_a_kill_in_the_middle_of_a_list_leaves_nothing_of_it(town: Town, number: int) -> None:
    killed = get_context("fork").Process(
        target=_sweeps_and_is_killed, args=(town.database.url, town)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert rows(town.database, "select count(*) from ask_listed") == [(0,)]
    assert the_list(town, number) is None
    assert made(town, number).people == 23


# --- reading it ----------------------------------------------------------------------------------


def samples(town: Town, number: int, many: int) -> Sequence[str]:
    with town.database.transaction() as connection:
        found = lists.sample(connection, town.product.id, number, many)
    return [each.external_id for each in found]


def test_two_people_look_at_the_same_sample_and_another_list_has_another(
    town: Town, agreed: Versions, number: int
) -> None:
    made(town, number)
    first = samples(town, number, 5)
    assert samples(town, number, 5) == first
    assert len(set(first)) == 5
    assert set(first) < set(NAMES)
    assert sorted(first) == list(first)
    assert samples(town, number, 100) == NAMES
    town.use("p22")
    agreed.make_list_anew("tv", number, ANN)
    made(town, number)
    assert samples(town, number, 5) != first


@pytest.mark.parametrize("batch", [1, 5, 23, 1000])
def test_everybody_is_read_in_batches_of_any_size(town: Town, number: int, batch: int) -> None:
    found = made(town, number)
    read = list(everybody(town.database, town.product.id, found, batch))
    assert [each.external_id for each in read] == NAMES
    assert {each.why for each in read} == {"never_used"}


@pytest.mark.parametrize(
    "change", ["delete from ask_list", "update ask_list set hash = repeat('0', 64)"]
)
def test_a_list_that_is_made_anew_while_it_is_read_is_not_read_on(
    town: Town, number: int, change: str
) -> None:
    reading = everybody(town.database, town.product.id, made(town, number), 2)
    assert [next(reading).external_id for _ in range(2)] == NAMES[:2]
    rows(town.database, change)
    with pytest.raises(Conflict, match="made anew while it was read"):
        next(reading)


def test_an_approval_in_the_middle_changes_nothing_of_what_is_read(
    town: Town, agreed: Versions, number: int
) -> None:
    found = made(town, number)
    reading = everybody(town.database, town.product.id, found, 2)
    next(reading)
    agreed.approve_list("tv", number, found.hash, BOB)
    assert len(list(reading)) == 22


def test_who_was_erased_since_is_not_on_what_is_read(town: Town, number: int) -> None:
    found = made(town, number)
    rows(town.database, "delete from contact where subscription_id = :id", id=town.id_of("p03"))
    left = [each for each in NAMES if each != "p03"]
    assert on_it(town, number) == left
    assert samples(town, number, 100) == left
    assert found.people == 23


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        ('a"b,c', 'a"b,c'),
        ("a\nb", "a\nb"),
        ("'x", "'x"),
    ],
)
def test_what_begins_as_a_formula_is_written_as_text(
    town: Town, number: int, name: str, written: str
) -> None:
    made(town, number)
    with town.database.transaction() as connection:
        (entry, *_) = lists.entries(connection, town.product.id, number, 0, 1)
    told_ = asdict(entry) | {"external_id": name, "plan": name, "last_used_on": None}
    text = "".join(as_csv([type(entry)(**told_)]))
    head, line = csv.reader(io.StringIO(text, newline=""))
    assert tuple(head) == COLUMNS
    assert "id" not in head
    assert (line[0], line[2], line[-1]) == (written, written, "")


def test_a_list_is_of_one_product(town: Town, number: int, clock: MovableClock) -> None:
    radio = Town.founded(town.database, clock, town.links, "radio")
    made(town, number)
    sweep(town.database, clock, "radio")
    assert the_list(radio, number) is None
    assert on_it(radio, number) == []
