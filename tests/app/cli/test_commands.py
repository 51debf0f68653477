from collections.abc import Callable
from pathlib import Path

import pytest

from app import guards
from app.store import products
from app.store.database import Database
from tests.app.cli.conftest import Shell
from tests.world import START


def test_adding_a_product_prints_its_address_and_a_secret_once(shell: Shell) -> None:
    found = shell.json("product", "add", "tv", "--name", "Blue TV")
    assert found["webhook"].endswith("/webhooks/tv/standard")
    assert found["signing_secret"].startswith("whsec_")
    assert "whsec_" not in shell("product", "list").output


def test_a_key_that_is_taken_is_refused(tv: Shell) -> None:
    result = tv("product", "add", "tv", "--name", "Again")
    assert (result.exit_code, "another key" in result.stderr) == (1, True)


@pytest.mark.parametrize("value", ["from=nobody", "timezone=Mars/Olympus", "colour=red", "x"])
def test_a_setting_that_cannot_be_used_is_bad_usage(tv: Shell, value: str) -> None:
    assert tv("product", "set", "tv", value).exit_code == 2


def test_a_sweep_asks_who_stopped_using_it_and_nobody_else(running: Shell) -> None:
    (found,) = running.json("sweep", "tv")["products"]
    assert found["counts"] == {"asked": 1}
    assert running.json("subject", "explain", "tv", "ada")["stage"] == "asked"
    assert running.json("subject", "explain", "tv", "ben")["stage"] == "active"


def test_a_dry_run_names_who_and_why_and_changes_nothing(
    running: Shell, rows_of: Callable[[str], int]
) -> None:
    (found,) = running.json("sweep", "tv", "--dry-run")["products"]
    assert found["people"] == [{"subscription": "ada", "would_be": "asked", "why": "never_used"}]
    assert (rows_of("reconfirmation"), rows_of("outbox")) == (0, 0)
    assert found["erased"] == {"people": [], "left_out": {}, "stopped": None}
    assert "would be on a manifest: 0" in running("sweep", "tv", "--dry-run").stdout
    assert "erased" not in running.json("sweep", "tv")["products"][0]


def test_without_a_policy_nobody_is_asked_and_the_sweep_says_so(tv: Shell) -> None:
    assert "no policy is in force" in tv("sweep", "tv").stderr


def test_without_a_feed_nobody_is_asked_and_the_sweep_says_so(tv: Shell) -> None:
    tv("policy", "propose", "tv", tv.file("p.json", '{"on_no_answer": "suspend"}'))
    tv("policy", "activate", "tv", "1")
    assert "no feed has spoken" in tv("sweep", "tv").stderr


def test_deliver_hands_the_mail_over_in_the_daytime(running: Shell, tmp_path: Path) -> None:
    running("sweep", "tv")
    assert running.json("deliver", "--until-idle") == {"notice.ask done": 1}
    assert len(list((tmp_path / "mail" / "new").iterdir())) == 1


def test_a_relay_that_is_down_is_named_by_the_doctor_and_loses_nothing(running: Shell) -> None:
    running("sweep", "tv")
    down = Shell(running.folder, running.environment | {"RECONFIRM_SMTP_URL": "smtp://127.0.0.1:9"})
    assert down.json("deliver") == {"notice.ask later": 1}
    result = down("doctor")
    assert result.exit_code == 1
    assert "connection refused" in result.output


def test_the_brake_stops_asking_and_lets_go_again(running: Shell) -> None:
    running("brake", "on", "tv", "--why", "drill")
    assert "the brake is on" in running("sweep", "tv").stderr
    running("brake", "off", "tv", "--why", "over")
    assert running.json("sweep", "tv")["products"][0]["counts"] == {"asked": 1}


def test_the_reason_for_a_brake_must_not_hold_a_card_number(running: Shell) -> None:
    result = running("brake", "on", "tv", "--why", "card 4111111111111111 complained")
    assert (result.exit_code, "card number" in result.stderr) == (1, True)


def test_a_policy_that_is_wrong_is_refused_with_every_field(tv: Shell) -> None:
    wrong = tv.file("p.json", '{"unused_after": "P0D", "colour": "red"}')
    result = tv("policy", "propose", "tv", wrong)
    assert result.exit_code == 1
    for field in ("on_no_answer", "unused_after", "colour"):
        assert field in result.stderr


def test_a_policy_that_is_not_json_is_refused(tv: Shell) -> None:
    result = tv("policy", "propose", "tv", tv.file("p.json", "{"))
    assert (result.exit_code, "not JSON" in result.stderr) == (1, True)


def test_two_people_where_the_product_asks_for_two(tv: Shell) -> None:
    tv("product", "set", "tv", "approvals=2")
    policy = tv.file("p.json", '{"on_no_answer": "suspend"}')
    tv("policy", "propose", "tv", policy, "--actor", "ann")
    alone = tv("policy", "approve", "tv", "1", "--actor", "ann")
    assert alone.exit_code == 1
    assert "you proposed version 1 yourself" in alone.stderr
    assert tv("policy", "activate", "tv", "1", "--actor", "ann").exit_code == 1
    tv("policy", "approve", "tv", "1", "--actor", "bob")
    assert tv("policy", "activate", "tv", "1", "--actor", "ann").exit_code == 0


def test_an_api_key_is_shown_once_and_can_be_revoked(tv: Shell) -> None:
    made = tv.json("apikey", "create", "tv", "--scope", "usage", "--feed", "app")
    assert made["key"] not in tv("apikey", "list", "tv").output
    assert tv("apikey", "revoke", "tv", str(made["id"])).exit_code == 0
    assert tv.json("apikey", "list", "tv")[0]["revoked_at"] is not None


def test_the_clock_does_not_go_back_once_there_are_people(running: Shell) -> None:
    assert running("clock", "set", "2024-08-01T00:00:00Z").exit_code == 1


def test_the_machine_s_clock_is_not_moved(running: Shell) -> None:
    real = Shell(running.folder, running.environment | {"RECONFIRM_CLOCK": "system"})
    result = real("clock", "advance", "P1D")
    assert (result.exit_code, "RECONFIRM_CLOCK=test" in result.stderr) == (1, True)


def test_advancing_does_what_falls_due_on_the_way(running: Shell) -> None:
    found = running.json("clock", "advance", "P1D")
    assert found["now"] == "2024-09-02T12:00:00Z"
    assert found["done"]["notice.ask done"] == 1


def test_explaining_nobody_says_which_id_is_meant(running: Shell) -> None:
    result = running("subject", "explain", "tv", "zoe")
    assert (result.exit_code, "zoe" in result.stderr) == (1, True)


def test_explaining_says_what_blocks_and_tells_the_story(running: Shell) -> None:
    running("sweep", "tv")
    running("brake", "on", "tv", "--why", "drill")
    found = running.json("subject", "explain", "tv", "ada")
    assert any("drill" in why for why in found["blocked_by"])
    assert [step["what"] for step in found["story"]] == ["asked"]


def test_the_doctor_is_content_with_a_complete_product(running: Shell) -> None:
    result = running("doctor")
    assert result.exit_code == 0, result.output


def test_bad_usage_exits_with_2(shell: Shell) -> None:
    assert shell("product", "add").exit_code == 2
    assert shell("no-such-command").exit_code == 2


def test_a_misspelt_setting_stops_the_start(shell: Shell) -> None:
    wrong = Shell(shell.folder, shell.environment | {"RECONFIRM_SMTP_URI": "x"})
    result = wrong("product", "list")
    assert (result.exit_code, "RECONFIRM_SMTP_URL" in result.stderr) == (1, True)


def test_a_retired_feed_is_no_longer_counted(running: Shell) -> None:
    assert running("feed", "retire", "tv", "import").exit_code == 0
    assert "no feed has spoken" in running("sweep", "tv").stderr


def test_a_guards_brake_is_shown_in_words_with_the_mend(running: Shell, database: Database) -> None:
    assert running("brake").stdout == "no brake is on\n"
    with database.transaction() as connection:
        tv = products.load(connection, "tv")
        guards.trip(connection, tv, "bounces", "bounced=3 of=9 at_most=5%", START)
    (shown,) = running.json("brake")
    assert (shown["product"], shown["cause"]) == ("tv", "bounces")
    doctor = running("doctor")
    assert doctor.exit_code == 1
    for said in (running("brake").stdout, doctor.output, running("sweep", "tv").stderr):
        assert shown["says"] in said
        assert shown["mend"] in said
    assert "bounced=3 of=9 at_most=5%" in shown["says"]
    assert "`reconfirm brake off tv --why …`" in shown["mend"]


def test_why_a_brake_is_taken_off_is_kept(running: Shell, database: Database) -> None:
    running("brake", "on", "tv", "--why", "drill")
    running("brake", "off", "tv", "--why", "the drill is over", "--actor", "ann")
    with database.transaction() as connection:
        found = connection.exec_driver_sql(
            "select why, actor from history where what = 'brake_off'"
        ).all()
    assert [tuple(each) for each in found] == [("the drill is over", "cli:ann")]


def test_why_a_brake_is_taken_off_must_not_hold_a_card_number(running: Shell) -> None:
    running("brake", "on", "tv", "--why", "drill")
    result = running("brake", "off", "tv", "--why", "card 4111111111111111 was refunded")
    assert (result.exit_code, "card number" in result.stderr) == (1, True)
    assert running.json("brake")[0]["cause"] == "by_hand"
