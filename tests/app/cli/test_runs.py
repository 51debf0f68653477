"""Runs from the command line: listed, shown, halted and taken back."""

from tests.app.cli.conftest import Shell


def test_runs_are_listed_and_shown(running: Shell) -> None:
    assert "no sweep has done anything yet" in running("run", "list", "tv").stdout
    swept = running.json("sweep", "tv", "--actor", "eve")["products"][0]

    found = running.json("run", "list", "tv")

    (run,) = found["runs"]
    assert (run["number"], run["version"], run["step"], run["actors"]) == (1, 1, 1, ["cli:eve"])
    assert run["asked"] == swept["counts"]["asked"]
    assert (found["ramp"]["stands"], found["ramp"]["opened"]) == ("runs", 1)
    assert "cli:eve" in running("run", "list", "tv").stdout
    shown = running.json("run", "show", "tv", "1")
    assert shown["became"]["open"] == run["asked"]
    assert {each["guard"] for each in shown["rates_of_day"]} == {"bounces", "complaints", "in_use"}
    assert "of the asks handed over on its day" in running("run", "show", "tv", "1").stdout
    missing = running("run", "show", "tv", "2")
    assert (missing.exit_code, "`reconfirm run list tv` shows them" in missing.stderr) == (1, True)
    assert running("run", "show", "tv", "0").exit_code == 2


def test_a_ramp_is_paused_resumed_and_stopped(running: Shell) -> None:
    paused = running.json("run", "pause", "tv", "--why", "usage_feed_in_doubt", "--actor", "eve")
    assert paused["stands"] == "paused"
    assert (paused["halted"]["by"], paused["halted"]["why"]) == ("cli:eve", "usage_feed_in_doubt")
    said = running("run", "list", "tv").stdout
    assert "the ramp is paused" in said
    assert "by cli:eve (usage_feed_in_doubt)" in said
    doctor = running("doctor").stdout
    assert "ramp of tv" in doctor
    assert "reconfirm run resume tv" in doctor
    assert "paused by cli:eve" in running.json("sweep", "tv", "--dry-run")["products"][0]["stopped"]
    assert running("run", "pause", "tv", "--why", "because").exit_code == 2

    assert running.json("run", "resume", "tv")["stands"] == "not_begun"
    assert "ramp of tv" not in running("doctor").stdout
    assert "the ramp is stopped" in running("run", "stop", "tv").stdout
    again = running("run", "resume", "tv")
    assert (again.exit_code, "activate another version" in again.stderr) == (1, True)


def test_a_run_is_taken_back_once_somebody_has_seen_the_list(running: Shell) -> None:
    many = running.json("sweep", "tv")["products"][0]["counts"]["asked"]

    told = running("run", "undo", "tv", "1")
    assert told.exit_code == 1
    assert f"{many} still open and not suspended: these are withdrawn" in told.stderr
    assert running.json("run", "show", "tv", "1")["undo"] is None

    done = running.json("run", "undo", "tv", "1", "--yes", "--actor", "eve")

    assert (done["undo"]["withdrawn"], done["undo"]["actor"]) == (many, "cli:eve")
    assert done["undo"]["ended_at"] is not None
    assert (done["became"]["open"], done["became"]["withdrawn"]) == (0, many)
    assert "taken back" in running("run", "list", "tv").stdout
    again = running("run", "undo", "tv", "1", "--yes")
    assert (again.exit_code, "nobody of run 1 is left to put right" in again.stderr) == (1, True)
    assert running.json("sweep", "tv")["products"][0]["counts"] == {}
