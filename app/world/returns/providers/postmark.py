"""Postmark: its bounce and spam complaint webhooks.

Its own MessageID is not ours. Ours comes back in `Metadata`, since notices handed to Postmark carry
it in a header of that purpose, and in the returned mail, where its content is asked for.
"""

from typing import Any

from app.world.returns.parts import LARGEST, ids_in
from app.world.returns.provider import Heard, Provider, document_of, text_in
from app.world.returns.reading import read as read_mail
from app.world.returns.report import Report, Unreadable, What

METADATA = "reconfirm"
_FOR_GOOD = frozenset({"HardBounce", "BadEmailAddress", "ManuallyDeactivated"})
_ABOUT_US = frozenset({"Blocked", "DMARCPolicy", "SpamNotification", "VirusNotification"})
_GAVE_UP = frozenset({"SoftBounce", "DnsError"})
_AUTOMATIC = frozenset({"AutoResponder", "ChallengeVerification", "Subscribe", "Unsubscribe"})


def read(body: bytes) -> Heard:
    """Give what a call says; what is neither bounce nor complaint is passed over."""
    told = document_of(body)
    record, kind = text_in(told, "RecordType"), text_in(told, "Type")
    if record not in ("Bounce", "SpamComplaint"):
        if not record:
            raise Unreadable("no_record_type")
        return Heard()
    what = What.COMPLAINED if "SpamComplaint" in (record, kind) else _what(kind)
    address = text_in(told, "Email")
    return Heard((Report(what, _ids(told), (address,) if "@" in address else ()),))


def _what(kind: str) -> What:
    if kind in _FOR_GOOD:
        return What.BOUNCED
    if kind in _ABOUT_US:
        return What.REFUSED
    if kind in _GAVE_UP:
        return What.GAVE_UP
    return What.AUTOMATIC if kind in _AUTOMATIC else What.SOFT


def _ids(told: dict[str, Any]) -> tuple[str, ...]:
    kept = text_in(told, "Metadata", METADATA)
    ids = ids_in(f"<.{kept}@metadata>") if kept else ()
    content = text_in(told, "Content").encode(errors="replace")[:LARGEST]
    try:
        return (*ids, *read_mail(content).message_ids)
    except Unreadable:
        return ids


PROVIDER = Provider(
    "Postmark",
    read,
    {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Email": "ada@subscribers.example",
        "Metadata": {METADATA: "AAAA.BBBB"},
    },
)
