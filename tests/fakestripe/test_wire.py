"""Forms are read as the SDK writes them, and what cannot be read is refused."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from tests.fakestripe.errors import Refused
from tests.fakestripe.wire import Given, read

NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name != "metadata")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_whatever_the_sdk_writes_is_read_back(tree: dict[str, Any]) -> None:
    assert read(urlencode(list(_api_encode(tree)))) == tree


def test_keys_of_metadata_may_be_numbers() -> None:
    assert read("metadata[0]=a&metadata[7]=b") == {"metadata": {"0": "a", "7": "b"}}


def test_lists_without_numbers() -> None:
    assert read("expand[]=a&expand[]=b") == {"expand": ["a", "b"]}


@pytest.mark.parametrize(
    ("form", "asked", "param", "code"),
    [
        ("a=x", lambda each: each.whole("a"), "a", "parameter_invalid_integer"),
        ("a=1.5", lambda each: each.whole("a"), "a", "parameter_invalid_integer"),
        ("a=1", lambda each: each.flag("a"), "a", None),
        ("a[b]=1", lambda each: each.text("a"), "a", None),
        ("a=1", lambda each: each.group("a"), "a", None),
        ("a=1", lambda each: each.texts("a"), "a", None),
        ("", lambda each: each.needed("a"), "a", "parameter_missing"),
        ("a=", lambda each: each.needed("a"), "a", "parameter_missing"),
        ("a=maybe", lambda each: each.choice("a", "yes", "no"), "a", None),
        ("b[c]=1", lambda each: each.group("b").only(frozenset()), "b[c]", "parameter_unknown"),
        ("a[ge]=1", lambda each: each.span("a"), "a[ge]", "parameter_unknown"),
    ],
)
def test_what_cannot_be_read_is_refused(
    form: str, asked: Any, param: str, code: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        asked(Given(read(form)))
    assert (refused.value.param, refused.value.code, refused.value.status) == (param, code, 400)
    assert not refused.value.began


@pytest.mark.parametrize(
    ("form", "inside"),
    [
        ("a=5", {5}),
        ("a[gt]=3", {4, 5, 6, 7, 8, 9}),
        ("a[gte]=3&a[lt]=5", {3, 4}),
        ("a[gt]=3&a[lte]=5", {4, 5}),
        ("", set(range(10))),
    ],
)
def test_spans(form: str, inside: set[int]) -> None:
    holds = Given(read(form)).span("a")
    assert {each for each in range(10) if holds(each)} == inside


def test_metadata_is_merged_and_an_empty_value_deletes_its_key() -> None:
    old = {"a": "1", "b": "2"}
    assert Given(read("metadata[b]=&metadata[c]=3")).merged(old) == {"a": "1", "c": "3"}
    assert Given(read("metadata=")).merged(old) == {}
    assert Given(read("x=1")).merged(old) == old
    with pytest.raises(Refused):
        Given({"metadata": {"a": "x" * 501}}).merged({})
