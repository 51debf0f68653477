"""Erasures, and what targets say of them."""

from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.erasures import STATES
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

KEPT = {"category": "invoices", "why": "legal_obligation", "until": "2036-11-01"}
RECEIPT = {
    "target": "crm",
    "categories": ["invoices", "profile"],
    "last": False,
    "state": "given",
    "told_at": "2026-11-01T03:00:05Z",
    "tries": 1,
    "error": None,
    "given_at": "2026-11-01T03:10:00Z",
    "erased": ["profile"],
    "kept": [KEPT],
}
ERASURE = {
    "id": "era_5a2f",
    "subscription": "sub_1",
    "round": 1,
    "cause": "schedule",
    "manifest": 12,
    "begun_at": "2026-11-01T03:00:00Z",
    "requested_at": "2026-11-01T03:00:05Z",
    "answered_at": None,
    "ended_at": None,
    "receipts": [RECEIPT],
}


def erasure_operations() -> tuple[Operation, ...]:
    """Give the calls about erasures that were begun, and their receipts."""
    states = {"type": "string", "enum": list(STATES)}
    erasure = Parameter("erasure", "The id of the erasure.", {"type": "string"}, "path")
    body = {
        "target": "crm",
        "token": "T0p1YjRrZ2xvbmctcmFuZG9tLWxvb2tpbmctdG9rZW4",
        "erased": ["profile"],
        "kept": [KEPT],
    }
    return (
        Operation(
            "get",
            f"{ROOT}/erasures",
            "listErasures",
            "List erasures",
            "Those that were begun, the newest first, with what each target owes for them or has"
            " given. Nothing in it names a person; `subscription` is null once it is over.",
            "read",
            shapes.Erasures,
            {"erasures": [ERASURE], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, Parameter("state", "Only open, or ended, ones.", states), LIMIT, CURSOR),
            tag="erasures",
        ),
        Operation(
            "get",
            f"{ROOT}/erasures/{{erasure}}",
            "getErasure",
            "Show one erasure",
            "How far it has come: `requested_at` is when the first target was told, `answered_at`"
            " when all had given their receipts.",
            "read",
            shapes.Erasure,
            ERASURE,
            (*KEYED, *PARAMETERS),
            (PRODUCT, erasure),
            tag="erasures",
        ),
        Operation(
            "post",
            f"{ROOT}/erasures/{{erasure}}/receipts",
            "giveReceipt",
            "Give a receipt",
            "What a target has erased, and what it must keep, why and until when. It accounts for"
            " each category that the target was registered with, once, and for no other. The token"
            " is the one that came with the request: it is good for this target and this erasure."
            " The same receipt again is harmless; another one is a conflict, so no"
            " Idempotency-Key is needed. While it cannot be believed the target goes on being"
            " told.",
            "manage",
            shapes.ErasureReceipt,
            RECEIPT,
            (*KEYED, *BODIED, *PARAMETERS, "token-refused", "conflict", "refused"),
            (PRODUCT, erasure),
            (Body(JSON, shapes.ReceiptBody, body),),
            tag="erasures",
        ),
    )
