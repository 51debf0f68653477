"""Says of one subscription where it stands, what comes next, and what keeps it from coming."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from app.engine.door import Batch
from app.guards import is_stale
from app.lifecycle import wake_at
from app.lifecycle.case import Act, Case, Reach, Round, Stage, Subscription
from app.lifecycle.dates import ASKABLE, inactive_since, next_charge, peace_until, terms_for
from app.lifecycle.passing import ACT_ON_SILENCE
from app.store import cases, outbox, population, products, standing
from app.store.products import Product
from app.world import billing
from app.world.connector import CONFIRMED_WITHIN, Capabilities


@dataclass(frozen=True, slots=True)
class Explanation:
    """Facts by name, the next step and what blocks it in words, the story, and its subject."""

    facts: dict[str, Any]
    next_step: str
    blocked_by: list[str]
    story: list[dict[str, Any]]
    subscription: Subscription


def explain(
    connection: Connection, product: Product, subscription_id: int, now: datetime
) -> Explanation:
    """Explain one subscription as it stands at `now`."""
    case = cases.read(connection, product.id, [subscription_id], product.hearing, lock=False)[
        subscription_id
    ]
    batch = Batch(product, now, {subscription_id: case})
    waiting = outbox.of_subscription(connection, subscription_id)
    story = [
        {"at": at, "round": number, "what": what, "why": why, "version": version, "actor": actor}
        for at, number, what, why, version, actor in population.story(connection, subscription_id)
    ]
    return Explanation(
        _facts(case, batch, now, waiting),
        _next(case, batch),
        _blocks(connection, product, case, now),
        story,
        case.subscription,
    )


def _facts(
    case: Case, batch: Batch, now: datetime, waiting: list[tuple[Any, ...]]
) -> dict[str, Any]:
    subscription, current = case.subscription, case.round
    facts = {
        "stage": str(case.stage),
        "status": subscription.status,
        "plan": subscription.plan,
        "price": (
            f"{subscription.amount} {subscription.currency} minor units a {subscription.interval}"
        ),
        "next_charge": next_charge(subscription, now),
        "started_on": subscription.started_on,
        "last_used_on": subscription.last_used_on,
        "inactive_since": inactive_since(case),
        "reach": str(case.reach),
        "heard_until": case.hearing.heard_until,
        "next_look": batch.wake(case),
    }
    return facts | (_round_facts(current) if current else {}) | {"waiting": _waiting(waiting)}


def _round_facts(current: Round) -> dict[str, Any]:
    return {
        "round": current.number,
        "outcome": current.outcome and str(current.outcome),
        "why": str(current.why),
        "policy_version": current.version,
        "asked_at": current.asked_at,
        "answer_by": current.answer_by,
        "word": current.word and str(current.word),
        "paid_until": current.paid_until,
        "erase_on": current.erase_on,
        "review_asked_at": current.review_at,
        "erasure_asked_at": current.erase_at,
    }


def _waiting(rows: list[tuple[Any, ...]]) -> str | None:
    return (
        "; ".join(
            f"{kind} {state}{f' ({error})' if error else ''}" for kind, state, _, _, error in rows
        )
        or None
    )


def _next(case: Case, batch: Batch) -> str:
    """Say what comes next if nothing else happens."""
    current = case.round
    if current is not None and current.erase_at is not None and current.act is None:
        return "a person erases the data by hand: `reconfirm review list` says by which day"
    if current is None or not current.open:
        due = batch.wake(case)
        return f"is looked at again on {due:%Y-%m-%d}" if due else "nothing: is not to be asked"
    if current.act is not None:
        told = {Act.SUSPEND: "suspend", Act.CANCEL: "cancel", Act.RESUME: "resume"}[current.act]
        return f"billing is told to {told}"
    if current.stage is Stage.ASKED:
        return _next_while_asked(current)
    if current.erase_on is not None:
        return f"data is due to be erased on {current.erase_on}"
    return "nothing: waits for the person"


def _next_while_asked(current: Round) -> str:
    if current.review_at is not None:
        return "a person looks at the case; until then nothing follows from silence"
    if current.asked_at is None or current.answer_by is None:
        return "the ask is handed over, or withdrawn after three days"
    return f"silence counts from {current.answer_by:%Y-%m-%d %H:%M} UTC"


def _blocks(connection: Connection, product: Product, case: Case, now: datetime) -> list[str]:
    """Say what keeps the next step from coming."""
    subscription = case.subscription
    found = [
        f"the brake: {each.cause}, {each.why}" for each in products.brakes(connection, product.id)
    ]
    if product.policy is None:
        return [*found, "no policy is in force"]
    if case.hearing.heard_until is None:
        found.append("no feed of usage has ever spoken")
    elif is_stale(product, now):
        found.append(f"the feed has been silent since {case.hearing.heard_until}")
    if subscription.status not in ASKABLE:
        found.append(f"billing says {subscription.status}: nothing to ask about")
    if subscription.amount <= 0:
        found.append("nothing is charged")
    if case.round is not None and case.round.review_at is not None:
        found.append(
            f"a review was asked for on {case.round.review_at:%Y-%m-%d %H:%M} UTC: look at it, then"
            " `reconfirm review done`"
        )
    if case.round is not None and case.round.erase_at is not None:
        found.append(
            f"to be erased was asked for on {case.round.erase_at:%Y-%m-%d %H:%M} UTC: erase it,"
            " then `reconfirm review done`"
        )
    if case.reach is not Reach.OK:
        found.append(f"no notice reaches the person: {case.reach}")
    found += _unconfirmed(connection, product, case, now)
    return found + _impossible(case, product) + _unheard(case, product, now)


def _unconfirmed(connection: Connection, product: Product, case: Case, now: datetime) -> list[str]:
    """Say that billing took an act and has not told of it since."""
    if _can(product).asked:
        return []
    sid, until = case.subscription.id, now - CONFIRMED_WITHIN
    return [
        f"billing took {each.act} on {each.since:%Y-%m-%d %H:%M} UTC and has not confirmed it: look"
        " there how it stands, and let it tell us"
        for each in standing.unconfirmed(connection, product.id, until, 1, sid)
    ]


def _can(product: Product) -> Capabilities:
    return billing.capabilities(product.billing, product.billing_settings)


def _impossible(case: Case, product: Product) -> list[str]:
    """Say that billing cannot do what silence is to come to."""
    policy = product.policies.get(case.round.version) if case.round and case.round.open else None
    policy = policy or product.policy
    if policy is None or case.stage not in (Stage.ACTIVE, Stage.ASKED):
        return []
    act = ACT_ON_SILENCE.get(terms_for(case, policy).on_no_answer)
    if act is None or act in _can(product).acts:
        return []
    return [f"billing ({product.billing}) cannot {act}: nothing follows from silence"]


def _unheard(case: Case, product: Product, now: datetime) -> list[str]:
    policy = product.policy
    if policy is None or case.stage is not Stage.ACTIVE:
        return []
    found = []
    peace = peace_until(case, terms_for(case, policy))
    if peace is not None and peace > now.date():
        found.append(f"was asked before and is left in peace until {peace}")
    everything = replace(case, hearing=replace(case.hearing, heard_until=date.max))
    due = wake_at(everything, policy, now)
    if due is not None and due <= now and wake_at(case, policy, now) is None:
        found.append(f"use has been told until {case.hearing.heard_until} only")
    return found
