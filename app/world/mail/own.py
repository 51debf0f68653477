"""What a product may add to its notices: a sentence for each notice and language.

It is text. The placeholders come from a closed list and nothing in it is a template: who writes
it sits at a console, and it reaches people under a promise that it sells nothing. So it is short,
and leads nowhere.
"""

import re
import string
from collections.abc import Iterable, Mapping
from typing import Final

from app import personal
from app.errors import Refused
from app.world.mail.brief import NOTICES
from app.world.mail.draft import cut, languages
from app.world.mail.encode import clean

PLACEHOLDERS: Final = (
    "brand",
    "plan",
    "price",
    "next_charge",
    "last_used_on",
    "answer_by",
    "erase_on",
    "paid_until",
)
LONGEST: Final = 300
_LEADS_AWAY: Final = re.compile(r"://|www\.|mailto:|@\w", re.IGNORECASE)


def checked(notice: str, language: str, text: str) -> str:
    """Return a sentence that may be added to a notice; ``Refused`` says what may not."""
    _one_of("notice", notice, NOTICES)
    _one_of("language", language, languages())
    said = clean(text)
    if not 0 < len(said) <= LONGEST:
        raise Refused(
            f"A sentence of one's own has 1 to {LONGEST} characters", "Write a shorter one"
        )
    if _LEADS_AWAY.search(said):
        raise Refused(
            "A notice leads nowhere but to the answer page and to your help page",
            "Leave the address out; set support_url for a link in each notice",
        )
    found = personal.found_in(said)
    if found is not None:
        raise Refused(f"The sentence holds {found}", "Leave it out")
    if len(cut(said)) > 1:
        raise Refused("The sentence holds a sign that stands for a fact", "Leave it out")
    _check_names(said)
    return said


def _one_of(what: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise Refused(f"There is no {what} {given!r}", f"Use one of: {', '.join(known)}")


def _check_names(text: str) -> None:
    mend = f"Use these, in braces: {', '.join(PLACEHOLDERS)}; write a brace itself as {{{{ or }}}}"
    try:
        pieces = [(name, how, as_) for _, name, how, as_ in string.Formatter().parse(text)]
    except ValueError:
        raise Refused("A brace in the sentence has no partner", mend) from None
    for name, how, as_ in pieces:
        if name is not None and (name not in PLACEHOLDERS or how or as_):
            raise Refused(f"There is no placeholder {name!r}", mend)


def filled(text: str, marks: Mapping[str, object]) -> str:
    """Return a sentence with its placeholders filled; empty where it states what is not given."""
    names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    if not all(marks[name] for name in names):
        return ""
    return text.format_map({name: str(marks[name]) for name in names})


def sentence(words: Iterable[tuple[str, str, str]], notice: str, language: str) -> str:
    """Return what a product adds to a notice in a language; empty where it adds nothing."""
    return next((text for n, lang, text in words if (n, lang) == (notice, language)), "")
