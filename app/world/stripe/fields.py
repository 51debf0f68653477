"""Reads fields of Stripe's JSON: each is of the kind it must be, or is refused by its name.

A reason names where the field stands and never what it held: that may be about a person.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.rows import RowRefused

LONGEST_TEXT = 5000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")


def is_id(text: str) -> bool:
    """Say whether Stripe could have given such an id: any other would lead to another address."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Node:
    """One object, and the path that led to it; every reader raises RowRefused with the path."""

    held: Mapping[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        """Give the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def odd(self, name: str, wrong: str) -> RowRefused:
        """Make the refusal of a field."""
        return RowRefused(self.at(name), wrong)

    def text(self, name: str) -> str:
        """Give a text; empty where there is none."""
        found = self.held.get(name)
        if found is None:
            return ""
        if not isinstance(found, str) or len(found) > LONGEST_TEXT:
            raise self.odd(name, "is no text of ordinary length")
        return found

    def whole(self, name: str) -> int | None:
        """Give a whole number; None where there is none."""
        found = self.held.get(name)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool):
            raise self.odd(name, "is no whole number")
        return found

    def flag(self, name: str) -> bool:
        """Give a yes or no; no where there is none."""
        found = self.held.get(name)
        if found is not None and not isinstance(found, bool):
            raise self.odd(name, "is neither true nor false")
        return bool(found)

    def moment(self, name: str) -> datetime | None:
        """Give a moment (aware, UTC) out of seconds since 1970; None where there is none."""
        seconds = self.whole(name)
        if seconds is None:
            return None
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            raise self.odd(name, "is no moment: seconds since 1970 are expected") from None

    def node(self, name: str) -> "Node | None":
        """Give what is nested there; None where there is nothing."""
        found = self.held.get(name)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise self.odd(name, "is no object")
        return Node(found, self.at(name))

    def nodes(self, name: str = "data") -> "list[Node]":
        """Give the objects of a list, or those of a list object under that name."""
        found = self.held.get(name)
        if isinstance(found, dict):
            return Node(found, self.at(name)).nodes()
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self.odd(name, "is no list of objects")
        return [Node(each, f"{self.at(name)}.{place}") for place, each in enumerate(found)]

    def id(self, name: str = "id") -> str | None:
        """Give an id, or that of the object that stands in its place; None where there is none."""
        found = self.held.get(name)
        if isinstance(found, dict):
            found = found.get("id")
        if found is None:
            return None
        if not isinstance(found, str) or not is_id(found):
            raise self.odd(name, "is no id")
        return found

    def needed_id(self, name: str = "id") -> str:
        """Give an id that has to be there."""
        found = self.id(name)
        if found is None:
            raise self.odd(name, "is missing")
        return found

    def needed_moment(self, name: str) -> datetime:
        """Give a moment that has to be there."""
        found = self.moment(name)
        if found is None:
            raise self.odd(name, "is missing")
        return found

    def expanded(self, name: str) -> "Node | None":
        """Give the object in the place of an id; None where there is nothing but the id."""
        return None if isinstance(self.held.get(name), str) else self.node(name)
