"""Complaints (RFC 5965): somebody pressed the button that calls a mail junk."""

from email.message import Message

from app.world.returns.parts import addresses_in, blocks, header, ids_in, kind_of, returned, text_of
from app.world.returns.report import Report, What

COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})
"""Others say that it is no junk after all, held a virus, or failed a check of its sender."""


def abuse_parts(message: Message) -> list[Message]:
    """Give the parts of a message that report abuse."""
    return [part for part in message.walk() if kind_of(part) == "feedback-report"]


def read_abuse(message: Message, parts: list[Message]) -> Report:
    """Give what a report of abuse says."""
    told = [block for part in parts for block in blocks(text_of(part))]
    kinds = {header(each, "feedback-type").strip().lower() for each in told}
    given_back = list(returned(message))
    sent_to = [header(each, "to") for each in given_back]
    sent_to += [header(each, "original-rcpt-to") for each in told]
    return Report(
        What.COMPLAINED if kinds & COMPLAINTS else What.OTHER,
        ids_in(*(header(each, "message-id") for each in given_back)),
        addresses_in(*sent_to),
    )
