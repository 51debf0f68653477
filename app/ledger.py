"""The file that the ledger of erasures is exported to: what a restored backup is compared with.

One entry a line, as JSON, only ever appended to. It holds no personal data, and is to be kept where
a backup of the database does not reach: a ledger that is restored with the database says nothing.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from app.errors import Refused
from app.store import ledger
from app.store.ledger import BEGINNING, Entry

LONGEST = 4096
"""No line is longer, so the last one is found without reading the others."""
MEND = "see `reconfirm restore-check`; never write that file by hand"


def export(connection: Connection, path: Path) -> int:
    """Append to the file what it lacks, on disk when this returns; give how many entries.

    Several may do so at once: they take turns. What a crash left of a last line is cut off first.
    Refused where the file holds what the database does not: that one was restored from a backup.
    """
    with _open(path) as file:
        _cut_torn(file)
        last = _last(file)
        _check_known(connection, last)
        many = 0
        for entries in ledger.after(connection, last.no if last else 0):
            file.seek(0, SEEK_END)
            file.write(b"".join(map(_line, entries)))
            many += len(entries)
        if many:
            file.flush()
            os.fsync(file.fileno())
    return many


def head(path: Path) -> Entry | None:
    """Give the last entry of the file, None where it has none; Refused where it cannot be read."""
    if not path.exists():
        return None
    with _reading(path) as file:
        return _last(file)


def read(path: Path) -> Iterator[Entry]:
    """Give the entries of the file, each checked against the one before; Refused names a bad one.

    Half a line at the end is what a crash leaves, and is passed over.
    """
    previous, no = BEGINNING, 0
    with _reading(path) as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            entry = _entry(line)
            if entry is None or entry.no != no + 1 or entry.previous_hash != previous:
                raise Refused(f"the ledger of erasures is broken at its entry {no + 1}", MEND)
            if not ledger.fits(entry):
                raise Refused(f"entry {entry.no} of the ledger of erasures was changed", MEND)
            yield entry
            no, previous = entry.no, entry.hash


def _check_known(connection: Connection, last: Entry | None) -> None:
    if last is not None and ledger.entry(connection, last.no) != last:
        raise Refused(
            f"the ledger of erasures ends with entry {last.no}, which this database does not have",
            "it is restored from a backup, or another's: run `reconfirm restore-check`",
        )


# --- the file ----------------------------------------------------------------------------------


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open the file to append to, by oneself alone; made first where there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if new:
                _keep_name(path.parent)
            yield file
    except OSError as error:
        raise _unusable(path, error) from error


def _keep_name(folder: Path) -> None:
    """See that the name of a new file outlives a crash too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield file
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"the ledger of erasures {path} cannot be used ({error.strerror})",
        "let this account read and write it, or set RECONFIRM_ERASURE_LEDGER to where it is",
    )


def _tail(file: BinaryIO) -> bytes:
    size = file.seek(0, SEEK_END)
    file.seek(max(0, size - 2 * LONGEST))
    return file.read()


def _cut_torn(file: BinaryIO) -> None:
    tail = _tail(file)
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        file.truncate(file.seek(0, SEEK_END) - torn)


def _last(file: BinaryIO) -> Entry | None:
    """Give the last whole entry."""
    tail = _tail(file)
    whole = tail[: tail.rfind(b"\n") + 1].splitlines()
    if not whole:
        return None
    found = _entry(whole[-1])
    if found is None or not ledger.fits(found):
        raise Refused("the last entry of the ledger of erasures was changed", MEND)
    return found


def _line(entry: Entry) -> bytes:
    said = {
        "no": entry.no,
        "erasure": entry.erasure_id,
        "product": entry.product,
        "cause": entry.cause,
        "mark": entry.mark.hex(),
        "ended_at": entry.ended_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "previous": entry.previous_hash.hex(),
        "hash": entry.hash.hex(),
    }
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _entry(line: bytes) -> Entry | None:
    """Read a line; None where it is none of ours."""
    try:
        said: dict[str, Any] = json.loads(line)
        return Entry(
            int(said["no"]),
            str(said["erasure"]),
            str(said["product"]),
            str(said["cause"]),
            bytes.fromhex(said["mark"]),
            datetime.fromisoformat(said["ended_at"]),
            bytes.fromhex(said["previous"]),
            bytes.fromhex(said["hash"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
