from datetime import date
from typing import Any

import pytest

from tests.app.web.api.conftest import System, problem_in
from tests.world import Town, row

ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/player",
    "type": "tv.watched",
    "subject": "ada",
    "time": "2024-08-22T08:57:25Z",
    "data": {"minutes": 7},
    "traceparent": "00-1-1-00",
}
HEADERS = {
    f"ce-{name}": str(EVENT[name])
    for name in ("specversion", "id", "source", "type", "subject", "time")
}


def told(reply: Any) -> tuple[int, int, int]:
    assert reply.status_code == 200, reply.text
    return reply.json["received"], reply.json["applied"], reply.json["rejected_total"]


def test_one_event_is_use_of_its_subject_at_its_time(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    assert told(app_feed.post("usage/cloudevents", EVENT, content_type=ONE)) == (1, 1, 0)
    assert town.case("ada").subscription.last_used_on == date(2024, 8, 22)


def test_a_batch_is_judged_event_by_event(town: Town, app_feed: System) -> None:
    town.join(row("ada"))
    without = {name: value for name, value in EVENT.items() if name != "subject"}
    batch = [without, EVENT, EVENT | {"specversion": "0.3"}, EVENT | {"time": "soon"}, 7]
    reply = app_feed.post("usage/cloudevents", batch, content_type=BATCH)
    assert told(reply) == (5, 1, 4)
    assert reply.json is not None
    assert [each["index"] for each in reply.json["rejected"]] == [0, 2, 3, 4]


def test_an_event_in_the_headers_is_taken_and_its_data_is_not_read(
    town: Town, app_feed: System
) -> None:
    town.join(row("ada b", email="ada@subscribers.example"))
    headers = HEADERS | {"ce-subject": "ada%20b"}
    reply = app_feed.post(
        "usage/cloudevents", b"\xff\xff", content_type="image/png", headers=headers
    )
    assert told(reply) == (1, 1, 0)


@pytest.mark.parametrize("missing", ["id", "source", "type", "subject", "time"])
def test_an_event_in_the_headers_that_lacks_one_is_rejected(app_feed: System, missing: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != f"ce-{missing}"}
    reply = app_feed.post("usage/cloudevents", b"", content_type="text/plain", headers=headers)
    assert told(reply) == (1, 0, 1)


def test_what_is_no_cloudevent_is_refused_by_its_content_type(app_feed: System) -> None:
    reply = app_feed.post("usage/cloudevents", EVENT)
    assert (reply.status_code, problem_in(reply)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("kind", [ONE, BATCH])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 10_000, b"NaN"])
def test_what_is_no_json_is_refused(app_feed: System, kind: str, body: bytes) -> None:
    reply = app_feed.post("usage/cloudevents", body, content_type=kind)
    assert reply.status_code in (400, 422)


def test_through_may_stand_in_the_address(town: Town, app_feed: System) -> None:
    app_feed.post("usage/cloudevents?through=2024-09-01", [], content_type=BATCH)
    assert town.product.hearing.heard_until == date(2024, 9, 1)
