"""An installation for whoever serves or does the work: refused on a restored database."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.cli.installation import Installation, installed
from app.restoring import require_ours


@contextmanager
def serving() -> Iterator[Installation]:
    """Give the service that the settings describe, if its database is the one it says it is."""
    with installed() as parts:
        require_ours(parts.database, parts.settings.erasure_ledger, parts.clock.wall())
        yield parts
