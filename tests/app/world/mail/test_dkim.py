"""Signatures, verified by another's verifier: dkimpy, with a DNS that is a function."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dkim as dkimpy  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from msgspec.structs import replace

from app.errors import Refused
from app.world.mail import dkim
from app.world.mail.brief import NOTICES, UNASKED
from app.world.mail.sending import Sending
from tests.app.world.mail.build import BRAND, COMPOSER, brand, brief

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)
PEM = (Encoding.PEM, PrivateFormat.PKCS8)


@cache
def pem(kind: str) -> bytes:
    """Make a key once a run: they take a while."""
    if kind == "ed25519":
        return Ed25519PrivateKey.generate().private_bytes(*PEM, NoEncryption())
    if kind == "locked":
        return Ed25519PrivateKey.generate().private_bytes(*PEM, BestAvailableEncryption(b"x"))
    return generate_private_key(65537, int(kind)).private_bytes(*PEM, NoEncryption())


@pytest.fixture
def sending(tmp_path: Path) -> Callable[[str], Sending]:
    def made(kind: str) -> Sending:
        path = tmp_path / f"{kind}.pem"
        path.write_bytes(pem(kind))
        return Sending("northlight.example", "r2026", str(path))

    return made


KINDS = pytest.mark.parametrize("kind", ["2048", "ed25519"])


def verifies(message: bytes, sending: Sending) -> bool:
    name, text = dkim.record(sending)

    def dns(asked: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG001 - dkimpy's
        return text.encode() if asked.decode() == f"{name}." else None

    return bool(dkimpy.verify(message, dnsfunc=dns))


def covered(message: bytes) -> list[str]:
    """Give the names of the h= tag, in small letters."""
    head = message.partition(b"bh=")[0].decode()
    names = re.search(r"\bh=([^;]+);", head)
    assert names is not None
    return re.sub(r"\s", "", names[1]).lower().split(":")


@KINDS
@pytest.mark.parametrize("notice", NOTICES)
def test_every_notice_is_signed_so_that_another_can_verify_it(
    sending: Callable[[str], Sending], kind: str, notice: str
) -> None:
    how = sending(kind)
    plain = COMPOSER.compose(BRAND, brief(notice=notice))
    message = dkim.signed(plain, how, AT)
    assert message.endswith(plain)
    assert verifies(message, how)
    assert max(map(len, message.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 998
    names = covered(message)
    assert [names.count(name) for name in ("from", "to", "subject")] == [2, 2, 2]
    there = {"date", "message-id", "reply-to", "mime-version", "content-type", "auto-submitted"}
    asked_first = {"list-unsubscribe", "list-unsubscribe-post"}
    assert set(names) == {"from", "to", "subject"} | there | (
        asked_first if notice in UNASKED else set()
    )


@KINDS
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"To: ada@", b"To: eve@"),
        (b"Subject: ", b"Subject: not "),
        (b"\r\nDate: ", b"\r\nDate: Mon, "),
        (b"\r\nMessage-ID: <", b"\r\nMessage-ID: <x"),
        (b"\r\nReply-To: ", b"\r\nReply-To: eve@x.example, "),
        (b"List-Unsubscribe: <https", b"List-Unsubscribe: <http"),
        (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Clicks"),
        (b"multipart/alternative", b"multipart/mixed"),
        (b"Auto-Submitted: auto-generated", b"Auto-Submitted: no"),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
        (b"\r\nFrom: ", b"\r\nFrom: eve@x.example\r\nFrom: "),
        (b"\r\nTo: ", b"\r\nTo: eve@x.example\r\nTo: "),
        (b"\r\nSubject: ", b"\r\nSubject: more\r\nSubject: "),
        (b"Northlight", b"Southlight"),
        (b"--=_reconfirm--\r\n", b"--=_reconfirm--\r\nP.S.\r\n"),
    ],
)
def test_what_is_changed_on_the_way_is_found_out(
    sending: Callable[[str], Sending], kind: str, before: bytes, after: bytes
) -> None:
    how = sending(kind)
    message = dkim.signed(COMPOSER.compose(BRAND, brief()), how, AT)
    assert before in message
    assert not verifies(message.replace(before, after, 1), how)


@KINDS
def test_a_relay_may_fold_headers_anew_and_add_its_own(
    sending: Callable[[str], Sending], kind: str
) -> None:
    how = sending(kind)
    message = dkim.signed(COMPOSER.compose(BRAND, brief()), how, AT)
    folded = message.replace(b"multipart/alternative; ", b"multipart/alternative;\r\n\t ")
    assert folded != message
    received = b"Received: by relay.example\r\n" + folded.replace(b"\r\nTo: ", b"\r\nTO:  ")
    assert verifies(received, how)


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n\r\n", b"x", b"x\r\n\r\n\r\n", b"x \r\n.\r\n"])
def test_bodies_of_every_ending_verify(sending: Callable[[str], Sending], body: bytes) -> None:
    how = sending("ed25519")
    head = b"From: a@northlight.example\r\nSubject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\nX:y\r\n\r\n"
    assert verifies(dkim.signed(head + body, how, AT), how)


def test_a_key_is_parsed_once_and_anew_when_its_file_changes(
    sending: Callable[[str], Sending],
) -> None:
    how = sending("ed25519")
    first = dkim.key_in(how.dkim_key_file)
    assert dkim.key_in(how.dkim_key_file) is first
    Path(how.dkim_key_file).write_bytes(pem("2048"))
    assert dkim.key_in(how.dkim_key_file) is not first
    assert dkim.record(how)[1].startswith("v=DKIM1; k=rsa; p=MII")


def test_the_record_names_selector_and_domain_and_holds_the_public_key_only(
    sending: Callable[[str], Sending],
) -> None:
    how = sending("ed25519")
    name, text = dkim.record(how)
    assert name == "r2026._domainkey.northlight.example"
    assert len(base64.b64decode(text.removeprefix("v=DKIM1; k=ed25519; p="))) == 32


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dkim_selector": ""}, "half set up: dkim_selector missing"),
        ({"dkim_domain": ""}, "half set up: dkim_domain missing"),
        ({"dkim_key_file": ""}, "half set up: dkim_key_file missing"),
        ({"dkim_domain": "example"}, "no domain"),
        ({"dkim_domain": "a.example; l=0"}, "no domain"),
        ({"dkim_selector": "a;b"}, "malformed"),
        ({"dkim_selector": "a..b"}, "malformed"),
        ({"dkim_domain": "other.example"}, "DMARC fails"),
        ({"dkim_domain": "light.example"}, "DMARC fails"),
        ({"dkim_key_file": "/nowhere/key.pem"}, "cannot be read: FileNotFoundError"),
        ({"bounce_address": "a b@x.example"}, "malformed"),
    ],
)
def test_what_could_not_be_signed_is_refused(
    sending: Callable[[str], Sending], changes: dict[str, str], why: str
) -> None:
    with pytest.raises(Refused, match=why) as refused:
        dkim.check(replace(sending("2048"), **changes), BRAND.from_address)
    assert refused.value.mend


@pytest.mark.parametrize("kind", ["1024", "locked"])
def test_a_key_that_may_not_sign_is_refused(sending: Callable[[str], Sending], kind: str) -> None:
    with pytest.raises(Refused, match="The DKIM key is n"):
        dkim.check(sending(kind), BRAND.from_address)


def test_the_content_of_a_wrong_file_is_never_repeated(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    with pytest.raises(Refused) as refused:
        dkim.key_in(str(path))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("address", ["a@northlight.example", "a@Mail.Northlight.example"])
def test_a_subdomain_is_aligned(sending: Callable[[str], Sending], address: str) -> None:
    dkim.check(sending("2048"), address)
    below = replace(sending("2048"), dkim_domain="m.northlight.example")
    dkim.check(below, "a@northlight.example")


def test_nothing_set_is_nothing_to_refuse() -> None:
    dkim.check(Sending(), "")
    assert not Sending().signs
    assert Sending().envelope_from("a@x.example") == "a@x.example"
    assert Sending(bounce_address="b@x.example").envelope_from("a@x.example") == "b@x.example"


def test_each_part_of_a_brand_may_be_signed_at_any_time(
    sending: Callable[[str], Sending],
) -> None:
    how = sending("ed25519")
    plain = COMPOSER.compose(brand(reply_to="", name="Nördlicht Fernsehen " * 8), brief())
    first, later = (dkim.signed(plain, how, AT + timedelta(days=n)) for n in (0, 1))
    assert first != later
    assert verifies(first, how)
    assert verifies(later, how)
    assert "reply-to" not in covered(first)
