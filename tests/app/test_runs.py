"""Runs: what a day of sweeps did, the ramp that pauses and stops, and taking a run back."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest

from app.engine.explain import explain
from app.engine.sweep import Sweeper
from app.errors import Conflict, NotFound
from app.guards import RampStands
from app.lifecycle.amends import amended as put_right
from app.lifecycle.case import Lane, Reach, Undelivered
from app.links import Links
from app.runs import HALTED, Runs
from app.store import pace as store
from app.store import products
from app.store.database import Database
from app.store.runs import Run
from jobs.sweep import sweep
from tests.jobs.test_crew import called, crew_of
from tests.jobs.test_crew import runs as job_runs
from tests.probe import DAY, HOUR, asked, brake, fingerprint, kinds, rows, timers, window_ends
from tests.world import YEAR, MovableClock, Town, row

Found = Callable[..., Town]
EVE = "cli:eve"
WHY = HALTED[1]


@pytest.fixture
def found(database: Database, clock: MovableClock, links: Links) -> Found:
    """Give a way to found a town under another ramp."""

    def make(*ramp: int | str, **changes: Any) -> Town:
        slowed = {"pace": {"ramp": [*ramp, "100%"]}} if ramp else {}
        return Town.founded(database, clock, links, "tv", YEAR | slowed | changes)

    return make


def crowd(town: Town, many: int, **changes: Any) -> list[str]:
    names = [f"p{number:02}" for number in range(many)]
    town.join(*(row(name, **changes) for name in names))
    return names


def of(town: Town, batch: int = 1000) -> Runs:
    return Runs(town.database, town.clock, batch)


def listed(town: Town) -> list[Run]:
    return of(town).listed("tv", None, 100)


def told(town: Town) -> list[tuple[str, str, int | None, str]]:
    """Give (what, why, version, actor) of what was said about the product as a whole."""
    found = rows(
        town.database,
        "select what, why, version, actor from history where subscription_id is null"
        " and (what like 'ramp%' or what like 'run%') order by id",
    )
    return [(what, why, version, actor) for what, why, version, actor in found]


def begin_anew(town: Town, version: int) -> None:
    with town.database.transaction() as connection:
        store.begin_anew(connection, town.product.id, version)


# --- what a run is ---------------------------------------------------------------------------


def test_the_sweeps_of_a_day_make_one_run(town: Town) -> None:
    crowd(town, 3)
    Sweeper(town.database, "tv", town.clock.now(), batch=2).run()
    first = town.clock.now()
    town.clock.advance(HOUR)
    town.join(row("late"))
    sweep(town.database, town.clock, "tv", actor=EVE)
    town.sweep()

    (run,) = listed(town)

    assert (run.number, run.day, run.version, run.step) == (1, first.date(), 1, None)
    assert (run.asked, run.reminded, run.suspended, run.canceled) == (4, 0, 0, 0)
    assert (run.first_at, run.last_at) == (first, town.clock.now())
    assert run.actors == ("clock", EVE)


def test_a_sweep_that_does_nothing_makes_none(town: Town) -> None:
    town.join(row("ada", started_at="2024-08-01T00:00:00Z"))
    town.sweep()
    assert listed(town) == []


def test_a_dry_run_makes_none(town: Town) -> None:
    crowd(town, 3)
    before = fingerprint(town.database)
    assert town.sweep(dry=True).counts["asked"] == 3
    assert fingerprint(town.database) == before


def test_each_day_has_its_own_with_what_became_due_on_it(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    for _ in range(40):
        town.days_pass(1)
        if town.stage("ada") == "suspended":
            break

    newest, *others = listed(town)

    assert (newest.asked, newest.suspended, newest.canceled) == (0, 1, 0)
    assert [each.reminded for each in others] == [1, 1, 0]
    assert [each.asked for each in others] == [0, 0, 1]
    assert [each.number for each in (newest, *others)] == [4, 3, 2, 1]
    assert [each.number for each in of(town).listed("tv", 3, 1)] == [2]


def test_what_silence_cancels_is_counted_so(found: Found) -> None:
    town = found(on_no_answer="cancel_at_period_end")
    town.join(row("ada"))
    asked(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    assert (listed(town)[0].suspended, listed(town)[0].canceled) == (0, 1)


def test_what_follows_from_an_earlier_version_is_a_run_of_that(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.put_in_force(YEAR)
    window_ends(town, "ada")
    town.join(row("ben"))

    town.sweep()

    today = [each for each in listed(town) if each.day == town.clock.now().date()]
    assert {(each.version, each.asked, each.suspended) for each in today} == {(1, 0, 1), (2, 1, 0)}


def test_each_step_of_a_ramp_has_its_own(found: Found) -> None:
    town = found(2, 3)
    crowd(town, 8)
    for _ in range(3):
        town.settle()
        town.days_pass(1)

    runs = [(each.step, each.asked) for each in reversed(listed(town)) if each.asked]

    assert runs == [(0, 2), (1, 3), (2, 3)]


def test_rival_sweeps_count_everybody_once(town: Town) -> None:
    crowd(town, 40)
    line = Barrier(3)

    def go() -> None:
        line.wait()
        Sweeper(town.database, "tv", town.clock.now(), batch=3).run()

    threads = [Thread(target=go) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    (run,) = listed(town)
    assert run.asked == 40 == rows(town.database, "select count(*) from reconfirmation")[0][0]


def test_a_run_says_what_became_of_it(town: Town) -> None:
    names = crowd(town, 7)
    asked(town, *names)
    town.clock.advance(HOUR)
    town.answer("p00", "keep")
    town.answer("p01", "cancel")
    town.use("p02")
    town.tell("p03", Undelivered(Reach.BOUNCED))
    town.clock.advance(HOUR)
    town.deliver()
    town.join(row("later"))
    town.clock.advance(DAY)
    town.settle()

    detail = of(town).detail("tv", 1)

    tally = detail.tally
    assert tally is not None
    assert (tally.asked, tally.handed_over, tally.open, tally.in_hand) == (7, 7, 3, 0)
    assert tally.outcomes == {"kept": 1, "returned": 1, "unreachable": 1}
    assert (tally.canceled, tally.suspended, tally.closed) == (1, 0, 3)
    assert [(name, stage) for _, name, stage in detail.untouched] == [("p01", "canceled")]
    rates = {each.cause: (each.bad, each.of, each.at_most) for each in detail.rates}
    assert rates["bounces"] == (1, 7, 0.05)
    assert rates["complaints"] == (0, 7, 0.001)


def test_there_is_no_run_of_another_number_or_product(town: Town) -> None:
    crowd(town, 1)
    town.sweep()
    Town.founded(town.database, town.clock, town.links, "radio")
    with pytest.raises(NotFound, match="has no run 2"):
        of(town).detail("tv", 2)
    with pytest.raises(NotFound, match="has no run 1"):
        of(town).detail("radio", 1)
    assert of(town).listed("radio", None, 10) == []


# --- pausing, resuming, stopping -------------------------------------------------------------


def test_while_a_ramp_is_paused_nobody_new_is_asked_and_the_sweep_says_who_paused_it(
    found: Found,
) -> None:
    town = found(2)
    crowd(town, 6)
    town.settle()
    of(town).pause("tv", EVE, WHY)
    town.days_pass(3)

    done = town.sweep()

    assert listed(town)[-1].asked == 2
    assert rows(town.database, "select count(*) from reconfirmation") == [(2,)]
    said = "the ramp is paused by cli:eve (usage_feed_in_doubt): `reconfirm run resume tv`"
    assert done.stopped == said
    assert town.sweep(dry=True).stopped == said
    assert not town.sweep(dry=True).counts["asked"]


def test_who_would_be_asked_is_told_so_and_who_was_asked_is_not_held_up(found: Found) -> None:
    town = found(1)
    first, second = crowd(town, 2)
    town.settle()
    if town.stage(first) == "active":
        first, second = second, first
    of(town).pause("tv", EVE, WHY)
    told_about = {}
    with town.database.transaction() as connection:
        for name in (first, second):
            explained = explain(connection, town.product, town.id_of(name), town.clock.now())
            told_about[name] = explained.blocked_by
    assert not any("ramp" in each for each in told_about[first])
    assert any("the ramp is paused by cli:eve" in each for each in told_about[second])


def test_the_pause_is_said_also_where_the_quota_is_used_up(found: Found) -> None:
    town = found(pace={"notices_per_day": 2, "ramp": ["100%"]})
    crowd(town, 4)
    assert "quota" in str(town.sweep().stopped)
    of(town).pause("tv", EVE, WHY)
    assert "paused by cli:eve" in str(town.sweep().stopped)


def test_what_is_open_goes_on_meanwhile(found: Found) -> None:
    town = found(2)
    names = crowd(town, 2)
    town.settle()
    of(town).pause("tv", EVE, WHY)
    town.answer(names[0], "keep")

    town.days_pass(40)

    assert town.case(names[0]).round.outcome == "kept"  # type: ignore[union-attr]
    assert town.stage(names[1]) == "suspended"
    assert town.story(names[1]).count("reminder_queued") == 2


def test_a_ramp_that_is_resumed_goes_on_where_it_was(found: Found) -> None:
    town = found(2, 3)
    crowd(town, 6)
    town.settle()
    of(town).pause("tv", EVE, WHY)
    town.days_pass(2)

    ladder = of(town).resume("tv", "cli:ada", "mended")
    town.sweep()

    assert ladder.halt is None
    assert rows(town.database, "select count(*) from reconfirmation") == [(5,)]
    assert told(town) == [
        ("ramp_paused", WHY, 1, EVE),
        ("ramp_resumed", "mended", 1, "cli:ada"),
    ]


def test_saying_so_twice_is_noted_once(found: Found) -> None:
    town = found(2)
    of(town).resume("tv", EVE, "mended")
    of(town).pause("tv", EVE, WHY)
    again = of(town).pause("tv", "cli:ada", "other")
    assert again.halt is not None
    assert (again.halt.by, again.halt.why) == (EVE, WHY)
    of(town).stop("tv", EVE, WHY)
    of(town).stop("tv", "cli:ada", "other")
    assert [what for what, *_ in told(town)] == ["ramp_paused", "ramp_stopped"]


def test_a_stop_is_final_until_the_version_is_activated_anew(found: Found) -> None:
    town = found(2)
    crowd(town, 6)
    town.settle()
    assert of(town).stop("tv", EVE, WHY).stands is RampStands.STOPPED
    for act in (of(town).resume, of(town).pause):
        with pytest.raises(Conflict, match="stopped by cli:eve"):
            act("tv", EVE, "mended")
    town.days_pass(3)
    assert "the ramp of version 1 is stopped by cli:eve" in str(town.sweep().stopped)

    begin_anew(town, 1)
    town.sweep()

    assert rows(town.database, "select count(*) from reconfirmation") == [(4,)]
    assert rows(town.database, "select backlog, step, opened from ramp") == [(4, 0, 2)]


def test_another_version_does_not_inherit_it(found: Found) -> None:
    town = found(2)
    crowd(town, 6)
    of(town).stop("tv", EVE, WHY)
    town.sweep()
    assert listed(town) == []
    town.put_in_force(YEAR)
    assert town.sweep().counts["asked"] == 6


def test_one_paused_before_its_backlog_was_counted_is_counted_when_it_goes_on(
    found: Found,
) -> None:
    town = found("50%")
    crowd(town, 8)
    assert of(town).pause("tv", EVE, WHY).stands is RampStands.PAUSED
    town.sweep()
    assert rows(town.database, "select backlog from ramp") == [(None,)]

    assert of(town).resume("tv", EVE, "mended").stands is RampStands.NOT_BEGUN

    assert town.sweep(dry=True).counts["asked"] == 4
    assert town.sweep().counts["asked"] == 4
    assert rows(town.database, "select backlog, opened from ramp") == [(8, 4)]


def test_a_policy_that_asks_everybody_at_once_can_be_paused_too(town: Town) -> None:
    crowd(town, 3)
    of(town).pause("tv", EVE, WHY)
    assert "paused by cli:eve" in str(town.sweep().stopped)
    assert listed(town) == []
    of(town).resume("tv", EVE, "mended")
    assert town.sweep().counts["asked"] == 3


def test_without_a_policy_there_is_nothing_to_pause(
    database: Database, clock: MovableClock
) -> None:
    with database.transaction() as connection:
        products.add(connection, "new", "New", "sandbox", clock.now())
    runs = Runs(database, clock)
    assert runs.ramp("new").stands is RampStands.NO_POLICY
    with pytest.raises(Conflict, match="no policy is in force"):
        runs.pause("new", EVE, WHY)


def test_a_pause_loses_nobody(found: Found) -> None:
    """Whoever was there meanwhile has a timer of their own, whoever was not is still due."""
    town = found(2)
    names = crowd(town, 4)
    town.settle()
    of(town).pause("tv", EVE, WHY)
    town.days_pass(1)
    waiting = [name for name in names if town.stage(name) == "active"]
    town.use(waiting[0])
    town.sweep()
    assert timers(town, waiting[0])[0] > town.clock.now()
    assert timers(town, waiting[1])[0] <= town.clock.now()


# --- the ladder ------------------------------------------------------------------------------


def test_the_ladder_says_where_it_is_and_when_it_goes_on(found: Found) -> None:
    town = found(2, "50%")
    runs = of(town)
    crowd(town, 10)
    before = runs.ramp("tv")
    assert (before.stands, before.backlog) == (RampStands.NOT_BEGUN, None)
    assert [(each.says, each.size) for each in before.rungs] == [
        ("2", None),
        ("50%", None),
        ("100%", None),
    ]

    town.settle()
    handed_over = town.clock.now()
    waits = runs.ramp("tv")
    assert (waits.stands, waits.opened, waits.backlog) == (RampStands.WAITS, 2, 10)
    assert waits.next_at == handed_over + DAY
    assert [(each.says, each.size, str(each.stands)) for each in waits.rungs] == [
        ("2", 2, "here"),
        ("50%", 5, "ahead"),
        ("100%", 10, "ahead"),
    ]

    town.days_pass(1)
    second = runs.ramp("tv")
    assert second.here is not None
    assert (second.here.number, second.opened, second.stands) == (2, 5, RampStands.WAITS)
    town.days_pass(1)
    last = runs.ramp("tv")
    assert (last.stands, last.opened, last.next_at) == (RampStands.RUNS, 3, None)
    rates = {each.cause: (each.bad, each.of) for each in last.rates}
    assert rates == {"bounces": (0, 10), "complaints": (0, 10), "in_use": (0, 10)}


def test_looking_at_the_ladder_waits_for_nobody_and_changes_nothing(found: Found) -> None:
    town = found(2)
    crowd(town, 4)
    town.sweep()
    before = fingerprint(town.database)
    with town.database.transaction() as connection:
        store.ramp_of(connection, town.product.id, 1)
        assert of(town).ramp("tv").opened == 2
    assert fingerprint(town.database) == before


# --- taking a run back -----------------------------------------------------------------------


def everything(town: Town, number: int = 1, batch: int = 1000) -> int:
    did, over = of(town, batch).undo("tv", lambda: True, number)
    assert over
    return did


def test_whoever_has_not_answered_is_withdrawn_and_left_alone(town: Town) -> None:
    names = crowd(town, 5)
    asked(town, *names)
    town.clock.advance(HOUR)
    town.answer("p00", "keep")
    town.answer("p01", "cancel")

    begun = of(town).begin_undo("tv", 1, EVE)
    assert (begun.wanted, begun.withdrawn, begun.left, begun.ended) == (3, 0, 3, False)
    everything(town)

    ended = of(town).progress("tv", 1)
    assert (ended.withdrawn, ended.left, ended.ended) == (3, 0, True)
    assert town.case("p00").round.outcome == "kept"  # type: ignore[union-attr]
    assert town.case("p01").round.word == "cancel"  # type: ignore[union-attr]
    for name in names[2:]:
        assert town.case(name).round.outcome == "withdrawn"  # type: ignore[union-attr]
        assert kinds(town, name) == []
    actors = rows(town.database, "select distinct why, actor from history where what = 'withdrawn'")
    assert actors == [("run_undone", EVE)]
    assert told(town) == [
        ("ramp_stopped", "run_undone", 1, EVE),
        ("run_undo_begun", "run_1", None, EVE),
        ("run_undone", "run_1", None, EVE),
    ]

    town.days_pass(40)
    assert [town.case(name).round.number for name in names[2:]] == [1, 1, 1]  # type: ignore[union-attr]
    assert [town.stage(name) for name in names[2:]] == ["active"] * 3
    assert town.stage("p01") == "canceled"


def test_a_suspension_that_waits_is_void_and_one_that_is_done_stays(town: Town) -> None:
    names = crowd(town, 3)
    asked(town, *names)
    window_ends(town, "p00")
    town.sweep()
    assert kinds(town, "p02") == ["billing.suspend"]
    worker = town.worker()
    worker.after_act = lambda _: worker.stopping.set()
    worker.work("tv", Lane.BILLING, lambda: not worker.stopping.is_set())
    done = [name for name in names if town.stage(name) == "suspended"]
    assert len(done) == 1

    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    town.days_pass(5)

    assert [town.stage(name) for name in names if name not in done] == ["active", "active"]
    assert town.stage(done[0]) == "suspended"
    assert sum(len(town.acts(name)) for name in names) == 1
    detail = of(town).detail("tv", 1)
    assert [(name, stage) for _, name, stage in detail.untouched] == [(done[0], "suspended")]


def test_what_billing_is_just_being_told_is_in_hand_and_stays(town: Town) -> None:
    names = crowd(town, 3)
    asked(town, *names)
    window_ends(town, "p00")
    town.sweep()
    first = town.id_of("p00")
    for table, change in (
        ("reconfirmation", "act_state = 'claimed'"),
        ("outbox", "state = 'claimed'"),
    ):
        rows(town.database, f"update {table} set {change} where subscription_id = :id", id=first)  # noqa: S608

    assert of(town).begin_undo("tv", 1, EVE).wanted == 2
    everything(town)

    detail = of(town).detail("tv", 1)
    assert detail.tally is not None
    assert (detail.tally.open, detail.tally.in_hand) == (0, 1)
    assert detail.untouched == [(first, "p00", "in_hand")]
    assert kinds(town, "p00") == ["billing.suspend"]


def at_most(times: int) -> Callable[[], bool]:
    """Give something that says go on so often."""
    left = iter([True] * times)
    return lambda: next(left, False)


def test_it_is_no_answer_so_the_same_version_put_in_force_anew_asks_again(town: Town) -> None:
    crowd(town, 2)
    asked(town, "p00")
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    town.days_pass(1)
    assert town.sweep().counts["asked"] == 0

    begin_anew(town, 1)

    assert town.sweep().counts["asked"] == 2


def test_the_ramp_of_the_version_in_force_is_paused_where_the_run_was_of_another(
    town: Town,
) -> None:
    crowd(town, 2)
    asked(town, "p00")
    town.put_in_force(YEAR)

    of(town).begin_undo("tv", 1, EVE)
    everything(town)

    assert town.sweep().counts["asked"] == 0
    assert of(town).ramp("tv").stands is RampStands.PAUSED
    of(town).resume("tv", "cli:ada", "looked_into")
    assert town.sweep().counts["asked"] == 2


def test_one_that_is_killed_goes_on_where_it_was(town: Town) -> None:
    names = crowd(town, 7)
    asked(town, *names)
    runs = of(town, 2)
    runs.begin_undo("tv", 1, EVE)
    did, over = runs.undo("tv", at_most(2))
    assert (did, over) == (4, False)
    half = runs.progress("tv", 1)
    assert (half.withdrawn, half.left, half.ended) == (4, 3, False)

    everything(town, batch=2)

    assert runs.progress("tv", 1).withdrawn == 7
    assert all(town.story(name).count("withdrawn") == 1 for name in names)


def test_a_batch_that_breaks_down_changes_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(town, *crowd(town, 4))
    runs = of(town, 2)
    runs.begin_undo("tv", 1, EVE)
    before = fingerprint(town.database)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("app.store.amends.came_to", killed)
        with pytest.raises(KeyboardInterrupt):
            runs.undo_some("tv")

    assert fingerprint(town.database) == before
    everything(town, batch=2)
    assert runs.progress("tv", 1).withdrawn == 4


def test_several_may_work_at_it(town: Town) -> None:
    names = crowd(town, 24)
    asked(town, *names)
    of(town).begin_undo("tv", 1, EVE)
    line = Barrier(3)

    def go() -> None:
        line.wait()
        of(town, 2).undo("tv", lambda: True)

    threads = [Thread(target=go) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert of(town).progress("tv", 1).withdrawn == 24
    assert all(town.story(name).count("withdrawn") == 1 for name in names)
    assert [what for what, *_ in told(town)].count("run_undone") == 1


def test_who_was_asked_behind_the_cursor_is_found_too(town: Town) -> None:
    """A sweep under way when the ramp stops commits a little later."""
    names = crowd(town, 4)
    asked(town, *names)
    early = town.id_of(names[0])
    change = "update reconfirmation set version = :to where subscription_id = :id"
    rows(town.database, change, to=2, id=early)
    runs = of(town, 2)
    runs.begin_undo("tv", 1, EVE)
    runs.undo_some("tv")
    rows(town.database, change, to=1, id=early)

    everything(town, batch=2)

    assert town.case(names[0]).round.outcome == "withdrawn"  # type: ignore[union-attr]


def test_rounds_of_other_days_and_versions_are_not_of_the_run(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(DAY)
    town.hear()
    town.join(row("ben"))
    asked(town, "ben")
    town.put_in_force(YEAR)
    town.join(row("cyd"))
    asked(town, "cyd")
    numbers = {each.number: (each.version, each.asked) for each in listed(town)}
    assert numbers == {1: (1, 1), 2: (1, 1), 3: (2, 1)}

    of(town).begin_undo("tv", 2, EVE)
    everything(town, 2)

    outcomes = {name: town.case(name).round.outcome for name in ("ada", "ben", "cyd")}  # type: ignore[union-attr]
    assert outcomes == {"ada": None, "ben": "withdrawn", "cyd": None}


def test_a_cancel_of_their_own_on_that_day_is_not_of_the_run(town: Town) -> None:
    crowd(town, 1)
    asked(town, "p00")
    town.join(row("own", started_at="2024-08-01T00:00:00Z"))
    town.answer("own", "cancel", None)
    rows(town.database, "update reconfirmation set word = null where why = 'own_cancel'")
    assert of(town).begin_undo("tv", 1, EVE).wanted == 1


def test_nobody_left_and_twice_at_once_are_refused(town: Town) -> None:
    crowd(town, 2)
    asked(town, "p00")
    of(town).begin_undo("tv", 1, EVE)
    with pytest.raises(Conflict, match="being taken back already"):
        of(town).begin_undo("tv", 1, "cli:ada")
    everything(town)
    with pytest.raises(Conflict, match="nobody of run 1 is left to put right"):
        of(town).begin_undo("tv", 1, EVE)
    with pytest.raises(NotFound):
        of(town).begin_undo("tv", 2, EVE)
    assert of(town).undo_some("tv") is None


def test_one_that_nobody_wants_back_has_no_progress(town: Town) -> None:
    crowd(town, 1)
    town.sweep()
    with pytest.raises(Conflict, match="nobody has taken run 1 back"):
        of(town).progress("tv", 1)


def test_it_goes_on_under_a_brake(town: Town) -> None:
    crowd(town, 2)
    asked(town, "p00")
    brake(town)
    of(town).begin_undo("tv", 1, EVE)
    everything(town)
    assert town.case("p00").round.outcome == "withdrawn"  # type: ignore[union-attr]


def test_a_case_whose_rules_raise_is_left_and_the_rest_goes_on(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd(town, 3)
    asked(town, "p00")
    of(town).begin_undo("tv", 1, EVE)
    poisoned, real = town.id_of("p01"), put_right

    def amended(case: Any, event: Any, policy: Any, now: Any) -> Any:
        if case.subscription.id == poisoned:
            raise ArithmeticError
        return real(case, event, policy, now)

    monkeypatch.setattr("app.lifecycle.amended", amended)
    everything(town)

    assert of(town).progress("tv", 1).withdrawn == 2
    assert town.stage("p01") == "asked"
    assert "put off: ArithmeticError" in capsys.readouterr().err


def test_a_worker_that_is_called_for_it_does_it(town: Town) -> None:
    crowd(town, 3)
    asked(town, "p00")
    crew = crew_of(town)
    called(town, crew, "undo")
    assert job_runs(town)["undo"] == (0, 0, True, None)
    of(town).begin_undo("tv", 1, "console:eve")
    hasty = crew_of(town, stint=timedelta(0))
    called(town, hasty, "undo")
    assert job_runs(town)["undo"] == (0, 0, False, None)

    called(town, crew, "everything")

    assert of(town).progress("tv", 1).ended
    assert town.case("p00").round.outcome == "withdrawn"  # type: ignore[union-attr]
