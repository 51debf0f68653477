"""Idempotency keys, API keys, modes, versions, and calls a second."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest
import stripe

from tests.fakestripe import VERSION, FakeStripe
from tests.fakestripe.conftest import Connect

KEY: stripe.RequestOptions = {"idempotency_key": "round-1-suspend"}
PAUSE: stripe.params.SubscriptionUpdateParams = {"pause_collection": {"behavior": "void"}}


def header(made: stripe.StripeObject, name: str) -> str | None:
    assert made.last_response is not None
    return made.last_response.headers.get(name)


def test_the_same_key_plays_the_answer_again(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    first = client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    fake.shop.update(sub, pause=None)
    again = client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    # The answer of then, and nothing was done: only a look tells how it is now.
    assert first == again
    assert fake.shop.subscription(sub).pause is None
    assert header(first, "Idempotent-Replayed") is None
    assert header(again, "Idempotent-Replayed") == "true"
    assert header(again, "Original-Request") == header(first, "Request-Id")
    assert [(act.key, act.replayed, act.took_effect) for act in fake.acts()] == [
        ("round-1-suspend", False, True),
        ("round-1-suspend", True, False),
    ]


def test_with_other_parameters_it_is_refused(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub, other = fake.shop.subscribe(), fake.shop.subscribe()
    client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    for id_, params in ((sub.id, {"metadata": {"a": "b"}}), (other.id, PAUSE)):
        with pytest.raises(stripe.IdempotencyError) as refused:
            client.v1.subscriptions.update(id_, params, KEY)  # type: ignore[arg-type] # either
        assert refused.value.http_status == 400
    assert fake.shop.subscription(other).pause is None


def test_after_a_day_it_acts_anew(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    fake.shop.update(sub, pause=None)
    fake.advance(timedelta(hours=23, minutes=59))
    client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    assert fake.shop.subscription(sub).pause is None
    fake.advance(timedelta(minutes=1))
    client.v1.subscriptions.update(sub.id, PAUSE, KEY)
    assert fake.shop.subscription(sub).pause is not None


def test_a_refusal_is_remembered_but_not_a_mistake_in_parameters(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe(flexible=False)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="flexible"):
            client.v1.subscriptions.pause(sub.id, options=KEY)
        fake.shop.update(sub, flexible=True)
    other: stripe.RequestOptions = {"idempotency_key": "k"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.subscriptions.update(sub.id, {"cancel_at": "soon"}, other)
    assert client.v1.subscriptions.update(sub.id, {"cancel_at": ""}, other).cancel_at is None


def test_a_key_in_use_is_a_conflict(fake: FakeStripe, connect: Connect) -> None:
    sub = fake.shop.subscribe()
    fake.faults.add("hang", applied=True, method="POST")
    impatient = connect(timeout=0.1)
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.subscriptions.update(sub.id, PAUSE, KEY)
    with pytest.raises(stripe.APIError) as refused:
        impatient.v1.subscriptions.update(sub.id, PAUSE, KEY)
    # The SDK has no class for a 409, and does not fill in `code`.
    assert (type(refused.value), refused.value.code) == (stripe.APIError, None)
    assert refused.value.http_status == 409
    assert refused.value.error is not None
    assert refused.value.error.code == "idempotency_key_in_use"
    assert fake.shop.subscription(sub).pause is not None


def test_many_at_once_act_once(fake: FakeStripe, connect: Connect) -> None:
    sub = fake.shop.subscribe()

    def pause(_: int) -> None:
        client = connect()
        client.v1.subscriptions.update(sub.id, PAUSE, KEY)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pause, range(24))) == [None] * 24
    assert sum(act.took_effect for act in fake.acts()) == 1
    assert sum(act.replayed for act in fake.acts()) == 23


def test_the_sdk_sends_no_key_with_a_cancel(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    client.v1.subscriptions.cancel(sub.id)
    client.v1.subscriptions.update(sub.id, {"metadata": {"a": "b"}})
    cancel, update = fake.acts()
    assert cancel.key is None
    assert update.key is not None


@pytest.mark.parametrize(
    "key", ["sk_test_nobody", "pk_test_x", "sk_live_y", "nonsense-of-some-length"]
)
def test_a_wrong_key(connect: Connect, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as refused:
        connect(key).v1.accounts.retrieve_current()
    assert refused.value.http_status == 401
    assert key not in str(refused.value)


def test_a_revoked_key(fake: FakeStripe, client: stripe.StripeClient) -> None:
    fake.account.revoked.add("sk_test_x")
    with pytest.raises(stripe.AuthenticationError) as refused:
        client.v1.accounts.retrieve_current()
    assert refused.value.error is not None
    assert refused.value.error.code == "api_key_expired"


def test_a_restricted_key(fake: FakeStripe, connect: Connect) -> None:
    sub, narrow = fake.shop.subscribe(), connect("rk_test_x")
    assert narrow.v1.subscriptions.retrieve(sub.id).status == "active"
    with pytest.raises(stripe.PermissionError, match="rak_subscription_write"):
        narrow.v1.subscriptions.update(sub.id, PAUSE)
    fake.account.restricted = frozenset({"subscriptions"})
    assert narrow.v1.subscriptions.update(sub.id, PAUSE).pause_collection is not None


def test_the_modes_are_apart(fake: FakeStripe, connect: Connect) -> None:
    sub = fake.shop.subscribe()
    lively = fake.live_shop.subscribe()
    live = connect(fake.live_shop.key)
    assert live.v1.subscriptions.retrieve(lively.id).livemode is True
    with pytest.raises(stripe.InvalidRequestError, match="exists in test mode, but a live") as no:
        live.v1.subscriptions.retrieve(sub.id)
    assert (no.value.http_status, no.value.code) == (404, "resource_missing")
    assert [each.id for each in live.v1.subscriptions.list().data] == [lively.id]


def test_accounts_are_apart(fake: FakeStripe, connect: Connect) -> None:
    sub, other = fake.shop.subscribe(), fake.open("b")
    client = connect("sk_test_b")
    assert client.v1.accounts.retrieve_current().id == other.id
    assert client.v1.subscriptions.list({"status": "all"}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        client.v1.subscriptions.retrieve(sub.id)
    with pytest.raises(stripe.PermissionError):
        client.v1.subscriptions.list(options={"stripe_account": fake.account.id})


def test_versions_are_noted(fake: FakeStripe, client: stripe.StripeClient) -> None:
    client.v1.subscriptions.list()
    client.v1.subscriptions.list(options={"stripe_version": "2024-06-20"})
    assert fake.log.versions() == {VERSION: 1, "2024-06-20": 1}
    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version"):
        client.v1.subscriptions.list(options={"stripe_version": "latest"})


def refusal(client: stripe.StripeClient) -> stripe.RateLimitError | None:
    """Ask something, and give the refusal if it is one."""
    try:
        client.v1.subscriptions.list()
    except stripe.RateLimitError as limited:
        return limited
    return None


def test_calls_a_second(fake: FakeStripe, client: stripe.StripeClient) -> None:
    ticks = count()
    fake.account.buckets[False].limit(3, clock=lambda: next(ticks) // 4)
    refusals = [refusal(client) for _ in range(8)]
    # Three of each second: the clock here stands still for four looks.
    assert [each is not None for each in refusals] == [False] * 6 + [True, False]
    limited = refusals[6]
    assert limited is not None
    assert limited.headers is not None
    assert limited.headers["Retry-After"] == "1"
    assert limited.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    assert fake.log.busiest_second() == 8
