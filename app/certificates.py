"""Signed documents that prove something to whoever holds them: certificates of erasure, heads.

A document is readable JSON of two members: what is certified, under its own name, and
`signature`. The signature is Ed25519 over the canonical form of the first (RFC 8785, of which only
objects, lists, texts, whole numbers, true, false and null are used), so that it may be laid out in
any way. Keys follow from the secret keys of the installation: the newest signs, all verify.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import Refused

CERTIFICATE, HEADS = "certificate", "heads"
"""What may be certified: an erasure, or where the chains of history end."""
VERSION = 1
ALGORITHM = "Ed25519"
PURPOSE = b"reconfirm.certificate"
LARGEST = 1024 * 1024
_SAFE = 2**53 - 1
_KEY_SIZE = 32


class NotGenuine(Refused):
    """A document is not what this installation, or the holder of a key, signed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A category of data that is kept: why (a code or a law), and the last day, if there is one."""

    category: str
    why: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What one system that held data answered: what it erased, and what it must keep."""

    target: str
    erased: tuple[str, ...]
    kept: tuple[Kept, ...] = ()
    given_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What is certified of one erasure. It names nobody: only the erasure, by its id.

    `cause` is `schedule` or `request`. Of a scheduled one, `manifest` is its number with the hash
    that `approved_by` agreed to; `since`, `erase_on` and the days of the first and the last of
    `warnings` say why it was due. `own` and `kept` are what was erased and is kept here.
    """

    erasure: str
    product: str
    product_name: str
    cause: str
    begun_at: datetime
    ended_at: datetime
    own: tuple[str, ...]
    kept: tuple[Kept, ...] = ()
    targets: tuple[Told, ...] = ()
    manifest: int | None = None
    manifest_hash: str | None = None
    approved_by: tuple[str, ...] = ()
    since: date | None = None
    erase_on: date | None = None
    warned_on: tuple[date, ...] = ()
    warnings: int = 0
    ledger_no: int | None = None


def make(proof: Proof, keys: Sequence[str]) -> dict[str, Any]:
    """Give the signed certificate of an erasure; `keys` are the secret keys, newest first."""
    return sign(CERTIFICATE, {"version": VERSION, **_plain(asdict(proof))}, keys)


def sign(name: str, content: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Give a signed document; ValueError where the content has no canonical form."""
    key = _private(keys[0])
    public = key.public_key().public_bytes_raw()
    signature = {
        "algorithm": ALGORITHM,
        "key_id": key_id(public),
        "public_key": _text(public),
        "value": _text(key.sign(_signed(name, content))),
    }
    return {name: dict(content), "signature": signature}


def _signed(name: str, content: Mapping[str, Any]) -> bytes:
    """Give what is signed: with its name, so that one kind of document never passes for another."""
    return canonical({name: content})


def laid_out(document: Mapping[str, Any]) -> bytes:
    """Write a document as it is read best; how it is laid out does not count for its signature."""
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


# --- keys --------------------------------------------------------------------------------------


def public_keys(keys: Sequence[str]) -> list[bytes]:
    """Give the public keys of an installation, newest first."""
    return [_private(key).public_key().public_bytes_raw() for key in keys]


def key_id(public: bytes) -> str:
    """Give the name of a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def published(keys: Sequence[str]) -> dict[str, Any]:
    """Give the public keys as they are published: a JWK set (RFC 7517, RFC 8037), newest first."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": ALGORITHM,
                "alg": "EdDSA",
                "use": "sig",
                "kid": key_id(each),
                "x": _text(each),
            }
            for each in public_keys(keys)
        ]
    }


def read_published(raw: bytes) -> list[bytes]:
    """Give the public keys of a published set, or of one key of it; Refused where it is none."""
    mend = "save what `reconfirm certificate key` prints, or what the service publishes"
    try:
        found = _parsed(raw)
        some = found.get("keys", [found])
        keys = [_bytes(each["x"]) for each in some if each.get("crv") == ALGORITHM]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("the file of the public key cannot be read", mend) from None
    if not keys or any(len(each) != _KEY_SIZE for each in keys):
        raise Refused("the file holds no Ed25519 key", mend)
    return keys


def _private(key: str) -> Ed25519PrivateKey:
    derived = HKDF(SHA256(), _KEY_SIZE, salt=None, info=PURPOSE).derive(key.encode())
    return Ed25519PrivateKey.from_private_bytes(derived)


# --- verifying ---------------------------------------------------------------------------------


def verify(name: str, raw: bytes, trusted: Sequence[bytes]) -> dict[str, Any]:
    """Give what a document certifies; NotGenuine says which part of it is wrong.

    Only the trusted public keys count: the one that a document brings along proves nothing, and is
    refused where it is not one of them.
    """
    content, signature = _taken_apart(name, raw)
    public = _public_key(signature, trusted)
    try:
        value = _bytes(signature["value"])
        Ed25519PublicKey.from_public_bytes(public).verify(value, _signed(name, content))
    except (InvalidSignature, ValueError):
        raise NotGenuine(
            f"content: the signature does not fit the {name}",
            "it was changed after it was signed, or the signature was: ask for it anew",
        ) from None
    return content


def _taken_apart(name: str, raw: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    mend = "give the file as it was issued, as JSON"
    try:
        document = _parsed(raw)
    except (ValueError, RecursionError):
        raise NotGenuine("file: it is not JSON of the kind that is signed here", mend) from None
    if not isinstance(document, dict) or set(document) != {name, "signature"}:
        raise NotGenuine(f"file: it is not a {name} with a signature and nothing else", mend)
    content, signature = document[name], document["signature"]
    members = {"algorithm", "key_id", "public_key", "value"}
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise NotGenuine(f"{name}: its version is not known here", "use a newer reconfirm")
    if not isinstance(signature, dict) or set(signature) != members:
        raise NotGenuine("signature: it is not complete, or holds more than it should", mend)
    if not all(isinstance(each, str) for each in signature.values()):
        raise NotGenuine("signature: it is not made of texts", mend)
    if signature["algorithm"] != ALGORITHM:
        raise NotGenuine(f"signature: it is not {ALGORITHM}", mend)
    return content, signature


def _public_key(signature: Mapping[str, str], trusted: Sequence[bytes]) -> bytes:
    try:
        public = _bytes(signature["public_key"])
    except ValueError:
        raise NotGenuine("key: it cannot be read", "give the file as it was issued") from None
    if signature["key_id"] != key_id(public):
        raise NotGenuine("key: its id is another key's", "give the file as it was issued")
    if public not in trusted:
        raise NotGenuine(
            f"key: {signature['key_id']} is not one of those trusted here",
            "give the issuer's published key with --key, or put the older secret key back among"
            " RECONFIRM_SECRET_KEYS",
        )
    return public


# --- the canonical form ------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """Write a value the one way it is signed; ValueError where there is none, as for floats."""
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _check(value: Any) -> None:
    if isinstance(value, dict):
        # In ASCII the order of code points is that of UTF-16, which RFC 8785 asks for.
        if not all(isinstance(name, str) and name.isascii() for name in value):
            raise ValueError("names are texts in ASCII")
        for each in value.values():
            _check(each)
    elif isinstance(value, list):
        for each in value:
            _check(each)
    elif isinstance(value, int):
        if abs(value) > _SAFE:
            raise ValueError("a number is too large")
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} has no canonical form")


def _parsed(raw: bytes) -> Any:
    """Read JSON that has one canonical form; ValueError for any other."""
    if len(raw) > LARGEST:
        raise ValueError("too long")
    return json.loads(
        raw.decode(), object_pairs_hook=_object, parse_float=_refuse, parse_constant=_refuse
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(text: str) -> Any:
    raise ValueError(text[:20])


def _plain(value: Any) -> Any:
    """Give a value as JSON has it: moments in UTC, days as dates."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Read base64url written the one way we write it; ValueError for any other."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise ValueError("written another way")
    return raw
