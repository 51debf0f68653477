"""Errors for systems: `application/problem+json` (RFC 9457) with a stable `type`.

A type is a path below this service that its docs page explains. A problem never repeats what was
sent: it may hold a secret, or somebody's address.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from app.errors import Conflict, NotFound, ReconfirmError

MEDIA_TYPE = "application/problem+json"
FOR_SYSTEMS = ("/v1/", "/webhooks/", "/openapi.json", "/readyz", "/metrics")
"""Paths whose errors are problems; people get a page."""


class Problem(HTTPException):
    """An error that a system is told: `kind` is the last part of its type, `detail` the mend."""

    def __init__(self, status: int, kind: str, detail: str, **more: Any) -> None:
        """Take the status, what went wrong in a word, and how to mend it."""
        super().__init__(description=detail)
        self.code = status
        self.kind = kind
        self.more = more
        self.extra_headers: Mapping[str, str] = {}


def problem_response(problem: HTTPException) -> Response:
    """Give the answer to an error: what werkzeug raises becomes a problem too."""
    status = problem.code or HTTPStatus.INTERNAL_SERVER_ERROR
    kind = problem.kind if isinstance(problem, Problem) else _kind_of(status)
    body = {
        "type": f"/docs/problems#{kind}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": problem.description
        if isinstance(problem, Problem)
        else HTTPStatus(status).phrase,
    }
    if isinstance(problem, Problem):
        body |= problem.more
    answer = Response(json.dumps(body), int(status), mimetype=MEDIA_TYPE)
    headers = problem.get_headers()
    answer.headers.extend((name, value) for name, value in headers if name != "Content-Type")
    if isinstance(problem, Problem):
        answer.headers.extend(problem.extra_headers.items())
    return answer


def _kind_of(status: int) -> str:
    return HTTPStatus(status).name.lower().replace("_", "-")


def problem_of(refused: ReconfirmError) -> Problem:
    """Give the problem that a refusal of ours is: its sentence and its mend."""
    if isinstance(refused, NotFound):
        return Problem(404, "not-found", str(refused))
    if isinstance(refused, Conflict):
        return Problem(409, "conflict", str(refused))
    return Problem(422, "refused", str(refused))
