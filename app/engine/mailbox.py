"""The mailbox of files: where notices are written to a Maildir, those to erased people go too.

Each file is named after its Message-ID, which names a subscription by our own id. So whose mails
are to go is known after everything else about a person is gone, however often this is run, and
another subscription at the same address keeps its own. The mailbox may be cleared at any time: what
was left by whoever ended between the two is found again.
"""

from pathlib import Path

from app.links import Links
from app.store import tombstones
from app.store.database import Database
from app.world.mail import maildir

AT_A_TIME = 1000


def clear_mailbox(database: Database, links: Links, folder: Path) -> int:
    """Delete the mails of everybody who has been erased; give how many there were."""
    found = maildir.by_subscription(folder, links)
    ids, gone = sorted(found), set[int]()
    with database.transaction() as connection:
        for start in range(0, len(ids), AT_A_TIME):
            gone |= tombstones.wiped_among(connection, ids[start : start + AT_A_TIME])
    return sum(maildir.delete(found[each]) for each in sorted(gone))
