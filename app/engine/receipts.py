"""Claims what targets are to be told, and takes back their receipts, in a transaction each.

The same way as effects: a claim takes a lease under a new fence, the world tells between the two
transactions, and what comes back counts only under the fence it was claimed with. Who dies in
between leaves a lease that runs out; the target is then told again under the same key.

A target that is known to know, and gives no receipt, is told again after 1, 3 and 7 days; two weeks
after it first knew, a person is asked. One that cannot be told is told again after growing pauses,
for about as long. A receipt that cannot be believed counts as none. A brake on the product stops
the telling of scheduled erasures, and not of those that people asked for themselves.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.engine import news
from app.engine.effects import pause_after
from app.engine.news import News, message_id
from app.errors import Conflict, NotFound, Refused
from app.links import Links
from app.store import cases, products, receipts, targets
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.products import Product
from app.store.receipts import GIVEN, Entry, Erasure, Waiting
from app.store.targets import Target
from app.world.erasing import (
    EMAIL,
    Accepted,
    Answer,
    Given,
    Owed,
    Receipt,
    Request,
    fault_of,
    written,
)
from app.world.outcome import Later, No

LEASE = timedelta(seconds=120)
BEGIN_WITHIN = 4
"""A part of the lease, a quarter: what has not been begun by then is given back."""
CHASES = tuple(timedelta(days=each) for each in (1, 3, 7))
"""How long after a target first knew it is told again, while it gives no receipt."""
GIVEN_UP = timedelta(days=14)
"""So long after it first knew a person is asked."""
MOST_TRIES = 64
"""So often is told who cannot be told: two weeks, by the pauses in between."""
NO_RECEIPT = "no_receipt"
REFUSED = "receipt refused"
SCHEDULE = "schedule"
ACTOR = "eraser"
LAST = "last"
"""The setting by which a target is told only once all others have given their receipts."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One claimed receipt: whom to tell what, and the fence its outcome counts under.

    `tries` counts this one; nothing is begun after `begin_by`. `scheduled`: a brake stops it.
    """

    erasure: str
    target: Target
    fence: int
    tries: int
    told_at: datetime | None
    request: Request
    begin_by: datetime
    scheduled: bool
    subscription_id: int
    round: int
    version: int

    @property
    def name(self) -> receipts.Name:
        """The receipt."""
        return self.erasure, self.target.id


@dataclass(frozen=True, slots=True)
class Told:
    """What became of telling a target; None where it was not begun."""

    telling: Telling
    answer: Answer | None


class NotYours(Refused):
    """The token is none that this target was given for this erasure."""


def open_for(connection: Connection, product: Product, erasure: str, now: datetime) -> int:
    """Have every target of a product owe a receipt for an erasure; give how many there are.

    Billing's own comes last, and so does what is set to.
    """
    live = targets.live(connection, product.id)
    last = [each.id for each in live if comes_last(each, product.billing)]
    return receipts.open_for(connection, product.id, erasure, last, now)


def comes_last(target: Target, billing: str) -> bool:
    """Say whether a target is told only once all others have given their receipts."""
    return target.kind == billing or target.settings.get(LAST) == "yes"


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts that targets of products owe, for those who tell them and take them."""

    database: Database
    clock: Clock
    links: Links
    lease: timedelta = LEASE

    # --- claiming --------------------------------------------------------------------------

    def claim(self, product_key: str, limit: int, resting: Collection[int] = ()) -> list[Telling]:
        """Claim up to `limit` receipts, but for those of targets that are `resting`.

        Those that nobody can answer any more are put before a person instead.
        """

        def work(connection: Connection) -> list[Telling]:
            product = products.load(connection, product_key)
            return self._claim_in(connection, product, limit, resting)

        return self.database.retrying(work)

    def _claim_in(
        self, connection: Connection, product: Product, limit: int, resting: Collection[int]
    ) -> list[Telling]:
        now, wall = self.clock.now(), self.clock.wall()
        braked = guards.braked(connection, product)
        found = receipts.due(
            connection, product.id, now, wall, resting=sorted(resting), braked=braked, limit=limit
        )
        known = targets.of_ids(connection, [each.target_id for each in found])
        tellings: list[Telling] = []
        for each in found:
            why = _hopeless(each, now)
            if why is None:
                tellings.append(self._telling(product, known[each.target_id], each, wall))
            else:
                of = HistoryWrite(each.subscription_id, each.round, "", "", each.version)
                row = _Row(each.erasure_id, known[each.target_id], of)
                _park(connection, product, row, why, now)
        receipts.claim(connection, [each.name for each in tellings], wall + self.lease)
        return tellings

    def _telling(self, product: Product, target: Target, row: Waiting, wall: datetime) -> Telling:
        wants_email = target.settings.get(EMAIL) == "yes"
        return Telling(
            erasure=row.erasure_id,
            target=target,
            fence=row.fence + 1,
            tries=row.tries + 1,
            told_at=row.told_at,
            request=Request(
                erasure=row.erasure_id,
                product=product.key,
                target=target.key,
                subscription=row.external_id or "",
                customer=row.customer,
                categories=target.categories,
                keep=keep_of(product, row.version, row.begun_at),
                key=message_id("erasure", product.key, row.erasure_id, target.id),
                at=row.begun_at,
                token=self.links.receipt_token(row.erasure_id, target.id),
                stays=row.stays,
                email=row.email if wants_email else None,
            ),
            begin_by=wall + self.lease / BEGIN_WITHIN,
            scheduled=row.cause == SCHEDULE,
            subscription_id=row.subscription_id,
            round=row.round,
            version=row.version,
        )

    # --- settling --------------------------------------------------------------------------

    def settle(self, product_key: str, told: Sequence[Told]) -> int:
        """Write what became of tellings; give how many counted, those of an old fence do not."""

        def work(connection: Connection) -> int:
            product = products.load(connection, product_key)
            settling = _Settling(connection, product, self.clock.now())
            claims = [(*each.telling.name, each.telling.fence) for each in told]
            mine = receipts.still_mine(connection, claims)
            counted = [each for each in told if each.telling.name in mine]
            for each in counted:
                settling.take(each)
            return len(counted)

        return self.database.retrying(work) if told else 0

    # --- receipts that come by themselves ------------------------------------------------------

    def give(  # noqa: PLR0913, PLR0917 - whose, which, what and by whom
        self,
        product_key: str,
        erasure: str,
        target: str,
        receipt: Receipt,
        actor: str,
        token: str | None = None,
    ) -> Entry:
        """Take a receipt; the same one again changes nothing.

        NotFound where there is no such erasure of the product, or none of that target's; NotYours
        where the token is none of theirs (None: a person speaks for the target); Conflict where
        another receipt was given; Refused, saying what is wrong, where it cannot be believed.
        """

        def work(connection: Connection) -> Entry:
            product, now = products.load(connection, product_key), self.clock.now()
            of = receipts.erasure(connection, product.id, erasure)
            held = None if of is None else receipts.held(connection, erasure, target)
            if of is None or held is None:
                raise NotFound(
                    "there is no such erasure, or nothing is owed for it by such a target",
                    "`reconfirm target owes` shows what is owed",
                )
            self._check(token, held)
            return _given(connection, product, of, held, receipt, actor, now)

        return self.database.retrying(work, few=True)

    def _check(self, token: str | None, held: Entry) -> None:
        own = token is None or self.links.is_receipt_token(token, held.erasure_id, held.target_id)
        if not own:
            raise NotYours(
                "the token is none of this target and erasure",
                "send the one that came with the request",
            )

    def retry(self, product_key: str, target_key: str, erasure: str | None, actor: str) -> int:
        """Have a target told anew of what was put before a person; give of how many erasures."""

        def work(connection: Connection) -> int:
            product, now = products.load(connection, product_key), self.clock.now()
            target = targets.named(connection, product.id, target_key)
            if target is None:
                raise no_target(product_key, target_key)
            names = receipts.retry(connection, product.id, target.id, erasure, now)
            lines = [
                _line_of(of, "receipt_retried", target.key)
                for name in sorted(names)
                if (of := receipts.erasure(connection, product.id, name)) is not None
            ]
            cases.insert_history(connection, product.id, now, actor, lines)
            return len(names)

        return self.database.retrying(work)


def no_target(product_key: str, target_key: str) -> NotFound:
    """Make the refusal of a target that a product does not have."""
    return NotFound(
        f"{product_key} has no live target {target_key[:60]!r}",
        f"`reconfirm target list {product_key}` shows them",
    )


def keep_of(product: Product, version: int, begun_at: datetime) -> Mapping[str, date]:
    """Give until when which category may be kept, by the policy that the round is held to."""
    day = begun_at.astimezone(UTC).date()
    policy = product.policies.get(version)  # none where none was in force
    kept = policy.keep_categories if policy is not None else ()
    return {category: period.after(day) for category, period in kept}


def _hopeless(row: Waiting, now: datetime) -> str | None:
    """Say why a target is not told any more; None where it is."""
    if row.external_id is None:
        return "subscription not known"
    if row.told_at is not None and now >= row.told_at + GIVEN_UP:
        refused = row.error is not None and row.error.startswith(REFUSED)
        return row.error if refused else NO_RECEIPT
    return None


def _given(  # noqa: PLR0913, PLR0917 - whose, which, what and by whom
    connection: Connection,
    product: Product,
    of: Erasure,
    held: Entry,
    receipt: Receipt,
    actor: str,
    now: datetime,
) -> Entry:
    body = written(receipt)
    if held.state == GIVEN:
        if held.body != body:
            raise Conflict(
                f"{held.target} has given another receipt for this erasure",
                "the first one counts: what it says stands in the proof",
            )
        return held
    owed = Owed(of.id, tuple(held.categories), keep_of(product, of.version, of.begun_at))
    fault = fault_of(receipt, owed, now.date())
    if fault is not None:
        raise Refused(f"the receipt cannot be believed: {fault.says}", "mend it, and send it again")
    receipts.give(connection, (held.erasure_id, held.target_id), body, now)
    line = _line_of(of, "receipt_given", held.target)
    cases.insert_history(connection, product.id, now, actor, [line])
    found = receipts.held(connection, held.erasure_id, held.target)
    return held if found is None else found


def _line_of(of: Erasure, what: str, target: str) -> HistoryWrite:
    return HistoryWrite(of.subscription_id, of.round, what, target, of.version)


@dataclass(frozen=True, slots=True)
class _Row:
    """A receipt, its target, and whose history it belongs to."""

    erasure: str
    target: Target
    of: HistoryWrite

    def line(self, what: str) -> HistoryWrite:
        """Give a line of history: what happened at the target."""
        of = self.of
        return HistoryWrite(of.subscription_id, of.number, what, self.target.key, of.version)


def _park(connection: Connection, product: Product, row: _Row, why: str, now: datetime) -> None:
    receipts.park(connection, (row.erasure, row.target.id), why)
    cases.insert_history(connection, product.id, now, ACTOR, [row.line("receipt_parked")])


class _Settling:
    """Turns answers into what becomes of receipts."""

    def __init__(self, connection: Connection, product: Product, now: datetime) -> None:
        self.connection = connection
        self.product = product
        self.now = now

    def take(self, told: Told) -> None:
        """Write what became of one."""
        telling = told.telling
        match told.answer:
            case None:
                receipts.release(self.connection, [telling.name])
            case Given(receipt):
                self._given(telling, receipt)
            case Accepted():
                self._knows(telling, None)
            case Later() as later:
                self._later(telling, later)
            case No(reason):
                _park(self.connection, self.product, _row(telling), reason, self.now)

    def _given(self, telling: Telling, receipt: Receipt) -> None:
        request = telling.request
        owed = Owed(request.erasure, request.categories, request.keep)
        fault = fault_of(receipt, owed, self.now.date())
        if fault is not None:
            self._knows(telling, f"{REFUSED}: {fault.code}")
            return
        self._first(telling)
        receipts.give(self.connection, telling.name, written(receipt), self.now)
        self._note(telling, "receipt_given")

    def _knows(self, telling: Telling, error: str | None) -> None:
        """Have a target that knows told again, when its time comes."""
        self._first(telling)
        since = telling.told_at or self.now
        receipts.put_off(self.connection, telling.name, since, self._next_chase(since), error)

    def _next_chase(self, since: datetime) -> datetime:
        moments = (since + each for each in (*CHASES, GIVEN_UP))
        return next((each for each in moments if each > self.now), self.now + CHASES[0])

    def _later(self, telling: Telling, later: Later) -> None:
        if telling.tries >= MOST_TRIES:
            _park(self.connection, self.product, _row(telling), later.reason, self.now)
            return
        pause = max(pause_after(telling.tries), later.retry_after or timedelta())
        receipts.put_off(
            self.connection, telling.name, telling.told_at, self.now + pause, later.reason
        )

    def _first(self, telling: Telling) -> None:
        """Note that a target was told for the first time, and tell endpoints of the first one."""
        if telling.told_at is not None:
            return
        self._note(telling, "erasure_requested")
        tell_requested(
            self.connection, self.product, telling.erasure, telling.subscription_id, self.now
        )

    def _note(self, telling: Telling, what: str) -> None:
        line = _row(telling).line(what)
        cases.insert_history(self.connection, self.product.id, self.now, ACTOR, [line])


def _row(telling: Telling) -> _Row:
    of = HistoryWrite(telling.subscription_id, telling.round, "", "", telling.version)
    return _Row(telling.erasure, telling.target, of)


def tell_requested(
    connection: Connection, product: Product, erasure: str, subscription_id: int, now: datetime
) -> bool:
    """Tell endpoints that an erasure is carried out, once for each; False where they were told."""
    if not receipts.requested(connection, erasure, now):
        return False
    read = cases.read(connection, product.id, [subscription_id], product.hearing, lock=False)
    wanting = tuple(each.id for each in product.listeners if each.wants(news.REQUESTED))
    case = read.get(subscription_id)
    if case is None or case.round is None or not wanting:
        return True
    current = case.round
    line = HistoryWrite(
        subscription_id, current.number, "erasure_requested", "erasure_begun", current.version
    )
    told = News(news.REQUESTED, line, case, wanting, erasure)
    news.post(connection, product, [told], ACTOR, now)
    return True
