"""Lists: pages, cursors, filters, expansions; what is not there and what does not exist."""

from datetime import timedelta
from typing import Any

import pytest
import stripe

from tests.fakestripe import FakeStripe

DAY = 86_400


def test_pages_forwards_and_backwards(fake: FakeStripe, client: stripe.StripeClient) -> None:
    made = [fake.shop.subscribe().id for _ in range(7)]
    newest_first = made[::-1]
    page = client.v1.subscriptions.list({"limit": 3})
    assert [each.id for each in page.data] == newest_first[:3]
    assert (page.has_more, page.url) == (True, "/v1/subscriptions")
    assert [each.id for each in page.auto_paging_iter()] == newest_first
    back = client.v1.subscriptions.list({"limit": 2, "ending_before": newest_first[5]})
    assert [each.id for each in back.data] == newest_first[3:5]
    assert back.has_more
    rest = [each.id for each in back.auto_paging_iter()]
    assert rest == newest_first[:5][::-1]
    assert not client.v1.subscriptions.list({"limit": 7}).has_more


def test_one_that_comes_between_pages_shifts_nothing(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    made = [fake.shop.subscribe().id for _ in range(4)]
    page = client.v1.subscriptions.list({"limit": 2})
    late = fake.shop.subscribe().id
    seen = [each.id for each in page.auto_paging_iter()]
    assert seen == made[::-1]
    assert late not in seen


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"limit": 101}, 400, None),
        ({"limit": 0}, 400, None),
        ({"limit": "many"}, 400, "parameter_invalid_integer"),
        ({"starting_after": "sub_none"}, 400, "resource_missing"),
        ({"customer": "cus_none"}, 400, "resource_missing"),
        ({"status": "idle"}, 400, None),
        ({"expand": ["data.customer.nonsense"]}, 400, None),
        ({"expand": ["data.items"]}, 400, None),
        ({"expand": ["data.a.b.c.d"]}, 400, None),
        ({"colour": "red"}, 400, "parameter_unknown"),
    ],
)
def test_what_cannot_be_listed(
    fake: FakeStripe,
    client: stripe.StripeClient,
    params: dict[str, Any],
    status: int,
    code: str | None,
) -> None:
    fake.shop.subscribe()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.raw_request("get", "/v1/subscriptions", **params)
    assert (refused.value.http_status, refused.value.code) == (status, code)


def test_subscriptions_by_filter(fake: FakeStripe, client: stripe.StripeClient) -> None:
    old = fake.shop.subscribe()
    fake.shop.cancel(old)
    fake.advance(timedelta(days=1))
    new, trial = fake.shop.subscribe(), fake.shop.subscribe(trial_end=fake.now + 9 * DAY)

    def found(**params: Any) -> set[str]:
        return {each.id for each in client.v1.subscriptions.list(params).data}  # type: ignore[arg-type] # any

    assert found() == {new.id, trial.id}
    assert found(status="all") == {old.id, new.id, trial.id}
    assert found(status="canceled") == found(status="ended") == {old.id}
    assert found(status="trialing") == {trial.id}
    assert found(customer=new.customer) == {new.id}
    assert found(price=trial.items[0].price.id) == {trial.id}
    assert found(status="all", created={"lt": new.created}) == {old.id}
    assert found(created={"gte": new.created}) == {new.id, trial.id}
    assert found(current_period_end={"lte": fake.now + 10 * DAY}) == {trial.id}


def test_invoices_by_filter(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub, other = fake.shop.subscribe(), fake.shop.subscribe()
    fake.shop.decline(sub.customer)
    fake.advance(timedelta(days=32))

    def found(**params: Any) -> list[str | None]:
        return [each.status for each in client.v1.invoices.list(params).data]  # type: ignore[arg-type] # any

    assert found(subscription=sub.id) == ["open", "paid"]
    assert found(subscription=sub.id, status="open") == ["open"]
    assert found(customer=other.customer) == ["paid", "paid"]
    assert found(status="draft") == []
    assert len(found(limit=1, subscription=sub.id)) == 1
    first = client.v1.invoices.list({"subscription": sub.id, "limit": 1})
    assert [each.status for each in first.auto_paging_iter()] == ["open", "paid"]


def test_an_invoice_tells_what_is_still_tried(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe(metadata={"plan": "plus"})
    fake.shop.decline(sub.customer)
    fake.advance(timedelta(days=32))
    got = client.v1.invoices.list(
        {"subscription": sub.id, "status": "open", "expand": ["data.payments"]}
    ).data[0]
    assert got.parent is not None
    assert got.parent.subscription_details is not None
    assert got.parent.subscription_details.subscription == sub.id
    assert (got.attempt_count, got.amount_due, got.amount_paid) == (1, 999, 0)
    assert got.next_payment_attempt is not None
    assert got.payments is not None
    payment = got.payments.data[0]
    assert (payment.status, payment.payment.type) == ("open", "payment_intent")
    plain = client.v1.invoices.retrieve(got.id)
    assert "payments" not in plain
    quiet = client.v1.invoices.update(got.id, {"auto_advance": False})
    assert quiet.next_payment_attempt is None
    fake.shop.accept(sub.customer)
    fake.advance(timedelta(days=20))
    assert client.v1.invoices.retrieve(got.id).status == "open"


def test_events_by_type_and_time(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.advance(timedelta(days=1))
    fake.shop.cancel(sub)

    def found(**params: Any) -> list[str]:
        return [each.type for each in client.v1.events.list(params).data]  # type: ignore[arg-type] # any

    assert found(type="customer.subscription.deleted") == ["customer.subscription.deleted"]
    assert found(type="customer.subscription.*") == [
        "customer.subscription.deleted",
        "customer.subscription.created",
    ]
    assert len(found(types=["invoice.paid", "charge.succeeded"])) == 2
    assert found(created={"gt": sub.created}) == ["customer.subscription.deleted"]
    event = client.v1.events.list({"limit": 1}).data[0]
    assert client.v1.events.retrieve(event.id) == event


def test_customers_by_address(fake: FakeStripe, client: stripe.StripeClient) -> None:
    one, gone = fake.shop.customer("one@example.com"), fake.shop.customer("gone@example.com")
    client.v1.customers.delete(gone.id)
    assert [each.id for each in client.v1.customers.list().data] == [one.id]
    assert client.v1.customers.list({"email": "gone@example.com"}).data == []
    client.v1.customers.update(one.id, {"email": "", "metadata": {"a": "b"}, "name": "One"})
    changed = client.v1.customers.retrieve(one.id)
    assert (changed.email, changed.name) == (None, "One")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.customers.update(one.id, {"email": "nowhere"})
    assert refused.value.code == "email_invalid"


@pytest.mark.parametrize(
    ("method", "path"), [("get", "/v1/nothing"), ("post", "/v1/events"), ("delete", "/v1/charges")]
)
def test_paths_that_are_none(client: stripe.StripeClient, method: str, path: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as refused:
        client.raw_request(method, path)
    assert refused.value.http_status == 404


@pytest.mark.parametrize(
    "path",
    ["subscriptions/sub_0", "invoices/in_0", "charges/ch_0", "refunds/re_0", "events/evt_0",
     "credit_notes/cn_0", "disputes/dp_0", "customers/cus_0", "products/prod_0", "prices/price_0",
     "payment_intents/pi_0", "invoice_payments/inpay_0", "test_helpers/test_clocks/clock_0"],
)  # fmt: skip
def test_ids_that_name_nothing(client: stripe.StripeClient, path: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.raw_request("get", f"/v1/{path}")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_products_and_prices(fake: FakeStripe, client: stripe.StripeClient) -> None:
    price = fake.shop.price(name="Plus")
    product = client.v1.products.update(price.product, {"name": "More", "active": False})
    assert (product.name, product.active) == ("More", False)
    assert [each.id for each in client.v1.prices.list({"product": price.product}).data] == [
        price.id
    ]
    assert client.v1.prices.list({"type": "one_time"}).data == []
    assert client.v1.products.list({"active": True}).data == []
