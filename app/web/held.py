"""What an export says, for its page: each value as it is written in the language of who reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from markupsafe import Markup

from app.engine.look import Look
from app.engine.rights import ACTOR
from app.export import Held
from app.export.shapes import HeldContact, HeldHold, HeldMessage, HeldStep
from app.lifecycle.case import Concern
from app.policy import Period
from app.web.rules import duration
from app.web.words import Speaker, sentences
from app.world.mail import say as written

NEWEST = 100
"""So many lines of the history stand on the page; the file has all."""
RESTRICTION = "restriction"
ELSEWHERE = frozenset({"messages", "history", "words", "subscription", "contact"})
"""What the page tells in words: it is not said again as it stands in the file."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice as it was sent."""

    at: str
    subject: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened, and why; `why` may be empty."""

    iso: str
    at: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: pairs of the name of a sentence and a value, and lists.

    `locks` are the reasons of what keeps the data from being erased, `own_lock` one that the person
    set by such a page, `locked_for_them` one that was set in their name; `rest` is JSON.
    """

    subscription: Sequence[tuple[str, str]]
    contact: Sequence[tuple[str, str]]
    keeping: Sequence[Markup]
    recipients: Sequence[tuple[str, str]]
    messages: Sequence[Letter]
    history: Sequence[Line]
    more: bool
    locks: Sequence[str]
    own_lock: bool
    locked_for_them: bool
    objected: bool
    rest: str


def shown(held: Held, look: Look, say: Speaker) -> Shown:
    """Give what the page of an export shows."""
    newest = list(reversed(held.history))[:NEWEST]
    locks = [each for each in held.holds if each.released_at is None]
    reviews = [each for each in held.reviews if each.state == "open"]
    wanted = {each.set_by for each in locks if each.reason == RESTRICTION}
    return Shown(
        subscription=list(_subscription(held, look, say)),
        contact=list(_contact(held.contact, look, say)),
        keeping=list(_keeping(held, look, say)),
        recipients=list(_recipients(held)),
        messages=[_letter(each, look, say) for each in held.messages],
        history=[_line(each, look, say) for each in newest],
        more=len(held.history) > NEWEST,
        locks=[_lock(each) for each in locks if each.set_by != ACTOR],
        own_lock=ACTOR in wanted,
        locked_for_them=bool(wanted),
        objected=any(each.reason == Concern.OBJECTION for each in reviews),
        rest=_rest(held),
    )


def _lock(hold: HeldHold) -> str:
    return f"hold.{hold.reason}"


def _subscription(held: Held, look: Look, say: Speaker) -> Iterator[tuple[str, str]]:
    one = held.subscription
    told: dict[str, Any] = {
        "id": one.number,
        "external_id": one.id,
        "customer": one.customer,
        "status": one.status,
        "plan": one.plan,
        "country": one.country,
        "amount": say(f"value.price_{one.interval}"),
        "started_on": one.started_on,
        "renews_at": one.renews_at,
        "last_used_on": one.last_used_on,
        "told": one.told,
        "told_at": one.told_at,
    }
    for name, value in told.items():
        if value is not None:
            yield f"held.{name}", _value(value, look, say)


def _contact(contact: HeldContact, look: Look, say: Speaker) -> Iterator[tuple[str, str]]:
    for name in ("email", "told_email", "corrected_at", "locale", "timezone", "reach"):
        value = getattr(contact, name)
        if value:
            yield f"held.{name}", _value(value, look, say)


def _value(value: Any, look: Look, say: Speaker) -> str:
    match value:
        case datetime():
            return _moment(value, look, say)
        case date():
            return written.day(value, say.tongue.locale)
        case Markup():
            return value
        case _:
            return str(value)


def _moment(at: datetime, look: Look, say: Speaker) -> str:
    local = at.astimezone(look.case.subscription.zone)
    return written.moment(local.replace(second=0, microsecond=0), say.tongue.locale)


def _keeping(held: Held, look: Look, say: Speaker) -> Iterator[Markup]:
    """Say when it goes, if that is known, and what is kept all the same."""
    if held.erasing.asked_at is None:
        dated = look.round.erase_on is not None and look.latest
        yield say("text.data_scheduled" if dated else "text.data_stays")
    locale = say.tongue.locale
    for name, long in held.keeping.keep.items():
        facts = {"name": name, "duration": duration(Period.parse(long), locale)}
        yield Speaker(say.tongue, facts)("says.keep_categories")


def _recipients(held: Held) -> Iterator[tuple[str, str]]:
    told = held.recipients
    yield told.billing, "recipient.billing"
    for endpoint in told.endpoints:
        yield endpoint.url, "recipient.endpoint"
    for target in told.targets:
        yield target.key, "recipient.target"


def _letter(message: HeldMessage, look: Look, say: Speaker) -> Letter:
    at = _moment(message.handed_over_at, look, say)
    return Letter(at, message.subject, message.language, message.text)


def _line(step: HeldStep, look: Look, say: Speaker) -> Line:
    known = sentences(say.tongue.folder)
    what = known.get(f"story.{step.what}") or step.what.replace("_", " ")
    return Line(
        step.at.isoformat(), _moment(step.at, look, say), what, known.get(f"why.{step.why}", "")
    )


def _rest(held: Held) -> str:
    document = {
        name: value
        for name, value in msgspec.to_builtins(held).items()
        if name not in ELSEWHERE and value not in (None, [], {})
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode()
