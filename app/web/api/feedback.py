"""What mail servers tell later on: a notice came back for good, or somebody complained.

A relay answers within seconds; many bounces and all complaints arrive hours or days later, at the
product. A notice is named by its Message-ID, which is signed and names the subscription, or by the
subscription itself. Soft bounces are not taken: what is tried again has not come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import InternalServerError

from app.lifecycle.case import Reach
from app.returns import Came, Returns, Telling
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import FeedbackBody, FeedbackEvent, FeedbackResult, Rejected

LARGEST = 1024 * 1024
NOT_OURS = "is no notice of this product"
NO_SUBSCRIPTION = "is no subscription of this product"
ONE_OF_TWO = "name a message_id or a subscription, and one of the two only"
_BODY = msgspec.json.Decoder(FeedbackBody)


@dataclass(frozen=True, slots=True)
class FeedbackCalls:
    """The call that takes in what mail servers told."""

    returns: Returns

    @needs("feedback")
    def take(self, product: str) -> ResponseReturnValue:
        """Take in a batch, each event judged on its own."""
        only_parameters()
        events = decoded(_BODY, body_of(LARGEST, JSON)).events
        wrong = [bool(each.message_id) == bool(each.subscription) for each in events]
        told = [_telling(each) for each, bad in zip(events, wrong, strict=True) if not bad]
        came = iter(self.returns.take(product, told, f"api:{key().id}"))
        return answer(_result(events, [None if bad else next(came) for bad in wrong]))


def _telling(event: FeedbackEvent) -> Telling:
    notices = (event.message_id,) if event.message_id else ()
    return Telling(Reach(event.type), notices, event.subscription)


def _result(events: Sequence[FeedbackEvent], came: Sequence[Came | None]) -> FeedbackResult:
    """Give what became of a batch; events that name nothing are None, and an error of ours is."""
    if Came.FAILED in came:
        raise InternalServerError
    rejected = [
        Rejected(at, _why(event, each))
        for at, (event, each) in enumerate(zip(events, came, strict=True))
        if each is None or each is Came.NOT_OURS
    ]
    applied = sum(each is Came.APPLIED for each in came)
    unchanged = len(came) - applied - len(rejected)
    return FeedbackResult(len(events), applied, unchanged, rejected, len(rejected))


def _why(event: FeedbackEvent, came: Came | None) -> str:
    if came is None:
        return ONE_OF_TWO
    return NOT_OURS if event.message_id else NO_SUBSCRIPTION
