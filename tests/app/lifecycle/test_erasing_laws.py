"""R09 to R14 in every life that comes near its erasure, and that these laws are not blind."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.lifecycle import billing, erasing, notices, passing
from app.lifecycle.case import (
    BeginErasure,
    Case,
    Erasing,
    Reach,
    Round,
    Stage,
    Step,
    with_round,
)
from app.policy import Policy
from tests.app.lifecycle.erasing_walk import POLICIES, STARTS, WALKS, mourner
from tests.app.lifecycle.walk import ZONES, Moves

PLACES = [
    *("warned 1", "warned 2"),
    *("ending", "telling", "parting", "wiping", "erased"),
    *("agreed ending", "agreed telling", "agreed parting", "agreed wiping", "erased agreed"),
    *("own ending", "own telling", "own parting", "own wiping", "erased own"),
]
ENOUGH = 500
"""So many people are driven into each step of an erasure, in every run."""


def people(lives: int) -> Counter[str]:
    """Let so many people live; give how many of them came to each place."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=lives,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(POLICIES), st.sampled_from(ZONES), STARTS, WALKS)
    def live(terms: Policy, zone: str, start: Moves, moves: Moves) -> None:
        life = mourner(terms, zone)
        life.walks(start)
        life.walks(moves)
        seen.update(life.visited)

    live()
    return seen


def test_every_law_holds_in_every_erasure_and_hundreds_come_to_each_step() -> None:
    seen = people(4000)
    assert {place: seen[place] for place in PLACES if seen[place] < ENOUGH} == {}
    assert seen["stopped by billing"]


# --- each law seen to fail on rules that break it ----------------------------------------------


def without_warnings(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasing, "_warned_too_little", lambda *_: False)


def a_late_warning_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasing, "LAST_WARNING", timedelta(days=2))


def without_holds(patch: pytest.MonkeyPatch) -> None:
    for name in ("barred", "barred_own"):
        patch.setattr(erasing, name, blind(getattr(erasing, name), held=False))


def without_reach(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasing, "barred", blind(erasing.barred, reach=Reach.OK))
    patch.setattr(notices, "erasure_scheduled", lambda _: False)
    patch.setattr(billing, "erasure_scheduled", lambda _: False)


def blind(rule: Callable[[Case, datetime], str | None], **facts: Any) -> object:
    return lambda case, now: rule(replace(case, **facts), now)


def any_day_agreed_to(patch: pytest.MonkeyPatch) -> None:
    begun = erasing.erasure_begun

    def begin(case: Case, event: BeginErasure, now: datetime) -> Step:
        on = case.round.erase_on if case.round and event.erase_on else None
        return begun(case, replace(event, erase_on=on), now)

    patch.setattr("app.lifecycle.erasure_begun", begin)


def an_own_wish_waits_for_the_schedule(patch: pytest.MonkeyPatch) -> None:
    own, by_time = erasing.barred_own, erasing.barred

    def both(case: Case, now: datetime) -> str | None:
        current = case.round
        wish = replace(case, round=replace(current, erase_at=None)) if current else case
        return own(case, now) or by_time(wish, now)

    patch.setattr(erasing, "barred_own", both)


def nobody_has_to_wish(patch: pytest.MonkeyPatch) -> None:
    own = erasing.barred_own

    def unasked(case: Case, now: datetime) -> str | None:
        found = own(case, now)
        at_rest = case.stage is Stage.SUSPENDED and case.round and not case.round.review_at
        return None if found == "not_asked" and at_rest else found

    patch.setattr(erasing, "barred_own", unasked)


def use_is_not_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasing, "_used_meanwhile", lambda *_: False)
    patch.setattr(passing, "_used_while_suspended", lambda case, *_: Step(case))


def feeds_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasing, "heard", lambda *_: True)


def systems_need_not_answer(patch: pytest.MonkeyPatch) -> None:
    ended = erasing.ended

    def skip(case: Case, current: Round, now: datetime) -> Step:
        made = ended(case, current, now)
        over = made.case.round
        if over is None or over.erasing is not Erasing.TELLING:
            return made
        return replace(made, case=with_round(made.case, erasing=Erasing.WIPING))

    patch.setattr("app.lifecycle.billing.ended", skip)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (without_warnings, "R10"),
        (a_late_warning_will_do, "R10"),
        (without_holds, "R11"),
        (without_reach, "R09|R10"),
        (any_day_agreed_to, "R13"),
        (an_own_wish_waits_for_the_schedule, "R14"),
        (nobody_has_to_wish, "only who asked|nor while|nor who"),
        (use_is_not_seen, "who uses it"),
        (feeds_are_not_asked, "R06"),
        (systems_need_not_answer, "every receipt"),
    ],
)
def test_these_laws_are_not_blind(
    broken: Callable[[pytest.MonkeyPatch], None], law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=law):
        people(3000)
