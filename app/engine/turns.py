"""One ask a day for a customer with several subscriptions: who is asked now, and who waits.

Two sweeps at once never judge the same customer: whoever comes second leaves the timers where they
are. What was asked today is read from the rounds, after the lock, so a sweep that is killed leaves
nothing behind. Who waits takes nothing of the pace and counts for no guard until their own day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from app.engine.door import Batch
from app.lifecycle import turns
from app.lifecycle.turns import Place
from app.store import customers
from app.store.products import Product


@dataclass(frozen=True, slots=True)
class Turns:
    """The families of a batch: by subscription, all of the same customer, smallest id first.

    `held` are the first ones of the customers that this transaction has locked; `served` those
    asked by earlier batches of a dry run, which the database does not know of. `found` remembers,
    by the first one, whose turn it is.
    """

    families: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    held: Collection[int] = ()
    served: Collection[int] = ()
    found: dict[int, int | None] = field(default_factory=dict)

    def members(self, ids: Iterable[int]) -> set[int]:
        """Give who has to be read to judge these: with all of their customers, if it is for us."""
        mine = [each for each in ids if not self.judged_elsewhere(each)]
        return {one for each in mine for one in self.families.get(each, (each,))}

    def judged_elsewhere(self, sid: int) -> bool:
        """Say whether another sweep judges the customer of a subscription right now."""
        return sid in self.families and self.families[sid][0] not in self.held

    def waits(self, batch: Batch, sid: int) -> bool:
        """Say whether a subscription is to be asked, but not before another of its customer."""
        return sid in self.families and self._place(batch, sid) is not None

    def first(self, batch: Batch, sid: int) -> int | None:
        """Give whom of a family to ask now; None where that was done today, or nobody is due.

        A family may be large: it is gone through again only once the one found has had its turn.
        """
        family = self.families[sid]
        known = self.found.get(family[0], family[0])
        if family[0] not in self.found or (known and self._place(batch, known) is None):
            self.found[family[0]] = self._find(batch, family)
        return self.found[family[0]]

    def _find(self, batch: Batch, family: Sequence[int]) -> int | None:
        cases = [batch.cases[each] for each in family if each in batch.cases]
        served = {each for each in family if each in self.served}
        places = [(self._place(batch, each), each) for each in family]
        taken: dict[ZoneInfo, set[int]] = {}
        for _, each in sorted((at, each) for at, each in places if at is not None):
            zone = batch.cases[each].subscription.zone
            if zone not in taken:
                taken[zone] = served | turns.takers(cases, zone, batch.now)
            if not taken[zone] - {each}:
                return each
        return None

    def _place(self, batch: Batch, sid: int) -> Place | None:
        case = batch.cases.get(sid)
        if case is None or sid in self.served or sid in batch.failed:
            return None
        return batch.place_in_turn(case)


def turns_for(
    connection: Connection,
    product: Product,
    ids: Sequence[int],
    served: Collection[int],
    *,
    lock: bool,
) -> Turns:
    """Find the families of a batch, and lock those that nobody else judges."""
    found = customers.families(connection, product.id, ids)
    firsts = {family[0] for family in found.values()}
    held = customers.take(connection, firsts) if lock and firsts else firsts
    return Turns(found, held, served)
