"""The messages of a file: one message, an mbox, or a Maildir.

A message that is larger than any report of ours is cut: it is refused as too large by whoever reads
it, and what follows it is read all the same.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from app.world.returns.parts import LARGEST

_LINE = 64 * 1024
_START = b"From "
_NEXT = re.compile(rb"From \S.{0,300}\d\d:\d\d")
"""How a line begins that begins another message: with a sender and a time."""


def messages_in(file: BinaryIO) -> Iterator[bytes]:
    """Yield the messages of an open file: several where it is an mbox, else the one it is."""
    first = file.readline(_LINE)
    if not first:
        return
    if not first.startswith(_START):
        yield first + file.read(LARGEST + 1 - min(len(first), LARGEST))
        return
    yield from _split(chain((first,), iter(lambda: file.readline(_LINE), b"")))


def messages_below(folder: Path) -> Iterator[bytes]:
    """Yield the messages of a Maildir, the oldest first; what is half written yet is left."""
    names = [path for part in ("cur", "new") for path in (folder / part).glob("*")]
    for path in sorted(names, key=lambda path: path.name):
        try:
            with path.open("rb") as file:
                yield file.read(LARGEST + 1)
        except OSError:
            yield b""


def is_maildir(folder: Path) -> bool:
    """Say whether a folder is a Maildir."""
    return (folder / "new").is_dir() or (folder / "cur").is_dir()


def _split(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the messages of an mbox without the lines that begin them."""
    message: list[bytes] = []
    size, whole, empty, started = 0, True, True, False
    for line in lines:
        if not started or (whole and empty and _NEXT.match(line)):
            if started:
                yield b"".join(message)
            message, size, started = [], 0, True
        elif size <= LARGEST:
            message.append(line[: LARGEST + 1 - size])
            size += len(line)
        # A line longer than is read at once comes in pieces; only a whole empty one divides.
        empty = whole and line in (b"\n", b"\r\n")
        whole = line.endswith(b"\n")
    yield b"".join(message)
