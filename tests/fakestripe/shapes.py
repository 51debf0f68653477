"""The JSON of who subscribes and to what, as API version 2026-10-28.endive has it.

Keys that the fake never fills are there with the value Stripe gives where a feature is unused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakestripe.records import Customer, Item, Price, Product, Record, Subscription, TestClock

Shape = dict[str, Any]
SELF = {"account": None, "type": "self"}


def listed(url: str, data: Sequence[object], *, has_more: bool = False) -> Shape:
    """Give a list object."""
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url}


def head(record: Record, kind: str, *, live: bool) -> Shape:
    return {"id": record.id, "object": kind, "created": record.created, "livemode": live}


def customer(record: Customer, *, live: bool) -> Shape:
    return {
        **head(record, "customer", live=live),
        "address": address(record.address),
        "balance": 0,
        "currency": record.currency,
        "customer_account": None,
        "default_source": None,
        "delinquent": record.delinquent,
        "description": record.description,
        "discount": None,
        "email": record.email,
        "invoice_prefix": record.id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": record.payment_method,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": dict(record.metadata),
        "name": record.name,
        "next_invoice_sequence": 1,
        "phone": record.phone,
        "preferred_locales": list(record.locales),
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": record.test_clock,
    }


def address(given: Mapping[str, str | None] | None) -> Shape | None:
    if given is None:
        return None
    parts = ("city", "country", "line1", "line2", "postal_code", "state")
    return {part: given.get(part) for part in parts}


def product(record: Product, *, live: bool) -> Shape:
    return {
        **head(record, "product", live=live),
        "active": record.active,
        "default_price": None,
        "description": record.description,
        "images": [],
        "marketing_features": [],
        "metadata": dict(record.metadata),
        "name": record.name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": record.updated,
        "url": None,
    }


def price(record: Price, *, live: bool) -> Shape:
    recurring = None
    if record.interval is not None:
        recurring = {
            "interval": record.interval,
            "interval_count": record.interval_count,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
    return {
        **head(record, "price", live=live),
        "active": record.active,
        "billing_scheme": "per_unit",
        "currency": record.currency,
        "custom_unit_amount": None,
        "lookup_key": record.lookup_key,
        "metadata": dict(record.metadata),
        "nickname": record.nickname,
        "product": record.product,
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time" if recurring is None else "recurring",
        "unit_amount": record.unit_amount,
        "unit_amount_decimal": str(record.unit_amount),
    }


def plan(record: Price, *, live: bool) -> Shape:
    """Give a price as the plans it replaced: items still carry both."""
    return {
        **head(record, "plan", live=live),
        "active": record.active,
        "amount": record.unit_amount,
        "amount_decimal": str(record.unit_amount),
        "billing_scheme": "per_unit",
        "currency": record.currency,
        "interval": record.interval,
        "interval_count": record.interval_count,
        "metadata": dict(record.metadata),
        "meter": None,
        "nickname": record.nickname,
        "product": record.product,
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def item(record: Item, subscription: str, *, live: bool) -> Shape:
    return {
        "id": record.id,
        "object": "subscription_item",
        "billed_until": record.end,
        "billing_thresholds": None,
        "created": record.created,
        "current_period_end": record.end,
        "current_period_start": record.start,
        "discounts": [],
        "metadata": dict(record.metadata),
        "plan": plan(record.price, live=live),
        "price": price(record.price, live=live),
        "quantity": record.quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def subscription(record: Subscription, *, live: bool) -> Shape:
    items = [item(each, record.id, live=live) for each in record.items]
    return {
        **head(record, "subscription", live=live),
        **_unused_of_a_subscription(),
        **_ending(record),
        "billing_cycle_anchor": record.anchor,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"} if record.flexible else None,
            "type": "flexible" if record.flexible else "classic",
            "updated_at": None,
        },
        "collection_method": record.collection,
        "currency": record.currency,
        "customer": record.customer,
        "days_until_due": record.days_until_due,
        "default_payment_method": record.payment_method,
        "description": record.description,
        "items": listed(f"/v1/subscription_items?subscription={record.id}", items),
        "latest_invoice": record.latest_invoice,
        "metadata": dict(record.metadata),
        "pause_collection": _pause(record),
        "start_date": record.start_date,
        "status": record.status,
        "status_details": _paused(record),
        "test_clock": record.test_clock,
        "trial_end": record.trial_end,
        "trial_settings": {
            "end_behavior": {
                "billing_cycle_anchor": None,
                "missing_payment_method": record.missing_method,
            }
        },
        "trial_start": record.trial_start,
    }


def _ending(record: Subscription) -> Shape:
    return {
        "cancel_at": record.cancel_at,
        "cancel_at_period_end": record.cancel_at_period_end,
        "canceled_at": record.canceled_at,
        "cancellation_details": {
            "comment": record.cancel_comment,
            "feedback": record.cancel_feedback,
            "feedback_option": None,
            "reason": record.cancel_reason,
        },
        "ended_at": record.ended_at,
    }


def _pause(record: Subscription) -> Shape | None:
    """Give `pause_collection`: the status stays what it was."""
    if record.pause is None:
        return None
    return {"behavior": record.pause.behavior, "resumes_at": record.pause.resumes_at}


def _paused(record: Subscription) -> Shape | None:
    """Give `status_details` of a native pause."""
    if record.status != "paused":
        return None
    return {
        "paused": {
            "subscription": {"type": record.paused_why},
            "transitioned_at": record.paused_at,
            "type": "subscription",
        }
    }


def _unused_of_a_subscription() -> Shape:
    return {
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor_config": None,
        "billing_schedules": [],
        "billing_thresholds": None,
        "customer_account": None,
        "default_source": None,
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": SELF},
        "managed_payments": None,
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "transfer_data": None,
    }


def clock(record: TestClock, *, live: bool) -> Shape:
    advancing = record.status == "advancing"
    return {
        **head(record, "test_helpers.test_clock", live=live),
        "deletes_after": record.deletes_after,
        "frozen_time": record.frozen,
        "name": record.name,
        "status": record.status,
        "status_details": (
            {"advancing": {"target_frozen_time": record.frozen}} if advancing else {}
        ),
    }
