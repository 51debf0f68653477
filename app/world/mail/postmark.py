"""Headers that Postmark keeps for itself: with them its webhooks name our notice.

Without the first it gives every mail a Message-ID of its own; the second comes back as `Metadata`,
and has what is signed of ours: the readable kind before it would make it too long.
"""

import re
from typing import Final

from app.world.mail.smtp import Smtp
from app.world.outcome import Outcome

HOSTS: Final = ("smtp.postmarkapp.com", "smtp-broadcasts.postmarkapp.com")
LONGEST: Final = 80
"""Characters that a value of its metadata may have."""
_ID: Final = re.compile(rb"^Message-ID: <[a-z-]*\.([^<>@\s]+)@", re.IGNORECASE | re.MULTILINE)


def marked(message: bytes) -> bytes:
    """Return a message with Postmark's headers before its own."""
    found = _ID.search(message.partition(b"\r\n\r\n")[0])
    if found is None:
        return message
    kept = b"X-PM-KeepID: true\r\n"
    if len(found[1]) <= LONGEST:
        kept += b"X-PM-Metadata-reconfirm: " + found[1] + b"\r\n"
    return kept + message


class Postmark(Smtp):
    """Postmark's relay: each message goes with the headers above."""

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:
        """Hand over one message, marked."""
        return super().send(envelope_from, to, marked(message))
