"""Says of one subscription where it stands, what comes next, and what keeps it from coming.

What is said is a code and its facts, so that the console says it in the language of who reads;
`next_step` and `blocked_by` are the same in English, for commands and the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from app.engine.door import Batch
from app.guards import halted, is_stale
from app.lifecycle import wake_at
from app.lifecycle.answers import erasable, over
from app.lifecycle.case import ActState, Case, Erasing, Reach, Round, Stage, Subscription
from app.lifecycle.dates import (
    ASKABLE,
    day_at,
    inactive_since,
    next_charge,
    peace_until,
    terms_for,
)
from app.lifecycle.erasing import barred, may_be_warned, next_warning
from app.lifecycle.erasures import OWN_REST
from app.lifecycle.passing import ACT_ON_SILENCE
from app.manifests import LEFT_ALONE
from app.store import (
    cases,
    erasures,
    holds,
    manifests,
    outbox,
    population,
    products,
    receipts,
    standing,
)
from app.store.products import Product
from app.world import billing
from app.world.connector import CONFIRMED_WITHIN, Capabilities

AHEAD = {
    "own_erasure": (
        "the data is erased by itself from {at:%Y-%m-%d %H:%M} UTC on, as the person asked; until"
        " then they can take it back"
    ),
    "own_erasure_charged": (
        "the data is erased by itself, as the person asked, once nothing is charged any more"
    ),
    "own_erasure_held": (
        "a hold keeps the data that the person asked to erase: release it, or refuse by"
        " `reconfirm review done`"
    ),
    "looked_at": "is looked at again on {on:%Y-%m-%d}",
    "never_asked": "nothing: is not to be asked",
    "told_suspend": "billing is told to suspend",
    "told_cancel": "billing is told to cancel",
    "told_resume": "billing is told to resume",
    "erased": "data is due to be erased on {on}",
    "warned": "warning {number} of the erasure goes out from {on} on",
    "warning_out": "a warning of the erasure is handed over",
    "to_be_listed": "is put on the manifest of a day, which two people approve",
    "on_manifest": "is on manifest {manifest}, which waits until two people have approved it",
    "agreed": "is erased by itself: manifest {manifest} is approved",
    "erasing_ending": "is being erased: billing is told to end the subscription for good",
    "erasing_telling": "is being erased: waits for the receipts of {systems}",
    "erasing_answered": "is being erased: every system has given its receipt",
    "erasing_parting": "is being erased: the last notice goes out, within three days",
    "erasing_wiping": "is being erased: what is left of them here is deleted",
    "gone": "nothing: was erased",
    "waits": "nothing: waits for the person",
    "looks": "a person looks at the case; until then nothing follows from silence",
    "handed_over": "the ask is handed over, or withdrawn after three days",
    "silence": "silence counts from {at:%Y-%m-%d %H:%M} UTC",
}
"""What may come next, in English by its code."""
BLOCKS = {
    "brake": "the brake: {cause}, {why}",
    "no_policy": "no policy is in force",
    "feed_never": "no feed of usage has ever spoken",
    "feed_silent": "the feed has been silent since {on}",
    "ramp_paused": "the ramp is paused by {who}: `reconfirm run resume`",
    "ramp_stopped": (
        "the ramp of version {version} is stopped by {who}: activate another version, or this one"
        " anew"
    ),
    "status": "billing says {status}: nothing to ask about",
    "no_charge": "nothing is charged",
    "review": (
        "a review was asked for on {at:%Y-%m-%d %H:%M} UTC: look at it, then"
        " `reconfirm review done`"
    ),
    "erasure": (
        "to be erased was asked for on {at:%Y-%m-%d %H:%M} UTC: nothing follows from silence"
        " any more"
    ),
    "end_parked": "billing did not take the end: mend the reason, then `reconfirm outbox retry`",
    "receipt_parked": (
        "{system} has stopped without a receipt: mend the reason, then `reconfirm target retry`"
    ),
    "charged_by_billing": "billing says neither paused nor canceled, so nothing is erased",
    "used": "was used since nothing is charged, so that the passing of time erases nothing",
    "not_warned": "too few warnings were handed over, or the last one too late, to erase anything",
    "not_heard": "use is not told yet up to the day of erasure",
    "refused": "was on a manifest that was refused, and is put on no other for 30 days",
    "hold": "a hold ({ground}) stops erasure, to be looked at on {on}: `reconfirm hold list`",
    "reach": "no notice reaches the person: {reach}",
    "unconfirmed": (
        "billing took {deed} on {at:%Y-%m-%d %H:%M} UTC and has not confirmed it: look"
        " there how it stands, and let it tell us"
    ),
    "impossible": "billing ({billing}) cannot {deed}: nothing follows from silence",
    "peace": "was asked before and is left in peace until {on}",
    "not_told": "use has been told until {on} only",
}
"""What may keep it from coming, in English by its code."""

SAID_OF_BARRED = frozenset({"charged_by_billing", "used", "not_warned", "not_heard"})
"""Of the codes of what forbids an erasure those that nothing else here says."""


@dataclass(frozen=True, slots=True)
class Saying:
    """Something to say: a code of AHEAD or BLOCKS, and the facts that it states."""

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Facts by name, what comes next and what blocks it, the story, and its subject."""

    facts: dict[str, Any]
    ahead: Saying
    blocks: list[Saying]
    story: list[dict[str, Any]]
    subscription: Subscription
    held: bool = False

    @property
    def next_step(self) -> str:
        """What comes next, in English."""
        return AHEAD[self.ahead.code].format(**self.ahead.facts)

    @property
    def blocked_by(self) -> list[str]:
        """What keeps it from coming, in English."""
        return [BLOCKS[each.code].format(**each.facts) for each in self.blocks]


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
        _next(connection, case, batch),
        _blocks(connection, product, case, now),
        story,
        case.subscription,
        case.held,
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


def _next(connection: Connection, case: Case, batch: Batch) -> Saying:
    """Say what comes next if nothing else happens."""
    current = case.round
    if current is not None and over(current):
        return _next_while_erased(connection, case, current)
    if current is not None and current.erase_at is not None and current.act is None:
        return _own_erasure(case, current, current.erase_at)
    if current is None or not current.open:
        due = batch.wake(case)
        return Saying("looked_at", {"on": due.date()}) if due else Saying("never_asked")
    if current.act is not None:
        return Saying(f"told_{current.act}")
    if current.stage is Stage.ASKED:
        return _next_while_asked(current)
    return _next_of_schedule(connection, case, batch, current)


def _next_of_schedule(connection: Connection, case: Case, batch: Batch, current: Round) -> Saying:
    """Say what comes next on the way to a day of erasure: warnings, a manifest, two people."""
    if current.erase_on is None:
        return Saying("waits")
    sid, warning = case.subscription.id, next_warning(case, batch.policy_for(case))
    if warning is not None:
        on = day_at(max(warning, batch.now), case.subscription.zone)
        return Saying("warned", {"number": current.warned + 1, "on": on})
    if may_be_warned(case, current):
        return Saying("warning_out")
    listed = erasures.listed_on(connection, batch.product.id, sid)
    if listed is not None:
        number, approved = listed
        return Saying("agreed" if approved else "on_manifest", {"manifest": number})
    if not _has_come(case, batch.now):
        return Saying("erased", {"on": current.erase_on})
    return Saying("to_be_listed")


def _has_come(case: Case, now: datetime) -> bool:
    """Say whether the day of erasure has come."""
    on = case.round.erase_on if case.round else None
    return on is not None and on <= day_at(now, case.subscription.zone)


def _next_while_erased(connection: Connection, case: Case, current: Round) -> Saying:
    """Say how far an erasure has come that was begun."""
    if current.erasing is None:
        return Saying("gone")
    if current.erasing is not Erasing.TELLING:
        return Saying(f"erasing_{current.erasing}")
    owing = [each.target for each in _receipts(connection, case) if each.state != receipts.GIVEN]
    if not owing:
        return Saying("erasing_answered")
    return Saying("erasing_telling", {"systems": ", ".join(owing)})


def _receipts(connection: Connection, case: Case) -> list[receipts.Entry]:
    erasure = erasures.open_of(connection, case.subscription.id)
    return receipts.of_erasures(connection, [erasure]) if erasure else []


def _own_erasure(case: Case, current: Round, asked_at: datetime) -> Saying:
    if case.held:
        return Saying("own_erasure_held")
    if not erasable(current):
        return Saying("own_erasure_charged")
    return Saying("own_erasure", {"at": asked_at + OWN_REST})


def _next_while_asked(current: Round) -> Saying:
    if current.review_at is not None:
        return Saying("looks")
    if current.asked_at is None or current.answer_by is None:
        return Saying("handed_over")
    return Saying("silence", {"at": current.answer_by})


def _blocks(connection: Connection, product: Product, case: Case, now: datetime) -> list[Saying]:
    """Say what keeps the next step from coming."""
    found = [
        Saying("brake", {"cause": each.cause, "why": each.why})
        for each in products.brakes(connection, product.id)
    ]
    if case.round is not None and over(case.round):
        return found + _stuck(connection, case, case.round)
    if product.policy is None:
        return [*found, Saying("no_policy"), *_held(connection, product, case)]
    found += _silent(case, product, now) + _halted(connection, product, case)
    found += _not_askable(case) + _before_a_person(case) + _held(connection, product, case)
    if case.reach is not Reach.OK:
        found.append(Saying("reach", {"reach": case.reach}))
    found += _unconfirmed(connection, product, case, now)
    found += _not_erased(connection, product, case, now)
    return found + _impossible(case, product) + _unheard(case, product, now)


def _silent(case: Case, product: Product, now: datetime) -> list[Saying]:
    if case.hearing.heard_until is None:
        return [Saying("feed_never")]
    stale = is_stale(product, now)
    return [Saying("feed_silent", {"on": case.hearing.heard_until})] if stale else []


def _halted(connection: Connection, product: Product, case: Case) -> list[Saying]:
    """Say who keeps new asks back under the policy in force."""
    state = halted(connection, product) if case.stage is Stage.ACTIVE else None
    if state is None or state.halted is None:
        return []
    who = state.halted.by
    if state.stopped is None:
        return [Saying("ramp_paused", {"who": who})]
    return [Saying("ramp_stopped", {"who": who, "version": product.policy_version})]


def _not_askable(case: Case) -> list[Saying]:
    found, subscription = [], case.subscription
    if subscription.status not in ASKABLE:
        found.append(Saying("status", {"status": subscription.status}))
    if subscription.amount <= 0:
        found.append(Saying("no_charge"))
    return found


def _before_a_person(case: Case) -> list[Saying]:
    if case.round is None:
        return []
    waits = {"review": case.round.review_at, "erasure": case.round.erase_at}
    return [Saying(code, {"at": at}) for code, at in waits.items() if at is not None]


def _held(connection: Connection, product: Product, case: Case) -> list[Saying]:
    """Say what keeps somebody from being erased."""
    if not case.held:
        return []
    on = holds.on(connection, product.id, case.subscription.id)
    return [Saying("hold", {"ground": each.reason, "on": each.review_on}) for each in on]


def _stuck(connection: Connection, case: Case, current: Round) -> list[Saying]:
    """Say what an erasure that was begun waits for a person for."""
    if current.erasing is Erasing.ENDING:
        return [Saying("end_parked")] if current.act_state is ActState.PARKED else []
    stopped = [each for each in _receipts(connection, case) if each.state == receipts.PARKED]
    return [Saying("receipt_parked", {"system": each.target}) for each in stopped]


def _not_erased(
    connection: Connection, product: Product, case: Case, now: datetime
) -> list[Saying]:
    """Say why somebody whose day of erasure has come is not erased, where nothing else says it."""
    if not _has_come(case, now) or (case.round is not None and case.round.erase_at is not None):
        return []
    why, sid = barred(case, now), case.subscription.id
    if why is not None:
        return [Saying(why)] if why in SAID_OF_BARRED else []
    refused = manifests.refused_since(connection, product.id, [sid], now - LEFT_ALONE)
    return [Saying("refused")] if refused else []


def _unconfirmed(
    connection: Connection, product: Product, case: Case, now: datetime
) -> list[Saying]:
    """Say that billing took an act and has not told of it since."""
    if _can(product).asked:
        return []
    sid, until = case.subscription.id, now - CONFIRMED_WITHIN
    return [
        Saying("unconfirmed", {"deed": each.act, "at": each.since})
        for each in standing.unconfirmed(connection, product.id, until, 1, sid)
    ]


def _can(product: Product) -> Capabilities:
    return billing.capabilities(product.billing, product.billing_settings)


def _impossible(case: Case, product: Product) -> list[Saying]:
    """Say that billing cannot do what silence is to come to."""
    policy = product.policies.get(case.round.version) if case.round and case.round.open else None
    policy = policy or product.policy
    if policy is None or case.stage not in (Stage.ACTIVE, Stage.ASKED):
        return []
    act = ACT_ON_SILENCE.get(terms_for(case, policy).on_no_answer)
    if act is None or act in _can(product).acts:
        return []
    return [Saying("impossible", {"billing": product.billing, "deed": act})]


def _unheard(case: Case, product: Product, now: datetime) -> list[Saying]:
    policy = product.policy
    if policy is None or case.stage is not Stage.ACTIVE:
        return []
    found = []
    peace = peace_until(case, terms_for(case, policy))
    if peace is not None and peace > now.date():
        found.append(Saying("peace", {"on": peace}))
    everything = replace(case, hearing=replace(case.hearing, heard_until=date.max))
    due = wake_at(everything, policy, now)
    if due is not None and due <= now and wake_at(case, policy, now) is None:
        found.append(Saying("not_told", {"on": case.hearing.heard_until}))
    return found
