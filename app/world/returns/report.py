"""What a report says, in our own words."""

from enum import StrEnum

from msgspec import Struct


class What(StrEnum):
    """What has come back.

    `bounced`: for good, since there is no such mailbox; `refused`: for good, because of us (what we
    sent, or what is thought of us); `gave_up`: is not tried any more, though another day it may
    have arrived, such as for a full mailbox; `soft`: may arrive yet; `arrived`: told that it did;
    `automatic`: an absence, a receipt, whatever a program answers; `other`: no report at all.
    """

    BOUNCED = "bounced"
    REFUSED = "refused"
    COMPLAINED = "complained"
    GAVE_UP = "gave_up"
    SOFT = "soft"
    ARRIVED = "arrived"
    AUTOMATIC = "automatic"
    OTHER = "other"


class Report(Struct, frozen=True):
    """One report.

    `message_ids` are the ones that the returned notice may have had, the likeliest first;
    `recipients` the addresses that it was sent to, where the report says so. Neither is proved.
    """

    what: What
    message_ids: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()


class Unreadable(Exception):
    """What came cannot be read; `why` is a code, and holds nothing of what came."""

    def __init__(self, why: str) -> None:
        """Keep the code."""
        super().__init__(why)
        self.why = why
