import json
from collections.abc import Callable
from typing import Any

import pytest

from app.lifecycle.case import Reach
from app.links import Links
from app.web import create_app
from tests.app.web.api.conftest import BASE, System, problem_in
from tests.conftest import KEYS
from tests.probe import asked, rows
from tests.world import Town, row


@pytest.fixture
def mailer(system: Callable[..., System]) -> System:
    return system("usage", "app")


def told(mailer: System, *events: dict[str, Any]) -> Any:
    reply = mailer.post("feedback", {"events": list(events)})
    assert reply.status_code == 200, reply.text
    return reply.json


def message_id(town: Town, name: str) -> str:
    (found,) = [mail for mail in town.relay.mails() if str(mail["To"]).startswith(name)]
    return str(found["Message-ID"])


@pytest.mark.parametrize("kind", ["bounced", "complained"])
@pytest.mark.parametrize("written", ["{}", "<{}>", " <{}> "])
def test_a_bounce_of_an_ask_is_known_by_its_message_id_and_ends_the_round(
    town: Town, mailer: System, kind: str, written: str
) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    named = written.format(message_id(town, "ada")[1:-1])
    found = told(mailer, {"type": kind, "message_id": named})
    assert found == {
        "received": 1,
        "applied": 1,
        "unchanged": 0,
        "rejected": [],
        "rejected_total": 0,
    }
    assert (town.stage("ada"), town.case("ada").reach) == ("active", Reach(kind))
    assert (town.stage("bob"), town.case("bob").reach) == ("asked", Reach.OK)


def test_feedback_may_name_the_subscription(town: Town, mailer: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    assert told(mailer, {"type": "bounced", "subscription": "ada"})["applied"] == 1
    assert town.case("ada").reach is Reach.BOUNCED


def test_telling_it_again_changes_nothing(town: Town, mailer: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    event = {"type": "bounced", "subscription": "ada"}
    told(mailer, event)
    before = town.case("ada")
    assert told(mailer, event, event)["unchanged"] == 2
    assert town.case("ada") == before


def test_a_message_id_of_an_older_key_still_counts(town: Town, mailer: System) -> None:
    town.join(row("ada"))
    old = town.links.notice_id(town.id_of("ada"), 1, "ask", 1)
    links = Links(["another-key-0123456789-0123456789-0123456789", *KEYS], BASE)
    app = create_app(town.database, town.clock, links, base_url=BASE)
    changed = System(app.test_client(), mailer.key)
    assert links.notice_id(town.id_of("ada"), 1, "ask", 1) != old
    assert told(changed, {"type": "bounced", "message_id": f"<{old}@tv.example>"})["applied"] == 1


def test_what_is_not_ours_is_rejected_by_its_index_and_the_rest_goes_on(
    town: Town, mailer: System
) -> None:
    town.join(row("ada"))
    other = Town.founded(town.database, town.clock, town.links, "radio")
    other.join(row("rob"))
    sid = town.id_of("ada")
    mine = town.links.notice_id(sid, 1, "ask", 1)
    forged = Links(["wrong-key-0123456789-0123456789-0123456789"], "http://x")
    wrong = [
        {"message_id": f"<{forged.notice_id(sid, 1, 'ask', 1)}@tv.example>"},
        {"message_id": f"<{town.links.notice_id(other.id_of('rob'), 1, 'ask', 1)}@tv.example>"},
        {"message_id": f"<{town.links.notice_id(10**15, 1, 'ask', 1)}@tv.example>"},
        {"message_id": f"<ask.{town.links.answer_token(sid, 1)}@tv.example>"},
        {"message_id": f"<kept.{mine.partition('.')[2]}@tv.example>"},
        {"message_id": mine},
        {"message_id": "<>"},
        {"message_id": "<\u00e9\0@x>"},
        {"subscription": "rob"},
        {"subscription": "a\0"},
        {"subscription": "ada", "message_id": f"<{mine}@tv.example>"},
        {},
    ]
    events = [{"type": "bounced"} | each for each in wrong]
    found = told(mailer, *events, {"type": "bounced", "subscription": "ada"})
    assert [each["index"] for each in found["rejected"]] == list(range(len(wrong)))
    assert found["applied"] == 1
    assert other.case("rob").reach is Reach.OK
    assert "rob" not in json.dumps(found)


@pytest.mark.parametrize(
    "body",
    [
        {"events": [{"type": "delayed", "subscription": "ada"}]},
        {"events": [{"type": "bounced", "subscription": "ada", "email": "a@b.example"}]},
        {"events": [{"subscription": "ada"}]},
        {"events": [{"type": "bounced", "subscription": "ada"}] * 1001},
        {"events": None},
        {},
    ],
)
def test_what_is_no_feedback_is_refused_whole(town: Town, mailer: System, body: Any) -> None:
    town.join(row("ada"))
    reply = mailer.post("feedback", body)
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-body")
    assert "b.example" not in reply.text
    assert town.case("ada").reach is Reach.OK


def test_of_somebody_erased_nothing_is_noted(town: Town, mailer: System) -> None:
    town.join(row("ada"))
    rows(town.database, "delete from contact")
    found = told(mailer, {"type": "bounced", "subscription": "ada"})
    assert (found["applied"], found["rejected_total"]) == (0, 1)
