"""French as it is set in type: what a careful reader would mark in the margin."""

import re

MONTHS = (
    "janvier|f\u00e9vrier|mars|avril|mai|juin"
    "|juillet|ao\u00fbt|septembre|octobre|novembre|d\u00e9cembre"
)
UNBROKEN = "[\u00a0\u202f]"
SLIPS = (
    rf"(?<!{UNBROKEN})[?!;\u00bb]",  # the blank before these must not break
    rf"(?<!{UNBROKEN})(?<!\d):",  # nor before a colon
    rf"\u00ab(?!{UNBROKEN})",  # nor inside quotation marks
    rf"{UNBROKEN}(?![?!;:\u00bb\u20ac$h\d]|[A-Z\u00a3])",  # and stands nowhere else
    r"\d [\u20ac$\u00a3]",  # nor between an amount and its currency
    r"['\"]|\.\.\.",  # typewriter signs
    rf"\b1 (?:{MONTHS})\b",  # the first of a month is \u00ab 1er \u00bb
)


def slips(text: str) -> list[str]:
    """Give every slip of type in a text, with a little of what stands around it."""
    bare = re.sub(r"https?://\S+", "", text)
    found = [match for slip in SLIPS for match in re.finditer(slip, bare)]
    return [bare[max(match.start() - 20, 0) : match.end() + 10] for match in found]
