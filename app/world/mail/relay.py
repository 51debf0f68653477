"""Where finished messages are handed over, chosen by an address."""

from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import SplitResult, unquote, urlsplit

from app.errors import Refused
from app.world.mail.maildir import Maildir
from app.world.mail.postmark import HOSTS, Postmark
from app.world.mail.smtp import Account, Smtp
from app.world.outcome import Outcome

_PORTS: Final = {"smtp": 25, "smtps": 465}
_MEND: Final = "Write smtp://user:password@host:587, smtps://host, or file:///folder"


class Relay(Protocol):
    """Takes messages.  Not for several threads at once: give each its own."""

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:
        """Hand over one message.  What goes wrong outside is an outcome, never an exception."""

    def check(self) -> str:
        """Say in a few words where messages go; ``Refused`` when they cannot go there now."""

    def __enter__(self) -> Self:
        """Return itself; nothing is opened before the first message."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""


def open_relay(url: str) -> Relay:
    """Return the relay at ``url``: ``smtp://``, ``smtps://`` or ``file:///`` for a Maildir.

    Nothing is connected yet.  Raises ``Refused`` for a malformed URL, without repeating it:
    it may hold a password.
    """
    parts = _split(url)
    if parts.scheme == "file":
        return Maildir(_folder(parts))
    if parts.scheme in _PORTS:
        account = _account(parts)
        return Postmark(account) if account.host.lower() in HOSTS else Smtp(account)
    raise Refused("The mail relay's URL begins with neither smtp, smtps nor file", _MEND)


def folder_of(url: str) -> Path | None:
    """Return the folder that a relay's URL names; None where it is no Maildir."""
    parts = _split(url)
    return _folder(parts) if parts.scheme == "file" else None


def _split(url: str) -> SplitResult:
    """Return the parts of a URL whose port is a port."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Refused("The mail relay's URL is malformed", _MEND) from None
    if parts.query or parts.fragment:
        raise Refused(
            "The mail relay's URL has a ? or # in it", "Write them in a password as %3F and %23"
        )
    return parts


def _folder(parts: SplitResult) -> Path:
    """Return the folder that a file URL names."""
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise Refused(
            "The mailbox is not an absolute folder", "Write file:///folder, with three slashes"
        )
    return Path(unquote(parts.path))


def _account(parts: SplitResult) -> Account:
    """Return host, port and login that an SMTP URL names."""
    if not parts.hostname or parts.path not in {"", "/"}:
        raise Refused("The mail relay's URL does not name a host alone", _MEND)
    if bool(parts.username) != bool(parts.password):
        raise Refused(
            "The mail relay's URL has half a login", "Give both user and password, or neither"
        )
    return Account(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
