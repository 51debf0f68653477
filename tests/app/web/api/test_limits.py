import pytest
from flask.testing import FlaskClient

from app.web import create_app
from app.web.api.limits import Limits
from tests.app.web.api.conftest import BASE, System, key_for, problem_in
from tests.world import Town

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture
def client(town: Town) -> FlaskClient:
    few = Limits(calls="3 per hour", failures="2 per hour")
    app = create_app(town.database, town.clock, town.links, base_url=BASE, limited=few)
    return app.test_client(use_cookies=False)


def test_a_key_that_calls_too_often_is_told_how_long_to_wait(
    town: Town, client: FlaskClient
) -> None:
    reader = System(client, key_for(town, "read"))
    codes = [reader.get("subscriptions").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    reply = reader.get("subscriptions/ada")
    assert problem_in(reply) == "too-many-requests"
    assert int(reply.headers["Retry-After"]) > 0


def test_a_flood_with_one_key_slows_no_other_key_from_the_same_address(
    town: Town, client: FlaskClient
) -> None:
    other = Town.founded(town.database, town.clock, town.links, "radio")
    flood = System(client, key_for(town, "read"))
    for _ in range(10):
        flood.get("subscriptions")
    assert System(client, key_for(other, "read"), "radio").get("subscriptions").status_code == 200
    assert System(client, key_for(town, "read")).get("subscriptions").status_code == 200


def test_whoever_guesses_keys_is_slowed_by_address(client: FlaskClient) -> None:
    guesses = [System(client, f"rk_{n:043}").get("subscriptions") for n in range(4)]
    assert [reply.status_code for reply in guesses] == [401, 401, 429, 429]
    assert problem_in(guesses[-1]) == "too-many-requests"
    elsewhere = System(client, "rk_" + "x" * 43).get("subscriptions", environ_base=ELSEWHERE)
    assert elsewhere.status_code == 401


def test_a_key_known_to_be_good_is_not_held_up_by_guesses_from_its_address(
    town: Town, client: FlaskClient
) -> None:
    good = System(client, key_for(town, "read"))
    assert good.get("subscriptions").status_code == 200
    for n in range(4):
        System(client, f"rk_{n:043}").get("subscriptions")
    assert good.get("subscriptions").status_code == 200


def test_pages_of_people_are_not_counted(client: FlaskClient) -> None:
    assert {client.get("/a/x").status_code for _ in range(9)} == {404}
    assert {client.get("/healthz").status_code for _ in range(9)} == {200}


def test_by_default_a_key_may_call_generously_often(town: Town) -> None:
    app = create_app(town.database, town.clock, town.links, base_url=BASE)
    reader = System(app.test_client(use_cookies=False), key_for(town, "read"))
    assert {reader.get("subscriptions").status_code for _ in range(30)} == {200}
