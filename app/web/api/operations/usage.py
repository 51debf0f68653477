"""Telling use, and what mail servers told later on."""

from app.web.api import shapes
from app.web.api.bodies import JSON, NDJSON
from app.web.api.cloudevents import BATCH, ONE
from app.web.api.operations.parts import (
    BODIED,
    KEYED,
    PARAMETERS,
    PRODUCT,
    ROOT,
    Body,
    Operation,
    Parameter,
)

DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
COVERAGE = (
    Parameter(
        "through",
        "The last day of which all use has been told, this call included. It is noted last, once"
        " everything else has been recorded, and never moves back.",
        DAY,
    ),
    Parameter(
        "covers_from",
        "The first day of which the feed tells all use; the day it first speaks if never given."
        " Moving it back looks anew at everybody, which takes a while where there are millions.",
        DAY,
    ),
)
USED = {"subscription": "sub_1", "used_at": "2026-08-22T08:57:25Z"}
TAKEN = {
    "received": 2,
    "applied": 1,
    "unchanged": 0,
    "unknown": 0,
    "rejected": [{"index": 1, "reason": "used_at lies in the future"}],
    "rejected_total": 1,
}
EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/player",
    "type": "tv.watched",
    "subject": "sub_1",
    "time": "2026-08-22T08:57:25Z",
}


def usage_operations() -> tuple[Operation, ...]:
    """Give the calls that tell use."""
    problems = (*KEYED, *BODIED, *PARAMETERS, "conflict")
    line = {"type": "string", "description": "One JSON object a line, of any number of lines."}
    return (
        Operation(
            "post",
            f"{ROOT}/usage",
            "recordUsage",
            "Tell who used the product, and when",
            "Up to 10,000 events as JSON, or NDJSON of any length, which is read as it arrives and"
            " recorded 10,000 events at a time; a line may have 16 KiB. Each event is judged on its"
            " own: a bad one is rejected by its index, and the rest goes on. Only the latest day of"
            " each subscription is kept, and only ever moved forward, so telling the same again, or"
            " in any order, changes nothing. A name that billing has not told of is remembered with"
            " its latest day and applied when it arrives. `through` may stand in the body or in the"
            " address; without events it is a heartbeat. Nobody is asked or suspended beyond the"
            " day up to which every feed has told. Of members that stand twice the last counts.",
            "usage",
            shapes.UsageResult,
            TAKEN,
            problems,
            (PRODUCT, *COVERAGE),
            (
                Body(JSON, shapes.UsageBody, {"events": [USED], "through": "2026-08-21"}),
                Body(NDJSON, line, '{"subscription": "sub_1", "used_at": "2026-08-22"}\n'),
            ),
            tag="usage",
        ),
        Operation(
            "post",
            f"{ROOT}/usage/cloudevents",
            "recordCloudEvents",
            "Tell use as CloudEvents 1.0",
            "One event, a batch, or one in the headers (binary mode: `ce-specversion`, `ce-id`,"
            " `ce-source`, `ce-type`, `ce-subject`, `ce-time`). `subject` is the subscription and"
            " `time` when it was used; all else is passed over. What is told means the same as in"
            " the other call.",
            "usage",
            shapes.UsageResult,
            TAKEN | {"received": 1, "rejected": [], "rejected_total": 0},
            problems,
            (PRODUCT, *COVERAGE),
            (Body(ONE, shapes.CloudEvent, EVENT), Body(BATCH, list[shapes.CloudEvent], [EVENT])),
            tag="usage",
            body_required=False,
        ),
    )
