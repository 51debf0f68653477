"""What came of asking, and what waits for a person, from the command line."""

import pytest
from sqlalchemy import text

from app.store.database import Database
from tests.app.cli.conftest import Shell


@pytest.fixture
def asked(running: Shell) -> Shell:
    """Let Ada be asked, who never used it."""
    running("sweep", "tv")
    running("deliver", "--until-idle")
    return running


def park(database: Database, error: str = "refused", unknown: int = 0) -> int:
    with database.transaction() as connection:
        statement = """insert into outbox (product_id, subscription_id, round, lane, kind, version,
              not_before, state, fence, tries, unknown, error)
            select product_id, id, 1, 'notice', 'notice.reminder', 1,
              timestamptz '2024-09-01 12:00Z', 'parked', 1, 1, :unknown, :error
            from subscription where external_id = 'ada'
            returning id"""
        values = {"error": error, "unknown": unknown}
        return int(connection.execute(text(statement), values).scalar_one())


def test_who_came_to_each_step(asked: Shell) -> None:
    told = asked.json("funnel", "tv", "--by", "plan")
    (step,) = [each for each in told["steps"] if each["step"] == "asked"]
    assert (step["people"], len(step["monthly"])) == (1, 1)
    assert told["by"] == "plan"
    printed = asked("funnel", "tv").stdout.splitlines()
    assert any(line.split()[:2] == ["1", "asked"] for line in printed)
    assert any(line.split()[:2] == ["0", "suspended"] for line in printed)
    past = asked.json("funnel", "tv", "--from", "2024-01-01", "--to", "2024-01-31")
    assert {each["people"] for each in past["steps"]} == {0}


def test_a_span_that_ends_before_it_begins(asked: Shell) -> None:
    result = asked("funnel", "tv", "--from", "2024-09-02", "--to", "2024-09-01")
    assert result.exit_code == 1
    assert "ends before it begins" in result.stderr
    assert asked("funnel", "tv", "--by", "email").exit_code == 2
    assert "there is no product" in asked("funnel", "radio").stderr


def test_what_is_parked_is_listed_and_tried_again_once(asked: Shell, database: Database) -> None:
    assert "nothing is parked" in asked("outbox", "list", "tv").stdout
    number = park(database)
    (each,) = asked.json("outbox", "list", "tv")["effects"]
    assert each == {
        "id": number,
        "subscription": "ada",
        "kind": "notice.reminder",
        "tries": 1,
        "error": "refused",
        "may_be_retried": True,
    }
    assert f"{number} notice.reminder" in asked("outbox", "list", "tv").stdout
    done = asked("outbox", "retry", "tv", str(number), "--actor", "eve")
    assert "notice.reminder of ada is tried again" in done.stdout
    with database.transaction() as connection:
        row = connection.execute(text("select state from outbox where id = :id"), {"id": number})
        assert row.scalar_one() == "pending"
        who = connection.execute(text("select actor from history where what = 'effect_retried'"))
        assert who.scalar_one() == "cli:eve"
    again = asked("outbox", "retry", "tv", str(number))
    assert (again.exit_code, "not parked any more" in again.stderr) == (1, True)


def test_no_third_copy_is_sent(asked: Shell, database: Database) -> None:
    number = park(database, unknown=2)
    assert "no third copy is sent" in asked("outbox", "list", "tv").stdout
    assert asked("outbox", "retry", "tv", str(number)).exit_code == 1
    assert asked("outbox", "retry", "tv", "0").exit_code == 2


def test_a_long_list_goes_on(asked: Shell, database: Database) -> None:
    numbers = [park(database) for _ in range(51)]
    page = asked.json("outbox", "list", "tv")
    assert (len(page["effects"]), page["after"]) == (50, numbers[49])
    rest = asked.json("outbox", "list", "tv", "--after", str(page["after"]))
    assert ([each["id"] for each in rest["effects"]], rest["after"]) == (numbers[50:], None)
    assert f"--after {numbers[49]}" in asked("outbox", "list", "tv").stderr
