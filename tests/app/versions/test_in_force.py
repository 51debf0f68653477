"""Putting a version in force: now, at a time, back again; and the look at everybody after it."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from multiprocessing import get_context
from threading import Barrier, Event

import pytest

from app.clock import Clock
from app.errors import Conflict, Refused
from app.mirror import plan_range
from app.policy import PolicyRefused
from app.store import due, plans, products, running
from app.store import versions as store
from app.store.database import Database
from app.versions import State, Versions, planning, state_of
from app.versions.planning import Planner
from tests.app.versions.conftest import ANN, BOB, QUICKER, SLOWER, told, version_of
from tests.probe import DAY, HOUR, MINUTE, brake, rows, timers
from tests.world import START, YEAR, Town, row

SUSPEND_CANNOT = "billing = 'standard', billing_settings = '{\"can\": \"cancel\"}'"
SOON = START + DAY


def planner(town: Town) -> Planner:
    return Planner(town.database, town.clock)


def works(town: Town) -> tuple[int, bool]:
    """Have a worker do what follows from versions."""
    return planner(town).work(town.key, lambda: True)


def waiting(town: Town) -> list[int]:
    """Give the versions that wait for a time."""
    return [
        row[0]
        for row in rows(town.database, "select version from policy where activate_at is not null")
    ]


# --- now -----------------------------------------------------------------------------------------


def test_a_version_in_force_changes_who_is_asked_next_and_no_round_that_is_open(
    town: Town, versions: Versions
) -> None:
    town.join(row("ada"), row("ben", started_at="2024-02-01T00:00:00Z"))
    town.settle()
    assert (town.stage("ada"), town.stage("ben")) == ("asked", "active")
    number = versions.propose("tv", QUICKER | {"answer_within": "P60D"}, ANN)
    before = town.case("ada")

    assert versions.activate("tv", number, ANN)
    works(town)
    town.sweep()

    assert town.case("ada") == before
    assert town.stage("ben") == "asked"
    (ada, ben) = (town.case(name).round for name in ("ada", "ben"))
    assert ada is not None
    assert ben is not None
    assert (ada.version, ben.version) == (1, number)


def test_what_is_in_force_is_not_put_in_force_again(town: Town, versions: Versions) -> None:
    with pytest.raises(Conflict, match="version 1 is in force"):
        versions.activate("tv", 1, ANN)
    with pytest.raises(Conflict, match="version 1 is in force"):
        versions.schedule("tv", 1, SOON, ANN)
    assert waiting(town) == []


def test_a_version_is_put_back_without_being_agreed_on_again(town: Town, agreed: Versions) -> None:
    number = agreed.propose("tv", SLOWER, ANN)
    agreed.approve("tv", number, BOB)
    agreed.activate("tv", number, ANN)
    town.clock.advance(HOUR)
    agreed.activate("tv", 1, BOB)
    assert town.product.policy_version == 1
    assert told(town, 1)[-1] == ("policy_activated", "put_back", BOB)
    assert told(town, 2)[-1] == ("policy_activated", "by_hand", ANN)
    with town.database.transaction() as connection:
        assert [each for each, _ in store.activations(connection, town.product.id)][-1] == 1


def test_what_billing_cannot_do_is_not_put_in_force(town: Town, versions: Versions) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    rows(town.database, f"update product set {SUSPEND_CANNOT}")  # noqa: S608
    with pytest.raises(PolicyRefused, match="not what billing can do"):
        versions.activate("tv", number, ANN)
    with pytest.raises(PolicyRefused, match="not what billing can do"):
        versions.schedule("tv", number, SOON, ANN)
    assert town.product.policy_version == 1


def test_of_two_who_put_in_force_at_once_one_does(town: Town, versions: Versions) -> None:
    number, start = versions.propose("tv", SLOWER, ANN), Barrier(2)

    def activate(actor: str) -> str:
        start.wait()
        try:
            versions.activate("tv", number, actor)
        except Conflict:
            return "conflict"
        return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(activate, [ANN, BOB])) == ["conflict", "done"]
    assert [what for what, _, _ in told(town, number)].count("policy_activated") == 1


def test_only_what_may_move_somebody_forward_has_everybody_looked_at(
    town: Town, versions: Versions
) -> None:
    pace = versions.propose("tv", YEAR | {"pace": {"notices_per_day": 9, "ramp": ["100%"]}}, ANN)
    assert not versions.activate("tv", pace, ANN)
    assert planner(town).a_range("tv") is None
    assert versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    assert planner(town).a_range("tv") is not None


# --- at a time -----------------------------------------------------------------------------------


def test_a_version_is_put_in_force_at_its_time_and_not_before(
    town: Town, versions: Versions
) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    versions.schedule("tv", number, SOON, BOB)
    assert state_of(version_of(town, number), 1) is State.SCHEDULED

    town.clock.set(SOON - timedelta(seconds=1))
    assert works(town) == (0, True)
    assert town.product.policy_version == 1
    town.clock.set(SOON)
    assert works(town)[1]

    found = version_of(town, number)
    assert town.product.policy_version == number
    assert (found.activated_by, found.activated_at, found.activate_at) == (BOB, SOON, None)
    assert told(town, number)[1:] == [
        ("policy_scheduled", f"{SOON:%F %R}", BOB),
        ("policy_activated", "scheduled", BOB),
    ]
    assert works(town) == (0, True)


def test_a_time_is_kept_and_told_in_utc(town: Town, versions: Versions) -> None:
    at = datetime(2024, 9, 3, 1, 30, tzinfo=timezone(timedelta(hours=14)))
    number = versions.propose("tv", SLOWER, ANN)
    versions.schedule("tv", number, at, ANN)
    assert version_of(town, number).activate_at == at
    assert told(town, number)[-1][1] == "2024-09-02 11:30"


@pytest.mark.parametrize(
    "at",
    [
        START,
        START - DAY,
        START + timedelta(days=367),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        SOON.replace(tzinfo=None),
    ],
)
def test_a_time_that_is_none_for_it_is_refused(
    town: Town, versions: Versions, at: datetime
) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    with pytest.raises(Refused):
        versions.schedule("tv", number, at, ANN)
    assert waiting(town) == []


def test_one_version_waits_for_a_time_at_most_and_may_be_given_another(
    town: Town, versions: Versions
) -> None:
    first, other = versions.propose("tv", SLOWER, ANN), versions.propose("tv", QUICKER, ANN)
    versions.schedule("tv", first, SOON, ANN)
    with pytest.raises(Conflict, match="version 2 is to be put in force at 2024-09-02 12:00 UTC"):
        versions.schedule("tv", other, SOON + DAY, BOB)
    versions.schedule("tv", first, SOON + DAY, BOB)
    assert version_of(town, first).activate_by == BOB
    versions.unschedule("tv", first, BOB)
    with pytest.raises(Conflict, match="waits for no time"):
        versions.unschedule("tv", first, BOB)
    versions.schedule("tv", other, SOON, BOB)
    assert waiting(town) == [other]


def test_what_is_not_agreed_on_is_given_no_time(town: Town, agreed: Versions) -> None:
    number = agreed.propose("tv", SLOWER, ANN)
    with pytest.raises(Conflict, match="needs 2 people"):
        agreed.schedule("tv", number, SOON, ANN)
    assert waiting(town) == []


def approvals_go(town: Town, versions: Versions) -> None:
    """Have another version come into force, so that what was approved before was another change."""
    other = versions.propose("tv", QUICKER, ANN)
    versions.approve("tv", other, BOB)
    town.clock.advance(MINUTE)
    versions.activate("tv", other, ANN)


def means_go(town: Town, _: Versions) -> None:
    """Have billing lose the means."""
    rows(town.database, f"update product set {SUSPEND_CANNOT}")  # noqa: S608


@pytest.mark.parametrize(
    ("befalls", "why"), [(approvals_go, "not_approved"), (means_go, "billing_cannot")]
)
def test_what_may_not_be_put_in_force_at_its_time_is_put_off_and_says_why(
    town: Town, agreed: Versions, befalls: Callable[[Town, Versions], None], why: str
) -> None:
    number = agreed.propose("tv", SLOWER, ANN)
    agreed.approve("tv", number, BOB)
    agreed.schedule("tv", number, SOON, ANN)
    befalls(town, agreed)
    in_force = town.product.policy_version

    town.clock.set(SOON)
    works(town)

    found = version_of(town, number)
    assert (found.put_off, found.activate_at, found.activated_at) == (why, None, None)
    assert state_of(found, in_force) is State.PROPOSED
    assert told(town, number)[-1] == ("policy_put_off", why, "clock")
    assert town.product.policy_version == in_force
    assert works(town) == (0, True)


def test_once_what_kept_it_is_mended_it_can_be_given_another_time(
    town: Town, agreed: Versions
) -> None:
    number = agreed.propose("tv", SLOWER, ANN)
    agreed.approve("tv", number, BOB)
    agreed.schedule("tv", number, SOON, ANN)
    approvals_go(town, agreed)
    town.clock.set(SOON)
    works(town)
    agreed.approve("tv", number, BOB)
    agreed.schedule("tv", number, SOON + DAY, ANN)
    assert version_of(town, number).put_off is None
    town.clock.set(SOON + DAY)
    works(town)
    assert town.product.policy_version == number


def test_a_brake_does_not_keep_a_version_from_its_time_and_asks_nobody(
    town: Town, versions: Versions
) -> None:
    town.join(row("ada"))
    number = versions.propose("tv", QUICKER, ANN)
    versions.schedule("tv", number, SOON, ANN)
    brake(town)
    town.clock.set(SOON)
    works(town)
    assert town.product.policy_version == number
    assert town.sweep().counts["asked"] == 0


@pytest.mark.parametrize("days", [1, 40, 900])
def test_without_workers_a_version_waits_and_is_put_in_force_once_there_are(
    town: Town, versions: Versions, days: int
) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    versions.schedule("tv", number, SOON, ANN)
    town.clock.set(SOON + days * DAY)
    assert town.product.policy_version == 1
    works(town)
    assert town.product.policy_version == number


# --- somebody else is quicker --------------------------------------------------------------------


def calls_off(versions: Versions) -> None:
    versions.unschedule("tv", 2, BOB)


def takes_back(versions: Versions) -> None:
    versions.withdraw("tv", 2, BOB)


def moves(versions: Versions) -> None:
    versions.schedule("tv", 2, versions.clock.now() + DAY, BOB)


def does_it(versions: Versions) -> None:
    versions.activate("tv", 2, BOB)


def is_another_worker(versions: Versions) -> None:
    assert versions.activate_due("tv") == 1


@pytest.mark.parametrize("act", [calls_off, takes_back, moves, does_it, is_another_worker])
@pytest.mark.parametrize("wrong", [[], [PolicyRefused([])]])
def test_a_worker_does_nothing_where_somebody_was_quicker(
    town: Town,
    versions: Versions,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Versions], None],
    wrong: list[PolicyRefused],
) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    versions.schedule("tv", number, SOON, ANN)
    town.clock.set(SOON)
    check, after = Versions._check_billing, []

    def meanwhile(self: Versions, product: str, version: int) -> None:
        monkeypatch.setattr(Versions, "_check_billing", check)
        act(versions)
        after.append((version_of(town, number), told(town, number), town.product.policy_version))
        for each in wrong:
            raise each
        check(self, product, version)

    monkeypatch.setattr(Versions, "_check_billing", meanwhile)
    assert versions.activate_due("tv") == 0
    assert [(version_of(town, number), told(town, number), town.product.policy_version)] == after


# --- the look at everybody -----------------------------------------------------------------------


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ranges of two."""
    monkeypatch.setattr(planning, "A_RANGE", 2)


PEOPLE = [f"p{number}" for number in range(7)]


@pytest.fixture
def people(town: Town) -> list[str]:
    """Have seven people there who were there in the spring: due after half a year, not a year."""
    town.join(*(row(name, started_at="2024-02-01T00:00:00Z") for name in PEOPLE))
    return PEOPLE


def planned(town: Town) -> list[bool]:
    """Say of each of the people whether they are due by now."""
    return [timers(town, name)[0] <= town.clock.now() for name in PEOPLE]


@pytest.mark.usefixtures("ranges", "people")
def test_a_look_goes_by_ranges_and_says_how_far_it_is(town: Town, versions: Versions) -> None:
    versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    shares, seen = [], []
    while (some := planner(town).a_range("tv")) is not None:
        seen.append(some)
        with town.database.transaction() as connection:
            plan = plans.of(connection, town.product.id)
        assert plan is not None
        shares.append(round(plan.share, 2))
    assert seen == [2, 2, 2, 1, 0]
    assert shares == [0.29, 0.57, 0.86, 1.0, 1.0]
    assert planned(town) == [True] * 7


@pytest.mark.usefixtures("people")
def test_a_look_that_has_ended_is_begun_anew_by_the_next_version(
    town: Town, versions: Versions
) -> None:
    for body in (YEAR | {"never_used_after": "P360D"}, QUICKER):
        versions.activate("tv", versions.propose("tv", body, ANN), ANN)
        assert works(town)[0] > 7
    assert planned(town) == [True] * 7


def _walks_and_is_killed(url: str, now: datetime) -> None:
    """Walk in a process of its own that dies in the middle of its second range."""
    database, walked = Database(url), []

    def dies(*args: object) -> list[int]:
        walked.append(1)
        ids = plan_range(*args)  # type: ignore[arg-type]
        if len(walked) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return ids

    patch = pytest.MonkeyPatch()
    patch.setattr(planning, "plan_range", dies)
    patch.setattr(planning, "A_RANGE", 2)
    Planner(database, Clock(lambda: now)).walk("tv", lambda _: None)


@pytest.mark.usefixtures("ranges", "people")
def test_whoever_goes_on_after_a_kill_goes_on_from_there(town: Town, versions: Versions) -> None:
    versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    killed = get_context("fork").Process(
        target=_walks_and_is_killed, args=(town.database.url, town.clock.now())
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert planned(town) == [True, True, *[False] * 5]

    seen = []
    while (some := planner(town).a_range("tv", wait=True)) is not None:
        seen.append(some)
    assert seen == [2, 2, 1, 0]
    assert planned(town) == [True] * 7


@pytest.mark.usefixtures("ranges", "people")
def test_of_two_who_walk_at_once_one_does_and_the_other_waits_or_leaves(
    town: Town, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    held, go, seen = Event(), Event(), []

    def slow(*args: object) -> list[int]:
        held.set()
        assert go.wait(30)
        ids = plan_range(*args)  # type: ignore[arg-type]
        seen.extend(ids)
        return ids

    with ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(planning, "plan_range", slow)
        first = pool.submit(planner(town).a_range, "tv")
        assert held.wait(30)
        assert planner(town).a_range("tv") is None
        assert planner(town).work("tv", lambda: True) == (0, True)
        other = pool.submit(planner(town).a_range, "tv", wait=True)
        go.set()
        assert (first.result(), other.result()) == (2, 2)
    while planner(town).a_range("tv") is not None:
        pass
    assert seen == [town.id_of(name) for name in PEOPLE]


@pytest.mark.usefixtures("ranges", "people")
def test_a_version_that_comes_into_force_in_the_middle_begins_it_anew(
    town: Town, versions: Versions
) -> None:
    versions.activate("tv", versions.propose("tv", YEAR | {"never_used_after": "P360D"}, ANN), ANN)
    planner(town).a_range("tv")
    planner(town).a_range("tv")
    assert planned(town) == [False] * 7
    versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    works(town)
    assert planned(town) == [True] * 7


@pytest.mark.usefixtures("ranges", "people")
def test_who_waited_for_the_turn_plans_by_what_is_in_force_by_then(
    town: Town, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product is read, the turn taken, and the product read again: another may be in force."""
    versions.activate("tv", versions.propose("tv", YEAR | {"never_used_after": "P360D"}, ANN), ANN)
    quicker, take = versions.propose("tv", QUICKER, ANN), plans.take
    planned_by = []

    def another_comes(*args: object, **more: object) -> plans.Plan | None:
        monkeypatch.setattr(plans, "take", take)
        versions.activate("tv", quicker, ANN)
        return take(*args, **more)  # type: ignore[arg-type]

    def noted(connection: object, product: products.Product, *args: object) -> list[int]:
        planned_by.append(product.policy_version)
        return plan_range(connection, product, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(plans, "take", another_comes)
    monkeypatch.setattr(planning, "plan_range", noted)
    planner(town).a_range("tv")
    assert planned_by == [quicker]


@pytest.mark.usefixtures("ranges", "people")
def test_a_version_that_moves_nobody_forward_leaves_the_look_to_go_on(
    town: Town, versions: Versions
) -> None:
    versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    planner(town).a_range("tv")
    slow = QUICKER | {"pace": {"notices_per_day": 9, "ramp": ["100%"]}}
    assert not versions.activate("tv", versions.propose("tv", slow, ANN), ANN)
    works(town)
    assert planned(town) == [True] * 7


@pytest.mark.usefixtures("ranges", "people")
def test_a_worker_whose_time_is_up_has_left_something(town: Town, versions: Versions) -> None:
    versions.activate("tv", versions.propose("tv", QUICKER, ANN), ANN)
    left = iter([True, True, False])
    assert planner(town).work("tv", lambda: next(left)) == (4, False)
    assert works(town) == (4, True)


def called_for(town: Town) -> int:
    """Give how much waits for the job that follows versions."""
    with town.database.transaction() as connection:
        now, wall = town.clock.now(), town.clock.wall()
        found = running.due_of(connection, town.product.id, now, wall)
    assert found is not None
    return found.waiting(running.POLICY)


@pytest.mark.usefixtures("people")
def test_workers_are_called_for_a_time_that_has_come_and_for_a_look_that_is_left(
    town: Town, versions: Versions
) -> None:
    number = versions.propose("tv", QUICKER, ANN)
    assert called_for(town) == 0
    versions.schedule("tv", number, START + MINUTE, ANN)
    with town.database.transaction() as connection:
        assert due.next_moment(connection, town.clock.now()) == START + MINUTE
    assert called_for(town) == 0
    town.clock.set(START + MINUTE)
    assert called_for(town) == 1
    assert versions.activate_due("tv") == 1
    assert called_for(town) == 1
    works(town)
    assert called_for(town) == 0
