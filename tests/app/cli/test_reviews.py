"""Cases that subscribers want a person to look at, from the command line."""

import pytest

from app.cli.installation import installed
from app.engine import reviews
from app.lifecycle.case import AskReview, Concern
from app.store import population, products
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
