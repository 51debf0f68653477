"""Reports in words only, as qmail, Exim, old Exchange and many others write them.

Whether the words tell of a failure for good is known by flufl.bounce, which Mailman lives by; which
notice it was, by the headers that the report gives back as text.
"""

import logging
import re
from email.message import Message

from flufl.bounce import all_failures

from app.world.returns.parts import addresses_in, fields, header, ids_in, text_of
from app.world.returns.report import Report, What
from app.world.returns.status import failure

# It logs the message with whatever it stumbles over.
logging.getLogger("flufl.bounce").disabled = True

_DAEMON = re.compile(
    r"mailer-?daemon|postmaster|mdaemon|mail-?daemon|system administrator|mail delivery"
    r"|mail system|returned mail",
    re.IGNORECASE,
)
_OURS = re.compile(r"^[> \t]*message-id:", re.IGNORECASE | re.MULTILINE)
_QUOTED = re.compile(r"^[> \t]+(?=[\w-]+:)", re.MULTILINE)
_NEAR = 20_000
"""How many characters around a Message-ID may be headers of the same message."""
MOST_WORDS = 64 * 1024
"""How much of a message is looked at for words: reports speak at their beginning."""


def written_by_a_mail_system(message: Message) -> bool:
    """Say whether a message claims to come from a mail system and from no person."""
    return bool(message.get("x-failed-recipients") or _DAEMON.search(header(message, "from")))


def read_wording(message: Message) -> Report:
    """Give what a report in words says; `other` where its words are not known."""
    texts = [text_of(part) for part in message.walk()]
    try:
        delayed, failed = all_failures(message)
    except Exception:  # noqa: BLE001 - whatever a stranger's words make of the detectors
        delayed, failed = frozenset(), frozenset()
    given_back = [block for text in texts for block in _headers_in(text)]
    ids = ids_in(*(header(each, "message-id") for each in given_back))
    wrote_to = addresses_in(*(header(each, "to") for each in given_back))
    if not failed:
        return Report(What.SOFT if delayed else What.OTHER, ids, wrote_to)
    said = "\n".join(_before_the_mail(text) for text in texts)
    return Report(failure("", said), ids, wrote_to)


def _headers_in(text: str) -> list[Message]:
    """Give the headers around each Message-ID that a text has at the beginning of a line."""
    found = []
    for place in list(_OURS.finditer(text))[:4]:
        before = text[max(0, place.start() - _NEAR) : place.start()].replace("\r\n", "\n")
        behind = text[place.start() : place.start() + _NEAR].replace("\r\n", "\n")
        block = before.rpartition("\n\n")[2] + behind.partition("\n\n")[0]
        found.append(fields(_QUOTED.sub("", block) if block.startswith((">", " ")) else block))
    return found


def _before_the_mail(text: str) -> str:
    """Give what a text says before it gives the mail back, which may hold any word."""
    place = _OURS.search(text)
    if place is None:
        return text
    said = text[: place.start()].replace("\r\n", "\n")
    return said.rpartition("\n\n")[0]
