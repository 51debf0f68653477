"""Policies in the console's words: the names of knobs, their values, and what differs.

A knob is named by its own label; another language has a sentence `knob.<name>` for it. A value is
shown as it is written in JSON, and a length of time in words as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.policy import BeforeRenewal, Guards, Pace, Period, Policy, Terms, When, knobs
from app.versions.difference import Change
from app.web.console.words import Said, sentences
from app.web.rules import duration

SHAPES = (Terms, BeforeRenewal, When, Pace, Guards, Policy)
_SEGMENT = re.compile(r"segments\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Line:
    """One difference in words: what it is about, whose, and both values; empty where there is none.

    `segment` counts from 1; None for everybody.
    """

    name: str
    segment: int | None
    before: list[str]
    after: list[str]


@cache
def labels() -> dict[str, str]:
    """Give the label of each knob by its name."""
    return {each.name: each.metadata["label"] for shape in SHAPES for each in knobs(shape)}


def label(say: Said, name: str) -> str:
    """Give the name of a knob in the language of the page."""
    if name == "when":
        return str(say("version.when"))
    found = sentences(say.tongue.folder).get(f"knob.{name}")
    return found or labels().get(name, name.replace("_", " "))


def lines(say: Said, changes: Sequence[Change]) -> list[Line]:
    """Give what differs, in words."""
    return [_line(say, each) for each in changes]


def _line(say: Said, change: Change) -> Line:
    segment = _SEGMENT.match(change.path)
    names = [part for part in change.path.split(".") if not _SEGMENT.fullmatch(part)]
    name = ": ".join(label(say, each) for each in names) or str(say("version.segment_itself"))
    number = int(segment[1]) + 1 if segment else None
    return Line(name, number, value(say, change.before), value(say, change.after))


def value(say: Said, raw: Any) -> list[str]:
    """Give a value of a policy's JSON as it can be read, each of several on its own."""
    if isinstance(raw, list):
        return [one for each in raw for one in value(say, each)] or [str(say("version.none"))]
    if isinstance(raw, dict):
        return [
            f"{label(say, name)}: {', '.join(value(say, each))}" for name, each in raw.items()
        ] or [str(say("version.none"))]
    if isinstance(raw, bool) or raw is None:
        return [str(say("version.none"))]
    if isinstance(raw, int):
        return [say.number(raw)]
    return [_text(say, str(raw))]


def _text(say: Said, raw: str) -> str:
    try:
        period = Period.parse(raw)
    except ValueError:
        return str(say.code("choice", raw))
    return f"{duration(period, say.tongue.locale)} ({raw})"
