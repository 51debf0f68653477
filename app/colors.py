"""Colours as people with weak sight need them: contrast by WCAG 2.2, and what can be read on what.

A product chooses one colour, for its buttons and links. What stands on it, and what it becomes on
a dark page, follows from it. A colour that cannot be read is refused, with the nearest that can.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from app.errors import Refused

_HEX = re.compile(r"#[0-9a-f]{6}")
WHITE, NEARLY_BLACK = "#ffffff", "#0b1620"
SHEET, DARK_SHEET = "#ffffff", "#1f2226"
"""What letters and pages are written on, by day and by night."""
TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0
"""WCAG 1.4.3 for text, and 1.4.11 for what a button stands out by."""
NIGHT_CONTRAST = 6.0
"""By night a little more: thin light letters swim."""
STEP = 0.05
OURS, OURS_DARK = "#23405c", "#b9d7f2"
OURS_LINK, OURS_LINK_DARK = "#1d4f7c", "#9cc7ee"


@dataclass(frozen=True, slots=True)
class Shades:
    """Colours of buttons (`deed`, and the words on it) and of links, each by day and by night."""

    deed: str
    on_deed: str
    link: str
    dark_deed: str
    on_dark_deed: str
    dark_link: str


HOUSE = Shades(OURS, WHITE, OURS_LINK, OURS_DARK, "#10202f", OURS_LINK_DARK)
"""The colours of who has chosen none."""


@lru_cache(maxsize=256)
def shades(color: str) -> Shades:
    """Give what follows from a product's colour (`#rrggbb`, checked); ours for an empty one."""
    if not color:
        return HOUSE
    dark = _until(color, WHITE, lambda each: contrast(each, DARK_SHEET) >= NIGHT_CONTRAST)
    link = _until(color, NEARLY_BLACK, lambda each: contrast(each, SHEET) >= TEXT_CONTRAST)
    return Shades(color, _on(color), link, dark, _on(dark), dark)


def checked(text: str) -> str:
    """Give a colour in the one way it is written; Refused where buttons in it cannot be read."""
    color = text.strip().lower()
    if not _HEX.fullmatch(color):
        raise Refused("A colour is written as # and six digits", "Write it as #1d4f7c")
    if not _readable(color):
        nearest = _until(color, NEARLY_BLACK, _readable)
        what = f"Buttons in {color} do not stand out enough, or nothing can be read on them"
        raise Refused(what, f"Use a darker one: {nearest} is the nearest that does")
    return color


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, from 1 (none) to 21 (black on white)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _readable(color: str) -> bool:
    stands_out = contrast(color, SHEET) >= SHAPE_CONTRAST
    return stands_out and contrast(color, _on(color)) >= TEXT_CONTRAST


def _on(color: str) -> str:
    """Give what words on a colour are written in."""
    return max(WHITE, NEARLY_BLACK, key=lambda ink: contrast(color, ink))


def _until(color: str, towards: str, fits: Callable[[str], bool]) -> str:
    """Mix a colour with another, step by step, until it fits."""
    for step in range(round(1 / STEP) + 1):
        mixed = _mixed(color, towards, step * STEP)
        if fits(mixed):
            return mixed
    return towards


def _mixed(one: str, other: str, share: float) -> str:
    parts = zip(_parts(one), _parts(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)


def _parts(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    """Give the relative luminance of a colour, from 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(part / 255) for part in _parts(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - WCAG's
