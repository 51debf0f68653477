"""Subscriptions over the API: how they begin, are changed, paused, resumed and canceled."""

from datetime import timedelta

import pytest
import stripe

from tests.fakestripe import FakeStripe

MONTH = timedelta(days=32)
UNCHANGED = {"type": "unchanged"}


def test_one_is_made_as_the_sdk_makes_it(fake: FakeStripe, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create(
        {
            "email": "a@example.com",
            "preferred_locales": ["de", "en"],
            "address": {"country": "DE", "city": "Ulm"},
            "payment_method": "pm_card_visa",
            "metadata": {"0": "zero"},
        }
    )
    product = client.v1.products.create({"name": "Plus"})
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "eur",
            "unit_amount": 500,
            "recurring": {"interval": "month", "interval_count": 3},
        }
    )
    made = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id, "quantity": 2}]}
    )
    assert (made.status, made.billing_mode.type, made.livemode) == ("active", "flexible", False)
    assert [charge.amount for charge in fake.shop.charges(made.id)] == [1_000]
    assert customer.address is not None
    assert customer.address.city == "Ulm"
    assert customer.preferred_locales == ["de", "en"]


def test_several_items_have_periods_of_their_own(fake: FakeStripe) -> None:
    shop = fake.shop
    monthly, yearly = shop.price(100), shop.price(1_000, "year")
    sub = shop.subscribe(prices=[monthly, yearly])
    fake.advance(MONTH)
    month, year = shop.subscription(sub).items
    assert month.end < year.end
    assert [each.amount for each in shop.charges(sub)] == [1_100, 100]


def test_classic_billing_has_one_interval(fake: FakeStripe, client: stripe.StripeClient) -> None:
    prices = [fake.shop.price(), fake.shop.price(interval="year")]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.create(
            {
                "customer": fake.shop.customer().id,
                "items": [{"price": each.id} for each in prices],
                "billing_mode": {"type": "classic"},
            }
        )
    assert refused.value.param == "items"


def test_nobody_without_a_card_is_subscribed(fake: FakeStripe, client: stripe.StripeClient) -> None:
    poor = fake.shop.customer(payment_method=None)
    items: list[stripe.params.SubscriptionCreateParamsItem] = [{"price": fake.shop.price().id}]
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        client.v1.subscriptions.create({"customer": poor.id, "items": items})


def test_an_empty_text_clears_a_pause_and_none_leaves_it(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe()
    update = client.v1.subscriptions.update
    paused = update(sub.id, {"pause_collection": {"behavior": "void"}})
    assert paused.status == "active"
    assert paused.pause_collection is not None
    left = update(sub.id, {"pause_collection": None, "metadata": {"a": "b"}})  # type: ignore[arg-type] # the trap
    assert left.pause_collection is not None
    assert update(sub.id, {"pause_collection": ""}).pause_collection is None


@pytest.mark.parametrize(
    ("pause", "param"),
    [
        ({"resumes_at": 5}, "pause_collection[behavior]"),
        ({"behavior": "stop"}, "pause_collection[behavior]"),
        ({"behavior": "void", "resumes_at": 5}, "pause_collection[resumes_at]"),
        ({"behavior": "void", "until": 5}, "pause_collection[until]"),
    ],
)
def test_a_pause_that_makes_no_sense(
    fake: FakeStripe, client: stripe.StripeClient, pause: object, param: str
) -> None:
    sub = fake.shop.subscribe()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.raw_request("post", f"/v1/subscriptions/{sub.id}", pause_collection=pause)
    assert refused.value.param == param
    assert fake.acts()[-1].changes == 0


def test_metadata_is_merged(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe(metadata={"a": "1", "b": "2"})
    got = client.v1.subscriptions.update(sub.id, {"metadata": {"b": "", "c": "3"}})
    assert got.metadata.to_dict() == {"a": "1", "c": "3"}


def test_canceling_at_the_end_and_taking_it_back(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe()
    update = client.v1.subscriptions.update
    planned = update(sub.id, {"cancel_at_period_end": True})
    assert (planned.cancel_at_period_end, planned.cancel_at) == (True, sub.period_end)
    assert planned.canceled_at == fake.now
    back = update(sub.id, {"cancel_at_period_end": False})
    assert (back.cancel_at_period_end, back.cancel_at, back.canceled_at) == (False, None, None)


def test_a_planned_end_may_hide_in_cancel_at(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.shop.portal_cancel(sub)
    got = client.v1.subscriptions.retrieve(sub.id)
    assert (got.cancel_at_period_end, got.cancel_at) == (False, sub.period_end)
    # The other flag does not take it back; an empty `cancel_at` does.
    still = client.v1.subscriptions.update(sub.id, {"cancel_at_period_end": False})
    assert still.cancel_at == sub.period_end
    assert client.v1.subscriptions.update(sub.id, {"cancel_at": ""}).cancel_at is None


def test_classic_billing_shows_both(fake: FakeStripe) -> None:
    sub = fake.shop.portal_cancel(fake.shop.subscribe(flexible=False))
    assert (sub.cancel_at_period_end, sub.cancel_at) == (True, sub.period_end)


def test_cancel_at_by_name_and_not_together(fake: FakeStripe, client: stripe.StripeClient) -> None:
    shop = fake.shop
    sub = shop.subscribe(prices=[shop.price(), shop.price(interval="year")])
    ends = sorted(item.end for item in sub.items)
    for name, end in zip(("min_period_end", "max_period_end"), ends, strict=True):
        assert client.v1.subscriptions.update(sub.id, {"cancel_at": name}).cancel_at == end
    with pytest.raises(stripe.InvalidRequestError, match="together"):
        client.v1.subscriptions.update(sub.id, {"cancel_at": ends[0], "cancel_at_period_end": True})


def test_canceling_twice_is_not_found(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    # A key has no effect on a DELETE.
    key: stripe.RequestOptions = {"idempotency_key": "k"}
    why: stripe.params.SubscriptionCancelParams = {"cancellation_details": {"feedback": "unused"}}
    gone = client.v1.subscriptions.cancel(sub.id, why, key)
    assert (gone.status, gone.ended_at) == ("canceled", fake.now)
    assert gone.cancellation_details is not None
    assert gone.cancellation_details.feedback == "unused"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.cancel(sub.id, why, key)
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="only update its cancellation_details"):
        client.v1.subscriptions.update(sub.id, {"pause_collection": ""})
    note = client.v1.subscriptions.update(sub.id, {"metadata": {"a": "b"}})
    assert note.metadata.to_dict() == {"a": "b"}


def test_a_native_pause_and_its_end(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    paused = client.v1.subscriptions.pause(
        sub.id, {"bill_for": {"unused_time_from": {"type": "none"}}}
    )
    assert paused.status == "paused"
    assert paused.status_details is not None
    assert paused.status_details.paused.subscription.type == "pause_requested"
    assert paused.pause_collection is None
    fake.advance(10 * MONTH)
    assert len(fake.shop.invoices(sub)) == 1
    awake = client.v1.subscriptions.resume(
        sub.id, {"billing_cycle_anchor": {"type": "unchanged"}, "proration_behavior": "none"}
    )
    assert awake.status == "active"
    end = awake.items.data[0].current_period_end
    assert end > fake.now
    assert fake.shop.charged_after(sub, sub.created) == []
    fake.advance(end + 3_600)
    assert len(fake.shop.charged_after(sub, sub.created)) == 1


def test_resuming_as_stripe_does_by_default_bills_a_whole_period(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe()
    fake.advance(timedelta(days=20))
    client.v1.subscriptions.pause(sub.id)
    fake.advance(timedelta(days=3))
    got = client.v1.subscriptions.resume(sub.id)
    # Nothing is charged yet, and the subscription sleeps on until somebody pays.
    assert (got.status, len(fake.shop.charges(sub))) == ("paused", 1)
    invoice = fake.shop.invoices(sub)[-1]
    assert (invoice.status, invoice.next_attempt) == ("open", None)
    fake.advance(timedelta(hours=24))
    assert fake.shop.invoices(sub)[-1].status == "void"
    assert fake.shop.subscription(sub).status == "paused"


def test_resuming_with_payment(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.advance(timedelta(days=15))
    client.v1.subscriptions.pause(sub.id)
    fake.shop.decline(sub.customer)
    pays: stripe.params.SubscriptionResumeParams = {"payment_behavior": "resume_on_payment_success"}
    assert client.v1.subscriptions.resume(sub.id, pays).status == "paused"
    fake.shop.accept(sub.customer)
    fake.advance(timedelta(days=4))
    assert fake.shop.subscription(sub).status == "active"
    # Half of the first month was credited by the pause.
    assert 0 < fake.shop.charges(sub)[-1].amount < 600


@pytest.mark.parametrize("reason", ["classic", "account", "sent", "canceled", "version"])
def test_who_cannot_be_paused(fake: FakeStripe, client: stripe.StripeClient, reason: str) -> None:
    shop = fake.shop
    sub = shop.subscribe(
        flexible=reason != "classic",
        collection="send_invoice" if reason == "sent" else "charge_automatically",
    )
    shop.habits.can_pause = reason != "account"
    if reason == "canceled":
        shop.cancel(sub)
    old: stripe.RequestOptions = {"stripe_version": "2026-05-27.dahlia"}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.pause(sub.id, options=old if reason == "version" else {})
    assert refused.value.http_status == (404 if reason == "version" else 400)
    assert shop.subscription(sub).paused_at is None


def test_classic_billing_can_be_left(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe(flexible=False)
    got = client.v1.subscriptions.migrate(sub.id, {"billing_mode": {"type": "flexible"}})
    assert got.billing_mode.type == "flexible"
    assert client.v1.subscriptions.pause(sub.id).status == "paused"


def test_only_who_is_paused_is_resumed(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    with pytest.raises(stripe.InvalidRequestError, match="only resume paused"):
        client.v1.subscriptions.resume(sub.id)


def test_a_misspelt_parameter_is_refused(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.update(sub.id, {"cancel_at_end": True})  # type: ignore[arg-type] # the mistake
    assert (refused.value.param, refused.value.code) == ("cancel_at_end", "parameter_unknown")


def test_a_higher_price_from_the_next_invoice_on(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub, dear = fake.shop.subscribe(), fake.shop.price(2_000)
    client.v1.subscriptions.update(
        sub.id,
        {"items": [{"id": sub.items[0].id, "price": dear.id}], "proration_behavior": "none"},
    )
    fake.advance(MONTH)
    assert [each.amount for each in fake.shop.charges(sub)] == [999, 2_000]


def test_a_deleted_customer_takes_the_subscriptions_along(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub = fake.shop.subscribe()
    client.v1.customers.delete(sub.customer)
    assert fake.shop.subscription(sub).status == "canceled"
    assert client.v1.customers.retrieve(sub.customer).deleted is True
    expanded = client.v1.subscriptions.retrieve(sub.id, {"expand": ["customer"]})
    assert isinstance(expanded.customer, stripe.Customer)
    assert expanded.customer.deleted
