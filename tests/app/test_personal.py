"""What must never be kept is found, and what merely looks odd is not."""

import pytest

from app.personal import found_in


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "card: 5500005555555559, thanks",
        "378282246310005",
        "6304000000000000000",
    ],
)
def test_card_numbers_are_found(text: str) -> None:
    assert found_in(text) == "a card number"


@pytest.mark.parametrize(
    "text",
    ["DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "pay GB29NWBK60161331926819 now"],
)
def test_bank_accounts_are_found(text: str) -> None:
    assert found_in(text) == "a bank account"


@pytest.mark.parametrize("text", ["078-05-1120", "ssn 219-09-9999."])
def test_national_ids_are_found(text: str) -> None:
    assert found_in(text) == "a national id"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "standard",
        "4111111111111112",
        "123456789012",
        "2024-09-01T10:00:00Z",
        "1725184800000",
        "DE89370400440532013001",
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "sub_1NqfT2eZvKYlo2C",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_is_none_of_it_is_left_alone(text: str) -> None:
    assert found_in(text) is None
