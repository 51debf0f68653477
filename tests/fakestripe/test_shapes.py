"""What the fake emits is what the SDK's classes say, key by key, all the way down."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from inspect import get_annotations
from typing import Any, ClassVar, ForwardRef, Literal, Union, get_args, get_origin

import pytest
import stripe
from stripe._object_classes import get_object_class

from tests.fakestripe import VERSION, FakeStripe, api, money
from tests.fakestripe.events import Event
from tests.fakestripe.records import Charge, Customer

UNTYPED = {"metadata", "previous_attributes", "padding"}


def hints(cls: type) -> dict[str, Any]:
    """Give the annotations of a class and those above it."""
    found: dict[str, Any] = {}
    for each in reversed(cls.__mro__):
        found.update(get_annotations(each))
    return {
        name: hint
        for name, hint in found.items()
        if get_origin(hint) is not ClassVar and not name.startswith("_")
    }


def flat(hint: Any) -> Iterator[Any]:
    """Yield what a hint allows, unions taken apart."""
    if get_origin(hint) is Union:
        for each in get_args(hint):
            yield from flat(each)
    else:
        yield hint


def optional(hint: Any) -> bool:
    return type(None) in set(flat(hint))


def allows(hint: Any, value: object) -> bool:
    """Tell whether a hint allows a value of JSON; objects are judged by their class."""
    allowed = list(flat(hint))
    if value is None:
        return type(None) in allowed
    if any(get_origin(each) is Literal and value in get_args(each) for each in allowed):
        return True
    # Of a text that is a number the SDK makes a Decimal.
    means: dict[type, set[Any]] = {bool: {bool}, int: {int, float}, str: {str, Decimal}}
    if isinstance(value, list):
        return any(get_origin(each) is list for each in allowed)
    return isinstance(value, dict) or bool(means[type(value)] & set(allowed))


def inner(cls: type, key: str, value: dict[str, Any]) -> type | None:
    """Give the class of a nested object; None where it is untyped."""
    if isinstance(value.get("object"), str):
        return get_object_class("V1", value["object"])
    found = getattr(cls, "_inner_class_types", {}).get(key)
    if found is None:
        loose = [each for each in flat(hints(cls)[key]) if isinstance(each, ForwardRef)]
        assert not loose, f"{cls.__name__}.{key} lacks its object name"
    return found


def wrong(cls: type, value: dict[str, Any], path: str) -> Iterator[str]:
    """Yield what does not fit the SDK's class."""
    known = hints(cls)
    if cls is stripe.ListObject:
        known["object"] = str
    yield from (f"{path}.{key} is unknown" for key in value if key not in known)
    yield from (
        f"{path}.{key} is missing"
        for key, hint in known.items()
        if key not in value and not optional(hint)
    )
    for key, each in value.items():
        if key not in known or key in UNTYPED:
            continue
        if not allows(known[key], each):
            yield f"{path}.{key} is {each!r}"
        many = each if isinstance(each, list) else [each]
        for one in many:
            if isinstance(one, dict) and (of := inner(cls, key, one)) is not None:
                yield from wrong(of, one, f"{path}.{key}")


def check(shape: dict[str, Any]) -> list[str]:
    return sorted(set(wrong(get_object_class("V1", shape["object"]), shape, shape["object"])))


def busy(fake: FakeStripe) -> None:
    """Bring about every kind of object in most of its states."""
    shop = fake.shop
    lively = shop.subscribe(metadata={"plan": "plus"})
    declined = shop.subscribe()
    shop.decline(declined.customer)
    shop.subscribe(trial_end=fake.now + 5 * 86_400, missing_method="pause")
    shop.subscribe(shop.customer(payment_method=None), trial_end=fake.now + 86_400,
                   missing_method="pause")  # fmt: skip
    shop.subscribe(collection="send_invoice", days_until_due=3, flexible=False)
    shop.portal_cancel(shop.subscribe(shop.customer(address={"country": "DE"})))
    fake.advance(timedelta(days=45))
    shop.close_dispute(shop.dispute(shop.charges(lively)[0]), "won")
    shop.dispute(shop.charges(lively)[1])


def test_the_fake_speaks_the_version_of_the_sdk() -> None:
    assert stripe.api_version == VERSION


def test_every_object_is_as_its_class(fake: FakeStripe, client: stripe.StripeClient) -> None:
    busy(fake)
    sub = fake.shop.subscribe()
    client.v1.subscriptions.update(sub.id, {"pause_collection": {"behavior": "void"}})
    paid = fake.shop.invoices(sub)[0]
    client.v1.credit_notes.create({"invoice": paid.id, "amount": 100, "refund_amount": 100})
    client.v1.test_helpers.test_clocks.create({"frozen_time": fake.now})
    native = fake.shop.subscribe()
    client.v1.subscriptions.pause(native.id)
    assert check(fake.account.shape()) == []
    for kind, shelf in fake.shop.book.shelves.items():
        assert shelf.records, f"no {kind.__name__} was made"
        for record in shelf.records.values():
            if not (isinstance(record, Customer) and record.deleted):
                assert check(dict(fake.shop.json(record))) == []


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("/v1/subscriptions", ["latest_invoice.payments", "customer", "items.data.price.product"]),
        ("/v1/invoices", ["customer.subscriptions", "payments.data.payment.payment_intent"]),
        ("/v1/charges", ["customer", "refunds", "payment_intent.latest_charge"]),
        ("/v1/events", []),
        ("/v1/invoice_payments", ["invoice"]),
        ("/v1/disputes", ["charge"]),
    ],
)
def test_what_comes_over_http_is_as_its_class(
    fake: FakeStripe, client: stripe.StripeClient, path: str, paths: list[str]
) -> None:
    busy(fake)
    expand = [f"data.{each}" for each in paths if each.count(".") < 3]
    answer = client.raw_request("get", path, limit=100, expand=expand)
    data: Any = answer.data
    assert data["data"]
    assert check(data) == []
    for each in expand:
        step = each.split(".")[1]
        assert any(not isinstance(one[step], str) for one in data["data"])


def test_a_wrong_shape_is_found(fake: FakeStripe) -> None:
    shape = dict(fake.shop.json(fake.shop.subscribe()))
    shape["current_period_end"] = 5
    shape["created"] = "now"
    shape["billing_mode"] = {"typ": "flexible"}
    del shape["status"]
    assert check(shape) == [
        "subscription.billing_mode.typ is unknown",
        "subscription.billing_mode.type is missing",
        "subscription.created is 'now'",
        "subscription.current_period_end is unknown",
        "subscription.status is missing",
    ]


def test_the_sdk_makes_its_own_classes_of_it(fake: FakeStripe, client: stripe.StripeClient) -> None:
    made = fake.shop.subscribe()
    got = client.v1.subscriptions.retrieve(made.id, {"expand": ["latest_invoice"]})
    assert isinstance(got, stripe.Subscription)
    assert isinstance(got.latest_invoice, stripe.Invoice)
    # `.items` is the field, not the method of a dict: the object is none.
    item = got.items.data[0]
    assert dict not in type(got).__mro__
    assert (item.current_period_start, item.current_period_end) == (fake.now, made.items[0].end)
    assert item.price.unit_amount_decimal == Decimal(999)


TYPES = {kind for hint in flat(hints(stripe.Event)["type"]) for kind in get_args(hint)}


def test_every_event_is_of_a_type_the_sdk_knows(fake: FakeStripe) -> None:
    busy(fake)
    told = {event.type for event in fake.shop.book.all(Event)}
    assert len(told) > 15
    assert told <= TYPES


PARAMS = {
    ("POST", "/v1/subscriptions"): "SubscriptionCreateParams",
    ("POST", "/v1/subscriptions/([^/]+)"): "SubscriptionUpdateParams",
    ("POST", "/v1/subscriptions/([^/]+)/pause"): "SubscriptionPauseParams",
    ("POST", "/v1/subscriptions/([^/]+)/resume"): "SubscriptionResumeParams",
    ("DELETE", "/v1/subscriptions/([^/]+)"): "SubscriptionCancelParams",
    ("GET", "/v1/subscriptions"): "SubscriptionListParams",
    ("GET", "/v1/invoices"): "InvoiceListParams",
    ("POST", "/v1/invoices/([^/]+)/pay"): "InvoicePayParams",
    ("POST", "/v1/invoices/([^/]+)"): "InvoiceUpdateParams",
    ("POST", "/v1/invoices/([^/]+)/finalize"): "InvoiceFinalizeInvoiceParams",
    ("GET", "/v1/invoice_payments"): "InvoicePaymentListParams",
    ("GET", "/v1/charges"): "ChargeListParams",
    ("POST", "/v1/refunds"): "RefundCreateParams",
    ("GET", "/v1/refunds"): "RefundListParams",
    ("POST", "/v1/credit_notes"): "CreditNoteCreateParams",
    ("GET", "/v1/disputes"): "DisputeListParams",
    ("GET", "/v1/events"): "EventListParams",
    ("POST", "/v1/customers"): "CustomerCreateParams",
    ("POST", "/v1/customers/([^/]+)"): "CustomerUpdateParams",
    ("GET", "/v1/customers"): "CustomerListParams",
}


@pytest.mark.parametrize("key", PARAMS, ids=" ".join)
def test_no_parameter_is_invented(key: tuple[str, str]) -> None:
    known = set(getattr(stripe.params, PARAMS[key]).__annotations__)
    taken = next(each for each in api.ROUTES if (each.method, each.pattern.pattern) == key)
    assert taken.allowed <= known


def test_what_a_payment_is_looked_for_by_is_not_invented() -> None:
    known = set(get_annotations(stripe.params.InvoicePaymentListParamsPayment))
    assert known >= money.PAID_WITH


def test_a_failed_charge_is_one(fake: FakeStripe) -> None:
    busy(fake)
    failed = [each for each in fake.shop.charges(failed=True) if not each.paid]
    assert failed
    assert isinstance(failed[0], Charge)
    assert fake.shop.json(failed[0])["failure_code"] == "card_declined"
