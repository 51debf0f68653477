"""What billing systems send: once, in whatever order, late, again, and never lost."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app import inbox as taking
from app.engine import door
from app.errors import Conflict, NotFound
from app.inbox import Inbox, Reply, Result
from app.lifecycle.case import Step
from app.mirror import Mirror
from app.personal import found_in, masked
from app.rows import read as read_row
from app.signing import NotSigned, new_secret, sign
from app.store import products
from app.world.billing.standard import read
from tests.probe import asked, fingerprint, rows, suspended, unheeded
from tests.snapshot import Snapshot
from tests.world import ACTOR, START, Town, row

SECRET = new_secret()
CARD = "4111 1111 1111 1111"
HOUR = timedelta(hours=1)


@pytest.fixture
def town(town: Town) -> Town:
    """Let the product be on a billing system of its own, which signs with SECRET."""
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        values = {"billing": "standard", "signing_secrets": [SECRET]}
        products.change(connection, number, values)
    return town


def body_of(
    kind: str = "updated",
    name: str = "ada",
    at: datetime = START,
    **changes: Any,
) -> bytes:
    data = {key: value for key, value in row(name, **changes).items() if value != "None"}
    event = {"type": f"subscription.{kind}", "timestamp": at.isoformat(), "data": data}
    return json.dumps(event).encode()


def send(town: Town, body: bytes, message_id: str = "m1", key: str = "tv") -> Reply:
    headers = sign([SECRET], message_id, town.clock.wall(), body)
    return Inbox(town.database, town.clock).receive(key, headers, body)


def states(town: Town) -> list[tuple[str, str]]:
    found = rows(town.database, "select message_id, state from inbox order by message_id")
    return [(each[0], each[1]) for each in found]


def mirror_rows(town: Town) -> list[tuple[Any, ...]]:
    return rows(
        town.database,
        """select external_id, customer, status, plan, country, "interval", amount, currency,
             started_on, renews_at, encode(told, 'hex'), told_at, email, locale, timezone, reach
           from subscription join contact on subscription_id = id order by 1""",
    )


@contextmanager
def rules_that_raise() -> Iterator[None]:
    def broken(*_: Any) -> Step:
        raise ZeroDivisionError

    with mock.patch.object(door, "step", broken):
        yield


# --- taking in -------------------------------------------------------------------------------


def test_a_subscription_that_was_created_is_in_the_mirror_when_it_is_acknowledged(
    town: Town,
) -> None:
    assert send(town, body_of("created", customer="c7")) == Reply(Result.APPLIED)
    (found,) = mirror_rows(town)
    assert found[:8] == ("ada", "c7", "active", "standard", "GB", "month", 1349, "GBP")
    assert rows(
        town.database, "select source, message_id, type, event_at, state, tries from inbox"
    ) == [("standard", "m1", "subscription.created", START, "applied", 0)]


def test_the_same_message_again_is_a_duplicate_whatever_it_says(town: Town) -> None:
    send(town, body_of("created"))
    before = fingerprint(town.database)
    assert send(town, body_of("created")).result == "duplicate"
    assert send(town, body_of("canceled", at=START + HOUR / 60)).result == "duplicate"
    assert fingerprint(town.database) == before


def test_one_id_in_two_products_is_two_messages(town: Town) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    rows(
        town.database,
        "update product set signing_secrets = (select signing_secrets from product"
        " where key = 'tv') where key = 'radio'",
    )
    assert send(town, body_of("created")).result == "applied"
    assert send(town, body_of("created"), key="radio").result == "applied"


def test_an_older_event_is_stale_and_changes_nothing(town: Town) -> None:
    send(town, body_of("updated", plan="premium"), "m1")
    before = mirror_rows(town)
    late = body_of("updated", at=START - timedelta(days=30), plan="basic")
    assert send(town, late, "m2").result == "stale"
    assert mirror_rows(town) == before
    assert states(town) == [("m1", "applied"), ("m2", "stale")]


def test_a_type_that_is_none_of_ours_is_ignored_and_nothing_of_it_kept(town: Town) -> None:
    body = json.dumps({"type": "invoice.paid", "data": {"email": "ada@x.example"}}).encode()
    assert send(town, body).result == "ignored"
    assert rows(town.database, "select type, state, body from inbox") == [
        ("invoice.paid", "ignored", None)
    ]


@pytest.mark.parametrize(
    ("kind", "given", "status"),
    [
        ("canceled", "active", "canceled"),
        ("canceled", "", "canceled"),
        ("paused", "active", "paused"),
        ("resumed", "paused", "active"),
        ("resumed", "", "active"),
        ("resumed", "past_due", "past_due"),
        ("updated", "trialing", "trialing"),
    ],
)
def test_the_type_of_an_event_decides_the_status(
    town: Town, kind: str, given: str, status: str
) -> None:
    send(town, body_of(kind, status=given))
    assert mirror_rows(town)[0][2] == status


def test_billings_cancel_reaches_the_rules_through_the_door(town: Town) -> None:
    send(town, body_of("created", at=START - HOUR), "m1")
    asked(town, "ada")
    send(town, body_of("canceled", at=town.clock.now()), "m2")
    assert town.stage("ada") == "canceled"
    assert town.story("ada")[-2:] == ["canceled", "erasure_scheduled"]


def test_billings_echo_of_our_suspension_changes_no_stage(town: Town) -> None:
    rows(town.database, "update product set billing = 'sandbox'")
    town.join(row("ada"))
    suspended(town, "ada")
    assert send(town, body_of("paused", at=town.clock.now())).result == "applied"
    assert town.stage("ada") == "suspended"


def test_who_is_first_heard_of_as_canceled_has_just_been_canceled(town: Town) -> None:
    send(town, body_of("canceled"), "m2")
    assert send(town, body_of("created", at=START - HOUR), "m1").result == "stale"
    assert town.stage("ada") == "canceled"


def test_a_file_of_the_past_does_not_undo_what_a_webhook_told(town: Town) -> None:
    send(town, body_of("updated", at=START - HOUR, plan="premium"))
    facts = read_row(row("ada"), START - 2 * HOUR)
    mirror = Mirror(town.database, town.clock)
    assert mirror.bring("tv", [facts], ACTOR)["stale"] == 1
    assert mirror_rows(town)[0][3] == "premium"
    assert mirror.bring("tv", [read_row(row("ada"), START)], ACTOR)["applied"] == 1
    assert mirror_rows(town)[0][3] == "standard"


def test_what_is_told_again_of_a_later_moment_makes_what_lies_between_stale(town: Town) -> None:
    send(town, body_of(at=START - 3 * HOUR), "m1")
    send(town, body_of(at=START - HOUR), "m3")
    assert send(town, body_of(at=START - 2 * HOUR, plan="premium"), "m2").result == "stale"
    assert mirror_rows(town)[0][3] == "standard"


# --- any order, again and again --------------------------------------------------------------


def events() -> st.SearchStrategy[list[tuple[str, str, int, str]]]:
    """Draw (type, name, minutes ago, plan): often of the same minute, now and then canceled."""
    kind = st.sampled_from(["created", "updated", "updated", "paused", "resumed", "canceled"])
    name, plan = st.sampled_from(["ada", "ben"]), st.sampled_from(["basic", "standard", "premium"])
    minutes = st.sampled_from([0, 1, 2, 3, 60 * 24 * 30])
    return st.lists(st.tuples(kind, name, minutes, plan), min_size=1, max_size=6)


def deliver(town: Town, told: Sequence[tuple[str, str, int, str]], order: Sequence[int]) -> None:
    for number in order:
        kind, name, minutes, plan = told[number]
        at = START - timedelta(minutes=minutes)
        reply = send(town, body_of(kind, name, at, plan=plan), f"m{number}")
        assert reply.reason is None


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=events(), data=st.data())
def test_whatever_the_order_late_or_again_all_ends_the_same(
    town: Town, told: list[tuple[str, str, int, str]], data: st.DataObject
) -> None:
    numbers = list(range(len(told)))
    again = data.draw(st.lists(st.sampled_from(numbers), max_size=6))
    other = data.draw(st.permutations([*numbers, *again]))
    empty = Snapshot.of(town.database, town.clock)
    try:
        deliver(town, told, numbers)
        names = sorted({name for _, name, _, _ in told})
        expected = mirror_rows(town), [town.stage(name) for name in names]
        reached = Snapshot.of(town.database, town.clock)
        deliver(town, told, other)
        assert Snapshot.of(town.database, town.clock) == reached
        empty.restore(town.database, town.clock)
        deliver(town, told, other)
        assert (mirror_rows(town), [town.stage(name) for name in names]) == expected
        assert unheeded(town, names) == []
        assert {state for _, state in states(town)} <= {"applied", "stale"}
    finally:
        empty.restore(town.database, town.clock)


def test_a_hundred_times_and_reversed_leaves_what_once_in_order_leaves(town: Town) -> None:
    told = [(kind, "ada", 5 - at, "basic") for at, kind in enumerate(["created", "paused"])]
    told += [("resumed", "ada", 3, "premium"), ("updated", "ada", 2, "standard")]
    deliver(town, told, range(4))
    reached = Snapshot.of(town.database, town.clock)
    deliver(town, told, [3, 2, 1, 0] * 25)
    assert Snapshot.of(town.database, town.clock) == reached


def test_of_one_moment_a_cancellation_wins_whichever_comes_first(town: Town) -> None:
    for name, order in (("ada", ("updated", "canceled")), ("ben", ("canceled", "updated"))):
        for kind in order:
            send(town, body_of(kind, name), f"{name}-{kind}")
        assert town.stage(name) == "canceled"
        assert {each[0]: each[2] for each in mirror_rows(town)}[name] == "canceled"


# --- two at once -----------------------------------------------------------------------------


def at_once(*jobs: Callable[[], Reply]) -> list[str]:
    results: list[str] = []
    start = Barrier(len(jobs))

    def run(job: Callable[[], Reply]) -> None:
        start.wait(30)
        results.append(job().result)

    threads = [Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sorted(results)


def test_of_several_deliveries_at_once_one_applies_and_the_others_are_duplicates(
    town: Town,
) -> None:
    for number in range(5):
        body = body_of("created", f"p{number}")
        results = at_once(*[lambda: send(town, body, f"m{number}")] * 4)  # noqa: B023 - ends in the loop
        assert results == ["applied", "duplicate", "duplicate", "duplicate"]
    assert rows(town.database, "select count(*) from subscription") == [(5,)]


def test_messages_at_once_about_one_subscription_end_as_the_latest_says(town: Town) -> None:
    def job(minute: int) -> Callable[[], Reply]:
        at = START - timedelta(minutes=minute)
        return lambda: send(town, body_of(at=at, plan=f"plan{minute}"), f"m{minute}")

    results = at_once(*(job(minute) for minute in range(4)))
    assert set(results) <= {"applied", "stale"}
    assert mirror_rows(town)[0][3] == "plan0"


# --- what cannot be read ---------------------------------------------------------------------

ENVELOPE = {"type": "subscription.updated", "timestamp": START.isoformat()}
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not JSON"),
    "no JSON": (b"{", "not JSON"),
    "a list": (b"[]", "no JSON object"),
    "a number": (b"1", "no JSON object"),
    "too deep": (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deeply"),
    "NaN": (b'{"a": NaN}', "NaN or Infinity"),
    "Infinity": (b'{"a": -Infinity}', "NaN or Infinity"),
    "1e400": (b'{"a": 1e400}', "out of range"),
    "too many digits": (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    "NUL": (b'{"a": ["\\u0000"]}', "NUL or half a surrogate"),
    "NUL in a name": (b'{"\\u0000": 1}', "NUL or half a surrogate"),
    "a bare NUL": (b'{"a": "\0"}', "not JSON"),
    "half a surrogate pair": (b'{"a": {"b": "\\ud800"}}', "NUL or half a surrogate"),
    "no UTF-8": (b'{"a": "\xff"}', "not UTF-8"),
    "a surrogate in bytes": (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    "another encoding": ('{"type": 1}'.encode("utf-16"), "not UTF-8"),
    "a mark at the start": (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
    "a field twice": (b'{"type": "x", "type": "y"}', "a field twice"),
    "no type": (b"{}", "type is no name"),
    "a type that is no name": (b'{"type": "a b\\n"}', "type is no name"),
    "a type that is no text": (b'{"type": {}}', "type is no name"),
    "no timestamp": (b'{"type": "subscription.updated"}', "timestamp is missing"),
    "a naive timestamp": (body_of(at=START.replace(tzinfo=None)), "timestamp has no offset"),
    "no data": (json.dumps(ENVELOPE).encode(), "data is missing"),
    "a list of data": (json.dumps(ENVELOPE | {"data": []}).encode(), "data is missing"),
    "no id": (body_of(name=""), "data.id is empty"),
    "no status": (body_of(status=""), "data.status is empty"),
    "a zone of its own": (body_of(timezone="Mars/Olympus"), "data.timezone is no IANA name"),
    "a fraction": (json.dumps(ENVELOPE | {"data": {"amount": 1.5}}).encode(), "data.amount is of"),
    "a truth": (json.dumps(ENVELOPE | {"data": {"amount": True}}).encode(), "data.amount is of"),
    "too much money": (
        json.dumps(ENVELOPE | {"data": row("ada") | {"amount": 10**30}}).encode(),
        "data.amount is no whole number",
    ),
    "an object for a plan": (
        json.dumps(ENVELOPE | {"data": {"plan": {}}}).encode(),
        "data.plan is",
    ),
    "a card number": (body_of(plan=CARD), "data.plan contains what looks like a card number"),
    "an odd customer": (
        json.dumps(ENVELOPE | {"data": row("ada") | {"customer": {"id": 7}}}).encode(),
        "data.customer.id is of another kind",
    ),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_names_the_field_and_raises_nothing(what: str) -> None:
    body, said = UNREADABLE[what]
    assert said in str(read(body, START).wrong)


def test_what_cannot_be_read_is_kept_with_its_reason_for_an_operator(town: Town) -> None:
    for number, (body, said) in enumerate(UNREADABLE.values()):
        reply = send(town, body, f"m{number}")
        assert (reply.result, said in str(reply.reason)) == ("unreadable", True)
    found = rows(town.database, "select state, reason, body from inbox order by id")
    assert {state for state, _, _ in found} == {"unreadable"}
    for (what, (body, said)), (_, reason, kept) in zip(UNREADABLE.items(), found, strict=True):
        assert said in reason
        assert what == "a card number" or bytes(kept) == body


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_body_raises_anything(body: bytes) -> None:
    assert read(body, START).facts is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(field=st.sampled_from([*row("x"), "customer"]), value=JSON)
def test_no_value_of_a_field_raises_anything(field: str, value: Any) -> None:
    body = json.dumps(ENVELOPE | {"data": row("ada") | {field: value}}).encode()
    event = read(body, START)
    assert (event.facts is None) is (event.wrong is not None)


def test_a_reason_repeats_nothing_of_what_was_sent(town: Town) -> None:
    body = body_of(country="ada@private.example", locale="ada@private.example")
    assert "private" not in str(send(town, body).reason)


def test_an_event_of_the_future_is_unreadable_until_it_has_come(town: Town) -> None:
    body = body_of(at=START + timedelta(minutes=6))
    assert "future" in str(send(town, body).reason)
    town.clock.advance(timedelta(minutes=2))
    assert send(town, body).result == "applied"
    assert states(town) == [("m1", "applied")]


def test_what_could_not_be_read_is_taken_when_it_is_sent_again_mended(town: Town) -> None:
    assert send(town, body_of(country="UK")).result == "unreadable"
    assert send(town, body_of(country="GB")).result == "applied"
    assert rows(town.database, "select state, reason, tries from inbox") == [("applied", None, 0)]


# --- the subscription in data ----------------------------------------------------------------


def data_read(**data: Any) -> Any:
    found = read(json.dumps(ENVELOPE | {"data": row("ada") | data}).encode(), START)
    assert found.wrong is None
    return found.facts


def test_an_amount_is_an_integer_or_its_digits() -> None:
    assert data_read(amount=949).amount == data_read(amount="949").amount == 949


def test_a_customer_is_an_id_or_an_object_that_fills_what_is_missing() -> None:
    assert data_read(customer="c1").customer == "c1"
    nested = {"id": "c1", "email": "c@x.example", "country": "FR", "locale": "fr"}
    facts = data_read(customer=nested, email=None, country="", locale="en")
    assert (facts.customer, facts.email, facts.country) == ("c1", "c@x.example", "FR")
    assert facts.locale == "en"


def test_fields_that_nobody_asked_for_change_nothing_and_stay_in_the_raw_body_only(
    town: Town,
) -> None:
    assert data_read(nickname="Countess", status="active") == data_read()
    event = json.loads(body_of("created"))
    event["data"]["nickname"] = "Countess"
    send(town, json.dumps(event).encode())
    dumped = [
        row
        for (name,) in rows(
            town.database, "select tablename from pg_tables where schemaname = 'public'"
        )
        if name != "inbox"
        for row in rows(town.database, f'select t::text from "{name}" t')  # noqa: S608 - our tables
    ]
    assert dumped
    assert not [each for each in dumped if "Countess" in each[0]]


def test_said_once_by_a_file_and_once_by_a_webhook_is_the_same(town: Town) -> None:
    send(town, body_of("created"))
    before = fingerprint(town.database)
    counts = Mirror(town.database, town.clock).bring("tv", [read_row(row("ada"), START)], ACTOR)
    assert counts["unchanged"] == 1
    assert fingerprint(town.database) == before


# --- what fails ------------------------------------------------------------------------------


def test_what_the_rules_raise_on_is_kept_as_failed_and_nothing_of_it_written(town: Town) -> None:
    send(town, body_of("created", at=START - HOUR), "m1")
    before = mirror_rows(town)
    with rules_that_raise():
        reply = send(town, body_of("canceled"), "m2")
    assert reply.result == "failed"
    assert mirror_rows(town) == before
    assert rows(
        town.database, "select type, state, reason, tries from inbox where message_id = 'm2'"
    ) == [("subscription.canceled", "failed", "_RulesFailed", 1)]


def test_a_defect_in_reading_is_kept_as_failed(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("ada@subscribers.example")

    speaker = replace(taking._speaker("standard"), read=broken)
    monkeypatch.setattr(taking, "_speaker", lambda _: speaker)
    assert send(town, body_of()) == Reply(Result.FAILED, "LookupError")
    assert states(town) == [("m1", "failed")]
    assert "ada" not in capsys.readouterr().err


def test_what_failed_is_applied_when_its_sender_sends_it_again(town: Town) -> None:
    with rules_that_raise():
        send(town, body_of("canceled"))
        assert send(town, body_of("canceled")).result == "failed"
    assert rows(town.database, "select tries from inbox") == [(2,)]
    assert send(town, body_of("canceled")).result == "applied"
    assert send(town, body_of("canceled")).result == "duplicate"
    assert town.stage("ada") == "canceled"


def test_what_failed_is_tried_again_by_us_after_pauses_that_grow(town: Town) -> None:
    box = Inbox(town.database, town.clock)
    tried_at = []
    with rules_that_raise():
        send(town, body_of("canceled"))
        for _ in range(40):
            town.clock.machine += timedelta(minutes=1)
            if box.retry_failed("tv") == {"failed": 1}:
                tried_at.append((town.clock.machine - START) // timedelta(minutes=1))
    assert tried_at == [1, 3, 7, 15, 31]
    town.clock.machine += timedelta(hours=1)
    assert box.retry_failed("tv") == {"applied": 1}
    assert box.retry_failed("tv") == {}
    assert town.stage("ada") == "canceled"


def test_after_the_last_try_a_person_is_needed(town: Town) -> None:
    with rules_that_raise():
        send(town, body_of("canceled"))
    rows(town.database, "update inbox set tries = 13")
    town.clock.machine += timedelta(days=29)
    box = Inbox(town.database, town.clock)
    assert box.retry_failed("tv") == {}
    assert box.replay_failed("tv") == {"applied": 1}


def test_one_poisoned_message_does_not_stop_the_others(town: Town) -> None:
    with rules_that_raise():
        for name in ("ada", "ben", "cyd"):
            send(town, body_of("canceled", name), name)
    rows(town.database, "update inbox set body = '\\x00' where message_id = 'ben'")
    town.clock.machine += HOUR
    assert Inbox(town.database, town.clock).retry_failed("tv", 10) == {
        "applied": 2,
        "unreadable": 1,
    }


def test_what_failed_of_another_product_is_left_alone(town: Town) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    with rules_that_raise():
        send(town, body_of("canceled"))
    town.clock.machine += HOUR
    assert Inbox(town.database, town.clock).retry_failed("radio") == {}


def test_a_message_that_was_taken_in_the_meantime_is_passed_over(town: Town) -> None:
    send(town, body_of())
    ((number,),) = rows(town.database, "select id from inbox")
    box = Inbox(town.database, town.clock)
    with pytest.raises(Conflict, match="was applied in the meantime"):
        box.replay(number, waiting=True)
    assert box.replay(number).result == "applied"
    with pytest.raises(NotFound):
        box.replay(number + 1)


# --- what is kept ----------------------------------------------------------------------------


def test_bodies_are_forgotten_after_thirty_days_in_bounded_batches(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "AT_A_TIME", 2)
    box = Inbox(town.database, town.clock)
    for number in range(5):
        send(town, body_of(name=f"p{number}"), f"m{number}")
    town.clock.machine += timedelta(days=29)
    send(town, body_of(name="new"), "new")
    assert box.forget() == 0
    town.clock.machine += timedelta(days=1, seconds=1)
    assert box.forget() == 5
    assert box.forget() == 0
    assert rows(town.database, "select message_id from inbox where body is not null") == [("new",)]


def test_a_message_whose_body_is_forgotten_cannot_be_replayed(town: Town) -> None:
    send(town, body_of())
    rows(town.database, "update inbox set body = null")
    ((number,),) = rows(town.database, "select id from inbox")
    with pytest.raises(Conflict, match="no longer kept"):
        Inbox(town.database, town.clock).replay(number)


HIDDEN = ["4111111111111111", CARD, "DE89 3704 0044 0532 0130 00", "078-05-1120"]


@pytest.mark.parametrize("how", ["plain", "escaped", "behind an escape", "as a number"])
def test_what_must_never_be_kept_is_not_kept_in_the_raw_body_either(town: Town, how: str) -> None:
    for place, (number, field) in enumerate(product(HIDDEN, ["plan", "id", "customer", "note"])):
        event = json.loads(body_of())
        event["data"][field] = "HERE"
        said = {
            "plain": f'"{number}"',
            "escaped": '"' + "".join(f"\\u{ord(mark):04x}" for mark in number) + '"',
            "behind an escape": f'"a\\n{number}\\tb"',
            "as a number": number if number.isdigit() else f'"{number}"',
        }[how]
        reply = send(town, json.dumps(event).replace('"HERE"', said).encode(), f"m{place}")
        assert (reply.result == "unreadable") is (field != "note")
    found = rows(town.database, "select body from inbox")
    assert len(found) == 16
    for (kept,) in found:
        values = json.loads(bytes(kept))["data"]
        assert "HERE" not in values.values()
        assert all(found_in(str(each)) is None for each in values.values())


def test_masking_leaves_everything_else_as_it_was() -> None:
    innocent = '{"id": "4111111111111112", "at": "2024-09-01T12:00:00Z", "t": "a\\\\u0034\\n1"}'
    assert masked(innocent) == innocent


@example("\\n1")
@given(st.text(alphabet='\\u0034"n 411-1', max_size=60))
def test_masking_leaves_nothing_to_be_found(text: str) -> None:
    assert found_in(masked(text + " " + CARD)) is None


# --- secrets ---------------------------------------------------------------------------------


def test_a_product_that_does_not_exist_refuses_like_one_that_does(town: Town) -> None:
    with pytest.raises(NotSigned):
        send(town, body_of(), key="nowhere")
    rows(town.database, "update product set signing_secrets = '[]'")
    with pytest.raises(NotSigned):
        send(town, body_of())
    assert states(town) == []


def test_no_body_is_written_anywhere_but_to_the_inbox(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rules_that_raise():
        send(town, body_of("canceled"))
    found = capsys.readouterr()
    assert "kept as failed" in found.err
    assert "ada" not in found.err + found.out
    assert not list(tmp_path.iterdir())
