"""A policy as a form: every knob by its kind, from JSON to what is typed and back.

What stands in the form is names and texts, and nothing else: it is filled from JSON, becomes JSON
again, whether or not it can be read. The names are the paths of the JSON. A new knob needs nothing
here; a new kind needs how it is filled in and how it is collected.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import Field as Knob
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from app import policy as policies
from app.policy import (
    Duration,
    Group,
    Hours,
    Kind,
    Many,
    Named,
    Nullable,
    Share,
    Steps,
    Whole,
    Words,
    knobs,
)

Typed = dict[str, list[str]]
"""What stands in a form: the texts of each name."""
Found = tuple[str, str, str]
"""A problem: the JSON path, what is wrong there, and what would be right."""

ISO = "iso"
UNITS = {"hours": "PT{}H", "days": "P{}D", "weeks": "P{}W", "months": "P{}M", "years": "P{}Y"}
"""How a number of each unit is written."""
LETTERS = {"D": "days", "M": "months", "Y": "years", "TH": "hours"}
SLIDERS = {"never_used_after": 36, "unused_after": 36}
"""The knobs that can be dragged, and to how many months."""
_ONE = re.compile(r"P(?P<clock>T?)(?P<number>[0-9]+)(?P<letter>[YMDH])")
_ROW = re.compile(r"\[([0-9]{1,4})\]")
_WORD = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*|(?P<plain>[^,]*))(?:,|$)')


# --- from JSON to the form -----------------------------------------------------------------


def filled(body: Mapping[str, Any]) -> Typed:
    """Give the form of a policy written as JSON."""
    typed: Typed = {}
    for each in own_knobs():
        if each.name in body:
            _fill(kind_of(each), typed, body[each.name], each.name)
    for number, segment in enumerate(body.get("segments", [])):
        at = f"segments[{number}]"
        terms = [each for each in knobs(policies.Terms) if each.name in segment]
        typed[f"{at}.own"] = ["", *(each.name for each in terms)]
        for each in knobs(policies.When):
            _fill(
                kind_of(each), typed, segment["when"].get(each.name, []), f"{at}.when.{each.name}"
            )
        for each in terms:
            _fill(kind_of(each), typed, segment[each.name], f"{at}.{each.name}")
    return typed


def empty() -> Typed:
    """Give the form of a product without any policy: the safe defaults, and what has none blank."""
    return filled(policies.write(policies.Policy(policies.Terms(on_no_answer=""))))


def own_knobs() -> tuple[Knob[Any], ...]:
    """Give the knobs of a policy but for those of its segments."""
    return (*knobs(policies.Terms), *knobs(policies.Policy))


def with_threshold(typed: Typed, months: int) -> Typed:
    """Give a form with both thresholds set to so many months."""
    changed = dict(typed)
    for name in SLIDERS:
        changed |= {name: [str(months)], f"{name}.unit": ["months"]}
    return changed


def kind_of(knob: Knob[Any]) -> Kind:
    """Give the kind of a knob."""
    kind: Kind = knob.metadata["kind"]
    return kind


@singledispatch
def _fill(_: Kind, typed: Typed, raw: Any, at: str) -> None:
    """Write one value of JSON into the form."""
    typed[at] = [str(raw)]


@_fill.register
def _(_: Duration, typed: Typed, raw: str, at: str) -> None:
    typed[at], typed[f"{at}.unit"] = _numbered(raw)


@_fill.register
def _(kind: Words, typed: Typed, raw: list[str], at: str) -> None:
    typed[at] = raw if kind.of else [", ".join(map(_quoted, raw))]


@_fill.register
def _(_: Steps, typed: Typed, raw: list[int | str], at: str) -> None:
    typed[at] = [", ".join(map(str, raw))]


@_fill.register
def _(_: Share, typed: Typed, raw: str, at: str) -> None:
    typed[at] = [raw.removesuffix("%")]


@_fill.register
def _(_: Hours, typed: Typed, raw: list[str], at: str) -> None:
    typed[f"{at}.from"], typed[f"{at}.until"] = [raw[0]], [raw[1]]


@_fill.register
def _(kind: Nullable, typed: Typed, raw: Any, at: str) -> None:
    if raw is None:
        typed[f"{at}.off"] = ["on"]
    else:
        _fill(kind.kind, typed, raw, at)


@_fill.register
def _(kind: Many, typed: Typed, raw: list[Any], at: str) -> None:
    for number, one in enumerate(raw):
        _fill(kind.kind, typed, one, f"{at}[{number}]")


@_fill.register
def _(kind: Named, typed: Typed, raw: dict[str, Any], at: str) -> None:
    for number, (name, one) in enumerate(raw.items()):
        typed[f"{at}[{number}].name"] = [name]
        _fill(kind.kind, typed, one, f"{at}[{number}]")


@_fill.register
def _(kind: Group, typed: Typed, raw: dict[str, Any], at: str) -> None:
    for each in knobs(kind.shape):
        _fill(kind_of(each), typed, raw[each.name], f"{at}.{each.name}")


def _numbered(raw: str) -> tuple[list[str], list[str]]:
    """Give a duration as a number and its unit; one of several units as it is written."""
    match = _ONE.fullmatch(raw)
    unit = LETTERS.get(match["clock"] + match["letter"]) if match else None
    return ([raw], [ISO]) if match is None or unit is None else ([match["number"]], [unit])


def _quoted(word: str) -> str:
    plain = word == word.strip() and not set(word) & set(',"')
    return word if plain else '"{}"'.format(word.replace('"', '""'))


# --- from the form to JSON -----------------------------------------------------------------


@dataclass(slots=True)
class Collected:
    """The JSON of a form; where each of its paths is in the form; what JSON could not say."""

    typed: Typed
    raw: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Found] = field(default_factory=list)

    @classmethod
    def of(cls, typed: Typed) -> "Collected":
        """Read a form. Nothing is judged here: what is no number stays the text that it is."""
        found = cls(typed)
        for each in own_knobs():
            found.raw[each.name] = found.value(kind_of(each), each.name, each.name)
        segments = [found._segment(n, at) for n, at in enumerate(rows(typed, "segments"))]
        found.raw["segments"] = segments
        return found

    def place(self, path: str) -> str:
        """Give the name in the form of a path of the JSON, or of what it is within."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, "")

    def value(self, kind: Kind, path: str, at: str) -> Any:
        """Give the JSON of one value; `path` is where it will stand, `at` its name in the form."""
        self.places[path] = at
        return _collect(kind, self, path, at)

    def fields(self, shape: type[Any], path: str, at: str) -> dict[str, Any]:
        """Give the JSON of every knob of some that belong together."""
        return {
            each.name: self.value(kind_of(each), f"{path}.{each.name}", f"{at}.{each.name}")
            for each in knobs(shape)
        }

    def text(self, name: str) -> str:
        """Give what is typed, without blanks around it."""
        return _first(self.typed, name).strip()

    def _segment(self, number: int, at: str) -> dict[str, Any]:
        path = f"segments[{number}]"
        self.places[path] = at
        when = self.fields(policies.When, f"{path}.when", f"{at}.when")
        own = set(self.typed.get(f"{at}.own", []))
        terms = {
            each.name: self.value(kind_of(each), f"{path}.{each.name}", f"{at}.{each.name}")
            for each in knobs(policies.Terms)
            if each.name in own
        }
        return {"when": {name: value for name, value in when.items() if value}, **terms}


@singledispatch
def _collect(_: Kind, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    """Give the JSON of one value of the form; a text where nothing better can be made of it."""
    return found.text(at)


@_collect.register
def _(_: Duration, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    return iso(found.text(at), found.text(f"{at}.unit"))


@_collect.register
def _(_: Whole, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    return _whole(found.text(at))


@_collect.register
def _(_: Share, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    return f"{found.text(at).removesuffix('%').strip().replace(',', '.')}%"


@_collect.register
def _(_: Words, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    return _words(found.typed.get(at, []))


@_collect.register
def _(_: Steps, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    return [_whole(each.strip()) for each in found.text(at).split(",")]


@_collect.register
def _(_: Hours, found: Collected, path: str, at: str) -> Any:  # noqa: ARG001
    return [found.text(f"{at}.from"), found.text(f"{at}.until")]


@_collect.register
def _(kind: Nullable, found: Collected, path: str, at: str) -> Any:
    return None if f"{at}.off" in found.typed else found.value(kind.kind, path, at)


@_collect.register
def _(kind: Group, found: Collected, path: str, at: str) -> Any:
    return found.fields(kind.shape, path, at)


@_collect.register
def _(kind: Many, found: Collected, path: str, at: str) -> Any:
    values: list[Any] = []
    for row in rows(found.typed, at):
        if not _is_blank(found.typed, row):
            values.append(found.value(kind.kind, f"{path}[{len(values)}]", row))
    return values


@_collect.register
def _(kind: Named, found: Collected, path: str, at: str) -> Any:
    values: dict[str, Any] = {}
    for row in rows(found.typed, at):
        name = found.text(f"{row}.name")
        if name in values:
            found.problems.append((f"{path}.{name}", "is named twice", "name each once"))
        elif name or not _is_blank(found.typed, row):
            values[name] = found.value(kind.kind, f"{path}.{name}", row)
    return values


def _first(typed: Typed, name: str) -> str:
    return next(iter(typed.get(name, ())), "")


def _whole(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else text


def iso(text: str, unit: str) -> str:
    """Give the ISO 8601 of a number and its unit; what is written with a P stands for itself."""
    if re.fullmatch(r"[0-9]{1,9}", text) and unit in UNITS:
        return UNITS[unit].format(text)
    return text.upper() if text[:1] in {"p", "P"} else text


def _words(texts: Sequence[str]) -> list[str]:
    """Give the words of a list with commas; one with a comma in it stands in quotes."""
    found = []
    for text in texts:
        for match in _WORD.finditer(text):
            quoted, plain = match["quoted"], match["plain"]
            word = plain.strip() if quoted is None else quoted.replace('""', '"')
            if word:
                found.append(word)
    return found


def rows(typed: Typed, at: str) -> list[str]:
    """Give the names of the rows of a list, in the order of their numbers."""
    numbers = {
        int(match[1])
        for name in typed
        if name.startswith(f"{at}[") and (match := _ROW.match(name, len(at)))
    }
    return [f"{at}[{number}]" for number in sorted(numbers)]


def _is_blank(typed: Typed, row: str) -> bool:
    return not any(
        text.strip()
        for name, texts in typed.items()
        if _within(name, row) and not name.endswith(".unit")
        for text in texts
    )


def _within(name: str, at: str) -> bool:
    return name == at or name.startswith((f"{at}.", f"{at}["))


# --- rows that are added and taken away ------------------------------------------------------


def edited(typed: Typed, do: str) -> Typed:
    """Give the form after a button of it: `add`, `remove`, `own` or `same`, and of what.

    `add:reminders` and `remove:reminders[1]` are rows; `own:segments[0]` gives a segment a term of
    its own, the one chosen there; `same:segments[0].reminders` takes it away again.
    """
    what, _, at = do.partition(":")
    match what:
        case "add":
            return typed | _new_row(typed, at)
        case "remove":
            return {name: texts for name, texts in typed.items() if not _within(name, at)}
        case "own":
            return _with_own(typed, at, _first(typed, f"{at}.change"))
        case "same":
            segment, _, term = at.rpartition(".")
            rest = {name: texts for name, texts in typed.items() if not _within(name, at)}
            names = [each for each in typed.get(f"{segment}.own", []) if each != term]
            return rest | {f"{segment}.own": names}
        case _:
            return typed


def _new_row(typed: Typed, at: str) -> Typed:
    numbers = [int(row[len(at) + 1 : -1]) for row in rows(typed, at)]
    row = f"{at}[{max(numbers, default=-1) + 1}]"
    return {f"{row}.own": [""]} if at == "segments" else {row: [""], f"{row}.unit": ["days"]}


def _with_own(typed: Typed, segment: str, term: str) -> Typed:
    """Give a segment a term of its own, which begins as the one above."""
    names = typed.get(f"{segment}.own", [])
    if term in names or term not in {each.name for each in knobs(policies.Terms)}:
        return typed
    copied = {f"{segment}.{name}": texts for name, texts in typed.items() if _within(name, term)}
    return typed | copied | {f"{segment}.own": [*names, term]}
