"""The one stop of a product."""

from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.operations.parts import BODIED, KEYED, PARAMETERS, PRODUCT, ROOT, Body, Operation

ON = {
    "cause": "stale_feed",
    "why": "usage_feed_silent",
    "by": "guard",
    "set_at": "2026-08-22T08:57:25Z",
    "everywhere": False,
    "says": "the feed of usage has been silent for longer than the policy allows",
    "mend": "bring the usage up to date: this brake lifts itself",
}


def brake_operations() -> tuple[Operation, ...]:
    """Give the calls about the brake."""
    return (
        Operation(
            "get",
            f"{ROOT}/brake",
            "getBrake",
            "Say what stops this product",
            "Which brakes are on, set by a guard or by hand, here or for all products"
            " (`everywhere`), and what to do about each. Nothing is asked, reminded or suspended"
            " while any is on; receipts, resumes and a person's own cancel go on.",
            "read",
            shapes.Brakes,
            {"brakes": [ON]},
            (*KEYED, *PARAMETERS),
            (PRODUCT,),
            tag="runs",
        ),
        Operation(
            "post",
            f"{ROOT}/brake",
            "actOnBrake",
            "Stop this product, or let it go on",
            "Off lifts all of this product's own brakes, and takes what tripped a guard as seen; no"
            " deadline falls sooner than three days after. What stops all products is lifted by an"
            " operator only. Saying the same twice changes nothing more, so no Idempotency-Key is"
            " needed.",
            "manage",
            shapes.Brakes,
            {"brakes": [ON]},
            (*KEYED, *BODIED, *PARAMETERS),
            (PRODUCT,),
            (
                Body(
                    JSON,
                    shapes.BrakeOn | shapes.BrakeOff,
                    {"act": "on", "why": "usage_feed_in_doubt"},
                ),
            ),
            tag="runs",
        ),
    )
