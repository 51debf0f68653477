"""Applies what came back of notices: whose it was, whether it still matters, and what it means.

A notice is told by its Message-ID, which is signed; an address proves nothing, since anybody may
write to the mailbox that bounces go to. The addresses that a report gives are used only to leave
somebody alone: where the notice had gone to an address that is not theirs any more.

What came back, of a notice of        counts
the latest round                      yes, unless it had gone to another address than today's
an earlier round, a bounce            no: what was sent since has not come back
an earlier round, a complaint         yes where it is of today's address: it is what they want now

Whoever a report counts for is told to the rules, and today's address goes on the product's list,
but for a refusal that is about us, and for a notice that was given up: nothing is wrong with the
address then. Giving up counts of an ask alone: whoever got the ask has been asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from msgspec import Struct
from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Batch, open_batch, set_timers
from app.lifecycle.case import AddressChanged, Kind, Reach, Undelivered, Verdict
from app.links import Links, Notice, plain_address
from app.store import evidence, population, products, reading, suppression
from app.store.database import Database
from app.store.population import Address
from app.store.suppression import Reason
from app.world.returns.report import Report, What

AT_A_TIME = 500
"""Reports that one transaction applies."""
REASON: Mapping[Reach, Reason] = {
    Reach.BOUNCED: Reason.BOUNCED,
    Reach.COMPLAINED: Reason.COMPLAINED,
}
COUNTS: Mapping[What, Reach] = {
    What.BOUNCED: Reach.BOUNCED,
    What.REFUSED: Reach.BOUNCED,
    What.GAVE_UP: Reach.BOUNCED,
    What.COMPLAINED: Reach.COMPLAINED,
}
"""The reports that mean something; all others change nothing."""


class Came(StrEnum):
    """What became of one report; `failed` where the rules raise, and it is to be told again."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    OLDER_ROUND = "older_round"
    FORMER_ADDRESS = "former_address"
    NOT_OURS = "not_ours"
    FAILED = "failed"


ASK = Kind.ASK.removeprefix("notice.")
LISTED = frozenset({Came.APPLIED, Came.UNCHANGED})
"""What a report came to where it was about the address of today."""


class Telling(Struct, frozen=True):
    """Something that came back: how, of which notice or subscription, and sent to whom.

    `subscription` is the id billing gave it, from a caller that may be believed; `notices` and
    `sent_to` are as a report has them, the first notice that is ours being the one. `good_address`
    says that the notice did not arrive and that nothing is wrong with the mailbox: their silence
    means nothing. `only_of_ask`: it counts where that notice was the ask.
    """

    reach: Reach
    notices: tuple[str, ...] = ()
    subscription: str | None = None
    sent_to: tuple[str, ...] = ()
    good_address: bool = False
    only_of_ask: bool = False


def telling_of(report: Report) -> Telling | None:
    """Give what a report tells; None where it changes nothing whomever it is about."""
    reach = COUNTS.get(report.what)
    if reach is None:
        return None
    gave_up = report.what is What.GAVE_UP
    good = gave_up or report.what is What.REFUSED
    return Telling(reach, report.message_ids, None, report.recipients, good, gave_up)


@dataclass(frozen=True, slots=True)
class Returns:
    """Applies what came back, for any product."""

    database: Database
    clock: Clock
    links: Links

    # --- what came back ----------------------------------------------------------------------

    def take(self, product_key: str, told: Sequence[Telling], actor: str) -> list[Came]:
        """Apply what came back to one product, and say of each what became of it.

        NotFound where there is no such product.
        """
        work = partial(self._take, product_key=product_key, actor=actor)
        came: list[Came] = []
        for start in range(0, len(told), AT_A_TIME):
            some = told[start : start + AT_A_TIME]
            came += self.database.retrying(partial(work, told=some), few=len(some) == 1)
        return came

    def take_for_all(self, told: Sequence[Telling], actor: str) -> list[Came]:
        """Apply what came back to whichever product each notice belongs to."""
        with self.database.transaction() as connection:
            owners = [self._owner(connection, each) for each in told]
        came = [Came.NOT_OURS] * len(told)
        for key in sorted({each for each in owners if each is not None}):
            places = [at for at, owner in enumerate(owners) if owner == key]
            done = self.take(key, [told[at] for at in places], actor)
            for at, each in zip(places, done, strict=True):
                came[at] = each
        return came

    def _owner(self, connection: Connection, telling: Telling) -> str | None:
        named = self._notice(telling)
        return None if named is None else population.product_of(connection, named.subscription)

    def _take(
        self, connection: Connection, product_key: str, told: Sequence[Telling], actor: str
    ) -> list[Came]:
        product = products.load(connection, product_key)
        about = self._about(connection, product.id, told)
        ids = sorted({sid for sid in about if sid is not None})
        batch = open_batch(connection, product, ids, self.clock.now())
        people = population.addresses(connection, ids)
        marks: dict[bytes, Reason] = {}
        came = []
        for each, sid in zip(told, about, strict=True):
            if sid is None or sid not in batch.cases:
                came.append(Came.NOT_OURS)
                continue
            done = self._judge(batch, each, sid, people[sid])
            if done in LISTED and people[sid].email and not each.good_address:
                mark = self.links.address_marks(product.id, people[sid].email)[0]
                marks[mark] = _weightier(marks.get(mark), REASON[each.reach])
            came.append(done)
        suppression.add(connection, product.id, marks, actor, batch.now)
        self._note(connection, told, about, batch.now)
        set_timers(batch, batch.changed)
        batch.flush(connection, actor)
        return came

    def _about(
        self, connection: Connection, product_id: int, told: Sequence[Telling]
    ) -> list[int | None]:
        """Give the subscription of the product that each is about, if any."""
        named = [self._notice(each) for each in told]
        ids = [each.subscription for each in named if each is not None]
        ours = reading.in_product(connection, product_id, ids)
        names = [each.subscription for each in told if each.subscription]
        known = reading.ids_present(connection, product_id, [n for n in names if n.isprintable()])
        return [
            known.get(each.subscription)
            if each.subscription
            else (notice.subscription if notice and notice.subscription in ours else None)
            for each, notice in zip(told, named, strict=True)
        ]

    def _note(
        self,
        connection: Connection,
        told: Sequence[Telling],
        about: Sequence[int | None],
        now: datetime,
    ) -> None:
        """Note with the notices of the product themselves that they came back, and how."""
        ours = [each for each, sid in zip(told, about, strict=True) if sid is not None]
        for reach in REASON:
            named = {self._notice(each) for each in ours if each.reach is reach}
            notices = sorted(each for each in named if each is not None)
            evidence.returned(connection, notices, str(reach), now)

    def _notice(self, telling: Telling) -> Notice | None:
        found = (self.links.named_notice(each) for each in telling.notices)
        return next((each for each in found if each is not None), None)

    def _judge(self, batch: Batch, telling: Telling, sid: int, person: Address) -> Came:
        """Say whether it matters, and tell the rules if it does."""
        current, notice = batch.cases[sid].round, self._notice(telling)
        if telling.only_of_ask and notice is not None and notice.kind != ASK:
            return Came.UNCHANGED
        same = _same_address(telling.sent_to, person.email)
        complaint = telling.reach is Reach.COMPLAINED
        if notice is not None and current is not None and notice.round < current.number:
            if not (complaint and same):
                return Came.OLDER_ROUND
        elif same is False and not complaint:
            return Came.FORMER_ADDRESS
        verdict = batch.apply(sid, Undelivered(telling.reach)).verdict
        if verdict is Verdict.FAILED:
            return Came.FAILED
        return Came.APPLIED if verdict is Verdict.APPLIED else Came.UNCHANGED

    # --- what lifts it -----------------------------------------------------------------------

    def heard_from(self, product_key: str, subscription_id: int, actor: str) -> None:
        """Note that somebody whose notices bounced has answered one: they are reached after all.

        Who complained has said what they want, and an answer does not take that back.
        """

        def work(connection: Connection) -> None:
            product = products.load(connection, product_key)
            batch = open_batch(connection, product, [subscription_id], self.clock.now())
            case = batch.cases.get(subscription_id)
            if case is not None and case.reach is Reach.BOUNCED:
                address = population.addresses(connection, [subscription_id])[subscription_id].email
                marks = self.links.address_marks(product.id, address)
                suppression.remove(connection, product.id, marks, [Reason.BOUNCED])
                _reached_again(connection, batch, actor)

        self.database.retrying(work, few=True)

    def lift(self, product_key: str, address: str, actor: str) -> tuple[int, int]:
        """Take an address from the product's list, whatever the reason it is there for.

        Gives whether there was one, and how many subscriptions are reached again.
        """

        def work(connection: Connection) -> tuple[int, int]:
            product = products.load(connection, product_key)
            marks = self.links.address_marks(product.id, address)
            removed = suppression.remove(connection, product.id, marks)
            ids = suppression.unreached_at(connection, product.id, address.strip())
            batch = open_batch(connection, product, ids, self.clock.now())
            _reached_again(connection, batch, actor)
            return min(removed, 1), len(ids)

        return self.database.retrying(work)

    def list_addresses(self, product_key: str, addresses: Sequence[str], actor: str) -> int:
        """Put addresses on the product's list by hand; give how many are new there."""

        def work(connection: Connection) -> int:
            product_id = products.row_of(connection, product_key).id
            marks = {
                self.links.address_marks(product_id, each)[0]: Reason.BY_HAND for each in addresses
            }
            return suppression.add(connection, product_id, marks, actor, self.clock.now())

        return self.database.retrying(work)


def _weightier(one: Reason | None, other: Reason) -> Reason:
    """Give the reason that stays where an address has two: a complaint."""
    return one if one is Reason.COMPLAINED else other


def _same_address(sent_to: Sequence[str], address: str) -> bool | None:
    """Say whether a notice had gone to an address; None where that is not told."""
    if not sent_to:
        return None
    return plain_address(address) in {plain_address(each) for each in sent_to}


def _reached_again(connection: Connection, batch: Batch, actor: str) -> None:
    for subscription_id in list(batch.cases):
        batch.apply(subscription_id, AddressChanged(Reach.OK))
    set_timers(batch, batch.changed)
    batch.flush(connection, actor)
