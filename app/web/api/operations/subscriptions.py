"""Where subscribers stand, what they answered elsewhere, and the mail that came back."""

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
    SUBSCRIPTION,
    Body,
    Operation,
    Parameter,
)
from app.web.api.subscriptions import STAGES

LISTED = {
    "id": "sub_1",
    "stage": "asked",
    "status": "active",
    "round": 1,
    "why": "unused",
    "outcome": None,
    "asked_at": "2026-08-22T09:00:00Z",
    "answer_by": "2026-09-21T23:00:00Z",
    "paid_until": None,
    "erase_on": None,
    "last_used_on": "2024-08-20",
    "next_look": "2026-08-29T09:00:00Z",
}
SHOWN = LISTED | {
    "customer": None,
    "plan": "standard",
    "country": "GB",
    "amount": 1349,
    "currency": "GBP",
    "interval": "month",
    "started_on": "2022-09-01",
    "renews_at": "2026-09-20T00:00:00Z",
    "reach": "ok",
    "policy_version": 1,
    "word": None,
    "decided_by": None,
    "act": None,
    "next": "silence counts from 2026-09-21 23:00 UTC",
    "blocked_by": [],
}
ENTRY = {
    "at": "2026-08-22T08:00:00Z",
    "round": 1,
    "what": "asked",
    "why": "unused",
    "policy_version": 1,
    "actor": "clock",
}


def subscription_operations() -> tuple[Operation, ...]:
    """Give the calls that read subscriptions."""
    stages = {"type": "string", "enum": list(STAGES)}
    listed = (*KEYED, *PARAMETERS, "bad-cursor")
    return (
        Operation(
            "get",
            f"{ROOT}/subscriptions",
            "listSubscriptions",
            "List subscriptions",
            "All in the order of their ids, or those of a stage. What is added or removed meanwhile"
            " moves nothing. Nothing in it names a person.",
            "read",
            shapes.Subscriptions,
            {"subscriptions": [LISTED], "next_cursor": None},
            listed,
            (PRODUCT, Parameter("stage", "Only those in this stage.", stages), LIMIT, CURSOR),
            tag="subscriptions",
        ),
        Operation(
            "get",
            f"{ROOT}/subscriptions/{{subscription}}",
            "getSubscription",
            "Say where one stands",
            "Its stage, the latest round, what comes next and when, and what keeps it from coming.",
            "read",
            shapes.Subscription,
            SHOWN,
            (*KEYED, *PARAMETERS, "gone"),
            (PRODUCT, SUBSCRIPTION),
            tag="subscriptions",
        ),
        Operation(
            "get",
            f"{ROOT}/subscriptions/{{subscription}}/timeline",
            "getTimeline",
            "Tell the story of one",
            "Every step with its date, the code of its reason, the policy it was under and who did"
            " it, oldest first.",
            "read",
            shapes.Timeline,
            {"id": "sub_1", "entries": [ENTRY], "next_cursor": None},
            (*listed, "gone"),
            (PRODUCT, SUBSCRIPTION, LIMIT, CURSOR),
            tag="subscriptions",
        ),
    )


def telling_operations() -> tuple[Operation, ...]:
    """Give the calls that pass on what people and mail servers said."""
    answered = {"verdict": "applied", "subscription": SHOWN | {"stage": "active", "word": "keep"}}
    feedback = {"events": [{"type": "bounced", "subscription": "sub_1"}]}
    done = {"received": 1, "applied": 1, "unchanged": 0, "rejected": [], "rejected_total": 0}
    return (
        Operation(
            "post",
            f"{ROOT}/subscriptions/{{subscription}}/answer",
            "answer",
            "Pass on an answer given in your own app",
            "Keep, cancel or resume, as on the page that people get by mail. The last answer is the"
            " person's word, and repeating it is harmless, so no Idempotency-Key is needed. A"
            " cancel rests ten minutes before billing is told. Keep and cancel within ten seconds"
            " of each other are believed neither (`doubted`). The verdict says what became of it:"
            " `nothing_open` (nothing was asked), `too_late` and `ended` change nothing.",
            "manage",
            shapes.Answered,
            answered,
            (*KEYED, *BODIED, *PARAMETERS, "gone"),
            (PRODUCT, SUBSCRIPTION),
            (Body(JSON, shapes.AnswerBody, {"answer": "keep", "actor": "app"}),),
            tag="subscriptions",
        ),
        Operation(
            "post",
            f"{ROOT}/feedback",
            "recordFeedback",
            "Pass on bounces and complaints that came later",
            "Up to 1,000 events. A notice is named by its Message-ID, with or without angle"
            " brackets, or by the subscription. `bounced` means that it came back for good: soft"
            " bounces are not taken, since what is tried again has not come back. Silence of"
            " somebody who cannot be reached means nothing any more, and a new address from billing"
            " makes them reachable again. Each event is judged on its own; a bounce of an earlier"
            " round's notice changes nothing.",
            "feedback",
            shapes.FeedbackResult,
            done,
            (*KEYED, *BODIED, *PARAMETERS),
            (PRODUCT,),
            (Body(JSON, shapes.FeedbackBody, feedback),),
            tag="usage",
        ),
    )
