"""One pass over products: who is due is judged, and what that leads to is queued."""

import sys
from collections.abc import Callable, Sequence

from app.clock import Clock
from app.engine.sweep import ACTOR, Pass, Sweeper
from app.store import products
from app.store.database import Database


def sweep(  # noqa: PLR0913 - switches, by name
    database: Database,
    clock: Clock,
    only: str | None = None,
    *,
    dry: bool = False,
    list_people: bool = False,
    after_batch: Callable[[int], None] = lambda _: None,
    actor: str = ACTOR,
) -> list[Pass]:
    """Sweep one product, or all of them one after the other; one that fails stops no other.

    What follows from time alone is the clock's, whoever begins the sweep; the run names them.
    """
    with database.transaction() as connection:
        keys: Sequence[str] = [only] if only else products.keys(connection)
    now, passes = clock.now(), []
    for key in keys:
        sweeper = Sweeper(
            database,
            key,
            now,
            actor,
            dry=dry,
            list_people=list_people,
            after_batch=after_batch,
        )
        try:
            passes.append(sweeper.run())
        except Exception as error:
            if only:
                raise
            sys.stderr.write(f"product {key} put off: {type(error).__name__}\n")
            passes.append(Pass(key, stopped=f"failed: {type(error).__name__}", failed=1))
    return passes
