"""What systems send and get, as types: a body is read by them, and the document is made of them.

A member that is not named here is refused. Texts have limits, so that nothing is kept of what is
no id; the words of enumerations are those of `app.lifecycle.case`.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from app.usage import LONGEST_NAME
from app.versions import Comment, State

MOST_EVENTS = 10_000
MOST_FEEDBACK = 1_000
MOST_TOLD = 1_000
"""So many rejected events are listed; `rejected_total` counts them all."""

Id = Annotated[
    str,
    Meta(
        max_length=LONGEST_NAME,
        description="The id under which the billing system knows the subscription.",
        examples=["sub_1"],
    ),
]
UsedAt = Annotated[
    str,
    Meta(
        max_length=64,
        description="When it was used: RFC 3339 with an offset, or a plain date.",
        examples=["2026-08-22T08:57:25Z", "2026-08-22"],
    ),
]
Day = Annotated[
    str,
    Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day: 2026-09-01.", examples=["2026-09-01"]),
]
Moment = Annotated[datetime, Meta(tz=True)]


class Strict(Struct, forbid_unknown_fields=True):
    """Takes no member that is not named."""


# --- usage ---------------------------------------------------------------------------------


class UsageEvent(Strict, gc=False):
    """One use: of a subscription, or of a customer, which counts for all of theirs."""

    used_at: UsedAt
    subscription: Id | None = None
    customer: Id | None = None


class UsageBody(Strict):
    """A batch of usage; without events it is a heartbeat."""

    events: Annotated[list[UsageEvent], Meta(max_length=MOST_EVENTS)] = []
    through: Day | None = None
    covers_from: Day | None = None


class CloudEvent(Struct):
    """A CloudEvent 1.0; every member that is not named here is passed over, as its rules ask."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=1000)]
    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    type: Annotated[str, Meta(min_length=1, max_length=1000)]
    subject: Annotated[str, Meta(max_length=LONGEST_NAME, description="The subscription used.")]
    time: Annotated[str, Meta(max_length=64, description="When it was used.")]


class Rejected(Struct):
    """One event that was not taken: its place in what was sent, from 0, and the reason."""

    index: int
    reason: str


class UsageResult(Struct):
    """What became of a batch; every event is judged on its own.

    `applied` counts subscriptions whose last day of use moved, `unchanged` events that told
    nothing new, and `unknown` names that billing has not told of yet: their latest day is
    remembered and applied when they arrive.
    """

    received: int
    applied: int
    unchanged: int
    unknown: int
    rejected: Annotated[list[Rejected], Meta(max_length=MOST_TOLD)]
    rejected_total: int


# --- subscriptions ---------------------------------------------------------------------------

Stage = Literal["active", "asked", "suspended", "canceled", "erasing"]


class Listed(Struct, kw_only=True):
    """One subscription of a list: where it stands, and nothing that names a person.

    `why` is why the latest round was opened, `outcome` what it came to once closed.
    """

    id: str
    stage: Stage
    status: str
    round: int | None
    why: str | None
    outcome: str | None
    asked_at: Moment | None
    answer_by: Moment | None
    paid_until: Moment | None
    erase_on: date | None
    last_used_on: date | None
    next_look: Moment | None


class Subscriptions(Struct):
    """A page of a list; `next_cursor` leads on and is null on the last page."""

    subscriptions: list[Listed]
    next_cursor: str | None


class Subscription(Listed, kw_only=True):
    """One subscription: where it stands, what comes next, and what keeps it from coming.

    `next` and `blocked_by` are sentences for people; programs go by `stage` and the dates.
    """

    customer: str | None
    plan: str
    country: str
    amount: Annotated[int, Meta(description="In the currency's minor unit.")]
    currency: str
    interval: str
    started_on: date
    renews_at: Moment | None
    reach: Literal["ok", "no_address", "bounced", "complained"]
    policy_version: int | None
    word: Literal["keep", "cancel", "resume", "undo", "keep_data"] | None
    decided_by: str | None
    act: Annotated[
        Literal["suspend", "resume", "cancel", "end"] | None,
        Meta(description="What billing is being told at the moment."),
    ]
    next: str
    blocked_by: list[str]


class TimelineEntry(Struct, kw_only=True):
    """One step: what happened, the code of the reason, under which policy, and who did it."""

    at: Moment
    round: int | None
    what: str
    why: str
    policy_version: int | None
    actor: str


class Timeline(Struct):
    """The dated story of one subscription, oldest first."""

    id: str
    entries: list[TimelineEntry]
    next_cursor: str | None


# --- cases before a person ---------------------------------------------------------------------

ReviewState = Literal["open", "done", "withdrawn"]
Outcome = Annotated[
    Literal[
        "put_right",
        "as_it_should_be",
        "settled_directly",
        "erased_by_hand",
        "erasure_refused_legal",
        "erasure_refused_dispute",
        "erasure_refused_restriction",
    ],
    Meta(
        description="What a person found; the subscriber's page says it in words. The last four"
        " end a request to erase, and nothing else."
    ),
]


class Review(Struct, kw_only=True):
    """A case that its subscriber wants a person to look at, or that wants to be erased.

    While it is open nothing follows from silence. `withdrawn` is what a robot had asked for, or a
    request to erase that was taken back. Such a request (`erase`) is carried out by itself, a day
    after it was made (`erased`); `due_on` is the day by which it must be done, null for all others.
    """

    id: int
    subscription: str
    round: int
    asked_at: Moment
    reason: Literal[
        "wrong_charge", "in_use", "not_mine", "other", "objection", "restriction", "erase"
    ]
    state: ReviewState
    done_at: Moment | None
    done_by: str | None
    outcome: Outcome | Literal["erased"] | None
    due_on: date | None


class Reviews(Struct):
    """A page of a list; `next_cursor` leads on and is null on the last page."""

    reviews: list[Review]
    next_cursor: str | None


class ReviewDone(Strict):
    """What a person found who looked at a case."""

    outcome: Outcome


# --- erasing -----------------------------------------------------------------------------------

HoldReason = Literal["legal", "dispute", "entitlement", "restriction"]
HoldState = Literal["on", "all"]


class Hold(Struct, kw_only=True):
    """A stop on erasure; `subscription` is null once its person was erased.

    `source` is what set it by itself, such as a dispute or a refund, or the key of a call. It holds
    until `released_at`: on `review_on` a person looks at it, and it does not lapse.
    """

    id: int
    subscription: str | None
    reason: HoldReason
    source: str | None
    set_by: str
    set_at: Moment
    review_on: date
    released_at: Moment | None
    released_by: str | None


class Holds(Struct):
    """A page of a list; `next_cursor` leads on and is null on the last page."""

    holds: list[Hold]
    next_cursor: str | None


class HoldBody(Strict):
    """A hold to be set; without `review_on` it is looked at again in 90 days."""

    reason: HoldReason
    review_on: Day | None = None


ManifestState = Literal["making", "waiting", "approved", "done", "refused", "expired"]


class Manifest(Struct, kw_only=True):
    """Whose data is due to be erased as of a day; `hash` is of exactly these people.

    `people` and `hash` are null while it is `making`.
    """

    number: int
    day: date
    state: ManifestState
    people: int | None
    hash: str | None
    made_by: str
    made_at: Moment
    approved_at: Moment | None
    refused_by: str | None
    refused_at: Moment | None
    ended_at: Moment | None


class Manifests(Struct):
    """A page of a list; `next_cursor` leads on and is null on the last page."""

    manifests: list[Manifest]
    next_cursor: str | None


class ManifestApproval(Struct):
    """Who approved a manifest; `counts`: they still may, and are somebody different."""

    actor: str
    approved_at: Moment
    counts: bool


class ManifestCount(Struct):
    """How many on a manifest are of one kind."""

    of: Literal["why", "stage", "plan", "country", "state", "skipped"]
    value: str
    people: int


class ManifestShown(Manifest, kw_only=True):
    """A manifest with who approved it; `lacks` is how many more people have to."""

    approvals: list[ManifestApproval]
    lacks: int
    counts: list[ManifestCount]


class ManifestEntry(Struct, kw_only=True):
    """One who is on a manifest; `subscription`, `plan` and `country` are null once erased.

    `since` is the day of the suspension or cancel; warnings were handed over on `warned` days.
    `skipped` is the code of why somebody was passed over.
    """

    subscription: str | None
    plan: str | None
    country: str | None
    round: int
    stage: str
    why: str
    since: date
    erase_on: date
    warned_from: date
    warned_on: date
    warned: int
    state: Literal["waiting", "begun", "skipped"]
    skipped: str | None


class ManifestEntries(Struct):
    """A page of who is on a manifest, in the order of our own numbers."""

    hash: str | None
    entries: list[ManifestEntry]
    next_cursor: str | None


# --- what people may ask -----------------------------------------------------------------------


class NothingMore(Strict):
    """Nothing has to be said: an empty object."""


class ErasureBody(Strict):
    """Somebody wants to be erased; `cancel`: what is still charged is canceled as their word."""

    cancel: bool = False


class AddressBody(Strict):
    """The address that somebody says is theirs."""

    email: Annotated[
        str,
        Meta(
            min_length=3,
            max_length=200,
            description="One e-mail address.",
            examples=["ada@subscribers.example"],
        ),
    ]


class RightTaken(Struct):
    """`unchanged`: that was so already."""

    verdict: Literal["applied", "unchanged"]


class ErasureWanted(Struct):
    """When it was asked for, and when it begins by itself at the soonest."""

    verdict: Literal["applied", "unchanged"]
    asked_at: Moment | None
    begins_at: Moment | None


# --- runs --------------------------------------------------------------------------------------

Guard = Literal["bounces", "complaints", "in_use"]
HaltedWhy = Literal["looking_into_numbers", "usage_feed_in_doubt", "wording_in_doubt", "other"]
ResumedWhy = Literal["looked_into", "mended", "false_alarm", "other"]


RunStands = Literal[
    "open",
    "in_hand",
    "suspended",
    "canceled",
    "suspended_told",
    "canceled_told",
    "restoring",
    "restored",
    "erasing",
    "erased",
    "answered",
    "closed",
]
"""How somebody stands whom a run asked."""


class RunUndo(Struct, kw_only=True):
    """How far the taking back of a run has come; `ended_at` is null while it is under way.

    Of those `wanted`, the questions of some are `withdrawn`, some are told that it was a mistake
    (`apologized`), and some are `resumed`, which two people decide: the second is `agreed_by`. Of
    `spared` nothing is erased any more.
    """

    actor: str
    wanted_at: Moment
    wanted: int
    withdrawn: int
    ended_at: Moment | None
    apologized: int
    resumed: int
    spared: int
    resume: bool
    agreed_by: str | None
    agreed_at: Moment | None


class Run(Struct, kw_only=True):
    """What the sweeps of a day (UTC) did under one version of the policy and step of its ramp.

    `suspended` and `canceled` count what billing was to be told after silence. `step` is from 1,
    and null where there was no ramp or it was over, as it is for reminders and silence under an
    earlier version.
    """

    number: int
    day: date
    version: int
    step: int | None
    first_at: Moment
    last_at: Moment
    actors: list[str]
    asked: int
    reminded: int
    suspended: int
    canceled: int
    undo: RunUndo | None


class Runs(Struct):
    """A page of a list; `next_cursor` leads on and is null on the last page."""

    runs: list[Run]
    next_cursor: str | None


class Rate(Struct):
    """How a guard of bad news stands: `bad` of `of` asks, and the share that it allows."""

    guard: Guard
    bad: int
    of: int
    at_most: str


class Became(Struct, kw_only=True):
    """What became of the rounds that began in a run.

    `open` can still be withdrawn; of those `in_hand` billing is being told, or the person has said
    something that is not done yet. `closed` counts by outcome.
    """

    asked: int
    handed_over: int
    open: int
    in_hand: int
    suspended: int
    canceled: int
    closed: dict[str, int]


class RunPerson(Struct, kw_only=True):
    """Somebody whom a run asked, by the id at billing, and how they stand.

    `owed` is what the refund ledger has open for it, in minor units. `not_resumed` is why somebody
    whom it stopped would not be resumed without a yes of their own, null where they would be, or
    where nobody would resume them. `told_at` is when they were to be told that it was a mistake, or
    resumed.
    """

    subscription: str
    stands: RunStands
    erase_on: date | None
    told_at: Moment | None
    owed: int
    currency: str
    not_resumed: str | None


class RunPeople(Struct):
    """A page of a list; `next_cursor` leads on and is null on the last page."""

    people: list[RunPerson]
    next_cursor: str | None


class RunDetail(Struct, kw_only=True):
    """A run with what became of it; null where counting that takes too long.

    `rates_of_day` are of all asks handed over on its day, whatever run they began in.
    """

    run: Run
    became: Became | None
    rates_of_day: list[Rate]


class RampStep(Struct):
    """A step of a ramp, as the policy says it; `people` is null before its backlog is counted."""

    number: int
    says: str
    people: int | None
    stands: Literal["done", "here", "ahead"]


class Halt(Struct):
    """When a ramp was paused or stopped, by whom, and why."""

    at: Moment
    by: str
    why: str


class Ramp(Struct, kw_only=True):
    """The ramp of the policy in force.

    `opened` counts the asks of the present step; `next_at` is when the next one may begin, null
    where the present one is not used up or none of its asks was handed over yet. Rates are those of
    the last seven days.
    """

    stands: Literal[
        "no_policy", "at_once", "not_begun", "runs", "waits", "over", "paused", "stopped"
    ]
    version: int | None
    backlog: int | None
    opened: int
    next_at: Moment | None
    halted: Halt | None
    steps: list[RampStep]
    rates: list[Rate]


class RampPause(Strict, tag_field="act", tag="pause"):
    """Open no new asks until somebody resumes."""

    why: HaltedWhy = "other"


class RampStop(Strict, tag_field="act", tag="stop"):
    """Open no new asks under this version ever again."""

    why: HaltedWhy = "other"


class RampResume(Strict, tag_field="act", tag="resume"):
    """Let a paused ramp go on."""

    why: ResumedWhy = "other"


# --- the brake ----------------------------------------------------------------------------------


class Brake(Struct):
    """One brake: why it is on, as codes and numbers, by whom, and what to do about it."""

    cause: str
    why: str
    by: str
    set_at: Moment
    everywhere: bool
    says: str
    mend: str


class Brakes(Struct):
    """All that stops a product."""

    brakes: list[Brake]


class BrakeOn(Strict, tag_field="act", tag="on"):
    """Stop what nobody has asked for: asks, reminders, suspensions."""

    why: HaltedWhy = "other"


class BrakeOff(Strict, tag_field="act", tag="off"):
    """Lift this product's own brakes."""

    why: ResumedWhy = "other"


# --- the funnel ---------------------------------------------------------------------------------

FunnelBy = Literal["plan", "country", "interval", "locale"]


class FunnelMoney(Struct):
    """What some people pay a month in one currency, in its minor unit, by all intervals."""

    currency: str
    amount: int


class FunnelStep(Struct):
    """How many came to a step, and what they pay; `group` is null where all count together."""

    step: Literal[
        "due",
        "asked",
        "reminded",
        "kept",
        "returned",
        "canceled",
        "suspended",
        "resumed",
        "unreachable",
        "erasing",
        "erased",
    ]
    group: str | None
    people: int
    monthly: list[FunnelMoney]


class Funnel(Struct, rename={"first": "from", "last": "to"}):
    """What came of asking from one UTC day to another, both included."""

    first: date
    last: date
    by: FunnelBy | None
    steps: list[FunnelStep]


# --- answers and feedback ---------------------------------------------------------------------


class AnswerBody(Strict):
    """What a subscriber answered inside the product's own app."""

    answer: Literal["keep", "cancel", "resume"]
    actor: Literal["app"] = "app"


class Answered(Struct):
    """The verdict on an answer, and where the subscription stands after it."""

    verdict: Literal["applied", "unchanged", "nothing_open", "too_late", "ended", "doubted"]
    subscription: Subscription


class FeedbackEvent(Strict):
    """A notice that came back for good, or that somebody complained about."""

    type: Literal["bounced", "complained"]
    message_id: (
        Annotated[str, Meta(max_length=400, description="The Message-ID of the notice.")] | None
    ) = None
    subscription: Id | None = None


class FeedbackBody(Strict):
    """A batch of what mail servers told later on."""

    events: Annotated[list[FeedbackEvent], Meta(max_length=MOST_FEEDBACK)]


class FeedbackResult(Struct):
    """What became of a batch; every event is judged on its own."""

    received: int
    applied: int
    unchanged: int
    rejected: Annotated[list[Rejected], Meta(max_length=MOST_TOLD)]
    rejected_total: int


class WebhookResult(Struct):
    """What became of a webhook."""

    result: Literal["applied", "duplicate", "stale", "ignored"]


class MailWebhookResult(Struct):
    """What became of a mail provider's webhook.

    `ignored`: nothing that came back for good, or of a notice that does not matter any more;
    `kept`: for an operator, who finds it in the inbox.
    """

    result: Literal["applied", "unchanged", "ignored", "kept"]


class ProblemBody(Struct):
    """An error, as RFC 9457 has it; `type` is a path of these docs, `field` says where."""

    type: str
    title: str
    status: int
    detail: str


# --- versions of a policy ----------------------------------------------------------------------


class Approval(Struct):
    """Somebody agrees with a version."""

    actor: str
    at: Moment


class ListedVersion(Struct, kw_only=True):
    """One version of a policy: where it stands, and who did what with it.

    `based_on` was in force when it was proposed; `activate_at` is when it is to be put in force,
    `put_off` the code of why that could not be done, `activated_at` when it last was.
    """

    version: int
    state: State
    proposed_by: str
    proposed_at: Moment
    based_on: int | None
    approvals: list[Approval]
    activate_at: Moment | None
    activate_by: str | None
    put_off: str | None
    activated_at: Moment | None
    activated_by: str | None
    withdrawn_at: Moment | None
    withdrawn_by: str | None


class PolicyVersions(Struct):
    """A page of a list, the newest first; `next_cursor` leads on and is null on the last page."""

    policies: list[ListedVersion]
    next_cursor: str | None


class Difference(Struct):
    """One knob that differs, by its JSON path; null where it is not there."""

    path: str
    before: Any
    after: Any


class VersionLine(Struct):
    """One step of a version's story, by codes."""

    at: Moment
    what: str
    why: str
    actor: str


class PolicyVersion(ListedVersion, kw_only=True):
    """A version with its text, how it differs from the one in force, and its story.

    `forecast` is what it was expected to do when it was proposed, shaped as `forecast` answers, but
    for single days and weeks. `changes` are against `compared_with`, the version in force. Of the
    version in force `planned` is the share, from 0 to 1, of everybody who has been looked at anew;
    null where nobody had to be.
    """

    policy: dict[str, Any]
    forecast: dict[str, Any] | None
    compared_with: int | None
    changes: list[Difference]
    story: list[VersionLine]
    planned: float | None


class CommentBody(Strict):
    """What somebody says of a version, as a code."""

    code: Comment


class ActivateBody(Strict):
    """When a version is to be put in force; without `at` now."""

    at: (
        Annotated[
            datetime,
            Meta(tz=True, description="Later than now, within a year: 2026-12-01T08:00:00Z."),
        ]
        | None
    ) = None


class Nothing(Strict):
    """An empty object."""


ListState = Literal["waiting", "in_work", "done"]


class ListToAsk(Struct, kw_only=True):
    """Whom a version would ask at once, as a whole; `hash` is of exactly these people.

    `waiting` until somebody approves it, `in_work` while only those on it are asked, then `done`.
    """

    version: int
    state: ListState
    made_at: Moment
    people: int
    hash: str
    approved_at: Moment | None
    approved_by: str | None
    done_at: Moment | None


class ListedPerson(Struct, kw_only=True):
    """One who is on a list, by the facts that decide; `id` is the subscription."""

    id: str
    why: str
    plan: str
    country: str
    interval: str
    amount: Annotated[int, Meta(description="In the currency's minor unit.")]
    currency: str
    started_on: date
    last_used_on: date | None


class DryRun(Struct, kw_only=True):
    """Whom a version would ask now, of so many subscriptions that were looked at."""

    version: int
    looked_at: int
    asked: list[ListedPerson]
    next_cursor: str | None


class ListSample(Struct):
    """Some of a list by chance, the same ones for whoever asks."""

    hash: str
    people: int
    sample: list[ListedPerson]


class ListApproval(Strict):
    """Which list is approved: the one of this hash, and no other."""

    hash: Annotated[str, Meta(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")]


# --- erasures --------------------------------------------------------------------------------

ErasureState = Literal["open", "ended"]
Category = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="A category of data that the target was registered with.",
        examples=["profile"],
    ),
]


class KeptCategory(Strict):
    """A category that is kept: why, and until when; only a contract may have no such day."""

    category: Category
    why: Literal["legal_obligation", "legal_claim", "contract"]
    until: date | None


class ReceiptBody(Strict):
    """A receipt: what a target has erased of one subscription, and what it must keep."""

    target: Annotated[
        str, Meta(max_length=41, description="The key of the target.", examples=["crm"])
    ]
    token: Annotated[str, Meta(max_length=200, description="The token that came with the request.")]
    erased: Annotated[list[Category], Meta(max_length=50)] = []
    kept: Annotated[list[KeptCategory], Meta(max_length=50)] = []


class ErasureReceipt(Struct):
    """What one target owes for an erasure, or has given; `error` is the code of the last try.

    `told_at` is since when the target is known to know; `last`: it is told after all others.
    """

    target: str
    categories: list[str]
    last: bool
    state: Literal["due", "told", "given", "parked"]
    told_at: Moment | None
    tries: int
    error: str | None
    given_at: Moment | None
    erased: list[str]
    kept: list[KeptCategory]


class Erasure(Struct):
    """One erasure that was begun: on schedule (of a manifest) or on the person's own request."""

    id: str
    subscription: str | None
    round: int
    cause: Literal["schedule", "request"]
    manifest: int | None
    begun_at: Moment
    requested_at: Moment | None
    answered_at: Moment | None
    ended_at: Moment | None
    receipts: list[ErasureReceipt]


class Erasures(Struct):
    """A page of erasures; `next_cursor` leads on and is null on the last page."""

    erasures: list[Erasure]
    next_cursor: str | None
