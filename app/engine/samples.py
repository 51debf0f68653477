"""A made-up subscriber, so that a notice can be looked at before anybody gets it.

Its dates follow the policy in force, and in the order in which notices come: whoever is told that
they are suspended was asked an answer window ago. All about the person is invented.
"""

import secrets
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.lifecycle.dates import day_at, midnight
from app.policy import Period, Terms
from app.store.products import Product
from app.world.mail.brief import UNASKED, Brief
from app.world.mail.draft import nearest

AMOUNT, CURRENCY = 999, "EUR"
SUBSCRIBED, UNUSED = timedelta(days=1400), timedelta(days=800)
UNTIL_CHARGED = timedelta(days=12)
NOBODY = "subscriber@example.com"
UNPROMISED = Terms(on_no_answer="suspend")
"""What a product without a policy in force is shown with."""


def sample(product: Product, notice: str, locale: str, now: datetime, page: str) -> Brief:
    """Give the facts of a notice to nobody; `page` stands in the place of their answer page."""
    zone = ZoneInfo(product.timezone)
    today = day_at(now, zone)
    host = product.from_address.rpartition("@")[2] or "localhost"
    return Brief(
        notice=notice,
        to=NOBODY,
        message_id=f"sample.{secrets.token_hex(8)}@{host}",
        sent_at=now,
        language=nearest(locale, product.locale).tag,
        timezone=product.timezone,
        plan="Example",
        amount=AMOUNT,
        currency=CURRENCY,
        interval="month",
        started_on=today - SUBSCRIBED,
        last_used_on=today if notice == "welcome_back" else today - UNUSED,
        answer_url=page,
        one_click_url=f"{page}/one-click",
        fresh_url=page,
        decided_at=now,
        **_promised(product, notice, today, zone),
    )


def _promised(product: Product, notice: str, today: date, zone: ZoneInfo) -> dict[str, Any]:
    """Give what the policy makes of the dates."""
    policy = product.policy
    terms = policy.terms if policy else UNPROMISED
    charged = today + UNTIL_CHARGED
    answer_by = terms.answer_within.after(today) if notice in UNASKED else today
    unpaid = charged if notice in UNASKED and charged <= answer_by else None
    warned = notice == "erasure_warning"
    return {
        "next_charge": midnight(charged, zone),
        "paid_until": midnight(charged, zone),
        "answer_by": answer_by,
        "without_answer": terms.on_no_answer,
        "charged_on": (charged,) if unpaid and terms.on_no_answer != "nothing" else (),
        "decided_by": "silence" if notice in ("suspended", "canceled") else "subscriber",
        "erase_on": _erased(terms, max(answer_by, charged), warned=warned),
        "erased_on": today,
        "keeps": bool(policy and policy.keep_categories),
    }


def _erased(terms: Terms, after: date, *, warned: bool) -> date | None:
    """Give when data would be erased; a warning has a day even where nothing is ever erased."""
    if terms.erase_after is not None:
        return terms.erase_after.after(after)
    return Period(days=60).after(after) if warned else None
