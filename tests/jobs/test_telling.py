"""Telling targets: in what order, how often, what counts, and what a crash may cost."""

import json
from dataclasses import replace
from datetime import date, timedelta
from threading import Event, Lock, Thread
from typing import Any

import pytest

from app.engine.receipts import CHASES, GIVEN_UP, LEASE, MOST_TRIES, Receipts, Telling
from app.errors import Conflict, NotFound, Refused
from app.world.erasing import Answer, Given, Kept, Receipt, Request
from app.world.outcome import Later, No
from jobs.telling import Teller
from tests.erasing import (
    Scripted,
    accepts,
    begun,
    comes_to_telling,
    erasing,
    errors,
    gives,
    history,
    receipt,
    receipts,
    registered,
)
from tests.probe import (
    DAY,
    HOUR,
    MINUTE,
    brake,
    fingerprint,
    leases_run_out,
    lift,
    listening,
    news_bodies,
    rows,
    suspended,
)
from tests.world import YEAR, Town, row

ALWAYS = YEAR | {"keep_categories": {"invoices": "P10Y"}}


class Killed(BaseException):
    """The process ends here."""


def ends(_: Telling) -> None:
    raise Killed


def teller(town: Town, there: Scripted, **changes: Any) -> Teller:
    return Teller(town.database, town.clock, town.links, there.connect, **changes)


def idle(made: Teller, product: str = "tv") -> int:
    """Work until nothing is left; give how many tries there were."""
    did, nothing_left = made.work(product, lambda: True)
    assert nothing_left
    return did


def tells(town: Town, there: Scripted) -> list[str]:
    """Tell what is due; give the targets told."""
    before = len(there.told)
    idle(teller(town, there))
    return there.keys[before:]


# --- telling -----------------------------------------------------------------------------------


def test_each_target_is_told_once_and_its_receipt_is_kept(town: Town) -> None:
    registered(town, "crm")
    registered(town, "lake")
    erasure = erasing(town, "ada")
    there = Scripted()
    assert sorted(tells(town, there)) == ["crm", "lake"]
    assert tells(town, there) == []
    assert receipts(town) == {"crm": "given", "lake": "given"}
    ((body,), _) = rows(town.database, "select body from receipt")
    assert body == {
        "erased": ["profile"],
        "kept": [{"category": "invoices", "why": "legal_obligation", "until": "2034-01-01"}],
    }
    assert sorted(history(town)) == [
        ("erasure_requested", "crm"),
        ("erasure_requested", "lake"),
        ("receipt_given", "crm"),
        ("receipt_given", "lake"),
    ]
    assert {each.erasure for each in there.told} == {erasure}


def test_a_request_says_what_it_must_and_no_more(town: Town) -> None:
    town.put_in_force(ALWAYS)
    number = registered(town, "crm")
    erasure = erasing(town, "ada")
    there = Scripted()
    tells(town, there)
    (request,) = there.told
    assert (request.erasure, request.product, request.target) == (erasure, "tv", "crm")
    assert (request.subscription, request.customer, request.email) == ("ada", "cus_ada", None)
    begun_on = town.clock.now().date()
    assert request.keep == {"invoices": date(begun_on.year + 10, begun_on.month, begun_on.day)}
    assert request.categories == ("invoices", "profile")
    assert request.at == town.clock.now()
    assert not request.stays
    assert town.links.is_receipt_token(request.token, erasure, number)


def test_the_address_goes_to_who_asks_for_it(town: Town) -> None:
    registered(town, "crm", settings={"email": "yes"})
    registered(town, "lake", settings={"email": "no"})
    erasing(town, "ada")
    there = Scripted()
    tells(town, there)
    assert {each.target: each.email for each in there.told} == {
        "crm": "ada@subscribers.example",
        "lake": None,
    }


def test_what_is_kept_is_that_of_the_policy_the_round_is_held_to(town: Town) -> None:
    town.put_in_force(ALWAYS)
    registered(town, "crm")
    erasing(town, "ada")
    town.put_in_force(YEAR | {"keep_categories": {"invoices": "P1Y"}})
    there = Scripted()
    tells(town, there)
    assert there.told[0].keep["invoices"].year == town.clock.now().year + 10


@pytest.mark.parametrize("stage", ["ending", "parting", "wiping"])
def test_nobody_is_told_but_while_it_is_time_to(town: Town, stage: str) -> None:
    registered(town, "crm")
    erasing(town, "ada", stage=stage)
    there = Scripted()
    assert tells(town, there) == []
    comes_to_telling(town)
    assert tells(town, there) == ["crm"]


def test_nobody_is_told_of_a_round_that_is_not_being_erased(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted()
    rows(town.database, "update reconfirmation set stage = 'suspended'")
    assert tells(town, there) == []
    rows(town.database, "update reconfirmation set stage = 'erasing', outcome = 'erased'")
    assert tells(town, there) == []
    rows(town.database, "update reconfirmation set outcome = null")
    rows(town.database, "update erasure set ended_at = begun_at")
    assert tells(town, there) == []


def test_billings_own_comes_last_and_so_does_what_is_set_to(town: Town) -> None:
    registered(town, "books", settings={"last": "yes"})
    registered(town, "crm")
    registered(town, "mine", kind="sandbox")
    registered(town, "lake")
    erasing(town, "ada")
    there = Scripted({"lake": accepts})
    assert sorted(tells(town, there)) == ["crm", "lake"]
    town.clock.advance(HOUR)
    assert tells(town, there) == []
    there.answers.clear()
    town.clock.advance(DAY)
    told = tells(town, there)
    assert (told[0], sorted(told[1:])) == ("lake", ["books", "mine"])


def test_a_parked_one_keeps_the_last_from_being_told(town: Town) -> None:
    registered(town, "crm")
    registered(town, "mine", kind="sandbox")
    erasing(town, "ada")
    there = Scripted({"crm": lambda _: No("http 410")})
    assert tells(town, there) == ["crm"]
    town.clock.advance(DAY)
    assert tells(town, there) == []
    assert receipts(town) == {"crm": "parked", "mine": "due"}


def test_one_target_of_another_product_is_not_told(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    registered(radio, "crm")
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted()
    assert idle(teller(town, there), "radio") == 0
    assert tells(town, there) == ["crm"]
    assert there.told[0].product == "tv"


def test_a_customer_stays_while_another_subscription_is_not_erased(town: Town) -> None:
    registered(town, "crm")
    town.join(row("ada", customer="cus_1"), row("ada2", customer="cus_1"), row("bob"))
    suspended(town, "ada")
    begun(town, "ada")
    there = Scripted(otherwise=lambda _: Later("http 503"))
    tells(town, there)
    assert there.told[-1].stays
    # The other one is being erased, too: then the customer goes, whichever comes first.
    rows(
        town.database,
        """insert into erasure (id, product_id, subscription_id, round, cause, begun_at, begun_by)
           select 'other', product_id, :id, 1, 'schedule', begun_at, 'eraser' from erasure""",
        id=town.id_of("ada2"),
    )
    town.clock.advance(HOUR)
    tells(town, there)
    assert not there.told[-1].stays


def test_the_same_customer_of_another_product_is_another(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    radio.join(row("zoe", customer="cus_ada"))
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted()
    tells(town, there)
    assert not there.told[0].stays


# --- chasing -----------------------------------------------------------------------------------


def test_who_knows_and_gives_no_receipt_is_told_again_and_then_a_person_is(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=accepts)
    start, told_on = town.clock.now(), []
    for _ in range(16 * 24):
        if tells(town, there):
            told_on.append(town.clock.now() - start)
        town.clock.advance(HOUR)
    assert told_on == [timedelta(), *CHASES]
    assert len({each.key for each in there.told}) == 1
    assert len({each.token for each in there.told}) == 1
    assert (receipts(town), errors(town)) == ({"crm": "parked"}, ["no_receipt"])
    assert history(town) == [("erasure_requested", "crm"), ("receipt_parked", "crm")]
    assert GIVEN_UP == 14 * DAY


def test_who_cannot_be_told_is_tried_with_growing_pauses_and_then_parked(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=lambda _: Later("no connection"))
    start = town.clock.now()
    for _ in range(MOST_TRIES):
        assert receipts(town) == {"crm": "due"}
        assert len(tells(town, there)) == 1
        ((at,),) = rows(town.database, "select not_before from receipt")
        town.clock.set(max(at, town.clock.now()))
    assert (receipts(town), errors(town)) == ({"crm": "parked"}, ["no connection"])
    assert 13 * DAY < town.clock.now() - start < 15 * DAY
    assert history(town) == [("receipt_parked", "crm")]


def test_a_pause_that_is_asked_for_is_kept(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=lambda _: Later("http 429", retry_after=3 * HOUR))
    tells(town, there)
    town.clock.advance(3 * HOUR - MINUTE)
    assert tells(town, there) == []
    town.clock.advance(MINUTE)
    assert tells(town, there) == ["crm"]


def test_a_no_is_put_before_a_person_who_has_it_told_again(town: Town) -> None:
    registered(town, "crm")
    erasure = erasing(town, "ada")
    there = Scripted(otherwise=lambda _: No("http 410"))
    tells(town, there)
    assert (receipts(town), errors(town)) == ({"crm": "parked"}, ["http 410"])
    there.otherwise = gives
    made = teller(town, there).receipts
    assert made.retry("tv", "crm", "another", "cli:ann") == 0
    assert tells(town, there) == []
    assert made.retry("tv", "crm", erasure, "cli:ann") == 1
    assert tells(town, there) == ["crm"]
    assert receipts(town) == {"crm": "given"}
    assert there.told[0].key == there.told[1].key
    assert history(town)[:2] == [("receipt_parked", "crm"), ("receipt_retried", "crm")]
    with pytest.raises(NotFound):
        made.retry("tv", "none", None, "cli:ann")


def test_who_was_given_up_is_chased_anew_after_a_retry(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=accepts)
    tells(town, there)
    town.clock.advance(20 * DAY)
    assert tells(town, there) == []
    assert receipts(town) == {"crm": "parked"}
    teller(town, there).receipts.retry("tv", "crm", None, "cli:ann")
    assert tells(town, there) == ["crm"]
    assert receipts(town) == {"crm": "told"}


# --- receipts that cannot be believed ----------------------------------------------------------


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (lambda it: replace(it, erasure="another"), "another erasure"),
        (lambda it: replace(it, kept=()), "category left out"),
        (lambda it: replace(it, erased=("profile", "invoices")), "category twice"),
        (lambda it: replace(it, erased=("profile", "other")), "unknown category"),
        (lambda it: replace(it, kept=(Kept("invoices", "we like it", None),)), "no ground"),
    ],
)
def test_a_receipt_that_cannot_be_believed_counts_as_none(town: Town, odd: Any, code: str) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=lambda it: Given(odd(receipt(it.erasure))))
    tells(town, there)
    assert (receipts(town), errors(town)) == ({"crm": "told"}, [f"receipt refused: {code}"])
    there.otherwise = gives
    town.clock.advance(DAY)
    assert tells(town, there) == ["crm"]
    assert (receipts(town), errors(town)) == ({"crm": "given"}, [None])


def test_one_that_never_can_be_believed_comes_before_a_person(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=lambda it: Given(Receipt(it.erasure)))
    for _ in range(20):
        tells(town, there)
        town.clock.advance(DAY)
    assert len(there.told) == 1 + len(CHASES)
    assert receipts(town) == {"crm": "parked"}
    assert errors(town) == ["receipt refused: category left out"]


def test_nothing_is_kept_for_longer_than_the_policy_says(town: Town) -> None:
    town.put_in_force(YEAR | {"keep_categories": {"invoices": "P1Y"}})
    registered(town, "crm")
    erasing(town, "ada")
    tells(town, Scripted())
    assert errors(town) == ["receipt refused: kept too long"]


# --- receipts that come by themselves ----------------------------------------------------------


def given(town: Town, erasure: str, target: str = "crm", **changes: Any) -> Any:
    made = Receipts(town.database, town.clock, town.links)
    wanted: dict[str, Any] = {"receipt": receipt(erasure), "actor": "api:1"} | changes
    return made.give("tv", erasure, target, **wanted)


def test_a_receipt_that_comes_later_ends_the_chase(town: Town) -> None:
    number = registered(town, "crm")
    erasure = erasing(town, "ada")
    there = Scripted(otherwise=accepts)
    tells(town, there)
    town.clock.advance(2 * HOUR)
    token = town.links.receipt_token(erasure, number)
    assert given(town, erasure, token=token).state == "given"
    before = fingerprint(town.database)
    assert given(town, erasure, token=token).state == "given"
    assert fingerprint(town.database) == before
    with pytest.raises(Conflict):
        given(town, erasure, token=token, receipt=receipt(erasure, "2033-01-01"))
    town.clock.advance(20 * DAY)
    assert tells(town, there) == []
    assert history(town) == [("erasure_requested", "crm"), ("receipt_given", "crm")]


def test_a_token_is_good_for_its_own_target_and_erasure_only(town: Town) -> None:
    crm, lake = registered(town, "crm"), registered(town, "lake")
    ada = erasing(town, "ada")
    town.join(row("bob"))
    rows(town.database, "update reconfirmation set erasing = null, stage = 'erasing'")
    before = fingerprint(town.database)
    links = town.links
    for token in (
        links.receipt_token(ada, lake),
        links.receipt_token("another", crm),
        links.receipt_token(ada, crm)[:-1],
        links.receipt_token(ada, crm) + "=",
        "",
        "\ud800",
        "ü" * 43,
    ):
        with pytest.raises(Refused, match="token"):
            given(town, ada, token=token)
    assert fingerprint(town.database) == before
    assert given(town, ada, token=links.receipt_token(ada, crm)).state == "given"


def test_no_receipt_is_taken_for_what_is_not_there(town: Town) -> None:
    registered(town, "crm")
    erasure = erasing(town, "ada")
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    made = Receipts(radio.database, radio.clock, radio.links)
    for product, name, target in (
        ("tv", "none", "crm"),
        ("tv", erasure, "lake"),
        ("radio", erasure, "crm"),
    ):
        with pytest.raises(NotFound):
            made.give(product, name, target, receipt(erasure), "cli:ann")


def test_a_receipt_that_comes_while_its_target_is_told_counts(town: Town) -> None:
    registered(town, "crm")
    erasure = erasing(town, "ada")

    def answers_meanwhile(_: Request) -> Answer:
        given(town, erasure)
        return Later("timeout after request", unknown=True)

    tells(town, Scripted(otherwise=answers_meanwhile))
    assert (receipts(town), errors(town)) == ({"crm": "given"}, [None])
    assert history(town) == [("receipt_given", "crm")]


def test_a_receipt_wakes_what_was_parked(town: Town) -> None:
    registered(town, "crm")
    erasure = erasing(town, "ada")
    tells(town, Scripted(otherwise=lambda _: No("http 410")))
    given(town, erasure)
    assert (receipts(town), errors(town)) == ({"crm": "given"}, [None])


# --- crashes -----------------------------------------------------------------------------------


def test_who_dies_after_telling_has_it_told_again_under_the_same_key(town: Town) -> None:
    for key in ("a", "b", "c"):
        registered(town, key)
    erasing(town, "ada")
    there = Scripted()
    with pytest.raises(Killed):
        idle(teller(town, there, after_tell=ends))
    assert set(receipts(town).values()) == {"claimed"}
    assert tells(town, there) == []
    town.clock.machine += LEASE + MINUTE
    assert sorted(tells(town, there)) == ["a", "b", "c"]
    assert len({(each.target, each.key) for each in there.told}) == 3
    assert len(there.told) == 6
    assert set(receipts(town).values()) == {"given"}


def test_who_dies_before_telling_loses_nothing(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted()
    with pytest.raises(Killed):
        idle(teller(town, there, before_tell=ends))
    town.clock.machine += LEASE + MINUTE
    assert tells(town, there) == ["crm"]
    assert history(town) == [("erasure_requested", "crm"), ("receipt_given", "crm")]


def test_a_crash_after_some_of_seven_targets_is_made_good(town: Town) -> None:
    for number in range(7):
        registered(town, f"t{number}")
    erasing(town, "ada")
    there, left = Scripted(), [3]

    def ends_later(_: Telling) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with pytest.raises(Killed):
        idle(teller(town, there, after_tell=ends_later))
    assert list(receipts(town).values()).count("given") == 3
    town.clock.machine += LEASE + MINUTE
    again = tells(town, there)
    assert len(again) == 4
    assert set(receipts(town).values()) == {"given"}
    assert len({each.key for each in there.told}) == 7


def test_what_comes_back_too_late_does_not_count(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted()

    def overtaken(_: Telling) -> None:
        leases_run_out(town)
        town.clock.machine += LEASE
        there.otherwise = gives
        tells(town, there)

    there.otherwise = lambda _: No("http 410")
    idle(teller(town, there, after_tell=overtaken))
    assert receipts(town) == {"crm": "given"}
    assert len(there.told) == 2


def test_what_comes_back_too_late_does_not_count_while_another_is_telling(town: Town) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted(otherwise=lambda _: No("http 410"))

    def overtaken(_: Telling) -> None:
        town.clock.machine += LEASE + MINUTE
        with pytest.raises(Killed):
            idle(teller(town, there, before_tell=ends))

    assert teller(town, there, after_tell=overtaken).once("tv").total() == 1
    assert (receipts(town), errors(town)) == ({"crm": "claimed"}, [None])
    there.otherwise = gives
    town.clock.machine += LEASE + MINUTE
    tells(town, there)
    assert receipts(town) == {"crm": "given"}


def test_two_at_once_tell_each_target_once(town: Town) -> None:
    for number in range(6):
        registered(town, f"t{number}")
    erasing(town, "ada")
    there = Scripted()
    threads = [Thread(target=idle, args=(teller(town, there),)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(there.keys) == [f"t{number}" for number in range(6)]


def test_whatever_a_target_raises_is_tried_again_and_stops_no_other(town: Town) -> None:
    registered(town, "bad")
    registered(town, "good")
    erasing(town, "ada")

    def raises(_: Request) -> Answer:
        raise RuntimeError("ada@subscribers.example")

    tells(town, Scripted({"bad": raises}))
    assert receipts(town) == {"bad": "due", "good": "given"}
    assert errors(town) == ["target failed: RuntimeError", None]


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (Refused("no secret", "rotate"), "not connected"),
        (KeyError("ada@subscribers.example"), "not connected: KeyError"),
    ],
)
def test_a_target_that_cannot_be_connected_is_tried_again(
    town: Town, raised: Exception, says: str
) -> None:
    registered(town, "crm")
    erasing(town, "ada")
    there = Scripted()

    def refused(*_: Any) -> Any:
        raise raised

    made = Teller(town.database, town.clock, town.links, refused)
    idle(made)
    assert (receipts(town), errors(town)) == ({"crm": "due"}, [says])
    assert there.told == []


def test_a_target_that_does_not_answer_is_left_alone_and_stops_no_other(town: Town) -> None:
    registered(town, "dead")
    registered(town, "well")
    names = [f"p{number}" for number in range(6)]
    town.join(*(row(name) for name in names))
    suspended(town, names[0])
    for name in names:
        begun(town, name)
    there = Scripted({"dead": lambda _: Later("no connection")})
    idle(teller(town, there))
    assert there.keys.count("well") == 6
    # One try for each of its hands, at most; those left are not counted as tried.
    assert 2 <= there.keys.count("dead") <= 4
    ((untried,),) = rows(town.database, "select count(*) from receipt where tries = 0")
    assert untried == 6 - there.keys.count("dead")


# --- the brake -----------------------------------------------------------------------------------


def test_a_brake_stops_what_is_scheduled_and_not_what_a_person_wants(town: Town) -> None:
    registered(town, "crm")
    town.join(row("ada"), row("bob"))
    suspended(town, "ada")
    begun(town, "ada", "schedule")
    wanted = begun(town, "bob", "request")
    brake(town)
    there = Scripted()
    assert tells(town, there) == ["crm"]
    assert there.told[0].erasure == wanted
    lift(town)
    assert tells(town, there) == ["crm"]


def test_a_brake_set_in_the_midst_of_a_batch_stops_the_rest(town: Town) -> None:
    registered(town, "crm")
    names = [f"p{number}" for number in range(9)]
    town.join(*(row(name) for name in names))
    suspended(town, names[0])
    for name in names:
        begun(town, name)
    there, hold, is_set = Scripted(), Lock(), Event()

    def braking(_: Telling) -> None:
        with hold:
            if not is_set.is_set():
                brake(town)
                town.clock.machine += timedelta(seconds=2)
                is_set.set()

    made = teller(town, there, before_tell=braking)
    did, _ = made.work("tv", lambda: True)
    assert did == len(there.told) <= 4
    ((left,),) = rows(town.database, "select count(*) from receipt where state = 'due'")
    assert left == 9 - did


# --- what endpoints hear -------------------------------------------------------------------------


def test_endpoints_hear_once_that_an_erasure_is_carried_out(town: Town) -> None:
    listening(town, types=("erasure.requested",))
    for key in ("a", "b", "c"):
        registered(town, key)
    erasure = erasing(town, "ada")
    there = Scripted(otherwise=lambda _: Later("no connection"))
    tells(town, there)
    assert news_bodies(town, "ada") == []
    there.otherwise = accepts
    town.clock.advance(HOUR)
    tells(town, there)
    town.clock.advance(DAY)
    tells(town, there)
    ((kind, body),) = news_bodies(town, "ada")
    assert kind == "erasure.requested"
    assert (body["data"]["erasure"], body["data"]["subscription"]) == (erasure, "ada")
    assert (body["data"]["stage"], body["data"]["round"]) == ("erasing", 1)
    assert "@" not in json.dumps(body)


def test_nothing_is_told_to_who_does_not_want_to_hear(town: Town) -> None:
    listening(town, types=("reconfirmation.asked",))
    registered(town, "crm")
    erasing(town, "ada")
    tells(town, Scripted())
    assert "erasure.requested" not in [kind for kind, _ in news_bodies(town, "ada")]
