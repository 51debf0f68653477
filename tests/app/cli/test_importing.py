import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.engine.wiping import wipe
from app.links import Links
from app.store import population, products
from app.store.database import Database
from tests.app.cli.conftest import HEADER, KEY, Shell, line


@pytest.fixture
def tv(shell: Shell) -> Shell:
    assert shell("clock", "set", "2024-09-01T12:00:00Z").exit_code == 0
    assert shell("product", "add", "tv", "--name", "Blue TV").exit_code == 0
    return shell


def test_an_import_says_what_became_of_the_lines(tv: Shell) -> None:
    file = tv.file("people.csv", HEADER, line("ada"), line("ben"))
    found = tv.json("import", "subscriptions", "tv", file)
    assert (found["read"], found["applied"], found["rejected"]) == (2, 2, 0)


def test_importing_again_changes_nothing(tv: Shell) -> None:
    file = tv.file("people.csv", HEADER, line("ada"), line("ben"))
    tv("import", "subscriptions", "tv", file)
    found = tv.json("import", "subscriptions", "tv", file)
    assert (found["applied"], found["unchanged"]) == (0, 2)


def test_a_gzipped_file_is_read(tv: Shell, tmp_path: Path) -> None:
    packed = tmp_path / "people.csv.gz"
    packed.write_bytes(gzip.compress(f"{HEADER}\n{line('ada')}\n".encode()))
    assert tv.json("import", "subscriptions", "tv", str(packed))["applied"] == 1


def test_a_truncated_gzip_is_refused_with_the_mend(tv: Shell, tmp_path: Path) -> None:
    packed = tmp_path / "people.csv.gz"
    packed.write_bytes(gzip.compress(f"{HEADER}\n{line('ada')}\n".encode())[:-9])
    result = tv("import", "subscriptions", "tv", str(packed))
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert "pack the file again" in result.stderr


def test_ndjson_is_read(tv: Shell) -> None:
    file = tv.file("use.ndjson", '{"subscription": "ada", "used_at": "2024-08-01"}')
    assert tv.json("import", "usage", "tv", file)["unknown"] == 1


BAD_ROWS = {
    "a naive time": ({"started_at": "2022-09-01T10:00:00"}, "started_at"),
    "no id": ({"id": ""}, "id is empty"),
    "a bad amount": ({"amount": "13.49"}, "amount"),
    "an unknown zone": ({"timezone": "Mars/Olympus"}, "timezone"),
    "an unknown interval": ({"interval": "fortnight"}, "interval"),
    "an unknown currency": ({"currency": "XXQ"}, "currency"),
    "a bad address": ({"email": "ada"}, "email"),
    "a bad status": ({"status": "sleeping"}, "status"),
    "a card number": ({"plan": "4111 1111 1111 1111"}, "a card number"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_row_goes_to_a_file_with_its_reason_and_the_rest_goes_on(
    tv: Shell, tmp_path: Path, what: str
) -> None:
    changes, reason = BAD_ROWS[what]
    file = tv.file("people.csv", HEADER, line("ada"), line("bad", **changes), line("ben"))
    found = tv.json("import", "subscriptions", "tv", file)
    assert (found["applied"], found["rejected"]) == (2, 1)
    rejects = (tmp_path / "people.csv.rejected.csv").read_text()
    assert reason in rejects
    assert rejects.splitlines()[1].startswith("3,")


def test_a_line_with_too_few_fields_is_rejected(tv: Shell) -> None:
    file = tv.file("people.csv", HEADER, line("ada"), "ben,ben@subscribers.example")
    assert tv.json("import", "subscriptions", "tv", file)["rejected"] == 1


def test_an_id_that_stands_twice_is_rejected_the_second_time(tv: Shell, tmp_path: Path) -> None:
    file = tv.file("people.csv", HEADER, line("ada"), line("ada", plan="premium"))
    found = tv.json("import", "subscriptions", "tv", file)
    assert (found["applied"], found["rejected"]) == (1, 1)
    assert "twice" in (tmp_path / "people.csv.rejected.csv").read_text()


def test_unknown_columns_are_refused_by_name(tv: Shell) -> None:
    file = tv.file("people.csv", HEADER + ",shoe_size", line("ada") + ",43")
    result = tv("import", "subscriptions", "tv", file)
    assert result.exit_code == 1
    assert "shoe_size" in result.stderr
    assert "--ignore-extra" in result.stderr


def test_unknown_columns_may_be_passed_over(tv: Shell) -> None:
    file = tv.file("people.csv", HEADER + ",shoe_size", line("ada") + ",43")
    assert tv.json("import", "subscriptions", "tv", file, "--ignore-extra")["applied"] == 1


def test_missing_columns_are_named(tv: Shell) -> None:
    result = tv("import", "subscriptions", "tv", tv.file("people.csv", "id,email", "a,b@c.example"))
    assert "timezone" in result.stderr


def test_a_product_that_does_not_exist_is_named_with_those_that_do(tv: Shell) -> None:
    file = tv.file("people.csv", HEADER, line("ada"))
    result = tv("import", "subscriptions", "radio", file)
    assert result.exit_code == 1
    assert "radio" in result.stderr
    assert "tv" in result.stderr


def test_use_in_the_future_is_rejected(tv: Shell) -> None:
    file = tv.file("use.csv", "subscription,used_at", "ada,2024-09-01T12:10:00Z", "ada,2024-08-01")
    found = tv.json("import", "usage", "tv", file)
    assert (found["rejected"], found["unknown"]) == (1, 1)


def test_through_in_the_future_is_refused_before_anything_is_read(
    tv: Shell, rows_of: Callable[[str], int]
) -> None:
    file = tv.file("use.csv", "subscription,used_at", "ada,2024-08-01")
    result = tv("import", "usage", "tv", file, "--through", "2024-09-09")
    assert result.exit_code == 1
    assert "future" in result.stderr
    assert rows_of("unknown_usage") == 0


def test_use_of_somebody_not_yet_told_is_applied_when_they_arrive(tv: Shell) -> None:
    tv("import", "usage", "tv", tv.file("use.csv", "subscription,used_at", "ada,2024-08-01"))
    tv("import", "subscriptions", "tv", tv.file("people.csv", HEADER, line("ada")))
    assert tv.json("subject", "explain", "tv", "ada")["last_used_on"] == "2024-08-01"


def test_a_usage_line_names_a_subscription_or_a_customer(tv: Shell) -> None:
    file = tv.file("use.csv", "subscription,customer,used_at", "ada,c1,2024-08-01", ",,2024-08-01")
    assert tv.json("import", "usage", "tv", file)["rejected"] == 2


def test_a_feed_covers_what_the_import_says(tv: Shell) -> None:
    file = tv.file("use.csv", "subscription,used_at", "ada,2024-08-01")
    tv("import", "usage", "tv", file, "--covers-from", "2020-01-01", "--through", "2024-08-31")
    (feed,) = tv.json("feed", "list", "tv")
    assert (feed["covers_from"], feed["covers_until"]) == ("2020-01-01", "2024-08-31")


def test_a_feed_that_does_not_say_since_when_counts_from_today(tv: Shell) -> None:
    result = tv("import", "usage", "tv", tv.file("u.csv", "subscription,used_at", "ada,2024-08-01"))
    assert "--covers-from" in result.stderr
    (feed,) = tv.json("feed", "list", "tv")
    assert (feed["covers_from"], feed["covers_until"]) == ("2024-09-01", "2024-07-31")


def test_who_was_erased_is_left_out_and_named_with_the_reason(
    tv: Shell, database: Database, tmp_path: Path
) -> None:
    file = tv.file("people.csv", HEADER, line("ada"), line("ben"))
    tv("import", "subscriptions", "tv", file)
    with database.transaction() as connection:
        product = products.load(connection, "tv")
        sid = population.find(connection, product.id, "ada")
        assert sid is not None
        at = datetime(2024, 9, 1, 12, tzinfo=UTC)
        wipe(connection, product, sid, Links([KEY], "http://x"), "er", at)
    again = tv.file("again.csv", HEADER, line("cyd"), line("ada"), line("ben"))
    found = tv.json("import", "subscriptions", "tv", again)
    assert found["erased"] == found["applied"] == found["unchanged"] == 1
    refused = (tmp_path / "again.csv.rejected.csv").read_text("utf-8")
    assert refused.splitlines()[1].startswith('3,"the data of this subscription was erased')
    assert "subscribers.example" not in refused
    told = tv("subject", "explain", "tv", "ada")
    assert (told.exit_code, told.stdout) == (0, "ada: erased\n")
    assert tv.json("subject", "explain", "tv", "ada") == {"stage": "erased"}
    assert tv("subject", "explain", "tv", "dan").exit_code == 1
