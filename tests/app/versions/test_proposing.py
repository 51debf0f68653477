"""Proposing, talking about and agreeing on versions: who may, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from app.errors import Conflict, NotFound
from app.policy import PolicyRefused
from app.store import versions as store
from app.versions import Comment, Stale, State, TooMany, Versions, state_of
from tests.app.versions.conftest import ANN, BOB, CYD, QUICKER, SLOWER, told, version_of
from tests.probe import HOUR, fingerprint, rows
from tests.world import YEAR, Town, row


def test_a_version_is_written_down_with_where_it_comes_from_and_what_it_would_do(
    town: Town, versions: Versions
) -> None:
    town.join(row("ada"), row("ben", started_at="2024-02-01T00:00:00Z"))
    number = versions.propose("tv", QUICKER, ANN)
    found = version_of(town, number)

    assert (number, found.proposed_by, found.based_on) == (2, ANN, 1)
    assert found.body["unused_after"] == "P6M"
    assert found.forecast is not None
    assert found.forecast["proposed"]["tomorrow"] == 2
    assert found.forecast["in_force"]["tomorrow"] == 1
    assert "days" not in found.forecast["proposed"]
    assert state_of(found, 1) is State.PROPOSED
    assert told(town, 2) == [("policy_proposed", "by_hand", ANN)]
    assert town.product.policy_version == 1


def test_what_is_left_out_is_taken_over_from_the_policy_in_force_and_nothing_else_is(
    town: Town, versions: Versions
) -> None:
    versions.propose("tv", {"unused_after": "P3Y"}, ANN)
    body = version_of(town, 2).body
    assert (body["on_no_answer"], body["erase_after"]) == ("suspend", None)


def test_a_policy_that_does_not_fit_is_no_version(town: Town, versions: Versions) -> None:
    before = fingerprint(town.database)
    with pytest.raises(PolicyRefused) as refused:
        versions.propose("tv", {"unused_after": "P1D", "surprise": 1}, ANN)
    assert {path for path, _, _ in refused.value.problems} == {"unused_after", "surprise"}
    assert fingerprint(town.database) == before


def test_what_somebody_else_proposed_meanwhile_is_said_before_it_is_proposed_over(
    town: Town, versions: Versions
) -> None:
    versions.propose("tv", SLOWER, ANN, seen=1)
    with pytest.raises(Stale) as stale:
        versions.propose("tv", QUICKER, BOB, seen=1)
    assert (stale.value.newest, stale.value.by) == (2, ANN)
    assert len(rows(town.database, "select 1 from policy")) == 2
    assert versions.propose("tv", QUICKER, BOB, seen=2) == 3


@pytest.mark.parametrize("seen", [0, -1, -(10**20)])
def test_who_has_seen_none_is_stale_where_there_is_one_and_free_where_there_is_none(
    town: Town, versions: Versions, seen: int
) -> None:
    with pytest.raises(Stale):
        versions.propose("tv", QUICKER, BOB, seen=seen)
    rows(town.database, "update product set policy_version = null")
    rows(town.database, "delete from policy")
    assert versions.propose("tv", QUICKER, BOB, seen=seen) == 1


def test_who_has_seen_a_version_that_is_not_there_yet_may_propose(versions: Versions) -> None:
    assert versions.propose("tv", QUICKER, BOB, seen=10**20) == 2


def test_the_same_sent_twice_is_one_version(town: Town, versions: Versions) -> None:
    first = versions.propose("tv", SLOWER, ANN, seen=1, key="k1")
    assert versions.propose("tv", SLOWER, ANN, seen=1, key="k1") == first
    assert versions.propose("tv", SLOWER, ANN, key="k2") == first + 1
    assert told(town, first) == [("policy_proposed", "by_hand", ANN)]


def test_a_call_that_is_repeated_is_answered_as_the_first_whatever_is_in_force_by_now(
    town: Town, versions: Versions
) -> None:
    first = versions.propose("tv", {"unused_after": "P2Y"}, ANN, key="k1")
    later = versions.propose("tv", {"on_no_answer": "nothing"}, ANN)
    versions.activate("tv", later, ANN)
    settings = "billing = 'standard', billing_settings = '{\"can\": \"cancel\"}'"
    rows(town.database, f"update product set {settings}")  # noqa: S608
    assert versions.propose("tv", {"unused_after": "P2Y"}, ANN, key="k1") == first


@pytest.mark.parametrize(("body", "actor"), [(QUICKER, ANN), (SLOWER, BOB)])
def test_a_name_that_was_used_for_something_else_or_by_somebody_else_is_refused(
    town: Town, versions: Versions, body: dict[str, Any], actor: str
) -> None:
    versions.propose("tv", SLOWER, ANN, key="k1")
    with pytest.raises(Conflict, match="as version 2"):
        versions.propose("tv", body, actor, key="k1")
    assert len(rows(town.database, "select 1 from policy")) == 2


def test_a_name_is_of_one_product(town: Town, versions: Versions) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    assert versions.propose("tv", SLOWER, ANN, key="k1") == 2
    assert versions.propose("radio", QUICKER, BOB, key="k1") == 2


MANY = 6


def test_of_many_who_propose_at_once_each_gets_a_number_and_of_one_key_there_is_one(
    town: Town, versions: Versions
) -> None:
    start = Barrier(2 * MANY)

    def propose(key: str | None) -> int:
        start.wait()
        return versions.propose("tv", SLOWER, ANN, key=key)

    with ThreadPoolExecutor(2 * MANY) as pool:
        found = list(pool.map(propose, [None] * MANY + ["k1"] * MANY))

    assert len(set(found[MANY:])) == 1
    assert sorted({*found}) == list(range(2, MANY + 3))
    assert len(rows(town.database, "select 1 from policy")) == MANY + 2


def test_of_two_who_saw_the_same_one_is_told_of_the_other(town: Town, versions: Versions) -> None:
    start = Barrier(2)

    def propose(actor: str) -> str:
        start.wait()
        try:
            return f"made {versions.propose('tv', SLOWER, actor, seen=1)}"
        except Stale as stale:
            return f"stale {stale.newest}"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(propose, [ANN, BOB])) == ["made 2", "stale 2"]
    assert len(rows(town.database, "select 1 from policy")) == 2


# --- more at once than the guards allow ----------------------------------------------------------


AT_ONCE = YEAR | {"guards": {"max_newly_due_share": "2%"}}


@pytest.fixture
def many(town: Town) -> int:
    """Have 21 people there, who are all due: one more than any share of so few."""
    town.join(*(row(f"p{number}") for number in range(21)))
    return 21


@pytest.mark.usefixtures("many")
def test_a_policy_without_a_ramp_that_its_own_guard_would_stop_is_refused(
    town: Town, versions: Versions
) -> None:
    with pytest.raises(TooMany, match="21 people at once") as refused:
        versions.propose("tv", AT_ONCE, ANN)
    assert refused.value.problems[0][0] == "pace.ramp"
    assert len(rows(town.database, "select 1 from policy")) == 1


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "body",
    [
        AT_ONCE | {"pace": {"ramp": [10, "100%"]}},
        AT_ONCE | {"guards": {"max_newly_due_share": "100%"}},
        AT_ONCE | {"never_used_after": "P5Y", "unused_after": "P5Y"},
    ],
)
def test_a_ramp_a_guard_that_allows_it_or_a_longer_threshold_is_what_mends_it(
    versions: Versions, body: dict[str, Any]
) -> None:
    assert versions.propose("tv", body, ANN) == 2


@pytest.mark.usefixtures("many")
def test_at_the_limit_itself_nobody_is_refused(town: Town, versions: Versions) -> None:
    rows(town.database, "update subscription set status = 'canceled' where external_id = 'p1'")
    assert versions.propose("tv", AT_ONCE, ANN) == 2


@pytest.mark.usefixtures("many")
def test_whoever_may_is_not_held_to_it(versions: Versions) -> None:
    assert versions.propose("tv", AT_ONCE, ANN, caps=False) == 2


# --- comments and approvals ----------------------------------------------------------------------


@pytest.mark.parametrize("comment", Comment)
def test_a_comment_is_a_code_in_the_story(town: Town, versions: Versions, comment: Comment) -> None:
    versions.comment("tv", 1, comment, BOB)
    assert told(town, 1)[-1] == ("policy_commented", str(comment), BOB)


NUMBERS = [0, -1, 7, 2**31, 2**63, 2**70, 10**300]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "act", ["approve", "withdraw", "activate", "unschedule", "comment", "schedule"]
)
def test_a_version_that_is_not_there_is_not_found(
    town: Town, versions: Versions, act: str, number: int
) -> None:
    before = fingerprint(town.database)
    more: dict[str, list[Any]] = {
        "comment": [Comment.TOO_EARLY],
        "schedule": [town.clock.now().replace(day=2)],
    }
    with pytest.raises(NotFound, match="there is no version"):
        getattr(versions, act)("tv", number, *more.get(act, []), BOB)
    assert fingerprint(town.database) == before


@pytest.mark.parametrize("number", NUMBERS)
def test_a_list_that_is_not_there_is_a_conflict_or_not_found(
    versions: Versions, number: int
) -> None:
    with pytest.raises((Conflict, NotFound)):
        versions.approve_list("tv", number, "0" * 64, BOB)
    with pytest.raises((Conflict, NotFound)):
        versions.make_list_anew("tv", number, BOB)


def test_who_proposed_it_cannot_be_the_second_person(town: Town, agreed: Versions) -> None:
    number = agreed.propose("tv", SLOWER, ANN)
    with pytest.raises(Conflict, match="you proposed version 2 yourself"):
        agreed.approve("tv", number, ANN)
    with pytest.raises(Conflict, match="needs 2 people and has 1"):
        agreed.activate("tv", number, BOB)
    agreed.approve("tv", number, BOB)
    agreed.approve("tv", number, BOB)
    assert [each.actor for each in version_of(town, number).approvals] == [BOB]
    agreed.activate("tv", number, CYD)
    assert town.product.policy_version == number


def test_who_agreed_with_their_own_while_one_was_enough_is_still_one_person(
    town: Town, versions: Versions
) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    versions.approve("tv", number, ANN)
    rows(town.database, "update product set approvals = 2")
    with pytest.raises(Conflict, match="needs 2 people and has 1"):
        versions.activate("tv", number, ANN)


def test_where_one_person_may_decide_nobody_has_to_agree(town: Town, versions: Versions) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    versions.activate("tv", number, ANN)
    assert town.product.policy_version == number


def test_what_was_approved_before_another_version_came_into_force_was_another_change(
    town: Town, agreed: Versions
) -> None:
    number = agreed.propose("tv", SLOWER, ANN)
    agreed.approve("tv", number, BOB)
    other = agreed.propose("tv", QUICKER, BOB)
    agreed.approve("tv", other, CYD)
    town.clock.advance(HOUR)
    agreed.activate("tv", other, CYD)
    with pytest.raises(Conflict, match="needs 2 people and has 1"):
        agreed.activate("tv", number, ANN)
    agreed.approve("tv", number, BOB)
    agreed.activate("tv", number, ANN)
    assert town.product.policy_version == number


# --- taking back ---------------------------------------------------------------------------------


def test_a_version_that_was_taken_back_is_gone_for_good(town: Town, versions: Versions) -> None:
    number = versions.propose("tv", SLOWER, ANN)
    versions.schedule("tv", number, town.clock.now().replace(day=2), ANN)
    versions.withdraw("tv", number, BOB)
    found = version_of(town, number)
    assert (found.withdrawn_by, found.activate_at) == (BOB, None)
    assert state_of(found, 1) is State.WITHDRAWN
    for act in (versions.approve, versions.activate, versions.withdraw):
        with pytest.raises(Conflict, match="was withdrawn"):
            act("tv", number, ANN)
    with pytest.raises(Conflict, match="was withdrawn"):
        versions.schedule("tv", number, town.clock.now().replace(day=2), ANN)
    assert told(town, number)[-1] == ("policy_withdrawn", "by_hand", BOB)


def test_a_version_that_was_in_force_is_not_taken_back(town: Town, versions: Versions) -> None:
    versions.activate("tv", versions.propose("tv", SLOWER, ANN), ANN)
    for number in (1, 2):
        with pytest.raises(Conflict, match="has been in force"):
            versions.withdraw("tv", number, ANN)
    assert state_of(version_of(town, 1), 2) is State.WAS_IN_FORCE
    assert state_of(version_of(town, 2), 2) is State.IN_FORCE


def test_versions_of_another_product_are_not_touched(town: Town, versions: Versions) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    versions.propose("radio", QUICKER, ANN)
    with pytest.raises(NotFound):
        versions.approve("tv", 2, BOB)
    with radio.database.transaction() as connection:
        assert store.newest(connection, town.product.id) == 1
    assert version_of(radio, 2).approvals == ()
