"""Amazon SES, through Amazon SNS: bounces and complaints.

SES gives a mail an id of its own; ours is among the original headers, which the notifications have
to include. Nothing named in a call is ever fetched: neither a certificate, so that SNS's signature
is not looked at (the key in the address is the proof), nor the address that confirms a topic, which
is kept for a person.
"""

import re
from typing import Any

from app.world.returns.parts import addresses_in, ids_in
from app.world.returns.provider import Heard, Provider, document_of, text_in, texts_in
from app.world.returns.report import Report, Unreadable, What

_GAVE_UP = frozenset({"MailboxFull", "MessageTooLarge"})
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "virus", "other"})
_CONFIRMS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
_AMAZON = re.compile(r"https://sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?/\?\S{1,2000}")
_ID = re.compile(r"[A-Za-z0-9-]{1,100}")


def read(body: bytes) -> Heard:
    """Give what a call says, in SNS's envelope or as SES wrote it; others are passed over."""
    envelope = document_of(body)
    kind = text_in(envelope, "Type")
    if kind in _CONFIRMS:
        return _confirmation(envelope)
    if kind == "Notification":
        return _notification(document_of(text_in(envelope, "Message")))
    if kind or not _event(envelope):
        raise Unreadable("no_notification")
    return _notification(envelope)


def _confirmation(envelope: dict[str, Any]) -> Heard:
    """Keep for a person what only a person may open, where it is Amazon's."""
    number = text_in(envelope, "MessageId")
    if not _AMAZON.fullmatch(text_in(envelope, "SubscribeURL")) or not _ID.fullmatch(number):
        raise Unreadable("no_confirmation_of_amazon")
    return Heard(for_operator=number)


def _event(told: dict[str, Any]) -> str:
    return text_in(told, "notificationType") or text_in(told, "eventType")


def _notification(told: dict[str, Any]) -> Heard:
    what = _what(told)
    if what is None:
        return Heard()
    sent_to = addresses_in(*texts_in(told, "mail", "destination"))
    return Heard((Report(what, _ids(told), sent_to),))


def _what(told: dict[str, Any]) -> What | None:
    match _event(told):
        case "Bounce":
            if text_in(told, "bounce", "bounceSubType") in _GAVE_UP:
                return What.GAVE_UP
            final = text_in(told, "bounce", "bounceType") == "Permanent"
            # The others are called transient, and absences are among them.
            return What.BOUNCED if final else What.SOFT
        case "Complaint":
            kind = text_in(told, "complaint", "complaintFeedbackType")
            return What.OTHER if kind in _NO_COMPLAINT else What.COMPLAINED
        case _:
            return None


def _ids(told: dict[str, Any]) -> tuple[str, ...]:
    mail = told.get("mail")
    headers = mail.get("headers") if isinstance(mail, dict) else None
    given = headers if isinstance(headers, list) else []
    named = [each for each in given if text_in(each, "name").lower() == "message-id"]
    return ids_in(
        text_in(told, "mail", "commonHeaders", "messageId"),
        *(text_in(each, "value") for each in named),
    )


PROVIDER = Provider(
    "Amazon SES",
    read,
    {
        "Type": "Notification",
        "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
        "Message": '{"notificationType": "Delivery", "mail": {}}',
    },
)
