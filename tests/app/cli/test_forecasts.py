"""What a policy would do, from the command line."""

import json

from app.store.database import Database
from tests.app.cli.conftest import Shell
from tests.probe import rows

SOON = {"on_no_answer": "suspend", "never_used_after": "P1Y", "unused_after": "P7D"}


def test_a_forecast_is_printed_beside_the_policy_in_force(running: Shell) -> None:
    file = running.file("soon.json", json.dumps(SOON))

    told = running.json("forecast", "tv", "--policy", file)
    printed = running("forecast", "tv", "--policy", file)

    assert told["product"] == "tv"
    assert (told["proposed"]["today"], told["in_force"]["today"]) == (1, 1)
    assert (told["proposed"]["in_a_year"], told["in_force"]["in_a_year"]) == (2, 2)
    assert sum(told["proposed"]["days"][:10]) == 2
    assert "version 1, in force" in printed.stdout
    assert "due by tomorrow" in printed.stdout
    assert "not known yet" in printed.stderr
    assert running.json("forecast", "show", "tv", "--policy", file)["product"] == "tv"


def test_what_is_counted_at_night_is_counted_at_once_where_asked(running: Shell) -> None:
    file = running.file("soon.json", json.dumps(SOON))
    assert running.json("forecast", "count", "tv")["folded"] > 0
    told = running.json("forecast", "tv", "--policy", file)
    assert told["nightly"]["counted_at"] == "2024-09-01T12:00:00Z"
    running("sweep", "tv")
    assert running("forecast", "count", "tv").exit_code == 0
    assert running.json("forecast", "tv", "--policy", file)["proposed"]["today"] == 0


def test_drift_is_found_and_mended(running: Shell, database: Database) -> None:
    assert running.json("forecast", "check", "tv")["wrong"] == 0
    running("forecast", "count", "tv")
    rows(database, "update count_day set people = people + 1")

    found = running("forecast", "check", "tv")

    assert found.exit_code == 1
    assert "counted 2, found 1" in found.stdout
    assert "forecast check tv --repair" in found.stderr
    assert "counts were wrong" in running("doctor").stdout
    assert running("forecast", "check", "tv", "--repair").exit_code == 0
    assert running.json("forecast", "check", "tv")["wrong"] == 0
    assert "counts were wrong" not in running("doctor").stdout


def test_a_policy_that_does_not_fit_is_refused_as_when_it_is_proposed(running: Shell) -> None:
    file = running.file("bad.json", json.dumps({"unused_after": "P1D"}))
    proposed, told = (
        running("policy", "propose", "tv", file),
        running("forecast", "tv", "--policy", file),
    )
    assert proposed.exit_code == told.exit_code == 1
    assert proposed.stderr == told.stderr
    assert running("forecast", "radio", "--policy", file).exit_code == 1
    assert running("forecast", "tv").exit_code == 2
