"""A policy in words: each rule by its field's name and kind, never by hand for one product.

A new knob is told once it has a sentence `knob.<name>`, and a test asks for that. Values that state
nothing but a length of time are said by CLDR; the others have sentences of their own under `says`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.dates import format_time
from babel.lists import format_list
from babel.numbers import get_currency_name
from markupsafe import Markup

from app.policy import (
    Choice,
    Duration,
    Group,
    Hours,
    Kind,
    Many,
    Named,
    Nullable,
    Pace,
    Period,
    Policy,
    Segment,
    Terms,
    When,
    Words,
    knobs,
)
from app.web.words import Speaker, sentences
from app.world.mail.draft import Tongue
from app.world.mail.manners import counted

ASKED = ("never_used_after", "unused_after", "before_renewal")
ANSWER = (
    "answer_within",
    "on_no_answer",
    "when_unreachable",
    "reminders",
    "send_between",
    "ask_again_after",
)
DATA = ("erase_after", "erasure_warnings", "erasure_approval", "keep_categories")
ONLY_WITH_ERASURE = frozenset({"erasure_warnings", "erasure_approval"})
NOT_TOLD = frozenset({"pace", "guards"})
"""What only makes us ask fewer people at a time, or nobody; the hours of `pace` are told."""
MOST_NAMED = 40
"""So many plans or countries are named of a group."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the name of its field, and what it says."""

    name: str
    value: Markup


@dataclass(frozen=True, slots=True)
class Others:
    """Some subscriptions, in words, and the rules that are different for them."""

    who: Markup
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """Says policies in one language, of one product; `facts` is what is known of the product."""

    tongue: Tongue
    facts: Mapping[str, str]

    def of(self, policy: Policy) -> dict[str, Rule]:
        """Give every rule of a policy, by its name."""
        told = {
            **dict(_values(policy.terms)),
            **dict(_values(policy)),
            **dict(_values(policy.pace)),
        }
        shown = [name for name in (*ASKED, *ANSWER, *DATA) if _matters(name, policy)]
        return {name: self._rule(*told[name]) for name in shown}

    def groups(self, policy: Policy) -> list[Others]:
        """Give the segments of a policy with what is different for each."""
        return [self._others(each, policy.terms) for each in policy.segments]

    def changes(self, before: Policy, after: Policy) -> list[Markup]:
        """Say what became different from one policy to the next."""
        old, new = self.of(before), self.of(after)
        said = [
            self._changed(name, old.get(name), new.get(name))
            for name in dict.fromkeys((*old, *new))
            if old.get(name) != new.get(name)
        ]
        had, has = self.groups(before), self.groups(after)
        said += [self._group("group_removed", each) for each in had if each not in has]
        said += [self._group("group_added", each) for each in has if each not in had]
        return said

    # --- one rule ----------------------------------------------------------------------------

    def _rule(self, knob: Field[Any], value: Any) -> Rule:
        return Rule(knob.name, self._said(knob, value))

    def _said(self, knob: Field[Any], value: Any) -> Markup:
        kind, name = knob.metadata["kind"], knob.name
        if isinstance(kind, Nullable):
            kind = kind.kind
        if value is None or value == ():
            return self._say(f"says.{name}_none")
        if isinstance(kind, Choice):
            return self._say(f"says.{name}_{value}")
        if isinstance(kind, Named):
            return self._list([self._named(name, *each) for each in value])
        if isinstance(kind, Words):
            return self._list([self._say(f"says.{each}") for each in value])
        return self._say(f"says.{name}", **self._facts_of(kind, value))

    def _facts_of(self, kind: Kind, value: Any) -> dict[str, str]:
        """Give what the sentence of a rule states, by the kind of its value."""
        locale = self.tongue.locale
        match kind:
            case Duration():
                return {"duration": duration(value, locale)}
            case Many():
                return {"list": self._list([duration(each, locale) for each in value])}
            case Group():
                return {each.name: self._said(each, given) for each, given in _pairs(value)}
            case Hours():
                start, end = (format_time(at, "short", locale=locale) for at in value)
                return {"start": start, "end": end}
            case _:
                raise LookupError(type(kind).__name__)

    def _named(self, knob: str, name: str, value: Period) -> Markup:
        length = duration(value, self.tongue.locale)
        return self._say(f"says.{knob}", name=_isolated(name), duration=length)

    def _say(self, sentence: str, **facts: str) -> Markup:
        """Say a sentence; a plain length of time needs none."""
        if "duration" in facts and sentence not in sentences(self.tongue.folder):
            return Markup("{}").format(facts["duration"])
        return Speaker(self.tongue, {**self.facts, **facts})(sentence)

    def _list(self, parts: Sequence[str]) -> Markup:
        escaped = [Markup("{}").format(each) for each in parts]
        joined = format_list(escaped, "standard", self.tongue.locale)
        return Markup(joined)  # noqa: S704 - each part is escaped, and CLDR's words are plain

    # --- groups and changes ------------------------------------------------------------------

    def _others(self, segment: Segment, base: Terms) -> Others:
        own = dict(_values(base))
        told = [
            self._rule(knob, value)
            for name, (knob, value) in _values(segment.terms)
            if own[name][1] != value
        ]
        return Others(Markup(" ").join(self._whom(segment.when)), tuple(told))

    def _whom(self, when: When) -> Iterator[Markup]:
        for knob in knobs(When):
            if given := getattr(when, knob.name):
                named = [self._name(knob.name, each) for each in given[:MOST_NAMED]]
                more = ["…"] if len(given) > MOST_NAMED else []
                yield self._say(f"when.{knob.name}", list=self._list([*named, *more]))

    def _name(self, what: str, code: str) -> Markup:
        if what == "interval":
            return self._say(f"says.{code}")
        if what == "country":
            return _isolated(Locale.parse(self.tongue.locale).territories.get(code, code))
        if what == "currency":
            return _isolated(get_currency_name(code, locale=self.tongue.locale))
        return _isolated(code)

    def _changed(self, name: str, old: Rule | None, new: Rule | None) -> Markup:
        now, before = (each.value if each else Markup("\N{EN DASH}") for each in (new, old))
        what = self._say(f"knob.{name}")
        return self._say("policy.changed", what=what, now=now, before=before)

    def _group(self, how: str, group: Others) -> Markup:
        rules = [f"{self._say(f'knob.{each.name}')}: {each.value}." for each in group.rules]
        told = Markup(" ").join([group.who, *map(Markup, rules)])
        return self._say(f"policy.{how}", group=told)


@lru_cache(maxsize=1024)
def duration(period: Period, locale: str) -> str:
    """Say how long a period is: `1 year and 6 months`."""
    years, months = divmod(period.months, 12)
    hours, minutes = divmod(period.minutes, 60)
    lengths = {
        "year": years,
        "month": months,
        "day": period.days,
        "hour": hours,
        "minute": minutes,
    }
    parts = [counted(many, unit, locale) for unit, many in lengths.items() if many]
    return str(format_list(parts, "standard", locale))


def _values(holder: Any) -> Iterator[tuple[str, tuple[Field[Any], Any]]]:
    """Give each knob of Terms, Policy or Pace with its value, by its name."""
    for knob in knobs(type(holder)):
        yield knob.name, (knob, getattr(holder, knob.name))


def _pairs(value: Any) -> Iterator[tuple[Field[Any], Any]]:
    return ((each, getattr(value, each.name)) for each in fields(value))


def _matters(name: str, policy: Policy) -> bool:
    """Say whether a rule has a meaning: who never erases warns of no erasure."""
    terms = (policy.terms, *(each.terms for each in policy.segments))
    return name not in ONLY_WITH_ERASURE or any(each.erase_after for each in terms)


def _isolated(text: str) -> Markup:
    """Give a name that somebody chose, kept from turning the direction of what stands around."""
    return Markup("<bdi>{}</bdi>").format(text)


TOLD = frozenset({*ASKED, *ANSWER, *DATA})
"""Every knob that is told."""
KNOBS = frozenset(each.name for shape in (Terms, Policy, Pace) for each in knobs(shape))
LIMITS = KNOBS - TOLD - NOT_TOLD
"""What else `pace` holds: limits that only slow us down."""
