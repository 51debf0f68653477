"""A fake Stripe for each test, and the real SDK at it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import stripe

from tests.fakestripe import FakeStripe

Connect = Callable[..., stripe.StripeClient]


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(seed=7) as running:
        yield running


@pytest.fixture
def connect(fake: FakeStripe) -> Iterator[Connect]:
    """Give a function that makes clients: `connect("sk_live_x", timeout=0.3)`."""
    with ExitStack() as stack:

        def made(key: str = "sk_test_x", *, timeout: float = 5) -> stripe.StripeClient:
            transport = stripe.RequestsClient(timeout=timeout)
            stack.callback(transport.close)
            return stripe.StripeClient(key, base_addresses={"api": fake.url}, http_client=transport)

        yield made


@pytest.fixture
def client(connect: Connect) -> stripe.StripeClient:
    return connect()
