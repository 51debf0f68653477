"""Versions of a policy, and the lists of whom they would ask."""

from typing import Any

from app.web.api import shapes
from app.web.api.bodies import JSON
from app.web.api.operations.forecasts import FORECAST, POLICY
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
from app.web.api.policies import CSV, ONCE, SAMPLE

VERSION = Parameter("version", "The number of the version.", {"type": "string"}, "path")
SEEN = Parameter(
    "seen",
    "The newest version that you know of, 0 for none: `stale` where there is a newer one.",
    {"type": "integer", "minimum": 0, "maximum": 999_999_999},
)
IDEMPOTENCY = Parameter(
    ONCE,
    "A name of your own for this proposal, such as a UUID: sent again with the same body and key it"
    " gives the version that was made the first time.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "header",
    optional=True,
)
LISTED = {
    "version": 2,
    "state": "proposed",
    "proposed_by": "console:ann",
    "proposed_at": "2026-08-22T08:57:25Z",
    "based_on": 1,
    "approvals": [{"actor": "api:1", "at": "2026-08-23T09:12:00Z"}],
    "activate_at": None,
    "activate_by": None,
    "put_off": None,
    "activated_at": None,
    "activated_by": None,
    "withdrawn_at": None,
    "withdrawn_by": None,
}
SHOWN = LISTED | {
    "policy": POLICY,
    "forecast": FORECAST,
    "compared_with": 1,
    "changes": [{"path": "unused_after", "before": "P2Y", "after": "P1Y"}],
    "story": [
        {
            "at": "2026-08-22T08:57:25Z",
            "what": "policy_proposed",
            "why": "by_hand",
            "actor": "console:ann",
        }
    ],
    "planned": None,
}
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
LIST = {
    "version": 2,
    "state": "waiting",
    "made_at": "2026-08-24T06:00:03Z",
    "people": 4120,
    "hash": HASH,
    "approved_at": None,
    "approved_by": None,
    "done_at": None,
}
PERSON = {
    "id": "sub_1",
    "why": "unused",
    "plan": "standard",
    "country": "GB",
    "interval": "month",
    "amount": 1349,
    "currency": "GBP",
    "started_on": "2022-09-01",
    "last_used_on": "2024-08-20",
}
LINES = (
    "external_id,why,plan,country,interval,amount,currency,started_on,last_used_on\r\n"
    "sub_1,unused,standard,GB,month,1349,GBP,2022-09-01,2024-08-20\r\n"
)
ONE = f"{ROOT}/policies/{{version}}"
AT = {"at": "2026-08-25T08:00:00Z"}


def policy_operations() -> tuple[Operation, ...]:
    """Give the calls about versions of a policy."""
    return (*_looking(), *_proposing(), *_putting_in_force(), *_lists())


def _looking() -> tuple[Operation, ...]:
    return (
        Operation(
            "get",
            f"{ONE}/dry-run",
            "dryRunPolicy",
            "Say whom a version would ask now",
            "By the rules themselves, whether the version is in force or not; nothing is written."
            " Two thousand subscriptions are looked at for a page, and those of them listed that"
            " would be asked. Pace, ramp, brakes and one ask a day for a customer are left out:"
            " they only spread the asks over days.",
            "read",
            shapes.DryRun,
            {"version": 2, "looked_at": 2000, "asked": [PERSON], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, VERSION, CURSOR),
            tag="policies",
        ),
        Operation(
            "get",
            f"{ROOT}/policies",
            "listPolicies",
            "List the versions of the policy",
            "The newest first: where each stands, who proposed it and who agrees with it. A version"
            " never changes; what is to be different is proposed as a new one.",
            "read",
            shapes.PolicyVersions,
            {"policies": [LISTED], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, LIMIT, CURSOR),
            tag="policies",
        ),
        Operation(
            "get",
            ONE,
            "getPolicy",
            "Show one version",
            "Its text, what it was expected to do when it was proposed, how it differs from the one"
            " in force, and what was said and done about it. Of the one in force also how many of"
            " all people have been looked at anew: who is due earlier is asked once they have.",
            "read",
            shapes.PolicyVersion,
            SHOWN,
            (*KEYED, *PARAMETERS),
            (PRODUCT, VERSION),
            tag="policies",
        ),
    )


def _proposing() -> tuple[Operation, ...]:
    return (
        Operation(
            "post",
            f"{ROOT}/policies",
            "proposePolicy",
            "Propose a version",
            "The body is a policy as `forecast` takes it; nothing changes yet. Its forecast is kept"
            " with it. One without a ramp that would ask more people at once than its own guards"
            " allow is `refused`, and says what to do.",
            "manage",
            shapes.PolicyVersion,
            SHOWN,
            (*KEYED, *BODIED, *PARAMETERS, "conflict", "stale", "refused"),
            (PRODUCT, SEEN, IDEMPOTENCY),
            (Body(JSON, {"type": "object"}, POLICY),),
            tag="policies",
        ),
        _change(
            "comment",
            "commentPolicy",
            "Say something of a version",
            "A code, never words: what is said stands in the history for good.",
            Body(JSON, shapes.CommentBody, {"code": "numbers_wanted"}),
        ),
        _change(
            "approve",
            "approvePolicy",
            "Approve a version",
            "Where the product wants two people, the second is another than who proposed it: a key"
            " counts as one person. What was approved before another version came into force is to"
            " be approved again. Saying so twice counts once, so no Idempotency-Key is needed.",
        ),
        _change(
            "withdraw",
            "withdrawPolicy",
            "Take back a version that was never in force",
            "It stays in the list, and cannot be put in force.",
        ),
    )


def _putting_in_force() -> tuple[Operation, ...]:
    return (
        _change(
            "activate",
            "activatePolicy",
            "Put a version in force, now or at a time",
            "It changes the next notice, never the last one; rounds that are open keep the version"
            " they began with. One that was in force before is put back. Workers then look at"
            " everybody anew: `planned` says how far they are. With `at` all is checked again at"
            " that moment; what may not be any more is put off, with the reason in `put_off`. One"
            " that is in force already is a conflict, so no Idempotency-Key is needed.",
            Body(JSON, shapes.ActivateBody, AT),
            example=SHOWN | {"state": "scheduled", "activate_at": AT["at"], "activate_by": "api:1"},
        ),
        _change(
            "unschedule",
            "unschedulePolicy",
            "Call off that a version is put in force at a time",
            "It can be put in force later, or at another time.",
        ),
    )


def _lists() -> tuple[Operation, ...]:
    problems = (*KEYED, *PARAMETERS)
    approval = Body(JSON, shapes.ListApproval, {"hash": HASH})
    approved = {"state": "in_work", "approved_at": "2026-08-24T09:00:00Z", "approved_by": "api:1"}
    return (
        Operation(
            "get",
            f"{ONE}/list",
            "getList",
            "Say whom a version would ask at once, as a whole",
            "Where two people agree on policies, and more come due at once than a day's share or"
            " quota, the first sweep writes down who: nobody is asked until somebody else than who"
            " put the version in force has approved that list, and until it is done nobody who is"
            " not on it. Not found where there is none.",
            "read",
            shapes.ListToAsk,
            LIST,
            problems,
            (PRODUCT, VERSION),
            tag="policies",
        ),
        Operation(
            "get",
            f"{ONE}/list.csv",
            "getListLines",
            "Read who is on the list",
            "Everybody, by the facts that decide, in the order of our own numbers; as it is read,"
            " so that it may be of any length. Its ETag is the hash. It breaks off where the list"
            " is made anew meanwhile. An id that begins as a formula does has an apostrophe before"
            " it. Who was erased since is not on it.",
            "read",
            {"type": "string"},
            LINES,
            problems,
            (PRODUCT, VERSION),
            kind=CSV,
            tag="policies",
        ),
        Operation(
            "get",
            f"{ONE}/list/sample",
            "getListSample",
            f"Look at {SAMPLE} of the list by chance",
            "The same ones for whoever asks, chosen by the hash of the whole list.",
            "read",
            shapes.ListSample,
            {"hash": HASH, "people": 4120, "sample": [PERSON]},
            problems,
            (PRODUCT, VERSION),
            tag="policies",
        ),
        _change(
            "list/approve",
            "approveList",
            "Approve whom a version would ask",
            "As the list of this hash: a conflict where it is another by now, and for who put the"
            " version in force. Those on it are asked by the steps of the ramp.",
            approval,
            gives=shapes.ListToAsk,
            example=LIST | approved,
        ),
        _change(
            "list/renew",
            "renewList",
            "Have the list made anew by the next sweep",
            "Not once it is approved.",
        ),
    )


def _change(  # noqa: PLR0913 - what an operation is
    path: str,
    name: str,
    summary: str,
    says: str,
    body: Body | None = None,
    *,
    gives: Any = shapes.PolicyVersion,
    example: Any = SHOWN,
) -> Operation:
    """Give a call that changes one version."""
    return Operation(
        "post",
        f"{ONE}/{path}",
        name,
        summary,
        says,
        "manage",
        gives,
        example,
        (*KEYED, *BODIED, *PARAMETERS, "conflict", "refused"),
        (PRODUCT, VERSION),
        (body or Body(JSON, shapes.Nothing, {}),),
        tag="policies",
    )
