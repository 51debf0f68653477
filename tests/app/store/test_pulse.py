"""The counters of what happened, by product and day."""

from collections import Counter
from datetime import date
from threading import Barrier, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from app.lifecycle.case import Answer, Case, Outcome, Reach, Stage, Why, Word
from app.store import pace, pulse
from app.store.pulse import News
from tests.probe import DAY, HOUR, asked, rows, window_ends
from tests.world import START, Town, row

TODAY = START.date()
YESTERDAY = TODAY - DAY


def found(town: Town, day: date = TODAY) -> dict[str, int]:
    """Give what was counted on a day."""
    with town.database.transaction() as connection:
        return dict(pulse.sums(connection, town.product.id, day, day))


# --- adding up -------------------------------------------------------------------------------


def test_what_is_counted_adds_up_by_day_and_by_product(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio").product.id
    tv = town.product.id
    with town.database.transaction() as connection:
        pulse.add(connection, tv, {(TODAY, "kept"): 2, (YESTERDAY, "kept"): 1})
        pulse.add(connection, tv, {(TODAY, "kept"): 3, (TODAY, "asked"): 1})
        pulse.add(connection, radio, {(TODAY, "kept"): 50})
        assert pulse.sums(connection, tv, TODAY) == {"kept": 5, "asked": 1}
        assert pulse.sums(connection, tv, YESTERDAY) == {"kept": 6, "asked": 1}
        assert pulse.sums(connection, tv, YESTERDAY, YESTERDAY) == {"kept": 1}


def test_where_nothing_counts_nothing_is_written(town: Town) -> None:
    with town.database.transaction() as connection:
        pulse.add(connection, town.product.id, {})
        pulse.add(connection, town.product.id, {(TODAY, "kept"): 0})
    assert rows(town.database, "select * from pulse") == []


def test_what_is_put_replaces_what_was_there_and_may_be_nothing(town: Town) -> None:
    with town.database.transaction() as connection:
        pulse.put(connection, town.product.id, TODAY, {"living": 7, "seen": 1})
        pulse.put(connection, town.product.id, TODAY, {"living": 9, "seen": 0})
    assert rows(town.database, "select what, many from pulse order by 1") == [
        ("living", 9),
        ("seen", 0),
    ]


def test_rivals_that_count_the_same_in_another_order_do_not_wait_in_a_circle(town: Town) -> None:
    number, failed = town.product.id, list[Exception]()

    def rival() -> None:
        try:
            with town.database.transaction() as connection:
                pulse.add(connection, number, {(TODAY, "b"): 1, (TODAY, "a"): 1})
        except Exception as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    thread = Thread(target=rival)
    with town.database.transaction() as connection:
        pulse.add(connection, number, {(TODAY, "a"): 1})
        thread.start()
        while not rows(town.database, "select 1 from pg_locks where not granted"):
            assert thread.is_alive()
        pulse.add(connection, number, {(TODAY, "b"): 1})
    thread.join()
    assert (failed, found(town)) == ([], {"a": 2, "b": 2})


def test_many_who_count_at_once_lose_nothing(town: Town) -> None:
    number, line = town.product.id, Barrier(3)

    def run() -> None:
        line.wait()
        for _ in range(10):
            with town.database.transaction() as connection:
                pulse.add(connection, number, {(TODAY, "kept"): 1})

    threads = [Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(town) == {"kept": 30}


def test_timers_are_counted_only_as_far_as_is_asked_for(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    town.join(row("ada"), row("bob"))
    radio.join(row("eve"))
    with town.database.transaction() as connection:
        assert pace.more_due(connection, town.product.id, START, 1)
        assert not pace.more_due(connection, town.product.id, START, 2)
        assert not pace.more_due(connection, town.product.id, START - 900 * DAY, 0)


# --- what is counted ---------------------------------------------------------------------------


def test_a_life_is_counted_on_the_days_on_which_it_happens(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    assert found(town) == {"asked": 2, "notice.ask_handed_over": 2}
    town.clock.advance(DAY)
    town.answer("ada", "keep")
    assert found(town, TODAY + DAY) == {"kept": 1}
    window_ends(town, "bob")
    town.sweep()
    town.deliver()
    counts = found(town, town.clock.now().date())
    assert {what: counts[what] for what in ("suspend_queued", "suspended")} == {
        "suspend_queued": 1,
        "suspended": 1,
    }


def test_a_dry_run_counts_nothing(town: Town) -> None:
    town.join(row("ada"))
    assert town.sweep(dry=True).counts["asked"] == 1
    assert rows(town.database, "select * from pulse") == []


def test_every_outcome_of_a_round_is_counted() -> None:
    assert {str(outcome) for outcome in Outcome} <= pulse.COUNTED


# --- news of asks ------------------------------------------------------------------------------


def of(before: Case, after: Case) -> list[News]:
    return list(pulse.news({1: before}, {1: after}))


def as_asked(town: Town) -> Case:
    town.join(row("ada"))
    asked(town, "ada")
    return town.case("ada")


def changed(case: Case, reach: Reach | None = None, **changes: Any) -> Case:
    assert case.round is not None
    current = replace(case.round, **changes)
    return replace(case, reach=reach or case.reach, round=current)


def test_a_bounce_is_news_once_and_of_the_ask_it_follows(town: Town) -> None:
    case = as_asked(town)
    bounced = changed(case, Reach.BOUNCED, outcome=Outcome.UNREACHABLE)
    assert of(case, bounced) == [News("bounced", START)]
    assert of(bounced, changed(bounced, reminded=1)) == []
    assert of(bounced, replace(bounced, reach=Reach.OK)) == []


def test_who_has_no_address_any_more_is_no_bad_news(town: Town) -> None:
    case = as_asked(town)
    assert of(case, changed(case, Reach.NO_ADDRESS)) == []


def test_an_ask_that_comes_back_at_once_was_refused(town: Town) -> None:
    case = changed(as_asked(town), asked_at=None)
    assert of(case, changed(case, Reach.BOUNCED)) == [News("bounced", None, refused=True)]
    assert of(case, changed(case, Reach.COMPLAINED)) == [News("complained", None)]


@pytest.mark.parametrize(
    "changes",
    [
        {"why": Why.OWN_CANCEL},
        {"why": Why.BILLING_CANCEL},
        {"word": Word.CANCEL},
        {"outcome": Outcome.KEPT},
        {"stage": Stage.CANCELED},
    ],
)
def test_a_receipt_that_comes_back_at_once_is_no_refused_ask(
    town: Town, changes: dict[str, Any]
) -> None:
    case = changed(as_asked(town), asked_at=None, **changes)
    assert of(case, changed(case, Reach.BOUNCED)) == [News("bounced", None)]


def test_i_do_use_it_is_news_and_its_undo_takes_it_back(town: Town) -> None:
    case = as_asked(town)
    kept = changed(case, outcome=Outcome.KEPT, word=Word.KEEP, reason="in_use")
    assert of(case, kept) == [News("in_use", START)]
    assert of(kept, case) == [News("in_use", START, -1)]
    assert of(kept, changed(kept, word_at=START)) == []
    assert of(case, changed(kept, reason=None)) == []
    assert of(changed(kept, reason=None), kept) == [News("in_use", START)]


def test_a_later_round_takes_nothing_back(town: Town) -> None:
    case = as_asked(town)
    kept = changed(case, outcome=Outcome.KEPT, word=Word.KEEP, reason="in_use")
    assert of(kept, changed(case, number=2)) == []


def test_clicking_to_and_fro_counts_one_person_once(town: Town) -> None:
    as_asked(town)
    seen = Counter[str]()
    for _ in range(4):
        town.clock.advance(HOUR / 60)
        town.tell("ada", _in_use())
        seen["kept"] += town.stage("ada") == "active"
        town.clock.advance(HOUR / 60)
        town.answer("ada", "undo")
        seen["undone"] += town.stage("ada") == "asked"
    town.clock.advance(HOUR / 60)
    town.tell("ada", _in_use())
    assert seen == {"kept": 4, "undone": 4}
    assert found(town)["ask_in_use"] == 1


def _in_use() -> Answer:
    return Answer(Word.KEEP, 1, reason="in_use")


# --- the living --------------------------------------------------------------------------------


def test_the_living_are_those_of_one_product_who_pay_or_are_about_to(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    radio.join(row("eve"), row("fay"))
    statuses = ("active", "past_due", "trialing", "paused", "canceled")
    town.join(*(row(status, status=status) for status in statuses))
    with town.database.transaction() as connection:
        assert pace.living(connection, town.product.id, 1000) == 3


def test_of_many_the_living_are_estimated_and_never_fewer_than_were_counted(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(12)))
    with town.database.transaction() as connection:
        assert pace.living(connection, town.product.id, 5) >= 5
        connection.exec_driver_sql("analyze subscription")
        assert pace.living(connection, town.product.id, 5) == 12
        assert pace.living(connection, town.product.id, 13) == 12
