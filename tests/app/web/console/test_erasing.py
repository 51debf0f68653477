"""The pages of erasing: manifests, holds, erasures and the systems that are told."""

import re
from datetime import date, timedelta

import pytest

from app.store import erasing_views
from tests.app.web.console.conftest import ERASURE, Desk, Things, erased, late
from tests.manifests import hash_of, made
from tests.probe import asked, rows
from tests.world import row

TV = "/console/products/tv"
DAY = timedelta(days=1)


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.town.join(row("a"), row("b", plan="gold"), row("c"))
    return desk


def person(desk: Desk, name: str) -> str:
    return f"{TV}/people/{desk.town.id_of(name)}"


def forgotten(desk: Desk, name: str) -> None:
    """Let what names somebody be gone, as after an erasure."""
    statement = "delete from contact where subscription_id = :id"
    rows(desk.town.database, statement, id=desk.town.id_of(name))


def state(desk: Desk) -> str:
    return str(rows(desk.town.database, "select state from manifest")[0][0])


# --- manifests -------------------------------------------------------------------------------


def test_two_people_approve_what_they_have_read(desk: Desk) -> None:
    number = made(desk.town, "a", "b")
    page, seen = f"{TV}/manifests/{number}", hash_of(desk.town, number)
    ann, ben = (desk.person("approver", name=name) for name in ("ann", "ben"))
    text = ann.get(page).text
    assert seen in text
    assert "2 of 2 people have yet to approve it." in text
    assert "Approve that these 2 people are erased" in text
    assert "warned at least 2 times" in text
    assert "cannot be brought back" in text
    for name in ("a", "b"):
        assert f'<a href="{person(desk, name)}" dir="auto">{name}</a>' in text
    assert "1</a>" not in ann.get(f"{TV}/").text
    assert "Manifests to approve" in ann.get(f"{TV}/").text

    answer = ann.post(f"{page}/approve", hash=seen)

    assert answer.headers["Location"].endswith("so=manifest_approved")
    after = ann.get(page).text
    assert "You have approved it." in after
    assert f"{page}/approve" not in after
    assert "1 of 2 people have yet to approve it." in after
    assert ann.post(f"{page}/approve", hash=seen).status_code == 303
    assert state(desk) == "waiting"
    assert ben.post(f"{page}/approve", hash=seen).headers["Location"].endswith("manifest_agreed")
    assert state(desk) == "approved"
    assert "Enough people have approved it." in ben.get(page).text
    assert desk.audited()[-2:] == [
        ("manifest_approved", "manifest_1", "console:ann"),
        ("manifest_approved", "manifest_1", "console:ben"),
    ]


def test_whoever_loses_the_role_does_not_count_any_more(desk: Desk) -> None:
    number = made(desk.town, "a")
    page, seen = f"{TV}/manifests/{number}", hash_of(desk.town, number)
    ann = desk.person("approver", name="ann")
    desk.person("tv:approver", name="ben").post(f"{page}/approve", hash=seen)
    desk.person("tv:editor", name="ben")
    ann.post(f"{page}/approve", hash=seen)
    text = ann.get(page).text
    assert "does not count" in text
    assert "1 of 2 people have yet to approve it." in text
    assert state(desk) == "waiting"


@pytest.mark.parametrize("seen", ["", "all", "*", "0" * 64])
def test_another_hash_approves_nothing(desk: Desk, seen: str) -> None:
    number = made(desk.town, "a")
    answer = desk.person("admin").post(f"{TV}/manifests/{number}/approve", hash=seen)
    assert answer.status_code == 409
    assert "Read it again" in answer.text
    assert not rows(desk.town.database, "select 1 from manifest_approval")


def test_who_approves_has_proved_lately_who_they_are(desk: Desk) -> None:
    number = made(desk.town, "a")
    stale = desk.person("approver", proved=timedelta(minutes=11))
    answer = stale.post(f"{TV}/manifests/{number}/approve", hash=hash_of(desk.town, number))
    assert answer.status_code == 303
    assert "/console/again" in answer.headers["Location"]
    assert not rows(desk.town.database, "select 1 from manifest_approval")
    assert stale.post(f"{TV}/manifests/{number}/refuse").status_code == 303
    assert state(desk) == "refused", "a stop is not put off"


def test_who_had_it_made_is_not_offered_the_button(desk: Desk) -> None:
    number = made(desk.town, "a", made_by="console:ann")
    ann = desk.person("approver", name="ann")
    text = ann.get(f"{TV}/manifests/{number}").text
    assert "You had it made, so two others approve it." in text
    assert f"{TV}/manifests/{number}/approve" not in text
    answer = ann.post(f"{TV}/manifests/{number}/approve", hash=hash_of(desk.town, number))
    assert answer.status_code == 409


def test_one_is_refused_and_says_so(desk: Desk) -> None:
    number = made(desk.town, "a")
    page, who = f"{TV}/manifests/{number}", desk.person("approver")
    assert who.post(f"{page}/refuse").headers["Location"].endswith("so=manifest_refused")
    text = who.get(page).text
    assert "left alone for 30 days" in text
    assert f"{page}/approve" not in text
    assert f"{page}/refuse" not in text
    again = who.post(f"{page}/approve", hash=hash_of(desk.town, number))
    assert again.status_code == 409


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_a_smaller_role_reads_and_is_offered_no_button(desk: Desk, role: str) -> None:
    number = made(desk.town, "a")
    text = desk.person(role).get(f"{TV}/manifests/{number}").text
    assert hash_of(desk.town, number) in text
    assert "/approve" not in text
    assert "/refuse" not in text
    assert ("people.csv" in text) is (role == "editor")


def test_somebody_is_looked_for_by_the_exact_id(desk: Desk) -> None:
    number = made(desk.town, "a", "b")
    who, page = desk.person("viewer"), f"{TV}/manifests/{number}"
    rows(
        desk.town.database,
        "delete from contact where subscription_id = :id",
        id=desk.town.id_of("b"),
    )
    assert "Nobody of that id is on it." not in who.get(page).text
    assert "Nobody of that id is on it." not in who.get(f"{page}?who=a").text
    for nobody in ("c", "%25", "b", "A", "%3Cscript%3E"):
        text = who.get(f"{page}?who={nobody}").text
        assert "Nobody of that id is on it." in text
        assert "<script" not in text


def test_what_became_of_them_is_said_afterwards(desk: Desk) -> None:
    number = made(desk.town, "a", "b", "c")
    page, who = f"{TV}/manifests/{number}", desk.person("viewer")
    assert "What became of them" not in who.get(page).text
    rows(
        desk.town.database,
        "update manifest_entry set state = 'skipped', skipped = 'restriction'"
        " where subscription_id = :id",
        id=desk.town.id_of("a"),
    )
    text = who.get(page).text
    assert "What became of them" in text
    assert "passed over: their data is restricted" in text


def test_an_empty_one_and_one_being_made_offer_nothing(desk: Desk) -> None:
    who = desk.person("admin")
    for state_of, says in (("waiting", "it erases nobody"), ("making", "still being made")):
        number = made(desk.town, state=state_of)
        text = who.get(f"{TV}/manifests/{number}").text
        assert says in text
        assert "/approve" not in text


def test_a_file_has_everybody(desk: Desk) -> None:
    number = made(desk.town, "a", "b")
    answer = desk.person("editor").get(f"{TV}/manifests/{number}/people.csv")
    assert answer.mimetype == "text/csv"
    assert "tv-manifest-1.csv" in answer.headers["Content-Disposition"]
    assert [line.split(",")[0] for line in answer.text.splitlines()] == ["external_id", "a", "b"]
    assert desk.person("editor").get(f"{TV}/manifests/9/people.csv").status_code == 404


def test_a_long_list_goes_on(desk: Desk) -> None:
    for _ in range(32):
        made(desk.town)
    who = desk.person("viewer")
    following = re.search(r"before=(\d+)", who.get(f"{TV}/manifests").text)
    assert following is not None
    rest = who.get(f"{TV}/manifests?before={following[1]}").text
    assert rest.count("<tr>") == 3
    for odd in ("-1", "x", "9" * 10, "9" * 30):
        assert who.get(f"{TV}/manifests?before={odd}").status_code == 200
        assert who.get(f"{TV}/manifests/{odd}").status_code == 404


# --- holds -----------------------------------------------------------------------------------


def test_a_hold_is_set_looked_at_and_released_on_a_persons_page(desk: Desk) -> None:
    who, page = desk.person("approver", name="eve"), person(desk, "a")
    answer = who.post(f"{page}/hold", reason="legal", review_on="2024-10-01")
    assert answer.headers["Location"].endswith("so=hold_set")
    text = who.get(page).text
    assert "A hold stops erasure (Law, or a claim). Somebody looks at it on 1 Oct 2024." in text
    found = re.search(r"/holds/(\d+)/release", text)
    assert found is not None
    assert desk.town.case("a").held

    desk.town.clock.advance(31 * DAY)
    who = desk.person("approver", name="eve")
    assert "Holds to look at" in who.get(f"{TV}/").text
    review = who.post(f"{TV}/holds/{found[1]}/review", review_on="2024-12-01")
    assert review.headers["Location"].endswith("/holds?so=hold_reviewed")
    assert "Holds to look at" not in who.get(f"{TV}/").text

    number = str(desk.town.id_of("a"))
    released = who.post(f"{TV}/holds/{found[1]}/release", person=number)

    assert released.headers["Location"].endswith(f"/people/{number}?so=hold_released")
    assert not desk.town.case("a").held
    assert [each[:2] for each in desk.audited() if each[0].startswith("hold")] == [
        ("hold_set", "legal"),
        ("hold_reviewed", "legal"),
        ("hold_released", "legal"),
    ]
    gone = who.post(f"{TV}/holds/{found[1]}/review", review_on="2024-12-02")
    assert gone.status_code == 409


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"reason": "because"}, 400),
        ({"reason": "legal", "review_on": "soon"}, 400),
        ({"reason": "legal", "review_on": "2024-08-31"}, 409),
        ({"reason": "legal", "review_on": "2026-09-02"}, 409),
        ({"reason": "legal"}, 303),
    ],
)
def test_what_is_no_hold_is_refused(desk: Desk, form: dict[str, str], status: int) -> None:
    assert desk.person("editor").post(f"{person(desk, 'a')}/hold", **form).status_code == status
    assert desk.town.case("a").held is (status == 303)


def test_who_is_being_erased_cannot_be_held(desk: Desk) -> None:
    asked(desk.town, "a")
    rows(desk.town.database, "update reconfirmation set stage = 'erasing'")
    answer = desk.person("editor").post(f"{person(desk, 'a')}/hold", reason="legal")
    assert answer.status_code == 409
    assert "too late for a hold" in answer.text


def test_an_editor_sets_and_an_approver_releases(desk: Desk) -> None:
    editor, page = desk.person("editor"), person(desk, "a")
    editor.post(f"{page}/hold", reason="entitlement")
    text = editor.get(page).text
    assert "/review" in text
    assert "/release" not in text
    viewer = desk.person("viewer").get(page).text
    assert "Bought content" in viewer
    assert f"{page}/hold" not in viewer


def test_holds_are_listed_those_to_look_at_first(desk: Desk) -> None:
    who = desk.person("editor")
    assert "Nobody is held." in who.get(f"{TV}/holds").text
    who.post(f"{person(desk, 'a')}/hold", reason="legal")
    who.post(f"{person(desk, 'b')}/hold", reason="dispute", review_on="2024-09-01")
    text = who.get(f"{TV}/holds").text
    assert f'href="{person(desk, "b")}"' in text
    assert f'href="{person(desk, "a")}"' not in text
    both = who.get(f"{TV}/holds?show=on").text
    assert f'href="{person(desk, "a")}"' in both
    for odd in ("-1", "x", "9" * 30):
        assert who.get(f"{TV}/holds?show=on&after={odd}").status_code == 200


def test_a_dispute_that_came_too_late_waits_until_somebody_has_seen_to_it(desk: Desk) -> None:
    number, who = late(desk.town, "a"), desk.person("editor", name="eve")
    assert "Disputes that came too late" in who.get(f"{TV}/").text
    assert "stripe:dp_" in who.get(f"{TV}/holds").text
    assert who.post(f"{TV}/disputes/{number}/seen").status_code == 303
    assert who.post(f"{TV}/disputes/{number}/seen").status_code == 409
    assert who.post(f"{TV}/disputes/{number + 1}/seen").status_code == 404
    assert "stripe:dp_" not in who.get(f"{TV}/holds").text
    assert desk.audited()[-1] == ("dispute_seen", "by_hand", "console:eve")


# --- erasures and targets --------------------------------------------------------------------


def test_an_erasure_shows_its_steps_and_who_owes_what(desk: Desk) -> None:
    asked(desk.town, "a")
    rows(desk.town.database, "update reconfirmation set erasing = 'telling'")
    erased(desk.town, "a")
    who = desk.person("viewer")
    listed = who.get(f"{TV}/erasures").text
    assert f"{TV}/erasures/{ERASURE}" in listed
    assert "Every system is told, and answers" in listed
    assert "1 stopped" in listed
    text = who.get(f"{TV}/erasures/{ERASURE}").text
    stands = re.findall(r'<li class="(\w+)"', text)
    assert stands == ["done", "here", "ahead", "ahead", "ahead"]
    assert "http 503" in text
    assert "their own request" in text
    assert "/retry" not in text
    assert "/c/" not in text

    at = desk.town.clock.now()
    rows(
        desk.town.database,
        """update erasure set ended_at = :at, ledger_no = 7, certificate = '{}'""",
        at=at,
    )
    rows(
        desk.town.database,
        "delete from contact where subscription_id = :id",
        id=desk.town.id_of("a"),
    )
    text = who.get(f"{TV}/erasures/{ERASURE}").text
    assert re.findall(r'<li class="(\w+)"', text) == ["done"] * 5
    assert f'<a href="/c/{ERASURE}">' in text
    assert '<span class="soft">erased</span>' in text
    assert ERASURE not in who.get(f"{TV}/erasures").text
    assert ERASURE in who.get(f"{TV}/erasures?show=ended").text


def test_a_receipt_that_stopped_is_tried_again(desk: Desk, things: Things) -> None:
    who = desk.person("editor", name="eve")
    assert "Receipts that stopped" in who.get(f"{TV}/").text
    page = who.get(f"{TV}/targets").text
    assert "crm" in page
    assert "profile, tickets" in page
    path = f"{TV}/erasures/{ERASURE}/receipts/{things.target}/retry"
    assert path in page
    long_ago = desk.town.clock.now() - timedelta(days=20)
    rows(desk.town.database, "update receipt set told_at = :at, tries = 64", at=long_ago)
    assert who.post(path).headers["Location"].endswith("so=retried")
    assert rows(desk.town.database, "select state, not_before, told_at, tries from receipt") == [
        ("due", desk.town.clock.now(), None, 0)
    ], "else it would be put before a person again at once"
    assert who.post(path).status_code == 409
    assert desk.audited()[-1] == ("receipt_retried", "by_hand", "console:eve")
    assert "Receipts that stopped" not in who.get(f"{TV}/").text
    assert who.post(path.replace(ERASURE, "era_2")).status_code == 404


def test_what_another_product_has_is_not_there(desk: Desk, things: Things) -> None:
    desk.town.founded(desk.town.database, desk.town.clock, desk.town.links, "radio")
    other = desk.person("radio:admin", "tv:viewer")
    for path in (
        f"erasures/{ERASURE}/receipts/{things.target}/retry",
        f"holds/{things.hold}/release",
        f"manifests/{things.manifest}/refuse",
        f"disputes/{things.dispute}/seen",
    ):
        assert other.post(f"/console/products/radio/{path}").status_code == 404
    assert other.get(f"/console/products/radio/erasures/{ERASURE}").status_code == 404
    for page in ("manifests", "holds?show=on", "erasures", "targets"):
        text = other.get(f"/console/products/radio/{page}").text
        assert "<tr>" not in text
    with desk.town.database.transaction() as connection:
        radio = connection.exec_driver_sql("select id from product where key = 'radio'").scalar()
        nothing = erasing_views.waits(connection, int(radio or 0), date.max)
    assert nothing == erasing_views.Waits(0, 0, 0, 0)


def test_many_erasures_go_on_page_by_page(desk: Desk) -> None:
    names = [f"p{each:02}" for each in range(52)]
    desk.town.join(*map(row, names))
    for each in names:
        erased(desk.town, each, f"era_{each}", state="told")
    who = desk.person("viewer")
    following = re.search(r"before=(\w+)", who.get(f"{TV}/erasures").text)
    assert following is not None
    assert who.get(f"{TV}/erasures?before={following[1]}").text.count("<tr>") == 3
    for odd in ("x", "%00", "a" * 999, "era_'--"):
        assert who.get(f"{TV}/erasures?before={odd}").status_code == 200
    assert who.get(f"{TV}/erasures/{'a' * 999}").status_code == 404
