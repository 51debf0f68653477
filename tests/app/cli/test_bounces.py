"""Bounces as a mail server hands them over: what it is told to do with the mail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner, Result

from app.cli.bounces import TRY_AGAIN
from app.engine import door
from app.links import Links
from app.store.database import Database
from tests.app.cli.conftest import HEADER, KEY, Shell, _entry, line
from tests.app.world.returns.build import absence, complaint, nothing_at_all, report
from tests.probe import rows

LINKS = Links([KEY], "http://x")
Hand = Callable[..., Result]


@pytest.fixture
def ada(tv: Shell, database: Database) -> str:
    """Give the Message-ID of a notice to Ada."""
    tv("import", "subscriptions", "tv", tv.file("p.csv", HEADER, line("ada")))
    ((sid,),) = rows(database, "select id from subscription")
    return f"<{LINKS.notice_id(sid, 1, 'ask', 1)}@tv.example>"


@pytest.fixture
def hand(shell: Shell) -> Hand:
    """Give what hands a message to the command on standard input."""

    def handing(raw: bytes, *options: str, **changes: str) -> Result:
        environment = shell.environment | changes
        return CliRunner(env=environment).invoke(_entry, ["bounces", "-", *options], input=raw)

    return handing


def reach(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "select reach from contact")


def test_a_bounce_on_standard_input_is_applied(hand: Hand, ada: str, database: Database) -> None:
    done = hand(report(notice=ada), "--product", "tv", "--json")
    assert done.exit_code == 0, done.output
    assert '"applied": 1' in done.stdout
    assert reach(database) == [("bounced",)]
    assert rows(database, "select actor from suppression") == rows(
        database, "select actor from history where why = 'bounced'"
    )


@pytest.mark.parametrize(
    "raw", [absence(), nothing_at_all(), b"", b"\0\xff", report(), complaint(), b"x" * 900_000]
)
def test_what_means_nothing_is_taken_all_the_same(
    hand: Hand, ada: str, database: Database, raw: bytes
) -> None:
    assert ada
    assert hand(raw).exit_code == 0
    assert reach(database) == [("ok",)]


def test_a_mail_that_cannot_be_applied_now_is_kept_by_the_mail_server(
    hand: Hand, ada: str, database: Database
) -> None:
    raw = report(notice=ada)
    away = "postgresql://nobody:secret@127.0.0.1:1/none"
    assert hand(raw, RECONFIRM_DATABASE_URL=away).exit_code == TRY_AGAIN
    assert hand(raw, RECONFIRM_SECRET_KEYS="short").exit_code == TRY_AGAIN
    assert hand(raw, "--product", "nothing").exit_code == TRY_AGAIN
    with mock.patch.object(door, "step", side_effect=ZeroDivisionError("ada@x.example")):
        done = hand(raw)
    assert (done.exit_code, "x.example" in done.output) == (TRY_AGAIN, False)
    with mock.patch.object(door.Batch, "flush", side_effect=ValueError("ada@x.example")):
        done = hand(raw)
    assert (done.exit_code, "x.example" in done.output) == (TRY_AGAIN, False)
    assert reach(database) == [("ok",)]
    assert hand(raw).exit_code == 0
    assert reach(database) == [("bounced",)]


def test_a_maildir_is_read_and_a_folder_that_is_none_is_refused(
    tv: Shell, ada: str, tmp_path: Path
) -> None:
    assert tv("bounces", str(tmp_path)).exit_code == 2
    (tmp_path / "box" / "new").mkdir(parents=True)
    (tmp_path / "box" / "new" / "1").write_bytes(absence(ada))
    (tmp_path / "box" / "new" / "2").write_bytes(report(notice=ada))
    found = tv.json("bounces", str(tmp_path / "box"))
    assert found == {
        "read": 2,
        "results": {"applied": 1, "automatic": 1},
        "passed_over": [{"message": 1, "reason": "automatic"}],
    }


def test_one_refused_message_does_not_stop_the_others(tv: Shell, ada: str) -> None:
    start = b"From mx Fri Sep  6 10:00:00 2024\n"
    parts = [b"x" * 600_000, report(notice=ada), b"Content-Type: multipart/x; boundary=" * 99]
    path = tv.folder / "box"
    path.write_bytes(b"\n\n".join(start + each for each in parts))
    found = tv.json("bounces", str(path))
    assert found["results"] == {
        "applied": 1,
        "refused: nested_too_deep": 1,
        "refused: too_large": 1,
    }


def test_the_list_shows_hashes_reasons_and_dates(tv: Shell) -> None:
    path = tv.file("list", "ada@x.example", "ADA@x.example", "bob@x.example")
    found = tv.json("suppression", "add", "tv", path, "--actor", "kim")
    assert found == {"read": 3, "added": 2, "unchanged": 1, "rejected": 0}
    listed = tv.json("suppression", "list", "tv")
    assert {(each["reason"], each["actor"]) for each in listed} == {("by_hand", "cli:kim")}
    assert tv.json("suppression", "add", "tv", path)["added"] == 0
    assert tv.json("suppression", "remove", "tv", "bob@X.example")["removed"]
    assert len(tv.json("suppression", "list", "tv")) == 1
    assert tv("suppression", "list", "nothing").exit_code == 1


def test_a_key_for_feedback_brings_no_usage(tv: Shell) -> None:
    assert tv.json("apikey", "create", "tv", "--scope", "feedback")["scope"] == "feedback"
    assert tv("apikey", "create", "tv", "--scope", "feedback", "--feed", "app").exit_code == 2
