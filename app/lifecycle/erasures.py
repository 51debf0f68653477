"""A person's own request to erase, made by a fresh link or passed on by whoever helps them.

Nothing is erased here. What was asked for begins by itself once it has rested a day, where nothing
is charged any more and no hold is on; until then it can be withdrawn by resuming, or by saying that
the data is to stay. Here too a link is asked for by which somebody sees what is held about them.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from app.lifecycle.answers import YES, doubt, erasable, just_said, over
from app.lifecycle.case import (
    TEN_SECONDS,
    Act,
    AskErasure,
    AskLink,
    Case,
    Effect,
    Erasure,
    ErasureSettled,
    Kind,
    Note,
    RequestErasure,
    Round,
    Stage,
    Step,
    Verdict,
    Why,
    Word,
    with_round,
)
from app.lifecycle.dates import segment_for
from app.policy import Policy

OWN_REST = timedelta(days=1)
"""How long a person's own request to erase rests before it begins, so that it can be withdrawn."""
ENDED = "canceled"
"""What billing calls a subscription that has ended, or will with the time paid."""
BY_PERSON = "said_by_subscriber"


def link_asked(case: Case, event: AskLink, now: datetime) -> Step:
    """Queue the mail with a fresh link; it goes out at once, at any hour, and decides nothing."""
    current = case.round
    if current is None or event.round != current.number:
        return Step(case, Verdict.OLDER_ROUND)
    refused = _refused(current)
    if refused is not None:
        return Step(case, refused)
    if current.erase_at is not None:
        return Step(case)
    number = current.links + 1
    asked = replace(case, round=replace(current, links=number))
    effect = Effect(Kind.FRESH_LINK, number, now)
    return Step(asked, Verdict.APPLIED, (Note("fresh_link_asked", BY_PERSON),), (effect,))


def data_link_asked(case: Case, now: datetime) -> Step:
    """Queue the mail with the link to what is held; by any round's page, at any stage.

    Whether that round is the latest does not matter: nothing is decided by it.
    """
    current = case.round
    if current is None:
        return Step(case, Verdict.NOTHING_OPEN)
    if over(current):
        return Step(case, Verdict.ENDED)
    number = current.links + 1
    effect = Effect(Kind.DATA_LINK, number, now)
    note = Note("data_link_asked", BY_PERSON)
    return Step(with_round(case, links=number), Verdict.APPLIED, (note,), (effect,))


def erasure_asked(case: Case, event: AskErasure, now: datetime) -> Step:
    """Take the request to erase, which begins a day later; pressing again changes nothing.

    Not believed are a press within ten seconds of the mail's hand-over, once, and one within ten
    seconds of a yes: programs that check links do that.
    """
    current = case.round
    if current is None or event.round != current.number:
        return Step(case, Verdict.OLDER_ROUND)
    if current.word in YES and just_said(current, now):
        return doubt(case, current, now)
    refused = _refused(current)
    if refused is not None:
        return Step(case, refused)
    if current.erase_at is not None:
        return Step(case)
    if _hasty(current, now):
        doubted = replace(current, doubted_until=now + TEN_SECONDS)
        note = Note("doubted", "before_it_could_be_read")
        return Step(replace(case, round=doubted), Verdict.DOUBTED, (note,))
    return _asked(case, BY_PERSON, now)


def erasure_requested(case: Case, event: RequestErasure, policy: Policy, now: datetime) -> Step:
    """Take a request to erase that was made elsewhere; making it again changes nothing.

    It stands too while the person's own cancel is on its way to billing, and begins once that is
    confirmed. It is not believed within ten seconds of their yes, which stands.
    """
    current = case.round
    if current is not None and over(current):
        return Step(case, Verdict.ENDED)
    if current is not None and current.erase_at is not None:
        return Step(case)
    if current is not None and current.word in YES and just_said(current, now):
        return Step(case, Verdict.DOUBTED)
    if case.subscription.status == ENDED and (current is None or not current.open):
        return _asked(_ended(case, policy, now), f"said_by_{event.by}", now)
    if current is None or not (erasable(current) or canceling(current)):
        return Step(case, Verdict.TOO_LATE)
    return _asked(case, f"said_by_{event.by}", now)


def _asked(case: Case, why: str, now: datetime) -> Step:
    """Take the request: it is their last word, also after a yes that led to nothing."""
    changes: dict[str, object] = {"erase_at": now}
    if case.round is not None and case.round.word in YES:
        changes |= {"word": None, "word_at": None, "reason": None}
    asked, note = with_round(case, **changes), Note("erasure_asked", why)
    return Step(asked, Verdict.APPLIED, (note,), (), frozenset({Kind.FRESH_LINK}))


def canceling(current: Round) -> bool:
    """Say whether the person's own cancel of a charge is on its way to billing."""
    told = current.open and current.stage is Stage.ASKED and current.act is not Act.RESUME
    return told and current.word is Word.CANCEL


def _ended(case: Case, policy: Policy, now: datetime) -> Case:
    """Open a round in stage `canceled` for who ended without one, so that the request has a home.

    The latest round is closed, if there is one: it stays so.
    """
    last, subscription = case.round, case.subscription
    opened = Round(
        number=last.number + 1 if last else 1,
        stage=Stage.CANCELED,
        why=Why.BILLING_CANCEL,
        opened_at=now,
        version=policy.version,
        segment=segment_for(case, policy),
        used_known=subscription.last_used_on,
        paid_until=subscription.renews_at,
        decided_by="billing",
        decided_at=now,
        review_at=last.review_at if last else None,
    )
    return replace(case, round=opened)


def _refused(current: Round) -> Verdict | None:
    """Say why nothing can be erased in this round as it stands; None where it can."""
    if over(current):
        return Verdict.ENDED
    return None if erasable(current) else Verdict.TOO_LATE


def _hasty(current: Round, now: datetime) -> bool:
    """Say whether whoever presses cannot have read the mail, or presses on while that is doubted.

    On a clock that stands still nothing is too soon.
    """
    linked, until = current.linked_at, current.doubted_until
    if until is not None and now < until:
        return True
    if linked is None or (until is not None and until >= linked + TEN_SECONDS):
        return False
    return just_linked(current, now)


def just_linked(current: Round, now: datetime) -> bool:
    """Say whether a mail with a fresh link was handed over in the last ten seconds.

    On a clock that stands still it was not.
    """
    linked = current.linked_at
    return linked is not None and linked < now <= linked + TEN_SECONDS


def erasure_settled(case: Case, event: ErasureSettled) -> Step:
    """Note what became of a request: what was erased by hand is not scheduled any more."""
    current = case.round
    if current is None or current.erase_at is None or over(current):
        return Step(case)
    changes: dict[str, object] = {"erase_at": None}
    if event.outcome is Erasure.ERASED_BY_HAND:
        changes["erase_on"] = None
    after = replace(case, round=replace(current, **changes))
    return Step(after, Verdict.APPLIED, (Note("erasure_settled", event.outcome),))
