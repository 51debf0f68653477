"""One pass over products: who is due is judged, and what that leads to is queued."""

from collections.abc import Callable, Sequence

from app.clock import Clock
from app.engine.sweep import Pass, Sweeper
from app.store import products
from app.store.database import Database


def sweep(
    database: Database,
    clock: Clock,
    only: str | None = None,
    *,
    dry: bool = False,
    list_people: bool = False,
    after_batch: Callable[[int], None] = lambda _: None,
) -> list[Pass]:
    """Sweep one product, or all of them one after the other."""
    with database.transaction() as connection:
        keys: Sequence[str] = [only] if only else products.keys(connection)
    now = clock.now()
    return [
        Sweeper(
            database, key, now, dry=dry, list_people=list_people, after_batch=after_batch
        ).run()
        for key in keys
    ]
