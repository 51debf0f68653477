"""The tables.

Only `subscription`, `contact`, `unknown_usage`, the raw bodies of `inbox`, the bodies of `webhook`
and what `archive` keeps name a person. `evidence` says what somebody was told, and names them by
the internal id only: it is deleted when they are erased.

A subscription's row mirrors billing and holds the day of last use; it carries no stage, so that
asking a million people inserts short rows and updates no wide ones. Rounds are keyed by
(subscription, number), so that nothing inserted in bulk needs its key read back.
"""

from app.store.tables.attendance import (
    console_link,
    console_person,
    console_session,
)
from app.store.tables.base import metadata
from app.store.tables.counts import (
    count_apart,
    count_change,
    count_day,
    count_delta,
    count_part,
    count_state,
)
from app.store.tables.erasing import (
    archive,
    dispute,
    erasure,
    hold,
    manifest,
    manifest_approval,
    manifest_entry,
    receipt,
    target,
    tombstone,
)
from app.store.tables.people import (
    contact,
    fresh_link,
    history,
    reconfirmation,
    review,
    subscription,
    timer,
    unknown_usage,
)
from app.store.tables.products import (
    apikey,
    ask_list,
    ask_listed,
    brake,
    brand,
    feed,
    plan,
    policy,
    policy_approval,
    product,
    quota,
    ramp,
    run,
    run_undo,
)
from app.store.tables.proof import (
    installation,
    ledger,
    seal,
    sealed,
    sealing,
)
from app.store.tables.running import (
    clock,
    job_run,
    leader,
    pulse,
)
from app.store.tables.sandbox import (
    sandbox_account,
    sandbox_act,
    sandbox_charge,
)
from app.store.tables.world import (
    endpoint,
    evidence,
    inbox,
    look,
    outbox,
    reconciliation,
    refund,
    suppression,
    unexplained,
    webhook,
    webhook_try,
    wording,
)

# Where rows of both are written or deleted in the order of the tables, this one comes first.
subscription.add_is_dependent_on(count_delta)

__all__ = [
    "apikey",
    "archive",
    "ask_list",
    "ask_listed",
    "brake",
    "brand",
    "clock",
    "console_link",
    "console_person",
    "console_session",
    "contact",
    "count_apart",
    "count_change",
    "count_day",
    "count_delta",
    "count_part",
    "count_state",
    "dispute",
    "endpoint",
    "erasure",
    "evidence",
    "feed",
    "fresh_link",
    "history",
    "hold",
    "inbox",
    "installation",
    "job_run",
    "leader",
    "ledger",
    "look",
    "manifest",
    "manifest_approval",
    "manifest_entry",
    "metadata",
    "outbox",
    "plan",
    "policy",
    "policy_approval",
    "product",
    "pulse",
    "quota",
    "ramp",
    "receipt",
    "reconciliation",
    "reconfirmation",
    "refund",
    "review",
    "run",
    "run_undo",
    "sandbox_account",
    "sandbox_act",
    "sandbox_charge",
    "seal",
    "sealed",
    "sealing",
    "subscription",
    "suppression",
    "target",
    "timer",
    "tombstone",
    "unexplained",
    "unknown_usage",
    "webhook",
    "webhook_try",
    "wording",
]
