"""Auditing, certificates and a restored backup from the command line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from app import certificates
from app.certificates import Proof
from app.links import Links
from app.store.database import Database
from tests.app.cli.conftest import KEY, Shell
from tests.drill import copied, erased
from tests.probe import rows
from tests.world import START, MovableClock, Town

PROOF = Proof("er_0123456789", "tv", "Blue TV", "request", START, START, ("contact",))


# --- the history -------------------------------------------------------------------------------


def test_the_history_is_verified_and_a_change_is_named(running: Shell, database: Database) -> None:
    running("sweep", "tv")
    head = str(running.folder / "heads.json")
    assert running("audit", "head", "--out", head).exit_code == 0
    well = running.json("audit", "verify", "--head", head)
    assert well["well"]
    assert {each["product"] for each in well["chains"]} >= {"tv"}
    assert running("audit", "verify", "tv").stdout.startswith("ok    tv: ")

    rows(database, "update history set actor = 'cli:max' where what = 'asked'")
    for arguments in (("tv",), ("tv", "--head", head), ()):
        found = running("audit", "verify", *arguments)
        assert found.exit_code == 1
        assert "FAIL  tv: entry" in found.stdout
        assert "is not what was sealed" in found.stdout
    told = running("audit", "verify", "--json")
    assert (told.exit_code, json.loads(told.stdout)["well"]) == (1, False)


def test_a_history_cut_short_is_found_by_the_exported_head(
    running: Shell, database: Database
) -> None:
    head = running.file("heads.json", running("audit", "head").stdout)
    for table in ("sealed", "seal", "sealing"):
        rows(database, f"delete from {table}")  # noqa: S608 - our own names
    rows(
        database,
        "delete from history where id = (select max(id) from history where product_id > 0)",
    )
    running("audit", "head", "--out", str(running.folder / "other.json"))
    assert running("audit", "verify").exit_code == 0
    found = running("audit", "verify", "--head", head)
    assert found.exit_code == 1
    assert "it ends before" in found.stdout


def test_heads_that_others_signed_or_changed_are_refused(running: Shell) -> None:
    document = json.loads(running("audit", "head").stdout)
    document["heads"]["chains"] = []
    forged = running.file("heads.json", json.dumps(document))
    found = running("audit", "verify", "--head", forged)
    assert found.exit_code == 1
    assert "the signature does not fit the heads" in found.stderr


def test_where_nothing_is_sealed_that_is_said(tv: Shell) -> None:
    assert "nothing is sealed yet" in tv("audit", "verify").stdout
    assert "there is no product" in tv("audit", "verify", "radio").stderr


# --- certificates ------------------------------------------------------------------------------


@pytest.fixture
def offline(shell: Shell) -> Shell:
    """Give the command where there is no database."""
    nowhere = shell.environment | {"RECONFIRM_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    return Shell(shell.folder, nowhere)


def issued(shell: Shell, key: str = KEY) -> str:
    return shell.file("certificate.json", json.dumps(certificates.make(PROOF, [key])))


def test_a_certificate_is_verified_without_a_database(offline: Shell) -> None:
    file = issued(offline)
    assert offline("certificate", "verify", file).stdout.startswith(
        "genuine: erasure er_0123456789"
    )
    told = offline.json("certificate", "verify", file)
    assert told["certificate"]["product_name"] == "Blue TV"


def test_it_is_verified_elsewhere_with_the_published_key(offline: Shell) -> None:
    file, keys = issued(offline), offline.file("keys.json", offline("certificate", "key").stdout)
    other = Shell(offline.folder, {**offline.environment, "RECONFIRM_SECRET_KEYS": "x" * 40})
    assert other("certificate", "verify", file, "--key", keys).exit_code == 0
    refused = other("certificate", "verify", file)
    assert refused.exit_code == 1
    assert "key: " in refused.stderr
    assert "is not one of those trusted here" in refused.stderr


def test_what_is_wrong_with_it_is_said(offline: Shell) -> None:
    document = certificates.make(PROOF, [KEY])
    document["certificate"]["cause"] = "schedule"
    refused = offline("certificate", "verify", offline.file("c.json", json.dumps(document)))
    assert refused.exit_code == 1
    assert "content: the signature does not fit the certificate" in refused.stderr
    foreign = offline("certificate", "verify", issued(offline, "f" * 40))
    assert (foreign.exit_code, "is not one of those trusted" in foreign.stderr) == (1, True)
    assert offline("certificate", "verify", offline.file("d.json", "x")).exit_code == 1
    assert offline("certificate", "verify", "nowhere.json").exit_code == 2


def test_a_certificate_is_shown_as_it_was_signed(running: Shell, database: Database) -> None:
    document = certificates.make(PROOF, [KEY])
    with database.transaction() as connection:
        connection.execute(text("set local role reconfirm_eraser"))
        connection.execute(
            text(
                "insert into erasure (id, product_id, subscription_id, round, cause, begun_at,"
                " begun_by, ended_at, certificate) select 'er_0123456789', product_id, id, 1,"
                " 'request', now(), 'subscriber', now(), cast(:c as jsonb) from subscription"
                " where external_id = 'ada'"
            ),
            {"c": json.dumps(document)},
        )
    assert json.loads(running("certificate", "show", "tv", "er_0123456789").stdout) == document
    out = str(running.folder / "out.json")
    assert running("certificate", "show", "tv", "er_0123456789", "--out", out).exit_code == 0
    assert running("certificate", "verify", out).exit_code == 0
    assert "no certificate" in running("certificate", "show", "tv", "er_other").stderr


# --- a restored backup -------------------------------------------------------------------------


@pytest.fixture
def restored(running: Shell, database: Database) -> Iterator[tuple[Shell, Path]]:
    """Give the command on a database restored from before Ada was erased."""
    ledger = running.folder / "erasures.ledger"
    shell = replace(
        running, environment=running.environment | {"RECONFIRM_ERASURE_LEDGER": str(ledger)}
    )
    assert shell("sweep", "tv").exit_code == 0
    backup = copied(database, "spine_restored")
    town = Town(database, MovableClock(), Links([KEY], "http://127.0.0.1:8080"))
    erased(town, "ada", "er_ada_0001", ledger)
    environment = shell.environment | {"RECONFIRM_DATABASE_URL": backup.url}
    yield replace(shell, environment=environment), ledger
    backup.close()


def test_nothing_works_on_a_restored_backup_before_it_is_put_right(
    restored: tuple[Shell, Path],
) -> None:
    shell, ledger = restored
    for command in (
        ("sweep", "tv"),
        ("deliver",),
        ("clock", "advance", "P1D"),
        ("web",),
        ("worker",),
        ("scheduler",),
        ("up",),
    ):
        found = shell(*command)
        assert found.exit_code == 1, command
        assert f"reconfirm restore-check --ledger {ledger}" in found.stderr, command
    assert "FAIL  backup: " in shell("doctor").stdout
    # What only looks is let in.
    assert shell("subject", "explain", "tv", "ada").exit_code == 0


def test_restore_check_says_what_it_would_do_and_does_it_once(
    restored: tuple[Shell, Path],
) -> None:
    shell, _ = restored
    looked = shell("restore-check")
    assert looked.exit_code == 1
    assert "1 subscriptions to erase again" in looked.stdout
    assert "nothing was changed; --yes does it" in looked.stderr
    assert shell("sweep", "tv").exit_code == 1

    done = shell.json("restore-check", "--yes")
    assert (done["why"], done["again"], done["brakes"], done["done"]) == ("ahead", 1, 1, True)
    assert done["parked"] == 1
    assert shell("sweep", "tv").exit_code == 0
    delivered = shell("deliver")
    assert delivered.exit_code == 0
    assert not list((shell.folder / "mail").glob("**/*ada*"))
    assert "brake" in shell("doctor").stdout
    again = shell("restore-check", "--yes")
    assert (again.exit_code, again.stdout.startswith("well: ")) == (0, True)
    assert "erased" in shell("subject", "explain", "tv", "ada").stdout


def test_without_a_ledger_it_has_to_be_said(running: Shell) -> None:
    refused = running("restore-check")
    assert (refused.exit_code, "--without-ledger" in refused.stderr) == (1, True)
    assert running("restore-check", "--without-ledger").stdout.startswith("well: ")
    missing = running("restore-check", "--ledger", str(running.folder / "lost"))
    assert (missing.exit_code, "there is no ledger" in missing.stderr) == (1, True)


def test_the_ledger_is_exported(restored: tuple[Shell, Path], database: Database) -> None:
    shell, ledger = restored
    whole = replace(shell, environment=shell.environment | {"RECONFIRM_DATABASE_URL": database.url})
    ledger.unlink()
    assert whole.json("restore-check", "--export") == {"exported": 1}
    assert whole.json("restore-check", "--export") == {"exported": 0}
    assert shell("restore-check", "--export").exit_code == 1
