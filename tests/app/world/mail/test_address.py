"""Addresses at the last gate before the wire."""

import pytest

from app.errors import Refused
from app.world.mail.address import on_the_wire


@pytest.mark.parametrize(
    ("address", "wired"),
    [
        ("ada@example.org", "ada@example.org"),
        ("a.d+a=x@mail.example.org", "a.d+a=x@mail.example.org"),
        ("root@localhost", "root@localhost"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("zoë@example.org", "zoë@example.org"),
    ],
)
def test_domains_become_ascii(address: str, wired: str) -> None:
    assert on_the_wire(address) == wired


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@@example.org",
        "ada@example.org\n",
        "ada@example.org\r\nRCPT TO:<eve@example.org>",
        "<ada@example.org>",
        "ada@example.org,eve@example.org",
        '"a b"@example.org',
        "ada@[127.0.0.1]",
        "ada@exam ple.org",
        "a" * 65 + "@example.org",
        "ada@" + "a." * 130 + "org",
        "ada@\ud800.example",
    ],
)
def test_what_is_no_bare_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(Refused) as refused:
        on_the_wire(address)
    assert "ada" not in str(refused.value)
