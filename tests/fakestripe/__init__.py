"""A stateful fake of Stripe: a real HTTP server for the real SDK, with a clock that charges.

    with FakeStripe() as fake:
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": fake.url})
        subscription = fake.shop.subscribe()
        client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        fake.advance(timedelta(days=365))
        assert len(fake.shop.charges(subscription)) == 1

It speaks API version 2026-10-28.endive. What it does not do it refuses.
"""

from tests.fakestripe.account import VERSION, Account
from tests.fakestripe.fake import START, FakeStripe
from tests.fakestripe.faults import Fault, Kind
from tests.fakestripe.hooks import Delivery, Endpoint, signature
from tests.fakestripe.log import Call
from tests.fakestripe.shop import Shop

__all__ = [
    "START",
    "VERSION",
    "Account",
    "Call",
    "Delivery",
    "Endpoint",
    "FakeStripe",
    "Fault",
    "Kind",
    "Shop",
    "signature",
]
