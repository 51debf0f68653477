"""What every billing system has to do, whichever it is.

The suite runs over the files of `app/world/billing`, and grows by itself with each. What a system
cannot do is not left out: it has to say so in the way that is agreed. A new system needs one entry
in HARNESSES: how a test puts a subscription there, and what its other side, a fake, has seen.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.errors import Refused
from app.rows import Facts
from app.signing import NotSigned, new_secret, sign
from app.store.database import Database
from app.world import billing
from app.world.billing import sandbox
from app.world.connector import (
    PAID_UNTIL,
    REACHED,
    Away,
    Charge,
    Connector,
    Order,
    Page,
    Repayment,
    Site,
    Standing,
    System,
)
from app.world.hooks import Limits, Sender
from app.world.outcome import Done, Later, No, Outcome
from app.world.stripe import calls
from tests.fakestripe import FakeStripe, Kind, signature
from tests.oddities import each_spoiled, spoiled
from tests.receiver import Got, Receiver, Reply, nobody, receiving
from tests.world import MovableClock, row

PERSON = ("ada.lovelace", "Lovelace", "subscribers.example")
EMAIL = "ada.lovelace@subscribers.example"
FORGOTTEN = timedelta(hours=25)
"""Some billing systems remember a key for a day."""
A_CODE = re.compile(r"[a-z0-9][a-z0-9 _,:]{0,59}")
"""What a reason may look like: words, and nothing that could be an address, a name or a key."""
ACTS = {"suspend": "paused", "resume": "active", "cancel": "canceling", "end": "ended"}
BEFORE = {"suspend": "active", "resume": "paused", "cancel": "active", "end": "active"}
MANY = 230
PATIENT, IMPATIENT = calls.READ_SECONDS, 0.4
DAY = timedelta(days=1)


# --- what a test needs of a system -----------------------------------------------------------


class Harness(ABC):
    """One billing system with its other side; truth is what the other side knows."""

    system: str
    wire = True
    """Whether there is a network in between, that can fail."""
    retries = False
    """Whether a charge may fail there, and is tried again."""
    faults: Mapping[str, bool]
    """What can go wrong with an act, and whether it then may have been done."""
    secret = ""

    def __init__(self, database: Database, clock: MovableClock) -> None:
        self.database = database
        self.clock = clock
        self.numbers: dict[str, int] = {}
        """Our own number of each subscription: it begins the key of an act."""

    @property
    def described(self) -> System:
        found = billing.system(self.system)
        assert found is not None
        return found

    def site(self, **changes: Any) -> Site:
        """Give where a connector works, with all that the system needs."""
        made = Site("tv", self.clock, self.database.engine, Sender(self.clock, local=True))
        return replace(made, base_url="https://asks.example", **changes)

    def connector(self) -> Connector:
        """Give a new connector, as each batch has one."""
        return self.described.connect(self.site())

    def order(self, subscription: str, act: str, number: int = 1) -> Order:
        """Give an act as the outbox gives it, with what billing has told by itself."""
        ours = self.numbers.setdefault(subscription, len(self.numbers) + 1)
        key, now = f"{ours}-{number}-{act}-1", self.clock.now()
        return Order("tv", subscription, act, key, now, now, self.told(subscription))

    def told(self, subscription: str) -> Standing | None:  # noqa: ARG002
        return None

    def passes(self, by: timedelta) -> None:
        """Let time pass on both sides."""
        self.clock.advance(by)

    @abstractmethod
    def begin(self, state: str = "active") -> str:
        """Begin a subscription, for a month that is paid, and bring it into a state; its id."""

    def owing(self) -> str | None:
        """Begin one whose last charge failed and is still tried; None where no charge fails."""
        return None

    def pays(self, subscription: str) -> None:  # noqa: B027 - nothing fails where there is none
        """Let the next try of a charge succeed."""

    def open_of(self, subscription: str) -> int:  # noqa: ARG002 - none where no charge fails
        """Count the invoices that somebody could still be asked to pay."""
        return 0

    def breaks_after(self, steps: int) -> None:
        """Have nothing answered after so many steps of an act that changed something."""
        raise NotImplementedError(str(steps))

    @abstractmethod
    def truth(self, subscription: str) -> str:
        """Say how it stands."""

    @abstractmethod
    def effects(self, subscription: str) -> list[str]:
        """Give the acts that changed something, in order."""

    def fault(self, name: str) -> None:
        """Have the next act meet a fault."""
        raise NotImplementedError(name)

    def heals(self) -> None:  # noqa: B027 - nothing fails where there is no wire
        """End all faults."""

    def lacking(self) -> Iterable[Site]:
        """Give places to work in that lack something."""
        return ()

    def charges(self) -> list[Charge]:
        """Give what was charged for subscriptions, and what of it was given back."""
        return []

    def messages(self) -> Mapping[str, bytes]:
        """Give a message of each kind that matters, by a name for it."""
        return {}

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:  # noqa: ARG002
        """Sign a message."""
        return {}


class SandboxHarness(Harness):
    """Lies in our own database, and remembers every key."""

    system = "sandbox"
    wire = False
    faults: Mapping[str, bool] = {}

    def begin(self, state: str = "active") -> str:
        with self.database.transaction() as connection:
            name = f"sub_{len(self._rows()) + 1}"
            renews = self.clock.now() + 30 * DAY
            account = sandbox.Account(name, 999, "EUR", "month", renews)
            sandbox.open_accounts(connection, "tv", [account], self.clock.now())
            connection.execute(
                text("update sandbox_account set state = :state where external_id = :name"),
                {"state": state, "name": name},
            )
        return name

    def _rows(self) -> list[Any]:
        with self.database.transaction() as connection:
            return list(connection.execute(text("select external_id, state from sandbox_account")))

    def truth(self, subscription: str) -> str:
        return str(dict(map(tuple, self._rows()))[subscription])

    def effects(self, subscription: str) -> list[str]:
        with self.database.transaction() as connection:
            return [act for who, act, *_ in sandbox.acts(connection, "tv") if who == subscription]

    def passes(self, by: timedelta) -> None:
        super().passes(by)
        with self.database.transaction() as connection:
            sandbox.charge_due(connection, self.clock.now())

    def charges(self) -> list[Charge]:
        with self.database.transaction() as connection:
            rows = connection.execute(
                text(
                    "select external_id, charged_at, amount, currency, refunded from sandbox_charge"
                )
            )
            return [Charge("", who, at, *rest) for who, at, *rest in rows]


class StandardHarness(Harness):
    """A receiver that keeps the state of subscriptions, and remembers ids for a day."""

    system = "standard"
    faults: Mapping[str, bool] = {
        "http 429": False,
        "http 500": True,
        "http 500, done": True,
        "no answer, done": True,
        "no connection": False,
    }
    secret = new_secret()

    def __init__(self, database: Database, clock: MovableClock, receiver: Receiver) -> None:
        super().__init__(database, clock)
        self.receiver = receiver
        receiver.answer = self._answer
        self.url = receiver.url
        self.states: dict[str, str] = {}
        self.remembered: dict[str, datetime] = {}
        self.did: list[tuple[str, str]] = []
        self.next: str | None = None

    def site(self, **changes: Any) -> Site:
        sender = Sender(self.clock, local=True, limits=Limits(connect=0.5, whole=0.5))
        wanted = {"commands": (self.url, [self.secret]), "sender": sender} | changes
        return super().site(**wanted)

    def lacking(self) -> Iterable[Site]:
        return [self.site(commands=None)]

    def begin(self, state: str = "active") -> str:
        name = f"sub_{len(self.states) + 1}"
        self.states[name] = state
        return name

    def truth(self, subscription: str) -> str:
        return self.states[subscription]

    def told(self, subscription: str) -> Standing | None:
        state = self.states.get(subscription)
        return None if state is None else Standing(state, None)

    def effects(self, subscription: str) -> list[str]:
        return [act for who, act in self.did if who == subscription]

    def fault(self, name: str) -> None:
        self.next = name
        if name == "no connection":
            self.url = f"http://127.0.0.1:{nobody()}/"

    def heals(self) -> None:
        self.next, self.url = None, self.receiver.url

    def _answer(self, got: Got) -> Reply:
        met, self.next = self.next, None
        if met == "http 429":
            return 429, {"Retry-After": "7"}, b""
        if met == "http 500":
            return 500, {}, b""
        status = self._done(got)
        if met == "no answer, done":
            raise ConnectionAbortedError
        return (500 if met == "http 500, done" else status), {}, b""

    def _done(self, got: Got) -> int:
        who, act = got.said["data"]["subscription"], got.said["type"].removeprefix("billing.")
        if got.said["data"].get("at_once"):
            assert act == "cancel"
            act = "end"
        if who not in self.states:
            return 404
        at = self.remembered.setdefault(got.id, self.clock.now())
        fresh = at == self.clock.now() or self.clock.now() - at > DAY
        if fresh and self.states[who] not in REACHED[act]:
            self.states[who] = ACTS[act]
            self.did.append((who, act))
        return 204

    def messages(self) -> Mapping[str, bytes]:
        kinds = ("created", "updated", "canceled", "paused", "resumed")
        return {kind: self._message(f"subscription.{kind}") for kind in kinds}

    def _message(self, kind: str) -> bytes:
        data = row("sub_1", email=EMAIL)
        at = self.clock.now().isoformat()
        return json.dumps({"type": kind, "timestamp": at, "data": data}).encode()

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return sign([secret], "msg_1", at, body)


class StripeHarness(Harness):
    """The fake of Stripe, over HTTP and the SDK."""

    system = "stripe"
    retries = True
    flexible = True
    faults: Mapping[str, bool] = {
        "limit": False,
        "lock": False,
        "error": True,
        "error, done": True,
        "unavailable": True,
        "drop": True,
        "drop, done": True,
        "hang": True,
        "hang, done": True,
        "cut": True,
        "huge": True,
        "truncated": True,
        "html": True,
        "html, done": True,
        "empty": True,
        "no connection": False,
    }
    secret = "whsec_of_stripe"

    def __init__(self, database: Database, clock: MovableClock, fake: FakeStripe) -> None:
        super().__init__(database, clock)
        self.fake = fake
        self.url = fake.url
        self.endpoint = fake.shop.webhook(secret=self.secret)
        clock.set(datetime.fromtimestamp(fake.now, UTC))

    def site(self, **changes: Any) -> Site:
        wanted = {"key": self.fake.shop.key, "settings": {"api_base": self.url}} | changes
        return super().site(**wanted)

    def lacking(self) -> Iterable[Site]:
        wrong = ("", "pk_test_x", "sk_test_", "sk_live_x y", "whsec_x", "sk_prod_x")
        return [self.site(key=None), *(self.site(key=key) for key in wrong)]

    def begin(self, state: str = "active") -> str:
        customer = self.fake.shop.customer(EMAIL, name="Ada Lovelace")
        made = self.fake.shop.subscribe(customer, flexible=self.flexible)
        if state == "paused":
            order = self.order(made.id, "suspend", 99)
            assert isinstance(self.connector().carry_out(order), Done)
        if state == "canceling":
            self.fake.shop.portal_cancel(made)
        if state == "ended":
            self.fake.shop.cancel(made)
        self.fake.log.clear()
        return made.id

    def truth(self, subscription: str) -> str:
        now = self.fake.shop.subscription(subscription)
        if now.ended:
            return "ended"
        if now.cancel_at:
            return "canceling"
        return "paused" if now.status == "paused" or now.pause is not None else "active"

    def effects(self, subscription: str) -> list[str]:
        """Give the calls that changed something; a pause and a planned end are ended by two."""
        found: list[tuple[str, str]] = []
        for call in self.fake.acts():
            if call.took_effect and subscription in call.path:
                order, _, step = (call.key or "").rpartition("-")
                for act in _meant(call.method, call.path, call.params):
                    if step != "again" or (order, act) not in found:
                        found.append((order, act))
        return [act for _, act in found]

    def owing(self) -> str | None:
        made = self.begin()
        self.fake.shop.decline(self.fake.shop.subscription(made).customer)
        self.passes(timedelta(days=31, hours=2))
        return made

    def pays(self, subscription: str) -> None:
        self.fake.shop.accept(self.fake.shop.subscription(subscription).customer)

    def open_of(self, subscription: str) -> int:
        found = self.fake.shop.invoices(self.fake.shop.subscription(subscription))
        return sum(each.status == "open" for each in found)

    def passes(self, by: timedelta) -> None:
        super().passes(by)
        self.fake.advance(self.clock.now())

    def fault(self, name: str) -> None:
        kind, _, done = name.partition(", ")
        if kind == "no connection":
            self.url = f"http://127.0.0.1:{nobody()}"
            return
        if kind == "hang":
            calls.READ_SECONDS = IMPATIENT
        applied = {"applied": True} if done else {}
        more = {"seconds": 7.0} if kind in {"limit", "lock"} else {}
        self.fake.faults.add(Kind(kind), method="[PD]*", **applied, **more)

    def breaks_after(self, steps: int) -> None:
        self.fake.faults.add(Kind.DROP, method="[PD]*", after=steps, times=None)

    def heals(self) -> None:
        calls.READ_SECONDS = PATIENT
        self.url = self.fake.url
        self.fake.faults.clear()
        self.fake.release()

    def charges(self) -> list[Charge]:
        return [
            Charge(
                each.id,
                each.subscription or "",
                datetime.fromtimestamp(each.created, UTC),
                each.amount,
                each.currency.upper(),
                each.refunded,
            )
            for each in self.fake.shop.charges()
            if each.subscription
        ]

    def messages(self) -> Mapping[str, bytes]:
        """Have everything happen once, and give one message of each type that matters."""
        shop = self.fake.shop
        name = self.begin()
        for number, act in enumerate(("suspend", "resume", "cancel", "resume")):
            self.connector().carry_out(self.order(name, act, number))
        charge = shop.charges(name)[0]
        self.connector().refund(Repayment(charge.id, 1, "EUR", "r"))
        shop.cancel(name)
        kinds = ("customer.subscription.", "customer.updated", "invoice.", "charge.")
        taken = {each.type: each.body for each in self.endpoint.take()}
        return {kind: body for kind, body in taken.items() if kind.startswith(kinds)}

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {"Stripe-Signature": signature(body, secret, int(at.timestamp()))}


class ClassicHarness(StripeHarness):
    """Subscriptions from before flexible billing: no native pause."""

    flexible = False


def _meant(method: str, path: str, params: Mapping[str, Any]) -> list[str]:
    """Say what a call of Stripe's API was about; notes are no acts."""
    if method == "DELETE" and params.get("prorate") == params.get("invoice_now") == "false":
        return ["end"]
    if method == "DELETE" or params.get("cancel_at_period_end") == "true":
        return ["cancel"]
    if path.endswith("/pause") or params.get("pause_collection"):
        return ["suspend"]
    ends = {"pause_collection", "cancel_at", "cancel_at_period_end"} & set(params)
    return ["resume"] if path.endswith("/resume") or ends else []


Make = Callable[[Database, MovableClock, ExitStack], Harness]


def _standard(database: Database, clock: MovableClock, stack: ExitStack) -> Harness:
    return StandardHarness(database, clock, stack.enter_context(receiving()))


def _stripe(database: Database, clock: MovableClock, stack: ExitStack) -> Harness:
    return StripeHarness(database, clock, stack.enter_context(FakeStripe(seed=7)))


def _classic(database: Database, clock: MovableClock, stack: ExitStack) -> Harness:
    return ClassicHarness(database, clock, stack.enter_context(FakeStripe(seed=7)))


HARNESSES: Mapping[str, Sequence[Make]] = {
    "sandbox": [lambda database, clock, _: SandboxHarness(database, clock)],
    "standard": [_standard],
    "stripe": [_stripe, _classic],
}
KNOWN = [(name, make) for name in billing.names() for make in HARNESSES.get(name, ())]
FAULTS = {
    "standard": sorted(StandardHarness.faults),
    "stripe": sorted(StripeHarness.faults),
}


@pytest.mark.parametrize("name", billing.names())
def test_every_system_is_put_to_the_test(name: str) -> None:
    assert HARNESSES.get(name), (
        f"app/world/billing/{name}.py has no harness, so nothing of it was tested: write a class "
        f"that is a Harness, and put {name!r} into HARNESSES in {__name__.rpartition('.')[2]}.py"
    )


@pytest.fixture(params=[make for _, make in KNOWN], ids=[name for name, _ in KNOWN])
def there(
    request: pytest.FixtureRequest,
    database: Database,
    clock: MovableClock,
) -> Iterator[Harness]:
    """Give each system with its other side."""
    with ExitStack() as stack:
        made = request.param(database, clock, stack)
        stack.callback(made.heals)
        yield made


def carried(there: Harness, order: Order) -> Outcome:
    """Carry out an act over a new connection, and see that its outcome names nobody."""
    return checked(there.connector().carry_out(order))


def checked(outcome: Outcome) -> Outcome:
    """See that a reason is a code."""
    if not isinstance(outcome, Done):
        assert A_CODE.fullmatch(outcome.reason), f"{outcome.reason!r} is no short code"
        assert not any(each in outcome.reason for each in PERSON)
    return outcome


def until_done(there: Harness, subscription: str, act: str, tries: int = 4) -> Outcome:
    """Try as the outbox does: what may have been done is read back before it is tried again."""
    outcome: Outcome = Later("not tried", unknown=True)
    for _ in range(tries):
        order = there.order(subscription, act)
        if isinstance(outcome, Later) and outcome.unknown:
            try:
                standing = there.connector().read(order)
            except Away:
                continue
            if standing is not None and standing.state in REACHED[act]:
                return Done()
        outcome = carried(there, order)
        if not isinstance(outcome, Later):
            return outcome
    return outcome


# --- acts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_done_and_seen(there: Harness, act: str) -> None:
    name = there.begin(BEFORE[act])
    assert isinstance(carried(there, there.order(name, act)), Done)
    assert (there.truth(name), there.effects(name)) == (ACTS[act], [act])
    standing = there.connector().read(there.order(name, act))
    assert standing is not None
    assert standing.state in REACHED[act]


@pytest.mark.parametrize("act", ACTS)
def test_the_same_key_has_one_effect(there: Harness, act: str) -> None:
    name = there.begin(BEFORE[act])
    for _ in range(3):
        assert isinstance(carried(there, there.order(name, act)), Done)
    assert there.effects(name) == [act]


@pytest.mark.parametrize("act", ACTS)
def test_a_forgotten_key_has_no_second_effect(there: Harness, act: str) -> None:
    name = there.begin(BEFORE[act])
    carried(there, there.order(name, act))
    there.passes(FORGOTTEN)
    assert isinstance(carried(there, there.order(name, act)), Done)
    assert (there.truth(name), there.effects(name)) == (ACTS[act], [act])


@pytest.mark.parametrize("act", ACTS)
def test_another_round_finds_it_done(there: Harness, act: str) -> None:
    name = there.begin(BEFORE[act])
    for number in (1, 2):
        assert isinstance(carried(there, there.order(name, act, number)), Done)
    assert there.effects(name) == [act]


def test_a_whole_life_ends_where_it_should(there: Harness) -> None:
    name = there.begin()
    acts = ["suspend", "resume", "suspend", "cancel", "resume", "cancel"]
    for number, act in enumerate(acts):
        assert isinstance(carried(there, there.order(name, act, number)), Done), act
        assert there.truth(name) == ACTS[act]
        there.passes(timedelta(minutes=1))
    assert there.effects(name) == acts


@pytest.mark.parametrize("state", ["active", "paused", "canceling"])
def test_what_is_ended_is_ended_at_once_and_for_good(there: Harness, state: str) -> None:
    name = there.begin(state)
    assert isinstance(carried(there, there.order(name, "end")), Done)
    assert (there.truth(name), there.effects(name)) == ("ended", ["end"])
    before = len(there.charges())
    for number, act in enumerate(("resume", "suspend")):
        if there.system != "standard":
            assert isinstance(carried(there, there.order(name, act, number)), No)
    for _ in range(8):
        there.passes(8 * DAY)
    assert len(there.charges()) == before
    assert there.truth(name) == "ended"


def test_what_is_canceling_is_not_taken_for_ended(there: Harness) -> None:
    name = there.begin("canceling")
    standing = there.connector().read(there.order(name, "end"))
    assert standing is not None
    assert standing.state not in REACHED["end"]


def test_what_was_still_tried_is_not_charged_after_an_end(there: Harness) -> None:
    """An act of several steps: after each of them all may break off."""
    for breaks_off in range(4):
        name = there.owing()
        if name is None:
            assert not there.retries
            return
        there.breaks_after(breaks_off)
        carried(there, there.order(name, "end"))
        there.heals()
        assert isinstance(until_done(there, name, "end"), Done)
        assert there.truth(name) == "ended"
        assert there.effects(name) == ["end"]
        assert there.open_of(name) == 0
        there.pays(name)
        before = len(there.charges())
        there.passes(30 * DAY)
        assert len(there.charges()) == before, breaks_off


def test_a_cancellation_is_taken_back(there: Harness) -> None:
    name = there.begin("canceling")
    assert isinstance(carried(there, there.order(name, "resume")), Done)
    assert there.truth(name) == "active"


@pytest.mark.parametrize("act", ACTS)
def test_nobody_else_is_touched(there: Harness, act: str) -> None:
    other, name = there.begin(BEFORE[act]), there.begin(BEFORE[act])
    carried(there, there.order(name, act))
    assert (there.truth(other), there.effects(other)) == (BEFORE[act], [])


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ["sub_nobody", "1", "no such id", "../customers", "a" * 300, "ü"])
def test_an_unknown_subscription_is_a_no(there: Harness, act: str, name: str) -> None:
    there.begin()
    order = there.order(name, act)
    assert isinstance(carried(there, order), No)
    assert there.connector().read(order) is None


def test_a_suspension_says_until_when_is_paid(there: Harness) -> None:
    """Where billing can be asked; otherwise the renewal that it told of stands in."""
    name = there.begin()
    outcome = carried(there, there.order(name, "suspend"))
    assert isinstance(outcome, Done)
    standing = there.connector().read(there.order(name, "suspend"))
    assert standing is not None
    said = (outcome.detail or {}).get(PAID_UNTIL)
    paid = datetime.fromisoformat(said) if said else standing.paid_until
    if there.connector().capabilities.asked:
        assert paid is not None
        assert timedelta(days=27) < paid - there.clock.now() < timedelta(days=32)
    else:
        assert paid is None


# --- when something fails ----------------------------------------------------------------------


def test_only_what_lies_in_our_database_has_no_wire(there: Harness) -> None:
    assert there.wire is (there.system != "sandbox")
    assert bool(there.faults) is there.wire


@pytest.mark.parametrize("act", ACTS)
def test_a_fault_is_later_and_is_unknown_where_it_may_have_been_done(
    there: Harness, act: str
) -> None:
    for fault, unknown in there.faults.items():
        name = there.begin(BEFORE[act])
        there.fault(fault)
        outcome = carried(there, there.order(name, act))
        there.heals()
        assert isinstance(outcome, Later), fault
        assert outcome.unknown is unknown, fault


@pytest.mark.parametrize("act", ACTS)
def test_after_a_fault_there_is_one_effect(there: Harness, act: str) -> None:
    for fault in there.faults:
        name = there.begin(BEFORE[act])
        there.fault(fault)
        first = carried(there, there.order(name, act))
        there.heals()
        again = there.order(name, act)
        standing = there.connector().read(again)
        assert standing is not None
        if standing.state not in REACHED[act]:
            assert isinstance(carried(there, again), Done), fault
        assert isinstance(first, Later)
        assert (there.truth(name), there.effects(name)) == (ACTS[act], [act]), fault


def test_what_was_done_and_not_answered_is_read_back(there: Harness) -> None:
    for fault in (each for each in there.faults if each.endswith(", done")):
        name = there.begin()
        there.fault(fault)
        carried(there, there.order(name, "suspend"))
        there.heals()
        standing = there.connector().read(there.order(name, "suspend"))
        assert standing is not None
        assert standing.state == "paused", fault


def test_a_pause_that_billing_asks_for_is_passed_on(there: Harness) -> None:
    for fault in {"http 429", "limit", "lock"} & set(there.faults):
        name = there.begin()
        there.fault(fault)
        outcome = carried(there, there.order(name, "suspend"))
        there.heals()
        assert isinstance(outcome, Later)
        assert outcome.retry_after == timedelta(seconds=7)


def test_a_day_of_faults_ends_in_one_effect(there: Harness) -> None:
    for fault in there.faults:
        name = there.begin()
        there.fault(fault)
        assert isinstance(until_done(there, name, "suspend"), Later | Done)
        there.heals()
        there.passes(FORGOTTEN)
        assert isinstance(until_done(there, name, "suspend"), Done)
        assert (there.truth(name), there.effects(name)) == ("paused", ["suspend"]), fault


def test_what_it_can_do_is_known_before_it_is_asked(there: Harness) -> None:
    can = there.described.can(there.site().settings)
    assert can.acts == there.connector().capabilities.acts


def test_what_the_product_lacks_is_named_with_its_mend(there: Harness) -> None:
    for site in there.lacking():
        with pytest.raises(Refused) as refused:
            there.described.connect(site)
        assert refused.value.mend
        assert not site.key or site.key not in str(refused.value)


def test_nothing_is_logged_of_a_person_or_a_key(
    there: Harness, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    for fault in (None, *there.faults):
        name = there.begin()
        if fault:
            there.fault(fault)
        carried(there, there.order(name, "suspend"))
        there.heals()
    said = caplog.text + "".join(capfd.readouterr())
    words = (*PERSON, there.secret or "whsec_", there.site().key or "sk_test")
    assert not [each for each in words if each in said]


# --- questions -------------------------------------------------------------------------------


def paged(list_: Callable[[str | None], Page[Any]]) -> Iterator[Any]:
    """Walk a list page by page."""
    after: str | None = None
    while True:
        page = list_(after)
        yield from page.items
        after = page.after
        if after is None:
            return


def test_all_are_listed_once_while_things_change(there: Harness) -> None:
    if not there.connector().capabilities.lists:
        with pytest.raises(Away, match="cannot be asked"):
            there.connector().page(None)
        return
    names = [there.begin() for _ in range(MANY)]
    connector, seen = there.connector(), []
    for count, each in enumerate(paged(connector.page)):
        seen.append(each.external_id)
        if count in {10, 150}:
            there.begin()
            carried(there, there.order(names[count], "cancel"))
    assert sorted(seen) == sorted(set(seen))
    assert set(names) <= set(seen)


def test_a_subscription_is_looked_at(there: Harness) -> None:
    name, connector = there.begin(), there.connector()
    if not connector.capabilities.lists:
        with pytest.raises(Away, match="cannot be asked"):
            connector.look(name)
        return
    found = connector.look(name)
    assert isinstance(found, Facts)
    assert (found.external_id, found.status, found.email) == (name, "active", EMAIL)
    assert found.told_at == there.clock.now()
    assert connector.look("sub_nobody") is None


@pytest.mark.parametrize(("state", "status"), [("paused", "paused"), ("canceling", "canceled")])
def test_what_is_told_fits_what_was_done(there: Harness, state: str, status: str) -> None:
    name, connector = there.begin(state), there.connector()
    if connector.capabilities.lists:
        found = connector.look(name)
        assert found is not None
        assert found.status == status


# --- money -----------------------------------------------------------------------------------


def known_charges(there: Harness, since: datetime) -> list[Charge]:
    return list(paged(lambda after: there.connector().charges(since, after)))


def test_charges_are_those_that_were_made(there: Harness) -> None:
    since = there.clock.now()
    if not there.connector().capabilities.charges:
        with pytest.raises(Away, match="cannot be asked"):
            there.connector().charges(since, None)
        return
    for _ in range(3):
        there.begin()
    failed = there.owing()
    if failed is not None:  # a charge that did not take anything, and one that did
        there.pays(failed)
    for _ in range(9):
        there.passes(8 * DAY)
    found, made = known_charges(there, since), there.charges()
    assert len(made) >= 6
    assert len({each.id for each in found}) == len(found)
    assert sorted(_said(each) for each in found) == sorted(_said(each) for each in made)
    later = there.clock.now() - 20 * DAY
    assert {each.at >= later for each in known_charges(there, later)} <= {True}


def _said(charge: Charge) -> tuple[str, datetime, int, str, int]:
    return charge.subscription, charge.at, charge.amount, charge.currency, charge.refunded


def test_nobody_who_is_suspended_is_charged(there: Harness) -> None:
    name = there.begin()
    carried(there, there.order(name, "suspend"))
    before = len(there.charges())
    for _ in range(15):
        there.passes(8 * DAY)
    assert len(there.charges()) == before
    carried(there, there.order(name, "resume"))
    assert len(there.charges()) == before
    for _ in range(5):
        there.passes(8 * DAY)
    assert there.truth(name) == "active"
    grew = len(there.charges()) - before
    assert grew in ({1, 2} if there.connector().capabilities.charges else {0})


def test_what_was_still_tried_is_not_charged_after_a_suspension(there: Harness) -> None:
    name = there.owing()
    if name is None:
        assert not there.retries
        return
    outcome = carried(there, there.order(name, "suspend"))
    assert isinstance(outcome, Done)
    paid_until = datetime.fromisoformat((outcome.detail or {})[PAID_UNTIL])
    assert paid_until < there.clock.now()
    there.pays(name)
    before = len(there.charges())
    for _ in range(15):
        there.passes(8 * DAY)
    assert len(there.charges()) == before


def test_what_stopped_in_the_midst_of_a_suspension_is_not_taken_for_done(there: Harness) -> None:
    """An act of several steps: after each of them all may break off."""
    for breaks_off in range(4):
        name = there.owing()
        if name is None:
            assert not there.retries
            return
        there.breaks_after(breaks_off)
        carried(there, there.order(name, "suspend"))
        there.heals()
        assert isinstance(until_done(there, name, "suspend"), Done)
        standing = there.connector().read(there.order(name, "suspend"))
        assert standing is not None
        assert standing.state == "paused"
        there.pays(name)
        before = len(there.charges())
        there.passes(30 * DAY)
        assert len(there.charges()) == before, breaks_off


def test_money_is_given_back_once(there: Harness) -> None:
    since = there.clock.now()
    there.begin()
    there.passes(70 * DAY)  # for more charges than the one that is meant
    if not there.connector().capabilities.refunds:
        none = Repayment("ch_1", 1, "EUR", "7-refund")
        assert there.connector().refund(none) == No("cannot refund")
        return
    charge, *others = known_charges(there, since)
    assert others
    part = Repayment(charge.id, 400, charge.currency, "7-refund-1")
    for _ in range(3):
        assert checked(there.connector().refund(part)) == Done()
    there.passes(FORGOTTEN)
    assert checked(there.connector().refund(part)) == Done()
    assert sum(each.refunded for each in there.charges()) == 400
    too_much = replace(part, amount=charge.amount - 399, key="7-refund-2")
    assert isinstance(checked(there.connector().refund(too_much)), No)
    rest = replace(part, amount=charge.amount - 400, key="7-refund-3")
    assert checked(there.connector().refund(rest)) == Done()
    assert sum(each.refunded for each in known_charges(there, since)) == charge.amount
    nobody_ = "2024-01-01T00:00:00+00:00/sub_x" if there.system == "sandbox" else "ch_nobody"
    assert isinstance(checked(there.connector().refund(replace(part, charge=nobody_, key="n"))), No)


def test_a_refund_whose_answer_was_lost_is_given_once(there: Harness) -> None:
    since = there.clock.now()
    there.begin()
    there.passes(40 * DAY)
    for number, fault in enumerate(there.faults if there.connector().capabilities.refunds else ()):
        charge = known_charges(there, since)[0]
        part = Repayment(charge.id, 7, charge.currency, f"{number}-refund")
        there.fault(fault)
        assert isinstance(checked(there.connector().refund(part)), Later), fault
        there.heals()
        assert checked(there.connector().refund(part)) == Done(), fault
        assert sum(each.refunded for each in there.charges()) == 7 * (number + 1), fault


# --- messages --------------------------------------------------------------------------------


@dataclass
class Pairs:
    """Headers of which a name may have several."""

    held: list[tuple[str, str]] = field(default_factory=list)

    def items(self) -> Iterable[tuple[str, str]]:
        return self.held


MANGLED = (
    "",
    " ",
    "x",
    "\x00",
    "é",
    "v1,",
    "t=1",
    "t=,v1=",
    "t=1,t=2,v1=00",
    "=",
    ",,,",
    "9" * 9000,
)


def test_whoever_sends_messages_can_be_verified_and_read(there: Harness) -> None:
    system = there.described
    assert (system.verify is None) == (system.read is None)
    assert bool(there.messages()) == (system.read is not None)


def test_its_own_signature_is_taken_and_no_other(there: Harness) -> None:
    verify, now = there.described.verify, there.clock.wall()
    for body in there.messages().values():
        assert verify is not None
        headers = there.headers(body, there.secret, now)
        known = verify([there.secret], headers, body, now)
        assert known
        assert verify(["whsec_b3RoZXI=", there.secret], headers, body, now) == known
        assert verify([there.secret], headers, body, now + timedelta(seconds=299)) == known
        for secrets in ([], [""], ["whsec_b3RoZXI="]):
            not_signed(there, secrets, headers, body, now)
        with suppress(ValueError):  # where nothing can be signed so
            not_signed(there, [""], there.headers(body, "", now), body, now)
        for seconds in (301, -301, 10**9):
            not_signed(there, [there.secret], headers, body, now + timedelta(seconds=seconds))
        not_signed(there, [there.secret], headers, body + b" ", now)
        not_signed(there, [there.secret], {}, body, now)
        for name, value in headers.items():
            rest = [each for each in headers.items() if each[0] != name]
            not_signed(there, [there.secret], Pairs(rest), body, now)
            not_signed(there, [there.secret], Pairs([*headers.items(), (name, value)]), body, now)
            not_signed(there, [there.secret], Pairs([*rest, (name, f"{value},{value}")]), body, now)
            for wrong in MANGLED:
                not_signed(there, [there.secret], Pairs([*rest, (name, wrong)]), body, now)
        break


def not_signed(
    there: Harness, secrets: Sequence[str], headers: Any, body: bytes, now: datetime
) -> None:
    assert there.described.verify is not None
    with pytest.raises(NotSigned):
        there.described.verify(secrets, headers, body, now)


def test_each_kind_of_message_leads_to_facts_or_to_a_look(there: Harness) -> None:
    for kind, body in there.messages().items():
        assert there.described.read is not None
        event = there.described.read(body, there.clock.now())
        assert event.wrong is None, kind
        assert event.ours, kind
        assert (event.type or "").endswith(kind)
        assert event.at is not None


def test_what_is_none_of_ours_is_nothing(there: Harness) -> None:
    for body in there.messages().values():
        assert there.described.read is not None
        said = json.loads(body) | {"type": "something.else"}
        event = there.described.read(json.dumps(said).encode(), there.clock.now())
        assert not event.ours
        assert event.wrong is None


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def _fuzzed(there: Harness, bodies: Sequence[bytes], data: st.DataObject) -> None:
    assert there.described.read is not None
    said = json.loads(data.draw(st.sampled_from(bodies)))
    body = json.dumps(spoiled(data, said)).encode()
    cut = data.draw(st.integers(0, len(body)) | st.none())
    event = there.described.read(body[:cut], there.clock.now())
    assert event.wrong is None or (event.wrong and not any(each in event.wrong for each in PERSON))


def test_nothing_that_is_sent_raises_anything(there: Harness) -> None:
    bodies = list(there.messages().values())
    if bodies:
        _fuzzed(there, bodies)
    for body in bodies:
        for said in each_spoiled(json.loads(body), 5, (None, True, 7, "x", [], {"x": 1})):
            assert there.described.read is not None
            event = there.described.read(json.dumps(said).encode(), there.clock.now())
            assert event.wrong is None or event.wrong
