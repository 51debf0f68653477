"""Recognizes what must never be kept: card numbers, bank accounts and national ids.

A regulator fined a shop for card numbers in its comment field. Fields that are no free text are
checked all the same, because people paste what they have at hand.
"""

import re

_DIGITS = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_NATIONAL = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
# One escape of JSON at a time, so that a backslash that is itself escaped begins none.
_ESCAPE = re.compile(r"\\(?:u00(2[0dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aA])|.)", re.DOTALL)
# What stands behind an escape begins anew: the n of a line's end is no letter before a number.
_ANY_ESCAPE = re.compile(r"(\\(?:u[0-9a-fA-F]{4}|.))", re.DOTALL)


def found_in(text: str) -> str | None:
    """Name what `text` holds that must not be kept; None where it holds nothing of the kind."""
    if any(_luhn_of(match[0]) for match in _DIGITS.finditer(text)):
        return "a card number"
    if any(_iban_of(match[0]) for match in _IBAN.finditer(text)):
        return "a bank account"
    return "a national id" if _NATIONAL.search(text) else None


def masked(text: str) -> str:
    """Give `text` with nothing left in it that `found_in` would name; JSON stays JSON.

    Digits become nines, which are neither a card number nor a national id at any length looked
    for, and a bank account's letters become X. What is hidden behind JSON's escapes is found too.
    """
    pieces = _ANY_ESCAPE.split(_ESCAPE.sub(_unescaped, text) if "\\u00" in text else text)
    # Once as JSON reads it, and once more as it stands there: either may be what is looked at.
    return _masked_piece("".join(_masked_piece(each) for each in pieces))


def _masked_piece(text: str) -> str:
    text = _DIGITS.sub(lambda found: _nines(found[0]) if _luhn_of(found[0]) else found[0], text)
    text = _IBAN.sub(lambda found: _crossed(found[0]) if _iban_of(found[0]) else found[0], text)
    return _NATIONAL.sub(lambda found: _nines(found[0]), text)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else found[0]


def _nines(text: str) -> str:
    return re.sub(r"\d", "9", text)


def _crossed(text: str) -> str:
    return re.sub(r"\w", "X", text)


def _luhn_of(text: str) -> bool:
    return _luhn(re.sub(r"\D", "", text))


def _iban_of(text: str) -> bool:
    return _iban(text.replace(" ", ""))


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004 - Luhn's own


def _iban(text: str) -> bool:
    moved = text[4:] + text[:4]
    return int("".join(str(int(mark, 36)) for mark in moved)) % 97 == 1
