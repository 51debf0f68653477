"""Cases that subscribers want a person to look at, from the command line."""

from datetime import timedelta

import pytest

from app.cli.installation import installed
from app.engine import reviews
from app.lifecycle.case import AskReview, Concern
from app.store import population, products
from app.store import reviews as reviews_store
from tests.app.cli.conftest import Shell


def wants_a_look() -> None:
    with installed() as parts:
        with parts.database.transaction() as connection:
            sid = population.find(connection, products.row_of(connection, "tv").id, "ada")
        assert sid is not None
        event = AskReview(1, Concern.WRONG_CHARGE)
        reviews.ask(parts.database, parts.clock, "tv", sid, event)


def test_a_case_is_listed_shown_and_finished(
    running: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running("clock", "advance", "P1D")
    assert "nobody waits for a person to look" in running("doctor").stdout
    assert "none is open" in running("review", "list", "tv").stdout
    running("clock", "advance", "PT1M")
    wants_a_look()

    (case,) = running.json("review", "list", "tv")

    number = str(case["id"])
    assert (case["subscription"], case["reason"], case["state"]) == ("ada", "wrong_charge", "open")
    assert "wrong_charge" in running("review", "list", "tv").stdout
    assert running.json("review", "show", "tv", number) == case
    assert "1 asked for by subscribers, the oldest on 2024-09-02" in running("doctor").stdout
    told = running.json("subject", "explain", "tv", "ada")
    assert "a person looks at the case" in told["next"]
    assert any("reconfirm review done" in each for each in told["blocked_by"])
    assert [each["why"] for each in told["story"] if each["what"] == "review_asked"] == [
        "wrong_charge"
    ]
    assert running("review", "done", "tv", number, "fine").exit_code == 2

    done = running.json("review", "done", "tv", number, "put_right", "--actor", "eve")

    assert (done["state"], done["outcome"], done["done_by"]) == ("done", "put_right", "cli:eve")
    again = running("review", "done", "tv", number, "put_right")
    assert (again.exit_code, "is done" in again.stderr) == (1, True)
    assert running("review", "show", "tv", "999").exit_code == 1
    assert running.json("review", "list", "tv") == []


def test_requests_to_erase_come_first_by_their_day_and_the_doctor_warns_a_week_before(
    running: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running("clock", "advance", "P1D")
    running("clock", "advance", "PT1M")
    wants_a_look()
    assert "nobody waits to be erased" in running("doctor").stdout
    with installed() as parts, parts.database.transaction() as connection:
        product = products.row_of(connection, "tv").id
        ada = population.find(connection, product, "ada")
        assert ada is not None
        now = parts.clock.now()
        reviews_store.put_erasure(connection, product, ada, 1, now, now.date() + timedelta(days=30))

    first, second = running.json("review", "list", "tv")

    assert (first["reason"], first["due_on"]) == ("erase", "2024-10-02")
    assert (second["reason"], second["due_on"]) == ("wrong_charge", None)
    assert "by 2024-10-02" in running("review", "list", "tv").stdout
    assert "ok" in erasures_line(running)
    with installed() as parts, parts.database.transaction() as connection:
        connection.exec_driver_sql(
            "update review set due_on = %s where due_on is not null",
            ((parts.clock.now() + timedelta(days=7)).date(),),
        )
    assert "ok" not in erasures_line(running)
    assert "1 asked to be erased" in erasures_line(running)


def erasures_line(running: Shell) -> str:
    found = [each for each in running("doctor").stdout.split("\n") if "to be erased, the" in each]
    return found[0]
