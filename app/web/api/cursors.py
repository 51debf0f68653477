"""Where a list goes on: opaque to who carries it, and refused where it is not as it was made.

A cursor holds the place of the last row seen and the list it belongs to. It opens nothing: the
product a list is of is that of the key, whatever a cursor says.
"""

import base64
import binascii
import hashlib
from typing import Literal

import msgspec

from app.web.problems import Problem, problem

LONGEST = 2048
_SUM = 9


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    of: str
    product: int
    place: int | str


_READ = msgspec.msgpack.Decoder(_Cursor)


def made(of: str, product: int, place: int | str) -> str:
    """Give the cursor that leads on from a place in a list of a product."""
    packed = msgspec.msgpack.encode(_Cursor(of, product, place))
    return base64.urlsafe_b64encode(_sum(packed) + packed).decode().rstrip("=")


def place_of(cursor: str | None, of: str, product: int, kind: Literal["int", "str"]) -> int | str:
    """Give the place that a cursor of this list leads on from; 400 where it is not one."""
    if cursor is None:
        return "" if kind == "str" else 0
    found = _read(cursor)
    if found is None or (found.of, found.product) != (of, product):
        raise _refused()
    if not _is_place(found.place, kind) or made(of, product, found.place) != cursor:
        raise _refused()
    return found.place


def _read(cursor: str) -> _Cursor | None:
    if len(cursor) > LONGEST or not cursor.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return _READ.decode(raw[_SUM:]) if _sum(raw[_SUM:]) == raw[:_SUM] else None
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


def _sum(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_SUM, person=b"reconfirm.cursor").digest()


def _is_place(place: int | str, kind: Literal["int", "str"]) -> bool:
    if kind == "int":
        return isinstance(place, int) and 0 <= place < 2**63
    return isinstance(place, str) and place.isprintable()


def _refused() -> Problem:
    return problem("bad-cursor", field="cursor")
