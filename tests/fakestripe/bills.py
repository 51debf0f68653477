"""The JSON of what is owed: invoices, their lines, and what pays them."""

from tests.fakestripe.records import Invoice, Line, Payment
from tests.fakestripe.shapes import SELF, Shape, head, listed


def invoice(record: Invoice, *, live: bool) -> Shape:
    open_ = record.status != "draft"
    lines = [line(each, record, live=live) for each in record.lines]
    return {
        **head(record, "invoice", live=live),
        **_unused_of_an_invoice(),
        **_amounts(record),
        "attempt_count": record.attempts,
        "attempted": record.attempts > 0,
        "auto_advance": record.auto_advance,
        "automatically_finalizes_at": record.finalizes_at,
        "billing_reason": record.reason,
        "collection_method": record.collection,
        "currency": record.currency,
        "customer": record.customer,
        "customer_email": record.email,
        "customer_name": record.name,
        "description": record.description,
        "due_date": record.due_date,
        "effective_at": record.finalized_at,
        "ending_balance": 0 if open_ else None,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{record.id}" if open_ else None,
        "invoice_pdf": f"https://pay.stripe.com/invoice/{record.id}/pdf" if open_ else None,
        "lines": listed(f"/v1/invoices/{record.id}/lines", lines),
        "metadata": dict(record.metadata),
        "next_payment_attempt": record.next_attempt,
        "number": record.number,
        "parent": _parent(record),
        "period_end": record.period_end,
        "period_start": record.period_start,
        "status": record.status,
        "status_transitions": {
            "finalized_at": record.finalized_at,
            "marked_uncollectible_at": record.uncollectible_at,
            "paid_at": record.paid_at,
            "voided_at": record.voided_at,
        },
        "test_clock": record.test_clock,
    }


def _amounts(record: Invoice) -> Shape:
    return {
        "amount_due": record.due,
        "amount_overpaid": 0,
        "amount_paid": record.paid + record.out_of_band,
        "amount_paid_off_stripe": record.out_of_band,
        "amount_remaining": record.remaining,
        "amount_shipping": 0,
        "post_payment_credit_notes_amount": record.credited_after,
        "pre_payment_credit_notes_amount": record.credited_before,
        "starting_balance": 0,
        "subtotal": record.total,
        "subtotal_excluding_tax": record.total,
        "total": record.total,
        "total_excluding_tax": record.total,
    }


def _parent(record: Invoice) -> Shape | None:
    if record.subscription is None:
        return None
    details = {"metadata": dict(record.notes_then), "subscription": record.subscription}
    return {
        "quote_details": None,
        "subscription_details": details,
        "type": "subscription_details",
    }


def _unused_of_an_invoice() -> Shape:
    return {
        "account_country": "DE",
        "account_name": "A shop",
        "account_tax_ids": None,
        "application": None,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "custom_fields": None,
        "customer_account": None,
        "customer_address": None,
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "discounts": [],
        "footer": None,
        "from_invoice": None,
        "issuer": SELF,
        "last_finalization_error": None,
        "latest_revision": None,
        "on_behalf_of": None,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "statement_descriptor": None,
        "status_details": None,
        "threshold_reason": None,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }


def line(record: Line, of: Invoice, *, live: bool) -> Shape:
    return {
        "id": record.id,
        "object": "line_item",
        "amount": record.amount,
        "currency": of.currency,
        "description": record.description,
        "discount_amounts": [],
        "discountable": not record.proration,
        "discounts": [],
        "invoice": of.id,
        "livemode": live,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": record.proration,
                "proration_details": {"credited_items": None} if record.proration else None,
                "subscription": of.subscription,
                "subscription_item": record.item,
            },
            "type": "subscription_item_details",
        },
        "period": {"end": record.end, "start": record.start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": record.price, "product": record.product},
            "type": "price_details",
            "unit_amount_decimal": str(record.unit_amount),
        },
        "quantity": record.quantity,
        "subtotal": record.amount,
        "taxes": [],
    }


def payment(record: Payment, *, live: bool) -> Shape:
    return {
        **head(record, "invoice_payment", live=live),
        "amount_paid": record.amount if record.status == "paid" else None,
        "amount_requested": record.amount,
        "currency": record.currency,
        "invoice": record.invoice,
        "is_default": True,
        "payment": {"payment_intent": record.intent, "type": "payment_intent"},
        "status": record.status,
        "status_transitions": {
            "canceled_at": record.canceled_at,
            "paid_at": record.paid_at,
        },
    }
