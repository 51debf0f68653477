from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families as parse

from app.engine import holds
from app.engine.holds import Wanted
from app.store import disputes, measuring, products
from app.store.holds import Reason
from app.web import create_app
from tests.app.web.api.conftest import BASE, System, key_for, problem_in
from tests.manifests import made
from tests.probe import asked, rows, suspended
from tests.world import Town, row

TOKEN = "scrape-me-0123456789"
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def figures(client: FlaskClient) -> dict[tuple[str, frozenset[str]], float]:
    """Give every sample by its name and the values of its labels."""
    reply = client.get("/metrics")
    assert reply.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in parse(reply.text)
        for sample in family.samples
    }


def test_the_figures_say_how_a_product_stands(town: Town, client: FlaskClient) -> None:
    town.join(row("ada"), row("bob"), row("cyd"))
    asked(town, "ada", "bob", "cyd")
    town.clock.advance(timedelta(hours=3))
    with town.database.transaction() as connection:
        products.set_brake(connection, None, "by_hand", "drill", "cli:x", town.clock.now())
    rows(
        town.database,
        """insert into leader (term, backend, seen_at) values (1, 1, '2024-09-01T11:59:00Z')""",
    )
    found = figures(client)
    assert found["reconfirm_stage", frozenset({"tv", "asked"})] == 3
    assert found["reconfirm_brakes_on", frozenset({"tv"})] == 1
    assert found["reconfirm_outbox", frozenset({"tv", "notice", "pending"})] == 0
    feed = next(value for (name, _), value in found.items() if name == "reconfirm_feed_age_seconds")
    assert feed > 0
    assert ("reconfirm_leader_age_seconds", frozenset()) in found
    assert not [
        key for key, value in found.items() if key[0] == "reconfirm_scrape_failed" and value
    ]


def test_what_waits_in_the_outbox_is_counted_with_its_age(town: Town, client: FlaskClient) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()
    town.clock.advance(timedelta(hours=2))
    found = figures(client)
    assert found["reconfirm_outbox", frozenset({"tv", "notice", "pending"})] == 2
    assert found["reconfirm_outbox_oldest_age_seconds", frozenset({"tv", "notice"})] > 0
    rows(town.database, "update outbox set state = 'parked'")
    assert figures(client)["reconfirm_outbox", frozenset({"tv", "notice", "parked"})] == 2


def test_what_keeps_erasing_from_going_on_is_counted(town: Town, client: FlaskClient) -> None:
    town.join(row("ada"), row("bob"))
    today, product = town.clock.now().date(), frozenset({"tv"})
    names = ("holds_to_review", "disputes_too_late", "manifests_waiting")

    def counted() -> list[float]:
        found = figures(client)
        return [found[f"reconfirm_{name}", product] for name in names]

    assert counted() == [0, 0, 0]
    for name, day in (("ada", today), ("bob", None)):
        wanted = Wanted(town.id_of(name), Reason.LEGAL, day)
        holds.add(town.database, town.clock, "tv", wanted, "cli:ann")
    made(town, "ada")
    made(town, "bob", state="approved")
    with town.database.transaction() as connection:
        disputes.put(connection, town.product.id, "s:1", None, town.clock.now(), ended=False)
        disputes.put_late(connection, town.product.id, "s:1", town.id_of("bob"))
    assert counted() == [1, 1, 1]


def test_what_is_wrong_with_the_books_is_counted(town: Town, client: FlaskClient) -> None:
    town.join(row("ada"), row("bob"))
    suspended(town, "ada")
    rows(town.database, "update product set billing = 'standard'")
    rows(
        town.database,
        """insert into unexplained select product_id, id, 'not_paused', :now, :now
           from subscription where external_id = 'bob'""",
        now=town.clock.now(),
    )
    rows(
        town.database,
        """insert into refund (product_id, subscription_id, round, charge, charged_at, amount,
             refunded, currency, evidence, state, found_at, not_before)
           select product_id, id, 1, 'ch_1', :now, 1349, 0, 'GBP', '{}', 'proposed', :now, :now
           from subscription where external_id = 'ada'""",
        now=town.clock.now(),
    )
    rows(
        town.database,
        """insert into reconciliation (product_id, due_at, ended_at, error)
           values (:id, :now, :now, 'http 401')""",
        id=town.product.id,
        now=town.clock.now(),
    )
    town.clock.advance(timedelta(days=3))
    found = figures(client)
    assert found["reconfirm_unexplained", frozenset({"tv", "not_paused"})] == 1
    assert found["reconfirm_refunds", frozenset({"tv", "proposed"})] == 1
    assert found["reconfirm_refunds", frozenset({"tv", "failed"})] == 0
    assert found["reconfirm_compared_age_seconds", frozenset({"tv"})] == 3 * 86400
    assert found["reconfirm_comparison_failing", frozenset({"tv"})] == 1
    assert found["reconfirm_unconfirmed", frozenset({"tv"})] == 2
    assert not [
        key for key, value in found.items() if key[0] == "reconfirm_scrape_failed" and value
    ]


def test_calls_are_counted_by_endpoint_and_status(
    client: FlaskClient, system: Callable[..., System]
) -> None:
    system("read").get("subscriptions")
    client.get("/v1/products/tv/subscriptions")
    client.get("/nowhere/at/all")
    found = figures(client)
    name = "reconfirm_http_requests_total"
    assert found[name, frozenset({"GET", "api.subscriptions", "200"})] == 1
    assert found[name, frozenset({"GET", "api.subscriptions", "401"})] == 1
    assert found[name, frozenset({"GET", "none", "404"})] == 1
    assert found["reconfirm_http_request_seconds_count", frozenset({"api.subscriptions"})] == 2


def test_no_label_names_a_person_or_holds_a_token(
    town: Town, client: FlaskClient, system: Callable[..., System]
) -> None:
    town.join(row("ada-lovelace"))
    asked(town, "ada-lovelace")
    reader = system("read")
    reader.get("subscriptions/ada-lovelace")
    client.open("/a/some-secret-token", method="ODDMETHOD")
    token = town.links.answer_token(town.id_of("ada-lovelace"), 1)
    client.get(f"/a/{token}")
    said = client.get("/metrics").text
    for secret in ("lovelace", token, "some-secret", "ODDMETHOD", reader.key, "@"):
        assert str(secret) not in said


def test_without_a_token_only_this_machine_may_read_them(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "::1"}).status_code == 200
    for refused in (
        client.get("/metrics", environ_base=ELSEWHERE),
        client.get("/metrics", environ_base={"REMOTE_ADDR": ""}),
        client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}),
    ):
        assert (refused.status_code, problem_in(refused)) == (403, "forbidden")


def test_with_a_token_everybody_needs_it(town: Town) -> None:
    app = create_app(town.database, town.clock, town.links, base_url=BASE, metrics_token=TOKEN)
    client = app.test_client()
    given = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/metrics", headers=given, environ_base=ELSEWHERE).status_code == 200
    for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}\u00e9"}):
        reply = client.get("/metrics", headers=wrong)
        assert (reply.status_code, problem_in(reply)) == (401, "unauthorized")
    key = {"Authorization": f"Bearer {key_for(town, 'manage')}"}
    assert client.get("/metrics", headers=key).status_code == 401


def test_a_figure_that_cannot_be_read_takes_no_other_along(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(connection: object) -> measuring.Rows:
        raise TimeoutError(connection)

    monkeypatch.setattr(measuring, "feeds", slow)
    found = figures(client)
    assert found["reconfirm_scrape_failed", frozenset({"reconfirm_feed_age_seconds"})] == 1
    assert found["reconfirm_brakes_on", frozenset({"tv"})] == 0


def test_erasures_are_counted_by_what_they_began_by(town: Town, client: FlaskClient) -> None:
    asked_at = town.clock.now()
    town.join(row("ada"))
    suspended(town, "ada")
    erased = {"product_id": town.product.id, "s": town.id_of("ada")}
    with town.database.transaction() as connection:
        connection.exec_driver_sql("set local role reconfirm_eraser")
        connection.exec_driver_sql(
            """insert into erasure (id, product_id, subscription_id, round, cause, begun_at,
                 begun_by)
               values ('era_1', %(product_id)s, %(s)s, 1, 'request', now(), 'eraser')""",
            erased,
        )
        connection.exec_driver_sql(
            """insert into review (product_id, subscription_id, round, reason, state, asked_at,
                 due_on)
               values (%(product_id)s, %(s)s, 1, 'erase', 'open', %(at)s, '2030-01-01')""",
            erased | {"at": asked_at},
        )
    found = figures(client)
    assert found["reconfirm_erasures_under_way", frozenset({"tv", "request"})] == 1
    assert found["reconfirm_erasures_under_way", frozenset({"tv", "schedule"})] == 0
    assert found["reconfirm_receipts_parked", frozenset({"tv"})] == 0
    oldest = found["reconfirm_erasure_request_oldest_age_seconds", frozenset({"tv"})]
    assert oldest == (town.clock.now() - asked_at).total_seconds()
