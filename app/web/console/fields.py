"""The fields of the policy's form as a page shows them: one widget a kind of knob."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field as Knob
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

from app import policy as policies
from app.policy import (
    Choice,
    Duration,
    Group,
    Hours,
    Kind,
    Many,
    Named,
    Nullable,
    Period,
    Share,
    Steps,
    Whole,
    Words,
    knobs,
)
from app.web.console.editing import ISO, SLIDERS, UNITS, Typed, iso, kind_of, rows
from app.web.rules import duration


@dataclass(frozen=True, slots=True)
class Field:
    """One knob as it is shown: its name in the form, its widget, and what is typed.

    `off` is None where it cannot be switched off; `options` are the words or units to choose from;
    `parts` are the fields or rows inside; `said` is a duration in words.
    """

    name: str
    knob: str
    label: str
    hint: str
    widget: str
    texts: tuple[str, ...] = ()
    unit: str = ""
    options: tuple[str, ...] = ()
    parts: tuple["Field", ...] = ()
    off: bool | None = None
    row: int = 0
    said: str = ""
    drag: int = 0
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """What is typed."""
        return next(iter(self.texts), "")

    @property
    def id(self) -> str:
        """What its parts are called in the page."""
        return slug(self.name)

    @property
    def leaves(self) -> Iterator["Field"]:
        """It, and all inside it."""
        yield self
        for each in self.parts:
            yield from each.leaves

    @property
    def months(self) -> int:
        """Where its slider stands."""
        found = period(self.text, self.unit)
        rough = 0 if found is None else found.rough_days / policies.DAYS_A_MONTH
        return max(1, min(self.drag, round(rough)))


@dataclass(frozen=True, slots=True)
class Block:
    """One segment as it is shown: whom it is about, its own terms, and the ones as above."""

    name: str
    number: int
    when: tuple[Field, ...]
    own: tuple[Field, ...]
    same: tuple[Field, ...]
    problems: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """What it is called in the page."""
        return slug(self.name)


@dataclass(frozen=True, slots=True)
class Form:
    """The whole form: terms, segments, what holds for all, and groups such as the pace."""

    terms: tuple[Field, ...]
    segments: tuple[Block, ...]
    whole: tuple[Field, ...]
    groups: tuple[Field, ...]

    @property
    def leaves(self) -> Iterator[Field]:
        """Every field of it, those inside others too."""
        inner = (each for block in self.segments for each in (*block.when, *block.own))
        for each in (*self.terms, *inner, *self.whole, *self.groups):
            yield from each.leaves


def slug(name: str) -> str:
    """Give a name of the form as an id of the page."""
    return re.sub(r"[\[\].]+", "-", name).strip("-")


@dataclass(frozen=True, slots=True)
class Shower:
    """Makes the fields of a form, in one language, with what is wrong at each."""

    typed: Typed
    problems: Mapping[str, Sequence[tuple[str, str]]]
    locale: str

    def form(self) -> Form:
        """Give the whole form."""
        terms = tuple(self.field(each, each.name) for each in knobs(policies.Terms))
        whole = [self.field(each, each.name) for each in knobs(policies.Policy)]
        return Form(
            terms,
            tuple(self._block(n, at, terms) for n, at in enumerate(rows(self.typed, "segments"))),
            tuple(each for each in whole if each.widget != "group"),
            tuple(each for each in whole if each.widget == "group"),
        )

    def field(self, knob: Knob[Any], at: str) -> Field:
        """Give the field of one knob."""
        label, hint = knob.metadata["label"], knob.metadata["hint"]
        return self.made(kind_of(knob), Field(at, knob.name, label, hint, ""))

    def _block(self, number: int, at: str, terms: Sequence[Field]) -> Block:
        own = self.typed.get(f"{at}.own", [])
        return Block(
            at,
            number + 1,
            tuple(self.field(each, f"{at}.when.{each.name}") for each in knobs(policies.When)),
            tuple(
                self.field(each, f"{at}.{each.name}")
                for each in knobs(policies.Terms)
                if each.name in own
            ),
            tuple(each for each in terms if each.knob not in own),
            tuple(self.problems.get(at, ())),
        )

    def made(self, kind: Kind, bare: Field) -> Field:
        """Give a field its widget, by its kind, with what is typed and what is wrong."""
        texts, problems = self.typed.get(bare.name, ()), self.problems.get(bare.name, ())
        return _made(kind, self, replace(bare, texts=tuple(texts), problems=tuple(problems)))

    def first(self, name: str) -> str:
        """Give what is typed under a name."""
        return next(iter(self.typed.get(name, ())), "")


@singledispatch
def _made(kind: Kind, _: Shower, bare: Field) -> Field:  # noqa: ARG001
    raise LookupError(type(kind).__name__)


@_made.register
def _(kind: Nullable, shower: Shower, bare: Field) -> Field:
    return replace(shower.made(kind.kind, bare), off=f"{bare.name}.off" in shower.typed)


@_made.register
def _(kind: Duration, shower: Shower, bare: Field) -> Field:
    unit = shower.first(f"{bare.name}.unit")
    found = period(bare.text, unit)
    with_hours = Period.parse(kind.low).minutes > 0
    return replace(
        bare,
        widget="duration",
        unit=unit if unit in UNITS else ISO,
        options=(*(each for each in UNITS if with_hours or each != "hours"), ISO),
        said="" if found is None else f"{duration(found, shower.locale)} · {found}",
        drag=SLIDERS.get(bare.name, 0),
    )


@_made.register
def _(kind: Choice, _: Shower, bare: Field) -> Field:
    return replace(bare, widget="choice", options=kind.words)


@_made.register
def _(kind: Words, _: Shower, bare: Field) -> Field:
    return replace(bare, widget="several" if kind.of else "text", options=kind.of)


@_made.register
def _(_: Whole, __: Shower, bare: Field) -> Field:
    return replace(bare, widget="whole")


@_made.register
def _(_: Share, __: Shower, bare: Field) -> Field:
    return replace(bare, widget="share")


@_made.register
def _(_: Steps, __: Shower, bare: Field) -> Field:
    return replace(bare, widget="text")


@_made.register
def _(_: Hours, shower: Shower, bare: Field) -> Field:
    ends = (shower.first(f"{bare.name}.{end}") for end in ("from", "until"))
    return replace(bare, widget="hours", texts=tuple(ends))


@_made.register
def _(kind: Many, shower: Shower, bare: Field) -> Field:
    found = (
        replace(shower.made(kind.kind, replace(bare, name=row, hint="")), row=number)
        for number, row in enumerate(rows(shower.typed, bare.name), 1)
    )
    return replace(bare, widget="rows", parts=tuple(found))


@_made.register
def _(kind: Named, shower: Shower, bare: Field) -> Field:
    inside = _made(Many(kind.kind, kind.most), shower, bare)
    parts = (replace(each, parts=(_name_of(each, shower),)) for each in inside.parts)
    return replace(inside, parts=tuple(parts))


def _name_of(row: Field, shower: Shower) -> Field:
    name = f"{row.name}.name"
    texts = tuple(shower.typed.get(name, ()))
    return Field(name, row.knob, row.label, "", "name", texts, row=row.row)


@_made.register
def _(kind: Group, shower: Shower, bare: Field) -> Field:
    parts = (shower.field(each, f"{bare.name}.{each.name}") for each in knobs(kind.shape))
    return replace(bare, widget="group", parts=tuple(parts))


def period(text: str, unit: str) -> Period | None:
    """Give a duration as it is typed; None where it is none."""
    try:
        found = Period.parse(iso(text.strip(), unit))
    except ValueError:
        return None
    return found if found != Period() else None
