"""Laws that hold in every life, over many lives; `walk.py` says what is judged at each step."""

from collections import Counter
from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.policy import Policy
from tests.app.lifecycle.build import asked, at, policy
from tests.app.lifecycle.walk import (
    DANGERS,
    INSISTING,
    NEAR_AN_ACT,
    POLICIES,
    STARTS,
    TO_ASKED,
    WALKS,
    ZONES,
    Moves,
    walker,
)

LIVES = settings(max_examples=500, deadline=None, derandomize=True)
"""So many that chance misses no deep state: which lives there are depends on what is loaded."""
PAIRS = settings(max_examples=80, deadline=None, derandomize=True)
DEEP = [
    "active no act",
    "asked no act",
    "asked and looked at",
    "asked suspend queued",
    "asked suspend claimed",
    "asked suspend parked",
    "asked cancel queued",
    "asked cancel claimed",
    "asked cancel parked",
    "suspended no act",
    "suspended resume queued",
    "suspended resume claimed",
    "suspended resume parked",
    "suspended cancel queued",
    "suspended cancel claimed",
    "canceled no act",
    "canceled resume queued",
    "canceled resume claimed",
    "outcome kept",
    "outcome returned",
    "outcome resumed",
    "outcome withdrawn",
    "outcome unreachable",
    "outcome expired",
    "outcome by_billing",
    "suspended by silence",
    "go notice.welcome_back",
    "go notice.reminder",
    "go notice.fresh_link",
    "to be erased",
    "taken back",
    "suspension taken back",
    "go billing.resume",
]


def test_every_law_holds_in_every_life_however_deep() -> None:
    seen: Counter[str] = Counter()

    @LIVES
    @given(st.sampled_from(POLICIES), st.sampled_from(ZONES), STARTS, WALKS)
    def live(terms: Policy, zone: str, start: Moves, moves: Moves) -> None:
        life = walker(terms, zone)
        life.walks(start)
        life.walks(moves)
        seen.update(life.seen)

    live()
    assert {place: seen[place] for place in DEEP if seen[place] < 5} == {}


@pytest.mark.parametrize("near", NEAR_AN_ACT)
def test_whatever_might_stop_an_act_does_however_much_billing_insists(near: str) -> None:
    for first, second in product(DANGERS, repeat=2):
        life = walker(POLICIES[0], "UTC")
        life.walks([*NEAR_AN_ACT[near], first, second, *INSISTING])


# --- what a decision may depend on -----------------------------------------------------------


def lived(moves: Moves, start: Moves, **facts: Any) -> list[object]:
    """Live one life and give what happened in it, step by step."""
    life = walker(POLICIES[0], "UTC", judged=False, **facts)
    life.walks(start)
    life.walks(moves)
    return life.trace


@PAIRS
@given(
    STARTS,
    WALKS,
    st.fixed_dictionaries(
        {
            "id": st.integers(2, 2**60),
            "amount": st.integers(100, 10**9),
            "plan": st.text(max_size=9),
            "country": st.sampled_from(["", "DE", "US"]),
            "currency": st.sampled_from(["USD", "JPY"]),
        }
    ),
)
def test_who_they_are_and_what_they_pay_changes_no_decision(
    start: Moves, moves: Moves, other: dict[str, Any]
) -> None:
    assert lived(moves, start) == lived(moves, start, **other)


@PAIRS
@given(
    st.sampled_from(POLICIES),
    st.sampled_from(ZONES),
    st.dates(at("2020-01-01").date(), at("2023-12-31").date()),
)
def test_where_they_live_moves_hours_and_no_days(terms: Policy, zone: str, last_used: date) -> None:
    facts = {"last_used_on": last_used, "started_on": at("2019-06-01").date()}
    here, there = (walker(terms, each, **facts).wake for each in ("UTC", zone))

    assert here is not None
    assert there is not None
    assert abs(here - there) < timedelta(hours=27 if terms.terms.before_renewal is None else 51)


@PAIRS
@given(STARTS, WALKS)
def test_a_policy_edited_in_mid_flight_moves_no_open_promise(start: Moves, moves: Moves) -> None:
    calm, edited = (walker(POLICIES[0], "UTC", judged=False).walks(TO_ASKED) for _ in range(2))
    edited.policies[2] = policy(
        2, on_no_answer="nothing", answer_within="P7D", reminders=[], erase_after="P30D"
    )
    edited.in_force = 2

    for move in [*start[3:], *moves]:
        calm.walks([move])
        edited.walks([move])
        if not (calm.round.open and calm.round.number == 1):
            break
        assert calm.round == edited.round
        assert calm.pending == edited.pending


def test_the_next_round_is_held_to_the_policy_then_in_force() -> None:
    story = asked()
    story.policies[2] = policy(2, answer_within="P60D")
    story.in_force = 2
    story.billing_tells(amount=1999)
    story.sleeps()
    story.goes_to("2024-02-03T10:00")
    story.delivers()

    assert (story.round.version, story.round.answer_by) == (2, at("2024-04-04"))
