"""Makes manifests for tests, and people of the console who may approve them."""

from datetime import timedelta

from app.manifests import Header, digest
from app.store import console
from app.store.database import Database
from app.store.manifests import Entry
from app.store.products import Product
from tests.probe import rows
from tests.world import Town

DAY = timedelta(days=1)


def made(town: Town, *names: str, made_by: str = "clock", state: str = "waiting") -> int:
    """Write a manifest of somebody's people, as the planner does; give its number."""
    product, day = town.product, town.clock.now().date()
    ((last,),) = rows(town.database, "select coalesce(max(number), 0) from manifest")
    number = int(last) + 1
    day += number * DAY
    entries = [entry(town, name) for name in names]
    entries.sort(key=lambda each: each.subscription_id)
    rows(
        town.database,
        """insert into manifest (product_id, number, day, made_by, made_at, state)
           values (:product, :number, :day, :by, :at, 'making')""",
        product=product.id,
        number=number,
        day=day,
        by=made_by,
        at=town.clock.now(),
    )
    for each in entries:
        write(town.database, product, number, each)
    if state != "making":
        rows(
            town.database,
            """update manifest set people = :many, hash = :hash, state = :state
               where product_id = :product and number = :number""",
            many=len(entries),
            hash=digest(Header(product.key, number, day), entries),
            state=state,
            product=product.id,
            number=number,
        )
    return number


def entry(town: Town, name: str) -> Entry:
    """Give an entry for somebody: suspended ten months ago, and warned twice."""
    today = town.clock.now().date()
    return Entry(
        town.id_of(name),
        1,
        "suspended",
        "unused",
        today - 300 * DAY,
        today,
        today - 60 * DAY,
        today - 14 * DAY,
        2,
    )


def write(database: Database, product: Product, number: int, each: Entry) -> None:
    """Put somebody on a manifest."""
    names = list(Entry.__struct_fields__)
    rows(
        database,
        f"""insert into manifest_entry (product_id, number, {", ".join(names)})
            values (:product, :number, {", ".join(f":{name}" for name in names)})""",  # noqa: S608
        product=product.id,
        number=number,
        **{name: getattr(each, name) for name in names},
    )


def person(town: Town, name: str, *roles: str) -> str:
    """Have somebody sign in to the console with these roles; give their actor."""
    with town.database.transaction() as connection:
        wall = town.clock.wall()
        console.person(connection, name.encode(), name, f"{name}-2", sorted(roles), wall)
    return f"console:{name}"


def hash_of(town: Town, number: int) -> str:
    """Give the hash that a manifest shows."""
    statement = "select encode(hash, 'hex') from manifest where number = :number"
    ((found,),) = rows(town.database, statement, number=number)
    return str(found)
