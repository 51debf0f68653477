"""What billing can do, on the command line: refused at once, and said by doctor and explain."""

import json

import pytest
from sqlalchemy import text

from app.store.database import Database
from tests.app.cli.conftest import HEADER, Shell, line

SUSPEND = {"on_no_answer": "suspend", "never_used_after": "P1Y", "unused_after": "P1Y"}
CANCEL = SUSPEND | {"on_no_answer": "cancel_at_period_end"}


@pytest.fixture
def radio(shell: Shell) -> Shell:
    """Give a product on `standard` with a subscriber, and a feed that has spoken."""
    shell("clock", "set", "2024-09-01T12:00:00Z")
    shell("product", "add", "radio", "--name", "Red Radio", "--billing", "standard")
    shell(
        "product", "set", "radio", "from=hello@radio.example", "support_url=https://radio.example"
    )
    shell("import", "subscriptions", "radio", shell.file("p.csv", HEADER, line("ada")))
    use = shell.file("u.csv", "subscription,used_at")
    shell("import", "usage", "radio", use, "--covers-from", "2020-01-01", "--through", "2024-08-31")
    return shell


def propose(shell: Shell, policy: dict[str, str]) -> tuple[int, str]:
    result = shell("policy", "propose", "radio", shell.file("policy.json", json.dumps(policy)))
    return result.exit_code, result.output


def doctor(shell: Shell) -> dict[str, str]:
    found = json.loads(shell("doctor", "--json").stdout)
    return {each["what"]: f"{each['says']}; {each['mend']}" for each in found if not each["well"]}


def test_a_policy_that_billing_cannot_follow_is_refused_when_it_is_proposed(radio: Shell) -> None:
    radio("product", "set", "radio", "billing.can=cancel")
    code, says = propose(radio, SUSPEND)
    assert code == 1
    assert "on_no_answer: is not what billing can do: standard cannot pause" in says
    assert "write on_no_answer: cancel_at_period_end or nothing" in says
    assert "reconfirm product set radio billing.can=pause,cancel" in says
    assert radio.json("policy", "show", "radio")["versions"] == []
    assert propose(radio, CANCEL)[0] == 0


def test_what_billing_lost_in_between_is_refused_when_it_is_activated(radio: Shell) -> None:
    assert propose(radio, SUSPEND)[0] == 0
    radio("product", "set", "radio", "billing.can=cancel")
    result = radio("policy", "activate", "radio", "1")
    assert (result.exit_code, "standard cannot pause" in result.output) == (1, True)
    assert radio.json("policy", "show", "radio")["version"] is None


def test_what_billing_lost_afterwards_is_said_by_doctor_sweep_and_explain(radio: Shell) -> None:
    propose(radio, SUSPEND)
    radio("policy", "activate", "radio", "1")
    assert "billing of radio" not in doctor(radio)
    warned = radio("product", "set", "radio", "billing.can=nothing")
    assert "policy 1 is in force and promises what standard cannot do: suspend" in warned.stderr
    says = doctor(radio)["billing of radio"]
    assert "standard cannot suspend, and the policy in force promises it" in says
    assert "write on_no_answer: nothing, or, if it can" in says
    assert "billing_cannot" in radio("sweep", "radio").stderr
    explained = radio.json("subject", "explain", "radio", "ada")
    assert any("cannot suspend" in each for each in explained["blocked_by"])
    assert "brake lifts itself" in radio("brake").output


def test_rounds_that_are_held_are_counted_by_the_doctor(radio: Shell) -> None:
    propose(radio, SUSPEND)
    radio("policy", "activate", "radio", "1")
    radio("sweep", "radio")
    radio("deliver", "--until-idle")
    radio("product", "set", "radio", "billing.can=cancel")
    propose(radio, CANCEL)
    radio("policy", "activate", "radio", "2")
    assert "billing of radio" not in doctor(radio)
    radio("clock", "set", "2024-10-05T12:00:00Z")
    assert "1 rounds are held" in doctor(radio)["billing of radio"]


def test_what_was_never_confirmed_is_named_by_the_doctor(radio: Shell, database: Database) -> None:
    propose(radio, SUSPEND)
    radio("policy", "activate", "radio", "1")
    radio("sweep", "radio")
    with database.transaction() as connection:
        connection.execute(
            text(
                """update reconfirmation set stage = 'suspended', decided_by = 'silence',
                     decided_at = timestamptz '2024-09-01 12:00Z'"""
            )
        )
    assert "billing of radio" not in doctor(radio)
    radio("clock", "set", "2024-09-03T12:00:00Z")
    says = doctor(radio)["billing of radio"]
    assert "1 acts taken and not confirmed for two days: suspend of ada" in says
    assert "let it send subscription.paused" in says
