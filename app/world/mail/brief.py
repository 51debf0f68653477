"""What a notice is made of.  Plain data, filled in by the engine, checked here."""

from datetime import date, datetime
from typing import Final

from msgspec import Struct

from app.errors import Refused

NOTICES: Final = (
    "ask",
    "reminder",
    "kept",
    "canceled",
    "suspended",
    "resumed",
    "welcome_back",
    "erasure_warning",
    "erased",
    "apology",
    "fresh_link",
    "data_link",
)

# Only these two come unasked, so only these two can be switched off with one click.
UNASKED: Final = frozenset({"ask", "reminder"})

_CHOICES: Final = {
    "notice": NOTICES,
    "interval": ("day", "week", "month", "year"),
    "without_answer": ("suspend", "cancel_at_period_end", "nothing"),
    "decided_by": ("subscriber", "app", "silence"),
    "reason": ("never_used", "unused", "before_renewal"),
    "stands": ("active", "suspended", "canceled", "ended"),
}


class Brand(Struct, frozen=True):
    """In whose name a notice is written.

    ``key`` is the product's key.  ``reply_to``, ``support_url`` and ``app_url`` may be
    empty; without ``reply_to``, answers go to ``from_address``.  ``color`` is ``#rrggbb`` or
    empty for ours; ``logo`` a small PNG or JPEG, or None.  ``words`` are sentences of the
    product's own, as (notice, language, sentence); see ``own.py`` for what may stand in one.
    """

    key: str
    name: str
    from_address: str
    reply_to: str = ""
    support_url: str = ""
    app_url: str = ""
    color: str = ""
    logo: bytes | None = None
    words: tuple[tuple[str, str, str], ...] = ()


class Brief(Struct, frozen=True, kw_only=True):
    """The facts of one notice to one person.

    Dates are days in the subscriber's own ``timezone`` (IANA); datetimes are aware.
    ``language`` is BCP 47.  ``amount`` counts the currency's ISO 4217 minor units.
    ``message_id`` comes without angle brackets and stays the same when a notice is
    sent again; ``sent_at`` becomes the Date header.  ``answer_by`` is the last day to
    answer; ``erase_on`` the first day on which data may be erased, None when nothing
    is scheduled.  ``charged_on`` are the days of the charges that are made by the end of
    ``answer_by`` unless the person cancels, ``charged_behind`` those of the charges after it
    that may be made before silence counts; both in order.  In ``welcome_back``,
    ``last_used_on`` is the day of the return.

    ``stands`` says how the subscription stands when its data is to be erased, or after a mistake
    was put right (``ended``: canceled, and the time paid is over); ``final`` that no more warnings
    follow; ``keeps`` that the law makes the product keep some of the data; ``fresh_url`` is the
    link, good for an hour, by which somebody confirms that they want to be erased, or sees what is
    held about them; ``owed`` what was charged by mistake and is given back, in minor units.
    """

    notice: str
    to: str
    message_id: str
    sent_at: datetime
    language: str
    timezone: str
    plan: str
    amount: int
    currency: str
    interval: str
    started_on: date
    answer_url: str
    one_click_url: str = ""
    next_charge: datetime | None = None
    last_used_on: date | None = None
    answer_by: date | None = None
    without_answer: str = "suspend"
    erase_on: date | None = None
    paid_until: datetime | None = None
    decided_by: str = "subscriber"
    decided_at: datetime | None = None
    reason: str = "unused"
    charged_on: tuple[date, ...] = ()
    charged_behind: tuple[date, ...] = ()
    stands: str = "suspended"
    final: bool = False
    keeps: bool = False
    owed: int = 0
    erased_on: date | None = None
    fresh_url: str = ""


def check(brief: Brief) -> None:
    """Raise ``Refused`` where a field that picks the wording has a value without words."""
    for field, allowed in _CHOICES.items():
        if getattr(brief, field) not in allowed:
            what = f"A notice cannot be written: its {field} is not one it has words for"
            raise Refused(what, f"Use one of: {', '.join(allowed)}")
