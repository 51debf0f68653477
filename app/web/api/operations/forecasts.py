"""What a policy would do."""

from app.forecast import Forecast
from app.web.api.bodies import JSON
from app.web.api.operations.parts import BODIED, KEYED, PARAMETERS, PRODUCT, ROOT, Body, Operation

POLICY = {
    "on_no_answer": "suspend",
    "unused_after": "P1Y",
    "segments": [{"when": {"country": ["FR"], "interval": ["year"]}, "unused_after": "P6M"}],
}
MONTHLY = [{"currency": "GBP", "amount": 16188}]
OUTLOOK = {
    "version": None,
    "today": 11,
    "tomorrow": 12,
    "in_a_year": 40,
    "never_used": 4,
    "unused": 8,
    "before_renewal": 0,
    "prices": [{"currency": "GBP", "interval": "month", "people": 12, "amount": 16188}],
    "monthly": MONTHLY,
    "days": [11, 1],
    "weeks": [{"starts": "2026-08-22", "people": 12, "monthly": MONTHLY}],
    "months": [{"starts": "2026-08-22", "people": 12, "monthly": MONTHLY}],
    "pace": {
        "notices_per_day": 50000,
        "first_day": 10,
        "most_mails": 10,
        "done_on": "2026-08-23",
        "days": 1,
        "left_after_a_year": 0,
    },
    "expected": [
        {
            "answer": "kept",
            "share": 0.25,
            "low": 0.15,
            "high": 0.38,
            "people": 3,
            "people_low": 2,
            "people_high": 5,
        }
    ],
}
FORECAST = {
    "product": "tv",
    "at": "2026-08-22T08:57:25Z",
    "day": "2026-08-22",
    "proposed": OUTLOOK,
    "in_force": OUTLOOK | {"version": 1},
    "nightly": {"counted_at": "2026-08-22T00:00:40Z", "grain_days": 1, "past_answers": 48},
    "says": ["open rounds, answers and charges are those of 2026-08-22 00:00 UTC"],
}


def forecast_operations() -> tuple[Operation, ...]:
    """Give the call that forecasts."""
    says = (
        "Who would be asked if this policy were in force: today, tomorrow and over a year, at what"
        " price, how many mails a day that is at its pace, and what they are expected to"
        " answer by past answers, beside the policy in force. The body is a policy as `policy"
        " propose` takes it; a knob that is left out has its default. Thresholds and segments are"
        " exact; open rounds, answers before and `before_renewal` are of `nightly.counted_at`."
        " Nothing is changed or kept, so it may be called as often as a slider moves."
    )
    return (
        Operation(
            "post",
            f"{ROOT}/forecasts",
            "forecast",
            "Say what a policy would do",
            says,
            "read",
            Forecast,
            FORECAST,
            (*KEYED, *BODIED, *PARAMETERS),
            (PRODUCT,),
            (Body(JSON, {"type": "object"}, POLICY),),
            tag="policies",
        ),
    )
