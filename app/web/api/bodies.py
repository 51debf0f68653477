"""Reads what systems send: refused by size and kind before it is read, and by shape after.

No reason given here repeats what was sent: what JSON reading says of a value is not passed on, and
a member is named only where its name is one that a program would choose.
"""

import re
from typing import Any, TypeVar

import msgspec
from flask import Response, request

from app.web.problems import Problem, problem

JSON = "application/json"
NDJSON = "application/x-ndjson"
_UNKNOWN = re.compile(r"Object contains unknown field `([a-z][a-z0-9_]{0,40})`")
_TOLD = re.compile(
    r"(Expected `[^`]{1,60}`(?:, got `\w+`| of length [<>]=? \d+)?"
    r"|Object missing required field `\w+`)",
    re.ASCII,
)
_PLACE = re.compile(r" - at `\$((?:\.\w+|\[(?:\d+|\.\.\.)\])*)`$", re.ASCII)
Shape = TypeVar("Shape")


def body_of(largest: int, *kinds: str) -> bytes:
    """Give the body of a request; refused by kind and size before any of it is read."""
    content_type(*kinds)
    request.max_content_length = largest
    return request.get_data(cache=False)


def content_type(*kinds: str) -> str:
    """Give the content type of a request that sends one of `kinds`, and unpacked."""
    if "Content-Encoding" in request.headers:
        raise problem("content-encoding")
    if request.mimetype not in kinds or request.mimetype_params.get("charset", "utf-8") != "utf-8":
        raise problem("unsupported-media-type", f"Send {' or '.join(kinds)}, in UTF-8.")
    return request.mimetype


def decoded(decoder: "msgspec.json.Decoder[Shape]", body: bytes) -> Shape:
    """Read a JSON body as its shape; a problem says where it is not, without what was there.

    Of members that stand twice the last one counts.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem("malformed-json") from None


def _invalid(said: str) -> Problem:
    place = _PLACE.search(said)
    where = place[1].lstrip(".") if place else ""
    return problem("invalid-body", what_is_wrong(said), field=where)


def what_is_wrong(said: str) -> str:
    """Say what msgspec found wrong, without any value that was sent."""
    unknown = _UNKNOWN.match(said)
    if unknown:
        return f"There is no member {unknown[1]} here: leave it out."
    if said.startswith("Object contains unknown field"):
        return "A member is not known here: leave it out."
    if said.startswith("Invalid enum value"):
        return "The value is none of those that are taken."
    if said.startswith(("Invalid RFC3339", "Expected `datetime`")):
        return "Write a time as RFC 3339 with its offset: 2026-12-01T08:00:00Z."
    told = _TOLD.match(said)
    return f"{told[1]}.".replace("`", "") if told else "The value is not of the right shape."


def answer(result: Any, status: int = 200) -> Response:
    """Give a result as JSON."""
    return Response(msgspec.json.encode(result), status, mimetype=JSON)


def only_parameters(*names: str) -> None:
    """Refuse parameters of the address that the call does not take, or that stand twice."""
    for name, values in request.args.lists():
        if name not in names:
            raise problem("invalid-parameter", f"This call takes {', '.join(names) or 'none'}.")
        if len(values) != 1:
            raise problem("invalid-parameter", "Give each parameter once.", field=name)
