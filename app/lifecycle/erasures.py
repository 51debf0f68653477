"""A person's own request to erase: a fresh link is mailed, and only that link asks for it.

Nothing is erased here. What is confirmed by the link is put before a person, who carries it out;
until then it can be withdrawn by resuming, or by saying that the data is to stay.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from app.lifecycle.answers import YES, doubt, erasable, just_said, over
from app.lifecycle.case import (
    TEN_SECONDS,
    AskErasure,
    AskLink,
    Case,
    Effect,
    Erasure,
    ErasureSettled,
    Kind,
    Note,
    Round,
    Step,
    Verdict,
)

OWN_REST = timedelta(days=1)
"""So long a person's own request to be erased rests, in which they can take it back."""
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


def erasure_asked(case: Case, event: AskErasure, now: datetime) -> Step:
    """Take the request to erase, which is put before a person; pressing again changes nothing.

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
    asked = replace(current, erase_at=now)
    note = Note("erasure_asked", BY_PERSON)
    return Step(
        replace(case, round=asked), Verdict.APPLIED, (note,), (), frozenset({Kind.FRESH_LINK})
    )


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
    return linked < now <= linked + TEN_SECONDS


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
