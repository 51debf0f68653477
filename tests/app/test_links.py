"""Signed links: they open what they were made for, and nothing else."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.links import Links

ONE, TWO = "key-one-0123456789-0123456789-0123456789", "key-two-0123456789-0123456789-0123456789"
LINKS = Links([ONE], "https://keep.example/")
TOKEN = LINKS.answer_token(7, 3)
ALPHABET = string.ascii_letters + string.digits + "-_."


def test_a_token_opens_what_it_was_made_for() -> None:
    assert LINKS.read_answer(TOKEN) == (7, 3)


def test_the_address_ends_in_the_token() -> None:
    assert LINKS.answer_url(7, 3) == f"https://keep.example/a/{TOKEN}"


def test_a_token_with_any_character_flipped_opens_nothing_else() -> None:
    for place in range(len(TOKEN)):
        # The last character of a signature has two bits to spare.
        same = (7, 3) if place == len(TOKEN) - 1 else None
        for mark in ALPHABET.replace(TOKEN[place], ""):
            flipped = TOKEN[:place] + mark + TOKEN[place + 1 :]
            assert LINKS.read_answer(flipped) in (None, same)


def test_a_token_cut_anywhere_opens_nothing() -> None:
    for end in range(len(TOKEN)):
        assert LINKS.read_answer(TOKEN[:end]) is None
        assert LINKS.read_answer(TOKEN[end + 1 :]) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "ä.ö", "\ud800", "a" * 5000, "\x00", TOKEN * 2])
def test_what_is_no_token_opens_nothing(token: str) -> None:
    assert LINKS.read_answer(token) is None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_no_text_opens_anything(text: str) -> None:
    assert LINKS.read_answer(text) is None


def test_a_token_of_another_installation_opens_nothing() -> None:
    assert Links([TWO], "").read_answer(TOKEN) is None


def test_the_id_of_a_notice_opens_nothing() -> None:
    local = LINKS.notice_id(7, 3, "ask", 1)
    assert LINKS.read_answer(local) is None
    assert LINKS.read_answer(local.partition(".")[2]) is None


def test_while_keys_rotate_old_links_open_and_new_ones_are_made_with_the_new_key() -> None:
    both = Links([TWO, ONE], "")
    assert both.read_answer(TOKEN) == (7, 3)
    assert both.answer_token(7, 3) == Links([TWO], "").answer_token(7, 3)


def test_once_a_key_is_dropped_its_links_open_nothing() -> None:
    old = Links([ONE], "").answer_token(7, 3)
    assert Links([TWO], "").read_answer(old) is None


def test_the_copies_of_a_notice_have_one_id_and_different_notices_different_ones() -> None:
    ids = {
        LINKS.notice_id(*each)
        for each in [(7, 3, "ask", 1), (7, 3, "ask", 1), (7, 3, "reminder", 1), (7, 3, "ask", 2)]
    }
    assert len(ids) == 3


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 65_535))
def test_every_round_of_every_subscription_has_a_link(subscription: int, number: int) -> None:
    token = LINKS.answer_token(subscription, number)
    assert LINKS.read_answer(token) == (subscription, number)
    assert set(token) <= set(ALPHABET)


# --- addresses -----------------------------------------------------------------------------


def test_an_address_has_one_mark_however_it_is_written() -> None:
    marks = {
        LINKS.address_marks(1, each)
        for each in ("ada@bücher.example", " ADA@xn--bcher-kva.example ", "Ada@Bücher.Example")
    }
    assert len(marks) == 1
    assert len({LINKS.address_marks(1, "a@b"), LINKS.address_marks(2, "a@b")}) == 2
    assert LINKS.address_marks(1, "a@b") != LINKS.address_marks(1, "b@b")


def test_a_mark_needs_the_key_and_an_older_key_gives_its_own() -> None:
    both = Links([TWO, ONE], "https://x").address_marks(1, "a@b")
    assert both[1:] == LINKS.address_marks(1, "a@b")
    assert both[:1] == Links([TWO], "https://x").address_marks(1, "a@b")
    assert both[0] != both[1]


@pytest.mark.parametrize("address", ["", "@", "a@\ud800", "\0", "a@" + "ä" * 300, "@@"])
def test_what_is_no_address_has_a_mark_all_the_same(address: str) -> None:
    assert len(LINKS.address_marks(1, address)[0]) == 32


def test_the_mark_of_a_subscription_is_of_its_product_its_key_and_no_address() -> None:
    both = Links([TWO, ONE], "https://x").subscription_marks(1, "a@b")
    assert both[1:] == LINKS.subscription_marks(1, "a@b")
    assert both[0] != both[1]
    others = {LINKS.subscription_marks(2, "a@b"), LINKS.subscription_marks(1, "A@b")}
    assert not others & {LINKS.subscription_marks(1, "a@b"), LINKS.address_marks(1, "a@b")}


def test_a_notice_is_named_with_its_round_kind_and_version() -> None:
    local = LINKS.notice_id(7, 3, "welcome_back", 2)
    assert LINKS.named_notice(f"<{local}@x>") == (7, 3, "welcome_back", 2)
    sealed = local.partition(".")[2]
    assert LINKS.named_notice(f"<.{sealed}@x>") == (7, 3, "welcome_back", 2)
    for kind in ("ask", "welcome_back", "\udcff", "Welcome-Back"):
        assert LINKS.named_notice(f"<{kind}.{sealed}@x>") is None


# --- fresh links -----------------------------------------------------------------------------

MADE = datetime(2024, 9, 1, 12, 30, 15, 123456, tzinfo=UTC)
FRESH = LINKS.fresh_token(7, 3, MADE)


def test_a_fresh_link_names_subscription_round_and_moment() -> None:
    assert LINKS.read_fresh(FRESH) == (7, 3, MADE)
    assert LINKS.fresh_url(7, 3, MADE) == f"https://keep.example/e/{FRESH}"
    assert LINKS.fresh_token(7, 3, MADE + timedelta(microseconds=1)) != FRESH


def test_a_fresh_link_and_an_answer_link_are_not_taken_for_each_other() -> None:
    assert LINKS.read_answer(FRESH) is None
    assert LINKS.read_fresh(TOKEN) is None
    assert LINKS.read_fresh(LINKS.notice_id(7, 3, "fresh_link", 1)) is None
    assert LINKS.read_fresh(LINKS.notice_id(7, 3, "ask", 1).partition(".")[2]) is None


def test_a_fresh_link_with_any_character_flipped_opens_nothing_else() -> None:
    for place in range(len(FRESH) - 1):
        for mark in ALPHABET.replace(FRESH[place], ""):
            assert LINKS.read_fresh(FRESH[:place] + mark + FRESH[place + 1 :]) is None
    assert Links([TWO], "").read_fresh(FRESH) is None


def test_a_receipt_token_is_of_one_target_and_erasure_and_outlives_its_key() -> None:
    links, newer = Links(["one"], ""), Links(["two", "one"], "")
    token = links.receipt_token("era_1", 7)
    assert links.is_receipt_token(token, "era_1", 7)
    assert newer.is_receipt_token(token, "era_1", 7)
    assert newer.receipt_token("era_1", 7) != token
    assert not Links(["two"], "").is_receipt_token(token, "era_1", 7)
    for other in (("era_1", 8), ("era_2", 7), ("era_1\n7", 7), ("era_", 17)):
        assert not links.is_receipt_token(token, *other)
    for mangled in ("", token[:-1], token + "A", token.swapcase(), "\ud800", "é" * 43):
        assert not links.is_receipt_token(mangled, "era_1", 7)
