"""Mail addresses, as they may be written into a header or an envelope."""

import re
from typing import Final

import idna

from app.errors import Refused

# What an address may look like is decided when it comes in; this is the last gate
# before the wire.  Hence no quoted local parts, no comments, no domain literals: nothing
# in which a line break, a bracket or a second address could hide.
_PLAIN: Final = re.compile(
    r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII
)
_LOCAL: Final = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}")
_LONGEST: Final = 254


def on_the_wire(address: str) -> str:
    """Return ``address`` with its domain in ASCII (IDNA 2008); only the local part may keep more.

    Raises ``Refused`` for what is not a bare ``local@domain``; the error never repeats it.
    """
    if _PLAIN.fullmatch(address) and len(address) <= _LONGEST:
        return address
    local, _, domain = address.rpartition("@")
    if not _LOCAL.fullmatch(local):
        raise _malformed()
    try:
        wired = f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except (idna.IDNAError, UnicodeError):
        raise _malformed() from None
    if len(wired.encode()) > _LONGEST:
        raise _malformed()
    return wired


def _malformed() -> Refused:
    """Return the one error of this module."""
    return Refused("A mail address is malformed", "Write it as name@example.com")
