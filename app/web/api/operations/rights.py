"""What people may ask of us, passed on by the product."""

from app.export.shapes import Held
from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.operations.parts import (
    BODIED,
    KEYED,
    PARAMETERS,
    PRODUCT,
    ROOT,
    SUBSCRIPTION,
    Body,
    Operation,
)

ONE = f"{ROOT}/subscriptions/{{subscription}}"
HELD = {
    "schema": "reconfirm.subject/1",
    "made_at": "2026-08-23T08:57:25Z",
    "held": True,
    "product": {"key": "tv", "name": "Blue Television", "support_url": "https://tv.example/help"},
    "subscription": {
        "id": "sub_1",
        "number": 17,
        "customer": None,
        "status": "active",
        "plan": "standard",
        "country": "GB",
        "interval": "month",
        "amount": 1349,
        "currency": "GBP",
        "started_on": "2022-09-01",
        "renews_at": "2026-09-20T00:00:00Z",
        "last_used_on": "2024-08-20",
        "told": "5f1d7a84db00d2fce00b31a7fc73224f",
        "told_at": "2026-08-01T00:00:00Z",
    },
    "contact": {
        "email": "ada@subscribers.example",
        "locale": "en-GB",
        "timezone": "Europe/London",
        "reach": "ok",
        "told_email": None,
        "corrected_at": None,
        "suppressed": None,
    },
    "rounds": [],
    "messages": [],
    "links": [],
    "reviews": [],
    "holds": [],
    "refunds": [],
    "erasing": {
        "scheduled_on": None,
        "asked_at": None,
        "begins_at": None,
        "held": False,
        "listed": [],
        "begun": [],
    },
    "keeping": {
        "policy_version": 1,
        "erase_after": "P10M",
        "erasure_warnings": ["P60D", "P14D"],
        "keep": {"invoices": "P10Y"},
    },
    "recipients": {"billing": "stripe", "endpoints": [], "targets": []},
    "told_to_endpoints": [],
    "still_to_do": [],
    "lists": [],
    "unexplained": [],
    "next_looks": ["2026-08-29T09:00:00Z"],
    "look_up_since": None,
    "history": [
        {
            "at": "2026-08-22T08:00:00Z",
            "round": None,
            "what": "person_opened",
            "why": "by_number",
            "policy_version": None,
            "by": "staff",
        }
    ],
    "words": {"what": {"person_opened": "Opened by staff"}, "why": {"by_number": "by its number"}},
}
WANTED = {
    "verdict": "applied",
    "asked_at": "2026-08-23T08:57:25Z",
    "begins_at": "2026-08-24T08:57:25Z",
}
PROBLEMS = (*KEYED, *BODIED, *PARAMETERS, "gone", "conflict")


def rights_operations() -> tuple[Operation, ...]:
    """Give the calls for what people may ask."""
    return (
        Operation(
            "get",
            f"{ONE}/data",
            "getData",
            "Give all that is held about one",
            "Everything that is held about the subscription, its address and notices too, and"
            " nothing of anybody else: other subscriptions of the same customer are not named. Its"
            " shape has the version that `schema` says; members may be added to it.",
            "manage",
            Held,
            HELD,
            (*KEYED, *PARAMETERS, "gone"),
            (PRODUCT, SUBSCRIPTION),
            tag="rights",
        ),
        Operation(
            "post",
            f"{ONE}/erasure",
            "requestErasure",
            "Pass on that somebody wants to be erased",
            "It begins by itself a day later, once nothing is charged any more and no hold is on,"
            " and is done within 30 days. Until then a resume, or `keep_data` on their page, takes"
            " it back. Where it is still charged it is a conflict, unless it is to be canceled too,"
            " as their own word. Make sure that it is them who ask. Asking again changes nothing.",
            "manage",
            shapes.ErasureWanted,
            WANTED,
            PROBLEMS,
            (PRODUCT, SUBSCRIPTION),
            (Body(JSON, shapes.ErasureBody, {"cancel": True}),),
            tag="rights",
        ),
        Operation(
            "post",
            f"{ONE}/restriction",
            "restrict",
            "Lock somebody's data",
            "It is not erased, and nothing follows from silence: a hold of reason `restriction`,"
            " and a case before a person, who looks at it within 30 days.",
            "manage",
            shapes.RightTaken,
            {"verdict": "applied"},
            PROBLEMS,
            (PRODUCT, SUBSCRIPTION),
            (Body(JSON, shapes.NothingMore, {}),),
            tag="rights",
        ),
        Operation(
            "post",
            f"{ONE}/objection",
            "object",
            "Pass on an objection",
            "It is put before a person; until they have looked nothing follows from silence. Where"
            " nothing was ever asked it is a conflict: there is nothing to object to.",
            "manage",
            shapes.RightTaken,
            {"verdict": "applied"},
            PROBLEMS,
            (PRODUCT, SUBSCRIPTION),
            (Body(JSON, shapes.NothingMore, {}),),
            tag="rights",
        ),
        Operation(
            "post",
            f"{ONE}/address",
            "correctAddress",
            "Write to another address",
            "From now on notices go there. What billing goes on telling does not overwrite it,"
            " until that is another address. Nothing but one address is taken.",
            "manage",
            shapes.RightTaken,
            {"verdict": "applied"},
            PROBLEMS,
            (PRODUCT, SUBSCRIPTION),
            (Body(JSON, shapes.AddressBody, {"email": "ada@subscribers.example"}),),
            tag="rights",
        ),
    )
