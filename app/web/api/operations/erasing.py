"""Holds on erasure, and manifests of who is due to be erased."""

from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.holds import STATES
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
from app.web.api.policies import ONCE

HOLD = {
    "id": 7,
    "subscription": "sub_1",
    "reason": "legal",
    "source": None,
    "set_by": "api:1",
    "set_at": "2026-08-23T08:57:25Z",
    "review_on": "2026-11-21",
    "released_at": None,
    "released_by": None,
}
RELEASED = {"released_at": "2026-09-01T10:00:00Z", "released_by": "api:1"}
MANIFEST = {
    "number": 3,
    "day": "2026-08-23",
    "state": "waiting",
    "people": 40,
    "hash": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
    "made_by": "clock",
    "made_at": "2026-08-23T00:10:00Z",
    "approved_at": None,
    "refused_by": None,
    "refused_at": None,
    "ended_at": None,
}
APPROVAL = {"actor": "console:ann", "approved_at": "2026-08-23T09:00:00Z", "counts": True}
ENTRY = {
    "subscription": "sub_1",
    "plan": "standard",
    "country": "GB",
    "round": 1,
    "stage": "suspended",
    "why": "unused",
    "since": "2025-10-20",
    "erase_on": "2026-08-23",
    "warned_from": "2026-06-24",
    "warned_on": "2026-08-09",
    "warned": 2,
    "state": "waiting",
    "skipped": None,
}
STATE = Parameter(
    "state",
    "Those that are on, or all, released ones too.",
    {"type": "string", "enum": list(STATES), "default": STATES[0]},
)
NUMBER = Parameter("hold", "The number of the hold.", {"type": "string"}, "path")
ONE = Parameter("manifest", "The number of the manifest.", {"type": "string"}, "path")
KEY = Parameter(
    ONCE,
    "A name of your choice: called again under it, the same hold is given and none is set.",
    {"type": "string", "maxLength": 255},
    "header",
    optional=True,
)


def erasing_operations() -> tuple[Operation, ...]:
    """Give the calls about holds and manifests."""
    return (*_holds(), *_manifests())


def _holds() -> tuple[Operation, ...]:
    listed = {"holds": [HOLD], "next_cursor": None}
    reading = (*KEYED, *PARAMETERS, "bad-cursor")
    return (
        Operation(
            "get",
            f"{ROOT}/holds",
            "listHolds",
            "List the holds of a product",
            "A hold keeps somebody from being erased, and does nothing else: whoever is held is"
            " asked, suspended and billed like anybody. Several may be on one subscription. Reasons"
            " and sources are codes; nothing in it names a person.",
            "read",
            shapes.Holds,
            listed,
            reading,
            (PRODUCT, STATE, LIMIT, CURSOR),
            tag="erasing",
        ),
        Operation(
            "get",
            f"{ROOT}/subscriptions/{{subscription}}/holds",
            "listHoldsOf",
            "List the holds on one subscription",
            "The oldest first.",
            "read",
            shapes.Holds,
            listed,
            (*reading, "gone"),
            (PRODUCT, SUBSCRIPTION, STATE, LIMIT, CURSOR),
            tag="erasing",
        ),
        Operation(
            "post",
            f"{ROOT}/subscriptions/{{subscription}}/holds",
            "setHold",
            "Set a hold",
            "It holds until it is released: on `review_on`, within two years, a person is shown it,"
            " and it does not lapse. Who is being erased already cannot be held any more: that is a"
            " conflict. Disputes and refunds set holds by themselves.",
            "manage",
            shapes.Hold,
            HOLD,
            (*KEYED, *BODIED, *PARAMETERS, "conflict", "refused", "gone"),
            (PRODUCT, SUBSCRIPTION, KEY),
            (Body(JSON, shapes.HoldBody, {"reason": "legal", "review_on": "2026-11-21"}),),
            tag="erasing",
        ),
        Operation(
            "get",
            f"{ROOT}/holds/{{hold}}",
            "getHold",
            "Show one hold",
            "Also once it was released.",
            "read",
            shapes.Hold,
            HOLD,
            (*KEYED, *PARAMETERS),
            (PRODUCT, NUMBER),
            tag="erasing",
        ),
        Operation(
            "delete",
            f"{ROOT}/holds/{{hold}}",
            "releaseHold",
            "Release a hold",
            "The others on the same subscription stay. Releasing one again changes nothing.",
            "manage",
            shapes.Hold,
            HOLD | RELEASED,
            (*KEYED, *PARAMETERS),
            (PRODUCT, NUMBER),
            tag="erasing",
        ),
    )


def _manifests() -> tuple[Operation, ...]:
    counts = [{"of": "why", "value": "unused", "people": 40}]
    return (
        Operation(
            "get",
            f"{ROOT}/manifests",
            "listManifests",
            "List the manifests of who is due to be erased",
            "One a day at most, newest first. Nobody outside of one is erased by the passing of"
            " time. Two different people approve it, in the console and on the command line: no key"
            " can. It is good for seven days.",
            "read",
            shapes.Manifests,
            {"manifests": [MANIFEST], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, LIMIT, CURSOR),
            tag="erasing",
        ),
        Operation(
            "get",
            f"{ROOT}/manifests/{{manifest}}",
            "getManifest",
            "Show one manifest",
            "Who approved it, and how many are on it by reason, stage, plan and country.",
            "read",
            shapes.ManifestShown,
            MANIFEST | {"approvals": [APPROVAL], "lacks": 1, "counts": counts},
            (*KEYED, *PARAMETERS),
            (PRODUCT, ONE),
            tag="erasing",
        ),
        Operation(
            "get",
            f"{ROOT}/manifests/{{manifest}}/entries",
            "listManifestEntries",
            "List who is on a manifest",
            "And what became of each: begun, or passed over with the code of why. Who was erased"
            " is not named any more.",
            "read",
            shapes.ManifestEntries,
            {"hash": MANIFEST["hash"], "entries": [ENTRY], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, ONE, LIMIT, CURSOR),
            tag="erasing",
        ),
    )
