"""Signed links: they name a subscription and a round, and hold nothing about a person.

The state lives in the row, so a link acts only while its round is the latest. Several keys may be
given, newest first, so that they can be rotated without breaking the links already mailed.
"""

import base64
import binascii
import hashlib
import hmac
import struct
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import idna
from itsdangerous import BadSignature, Signer

ANSWER = struct.Struct(">QH")
FRESH = struct.Struct(">QHQ")
NOTICE = struct.Struct(">QHI")
ADDRESS = b"reconfirm.address"
SUBSCRIPTION = b"reconfirm.subscription"
RECEIPT = b"reconfirm.receipt"
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Notice(NamedTuple):
    """What a Message-ID of ours names."""

    subscription: int
    round: int
    kind: str
    version: int


class Fresh(NamedTuple):
    """What a fresh link names; `made_at` is on the wall clock, to the microsecond."""

    subscription: int
    round: int
    made_at: datetime


class Links:
    """Makes and reads the tokens of one installation."""

    def __init__(self, keys: list[str], base_url: str) -> None:
        """Take the secret keys, newest first, and the address the pages are served at."""
        newest_last = list(reversed(keys))
        self._answer = Signer(newest_last, salt="reconfirm.answer")
        self._fresh = Signer(newest_last, salt="reconfirm.fresh")
        self._data = Signer(newest_last, salt="reconfirm.data")
        self._notice = Signer(newest_last, salt="reconfirm.notice")
        self._address = [hmac.digest(key.encode(), ADDRESS, hashlib.sha256) for key in keys]
        self._subscription = [
            hmac.digest(key.encode(), SUBSCRIPTION, hashlib.sha256) for key in keys
        ]
        self._receipt = [hmac.digest(key.encode(), RECEIPT, hashlib.sha256) for key in keys]
        self._base = base_url.rstrip("/")

    def answer_token(self, subscription: int, number: int) -> str:
        """Give the token of a subscription's round."""
        return _seal(self._answer, ANSWER.pack(subscription, number))

    def answer_url(self, subscription: int, number: int) -> str:
        """Give the address of the page on which a round is answered."""
        return f"{self._base}/a/{self.answer_token(subscription, number)}"

    def read_answer(self, token: str) -> tuple[int, int] | None:
        """Give (subscription, round) of a token, or None where it is not one of ours."""
        payload = _open(self._answer, token, ANSWER.size)
        return ANSWER.unpack(payload) if payload is not None else None

    def fresh_token(self, subscription: int, number: int, made_at: datetime) -> str:
        """Give the token of a fresh link, made at a moment (aware, on the wall clock)."""
        micros = (made_at - EPOCH) // MICROSECOND
        return _seal(self._fresh, FRESH.pack(subscription, number, micros))

    def fresh_url(self, subscription: int, number: int, made_at: datetime) -> str:
        """Give the address of the page on which somebody confirms that they want to be erased."""
        return f"{self._base}/e/{self.fresh_token(subscription, number, made_at)}"

    def read_fresh(self, token: str) -> Fresh | None:
        """Give what a fresh link names, or None where it is not one of ours.

        Whether it is still good is for the caller to ask.
        """
        return _fresh(self._fresh, token)

    def data_token(self, subscription: int, number: int, made_at: datetime) -> str:
        """Give the token of a link to what is held, made at a moment (aware, on the wall clock)."""
        micros = (made_at - EPOCH) // MICROSECOND
        return _seal(self._data, FRESH.pack(subscription, number, micros))

    def data_url(self, subscription: int, number: int, made_at: datetime) -> str:
        """Give the address of the page on which somebody sees what is held about them."""
        return f"{self._base}/d/{self.data_token(subscription, number, made_at)}"

    def read_data(self, token: str) -> Fresh | None:
        """Give what a link to what is held names, as `read_fresh` does of one that erases.

        Neither is ever taken for the other.
        """
        return _fresh(self._data, token)

    def notice_id(self, subscription: int, number: int, kind: str, version: int) -> str:
        """Give the part of a Message-ID before the @: the same for each copy of one notice."""
        packed = NOTICE.pack(subscription, number, version)
        return f"{kind.replace('_', '-')}.{_seal(self._notice, packed + kind.encode())}"

    def read_notice(self, message_id: str) -> int | None:
        """Give the subscription that a Message-ID names, or None where it is not one of ours."""
        named = self.named_notice(message_id)
        return None if named is None else named.subscription

    def named_notice(self, message_id: str) -> Notice | None:
        """Give what a Message-ID names, or None where it is not one of ours.

        Ours is `kind.payload.signature@host`, with or without the angle brackets; the kind, which
        is signed too, may be left out.
        """
        local = message_id.strip().removeprefix("<").removesuffix(">").rpartition("@")[0]
        kind, _, sealed = local.partition(".")
        payload = _unsealed(self._notice, sealed)
        if payload is None or len(payload) <= NOTICE.size:
            return None
        sealed_kind = payload[NOTICE.size :].decode()
        if kind not in ("", sealed_kind.replace("_", "-")):
            return None
        subscription, number, version = NOTICE.unpack_from(payload)
        return Notice(subscription, number, sealed_kind, version)

    def address_marks(self, product: int, address: str) -> tuple[bytes, ...]:
        """Give what an address is known by within a product, under each key, newest first.

        Only who has both the address and a secret key can make them: nothing leads back.
        """
        told = f"{product}\n{plain_address(address)}".encode(errors="surrogatepass")
        return tuple(hmac.digest(key, told, hashlib.sha256) for key in self._address)

    def subscription_marks(self, product: int, external_id: str) -> tuple[bytes, ...]:
        """Give what an erased subscription is known by, under each key, newest first.

        The same for whoever has both its id at billing and a secret key: nothing leads back.
        """
        told = f"{product}\n{external_id}".encode(errors="surrogatepass")
        return tuple(hmac.digest(key, told, hashlib.sha256) for key in self._subscription)

    def receipt_token(self, erasure: str, target: int) -> str:
        """Give what proves that a receipt comes from one target, and is for one erasure."""
        return _receipt_token(self._receipt[0], erasure, target)

    def is_receipt_token(self, token: str, erasure: str, target: int) -> bool:
        """Say whether a token is that of a target and an erasure; it takes as long if it is not."""
        given = token.encode(errors="surrogatepass")
        made = [_receipt_token(key, erasure, target).encode() for key in self._receipt]
        return any([hmac.compare_digest(each, given) for each in made])  # noqa: C419 - all

    def receipts_url(self, product: str, erasure: str) -> str:
        """Give the address at which a target gives its receipt."""
        return f"{self._base}/v1/products/{product}/erasures/{erasure}/receipts"


def plain_address(address: str) -> str:
    """Give the one way of writing an address: small letters, the host as mail servers have it."""
    local, at, host = unicodedata.normalize("NFC", address.strip()).lower().rpartition("@")
    with suppress(idna.IDNAError, UnicodeError):
        host = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    return f"{local}{at}{host}"


def _receipt_token(key: bytes, erasure: str, target: int) -> str:
    told = f"{erasure}\n{target}".encode(errors="surrogatepass")
    return _encoded(hmac.digest(key, told, hashlib.sha256)).decode("ascii")


def _fresh(signer: Signer, token: str) -> Fresh | None:
    payload = _open(signer, token, FRESH.size)
    if payload is None:
        return None
    subscription, number, micros = FRESH.unpack(payload)
    return Fresh(subscription, number, EPOCH + micros * MICROSECOND)


def _seal(signer: Signer, payload: bytes) -> str:
    return signer.sign(_encoded(payload)).decode("ascii")


def _open(signer: Signer, token: str, size: int) -> bytes | None:
    payload = _unsealed(signer, token)
    return payload if payload is not None and len(payload) == size and _as_made(token) else None


def _unsealed(signer: Signer, sealed: str) -> bytes | None:
    """Give what was sealed; None where it was not by us."""
    try:
        text = signer.unsign(sealed.encode("ascii"))
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (BadSignature, UnicodeEncodeError, binascii.Error):
        return None


def _as_made(token: str) -> bool:
    """Say whether each part is written the one way we write it: base64 also reads it others."""
    return all(_encoded(_decoded(part)) == part for part in token.encode().split(b"."))


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
