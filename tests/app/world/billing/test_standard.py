"""Commands for a billing system that takes signed messages, and what its answers mean."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from socket import socket
from typing import Any

import pytest

from app.clock import Clock
from app.links import Links
from app.mirror import Mirror
from app.rows import read as read_row
from app.signing import new_secret
from app.store import products
from app.store.database import Database
from app.world.billing.standard import Standard
from app.world.connector import Connector, Order, Standing
from app.world.hooks import Limits, Sender
from app.world.outcome import Done, Later, No, Outcome
from jobs.outbox import Worker
from tests.probe import HOUR, MINUTE, asked, mails, rows, waiting, window_ends
from tests.receiver import Got, Receiver, Reply, nobody, receiving, talking
from tests.world import START, MovableClock, Town, row

SECRET = new_secret()
ORDER = Order("tv", "sub_1", "suspend", "7-1-suspend-1", START + HOUR, START)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def standard(url: str) -> Standard:
    sender = Sender(Clock(), local=True, limits=Limits(connect=0.5, whole=0.5))
    return Standard(sender, url, [SECRET])


# --- one command -------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["suspend", "resume", "cancel"])
def test_a_command_is_a_signed_message_whose_id_is_the_key(receiver: Receiver, act: str) -> None:
    order = replace(ORDER, act=act)
    assert standard(receiver.url).carry_out(order) == Done()
    assert receiver.verified(SECRET) == [
        {
            "type": f"billing.{act}",
            "timestamp": "2024-09-01T12:00:00Z",
            "data": {"subscription": "sub_1"},
        }
    ]
    assert receiver.got[0].id == order.key


def test_every_try_says_the_same_under_the_same_id(receiver: Receiver) -> None:
    made = standard(receiver.url)
    for hours in range(3):
        made.carry_out(replace(ORDER, at=START + hours * HOUR))
    assert len({(got.id, got.body) for got in receiver.got}) == 1


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"paid_until": "2024-10-01T00:00:00Z"}', {"paid_until": "2024-10-01T00:00:00+00:00"}),
        (b'{"paid_until": "2024-10-01T02:00:00+02:00"}', {"paid_until": "2024-10-01T02:00:00+02:00"}),  # noqa: E501
        (b"", None),
        (b"OK", None),
        (b"[1]", None),
        (b"null", None),
        (b'{"paid_until": null}', None),
        (b'{"paid_until": 1727740800}', None),
        (b'{"paid_until": "soon"}', None),
        (b'{"paid_until": "2024-10-01T00:00:00"}', None),
        (b"\xff\xfe", None),
        (b"[" * 60000, None),
        (b'{"paid_until": "2024-10-01T00:00:00Z", "x": "' + b"y" * 100_000 + b'"}', None),
    ],
)  # fmt: skip
def test_a_yes_may_say_until_when_is_paid(
    receiver: Receiver, body: bytes, detail: dict[str, str] | None
) -> None:
    receiver.answers(200, body)
    assert standard(receiver.url).carry_out(ORDER) == Done(detail)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, Done()),
        (302, No("http 302")),
        (400, No("http 400")),
        (404, No("http 404")),
        (408, Later("http 408")),
        (409, No("http 409")),
        (410, No("http 410")),
        (422, No("http 422")),
        (429, Later("http 429")),
        (500, Later("http 500", unknown=True)),
        (502, Later("http 502", unknown=True)),
        (503, Later("http 503")),
        (504, Later("http 504", unknown=True)),
    ],
)
def test_an_answer_means(receiver: Receiver, status: int, outcome: Outcome) -> None:
    receiver.answers(status)
    assert standard(receiver.url).carry_out(ORDER) == outcome


def test_billing_may_ask_for_a_pause(receiver: Receiver) -> None:
    receiver.answers(429, Retry_After="600")
    found = standard(receiver.url).carry_out(ORDER)
    assert found == Later("http 429", retry_after=timedelta(minutes=10))


def test_a_dropped_connection_is_an_unknown_outcome() -> None:
    def cut(line: socket) -> None:
        line.recv(65536)

    with talking(cut) as port:
        found = standard(f"http://127.0.0.1:{port}/").carry_out(ORDER)
    assert found == Later("no answer", unknown=True)


def test_a_timeout_is_an_unknown_outcome() -> None:
    def silent(line: socket) -> None:
        while line.recv(65536):
            pass

    with talking(silent) as port:
        found = standard(f"http://127.0.0.1:{port}/").carry_out(ORDER)
    assert found == Later("timeout after request", unknown=True)


def test_billing_that_was_not_reached_knows_nothing() -> None:
    found = standard(f"http://127.0.0.1:{nobody()}/").carry_out(ORDER)
    assert found == Later("no connection")


def test_how_it_stands_is_what_billing_has_told() -> None:
    told = Standing("paused", START)
    assert standard("http://127.0.0.1/").read(replace(ORDER, told=told)) == told


# --- in the engine -----------------------------------------------------------------------------


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    made = Town.founded(database, clock, links)
    with database.transaction() as connection:
        products.change(connection, made.product.id, {"billing": "standard"})
    return made


def told(town: Town, name: str, **changes: Any) -> None:
    """Let billing tell of somebody, as of now."""
    facts = replace(read_row(row(name, **changes)), told_at=town.clock.now())
    Mirror(town.database, town.clock).bring(town.key, [facts], "billing:standard")


def silent(town: Town, *names: str) -> None:
    """Have people of a billing system outside asked and silent."""
    for name in names:
        told(town, name)
    asked(town, *names)
    window_ends(town, names[0])
    town.sweep()


def worker(town: Town, billing: Connector) -> Worker:
    made = town.worker()
    made.connector = lambda _: billing
    return made


class Ledger:
    """A receiver that acts once for each id, and answers as a test decides."""

    def __init__(self, receiver: Receiver) -> None:
        self.done: dict[str, str] = {}
        self.reply: Callable[[Got], Reply] = lambda _: (204, {}, b"")
        receiver.answer = self.take

    def take(self, got: Got) -> Reply:
        reply = self.reply(got)
        self.done.setdefault(got.id, got.said["type"])
        return reply


def test_a_yes_suspends_and_the_next_renewal_is_what_is_paid(
    town: Town, receiver: Receiver
) -> None:
    silent(town, "ada")
    worker(town, standard(receiver.url)).until_idle()
    current = town.case("ada").round
    assert current is not None
    assert (town.stage("ada"), mails(town, "ada")) == ("suspended", ["ask", "suspended"])
    assert current.paid_until is not None
    assert current.paid_until.isoformat() == "2024-10-20T00:00:00+00:00"


def test_what_billing_answers_counts_before_the_renewal(town: Town, receiver: Receiver) -> None:
    receiver.answers(200, b'{"paid_until": "2024-12-24T00:00:00Z"}')
    silent(town, "ada")
    worker(town, standard(receiver.url)).until_idle()
    current = town.case("ada").round
    assert current is not None
    assert current.paid_until is not None
    assert current.paid_until.isoformat() == "2024-12-24T00:00:00+00:00"


def test_a_command_whose_answer_was_lost_is_done_once(town: Town, receiver: Receiver) -> None:
    silent(town, "ada")
    ledger = Ledger(receiver)
    ledger.reply = lambda _: (502, {}, b"")
    worker(town, standard(receiver.url)).once()
    assert town.stage("ada") == "asked"
    ledger.reply = lambda _: (204, {}, b"")
    town.clock.advance(5 * MINUTE)
    worker(town, standard(receiver.url)).until_idle()
    assert town.stage("ada") == "suspended"
    assert (len(receiver.got), list(ledger.done.values())) == (2, ["billing.suspend"])


def test_what_billing_told_meanwhile_is_read_and_nothing_is_repeated(
    town: Town, receiver: Receiver
) -> None:
    silent(town, "ada")
    receiver.answers(502)
    worker(town, standard(receiver.url)).once()
    town.clock.advance(MINUTE)
    told(town, "ada", status="paused")
    town.clock.advance(5 * MINUTE)
    worker(town, standard(receiver.url)).until_idle()
    assert (town.stage("ada"), len(receiver.got)) == ("suspended", 1)


def test_what_billing_told_before_the_command_proves_nothing(
    town: Town, receiver: Receiver
) -> None:
    silent(town, "ada")
    told(town, "ada", status="past_due")
    receiver.answers(502)
    worker(town, standard(receiver.url)).once()
    town.answer("ada", "keep")
    town.clock.advance(5 * MINUTE)
    told(town, "ada", status="active", plan="other")
    worker(town, standard(receiver.url)).until_idle()
    assert waiting(town, "ada") == [("billing.suspend", "pending")]
    assert len(receiver.got) == 1


def test_what_billing_never_told_of_is_not_taken_for_done(town: Town, receiver: Receiver) -> None:
    silent(town, "ada")
    worker(town, standard(receiver.url)).until_idle()
    town.answer("ada", "resume")
    receiver.answers(502)
    town.clock.advance(MINUTE)
    worker(town, standard(receiver.url)).until_idle()
    town.clock.advance(5 * MINUTE)
    worker(town, standard(receiver.url)).until_idle()
    assert town.stage("ada") == "suspended"
    assert receiver.told("ada") == ["billing.suspend", *["billing.resume"] * 2]


def test_a_keep_behind_an_unknown_suspension_waits_for_news_and_ends_in_a_resume(
    town: Town, receiver: Receiver
) -> None:
    silent(town, "ada")
    receiver.answers(502)
    worker(town, standard(receiver.url)).once()
    town.answer("ada", "keep")
    receiver.answers(204)
    town.clock.advance(5 * MINUTE)
    worker(town, standard(receiver.url)).until_idle()
    assert len(receiver.got) == 1
    told(town, "ada", status="paused")
    town.clock.advance(HOUR)
    worker(town, standard(receiver.url)).until_idle()
    assert receiver.told("ada") == ["billing.suspend", "billing.resume"]
    assert town.stage("ada") == "active"


def test_what_billing_never_confirms_is_put_before_a_person_after_two_days(
    town: Town, receiver: Receiver
) -> None:
    silent(town, "ada")
    receiver.answers(502)
    worker(town, standard(receiver.url)).once()
    town.answer("ada", "keep")
    for _ in range(12):
        town.clock.advance(6 * HOUR)
        worker(town, standard(receiver.url)).until_idle()
    assert waiting(town, "ada") == [("billing.suspend", "parked")]
    assert rows(town.database, "select error from outbox") == [("not confirmed by billing",)]
    assert len(receiver.got) == 1


def test_a_no_of_billing_parks_the_act(town: Town, receiver: Receiver) -> None:
    silent(town, "ada")
    receiver.answers(404)
    worker(town, standard(receiver.url)).until_idle()
    assert waiting(town, "ada") == [("billing.suspend", "parked")]


def test_billing_that_is_away_changes_nothing_and_is_told_later(
    town: Town, receiver: Receiver
) -> None:
    silent(town, "ada", "bob", "cyd")
    worker(town, standard(f"http://127.0.0.1:{nobody()}/")).until_idle()
    assert {town.stage(name) for name in ("ada", "bob", "cyd")} == {"asked"}
    town.clock.advance(5 * MINUTE)
    worker(town, standard(receiver.url)).until_idle()
    assert {town.stage(name) for name in ("ada", "bob", "cyd")} == {"suspended"}
    assert len(receiver.got) == 3
