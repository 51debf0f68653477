"""What the endpoints of a product are told: from the notes of history to the types of the contract.

| type | told when the note says |
|---|---|
| `reconfirmation.asked` | `notice.ask_handed_over`: the promise runs, where the round is open |
| | `answer_undone`, `doubted`: a keep was taken back, and they are asked as before |
| `reconfirmation.reminded` | `notice.reminder_handed_over`, where the round is open |
| `reconfirmation.kept` | `kept`; not where an undo only restores it |
| `reconfirmation.returned` | `returned`: they used it |
| `reconfirmation.canceled` | `canceled`: billing has done what a person said; its undo is over |
| `reconfirmation.expired` | `suspend_queued`, `cancel_queued`, `expired`: silence to the end |
| `reconfirmation.unreachable` | `unreachable`: the notice does not reach them; ask in your app |
| `subscription.suspended` | `suspended`: billing has acknowledged it |
| `subscription.resumed` | `resumed`: billing has acknowledged it, or did it by itself |
| `subscription.canceled` | `canceled`: billing has acknowledged it, or did it by itself |
| `erasure.scheduled` | `erasure_scheduled`: the day is in `erase_on` |
| `erasure.stopped` | `erasure_stopped`: used, reached no more, or their word |
| `erasure.completed` | nothing names them any more: it carries the id of the erasure, no more |
| `erasure.requested` | `erasure_requested`: the first system that holds data was told to erase |

Told is what has happened, never what is queued: a cancel rests ten minutes and may be undone, so
it is news when billing has done it. `expired` is the end of the window, not of the story: use that
arrives before billing is told still ends it with `returned`. A resume ends a scheduled erasure too;
`subscription.resumed` says so by `erase_on: null`, without an `erasure.stopped` of its own. Not
told: rounds that are withdrawn (their `answer_by` was the promise, and nothing follows from it),
notices that are receipts, parked acts, an address that billing itself took away (it knows), and
`erasure.completed`, which comes with the end of erasing.

The body of each is `{"type", "timestamp", "data"}`; `timestamp` is when it happened. `data` has
always the same keys, null where there is nothing to say:

| key | is |
|---|---|
| `subscription`, `customer` | their ids at billing; never an address |
| `stage` | active, asked, suspended, canceled, erasing or erased: as it stands since |
| `round` | the number of the reconfirmation |
| `why` | a code of the reason, such as `said_by_subscriber`, `no_answer`, `used`, `bounced` |
| `policy_version` | the version of the policy it is held to |
| `asked_at`, `answer_by` | when the ask went out, and the end of the time to answer |
| `paid_until` | until when the time already paid lasts |
| `erase_on` | the day on which data is due to be erased |
| `by` | who brought it about: subscriber, app, silence, billing, or a part of the service |

`erasure.requested` has `erasure` besides: the id of the erasure, told once however many systems are
asked.

More keys may come; none will go or change its meaning.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from app.lifecycle.case import Case, Kind, Outcome, Round, Stage, Word
from app.store import webhooks
from app.store.cases import HistoryWrite
from app.store.products import Product
from app.store.webhooks import Letter

ASKED = "reconfirmation.asked"
REMINDED = "reconfirmation.reminded"
KEPT = "reconfirmation.kept"
RETURNED = "reconfirmation.returned"
CANCELED = "reconfirmation.canceled"
EXPIRED = "reconfirmation.expired"
UNREACHABLE = "reconfirmation.unreachable"
SUSPENDED = "subscription.suspended"
RESUMED = "subscription.resumed"
ENDED = "subscription.canceled"
SCHEDULED = "erasure.scheduled"
STOPPED = "erasure.stopped"
REQUESTED = "erasure.requested"
COMPLETED = "erasure.completed"
TYPES = (
    ASKED,
    REMINDED,
    KEPT,
    RETURNED,
    CANCELED,
    EXPIRED,
    UNREACHABLE,
    SUSPENDED,
    RESUMED,
    ENDED,
    SCHEDULED,
    STOPPED,
    REQUESTED,
    COMPLETED,
)
"""Every type that is told."""

_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        f"{Kind.ASK}_handed_over": (ASKED,),
        f"{Kind.REMINDER}_handed_over": (REMINDED,),
        "answer_undone": (ASKED,),
        "doubted": (ASKED,),
        Outcome.KEPT: (KEPT,),
        Outcome.RETURNED: (RETURNED,),
        Outcome.EXPIRED: (EXPIRED,),
        "suspend_queued": (EXPIRED,),
        "cancel_queued": (EXPIRED,),
        Outcome.UNREACHABLE: (UNREACHABLE,),
        Stage.SUSPENDED: (SUSPENDED,),
        Stage.CANCELED: (CANCELED, ENDED),
        Outcome.RESUMED: (RESUMED,),
        "erasure_scheduled": (SCHEDULED,),
        "erasure_stopped": (STOPPED,),
    }
)
_TAKEN_BACK = frozenset({"answer_undone", "doubted"})
_RESTORED = _TAKEN_BACK | {"act_dropped"}
"""Reasons for which a round closes as it had been closed before: that is no news."""


def types_of(note: HistoryWrite, before: Round | None, after: Round | None) -> tuple[str, ...]:
    """Say what a note is told as, given the latest round before it and as it now stands."""
    return tuple(each for each in _TYPES.get(note.what, ()) if _is_news(each, note, before, after))


def _is_news(kind: str, note: HistoryWrite, before: Round | None, after: Round | None) -> bool:
    still_open = after is not None and after.open
    if kind == ASKED and note.what in _TAKEN_BACK:
        return still_open and before is not None and before.outcome is Outcome.KEPT
    if kind in {ASKED, REMINDED}:
        return still_open
    if kind == CANCELED:
        own = after is not None and after.word is Word.CANCEL
        return own and note.why == "billing_acknowledged_cancel"
    if kind == KEPT:
        return note.why not in _RESTORED
    return not (kind == UNREACHABLE and note.why == "address_changed")


# --- what a batch has to tell ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to one subscription, and the endpoints that want to be told.

    `erasure` is the id of the erasure that it is about, where it is about one.
    """

    type: str
    note: HistoryWrite
    case: Case
    endpoints: tuple[int, ...]
    erasure: str | None = None


def of_batch(
    product: Product,
    history: Iterable[HistoryWrite],
    before: Mapping[int, Case],
    after: Mapping[int, Case],
) -> list[News]:
    """Give what a batch has to tell, in the order of its notes; nothing where nobody listens."""
    if not any(each.hears_news for each in product.listeners):
        return []
    return list(_found(product, history, before, after))


def _found(
    product: Product,
    history: Iterable[HistoryWrite],
    before: Mapping[int, Case],
    after: Mapping[int, Case],
) -> Iterator[News]:
    for note in history:
        subscription_id = note.subscription_id
        if subscription_id is None or note.what not in _TYPES or subscription_id not in after:
            continue
        case = after[subscription_id]
        for kind in types_of(note, before[subscription_id].round, case.round):
            wanting = tuple(each.id for each in product.listeners if each.wants(kind))
            if wanting:
                yield News(kind, note, case, wanting)


def post(
    connection: Connection, product: Product, found: Sequence[News], actor: str, now: datetime
) -> None:
    """Write the messages of a batch, in its transaction."""
    ids = webhooks.next_ids(connection, sum(len(each.endpoints) for each in found))
    names = webhooks.names(connection, [each.case.subscription.id for each in found])
    numbers = iter(ids)
    letters: list[Letter] = []
    for each in found:
        external_id, customer = names[each.case.subscription.id]
        body = json.dumps(
            {
                "type": each.type,
                "timestamp": moment(now),
                "data": {"subscription": external_id, "customer": customer} | _data(each, actor),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for endpoint_id in each.endpoints:
            number = next(numbers)
            of = (product.key, endpoint_id, external_id, each.note.number, each.type, now, number)
            letters.append(
                Letter(
                    id=number,
                    endpoint_id=endpoint_id,
                    message_id=message_id(*of),
                    type=each.type,
                    subscription_id=each.case.subscription.id,
                    number=each.note.number,
                    body=body,
                )
            )
    webhooks.write(connection, product.id, now, letters)


def tell_completed(
    connection: Connection, product: Product, erasure: str, subscription_id: int, now: datetime
) -> None:
    """Tell endpoints that an erasure is over, by its own id and by nothing else."""
    wanting = [each.id for each in product.listeners if each.wants(COMPLETED)]
    told = {"type": COMPLETED, "timestamp": moment(now), "data": {"erasure": erasure}}
    body = json.dumps(told, separators=(",", ":"))
    letters = [
        Letter(
            id=number,
            endpoint_id=endpoint_id,
            message_id=message_id(product.key, endpoint_id, erasure, COMPLETED),
            type=COMPLETED,
            subscription_id=subscription_id,
            number=None,
            body=body,
        )
        for number, endpoint_id in zip(
            webhooks.next_ids(connection, len(wanting)), wanting, strict=True
        )
    ]
    webhooks.write(connection, product.id, now, letters)


def _data(each: News, actor: str) -> dict[str, Any]:
    current = each.case.round
    named = {} if each.erasure is None else {"erasure": each.erasure}
    return named | {
        "stage": str(each.case.stage),
        "round": each.note.number,
        "why": each.note.why,
        "policy_version": each.note.version,
        "asked_at": moment(current.asked_at) if current else None,
        "answer_by": moment(current.answer_by) if current else None,
        "paid_until": moment(current.paid_until) if current else None,
        "erase_on": _day(current.erase_on) if current else None,
        "by": _by(each, actor),
    }


_BY: Mapping[str, str] = MappingProxyType({"used": "subscriber", "no_answer": "silence"})
_DECIDED = frozenset({KEPT, CANCELED, SUSPENDED, RESUMED, ENDED, SCHEDULED})
"""What somebody decided, as the round remembers."""


def _by(each: News, actor: str) -> str:
    why, current = each.note.why, each.case.round
    if why in _BY:
        return _BY[why]
    if why.startswith("said_by_"):
        return why.removeprefix("said_by_")
    if each.type in _DECIDED and current is not None and current.decided_by:
        return current.decided_by
    return actor.partition(":")[0]


def message_id(*of: object) -> str:
    """Give the id of a message: the same for each copy of it, and never used for another one."""
    text = "\x1f".join(str(each) for each in of)
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def moment(at: datetime | None) -> str | None:
    """Write a moment as the contract has it: RFC 3339, in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
