"""What a careful reader of German, Spanish, Italian or English would mark in the margin."""

import re
from typing import Final

from tests.app.world.mail import french

EVERYWHERE: Final = (
    r"['\"]",  # typewriter signs
    r"\.\.\.",
    r"\s{2}",
    r"\s-\s",  # a hyphen is no dash
    r"\(\s|\s\)",
    r"(?<!\w)[,;](?=\w)",
)
CLOSE: Final = r"\s[.,;:?!]"  # no blank before these, except in French
MONTHS: Final = (
    "gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre"
)
SLIPS: Final = {
    "en": (CLOSE,),
    "de": (
        CLOSE,
        r"(?i)\babonnements?\b",  # always "Abo"
        r"\b(?:[Dd]u|[Dd]ich|[Dd]ir|[Dd]eine?\w?)\b",  # always "Sie"
        r"(?<!, )\b(?:von|in|an|zu|bei) dem\b",  # vom, im, am, zum, beim
        r"\b\d{1,2}\.(?=[A-Z])",  # a blank between the day and its month
        r"\d\u20ac",
    ),
    "es": (
        CLOSE,
        r"^[^\u00bf]*\?",  # every question is opened
        r"^[^\u00a1]*!",
        r"\b(?:de|a) el\b",  # del, al
        r"(?i)\b(?:t\u00fa|tus?|contigo|tuy[oa]s?)\b",  # always "usted"
        r"(?i)\bdarse? de baja\b",  # always "cancelar"
        r"\ba las 1:",  # a la 1:05, or 01:05 h
    ),
    "it": (
        CLOSE,
        r"\b(?:il|al|dal|del|nel|[Ll]o|all|dall|dell|nell|l)[ \u2019](?=\d)",  # l'8, il 3
        r"\b(?:di|a|da|in|su) (?:il|i)\b",  # del, al, dal, nel, sul
        r"(?i)\b(?:tu|tu[oai]|tuoi|te)\b",  # always "lei"
        rf"\b1 (?:{MONTHS})\b",  # the first of a month is 1º
        r"\balle \d",  # "all'1:05": hours follow "alle ore"
        r"\bE\u2019(?=\s)|(?i:\bperch\u00e8\b|\bp\u00f2\b)",
    ),
    "fr": (
        r"\b(?:de|\u00e0) les? (?=\d|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)",
        r"(?i)\b(?:tu|toi|ton|tes)\b",
    ),
}
_ADDRESS: Final = re.compile(r"\[[^\]]*\]\(https?://\S+?\)|https?://\S+")


def slips(language: str, text: str) -> list[str]:
    """Give every slip in one line of a text, with a little of what stands around it."""
    bare = _ADDRESS.sub("\u2026", text).strip()
    wanted = (*EVERYWHERE, *SLIPS[language])
    found = [match for slip in wanted for match in re.finditer(slip, bare)]
    seen = [bare[max(match.start() - 25, 0) : match.end() + 15] for match in found]
    return seen + (french.slips(bare) if language == "fr" else [])
