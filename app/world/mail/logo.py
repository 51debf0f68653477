"""A product's logo: a small picture that travels with the mail, so that nothing is fetched."""

import struct
from typing import Final

from app.errors import Refused

CONTENT_ID: Final = "logo@reconfirm"
LARGEST: Final = 8 * 1024
"""Bytes: with it a notice stays under 30 KB, in base64 too."""
WIDEST: Final = 1200
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_MEND: Final = f"Save it as PNG or JPEG of at most {LARGEST // 1024} KB, some 480 pixels wide"
_SIZES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The markers of a JPEG behind which its size stands."""


def kind(picture: bytes) -> str:
    """Return ``png`` or ``jpeg``."""
    return "png" if picture.startswith(_PNG) else "jpeg"


def checked(picture: bytes) -> bytes:
    """Return a picture that may be used as a logo; ``Refused`` where it is none, or too large."""
    if len(picture) > LARGEST:
        raise Refused(f"The logo has {len(picture):,} bytes; {LARGEST:,} is the most", _MEND)
    size = _png_size(picture) if picture.startswith(_PNG) else _jpeg_size(picture)
    if size is None:
        raise Refused("The logo is neither a PNG nor a JPEG, or it is cut off", _MEND)
    if not all(0 < side <= WIDEST for side in size):
        raise Refused(f"The logo has {size[0]} by {size[1]} pixels", _MEND)
    return picture


def _png_size(picture: bytes) -> tuple[int, int] | None:
    whole = picture[12:16] == b"IHDR" and picture.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", picture[16:24]) if whole else None


def _jpeg_size(picture: bytes) -> tuple[int, int] | None:
    """Walk from marker to marker up to the one that begins a frame."""
    if not picture.startswith(_JPEG) or not picture.rstrip(b"\0").endswith(b"\xff\xd9"):
        return None
    at = 2
    while at + 9 <= len(picture) and picture[at] == 0xFF:  # noqa: PLR2004 - begins a marker
        marker, length = picture[at + 1], int.from_bytes(picture[at + 2 : at + 4])
        if marker in _SIZES:
            high, wide = struct.unpack(">HH", picture[at + 5 : at + 9])
            return wide, high
        at += 2 + length
    return None
