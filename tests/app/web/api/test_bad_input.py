"""What no caller should send: refused in the same words whatever it was, and never an error."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.app.web.api.conftest import System, problem_in
from tests.world import Town, row

SECRET = "hunter2-ada@subscribers.example"
JSON_CALLS = (
    "usage",
    "feedback",
    "subscriptions/ada/answer",
    "policies",
    "policies/1/activate",
    "policies/1/list/approve",
)
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "cut": b'{"events": [',
    "no json": SECRET.encode(),
    "text": json.dumps(SECRET).encode(),
    "a list": json.dumps([SECRET]).encode(),
    "null": b"null",
    "a number": b"17",
    "deep": b"[" * 10_000,
    "deep and closed": b'{"events": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep object": b'{"events":' * 10_000,
    "NaN": b'{"events": NaN}',
    "infinity": b'{"events": [-Infinity]}',
    "1e400": b'{"through": 1e400}',
    "huge number": b'{"through": ' + b"9" * 5000 + b"}",
    "bytes that are no UTF-8": b'{"through": "\xff\xfe"}',
    "UTF-16": json.dumps({"events": []}).encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"events": []}',
    "lone surrogate": b'{"through": "\\ud800"}',
    "NUL": b'{"through": "\\u0000"}',
    "raw NUL": b'{"through": "\x00"}',
    "a further member": json.dumps({"events": [], "stage": SECRET}).encode(),
    "a secret as a member": json.dumps({"events": [], SECRET: 1}).encode(),
    "the internals": b'{"__class__": "x", "events": []}',
    "the wrong type": json.dumps({"events": SECRET, "answer": 1}).encode(),
    "no word of ours": json.dumps({"answer": SECRET}).encode(),
    "trailing": b'{"events": []} x',
}


@pytest.mark.parametrize("path", JSON_CALLS)
@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_none_is_refused_without_repeating_it(
    town: Town,
    system: Callable[..., System],
    everything: Callable[[], dict[str, str]],
    path: str,
    what: str,
) -> None:
    town.join(row("ada"))
    manager = system("manage")
    before = everything()
    reply = manager.post(path, BODIES[what])
    assert reply.status_code in (400, 413, 422), reply.text
    kinds = ("malformed-json", "invalid-body", "invalid-parameter", "request-entity-too-large")
    assert problem_in(reply) in kinds
    assert not any(word in reply.text for word in ("hunter2", "subscribers", "__class__"))
    assert everything() == before


@pytest.mark.parametrize("path", JSON_CALLS)
def test_a_further_member_is_refused_by_its_name(
    town: Town, system: Callable[..., System], path: str
) -> None:
    town.join(row("ada"))
    body: dict[str, object] = {"answer": "keep"} if path.endswith("answer") else {"events": []}
    body = {} if path.startswith("policies/") else body
    reply = system("manage").post(path, body | {"product_id": 2})
    assert "product_id" in reply.get_json(force=True)["detail"]


@pytest.mark.parametrize("path", JSON_CALLS)
@pytest.mark.parametrize("coding", ["gzip", "br", "identity", "", "x" * 500])
def test_a_body_that_is_packed_is_refused_unread(
    system: Callable[..., System], path: str, coding: str
) -> None:
    reply = system("manage").post(path, {}, headers={"Content-Encoding": coding})
    assert (reply.status_code, problem_in(reply)) == (415, "content-encoding")


@pytest.mark.parametrize("path", [*JSON_CALLS, "usage/cloudevents"])
@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/json",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/jsonx",
        ";;;=,",
    ],
)
def test_a_body_of_another_content_type_is_refused(
    system: Callable[..., System], path: str, kind: str
) -> None:
    reply = system("manage").post(path, {}, content_type=kind)
    assert (reply.status_code, problem_in(reply)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("path", [*JSON_CALLS, "usage/cloudevents"])
def test_a_body_that_is_too_large_is_refused_by_its_size(
    system: Callable[..., System], path: str
) -> None:
    kinds = {"usage/cloudevents": "application/cloudevents-batch+json"}
    kind = kinds.get(path, "application/json")
    reply = system("manage").open(
        "POST", path, content_type=kind, environ_overrides={"CONTENT_LENGTH": str(100 * 2**20)}
    )
    assert (reply.status_code, problem_in(reply)) == (413, "request-entity-too-large")


def test_of_members_that_stand_twice_the_last_counts(
    town: Town, system: Callable[..., System]
) -> None:
    town.join(row("ada"))
    body = b'{"answer": "keep", "answer": "cancel"}'
    assert system("manage").post("subscriptions/ada/answer", body).status_code == 200
    town.clock.advance(timedelta(minutes=11))
    town.settle()
    assert town.acts("ada") == ["cancel"]


@pytest.mark.parametrize(
    "path", [*JSON_CALLS, "usage/cloudevents", "subscriptions", "subscriptions/ada"]
)
@pytest.mark.parametrize("query", ["x=1", f"token={SECRET}", "%00=%00", "through[]=1", "%ff=%ff"])
def test_parameters_that_are_not_known_are_refused(
    town: Town, system: Callable[..., System], path: str, query: str
) -> None:
    town.join(row("ada"))
    manager = system("manage")
    method = "GET" if path in ("subscriptions", "subscriptions/ada") else "POST"
    reply = manager.open(method, f"{path}?{query}", data=b"{}", content_type="application/json")
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-parameter")
    assert "hunter2" not in reply.text


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "99999999999999999999999"])
def test_an_odd_content_length_is_no_error_of_ours(
    system: Callable[..., System], length: str
) -> None:
    reply = system("manage").open(
        "POST",
        "usage",
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length},
    )
    assert 400 <= reply.status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/products",
        "/v1/products/tv",
        "/v1/products/tv/",
        "/v1//products/tv/usage",
        "/v1/products/tv/usage/",
        "/v1/%00",
    ],
)
def test_an_address_that_is_none_is_404_as_a_problem(
    system: Callable[..., System], path: str
) -> None:
    reply = system("manage").get(path)
    assert reply.status_code == 404
    assert path == "/v1" or problem_in(reply) == "not-found"
