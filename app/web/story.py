"""What a page tells about a round, as names of sentences: a pure function of what was looked at.

Recorded and done are told apart: a step is done once billing has confirmed it, and not before.
What nobody may do any more is not offered.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from markupsafe import Markup

from app.engine.look import Look
from app.lifecycle.amends import UNDO as UNDONE
from app.lifecycle.amends import restoring
from app.lifecycle.answers import STILL_ASKABLE, YES, erasable
from app.lifecycle.case import (
    TEN_MINUTES,
    TEN_SECONDS,
    Act,
    ActState,
    Erasing,
    Erasure,
    Outcome,
    Stage,
    Word,
)
from app.lifecycle.erasing import CANNOT_BE_MAILED
from app.lifecycle.erasures import OWN_REST, canceling
from app.web.words import Speaker
from app.world.mail import say
from app.world.mail.draft import Tongue
from app.world.mail.facts import named, often


@dataclass(frozen=True, slots=True)
class Button:
    """One click: the answer it sends, and the names of its words."""

    answer: str
    label: str
    hint: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StepTold:
    """One step of carrying out an answer: `recorded`, `done` (billing confirmed), or `next`."""

    how_far: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (or none), what stands below it, and the small buttons that belong to it."""

    heading: str
    texts: tuple[str, ...]
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page, in names of sentences.

    `choice` are the answers of equal weight; `wait` asks to let ten seconds pass before them;
    `facts` are pairs of a name and a value; `reminders` offers to stop them. `looked_at` says what
    came of the wish that a person looks, and `review` offers it; `erasure` says what came of the
    person's own request to erase. `data` leads to what is held.
    """

    title: str
    lead: tuple[str, ...]
    steps: tuple[StepTold, ...] = ()
    choice: tuple[Button, ...] = ()
    wait: bool = False
    aside: Block | None = None
    facts: tuple[tuple[str, str], ...] = ()
    blocks: tuple[Block, ...] = ()
    reminders: bool = False
    looked_at: Block | None = None
    review: bool = False
    erasure: Block | None = None
    data: bool = True


UNDO = Button("undo", "button.undo")
KEEP = Button("keep", "button.keep", "button.keep_hint")
CANCEL = Button("cancel", "button.cancel", "button.cancel_hint")
IN_USE = Button("keep", "button.in_use", reason="in_use")
KEEP_DATA = Button("keep_data", "button.keep_data")
ERASE = Button("erase", "button.erase")
WITHDRAW = Button("keep_data", "button.erase_withdraw")
CANCEL_ANEW = Button("cancel", "button.cancel_instead")
CANCEL_AFTER_ALL = Button("cancel", "button.cancel_after_all")
STAY_CANCELED = Button("cancel", "button.stay_canceled")
FOR_GOOD = Button("cancel", "button.cancel_for_good", "button.cancel_for_good_hint")
OVER = frozenset({Stage.ERASING, Stage.ERASED})
DATA_STAYS = Block("heading.data", ("text.data_stays",))


def tell(look: Look) -> Page:
    """Say what the page of a round shows."""
    if not look.latest:
        return _older(look)
    page = _told(look)
    if look.round.stage in OVER or look.round.outcome is Outcome.ERASED:
        return page
    page = replace(page, looked_at=_looked_at(look), review=look.round.review_at is None)
    return _with_erasure(look, page)


def _told(look: Look) -> Page:
    current = look.round
    if not current.open:
        return _closed(look)
    match current.stage:
        case Stage.ASKED:
            return _asked(look)
        case Stage.SUSPENDED:
            return _suspended(look)
        case Stage.CANCELED:
            return _canceled(look)
        case Stage.ERASING:
            return _under_way(look)
        case _:
            return Page(f"title.{current.stage}", (f"lead.{current.stage}",))


def _older(look: Look) -> Page:
    came_to = look.round.outcome or Outcome.WITHDRAWN
    return Page("title.older", (f"came_to.{came_to}", "lead.older", "lead.older_next"))


# --- erased at their own request ---------------------------------------------------------------


def erases(look: Look) -> bool:
    """Say whether "erase now" is offered: nothing is charged, and it was neither asked nor done."""
    current = look.round
    wanted = current.erase_at is not None or _carried_out(look)
    return look.latest and erasable(current) and not wanted


def _carried_out(look: Look) -> bool:
    return look.request is not None and look.request.outcome == Erasure.ERASED_BY_HAND


def _with_erasure(look: Look, page: Page) -> Page:
    """Offer to erase, or say what came of it; then nothing else is said of when data goes."""
    if erases(look):
        offer = Block("heading.erase", ("text.erase",), (ERASE,))
        page = replace(page, blocks=(*page.blocks, offer))
    if look.request is None:
        return page
    told = replace(page, erasure=_requested(look))
    if look.round.erase_at is None and not _carried_out(look):
        return told
    return replace(told, blocks=tuple(b for b in page.blocks if b.heading != "heading.data"))


def _requested(look: Look) -> Block:
    request = look.request
    if request is not None and request.outcome is not None:
        return Block("heading.erase_found", (f"text.found_{request.outcome}",))
    return Block("heading.erase_open", _asked_for(look), (WITHDRAW,))


def _asked_for(look: Look) -> tuple[str, ...]:
    """Say when what was asked for begins, or what it waits for."""
    if look.case.held:
        return ("text.erase_open_held",)
    if canceling(look.round):
        return ("text.erase_open_canceling",)
    if not look.round.open and look.charged:
        return ("text.erase_charged_open",)
    return ("text.erase_open", "text.erase_open_back")


def erasing(look: Look) -> Page:
    """Say what the page behind a fresh link shows: what goes, what stays, and one button."""
    if not erases(look):
        goes_on = ("text.erase_charged",) if look.charged and not look.round.open else ()
        return Page("title.erase", ("lead.erase_not_now", *goes_on))
    stays = "text.erase_keeps_some" if look.keeps else "text.erase_keeps_none"
    texts = ("text.erase_goes", stays, f"text.erase_{_stands(look)}")
    confirm = Button("erase", "button.erase_confirm")
    page = Page(
        "title.erase",
        ("lead.erase",),
        blocks=(Block("heading.erase_what", texts), Block("", (), (confirm,))),
        wait=_doubted(look),
    )
    if not page.wait:
        return page
    early = "lead.erase_doubted" if _unread(look, look.round.linked_at) else "lead.doubted"
    return replace(page, lead=(early, "lead.erase"))


def _stands(look: Look) -> str:
    if look.round.stage is Stage.SUSPENDED:
        return "suspended"
    paid = look.round.paid_until
    return "ended" if paid is not None and paid <= look.now else "canceled"


def _under_way(look: Look) -> Page:
    """Say that data is being erased, and how far that has come: there is nothing to press."""
    cause = "request" if look.erasing_cause == "request" else "schedule"
    step = look.round.erasing or Erasing.WIPING
    more = ("lead.erasing_mail",) if _told_at_the_end(look) else ()
    return Page(
        "title.erasing",
        (f"lead.erasing_{cause}", "lead.erasing", *more),
        steps=(StepTold("next", f"step.erasing_{step}"),),
        data=False,
    )


def _told_at_the_end(look: Look) -> bool:
    """Say whether one more notice is to go out: after that their address goes too."""
    mailed = look.case.reach not in CANNOT_BE_MAILED
    return mailed and look.round.erasing is not Erasing.WIPING


# --- before a person -------------------------------------------------------------------------


def _looked_at(look: Look) -> Block | None:
    """Say that a person is to look, and what happens meanwhile; or what the last one found."""
    if look.round.review_at is not None:
        return Block("heading.looked_at", ("text.review_open", f"text.review_{_meanwhile(look)}"))
    if look.found is None:
        return None
    return Block("heading.found", (f"text.found_{look.found.outcome}",))


def _meanwhile(look: Look) -> str:
    current = look.round
    if not current.open:
        return "closed" if look.charged else "still"
    if current.word is not None and (current.act is not None or current.stage is Stage.ASKED):
        return "chosen"
    if current.act is not None:
        return "told"
    if current.stage is Stage.ASKED:
        return "asked"
    return "stopped" if current.erase_at is None else "still"


# --- asked ---------------------------------------------------------------------------------


def _asked(look: Look) -> Page:
    current = look.round
    if current.word is Word.CANCEL:
        return _cancel_recorded(look)
    if current.word in YES and current.act is not None:
        return _keep_recorded(look)
    page = Page(
        title="title.asked",
        lead=(_asked_lead(look),),
        choice=(KEEP, CANCEL),
        aside=Block("", ("text.in_use",), (IN_USE,)),
        facts=(*_price_facts(look), *_answer_facts(look)),
        blocks=(*_silence(look), _data_if_asked(look)),
        reminders=_reminded(look),
    )
    if _doubted(look):
        return _doubting(look, page)
    if current.act is not None:
        return _told_meanwhile(look, page)
    return page


def _reminded(look: Look) -> bool:
    current = look.round
    calm = current.quiet or current.review_at is not None
    return not calm and not look.late and current.act is None


def _told_meanwhile(look: Look, page: Page) -> Page:
    """Say that billing is being told something while the person has said nothing, or in doubt."""
    if not look.late:
        return replace(page, title="title.doubted", lead=("lead.told_meanwhile",))
    return replace(page, title="title.silence", lead=(_silence_lead(look),))


def _silence_lead(look: Look) -> str:
    queued = look.round.act_state is ActState.QUEUED
    return "lead.silence" if queued else f"lead.silence_{look.round.act_state}"


def _asked_lead(look: Look) -> str:
    if look.late:
        return "lead.asked_late"
    if look.terms.on_no_answer == "nothing":
        return "lead.asked_nothing"
    undated = look.answer_day is None or look.round.review_at is not None
    return "lead.asked_undated" if undated else f"lead.asked_{look.terms.on_no_answer}"


def _silence(look: Look) -> tuple[Block, ...]:
    what = look.terms.on_no_answer
    if what == "nothing":
        return (Block("heading.silence", ("text.silence_nothing",)),)
    if look.answer_day is None or look.late or look.round.act is not None:
        return ()
    if look.round.review_at is not None:  # what is said of the person to look says it
        return ()
    texts = [f"text.silence_{what}", *_still_charged(look)]
    quiet = ["text.reminders_off"] if look.round.quiet else []
    return (Block("heading.silence", (*texts, "text.silence_used", *quiet)),)


def _still_charged(look: Look) -> tuple[str, ...]:
    """Name the charges that are made, or may be made, before silence stops any."""
    told = {"charged": often(look.charged_on), "behind": often(look.charged_behind)}
    return tuple(f"text.silence_{what}_{many}" for what, many in told.items() if many)


def _data_if_asked(look: Look) -> Block:
    if look.erase_if_canceled is None:
        return DATA_STAYS
    both = look.erase_if_silent is not None and look.round.review_at is None
    return Block("heading.data", ("text.data_both" if both else "text.data_canceled",))


def _data_if_canceled(look: Look) -> Block:
    if look.erase_if_canceled is None:
        return DATA_STAYS
    return Block("heading.data", ("text.data_canceling",))


def _doubted(look: Look) -> bool:
    until = look.round.doubted_until
    return until is not None and look.now < until


# --- answers that are recorded and not done yet ------------------------------------------------


def _keep_recorded(look: Look) -> Page:
    parked = look.round.act_state is ActState.PARKED
    steps = (
        StepTold("recorded", "step.chose_keep"),
        StepTold("next", "step.parked_keep" if parked else "step.behind_keep"),
        StepTold("next", "step.then_keep"),
    )
    return Page(
        title="title.keep_recorded",
        lead=("lead.keep_recorded",),
        steps=steps,
        aside=_undo_block(look, UNDO, CANCEL_AFTER_ALL),
        facts=_price_facts(look),
        blocks=(DATA_STAYS,),
    )


def _cancel_recorded(look: Look) -> Page:
    steps = (
        StepTold("recorded", "step.chose_cancel"),
        StepTold("next", f"step.{_how_far(look, Act.CANCEL)}_cancel"),
        StepTold("next", "step.then_cancel"),
    )
    stopped = look.round.stage is not Stage.ASKED
    return Page(
        title="title.cancel_recorded",
        lead=("lead.cancel_recorded",),
        steps=steps,
        aside=_undo_block(look, replace(UNDO, label="button.undo_cancel"), None),
        facts=_stopped_facts(look) if stopped else _canceling_facts(look),
        blocks=(_data_scheduled(look) if stopped else _data_if_canceled(look),),
    )


def _resume_recorded(look: Look) -> Page:
    said = "keep" if look.round.word is Word.KEEP else "resume"
    steps = (
        StepTold("recorded", f"step.chose_{said}"),
        StepTold("next", f"step.{_how_far(look, Act.RESUME)}_resume"),
        StepTold("next", "step.then_resume"),
    )
    canceled = look.round.stage is Stage.CANCELED
    after_all = STAY_CANCELED if canceled else CANCEL_AFTER_ALL
    page = Page(
        title=f"title.{said}_recorded",
        lead=("lead.resume_recorded",),
        steps=steps,
        aside=_undo_block(look, replace(UNDO, label="button.undo_resume"), after_all),
        facts=_stopped_facts(look),
        blocks=(_data_scheduled(look),),
    )
    if look.round.word is not None:
        return page
    if restoring(look.round):
        told = replace(page, title="title.restoring", lead=("lead.restoring",), steps=steps[1:])
        return replace(told, aside=_undo_block(look, UNDO, after_all))
    # In doubt while billing was being told: there is no word any more, only what is going on.
    choice = (Button("resume", "button.resume"), after_all)
    page = replace(page, steps=steps[1:], choice=choice, aside=None)
    told = replace(page, title="title.doubted", lead=("lead.told_meanwhile",))
    return _doubting(look, told)


def _how_far(look: Look, act: Act) -> str:
    """Say how far billing has been told of what a person wants."""
    current = look.round
    if current.act is not act:
        return "behind"
    if current.act_state is ActState.QUEUED:
        waits = current.act_at is not None and look.now < current.act_at
        return "rest" if act is Act.CANCEL and waits else "soon"
    return "claimed" if current.act_state is ActState.CLAIMED else "parked"


def _undo_block(look: Look, undo: Button, otherwise: Button | None) -> Block | None:
    if look.undo:
        return Block("heading.undo", (), (undo,))
    return Block("heading.undo", (), (otherwise,)) if otherwise else None


# --- suspended and canceled ----------------------------------------------------------------


def _suspended(look: Look) -> Page:
    current = look.round
    if current.word is Word.CANCEL:
        return _cancel_recorded(look)
    if current.act is Act.RESUME:
        return _resume_recorded(look)
    by = "suspended_silence" if current.decided_by == "silence" else "suspended"
    by = "mistake" if _mistaken(look) else by
    dated = "button.resume_hint" if look.next_charge else "button.resume_hint_undated"
    page = Page(
        title="title.suspended",
        lead=(f"lead.{by}",),
        steps=(StepTold("done", "step.confirmed_suspend"),),
        choice=(Button("resume", "button.resume", dated), FOR_GOOD),
        facts=_stopped_facts(look),
        blocks=(_data_scheduled(look), Block("heading.next", ("text.suspended_next",))),
    )
    return _doubting(look, page)


def _canceled(look: Look) -> Page:
    current = look.round
    if current.act is Act.RESUME:
        canceled_again = current.word is Word.CANCEL
        return _cancel_recorded(look) if canceled_again else _resume_recorded(look)
    if current.paid_until is not None and current.paid_until <= look.now:
        texts = ("text.ended_next",)
        page = Page("title.ended", ("lead.ended",), blocks=(Block("heading.undo", texts),))
    else:
        page = _canceled_and_usable(look)
    by = {"silence": "_silence", "billing": "_billing"}.get(current.decided_by or "", "")
    lead = page.lead or ("lead.mistake" if _mistaken(look) else f"lead.canceled{by}",)
    confirmed = "canceled_in_billing" if by == "_billing" else "confirmed_cancel"
    return replace(
        page,
        lead=lead,
        steps=(StepTold("done", f"step.{confirmed}"),),
        facts=_stopped_facts(look),
        blocks=(_data_scheduled(look), *page.blocks),
    )


def _mistaken(look: Look) -> bool:
    """Say whether silence stopped it, and we have said sorry for that."""
    return look.round.amended_at is not None and look.round.decided_by == "silence"


def _canceled_and_usable(look: Look) -> Page:
    dated = look.round.paid_until is not None
    until = ("text.resume_until",) if dated else ()
    usable = "text.canceled_next" if dated else "text.canceled_next_undated"
    resume = Button("resume", "button.resume")
    page = Page(
        title="title.canceled",
        lead=(),
        aside=Block("heading.undo", until, (resume,)),
        blocks=(Block("heading.next", (usable,)),),
    )
    return _doubting(look, page)


def _doubting(look: Look, page: Page) -> Page:
    if not _doubted(look):
        return page
    return replace(page, title="title.doubted", lead=(_doubted_lead(look),), wait=True)


def _doubted_lead(look: Look) -> str:
    """Say why the last answers do not count: they contradict, or none can have read the mail."""
    never = look.round.asked_at is None and look.round.linked_at is None
    sent = (look.round.asked_at, look.round.linked_at)
    early = never or any(_unread(look, each) for each in sent)
    return "lead.doubted_early" if early else "lead.doubted"


def _unread(look: Look, sent: datetime | None) -> bool:
    """Say whether what is doubted came within ten seconds of a mail."""
    until = look.round.doubted_until
    if sent is None or until is None:
        return False
    return sent < until - TEN_SECONDS <= sent + TEN_SECONDS


# --- closed --------------------------------------------------------------------------------


def _closed(look: Look) -> Page:
    outcome = look.round.outcome or Outcome.WITHDRAWN
    page = Page(
        title=f"title.{outcome}",
        lead=(_closed_lead(look, outcome),),
        steps=_closed_steps(look, outcome),
        facts=_price_facts(look) if look.charged else _plain_facts(look),
        blocks=(DATA_STAYS,),
        wait=_doubted(look),
    )
    if page.wait:
        page = replace(page, lead=(*page.lead, "lead.doubted"))
    if look.undo:
        undo = replace(UNDO, label="button.undo_keep")
        return replace(page, aside=Block("heading.undo", ("text.undo_until",), (undo,)))
    if not look.cancelable or outcome is Outcome.ERASED:
        return page
    if look.charged and outcome in STILL_ASKABLE and outcome is not Outcome.RETURNED:
        return replace(page, choice=(KEEP, CANCEL))
    return replace(page, aside=Block("heading.undo", ("text.cancel_any_time",), (CANCEL_ANEW,)))


def _closed_lead(look: Look, outcome: Outcome) -> str:
    if not look.charged and outcome in STILL_ASKABLE | {Outcome.KEPT, Outcome.RESUMED}:
        return "lead.not_living"
    if outcome is Outcome.KEPT and look.round.reason == "in_use":
        return "lead.kept_in_use"
    if outcome is Outcome.RESUMED and look.round.decided_by == UNDONE:
        return "lead.restored"
    if outcome is Outcome.EXPIRED and look.answer_day is None:
        return "lead.expired_undated"
    return f"lead.{outcome}"


def _closed_steps(look: Look, outcome: Outcome) -> tuple[StepTold, ...]:
    if outcome is Outcome.KEPT and look.round.word_at is not None:
        return (StepTold("recorded", "step.kept"),)
    if outcome is Outcome.RESUMED and look.round.decided_by != "billing":
        said = (StepTold("recorded", "step.chose_resume"),) if look.round.word_at else ()
        return (*said, StepTold("done", "step.confirmed_resume"))
    if outcome is Outcome.RETURNED:
        return (StepTold("done", "step.returned"),)
    return ()


# --- facts ---------------------------------------------------------------------------------


def _plain_facts(look: Look) -> tuple[tuple[str, str], ...]:
    one = look.case.subscription
    used = one.last_used_on is not None
    return (
        ("fact.subscription", "value.subscription" if one.plan else "value.subscription_plain"),
        ("fact.price", f"value.price_{one.interval}"),
        ("fact.last_used", "value.last_used" if used else "value.never_used"),
    )


def _price_facts(look: Look) -> tuple[tuple[str, str], ...]:
    subscription, price, used = _plain_facts(look)
    charge = "value.next_charge" if look.next_charge else "value.no_charge_date"
    return subscription, price, ("fact.next_charge", charge), used


def _answer_facts(look: Look) -> tuple[tuple[str, str], ...]:
    dated = look.answer_day is not None and look.terms.on_no_answer != "nothing"
    dated = dated and look.round.review_at is None
    return (("fact.answer_by", "value.answer_by"),) if dated and not look.late else ()


def _canceling_facts(look: Look) -> tuple[tuple[str, str], ...]:
    subscription, price, used = _plain_facts(look)
    charge = "value.charge_unless" if look.next_charge else "value.no_charge_date"
    return subscription, price, ("fact.next_charge", charge), used


def _stopped_facts(look: Look) -> tuple[tuple[str, str], ...]:
    subscription, price, used = _plain_facts(look)
    until = look.round.paid_until
    usable = "value.usable_undated"
    if until is not None:
        usable = "value.usable" if look.now < until else "value.usable_over"
    return subscription, price, ("fact.charge", _charge(look)), ("fact.usable", usable), used


def _charge(look: Look) -> str:
    if look.round.act is not Act.RESUME:
        return "value.no_charge"
    return "value.charge_again" if look.next_charge else "value.charge_again_undated"


def _data_scheduled(look: Look) -> Block:
    if look.round.erase_on is None:
        return DATA_STAYS
    return Block("heading.data", (f"text.{_announced(look)}", "text.data_keep"), (KEEP_DATA,))


def _announced(look: Look) -> str:
    """Say what was announced so far of the day of erasure; a hold on somebody is not told."""
    current = look.round
    if not current.warnings or current.erase_on is None:
        return "data_scheduled"
    if not look.warned_last:
        return "data_warned_more"
    stands = current.act is None and not look.case.held and not current.before_a_person
    return "data_due" if stands and current.erase_on <= _day(look, look.now) else "data_warned"


# --- facts in words ------------------------------------------------------------------------


def speaker(look: Look, tongue: Tongue) -> Speaker:
    """Give who says the sentences of a page: the language, and every fact that is known."""
    subscription, current = look.case.subscription, look.round
    moments = {
        "word_at": current.word_at,
        "act_at": current.act_at,
        "decided_at": current.decided_at,
        "closed_at": current.closed_at,
        "review_at": current.review_at,
        "erase_at": current.erase_at,
        "erase_begins": current.erase_at and current.erase_at + OWN_REST,
        "made_at": look.now,
        "erasing_since": look.erasing_since,
        "erase_found_at": look.request and look.request.done_at,
        "found_at": look.found and look.found.at,
        "undo_until": current.closed_at and current.closed_at + TEN_MINUTES,
    }
    days = {
        "started_on": subscription.started_on,
        "last_used": subscription.last_used_on,
        "next_charge": look.next_charge and _day(look, look.next_charge),
        "paid_until": current.paid_until and _day(look, current.paid_until),
        "erase_on": current.erase_on,
        "warned_on": current.warned_on,
        "erase_due": look.request and look.request.due_on,
        "erase_if_silent": look.erase_if_silent,
        "erase_if_canceled": look.erase_if_canceled,
    }
    facts = {name: _moment(look, at, tongue) for name, at in moments.items() if at}
    facts |= {name: say.day(each, tongue.locale) for name, each in days.items() if each}
    if look.answer_day:
        facts["answer_day"] = say.weekday(look.answer_day, tongue.locale)
    several = {
        "charged_on": named(look.charged_on),
        "charged_last": look.charged_on[-1:],
        "charged_behind": named(look.charged_behind),
    }
    facts |= {name: say.days(each, tongue.locale) for name, each in several.items() if each}
    facts["product"] = _name(look.seller.name)
    facts["plan"] = _name(subscription.plan)
    facts["amount"] = say.money(subscription.amount, subscription.currency, tongue.locale)
    facts["price"] = Speaker(tongue, facts)(f"value.price_{subscription.interval}")
    return Speaker(tongue, facts)


def _name(text: str) -> Markup:
    """Give a name somebody else chose, kept from turning the direction of what stands around it."""
    return Markup("<bdi>{}</bdi>").format(text)


def _day(look: Look, moment: datetime) -> date:
    return moment.astimezone(look.case.subscription.zone).date()


def _moment(look: Look, moment: datetime, tongue: Tongue) -> str:
    """Say a moment to the minute, never a later one: a promise holds until then at least."""
    local: Any = moment.astimezone(look.case.subscription.zone)
    # Not the cached one: to its cache, one moment in two zones is the same.
    return say.moment(
        local - timedelta(seconds=local.second, microseconds=local.microsecond), tongue.locale
    )
