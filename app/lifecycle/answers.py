"""What a person says, and what it changes: the last answer is their word.

A cancel rests ten minutes before billing is told. Contradicting answers within ten seconds of each
other are a robot's and are believed neither; so each answer rests at least those ten seconds. An
answer by the link of a mail that was just being handed over is a robot's too, the first time.
Only the person's own yes charges again after a suspension.
"""

from datetime import date, datetime, timedelta

from msgspec.structs import replace

from app.lifecycle.case import (
    BILLING_KIND,
    EVERYTHING,
    GRACE,
    TEN_MINUTES,
    TEN_SECONDS,
    Act,
    ActState,
    Answer,
    Case,
    Effect,
    Kind,
    Note,
    Outcome,
    Round,
    Stage,
    Step,
    Verdict,
    Why,
    Word,
    close,
    with_round,
)
from app.lifecycle.dates import ASKABLE, LEFT_IN_PEACE, day_at, in_grace, segment_for
from app.policy import Policy

YES = frozenset({Word.KEEP, Word.RESUME})
OVER = frozenset({Stage.ERASING, Stage.ERASED})
STILL_ASKABLE = frozenset(
    {Outcome.WITHDRAWN, Outcome.RETURNED, Outcome.EXPIRED, Outcome.UNREACHABLE}
)
"""Outcomes nobody decided: a keep or a cancel through the same link still counts."""
LIVING = ASKABLE | {"trialing", "paused"}
"""What billing calls a subscription that can be canceled."""
ANSWERING = frozenset({Kind.KEPT, Kind.BILLING_CANCEL, Kind.BILLING_RESUME})
"""Effects that follow from an answer alone, and fall with it."""
BUT_A_SUSPENSION = EVERYTHING - {Kind.SUSPENDED}
"""What a cancel makes void: the receipt of a suspension still says what happened."""


def answered(case: Case, event: Answer, policy: Policy, now: datetime) -> Step:
    """Judge an answer to the latest round."""
    current = case.round
    if event.round is not None and (current is None or event.round != current.number):
        return Step(case, Verdict.OLDER_ROUND)
    if current is not None and over(current):
        return Step(case, Verdict.ENDED)
    if current is not None and contradicts(current, event.word, now):
        return doubt(case, current, now)
    if current is not None and event.round is not None and unread(current, now):
        return doubt(case, current, now, "before_it_could_be_read")
    return _wanting_it_kept(_believed(case, event, policy, now), event)


def _wanting_it_kept(made: Step, event: Answer) -> Step:
    """Withdraw a request to erase once the person resumes, or says that their data is to stay."""
    current = made.case.round
    if current is None or current.erase_at is None:
        return made
    if made.verdict not in (Verdict.APPLIED, Verdict.UNCHANGED):
        return made
    if event.word is not Word.KEEP_DATA and current.word not in YES:
        return made
    note = Note("erasure_withdrawn", f"said_by_{event.by}")
    kept_now = with_round(made.case, erase_at=None)
    return replace(made, case=kept_now, verdict=Verdict.APPLIED, notes=(*made.notes, note))


def over(current: Round) -> bool:
    """Say whether data is being erased, or was: nothing can be taken back any more."""
    return current.stage in OVER or current.outcome is Outcome.ERASED


def erasable(current: Round) -> bool:
    """Say whether a person can ask for their data to be erased: nothing is charged, nor to be.

    A yes may be on its way to billing behind another act.
    """
    stopped = current.stage in (Stage.SUSPENDED, Stage.CANCELED)
    coming = current.act is not None and current.word in YES
    return current.open and stopped and current.act is not Act.RESUME and not coming


def _believed(case: Case, event: Answer, policy: Policy, now: datetime) -> Step:
    match event.word:
        case Word.KEEP:
            return _keep(case, event, now)
        case Word.CANCEL:
            return _cancel(case, event, policy, now)
        case Word.RESUME:
            return _resume(case, event, now)
        case Word.UNDO:
            return _undo(case, event, now)
        case Word.KEEP_DATA:
            return _keep_data(case, event)


def tell_billing(case: Case, act: Act, at: datetime, **changes: object) -> tuple[Case, Effect]:
    """Queue an act for billing under the round's next act version."""
    version = case.round.act_version + 1 if case.round else 1
    told = with_round(
        case, act=act, act_version=version, act_state=ActState.QUEUED, act_at=at, **changes
    )
    return told, Effect(BILLING_KIND[act], version, at)


# --- robots --------------------------------------------------------------------------------


DECIDING = YES | {Word.CANCEL}
"""Words that say whether the person is charged."""


def contradicts(current: Round, word: Word | None, now: datetime) -> bool:
    """Say whether a word, or a wish for a person to look (None), is a robot's beside the last one.

    Whoever decides does not ask for a person in the same ten seconds, and whoever wants to be
    charged again does not ask in them to keep their data all the same, nor to have it erased: these
    press every button.
    """
    if word is Word.UNDO:
        return False
    if current.doubted_until is not None and now < current.doubted_until:
        return True
    wished = word in DECIDING and _just(current.review_at, now)
    if wished or (word in YES and _just(current.erase_at, now)):
        return True
    if not just_said(current, now) or current.word not in DECIDING:
        return False
    if word is Word.KEEP_DATA:
        return current.word in YES and current.act is Act.RESUME
    return word is None or (current.word in YES) != (word in YES)


def just_said(current: Round, now: datetime) -> bool:
    """Say whether the last word came within ten seconds."""
    return _just(current.word_at, now)


def _just(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment <= TEN_SECONDS


def unread(current: Round, now: datetime) -> bool:
    """Say whether whoever presses a button by a link cannot have read the mail that brought it.

    True while the ask is being handed over and for ten seconds after, and once only: what comes
    when the doubt is over counts, also where we never learned of the hand-over. On a clock that
    stands still nothing is too soon.
    """
    untouched = current.doubted_until is None and current.word is None and current.act is None
    if not untouched or not current.open or current.stage is not Stage.ASKED:
        return False
    if current.asked_at is None:
        return current.stated_by is not None
    return current.asked_at < now <= current.asked_at + TEN_SECONDS


def doubt(case: Case, current: Round, now: datetime, why: str = "contradicting_answers") -> Step:
    """Believe neither: the round stands again as it stood before both answers."""
    wished = None if _just(current.review_at, now) else current.review_at
    erased = None if _just(current.erase_at, now) else current.erase_at
    until = now + TEN_SECONDS
    doubted = replace(current, doubted_until=until, review_at=wished, erase_at=erased)
    note = Note("doubted", why)
    if current.word is None or _settled_before(current, now):
        return Step(replace(case, round=doubted), Verdict.DOUBTED, (note,))
    if current.in_flight:
        wordless, withdrawn = _without_word(doubted, note.what)
        return Step(replace(case, round=wordless), Verdict.DOUBTED, (note, *withdrawn))
    return replace(taken_back(case, doubted, now, note), verdict=Verdict.DOUBTED)


def _settled_before(current: Round, now: datetime) -> bool:
    """Say whether the round closed before either answer, so that the first only repeated a word."""
    if current.open or current.closed_at is None:
        return False
    return current.outcome is not Outcome.KEPT or now - current.closed_at > TEN_SECONDS


def taken_back(case: Case, current: Round, now: datetime, note: Note) -> Step:
    """Let the round stand as before the last word; where no promise runs any more it closes."""
    wordless, withdrawn = _without_word(current, note.what)
    back = replace(wordless, act=None, act_state=None, act_at=None)
    notes = (note, *withdrawn)
    if current.stage is Stage.ASKED:
        back = _unanswered(case, back, now)
    elif current.stage is Stage.SUSPENDED:
        back = replace(back, decided_by="silence", erase_on=_later(case, current, now))
    changed = replace(case, round=back)
    if back.outcome is None:
        return Step(changed, Verdict.APPLIED, notes, (), ANSWERING)
    notes = (*notes, Note(back.outcome, note.what))
    return Step(changed, Verdict.APPLIED, notes, (), EVERYTHING)


def _without_word(current: Round, why: str) -> tuple[Round, tuple[Note, ...]]:
    """Give a round without its word, and without the request to erase that stood behind a cancel.

    Where something is charged nothing is erased: who no longer cancels is charged.
    """
    behind = current.stage is Stage.ASKED and current.word is Word.CANCEL
    withdrawn = behind and current.erase_at is not None
    wordless = replace(current, word=None, word_at=None, reason=None)
    if not withdrawn:
        return wordless, ()
    return replace(wordless, erase_at=None), (Note("erasure_withdrawn", why),)


def _later(case: Case, current: Round, now: datetime) -> date | None:
    """Give the day of erasure of somebody who was just there: not sooner than three days on."""
    if current.erase_on is None:
        return None
    return max(current.erase_on, day_at(now, case.subscription.zone) + timedelta(days=GRACE))


def _unanswered(case: Case, back: Round, now: datetime) -> Round:
    """Give an asked round as before any answer.

    A promised deadline is not sooner than three days from now. Without one (`answer_by`) the round
    had been closed, or never asked, when the word came: it closes again, and whoever was left in
    peace since `closed_at` still is.
    """
    if back.answer_by is not None:
        by = max(back.answer_by, in_grace(case, now))
        return replace(
            back, outcome=None, closed_at=None, answer_by=by, decided_by=None, decided_at=None
        )
    if back.open and back.closed_at is not None:
        return replace(back, outcome=Outcome.KEPT)
    return replace(back, outcome=Outcome.WITHDRAWN, closed_at=now)


# --- keep ----------------------------------------------------------------------------------


def _keep(case: Case, event: Answer, now: datetime) -> Step:
    current = case.round
    if current is None:
        return Step(case, Verdict.NOTHING_OPEN)
    if current.outcome in STILL_ASKABLE:
        return kept(with_round(case, answer_by=None), event, now)
    if not current.open:
        return _settled(case, event, current.outcome is Outcome.KEPT, now)
    if current.stage is not Stage.ASKED:
        return Step(case, Verdict.TOO_LATE)
    if current.in_flight:
        return _remember(case, event, now)
    return kept(case, event, now)


def kept(case: Case, event: Answer, now: datetime) -> Step:
    """Close the round because the person keeps the subscription, with a receipt."""
    version = case.round.act_version + 1 if case.round else 1
    why = event.reason or f"said_by_{event.by}"
    said = _said(event, now) | {"decided_at": now, "act_version": version}
    step = close(case, Outcome.KEPT, now, why, **said)
    return replace(step, effects=(Effect(Kind.KEPT, version, now + TEN_SECONDS),))


def _settled(case: Case, event: Answer, same: bool, now: datetime) -> Step:  # noqa: FBT001 - yes or no
    return _again(case, event, now) if same else Step(case, Verdict.ENDED)


def _again(case: Case, event: Answer, now: datetime) -> Step:
    """Note when a word was repeated: a robot's other word may follow."""
    current = case.round
    if current is None or (current.word is event.word and current.word_at == now):
        return Step(case)
    reason = event.reason or current.reason
    return Step(with_round(case, word=event.word, word_at=now, reason=reason), Verdict.APPLIED)


# --- cancel --------------------------------------------------------------------------------


def _cancel(case: Case, event: Answer, policy: Policy, now: datetime) -> Step:
    current = case.round
    if current is None or not current.open:
        return _cancel_anew(case, event, policy, now)
    if current.word is Word.CANCEL or (current.stage is Stage.CANCELED and current.act is None):
        return _again(case, event, now)
    if current.in_flight:
        return _remember(case, event, now)
    if current.stage is Stage.CANCELED:
        return _stay_canceled(case, event, now)
    return _rest(case, event, now)


def _stay_canceled(case: Case, event: Answer, now: datetime) -> Step:
    """Drop the resume that billing has not been told yet."""
    changed = with_round(case, act=None, act_state=None, act_at=None, **_said(event, now))
    note = Note("cancel_recorded", f"said_by_{event.by}")
    return Step(changed, Verdict.APPLIED, (note,), (), ANSWERING)


def _cancel_anew(case: Case, event: Answer, policy: Policy, now: datetime) -> Step:
    """Cancel where no round is open: the link's round opens again, the app's cancel a new one.

    Neither promises anything (`answer_by`), and each remembers since when the person was left in
    peace, so that an undo cannot lead to a suspension or to an early ask.
    """
    last = case.round
    if case.subscription.status not in LIVING:
        return Step(case, Verdict.ENDED)
    if last is not None and event.round is not None:
        peace = last.closed_at if last.outcome in LEFT_IN_PEACE else None
        again = replace(last, outcome=None, closed_at=peace, stage=Stage.ASKED, answer_by=None)
        return _rest(replace(case, round=again), event, now)
    opened = Round(
        number=last.number + 1 if last else 1,
        stage=Stage.ASKED,
        why=Why.OWN_CANCEL,
        opened_at=now,
        version=policy.version,
        segment=segment_for(case, policy),
        closed_at=last.closed_at if last and last.outcome in LEFT_IN_PEACE else None,
        review_at=last.review_at if last else None,
        erase_at=last.erase_at if last else None,
        used_known=case.subscription.last_used_on,
    )
    return _rest(replace(case, round=opened), event, now)


def _rest(case: Case, event: Answer, now: datetime) -> Step:
    told, effect = tell_billing(case, Act.CANCEL, now + TEN_MINUTES, **_said(event, now))
    note = Note("cancel_recorded", f"said_by_{event.by}")
    return Step(told, Verdict.APPLIED, (note,), (effect,), BUT_A_SUSPENSION)


# --- resume --------------------------------------------------------------------------------


def _resume(case: Case, event: Answer, now: datetime) -> Step:
    current = case.round
    if current is None:
        return Step(case, Verdict.NOTHING_OPEN)
    if not current.open:
        return _settled(case, event, current.outcome is Outcome.RESUMED, now)
    if current.stage is Stage.ASKED:
        return _keep(case, event, now)
    return _resume_stopped(case, current, event, now)


def _resume_stopped(case: Case, current: Round, event: Answer, now: datetime) -> Step:
    if current.word in YES and current.act is Act.RESUME:
        return _again(case, event, now)
    if current.stage is Stage.CANCELED and current.paid_until and current.paid_until <= now:
        return Step(case, Verdict.ENDED)
    if current.in_flight:
        return _remember(case, event, now)
    told, effect = tell_billing(case, Act.RESUME, now + TEN_SECONDS, **_said(event, now))
    note = Note("resume_recorded", f"said_by_{event.by}")
    return Step(told, Verdict.APPLIED, (note,), (effect,), ANSWERING)


# --- undo ----------------------------------------------------------------------------------


def undo_exists(case: Case, now: datetime) -> bool:
    """Say whether the last answer can still be taken back with a click."""
    current = case.round
    if current is None:
        return False
    if not current.open:
        return _fresh_keep(current, now)
    if current.stage is Stage.CANCELED:
        return current.act is None and (current.paid_until is None or now < current.paid_until)
    if current.in_flight:
        return current.stage is Stage.ASKED and current.word is Word.CANCEL
    return current.word is Word.CANCEL or current.act is Act.RESUME


def _fresh_keep(current: Round, now: datetime) -> bool:
    """Say whether a keep ended a promise that can run on; a keep after the end of one cannot."""
    kept_now = current.outcome is Outcome.KEPT and current.word in YES
    recent = current.closed_at is not None and now - current.closed_at <= TEN_MINUTES
    return kept_now and recent and current.answer_by is not None


def _undo(case: Case, event: Answer, now: datetime) -> Step:
    current = case.round
    if current is None:
        return Step(case, Verdict.NOTHING_OPEN)
    if not undo_exists(case, now):
        return Step(case, Verdict.TOO_LATE)
    if current.open and current.stage is Stage.CANCELED:
        return _resume(case, replace(event, word=Word.RESUME), now)
    if current.in_flight and current.act is Act.CANCEL:
        return _remember(case, replace(event, word=Word.KEEP), now)
    note = Note("answer_undone", f"said_by_{event.by}")
    if current.in_flight:
        wordless, withdrawn = _without_word(current, note.what)
        return Step(replace(case, round=wordless), Verdict.APPLIED, (note, *withdrawn))
    # Robots press every button: what follows an undo this quick is not believed either.
    hasty = now + TEN_SECONDS if just_said(current, now) else current.doubted_until
    return taken_back(case, replace(current, doubted_until=hasty), now, note)


# --- data ----------------------------------------------------------------------------------


def _keep_data(case: Case, event: Answer) -> Step:
    current = case.round
    if current is None or not current.open or current.erase_on is None:
        return Step(case)
    note = Note("erasure_stopped", f"said_by_{event.by}")
    return Step(with_round(case, erase_on=None), Verdict.APPLIED, (note,))


# --- what is remembered --------------------------------------------------------------------


def _remember(case: Case, event: Answer, now: datetime) -> Step:
    """Record a word while billing is being told something else; its answer is judged by it."""
    if case.round is not None and case.round.word is event.word:
        return _again(case, event, now)
    note = Note(f"{event.word}_recorded", f"said_by_{event.by}")
    return Step(with_round(case, **_said(event, now)), Verdict.APPLIED, (note,))


def _said(event: Answer, now: datetime) -> dict[str, object]:
    return {"word": event.word, "word_at": now, "reason": event.reason, "decided_by": event.by}
