"""Webhooks in: what billing systems and mail providers tell, verified before anything is parsed.

Everything about signatures and keys is 401, and so is a product that does not exist: who holds no
secret learns nothing. 200 is answered when what was said is committed, and never before.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import InternalServerError

from app.inbox import Inbox, Reply, Result, speaks
from app.returns import Came, Returns, telling_of
from app.signing import NotSigned
from app.web.api.keys import Keys
from app.web.problems import Problem, problem
from app.world import billing
from app.world.returns import providers
from app.world.returns.report import Unreadable

LARGEST = 256 * 1024
LARGEST_RETURN = 1024 * 1024
"""A mail provider may send the whole returned mail along."""
PLAIN_CODINGS = ("", "identity")
_KEY = re.compile(r"[a-z][a-z0-9-]{0,40}")
NO_PRODUCT = ""
FOR_OPERATOR = "SubscriptionConfirmation"
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


@dataclass(frozen=True, slots=True)
class Mailers:
    """The addresses that mail providers call: which notices came back, or drew a complaint."""

    returns: Returns
    inbox: Inbox
    keys: Keys

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        routes = Blueprint("mailers", __name__)
        for name in providers.names():
            rule = f"/webhooks/<product>/mail/{name}"
            routes.add_url_rule(rule, name, self._taking(name), methods=["POST"])
        return routes

    def _taking(self, name: str) -> Callable[[str], ResponseReturnValue]:
        """Give the view of one provider."""

        def take(product: str) -> ResponseReturnValue:
            """Take in one call."""
            self.keys.for_feedback(product)
            body = _body(LARGEST_RETURN)
            try:
                heard = providers.provider(name).read(body)
            except Unreadable as found:
                raise problem(
                    "invalid-body", f"It is no call of this provider: {found.why}."
                ) from None
            if heard.for_operator is not None:
                return self._keep(product, name, heard.for_operator, body)
            told = [telling for each in heard.reports if (telling := telling_of(each))]
            return _come(self.returns.take(product, told, f"mail:{name}"))

        return take

    def _keep(self, product: str, name: str, number: str, body: bytes) -> ResponseReturnValue:
        """Keep a call that only a person may act on, and say so in the log, not what it says."""
        row = self.inbox.keep(product, f"mail-{name}", number, FOR_OPERATOR, body)
        if row is not None:
            sys.stderr.write(
                f"mail webhook of {product}: {name} wants its address confirmed;"
                f" `reconfirm inbox show {row}` has how\n"
            )
        return jsonify(result="kept")


def _come(came: Sequence[Came]) -> ResponseReturnValue:
    """Answer the weightiest of what became of a call; a failure is told again by the provider."""
    if Came.FAILED in came:
        raise InternalServerError
    if Came.APPLIED in came:
        return jsonify(result="applied")
    return jsonify(result="unchanged" if Came.UNCHANGED in came else "ignored")


def _body(largest: int = LARGEST) -> bytes:
    """Give the body as it came; a coded one is refused unread, and so is what is too large."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in PLAIN_CODINGS:
        raise Problem(415, "content-encoding", "Send the body as it is, without Content-Encoding.")
    request.max_content_length = largest
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
