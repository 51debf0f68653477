"""Cases before a person."""

from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.operations.parts import (
    BODIED,
    CURSOR,
    KEYED,
    LIMIT,
    PARAMETERS,
    PRODUCT,
    ROOT,
    Body,
    Operation,
    Parameter,
)
from app.web.api.reviews import STATES

REVIEW = {
    "id": 7,
    "subscription": "sub_1",
    "round": 1,
    "asked_at": "2026-08-23T08:57:25Z",
    "reason": "wrong_charge",
    "state": "open",
    "done_at": None,
    "done_by": None,
    "outcome": None,
    "due_on": None,
}


def review_operations() -> tuple[Operation, ...]:
    """Give the calls for cases that subscribers want a person to look at."""
    states = {"type": "string", "enum": list(STATES), "default": "open"}
    number = Parameter("review", "The number of the case.", {"type": "string"}, "path")
    done = {"state": "done", "done_by": "api:1", "outcome": "as_it_should_be"}
    return (
        Operation(
            "get",
            f"{ROOT}/reviews",
            "listReviews",
            "List the cases that subscribers want a person to look at",
            "Those in one state: requests to erase first, by the day they are due, then the one"
            " that has waited longest. While a case is open"
            " nothing follows from silence: nobody is suspended or canceled for not answering, and"
            " nobody is asked anew. Reasons are codes; nothing in it names a person.",
            "read",
            shapes.Reviews,
            {"reviews": [REVIEW], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, Parameter("state", "Only those in this state.", states), LIMIT, CURSOR),
            tag="reviews",
        ),
        Operation(
            "get",
            f"{ROOT}/reviews/{{review}}",
            "getReview",
            "Show one case",
            "The subscription's own call, and its timeline, say the rest.",
            "read",
            shapes.Review,
            REVIEW,
            (*KEYED, *PARAMETERS),
            (PRODUCT, number),
            tag="reviews",
        ),
        Operation(
            "post",
            f"{ROOT}/reviews/{{review}}/done",
            "finishReview",
            "Say what a person found",
            "The case goes on, and no deadline of it falls sooner than three days from now. A"
            " request to erase is carried out by itself, and ends with a code of its own where you"
            " refuse it. The"
            " subscriber's page says what was found. A case that is not open any more is a"
            " conflict, so no Idempotency-Key is needed.",
            "manage",
            shapes.Review,
            REVIEW | done | {"done_at": "2026-08-24T10:00:00Z"},
            (*KEYED, *BODIED, *PARAMETERS, "conflict", "refused"),
            (PRODUCT, number),
            (Body(JSON, shapes.ReviewDone, {"outcome": "as_it_should_be"}),),
            tag="reviews",
        ),
    )
