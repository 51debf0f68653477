"""Messages on their way to endpoints: order, patience, and dead endpoints that stop no other."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest

from app.clock import Clock
from app.engine.webhooks import Delivery, Sent, Webhooks
from app.signing import new_secret
from app.store import webhooks
from app.world.hooks import Answer, Message, Sender
from app.world.outcome import Done, Later, No, Outcome
from jobs.hooks import AT_ONCE, Hooks
from tests.probe import DAY, HOUR, MINUTE, asked, leases_run_out, listening, rows
from tests.receiver import nobody, receiving
from tests.world import START, YEAR, Town, row

SECRET = new_secret()


class Killed(BaseException):
    """The process ends here."""


class Scripted(Sender):
    """A sender whose answers a test decides."""

    def __init__(self, outcome: Callable[[str, Message], Answer | Outcome]) -> None:
        super().__init__(Clock(), local=True)
        self.outcome = outcome
        self.sent: list[tuple[str, Message]] = []

    def send(self, url: str, secrets: Sequence[str], message: Message) -> Answer:  # noqa: ARG002
        self.sent.append((url, message))
        found = self.outcome(url, message)
        return found if isinstance(found, Answer) else Answer(found)


def hooks(town: Town, sender: Sender | None = None, **changes: Any) -> Hooks:
    made = sender or Sender(Clock(), local=True)
    return Hooks(town.database, town.clock, made, Webhooks(town.database, town.clock), **changes)


def refusing(status: int | None = None, reason: str = "no connection") -> Scripted:
    return Scripted(lambda *_: Answer(Later(reason), status))


def idle(made: Hooks, product: str = "tv") -> int:
    """Work until nothing is left; give how many tries there were."""
    did, nothing_left = made.work(product, lambda: True)
    assert nothing_left
    return did


def states(town: Town) -> list[str]:
    return [state for (state,) in rows(town.database, "select state from webhook order by id")]


def next_try(town: Town) -> datetime:
    found: datetime = rows(town.database, "select min(not_before) from webhook")[0][0]
    return found


def everybody_asked(town: Town, many: int, *, named: str = "p") -> list[str]:
    town.put_in_force(YEAR | {"guards": {"max_newly_due_share": "100%"}})
    names = [f"{named}{number:02}" for number in range(many)]
    town.join(*(row(name) for name in names))
    asked(town, *names)
    return names


# --- arriving ----------------------------------------------------------------------------------


def test_what_happens_arrives_signed_and_in_time(town: Town) -> None:
    with receiving() as receiver:
        listening(town, receiver.url, secret=SECRET)
        town.join(row("ada"))
        asked(town, "ada")
        town.answer("ada", "keep")
        assert idle(hooks(town)) == 2
        said = receiver.verified(SECRET)
        assert [each["type"] for each in said] == ["reconfirmation.asked", "reconfirmation.kept"]
        assert len({each.id for each in receiver.got}) == 2
    assert states(town) == ["delivered", "delivered"]
    assert rows(town.database, "select status, error from webhook_try") == [(204, None)] * 2


def test_what_arrived_is_not_sent_again(town: Town) -> None:
    sender = Scripted(lambda *_: Done())
    listening(town)
    everybody_asked(town, 3)
    assert (idle(hooks(town, sender)), idle(hooks(town, sender))) == (3, 0)
    assert len(sender.sent) == 3


def test_nothing_is_left_where_nobody_listens(town: Town) -> None:
    everybody_asked(town, 1)
    assert hooks(town).work("tv", lambda: True) == (0, True)


def test_work_ends_when_it_is_told_to(town: Town) -> None:
    listening(town)
    everybody_asked(town, 1)
    assert hooks(town, Scripted(lambda *_: Done())).work("tv", lambda: False) == (0, False)


def test_more_than_a_batch_arrives_whole(town: Town) -> None:
    sender = Scripted(lambda *_: Done())
    listening(town)
    everybody_asked(town, 130)
    assert idle(hooks(town, sender)) == 130
    assert len({message.id for _, message in sender.sent}) == 130


def test_two_senders_at_once_send_everything_once(town: Town) -> None:
    sender = Scripted(lambda *_: Done())
    listening(town)
    everybody_asked(town, 40)
    threads = [Thread(target=idle, args=(hooks(town, sender),)) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(sender.sent) == len({message.id for _, message in sender.sent}) == 40


# --- patience ----------------------------------------------------------------------------------


def test_a_message_is_tried_for_three_days_with_growing_pauses_and_then_parked(town: Town) -> None:
    sender = refusing()
    listening(town)
    everybody_asked(town, 1)
    made, at = hooks(town, sender), []
    while states(town) == ["pending"]:
        town.clock.set(max(town.clock.now(), next_try(town)))
        at.append(town.clock.now())
        assert idle(made) == 1
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert at[-1] - at[0] == timedelta(days=3)
    assert pauses[:4] == [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR]
    assert len(at) == 12
    assert states(town) == ["parked"]
    assert len({(message.id, message.body) for _, message in sender.sent}) == 1


def test_a_parked_message_is_left_until_a_person_replays_it(town: Town) -> None:
    listening(town)
    everybody_asked(town, 1)
    idle(hooks(town, Scripted(lambda *_: No("http 410"))))
    town.clock.advance(30 * DAY)
    arriving = Scripted(lambda *_: Done())
    assert idle(hooks(town, arriving)) == 0
    with town.database.transaction() as connection:
        assert webhooks.replay_parked(connection, town.product.id, town.clock.now()) == 1
    assert (idle(hooks(town, arriving)), states(town)) == (1, ["delivered"])


def test_a_message_is_not_tried_before_its_pause_is_over(town: Town) -> None:
    sender = refusing()
    listening(town)
    everybody_asked(town, 1)
    idle(hooks(town, sender))
    town.clock.advance(MINUTE - timedelta(seconds=1))
    assert idle(hooks(town, sender)) == 0
    town.clock.advance(timedelta(seconds=1))
    assert idle(hooks(town, sender)) == 1


def test_an_endpoint_that_asks_for_a_longer_pause_gets_it(town: Town) -> None:
    sender = Scripted(lambda *_: Later("http 429", retry_after=3 * HOUR))
    listening(town)
    everybody_asked(town, 1)
    idle(hooks(town, sender))
    assert next_try(town) == START + 3 * HOUR


def test_a_gone_endpoint_parks_at_once_and_is_not_retired(town: Town) -> None:
    with receiving() as receiver:
        receiver.answers(410)
        listening(town, receiver.url)
        everybody_asked(town, 1)
        idle(hooks(town))
    assert states(town) == ["parked"]
    assert rows(town.database, "select status, error from webhook") == [(410, "http 410")]
    assert rows(town.database, "select retired_at from endpoint") == [(None,)]


def test_each_try_is_written_down(town: Town) -> None:
    listening(town)
    everybody_asked(town, 1)
    made = hooks(town, refusing(503, "http 503"))
    for pause in (MINUTE, 5 * MINUTE):
        idle(made)
        town.clock.advance(pause)
    found = rows(town.database, "select at, status, error from webhook_try order by id")
    assert found == [(START, 503, "http 503"), (START + MINUTE, 503, "http 503")]


# --- order -------------------------------------------------------------------------------------


def test_what_is_told_of_one_subscription_arrives_in_order(town: Town) -> None:
    with receiving() as receiver:
        listening(town, receiver.url)
        town.join(row("ada"), row("bob"))
        asked(town, "ada", "bob")
        town.answer("ada", "keep")
        receiver.answer = lambda got: (
            (400 if got.said["data"]["subscription"] == "ada" else 204, {}, b"")
        )
        made = hooks(town)
        idle(made)
        assert receiver.told("ada") == ["reconfirmation.asked"]
        assert receiver.told("bob") == ["reconfirmation.asked"]
        receiver.answers(204)
        town.clock.advance(MINUTE)
        idle(made)
        assert receiver.told("ada") == [
            "reconfirmation.asked",
            "reconfirmation.asked",
            "reconfirmation.kept",
        ]


def test_a_message_replayed_goes_before_those_that_wait_behind_it(town: Town) -> None:
    sender = Scripted(lambda *_: No("http 410"))
    listening(town)
    town.join(row("ada"))
    asked(town, "ada")
    idle(hooks(town, sender))
    town.answer("ada", "keep")
    with town.database.transaction() as connection:
        webhooks.replay_parked(connection, town.product.id, town.clock.now())
    arriving = Scripted(lambda *_: Done())
    idle(hooks(town, arriving))
    told = [message.body.split(b'"')[3] for _, message in arriving.sent]
    assert told == [b"reconfirmation.asked", b"reconfirmation.kept"]


def test_what_is_parked_stands_in_nobodys_way(town: Town) -> None:
    listening(town)
    town.join(row("ada"))
    asked(town, "ada")
    idle(hooks(town, Scripted(lambda *_: No("http 410"))))
    town.answer("ada", "keep")
    assert idle(hooks(town, Scripted(lambda *_: Done()))) == 1
    assert states(town) == ["parked", "delivered"]


# --- dying in between --------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before_send", "after_send"])
def test_a_sender_that_dies_repeats_under_the_same_id(town: Town, moment: str) -> None:
    sender = Scripted(lambda *_: Done())

    def dies(_: Delivery) -> None:
        raise Killed

    listening(town)
    everybody_asked(town, 1)
    with suppress(Killed):
        hooks(town, sender, **{moment: dies}).once("tv")
    assert states(town) == ["claimed"]
    assert idle(hooks(town, sender)) == 0
    leases_run_out(town)
    assert idle(hooks(town, sender)) == 1
    assert len(sender.sent) == (2 if moment == "after_send" else 1)
    assert len({message.id for _, message in sender.sent}) == 1
    assert states(town) == ["delivered"]


def test_a_message_that_kills_every_sender_is_parked_in_the_end(town: Town) -> None:
    def dies(_: Delivery) -> None:
        raise Killed

    listening(town)
    everybody_asked(town, 1)
    for _ in range(12):
        with suppress(Killed):
            hooks(town, Scripted(lambda *_: Done()), before_send=dies).once("tv")
        leases_run_out(town)
    assert idle(hooks(town, Scripted(lambda *_: Done()))) == 0
    assert states(town) == ["parked"]


def test_who_lost_the_lease_says_nothing_any_more(town: Town) -> None:
    listening(town)
    everybody_asked(town, 1)
    store = Webhooks(town.database, town.clock)
    (first,) = store.claim("tv", 10)
    leases_run_out(town)
    (second,) = store.claim("tv", 10)
    assert store.acknowledge([Sent(first, No("http 410"))]) == 0
    assert store.acknowledge([Sent(second, Done())]) == 1
    assert (states(town), first.message_id) == (["delivered"], second.message_id)


def test_nothing_is_begun_late_in_the_lease_and_it_is_no_try(town: Town) -> None:
    sender = Scripted(lambda *_: Done())

    def slow(_: Delivery) -> None:
        town.clock.machine += timedelta(seconds=11)

    listening(town)
    everybody_asked(town, 1 + AT_ONCE * 2)
    assert hooks(town, sender, before_send=slow).once("tv").total() <= AT_ONCE
    left = rows(town.database, "select tries from webhook where state = 'pending'")
    assert len(left) > AT_ONCE
    assert set(left) == {(0,)}
    idle(hooks(town, sender))
    assert len(sender.sent) == 1 + AT_ONCE * 2


# --- dead endpoints ----------------------------------------------------------------------------


def test_a_dead_endpoint_does_not_stop_another(town: Town) -> None:
    dead = listening(town, f"http://127.0.0.1:{nobody()}/")
    with receiving() as receiver:
        listening(town, receiver.url)
        everybody_asked(town, 30)
        made = hooks(town)
        made.once("tv")
        assert len(receiver.got) == 30
        assert idle(made) == 0
    tried = rows(town.database, "select count(*) from webhook where tries > 0 and endpoint_id = :e",
                 e=dead)  # fmt: skip
    assert 2 <= tried[0][0] <= 2 + AT_ONCE


def test_what_a_dead_endpoint_missed_arrives_when_it_is_back(town: Town) -> None:
    listening(town)
    everybody_asked(town, 30)
    sender = refusing()
    made = hooks(town, sender)
    idle(made)
    town.clock.advance(2 * MINUTE)
    sender.outcome = lambda *_: Done()
    idle(made)
    assert set(states(town)) == {"delivered"}


def test_a_product_with_a_dead_endpoint_does_not_stop_another_product(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    listening(town, "https://dead.example/")
    listening(radio, "https://alive.example/")
    everybody_asked(town, 5)
    everybody_asked(radio, 5, named="q")
    sender = Scripted(lambda url, _: Done() if "alive" in url else Later("no connection"))
    made = hooks(town, sender)
    idle(made, "tv")
    assert idle(made, "radio") == 5
    names = {url for url, message in sender.sent if b'"q0' in message.body}
    assert names == {"https://alive.example/"}


def test_a_message_that_is_refused_for_itself_does_not_stop_the_others(town: Town) -> None:
    listening(town)
    everybody_asked(town, 20)
    sender = refusing(422, "http 422")
    assert idle(hooks(town, sender)) == 20


def test_a_sender_that_raises_is_a_try_and_stops_no_other(town: Town) -> None:
    def odd(_: str, message: Message) -> Outcome:
        if b'"p00"' in message.body:
            raise ZeroDivisionError
        return Done()

    listening(town)
    everybody_asked(town, 3)
    idle(hooks(town, Scripted(odd)))
    assert sorted(states(town)) == ["delivered", "delivered", "pending"]
    assert rows(town.database, "select error from webhook where state = 'pending'") == [
        ("not sent: ZeroDivisionError",)
    ]


def test_what_waited_three_days_for_a_dead_endpoint_is_parked_untried(town: Town) -> None:
    listening(town)
    everybody_asked(town, 30)
    made = hooks(town, refusing())
    for since in (timedelta(), DAY, 3 * DAY - MINUTE):
        town.clock.set(START + since)
        idle(made)
    untried = "select distinct state, error from webhook where tries = 0"
    assert rows(town.database, untried) == [("pending", None)]
    town.clock.set(START + 3 * DAY + HOUR)
    idle(made)
    assert rows(town.database, untried) == [("parked", "endpoint not answering")]


# --- retiring and forgetting -------------------------------------------------------------------


def test_what_waits_for_an_endpoint_that_is_retired_is_parked(town: Town) -> None:
    sender = Scripted(lambda *_: Done())
    number = listening(town)
    everybody_asked(town, 2)
    with town.database.transaction() as connection:
        webhooks.retire(connection, number, town.clock.now())
    assert (idle(hooks(town, sender)), states(town)) == (0, ["parked", "parked"])
    assert rows(town.database, "select secrets from endpoint") == [([],)]


def test_what_was_written_while_an_endpoint_was_retired_is_parked_too(town: Town) -> None:
    listening(town)
    everybody_asked(town, 1)
    rows(town.database, "update endpoint set retired_at = created_at")
    hooks(town).tidy()
    assert states(town) == ["parked"]


def test_what_arrived_is_forgotten_after_thirty_days_a_batch_at_a_time(town: Town) -> None:
    listening(town)
    everybody_asked(town, 3)
    made = hooks(town, Scripted(lambda *_: Done()))
    idle(made)
    town.clock.advance(30 * DAY)
    assert made.tidy() == 0
    town.clock.advance(MINUTE)
    assert [made.webhooks.forget(2), made.webhooks.forget(2)] == [2, 1]
    assert rows(town.database, "select count(*) from webhook_try") == [(0,)]
    assert states(town) == []


def test_what_did_not_arrive_is_not_forgotten(town: Town) -> None:
    listening(town)
    everybody_asked(town, 1)
    made = hooks(town, Scripted(lambda *_: No("http 410")))
    idle(made)
    town.clock.advance(90 * DAY)
    made.tidy()
    assert states(town) == ["parked"]
