"""Collects who is due to be erased into the manifest of a day, for two people to read and approve.

A manifest is made once a day where anybody is due, a batch and a transaction at a time, so that it
costs no more memory for a million people than for a thousand. Everybody on it may be erased as it
is made, by the rules; each is asked about again in the moment their erasure begins.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.lifecycle.case import Case
from app.lifecycle.dates import FURTHEST_AHEAD, day_at
from app.lifecycle.erasing import AT_REST, barred
from app.manifests import LEFT_ALONE, Header, Manifests, digest
from app.store import cases, erasures, manifests, products
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.erasures import START, Making
from app.store.manifests import Entry
from app.store.products import Product
from app.world import billing

BATCH = 1000
ACTOR = "clock"
OVER_CAP = "over_cap"
"""Why somebody waits for another day: the manifest of this one is full."""
MADE_TODAY = "made_today"
"""Why somebody waits for another day: the manifest of this one has been made."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Makes the manifests of products, for workers; several may run at once."""

    database: Database
    clock: Clock
    batch: int = BATCH

    def work(self, product_key: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Make the manifest of the day while `go_on` says so.

        Give how many people were looked at, and whether nothing is left to do today.
        """
        did = len(Manifests(self.database, self.clock).expire(product_key))
        while go_on():
            seen = self.database.retrying(lambda connection: self._step(connection, product_key))
            if seen is None:
                return did, True
            did += seen
        return did, False

    def _step(self, connection: Connection, product_key: str) -> int | None:
        """Look at one batch; None where there is nothing to do."""
        product, now = products.load(connection, product_key), self.clock.now()
        if not _may_be_made(connection, product, now):
            return None
        found = erasures.making(connection, product.id) or _begun(connection, product, now)
        return None if found is None else self._add(connection, product, found, now)

    def _add(self, connection: Connection, product: Product, found: Making, now: datetime) -> int:
        """Add the next people; the last batch completes the manifest."""
        some = erasures.due(connection, product.id, _until(now), found.place, self.batch)
        read, judged = _judged(connection, product, [sid for _, sid in some], now)
        free = (read[sid] for _, sid in some if judged[sid] is None)
        fit = [entry for entry in map(entry_of, free) if entry is not None]
        left = found.at_most - found.people
        place = some[-1] if some else found.place
        erasures.add_entries(connection, product.id, found.number, fit[:left], place)
        if len(some) < self.batch or len(fit) >= left:
            _complete(connection, product, found, now)
        return len(some) or 1


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Whom the manifest of a day would list, and why others whose day has come are left out.

    `people`: subscriptions by id; `barred` counts by code; `stopped` says why none would be made.
    """

    people: list[int] = field(default_factory=list)
    barred: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None


def foresee(database: Database, product_key: str, now: datetime, batch: int = BATCH) -> Foreseen:
    """Say whom a manifest that is made now would list: the same rules, writing nothing."""
    with database.transaction() as connection:
        product = products.load(connection, product_key)
        stopped, at_most = _stopped(connection, product, now), _cap(connection, product)
        if stopped is None and erasures.made_on(connection, product.id, guards.day_of(now)):
            stopped = MADE_TODAY
    found, place = Foreseen(stopped=stopped), START
    while True:
        with database.transaction() as connection:
            some = erasures.due(connection, product.id, _until(now), place, batch)
            _, judged = _judged(connection, product, [sid for _, sid in some], now)
        for _, sid in some:
            full = OVER_CAP if len(found.people) >= at_most else None
            why = judged[sid] or stopped or full
            if why is None:
                found.people.append(sid)
            else:
                found.barred[why] += 1
        if len(some) < batch:
            return found
        place = some[-1]


def _until(now: datetime) -> date:
    return (now + FURTHEST_AHEAD).astimezone(UTC).date()


def _judged(
    connection: Connection, product: Product, ids: list[int], now: datetime
) -> tuple[dict[int, Case], dict[int, str | None]]:
    """Give the cases, and by a code why each is put on no manifest now; None where they are."""
    read = cases.read(connection, product.id, ids, product.hearing, lock=False)
    listed = erasures.listed_already(connection, product.id, ids)
    refused = manifests.refused_since(connection, product.id, ids, now - LEFT_ALONE)

    def why(sid: int) -> str | None:
        if sid in listed:
            return "listed"
        return "refused" if sid in refused else _why_not(product, read, sid, now)

    return read, {sid: why(sid) for sid in ids}


def _may_be_made(connection: Connection, product: Product, now: datetime) -> bool:
    """R06, R16: not while a brake is on, and not by a feed that is silent."""
    return _stopped(connection, product, now) is None


def _stopped(connection: Connection, product: Product, now: datetime) -> str | None:
    """Say by a code why no manifest is made of a product now; None where one may be."""
    if product.policy is None:
        return "no_policy"
    if guards.braked(connection, product):
        return "brake"
    return "feed_silent" if guards.is_stale(product, now) else None


def _begun(connection: Connection, product: Product, now: datetime) -> Making | None:
    """Begin the manifest of the day; None where there is one, or nobody is due."""
    day = guards.day_of(now)
    if erasures.made_on(connection, product.id, day):
        return None
    if not erasures.any_due(connection, product.id, _until(now)):
        return None
    at_most = _cap(connection, product)
    erasures.begin_manifest(connection, product.id, day, at_most, ACTOR, now)
    return erasures.making(connection, product.id)


def not_now(product: Product, case: Case, now: datetime) -> str | None:
    """Say by a code why somebody may not be erased now: by the rules, or by what billing owes us.

    A system that cannot be asked has to have told by itself that it charges no more.
    """
    why = barred(case, now)
    if why is not None or case.subscription.status in AT_REST:
        return why
    asked = billing.capabilities(product.billing, product.billing_settings).asked
    return None if asked else "unconfirmed"


def _why_not(product: Product, read: dict[int, Case], sid: int, now: datetime) -> str | None:
    if sid not in read:
        return "not_stopped"
    try:
        return not_now(product, read[sid], now)
    except Exception:  # noqa: BLE001 - one poisoned case must not stop the others
        return "failed"


def entry_of(case: Case) -> Entry | None:
    """Give how somebody stands on a manifest; None where they stand on none."""
    current, zone = case.round, case.subscription.zone
    if current is None or not (current.erase_on and current.decided_at):
        return None
    if not (current.warned_from and current.warned_on):
        return None
    return Entry(
        subscription_id=case.subscription.id,
        round=current.number,
        stage=str(current.stage),
        why=str(current.why),
        since=day_at(current.decided_at, zone),
        erase_on=current.erase_on,
        warned_from=current.warned_from,
        warned_on=current.warned_on,
        warned=current.warnings,
    )


def _cap(connection: Connection, product: Product) -> int:
    """Give how many people may be on one manifest: a count, and a share of all (R17).

    Of more than a million the share is that of a million: rather too few than too many.
    """
    policy = product.policy
    if policy is None:
        return 0
    people = erasures.people(connection, product.id, guards.EXACT)
    share = guards.most_at_once(people, policy.guards.max_newly_due_share)
    return min(policy.pace.notices_per_day, share)


def _complete(connection: Connection, product: Product, found: Making, now: datetime) -> None:
    header, people = Header(product.key, found.number, found.day), 0

    def counted() -> Iterator[Entry]:
        nonlocal people
        for each in manifests.written(connection, product.id, found.number):
            people += 1
            yield each

    made = digest(header, counted())
    erasures.complete_manifest(connection, product.id, found.number, (people, made), now)
    what = "manifest_made" if people else "manifest_empty"
    line = HistoryWrite(None, None, what, manifests.named(found.number), None)
    cases.insert_history(connection, product.id, now, ACTOR, [line])
