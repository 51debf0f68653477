"""Webhooks in: what billing systems tell, verified as the very bytes before anything is parsed.

Everything about signatures is 401, and so is a product that does not exist: who holds no secret
learns nothing. 200 is answered when what was said is committed, and never before.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.inbox import Inbox, Reply, Result, speaks
from app.signing import NotSigned
from app.web.problems import Problem
from app.world import billing

LARGEST = 256 * 1024
PLAIN_CODINGS = ("", "identity")
_KEY = re.compile(r"[a-z][a-z0-9-]{0,40}")
NO_PRODUCT = ""
HOW_TO_SIGN = (
    "Sign the body as the billing system does (Standard Webhooks 1.0 for `standard`), with a secret"
    " of this product and a timestamp of now."
)


@dataclass(frozen=True, slots=True)
class Inbound:
    """The addresses that billing systems call."""

    inbox: Inbox

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        routes = Blueprint("inbound", __name__)
        for system in filter(speaks, billing.names()):
            rule = f"/webhooks/<product>/{system}"
            routes.add_url_rule(rule, system, self._taking(system), methods=["POST"])
        return routes

    def _taking(self, system: str) -> Callable[[str], ResponseReturnValue]:
        """Give the view of one billing system."""

        def take(product: str) -> ResponseReturnValue:
            """Take in one message."""
            body = _body()
            key = product if _KEY.fullmatch(product) else NO_PRODUCT
            try:
                reply = self.inbox.receive(key, request.headers, body, system)
            except NotSigned:
                raise Problem(401, "not-signed", HOW_TO_SIGN) from None
            return _answer(reply)

        return take


def _body() -> bytes:
    """Give the body as it came; a coded one is refused unread, and so is what is too large."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in PLAIN_CODINGS:
        raise Problem(415, "content-encoding", "Send the body as it is, without Content-Encoding.")
    request.max_content_length = LARGEST
    return request.get_data(cache=False)


REFUSALS: Mapping[Result, tuple[int, str, str]] = {
    Result.UNREADABLE: (
        422,
        "unreadable",
        "{} It is kept for an operator: mend it, send it again.",
    ),
    Result.FAILED: (500, "not-applied", "It is kept and will be tried again; so may you."),
}


def _answer(reply: Reply) -> ResponseReturnValue:
    if reply.result not in REFUSALS:
        return jsonify(result=reply.result)
    status, kind, detail = REFUSALS[reply.result]
    raise Problem(status, kind, detail.format(f"{reply.reason}."))
