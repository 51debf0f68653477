"""What endpoints are told: every story, the shape of a message, silence where nobody listens."""

import json
from datetime import timedelta
from typing import Any

import pytest

from app.engine import news as engine_news
from app.engine.news import COMPLETED, TYPES, types_of
from app.lifecycle.case import Reach, Undelivered
from app.store import cases
from app.store.cases import HistoryWrite
from app.store.products import Listener
from jobs.telling import Teller
from tests.erasing import Scripted, begun, registered
from tests.probe import (
    DAY,
    HOUR,
    MINUTE,
    asked,
    goes,
    listening,
    news,
    news_bodies,
    rows,
    suspended,
    window_ends,
)
from tests.world import START, YEAR, Town, row

R, S, E = "reconfirmation", "subscription", "erasure"


@pytest.fixture
def listened(town: Town) -> Town:
    """Give a town whose product has an endpoint, and somebody who is due."""
    listening(town)
    town.join(row("ada", customer="cus_1"))
    return town


# --- stories -----------------------------------------------------------------------------------


def test_an_ask_is_told_when_it_was_handed_over_and_not_when_it_was_queued(listened: Town) -> None:
    listened.sweep()
    assert news(listened, "ada") == []
    listened.deliver()
    assert news(listened, "ada") == [f"{R}.asked"]


def test_a_reminder_is_told_when_it_was_handed_over(listened: Town) -> None:
    asked(listened, "ada")
    goes(listened, START + 8 * DAY)
    listened.sweep()
    assert news(listened, "ada") == [f"{R}.asked"]
    listened.deliver()
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.reminded"]


def test_a_keep_is_told_at_once(listened: Town) -> None:
    asked(listened, "ada")
    listened.answer("ada", "keep")
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.kept"]


def test_a_keep_that_is_taken_back_is_told_as_asked(listened: Town) -> None:
    asked(listened, "ada")
    listened.answer("ada", "keep")
    listened.clock.advance(MINUTE)
    listened.answer("ada", "undo")
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.kept", f"{R}.asked"]


def test_a_keep_and_a_cancel_of_a_robot_leave_them_asked(listened: Town) -> None:
    asked(listened, "ada")
    listened.answer("ada", "keep")
    listened.answer("ada", "cancel")
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.kept", f"{R}.asked"]


def test_a_cancel_is_told_when_billing_has_done_it(listened: Town) -> None:
    asked(listened, "ada")
    listened.answer("ada", "cancel")
    listened.deliver()
    assert news(listened, "ada") == [f"{R}.asked"]
    listened.clock.advance(11 * MINUTE)
    listened.deliver()
    assert news(listened, "ada")[1:] == [f"{R}.canceled", f"{S}.canceled", f"{E}.scheduled"]


def test_a_cancel_that_is_taken_back_in_time_is_not_told(listened: Town) -> None:
    asked(listened, "ada")
    listened.answer("ada", "cancel")
    listened.clock.advance(MINUTE)
    listened.answer("ada", "undo")
    listened.clock.advance(HOUR)
    listened.deliver()
    assert news(listened, "ada") == [f"{R}.asked"]


def test_a_keep_that_an_undo_only_restores_is_told_once(listened: Town) -> None:
    asked(listened, "ada")
    listened.answer("ada", "keep")
    listened.clock.advance(DAY)
    listened.answer("ada", "cancel")
    listened.clock.advance(MINUTE)
    listened.answer("ada", "undo")
    assert listened.story("ada").count("kept") == 2
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.kept"]


def test_use_is_told_as_a_return(listened: Town) -> None:
    asked(listened, "ada")
    listened.clock.advance(DAY)
    listened.use("ada")
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.returned"]


def test_silence_is_told_at_the_end_of_the_window_and_the_suspension_when_done(
    listened: Town,
) -> None:
    asked(listened, "ada")
    window_ends(listened, "ada")
    listened.sweep()
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.expired"]
    listened.deliver()
    assert news(listened, "ada")[2:] == [f"{S}.suspended", f"{E}.scheduled"]


def test_silence_that_cancels_is_no_cancel_of_theirs(listened: Town) -> None:
    listened.put_in_force(YEAR | {"on_no_answer": "cancel_at_period_end"})
    asked(listened, "ada")
    window_ends(listened, "ada")
    listened.settle()
    assert news(listened, "ada")[1:] == [f"{R}.expired", f"{S}.canceled", f"{E}.scheduled"]


def test_silence_that_nothing_follows_from_is_told_once(listened: Town) -> None:
    listened.put_in_force(YEAR | {"on_no_answer": "nothing"})
    asked(listened, "ada")
    window_ends(listened, "ada")
    listened.settle()
    assert news(listened, "ada") == [f"{R}.asked", f"{R}.expired"]


def test_a_resume_is_told_when_billing_has_done_it_and_ends_the_erasure(listened: Town) -> None:
    suspended(listened, "ada")
    listened.answer("ada", "resume")
    before = len(news(listened, "ada"))
    listened.clock.advance(MINUTE)
    listened.deliver()
    told = news_bodies(listened, "ada")[before:]
    assert [kind for kind, _ in told] == [f"{S}.resumed"]
    data = told[0][1]["data"]
    assert (data["stage"], data["erase_on"], data["by"]) == ("active", None, "subscriber")


def test_use_after_a_suspension_stops_the_erasure(listened: Town) -> None:
    suspended(listened, "ada")
    listened.clock.advance(DAY)
    listened.use("ada")
    kind, body = news_bodies(listened, "ada")[-1]
    assert (kind, body["data"]["erase_on"], body["data"]["by"]) == (
        f"{E}.stopped",
        None,
        "subscriber",
    )


@pytest.mark.parametrize("reach", [Reach.BOUNCED, Reach.COMPLAINED])
def test_who_is_not_reached_is_told(listened: Town, reach: Reach) -> None:
    asked(listened, "ada")
    listened.tell("ada", Undelivered(reach))
    kind, body = news_bodies(listened, "ada")[-1]
    assert (kind, body["data"]["why"]) == (f"{R}.unreachable", str(reach))


def test_who_billing_takes_the_address_from_is_no_news_to_it(listened: Town) -> None:
    suspended(listened, "ada")
    before = len(news(listened, "ada"))
    listened.join(row("ada", customer="cus_1", email=""))
    assert news(listened, "ada")[before:] == [f"{E}.stopped"]


def test_what_billing_does_by_itself_is_told_as_its_doing(listened: Town) -> None:
    listened.join(row("ada", customer="cus_1", status="canceled"))
    told = news_bodies(listened, "ada")
    assert [kind for kind, _ in told] == [f"{S}.canceled", f"{E}.scheduled"]
    assert {body["data"]["by"] for _, body in told} == {"billing"}


def test_an_ask_that_is_handed_over_too_late_is_no_promise() -> None:
    note = HistoryWrite(1, 1, "notice.ask_handed_over", "relay_took_it", 1)
    assert types_of(note, None, None) == ()


def test_every_type_is_told_of_somebody(town: Town) -> None:
    listening(town)
    town.join(*(row(name) for name in ("keeps", "cancels", "uses", "bounces", "quiet", "back")))
    asked(town, "quiet")
    town.answer("keeps", "keep")
    town.answer("cancels", "cancel")
    town.tell("bounces", Undelivered(Reach.BOUNCED))
    town.clock.advance(DAY)
    town.use("uses")
    goes(town, START + 8 * DAY)
    town.settle()
    window_ends(town, "quiet")
    town.settle()
    town.answer("back", "resume")
    town.clock.advance(MINUTE)
    town.use("quiet")
    town.deliver()
    registered(town, "crm")
    begun(town, "quiet")
    there = Scripted()
    Teller(town.database, town.clock, town.links, there.connect).once("tv")
    told = {kind for (kind,) in rows(town.database, "select distinct type from webhook")}
    assert told == set(TYPES) - {COMPLETED}, "which is told when nobody is left"


# --- the shape of a message --------------------------------------------------------------------


def test_a_message_says_what_happened_when_and_until_when_to_answer(listened: Town) -> None:
    asked(listened, "ada")
    (_, body), current = news_bodies(listened, "ada")[0], listened.case("ada").round
    assert current is not None
    assert body == {
        "type": "reconfirmation.asked",
        "timestamp": "2024-09-01T12:00:00Z",
        "data": {
            "subscription": "ada",
            "customer": "cus_1",
            "stage": "asked",
            "round": 1,
            "why": "relay_took_it",
            "policy_version": current.version,
            "asked_at": "2024-09-01T12:00:00Z",
            "answer_by": "2024-10-01T23:00:00Z",
            "paid_until": None,
            "erase_on": None,
            "by": "worker",
        },
    }


def test_after_a_suspension_a_message_states_the_time_paid_and_the_day(listened: Town) -> None:
    suspended(listened, "ada")
    data = dict(news_bodies(listened, "ada"))[f"{S}.suspended"]["data"]
    current = listened.case("ada").round
    assert current is not None
    assert (data["stage"], data["by"]) == ("suspended", "silence")
    assert data["erase_on"] == str(current.erase_on)
    assert data["paid_until"] == "2024-09-20T00:00:00Z"


def test_no_message_holds_an_address_or_a_name_of_an_operator(listened: Town) -> None:
    suspended(listened, "ada")
    listened.answer("ada", "resume")
    listened.settle()
    for (body,) in rows(listened.database, "select body from webhook"):
        assert "@" not in body
        assert "subscribers.example" not in body
        assert "cli:" not in body


def test_every_message_has_an_id_of_its_own_also_at_one_moment(listened: Town) -> None:
    listening(listened)
    asked(listened, "ada")
    for _ in range(3):
        listened.answer("ada", "keep")
        listened.clock.advance(timedelta(seconds=11))
        listened.answer("ada", "undo")
        listened.clock.advance(timedelta(seconds=11))
    ids = [name for (name,) in rows(listened.database, "select message_id from webhook")]
    assert len(ids) == len(set(ids)) == 14


# --- who is told -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "wanted", "unwanted"),
    [
        ((), "reconfirmation.asked", "billing.suspend"),
        (("billing.*",), "billing.cancel", "reconfirmation.asked"),
        (("reconfirmation.*",), "reconfirmation.kept", "erasure.scheduled"),
        (("erasure.scheduled",), "erasure.scheduled", "erasure.stopped"),
        (("billing.*", "erasure.*"), "erasure.stopped", "reconfirmation.asked"),
    ],
)
def test_an_endpoint_wants_what_it_named(
    types: tuple[str, ...], wanted: str, unwanted: str
) -> None:
    listener = Listener(1, frozenset(types))
    assert listener.wants(wanted)
    assert not listener.wants(unwanted)


def test_each_endpoint_is_told_what_it_wants(town: Town) -> None:
    every = listening(town)
    kept = listening(town, types=("reconfirmation.kept",))
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "keep")
    found = rows(town.database, "select endpoint_id, type from webhook order by id")
    assert found == [(every, f"{R}.asked"), (every, f"{R}.kept"), (kept, f"{R}.kept")]


def test_endpoints_of_another_product_hear_nothing(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    listening(radio)
    town.join(row("ada"))
    asked(town, "ada")
    assert rows(town.database, "select count(*) from webhook") == [(0,)]


def test_a_retired_endpoint_is_told_nothing_more(listened: Town) -> None:
    rows(listened.database, "update endpoint set retired_at = created_at")
    asked(listened, "ada")
    assert news(listened, "ada") == []


@pytest.mark.parametrize("types", [None, ("billing.*",)])
def test_where_nobody_listens_nothing_is_asked_or_written(
    town: Town, monkeypatch: pytest.MonkeyPatch, types: tuple[str, ...] | None
) -> None:
    if types is not None:
        listening(town, types=types)

    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(engine_news, "post", never)
    monkeypatch.setattr(engine_news, "types_of", never)
    town.join(row("ada"))
    asked(town, "ada")


def test_messages_are_written_with_what_caused_them_or_not_at_all(
    listened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(listened, "ada")
    before = listened.story("ada")

    def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cases, "update_reach", breaks)
    with pytest.raises(ZeroDivisionError):
        listened.answer("ada", "keep")
    assert (news(listened, "ada"), listened.story("ada")) == ([f"{R}.asked"], before)


def test_a_body_is_json_whatever_the_ids_are(town: Town) -> None:
    listening(town)
    odd = 'a"\\é</script>'
    town.join(row(odd, customer=odd, email="a@subscribers.example"))
    asked(town, odd)
    (body,) = rows(town.database, "select body from webhook")[0]
    assert json.loads(body)["data"]["subscription"] == odd
