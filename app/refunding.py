"""The refund ledger: proves which charges were wrong, takes decisions, and gives money back once.

A charge is wrong where billing had confirmed our suspension before it was made, or our cancel and
the time paid was over, and the person has not said yes since. Nobody but a person approves. What
was asked of billing is written down before it is asked, so that whoever comes next can tell
whether it happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from app.clock import Clock
from app.engine import holds
from app.engine.effects import pause_after
from app.errors import Conflict, NotFound, Refused
from app.store import cases, products, refunds
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.products import Product
from app.store.refunds import (
    APPROVED,
    DECLINED,
    FAILED,
    MADE,
    PROPOSED,
    Entry,
    Line,
    Person,
    Proposal,
)
from app.world.connector import Charge, Repayment
from app.world.outcome import Done, Later, No, Outcome

ACTOR = "reconciliation"
MAKER = "worker"
LEASE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)
SHORTEST_PAUSE = timedelta(seconds=1)
REMEMBERED = timedelta(hours=23)
"""For so long a key may be used again without being read back: billing forgets it after a day."""
MOST_TRIES = 20
MOST = 10**15
LONGEST_ID = 300
PEOPLE = ("cli:", "console:")
"""How the actors begin that are people."""
WHYS = ("not_wrong", "made_by_hand", "already_refunded", "disputed", "other")
CANNOT = "cannot refund"
ALREADY = "already refunded"
MENDS = {
    CANNOT: "give it back at billing by hand, then decline it with --why made_by_hand",
    "amount absurd": "look at the charge at billing; decline it, saying why",
    "other currency": "look at the charge at billing; decline it, saying why",
    "outcome unknown": "look at the charge at billing: decline it with --why made_by_hand if it"
    " was given back, or give it back by hand",
}
ELSE = "look at the charge at billing; approve it again, or decline it, saying why"


# --- evidence --------------------------------------------------------------------------------

SUSPENDED = "suspended"
CANCELED = "canceled"
_BY_US = {
    SUSPENDED: "billing_acknowledged_suspend",
    CANCELED: "billing_acknowledged_cancel",
}
_WRONG = {SUSPENDED: "charged_after_suspension", CANCELED: "charged_after_cancel"}
_SAID_YES = frozenset({"kept", "keep_recorded", "resume_recorded"})
_TOOK_BACK = frozenset({"answer_undone", "doubted", "cancel_recorded"})
_RESUMED = "resumed"
_BY_BILLING = "resumed_by_billing"
_ANEW = "asked"
TELLING = (SUSPENDED, CANCELED, _RESUMED, _ANEW, *sorted(_SAID_YES | _TOOK_BACK))
"""The lines of history that say whether somebody may be charged."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Our act that billing confirmed and that charging should have ended with.

    `ended` says that the person's cancel, or billing's end, has come on top of it: whoever is
    charged anew after that has subscribed anew. `resumed_at` is when billing by itself charged
    again after a suspension, if it did.
    """

    line: Line
    ended: bool = False
    resumed_at: datetime | None = None

    @property
    def why(self) -> str:
        """Say by a code why a charge under it is wrong."""
        return _WRONG[self.line.what]

    def forbids(self, at: datetime) -> bool:
        """Say whether a charge made at a moment was wrong because of it.

        A cancel ends with the time paid: until then an invoice of that time may still be taken. A
        charge at its very end is the first of a time that nobody wanted.
        """
        if self.line.what == SUSPENDED:
            return True
        return self.line.paid_until is None or self.line.paid_until <= at


def stop_at(lines: Sequence[Line], at: datetime) -> Stop | None:
    """Give the act of ours that forbade a charge at a moment; None where there was none.

    A charge made between the end of the answer window and billing's confirmation is none of these:
    until billing has confirmed, nothing was promised to have stopped, and the notice of the
    suspension states the day that it counts from. After it every charge is wrong, also that of an
    older invoice which was still being retried (R04). Only the person's own yes ends that, from the
    moment they said it; a resume that billing did by itself does not, and a person decides.

    After a cancel of ours every charge is wrong from the end of the time paid on, until the person
    says yes, or billing has the subscription live again: what had ended can only have begun anew.
    What billing canceled by itself proves nothing.
    """
    found: Stop | None = None
    yes = False
    for line in sorted(lines, key=lambda each: each.id):
        if line.what in _BY_US:
            found = _stopped(found, line, at)
        elif line.at > at:
            continue
        elif line.what == _ANEW:
            found, yes = None, False
        elif line.what in _SAID_YES:
            yes = True
        elif line.what in _TOOK_BACK:
            yes = False
        elif line.what == _RESUMED and line.why == _BY_BILLING:
            found = _resumed_by_billing(found, line.at)
        elif line.what == _RESUMED:
            found, yes = None, False
    return found if found and not yes and found.forbids(at) else None


def _stopped(found: Stop | None, line: Line, at: datetime) -> Stop | None:
    """Give what forbids charges after the act of a line; an end adds to a suspension."""
    if line.at >= at:
        return found
    if line.why == _BY_US[line.what] and (found is None or line.what == SUSPENDED):
        return Stop(line)
    return found and replace(found, ended=found.ended or line.what == CANCELED)


def _resumed_by_billing(found: Stop | None, at: datetime) -> Stop | None:
    if found is None or found.ended or found.line.what == CANCELED:
        return None
    return replace(found, resumed_at=at)


def _stop_of(person: Person, lines: Sequence[Line], at: datetime) -> Stop | None:
    """Give what forbade a charge, but for who has subscribed anew under the same id since."""
    found = stop_at(lines, at)
    if found is None or not (found.ended or found.line.what == CANCELED):
        return found
    ended_on = found.line.at.astimezone(UTC).date()
    return None if ended_on < person.started_on <= at.astimezone(UTC).date() else found


def _proposal(charge: Charge, person: Person, found: Stop) -> Proposal:
    error = _absurd(charge, person.currency)
    sound = error != "amount absurd"
    evidence = {
        "why": found.why,
        f"{found.line.what}_at": found.line.at.isoformat(),
        "confirmed_by": found.line.why,
        "history": found.line.id,
    }
    if found.line.what == CANCELED and found.line.paid_until is not None:
        evidence["paid_until"] = found.line.paid_until.isoformat()
    if found.resumed_at is not None:
        evidence["resumed_by_billing_at"] = found.resumed_at.isoformat()
    return Proposal(
        person.id,
        found.line.number,
        charge.id,
        charge.at,
        charge.amount if sound else 0,
        charge.refunded if sound else 0,
        charge.currency.upper()[:3],
        evidence,
        error,
    )


def _absurd(charge: Charge, currency: str) -> str | None:
    if not 0 <= charge.refunded <= charge.amount <= MOST or not charge.amount:
        return "amount absurd"
    return None if charge.currency.upper() == currency else "other currency"


def _sound(charge: Charge) -> bool:
    """Say whether a charge can be kept at all: by an id and a moment."""
    name, amounts = charge.id, {type(charge.amount), type(charge.refunded)}
    plain = type(name) is str and name.isascii() and name.isprintable()
    return plain and amounts == {int} and len(name) <= LONGEST_ID and charge.at.tzinfo is not None


# --- the ledger ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ledger:
    """Takes decisions about wrong charges, and hands out those that are to be given back."""

    database: Database
    clock: Clock
    lease: timedelta = LEASE

    @staticmethod
    def prove(
        connection: Connection, product_id: int, charges: Sequence[Charge], now: datetime
    ) -> Counter[str]:
        """Open an entry for every wrong charge of a page; count what was found.

        What has been given back whole already, or took nothing, needs none. Where a person found
        that billing resumed somebody rightly, later charges of that round are not proposed again.
        """
        sound = [each for each in charges if _sound(each)]
        counts = Counter(charges=len(charges), charges_unread=len(charges) - len(sound))
        people = refunds.people(connection, product_id, [each.subscription for each in sound])
        ids = [each.id for each in people.values()]
        story = refunds.lines(connection, ids, TELLING)
        settled = refunds.declined_rounds(connection, product_id, ids)
        there = refunds.known(connection, product_id, [each.id for each in sound])
        found = []
        for each in sound:
            if (person := people.get(each.subscription)) is None:
                continue
            under = _stop_of(person, story.get(person.id, ()), each.at)
            if under is None:
                continue
            if under.resumed_at and (person.id, under.line.number) in settled:
                continue
            if each.amount == each.refunded and each.id not in there and each.amount >= 0:
                counts["given_back_already"] += 1
                continue
            found.append(_proposal(each, person, under))
        held = holds.locked(connection, product_id, [each.subscription_id for each in found])
        opened = refunds.propose(connection, product_id, found, now)
        counts["wrong"] = len(opened)
        _note(connection, product_id, now, ACTOR, opened)
        owed = refunds.numbers(connection, product_id, [each.charge for each in opened])
        holds.refunding(connection, product_id, held, owed, ACTOR, now)
        return counts

    # --- decisions -----------------------------------------------------------------------------

    def approve(self, product_key: str, number: int, actor: str) -> Entry:
        """Have a wrong charge given back; Conflict where that may not be."""
        return self._decide(product_key, number, actor, APPROVED)

    def decline(self, product_key: str, number: int, actor: str, why: str) -> Entry:
        """Give nothing back for a charge through billing, for a reason (a code of `WHYS`)."""
        if why not in WHYS:
            raise Refused(f"{why[:40]!r} is no reason", f"use one of {', '.join(WHYS)}")
        return self._decide(product_key, number, actor, DECLINED, why)

    def _decide(
        self, product_key: str, number: int, actor: str, state: str, why: str | None = None
    ) -> Entry:
        """Decide about an entry, for the reason given, or because of what proves it."""
        if not actor.startswith(PEOPLE):
            raise Refused("refunds are decided by people", "use `reconfirm refund`")
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            product_id = product.id
            found = _locked(connection, product, number)
            _check(found, state)
            now, code = self.clock.now(), why or str(found.evidence["why"])
            refunds.decide(connection, number, state, actor, code, now)
            line = HistoryWrite(found.subscription_id, found.round, f"refund_{state}", code, None)
            if state == DECLINED:
                holds.refunded(connection, product, number, actor, now)
            cases.insert_history(connection, product_id, now, actor, [line])
            decided = refunds.entry(connection, product_id, number)
        return decided or found

    # --- making --------------------------------------------------------------------------------

    def claim(self, product: Product) -> Entry | None:
        """Take the next entry that is to be given back; None where none is due."""
        wall = self.clock.wall()
        with self.database.transaction() as connection:
            return refunds.claim(connection, product.id, self.clock.now(), wall, wall + self.lease)

    def begin(self, entry: Entry, now: Charge | None) -> Repayment | Outcome:
        """Say what to ask of billing, given how the charge stands; or what became of it already.

        `now` is None where billing could not be asked about it. What is asked for stays the same
        on every try under its key, unless less is left to give back.
        """
        if entry.unknown:
            known = self._learned(entry, now)
            if known is not None:
                return known
        owed, before = entry.owed, entry.refunded
        if entry.asked is not None:
            owed = entry.asked if entry.unknown else min(entry.asked, owed)
        if now is not None:
            if (wrong := _absurd(now, entry.currency)) is not None:
                return No(wrong)
            before = max(now.refunded, entry.refunded)
            owed = min(owed, now.amount - before)
        if owed <= 0:
            return No(ALREADY)
        with self.database.transaction() as connection:
            if not refunds.begin(connection, entry, owed, before, self.clock.now()):
                return Later("taken by another")
        return Repayment(entry.charge, owed, entry.currency, f"refund-{entry.id}")

    def _learned(self, entry: Entry, now: Charge | None) -> Outcome | None:
        """Say what became of an earlier try without a known outcome; None: try it again.

        Where billing cannot be asked the key protects us for as long as billing remembers it.
        """
        if now is None:
            first = entry.first_tried_at
            fresh = first is not None and self.clock.now() - first < REMEMBERED
            return None if fresh else No("outcome unknown")
        before = entry.refunded_before or 0
        if now.refunded >= before + (entry.asked or 0):
            return Done()
        # Something was given back, but not what we asked for: nobody can tell by whom.
        return None if now.refunded == before else No("outcome unknown")

    def settle(self, product: Product, entry: Entry, outcome: Outcome, *, begun: bool) -> bool:
        """Write what became of a try; False where another has taken the entry since.

        `begun` is False where billing was not asked to give anything back.
        """
        now = self.clock.now()
        came = _came(entry, outcome, now)
        with self.database.transaction() as connection:
            holds.locked(connection, product.id, [entry.subscription_id])
            counted = refunds.settle(
                connection,
                entry,
                came.state,
                not_before=came.not_before,
                error=came.error,
                unknown=int(begun and isinstance(outcome, Later) and outcome.unknown),
                made_at=now if came.state == MADE else None,
            )
            if counted and came.state in (MADE, DECLINED):
                holds.refunded(connection, product, entry.id, MAKER, now)
            if counted and came.why is not None:
                what = f"refund_{came.state}"
                line = HistoryWrite(entry.subscription_id, entry.round, what, came.why, None)
                cases.insert_history(connection, product.id, now, MAKER, [line])
        return counted


@dataclass(frozen=True, slots=True)
class _Came:
    """What an entry comes to by an outcome; `why` is a code for the history, where it is news."""

    state: str
    not_before: datetime
    error: str | None = None
    why: str | None = None


def _came(entry: Entry, outcome: Outcome, now: datetime) -> _Came:
    match outcome:
        case Done():
            return _Came(MADE, now, None, "billing_acknowledged_refund")
        case No(reason) if reason == ALREADY:
            return _Came(DECLINED, now, reason, "already_refunded")
        case No(reason):
            return _Came(FAILED, now, reason, "billing_said_no")
        case Later(reason) if entry.tries >= MOST_TRIES:
            return _Came(FAILED, now, reason, "tried_too_often")
        case Later(reason, _, wished):
            wait = pause_after(entry.tries) if wished is None else min(wished, LONGEST_PAUSE)
            return _Came(APPROVED, now + max(wait, SHORTEST_PAUSE), reason)


def mend_of(entry: Entry) -> str | None:
    """Say what to do about an entry that needs a person; None where it needs none."""
    if entry.state == PROPOSED:
        return "approve it, or decline it, saying why"
    if entry.state != FAILED:
        return None
    return MENDS.get(entry.error or "", ELSE)


def _locked(connection: Connection, product: Product, number: int) -> Entry:
    """Give an entry that nobody else decides about meanwhile; its case is locked before it is."""
    found = refunds.entry(connection, product.id, number)
    if found is not None:
        holds.locked(connection, product.id, [found.subscription_id])
        found = refunds.entry(connection, product.id, number, lock=True)
    if found is None:
        raise NotFound(
            f"{product.key} has no refund {number}", "`reconfirm refund list` shows them"
        )
    return found


def _check(found: Entry, state: str) -> None:
    allowed = (PROPOSED, FAILED) if state == APPROVED else (PROPOSED, FAILED, APPROVED)
    if found.state not in allowed:
        raise Conflict(f"refund {found.id} is {found.state}", "it is settled")
    if found.in_hand or (found.state == APPROVED and found.unknown):
        raise Conflict(
            f"refund {found.id} is being made", "wait until billing has said what became of it"
        )
    if state == APPROVED and found.absurd:
        raise Conflict(f"refund {found.id} cannot be made: {found.error}", MENDS[str(found.error)])


def _note(
    connection: Connection,
    product_id: int,
    now: datetime,
    actor: str,
    opened: Sequence[Proposal],
) -> None:
    lines = [
        HistoryWrite(
            each.subscription_id, each.number, "refund_proposed", str(each.evidence["why"]), None
        )
        for each in opened
    ]
    cases.insert_history(connection, product_id, now, actor, lines)
