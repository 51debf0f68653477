"""DKIM: a product's signature on its mails (RFC 6376, RFC 8463).

Signing with RSA-2048 costs about 0.7 ms a mail and Ed25519 0.06 ms, where composing takes 0.02:
of a campaign it is the dearest part, so keys are read and parsed once and OpenSSL signs. dkimpy,
whose keys are parsed for each mail and whose RSA is Python's, takes 8 ms; the tests verify with it.

Not every receiver knows Ed25519 yet: RSA is the key to have while a product has one only.

Headers are canonicalized relaxed, since relays fold them anew, and the body simple: it is
quoted-printable, in which no relay has a reason to change anything.
"""

import re
from base64 import b64encode
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from app.errors import Refused
from app.world.mail.address import on_the_wire
from app.world.mail.sending import Sending, check_whole

SIGNED: Final = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
)
"""What the signature covers where a mail has it; RFC 8058 demands the two about unsubscribing."""
ONCE: Final = ("From", "To", "Subject")
"""Signed once more than they are there, so that a second one breaks the signature."""
SHORTEST_RSA: Final = 2048
"""Bits; RFC 8301 asks for so many, and shorter keys have been broken."""

_MEND: Final = "Make one: openssl genrsa -out dkim.pem 2048; and set dkim_key_file to its path"
_DOMAIN: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_SELECTOR: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_SPACE: Final = re.compile(rb"[ \t\r\n]+")
_LINE: Final = 72

Key: TypeAlias = RSAPrivateKey | Ed25519PrivateKey


# --- keys ----------------------------------------------------------------------------------


def key_in(path: str) -> Key:
    """Return the key in a file, parsed once as long as the file stays the same.

    Raises ``Refused`` for what cannot be read or is no key that may sign; never with its content.
    """
    try:
        stat = Path(path).stat()
        return _parsed(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        what = f"The DKIM key cannot be read: {type(error).__name__}"
        raise Refused(
            what, "Put it there, readable for this account only, on every machine"
        ) from None


@lru_cache(maxsize=256)
def _parsed(path: str, _changed: int, _size: int) -> Key:
    """Return the key in a file that was last changed at a moment."""
    try:
        found = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # TypeError: it wants a password. The library's own words may repeat what it was given.
        raise Refused("The DKIM key is no private key in PEM without a password", _MEND) from None
    if isinstance(found, RSAPrivateKey) and found.key_size >= SHORTEST_RSA:
        return found
    if isinstance(found, Ed25519PrivateKey):
        return found
    raise Refused(f"The DKIM key is neither RSA of {SHORTEST_RSA} bits nor Ed25519", _MEND)


def check(sending: Sending, from_address: str) -> None:
    """Raise ``Refused``, with the mend, where mails could not be signed, or not to any use."""
    check_whole(sending)
    if not sending.signs:
        return
    if not _DOMAIN.fullmatch(sending.dkim_domain):
        raise Refused("dkim_domain is no domain", "Write it as example.com; xn--… beyond ASCII")
    if not all(map(_SELECTOR.fullmatch, sending.dkim_selector.split("."))):
        raise Refused("dkim_selector is malformed", "Use letters, digits and dashes, such as r2026")
    key_in(sending.dkim_key_file)
    if not aligned(sending.dkim_domain, from_address):
        raise Refused(
            "dkim_domain is not the domain of `from`, nor above or below it, so DMARC fails",
            "Set `from` first, and dkim_domain to what stands behind its @",
        )


def aligned(domain: str, from_address: str) -> bool:
    """Return whether a signature of ``domain`` counts for an address, as relaxed DMARC has it."""
    ours, theirs = domain.lower(), on_the_wire(from_address).rpartition("@")[2].lower()
    return ours == theirs or theirs.endswith(f".{ours}") or ours.endswith(f".{theirs}")


def record(sending: Sending) -> tuple[str, str]:
    """Return the TXT record to publish: its name, and its text."""
    key = key_in(sending.dkim_key_file)
    public = key.public_key()
    if isinstance(key, RSAPrivateKey):
        kind, raw = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, raw = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = f"{sending.dkim_selector}._domainkey.{sending.dkim_domain}"
    return name, f"v=DKIM1; k={kind}; p={b64encode(raw).decode()}"


# --- signing -------------------------------------------------------------------------------


def prepared(message: bytes, sending: Sending, at: datetime) -> bytes:
    """Return a message as its product sends it: signed, or as it is where no signing is set up.

    Raises ``Refused`` where it is to be signed and cannot be: it must not go out unsigned then.
    """
    if not sending.signs:
        return message
    check_whole(sending)
    return signed(message, sending, at)


def signed(message: bytes, sending: Sending, at: datetime) -> bytes:
    """Return a message, CRLF throughout, with a signature made ``at`` before it.

    Raises ``Refused`` where the key cannot be read.
    """
    key = key_in(sending.dkim_key_file)
    head, _, body = message.partition(b"\r\n\r\n")
    headers = _headers(head)
    names = [name for name in SIGNED if name.lower().encode() in headers]
    covered = b"".join(headers[name.lower().encode()] + b"\r\n" for name in names)
    ours = _unsigned(key, sending, at, [*names, *ONCE], body)
    signature = _signature(key, covered + _relaxed(ours))
    return ours + _folded(signature) + b"\r\n" + message


def _headers(head: bytes) -> dict[bytes, bytes]:
    """Return the headers in their relaxed form by their names in small letters."""
    found: dict[bytes, bytes] = {}
    lines = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")
    for line in lines:
        relaxed = _relaxed(line)
        found[relaxed.partition(b":")[0]] = relaxed
    return found


def _relaxed(header: bytes) -> bytes:
    """Return a header as "relaxed" has it, without its line end."""
    name, _, value = header.partition(b":")
    return name.strip().lower() + b":" + _SPACE.sub(b" ", value).strip()


def _unsigned(key: Key, sending: Sending, at: datetime, names: list[str], body: bytes) -> bytes:
    """Return the header of a signature, up to where the signature itself follows."""
    kind = "rsa" if isinstance(key, RSAPrivateKey) else "ed25519"
    digest = b64encode(sha256(_simple(body)).digest()).decode()
    return (
        f"DKIM-Signature: v=1; a={kind}-sha256; c=relaxed/simple; d={sending.dkim_domain};\r\n"
        f"\ts={sending.dkim_selector}; t={int(at.timestamp())};\r\n"
        f"\th={_listed(names)};\r\n\tbh={digest};\r\n\tb="
    ).encode()


def _listed(names: list[str]) -> str:
    """Return names joined by colons, a few to a line."""
    return ":\r\n\t ".join(":".join(names[at : at + 4]) for at in range(0, len(names), 4))


def _simple(body: bytes) -> bytes:
    """Return a body as "simple" has it: one line end behind it and no empty lines."""
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n"


def _signature(key: Key, covered: bytes) -> bytes:
    """Return the signature over canonical headers, in Base64."""
    if isinstance(key, RSAPrivateKey):
        return b64encode(key.sign(covered, PKCS1v15(), SHA256()))
    # RFC 8463 signs the hash, not the headers.
    return b64encode(key.sign(sha256(covered).digest()))


def _folded(signature: bytes) -> bytes:
    """Return a signature in lines; readers leave out the white space within."""
    return b"\r\n\t ".join(signature[at : at + _LINE] for at in range(0, len(signature), _LINE))
