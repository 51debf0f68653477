"""From a brand and a brief to the finished message."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Final

from app.colors import shades
from app.world.mail import own, skeleton
from app.world.mail.address import on_the_wire
from app.world.mail.brief import UNASKED, Brand, Brief, check
from app.world.mail.draft import Absent, Draft, Look, Tongue, draft, mark, put_in, tongue
from app.world.mail.encode import token, web
from app.world.mail.facts import (
    BRAND_FACTS,
    CHOICES,
    COUNTED,
    FACTS,
    FORMS,
    Told,
    brand_facts,
    facts,
)
from app.world.mail.logo import CONTENT_ID
from app.world.mail.skeleton import Skeleton

Wording = tuple[object, ...]

# A house has a few brands with a few dozen wordings each, of some 8 KB.  Beyond this,
# brands are being edited; starting over costs 10 ms a wording.
_MOST_BRANDS: Final = 256


class Composer:
    """Writes notices; keeps what it has built, so one per process is enough.

    Threads may share it: two that need the same new wording build it twice, and one is kept.
    """

    def __init__(self) -> None:
        """Start with nothing built."""
        self._built: dict[Brand, dict[Wording, Skeleton]] = {}
        # Mails come in batches of one brand; hashing it for each would be a tenth of the work.
        self._latest: tuple[Brand | None, dict[Wording, Skeleton]] = (None, {})

    def compose(self, brand: Brand, brief: Brief) -> bytes:
        """Return the message, CRLF throughout.

        Raises ``Refused`` when the brief lacks a fact that its notice states, or holds
        a malformed address, id, link or time zone.  The error names no person.
        """
        spoken = tongue(brief.language)
        told = facts(brief, spoken.locale)
        headers = (
            on_the_wire(brief.to).encode(),
            token(brief.message_id),
            _date(brief.sent_at),
            web(brief.one_click_url).encode() if brief.notice in UNASKED else b"",
        )
        return self._skeleton(brand, brief, spoken, told).fill(headers, told)

    def preview(self, brand: Brand, brief: Brief) -> Draft:
        """Return subject, text and HTML of the same message, for people to look at."""
        spoken = tongue(brief.language)
        told = facts(brief, spoken.locale)
        return put_in(self._skeleton(brand, brief, spoken, told).draft, told.raws)

    def _skeleton(self, brand: Brand, brief: Brief, spoken: Tongue, told: Told) -> Skeleton:
        """Return the skeleton for the wording that these facts pick."""
        latest, wordings = self._latest
        if latest is not brand:
            wordings = self._of(brand)
        wording = (
            brief.notice,
            spoken.tag,
            *(getattr(brief, name) for name in CHOICES),
            told.counts,
            *map(bool, told.forms[::FORMS]),
        )
        found = wordings.get(wording)
        if found is None:
            found = wordings.setdefault(wording, _build(brand, brief, spoken, told))
        return found

    def _of(self, brand: Brand) -> dict[Wording, Skeleton]:
        """Return the wordings of a brand, making room for a new one."""
        if brand not in self._built and len(self._built) >= _MOST_BRANDS:
            self._built.clear()
        wordings = self._built.setdefault(brand, {})
        self._latest = (brand, wordings)
        return wordings


def _build(brand: Brand, brief: Brief, spoken: Tongue, told: Told) -> Skeleton:
    """Return a new skeleton."""
    check(brief)
    ours = brand_facts(brand)
    context = _context(brief, told, ours)
    written = draft(brief.notice, spoken, context, _look(brand, brief.notice, spoken, context))
    # What the brand says of itself is settled now; the marks of the person's facts stay.
    settled = put_in(written, [*map(mark, range(len(FACTS))), *ours])
    return skeleton.build(brand, brief.notice, spoken, settled)


def _look(brand: Brand, notice: str, spoken: Tongue, context: Mapping[str, Any]) -> Look:
    """Return how a notice of a product looks, and what the product adds to it."""
    added = own.sentence(brand.words, notice, spoken.folder)
    logo = CONTENT_ID if brand.logo else ""
    return Look(shades(brand.color), logo, own.filled(added, context))


def _context(brief: Brief, told: Told, ours: tuple[str, ...]) -> dict[str, Any]:
    """Return what templates may use: marks of given facts, and what picks the wording."""
    names, values = (*FACTS, *BRAND_FACTS), (*told.raws, *ours)
    marks = {
        name: mark(at) if value else Absent(name)
        for at, (name, value) in enumerate(zip(names, values, strict=True))
    }
    choices = {name: getattr(brief, name) for name in CHOICES}
    return marks | choices | dict(zip(COUNTED, told.counts, strict=True))


@lru_cache(maxsize=1024)
def _date(at: datetime) -> bytes:
    """Return an aware time as a Date header has it."""
    return format_datetime(at).encode("ascii")
