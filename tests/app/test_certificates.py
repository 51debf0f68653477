"""A certificate is what was signed, by whom it says, and nothing else passes for one."""

import base64
import copy
import json
import random
from datetime import UTC, date, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from app import certificates
from app.certificates import (
    CERTIFICATE,
    HEADS,
    Kept,
    NotGenuine,
    Proof,
    Told,
    canonical,
    laid_out,
    make,
    public_keys,
    published,
    read_published,
    verify,
)
from app.errors import Refused

OLD, NEW, FOREIGN = (f"{name}-key-0123456789-0123456789-0123" for name in ("old", "new", "foreign"))
AT = datetime(2026, 10, 3, 7, 5, tzinfo=UTC)
PROOF = Proof(
    erasure="er_0123456789",
    product="tv",
    product_name="Télé «Bleue» 📺",
    cause="schedule",
    begun_at=AT,
    ended_at=AT.replace(hour=9),
    own=("contact", "usage"),
    kept=(Kept("invoices", "keep_categories", date(2036, 10, 3)),),
    targets=(Told("crm", ("profile",), (Kept("tickets", "legal_claim"),), AT),),
    manifest=7,
    manifest_hash="ab" * 32,
    approved_by=("console:eve", "cli:ada"),
    since=date(2025, 12, 1),
    erase_on=date(2026, 10, 1),
    warned_on=(date(2026, 8, 1), date(2026, 9, 15)),
    warnings=2,
    ledger_no=1,
)


def issued(*keys: str) -> dict[str, Any]:
    return make(PROOF, keys or (NEW, OLD))


def checked(document: Any, *keys: str) -> dict[str, Any]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return verify(CERTIFICATE, raw, public_keys(keys or (NEW, OLD)))


def test_a_certificate_says_what_was_to_be_proved() -> None:
    found = checked(issued())
    assert found == issued()[CERTIFICATE]
    assert found["product_name"] == PROOF.product_name
    assert found["begun_at"] == "2026-10-03T07:05:00Z"
    assert found["kept"] == [
        {"category": "invoices", "why": "keep_categories", "until": "2036-10-03"}
    ]
    assert found["targets"][0]["kept"][0]["until"] is None
    assert found["approved_by"] == ["console:eve", "cli:ada"]


def test_how_it_is_laid_out_does_not_count() -> None:
    document = issued()
    backwards = dict(reversed(document.items()))
    for raw in (laid_out(document), json.dumps(backwards, indent=7).encode()):
        assert checked(raw) == document[CERTIFICATE]


def test_the_newest_key_signs_and_every_key_verifies() -> None:
    old, new = public_keys([OLD]), public_keys([NEW])
    assert public_keys([NEW, OLD]) == new + old
    raw = laid_out(issued(NEW, OLD))
    assert verify(CERTIFICATE, raw, new)
    with pytest.raises(NotGenuine, match="key"):
        verify(CERTIFICATE, raw, old)
    assert checked(issued(OLD), NEW, OLD)


def test_any_other_program_can_verify_it_with_the_published_key() -> None:
    """Do so with nothing of ours: the canonical form is sorted JSON without spaces."""
    document = issued()
    jwk = published([NEW, OLD])["keys"][0]
    assert jwk["kid"] == document["signature"]["key_id"]
    signed = json.dumps(
        {CERTIFICATE: document[CERTIFICATE]},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    value, key = (
        base64.urlsafe_b64decode(text + "==") for text in (document["signature"]["value"], jwk["x"])
    )
    Ed25519PublicKey.from_public_bytes(key).verify(value, signed)


def test_a_foreign_key_that_a_document_brings_along_proves_nothing() -> None:
    with pytest.raises(NotGenuine, match=r"^key: [0-9a-f]{16} is not one of those trusted"):
        checked(issued(FOREIGN))
    forged = issued(FOREIGN)
    forged["signature"]["key_id"] = issued()["signature"]["key_id"]
    with pytest.raises(NotGenuine, match=r"^key: its id is another key's"):
        checked(forged)
    forged = issued(FOREIGN)
    ours = issued()["signature"]
    forged["signature"] |= {"key_id": ours["key_id"], "public_key": ours["public_key"]}
    with pytest.raises(NotGenuine, match=r"^content:"):
        checked(forged)


def test_heads_never_pass_for_a_certificate() -> None:
    content = issued()[CERTIFICATE]
    other = certificates.sign(HEADS, content, [NEW])
    with pytest.raises(NotGenuine, match=r"^content:"):
        checked({CERTIFICATE: content, "signature": other["signature"]})
    with pytest.raises(NotGenuine, match=r"^file:"):
        checked(other)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the way to every value in a document."""
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [way] * (not inner) + [
        found for name, each in inner for found in places(each, (*way, name))
    ]


@pytest.mark.parametrize("way", places(issued()), ids=str)
def test_whatever_is_changed_it_is_no_longer_genuine(way: tuple[Any, ...]) -> None:
    document = copy.deepcopy(issued())
    inner: Any = document
    for name in way[:-1]:
        inner = inner[name]
    was = inner[way[-1]]
    others: list[Any] = [None, f"{was}x", [], 7, 7.5, True]
    for now in others:
        inner[way[-1]] = now
        if now != was:
            with pytest.raises(NotGenuine):
                checked(document)
    inner.pop(way[-1])
    with pytest.raises(NotGenuine):
        checked(document)


def test_no_byte_of_it_can_be_changed_without_notice() -> None:
    raw, chance = laid_out(issued()), random.Random(7)  # noqa: S311 - repeats
    same = issued()[CERTIFICATE]
    for _ in range(500):
        place = chance.randrange(len(raw))
        other = raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
        try:
            assert checked(other) == same  # white space between values
        except NotGenuine:
            continue


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"certificate": {}}',
        b'{"certificate": 1, "signature": {}}',
        b'{"certificate": {"version": 2}, "signature": {}}',
        b'{"certificate": {"version": 1}, "signature": {}}',
        b'{"certificate": {"version": 1}, "signature": 3}',
        b'{"certificate": {"version": NaN}, "signature": {}}',
        b"[" * 100_000,
        b" " * (certificates.LARGEST + 1),
    ],
)
def test_what_is_no_certificate_is_refused(raw: bytes) -> None:
    with pytest.raises(NotGenuine):
        checked(raw)


def test_a_member_that_stands_twice_is_refused() -> None:
    raw = laid_out(issued()).replace(b'"cause":', b'"cause": "request", "cause":', 1)
    with pytest.raises(NotGenuine, match=r"^file:"):
        checked(raw)


def test_keys_are_read_as_they_are_published() -> None:
    keys = published([NEW, OLD])
    assert read_published(json.dumps(keys).encode()) == public_keys([NEW, OLD])
    assert read_published(json.dumps(keys["keys"][1]).encode()) == public_keys([OLD])
    for raw in (b"", b"{}", b'{"keys": []}', b'{"keys": [{"crv": "Ed25519", "x": "AA"}]}', b"[]"):
        with pytest.raises(Refused, match="key"):
            read_published(raw)
    assert NEW not in json.dumps(keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcXYZ_", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_two_values_have_the_same_canonical_form_only_if_they_are_the_same(
    one: Any, other: Any
) -> None:
    def same(a: Any, b: Any) -> bool:
        return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)

    try:
        forms = canonical(one), canonical(other)
    except UnicodeEncodeError:
        return
    assert (forms[0] == forms[1]) == same(one, other)
    assert same(json.loads(forms[0]), one)


@pytest.mark.parametrize("value", [1.0, float("nan"), {"é": 1}, 2**53, [{"a": 0.5}], {1: 2}, b"x"])
def test_what_has_no_canonical_form_is_not_signed(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(value)
