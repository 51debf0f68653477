from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.app.web.api.conftest import System, problem_in
from tests.probe import asked, rows, suspended
from tests.world import Town, row


@pytest.fixture
def manager(system: Callable[..., System]) -> System:
    return system("manage")


def say(manager: System, word: str, name: str = "ada") -> tuple[str, str]:
    reply = manager.post(f"subscriptions/{name}/answer", {"answer": word, "actor": "app"})
    assert reply.status_code == 200, reply.text
    assert reply.json is not None
    return reply.json["verdict"], reply.json["subscription"]["stage"]


def test_a_keep_ends_the_round_and_says_who_gave_it(town: Town, manager: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    assert say(manager, "keep") == ("applied", "active")
    assert rows(town.database, "select actor from history where what = 'kept'") == [("app",)]
    assert town.case("ada").round.decided_by == "app"  # type: ignore[union-attr]


def test_repeating_an_answer_is_harmless(town: Town, manager: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    say(manager, "keep")
    town.clock.advance(timedelta(minutes=1))
    before = town.case("ada").round
    assert say(manager, "keep")[1] == "active"
    after = town.case("ada").round
    assert before is not None
    assert after is not None
    assert (after.number, after.outcome, after.word) == (before.number, before.outcome, before.word)
    assert town.story("ada").count("kept") == 1


def test_a_cancel_of_somebody_never_asked_counts_and_rests_first(
    town: Town, manager: System
) -> None:
    town.join(row("ada"))
    assert say(manager, "cancel")[0] == "applied"
    town.deliver()
    assert town.acts("ada") == []
    town.clock.advance(timedelta(minutes=11))
    town.settle()
    assert (town.acts("ada"), town.stage("ada")) == (["cancel"], "canceled")


def test_a_resume_after_a_suspension_charges_again(town: Town, manager: System) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    assert say(manager, "resume")[0] == "applied"
    town.clock.advance(timedelta(minutes=1))
    town.settle()
    assert town.acts("ada") == ["suspend", "resume"]


def test_keep_and_cancel_at_once_are_believed_neither(town: Town, manager: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    say(manager, "keep")
    assert say(manager, "cancel")[0] == "doubted"
    assert town.stage("ada") == "asked"


def test_a_keep_of_somebody_never_asked_changes_nothing(town: Town, manager: System) -> None:
    town.join(row("ada"))
    before = town.case("ada")
    assert say(manager, "keep")[0] in ("nothing_open", "unchanged")
    assert town.case("ada") == before


BAD = {
    "no word of ours": {"answer": "erase"},
    "a word of the page only": {"answer": "undo"},
    "nothing": {},
    "a number": {"answer": 1},
    "another actor": {"answer": "keep", "actor": "cli:root"},
    "a further member": {"answer": "keep", "stage": "erased"},
    "a list": ["keep"],
    "null": None,
}


@pytest.mark.parametrize("what", BAD)
def test_an_answer_that_is_none_is_refused_and_changes_nothing(
    town: Town, manager: System, what: str
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    reply = manager.post("subscriptions/ada/answer", BAD[what])
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-body")
    assert not any(word in reply.text for word in ("erase", "undo", "root"))
    assert town.stage("ada") == "asked"


def test_an_answer_for_nobody_or_for_somebody_elsewhere_is_404(town: Town, manager: System) -> None:
    other = Town.founded(town.database, town.clock, town.links, "radio")
    other.join(row("rob"))
    asked(other, "rob")
    for name in ("rob", "nobody", "%00"):
        reply = manager.post(f"subscriptions/{name}/answer", {"answer": "keep"})
        assert problem_in(reply) == "not-found"
    assert other.stage("rob") == "asked"
