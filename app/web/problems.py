"""Errors for systems: `application/problem+json` (RFC 9457) with a stable `type`.

A type is a path below this service that its docs page explains. A problem never repeats what was
sent: it may hold a secret, or somebody's address.
"""

import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException

from app.errors import Conflict, NotFound, ReconfirmError

MEDIA_TYPE = "application/problem+json"
FOR_SYSTEMS = ("/v1/", "/webhooks/", "/openapi.json", "/readyz", "/metrics")
"""Paths whose errors are problems; people get a page."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of problem: its status, what went wrong in words, why, and what to do about it."""

    status: int
    title: str
    why: str
    mend: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "bad-request": Kind(
            400, "Bad request", "The request is not HTTP as we read it.", "Mend the request."
        ),
        "malformed-json": Kind(
            400,
            "Malformed JSON",
            "The body is not JSON in UTF-8, or is nested too deeply.",
            "Send one JSON document (RFC 8259): no NaN, no byte order mark, no lone surrogates.",
        ),
        "bad-cursor": Kind(
            400,
            "Cursor not usable",
            "The cursor is not one that this list gave out.",
            "Pass next_cursor on as it is, with the same filter, or start again without one.",
        ),
        "unauthorized": Kind(
            401,
            "Key missing or not valid",
            "There is no key, or it is malformed, unknown or revoked.",
            "Send Authorization: Bearer rk_… with a live key; `reconfirm apikey create` makes one.",
        ),
        "not-signed": Kind(
            401,
            "Signature not valid",
            "The signature of the webhook is missing, wrong, or older than five minutes.",
            "Sign the very bytes of the body with a secret of this product, at the present time.",
        ),
        "forbidden": Kind(
            403,
            "Scope too small",
            "The key is valid, and its scope does not allow this call.",
            "Use a key of the scope that the operation names.",
        ),
        "token-refused": Kind(
            403,
            "Token not valid",
            "The token is none that this target was given for this erasure.",
            "Send the token that came with the request to erase.",
        ),
        "not-found": Kind(
            404,
            "Not found",
            "There is no such thing here, or not for this key.",
            "Check the address, the product and the id.",
        ),
        "method-not-allowed": Kind(
            405,
            "Method not allowed",
            "The address exists and does not take this method.",
            "The header Allow names those it takes.",
        ),
        "conflict": Kind(
            409,
            "Conflict",
            "What was named exists, and its present state does not allow this.",
            "The detail says what stands against it.",
        ),
        "stale": Kind(
            409,
            "Somebody was quicker",
            "Somebody else has proposed a version since the one that `seen` names.",
            "Look at version `newest`, and propose again if yours is still what you want.",
        ),
        "gone": Kind(
            410,
            "Erased",
            "The subscriber's data was erased, and nothing gives it back.",
            "Drop the id.",
        ),
        "request-entity-too-large": Kind(
            413,
            "Body too large",
            "The body is larger than this call takes; it was not read.",
            "Send fewer events a call, or NDJSON, which may have any length.",
        ),
        "unsupported-media-type": Kind(
            415,
            "Content type not taken",
            "This call does not take a body of this content type.",
            "Send one of the content types that the operation names.",
        ),
        "content-encoding": Kind(
            415,
            "Content-Encoding not taken",
            "Packed bodies are not unpacked.",
            "Send the body as it is, without Content-Encoding.",
        ),
        "invalid-body": Kind(
            422,
            "Body not valid",
            "The body is JSON, and not of the shape this call takes.",
            "The member `field` says where. Members that are not documented are refused.",
        ),
        "invalid-parameter": Kind(
            422,
            "Parameter not valid",
            "A parameter of the address or a header is missing, unknown or not valid.",
            "The member `field` names it.",
        ),
        "refused": Kind(
            422, "Refused", "What was asked for may not be; nothing was done.", "See the detail."
        ),
        "unreadable": Kind(
            422,
            "Webhook not readable",
            "The webhook is signed and cannot be understood. It is kept for an operator.",
            "Mend what the detail names, and send it again.",
        ),
        "too-many-requests": Kind(
            429,
            "Too many requests",
            "More calls came with this key, or more failures from this address, than are taken.",
            "Wait as many seconds as the header Retry-After says.",
        ),
        "internal-server-error": Kind(
            500,
            "Something went wrong on our side",
            "It is logged. Whatever the call was to change was not changed.",
            "Try again, with growing pauses.",
        ),
        "not-applied": Kind(
            500,
            "Webhook not applied",
            "The webhook is kept, and could not be applied yet.",
            "It is tried again by itself; sending it again is harmless.",
        ),
        "not-ready": Kind(
            503,
            "Not ready",
            "Something that this service needs does not work; the detail names it.",
            "Mend what it names; `reconfirm doctor` says more.",
        ),
    }
)
"""Every type of problem, as /docs/problems explains it."""


class Problem(HTTPException):
    """An error that a system is told: `kind` is the last part of its type, `detail` the mend."""

    def __init__(self, status: int, kind: str, detail: str, **more: Any) -> None:
        """Take the status, what went wrong in a word, and how to mend it."""
        super().__init__(description=detail)
        self.code = status
        self.kind = kind
        self.more = more
        self.extra_headers: Mapping[str, str] = {}


def problem(kind: str, detail: str | None = None, **more: Any) -> Problem:
    """Give a problem of a known type; without a `detail` it says the mend of its type."""
    known = KINDS[kind]
    return Problem(known.status, kind, detail or known.mend, **more)


def note_defect(error: Exception) -> None:
    """Log where a defect of ours was, without what it was about: an address may be a secret."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    print(  # noqa: T201 - the log of a twelve-factor process
        f"{request.endpoint} failed: {type(error).__name__} at {where.filename}:{where.lineno}",
        file=sys.stderr,
    )


def problem_response(problem: HTTPException) -> Response:
    """Give the answer to an error: what werkzeug raises becomes a problem too."""
    status = problem.code or HTTPStatus.INTERNAL_SERVER_ERROR
    kind = problem.kind if isinstance(problem, Problem) else _kind_of(status)
    known = KINDS.get(kind)
    phrase = HTTPStatus(status).phrase
    body = {
        "type": f"/docs/problems#{kind}",
        "title": known.title if known else phrase,
        "status": int(status),
        "detail": known.mend if known else phrase,
    }
    if isinstance(problem, Problem):
        body |= {"detail": problem.description, **problem.more}
    answer = Response(json.dumps(body), int(status), mimetype=MEDIA_TYPE)
    headers = problem.get_headers()
    answer.headers.extend((name, value) for name, value in headers if name != "Content-Type")
    if isinstance(problem, Problem):
        answer.headers.extend(problem.extra_headers.items())
    return answer


def _kind_of(status: int) -> str:
    return HTTPStatus(status).name.lower().replace("_", "-")


def problem_of(refused: ReconfirmError) -> Problem:
    """Give the problem that a refusal of ours is: its sentence and its mend.

    What was not found is not said: our sentence names what was looked for, and what else there is.
    """
    if isinstance(refused, NotFound):
        return problem("not-found")
    return problem("conflict" if isinstance(refused, Conflict) else "refused", str(refused))
