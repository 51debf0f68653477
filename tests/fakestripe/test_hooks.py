"""Webhooks: signed as the SDK verifies, and unreliable in every way that was asked for."""

import json
from collections import Counter
from datetime import timedelta
from time import time

import pytest
import stripe

from tests.fakestripe import Delivery, Endpoint, FakeStripe
from tests.receiver import receiving

SECRET = "whsec_test"
PAUSE: stripe.params.SubscriptionUpdateParams = {"pause_collection": {"behavior": "void"}}


def read(delivery: Delivery, secret: str = SECRET) -> stripe.Event:
    """Give an event as the SDK verifies it: the oracle."""
    signature = delivery.headers["Stripe-Signature"]
    event = stripe.Webhook.construct_event(delivery.body, signature, secret)
    assert isinstance(event, stripe.Event)
    return event


def types(endpoint: Endpoint) -> list[str]:
    return [each.type for each in endpoint.take()]


def test_the_sdk_takes_the_signature_and_no_other(fake: FakeStripe) -> None:
    endpoint = fake.shop.webhook()
    sub = fake.shop.subscribe()
    event = read(endpoint.take()[-1])
    assert event.type == "customer.subscription.created"
    assert event.data.object["id"] == sub.id
    assert (event.created, event.livemode, event.api_version) == (
        fake.now, False, stripe.api_version,
    )  # fmt: skip
    fake.shop.cancel(sub)
    gone = endpoint.take()[0]
    with pytest.raises(stripe.SignatureVerificationError):
        read(gone, "whsec_other")
    fake.shop.subscribe()
    stale = endpoint.take(at=int(time()) - 301)[0]
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        read(stale)


def test_an_update_says_what_was_before(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe(metadata={"a": "1"})
    endpoint = fake.shop.webhook(types=["customer.subscription.*"])
    client.v1.subscriptions.update(
        sub.id, {**PAUSE, "metadata": {"a": "2", "b": "3"}}, {"idempotency_key": "k"}
    )
    said = json.loads(endpoint.take()[0].body)
    assert said["data"]["previous_attributes"] == {
        "metadata": {"a": "1", "b": None},
        "pause_collection": None,
    }
    assert said["data"]["object"]["pause_collection"] == {"behavior": "void", "resumes_at": None}
    assert said["request"] == {"id": fake.acts()[0].request, "idempotency_key": "k"}


def test_what_changes_nothing_tells_nothing(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe(metadata={"a": "1"})
    endpoint = fake.shop.webhook()
    client.v1.subscriptions.update(sub.id, {"metadata": {"a": "1"}})
    assert endpoint.take() == []


def test_a_renewal_tells_of_the_items_of_before(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    endpoint = fake.shop.webhook()
    fake.advance(timedelta(days=32))
    said = [json.loads(each.body) for each in endpoint.take()]
    assert [each["type"] for each in said] == [
        "invoice.created",
        "customer.subscription.updated",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    renewed = said[1]
    before = renewed["data"]["previous_attributes"]
    assert before["items"]["data"][0]["current_period_end"] == sub.period_end
    assert "status" not in before
    assert renewed["request"] == {"id": None, "idempotency_key": None}
    # Only updates say what was before.
    assert {each["type"] for each in said if "previous_attributes" in each["data"]} == {
        "customer.subscription.updated",
        "invoice.updated",
    }
    # What was said then stays: the invoice was a draft.
    assert said[0]["data"]["object"]["status"] == "draft"


def test_events_of_a_whole_life(fake: FakeStripe, client: stripe.StripeClient) -> None:
    endpoint = fake.shop.webhook(types=["customer.subscription.*", "charge.*"])
    sub = fake.shop.subscribe(trial_end=fake.now + 86_400)
    fake.advance(timedelta(days=2))
    client.v1.subscriptions.pause(sub.id)
    client.v1.subscriptions.resume(
        sub.id, {"billing_cycle_anchor": {"type": "unchanged"}, "proration_behavior": "none"}
    )
    charge = fake.shop.charges(sub)[0]
    client.v1.refunds.create({"charge": charge.id, "amount": 100})
    client.v1.disputes.close(fake.shop.dispute(charge).id)
    fake.shop.decline(sub.customer)
    fake.advance(timedelta(days=60))
    told = Counter(types(endpoint))
    assert told["customer.subscription.updated"] >= 3
    assert set(told) == {
        "customer.subscription.created",
        "customer.subscription.trial_will_end",
        "customer.subscription.updated",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.deleted",
        "charge.succeeded",
        "charge.refunded",
        "charge.updated",
        "charge.dispute.created",
        "charge.dispute.closed",
        "charge.failed",
    }


def test_twice_reversed_and_shuffled(fake: FakeStripe) -> None:
    endpoint = fake.shop.webhook()

    def ids(order: str, copies: int, seed: int = 0) -> list[str]:
        endpoint.waiting.update(kept)
        taken = endpoint.take(order=order, copies=copies, seed=seed)  # type: ignore[arg-type] # a name of one
        return [each.id for each in taken]

    fake.shop.subscribe()
    kept = dict(endpoint.waiting)
    straight = list(kept)
    assert ids("given", 2) == straight * 2
    assert ids("reversed", 1) == straight[::-1]
    mixed = ids("shuffled", 2, 5)
    assert mixed == ids("shuffled", 2, 5)
    assert mixed not in (straight * 2, ids("shuffled", 2, 6))
    assert sorted(mixed) == sorted(straight * 2)


def test_lost_ones_are_found_among_the_events(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    endpoint = fake.shop.webhook()
    for _ in range(5):
        fake.shop.subscribe()
    every = set(endpoint.waiting)
    came = {each.id for each in endpoint.take(lose=0.5, seed=3)}
    assert 0 < len(came) < len(every)
    assert endpoint.take() == []
    undelivered = client.v1.events.list({"delivery_success": False, "limit": 100})
    assert {each.id for each in undelivered.data} == every - came
    assert {each.pending_webhooks for each in undelivered.data} == {1}
    fake.advance(timedelta(days=31))
    assert every.isdisjoint(each.id for each in client.v1.events.list({"limit": 100}).data)


def test_late(fake: FakeStripe) -> None:
    endpoint = fake.shop.webhook(late=3_600)
    fake.shop.subscribe()
    assert endpoint.take() == []
    fake.advance(timedelta(hours=1))
    assert endpoint.take()


def test_from_another_account(fake: FakeStripe) -> None:
    endpoint = fake.shop.webhook()
    fake.shop.subscribe()
    assert read(endpoint.take(account="acct_other")[0]).account == "acct_other"
    other = fake.shop_of(fake.open("b"))
    theirs = other.webhook(secret="whsec_b")
    other.subscribe()
    assert endpoint.take() == []
    with pytest.raises(stripe.SignatureVerificationError):
        read(theirs.take()[0])


def test_any_body_can_be_sealed(fake: FakeStripe) -> None:
    body = json.dumps({"object": "event", "id": "evt_forged", "type": "odd"}).encode()
    assert read(fake.shop.webhook().seal("evt_forged", "odd", body)).id == "evt_forged"


def test_over_a_socket_and_again_until_taken(fake: FakeStripe) -> None:
    with receiving() as receiver:
        endpoint = fake.shop.webhook(receiver.url, types=["customer.subscription.*"])
        fake.shop.subscribe()
        receiver.answers(500)
        assert [status for _, status in endpoint.deliver()] == [500]
        receiver.answers(200)
        assert [status for _, status in endpoint.deliver()] == [200]
        assert endpoint.deliver() == []
        first, second = receiver.got
        assert first.body == second.body
        event = stripe.Webhook.construct_event(
            second.body, second.headers["stripe-signature"], SECRET
        )
        assert event.type == "customer.subscription.created"
    fake.shop.subscribe()
    assert [status for _, status in endpoint.deliver(timeout=1)] == [0]
    assert len(endpoint.waiting) == 1
