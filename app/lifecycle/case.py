"""The vocabulary of a subscription's life: everything the rules may see, and what they may say.

Plain values only. A `Case` is all that `step` sees; a `Step` is all that it says. Times are aware
UTC datetimes, days are dates; a subscription's own day is the day in its `zone`.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace


class Stage(StrEnum):
    """Where a subscription stands; `active` where no reconfirmation is open."""

    ACTIVE = "active"
    ASKED = "asked"
    SUSPENDED = "suspended"
    CANCELED = "canceled"
    ERASING = "erasing"
    ERASED = "erased"


class Outcome(StrEnum):
    """What a reconfirmation came to when it closed."""

    KEPT = "kept"
    RETURNED = "returned"
    RESUMED = "resumed"
    WITHDRAWN = "withdrawn"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    BY_BILLING = "by_billing"
    ERASED = "erased"


class Why(StrEnum):
    """Why a reconfirmation was opened."""

    NEVER_USED = "never_used"
    UNUSED = "unused"
    BEFORE_RENEWAL = "before_renewal"
    OWN_CANCEL = "own_cancel"
    BILLING_CANCEL = "billing_cancel"


class Reach(StrEnum):
    """Whether notices reach the person."""

    OK = "ok"
    NO_ADDRESS = "no_address"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class Word(StrEnum):
    """What a person, or the product's own app for them, can say."""

    KEEP = "keep"
    CANCEL = "cancel"
    RESUME = "resume"
    UNDO = "undo"
    KEEP_DATA = "keep_data"


class Concern(StrEnum):
    """Why somebody wants a person to look at their case: a code, never words of their own.

    `objection` and `restriction` are rights (GDPR 21 and 18), and weigh more than the others.
    """

    WRONG_CHARGE = "wrong_charge"
    IN_USE = "in_use"
    NOT_MINE = "not_mine"
    OTHER = "other"
    OBJECTION = "objection"
    RESTRICTION = "restriction"


class Finding(StrEnum):
    """What a person found who looked at a case."""

    PUT_RIGHT = "put_right"
    AS_IT_SHOULD_BE = "as_it_should_be"
    SETTLED_DIRECTLY = "settled_directly"


class Erasure(StrEnum):
    """What a person found who looked at somebody's own request to erase.

    It is carried out by itself; `erased_by_hand` is what was erased without us. The grounds of a
    refusal are those of a hold: kept by law, a dispute, or that its use is to be restricted and not
    ended (GDPR 17(3) and 18).
    """

    ERASED_BY_HAND = "erased_by_hand"
    REFUSED_LEGAL = "erasure_refused_legal"
    REFUSED_DISPUTE = "erasure_refused_dispute"
    REFUSED_RESTRICTION = "erasure_refused_restriction"


class Act(StrEnum):
    """What billing can be told.

    `cancel` ends with the time paid; `end` ends at once, for good, before data is erased.
    """

    SUSPEND = "suspend"
    RESUME = "resume"
    CANCEL = "cancel"
    END = "end"


class Erasing(StrEnum):
    """How far an erasure has come that was begun.

    `ending`: billing is told to end the subscription for good. `telling`: every system that holds
    data is told to erase it, and owes a receipt. `parting`: all have answered; the last notice goes
    out. `wiping`: it has gone, or could not; what is left of the person here is deleted.
    """

    ENDING = "ending"
    TELLING = "telling"
    PARTING = "parting"
    WIPING = "wiping"


class Amends(StrEnum):
    """What is put right where a run is taken back for those whom it stopped.

    `spare`: nothing of theirs is erased. `apologize`: and they are told, to resume by a click.
    `restore`: and they are resumed at once, as two people decided.
    """

    SPARE = "spare"
    APOLOGIZE = "apologize"
    RESTORE = "restore"


class ActState(StrEnum):
    """How far an act has come; once confirmed or voided, the round holds no act."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    PARKED = "parked"


class Kind(StrEnum):
    """The effects: what the world is told to do."""

    ASK = "notice.ask"
    REMINDER = "notice.reminder"
    KEPT = "notice.kept"
    CANCELED = "notice.canceled"
    SUSPENDED = "notice.suspended"
    RESUMED = "notice.resumed"
    WELCOME_BACK = "notice.welcome_back"
    FRESH_LINK = "notice.fresh_link"
    DATA_LINK = "notice.data_link"
    ERASURE_WARNING = "notice.erasure_warning"
    ERASED = "notice.erased"
    APOLOGY = "notice.apology"
    BILLING_SUSPEND = "billing.suspend"
    BILLING_RESUME = "billing.resume"
    BILLING_CANCEL = "billing.cancel"
    BILLING_END = "billing.end"


class Lane(StrEnum):
    """Effects of one lane and round go in order; lanes do not wait for each other."""

    BILLING = "billing"
    NOTICE = "notice"
    WEBHOOK = "webhook"


BILLING_KIND: Mapping[Act, Kind] = MappingProxyType(
    {
        Act.SUSPEND: Kind.BILLING_SUSPEND,
        Act.RESUME: Kind.BILLING_RESUME,
        Act.CANCEL: Kind.BILLING_CANCEL,
        Act.END: Kind.BILLING_END,
    }
)
ACT_OF: Mapping[Kind, Act] = MappingProxyType({kind: act for act, kind in BILLING_KIND.items()})
ASKING = frozenset({Kind.ASK, Kind.REMINDER})
"""Notices that count against the pace of a product and that a brake stops."""
UNASKED = ASKING | {Kind.WELCOME_BACK, Kind.ERASURE_WARNING, Kind.APOLOGY}
"""Notices nobody asked for: they keep to the hours, and who complained gets none."""
BRAKED = ASKING | {Kind.ERASURE_WARNING, Kind.BILLING_SUSPEND}
"""Effects that a brake stops, but for a billing act that is a person's own word."""
LINKS = frozenset({Kind.FRESH_LINK, Kind.DATA_LINK})
"""Notices that bring a link of its own, good for an hour; they go out at any hour."""
EVERYTHING = frozenset(Kind)
NOTHING: frozenset[Kind] = frozenset()


def lane_of(kind: Kind) -> Lane:
    """Say in which lane an effect goes."""
    return Lane.BILLING if kind in ACT_OF else Lane.NOTICE


# --- what the rules see --------------------------------------------------------------------


class Subscription(Struct, frozen=True):
    """One paid subscription as billing last told it, and the last day of use.

    `amount` is in the currency's minor unit; `renews_at` is the next charge billing told of, and
    may lie in the past where billing did not tell of later ones; `started_on` and `last_used_on`
    are UTC days.
    """

    id: int
    status: str
    plan: str
    country: str
    interval: str
    amount: int
    currency: str
    started_on: date
    renews_at: datetime | None
    last_used_on: date | None
    zone: ZoneInfo


class Hearing(Struct, frozen=True):
    """What a product's feeds of usage cover, and when its brake last lifted.

    `covers_from`: the first day all feeds cover; `heard_until`: the last such day, None where no
    feed has ever spoken; `lifted_at`: when a brake last came off.
    """

    covers_from: date | None = None
    heard_until: date | None = None
    lifted_at: datetime | None = None


class Round(Struct, frozen=True):
    """One reconfirmation, open while `outcome` is None.

    `used_known` is the last day of use that the round was opened on. `stated_by` is the latest
    day of answer that a claimed ask stated; `answer_by` is the end of that day, fixed when the ask
    was handed over (`asked_at`). `word` is the person's last word and `act` the one thing billing
    is being told. `decided_by` (subscriber, app, silence, billing, undo) is whose decision the last
    word or else the last change of stage was, and `decided_at` when that change came.

    `review_at` is since when a person is to look at the case: until they have, nothing follows from
    silence and nobody is asked anew. A round opened meanwhile takes it over.

    `erase_at` is when the person asked to be erased, which begins by itself a day later: nothing
    follows from silence meanwhile either, and a round opened meanwhile takes it over.
    `links` counts the fresh links asked for, of either kind, and `linked_at` is when the last was
    handed over (or, while it is being handed over, claimed).

    `warned` counts the warnings of erasure that were queued, `warnings` the days on which one was
    handed over, from `warned_from` to `warned_on`. `erasing` is how far an erasure has come that
    was begun, and `erasing_at` since when.

    `undone_at` is since when the run that opened it is taken back: nothing is erased because of it
    any more. `amended_at` is when an apology was queued for it, or that it be resumed: once.

    A round that a cancel opens again has no `answer_by`, so nothing follows from silence; its
    `closed_at` stays where the person has been left in peace since.
    """

    number: int
    stage: Stage
    why: Why
    opened_at: datetime
    version: int
    segment: int | None = None
    outcome: Outcome | None = None
    closed_at: datetime | None = None
    used_known: date | None = None
    stated_by: date | None = None
    asked_at: datetime | None = None
    answer_by: datetime | None = None
    reminded: int = 0
    quiet: bool = False
    word: Word | None = None
    word_at: datetime | None = None
    reason: str | None = None
    doubted_until: datetime | None = None
    act: Act | None = None
    act_version: int = 0
    act_state: ActState | None = None
    act_at: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    paid_until: datetime | None = None
    erase_on: date | None = None
    welcomed_at: datetime | None = None
    review_at: datetime | None = None
    links: int = 0
    linked_at: datetime | None = None
    erase_at: datetime | None = None
    warned: int = 0
    warnings: int = 0
    warned_from: date | None = None
    warned_on: date | None = None
    erasing: Erasing | None = None
    erasing_at: datetime | None = None
    undone_at: datetime | None = None
    amended_at: datetime | None = None

    @property
    def before_a_person(self) -> bool:
        """Whether somebody is to look at the case, so that nothing follows from silence."""
        return self.review_at is not None or self.erase_at is not None

    @property
    def open(self) -> bool:
        """Whether something may still happen in this round by itself."""
        return self.outcome is None

    @property
    def in_flight(self) -> bool:
        """Whether billing is being told right now, so that the outcome is not known."""
        return self.act_state is ActState.CLAIMED


class Case(Struct, frozen=True):
    """All that the rules may see of one subscription.

    `held`: a hold forbids that it is erased. `told_at`: the moment of which billing last told.
    """

    subscription: Subscription
    reach: Reach
    round: Round | None
    hearing: Hearing
    held: bool = False
    told_at: datetime | None = None

    @property
    def stage(self) -> Stage:
        """The stage of the open round; `active` where none is open, unless they were erased."""
        stands = self.round and (self.round.open or self.round.outcome is Outcome.ERASED)
        return self.round.stage if self.round and stands else Stage.ACTIVE


# --- what can happen -----------------------------------------------------------------------


class Tick(Struct, frozen=True):
    """Time has passed."""


class Used(Struct, frozen=True):
    """News of use has arrived and moved `last_used_on`."""


class Answer(Struct, frozen=True):
    """Somebody answers; `round` is the number their link names, None from the product's app."""

    word: Word
    round: int | None = None
    by: str = "subscriber"
    reason: str | None = None


class AskReview(Struct, frozen=True):
    """Somebody wants a person to look at their case; `round` is the number their link names."""

    round: int
    concern: Concern


class Reviewed(Struct, frozen=True):
    """A person has looked at the case, and says what they found."""

    finding: Finding


class AskLink(Struct, frozen=True):
    """Somebody wants to erase: a fresh link is to be mailed; `round` is what their link names."""

    round: int


class AskDataLink(Struct, frozen=True):
    """Somebody wants to see what is held about them: a link of its own is to be mailed."""


class AskErasure(Struct, frozen=True):
    """Somebody confirms by a fresh link, which names `round`, that they want to be erased."""

    round: int


class RequestErasure(Struct, frozen=True):
    """Somebody told us elsewhere, `by` whom it is passed on, that they want to be erased."""

    by: str = "app"


class ErasureSettled(Struct, frozen=True):
    """A person says what became of a request to erase."""

    outcome: Erasure


class Withdraw(Struct, frozen=True):
    """Somebody takes back the run in which round `round` was opened."""

    round: int


class BeginErasure(Struct, frozen=True):
    """Data is to be erased now: `erase_on` is the day two people agreed to in a manifest.

    None where the person asked for it themselves, and nobody else has to agree.
    """

    round: int
    erase_on: date | None = None


class AllReceipts(Struct, frozen=True):
    """Every system that was told to erase has given its receipt."""

    round: int


class Wiped(Struct, frozen=True):
    """What was left of the person here is being deleted, in this very transaction."""

    round: int


class Amend(Struct, frozen=True):
    """Somebody takes back the run that opened round `round`, also for those whom it stopped."""

    round: int
    how: Amends


class StopReminders(Struct, frozen=True):
    """The one-click of a mail program (RFC 8058): no more reminders in this round."""

    round: int


class Claim(Struct, frozen=True):
    """An effect is about to be carried out."""

    kind: Kind
    version: int


class HandedOver(Struct, frozen=True):
    """The relay has taken a notice."""

    kind: Kind
    version: int


class Undelivered(Struct, frozen=True):
    """A notice came back for good (`bounced`), or drew a complaint (`complained`)."""

    reach: Reach


class Acknowledged(Struct, frozen=True):
    """Billing has carried out an act; `paid_until` is how long the time already paid lasts."""

    act: Act
    version: int
    paid_until: datetime | None


class Declined(Struct, frozen=True):
    """Billing said no to an act: it waits for a person."""

    act: Act
    version: int


class NotDone(Struct, frozen=True):
    """An act is known not to have been carried out: read back, or put off by billing itself."""

    act: Act
    version: int


class AddressChanged(Struct, frozen=True):
    """The contact has a new address, or none any more (`reach`)."""

    reach: Reach = Reach.OK


class Told(Struct, frozen=True):
    """Billing told other facts than `before`; the case holds the new ones."""

    before: Subscription


Event = (
    Tick
    | Used
    | Answer
    | AskReview
    | Reviewed
    | AskLink
    | AskDataLink
    | AskErasure
    | RequestErasure
    | ErasureSettled
    | Withdraw
    | BeginErasure
    | AllReceipts
    | Wiped
    | Amend
    | StopReminders
    | Claim
    | HandedOver
    | Undelivered
    | Acknowledged
    | Declined
    | NotDone
    | AddressChanged
    | Told
)


# --- what the rules say --------------------------------------------------------------------


class Effect(Struct, frozen=True):
    """Something the world must do, not before a moment; `version` numbers repeats in a round."""

    kind: Kind
    version: int
    not_before: datetime


class Note(Struct, frozen=True):
    """One line of history: what happened, and the code of the reason."""

    what: str
    why: str


class Verdict(StrEnum):
    """The answer to an event, as a value."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    GO = "go"
    CHECK = "check"
    VOID = "void"
    WAIT = "wait"
    OLDER_ROUND = "older_round"
    NOTHING_OPEN = "nothing_open"
    TOO_LATE = "too_late"
    ENDED = "ended"
    DOUBTED = "doubted"
    FAILED = "failed"


class Step(Struct, frozen=True):
    """What an event leads to.

    `void` names the unclaimed effects of the round that no longer hold; `wait_until` goes with
    the verdict `wait`; `replaced` is an earlier round that closed because a new one opened.
    """

    case: Case
    verdict: Verdict = Verdict.UNCHANGED
    notes: tuple[Note, ...] = ()
    effects: tuple[Effect, ...] = ()
    void: frozenset[Kind] = NOTHING
    wait_until: datetime | None = None
    replaced: Round | None = None


def with_round(case: Case, **changes: object) -> Case:
    """Give the case with its round changed."""
    if case.round is None:
        raise LookupError(case.subscription.id)
    return replace(case, round=replace(case.round, **changes))


def close(case: Case, outcome: Outcome, now: datetime, why: str, **changes: object) -> Step:
    """Close the round: whatever of it has not begun is void."""
    closed = with_round(
        case, outcome=outcome, closed_at=now, act=None, act_state=None, act_at=None, **changes
    )
    return Step(closed, Verdict.APPLIED, (Note(outcome, why),), (), EVERYTHING)


TEN_MINUTES = timedelta(minutes=10)
"""How long a cancel rests before billing is told, so that undo is a click."""
TEN_SECONDS = timedelta(seconds=10)
"""Contradicting answers this close together are a robot's, and so is one this soon after the ask
was handed over."""
QUEUED_FOR = timedelta(days=3)
"""An ask that could not be handed over in this time is withdrawn."""
NO_REMINDER = timedelta(hours=48)
"""No reminder goes out this close to the end of the answer window."""
GRACE = 3
"""No deadline falls sooner than this many days after a brake lifts, an answer is taken back, or a
person has looked at the case."""
