"""Signatures of webhooks, in and out: Standard Webhooks 1.0, over the very bytes of a body.

The one place that knows the library. Of it we take the hash only: its `verify` reads the time
itself, cannot take a body that is not UTF-8, and raises four kinds of errors on mangled headers.
Here a header is compared as text and never decoded, so nothing in it can raise anything.
"""

import base64
import hmac
import re
import secrets as randomness
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product
from math import floor
from typing import Protocol

from standardwebhooks.webhooks import hmac_data

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
TOLERANCE = 300
"""How many seconds the sender's clock may differ from ours, either way."""
MOST_SIGNATURES = 16
"""More than a rotation ever needs, and few enough to compare each with each secret."""
# No full stop: it divides what is signed, and an id with one could be read in two ways.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:+/=-]{0,127}")
_SECONDS = re.compile(r"[0-9]{1,12}")
# One comma each. Servers join repeated headers with commas: those do not look like this.
_ONE = r"v[0-9a-z]{1,8},[A-Za-z0-9+/=_-]{1,512}"
_SIGNATURES = re.compile(rf"{_ONE}(?: {_ONE}){{0,{MOST_SIGNATURES - 1}}}")


class NotSigned(Exception):
    """What was received is not what the holder of a secret sent, or not now."""


class Headers(Protocol):
    """Headers as a mapping, or as werkzeug has them: pairs, of which a name may have several."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Give names and values."""


def new_secret() -> str:
    """Make a secret, as it is shown once: `whsec_` and 24 random bytes in base64."""
    return PREFIX + base64.b64encode(randomness.token_bytes(24)).decode()


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Give the three headers of a message, with one signature for each secret, in their order.

    `at` is aware. ValueError where there is no secret or one is malformed, where the id could be
    read in two ways, or where the moment has no offset.
    """
    if not secrets or not _ID.fullmatch(message_id) or at.tzinfo is None:
        raise ValueError("a message needs a secret, an id without full stops and an aware moment")
    seconds = str(floor(at.timestamp()))
    content = _signed(message_id, seconds, body)
    made = " ".join(_signature(_key(secret), content) for secret in secrets)
    return {ID: message_id, TIMESTAMP: seconds, SIGNATURE: made}


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> str:
    """Give the id of a message that one of the secrets signed within five minutes of `now`.

    NotSigned whatever else is the matter: headers missing, repeated, mangled, out of time or of
    another body. It takes as long whichever secret or signature it is that fits.
    """
    message_id, seconds, given = _the_three(headers)
    if abs(int(seconds) - now.timestamp()) > TOLERANCE:
        raise NotSigned
    content = _signed(message_id, seconds, body)
    expected = [_signature(key, content) for key in _usable(secrets)]
    pairs = product(expected, given.split(" "))
    if not any([hmac.compare_digest(ours, theirs) for ours, theirs in pairs]):  # noqa: C419 - all
        raise NotSigned
    return message_id


def _the_three(headers: Headers) -> tuple[str, str, str]:
    found: Mapping[str, list[str]] = {ID: [], TIMESTAMP: [], SIGNATURE: []}
    for name, value in headers.items():
        if name.lower() in found:
            found[name.lower()].append(value)
    if any(len(values) != 1 for values in found.values()):
        raise NotSigned
    message_id, seconds, given = found[ID][0], found[TIMESTAMP][0], found[SIGNATURE][0]
    formed = _ID.fullmatch(message_id) and _SECONDS.fullmatch(seconds)
    if not formed or not _SIGNATURES.fullmatch(given):
        raise NotSigned
    return message_id, seconds, given


def _signed(message_id: str, seconds: str, body: bytes) -> bytes:
    return f"{message_id}.{seconds}.".encode() + body


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac_data(key, content)).decode()


def _usable(secrets: Sequence[str]) -> list[bytes]:
    """Give the keys of secrets; one that is malformed signs nothing."""
    keys = []
    for secret in secrets:
        try:
            keys.append(_key(secret))
        except ValueError:
            continue
    return keys


def _key(secret: str) -> bytes:
    """Give the bytes of a secret; ValueError where it has none."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError("a secret is whsec_ and base64") from None
    if not key:
        raise ValueError("a secret is empty")
    return key
