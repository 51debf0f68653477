"""Who was erased is not brought back (R12), by any way in, until billing says they are new."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.mentions import Needles, Search, words
from app.inbox import Inbox
from app.lifecycle.case import Reach
from app.mirror import Mirror
from app.returns import Came, Returns, Telling
from app.rows import RowRefused
from app.rows import read as read_row
from app.signing import sign
from app.store import cases, looks, products, reading, refunds
from app.store.running import LOOK, RECONCILE, REFUND
from app.usage import Intake, Reader, Told
from app.world import billing
from app.world.connector import Charge, Event
from tests.canary import SECRET, body_of, told, wiped
from tests.fakebooks import books_of, kept, on_books
from tests.probe import fingerprint, rows, suspended
from tests.world import ACTOR, START, Town, row

DAY = timedelta(days=1)


@pytest.fixture
def gone(town: Town) -> Town:
    """Let ada be suspended and erased, and bob be as he was."""
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        products.change(connection, number, {"signing_secrets": [SECRET]})
    town.join(row("ada", customer="cus_ada"), row("bob"))
    suspended(town, "ada")
    wiped(town, town_id(town, "ada"))
    return town


def town_id(town: Town, name: str) -> int:
    return town.id_of(name)


def names(town: Town) -> list[str]:
    return [
        each[0] for each in rows(town.database, "select external_id from subscription order by id")
    ]


def here(town: Town) -> list[str]:
    return [each for each in names(town) if not each.startswith("erased:")]


def bring(town: Town, **changes: Any) -> Any:
    facts = [read_row(row("ada", **changes)), read_row(row("bob"))]
    return Mirror(town.database, town.clock, links=town.links).bring(town.key, facts, ACTOR)


def later(town: Town, days: int) -> str:
    return f"{town.clock.now() + days * DAY:%Y-%m-%d}T00:00:00Z"


# --- billing ---------------------------------------------------------------------------------


def test_an_import_leaves_out_who_was_erased_and_names_them(gone: Town) -> None:
    before = fingerprint(gone.database)
    brought = bring(gone)
    assert (brought["erased"], brought.erased) == (1, ("ada",))
    assert fingerprint(gone.database) == before


@pytest.mark.parametrize(("days", "taken"), [(0, False), (1, True)])
def test_a_subscription_that_began_on_a_later_day_is_a_new_one(
    gone: Town, days: int, *, taken: bool
) -> None:
    old = names(gone)[0]
    gone.clock.advance(2 * DAY)
    started = later(gone, days - 2)
    assert bring(gone, started_at=started)["erased"] == (not taken)
    assert (here(gone) == ["bob", "ada"]) is taken
    assert names(gone)[0] == old
    assert rows(gone.database, "select count(*) from tombstone") == [(1,)]


def test_what_is_told_late_of_the_old_one_does_not_touch_the_new_one(gone: Town) -> None:
    gone.clock.advance(2 * DAY)
    bring(gone, started_at=later(gone, -1), email="new@ada.example")
    gone.clock.advance(DAY)
    before = fingerprint(gone.database)
    assert bring(gone, email="old@ada.example")["erased"] == 1
    assert fingerprint(gone.database) == before
    assert bring(gone, started_at=later(gone, -2), email="newer@ada.example")["applied"] == 1


def test_nothing_is_taken_in_without_the_keys_once_somebody_was_erased(gone: Town) -> None:
    mirror = Mirror(gone.database, gone.clock)
    assert mirror.bring(gone.key, [read_row(row("bob"))], ACTOR)["unchanged"] == 1
    with pytest.raises(LookupError):
        mirror.bring(gone.key, [read_row(row("cyd"))], ACTOR)


def test_nobody_may_be_called_what_the_erased_are_called(gone: Town) -> None:
    name = names(gone)[0]
    with pytest.raises(RowRefused, match="erased:"):
        read_row(row(name))
    with pytest.raises(ValueError, match="no id"):
        Reader(START).use(name, "", "2024-09-01")


def test_erasing_while_the_same_is_told_refuses_it_all_the_same(town: Town) -> None:
    """The mirror reads before the wiping has committed, and goes on after."""
    (sid,) = town.join(row("ada"))
    mirror = Mirror(town.database, town.clock, links=town.links)
    changed = [read_row(row("ada", plan="premium"))]
    wiped(town, sid)
    assert mirror.bring(town.key, changed, ACTOR).erased == ("ada",)


# --- messages --------------------------------------------------------------------------------


def kept_of(town: Town) -> list[tuple[Any, ...]]:
    return rows(town.database, "select state, reason, body from inbox order by id")


@pytest.mark.parametrize("kind", ["created", "updated", "canceled"])
def test_a_message_about_who_was_erased_is_ignored_and_not_kept(gone: Town, kind: str) -> None:
    assert told(gone, "m1", body_of("ada", START, kind)) == "ignored"
    assert kept_of(gone) == [("ignored", "erased", None)]
    assert told(gone, "m1", body_of("ada", START, kind)) == "duplicate"
    assert here(gone) == ["bob"]


def test_messages_about_others_are_kept_with_whom_they_are_about(gone: Town) -> None:
    assert told(gone, "m1", body_of("bob", START)) == "applied"
    ((sid, body),) = rows(gone.database, "select subscription_id, body from inbox")
    assert sid == gone.id_of("bob")
    assert body is not None


@pytest.mark.parametrize("escaped", [False, True])
def test_one_that_cannot_be_read_and_names_them_is_not_kept(gone: Town, *, escaped: bool) -> None:
    body = json.dumps(body_of("ada", START, currency="€")).encode()
    if escaped:
        body = body.replace(b'"ada"', b'"\\u0061da"')
    assert told(gone, "m1", body) == "ignored"
    assert (
        told(gone, "m2", json.dumps(body_of("bob", START, currency="€")).encode()) == "unreadable"
    )
    assert [each[2] is None for each in kept_of(gone)] == [True, False]


def test_a_failed_message_that_is_tried_again_after_the_erasure_is_not_kept(gone: Town) -> None:
    body = json.dumps(body_of("ada", START)).encode()
    rows(
        gone.database,
        """insert into inbox (product_id, source, message_id, received_at, state, tries, body)
           select id, 'standard', 'm', :at, 'failed', 1, :body from product""",
        at=START,
        body=body,
    )
    inbox = Inbox(gone.database, gone.clock, links=gone.links)
    assert inbox.replay_failed(gone.key) == {"ignored": 1}
    assert kept_of(gone) == [("ignored", "erased", None)]


def test_a_hint_about_who_was_erased_is_not_followed(
    gone: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hint(town: Town, message_id: str, **named: tuple[str, ...]) -> str:
        system = billing.system("standard")
        assert system is not None
        event = Event("hint", START, **named)  # type: ignore[arg-type]
        hinting = type(system)(
            system.title, system.connect, system.verify, lambda _body, _now: event
        )
        monkeypatch.setattr(billing, "system", lambda _: hinting)
        headers = sign([SECRET], message_id, town.clock.wall(), b"{}")
        inbox = Inbox(town.database, town.clock, links=town.links)
        result = inbox.receive(town.key, headers, b"{}").result
        monkeypatch.undo()
        return result

    assert hint(gone, "m1", look=("ada",)) == "ignored"
    assert hint(gone, "m2", customers=("cus_ada",)) == "ignored"
    assert hint(gone, "m3", look=("ada", "bob")) == "ignored"
    assert hint(gone, "m4", look=("bob",)) == "applied"
    assert [each[2] is None for each in kept_of(gone)] == [True, True, True, False]
    assert rows(gone.database, "select external_id from look") == [("bob",)]


# --- the comparison with billing -------------------------------------------------------------


def test_the_comparison_with_billing_brings_nobody_back(gone: Town) -> None:
    system = on_books(gone)
    system.has(row("ada"), row("bob"))
    books = books_of(gone, system, links=gone.links)
    books.run(gone.key)
    found = rows(gone.database, "select (result->>'erased')::int from reconciliation")
    assert found == [(1,)]
    assert here(gone) == ["bob"]
    system.unfit["ada"] = "currency is none"
    del system.people["ada"]
    books.run(gone.key)
    assert rows(gone.database, "select external_id from look") == []


def test_a_look_that_was_under_way_brings_nobody_back(gone: Town) -> None:
    system = on_books(gone)
    system.has(row("ada"), row("bob"))
    with gone.database.transaction() as connection:
        looks.want(connection, gone.product.id, ["ada"], (), gone.clock.wall())
    kept(books_of(gone, system, links=gone.links), LOOK)
    assert here(gone) == ["bob"]
    assert rows(gone.database, "select external_id from look") == []


def test_charges_of_who_was_erased_open_no_entry(gone: Town) -> None:
    system = on_books(gone)
    system.has(row("bob"))
    system.made.append(Charge("ch_1", "ada", gone.clock.now(), 1349, "GBP"))
    kept(books_of(gone, system, links=gone.links), RECONCILE, REFUND)
    with gone.database.transaction() as connection:
        assert refunds.known(connection, gone.product.id, ["ch_1"]) == set()


# --- usage and what comes back ---------------------------------------------------------------


def test_use_of_who_was_erased_is_not_remembered(gone: Town) -> None:
    intake = Intake(gone.database, gone.clock, links=gone.links)
    day = gone.clock.now().date()
    taken = intake.record(gone.key, Told({"ada": day, "cyd": day}, {"cus_ada": day}), ACTOR)
    assert taken.unknown == 3
    assert rows(gone.database, "select external_id from unknown_usage") == [("cyd",)]


def test_a_bounce_that_comes_later_is_of_nobody(gone: Town) -> None:
    sid = min(each[0] for each in rows(gone.database, "select id from subscription"))
    notice = f"<{gone.links.notice_id(sid, 1, 'ask', 1)}@tv.example>"
    before = fingerprint(gone.database)
    tellings = [
        Telling(Reach.COMPLAINED, (notice,), None, ("ada@subscribers.example",)),
        Telling(Reach.BOUNCED, subscription="ada"),
    ]
    came = Returns(gone.database, gone.clock, gone.links).take(gone.key, tellings, ACTOR)
    assert came == [Came.NOT_OURS, Came.NOT_OURS]
    assert fingerprint(gone.database) == before


def test_time_passes_over_who_was_erased(gone: Town) -> None:
    sid = min(each[0] for each in rows(gone.database, "select id from subscription"))
    gone.relay.sent.clear()
    gone.days_pass(800, 100)
    assert [to for to, _ in gone.relay.sent if "ada" in to] == []
    assert rows(gone.database, "select count(*) from timer where subscription_id = :s", s=sid) == [
        (0,)
    ]
    with gone.database.transaction() as connection:
        product = gone.product
        case = cases.read(connection, product.id, [sid], product.hearing, lock=False)[sid]
        assert reading.in_product(connection, product.id, [sid]) == set()
    assert case.round is not None
    assert case.round.number == 1


# --- whom a text names -----------------------------------------------------------------------

ADA = Needles(
    ("sub_ada_1", "cus_7"), ("Ada.Ünï+x@exämple.example", "ada.ünï+x@xn--exmple-cua.example")
)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"sub_ada_1"}',
        b"id=sub_ada_1&x=2",
        b'{"id":"s\\u0075b_ada_1"}',
        b'{"url":"/v1/sub_ada_1"}',
        b'{"url":"\\/v1\\/sub_ada_1\\/"}',
        b'{"body":"{\\"id\\":\\"\\\\u0073ub_ada_1\\"}"}',
        b'{"customer":"cus_7"}',
        '{"email":"ADA.ünï+X@exämple.example"}'.encode(),
        '{"to":"Ada <ada.u\u0308ni\u0308+x@exa\u0308mple.example>"}'.encode(),
        json.dumps({"email": "Ada.Ünï+x@EXÄMPLE.example"}).encode(),
        b"email=ada.%C3%BCn%C3%AF%2Bx%40xn--exmple-cua.example",
    ],
)
def test_somebody_is_found_however_they_are_written(body: bytes) -> None:
    search = Search({7: ADA})
    assert search.named_in(body) == {7}
    plain = body.decode().lower()
    assert "\\" in plain or "%" in plain or any(each in plain for each in search.tokens or [""])


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"sub_ada_10"}',
        b'{"id":"xsub_ada_1"}',
        b'{"id":"sub_ada_1-2"}',
        b'{"id":"SUB_ADA_1"}',
        b'{"price":cus_7}',
        b'{"customer":"cus_77"}',
        '{"email":"xada.ünï+x@exämple.example"}'.encode(),
        '{"email":"b.ada.ünï+x@exämple.example"}'.encode(),
        '{"email":"ada.ünï+x@exämple.examples"}'.encode(),
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_somebody_like_them_is_not(body: bytes) -> None:
    assert Search({7: ADA}).named_in(body) == set()


@given(
    st.text(min_size=1, max_size=30).filter(
        lambda name: name.isprintable() and name.strip() == name
    )
)
def test_any_id_is_found_in_what_json_makes_of_it(name: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"data": {"id": name}}, ensure_ascii=ascii_only).encode()
        if '"' not in name and "\\" not in name and "%" not in name:
            assert Search({1: Needles((name,))}).named_in(body) == {1}
            assert name in words(body, 100) or name != name.strip()
