"""Runs, and the ramp of the policy in force."""

from app.store.amends import STANDINGS
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

RUN = {
    "number": 12,
    "day": "2026-08-22",
    "version": 1,
    "step": 2,
    "first_at": "2026-08-22T00:00:05Z",
    "last_at": "2026-08-22T18:04:11Z",
    "actors": ["clock"],
    "asked": 100,
    "reminded": 8,
    "suspended": 0,
    "canceled": 0,
    "undo": None,
}
RATES = [
    {"guard": "bounces", "bad": 2, "of": 97, "at_most": "5%"},
    {"guard": "complaints", "bad": 0, "of": 97, "at_most": "0.1%"},
    {"guard": "in_use", "bad": 1, "of": 97, "at_most": "10%"},
]
PERSON = {
    "subscription": "sub_81",
    "stands": "suspended",
    "erase_on": "2027-07-22",
    "told_at": None,
    "owed": 0,
    "currency": "EUR",
    "not_resumed": "charged_at_once",
}
STANDS = Parameter("stands", "How they stand.", {"type": "string", "enum": list(STANDINGS)})
RUN_DETAIL = {
    "run": RUN,
    "became": {
        "asked": 100,
        "handed_over": 97,
        "open": 71,
        "in_hand": 0,
        "suspended": 0,
        "canceled": 4,
        "closed": {"kept": 20, "returned": 3, "unreachable": 2},
    },
    "rates_of_day": RATES,
}
RAMP = {
    "stands": "waits",
    "version": 1,
    "backlog": 4180,
    "opened": 100,
    "next_at": "2026-08-23T18:06:00Z",
    "halted": None,
    "steps": [
        {"number": 1, "says": "10", "people": 10, "stands": "done"},
        {"number": 2, "says": "100", "people": 100, "stands": "here"},
        {"number": 3, "says": "100%", "people": 4180, "stands": "ahead"},
    ],
    "rates": RATES,
}


def run_operations() -> tuple[Operation, ...]:
    """Give the calls about runs, and about the ramp."""
    number = Parameter("run", "The number of the run.", {"type": "string"}, "path")
    undo = {
        "actor": "api:1",
        "wanted_at": "2026-08-22T19:00:00Z",
        "wanted": 71,
        "withdrawn": 0,
        "ended_at": None,
        "apologized": 0,
        "resumed": 0,
        "spared": 0,
        "resume": False,
        "agreed_by": None,
        "agreed_at": None,
    }
    halted = {"at": "2026-08-22T19:00:00Z", "by": "api:1", "why": "usage_feed_in_doubt"}
    return (
        Operation(
            "get",
            f"{ROOT}/runs",
            "listRuns",
            "List runs",
            "What each day's sweeps did under each version of the policy and step of its ramp, the"
            " newest first. Counts only: nothing in it names a person.",
            "read",
            shapes.Runs,
            {"runs": [RUN], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, LIMIT, CURSOR),
            tag="runs",
        ),
        Operation(
            "get",
            f"{ROOT}/runs/{{run}}",
            "getRun",
            "Show one run",
            "What became of those it asked, and the rates of bounces, complaints and people who do"
            " use it among the asks handed over on its day, beside the limits of the guards.",
            "read",
            shapes.RunDetail,
            RUN_DETAIL,
            (*KEYED, *PARAMETERS),
            (PRODUCT, number),
            tag="runs",
        ),
        Operation(
            "get",
            f"{ROOT}/runs/{{run}}/people",
            "listRunPeople",
            "List whom a run asked",
            "How each of them stands: what taking the run back puts right, or has. `stands` gives"
            " only those who stand so.",
            "read",
            shapes.RunPeople,
            {"people": [PERSON], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, number, STANDS, LIMIT, CURSOR),
            tag="runs",
        ),
        Operation(
            "post",
            f"{ROOT}/runs/{{run}}/undo",
            "undoRun",
            "Take a run back",
            "Withdraws whoever it asked and who has not answered, sees that nothing of anybody is"
            " erased for it, and tells whom silence stopped that it was a mistake, so that they"
            " resume by a click: workers do it, and `undo` of the run says how far they are. What"
            " people answered stays. That somebody is resumed without a yes is for two people to"
            " decide, in the console or by the command line, and not for a key. The ramp of"
            " the run's version is stopped; where another version is in force,"
            " its ramp is paused. While it is under way, and where nobody is left, it is a"
            " conflict, so no Idempotency-Key is needed.",
            "manage",
            shapes.RunDetail,
            RUN_DETAIL | {"run": RUN | {"undo": undo}},
            (*KEYED, *PARAMETERS, "conflict"),
            (PRODUCT, number),
            tag="runs",
        ),
        Operation(
            "get",
            f"{ROOT}/ramp",
            "getRamp",
            "Show the ramp",
            "The steps of the policy in force, where it stands, when the next step may begin, and"
            " how the guards stand that would stop it.",
            "read",
            shapes.Ramp,
            RAMP,
            (*KEYED, *PARAMETERS),
            (PRODUCT,),
            tag="runs",
        ),
        Operation(
            "post",
            f"{ROOT}/ramp",
            "actOnRamp",
            "Pause, resume or stop the ramp",
            "Paused or stopped, no new asks are opened under the version in force, also where it"
            " has no ramp; reminders, suspensions and answers go on. A resume takes a pause back; a"
            " stop is final for the version until it is put in force anew. Saying the same twice"
            " changes nothing more, so no Idempotency-Key is needed.",
            "manage",
            shapes.Ramp,
            RAMP | {"stands": "paused", "halted": halted},
            (*KEYED, *BODIED, *PARAMETERS, "conflict"),
            (PRODUCT,),
            (
                Body(
                    JSON,
                    shapes.RampPause | shapes.RampResume | shapes.RampStop,
                    {"act": "pause", "why": "usage_feed_in_doubt"},
                ),
            ),
            tag="runs",
        ),
    )
