"""Forms with brackets: what the SDK sends as a body or behind a question mark."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tests.fakestripe.errors import Refused, invalid

Tree = dict[str, Any]
"""A form read: texts, trees and lists of both."""

LONGEST_NOTE = 500
"""Characters of a value of metadata."""


def read(form: str) -> Tree:
    """Read `items[0][price]=p&metadata[a]=b` into a tree."""
    tree: Tree = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        _place(tree, re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name), value)
    return {name: _with_lists(name, value) for name, value in tree.items()}


def _place(tree: Tree, path: list[str], value: str) -> None:
    for step in path[:-1]:
        inner = tree.setdefault(step, {})
        if not isinstance(inner, dict):
            raise invalid(f"Invalid {step}: both a value and an object", step)
        tree = inner
    # `expand[]` twice is a list of two.
    tree[path[-1] or str(len(tree))] = value


def _with_lists(name: str, value: Any) -> Any:
    """Make lists of what is numbered, except keys of metadata, which may be any text."""
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(key, each) for key, each in value.items()}
    if name != "metadata" and inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


class Given:
    """Parameters of a request; what cannot be read is refused as Stripe does."""

    def __init__(self, tree: Tree, within: str = "") -> None:
        self.tree = tree
        self.within = within

    def __contains__(self, key: str) -> bool:
        return key in self.tree

    def name(self, key: str) -> str:
        """Give the whole name of a parameter, brackets and all."""
        return f"{self.within}[{key}]" if self.within else key

    def only(self, allowed: frozenset[str]) -> None:
        """Refuse what is not allowed: a connector's misspelt word must not pass."""
        for key in self.tree:
            if key not in allowed:
                message = f"Received unknown parameter: {self.name(key)}"
                raise invalid(message, self.name(key), "parameter_unknown")

    def text(self, key: str) -> str | None:
        """Give a text; None where it is absent or empty, which means: clear it."""
        value = self.tree.get(key)
        if isinstance(value, dict | list):
            raise invalid(f"Invalid string: {self.name(key)}", self.name(key))
        return value or None

    def needed(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            message = f"Missing required param: {self.name(key)}."
            raise invalid(message, self.name(key), "parameter_missing")
        return value

    def whole(self, key: str) -> int | None:
        value = self.text(key)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d+", value):
            message = f"Invalid integer: {value}"
            raise invalid(message, self.name(key), "parameter_invalid_integer")
        return int(value)

    def flag(self, key: str) -> bool | None:
        value = self.text(key)
        if value not in {None, "true", "false"}:
            raise invalid(f"Invalid boolean: {value}", self.name(key))
        return None if value is None else value == "true"

    def choice(self, key: str, *allowed: str) -> str | None:
        value = self.text(key)
        if value is not None and value not in allowed:
            message = f"Invalid {self.name(key)}: must be one of {', '.join(allowed)}"
            raise invalid(message, self.name(key))
        return value

    def group(self, key: str) -> "Given":
        """Give what is nested; empty where it is absent or cleared."""
        value = self.tree.get(key) or {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", self.name(key))
        return Given(value, self.name(key))

    def groups(self, key: str) -> "list[Given]":
        values = self.tree.get(key) or []
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise invalid("Invalid array", self.name(key))
        return [Given(each, f"{self.name(key)}[{at}]") for at, each in enumerate(values)]

    def texts(self, key: str) -> list[str]:
        values = self.tree.get(key) or []
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise invalid("Invalid array", self.name(key))
        return values

    def merged(self, old: dict[str, str]) -> dict[str, str]:
        """Give metadata after the request: keys are merged, an empty value deletes its key."""
        if "metadata" not in self:
            return old
        given = self.tree["metadata"]
        if given == "":
            return {}
        if not isinstance(given, dict):
            raise invalid("Invalid object", self.name("metadata"))
        for key, value in given.items():
            _check_note(key, value)
        return {key: value for key, value in {**old, **given}.items() if value != ""}

    def span(self, key: str) -> Callable[[int], bool]:
        """Give the test that `created=5` or `created[gte]=5` asks for."""
        value = self.tree.get(key)
        if not isinstance(value, dict):
            exactly = self.whole(key)
            return lambda moment: exactly is None or moment == exactly
        bounds = self.group(key)
        bounds.only(frozenset({"gt", "gte", "lt", "lte"}))
        above = max((bounds.whole("gte") or 0), (bounds.whole("gt") or -1) + 1)
        ends = [
            each for each in (bounds.whole("lte"), _less(bounds.whole("lt"))) if each is not None
        ]
        return lambda moment: above <= moment and all(moment <= each for each in ends)


def _less(bound: int | None) -> int | None:
    return None if bound is None else bound - 1


def _check_note(key: str, value: object) -> None:
    if not isinstance(value, str):
        raise invalid("Metadata values must be strings", f"metadata[{key}]")
    if len(value) > LONGEST_NOTE:
        raise Refused(
            f"Metadata values can have up to {LONGEST_NOTE} characters, "
            f"but you passed in a value that is {len(value)} characters.",
            param=f"metadata[{key}]",
            began=False,
        )
