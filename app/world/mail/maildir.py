"""A Maildir: one file a message, which any mail program reads.  For trying out and for tests."""

import re
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Final, Self

from app.errors import Refused
from app.links import Links
from app.world.outcome import Done, Later, Outcome

_FOLDERS: Final = ("tmp", "new", "cur")
_MESSAGE_ID: Final = re.compile(rb"^Message-ID:\s*<?([^>\r\n]*)", re.IGNORECASE | re.MULTILINE)
_LONGEST_NAME: Final = 200


class Maildir:
    """Writes messages into a folder.

    A file is named after the Message-ID and numbered, so a message that is sent twice
    lies there twice: ``<id>.1`` and ``<id>.2``.  Nothing is synced to disk; a mailbox for
    looking at is not worth an fsync a message.
    """

    def __init__(self, folder: Path) -> None:
        """Write below ``folder``, which is made when first needed."""
        self._folder = folder
        self._made = False

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:  # noqa: ARG002 - the headers have them
        """Write one message whole or not at all: into ``tmp``, then linked into ``new``."""
        draft = self._folder / "tmp" / token_hex(8)
        try:
            self._make()
            try:
                draft.write_bytes(message)
                self._deliver(draft, _name(message))
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            return Later(f"maildir: {type(error).__name__}")
        return Done()

    def _deliver(self, draft: Path, name: str) -> None:
        """Link ``draft`` under the first free number; unlike renaming, it replaces nothing."""
        for number in count(1):
            # What was read lies in cur, with flags behind a colon.
            if any((self._folder / "cur").glob(f"{name}.{number}:*")):
                continue
            try:
                (self._folder / "new" / f"{name}.{number}").hardlink_to(draft)
            except FileExistsError:
                continue
            return

    def _make(self) -> None:
        """Make the folders once, for nobody else to read: mails hold links that act."""
        if not self._made:
            for name in _FOLDERS:
                (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._made = True

    def check(self) -> str:
        """Make the folders and say where they are."""
        try:
            self._make()
        except OSError as error:
            what = f"The mailbox cannot be written ({type(error).__name__})"
            raise Refused(what, "Choose a folder that can be written to") from None
        return f"mails are kept as files in {self._folder}"

    def __enter__(self) -> Self:
        """Return itself; the folders are made with the first message."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: no file stays open."""


def by_subscription(folder: Path, links: Links) -> dict[int, list[Path]]:
    """Give the notices in a mailbox, by the subscription that each is about.

    Those too that were read, or that somebody who ended has not written to the end.
    """
    found: dict[int, list[Path]] = {}
    for place in (folder / name for name in _FOLDERS):
        for path in place.iterdir() if place.is_dir() else ():
            about = links.read_notice(_id_of(path))
            if about is not None:
                found.setdefault(about, []).append(path)
    return found


def _id_of(path: Path) -> str:
    """Give the Message-ID: a file is named by it, a number, and the flags of a mail program."""
    if path.parent.name != "tmp":
        return path.name.partition(":")[0].rpartition(".")[0]
    try:
        return _name(path.read_bytes())
    except OSError:
        return ""


def delete(paths: Iterable[Path]) -> int:
    """Delete mails, those too that somebody else has deleted meanwhile; give how many."""
    many = 0
    for path in paths:
        path.unlink(missing_ok=True)
        many += 1
    return many


def _name(message: bytes) -> str:
    """Return the Message-ID as a file name; every character that could mean something is ``_``."""
    found = _MESSAGE_ID.search(message)
    name = found[1].decode("ascii", "replace") if found else "without-id"
    return re.sub(r"[^\w.@-]", "_", name, flags=re.ASCII).lstrip(".")[:_LONGEST_NAME]
