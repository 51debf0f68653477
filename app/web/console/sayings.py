"""What comes next for a person, what keeps it from coming, and why a product stands still.

The engine and the guards give codes with facts; here they are said in the language of a page.
What somebody wrote at the command line when they stopped a product is shown as they wrote it.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from markupsafe import Markup, escape

from app import guards
from app.engine.explain import Saying
from app.store.products import Brake
from app.web.console.words import Said

PAUSED = {
    "looking_into_numbers": "console: looking into the numbers",
    "usage_feed_in_doubt": "console: the usage feed is in doubt",
    "wording_in_doubt": "console: the wording is in doubt",
    "other": "console: for another reason",
}
"""Why somebody stops a product here, as a code, and what the brake then says everywhere."""
_SECTIONS = {"status": "value"}
"""Where the words of a fact that is a code stand, if not under its own name."""
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)%")
_PAUSED_FOR = {written: code for code, written in PAUSED.items()}


@dataclass(frozen=True, slots=True)
class Stopped:
    """A brake in words: what it says, what to do, since when, and whether it can be lifted here."""

    brake: Brake
    says: Markup
    mend: Markup
    ours: bool


def ahead(say: Said, told: Saying) -> Markup:
    """Say what comes next."""
    return say(f"ahead.{told.code}", **_facts(say, told))


def blocked(say: Said, told: Saying) -> Markup:
    """Say what keeps it from coming."""
    if told.code == "brake":
        return say("block.brake", why=_stop(say, told.facts["cause"], told.facts["why"]))
    return say(f"block.{told.code}", **_facts(say, told))


def stopped(say: Said, brake: Brake) -> Stopped:
    """Say what a brake means, with its numbers, and what to do about it."""
    says = _stop(say, brake.cause, brake.why)
    if brake.product is None:
        return Stopped(brake, says, say("products.all_stopped"), ours=False)
    cause = brake.cause if brake.cause in guards.CAUSES else guards.BY_HAND
    mend = say(f"cause_mend.{cause}", product=brake.product)
    return Stopped(brake, says, mend, ours=True)


def _facts(say: Said, told: Saying) -> dict[str, object]:
    return {name: _fact(say, name, value) for name, value in told.facts.items()}


def _fact(say: Said, name: str, value: object) -> str:
    match value:
        case datetime():
            return say.moment(value)
        case date():
            return say.day(value)
        case _:
            return say.code(_SECTIONS.get(name, name), value)


def _stop(say: Said, cause: str, why: str) -> Markup:
    if cause in guards.CAUSES and cause != guards.BY_HAND:
        numbers = _numbers(say, why) or say.code("because", why)
        return say("brake.because", cause=say.code("cause", cause), why=numbers)
    return say(f"pause.{_PAUSED_FOR[why]}") if why in _PAUSED_FOR else escape(why)


def _numbers(say: Said, why: str) -> Markup | None:
    """Say the numbers that tripped a guard, written `bounced=7 of=90`; None where it has none."""
    pairs = [each.partition("=") for each in why.split()]
    if not all(sign for _, sign, _ in pairs):
        return None
    counts = ((say.code("count", name), many) for name, _, many in pairs)
    said = (say("brake.count", count=name, many=_many(say, many)) for name, many in counts)
    return Markup(", ").join(said)


def _many(say: Said, written: str) -> str:
    """Say a number as it is written in a language; what is none is shown as it is."""
    limit = _PERCENT.fullmatch(written)
    if limit is not None:
        return say.percent(Decimal(limit[1]))
    return say.number(int(written)) if written.isascii() and written.isdigit() else written
