"""Everything a notice states, as plain data for the world: the engine knows, the world writes."""

from datetime import date, datetime

from app.engine.door import Batch
from app.lifecycle.case import ASKING, Case, Kind, Round, Stage, Why
from app.lifecycle.dates import (
    charged_before,
    charged_behind,
    day_at,
    end_of,
    erase_day,
    next_charge,
    terms_for,
)
from app.lifecycle.erasing import is_final
from app.links import Links
from app.policy import Terms
from app.store.brands import NOTHING, Own
from app.store.population import Address
from app.store.products import Product
from app.world.mail.brief import Brand, Brief
from app.world.mail.draft import nearest

OF_DATA = frozenset({Kind.FRESH_LINK, Kind.ERASURE_WARNING, Kind.ERASED})
"""Notices that say whether something of the data is kept all the same."""
ASKED_WHY = {Why.NEVER_USED: "never_used", Why.BEFORE_RENEWAL: "before_renewal"}


def brand_of(product: Product, own: Own = NOTHING) -> Brand:
    """Give what the notices of a product show of it; `own` is what it made its own."""
    return Brand(
        key=product.key,
        name=product.name,
        from_address=product.from_address,
        reply_to=product.reply_to,
        support_url=product.support_url,
        app_url=product.app_url,
        color=own.color,
        logo=own.logo,
        words=own.words,
    )


def brief_for(  # noqa: PLR0913, PLR0917 - what, to whom and when
    batch: Batch,
    case: Case,
    notice: tuple[Kind, int],
    person: Address,
    links: Links,
    wall: datetime,
    owed: int = 0,
) -> Brief:
    """Give the facts of one notice (kind, version) to one person, as they stand at this claim.

    `wall` is the moment of the claim on the wall clock, from which a fresh link is good; `owed` is
    what people decided to give back, in minor units, which an apology says.
    """
    kind, version = notice
    current, subscription = _round(case), case.subscription
    policy = batch.policy_for(case)
    terms = terms_for(case, policy)
    name = kind.removeprefix("notice.")
    url = links.answer_url(subscription.id, current.number)
    host = batch.product.from_address.rpartition("@")[2] or "localhost"
    local = links.notice_id(subscription.id, current.number, name, version)
    last = promised_day(case, current)
    # Where silence changes nothing, every charge is made as before, and the notice says so.
    stops = kind in ASKING and last is not None and terms.on_no_answer != "nothing"
    return Brief(
        notice=name,
        to=person.email,
        message_id=f"{local}@{host}",
        sent_at=batch.now,
        language=nearest(person.locale, batch.product.locale).tag,
        timezone=person.timezone,
        plan=subscription.plan,
        amount=subscription.amount,
        currency=subscription.currency,
        interval=subscription.interval,
        started_on=subscription.started_on,
        answer_url=url,
        one_click_url=f"{url}/one-click",
        next_charge=next_charge(subscription, batch.now),
        last_used_on=subscription.last_used_on,
        answer_by=last,
        without_answer=terms.on_no_answer,
        fresh_url=_fresh(kind, links, case, wall),
        keeps=bool(policy.keep_categories) if kind in OF_DATA else False,
        final=kind is Kind.ERASURE_WARNING and is_final(current, policy),
        erased_on=day_at(batch.now, subscription.zone) if kind is Kind.ERASED else None,
        erase_on=erasure_day(case, current, terms),
        paid_until=current.paid_until,
        decided_by=current.decided_by if current.decided_by in ("app", "silence") else "subscriber",
        decided_at=current.decided_at,
        reason=ASKED_WHY.get(current.why, "unused"),
        stands=_stands(kind, current, batch.now),
        owed=owed,
        charged_on=charged_before(subscription, batch.now, last) if stops and last else (),
        charged_behind=charged_behind(case, policy, batch.now, last) if stops and last else (),
    )


def _stands(kind: Kind, current: Round, now: datetime) -> str:
    """Say how the subscription stands, in the notices that say it."""
    if kind is Kind.APOLOGY:
        return standing_of(current, now)
    return "canceled" if current.stage is Stage.CANCELED else "suspended"


def standing_of(current: Round, now: datetime) -> str:
    """Say how a subscription stands after a mistake was put right, as an apology puts it."""
    if not current.open:
        return "active"
    ended = current.paid_until is not None and current.paid_until <= now
    if current.stage is Stage.CANCELED:
        return "ended" if ended else "canceled"
    return "suspended"


def _fresh(kind: Kind, links: Links, case: Case, wall: datetime) -> str:
    """Give the link of its own that a notice brings; each opens what it is for and nothing else."""
    makers = {Kind.FRESH_LINK: links.fresh_url, Kind.DATA_LINK: links.data_url}
    if kind not in makers:
        return ""
    return makers[kind](case.subscription.id, _round(case).number, wall)


def promised_day(case: Case, current: Round) -> date | None:
    """Give the last day to answer: what this claim states, or what the ask has promised."""
    if current.answer_by is None:
        return current.stated_by
    last = day_at(current.answer_by, case.subscription.zone)
    return date.fromordinal(last.toordinal() - 1)


def erasure_day(case: Case, current: Round, terms: Terms) -> date | None:
    """Give the day of erasure that is scheduled, or for an open ask the earliest one by silence."""
    if current.stage is not Stage.ASKED or not current.open or terms.on_no_answer == "nothing":
        return current.erase_on
    last = promised_day(case, current)
    if last is None:
        return None
    silent = end_of(last, case.subscription.zone)
    return erase_day(case, terms, silent, next_charge(case.subscription, silent))


def _round(case: Case) -> Round:
    if case.round is None:
        raise LookupError(case.subscription.id)
    return case.round
