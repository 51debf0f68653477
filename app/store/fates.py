"""What becomes of each column of each table when a person is erased, and why.

A column that is not here has not been thought about: a test fails until it is. `deleted` rows go
with the person; `blanked` columns are made to name nobody; `kept` ones are of a row about the
person that stays, and name nobody by themselves; `nobody` stands for rows that are about no one
person.
"""

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a column."""

    DELETED = "deleted"
    BLANKED = "blanked"
    KEPT = "kept"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of some columns of a table, and why."""

    table: str
    columns: tuple[str, ...]
    fate: Fate
    why: str


def _deleted(table: str, columns: str, why: str) -> Decision:
    return Decision(table, tuple(columns.split()), Fate.DELETED, why)


def _blanked(table: str, columns: str, why: str) -> Decision:
    return Decision(table, tuple(columns.split()), Fate.BLANKED, why)


def _kept(table: str, columns: str, why: str) -> Decision:
    return Decision(table, tuple(columns.split()), Fate.KEPT, why)


def _nobody(table: str, columns: str, why: str) -> Decision:
    return Decision(table, tuple(columns.split()), Fate.NOBODY, why)


OF_THE_PERSON = (
    _deleted(
        "contact",
        "subscription_id email locale timezone reach told_email corrected_at",
        "names the person",
    ),
    _deleted(
        "evidence",
        "subscription_id round kind version wording facts told handed_over_at bounced_at"
        " complained_at",
        "says what the person was told",
    ),
    _deleted(
        "fresh_link",
        "subscription_id round version asked_at made_at used_at purpose",
        "what made links of theirs good",
    ),
    _deleted(
        "outbox",
        "id product_id subscription_id round lane kind version not_before state fence lease_until"
        " tries unknown error",
        "nothing is done about them, or sent to them, any more",
    ),
    _deleted(
        "webhook",
        "id product_id endpoint_id message_id type subscription_id round body happened_at"
        " not_before state fence lease_until tries status error done_at",
        "bodies name them by their ids; only erasure.completed stays, which says the erasure's"
        " own id",
    ),
    _deleted("webhook_try", "id webhook_id at status error took_ms", "the log of messages that go"),
    _deleted(
        "unexplained",
        "product_id subscription_id what first_at last_at",
        "an open finding about nobody any more",
    ),
    _deleted(
        "unknown_usage",
        "product_id external_id last_used_on",
        "their id at billing, and a day of use",
    ),
    _deleted(
        "look",
        "product_id external_id wanted_at not_before hints tries state error",
        "their id at billing",
    ),
    _deleted(
        "suppression",
        "product_id mark reason actor added_at",
        "a bounce is of no use to anybody; a complaint, or what was listed by hand, stays as the"
        " keyed hash that it is, so that nobody writes to them again",
    ),
    _blanked(
        "subscription",
        "external_id customer",
        "names the person; the id becomes erased: and a keyed hash of it",
    ),
    _blanked(
        "subscription",
        "status started_on renews_at last_used_on told told_at",
        "describes the person, and nobody counts by it once they are gone",
    ),
    _kept(
        "subscription",
        "id product_id plan country interval amount currency",
        "the funnel counts by these; many have them in common, and what led to the person is gone",
    ),
    _blanked("reconfirmation", "used_known paid_until", "says what the person used and paid for"),
    _kept(
        "reconfirmation",
        "subscription_id number product_id latest wake_at stage why opened_at version segment"
        " outcome closed_at stated_by asked_at answer_by reminded quiet word word_at reason"
        " doubted_until act act_version act_state act_at decided_by decided_at erase_on"
        " welcomed_at review_at links linked_at erase_at warned warnings warned_from warned_on"
        " erasing erasing_at undone_at amended_at",
        "codes and moments of our own doing, by an internal id: the proof that they were warned",
    ),
    _kept(
        "history",
        "id product_id subscription_id round at what why version actor",
        "codes by an internal id, chained: an entry that went would be a gap in the proof",
    ),
    _kept(
        "review",
        "id product_id subscription_id round asked_at reason state done_at done_by outcome due_on",
        "codes by an internal id: the proof that what they asked for was looked at",
    ),
    _blanked("dispute", "source about", "ids at billing: of a dispute, and of what it is about"),
    _kept(
        "dispute",
        "id product_id told_at ended_at late_on seen_at seen_by",
        "moments and an internal id: somebody is to look at what came too late",
    ),
    _blanked("hold", "source", "may be the id of a dispute at billing"),
    _kept(
        "hold",
        "id product_id subscription_id reason set_by set_at review_on released_at released_by",
        "codes by an internal id: the proof of why they were not erased sooner",
    ),
    _kept(
        "timer",
        "product_id due_at subscription_id",
        "an internal id and a moment; the sweep that looks then finds nobody and deletes it",
    ),
    _blanked(
        "inbox",
        "message_id state reason body",
        "what billing told; of those about them also the sender's id of the message",
    ),
    _kept(
        "inbox",
        "id product_id source type event_at received_at tries subscription_id",
        "that a message came, by an internal id",
    ),
    _blanked(
        "refund",
        "charge",
        "leads to the person at billing; while money is owed it stays until that is settled",
    ),
    _kept(
        "refund",
        "id product_id subscription_id round charged_at amount refunded asked refunded_before"
        " currency evidence state absurd found_at decided_by decided_at why first_tried_at"
        " not_before lease_until fence tries unknown error made_at",
        "money, days and codes by an internal id: the books have to add up",
    ),
    _blanked("reconciliation", "cursor", "may be their id at billing; the list is read anew"),
    _blanked(
        "sandbox_account", "external_id", "their id at the sandbox, which is a billing of ours"
    ),
    _kept(
        "sandbox_account",
        "product_key amount currency interval anchor renews_at paid_until state",
        "the sandbox's books, of play money",
    ),
    _blanked("sandbox_charge", "external_id", "their id at the sandbox"),
    _kept(
        "sandbox_charge",
        "product_key charged_at amount currency refunded",
        "the sandbox's books, of play money",
    ),
    _blanked("sandbox_act", "external_id", "their id at the sandbox"),
    _kept(
        "sandbox_act",
        "product_key idempotency_key act at state paid_until replays",
        "the sandbox's books; the key is made of internal ids",
    ),
)
"""Of tables that hold something about a person."""

OF_ERASING = (
    _kept(
        "manifest_entry",
        "product_id number subscription_id round stage why since erase_on warned_from warned_on"
        " warned state skipped",
        "codes and days by an internal id: what two people approved",
    ),
    _kept("ask_listed", "product_id version subscription_id why", "codes by an internal id"),
    _kept(
        "erasure",
        "id product_id subscription_id round cause manifest begun_at begun_by answered_at ended_at"
        " requested_at stopped ledger_no certificate",
        "the proof of the erasure, by an id of its own",
    ),
    _kept(
        "receipt",
        "erasure_id target_id product_id last state not_before fence lease_until tries told_at"
        " error given_at body",
        "the proof that each system was told, in categories and codes",
    ),
    _kept(
        "tombstone",
        "product_id mark subscription_id erased_at",
        "a keyed hash, by which they are not taken in again",
    ),
    _kept(
        "archive",
        "id product_id erasure_id category body keep_until",
        "what the policy says must be kept, up to its day, for a role of its own only",
    ),
    _nobody(
        "manifest",
        "product_id number day made_by made_at people hash cursor cursor_on listed at_most state"
        " refused_by refused_at approved_at ended_at",
        "a day's list as a whole",
    ),
    _nobody(
        "manifest_approval", "product_id number actor hash approved_at", "who of ours approved"
    ),
    _nobody(
        "target",
        "id product_id key kind categories settings secrets created_by created_at tried_at tried"
        " retired_at",
        "a system that is told",
    ),
)
"""Of tables that are there because people are erased."""

OF_NOBODY = (
    _nobody(
        "apikey", "id product_id hash hint scope feed_id created_at revoked_at", "a system's key"
    ),
    _nobody(
        "ask_list",
        "product_id version made_at people hash approved_by approved_at done_at",
        "a list as a whole",
    ),
    _nobody(
        "brake",
        "id product_id cause why actor set_at lifted_at lifted_by",
        "why a product stands still; its words pass the same detector as everything",
    ),
    _nobody("brand", "product_id color logo words", "how a product looks"),
    _nobody("clock", "one now until step_seconds", "the test clock"),
    _nobody("console_link", "hash name roles expires_at", "who works here"),
    _nobody("console_person", "id subject name roles seen_at", "who works here"),
    _nobody(
        "console_session", "hash person_id began_at seen_at fresh_at language", "who works here"
    ),
    _nobody(
        "count_apart",
        "product_id plan country interval currency used since state closed_on charge_on people"
        " amount",
        "counts, made anew every night",
    ),
    _nobody("count_change", "product_id fold part_id used since people amount", "counts"),
    _nobody("count_day", "part_id used since people amount", "counts; a wiping counts one less"),
    _nobody(
        "count_delta",
        "product_id plan country interval currency used since people amount",
        "counts that are about to be folded",
    ),
    _nobody("count_part", "id product_id plan country interval currency", "what counts are of"),
    _nobody(
        "count_state",
        "product_id folds changes_from nights apart_at grain past checked_at drift",
        "how the counts stand",
    ),
    _nobody(
        "endpoint", "id product_id url types secrets created_at retired_at", "a system's address"
    ),
    _nobody(
        "feed",
        "id product_id name covers_from covers_until created_at retired_at",
        "a source of usage",
    ),
    _nobody(
        "job_run",
        "product_id job at started_at finished_at did failed idle stopped",
        "what a job did, in numbers and codes",
    ),
    _nobody("leader", "one term backend seen_at", "which process leads"),
    _nobody(
        "plan",
        "product_id version first_id after_id last_id began_at finished_at",
        "how far a look at everybody has come",
    ),
    _nobody(
        "policy",
        "product_id version body proposed_by proposed_at activated_by activated_at based_on once"
        " forecast activate_at activate_by put_off withdrawn_by withdrawn_at",
        "what a product team decided",
    ),
    _nobody("policy_approval", "product_id version actor approved_at", "who of ours approved"),
    _nobody(
        "product",
        "id key name billing from_address reply_to support_url app_url locale timezone"
        " billing_key_file billing_settings mail_settings approvals signing_secrets policy_version"
        " created_at",
        "what people subscribe to",
    ),
    _nobody("pulse", "product_id day what many", "counts"),
    _nobody("quota", "product_id day taken", "counts"),
    _nobody(
        "ramp",
        "product_id version backlog step opened handed_over_at paused_at paused_by paused_why"
        " stopped_at stopped_by stopped_why",
        "how fast a product may go",
    ),
    _nobody(
        "reconciliation",
        "product_id due_at lists phase began_at charges_from walked_back_at lease_until fence"
        " tries error counts ended_at result",
        "how far a comparison has come, in numbers and codes",
    ),
    _nobody(
        "run",
        "product_id number day version step first_at last_at actors asked reminded suspended"
        " canceled",
        "counts",
    ),
    _nobody(
        "run_undo",
        "product_id run actor wanted_at wanted withdrawn cursor since_start ended_at resume"
        " agreed_by agreed_at apologized resumed spared",
        "counts, and an internal id up to which it has come",
    ),
    _nobody(
        "sealed",
        "history_id no product_id version hash",
        "what chains the history: hashes of codes and of internal ids",
    ),
    _nobody("seal", "product_id no history_id hash at", "the end of a product's chain"),
    _nobody("sealing", "one upto next writers at", "how far the history is chained"),
    _nobody(
        "ledger",
        "no erasure_id product cause mark ended_at previous_hash hash",
        "who stays erased when a backup is restored: a keyed hash",
    ),
    _nobody(
        "installation",
        "one system database timeline stamped_at restoring_since restoring_from",
        "which database this is",
    ),
    _nobody(
        "wording",
        "digest notice language templates subject text html first_at",
        "the words that all were sent, with marks where the facts of each stood",
    ),
)
"""Of tables that hold nothing about any one person."""

DECISIONS = (*OF_THE_PERSON, *OF_ERASING, *OF_NOBODY)
