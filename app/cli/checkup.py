"""What the doctor looks at in the running service: Redis, clocks, scheduler, backlog."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import redis

from app.cli.installation import Installation
from app.errors import Refused
from app.restoring import WORDS, find, mend_of
from app.store import (
    disputes,
    holds,
    looks,
    manifests,
    measuring,
    readiness,
    receipts,
    reconciliation,
    refunds,
    reviews,
    running,
    sealing,
)
from app.store.database import cursor

MOST_SKEW = timedelta(seconds=30)
GONE_AFTER = timedelta(minutes=1)
COMPARED_WITHIN = timedelta(days=2)
LOOKED_AT_WITHIN = timedelta(days=1)
ERASED_SOON = timedelta(days=7)
"""So long before a request to erase is due, the doctor warns."""
ERASES_WITHIN = timedelta(hours=1)
"""So long the eraser may be away while something waits for it."""
START_ERASER = "start `reconfirm eraser`, with RECONFIRM_ERASER_DATABASE_URL"
SEALED_WITHIN = timedelta(minutes=15)
PATIENCE = 2
START = "run `reconfirm up`, or `reconfirm scheduler` and `reconfirm worker`"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing checked: what it is, whether it is well, and the mend where it is not."""

    what: str
    well: bool
    says: str
    mend: str = ""


def checked(what: str, look: Callable[[], str], mend: str) -> Finding:
    """Look at one thing; whatever is raised is what is wrong with it."""
    try:
        return Finding(what, well=True, says=look())
    except Refused as refused:
        return Finding(what, well=False, says=refused.what, mend=refused.mend or mend)
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever is wrong
        return Finding(what, well=False, says=type(error).__name__, mend=mend)


def checkup(parts: Installation) -> Iterator[Finding]:
    """Check the parts that run."""
    yield checked(
        "redis", lambda: _redis(parts), "check RECONFIRM_REDIS_URL and that the server runs"
    )
    yield checked("clocks", lambda: _clocks(parts), "let both machines keep time by NTP")
    yield checked("scheduler", lambda: _scheduler(parts), START)
    yield checked("backup", lambda: _backup(parts), mend_of(parts.settings.erasure_ledger))
    yield checked("seals", lambda: _seals(parts), START)
    yield checked(
        "books",
        lambda: _books(parts),
        "look at `reconfirm reconcile show PRODUCT` and `reconfirm refund list PRODUCT`",
    )
    yield checked(
        "before a person",
        lambda: _before_a_person(parts),
        "look at `reconfirm webhook list`, `inbox list` and `subject explain`",
    )
    yield checked(
        "reviews",
        lambda: _reviews(parts),
        "look at `reconfirm review list PRODUCT`; `reconfirm review done` lets a case go on",
    )
    yield checked(
        "erasures",
        lambda: _erasures(parts),
        "see what keeps them with `reconfirm subject explain`; `reconfirm review list PRODUCT`"
        " names them",
    )
    yield checked(
        "receipts",
        lambda: _receipts(parts),
        "look at `reconfirm target owes PRODUCT --state parked`, then `reconfirm target retry`",
    )
    yield checked("eraser", lambda: _eraser(parts), START_ERASER)
    yield checked(
        "holds",
        lambda: _holds(parts),
        "look at `reconfirm hold list`, then `hold review` or `hold release`; disputes that came"
        " too late stand in the console under Erasing",
    )
    yield checked(
        "manifests",
        lambda: _manifests(parts),
        "read them with `reconfirm manifest show`, then approve or refuse",
    )


def _backup(parts: Installation) -> str:
    """Say whether this is the database that it says it is, and level with the ledger."""
    path = parts.settings.erasure_ledger
    with parts.database.transaction() as connection:
        found = find(connection, path)
    if found.why is not None:
        raise Refused(WORDS[found.why], mend_of(path))
    if found.file is None:
        return "not restored, as far as can be told without a ledger of erasures"
    return f"not restored; the ledger of erasures has {found.file:,} entries"


def _seals(parts: Installation) -> str:
    """Say when the history was last sealed, and whether anything has waited for it too long."""
    with parts.database.transaction() as connection:
        at = sealing.progress(connection).at
        waiting = measuring.unsealed(connection)
    if at is None:
        return "nothing was sealed yet" if waiting else "nothing to seal yet"
    says = f"last sealed {at:%Y-%m-%d %H:%M} UTC"
    if waiting and parts.settings.clock == "system":
        age = parts.clock.now() - waiting[0][0]
        if age > SEALED_WITHIN:
            raise Refused(f"{says}, and a line of {waiting[0][0]:%Y-%m-%d %H:%M} waits since")
    return says


def _redis(parts: Installation) -> str:
    url = parts.redis_url()
    with redis.Redis.from_url(
        url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
    ) as client:
        version = client.info("server").get("redis_version", "?")
    return f"answers as {version}, {'embedded' if parts.settings.embedded_redis else 'of its own'}"


def _clocks(parts: Installation) -> str:
    with parts.database.transaction() as connection:
        skew = abs(readiness.database_time(connection) - parts.clock.wall())
    if skew > MOST_SKEW:
        raise Refused(f"the database's machine is {skew.total_seconds():.0f} s away from ours")
    return f"{skew.total_seconds():.1f} s between the database's machine and ours"


def _scheduler(parts: Installation) -> str:
    """Say when a leader was last there; absence alarms only where somebody may be asked."""
    with parts.database.transaction() as connection:
        seen = running.leader_seen(connection)
        policies = cursor(connection).execute(
            "select count(*) from product where policy_version is not null"
        )
        needed = (policies.fetchone() or (0,))[0]
    now = parts.clock.wall()
    if seen is not None and now - seen <= GONE_AFTER:
        return f"leads, seen {(now - seen).total_seconds():.0f} s ago"
    if not needed:
        return "none has been needed yet"
    if parts.settings.clock == "test":
        return "none runs: `reconfirm clock advance` does its work on the test clock"
    since = "there never was one" if seen is None else f"last seen {seen:%Y-%m-%d %H:%M} UTC"
    raise Refused(f"none runs ({since}): nobody is asked, and no answer reaches billing")


_WAITING = """
    select (select count(*) from outbox where state = 'parked'),
           (select count(*) from webhook where state = 'parked'),
           (select count(*) from inbox where state in ('unreadable', 'failed'))"""


def _before_a_person(parts: Installation) -> str:
    """Say what waits for somebody to look at it."""
    with parts.database.transaction() as connection:
        found = cursor(connection).execute(_WAITING).fetchone() or (0, 0, 0)
    words = ("effects parked", "webhooks parked", "messages of billing not understood")
    waiting = [f"{many} {what}" for many, what in zip(found, words, strict=True) if many]
    if waiting:
        raise Refused(", ".join(waiting))
    return "nothing waits"


def _reviews(parts: Installation) -> str:
    """Say how many subscribers wait for a person to look at their case, and since when."""
    with parts.database.transaction() as connection:
        many, oldest = reviews.waiting(connection)
    if oldest is not None:
        raise Refused(f"{many} asked for by subscribers, the oldest on {oldest:%Y-%m-%d}")
    return "nobody waits for a person to look"


def _erasures(parts: Installation) -> str:
    """Say how many requests to be erased are open, and when the first is due (R14)."""
    with parts.database.transaction() as connection:
        many, first = reviews.erasures(connection)
    if first is None:
        return "nobody waits to be erased"
    says = f"{many} asked to be erased, the first to be done by {first}"
    today = parts.clock.now().date()
    if first < today:
        raise Refused(f"{says}: that day is past, and the law leaves a month")
    if first <= today + ERASED_SOON:
        raise Refused(says)
    return says


def _receipts(parts: Installation) -> str:
    """Say how many systems that are told to erase have stopped without a receipt."""
    with parts.database.transaction() as connection:
        many = receipts.parked(connection)
    if many:
        raise Refused(f"{many} have stopped, so that erasures are not finished")
    return "none has stopped"


def _eraser(parts: Installation) -> str:
    """Say when the eraser was last there; its absence alarms where it has something to do.

    On the test clock a worker erases, so that there is nobody to look for.
    """
    if parts.settings.clock == "test":
        return "none is needed: on the test clock workers erase"
    wall = parts.clock.wall()
    with parts.database.transaction() as connection:
        due = sum(each.erasing for each in running.all_due(connection, parts.clock.now(), wall))
        seen = running.job_seen(connection, running.ERASING)
    says = "never seen" if seen is None else f"last seen {seen:%Y-%m-%d %H:%M} UTC"
    if due and (seen is None or wall - seen > ERASES_WITHIN):
        raise Refused(f"{says}, and erasures are due")
    return says if seen is not None else "none has been needed yet"


def _holds(parts: Installation) -> str:
    """Say how many holds are to be looked at again, and how many disputes came too late for one."""
    today = parts.clock.now().date()
    with parts.database.transaction() as connection:
        due = sum(many for _, many in holds.count_to_review(connection, today))
        late = sum(many for _, many in disputes.count_late(connection))
    found = [
        f"{many} {what}"
        for many, what in (
            (due, "holds to be looked at again"),
            (late, "disputes that came when the data was being erased"),
        )
        if many
    ]
    if found:
        raise Refused(", ".join(found))
    return "none is to be looked at"


def _manifests(parts: Installation) -> str:
    """Say how many manifests wait to be approved."""
    with parts.database.transaction() as connection:
        waiting = sum(many for _, many in manifests.waiting(connection))
    if waiting:
        raise Refused(f"{waiting} of who is due to be erased wait to be approved")
    return "none waits to be approved"


def _books(parts: Installation) -> str:
    """Say whether our books and billing's are the same, and what is to be given back."""
    now, wall = parts.clock.now(), parts.clock.wall()
    with parts.database.transaction() as connection:
        overdue = reconciliation.overdue(connection, now - COMPARED_WITHIN)
        odd = reconciliation.count_findings(connection)
        parked, waiting = looks.stuck(connection, wall - LOOKED_AT_WITHIN)
        proposed, failed = refunds.open_entries(connection)
    found = [_overdue(each) for each in overdue]
    found += [
        f"{many} {what}"
        for many, what in (
            (odd, "subscriptions that cannot be explained"),
            (parked, "subscriptions that billing tells and cannot be read"),
            (waiting, "subscriptions not read back for more than a day"),
            (proposed, "refunds proposed"),
            (failed, "refunds that need a person"),
        )
        if many
    ]
    if found:
        raise Refused(", ".join(found))
    return "compared with billing, nothing to give back"


def _overdue(found: reconciliation.Overdue) -> str:
    if found.error is not None:
        return f"{found.product} is not compared with billing: {found.error}"
    since = "never" if found.ended_at is None else f"last on {found.ended_at:%Y-%m-%d}"
    return f"{found.product} has not been compared with billing for two days ({since})"
