"""The JSON of money that moved: payment intents, charges, refunds, credit notes, disputes."""

from tests.fakestripe.records import Charge, CreditNote, Dispute, Intent, Refund
from tests.fakestripe.shapes import Shape, head, listed

CARD = {"brand": "visa", "exp_month": 12, "exp_year": 2040, "funding": "credit", "last4": "4242"}


def intent(record: Intent, *, live: bool) -> Shape:
    return {
        **head(record, "payment_intent", live=live),
        "amount": record.amount,
        "amount_capturable": 0,
        "amount_received": record.received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": record.canceled_at,
        "cancellation_reason": "void_invoice" if record.canceled_at else None,
        "capture_method": "automatic",
        "client_secret": f"{record.id}_secret_x",
        "confirmation_method": "automatic",
        "currency": record.currency,
        "customer": record.customer,
        "customer_account": None,
        "description": "Subscription update",
        "last_payment_error": _last_error(record),
        "latest_charge": record.charge,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": record.method if record.status == "succeeded" else None,
        "payment_method_options": None,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": "off_session",
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": record.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _last_error(record: Intent) -> Shape | None:
    if record.decline is None:
        return None
    return {
        "charge": record.charge,
        "code": "card_declined",
        "decline_code": record.decline,
        "message": "Your card was declined.",
        "type": "card_error",
    }


def charge(record: Charge, *, live: bool) -> Shape:
    return {
        **head(record, "charge", live=live),
        "amount": record.amount,
        "amount_captured": record.amount if record.paid else 0,
        "amount_refunded": record.refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": None,
            "email": record.email,
            "name": record.name,
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "A SHOP",
        "captured": record.paid,
        "currency": record.currency,
        "customer": record.customer,
        "description": "Subscription update",
        "disputed": record.disputed,
        "failure_balance_transaction": None,
        "failure_code": None if record.paid else "card_declined",
        "failure_message": None if record.paid else "Your card was declined.",
        "fraud_details": {},
        "metadata": {},
        "on_behalf_of": None,
        "outcome": _outcome(record),
        "paid": record.paid,
        "payment_intent": record.intent,
        "payment_method": record.method,
        "payment_method_details": {"card": dict(CARD), "type": "card"},
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": record.refunded == record.amount,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded" if record.paid else "failed",
        "transfer_data": None,
        "transfer_group": None,
    }


def _outcome(record: Charge) -> Shape:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if record.paid else "declined_by_network",
        "reason": record.decline,
        "risk_level": "normal",
        "seller_message": "Payment complete." if record.paid else "The bank declined.",
        "type": "authorized" if record.paid else "issuer_declined",
    }


def refund(record: Refund, *, live: bool) -> Shape:
    # A refund has no `livemode`.
    shape = head(record, "refund", live=live)
    del shape["livemode"]
    return {
        **shape,
        "amount": record.amount,
        "balance_transaction": None,
        "charge": record.charge,
        "currency": record.currency,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": dict(record.metadata),
        "payment_intent": record.intent,
        "reason": record.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": record.status,
        "transfer_reversal": None,
    }


def credit_note(record: CreditNote, *, live: bool) -> Shape:
    amount = record.before + record.after
    refunds = [] if record.refund is None else [_refunded(record)]
    return {
        **head(record, "credit_note", live=live),
        "amount": amount,
        "amount_shipping": 0,
        "currency": record.currency,
        "customer": record.customer,
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": record.created,
        "invoice": record.invoice,
        "lines": listed(f"/v1/credit_notes/{record.id}/lines", []),
        "memo": record.memo,
        "metadata": dict(record.metadata),
        "number": record.number,
        "out_of_band_amount": record.out_of_band or None,
        "pdf": f"https://pay.stripe.com/credit_notes/{record.id}/pdf",
        "post_payment_amount": record.after,
        "pre_payment_amount": record.before,
        "pretax_credit_amounts": [],
        "reason": record.reason,
        "refunds": refunds,
        "shipping_cost": None,
        "status": record.status,
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "pre_payment" if record.before else "post_payment",
        "voided_at": record.voided_at,
    }


def _refunded(record: CreditNote) -> Shape:
    return {
        "amount_refunded": record.refunded,
        "payment_record_refund": None,
        "refund": record.refund,
        "type": "refund",
    }


def dispute(record: Dispute, *, live: bool) -> Shape:
    return {
        **head(record, "dispute", live=live),
        "amount": record.amount,
        "balance_transactions": [],
        "charge": record.charge,
        "currency": record.currency,
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": record.created + 7 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "metadata": dict(record.metadata),
        "payment_intent": record.intent,
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network": "visa"},
            "type": "card",
        },
        "reason": record.reason,
        "status": record.status,
    }
