"""Seals the history: chains the lines of each product, so that no change of them stays unseen.

Nothing is sealed while it is written: one sealer comes afterwards and only appends. Whoever could
write anything in the database could make the chain anew from the place they changed, so its ends
are to be exported to where they cannot write (`reconfirm audit head`): against such a head neither
a chain made anew nor one cut short holds.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from threading import Event

from sqlalchemy import Connection, text

from app.clock import Clock
from app.store import sealing
from app.store.database import Database
from app.store.sealing import Head, Line, Progress, Seal

MANY = 10_000
VERSION = 1
"""Of the encoding below: another one gets another number, and old seals keep theirs."""
BEGINNING = bytes(32)
"""What the first line of a chain follows on."""
A_MOMENT = 0.02
PATIENCE = timedelta(seconds=10)


def link(previous: bytes, no: int, line: Line) -> bytes:
    """Give the hash of a line at its place in a chain, behind the hash before it.

    Every column counts, texts with their length before them, so that no two lines are written
    alike; a column without a value is written None, which no number is.
    """
    at = line.at.astimezone(UTC).isoformat(timespec="microseconds")
    written = (
        f"reconfirm.history.1\n{no},{line.id},{line.product_id},{line.subscription_id},{line.round},"
        f"{line.version},{at},{len(line.what)}:{line.what},{len(line.why)}:{line.why},"
        f"{len(line.actor)}:{line.actor}"
    )
    return hashlib.sha256(previous + written.encode()).digest()


# --- sealing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals what has been written since it was last here; of several, one does and none waits."""

    database: Database
    clock: Clock
    many: int = MANY

    def seal(self, go_on: Callable[[], bool] = lambda: True) -> tuple[int, bool]:
        """Seal batch by batch while `go_on` says so; give how many, and whether no more can be."""
        did = 0
        while go_on():
            made = self.database.retrying(self._batch)
            if not made:
                return did, True
            did += made
        return did, False

    def seal_all(self) -> int:
        """Seal all that is written now, waiting a little for who is just writing; give how many."""
        did, until, pause = 0, self.clock.wall() + PATIENCE, Event()
        with self.database.transaction() as connection:
            wanted = sealing.last_drawn(connection)
        while True:
            did += self.seal()[0]
            with self.database.transaction() as connection:
                reached = sealing.progress(connection).upto
            if reached >= wanted or self.clock.wall() >= until:
                return did
            pause.wait(A_MOMENT)

    def _batch(self, connection: Connection) -> int:
        """Seal one batch in its own transaction."""
        stands = sealing.take(connection)
        if stands is None:
            return 0
        stands = replace(_looked_ahead(connection, stands), at=self.clock.wall())
        found = sealing.lines(connection, stands.upto, _settled(stands), self.many)
        if found:
            made, ends = self._chain(sealing.heads(connection), found)
            sealing.write(connection, made, ends)
        full = len(found) == self.many
        reached = found[-1].id if full else max(stands.upto, _settled(stands))
        sealing.note(connection, replace(stands, upto=reached))
        return len(found)

    def _chain(self, heads: Mapping[int, Head], found: list[Line]) -> tuple[list[Seal], list[Head]]:
        ends = {product: (head.no, head.hash, head.history_id) for product, head in heads.items()}
        touched, made, at = set(), [], self.clock.wall()
        for line in found:
            no, previous, _ = ends.get(line.product_id, (0, BEGINNING, 0))
            digest = link(previous, no + 1, line)
            made.append(Seal(line.id, no + 1, line.product_id, VERSION, digest))
            ends[line.product_id] = (no + 1, digest, line.id)
            touched.add(line.product_id)
        return made, [
            Head(each, ends[each][0], ends[each][2], ends[each][1], at) for each in sorted(touched)
        ]


def _looked_ahead(connection: Connection, stands: Progress) -> Progress:
    """See how far one may go: anew where the last look is used up, else who of it still writes.

    The last id drawn is read before the writers: the other way round, somebody could draw one and
    begin to write in between.
    """
    if stands.upto >= stands.next:
        drawn = sealing.last_drawn(connection)
        return replace(stands, next=drawn, writers=sealing.writers(connection))
    return replace(stands, writers=stands.writers & sealing.writers(connection))


def _settled(stands: Progress) -> int:
    return stands.upto if stands.writers else stands.next


# --- verifying ---------------------------------------------------------------------------------

EDITED, MISSING, GAP, ADDED = "edited", "missing", "gap", "added"
CUT, LOOSE, OTHER = "cut", "loose", "other"
WORDS = {
    EDITED: "is not what was sealed",
    MISSING: "is sealed, and gone from the history",
    GAP: "has no seal, though later ones have",
    ADDED: "was put among sealed lines later",
    CUT: "is what the chain once reached, and it ends before",
    LOOSE: "is the last sealed one, and no end of the chain is noted",
    OTHER: "is not the one that the exported head names",
}


@dataclass(frozen=True, slots=True)
class Bad:
    """The first entry of a chain that is not as it was: its number, its line, and what is wrong."""

    product_id: int
    no: int
    history_id: int | None
    what: str


@dataclass(slots=True)
class Chain:
    """A product's chain as far as it has been recomputed."""

    product_id: int
    no: int = 0
    hash: bytes = BEGINNING
    bad: Bad | None = None

    def spoil(self, what: str, no: int, history_id: int | None) -> None:
        """Note what is wrong, if it is the first thing that is."""
        if self.bad is None:
            self.bad = Bad(self.product_id, no, history_id, what)


@dataclass(slots=True)
class Audit:
    """Recomputes chains over a stream of lines and seals, against heads that were exported."""

    heads: Mapping[int, tuple[int, bytes]] = field(default_factory=dict)
    chains: dict[int, Chain] = field(default_factory=dict)

    def chain(self, product_id: int) -> Chain:
        """Give the chain of a product."""
        return self.chains.setdefault(product_id, Chain(product_id))

    def take(self, line: Line | None, seal: Seal | None) -> None:
        """Take a line with its seal, or the one where the other is missing."""
        if seal is None:
            if line is not None:
                chain = self.chain(line.product_id)
                chain.spoil(ADDED, chain.no + 1, line.id)
            return
        chain = self.chain(seal.product_id)
        if seal.no != chain.no + 1:
            chain.spoil(GAP, chain.no + 1, None)
        if line is None:
            chain.spoil(MISSING, seal.no, seal.history_id)
        elif not self._fits(chain, line, seal):
            chain.spoil(EDITED, seal.no, line.id)
        chain.no, chain.hash = seal.no, seal.hash
        exported = self.heads.get(seal.product_id)
        if exported is not None and exported[0] == seal.no and exported[1] != seal.hash:
            chain.spoil(OTHER, seal.no, seal.history_id)

    def _fits(self, chain: Chain, line: Line, seal: Seal) -> bool:
        return (
            line.product_id == seal.product_id
            and seal.version == VERSION
            and link(chain.hash, seal.no, line) == seal.hash
        )

    def end(self, stored: Mapping[int, Head]) -> None:
        """Compare where the chains end with where they are said to, here and by the export."""
        for product_id, head in stored.items():
            self._reaches(product_id, head.no, head.hash)
        for product_id, (no, _) in self.heads.items():
            if self.chain(product_id).no < no:
                self.chain(product_id).spoil(CUT, no, None)
        for product_id, chain in self.chains.items():
            if chain.no and product_id not in stored:
                chain.spoil(LOOSE, chain.no, None)

    def _reaches(self, product_id: int, no: int, digest: bytes) -> None:
        chain = self.chain(product_id)
        if chain.no < no:
            chain.spoil(CUT, no, None)
        elif chain.no > no or chain.hash != digest:
            chain.spoil(EDITED, no, None)


def verify(
    database: Database,
    product_id: int | None = None,
    heads: Mapping[int, tuple[int, bytes]] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Chain]:
    """Recompute the chains, of one product or all; give each with the first thing wrong with it.

    `heads` are exported ends, (number, hash) by product. It sees one moment of the database, and
    holds one batch of it at a time; `progress` is told how many lines have been looked at.
    """
    audit = Audit(heads or {})
    with database.transaction() as connection:
        connection.execute(text("set transaction isolation level repeatable read read only"))
        upto = sealing.progress(connection).upto
        pairs = _paired(
            sealing.all_lines(connection, product_id), sealing.all_seals(connection, product_id)
        )
        for many, (line, seal) in enumerate(pairs, 1):
            if seal is not None or (line is not None and line.id <= upto):
                audit.take(line, seal)
            if not many % MANY:
                progress(many)
        stored = sealing.heads(connection)
        if product_id is not None:
            stored = {each: head for each, head in stored.items() if each == product_id}
    audit.end(stored)
    return [audit.chains[each] for each in sorted(audit.chains)]


def _paired(
    found: Iterator[Line], seals: Iterator[Seal]
) -> Iterator[tuple[Line | None, Seal | None]]:
    """Walk two streams, both in the order of their ids, as one."""
    line, seal = next(found, None), next(seals, None)
    while line is not None or seal is not None:
        if seal is None or (line is not None and line.id < seal.history_id):
            yield line, None
            line = next(found, None)
        elif line is None or seal.history_id < line.id:
            yield None, seal
            seal = next(seals, None)
        else:
            yield line, seal
            line, seal = next(found, None), next(seals, None)
