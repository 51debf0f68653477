"""What the doctor finds of a policy that waits for a person."""

import json

from tests.app.cli.conftest import HEADER, Shell, line

METERED = {"on_no_answer": "suspend", "never_used_after": "P1Y"}


def findings(shell: Shell) -> dict[str, str]:
    """Give what the doctor says of what is not well, by what it is about."""
    found = json.loads(shell("doctor", "--json").stdout)
    return {each["what"]: f"{each['says']}: {each['mend']}" for each in found if not each["well"]}


def test_a_list_that_nobody_has_approved(tv: Shell) -> None:
    tv("product", "set", "tv", "approvals=2")
    people = (line(f"p{each}") for each in range(30))
    tv("import", "subscriptions", "tv", tv.file("p.csv", HEADER, *people))
    use = tv.file("u.csv", "subscription,used_at")
    tv("import", "usage", "tv", use, "--covers-from", "2020-01-01", "--through", "2024-08-31")
    tv("policy", "propose", "tv", tv.file("p.json", json.dumps(METERED)), "--actor", "ann")
    tv("policy", "approve", "tv", "1", "--actor", "bob")
    tv("policy", "activate", "tv", "1", "--actor", "ann")
    assert "list of tv" not in findings(tv)
    swept = tv("sweep", "tv")
    assert "30 people would be asked at once" in swept.stderr
    says = findings(tv)["list of tv"]
    assert "30 people are on a list that nobody has approved" in says
    assert "reconfirm policy list show tv 1" in says
    made = tv.json("policy", "list", "show", "tv", "1")
    tv("policy", "list", "approve", "tv", "1", "--hash", made["hash"], "--actor", "bob")
    assert "list of tv" not in findings(tv)
    assert tv.json("sweep", "tv")["products"][0]["counts"] == {"asked": 10}


def test_a_version_that_could_not_be_put_in_force_at_its_time(running: Shell) -> None:
    shorter = {"never_used_after": "P6M"}
    running("product", "set", "tv", "approvals=2")
    running("policy", "propose", "tv", running.file("2.json", json.dumps(shorter)), "--actor", "a")
    running("policy", "approve", "tv", "2", "--actor", "b")
    running("policy", "activate", "tv", "2", "--at", "2024-09-02T12:00:00Z", "--actor", "b")
    assert "policy of tv" not in findings(running)
    running("clock", "advance", "PT1H")
    other = running.file("3.json", json.dumps({"never_used_after": "P9M"}))
    running("policy", "propose", "tv", other, "--actor", "a")
    running("policy", "approve", "tv", "3", "--actor", "b")
    running("policy", "activate", "tv", "3", "--actor", "b")
    running("clock", "advance", "P2D")
    assert running.json("policy", "show", "tv")["version"] == 3
    says = findings(running)["policy of tv"]
    assert "version 2 could not be put in force at its time: not_approved" in says
    assert "reconfirm policy activate tv 2, or withdraw it" in says
    running("policy", "withdraw", "tv", "2")
    assert "policy of tv" not in findings(running)
