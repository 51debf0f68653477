"""What came of asking."""

from app.store.funnel import BY
from app.web.api import shapes
from app.web.api.operations.parts import (
    KEYED,
    PARAMETERS,
    PRODUCT,
    ROOT,
    Operation,
    Parameter,
)
from app.web.api.operations.usage import DAY

ASKED = {
    "step": "asked",
    "group": "standard",
    "people": 12,
    "monthly": [{"currency": "GBP", "amount": 16188}],
}


def funnel_operations() -> tuple[Operation, ...]:
    """Give the call that counts who came to each step."""
    by = {"type": "string", "enum": list(BY)}
    return (
        Operation(
            "get",
            f"{ROOT}/funnel",
            "getFunnel",
            "Count who came to each step, and what they pay",
            "Between two UTC days, both included; the last thirty days if none is given. Whoever"
            " came to a step twice counts once; who was erased still counts. With `by` each step"
            " stands once for each plan, country, interval or locale that anybody came to it with;"
            " without it every step stands there once. Where counting takes longer than twenty"
            " seconds it is a conflict: ask for fewer days.",
            "read",
            shapes.Funnel,
            {"from": "2026-07-24", "to": "2026-08-22", "by": "plan", "steps": [ASKED]},
            (*KEYED, *PARAMETERS, "conflict"),
            (
                PRODUCT,
                Parameter("from", "The first day, such as 2026-07-24.", DAY),
                Parameter("to", "The last day; today if not given.", DAY),
                Parameter("by", "What to tell it apart by.", by),
            ),
            tag="policies",
        ),
    )
