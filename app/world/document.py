"""Reads a body as one JSON object, as any reader would read it, or says what is wrong with it.

What readers disagree about is refused: a field named twice, NaN, half a surrogate pair, nesting
without end. The reason names the mend and repeats nothing of what was sent.
"""

import json
from collections.abc import Iterable
from typing import Any, NoReturn


class Unreadable(ValueError):
    """The body is signed and cannot be read; the text names the field and the mend."""


def parsed(body: bytes) -> dict[str, Any]:
    """Give the object that a body is; Unreadable where it is none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8: send JSON in UTF-8") from None
    try:
        found = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
        if "\\u" in text:
            _check_characters(found)
    except RecursionError:
        raise Unreadable("the body is nested too deeply: send the subscription flat") from None
    except Unreadable:
        raise
    except ValueError:
        raise Unreadable("the body is not JSON: send one object") from None
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object: send one")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("the body names a field twice in one object: name each once")
    return found


def _no_number(_: str) -> NoReturn:
    raise Unreadable("the body holds NaN or Infinity, which JSON has not: leave it out")


def _finite(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise Unreadable("the body holds a number out of range: write it as text")
    return number


def _check_characters(found: Any) -> None:
    """Refuse what JSON can write with an escape and no text can hold."""
    if any("\0" in text or not _encodes(text) for text in _strings(found)):
        raise Unreadable("the body holds NUL or half a surrogate pair: leave it out")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _strings(found: Any) -> Iterable[str]:
    left = [found]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            left += each.keys()
            left += each.values()
        elif isinstance(each, list):
            left += each
