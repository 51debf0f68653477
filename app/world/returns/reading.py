"""One message: which kind of report it is, and what it says."""

from email.message import Message

from app.world.returns.abuse import abuse_parts, read_abuse
from app.world.returns.parts import header, kind_of, taken_apart
from app.world.returns.report import Report, Unreadable, What
from app.world.returns.status import read_status, status_parts
from app.world.returns.wording import MOST_WORDS, read_wording, written_by_a_mail_system

AUTOMATIC = Report(What.AUTOMATIC)
_ANSWERS = ("x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-reply")
_PRECEDENCES = frozenset({"auto_reply", "auto-reply", "bulk", "junk", "list"})


def read(raw: bytes) -> Report:
    """Give what one message says; Unreadable where it cannot be read, and nothing else is raised.

    A report in parts is believed by its parts: mail systems mark reports as automatic answers too.
    """
    message = taken_apart(raw)
    try:
        return _read(message, raw)
    except Exception:  # noqa: BLE001 - a stranger's bytes: nothing in them may stop the others
        raise Unreadable("malformed") from None


def _read(message: Message, raw: bytes) -> Report:
    complaints = abuse_parts(message)
    if complaints:
        return read_abuse(message, complaints)
    deliveries = status_parts(message)
    if deliveries:
        return read_status(message, deliveries)
    if _is_a_receipt(message):
        return AUTOMATIC
    if written_by_a_mail_system(message):
        return read_wording(taken_apart(raw[:MOST_WORDS]))
    return AUTOMATIC if _answers_by_itself(message) else Report(What.OTHER)


def _is_a_receipt(message: Message) -> bool:
    """Say whether somebody's mail program tells that the notice was shown (RFC 8098)."""
    return any(kind_of(part) == "disposition-notification" for part in message.walk())


def _answers_by_itself(message: Message) -> bool:
    said = header(message, "auto-submitted").partition(";")[0].strip().lower()
    if said not in ("", "no") or any(message.get(name) for name in _ANSWERS):
        return True
    return header(message, "precedence").strip().lower() in _PRECEDENCES
