"""Any system that takes signed messages: Standard Webhooks to an address of its own.

    {"type": "erasure.requested", "timestamp": "2026-11-01T03:00:00Z",
     "data": {"erasure": "…", "target": "crm", "subscription": "sub_1", "customer": "cus_1",
              "customer_stays": false, "categories": ["profile", "invoices"],
              "keep": {"invoices": "2036-11-01"},
              "receipt": {"url": "https://…/v1/products/tv/erasures/…/receipts", "token": "…"}}}

The message id and the body are the same on every try. A 2xx with a receipt as its body gives it at
once; a 2xx without a body says that the receipt comes later, by a call of the API. The receipt
repeats the id of the erasure. 400, 410, 413 and 422 are a no: a person looks. Anything else is
tried again, with growing pauses.

| setting | means |
|---|---|
| `url` | where to: https, and no private address |
| `email=yes` | the body has the address of the person, too, as `data.email` |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from secrets import token_hex
from typing import Any

from app.errors import Refused
from app.world.document import Unreadable, parsed
from app.world.erasing import (
    EMAIL,
    Accepted,
    Answer,
    Given,
    Kind,
    Place,
    Request,
    fits,
    read,
)
from app.world.hooks import Answer as Sent
from app.world.hooks import Message, checked_url
from app.world.outcome import Done, Later, No

REQUESTED, TEST = "erasure.requested", "erasure.test"
NOES = frozenset({400, 410, 413, 422})
"""Answers that say that what was sent will never be taken."""
UNREADABLE = Later("answer unreadable", unknown=True)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address, and what is sent there signed."""

    place: Place

    @property
    def _url(self) -> str:
        return str(self.place.settings["url"])

    def erase(self, request: Request) -> Answer:
        """Send the request, and say what its answer means."""
        message = Message(request.key, _encoded(self._said(request)))
        sent = self.place.sender.send(self._url, self.place.secrets, message)
        if sent.status in NOES:
            return No(f"http {sent.status}")
        if not isinstance(sent.outcome, Done):
            return sent.outcome
        return _read(sent)

    def _said(self, request: Request) -> dict[str, Any]:
        data: dict[str, Any] = {
            "erasure": request.erasure,
            "target": request.target,
            "subscription": request.subscription,
            "customer": request.customer,
            "customer_stays": request.stays,
            "categories": list(request.categories),
            "keep": {name: day.isoformat() for name, day in sorted(request.keep.items())},
            "receipt": {"url": self.place.answers(request.erasure), "token": request.token},
        }
        if request.email is not None and self.place.settings.get(EMAIL) == "yes":
            data[EMAIL] = request.email
        at = request.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return {"type": REQUESTED, "timestamp": at, "data": data}

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:  # noqa: ARG002
        """Send a signed `erasure.test`, which names nobody; Refused where no 2xx comes back."""
        at = self.place.clock.wall()
        said = {
            "type": TEST,
            "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {"target": self.place.target},
        }
        name = f"test-{at.timestamp():.0f}-{token_hex(8)}"
        sent = self.place.sender.send(self._url, self.place.secrets, Message(name, _encoded(said)))
        if not isinstance(sent.outcome, Done):
            came = f"http {sent.status}" if sent.status else sent.outcome.reason
            raise Refused(f"the target does not take a test message: {came}", "see its log")
        return {}


def _encoded(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _read(sent: Sent) -> Answer:
    """Read the body of a 2xx: a receipt, nothing, or what is neither and so proves nothing."""
    if not sent.body.strip():
        return Accepted()
    try:
        return Given(read(parsed(sent.body)))
    except Unreadable:
        return UNREADABLE


def _connect(place: Place) -> Webhook:
    if not place.secrets:
        raise Refused(
            f"target {place.target} has no secret to sign with",
            f"run `reconfirm target rotate {place.product} {place.target}`",
        )
    checked_url(str(place.settings.get("url", "")), local=place.sender.local)
    return Webhook(place)


KIND = Kind(
    "any system that takes signed messages",
    _connect,
    {
        "url": fits(r"https?://\S{1,1990}", "an address such as https://crm.example.com/erasing"),
        EMAIL: fits(r"yes|no", "yes or no"),
    },
    needed=("url",),
    signs=True,
)
