"""Targets on the command line."""

import json
from collections.abc import Iterator

import pytest

from app.store.database import Database
from tests.app.cli.conftest import HEADER, Shell, line
from tests.app.cli.test_doctor import findings
from tests.app.world.erasure.harness import another_database
from tests.probe import rows
from tests.receiver import Receiver, receiving

CRM = ("--kind", "webhook", "--category", "profile", "--category", "tickets")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def owes(database: Database, state: str = "parked") -> str:
    """Have the target crm owe a receipt for an erasure, whose id is given."""
    rows(
        database,
        """insert into reconfirmation (subscription_id, number, product_id, latest, stage, why,
             opened_at, version, reminded, quiet, act_version, erasing)
           select s.id, 1, s.product_id, true, 'erasing', 'unused', p.created_at, 1, 0, false, 0,
             'telling' from subscription s join product p on p.id = s.product_id
           where s.external_id = 'ada'""",
    )
    rows(
        database,
        """insert into erasure (id, product_id, subscription_id, round, cause, begun_at, begun_by)
           select 'era_1', product_id, subscription_id, 1, 'request', opened_at, 'eraser'
           from reconfirmation""",
    )
    rows(
        database,
        """insert into receipt (erasure_id, target_id, product_id, last, state, not_before, error)
           select e.id, t.id, e.product_id, false, :state, e.begun_at, 'http 410'
           from erasure e, target t""",
        state=state,
    )
    return "era_1"


def test_the_secret_is_printed_once_and_not_listed(tv: Shell) -> None:
    printed = tv("target", "add", "tv", "crm", *CRM, "--url", "https://Crm.Example.com")
    secret = next(word for word in printed.stdout.split() if word.startswith("whsec_"))
    for command in (("target", "list", "tv"), ("target", "list", "tv", "--json")):
        assert secret not in tv(*command).output
    (found,) = tv.json("target", "list", "tv")
    assert (found["key"], found["categories"]) == ("crm", ["profile", "tickets"])
    assert found["settings"] == {"url": "https://crm.example.com/"}
    assert not found["rotating"]
    turned = tv("target", "rotate", "tv", "crm").stdout
    assert secret not in turned
    assert tv.json("target", "list", "tv")[0]["rotating"]
    assert tv("target", "rotate", "tv", "crm").exit_code == 1
    assert tv("target", "rotate", "tv", "crm", "--finish").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("Crm", *CRM, "--url", "https://x.example"), "no key of a target"),
        (("crm", "--kind", "webhook", "--url", "https://x.example"), "needs the categories"),
        (("crm", *CRM), "settings are missing: url"),
        (("crm", *CRM, "--url", "http://10.0.0.1/"), "private network"),
        (("crm", *CRM, "--url", "https://a:b@x.example/"), "must not hold a login"),
        (("crm", *CRM, "--url", "https://x.example", "--setting", "x=1"), "no setting 'x'"),
        (("crm", *CRM, "--url", "https://x.example", "--setting", "email=maybe"), "yes or no"),
        (("crm", "--kind", "webhook", "--category", "My Data", "--url", "https://x.example"),
         "no name of a category"),
        (("it", "--kind", "sandbox", "--category", "profile"), "accounts for account, charges"),
        (("it", "--kind", "sql", "--category", "x", "--setting", "database_file=x"),
         "settings are missing: tables"),
        (("it", "--kind", "sql", "--category", "x", "--setting", "database_file=x",
          "--setting", 'tables=[{"table": "x;"}]'), "entry 1"),
    ],
)  # fmt: skip
def test_what_is_not_usable_is_refused_and_nothing_is_added(
    tv: Shell, arguments: tuple[str, ...], says: str
) -> None:
    refused = tv("target", "add", "tv", *arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert says in refused.stderr
    assert tv.json("target", "list", "tv") == []


def test_a_key_is_taken_once(tv: Shell) -> None:
    tv("target", "add", "tv", "it", "--kind", "sandbox")
    assert (
        "has a target 'it' already" in tv("target", "add", "tv", "it", "--kind", "sandbox").stderr
    )
    assert tv("target", "retire", "tv", "it").exit_code == 0
    assert tv("target", "add", "tv", "it", "--kind", "sandbox").exit_code == 0
    states = [bool(each["retired_at"]) for each in tv.json("target", "list", "tv")]
    assert states == [True, False]


def test_a_trial_reaches_it_and_is_forgotten_when_a_setting_changes(
    running: Shell, receiver: Receiver
) -> None:
    running("target", "add", "tv", "crm", *CRM, "--url", receiver.url)
    tried = running("target", "try", "tv", "crm")
    assert tried.exit_code == 0, tried.output
    (got,) = receiver.got
    assert (got.said["type"], "ada" in got.body.decode()) == ("erasure.test", False)
    assert running.json("target", "list", "tv")[0]["tried_at"] is not None
    running("target", "set", "tv", "crm", "--setting", "email=yes")
    (found,) = running.json("target", "list", "tv")
    assert (found["tried_at"], found["settings"]["email"]) == (None, "yes")
    receiver.answers(500)
    failed = running("target", "try", "tv", "crm")
    assert (failed.exit_code, "http 500" in failed.stderr) == (1, True)
    assert running.json("target", "list", "tv")[0]["tried_at"] is None


def test_a_database_is_tried_before_it_may_erase(running: Shell, database: Database) -> None:
    with another_database(f"{database.engine.url.database}_lake") as address:
        file = running.file("address", address)
        tables = [
            {"category": "x", "table": "pg_settings_of_ours", "column": "who",
             "holds": "subscription", "action": "delete"}
        ]  # fmt: skip
        listed = running.file("tables.json", json.dumps(tables))
        added = running(
            "target", "add", "tv", "lake", "--kind", "sql", "--category", "x",
            "--setting", f"database_file={file}", "--setting", f"tables=@{listed}",
        )  # fmt: skip
        assert added.exit_code == 0, added.output
        assert "whsec_" not in added.output
        assert "not tried" in findings(running)["targets of tv"]
        failed = running("target", "try", "tv", "lake", "--subscription", "ada")
        assert "sql 42p01" in failed.stderr
        assert address not in failed.output
        assert "not tried" in findings(running)["targets of tv"]


def test_nobody_can_be_tried_on_who_is_not_there(tv: Shell) -> None:
    tv("target", "add", "tv", "it", "--kind", "sandbox")
    assert "no such subscription" in tv("target", "try", "tv", "it").stderr


def test_what_is_owed_is_listed_retried_and_answered(running: Shell, database: Database) -> None:
    running("target", "add", "tv", "crm", *CRM, "--url", "https://crm.example/")
    erasure = owes(database)
    (entry,) = running.json("target", "owes", "tv")
    assert (entry["erasure_id"], entry["state"], entry["error"]) == (erasure, "parked", "http 410")
    assert "1 receipts wait for a person" in findings(running)["targets of tv"]
    kept = running("target", "retire", "tv", "crm")
    assert (kept.exit_code, "owes 1 receipts" in kept.stderr) == (1, True)
    changed = running("target", "set", "tv", "crm", "--category", "other")
    assert (changed.exit_code, "cannot change" in changed.stderr) == (1, True)
    assert running.json("target", "retry", "tv", "crm") == {"retried": 1}
    assert running.json("target", "owes", "tv", "--state", "due")[0]["error"] is None
    lacks = running("target", "answer", "tv", "crm", erasure, "--erased", "profile")
    assert (lacks.exit_code, "says nothing of tickets" in lacks.stderr) == (1, True)
    given = running(
        "target", "answer", "tv", "crm", erasure, "--erased", "profile",
        "--kept", "tickets:legal_claim:2030-01-01", "--actor", "ann",
    )  # fmt: skip
    assert given.exit_code == 0, given.output
    assert running.json("target", "owes", "tv") == []
    lines = "select what, why, actor from history where what like 'receipt%' order by id"
    assert [tuple(each) for each in rows(database, lines)][-1] == (
        "receipt_given",
        "crm",
        "cli:ann",
    )
    assert running("target", "retire", "tv", "crm").exit_code == 0


def test_the_doctor_says_that_nobody_else_is_told(tv: Shell) -> None:
    tv("import", "subscriptions", "tv", tv.file("p.csv", HEADER, line("ada")))
    policy = {"on_no_answer": "suspend", "never_used_after": "P1Y", "erase_after": "P10M"}
    tv("policy", "propose", "tv", tv.file("policy.json", json.dumps(policy)))
    tv("policy", "activate", "tv", "1")
    said = json.loads(tv("doctor", "--json").stdout)
    (found,) = [each for each in said if each["what"] == "targets of tv"]
    assert found["well"]
    assert "only our own data is erased" in found["says"]
