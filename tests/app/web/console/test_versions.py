"""Versions in the console: one proposes, another approves, it is put in force and put back."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.store import lists, plans, products
from app.store import versions as store
from app.versions import Comment, Versions
from app.web.console.saying import labels
from app.web.console.words import sentences
from tests.app.web.console.conftest import Desk, Person
from tests.world import YEAR, row

TV = "/console/products/tv"
ALL = f"{TV}/policy"
METERED = {"pace": {"ramp": [10, "100%"]}, "guards": {"max_newly_due_share": "2%"}}
"""Ten first; and more than twenty at once are more than one person may decide."""


def one(number: int, act: str = "") -> str:
    return f"{ALL}/versions/{number}{act and '/'}{act}"


def proposed(desk: Desk, **changes: object) -> int:
    versions = Versions.on(desk.town.database, desk.town.clock)
    return versions.propose("tv", YEAR | {"unused_after": "P6M"} | changes, "console:ann")


def two_people(desk: Desk) -> None:
    with desk.town.database.transaction() as connection:
        products.change(connection, desk.town.product.id, {"approvals": 2})


def crowd(desk: Desk, many: int = 30) -> None:
    """Let so many have stopped using it eight months ago."""
    town = desk.town
    town.join(*(row(f"s{each:02}") for each in range(many)))
    for each in range(many):
        town.use(f"s{each:02}", town.clock.now().date() - timedelta(days=240))
    town.settle()


# --- two people ----------------------------------------------------------------------------


def test_one_proposes_another_approves_and_puts_it_in_force(desk: Desk) -> None:
    two_people(desk)
    number = proposed(desk)
    ann, bob = desk.person("approver", name="ann"), desk.person("approver", name="bob")
    page = ann.get(one(number)).text
    assert "1 more must approve it: 2 people in all." in page
    assert "You proposed it yourself" in page
    assert "Approve this version" not in page
    assert "Put it in force now" not in page
    refused = ann.post(one(number, "approve"))
    assert (refused.status_code, "you proposed version 2 yourself" in refused.text) == (409, True)
    assert ann.post(one(number, "activate")).status_code == 409
    assert bob.post(one(number, "approve")).status_code == 303
    assert "Put it in force now" in ann.get(one(number)).text
    assert ann.post(one(number, "activate")).status_code == 303
    assert desk.town.product.policy_version == number
    assert desk.audited()[-2:] == [
        ("policy_approved", "by_hand", "console:bob"),
        ("policy_activated", "by_hand", "console:ann"),
    ]


def test_an_approval_of_another_change_counts_no_more(desk: Desk) -> None:
    two_people(desk)
    first, second = proposed(desk), proposed(desk, unused_after="P3M")
    ann, bob = desk.person("approver", name="ann"), desk.person("approver", name="bob")
    for number in (first, second):
        assert bob.post(one(number, "approve")).status_code == 303
    desk.town.clock.advance(timedelta(minutes=1))
    assert ann.post(one(first, "activate")).status_code == 303
    assert ann.post(one(second, "activate")).status_code == 409
    assert "1 more must approve it" in bob.get(one(second)).text
    assert bob.post(one(second, "approve")).status_code == 303
    assert ann.post(one(second, "activate")).status_code == 303


def test_what_was_in_force_is_put_back_at_once(desk: Desk) -> None:
    two_people(desk)
    number = proposed(desk)
    ann, bob = desk.person("approver", name="ann"), desk.person("approver", name="bob")
    bob.post(one(number, "approve"))
    ann.post(one(number, "activate"))
    assert "Put this version back in force" in ann.get(one(1)).text
    assert ann.post(one(1, "activate")).status_code == 303
    assert desk.town.product.policy_version == 1
    assert desk.audited()[-1] == ("policy_activated", "put_back", "console:ann")
    assert "(put back)" in ann.get(one(1)).text


def test_pressing_twice_does_it_once(desk: Desk) -> None:
    number = proposed(desk)
    who = desk.person("approver", name="bob")
    for act, statuses in (("approve", (303, 303)), ("activate", (303, 409))):
        assert tuple(who.post(one(number, act)).status_code for _ in range(2)) == statuses
    with desk.town.database.transaction() as connection:
        found = store.version(connection, desk.town.product.id, number)
        activated = store.activations(connection, desk.town.product.id)
    assert [each.actor for each in found.approvals] == ["console:bob"]
    assert [each for each, _ in activated] == [1, number]


def test_a_version_is_put_in_force_at_its_time_by_nobody_else(desk: Desk) -> None:
    number = proposed(desk)
    who = desk.person("approver", name="bob")
    then = desk.town.clock.now() + timedelta(days=3)
    assert who.post(one(number, "schedule"), at=f"{then:%Y-%m-%dT%H:%M}").status_code == 303
    assert "waits for its time" in who.get(ALL).text
    versions = Versions.on(desk.town.database, desk.town.clock)
    assert versions.activate_due("tv") == 0
    desk.town.clock.advance(timedelta(days=3))
    assert versions.activate_due("tv") == 1
    assert desk.town.product.policy_version == number


@pytest.mark.parametrize(
    "at", ["", "now", "2024-13-01T00:00", "0001-01-01T00:00", "9999-12-31T23:59"]
)
def test_no_such_time(desk: Desk, at: str) -> None:
    number = proposed(desk)
    answer = desk.person("approver").post(one(number, "schedule"), at=at)
    assert answer.status_code in (400, 409)
    with desk.town.database.transaction() as connection:
        assert store.scheduled(connection, desk.town.product.id) is None


# --- what is shown -------------------------------------------------------------------------


def test_a_version_says_what_it_changes_what_it_would_do_and_what_became_of_it(desk: Desk) -> None:
    crowd(desk, 12)
    number = proposed(desk)
    who = desk.person("admin", name="eve")
    page = who.get(one(number)).text
    assert "Stopped using" in page
    assert "1 year (P1Y)" in page
    assert "6 months (P6M)" in page
    expected = re.search(r"Asked by the next day</th><td class=\"num\">(\d+)</td>", page)
    assert expected is not None
    assert expected[1] == "12"
    answer = who.post(one(number, "activate"))
    assert answer.status_code == 303, answer.text
    desk.town.plan()
    desk.town.settle()
    desk.town.clock.advance(timedelta(hours=1))
    desk.town.answer("s00", "keep")
    page = desk.person("viewer").get(one(number)).text
    came = dict(re.findall(r"<th scope=\"row\">([^<]+)</th><td class=\"num\">(\d+)</td>", page))
    assert (came["Asked"], came["Kept it"]) == ("12", "1")


def test_comments_are_codes(desk: Desk) -> None:
    number = proposed(desk)
    who = desk.person("editor", name="bob")
    for each in Comment:
        assert who.post(one(number, "comment"), code=each).status_code == 303
    assert who.post(one(number, "comment"), code="my own words").status_code == 400
    page = who.get(one(number)).text
    assert page.count("Comment: ") == len(Comment)
    assert "my own words" not in page


def test_a_long_list_of_versions_goes_on(desk: Desk) -> None:
    for _ in range(25):
        proposed(desk)
    who = desk.person("viewer")
    page = who.get(ALL).text
    assert page.count('aria-labelledby="v') == 20
    following = re.search(r"\?before=(\d+)", page)
    assert following is not None
    assert who.get(f"{ALL}?before={following[1]}").text.count('aria-labelledby="v') == 6
    for odd in ("-1", "x", "9" * 30):
        assert who.get(f"{ALL}?before={odd}").status_code == 200


def test_a_viewer_sees_and_presses_nothing(desk: Desk) -> None:
    number = proposed(desk)
    page = desk.person("viewer").get(one(number)).text
    assert re.findall(r'action="([^"]+)"', page) == ["/console/sign-out", "/console/language"]


def test_the_planning_that_follows_shows_how_far_it_is(desk: Desk) -> None:
    crowd(desk, 6)
    number = proposed(desk)
    who = desk.person("approver")
    who.post(one(number, "activate"))
    page = who.get(one(number)).text
    assert "<progress" in page
    assert "0% done" in page
    desk.town.plan()
    assert "<progress" not in who.get(one(number)).text
    with desk.town.database.transaction() as connection:
        plan = plans.of(connection, desk.town.product.id)
    assert plan is not None
    assert plan.share == 1.0


def test_a_dry_run_names_whom_a_version_would_ask_that_is_not_in_force(desk: Desk) -> None:
    crowd(desk, 12)
    desk.town.use("s03")
    number = proposed(desk)
    who = desk.person("editor", name="bob")
    page = who.get(one(number, "dry-run")).text
    assert "By the counts 11 would be asked today." in page
    assert "Of these 11 would be asked:" in page
    assert ">s02</a>" in page
    assert ">s03</a>" not in page
    lines = who.get(one(number, "dry-run.csv")).text.splitlines()
    assert [line.partition(",")[0] for line in lines[1:4]] == ["s00", "s01", "s02"]
    assert len(lines) == 12
    assert "Of these nobody would be asked." in who.get(one(1, "dry-run")).text
    assert "Of these nobody" in who.get(one(number, "dry-run") + f"?after={10**18}").text
    for odd in ("-1", "x", "9" * 30):
        assert who.get(f"{one(number, 'dry-run')}?after={odd}").status_code == 200
    assert desk.town.stages() == {}


# --- the list ------------------------------------------------------------------------------


def with_list(desk: Desk) -> tuple[Person, Person, int]:
    """Put a version in force that would ask more than one person may decide."""
    crowd(desk)
    two_people(desk)
    number = proposed(desk, **METERED)
    ann, bob = desk.person("approver", name="ann"), desk.person("approver", name="bob")
    bob.post(one(number, "approve"))
    ann.post(one(number, "activate"))
    desk.town.plan()
    desk.town.settle()
    return ann, bob, number


def test_the_list_is_read_by_somebody_else_before_anybody_is_asked(desk: Desk) -> None:
    ann, bob, number = with_list(desk)
    page = ann.get(one(number)).text
    assert "The list: 30 people would be asked" in page
    assert "somebody else approves the list" in page
    assert page.count("stopped using it") == 20
    assert desk.town.stages() == {}
    lines = ann.get(one(number, "list.csv")).text.splitlines()
    assert len(lines) == 31
    assert lines[0].startswith("external_id,why,plan")
    seen = re.search(r'name="hash" value="([0-9a-f]{64})"', bob.get(one(number)).text)
    assert seen is not None
    assert ann.post(one(number, "list/approve"), hash=seen[1]).status_code == 409
    assert bob.post(one(number, "list/approve"), hash="0" * 64).status_code == 409
    assert bob.post(one(number, "list/approve"), hash=seen[1]).status_code == 303
    desk.town.settle()
    assert desk.town.stages() == {"asked": 10}


def test_a_list_is_made_anew_and_what_was_read_before_approves_nothing(desk: Desk) -> None:
    _, bob, number = with_list(desk)
    seen = re.search(r'name="hash" value="([0-9a-f]{64})"', bob.get(one(number)).text)
    assert seen is not None
    assert bob.post(one(number, "list/renew")).status_code == 303
    desk.town.use("s00")
    desk.town.settle()
    with desk.town.database.transaction() as connection:
        made = lists.of(connection, desk.town.product.id, number)
    assert made is not None
    assert made.people == 29
    assert bob.post(one(number, "list/approve"), hash=seen[1]).status_code == 409
    assert desk.town.stages() == {}


# --- everything ----------------------------------------------------------------------------


def test_every_deed_stands_in_history(desk: Desk) -> None:
    _, bob, number = with_list(desk)
    with desk.town.database.transaction() as connection:
        made = lists.of(connection, desk.town.product.id, number)
    assert made is not None
    other = proposed(desk)
    then = desk.town.clock.now() + timedelta(days=1)
    deeds: tuple[tuple[str, dict[str, str]], ...] = (
        (one(number, "list/renew"), {}),
        (one(other, "dry-run"), {}),
        (one(other, "comment"), {"code": "looks_right"}),
        (one(other, "approve"), {}),
        (one(other, "schedule"), {"at": f"{then:%Y-%m-%dT%H:%M}"}),
        (one(other, "unschedule"), {}),
        (one(1, "activate"), {}),
        (one(other, "withdraw"), {}),
    )
    for path, form in deeds:
        before = len(desk.audited())
        assert bob.post(path, **form).status_code == 303, path
        assert len(desk.audited()) == before + 1, path
    routes = {
        rule.rule.rpartition("<int:number>/")[2]
        for rule in desk.app.url_map.iter_rules()
        if "/policy/versions/" in rule.rule and "POST" in (rule.methods or ())
    }
    tried = {path.partition("/versions/")[2].partition("/")[2] for path, _ in deeds}
    assert routes - tried == {"list/approve"}


def test_another_products_versions_are_not_there(desk: Desk) -> None:
    desk.town.founded(desk.town.database, desk.town.clock, desk.town.links, "radio")
    number = proposed(desk)
    other = desk.person("radio:admin")
    assert other.get(one(number)).status_code == 404
    address = one(number).replace("/tv/", "/radio/")
    assert other.get(address).status_code == 404
    assert other.post(f"{address}/approve").status_code == 404
    assert other.get(one(10**30).replace("/tv/", "/radio/")).status_code == 404


def test_what_can_be_said_of_versions_is_said_in_every_language() -> None:
    for language in ("en", "fr"):
        found = sentences(language)
        for each in (
            *(f"comment.{code}" for code in Comment),
            *(f"policy_line.{w}" for w in store.POLICY_LINES),
        ):
            assert each in found, (language, each)
    assert {"unused_after", "ramp", "send_between", "plan"} <= set(labels())


def test_names_that_others_chose_run_nowhere(desk: Desk) -> None:
    crowd(desk)
    two_people(desk)
    with desk.town.database.transaction() as connection:
        connection.execute(
            text(
                "update subscription set plan = '=<script>alert(1)</script>',"
                " external_id = '@' || external_id"
            )
        )
    number = proposed(desk, **METERED)
    bob = desk.person("approver", name="bob")
    bob.post(one(number, "approve"))
    desk.person("approver", name="ann").post(one(number, "activate"))
    desk.town.plan()
    desk.town.settle()
    assert "<script>" not in bob.get(one(number)).text
    lines = bob.get(one(number, "list.csv")).text.splitlines()[1:]
    assert len(lines) == 30
    assert all(line.startswith("'@") and "'=<script>" in line for line in lines)
