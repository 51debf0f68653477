"""The last transaction of an erasure: nothing here names the person any more.

Deleted is what names or describes them: the contact, what they were told, what waits for them,
messages to and from others about them. The subscription's row stays, for the books and the funnel,
and the rounds and the history with it: they hold internal ids, codes and days. Of the row stay
plan, country, interval, price and currency, which many have in common; what billing called it is
replaced by a keyed hash, when it began and was last used is not kept. A complaint, or an address
listed by hand, stays as the keyed hash that it is, so that nobody writes to them ever again; a
bounce goes. Money that is still owed to them keeps the charge it is owed for until that is settled.

`app.store.fates` says of every column of every table what becomes of it, and why. Bodies of
messages that name nobody we knew when they came are read, one scan for all who are wiped together.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection

from app.engine.mentions import Needles, Search
from app.errors import NotFound
from app.links import Links, plain_address
from app.policy import Period
from app.rows import ERASED
from app.store import erasures, tombstones, wiping
from app.store.products import Product
from app.store.wiping import ARCHIVED, Person

Keep = Sequence[tuple[str, Period]]
"""The categories of data that a policy keeps, each with its clock (`Policy.keep_categories`)."""
MOST_PIECES = 16
"""For more pieces of text than these it is quicker to read every body than to look in each."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is to be wiped, under which erasure, and what the policy of their round keeps."""

    subscription_id: int
    erasure_id: str
    keep: Keep = ()


@dataclass(frozen=True, slots=True)
class Wiped:
    """What a wiping did: the mark they are known by, the rows by table, what went to the archive.

    `before`: they had been wiped before, and nothing was changed.
    """

    mark: bytes
    rows: Mapping[str, int] = field(default_factory=dict)
    archived: tuple[str, ...] = ()
    before: bool = False


def wipe(  # noqa: PLR0913, PLR0917 - whom, by what, when
    connection: Connection,
    product: Product,
    subscription_id: int,
    links: Links,
    erasure_id: str,
    at: datetime,
    keep: Keep = (),
) -> Wiped:
    """Wipe one person, inside a transaction that holds their case.

    `at` is on the life clock. NotFound where the product has no such subscription.
    """
    subject = Subject(subscription_id, erasure_id, keep)
    return wipe_all(connection, product, [subject], links, at)[subscription_id]


def wipe_all(
    connection: Connection,
    product: Product,
    subjects: Sequence[Subject],
    links: Links,
    at: datetime,
) -> dict[int, Wiped]:
    """Wipe several people of a product, who share one look through the bodies of messages."""
    erasures.take_role(connection)
    done: dict[int, Wiped] = {}
    sought: dict[int, Needles] = {}
    for each in sorted(subjects, key=lambda one: one.subscription_id):
        sid = each.subscription_id
        person = wiping.person(connection, product.id, sid)
        if person is None:
            raise NotFound(f"{product.key} has no subscription of the number {sid}")
        mark = tombstones.mark_of(connection, sid)
        if mark is not None:
            done[sid] = Wiped(mark, before=True)
            continue
        sought[sid] = _needles(person)
        done[sid] = _wipe_one(connection, product, person, each, links, at)
    found = wipe_bodies(connection, product.id, sought)
    return {sid: _with_bodies(each, found[sid]) for sid, each in done.items()}


def _wipe_one(  # noqa: PLR0913, PLR0917 - whom, by what, when
    connection: Connection,
    product: Product,
    person: Person,
    subject: Subject,
    links: Links,
    at: datetime,
) -> Wiped:
    mark = links.subscription_marks(product.id, person.external_id)[0]
    archived = _archive(connection, product, person, subject, at)
    marks: list[bytes] = []
    if person.email and not person.address_shared:
        marks += links.address_marks(product.id, person.email)
    rows = wiping.run(
        connection,
        {
            "sid": person.id,
            "product": product.id,
            "key": product.key,
            "name": person.external_id,
            "erased": _name(connection, product.id, mark, person.id),
            "addresses": marks,
        },
    )
    tombstones.put(connection, product.id, mark, person.id, at)
    return Wiped(mark, rows, archived)


def _name(connection: Connection, product_id: int, mark: bytes, subscription_id: int) -> str:
    """Give what the subscription is called from now on; whoever is erased twice has two rows."""
    again = tombstones.has_mark(connection, product_id, mark)
    return f"{ERASED}{mark.hex()}{f'.{subscription_id}' if again else ''}"


def _archive(
    connection: Connection, product: Product, person: Person, subject: Subject, at: datetime
) -> tuple[str, ...]:
    """Put aside what the policy keeps, of the one category that anything here belongs to."""
    period = dict(subject.keep).get(ARCHIVED)
    charges = wiping.charges(connection, person.id) if period is not None else []
    if period is None or not charges:
        return ()
    body = {"subscription": person.external_id, "customer": person.customer, "charges": charges}
    until = period.after(at.astimezone(UTC).date())
    wiping.archive(connection, product.id, subject.erasure_id, ARCHIVED, body, until)
    return (ARCHIVED,)


def _with_bodies(done: Wiped, bodies: int) -> Wiped:
    if not bodies:
        return done
    rows = {**done.rows, "inbox": done.rows.get("inbox", 0) + bodies}
    return Wiped(done.mark, rows, done.archived, done.before)


# --- bodies ----------------------------------------------------------------------------------


def _needles(person: Person) -> Needles:
    """Give what names a person and nobody else who is still here."""
    ids = [person.external_id]
    if person.customer and not person.customer_shared:
        ids.append(person.customer)
    addresses: list[str] = []
    if person.email and not person.address_shared:
        addresses = sorted({person.email, plain_address(person.email)})
    return Needles(tuple(ids), tuple(addresses))


def wipe_bodies(
    connection: Connection, product_id: int, sought: Mapping[int, Needles]
) -> Counter[int]:
    """Forget the bodies of a product's messages that name any of some people; count for each.

    Only of those messages are they read that were not put down to one subscription when they came.
    """
    counts: Counter[int] = Counter()
    if not sought:
        return counts
    search = Search(sought)
    pieces = search.tokens if len(search.tokens or ()) <= MOST_PIECES else None
    last: int | None = 0
    while last is not None:
        bodies, last = wiping.unbound(connection, product_id, pieces, last)
        named = {number: search.named_in(body) for number, body in bodies}
        counts.update(sid for sids in named.values() for sid in sids)
        wiping.blank_bodies(connection, [number for number, sids in named.items() if sids])
    return counts
