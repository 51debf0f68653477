"""What the API does, call by call, in words and examples: what the document is made of.

`inbound_operations` has those of the webhooks taken in, one for each billing system or mail
provider that sends any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.forecast import Forecast
from app.inbox import STANDARD, speaks
from app.usage import LONGEST_NAME
from app.web.api import shapes
from app.web.api.bodies import JSON, NDJSON
from app.web.api.cloudevents import BATCH, ONE
from app.web.api.reviews import STATES as STATES_OF_REVIEWS
from app.web.api.subscriptions import MOST_LISTED, STAGES, USUALLY_LISTED
from app.web.problems import KINDS
from app.world import billing
from app.world.returns import providers

Scope = Literal["usage", "feedback", "read", "manage", "signature", "theirs", "login", "metrics"]
KEYED = ("unauthorized", "forbidden", "not-found", "too-many-requests", "internal-server-error")
BODIED = (
    "malformed-json",
    "request-entity-too-large",
    "content-encoding",
    "unsupported-media-type",
    "invalid-body",
)
PARAMETERS = ("bad-request", "invalid-parameter")
INBOUND = (
    "bad-request",
    "not-signed",
    "request-entity-too-large",
    "content-encoding",
    "unreadable",
    "internal-server-error",
    "not-applied",
)
MAILED = (
    "bad-request",
    "unauthorized",
    "request-entity-too-large",
    "content-encoding",
    "invalid-body",
    "internal-server-error",
)
DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
ROOT = "/v1/products/{product}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call."""

    name: str
    says: str
    schema: Mapping[str, Any]
    where: Literal["path", "query", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Body:
    """What a call takes as one content type: a shape, or a schema as it stands; and an example."""

    kind: str
    shape: Any
    example: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: where it is, who may, what it takes and gives, and what may go wrong."""

    method: Literal["get", "post"]
    path: str
    name: str
    summary: str
    says: str
    scope: Scope | None
    gives: Any
    example: Any
    problems: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()
    bodies: Sequence[Body] = ()
    kind: str = JSON
    body_required: bool = True
    tag: str = "calls"
    also: Mapping[str, Any] = field(default_factory=dict)

    def statuses(self) -> dict[int, list[str]]:
        """Give the kinds of problems by status."""
        found: dict[int, list[str]] = {}
        for kind in sorted(set(self.problems), key=list(KINDS).index):
            found.setdefault(KINDS[kind].status, []).append(kind)
        return found


PRODUCT = Parameter("product", "The product's key, such as tv.", {"type": "string"}, "path")
SUBSCRIPTION = Parameter(
    "subscription",
    "The id under which the billing system knows the subscription.",
    {"type": "string", "maxLength": LONGEST_NAME},
    "path",
)
LIMIT = Parameter(
    "limit",
    f"How many to give; {USUALLY_LISTED} if not given.",
    {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUALLY_LISTED},
)
CURSOR = Parameter(
    "cursor",
    "Where to go on: the `next_cursor` of the page before, as it is, with the same filter.",
    {"type": "string"},
)
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


REVIEW = {
    "id": 7,
    "subscription": "sub_1",
    "round": 1,
    "asked_at": "2026-08-23T08:57:25Z",
    "reason": "wrong_charge",
    "state": "open",
    "done_at": None,
    "done_by": None,
    "outcome": None,
    "due_on": None,
}


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


def operations() -> tuple[Operation, ...]:
    """Give every operation of the service that a system calls."""
    told = (*_usage(), *_subscriptions(), *_telling(), *_runs(), *_reviews(), *_forecasts())
    return (*told, *inbound_operations(), *_running())


def _usage() -> tuple[Operation, ...]:
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


def _subscriptions() -> tuple[Operation, ...]:
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


def _telling() -> tuple[Operation, ...]:
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


def _runs() -> tuple[Operation, ...]:
    number = Parameter("run", "The number of the run.", {"type": "string"}, "path")
    undo = {
        "actor": "api:1",
        "wanted_at": "2026-08-22T19:00:00Z",
        "wanted": 71,
        "withdrawn": 0,
        "ended_at": None,
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
            "post",
            f"{ROOT}/runs/{{run}}/undo",
            "undoRun",
            "Take a run back",
            "Withdraws whoever it asked and who has not answered: workers do it, and `undo` of the"
            " run says how far they are. What people answered stays, and so does what billing has"
            " done. The ramp of the run's version is stopped; where another version is in force,"
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


def _reviews() -> tuple[Operation, ...]:
    states = {"type": "string", "enum": list(STATES_OF_REVIEWS), "default": "open"}
    number = Parameter("review", "The number of the case.", {"type": "string"}, "path")
    done = {"state": "done", "done_by": "api:1", "outcome": "as_it_should_be"}
    return (
        Operation(
            "get",
            f"{ROOT}/reviews",
            "listReviews",
            "List the cases that subscribers want a person to look at",
            "Those in one state: requests to erase first, by the day they are due, then the one"
            " that has waited longest. While a case is open"
            " nothing follows from silence: nobody is suspended or canceled for not answering, and"
            " nobody is asked anew. Reasons are codes; nothing in it names a person.",
            "read",
            shapes.Reviews,
            {"reviews": [REVIEW], "next_cursor": None},
            (*KEYED, *PARAMETERS, "bad-cursor"),
            (PRODUCT, Parameter("state", "Only those in this state.", states), LIMIT, CURSOR),
            tag="reviews",
        ),
        Operation(
            "get",
            f"{ROOT}/reviews/{{review}}",
            "getReview",
            "Show one case",
            "The subscription's own call, and its timeline, say the rest.",
            "read",
            shapes.Review,
            REVIEW,
            (*KEYED, *PARAMETERS),
            (PRODUCT, number),
            tag="reviews",
        ),
        Operation(
            "post",
            f"{ROOT}/reviews/{{review}}/done",
            "finishReview",
            "Say what a person found",
            "The case goes on, and no deadline of it falls sooner than three days from now. A"
            " request to erase ends with codes of its own, and is erased by you. The"
            " subscriber's page says what was found. A case that is not open any more is a"
            " conflict, so no Idempotency-Key is needed.",
            "manage",
            shapes.Review,
            REVIEW | done | {"done_at": "2026-08-24T10:00:00Z"},
            (*KEYED, *BODIED, *PARAMETERS, "conflict", "refused"),
            (PRODUCT, number),
            (Body(JSON, shapes.ReviewDone, {"outcome": "as_it_should_be"}),),
            tag="reviews",
        ),
    )


def _forecasts() -> tuple[Operation, ...]:
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


def inbound_operations() -> tuple[Operation, ...]:
    """Give the webhooks that billing systems and mail providers call: one operation each."""
    others = [name for name in billing.names() if name != STANDARD and speaks(name)]
    mailers = (_mail_of(name) for name in providers.names())
    return (_standard(), *(_message_of(name) for name in others), *mailers)


def _mail_of(name: str) -> Operation:
    provider = providers.provider(name)
    return Operation(
        "post",
        f"/webhooks/{{product}}/mail/{name}",
        f"{name}MailWebhook",
        f"Take in what {provider.title} tells of bounces and complaints",
        f"The calls of {provider.title}, as they come. The login of the address has a key of scope"
        " feedback as its password. A bounce for good and a complaint count as in recordFeedback,"
        " for the notice whose Message-ID comes back with them; all else is `ignored`. Telling it"
        " again is harmless. docs/bounces.md says what to set where.",
        "login",
        shapes.MailWebhookResult,
        {"result": "applied"},
        MAILED,
        (PRODUCT,),
        (Body(JSON, {"type": "object"}, dict(provider.example)),),
        tag="webhooks",
    )


def _message_of(name: str) -> Operation:
    system = billing.system(name)
    title = system.title if system else name
    return Operation(
        "post",
        f"/webhooks/{{product}}/{name}",
        f"{name}Webhook",
        f"Take in what {title} sends",
        f"The messages and signatures of {title}, as they come. Each is a hint: what it names is"
        " read back from there, so that duplicates and any order are harmless. What is none of our"
        " business is answered with `ignored`.",
        "theirs",
        shapes.WebhookResult,
        {"result": "applied"},
        INBOUND,
        (PRODUCT,),
        (Body(JSON, {"type": "object"}, {"id": "evt_1", "type": "customer.updated"}),),
        tag="webhooks",
    )


def _standard() -> Operation:
    text = {"type": "string"}
    headers = tuple(
        Parameter(name, says, text, "header")
        for name, says in (
            ("webhook-id", "The message's own id; the same on every try."),
            ("webhook-timestamp", "Seconds since 1970, within five minutes of now."),
            ("webhook-signature", "v1,… : several, separated by spaces, while secrets change."),
        )
    )
    told = {
        "type": "subscription.updated",
        "timestamp": "2026-08-22T08:57:25Z",
        "data": {
            "id": "sub_1",
            "email": "ada@subscribers.example",
            "locale": "en",
            "country": "GB",
            "timezone": "Europe/London",
            "plan": "standard",
            "amount": 1349,
            "currency": "GBP",
            "interval": "month",
            "started_at": "2022-09-01T10:00:00Z",
            "renews_at": "2026-09-20T00:00:00Z",
            "status": "active",
        },
    }
    shape = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {
                "type": "string",
                "description": "subscription.created, updated, canceled, paused or resumed;"
                " others are answered with `ignored`.",
            },
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {
                "type": "object",
                "description": "The subscription, by the names of the import file.",
            },
        },
    }
    return Operation(
        "post",
        "/webhooks/{product}/standard",
        "standardWebhook",
        "Tell what billing knows, as Standard Webhooks 1.0",
        "The generic billing system. The very bytes of the body are signed; everything that is"
        " wrong with a signature is 401, a product that does not exist included. Duplicates and"
        " any order are harmless, and nothing that was answered with 200 is lost.",
        "signature",
        shapes.WebhookResult,
        {"result": "applied"},
        INBOUND,
        (PRODUCT, *headers),
        (Body(JSON, shape, told),),
        tag="webhooks",
    )


def _running() -> tuple[Operation, ...]:
    text = {"type": "string"}
    return (
        Operation(
            "get",
            "/healthz",
            "healthz",
            "Say that the process is alive",
            "And nothing of what it needs.",
            None,
            text,
            "ok\n",
            kind="text/plain",
            tag="running",
        ),
        Operation(
            "get",
            "/readyz",
            "readyz",
            "Say that the process may be sent work",
            "The database answers, its schema is the newest, Redis answers where one is configured,"
            " and the clocks of machine and database are within 30 seconds. Otherwise the problem"
            " names in `failing` what is not so.",
            None,
            {"type": "object", "properties": {"ready": {"const": True}}, "required": ["ready"]},
            {"ready": True},
            ("not-ready", "internal-server-error"),
            tag="running",
        ),
        Operation(
            "get",
            "/metrics",
            "metrics",
            "Figures for Prometheus",
            "With RECONFIRM_METRICS_TOKEN as bearer where it is set, and from this machine only"
            " where it is not. Calls are counted by process. No label names a person.",
            "metrics",
            text,
            'reconfirm_stage{product="tv",stage="asked"} 12.0\n',
            ("unauthorized", "forbidden", "internal-server-error"),
            kind="text/plain",
            tag="running",
        ),
    )
