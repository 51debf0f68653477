"""What a notice said, kept so that it can be shown again exactly, whatever changes meanwhile.

Kept are the finished words with marks in place of facts (a wording, the same for all who got it)
and the facts as they were written. Putting the one into the other needs neither the templates of
then nor the libraries that read them. Address, links and tokens are left out.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final

import jinja2
from jinja2 import meta
from msgspec import Raw, Struct
from msgspec.json import encode

from app.world.mail.brief import Brand, Brief
from app.world.mail.compose import Composer
from app.world.mail.draft import Draft, put_in, source, tongue
from app.world.mail.facts import Told, facts

LINK: Final = "[link]"
"""What stands where the person's own link stood: whoever has it may answer for them."""
LEFT_OUT: Final = frozenset(
    {
        "notice",
        "to",
        "message_id",
        "answer_url",
        "one_click_url",
        "fresh_url",
    }
)
"""What is not kept of a brief: who it went to, links, and what the row itself says."""
_NEEDED: Final = frozenset(Brief.__struct_fields__[: -len(Brief.__struct_defaults__)])
_KEPT: Final = tuple(
    (name, None if name in _NEEDED else default)
    for name, default in zip(
        Brief.__struct_fields__,
        (*[None] * len(_NEEDED), *Brief.__struct_defaults__),
        strict=True,
    )
    if name not in LEFT_OUT
)
_DIGEST: Final = 16


class Wording(Struct, frozen=True):
    """The words of a notice with marks in place of facts, and a digest of the files they are of."""

    digest: bytes
    notice: str
    language: str
    templates: bytes
    draft: Draft


class Said(Struct, frozen=True):
    """What one person is told: a wording, the facts, and how those are written in it, as JSON."""

    wording: Wording
    facts: Raw
    told: Raw


class Recorder(Composer):
    """Writes notices, and says what they say."""

    def record(self, brand: Brand, brief: Brief) -> Said:
        """Return what ``compose`` puts into words; about as fast; raises what that does."""
        spoken = tongue(brief.language)
        told = facts(brief, spoken.locale)
        draft = self._skeleton(brand, brief, spoken, told).draft
        return Said(_wording(draft, brief.notice, spoken.folder), _facts(brief), _told(told))


def again(draft: Draft, told: Sequence[str]) -> Draft:
    """Return the subject, text and HTML of a notice from its wording and what was told."""
    return put_in(draft, told)


def same_templates(folder: str, notice: str, digest: bytes) -> bool:
    """Return whether the files that made a wording are still the same; not so where one is gone."""
    try:
        return templates(folder, notice) == digest
    except FileNotFoundError:
        return False


@lru_cache(maxsize=1024)
def _wording(draft: Draft, notice: str, folder: str) -> Wording:
    """Return a wording by the draft that the composer keeps."""
    files = templates(folder, notice)
    digest = blake2b(digest_size=_DIGEST)
    for part in (notice, folder, *draft):
        digest.update(part.encode())
        digest.update(b"\0")
    digest.update(files)
    return Wording(digest.digest(), notice, folder, files, draft)


@cache
def templates(folder: str, notice: str) -> bytes:
    """Return a digest of the files that make a notice in a language, as they are now."""
    digest = blake2b(digest_size=_DIGEST)
    for name in sorted(_files(folder, notice)):
        digest.update(f"{name}\0{source(name)}\0".encode())
    return digest.digest()


def _files(folder: str, notice: str) -> set[str]:
    """Return the names of the files that make a notice: its own, and those they draw on."""
    found, left = {"layout.html"}, [f"{notice}.md", "_footer.md"]
    while left:
        name = left.pop()
        if f"{folder}/{name}" not in found:
            found.add(f"{folder}/{name}")
            parsed = jinja2.Environment(autoescape=True).parse(source(f"{folder}/{name}"))
            left += [each for each in meta.find_referenced_templates(parsed) if each]
    return found


def _facts(brief: Brief) -> Raw:
    """Return what is kept of a brief, as JSON; what has its usual value is not repeated."""
    kept = {name: value for name, usual in _KEPT if (value := getattr(brief, name)) != usual}
    return Raw(encode(kept))


def _told(told: Told) -> Raw:
    """Return how the facts are written, in the order of their marks, without links."""
    words = [LINK if each.startswith(("https://", "http://")) else each for each in told.raws]
    while words and not words[-1]:
        words.pop()
    return Raw(encode(words))
