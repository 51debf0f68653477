"""Putting words into mail: cleaning, quoted-printable, headers.

Everything here works on one value at a time, so that a message can be cut into the
parts that never change and the few that do.
"""

import re
from binascii import b2a_qp
from email.header import Header
from email.utils import formataddr
from functools import lru_cache
from html import escape
from typing import Final

from app.errors import Refused

_SOFT_BREAK: Final = b"=\r\n"
_LINE: Final = 76
_PLAIN_HEADER: Final = re.compile(r"(?!.*=\?)[\x20-\x7e]{0,900}")
_TOKEN: Final = re.compile(r"[!-;=?-~]{1,900}")
_WEB: Final = re.compile(r"https?://[!#-&(-;=?-~]{1,900}")
# Not "printable" to Python, and yet some scripts and emoji are not written without them.
_JOINERS: Final = "\u200c\u200d"


# One value in its three forms: as it is, for the text part, for the HTML part.
Said = tuple[str, bytes, bytes]
NOTHING: Final[Said] = ("", b"", b"")


def clean(value: str) -> str:
    """Return ``value`` as one line of visible text.

    Controls, lone surrogates and the marks that reorder text become blanks: they can
    break a line, a parser, or what a reader believes to see.
    """
    shown = (c if c.isprintable() or c in _JOINERS else " " for c in value)
    return " ".join("".join(shown).split())


def said(value: str) -> Said:
    """Return ``value`` encoded for both parts; it must be one line."""
    text = _field(value)
    escaped = escape(value)
    return value, text, text if escaped == value else _field(escaped)


def said_link(url: str) -> Said:
    """Return a web address, encoded; ``Refused`` when it is none."""
    # The commonest of all fields, and no two alike: a short one without "=" stays as it is.
    short = len(url) < _LINE and "=" not in url
    text = web(url).encode() + _SOFT_BREAK if short else _field(web(url))
    return url, text, text if "&" not in url else _field(escape(url))


@lru_cache(maxsize=8192)
def said_name(value: str) -> Said:
    """Return a name somebody else chose, cleaned and encoded."""
    return said(clean(value))


def quoted(text: str) -> bytes:
    """Return ``text`` (lines end in LF) as quoted-printable with CRLF."""
    return b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n")


def _field(value: str) -> bytes:
    """Return words as quoted-printable that ends at the left edge."""
    # The stand-in keeps a place in the last line for the "=" of the soft break.
    return quoted(f"{value}-")[:-1] + _SOFT_BREAK


def up_to_field(text: str) -> bytes:
    """Return the text before a field, ended so that the field begins at the left edge."""
    return quoted(text) if not text or text.endswith("\n") else _field(text)


@lru_cache(maxsize=8192)
def words(name: str, value: str) -> bytes:
    """Return the header ``name`` with free text, encoded (RFC 2047) where it must be."""
    if _PLAIN_HEADER.fullmatch(value):
        return f"{name}: {value}\r\n".encode("ascii")
    folded = Header(value, "utf-8", header_name=name).encode(linesep="\r\n")
    return f"{name}: {folded}\r\n".encode("ascii")


def mailbox(name: str, address: str) -> str:
    """Return ``name <address>`` for a header; the name is encoded where it must be."""
    if _PLAIN_HEADER.fullmatch(name):
        return formataddr((name, address))
    return f"{Header(name, 'utf-8', maxlinelen=60).encode(linesep=chr(13) + chr(10))} <{address}>"


def token(value: str) -> bytes:
    """Return what goes between angle brackets in a header (an id, a URL) as bytes.

    Raises ``Refused`` for blanks, brackets, controls, non-ASCII, or over 900 characters.
    """
    if not _TOKEN.fullmatch(value):
        raise Refused("A notice cannot be written: an id or link does not fit into a header")
    return value.encode("ascii")


def web(url: str) -> str:
    """Return ``url`` when it is a plain http(s) address; ``Refused`` otherwise."""
    if not _WEB.fullmatch(url):
        raise Refused("A notice cannot be written: a link in it is not a web address")
    return url
