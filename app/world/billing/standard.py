"""Any billing system that takes signed messages: Standard Webhooks, both ways.

Out: the commands `billing.suspend`, `billing.resume` and `billing.cancel` go to the one endpoint of
the product that wants them. The message id is the order's key and the body the same on every try,
so a receiver that remembers ids acts once. A 2xx says that it is done; its answer may say until
when the time already paid lasts: `{"paid_until": "2026-10-01T00:00:00Z"}`. What comes back by
itself, `subscription.paused`, `resumed` or `canceled`, is how an unknown outcome is read.

    {"type": "billing.suspend", "timestamp": "…", "data": {"subscription": "sub_1"}}

To end a subscription at once and for good, before its data is erased, `billing.cancel` says so:

    {"type": "billing.cancel", "timestamp": "…", "data": {"subscription": "sub_1", "at_once": true}}

In: the messages `subscription.*`. The subscription in `data` has the fields of the import file.
What may also stand in an object `customer` (its id, and email, locale, country, timezone) counts
where the field itself is missing, null or empty. The type decides the status: `canceled` is
canceled whatever `status` says.

`dispute.opened` and `dispute.closed` tell of a charge that the bank took back, or asks about:

    {"type": "dispute.opened", "timestamp": "…", "data": {"id": "dp_1", "subscription": "sub_1"}}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app import rows, signing
from app.errors import Refused
from app.rows import Facts, RowRefused
from app.world.connector import (
    PAID_UNTIL,
    Capabilities,
    Dispute,
    Event,
    Order,
    Site,
    Standing,
    System,
    TellsNothing,
)
from app.world.document import Unreadable, parsed
from app.world.hooks import Answer, Message, Sender
from app.world.outcome import Done, Later, No, Outcome

AGAIN = frozenset({408, 425, 429, 503})
"""Answers that say that nothing was done, and that it may be later."""
SERVER_ERROR = 500
ONE_WAY = Capabilities(asked=False, lists=False, charges=False, refunds=False)
"""What takes commands and answers no questions."""
CAN = "can"
"""The setting by which a product says what its billing system can do."""
AHEAD = timedelta(minutes=5)
"""How far the sender's clock may be ahead of ours."""
ALIVE = ("active", "trialing", "past_due")
STATUSES: Mapping[str, tuple[str, ...]] = {
    "subscription.created": (),
    "subscription.updated": (),
    "subscription.canceled": ("canceled",),
    "subscription.paused": ("paused",),
    "subscription.resumed": ALIVE,
}
"""The events, and the statuses each allows: any other in `data` becomes the first of them."""
DISPUTES: Mapping[str, bool] = {"dispute.opened": False, "dispute.closed": True}
"""The messages of disputes, and whether each says that one has ended."""
LONGEST_ID = 200
NESTED = ("email", "locale", "country", "timezone")
LONGEST_TYPE = 100
CANCEL, END = "cancel", "end"


# --- commands out ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standard(TellsNothing):
    """The connector to the endpoint of one product, made anew for each batch."""

    sender: Sender
    url: str
    secrets: Sequence[str]
    capabilities: Capabilities = ONE_WAY

    def carry_out(self, order: Order) -> Outcome:
        """Send the command and say what its answer means.

        Unknown where no answer came, and after an error of the server, which may have done it
        first. Any other answer but a 2xx is a no, and so is what it has no means for.
        """
        if order.act not in self.capabilities.acts:
            return No(f"cannot {order.act}")
        answer = self.sender.send(self.url, self.secrets, Message(order.key, _body(order)))
        if answer.status is None:
            return answer.outcome
        if isinstance(answer.outcome, Done):
            return Done(_detail(answer.body))
        return _refused(answer, answer.status)

    def read(self, order: Order) -> Standing | None:
        """Give what billing has told since the order was due: it cannot be asked."""
        return order.told


def _refused(answer: Answer, status: int) -> Outcome:
    if status in AGAIN or status >= SERVER_ERROR:
        later = answer.outcome if isinstance(answer.outcome, Later) else Later(f"http {status}")
        return replace(later, unknown=status not in AGAIN)
    return No(f"http {status}")


def _body(order: Order) -> bytes:
    at = (order.since or order.at).astimezone(UTC).isoformat().replace("+00:00", "Z")
    data: dict[str, Any] = {"subscription": order.subscription}
    if order.act == END:
        data["at_once"] = True
    act = CANCEL if order.act == END else order.act
    command = {"type": f"billing.{act}", "timestamp": at, "data": data}
    return json.dumps(command, ensure_ascii=False, separators=(",", ":")).encode()


def _detail(body: bytes) -> dict[str, str] | None:
    """Read what the answer says; one that cannot be read says nothing, for it was a yes."""
    try:
        said = json.loads(body)
        moment = datetime.fromisoformat(said[PAID_UNTIL])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return None if moment.tzinfo is None else {PAID_UNTIL: moment.isoformat()}


# --- messages in -----------------------------------------------------------------------------


def read(body: bytes, now: datetime) -> Event:
    """Read a body whose signature fits; nothing that it may hold raises anything."""
    event = Event()
    try:
        document = parsed(body)
        event = Event(_type(document))
        if event.type not in STATUSES and event.type not in DISPUTES:
            return event
        event = replace(event, at=_moment(document.get("timestamp"), now))
        if event.type in DISPUTES:
            return replace(event, dispute=_dispute(str(event.type), document.get("data")))
        return replace(event, facts=_facts(event, document.get("data")))
    except Unreadable as unreadable:
        return replace(event, wrong=str(unreadable))
    except RowRefused as refused:
        return replace(event, wrong=f"data.{refused.plain}")


# --- the envelope --------------------------------------------------------------------------


def _type(document: Mapping[str, Any]) -> str:
    found = document.get("type")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_TYPE or not _is_name(found):
        raise Unreadable("type is no name of an event: write subscription.updated")
    return found


def _is_name(text: str) -> bool:
    return text.isascii() and text.replace(".", "").replace("_", "").replace("-", "").isalnum()


def _moment(given: Any, now: datetime) -> datetime:
    if not isinstance(given, str):
        raise Unreadable("timestamp is missing: say when it was so, as 2026-09-08T00:00:00Z")
    try:
        found = rows.moment("timestamp", given)
    except RowRefused as refused:
        raise Unreadable(refused.plain) from None
    if found > now + AHEAD:
        raise Unreadable("timestamp lies in the future: set the clock of the sender, send again")
    return found


# --- the subscription ------------------------------------------------------------------------


def _facts(event: Event, data: Any) -> Facts:
    if not isinstance(data, dict):
        raise Unreadable("data is missing: put the subscription there, as an object")
    fields = {name: _text(name, data.get(name)) for name in rows.REQUIRED}
    fields["customer"] = _customer(fields, data.get("customer"))
    allowed = STATUSES[str(event.type)]
    if allowed and fields["status"] not in allowed:
        fields["status"] = allowed[0]
    return rows.read(fields, event.at)


def _customer(fields: dict[str, str], given: Any) -> str:
    """Give the customer's id; an object of theirs fills what the subscription does not say."""
    if not isinstance(given, dict):
        return _text("customer", given)
    for name in NESTED:
        fields[name] = fields[name] or _text(name, given.get(name), f"customer.{name}")
    return _text("id", given.get("id"), "customer.id")


def _text(name: str, given: Any, path: str = "") -> str:
    """Give a field as the import file has it: text, or the digits of an amount."""
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    if name == "amount" and isinstance(given, int) and not isinstance(given, bool):
        return _digits(given)
    mend = "write a whole number or its digits" if name == "amount" else "write it as text"
    raise Unreadable(f"data.{path or name} is of another kind: {mend}")


def _digits(number: int) -> str:
    """Give an amount's digits; one too large for a file is written as one that is refused."""
    return str(number) if abs(number) <= rows.MOST else str(rows.MOST + 1)


# --- the dispute -----------------------------------------------------------------------------


def _dispute(kind: str, data: Any) -> Dispute:
    if not isinstance(data, dict):
        raise Unreadable("data is missing: put the dispute there, as an object")
    ended = DISPUTES[kind]
    named = None if ended and data.get("subscription") is None else _name("subscription", data)
    return Dispute(_name("id", data), named, ended=ended)


def _name(field: str, data: Mapping[str, Any]) -> str:
    found = data.get(field)
    if isinstance(found, str) and found.isprintable() and 0 < len(found) <= LONGEST_ID:
        return found
    raise Unreadable(f"data.{field} is no id: write the one that billing knows it by, as text")


# --- the system --------------------------------------------------------------------------------


def _connect(site: Site) -> Standard:
    """Connect to the endpoint that takes the product's commands."""
    if site.commands is None:
        raise Refused(
            f"{site.product} has no endpoint that takes commands for billing",
            f"run `reconfirm endpoint add {site.product} URL --type billing`",
        )
    url, secrets = site.commands
    return Standard(site.sender, url, secrets, _able(site.settings))


def _able(settings: Mapping[str, str]) -> Capabilities:
    """Give what the product says that its billing system can do."""
    can = settings.get(CAN, "pause,cancel").split(",")
    return replace(ONE_WAY, pause="pause" in can, cancel="cancel" in can)


SYSTEM = System(
    "any system that takes signed messages",
    _connect,
    signing.verify,
    read,
    {CAN: r"nothing|pause|cancel|pause,cancel"},
    _able,
)
