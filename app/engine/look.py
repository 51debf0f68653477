"""Looks at one round of one subscription, for pages and the API: plain data, no lock, no writing.

One statement for everything that is kept of the round; the policy it is held to is read once and
remembered. What is stated here is what the engine would do, by the rules' own functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, and_, bindparam, cast, func, or_, select, true

from app.engine.door import NOBODY_IS_ASKED
from app.lifecycle.answers import LIVING, undo_exists
from app.lifecycle.case import Case, Hearing, Reach, Round, Subscription
from app.lifecycle.dates import (
    ASKABLE,
    charged_before,
    charged_behind,
    day_at,
    deadline,
    end_of,
    erase_day,
    next_charge,
)
from app.policy import Policy, Terms
from app.store import products, tables
from app.store.cases import ROUND_FIELDS, round_from, zone
from app.store.reviews import ERASE

ONE_DAY = timedelta(days=1)
CHARGED = ASKABLE | {"trialing"}
_SUBSCRIPTION = (
    "id",
    "status",
    "plan",
    "country",
    "interval",
    "amount",
    "currency",
    "started_on",
    "renews_at",
    "last_used_on",
)


@dataclass(frozen=True, slots=True)
class Seller:
    """What people see of a product; addresses are empty where none was given."""

    key: str
    name: str
    support_url: str
    app_url: str
    locale: str
    color: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a person found who looked at a case, and when."""

    outcome: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """A person's own request to erase: by when a person does it, and what became of it (or None).

    `done_at` is when that was noted; None while it is open.
    """

    due_on: date
    outcome: str | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """One round as it stands at `now` (aware, UTC); days are days in the subscriber's zone.

    `latest`: no newer round, so that its link acts. `erased`: the contact is gone, and with it
    whatever may be shown. `charged`: billing goes on charging unless it is told otherwise;
    `cancelable`: there is something that a cancel would end.
    `next_charge`: by the dates that billing told, whether or not it still charges. `charged_on`:
    the days of the charges still made by the end of the answer day, should nobody cancel, and
    `charged_behind` those after it that may be made before silence counts. `answer_day`:
    the last day to answer, `late` once it is over. `erase_if_silent` and `erase_if_canceled`: the
    first day of erasure should the person not answer, or cancel now; None where nothing would be
    scheduled. `undo`: the last answer can still be taken back. `found`: what the last person
    found who looked at this round; None while one is still to look (`round.review_at`).
    `request`: the person's own wish to be erased that is open, or the last that was settled in
    this round. `keeps`: the policy names something that is to be kept all the same.
    `warned_last`: no further warning follows those that were handed over. `erasing_since`: when
    the erasure of this round began that is under way, and `erasing_cause` what it began by.
    """

    now: datetime
    seller: Seller
    case: Case
    round: Round
    terms: Terms
    language: str
    latest: bool
    erased: bool
    charged: bool
    cancelable: bool
    undo: bool
    late: bool
    next_charge: datetime | None
    charged_on: tuple[date, ...]
    charged_behind: tuple[date, ...]
    answer_day: date | None
    erase_if_silent: date | None
    erase_if_canceled: date | None
    found: Finding | None = None
    request: Request | None = None
    keeps: bool = False
    warned_last: bool = False
    erasing_since: datetime | None = None
    erasing_cause: str | None = None


def look(connection: Connection, subscription: int, number: int, now: datetime) -> Look | None:
    """Look at a round; None where there is no such subscription or round."""
    row = connection.execute(_STATEMENT, {"subscription": subscription, "number": number}).first()
    if row is None:
        return None
    current = round_from([getattr(row, f"round_{name}") for name in ROUND_FIELDS])
    case = _case(row, current)
    return _look(row, case, current, _policy(connection, row, current), now)


def _policy(connection: Connection, row: Row[Any], current: Round) -> Policy:
    if row.policy_digest is None:
        return NOBODY_IS_ASKED
    return products.policy_at(connection, row.product_id, current.version, row.policy_digest)


def _look(row: Row[Any], case: Case, current: Round, policy: Policy, now: datetime) -> Look:
    # The segment is pinned with the round, whether or not it is still open.
    terms = policy.terms_of(current.segment)
    due = deadline(case, current)
    last = _last_day(case, current, due)
    stops = last is not None and terms.on_no_answer != "nothing"
    return Look(
        now=now,
        seller=Seller(
            row.key, row.name, row.support_url, row.app_url, row.seller_locale, row.color
        ),
        case=case,
        round=current,
        terms=terms,
        language=row.language or "",
        latest=row.latest,
        erased=row.reach is None,
        charged=case.subscription.status in CHARGED,
        cancelable=case.subscription.status in LIVING,
        undo=row.latest and undo_exists(case, now),
        late=due is not None and now >= due,
        next_charge=next_charge(case.subscription, now),
        charged_on=charged_before(case.subscription, now, last) if stops and last else (),
        charged_behind=charged_behind(case, policy, now, last) if stops and last else (),
        answer_day=last,
        erase_if_silent=_erase_if_silent(case, terms, last),
        erase_if_canceled=erase_day(case, terms, now, next_charge(case.subscription, now)),
        found=_found(row, current),
        request=_request(row, current),
        keeps=bool(policy.keep_categories),
        warned_last=bool(current.warnings) and current.warnings >= len(policy.erasure_warnings),
        erasing_since=row.erasing_since,
        erasing_cause=row.erasing_cause,
    )


def _found(row: Row[Any], current: Round) -> Finding | None:
    if current.review_at is not None or row.reviewed_at is None:
        return None
    return Finding(row.finding, row.reviewed_at)


def _request(row: Row[Any], current: Round) -> Request | None:
    settled = row.erase_outcome is not None
    if row.erase_due is None or settled == (current.erase_at is not None):
        return None
    return Request(row.erase_due, row.erase_outcome, row.erase_done_at)


def _last_day(case: Case, current: Round, due: datetime | None) -> date | None:
    """Give the last whole day to answer: stated by a claimed ask, or promised by a sent one."""
    if due is None:
        return current.stated_by if current.asked_at is None else None
    return day_at(due, case.subscription.zone) - ONE_DAY


def _erase_if_silent(case: Case, terms: Terms, last: date | None) -> date | None:
    if last is None or terms.on_no_answer == "nothing":
        return None
    silent = end_of(last, case.subscription.zone)
    return erase_day(case, terms, silent, next_charge(case.subscription, silent))


# --- reading -------------------------------------------------------------------------------


def _statement() -> Select[Any]:
    one, person, seller, rounds, brake, policy = (
        tables.subscription,
        tables.contact,
        tables.product,
        tables.reconfirmation,
        tables.brake,
        tables.policy,
    )
    lifted = (
        select(func.max(brake.c.lifted_at))
        .where(or_(brake.c.product_id.is_(None), brake.c.product_id == one.c.product_id))
        .scalar_subquery()
    )
    hold = tables.hold
    held = (
        select(hold.c.id)
        .where(hold.c.subscription_id == one.c.id, hold.c.released_at.is_(None))
        .exists()
    )
    review = tables.review
    finding = (
        select(review.c.outcome.label("finding"), review.c.done_at.label("reviewed_at"))
        .where(review.c.subscription_id == one.c.id, review.c.round == bindparam("number"))
        .where(review.c.state == "done", review.c.reason != ERASE)
        .order_by(review.c.id.desc())
        .limit(1)
        .lateral()
    )
    open_or_here = or_(review.c.state == "open", review.c.round == bindparam("number"))
    request = (
        select(
            review.c.due_on.label("erase_due"),
            review.c.outcome.label("erase_outcome"),
            review.c.done_at.label("erase_done_at"),
        )
        .where(review.c.subscription_id == one.c.id, review.c.reason == ERASE)
        .where(review.c.state != "withdrawn", open_or_here)
        .order_by(review.c.id.desc())
        .limit(1)
        .lateral()
    )
    begun = tables.erasure
    under_way = (
        select(begun.c.begun_at.label("erasing_since"), begun.c.cause.label("erasing_cause"))
        .where(begun.c.subscription_id == one.c.id, begun.c.round == bindparam("number"))
        .where(begun.c.ended_at.is_(None))
        .lateral()
    )
    columns: list[Any] = [
        *under_way.c,
        finding.c.finding,
        finding.c.reviewed_at,
        *request.c,
        *(one.c[name] for name in (*_SUBSCRIPTION, "product_id")),
        person.c.timezone,
        person.c.reach,
        person.c.locale.label("language"),
        *(seller.c[name] for name in ("key", "name", "support_url", "app_url")),
        seller.c.locale.label("seller_locale"),
        func.coalesce(tables.brand.c.color, "").label("color"),
        rounds.c.latest,
        *(rounds.c[name].label(f"round_{name}") for name in ROUND_FIELDS),
        lifted.label("lifted_at"),
        held.label("held"),
        func.md5(cast(policy.c.body, Text)).label("policy_digest"),
    ]
    return (
        select(*columns)
        .select_from(one)
        .join(seller, seller.c.id == one.c.product_id)
        .outerjoin(tables.brand, tables.brand.c.product_id == seller.c.id)
        .join(
            rounds,
            and_(rounds.c.subscription_id == one.c.id, rounds.c.number == bindparam("number")),
        )
        .outerjoin(person, person.c.subscription_id == one.c.id)
        .outerjoin(
            policy,
            and_(
                policy.c.product_id == one.c.product_id,
                policy.c.version == rounds.c.version,
                policy.c.activated_at.is_not(None),
            ),
        )
        .outerjoin(finding, true())
        .outerjoin(request, true())
        .outerjoin(under_way, true())
        .where(one.c.id == bindparam("subscription"))
    )


_STATEMENT = _statement()


def _case(row: Row[Any], current: Round) -> Case:
    told = {name: getattr(row, name) for name in _SUBSCRIPTION}
    subscription = Subscription(**told, zone=zone(row.timezone or "UTC"))
    reach = Reach(row.reach) if row.reach else Reach.NO_ADDRESS
    return Case(subscription, reach, current, Hearing(lifted_at=row.lifted_at), row.held)
