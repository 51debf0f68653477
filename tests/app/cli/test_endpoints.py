"""Endpoints and messages on the command line."""

import json
from collections.abc import Iterator

import pytest

from app.store.database import Database
from tests.app.cli.conftest import Shell
from tests.probe import rows
from tests.receiver import Receiver, nobody, receiving
from tests.world import YEAR

SUBSCRIPTIONS = (
    "id,email,locale,country,timezone,plan,amount,currency,interval,started_at,renews_at,status",
    "ada,ada@tv.example,en,GB,UTC,basic,999,GBP,month,2020-01-01T00:00:00Z,2024-09-20T00:00:00Z,active",
)
POLICY = json.dumps(YEAR | {"guards": {"max_newly_due_share": "100%"}})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def tv(shell: Shell) -> Shell:
    """Give a shell with a product."""
    shell("clock", "set", "2024-09-01T12:00:00Z")
    shell("product", "add", "tv", "--name", "Blue TV", "--billing", "standard")
    return shell


def added(shell: Shell, url: str, *options: str) -> tuple[str, str]:
    """Add an endpoint; give its number and its secret."""
    found = shell.json("endpoint", "add", "tv", url, *options)
    return str(found["id"]), found["signing_secret"]


def waits(database: Database, endpoint: str, state: str = "parked") -> str:
    """Write a message as the engine would; give its number."""
    found = rows(
        database,
        """insert into webhook (product_id, endpoint_id, message_id, type, subscription_id, body,
             happened_at, not_before, state, fence, tries, error)
           select product_id, id, 'msg_1', 'reconfirmation.asked', 1, '{}', created_at, created_at,
             :state, 0, 12, 'no connection' from endpoint where id = :endpoint returning id""",
        endpoint=int(endpoint),
        state=state,
    )
    return str(found[0][0])


# --- endpoints ---------------------------------------------------------------------------------


def test_the_secret_is_printed_once_and_not_listed(tv: Shell) -> None:
    printed = tv("endpoint", "add", "tv", "https://Hooks.Example.com")
    secret = next(word for word in printed.stdout.split() if word.startswith("whsec_"))
    for command in (("endpoint", "list", "tv"), ("endpoint", "list", "tv", "--json")):
        shown = tv(*command)
        assert secret not in shown.output
        assert "https://hooks.example.com/" in shown.stdout


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((), []),
        (("--type", "billing"), ["billing.*"]),
        (("--type", "billing.*"), ["billing.*"]),
        (
            ("--type", "erasure.*", "--type", "reconfirmation.kept"),
            ["erasure.*", "reconfirmation.kept"],
        ),
    ],
)
def test_an_endpoint_keeps_the_types_it_wants(
    tv: Shell, given: tuple[str, ...], kept: list[str]
) -> None:
    added(tv, "https://hooks.example/", *given)
    assert tv.json("endpoint", "list", "tv")[0]["types"] == kept


@pytest.mark.parametrize("kind", ["", "*", "reconfirmation.withdrawn", "billing.suspend", "x.*"])
def test_a_type_that_is_none_is_bad_usage(tv: Shell, kind: str) -> None:
    refused = tv("endpoint", "add", "tv", "https://hooks.example/", "--type", kind)
    assert (refused.exit_code, tv.json("endpoint", "list", "tv")) == (2, [])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/",
        "https://user:word@hooks.example/",
        "https://hooks.example:22/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
    ],
)
def test_an_address_that_will_never_do_is_refused(tv: Shell, url: str) -> None:
    refused = tv("endpoint", "add", "tv", url)
    assert (refused.exit_code, tv.json("endpoint", "list", "tv")) == (1, [])
    assert "word" not in refused.output


def test_outside_the_test_mode_there_is_no_http(tv: Shell) -> None:
    tv.environment["RECONFIRM_CLOCK"] = "system"
    assert tv("endpoint", "add", "tv", "http://127.0.0.1:9000/").exit_code == 1
    assert tv("endpoint", "add", "tv", "https://127.0.0.1:9000/").exit_code == 1


def test_commands_for_billing_go_to_one_endpoint(tv: Shell) -> None:
    number, _ = added(tv, "https://billing.example/", "--type", "billing")
    again = tv("endpoint", "add", "tv", "https://other.example/", "--type", "billing")
    assert (again.exit_code, f"retire tv {number}" in again.stderr) == (1, True)
    tv("endpoint", "retire", "tv", number)
    added(tv, "https://other.example/", "--type", "billing")


def test_the_sandbox_takes_no_commands_by_webhook(shell: Shell) -> None:
    shell("product", "add", "radio", "--name", "Radio")
    refused = shell("endpoint", "add", "radio", "https://b.example/", "--type", "billing")
    assert (refused.exit_code, "--billing standard" in refused.stderr) == (1, True)


def test_while_it_rotates_both_secrets_sign_and_then_only_the_new_one(
    tv: Shell, receiver: Receiver
) -> None:
    number, old = added(tv, receiver.url)
    new = tv.json("endpoint", "rotate", "tv", number)["signing_secret"]
    tv.json("webhook", "test", "tv", number)
    assert receiver.verified(old) == receiver.verified(new)
    tv.json("endpoint", "rotate", "tv", number, "--finish")
    receiver.got.clear()
    tv.json("webhook", "test", "tv", number)
    assert receiver.got[0].headers["webhook-signature"].count("v1,") == 1
    assert len(receiver.verified(new)) == 1


def test_rotating_goes_one_step_at_a_time(tv: Shell) -> None:
    number, _ = added(tv, "https://hooks.example/")
    assert tv("endpoint", "rotate", "tv", number, "--finish").exit_code == 1
    assert tv("endpoint", "rotate", "tv", number).exit_code == 0
    assert tv("endpoint", "rotate", "tv", number).exit_code == 1


@pytest.mark.parametrize("command", ["retire", "rotate"])
def test_an_endpoint_of_another_product_is_not_there(tv: Shell, command: str) -> None:
    number, _ = added(tv, "https://hooks.example/")
    tv("product", "add", "radio", "--name", "Radio")
    assert tv("endpoint", command, "radio", number).exit_code == 1
    assert tv.json("endpoint", "list", "tv")[0]["retired_at"] is None


def test_what_was_done_to_endpoints_is_in_history(tv: Shell, database: Database) -> None:
    number, _ = added(tv, "https://hooks.example/", "--actor", "jo")
    tv("endpoint", "rotate", "tv", number, "--actor", "jo")
    tv("endpoint", "retire", "tv", number, "--actor", "jo")
    found = rows(database, "select what, actor from history where what like 'endpoint%'")
    names = ("endpoint_added", "endpoint_rotated", "endpoint_retired")
    assert found == [(name, "cli:jo") for name in names]


# --- messages ----------------------------------------------------------------------------------


def test_an_endpoint_is_tried_out_with_a_signed_message(tv: Shell, receiver: Receiver) -> None:
    number, secret = added(tv, receiver.url)
    found = tv.json("webhook", "test", "tv", number)
    assert (found["arrived"], found["status"], found["error"]) == (True, 204, None)
    (said,) = receiver.verified(secret)
    assert (said["type"], said["timestamp"]) == ("webhook.test", "2024-09-01T12:00:00Z")
    assert receiver.got[0].id == found["message_id"]


@pytest.mark.parametrize(("status", "error"), [(302, "http 302"), (500, "http 500")])
def test_trying_out_says_what_came_back(
    tv: Shell, receiver: Receiver, status: int, error: str
) -> None:
    receiver.answers(status, location=receiver.url)
    number, _ = added(tv, receiver.url)
    result = tv("webhook", "test", "tv", number, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["status"], found["error"]) == (1, status, error)
    assert len(receiver.got) == 1


def test_trying_out_what_is_not_there_says_so(tv: Shell) -> None:
    number, _ = added(tv, f"http://127.0.0.1:{nobody()}/?token=hunter2")
    result = tv("webhook", "test", "tv", number)
    assert (result.exit_code, "no connection" in result.stdout) == (1, True)
    assert "hunter2" not in result.output


def test_messages_are_listed_by_state_and_shown_with_their_tries(
    tv: Shell, database: Database
) -> None:
    endpoint, _ = added(tv, "https://hooks.example/")
    number = waits(database, endpoint)
    rows(
        database,
        """insert into webhook_try (webhook_id, at, status, error, took_ms)
           select id, happened_at, 500, 'http 500', 12 from webhook""",
    )
    assert tv.json("webhook", "list", "tv", "--state", "delivered") == []
    (listed,) = tv.json("webhook", "list", "tv", "--state", "parked")
    assert (listed["id"], listed["message_id"], listed["tries"]) == (int(number), "msg_1", 12)
    shown = tv.json("webhook", "show", number)
    assert shown["tries"] == [
        {"at": "2024-09-01T12:00:00Z", "status": 500, "error": "http 500", "took_ms": 12}
    ]
    assert "http 500  12 ms" in tv("webhook", "show", number).stdout
    assert "no connection" in tv("webhook", "list", "tv").stdout


def test_a_parked_message_is_replayed(tv: Shell, database: Database) -> None:
    endpoint, _ = added(tv, "https://hooks.example/")
    number = waits(database, endpoint)
    assert tv.json("webhook", "replay", number) == {"replayed": 1}
    assert rows(database, "select state, tries from webhook") == [("pending", 0)]
    assert tv("webhook", "replay", number).exit_code == 1


def test_all_parked_messages_of_a_product_are_replayed(tv: Shell, database: Database) -> None:
    endpoint, _ = added(tv, "https://hooks.example/")
    waits(database, endpoint)
    tv("product", "add", "radio", "--name", "Radio")
    assert tv.json("webhook", "replay", "--parked", "radio") == {"replayed": 0}
    assert tv.json("webhook", "replay", "--parked", "tv") == {"replayed": 1}


def test_nothing_is_replayed_to_a_retired_endpoint(tv: Shell, database: Database) -> None:
    endpoint, _ = added(tv, "https://hooks.example/")
    number = waits(database, endpoint)
    tv("endpoint", "retire", "tv", endpoint)
    assert tv("webhook", "replay", number).exit_code == 1
    assert tv.json("webhook", "replay", "--parked", "tv") == {"replayed": 0}


@pytest.mark.parametrize("arguments", [(), ("1", "--parked", "tv")])
def test_replaying_wants_one_thing_to_replay(tv: Shell, arguments: tuple[str, ...]) -> None:
    assert tv("webhook", "replay", *arguments).exit_code == 2


@pytest.mark.parametrize("command", ["show", "replay"])
def test_a_message_that_is_not_there_is_said_to_be_missing(tv: Shell, command: str) -> None:
    missing = tv("webhook", command, "1")
    assert (missing.exit_code, "webhook list" in missing.stderr) == (1, True)


# --- the whole way -----------------------------------------------------------------------------


def silent(tv: Shell) -> None:
    """Have somebody asked, silent, and due to be suspended."""
    tv("product", "set", "tv", "from=hello@tv.example", "support_url=https://tv.example/help")
    tv("import", "subscriptions", "tv", tv.file("people.csv", *SUBSCRIPTIONS))
    tv("policy", "propose", "tv", tv.file("policy.json", POLICY))
    tv("policy", "activate", "tv", "1")
    for now, through in (("2024-09-01", "2024-08-31"), ("2024-10-03", "2024-10-02")):
        tv("clock", "set", f"{now}T12:00:00Z")
        usage = tv.file("usage.csv", "subscription,used_at", "other,2024-01-01")
        told = ("--covers-from", "2020-01-01", "--through", through)
        assert tv("import", "usage", "tv", usage, *told).exit_code == 0
        tv("sweep", "tv")
        if now == "2024-09-01":
            assert tv("deliver", "--until-idle").exit_code == 0


def test_a_product_on_standard_billing_is_told_to_suspend(tv: Shell, receiver: Receiver) -> None:
    _, secret = added(tv, receiver.url, "--type", "billing")
    silent(tv)
    delivered = tv("deliver", "--until-idle")
    assert delivered.exit_code == 0, delivered.output
    assert [said["type"] for said in receiver.verified(secret)] == ["billing.suspend"]
    assert receiver.told("ada") == ["billing.suspend"]
    assert tv.json("subject", "explain", "tv", "ada")["stage"] == "suspended"


def test_without_an_endpoint_for_commands_deliver_says_what_to_do(tv: Shell) -> None:
    silent(tv)
    refused = tv("deliver", "--until-idle")
    assert (refused.exit_code, "endpoint add tv URL --type billing" in refused.stderr) == (1, True)
