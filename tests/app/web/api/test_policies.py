"""Versions of a policy over HTTP, as two systems with a key each see them."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.errors import Conflict
from app.store import lists, plans, products
from app.versions import Comment, Versions
from app.versions.planning import Planner
from tests.app.web.api.conftest import System, problem_in
from tests.probe import DAY, fingerprint, rows
from tests.world import YEAR, Town, row

SLOWER = YEAR | {"unused_after": "P2Y"}
QUICKER = YEAR | {"never_used_after": "P6M"}
RAMPED = QUICKER | {
    "pace": {"ramp": [2, "100%"]},
    "guards": {"max_newly_due_share": "1%"},
}
HASH = "0" * 64


@pytest.fixture
def ours(system: Callable[..., System]) -> System:
    """Give a system that may change policies."""
    return system("manage")


@pytest.fixture
def other(system: Callable[..., System]) -> System:
    """Give a second one, with a key of its own."""
    return system("manage")


@pytest.fixture
def two(town: Town) -> None:
    """Have two people agree on policies."""
    with town.database.transaction() as connection:
        products.change(connection, town.product.id, {"approvals": 2})


def done(reply: Any) -> Any:
    """Give what a call that went well answered."""
    assert reply.status_code == 200, reply.text
    return reply.json


def actor(town: Town, place: int) -> str:
    """Give the actor of the first or second key."""
    found = rows(town.database, "select id from apikey order by id")
    return f"api:{found[place][0]}"


# --- the whole way -------------------------------------------------------------------------------


@pytest.mark.usefixtures("two")
def test_one_proposes_another_approves_and_it_is_put_in_force(
    town: Town, ours: System, other: System
) -> None:
    town.join(row("ada"), row("ben", started_at="2024-02-01T00:00:00Z"))
    proposed = done(ours.post("policies", QUICKER))
    assert (proposed["version"], proposed["state"]) == (2, "proposed")
    assert proposed["proposed_by"] == actor(town, 0)
    assert proposed["policy"]["never_used_after"] == "P6M"
    assert proposed["forecast"]["proposed"]["tomorrow"] == 2
    assert proposed["compared_with"] == 1
    assert proposed["changes"] == [{"path": "never_used_after", "before": "P1Y", "after": "P6M"}]

    assert problem_in(ours.post("policies/2/approve", {})) == "conflict"
    assert problem_in(other.post("policies/2/activate", {})) == "conflict"
    commented = done(other.post("policies/2/comment", {"code": "looks_right"}))
    approved = done(other.post("policies/2/approve", {}))
    activated = done(ours.post("policies/2/activate", {}))

    assert [each["actor"] for each in approved["approvals"]] == [actor(town, 1)]
    assert commented["story"][-1]["why"] == "looks_right"
    assert (activated["state"], activated["activated_by"]) == ("in_force", actor(town, 0))
    assert (activated["changes"], activated["planned"]) == ([], 0.0)
    assert [(each["what"], each["actor"]) for each in activated["story"]] == [
        ("policy_proposed", actor(town, 0)),
        ("policy_commented", actor(town, 1)),
        ("policy_approved", actor(town, 1)),
        ("policy_activated", actor(town, 0)),
    ]
    assert problem_in(ours.post("policies/2/activate", {})) == "conflict"


def test_what_follows_from_an_activation_is_for_the_workers(town: Town, ours: System) -> None:
    town.join(*(row(f"p{number}", started_at="2024-02-01T00:00:00Z") for number in range(3)))
    done(ours.post("policies", QUICKER))
    told = done(ours.post("policies/2/activate", {}))
    with town.database.transaction() as connection:
        plan = plans.of(connection, town.product.id)
    assert plan is not None
    assert (plan.after_id, plan.finished_at) == (plan.first_id - 1, None)
    assert told["planned"] == 0.0
    Planner(town.database, town.clock).work(town.key, lambda: True)
    assert done(ours.get("policies/2"))["planned"] == 1.0
    assert done(ours.get("policies/1"))["planned"] is None
    assert town.sweep().counts["asked"] == 3


def test_versions_are_listed_the_newest_first_page_by_page(town: Town, ours: System) -> None:
    for _ in range(4):
        done(ours.post("policies", SLOWER))
    done(ours.post("policies/4/withdraw", {}))
    done(ours.post("policies/2/activate", {}))
    at = (town.clock.now() + DAY).isoformat()
    done(ours.post("policies/3/activate", {"at": at}))
    found, cursor = [], ""
    while True:
        page = done(ours.get(f"policies?limit=2{cursor}"))
        found += page["policies"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [(each["version"], each["state"]) for each in found] == [
        (5, "proposed"),
        (4, "withdrawn"),
        (3, "scheduled"),
        (2, "in_force"),
        (1, "was_in_force"),
    ]
    assert "policy" not in found[0]
    assert found[1]["withdrawn_by"] == actor(town, 0)
    assert problem_in(ours.get("policies?cursor=x")) == "bad-cursor"
    assert problem_in(ours.get("policies?state=proposed")) == "invalid-parameter"
    assert len(done(ours.get("policies?limit=200"))["policies"]) == 5


def test_before_the_first_version_everything_is_new(town: Town, ours: System) -> None:
    rows(town.database, "update product set policy_version = null")
    rows(town.database, "delete from policy")
    assert done(ours.get("policies")) == {"policies": [], "next_cursor": None}
    told = done(ours.post("policies?seen=0", YEAR))
    assert (told["version"], told["compared_with"], told["based_on"]) == (1, None, None)
    assert {each["before"] for each in told["changes"]} == {None}
    assert problem_in(ours.get("policies/2")) == "not-found"


# --- proposing -----------------------------------------------------------------------------------


def test_the_same_sent_again_is_one_version_and_something_else_is_refused(
    town: Town, ours: System, other: System
) -> None:
    name = {"headers": {"Idempotency-Key": "5f2c-1"}}
    first = done(ours.post("policies?seen=1", SLOWER, **name))
    assert done(ours.post("policies?seen=1", SLOWER, **name)) == first
    assert problem_in(ours.post("policies", QUICKER, **name)) == "conflict"
    assert problem_in(other.post("policies", SLOWER, **name)) == "conflict"
    assert len(rows(town.database, "select 1 from policy")) == 2


@pytest.mark.parametrize("name", ["", "a b", "x" * 256, "h\u00e9"])
def test_a_name_that_is_none_is_refused(town: Town, ours: System, name: str) -> None:
    reply = ours.post("policies", SLOWER, headers={"Idempotency-Key": name})
    assert problem_in(reply) == "invalid-parameter"
    assert reply.get_json(force=True)["field"] == "Idempotency-Key"
    assert len(rows(town.database, "select 1 from policy")) == 1


@pytest.mark.parametrize("name", ["x", "x" * 255, "~!"])
def test_a_name_of_any_visible_characters_is_taken(ours: System, name: str) -> None:
    done(ours.post("policies", SLOWER, headers={"Idempotency-Key": name}))


def test_who_has_not_seen_the_newest_is_told_which_it_is(
    town: Town, ours: System, other: System
) -> None:
    done(ours.post("policies?seen=1", SLOWER))
    reply = other.post("policies?seen=1", QUICKER)
    told: Any = reply.get_json(force=True)
    assert (problem_in(reply), reply.status_code) == ("stale", 409)
    assert (told["newest"], told["by"]) == (2, actor(town, 0))
    assert done(other.post("policies?seen=2", QUICKER))["version"] == 3


@pytest.mark.parametrize("seen", ["", "x", "-1", "1.0", "01", "9" * 10, "\u00b2", "1&seen=1"])
def test_a_number_that_was_never_seen_is_refused(town: Town, ours: System, seen: str) -> None:
    reply = ours.post(f"policies?seen={seen}", SLOWER)
    assert problem_in(reply) == "invalid-parameter"
    assert reply.get_json(force=True)["field"] == "seen"
    assert len(rows(town.database, "select 1 from policy")) == 1


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"unused_after": "ada@subscribers.example"}, "unused_after", "P7D"),
        ({"ada@subscribers.example": 1}, "", "known are"),
        ({"reminders": ["P90D"]}, "reminders", "P30D"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_without_repeating_it(
    town: Town, ours: System, body: Any, field: str, says: str
) -> None:
    before = fingerprint(town.database)
    reply = ours.post("policies", body)
    told: Any = reply.get_json(force=True)
    assert (problem_in(reply), reply.status_code) == ("invalid-body", 422)
    assert told["field"] == field
    assert says in told["detail"]
    assert "ada@" not in reply.text
    assert fingerprint(town.database) == before


@pytest.mark.parametrize("body", [b"", b"[1]", b"nothing", b'{"a":', b"null"])
def test_what_is_no_policy_is_refused(ours: System, body: bytes) -> None:
    assert ours.post("policies", body).status_code in {400, 422}


def test_a_policy_that_would_ask_too_many_at_once_is_refused_with_the_numbers(
    town: Town, ours: System
) -> None:
    town.join(*(row(f"p{number}") for number in range(21)))
    reply = ours.post("policies", YEAR | {"guards": {"max_newly_due_share": "2%"}})
    told: Any = reply.get_json(force=True)
    assert (problem_in(reply), told["field"]) == ("refused", "pace.ramp")
    assert "21 people at once" in told["detail"]
    assert "begin with fewer" in told["detail"]


# --- what is done about a version ----------------------------------------------------------------


ACTS: dict[str, Any] = {
    "comment": {"code": "talk_first"},
    "approve": {},
    "withdraw": {},
    "activate": {},
    "unschedule": {},
    "list/approve": {"hash": HASH},
    "list/renew": {},
}
NO_NUMBERS = ["0", "-1", "3", "x", "1.0", "01", "%20", "\u00b2", "9" * 9, "9" * 10, "9" * 400]


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_a_version_that_is_not_there_is_not_found(town: Town, ours: System, number: str) -> None:
    done(ours.post("policies", SLOWER))
    before = fingerprint(town.database)
    for rest in ("", "/list", "/list.csv", "/list/sample"):
        assert problem_in(ours.get(f"policies/{number}{rest}")) == "not-found"
    for act, body in ACTS.items():
        reply = ours.post(f"policies/{number}/{act}", body)
        assert problem_in(reply) in {"not-found", "conflict"}, act
        assert problem_in(reply) == "not-found" or act == "list/renew"
    assert fingerprint(town.database) == before


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("body", [{"surprise": 1}, [], None, "x", {"code": "fine"}, {"at": "x"}])
def test_a_body_that_is_none_changes_nothing(town: Town, ours: System, act: str, body: Any) -> None:
    done(ours.post("policies", SLOWER))
    before = fingerprint(town.database)
    assert problem_in(ours.post(f"policies/2/{act}", body)) == "invalid-body"
    assert fingerprint(town.database) == before


def test_another_products_versions_are_not_there(town: Town, ours: System, other: System) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    Versions.on(town.database, town.clock).propose("radio", SLOWER, "cli:ann")
    before = fingerprint(town.database)
    for act, body in ACTS.items():
        assert ours.post(f"policies/2/{act}", body).status_code in {404, 409}
    other.product = "radio"
    assert problem_in(other.get("policies")) == "not-found"
    assert problem_in(ours.get("policies/2")) == "not-found"
    assert len(done(ours.get("policies"))["policies"]) == 1
    assert fingerprint(town.database) == before
    assert radio.product.policy_version == 1


@pytest.mark.parametrize("code", Comment)
def test_every_comment_is_taken(ours: System, code: Comment) -> None:
    told = done(ours.post("policies/1/comment", {"code": str(code)}))
    assert told["story"][-1]["what"] == "policy_commented"
    assert told["story"][-1]["why"] == code


def test_a_version_is_given_a_time_which_is_called_off(town: Town, ours: System) -> None:
    done(ours.post("policies", SLOWER))
    told = done(ours.post("policies/2/activate", {"at": "2024-09-03T01:30:00+14:00"}))
    assert (told["state"], told["activate_at"]) == ("scheduled", "2024-09-02T11:30:00Z")
    assert told["activate_by"] == actor(town, 0)
    assert town.product.policy_version == 1
    called_off = done(ours.post("policies/2/unschedule", {}))
    assert (called_off["state"], called_off["activate_at"]) == ("proposed", None)
    assert problem_in(ours.post("policies/2/unschedule", {})) == "conflict"


@pytest.mark.parametrize(
    ("at", "kind"),
    [
        ("2024-09-02T12:00:00", "invalid-body"),
        ("2024-09-02", "invalid-body"),
        ("tomorrow", "invalid-body"),
        (1725278400, "invalid-body"),
        ("2024-02-30T00:00:00Z", "invalid-body"),
        ("2024-09-01T12:00:00Z", "refused"),
        ("0001-01-01T00:00:00+14:00", "refused"),
        ("9999-12-31T23:59:59-12:00", "refused"),
        ("2025-09-03T12:00:00Z", "refused"),
    ],
)
def test_a_time_that_is_none_for_it_is_refused(
    town: Town, ours: System, at: Any, kind: str
) -> None:
    done(ours.post("policies", SLOWER))
    reply = ours.post("policies/2/activate", {"at": at})
    assert problem_in(reply) == kind
    if kind == "invalid-body" and isinstance(at, str):
        assert "2026-12-01T08:00:00Z" in reply.get_json(force=True)["detail"]
    assert str(at) not in reply.text
    assert rows(town.database, "select activate_at from policy where version = 2") == [(None,)]


def test_no_time_is_now(town: Town, ours: System) -> None:
    done(ours.post("policies", SLOWER))
    assert done(ours.post("policies/2/activate", {"at": None}))["state"] == "in_force"
    assert town.product.policy_version == 2


def test_what_billing_cannot_do_any_more_is_refused(town: Town, ours: System) -> None:
    done(ours.post("policies", SLOWER))
    settings = "billing = 'standard', billing_settings = '{\"can\": \"cancel\"}'"
    rows(town.database, f"update product set {settings}")  # noqa: S608
    assert problem_in(ours.post("policies", SLOWER)) == "invalid-body"
    assert problem_in(ours.post("policies/2/activate", {})) == "refused"
    assert town.product.policy_version == 1


# --- the list ------------------------------------------------------------------------------------


@pytest.fixture
def number(town: Town, two: None, ours: System, other: System) -> int:  # noqa: ARG001
    """Have a version in force, by our key, that would ask 25 people; give its number."""
    town.join(
        *(row(f"p{number:02}", started_at="2024-02-01T00:00:00Z") for number in range(24)),
        row("=cmd", started_at="2024-02-01T00:00:00Z"),
    )
    done(ours.post("policies", RAMPED))
    done(other.post("policies/2/approve", {}))
    done(ours.post("policies/2/activate", {}))
    Planner(town.database, town.clock).work(town.key, lambda: True)
    return 2


def test_a_list_is_read_approved_by_somebody_else_and_then_asked(
    town: Town, ours: System, other: System, number: int
) -> None:
    assert problem_in(ours.get(f"policies/{number}/list")) == "not-found"
    town.sweep()
    waiting = done(ours.get(f"policies/{number}/list"))
    assert (waiting["state"], waiting["people"]) == ("waiting", 25)
    assert waiting["approved_by"] is None

    by_us = ours.post(f"policies/{number}/list/approve", {"hash": waiting["hash"]})
    of_none = other.post(f"policies/{number}/list/approve", {"hash": HASH})
    assert (problem_in(by_us), problem_in(of_none)) == ("conflict", "conflict")
    assert town.sweep().counts["asked"] == 0

    approved = done(other.post(f"policies/{number}/list/approve", {"hash": waiting["hash"]}))
    assert (approved["state"], approved["approved_by"]) == ("in_work", actor(town, 1))
    assert town.sweep().counts["asked"] == 2
    assert problem_in(other.post(f"policies/{number}/list/renew", {})) == "conflict"
    rows(town.database, "update ask_list set done_at = approved_at")
    assert done(ours.get(f"policies/{number}/list"))["state"] == "done"


@pytest.mark.parametrize("seen", ["", "x" * 64, "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n"])
def test_a_hash_that_is_none_is_refused(town: Town, other: System, number: int, seen: str) -> None:
    town.sweep()
    reply = other.post(f"policies/{number}/list/approve", {"hash": seen})
    assert problem_in(reply) == "invalid-body"


def test_a_list_is_given_line_by_line_in_batches(
    town: Town, ours: System, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(*(row(f"q{number}") for number in range(175)))
    town.sweep()
    read: list[int] = []
    entries = lists.entries

    def noted(*args: Any) -> Any:
        found = entries(*args)
        read.append(len(found))
        return found

    monkeypatch.setattr(lists, "entries", noted)
    monkeypatch.setattr("app.versions.listed.everybody.__defaults__", (60,))
    reply = ours.get(f"policies/{number}/list.csv", buffered=False)
    assert reply.status_code == 200
    lines = iter(reply.response)
    first: Any = next(lines)
    assert read == [60, 60]
    rest: list[Any] = list(lines)
    assert read == [60, 60, 60, 20, 0]
    assert [each.count(b"\r\n") for each in (first, *rest)] == [100, 100, 1]


def test_the_lines_come_as_a_file_with_the_hash_of_the_list(
    town: Town, ours: System, number: int
) -> None:
    town.sweep()
    reply = ours.get(f"policies/{number}/list.csv")
    told = done(ours.get(f"policies/{number}/list"))
    assert reply.content_type == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"] == 'attachment; filename="tv-version-2.csv"'
    assert reply.headers["ETag"] == f'"{told["hash"]}"'
    assert len(reply.text.splitlines()) == 26
    assert "\r\n'=cmd,never_used,standard,GB,month,1349,GBP,2024-02-01,\r\n" in reply.text
    assert "subscribers.example" not in reply.text


def test_lines_break_off_where_the_list_is_made_anew(
    town: Town, ours: System, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(*(row(f"q{number}") for number in range(175)))
    town.sweep()
    monkeypatch.setattr("app.versions.listed.everybody.__defaults__", (10,))
    reply = ours.get(f"policies/{number}/list.csv", buffered=False)
    lines = iter(reply.response)
    next(lines)
    done(ours.post(f"policies/{number}/list/renew", {}))
    with pytest.raises(Conflict):
        list(lines)
    assert isinstance(ours.client.application, Flask)


def test_two_look_at_the_same_sample(town: Town, ours: System, other: System, number: int) -> None:
    town.sweep()
    first = done(ours.get(f"policies/{number}/list/sample"))
    assert first == done(other.get(f"policies/{number}/list/sample"))
    assert (first["people"], len(first["sample"])) == (25, 20)
    assert first["hash"] == done(ours.get(f"policies/{number}/list"))["hash"]
    told = first["sample"][0]
    assert told["id"].startswith(("p", "="))
    assert (told["why"], told["amount"], told["currency"]) == ("never_used", 1349, "GBP")
    assert told["last_used_on"] is None


def test_a_list_that_waits_is_made_anew(town: Town, ours: System, number: int) -> None:
    town.sweep()
    first = done(ours.get(f"policies/{number}/list"))["hash"]
    town.use("p05")
    assert done(ours.post(f"policies/{number}/list/renew", {}))["version"] == number
    assert problem_in(ours.get(f"policies/{number}/list")) == "not-found"
    town.sweep()
    found = done(ours.get(f"policies/{number}/list"))
    assert (found["people"], found["hash"] == first) == (24, False)
