"""The inbox and the secrets from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from app.cli.installation import installed
from app.cli.scheduler import tidy
from app.clock import Clock
from app.engine import door
from app.inbox import Inbox
from app.signing import NotSigned, new_secret, sign
from app.store import products
from app.store.database import Database
from tests.app.cli.conftest import Shell
from tests.probe import rows
from tests.world import START, row

Send = Callable[..., str]


@pytest.fixture
def tv(shell: Shell) -> Shell:
    assert shell("clock", "set", "2024-09-01T12:00:00Z").exit_code == 0
    assert shell("product", "add", "tv", "--name", "Blue TV").exit_code == 0
    return shell


@pytest.fixture
def send(tv: Shell, database: Database) -> Send:  # noqa: ARG001 - the product it sends to
    """Give what sends an event as billing would, with any secret (the newest)."""
    clock = Clock(lambda: START)

    def sending(message_id: str, secret: str = "", kind: str = "created", **changes: Any) -> str:
        event = {"type": f"subscription.{kind}", "timestamp": START.isoformat()}
        body = json.dumps(event | {"data": row("ada", **changes)}).encode()
        with database.transaction() as connection:
            newest = products.row_of(connection, "tv").signing_secrets[0]
        headers = sign([secret or newest], message_id, clock.wall(), body)
        return str(Inbox(database, clock).receive("tv", headers, body).result)

    return sending


# --- the inbox -----------------------------------------------------------------------------------


def test_messages_are_listed_newest_first_without_what_they_say(tv: Shell, send: Send) -> None:
    send("m1")
    send("m2", country="UK")
    found = tv.json("inbox", "list")
    assert [(each["message_id"], each["state"]) for each in found] == [
        ("m2", "unreadable"),
        ("m1", "applied"),
    ]
    assert "data.country" in found[0]["reason"]
    said = tv("inbox", "list", "tv").stdout
    assert "m1" in said
    assert "ada@" not in said + json.dumps(found)


def test_the_list_is_of_one_product_and_one_state(tv: Shell, send: Send) -> None:
    tv("product", "add", "radio", "--name", "Radio")
    send("m1")
    send("m2", country="UK")
    assert tv.json("inbox", "list", "radio") == []
    found = tv.json("inbox", "list", "tv", "--state", "unreadable")
    assert [each["message_id"] for each in found] == ["m2"]
    assert tv("inbox", "list", "nowhere").exit_code == 1
    assert tv("inbox", "list", "--state", "lost").exit_code == 2


def test_one_message_is_shown_with_its_body_and_a_warning(tv: Shell, send: Send) -> None:
    send("m1")
    number = str(tv.json("inbox", "list")[0]["id"])
    shown = tv("inbox", "show", number)
    assert "ada@subscribers.example" in shown.stdout
    assert "may name a person" in shown.stderr
    assert json.loads(tv.json("inbox", "show", number)["body"])["data"]["id"] == "ada"


def test_a_message_whose_body_is_forgotten_says_so(
    tv: Shell, send: Send, database: Database
) -> None:
    send("m1")
    rows(database, "update inbox set body = null")
    number = str(tv.json("inbox", "list")[0]["id"])
    shown = tv("inbox", "show", number)
    assert "no body is kept" in shown.stdout
    assert shown.stderr == ""
    assert "have its sender send it again" in tv("inbox", "replay", number).stderr


def test_what_a_body_holds_moves_no_cursor_of_the_terminal(
    tv: Shell, send: Send, database: Database
) -> None:
    send("m1")
    rows(database, "update inbox set body = '\\x1b5b324a41'")
    shown = tv("inbox", "show", str(tv.json("inbox", "list")[0]["id"])).stdout
    assert "\x1b" not in shown
    assert "\\x1b[2JA" in shown


def test_a_message_that_does_not_exist_is_a_refusal(tv: Shell) -> None:
    for command in ("show", "replay"):
        result = tv("inbox", command, "7")
        assert result.exit_code == 1
        assert "there is no message 7" in result.stderr


def test_a_failed_message_is_applied_when_it_is_replayed(tv: Shell, send: Send) -> None:
    with mock.patch.object(door, "step", side_effect=ZeroDivisionError):
        assert send("m1", kind="canceled") == "failed"
    number = str(tv.json("inbox", "list")[0]["id"])
    assert tv.json("inbox", "replay", number)["result"] == "applied"
    assert tv.json("inbox", "replay", number)["result"] == "applied"
    assert tv.json("inbox", "list", "--state", "failed") == []


def test_a_message_that_still_cannot_be_read_is_a_failure_with_its_reason(
    tv: Shell, send: Send
) -> None:
    send("m1", country="UK")
    result = tv("inbox", "replay", str(tv.json("inbox", "list")[0]["id"]))
    assert result.exit_code == 1
    assert "data.country" in result.stdout


def test_all_that_wait_are_replayed_at_once(tv: Shell, send: Send) -> None:
    with mock.patch.object(door, "step", side_effect=ZeroDivisionError):
        send("m1", kind="canceled")
    send("m2", country="UK")
    assert tv.json("inbox", "replay", "--failed", "tv") == {"applied": 1, "unreadable": 1}
    assert tv("inbox", "replay", "--failed", "tv").stdout == "unreadable 1\n"


def test_replay_wants_a_message_or_a_product_and_not_both(tv: Shell) -> None:
    assert tv("inbox", "replay").exit_code == 2
    assert tv("inbox", "replay", "1", "--failed", "tv").exit_code == 2


# --- secrets -------------------------------------------------------------------------------------


def test_secrets_rotate_without_a_message_being_refused(tv: Shell, send: Send) -> None:
    (old,) = tv.json("product", "secret", "list", "tv")
    new = tv.json("product", "secret", "add", "tv")["signing_secret"]
    assert send("m1", new) == "applied"
    hints = [each["hint"] for each in tv.json("product", "secret", "list", "tv")]
    assert hints == [new[:10], old["hint"]]
    assert tv("product", "secret", "retire", "tv", f"{old['hint']}…").exit_code == 0
    assert tv.json("product", "secret", "list", "tv") == [{"hint": new[:10]}]
    assert send("m2", new) == "applied"


def test_a_retired_secret_signs_nothing_any_more(tv: Shell, send: Send, database: Database) -> None:
    with database.transaction() as connection:
        (old,) = products.row_of(connection, "tv").signing_secrets
    tv("product", "secret", "add", "tv")
    assert send("m1", old) == "applied"
    assert tv("product", "secret", "retire", "tv", old[:12]).exit_code == 0
    with pytest.raises(NotSigned):
        send("m2", old)


def test_a_secret_is_printed_once_and_its_hint_afterwards(tv: Shell) -> None:
    made = tv("product", "secret", "add", "tv").stdout.strip()
    assert made.startswith("whsec_")
    listed = tv("product", "secret", "list", "tv").stdout
    assert made not in listed
    assert made[:10] in listed


def test_a_secret_that_billing_has_made_is_taken_and_not_repeated(
    tv: Shell, send: Send, tmp_path: Path
) -> None:
    theirs = new_secret()
    (tmp_path / "secret").write_text(f"{theirs}\n")
    result = tv("product", "secret", "add", "tv", "--from", str(tmp_path / "secret"))
    assert (result.exit_code, theirs in result.stdout + result.stderr) == (0, False)
    assert send("m1", theirs) == "applied"


@pytest.mark.parametrize("text", ["", "short", "two words of a secret", "whsec_\u00e4" + "a" * 30])
def test_what_is_no_secret_is_not_taken(tv: Shell, tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    assert tv("product", "secret", "add", "tv", "--from", str(tmp_path / "secret")).exit_code == 2
    assert len(tv.json("product", "secret", "list", "tv")) == 1


def test_the_last_secret_cannot_be_retired(tv: Shell) -> None:
    (only,) = tv.json("product", "secret", "list", "tv")
    result = tv("product", "secret", "retire", "tv", only["hint"])
    assert result.exit_code == 1
    assert "secret add" in result.stderr
    assert tv.json("product", "secret", "list", "tv") == [only]


@pytest.mark.parametrize("hint", ["whsec_", "", "whsec_????", "…"])
def test_a_hint_that_names_no_secret_retires_none(tv: Shell, hint: str) -> None:
    tv("product", "secret", "add", "tv")
    assert tv("product", "secret", "retire", "tv", hint).exit_code == 1
    assert len(tv.json("product", "secret", "list", "tv")) == 2


def test_no_more_secrets_than_a_rotation_needs(tv: Shell) -> None:
    for _ in range(3):
        assert tv("product", "secret", "add", "tv").exit_code == 0
    result = tv("product", "secret", "add", "tv")
    assert result.exit_code == 1
    assert "retire one" in result.stderr


def test_what_was_done_to_secrets_stands_in_the_history(tv: Shell, database: Database) -> None:
    (old,) = tv.json("product", "secret", "list", "tv")
    tv("product", "secret", "add", "tv", "--actor", "eve")
    tv("product", "secret", "retire", "tv", old["hint"], "--actor", "eve")
    found = rows(database, "select what, actor from history where what like 'secret%' order by id")
    assert found == [("secret_added", "cli:eve"), ("secret_retired", "cli:eve")]


# --- files as of a moment --------------------------------------------------------------------


def people(tv: Shell, plan: str) -> str:
    one = row("ada", plan=plan)
    return tv.file(f"{plan}.csv", ",".join(one), ",".join(one.values()))


def plan_of(database: Database) -> str:
    ((plan,),) = rows(database, "select plan from subscription")
    return str(plan)


def test_a_file_counts_as_told_at_its_moment(tv: Shell, database: Database) -> None:
    first = ("import", "subscriptions", "tv", people(tv, "new"), "--as-of", "2024-08-30T00:00:00Z")
    assert tv.json(*first)["applied"] == 1
    older = ("import", "subscriptions", "tv", people(tv, "old"), "--as-of", "2024-08-29T00:00:00Z")
    found = tv(*older)
    assert "known as of a later moment" in found.stderr
    assert "unchanged 1" in found.stdout
    assert plan_of(database) == "new"
    assert tv.json("import", "subscriptions", "tv", people(tv, "now"))["applied"] == 1
    assert plan_of(database) == "now"


@pytest.mark.parametrize(
    ("moment", "code"), [("2024-09-01T12:00:01Z", 1), ("2024-09-01", 2), ("soon", 2)]
)
def test_a_file_of_the_future_or_of_no_moment_is_refused(tv: Shell, moment: str, code: int) -> None:
    result = tv("import", "subscriptions", "tv", people(tv, "new"), "--as-of", moment)
    assert result.exit_code == code


@pytest.mark.parametrize(("days", "left"), [("7", [6]), ("30", [6, 8, 29]), ("1", [])])
def test_raw_bodies_are_kept_for_as_long_as_the_setting_says(
    tv: Shell, database: Database, monkeypatch: pytest.MonkeyPatch, days: str, left: list[int]
) -> None:
    for age in (6, 8, 29, 31):
        rows(
            database,
            "insert into inbox (product_id, source, message_id, received_at, state, body)"  # noqa: S608 - our own numbers
            f" select id, 'standard', '{age}', now() - interval '{age} days', 'applied', 'x'"
            " from product",
        )
    for name, value in (tv.environment | {"RECONFIRM_KEEP_BODIES_DAYS": days}).items():
        monkeypatch.setenv(name, value)
    with installed() as parts:
        tidy(parts)
    kept = rows(database, "select message_id::int from inbox where body is not null order by 1")
    assert [age for (age,) in kept] == left
