"""Usage as CloudEvents 1.0: one event or a batch as JSON, or one in the headers (binary mode).

`subject` is the subscription and `time` when it was used; type, source and data are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from app.web.api.bodies import body_of, decoded, only_parameters, what_is_wrong
from app.web.api.keys import needs
from app.web.api.shapes import MOST_EVENTS, CloudEvent, UsageEvent
from app.web.api.usage import LARGEST_JSON, PARAMETERS, Read, UsageCalls, parameter
from app.web.problems import problem

ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LARGEST_ONE = 256 * 1024
_ONE = msgspec.json.Decoder(CloudEvent)
_ANY = msgspec.json.Decoder(msgspec.Raw)
_MANY = msgspec.json.Decoder(list[msgspec.Raw])
_MEMBERS = tuple(field.name for field in msgspec.structs.fields(CloudEvent))


@dataclass(frozen=True, slots=True)
class CloudEventCalls:
    """The call that takes in usage as CloudEvents."""

    calls: UsageCalls

    @needs("usage")
    def take(self, product: str) -> ResponseReturnValue:
        """Take in one event or a batch."""
        only_parameters(*PARAMETERS)
        coverage = self.calls.coverage(parameter("covers_from"), parameter("through"))
        return self.calls.record(product, [_read()], coverage)


def _read() -> Sequence[Read]:
    if "Content-Encoding" in request.headers:
        raise problem("content-encoding")
    if request.mimetype == BATCH:
        events: list[msgspec.Raw] = decoded(_MANY, body_of(LARGEST_JSON, BATCH))
        return _batch(events)
    if request.mimetype == ONE:
        body = body_of(LARGEST_ONE, ONE)
        decoded(_ANY, body)
        return [_event(body)]
    if "ce-specversion" in request.headers:
        return [_from_headers()]
    why = f"Send {ONE}, {BATCH}, or an event in headers that begin with ce-."
    raise problem("unsupported-media-type", why)


def _batch(events: Sequence[msgspec.Raw]) -> Sequence[Read]:
    if len(events) > MOST_EVENTS:
        raise problem("invalid-body", f"Send at most {MOST_EVENTS} events a call.")
    return [_event(each) for each in events]


def _event(text: bytes | msgspec.Raw) -> Read:
    try:
        found = _ONE.decode(text)
    except msgspec.ValidationError as error:
        return what_is_wrong(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "is no JSON object in UTF-8"
    return UsageEvent(found.time, found.subject)


def _from_headers() -> Read:
    """Read an event in binary mode; its data is not even read."""
    given = {name: request.headers.get(f"ce-{name}") for name in _MEMBERS}
    told = {name: unquote(value) for name, value in given.items() if value is not None}
    try:
        found = msgspec.convert(told, CloudEvent)
    except msgspec.ValidationError as error:
        return what_is_wrong(str(error))
    return UsageEvent(found.time, found.subject)
