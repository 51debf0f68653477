"""Signatures against the reference library, both ways, and whatever else a header may hold."""

import base64
import random
import string
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.datastructures import Headers

from app.clock import wall
from app.signing import NotSigned, new_secret, sign, verify

NOW = datetime(2024, 9, 1, 12, tzinfo=UTC)
SECRET, OTHER, THIRD = new_secret(), new_secret(), new_secret()
BODY = b'{"type": "subscription.updated"}'
MANGLED = 3000
SEED = 20240901
secrets = st.binary(min_size=1, max_size=80).map(
    lambda key: "whsec_" + base64.b64encode(key).decode()
)
ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64).filter(
    lambda text: text[0] not in "_-"
)


def is_signed(headers: dict[str, str], body: bytes = BODY, now: datetime = NOW) -> bool:
    try:
        verify([SECRET], headers, body, now)
    except NotSigned:
        return False
    return True


# --- against the reference ---------------------------------------------------------------------


@given(secret=secrets, message_id=ids, body=st.text().map(str.encode))
def test_what_we_sign_the_reference_library_verifies(
    secret: str, message_id: str, body: bytes
) -> None:
    headers = sign([OTHER, secret], message_id, wall(), body)
    assert Webhook(secret).verify(body, headers, json_parse=False) is None


@given(secret=secrets, message_id=ids, body=st.text())
def test_what_the_reference_library_signs_we_verify(
    secret: str, message_id: str, body: str
) -> None:
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, NOW, body),
    }
    assert verify([OTHER, secret], headers, body.encode(), NOW) == message_id


@given(body=st.binary())
def test_a_body_that_is_no_text_is_signed_all_the_same(body: bytes) -> None:
    assert verify([SECRET], sign([SECRET], "m", NOW, body), body, NOW) == "m"


@given(body=st.binary(), other=st.binary(), message_id=ids)
def test_a_signature_fits_no_other_body_id_secret_or_second(
    body: bytes, other: bytes, message_id: str
) -> None:
    assume(body != other)
    assume(message_id != "m")
    headers = sign([SECRET], "m", NOW, body)
    assert is_signed(headers, body)
    assert not is_signed(headers, other)
    assert not is_signed(headers | {"webhook-id": message_id}, body)
    assert not is_signed(headers | {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, body)
    assert not is_signed(sign([OTHER], "m", NOW, body), body)


def test_the_reference_library_refuses_what_another_secret_signed() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, sign([SECRET], "m", wall(), BODY), json_parse=False)


def test_a_moment_in_another_zone_is_signed_as_the_same_second() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert sign([SECRET], "m", east, BODY) == sign([SECRET], "m", NOW, BODY)


# --- rotation and time ---------------------------------------------------------------------------


def test_while_secrets_rotate_the_old_and_the_new_one_fit() -> None:
    for signer in (SECRET, OTHER):
        assert verify([OTHER, SECRET], sign([signer], "m", NOW, BODY), BODY, NOW) == "m"
    assert verify([SECRET], sign([OTHER, SECRET], "m", NOW, BODY), BODY, NOW) == "m"
    with pytest.raises(NotSigned):
        verify([OTHER, SECRET], sign([THIRD], "m", NOW, BODY), BODY, NOW)


@pytest.mark.parametrize(
    ("seconds", "fits"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)]
)
def test_five_minutes_either_way_are_tolerated_and_no_second_more(seconds: int, fits: bool) -> None:  # noqa: FBT001
    headers = sign([SECRET], "m", NOW + timedelta(seconds=seconds), BODY)
    assert is_signed(headers) is fits


def test_without_a_secret_nothing_is_signed() -> None:
    with pytest.raises(NotSigned):
        verify([], sign([SECRET], "m", NOW, BODY), BODY, NOW)


@pytest.mark.parametrize("broken", ["whsec_", "whsec_%%%", "", "whsec_é", "whsec_a"])
def test_a_malformed_secret_signs_nothing_and_hides_no_good_one(broken: str) -> None:
    headers = sign([SECRET], "m", NOW, BODY)
    assert verify([broken, SECRET], headers, BODY, NOW) == "m"
    with pytest.raises(NotSigned):
        verify([broken], headers, BODY, NOW)
    with pytest.raises(ValueError, match="a secret is"):
        sign([broken], "m", NOW, BODY)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\n", "é", "x" * 129])
def test_an_id_that_could_be_read_in_two_ways_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="without full stops"):
        sign([SECRET], message_id, NOW, BODY)


def test_a_naive_moment_is_not_signed() -> None:
    with pytest.raises(ValueError, match="aware"):
        sign([SECRET], "m", NOW.replace(tzinfo=None), BODY)


def test_secrets_are_new_each_time_and_of_the_size_that_the_standard_asks_for() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(base64.b64decode(each.removeprefix("whsec_"))) for each in made} == {24}


# --- headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_or_stands_twice_is_refused(name: str) -> None:
    good = sign([SECRET], "m", NOW, BODY)
    without = {key: value for key, value in good.items() if key != name}
    doubled = Headers([*good.items(), (name.title(), good[name])])
    joined = good | {name: f"{good[name]},{good[name]}"}
    assert is_signed(good)
    assert not is_signed(without)
    assert not is_signed(joined)
    with pytest.raises(NotSigned):
        verify([SECRET], doubled, BODY, NOW)


def test_signatures_of_two_headers_that_a_server_joined_are_refused_even_if_one_fits() -> None:
    good = sign([SECRET], "m", NOW, BODY)
    fits = good["webhook-signature"]
    for joined in (f"{fits},v1,AAAA", f"{fits}, v1,AAAA", f"{fits} v1,AAAA,v1,BBBB"):
        assert not is_signed(good | {"webhook-signature": joined})
    assert is_signed(good | {"webhook-signature": f"{fits} v1,AAAA"})
    assert is_signed(good | {"webhook-signature": f"v1a,AAAA {fits}"})


def test_names_of_headers_are_read_in_any_case() -> None:
    good = sign([SECRET], "m", NOW, BODY)
    assert is_signed({name.upper(): value for name, value in good.items()})


def test_more_signatures_than_a_rotation_needs_are_refused() -> None:
    good = sign([SECRET], "m", NOW, BODY)
    many = " ".join([good["webhook-signature"]] * 17)
    assert not is_signed(good | {"webhook-signature": many})


def mangled(value: str, chance: random.Random) -> str:
    """Give a header's value with something wrong, in one of many ways."""
    at = chance.randrange(len(value))
    odd = chance.choice("\0\n\r .,=+/é٣\U0001f600\udc80A0-")
    return chance.choice(
        [
            value[:at] + odd + value[at + 1 :],
            value[:at] + odd + value[at:],
            value[:at],
            value[at + 1 :],
            value + value,
            value.swapcase(),
            "",
            " " + value,
            "v1",
            "v1," + odd * at,
            "1e9",
            "nan",
            "-1",
            "9" * 400,
            "٣" * 10,
            value.removeprefix("v1,"),
            "".join(chance.choices(string.printable, k=at)),
        ]
    )


def test_mangled_headers_are_refused_and_raise_nothing_else() -> None:
    good = sign([SECRET], "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", NOW, BODY)
    chance = random.Random(SEED)  # noqa: S311 - spreads, guards nothing
    seen: Counter[bool] = Counter()
    for _ in range(MANGLED):
        name = chance.choice(list(good))
        wrong = good | {name: mangled(good[name], chance)}
        if wrong != good:
            seen[is_signed(wrong)] += 1
    assert set(seen) == {False}
    assert seen[False] > MANGLED * 0.9
