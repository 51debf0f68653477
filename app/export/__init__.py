"""Everything held about one subscription as one document: for whom it is about, and who helps them.

It only reads, and only rows of this very subscription. After an erasure it says that nothing is
held, and nothing more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from app import policy as policies
from app.export.shapes import (
    SCHEMA,
    Held,
    HeldCall,
    HeldContact,
    HeldEndpoint,
    HeldErasing,
    HeldErasure,
    HeldHold,
    HeldKeeping,
    HeldLink,
    HeldListing,
    HeldMessage,
    HeldOddity,
    HeldProduct,
    HeldQuestion,
    HeldReceipt,
    HeldRecipients,
    HeldRefund,
    HeldReview,
    HeldStep,
    HeldSubscription,
    HeldTarget,
    HeldWaiting,
    NothingHeld,
    Words,
)
from app.lifecycle.case import Round
from app.lifecycle.erasures import OWN_REST
from app.links import Links
from app.store import cases, evidence, holdings, suppression
from app.store.evidence import Shown
from app.store.holdings import Rows
from app.store.products import Product
from app.world.mail.draft import Draft
from app.world.mail.wording import again

__all__ = ["SCHEMA", "Held", "NothingHeld", "everything", "nothing"]

STAFF = frozenset({"cli", "console"})
"""How those act who work for the product: their names are data of their own."""
Shape = TypeVar("Shape", bound=Struct)


def everything(  # noqa: PLR0913, PLR0917 - whose, of what, when and in which words
    connection: Connection,
    links: Links,
    product: Product,
    subscription_id: int,
    now: datetime,
    sentences: Mapping[str, str],
) -> Held | None:
    """Give all that is held about a subscription at a moment; None where its person was erased.

    `sentences` explain the codes of the history, as `story.…` and `why.…`.
    """
    row = holdings.subject(connection, product.id, subscription_id)
    if row is None:
        return None
    found = {table: holdings.about(connection, table, subscription_id) for table in holdings.ABOUT}
    rounds = [_round(each) for each in holdings.rounds(connection, subscription_id)]
    history = [_step(each) for each in found["history"]]
    return Held(
        made_at=now,
        product=_product(product),
        subscription=_subscription(row),
        contact=_contact(connection, links, product, row),
        rounds=rounds,
        messages=[_message(each) for each in evidence.of_subscription(connection, subscription_id)],
        links=_all(HeldLink, found["fresh_link"]),
        reviews=_all(HeldReview, found["review"]),
        holds=_all(HeldHold, found["hold"]),
        refunds=_all(HeldRefund, found["refund"]),
        erasing=_erasing(rounds, found),
        keeping=_keeping(product, rounds),
        recipients=_recipients(connection, product),
        told_to_endpoints=[_as(HeldCall, each, to=each["url"]) for each in found["webhook"]],
        still_to_do=_all(HeldWaiting, found["outbox"]),
        lists=_all(HeldQuestion, found["ask_listed"]),
        unexplained=_all(HeldOddity, found["unexplained"]),
        next_looks=_looks(connection, subscription_id, found["timer"]),
        look_up_since=next((each["wanted_at"] for each in found["look"]), None),
        history=history,
        words=_words(history, sentences),
    )


def nothing(product: Product, now: datetime) -> NothingHeld:
    """Give the answer about somebody who was erased."""
    return NothingHeld(made_at=now, product=_product(product))


def kind_of(actor: str) -> str:
    """Say who acted by their kind: `staff`, `subscriber`, `app`, `clock`, `api`, `billing`."""
    kind = actor.partition(":")[0]
    return "staff" if kind in STAFF else kind


# --- each part -----------------------------------------------------------------------------


def _as(shape: type[Shape], row: Mapping[str, Any], **more: Any) -> Shape:
    """Make a shape of the columns that bear its names; who acted is told by their kind."""
    values = {name: row[name] for name in shape.__struct_fields__ if name in row} | more
    for name, value in values.items():
        if name.endswith("_by") and value is not None:
            values[name] = kind_of(value)
    return shape(**values)


def _all(shape: type[Shape], rows: Rows) -> list[Shape]:
    return [_as(shape, each) for each in rows]


def _product(product: Product) -> HeldProduct:
    return HeldProduct(key=product.key, name=product.name, support_url=product.support_url)


def _subscription(row: Mapping[str, Any]) -> HeldSubscription:
    ours = {"id": row["external_id"], "number": row["id"], "told": bytes(row["told"]).hex()}
    return HeldSubscription(
        **{name: row[name] for name in HeldSubscription.__struct_fields__ if name in row} | ours
    )


def _contact(
    connection: Connection, links: Links, product: Product, row: Mapping[str, Any]
) -> HeldContact:
    marks = links.address_marks(product.id, row["email"]) if row["email"] else ()
    reasons = suppression.found(connection, product.id, marks).values() if marks else ()
    return _as(HeldContact, row, suppressed=next(map(str, reasons), None))


def _round(row: Mapping[str, Any]) -> Round:
    """Make a round of its row; whoever decided is a code there already."""
    return cases.round_from([row[name] for name in cases.ROUND_FIELDS])


def _message(shown: Shown) -> HeldMessage:
    words = shown.words
    draft = again(Draft(words.subject, words.text, words.html), shown.told)
    return HeldMessage(
        round=shown.round,
        notice=words.notice,
        version=shown.version,
        language=words.language,
        handed_over_at=shown.handed_over_at,
        bounced_at=shown.bounced_at,
        complained_at=shown.complained_at,
        subject=draft.subject,
        text=draft.text,
        facts=shown.facts,
    )


def _erasing(rounds: Sequence[Round], found: Mapping[str, Rows]) -> HeldErasing:
    current = rounds[-1] if rounds else None
    asked_at = current.erase_at if current else None
    return HeldErasing(
        scheduled_on=current.erase_on if current else None,
        asked_at=asked_at,
        begins_at=asked_at + OWN_REST if asked_at else None,
        held=any(each["released_at"] is None for each in found["hold"]),
        listed=_all(HeldListing, found["manifest_entry"]),
        begun=[_erasure(each, found["receipt"]) for each in found["erasure"]],
    )


def _erasure(row: Mapping[str, Any], receipts: Rows) -> HeldErasure:
    own = [
        _as(HeldReceipt, each, target=each["key"])
        for each in receipts
        if each["erasure_id"] == row["id"]
    ]
    return _as(HeldErasure, row, receipts=own)


def _keeping(product: Product, rounds: Sequence[Round]) -> HeldKeeping:
    """Say what the open round is held to, or else the rules in force."""
    current = rounds[-1] if rounds and rounds[-1].open else None
    policy = product.policies.get(current.version) if current else None
    policy = policy or product.policy
    if policy is None:
        return HeldKeeping(policy_version=None, erase_after=None, erasure_warnings=[], keep={})
    segment = current.segment if current else None
    erase_after = policy.terms_of(segment).erase_after
    written = policies.write(policy)
    return HeldKeeping(
        policy_version=policy.version or None,
        erase_after=None if erase_after is None else str(erase_after),
        erasure_warnings=list(written["erasure_warnings"]),
        keep=dict(written["keep_categories"]),
    )


def _recipients(connection: Connection, product: Product) -> HeldRecipients:
    endpoints, targets = holdings.recipients(connection, product.id)
    return HeldRecipients(
        billing=product.billing,
        endpoints=_all(HeldEndpoint, endpoints),
        targets=_all(HeldTarget, targets),
    )


def _looks(connection: Connection, subscription_id: int, timers: Rows) -> list[datetime]:
    found = [each["due_at"] for each in timers]
    rounds = holdings.rounds(connection, subscription_id)
    return sorted(found + [each["wake_at"] for each in rounds if each["wake_at"] is not None])


def _step(row: Mapping[str, Any]) -> HeldStep:
    return HeldStep(
        at=row["at"],
        round=row["round"],
        what=row["what"],
        why=_why(row["why"]),
        policy_version=row["version"],
        by=kind_of(row["actor"]),
    )


def _why(code: str) -> str:
    """Give the reason of a line; where it is somebody who acted, only their kind."""
    return kind_of(code) if code.partition(":")[0] in STAFF else code


def _words(history: Sequence[HeldStep], sentences: Mapping[str, str]) -> Words:
    """Explain the codes that occur."""
    what = sorted({each.what for each in history})
    why = sorted({each.why for each in history})
    return Words(
        what={code: sentences[f"story.{code}"] for code in what if f"story.{code}" in sentences},
        why={code: sentences[f"why.{code}"] for code in why if f"why.{code}" in sentences},
    )
