"""Every fault comes as ordered, and what was done is as it says."""

from contextlib import closing
from time import monotonic

import pytest
import stripe
from msgspec.structs import replace

from tests.fakestripe import FakeStripe, Kind
from tests.fakestripe.conftest import Connect

PAUSE: stripe.params.SubscriptionUpdateParams = {"pause_collection": {"behavior": "void"}}
KEY: stripe.RequestOptions = {"idempotency_key": "k"}


@pytest.mark.parametrize(
    ("kind", "applied", "error", "status"),
    [
        ("drop", False, stripe.APIConnectionError, None),
        ("drop", True, stripe.APIConnectionError, None),
        ("cut", True, stripe.APIConnectionError, None),
        ("hang", False, stripe.APIConnectionError, None),
        ("hang", True, stripe.APIConnectionError, None),
        ("limit", False, stripe.RateLimitError, 429),
        ("lock", False, stripe.RateLimitError, 429),
        ("error", False, stripe.APIError, 500),
        ("error", True, stripe.APIError, 500),
        ("refuse", False, stripe.InvalidRequestError, 400),
        ("unavailable", False, stripe.APIError, 503),
        ("html", False, stripe.APIError, 502),
        ("html", True, stripe.APIError, 502),
        ("empty", False, stripe.APIError, 200),
        ("empty", True, stripe.APIError, 200),
        ("truncated", True, stripe.APIError, 200),
    ],
)
def test_a_fault_and_its_error(  # noqa: PLR0913, PLR0917 - a table of six columns
    fake: FakeStripe,
    connect: Connect,
    kind: str,
    applied: bool,  # noqa: FBT001 - a column
    error: type[stripe.StripeError],
    status: int | None,
) -> None:
    sub, client = fake.shop.subscribe(), connect(timeout=0.2)
    fake.faults.add(kind, applied=applied, method="POST", path="/v1/subscriptions/*")
    with pytest.raises(error) as raised:
        client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    assert type(raised.value) is error
    assert raised.value.http_status == status
    assert (fake.shop.subscription(sub).pause is not None) is applied
    assert [act.took_effect for act in fake.acts()] == [applied]
    assert fake.acts()[0].fault == kind


def test_applied_and_dropped_the_same_key_tells(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add("drop", applied=True)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    again = client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    assert again.pause_collection is not None
    assert [(act.took_effect, act.replayed) for act in fake.acts()] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("applied", [False, True])
def test_a_stored_500_burns_its_key(
    fake: FakeStripe,
    client: stripe.StripeClient,
    applied: bool,  # noqa: FBT001 - a column
) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add("error", applied=applied)
    for _ in range(3):
        with pytest.raises(stripe.APIError) as raised:
            client.v1.subscriptions.update(sub.id, PAUSE, KEY)
        assert raised.value.headers is not None
        assert raised.value.headers["Stripe-Should-Retry"] == "false"
    assert (fake.shop.subscription(sub).pause is not None) is applied
    assert [act.replayed for act in fake.acts()] == [False, True, True]


@pytest.mark.parametrize("kind", ["limit", "lock", "unavailable", "drop"])
def test_what_came_before_the_act_leaves_the_key_free(
    fake: FakeStripe, client: stripe.StripeClient, kind: str
) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add(kind)
    with pytest.raises(stripe.StripeError):
        client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    got = client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    assert got.pause_collection is not None
    assert fake.acts()[-1].took_effect


def test_a_no_burns_its_key_too(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add("refuse")
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    assert [act.replayed for act in fake.acts()] == [False, True]
    assert fake.shop.subscription(sub).pause is None


def test_wrong_types_are_read_without_a_word(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add(Kind.TYPES)
    got = client.v1.subscriptions.retrieve(sub.id)
    assert type(got) is stripe.StripeObject
    assert got["status"] == ["active"]
    assert got["cancel_at"] == "maybe"


def test_ten_megabytes(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add(Kind.HUGE)
    got = client.v1.subscriptions.retrieve(sub.id)
    assert len(got["padding"]) == 10_000_000


def test_a_portal_that_says_200(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add("html", status=200)
    with pytest.raises(stripe.APIError, match="Invalid response body"):
        client.v1.subscriptions.retrieve(sub.id)


def test_a_delay(fake: FakeStripe, connect: Connect) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add("delay", seconds=0.05)
    begun = monotonic()
    connect().v1.subscriptions.retrieve(sub.id)
    assert monotonic() - begun >= 0.05
    fake.faults.add("delay", applied=True, seconds=30)
    with pytest.raises(stripe.APIConnectionError):
        connect(timeout=0.1).v1.subscriptions.update(sub.id, PAUSE)
    assert fake.shop.subscription(sub).pause is not None


def test_by_rule(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fault = fake.faults.add("limit", path="*/subscriptions/*", method="GET", after=1, times=2)
    client.v1.subscriptions.list()
    client.v1.subscriptions.retrieve(sub.id)
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            client.v1.subscriptions.retrieve(sub.id)
    client.v1.subscriptions.retrieve(sub.id)
    assert (fault.seen, fault.met) == (4, 2)


def test_by_seed() -> None:
    def met(seed: int) -> list[bool]:
        with FakeStripe(seed=seed) as fake:
            fake.faults.add("limit", share=0.3, times=None)
            return [fake.faults.meet("GET", "/v1/x") is not None for _ in range(200)]

    assert met(1) == met(1) != met(2)
    assert 30 < sum(met(1)) < 90


def test_what_makes_no_sense_is_not_ordered(fake: FakeStripe) -> None:
    with pytest.raises(ValueError, match="before anything is done"):
        fake.faults.add("limit", applied=True)
    with pytest.raises(ValueError, match="nothing"):
        fake.faults.add("nothing")


def test_a_client_of_its_own_does_not_try_again(fake: FakeStripe, connect: Connect) -> None:
    """`StripeClient` retries nothing unless told; the global default of two is not its own."""
    fake.faults.add("unavailable", times=None)
    with pytest.raises(stripe.APIError):
        connect().v1.subscriptions.list()
    assert len(fake.log.calls) == 1


def test_the_fake_ends_what_hangs(connect: Connect, fake: FakeStripe) -> None:
    fake.faults.add("hang", times=None)
    with pytest.raises(stripe.APIConnectionError):
        connect(timeout=0.05).v1.subscriptions.list()
    # Leaving the fixture must not wait for it.


def failing() -> None:
    """Ask a fake whose state makes no sense."""
    with FakeStripe() as fake, closing(stripe.RequestsClient(timeout=5)) as transport:
        fake.shop.book.put(replace(fake.shop.subscribe(), items=()))
        client = stripe.StripeClient(
            "sk_test_x", base_addresses={"api": fake.url}, http_client=transport
        )
        with pytest.raises(stripe.APIConnectionError):
            client.v1.subscriptions.list()


def test_it_says_when_it_fails_itself() -> None:
    with pytest.raises(ExceptionGroup, match="the fake itself failed"):
        failing()
