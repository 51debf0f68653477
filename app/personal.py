"""Recognizes what must never be kept: card numbers, bank accounts and national ids.

A regulator fined a shop for card numbers in its comment field. Fields that are no free text are
checked all the same, because people paste what they have at hand.
"""

import re

_DIGITS = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_NATIONAL = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")


def found_in(text: str) -> str | None:
    """Name what `text` holds that must not be kept; None where it holds nothing of the kind."""
    if any(_luhn(re.sub(r"\D", "", match[0])) for match in _DIGITS.finditer(text)):
        return "a card number"
    if any(_iban(match[0].replace(" ", "")) for match in _IBAN.finditer(text)):
        return "a bank account"
    return "a national id" if _NATIONAL.search(text) else None


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004 - Luhn's own


def _iban(text: str) -> bool:
    moved = text[4:] + text[:4]
    return int("".join(str(int(mark, 36)) for mark in moved)) % 97 == 1
