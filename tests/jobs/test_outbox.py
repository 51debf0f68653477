"""The worker: between two transactions, whatever the world does."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from app.engine.effects import Effects, Task
from app.errors import Refused
from app.lifecycle.case import Lane
from app.world.connector import Acts, Away
from app.world.outcome import Done, Later, No, Outcome
from jobs.outbox import Worker
from tests.probe import (
    HOUR,
    MINUTE,
    SECOND,
    OddBilling,
    asked,
    brake,
    kinds,
    leases_run_out,
    mails,
    rows,
    suspended,
    waiting,
    window_ends,
)
from tests.world import Town, row


class Killed(BaseException):
    """The process ends here."""


def ends(_: Task) -> None:
    raise Killed


def worker(town: Town, billing: Acts | None = None, **hooks: Any) -> Worker:
    made = town.worker()
    if billing is not None:
        made.connector = lambda _: billing
    return replace(made, **hooks)


def silent(town: Town, *names: str) -> None:
    town.join(*(row(name) for name in names))
    asked(town, *names)
    window_ends(town, names[0])
    town.sweep()


# --- billing -----------------------------------------------------------------------------------


def test_an_act_that_was_applied_and_whose_answer_was_lost_is_not_repeated(town: Town) -> None:
    silent(town, "ada")
    billing = OddBilling(town)
    billing.cut_after = True
    worker(town, billing).once()
    assert town.stage("ada") == "asked"
    town.clock.advance(5 * MINUTE)
    worker(town, billing).once()
    assert (len(billing.orders), billing.reads) == (1, 1)
    assert (town.stage("ada"), town.acts("ada")) == ("suspended", ["suspend"])


def test_an_act_that_never_arrived_is_repeated_after_reading_back(town: Town) -> None:
    silent(town, "ada")
    billing = OddBilling(town)
    billing.instead = lambda _: Later("timeout", unknown=True)
    worker(town, billing).once()
    billing.instead = None
    town.clock.advance(5 * MINUTE)
    worker(town, billing).until_idle()
    assert [order.act for order in billing.orders] == ["suspend", "suspend"]
    assert billing.orders[0].key == billing.orders[1].key
    assert town.acts("ada") == ["suspend"]


def test_after_a_keep_an_act_that_never_arrived_is_not_repeated(town: Town) -> None:
    silent(town, "ada")
    billing = OddBilling(town)
    billing.instead = lambda _: Later("timeout", unknown=True)
    worker(town, billing).once()
    town.answer("ada", "keep")
    billing.instead = None
    town.clock.advance(5 * MINUTE)
    worker(town, billing).until_idle()
    assert (len(billing.orders), town.acts("ada"), town.stage("ada")) == (1, [], "active")


def test_a_keep_behind_an_act_that_was_applied_ends_in_a_resume(town: Town) -> None:
    silent(town, "ada")
    billing = OddBilling(town)
    billing.cut_after = True
    worker(town, billing).once()
    town.answer("ada", "keep")
    billing.cut_after = False
    town.clock.advance(5 * MINUTE)
    worker(town, billing).until_idle()
    assert (town.acts("ada"), town.stage("ada")) == (["suspend", "resume"], "active")
    assert mails(town, "ada") == ["ask", "resumed"]


def test_billing_that_stops_answering_is_left_alone_with_the_rest_of_the_batch(
    town: Town,
) -> None:
    silent(town, "ada", "bob", "cleo", "dan")
    billing = OddBilling(town)
    billing.instead = lambda _: Later("no connection")
    made = worker(town, billing)
    made.until_idle()
    assert len(billing.orders) == 2  # found out at the price of two, and nothing is lost
    billing.instead = None
    town.clock.advance(MINUTE - SECOND)
    assert made.once().total() == 0
    town.clock.advance(SECOND)
    made.until_idle()
    assert [town.stage(name) for name in ("cleo", "dan")] == ["suspended"] * 2
    town.clock.advance(MINUTE)
    made.until_idle()
    assert [town.stage(name) for name in ("ada", "bob")] == ["suspended"] * 2
    assert {len(town.acts(name)) for name in ("ada", "bob", "cleo", "dan")} == {1}


def test_billing_that_cannot_be_asked_is_left_alone_and_what_is_unknown_stays_so(
    town: Town,
) -> None:
    silent(town, "ada", "bob")
    billing = OddBilling(town)
    billing.cut_after = True
    worker(town, billing).once()
    town.clock.advance(5 * MINUTE)
    billing.away = Away("rate limit", retry_after=2 * MINUTE)
    made = worker(town, billing)
    made.once()
    assert billing.reads == 1  # of two; the other waits as well
    assert rows(town.database, "select unknown from outbox where lane = 'billing'") == [(1,), (1,)]
    billing.away, billing.cut_after = None, False
    town.clock.advance(2 * MINUTE)
    made.until_idle()
    assert [(town.stage(name), town.acts(name)) for name in ("ada", "bob")] == [
        ("suspended", ["suspend"])
    ] * 2
    assert len(billing.orders) == 2


def test_one_product_whose_billing_is_away_keeps_no_other_waiting(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    for each in (town, radio):
        each.join(*(row(name) for name in ("ada", "bob", "cleo")))
        asked(each, "ada", "bob", "cleo")
    for each in (town, radio):
        window_ends(each, "ada")
        each.sweep()
    away, well = OddBilling(town), OddBilling(radio)
    away.instead = lambda _: Later("no connection")
    made = worker(town)
    made.connector = lambda product: away if product == town.key else well
    made.until_idle()
    assert [radio.stage(name) for name in ("ada", "bob", "cleo")] == ["suspended"] * 3
    assert [len(away.orders), len(well.orders)] == [2, 3]


def test_a_connector_that_raises_is_an_unknown_outcome_and_stops_no_other(town: Town) -> None:
    silent(town, "ada", "bob")
    billing = OddBilling(town)

    def odd(order: Any) -> Outcome:
        if order.subscription == "ada":
            raise ZeroDivisionError
        return billing.real.carry_out(order)

    billing.instead = odd
    worker(town, billing).until_idle()
    assert (town.stage("ada"), town.stage("bob")) == ("asked", "suspended")
    assert waiting(town, "ada") == [("billing.suspend", "pending")]
    assert rows(town.database, "select unknown, error from outbox where state = 'pending'") == [
        (1, "connector failed: ZeroDivisionError")
    ]


def test_a_connector_that_is_missing_leaves_everything_as_it_was(town: Town) -> None:
    silent(town, "ada")

    def none(_: str) -> Acts:
        raise Refused("there is no connector")

    made = worker(town)
    made.connector = none
    with pytest.raises(Refused):
        made.until_idle()
    assert waiting(town, "ada") == [("billing.suspend", "pending")]
    assert rows(town.database, "select unknown from outbox") == [(0,)]
    town.deliver()
    assert town.stage("ada") == "suspended"


def test_billing_that_refuses_parks_the_act(town: Town) -> None:
    silent(town, "ada")
    billing = OddBilling(town)
    billing.instead = lambda _: No("unknown subscription")
    worker(town, billing).until_idle()
    assert waiting(town, "ada") == [("billing.suspend", "parked")]


def test_a_brake_set_while_billing_is_told_stops_the_rest_within_a_second(town: Town) -> None:
    silent(town, "ada", "bob", "cyd")
    seen: list[str] = []

    def slow(task: Task) -> None:
        seen.append(str(task.kind))
        if len(seen) == 1:
            brake(town)
        town.clock.machine += timedelta(seconds=1)

    worker(town, before_act=slow).until_idle()
    assert [kind for kind in seen if kind.startswith("billing")] == ["billing.suspend"]
    found = rows(town.database, "select state, unknown from outbox where lane = 'billing'")
    assert found == [("pending", 0)] * 2
    assert rows(town.database, "select count(*) from sandbox_act") == [(1,)]


# --- notices -----------------------------------------------------------------------------------


def test_a_brake_set_while_notices_go_out_stops_the_rest_within_a_second(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(4)))
    town.sweep()

    def slow(_: Task) -> None:
        if not town.relay.sent:
            brake(town)
        town.clock.machine += timedelta(seconds=1)

    worker(town, before_act=slow).until_idle()
    assert len(town.relay.sent) == 1
    assert rows(town.database, "select state, unknown from outbox") == [("pending", 0)] * 3


def test_nothing_is_begun_with_too_little_of_the_lease_left(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(4)))
    town.sweep()

    def slow(_: Task) -> None:
        town.clock.machine += timedelta(seconds=20)

    assert worker(town, before_act=slow).once()["notice.ask later"] == 2
    assert len(town.relay.sent) == 2
    worker(town).until_idle()
    assert len(town.relay.sent) == 4


def test_a_relay_that_raises_is_an_unknown_outcome_and_stops_no_other(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()

    def odd(to: str) -> Outcome:
        if to.startswith("ada"):
            raise ZeroDivisionError
        return Done()

    town.relay.answer = odd
    worker(town).until_idle()
    assert mails(town, "bob") == ["ask"]
    assert rows(town.database, "select unknown, error from outbox") == [
        (1, "relay failed: ZeroDivisionError")
    ]


def test_a_notice_that_cannot_be_composed_is_parked_and_stops_no_other(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()
    made = worker(town)
    real = made.composer.compose

    def compose(brand: Any, brief: Any) -> bytes:
        if brief.to.startswith("ada"):
            raise KeyError
        return real(brand, brief)

    monkeypatch.setattr(type(made.composer), "compose", lambda _, *rest: compose(*rest))
    made.until_idle()
    assert mails(town, "bob") == ["ask"]
    assert waiting(town, "ada") == [("notice.ask", "parked")]
    assert town.case("ada").reach == "ok"


def test_at_most_two_copies_of_a_notice_go_out_and_both_have_one_message_id(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    for _ in range(4):
        with suppress(Killed):
            worker(town, after_act=ends).once()
        leases_run_out(town)
    worker(town).until_idle()
    assert mails(town, "ada") == ["ask", "ask"]
    assert len({str(mail["Message-ID"]) for mail in town.relay.mails()}) == 1
    assert waiting(town, "ada") == [("notice.ask", "parked")]


def test_a_worker_that_is_stopped_brings_back_what_it_had_done(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(4)))
    town.sweep()

    def stop(_: Task) -> None:
        if len(town.relay.sent) == 2:
            raise Killed

    with pytest.raises(Killed):
        worker(town, before_act=stop).once()
    found = rows(town.database, "select state from outbox")
    assert found == [("claimed",)] * 2
    leases_run_out(town)
    worker(town).until_idle()
    assert len(town.relay.sent) == 4


def test_a_dead_relay_stops_no_act_at_billing(town: Town) -> None:
    silent(town, "ada")
    town.relay.answer = lambda _: Later("connection refused")
    worker(town).until_idle()
    assert town.acts("ada") == ["suspend"]
    assert waiting(town, "ada") == [("notice.suspended", "pending")]


def test_a_product_that_fails_stops_no_other_and_is_raised_in_the_end(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    radio.join(row("bob"))
    radio.sweep()
    rows(
        town.database,
        """insert into policy (product_id, version, body, proposed_by, proposed_at, activated_at)
           values (:id, 99, '{"nonsense": 1}', 'cli:x', :at, :at)""",
        id=town.product.id,
        at=town.clock.now(),
    )
    made = radio.worker()
    with pytest.raises(Refused):
        made.until_idle()
    assert len(radio.relay.sent) == 1
    assert "product tv put off" in capsys.readouterr().err


def test_delivering_counts_outcomes_by_kind(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()
    town.relay.answer = lambda to: Done() if to.startswith("ada") else Later("smtp 451")
    assert worker(town).until_idle() == {"notice.ask done": 1, "notice.ask later": 1}


def test_nothing_to_do_is_idle_at_once(town: Town) -> None:
    assert not worker(town).until_idle()


def test_a_worker_waits_for_no_lease_where_nothing_is_claimed(town: Town) -> None:
    assert not worker(town).waited_for_a_lease()


def test_a_worker_waits_for_the_lease_of_a_dead_one(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    Effects(town.database, town.clock, town.links).claim("tv", Lane.BILLING, 1)
    with pytest.raises(Killed):
        worker(town, before_act=ends).once()
    town.clock.machine += timedelta(seconds=60)
    assert worker(town).waited_for_a_lease()
    town.clock.machine += timedelta(seconds=1)
    worker(town).until_idle()
    assert mails(town, "ada") == ["ask"]


def test_two_workers_at_once_send_everything_once(town: Town) -> None:
    town.join(*(row(f"p{number:02}") for number in range(20)))
    town.sweep()
    workers = [worker(town), worker(town)]
    threads = [Thread(target=each.until_idle) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker(town).until_idle()
    assert len(town.relay.sent) == len({to for to, _ in town.relay.sent}) == 20


# --- the whole way -----------------------------------------------------------------------------


def test_a_suspension_is_told_after_it_is_done_and_states_the_time_paid(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    assert mails(town, "ada") == ["ask", "suspended"]
    assert kinds(town, "ada") == []


def test_a_cancel_rests_ten_minutes_and_undo_is_a_click(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "cancel")
    town.clock.advance(9 * MINUTE)
    town.deliver()
    assert town.acts("ada") == []
    town.answer("ada", "undo")
    town.clock.advance(HOUR)
    town.deliver()
    assert (town.acts("ada"), town.stage("ada")) == ([], "asked")
