"""Invoices settled by hand, refunds, credit notes, disputes."""

from datetime import timedelta
from typing import Any

import pytest
import stripe

from tests.fakestripe import FakeStripe
from tests.fakestripe.records import Charge, Invoice, Subscription


def owing(fake: FakeStripe) -> tuple[Subscription, Invoice]:
    """Give a subscription whose renewal was declined, and the open invoice."""
    sub = fake.shop.subscribe()
    fake.shop.decline(sub.customer)
    fake.advance(timedelta(days=32))
    return sub, fake.shop.invoices(sub)[-1]


def charged(fake: FakeStripe) -> Charge:
    return fake.shop.charges(fake.shop.subscribe())[0]


def test_a_void_invoice_is_never_charged(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub, invoice = owing(fake)
    fake.shop.accept(sub.customer)
    assert client.v1.invoices.void_invoice(invoice.id).status == "void"
    assert fake.shop.subscription(sub).status == "active"
    with pytest.raises(stripe.InvalidRequestError, match="isn't open"):
        client.v1.invoices.void_invoice(invoice.id)
    with pytest.raises(stripe.InvalidRequestError, match="voided"):
        client.v1.invoices.pay(invoice.id)
    fake.advance(timedelta(days=20))
    assert len(fake.shop.charges(sub)) == 1


def test_an_uncollectible_invoice_is_not_tried_but_can_be_paid(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub, invoice = owing(fake)
    given_up = client.v1.invoices.mark_uncollectible(invoice.id)
    assert (given_up.status, given_up.next_payment_attempt) == ("uncollectible", None)
    fake.shop.accept(sub.customer)
    fake.advance(timedelta(days=20))
    assert len(fake.shop.charges(sub)) == 1
    assert client.v1.invoices.pay(invoice.id).status == "paid"
    assert len(fake.shop.charges(sub)) == 2


def test_paying_an_open_invoice(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub, invoice = owing(fake)
    with pytest.raises(stripe.CardError) as declined:
        client.v1.invoices.pay(invoice.id)
    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")
    assert declined.value.error is not None
    assert declined.value.error.decline_code == "insufficient_funds"
    assert fake.shop.invoices(sub)[-1].attempts == 2
    fake.shop.accept(sub.customer)
    assert client.v1.invoices.pay(invoice.id).status == "paid"
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        client.v1.invoices.pay(invoice.id)


def test_what_stripe_does_not_try_by_itself(fake: FakeStripe, client: stripe.StripeClient) -> None:
    """A first invoice, and one that no longer advances: a failed attempt plans no other."""
    customer = fake.shop.customer()
    first = fake.shop.subscribe(customer, payment_behavior="default_incomplete")
    assert first.status == "incomplete"
    fake.shop.decline(customer)
    _, quiet = owing(fake)
    client.v1.invoices.update(quiet.id, {"auto_advance": False})
    again = fake.shop.subscribe(customer, payment_behavior="default_incomplete")
    for invoice in (quiet, fake.shop.invoices(again)[0]):
        with pytest.raises(stripe.CardError):
            client.v1.invoices.pay(invoice.id)
        assert client.v1.invoices.retrieve(invoice.id).next_payment_attempt is None
    assert fake.shop.subscription(again).status == "incomplete"


def test_paying_what_was_owed_wakes_an_unpaid_subscription(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    fake.shop.habits.after_retries = "unpaid"
    sub, invoice = owing(fake)
    fake.advance(timedelta(days=40))
    assert fake.shop.subscription(sub).status == "unpaid"
    assert fake.shop.invoices(sub)[-1].status == "draft"
    fake.shop.accept(sub.customer)
    client.v1.invoices.pay(invoice.id)
    assert fake.shop.subscription(sub).status == "active"


def test_a_draft_is_finalized(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe()
    fake.advance(sub.period_end + 60)
    draft = fake.shop.invoices(sub)[-1]
    with pytest.raises(stripe.InvalidRequestError, match="isn't open"):
        client.v1.invoices.void_invoice(draft.id)
    with pytest.raises(stripe.InvalidRequestError, match="can't delete"):
        client.v1.invoices.delete(draft.id)
    opened = client.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    assert (opened.status, opened.next_payment_attempt) == ("open", None)
    fake.advance(timedelta(days=20))
    assert len(fake.shop.charges(sub)) == 1
    with pytest.raises(stripe.InvalidRequestError, match="already finalized"):
        client.v1.invoices.finalize_invoice(draft.id)


def test_refunds_up_to_what_was_charged(fake: FakeStripe, client: stripe.StripeClient) -> None:
    charge = charged(fake)
    part = client.v1.refunds.create(
        {"charge": charge.id, "amount": 400, "metadata": {"why": "idle"}}
    )
    assert (part.amount, part.status) == (400, "succeeded")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded") as refused:
        client.v1.refunds.create({"charge": charge.id, "amount": 600})
    assert refused.value.param == "amount"
    rest = client.v1.refunds.create({"payment_intent": charge.intent})
    assert rest.amount == 599
    got = client.v1.charges.retrieve(charge.id, {"expand": ["refunds"]})
    assert (got.amount_refunded, got.refunded) == (999, True)
    assert got.refunds is not None
    assert [each.id for each in got.refunds.data] == [rest.id, part.id]
    with pytest.raises(stripe.InvalidRequestError) as again:
        client.v1.refunds.create({"charge": charge.id})
    assert again.value.code == "charge_already_refunded"
    assert len(client.v1.refunds.list({"charge": charge.id}).data) == 2


@pytest.mark.parametrize("amount", [0, -5])
def test_no_refund_of_nothing(fake: FakeStripe, client: stripe.StripeClient, amount: int) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"charge": charged(fake).id, "amount": amount})


def test_what_is_disputed_is_not_refunded(fake: FakeStripe, client: stripe.StripeClient) -> None:
    charge = charged(fake)
    dispute = fake.shop.dispute(charge)
    assert client.v1.charges.retrieve(charge.id).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    found = client.v1.disputes.list({"charge": charge.id}).data
    assert [(each.id, each.status) for each in found] == [(dispute.id, "needs_response")]
    assert client.v1.disputes.close(dispute.id).status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        client.v1.disputes.close(dispute.id)


def test_a_credit_note_on_what_is_owed(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub, invoice = owing(fake)
    note = client.v1.credit_notes.create({"invoice": invoice.id, "amount": 900})
    assert (note.pre_payment_amount, note.type) == (900, "pre_payment")
    fake.shop.accept(sub.customer)
    fake.advance(timedelta(days=4))
    assert fake.shop.charges(sub)[-1].amount == 99


def test_a_credit_note_on_all_that_is_owed_settles_it(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    sub, invoice = owing(fake)
    client.v1.credit_notes.create({"invoice": invoice.id, "amount": 999})
    assert fake.shop.invoices(sub)[-1].status == "paid"
    assert fake.shop.subscription(sub).status == "active"
    assert len(fake.shop.charges(sub)) == 1


def test_a_credit_note_taken_back(fake: FakeStripe, client: stripe.StripeClient) -> None:
    _, invoice = owing(fake)
    note = client.v1.credit_notes.create({"invoice": invoice.id, "amount": 900})
    assert client.v1.credit_notes.void_credit_note(note.id).status == "void"
    assert client.v1.invoices.retrieve(invoice.id).amount_remaining == 999


def test_a_credit_note_on_what_was_paid(fake: FakeStripe, client: stripe.StripeClient) -> None:
    charge = charged(fake)
    params: dict[str, Any] = {"invoice": charge.invoice, "amount": 500}
    with pytest.raises(stripe.InvalidRequestError, match="must equal"):
        client.raw_request("post", "/v1/credit_notes", **params)
    client.raw_request("post", "/v1/credit_notes", **params, refund_amount=300, credit_amount=200)
    note = client.v1.credit_notes.list({"invoice": charge.invoice}).data[0]
    assert (note.post_payment_amount, note.refunds[0].amount_refunded) == (500, 300)
    assert fake.shop.charges()[0].refunded == 300
    with pytest.raises(stripe.InvalidRequestError, match="more than what was paid"):
        client.raw_request("post", "/v1/credit_notes", **params | {"credit_amount": 500})
