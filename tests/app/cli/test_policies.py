"""Versions of a policy from the command line."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.clock import Clock
from app.store.database import Database
from app.versions import Comment
from app.versions.planning import Planner
from tests.app.cli.conftest import HEADER, Shell, line
from tests.probe import rows

FIRST = {"on_no_answer": "suspend", "never_used_after": "P1Y", "unused_after": "P1Y"}
QUICKER = FIRST | {"unused_after": "P6M"}
RAMPED = FIRST | {
    "never_used_after": "P6M",
    "pace": {"ramp": [2, "100%"]},
    "guards": {"max_newly_due_share": "1%"},
}
SOON, THEN = "2024-09-02T10:00:00+02:00", "2024-09-02 08:00 UTC"


def proposed(shell: Shell, body: dict[str, Any], *more: str) -> Any:
    """Propose a policy and give what --json said."""
    return shell.json("policy", "propose", "tv", shell.file("p.json", json.dumps(body)), *more)


def done(shell: Shell, *arguments: str) -> str:
    """Run what goes well and give what it printed."""
    result = shell(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(shell: Shell, *arguments: str) -> str:
    """Run what is refused and give what it said; nothing is printed on stdout."""
    result = shell(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr


# --- looking -------------------------------------------------------------------------------------


def test_versions_are_shown_with_where_each_stands(running: Shell) -> None:
    proposed(running, QUICKER, "--actor", "ann")
    done(running, "policy", "approve", "tv", "2", "--actor", "bob")
    proposed(running, QUICKER)
    done(running, "policy", "withdraw", "tv", "3")
    done(running, "policy", "activate", "tv", "2", "--at", SOON)

    shown = done(running, "policy", "show", "tv")
    told = running.json("policy", "show", "tv")

    assert "* " in shown
    assert f"2 scheduled for {THEN}, by cli:ann, approved by cli:bob" in shown
    assert "3 withdrawn" in shown
    assert '"unused_after": "P1Y"' in shown
    assert (told["product"], told["version"], told["planned"]) == ("tv", 1, 1.0)
    assert told["policy"]["unused_after"] == "P1Y"
    assert [(each["version"], each["state"], each["in_force"]) for each in told["versions"]] == [
        (1, "in_force", True),
        (2, "scheduled", False),
        (3, "withdrawn", False),
    ]
    assert told["versions"][1]["activate_at"] == "2024-09-02T08:00:00Z"
    assert told["versions"][1]["approved_by"] == ["cli:bob"]
    assert running.json("policy", "show", "tv", "2")["policy"]["unused_after"] == "P6M"


def test_before_the_first_version_it_says_that_nobody_is_asked(tv: Shell) -> None:
    assert "No policy is in force: nobody is asked." in done(tv, "policy", "show", "tv")
    told = tv.json("policy", "show", "tv")
    assert (told["version"], told["policy"], told["versions"]) == (None, None, [])


NUMBERS = ["0", "9", "2147483648", "9" * 30]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_version_that_is_not_there_is_said_to_be_none(running: Shell, number: str) -> None:
    more = {"comment": ["too_early"]}
    said = f"there is no version {number} of this policy"
    for command in ("show", "diff", "approve", "withdraw", "activate", "unschedule", "comment"):
        told = refused(running, "policy", command, "tv", number, *more.get(command, []))
        assert said in told, command
        assert "policy show" in told
    assert said in refused(running, "policy", "activate", "tv", number, "--at", SOON)
    assert said in refused(running, "policy", "diff", "tv", "1", number)
    assert "has no list" in refused(running, "policy", "list", "show", "tv", number)
    assert "has no list" in refused(running, "policy", "list", "renew", "tv", number)
    assert said in refused(running, "policy", "list", "approve", "tv", number, "--hash", "x")


@pytest.mark.parametrize("number", ["x", "1.5", ""])
def test_what_is_no_number_is_bad_usage(running: Shell, number: str) -> None:
    assert running("policy", "show", "tv", number).exit_code == 2
    assert running("policy", "approve", "tv", number).exit_code == 2


def test_a_product_that_is_none_is_named(running: Shell) -> None:
    assert "there is no product 'radio'" in refused(running, "policy", "show", "radio")
    assert "products are: tv" in refused(running, "policy", "approve", "radio", "1")


def test_a_difference_is_said_knob_by_knob(running: Shell) -> None:
    proposed(running, QUICKER | {"segments": [{"when": {"country": ["FR"]}, "reminders": []}]})
    proposed(running, FIRST)
    told = running.json("policy", "diff", "tv", "2")
    assert (told["version"], told["to"]) == (2, 1)
    assert [each["path"] for each in told["changes"]] == ["unused_after", "segments[0]"]
    assert told["changes"][0] == {"path": "unused_after", "before": "P1Y", "after": "P6M"}
    printed = done(running, "policy", "diff", "tv", "2")
    assert 'unused_after: "P1Y" -> "P6M"' in printed
    assert "segments[0]: null -> {" in printed
    assert 'unused_after: "P6M" -> "P1Y"' in done(running, "policy", "diff", "tv", "1", "2")
    assert "version 3 says the same as version 1" in done(running, "policy", "diff", "tv", "3")


# --- proposing and agreeing ----------------------------------------------------------------------


def test_a_proposal_says_how_many_would_be_due_and_what_comes_next(running: Shell) -> None:
    file = running.file("p.json", json.dumps(QUICKER))
    result = running("policy", "propose", "tv", file)
    assert result.stdout == "version 2 proposed\n"
    assert "1 people would be due by tomorrow" in result.stderr
    assert "Next: reconfirm policy activate tv 2" in result.stderr
    told = proposed(running, QUICKER, "--actor", "ann")
    assert (told["version"], told["policy"]["unused_after"]) == (3, "P6M")
    assert told["forecast"]["proposed"]["tomorrow"] == 1


def test_where_two_agree_it_says_who_comes_next(running: Shell) -> None:
    done(running, "product", "set", "tv", "approvals=2")
    file = running.file("p.json", json.dumps(QUICKER))
    result = running("policy", "propose", "tv", file, "--actor", "ann")
    assert "Next, by somebody else: reconfirm policy approve tv 2" in result.stderr
    assert "--actor NAME" in refused(running, "policy", "approve", "tv", "2", "--actor", "ann")
    done(running, "policy", "approve", "tv", "2", "--actor", "bob")
    assert "version 2 is in force" in done(running, "policy", "activate", "tv", "2")


def test_a_proposal_over_one_that_was_not_seen_is_refused(running: Shell) -> None:
    proposed(running, QUICKER, "--actor", "ann", "--seen", "1")
    file = running.file("p.json", json.dumps(FIRST))
    told = refused(running, "policy", "propose", "tv", file, "--seen", "1")
    assert "version 2 was proposed meanwhile, by cli:ann" in told
    assert proposed(running, FIRST, "--seen", "2")["version"] == 3


@pytest.mark.parametrize("code", Comment)
def test_a_comment_is_one_of_the_codes(running: Shell, database: Database, code: Comment) -> None:
    said = done(running, "policy", "comment", "tv", "1", str(code), "--actor", "bob")
    assert str(code) in said
    found = rows(database, "select why, actor from history where what = 'policy_commented'")
    assert found == [(str(code), "cli:bob")]


def test_a_comment_in_words_is_bad_usage(running: Shell) -> None:
    assert running("policy", "comment", "tv", "1", "ada wants this").exit_code == 2


@pytest.mark.parametrize("command", ["approve", "withdraw", "activate", "unschedule"])
def test_who_acts_is_a_short_name(running: Shell, command: str) -> None:
    assert running("policy", command, "tv", "1", "--actor", "a b").exit_code == 2


# --- putting in force ----------------------------------------------------------------------------


def test_a_version_is_put_in_force_and_everybody_is_looked_at(
    running: Shell, database: Database
) -> None:
    proposed(running, QUICKER)
    assert done(running, "policy", "activate", "tv", "2", "--actor", "ann") == (
        "version 2 is in force for tv\n"
    )
    assert rows(database, "select version, finished_at is not null from plan") == [(2, True)]
    assert "version 2 is in force" in refused(running, "policy", "activate", "tv", "2")
    assert rows(database, "select activated_by from policy where version = 2") == [("cli:ann",)]


def test_a_planning_that_was_killed_is_shown(
    running: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed(running, QUICKER)
    monkeypatch.setattr(Planner, "walk", lambda *_: None)
    done(running, "policy", "activate", "tv", "2")
    assert "0% of everybody has been looked at anew" in done(running, "policy", "show", "tv")
    assert running.json("policy", "show", "tv")["planned"] == 0.0


def test_a_version_is_given_a_time_which_is_called_off(running: Shell) -> None:
    proposed(running, QUICKER)
    said = done(running, "policy", "activate", "tv", "2", "--at", SOON)
    assert said == f"version 2 is to be in force for tv at {THEN}\n"
    assert "waits for no time any more" in done(running, "policy", "unschedule", "tv", "2")
    assert "waits for no time" in refused(running, "policy", "unschedule", "tv", "2")


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("2024-09-02T10:00:00", "has no offset"),
        ("tomorrow", "is no time"),
        ("", "is no time"),
        ("2024-09-01T12:00:00Z", "later than now"),
        ("2026-09-01T12:00:00Z", "within a year"),
        ("9999-12-31T23:59:59-12:00", "out of range"),
    ],
)
def test_a_time_that_is_none_for_it_is_refused(
    running: Shell, database: Database, at: str, says: str
) -> None:
    proposed(running, QUICKER)
    assert says in refused(running, "policy", "activate", "tv", "2", "--at", at)
    assert rows(database, "select activate_at from policy where version = 2") == [(None,)]
    assert running.json("policy", "show", "tv")["version"] == 1


def test_a_version_is_put_back(running: Shell) -> None:
    proposed(running, QUICKER)
    done(running, "policy", "activate", "tv", "2")
    done(running, "policy", "activate", "tv", "1")
    told = running.json("policy", "show", "tv")
    assert [(each["version"], each["state"]) for each in told["versions"]] == [
        (1, "in_force"),
        (2, "was_in_force"),
    ]
    assert "has been in force" in refused(running, "policy", "withdraw", "tv", "2")


# --- the list ------------------------------------------------------------------------------------


@pytest.fixture
def listed(running: Shell) -> Shell:
    """Have 25 people on a list that waits, of a version that Ann has put in force."""
    people = [line(f"p{number:02}", started_at="2024-02-01T00:00:00Z") for number in range(24)]
    file = running.file("more.csv", HEADER, *people)
    done(running, "import", "subscriptions", "tv", file)
    done(running, "product", "set", "tv", "approvals=2")
    proposed(running, RAMPED, "--actor", "ann")
    done(running, "policy", "approve", "tv", "2", "--actor", "bob")
    done(running, "policy", "activate", "tv", "2", "--actor", "ann")
    assert "has no list" in refused(running, "policy", "list", "show", "tv", "2")
    assert "25 people would be asked at once" in running("sweep", "tv").stderr
    return running


def test_a_list_is_read_and_approved_by_somebody_else(listed: Shell) -> None:
    told = listed.json("policy", "list", "show", "tv", "2")
    shown = listed("policy", "list", "show", "tv", "2")
    sample = [done(listed, "policy", "list", "show", "tv", "2", "--sample") for _ in range(2)]

    assert (told["product"], told["people"], told["approved_by"]) == ("tv", 25, None)
    assert f"25 people, hash {told['hash']}" in shown.stderr
    assert len(shown.stdout.splitlines()) == 26
    assert shown.stdout.startswith("external_id,why,plan,")
    assert sample[0] == sample[1]
    assert len(sample[0].splitlines()) == 21
    assert set(sample[0].splitlines()) < set(shown.stdout.splitlines())

    approve = ("policy", "list", "approve", "tv", "2", "--hash")
    assert "in force yourself" in refused(listed, *approve, told["hash"], "--actor", "ann")
    assert "another by now" in refused(listed, *approve, "0" * 64, "--actor", "bob")
    assert listed.json("sweep", "tv")["products"][0]["counts"].get("asked", 0) == 0
    said = done(listed, *approve, told["hash"], "--actor", "bob")
    assert said == "the list of version 2, 25 people, approved by cli:bob\n"
    assert listed.json("sweep", "tv")["products"][0]["counts"]["asked"] == 2
    assert "no list that waits" in refused(listed, "policy", "list", "renew", "tv", "2")


def test_a_list_that_waits_is_made_anew(listed: Shell) -> None:
    first = listed.json("policy", "list", "show", "tv", "2")["hash"]
    use = listed.file("u2.csv", "subscription,used_at", "p05,2024-08-31")
    done(listed, "import", "usage", "tv", use, "--through", "2024-08-31")
    assert "made anew by the next sweep" in done(listed, "policy", "list", "renew", "tv", "2")
    listed("sweep", "tv")
    told = listed.json("policy", "list", "show", "tv", "2")
    assert (told["people"], told["hash"] == first) == (24, False)


def test_a_list_needs_its_hash(listed: Shell) -> None:
    assert listed("policy", "list", "approve", "tv", "2").exit_code == 2


def test_every_command_has_its_help(running: Shell) -> None:
    for command in ("show", "diff", "propose", "comment", "approve", "withdraw", "activate"):
        assert "Usage: " in done(running, "policy", command, "--help")
    for command in ("unschedule", "list"):
        assert "Usage: " in done(running, "policy", command, "--help")
    for command in ("show", "approve", "renew"):
        assert "Usage: " in done(running, "policy", "list", command, "--help")


# --- the docs ------------------------------------------------------------------------------------


EIGHT = datetime(2024, 9, 2, 8, tzinfo=UTC)
DOCS = Path(__file__).resolve().parents[3] / "docs" / "policies.md"


def written(kind: str) -> list[str]:
    """Give the blocks of one kind of the page about policies."""
    return re.findall(rf"```{kind}\n(.*?)```", DOCS.read_text(), re.DOTALL)


def test_what_the_docs_write_works_from_top_to_bottom(running: Shell, database: Database) -> None:
    people = [line(f"p{number:02}", started_at="2024-02-01T00:00:00Z") for number in range(24)]
    done(running, "import", "subscriptions", "tv", running.file("m.csv", HEADER, *people))
    (policy,) = written("json")
    running.file("policy.json", policy)
    soon = {"2026-12-01T08:00:00Z": "2024-09-02T08:00:00Z"}
    said = []
    for block in written("sh"):
        for command in block.splitlines():
            listed = running("policy", "list", "show", "tv", "2").stderr.split()
            told = soon | {"HASH": listed[-1]}
            words = shlex.split(command)
            if ">" in words:
                words = words[: words.index(">")]
            said.append(done(running, *(told.get(each, each) for each in words[1:])))
        if "activate tv 2" in block:
            rows(database, "update clock set now = '2024-09-02T08:00:00Z'")
            Planner(database, Clock(lambda: EIGHT)).work("tv", lambda: True)
            assert "people would be asked at once" in running("sweep", "tv").stderr
    assert "approved by cli:bob" in said[-2]
    assert said[-1] == "version 1 is in force for tv\n"
