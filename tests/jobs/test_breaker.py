"""Whoever does not answer is left alone for a while, and nobody else."""

from app.world.outcome import Done, Later, No
from jobs.breaker import Breaker
from tests.probe import HOUR, MINUTE
from tests.world import START

SILENCE = Later("no connection")


def test_rests_grow_longer_each_time_up_to_a_quarter_of_an_hour() -> None:
    breaker, at, rests = Breaker[str](), START, []
    for _ in range(8):
        breaker.note("tv", SILENCE, at, well=False)
        until = breaker.rests["tv"].until
        rests.append(None if until is None else (until - at) // MINUTE)
        at += HOUR
    assert rests == [None, 1, 2, 4, 8, 15, 15, 15]


def test_one_good_answer_ends_a_rest_and_what_went_before_it() -> None:
    breaker = Breaker[str]()
    for _ in range(3):
        breaker.note("tv", SILENCE, START, well=False)
    assert breaker.resting(START) == {"tv"}
    breaker.note("tv", Done(), START, well=True)
    assert breaker.resting(START) == set()
    breaker.note("tv", SILENCE, START, well=False)
    assert breaker.resting(START) == set()


def test_who_asks_for_a_pause_gets_it_at_once_and_no_longer() -> None:
    breaker = Breaker[str]()
    breaker.note("tv", Later("http 429", retry_after=MINUTE / 30), START, well=False)
    assert breaker.resting(START + MINUTE / 60) == {"tv"}
    assert breaker.resting(START + MINUTE / 30) == set()


def test_nobody_can_ask_for_more_than_a_quarter_of_an_hour() -> None:
    breaker = Breaker[str]()
    breaker.note("tv", Later("http 503", retry_after=HOUR), START, well=False)
    assert breaker.resting(START + 15 * MINUTE - MINUTE / 60) == {"tv"}
    assert breaker.resting(START + 15 * MINUTE) == set()


def test_each_rests_alone() -> None:
    breaker = Breaker[str]()
    for _ in range(2):
        breaker.note("tv", SILENCE, START, well=False)
        breaker.note("radio", No("http 404"), START, well=True)
    assert breaker.resting(START) == {"tv"}
    assert breaker.silent_since(START) == {"tv"}
