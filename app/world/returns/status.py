"""Delivery reports (RFC 3464): what failed, and whether for good.

For good are states of class 5, but for a mailbox that is full and what else passes: then somebody
gave up on this notice, and the address is as good as ever. Some of class 5 are about us (5.7.x:
spam, policy, reputation): the notice did not arrive, and nothing is wrong with the mailbox. A
report of several recipients is judged by the one we wrote to; where that cannot be told, whoever
got it outweighs whoever did not.
"""

import re
from email.message import Message

from app.world.returns.parts import addresses_in, blocks, header, ids_in, kind_of, returned, text_of
from app.world.returns.report import Report, What

KINDS = frozenset({"delivery-status", "global-delivery-status"})
PASSING = frozenset({"5.2.2", "5.3.1", "5.4.5", "5.4.7"})
"""States of class 5 that pass: mailbox full, system full, congested, out of time."""
ABOUT_US = re.compile(r"5\.(?:1\.[78]|2\.3|3\.4|6\.\d+|7\.\d+)")
"""States about the sender, the size, the content, or the policy of the other side."""
FULL = re.compile(
    r"quota|(?:mail)?box (?:is |has been )?(?:full|exceed)|exceed\w* (?:\w+ )?(?:storage|limit)"
    r"|insufficient (?:\w+ )?(?:storage|space)|not enough (?:storage|space)|inbox is full"
    r"|account is full|over ?storage",
    re.IGNORECASE,
)
STATE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?:^|[;\s:(-])([245])\d\d(?=[\s-])")
_GONE_ON = ("delivered", "relayed", "expanded")
_FAILED = ("fail", "error")
_BY_WEIGHT = (What.BOUNCED, What.REFUSED, What.GAVE_UP)
_THEIR_IDS = ("x-original-message-id", "original-message-id")


def status_parts(message: Message) -> list[Message]:
    """Give the parts of a message that report deliveries."""
    return [part for part in message.walk() if kind_of(part) in KINDS]


def read_status(message: Message, parts: list[Message]) -> Report:
    """Give what a delivery report says."""
    told = [block for part in parts for block in blocks(text_of(part))]
    given_back = list(returned(message))
    wrote_to = addresses_in(*(header(each, "to") for each in given_back))
    recipients = [block for block in told if block.get("action")]
    ours = [block for block in recipients if _is_to(block, wrote_to)] or recipients
    originals = (header(each, "original-recipient").partition(";")[2] for each in ours)
    return Report(
        _judged(ours),
        _ids(message, told, given_back),
        wrote_to or addresses_in(*originals),
    )


def failure(state: str, words: str) -> What:
    """Say what a failure comes to, by its state (5.1.1) and what the other side said."""
    if FULL.search(words):
        return What.GAVE_UP
    found = STATE.search(state)
    if found is None or found[0] == "5.0.0":
        found = STATE.search(words)
    if found is None:
        code = _CODE.search(words)
        return What.GAVE_UP if code is not None and code[1] == "4" else What.BOUNCED
    if found[1] != "5" or found[0] in PASSING:
        return What.GAVE_UP
    return What.REFUSED if ABOUT_US.fullmatch(found[0]) else What.BOUNCED


def _judged(recipients: list[Message]) -> What:
    actions = [header(each, "action").strip().lower() for each in recipients]
    if any(each.startswith(_GONE_ON) for each in actions):
        return What.ARRIVED
    failed = [
        each for each, action in zip(recipients, actions, strict=True) if action.startswith(_FAILED)
    ]
    found = {failure(header(each, "status"), header(each, "diagnostic-code")) for each in failed}
    weightiest = next((each for each in _BY_WEIGHT if each in found), What.SOFT)
    return weightiest if actions else What.OTHER


def _is_to(block: Message, wrote_to: tuple[str, ...]) -> bool:
    names = ("original-recipient", "final-recipient")
    told = (header(block, name).rpartition(";")[2] for name in names)
    known = {each.lower() for each in wrote_to}
    return any(each.lower() in known for each in addresses_in(*told))


def _ids(message: Message, told: list[Message], given_back: list[Message]) -> tuple[str, ...]:
    """Give the ids the notice may have had: as given back, as told, as the report answers to."""
    texts = [header(each, "message-id") for each in given_back]
    texts += [header(each, name) for each in told for name in _THEIR_IDS]
    return ids_in(*texts, header(message, "in-reply-to"), header(message, "references"))
