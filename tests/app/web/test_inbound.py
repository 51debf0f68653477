"""The address that billing systems call: what it answers to what is not as it should be."""

import io
import json
import random
import string
from collections import Counter
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse, create_environ

from app.engine import door
from app.signing import new_secret, sign
from app.store import products
from app.web.inbound import LARGEST
from tests.probe import fingerprint, rows
from tests.world import START, Town, row

SECRET, NEWER = new_secret(), new_secret()
PATH = "/webhooks/tv/standard"
MANGLED = 150
SEED = 20240901


@pytest.fixture
def town(town: Town) -> Town:
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        values = {"billing": "standard", "signing_secrets": [SECRET]}
        products.change(connection, number, values)
    return town


def body_of(kind: str = "created", **changes: Any) -> bytes:
    event = {"type": f"subscription.{kind}", "timestamp": START.isoformat()}
    return json.dumps(event | {"data": row("ada", **changes)}).encode()


def signed(town: Town, body: bytes, message_id: str = "m1", secret: str = SECRET) -> dict[str, str]:
    return sign([secret], message_id, town.clock.wall(), body)


def post(
    browser: FlaskClient, town: Town, body: bytes, message_id: str = "m1", **more: Any
) -> TestResponse:
    return browser.post(PATH, data=body, headers=signed(town, body, message_id), **more)


def problem(reply: TestResponse) -> str:
    assert reply.mimetype == "application/problem+json"
    found = reply.get_json()
    assert found["status"] == reply.status_code
    return str(found["type"]).partition("#")[2]


def received(town: Town) -> int:
    ((count,),) = rows(town.database, "select count(*) from inbox")
    return int(count)


# --- what is answered ------------------------------------------------------------------------


def test_each_result_is_answered_as_the_contract_says(browser: FlaskClient, town: Town) -> None:
    late = json.loads(body_of())
    late["timestamp"] = (START - timedelta(days=30)).isoformat()
    said = [
        (body_of(), "m1"),
        (body_of(), "m1"),
        (json.dumps(late).encode(), "m2"),
        (b'{"type": "invoice.paid"}', "m3"),
    ]
    replies = [post(browser, town, body, message_id) for body, message_id in said]
    assert [(reply.status_code, reply.get_json()) for reply in replies] == [
        (200, {"result": "applied"}),
        (200, {"result": "duplicate"}),
        (200, {"result": "stale"}),
        (200, {"result": "ignored"}),
    ]
    assert {reply.mimetype for reply in replies} == {"application/json"}


def test_signed_but_unreadable_is_a_422_that_names_field_and_mend_and_repeats_nothing(
    browser: FlaskClient, town: Town
) -> None:
    reply = post(browser, town, body_of(country="ada@private.example"))
    assert (reply.status_code, problem(reply)) == (422, "unreadable")
    assert "data.country is no ISO 3166-1 code, such as DE" in reply.get_json()["detail"]
    assert "private" not in reply.get_data(as_text=True)
    assert rows(town.database, "select state from inbox") == [("unreadable",)]


def test_what_raises_is_a_500_and_kept(browser: FlaskClient, town: Town) -> None:
    with mock.patch.object(door, "step", side_effect=ZeroDivisionError):
        reply = post(browser, town, body_of("canceled"))
    assert (reply.status_code, problem(reply)) == (500, "not-applied")
    assert rows(town.database, "select state from inbox") == [("failed",)]
    assert post(browser, town, body_of("canceled")).get_json() == {"result": "applied"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"a": NaN}',
        b'{"a": 1e400}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": 1, "a": 1}',
        b"\0",
        b"",
    ],
)
def test_odd_json_is_a_422_and_kept(browser: FlaskClient, town: Town, body: bytes) -> None:
    assert problem(post(browser, town, body)) == "unreadable"
    assert received(town) == 1


def test_the_body_is_verified_as_the_very_bytes(browser: FlaskClient, town: Town) -> None:
    body = body_of()
    same = json.dumps(json.loads(body), indent=1).encode()
    assert browser.post(PATH, data=same, headers=signed(town, body)).status_code == 401
    assert browser.post(PATH, data=body, headers=signed(town, body)).status_code == 200


def test_while_secrets_rotate_both_are_taken(browser: FlaskClient, town: Town) -> None:
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        products.change(connection, number, {"signing_secrets": [NEWER, SECRET]})
    for message_id, secret in (("m1", SECRET), ("m2", NEWER)):
        headers = signed(town, body_of(), message_id, secret)
        assert browser.post(PATH, data=body_of(), headers=headers).status_code == 200
    headers = signed(town, body_of(), "m3", new_secret())
    assert browser.post(PATH, data=body_of(), headers=headers).status_code == 401


def test_the_second_clock_judges_signatures_and_the_first_one_events(
    browser: FlaskClient, town: Town
) -> None:
    town.clock.machine += timedelta(days=900)
    assert post(browser, town, body_of()).get_json() == {"result": "applied"}


# --- who holds no secret -----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_second_more_than_five_minutes_is_too_much(
    browser: FlaskClient, town: Town, seconds: int
) -> None:
    at = town.clock.wall() + timedelta(seconds=seconds)
    headers = sign([SECRET], "m1", at, body_of())
    assert problem(browser.post(PATH, data=body_of(), headers=headers)) == "not-signed"


def test_missing_wrong_doubled_and_mangled_signatures_are_401_and_write_nothing(
    browser: FlaskClient, town: Town
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - spreads, guards nothing
    good = signed(town, body_of())
    before = fingerprint(town.database)
    codes: Counter[int] = Counter()
    for _ in range(MANGLED):
        name = chance.choice(list(good))
        value = good[name]
        at = chance.randrange(len(value))
        odd = chance.choice(string.punctuation + " é\xff0A")
        wrong = chance.choice(
            ["", value[:at], value[:at] + odd + value[at + 1 :], value + "," + value, odd * 300]
        )
        if wrong == value:
            continue
        headers = [(key, text) for key, text in good.items() if key != name] + [(name, wrong)]
        codes[browser.post(PATH, data=body_of(), headers=headers).status_code] += 1
        doubled = [*good.items(), (name, value)]
        codes[browser.post(PATH, data=body_of(), headers=doubled).status_code] += 1
    assert set(codes) == {401}
    assert codes[401] > MANGLED
    assert fingerprint(town.database) == before


@pytest.mark.parametrize("key", ["radio", "tv%00", "TV", "tv ", "%ff", "a" * 500, "'--"])
def test_a_product_that_does_not_exist_is_answered_like_a_wrong_signature(
    browser: FlaskClient, town: Town, key: str
) -> None:
    headers = signed(town, body_of())
    reply = browser.post(f"/webhooks/{key}/standard", data=body_of(), headers=headers)
    wrong = browser.post(PATH, data=body_of(), headers=headers | {"webhook-id": "m2"})
    assert (reply.status_code, reply.data) == (wrong.status_code, wrong.data) == (401, wrong.data)
    assert dict(reply.headers) == dict(wrong.headers)


def test_a_product_that_does_not_exist_costs_as_many_statements_as_a_wrong_signature(
    browser: FlaskClient, town: Town
) -> None:
    counts = []
    for path in (PATH, "/webhooks/radio/standard"):
        with mock.patch(
            "app.store.inbox.cursor", side_effect=lambda c: c.connection.cursor()
        ) as ran:
            browser.post(path, data=b"{}", headers=signed(town, body_of()))
            counts.append(ran.call_count)
    assert counts == [1, 1]


# --- bodies ------------------------------------------------------------------------------------


class Watched(io.BytesIO):
    """A body that tells how much of it was read."""

    def __init__(self, size: int) -> None:
        super().__init__(b" " * size)
        self.size = size


def test_a_body_of_256_kib_is_read_and_one_byte_more_is_not(
    browser: FlaskClient, town: Town
) -> None:
    assert post(browser, town, b" " * LARGEST).status_code == 422
    large = Watched(LARGEST + 1)
    reply = browser.post(PATH, input_stream=large, content_length=large.size)
    assert problem(reply) == "request-entity-too-large"
    assert large.tell() == 0


def test_a_body_without_a_length_is_read_no_further_than_it_may_be(
    browser: FlaskClient, town: Town
) -> None:
    endless = Watched(8 * LARGEST)
    environment = create_environ(PATH, method="POST", input_stream=endless)
    del environment["CONTENT_LENGTH"]
    reply = browser.open(environment | {"wsgi.input_terminated": True})
    assert reply.status_code == 413
    assert endless.tell() <= LARGEST + 1024
    assert received(town) == 0


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP", "x"])
def test_a_coded_body_is_refused(browser: FlaskClient, town: Town, coding: str) -> None:
    headers = signed(town, body_of()) | {"Content-Encoding": coding}
    reply = browser.post(PATH, data=body_of(), headers=headers)
    assert (reply.status_code, problem(reply)) == (415, "content-encoding")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused_and_change_nothing(
    browser: FlaskClient, town: Town, method: str
) -> None:
    headers = signed(town, body_of())
    reply = browser.open(PATH, method=method, data=body_of(), headers=headers)
    assert reply.status_code == 405
    assert set(reply.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert received(town) == 0


def test_no_body_and_no_secret_is_logged(
    browser: FlaskClient, town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.patch.object(door, "step", side_effect=ZeroDivisionError("ada@subscribers.example")):
        post(browser, town, body_of("canceled"))
    browser.post(PATH, data=body_of(), headers=signed(town, b"another"))
    found = "".join(capsys.readouterr())
    assert "ZeroDivisionError" in found or "_RulesFailed" in found
    assert "ada" not in found
    assert "whsec" not in found
