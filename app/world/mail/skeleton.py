"""The bytes of a message with gaps: built once per wording, filled per person.

The standard library's MIME generator is the slow part of sending mail (600 messages a
second).  So a message is encoded once with marks for a person's fields, cut there, and
from then on only those fields are encoded and joined in between.

Each field stands between soft line breaks of quoted-printable, at the left edge, so it
can be of any length without moving the lines around it.  ``=_`` cannot occur in
quoted-printable, so the boundary is safe in every message, for ever.
"""

from base64 import encodebytes
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from app.errors import Refused
from app.world.mail.address import on_the_wire
from app.world.mail.brief import UNASKED, Brand
from app.world.mail.draft import Draft, Tongue, cut, joined
from app.world.mail.encode import clean, mailbox, quoted, up_to_field, words
from app.world.mail.facts import FORMS, Told
from app.world.mail.logo import CONTENT_ID, kind

BOUNDARY: Final = "=_reconfirm"
INNER: Final = "=_with_logo"
"""Around the HTML and the picture that it shows."""

# The gaps in the headers; then come the facts, three forms each.
TO, MESSAGE_ID, DATE, ONE_CLICK, SUBJECT = range(5)
_HEADERS: Final = 5

Piece = bytes | int


class Skeleton:
    """One wording of one notice in one brand's name, ready to be filled."""

    __slots__ = ("_fixed", "_pick", "_same_for_all", "_subject", "draft")

    def __init__(self, draft: Draft, pieces: Iterable[Piece]) -> None:
        """Keep the draft for previews, and the pieces in a form that joins quickly."""
        merged = list(_merge(pieces))
        self.draft = draft
        self._fixed = tuple(piece for piece in merged if isinstance(piece, bytes))
        self._pick = itemgetter(*_positions(merged, len(self._fixed)))
        self._subject = cut(draft.subject)
        self._same_for_all = words("Subject", draft.subject) if len(self._subject) == 1 else b""

    def fill(self, headers: tuple[bytes, ...], told: Told) -> bytes:
        """Return the message; ``headers`` are To, Message-ID, Date and the one-click URL."""
        subject = self._same_for_all or words("Subject", joined(self._subject, told.raws))
        return b"".join(self._pick((*self._fixed, *headers, subject, *told.forms)))


def _merge(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces, neighbouring bytes joined, empty ones dropped."""
    for fixed, run in groupby(pieces, key=lambda piece: isinstance(piece, bytes)):
        if fixed:
            yield b"".join(piece for piece in run if isinstance(piece, bytes))
        else:
            yield from run


def _positions(pieces: list[Piece], fixed: int) -> Iterator[int]:
    """Yield where each piece is found once the fields have been put behind the fixed bytes."""
    seen = 0
    for piece in pieces:
        if isinstance(piece, int):
            yield fixed + piece
        else:
            yield seen
            seen += 1


def build(brand: Brand, notice: str, tongue: Tongue, draft: Draft) -> Skeleton:
    """Return the skeleton of ``draft``, whose marks count the facts."""
    pieces: list[Piece] = [
        *_headers(brand, notice, tongue),
        _part("plain"),
        *_body(cut(draft.text), _HEADERS + 1),
        _related() if brand.logo else b"",
        _part("html", INNER if brand.logo else BOUNDARY),
        *_body(cut(draft.html), _HEADERS + 2),
        _picture(brand.logo) if brand.logo else b"",
        f"\r\n--{BOUNDARY}--\r\n".encode(),
    ]
    return Skeleton(draft, pieces)


def _headers(brand: Brand, notice: str, tongue: Tongue) -> Iterator[Piece]:
    """Yield the headers; the line break before the first boundary ends them."""
    sender = mailbox(clean(brand.name), _ours(brand, "from", brand.from_address))
    yield from (f"From: {sender}\r\n".encode(), b"To: ", TO, b"\r\n", SUBJECT)
    yield from (b"Date: ", DATE, b"\r\nMessage-ID: <", MESSAGE_ID, b">\r\n")
    if brand.reply_to:
        yield f"Reply-To: {_ours(brand, 'reply_to', brand.reply_to)}\r\n".encode()
    if notice in UNASKED:
        yield from (b"List-Unsubscribe: <", ONE_CLICK, b">\r\n")
        yield b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    yield f"Auto-Submitted: auto-generated\r\nContent-Language: {tongue.tag}\r\n".encode()
    yield b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; "
    yield f'boundary="{BOUNDARY}"\r\n'.encode()


def _ours(brand: Brand, name: str, address: str) -> str:
    """Return an address of the product for a header; ``Refused`` says how to set a good one."""
    try:
        return on_the_wire(address)
    except Refused:
        wrong = "is malformed" if address else "is not set"
        what = f"Product {brand.key} cannot send: its address `{name}` {wrong}"
        mend = f"Set it: reconfirm product set {brand.key} {name}=name@example.com"
        raise Refused(what, mend) from None


def _related() -> bytes:
    """Return the beginning of the part that holds the HTML and its picture."""
    return (
        f"\r\n--{BOUNDARY}\r\n"
        f'Content-Type: multipart/related; boundary="{INNER}"; type="text/html"\r\n'
    ).encode()


def _picture(logo: bytes) -> bytes:
    """Return the picture as a part, and the end of what holds it."""
    form = kind(logo)
    head = (
        f"\r\n--{INNER}\r\n"
        f"Content-Type: image/{form}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{CONTENT_ID}>\r\n"
        f'Content-Disposition: inline; filename="logo.{form}"\r\n\r\n'
    ).encode()
    body = encodebytes(logo).replace(b"\n", b"\r\n")
    return head + body + f"\r\n--{INNER}--\r\n".encode()


def _part(kind: str, boundary: str = BOUNDARY) -> bytes:
    """Return the boundary and headers of one part."""
    return (
        f"\r\n--{boundary}\r\n"
        f"Content-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()


def _body(parts: list[str | int], first: int) -> Iterator[Piece]:
    """Yield a body as encoded bytes and gaps; ``first`` is the gap of fact 0."""
    *before, last = parts
    for part in before:
        yield up_to_field(part) if isinstance(part, str) else first + FORMS * part
    yield quoted(str(last))
