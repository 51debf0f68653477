"""Every route under /v1, every scope, another product, no key: who gets what."""

import hashlib
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.links import Links
from app.versions import Versions
from tests.app.web.api.conftest import System, key_for, problem_in
from tests.conftest import KEYS
from tests.probe import DAY, rows
from tests.world import YEAR, Town, row

HASH = "a" * 64
TARGET = 77
TOKEN = Links(KEYS, "").receipt_token("era_tv_ada", TARGET)
ROUTES = {
    ("POST", "usage"): "usage",
    ("POST", "usage/cloudevents"): "usage",
    ("POST", "feedback"): "feedback",
    ("GET", "subscriptions"): "read",
    ("GET", "subscriptions/ada"): "read",
    ("GET", "subscriptions/ada/timeline"): "read",
    ("POST", "subscriptions/ada/answer"): "manage",
    ("GET", "subscriptions/ada/data"): "manage",
    ("POST", "subscriptions/ada/erasure"): "manage",
    ("POST", "subscriptions/ada/restriction"): "manage",
    ("POST", "subscriptions/ada/objection"): "manage",
    ("POST", "subscriptions/ada/address"): "manage",
    ("GET", "reviews"): "read",
    ("GET", "reviews/7"): "read",
    ("POST", "reviews/7/done"): "manage",
    ("GET", "holds"): "read",
    ("GET", "holds/7"): "read",
    ("DELETE", "holds/7"): "manage",
    ("GET", "subscriptions/ada/holds"): "read",
    ("POST", "subscriptions/ada/holds"): "manage",
    ("GET", "manifests"): "read",
    ("GET", "manifests/7"): "read",
    ("GET", "manifests/7/entries"): "read",
    ("POST", "forecasts"): "read",
    ("GET", "policies"): "read",
    ("POST", "policies"): "manage",
    ("GET", "policies/2"): "read",
    ("POST", "policies/2/comment"): "manage",
    ("POST", "policies/2/approve"): "manage",
    ("POST", "policies/2/withdraw"): "manage",
    ("POST", "policies/2/activate"): "manage",
    ("POST", "policies/2/unschedule"): "manage",
    ("GET", "policies/1/list"): "read",
    ("GET", "policies/1/list.csv"): "read",
    ("GET", "policies/1/list/sample"): "read",
    ("POST", "policies/1/list/approve"): "manage",
    ("POST", "policies/1/list/renew"): "manage",
    ("GET", "funnel"): "read",
    ("GET", "brake"): "read",
    ("POST", "brake"): "manage",
    ("GET", "policies/2/dry-run"): "read",
    ("GET", "erasures"): "read",
    ("GET", "erasures/era_tv_ada"): "read",
    ("POST", "erasures/era_tv_ada/receipts"): "manage",
    ("GET", "runs"): "read",
    ("GET", "runs/1"): "read",
    ("GET", "runs/1/people"): "read",
    ("POST", "runs/1/undo"): "manage",
    ("GET", "ramp"): "read",
    ("POST", "ramp"): "manage",
}
BODIES = {
    "usage": ("application/json", {"events": []}),
    "usage/cloudevents": ("application/cloudevents-batch+json", []),
    "feedback": ("application/json", {"events": []}),
    "subscriptions/ada/answer": ("application/json", {"answer": "keep"}),
    "subscriptions/ada/erasure": ("application/json", {"cancel": True}),
    "subscriptions/ada/restriction": ("application/json", {}),
    "subscriptions/ada/objection": ("application/json", {}),
    "subscriptions/ada/address": ("application/json", {"email": "ada@elsewhere.example"}),
    "reviews/7/done": ("application/json", {"outcome": "put_right"}),
    "subscriptions/ada/holds": ("application/json", {"reason": "legal"}),
    "forecasts": ("application/json", {}),
    "policies": ("application/json", {"unused_after": "P2Y"}),
    "policies/2/comment": ("application/json", {"code": "looks_right"}),
    "policies/2/approve": ("application/json", {}),
    "policies/2/withdraw": ("application/json", {}),
    "policies/2/activate": ("application/json", {}),
    "policies/2/unschedule": ("application/json", {}),
    "policies/1/list/approve": ("application/json", {"hash": HASH}),
    "policies/1/list/renew": ("application/json", {}),
    "erasures/era_tv_ada/receipts": (
        "application/json",
        {"target": "crm", "token": TOKEN, "erased": ["profile", "invoices"]},
    ),
    "runs/1/undo": ("application/json", None),
    "ramp": ("application/json", {"act": "pause"}),
    "brake": ("application/json", {"act": "on"}),
}
CALLERS = (
    "usage",
    "feedback",
    "read",
    "manage",
    "another product's",
    "a product that is none",
    "no key",
    "revoked",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def wants_a_look(town: Town) -> None:
    """Have Ada join, be asked in run 1, and want a person to look at her case: number 7."""
    town.join(row("ada"))
    town.sweep()
    case = "7, id, product_id, 1, '2024-09-01Z', 'other', 'open'"
    columns = "id, subscription_id, product_id, round, asked_at, reason, state"
    rows(town.database, f"insert into review ({columns}) select {case} from subscription")  # noqa: S608
    has_versions(town)
    owes_a_receipt(town)
    is_held(town)


def owes_a_receipt(town: Town) -> None:
    """Have a target owe a receipt for Ada's erasure, as if one had begun."""
    columns = "id, product_id, key, kind, categories, created_by, created_at"
    values = "'crm', 'webhook', '[\"profile\", \"invoices\"]', 'cli:ann', :at from product"
    statement = f"insert into target ({columns}) select {TARGET}, id, {values} where key = 'tv'"
    rows(town.database, statement, at=town.clock.now())
    columns = "id, product_id, subscription_id, round, cause, begun_at, begun_by"
    values = "product_id, id, 1, 'request', :at, 'eraser' from subscription"
    statement = f"insert into erasure ({columns}) select 'era_tv_ada', {values}"
    rows(town.database, statement, at=town.clock.now())
    columns = "erasure_id, target_id, product_id, last, state, not_before"
    values = f"id, {TARGET}, product_id, false, 'told', begun_at from erasure"
    rows(town.database, f"insert into receipt ({columns}) select {values}")


def is_held(town: Town) -> None:
    """Have Ada held, as number 7, and on manifest 7."""
    at = town.clock.now()
    columns = "id, product_id, subscription_id, reason, set_by, set_at, review_on"
    values = "7, product_id, id, 'legal', 'cli:ann', :at, '2024-12-01' from subscription"
    rows(town.database, f"insert into hold ({columns}) select {values}", at=at)
    columns = "product_id, number, day, made_by, made_at, people, hash, state"
    values = "id, 7, '2024-09-01', 'clock', :at, 1, '\\xaa', 'waiting' from product"
    statement = f"insert into manifest ({columns}) select {values} where key = 'tv'"
    rows(town.database, statement, at=at)


def has_versions(town: Town) -> None:
    """Have a list of version 1 wait, and version 2 be put in force tomorrow."""
    versions = Versions.on(town.database, town.clock)
    versions.propose(town.key, YEAR | {"unused_after": "P3Y"}, "cli:ann")
    versions.schedule(town.key, 2, town.clock.now() + DAY, "cli:ann")
    at = town.clock.now()
    values = "1, :at, 1, :hash from product where key = 'tv'"
    columns = "product_id, version, made_at, people, hash"
    rows(town.database, f"insert into ask_list ({columns}) select id, {values}", at=at, hash=HASH)
    columns = "product_id, version, subscription_id, why"
    values = "product_id, 1, id, 'unused' from subscription"
    rows(town.database, f"insert into ask_listed ({columns}) select {values}")


def expected(caller: str, needed: str) -> int:
    if caller in ("no key", "revoked"):
        return 401
    if caller in ("another product's", "a product that is none"):
        return 404
    if (caller, needed) == ("usage", "feedback"):
        return 200
    return 200 if caller in (needed, "manage") else 403


def caller_of(town: Town, client: FlaskClient, caller: str) -> System:
    if caller == "no key":
        return System(client, None)
    if caller == "another product's":
        return System(client, key_for(town, "manage"), "radio")
    if caller == "a product that is none":
        return System(client, key_for(town, "manage"), "nothing")
    if caller == "revoked":
        found = System(client, key_for(town, "manage"))
        rows(town.database, "update apikey set revoked_at = created_at")
        return found
    return System(client, key_for(town, caller))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_caller_gets_of_every_route_what_is_theirs(
    town: Town, client: FlaskClient, caller: str, method: str, path: str
) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    wants_a_look(town)
    kind, body = BODIES.get(path, (None, None))
    system = caller_of(town, client, caller)
    if method == "POST":
        reply = system.post(path, body, content_type=kind)
    else:
        reply = system.open(method, path)
    assert reply.status_code == expected(caller, ROUTES[method, path]), reply.text


def test_the_table_has_every_route_under_v1(client: FlaskClient) -> None:
    found = {
        (
            method,
            rule.rule.removeprefix("/v1/products/<product>/")
            .replace("<subscription>", "ada")
            .replace("<review>", "7")
            .replace("<erasure>", "era_tv_ada")
            .replace("<hold>", "7")
            .replace("<manifest>", "7")
            .replace("<version>/list", "1/list")
            .replace("<version>", "2")
            .replace("<run>", "1"),
        )
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == set(ROUTES)


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
def test_no_other_method_changes_anything_or_is_an_error_of_ours(
    town: Town, system: Callable[..., System], everything: Callable[[], dict[str, str]], path: str
) -> None:
    wants_a_look(town)
    manager = system("manage")
    before = everything()
    for method in METHODS:
        if (method, path) not in ROUTES:
            code = manager.open(method, path).status_code
            assert code in (200, 405), (method, code)
            assert code == 405 or method in ("HEAD", "OPTIONS")
    assert everything() == before


def test_a_product_of_another_key_is_answered_as_one_that_does_not_exist(
    town: Town, system: Callable[..., System]
) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    manager = system("manage")
    replies = []
    for product in ("radio", "nothing", "tv%00", "TV", "tv'--"):
        manager.product = product
        replies.append(manager.get("subscriptions"))
    assert {reply.status_code for reply in replies} == {404}
    assert len({reply.data for reply in replies}) == 1


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer rk_",
        "Bearer rk_" + "x" * 43,
        "Bearer rk_" + "x" * 42 + "\u00e9",
        "Bearer rk_" + "x" * 5000,
        "Basic cms6cms=",
        "{key}",
        "Bearer {key}x",
        "Bearer {key} {key}",
        "Bearer {swapped}",
        "Token {key}",
    ],
)
def test_a_key_that_is_missing_malformed_or_unknown_is_401(
    town: Town, client: FlaskClient, given: str
) -> None:
    key = key_for(town, "manage")
    value = given.format(key=key, swapped=key[:3] + key[3:].swapcase())
    reply = client.get("/v1/products/tv/subscriptions", headers={"Authorization": value})
    assert (reply.status_code, problem_in(reply)) == (401, "unauthorized")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="reconfirm"'
    assert key[3:] not in reply.text


def test_two_keys_are_none(town: Town, client: FlaskClient) -> None:
    key = f"Bearer {key_for(town, 'manage')}"
    headers = [("Authorization", key), ("Authorization", key)]
    assert client.get("/v1/products/tv/subscriptions", headers=headers).status_code == 401


def test_a_key_is_dead_the_moment_it_is_revoked(town: Town, system: Callable[..., System]) -> None:
    reader = system("read")
    assert reader.get("subscriptions").status_code == 200
    rows(town.database, "update apikey set revoked_at = created_at")
    assert reader.get("subscriptions").status_code == 401


def test_only_the_hash_of_a_key_is_kept(town: Town, client: FlaskClient) -> None:
    key = key_for(town, "read")
    kept = rows(town.database, "select hash, hint from apikey")
    assert kept == [(hashlib.sha256(key.encode()).digest(), key[:7])]
    assert isinstance(client.application, Flask)
