"""Notices that come back after they were handed over: nobody is suspended who was not told."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.lifecycle.case import Outcome, Reach
from app.links import Links
from app.rows import read as read_row
from app.store import evidence, testclock
from app.store.database import Database
from app.world.outcome import No
from tests.app.cli.conftest import KEY, Shell
from tests.app.world.returns.build import (
    absence,
    complaint,
    exim,
    qmail,
    receipt,
    recipient,
    report,
)
from tests.probe import DAY, HOUR, asked, goes, mails, rows, suspended, window_ends
from tests.world import MovableClock, Town, row

LATER = timedelta(days=3)


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)


@pytest.fixture
def shell(database: Database, tmp_path: Path) -> Shell:
    """Give the command on the town's database, as a mail server runs it."""
    environment = {
        "RECONFIRM_DATABASE_URL": database.url,
        "RECONFIRM_SECRET_KEYS": KEY,
        "RECONFIRM_CLOCK": "test",
        "RECONFIRM_DATA_DIR": str(tmp_path / "data"),
    }
    return Shell(tmp_path, environment)


def notice(town: Town, name: str, which: int = 0) -> str:
    """Give the Message-ID of one of somebody's mails."""
    sent = [mail for mail in town.relay.mails() if str(mail["To"]).startswith(f"{name}@")]
    return str(sent[which]["Message-ID"]).strip()


def to(name: str) -> str:
    return f"{name}@subscribers.example"


def comes_back(town: Town, shell: Shell, *raws: bytes, options: tuple[str, ...] = ()) -> Any:
    """Let mail servers hand messages to the command, at the town's time; give what it prints."""
    with town.database.transaction() as connection:
        testclock.write(connection, town.clock.now())
    path = shell.folder / "box"
    path.write_bytes(b"\n\n".join(b"From mx Fri Sep  6 10:00:00 2024\n" + each for each in raws))
    return shell.json("bounces", str(path), *options)["results"]


def reach(town: Town, name: str) -> str:
    return str(town.case(name).reach)


def listed(town: Town) -> list[str]:
    return [why for (why,) in rows(town.database, "select reason from suppression order by 1")]


# --- bounces -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [lambda m: report(notice=m, to=to("ada")), qmail, exim],
)
def test_a_bounce_three_days_later_withdraws_what_was_told(
    town: Town, shell: Shell, build: Any
) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    ends = town.case("ada").round
    town.clock.advance(LATER)
    assert comes_back(town, shell, build(notice(town, "ada"))) == {"applied": 1}
    current = town.case("ada").round
    assert current is not None
    assert (current.outcome, reach(town, "ada")) == (Outcome.UNREACHABLE, "bounced")
    assert ends is not None
    assert ends.answer_by is not None
    goes(town, ends.answer_by + HOUR)
    town.hear(town.clock.now().date())
    town.settle()
    assert (town.stage("ada"), town.acts("ada")) == ("active", [])
    assert town.stage("bob") == "suspended"
    (told,) = _evidence(town, "ada")
    assert told.bounced_at is not None
    assert listed(town) == ["bounced"]


def _evidence(town: Town, name: str) -> list[evidence.Shown]:
    with town.database.transaction() as connection:
        return evidence.of_subscription(connection, town.id_of(name))


def test_telling_it_again_changes_nothing_and_reports_of_others_are_no_help(
    town: Town, shell: Shell
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    mine = report(notice=notice(town, "ada"), to=to("ada"))
    comes_back(town, shell, mine)
    before = town.story("ada")
    assert comes_back(town, shell, mine, mine) == {"unchanged": 2}
    assert town.story("ada") == before


@pytest.mark.parametrize(
    "build",
    [
        absence,
        receipt,
        lambda m: report(recipient("delayed", "4.4.1", ""), notice=m),
        lambda m: report(recipient("relayed", "2.0.0", ""), notice=m),
        lambda m: complaint("not-spam", m),
    ],
)
def test_absences_receipts_and_what_passes_change_nothing(
    town: Town, shell: Shell, build: Any
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    before, story = town.case("ada"), town.story("ada")
    assert not {"applied", "unchanged"} & set(comes_back(town, shell, build(notice(town, "ada"))))
    assert (town.case("ada"), town.story("ada"), listed(town)) == (before, story, [])
    window_ends(town, "ada")
    town.settle()
    assert town.stage("ada") == "suspended"


GIVEN_UP = [
    recipient("failed", "5.2.2", "smtp; 552 full"),
    recipient("failed", "4.4.7", "smtp; 450 not in five days"),
]


@pytest.mark.parametrize("block", GIVEN_UP)
def test_whose_ask_was_given_up_was_not_asked_and_their_address_is_as_good_as_ever(
    town: Town, shell: Shell, block: str
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    assert comes_back(town, shell, report(block, notice=notice(town, "ada"))) == {"applied": 1}
    current = town.case("ada").round
    assert current is not None
    assert (current.outcome, listed(town)) == (Outcome.UNREACHABLE, [])
    town.clock.advance(40 * DAY)
    town.hear()
    town.settle()
    assert (town.stage("ada"), town.acts("ada")) == ("active", [])


@pytest.mark.parametrize("block", GIVEN_UP)
def test_a_reminder_that_was_given_up_takes_nothing_from_the_ask_that_arrived(
    town: Town, shell: Shell, block: str
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(8 * DAY)
    town.hear()
    town.settle()
    reminder = notice(town, "ada", 1)
    assert "reminder" in reminder
    before = town.case("ada")
    assert comes_back(town, shell, report(block, notice=reminder)) == {"unchanged": 1}
    assert town.case("ada") == before
    window_ends(town, "ada")
    town.settle()
    assert town.stage("ada") == "suspended"


def test_a_complaint_ends_the_round_and_nobody_is_suspended(town: Town, shell: Shell) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(LATER)
    redacted = complaint(notice=notice(town, "ada"), to="5d1c@subscribers.example")
    assert comes_back(town, shell, redacted) == {"applied": 1}
    assert (reach(town, "ada"), listed(town)) == ("complained", ["complained"])
    town.days_pass(60, at_a_time=20)
    assert (town.stage("ada"), town.acts("ada"), mails(town, "ada")) == ("active", [], ["ask"])


def test_a_refusal_because_of_us_withdraws_the_notice_and_lists_nobody(
    town: Town, shell: Shell
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    spam = recipient("failed", "5.7.1", "smtp; 550 5.7.1 spam", to("ada"))
    assert comes_back(town, shell, report(spam, notice=notice(town, "ada"))) == {"applied": 1}
    town.days_pass(60, at_a_time=20)
    assert (town.stage("ada"), listed(town)) == ("active", [])


def test_a_bounce_after_the_suspension_keeps_the_data(town: Town, shell: Shell) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    current = town.case("ada").round
    assert current is not None
    assert current.erase_on is not None
    receipt_of_it = report(notice=notice(town, "ada", -1), to=to("ada"))
    assert comes_back(town, shell, receipt_of_it) == {"applied": 1}
    after = town.case("ada").round
    assert after is not None
    assert (after.erase_on, town.stage("ada")) == (None, "suspended")


# --- whose it was --------------------------------------------------------------------------------


def asked_twice(town: Town) -> None:
    """Have Ada asked, keep, and be asked again a year later."""
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(HOUR)
    town.answer("ada", "keep")
    goes(town, town.clock.now() + 367 * DAY)
    town.settle()
    assert (town.stage("ada"), mails(town, "ada")[-1]) == ("asked", "ask")


def test_a_bounce_of_an_earlier_rounds_notice_does_not_hurt_this_one(
    town: Town, shell: Shell
) -> None:
    asked_twice(town)
    before = town.case("ada")
    old = report(notice=notice(town, "ada", 0), to=to("ada"))
    assert comes_back(town, shell, old) == {"older_round": 1}
    assert (town.case("ada"), listed(town)) == (before, [])
    assert comes_back(town, shell, report(notice=notice(town, "ada", -1))) == {"applied": 1}


def test_a_complaint_about_an_earlier_notice_is_what_they_want_now(
    town: Town, shell: Shell
) -> None:
    asked_twice(town)
    before, old = town.case("ada"), notice(town, "ada", 0)
    assert comes_back(town, shell, complaint(notice=old, to="x@y.example")) == {"older_round": 1}
    assert town.case("ada") == before
    assert comes_back(town, shell, complaint(notice=old, to=to("ada"))) == {"applied": 1}
    assert reach(town, "ada") == "complained"


def moves(town: Town, name: str, address: str | None) -> None:
    """Let billing tell of another address."""
    town.clock.advance(HOUR)
    town.join(row(name, email=address))


def test_a_bounce_at_a_former_address_does_not_hurt_the_present_one(
    town: Town, shell: Shell
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    ask = notice(town, "ada")
    moves(town, "ada", "ada@new.example")
    before = town.case("ada")
    assert comes_back(town, shell, report(notice=ask, to=to("ada"))) == {"former_address": 1}
    assert (town.case("ada"), listed(town)) == (before, [])
    assert comes_back(town, shell, report(notice=ask, to="Ada@New.Example")) == {"applied": 1}


def test_a_bounce_that_does_not_say_where_counts(town: Town, shell: Shell) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    bare = report(notice=notice(town, "ada"), to="").replace(b"To: \r\n", b"")
    assert comes_back(town, shell, bare) == {"applied": 1}


def test_a_new_address_is_asked_anew_and_the_old_one_stays_on_the_list(
    town: Town, shell: Shell
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    comes_back(town, shell, report(notice=notice(town, "ada"), to=to("ada")))
    moves(town, "ada", "ada@new.example")
    town.days_pass(3)
    assert town.stage("ada") == "asked"
    assert [str(mail["To"]) for mail in town.relay.mails()][-1] == "ada@new.example"
    moves(town, "ada", to("ada"))
    town.days_pass(8)
    assert (town.stage("ada"), reach(town, "ada")) == ("active", "bounced")


def test_only_a_signed_id_of_this_installation_and_product_counts(town: Town, shell: Shell) -> None:
    other = Town.founded(town.database, town.clock, town.links, "radio")
    town.join(row("ada"))
    other.join(row("rob"))
    asked(town, "ada")
    asked(other, "rob")
    sid = town.id_of("ada")
    stranger = Links(["wrong-key-0123456789-0123456789-0123456789"], "http://x")
    ids = [
        f"<{stranger.notice_id(sid, 1, 'ask', 1)}@tv.example>",
        f"<{town.links.notice_id(other.id_of('rob'), 1, 'ask', 1)}@radio.example>",
        f"<{town.links.notice_id(10**15, 1, 'ask', 1)}@tv.example>",
        "<ask.AAAA.BBBB@tv.example>",
        "<\udcff\udcfe.x.y@tv.example>",
    ]
    forged = [report(notice=each, to=to("rob")) for each in ids]
    found = comes_back(town, shell, *forged, options=("--product", "tv"))
    assert found == {"not_ours": len(forged)}
    assert (reach(town, "ada"), reach(other, "rob"), listed(town)) == ("ok", "ok", [])
    assert [each.bounced_at for each in _evidence(other, "rob")] == [None]
    mixed = comes_back(town, shell, *forged)
    assert mixed == {"applied": 1, "not_ours": len(forged) - 1}
    assert (reach(town, "ada"), reach(other, "rob")) == ("ok", "bounced")


# --- the list ------------------------------------------------------------------------------------


def test_nothing_goes_to_an_address_that_bounced_for_another_subscription(
    town: Town, shell: Shell
) -> None:
    town.join(row("ada"), row("ada2", email=to("ada"), started_at="2023-09-10T10:00:00Z"))
    asked(town, "ada")
    comes_back(town, shell, report(notice=notice(town, "ada"), to=to("ada")))
    bad = _bad_news(town)
    town.days_pass(20, at_a_time=5)
    current = town.case("ada2").round
    assert current is not None
    assert (current.outcome, reach(town, "ada2")) == (Outcome.UNREACHABLE, "bounced")
    assert len(town.relay.sent) == 1
    assert _bad_news(town) == bad, "what was known counts as a bounce"


def _bad_news(town: Town) -> list[Any]:
    return rows(
        town.database,
        "select what, sum(many) from pulse where what like '%bounce%' group by 1 order by 1",
    )


def test_silence_of_somebody_listed_meanwhile_means_nothing(town: Town, shell: Shell) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    window_ends(town, "ada")
    town.sweep()
    path = shell.file("list", f" {to('ada').upper()} ", "", "no address")
    with town.database.transaction() as connection:
        testclock.write(connection, town.clock.now())
    found = shell.json("suppression", "add", "tv", path)
    assert found == {"read": 2, "added": 1, "unchanged": 0, "rejected": 1}
    town.deliver()
    assert (town.stage("ada"), town.acts("ada")) == ("active", [])
    assert (town.stage("bob"), listed(town)) == ("suspended", ["by_hand"])


def test_an_address_that_a_relay_refuses_is_listed_at_once(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    town.relay.answer = lambda to_: No("smtp 550 5.1.1" if to_ == to("ada") else "tls failed")
    town.settle()
    assert reach(town, "ada") == "bounced"
    assert listed(town) == ["bounced"]


def test_one_product_does_not_list_for_another(town: Town, shell: Shell) -> None:
    other = Town.founded(town.database, town.clock, town.links, "radio")
    town.join(row("ada"))
    other.join(row("ada"))
    asked(town, "ada")
    comes_back(town, shell, report(notice=notice(town, "ada"), to=to("ada")))
    other.settle()
    assert (other.stage("ada"), reach(other, "ada")) == ("asked", "ok")


def test_no_address_is_kept_or_printed(town: Town, shell: Shell) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    raw = report(notice=notice(town, "ada"), to=to("ada"))
    (shell.folder / "one").write_bytes(raw)
    comes_back(town, shell, raw)
    (shell.folder / "bad").write_bytes(raw + b"x" * 600_000)
    said = [
        shell("bounces", str(shell.folder / "one")),
        shell("bounces", str(shell.folder / "bad"), "--json"),
        shell("suppression", "list", "tv"),
        shell("suppression", "list", "tv", "--json"),
    ]
    for each in said:
        assert each.exit_code == 0
        assert "subscribers.example" not in each.output
        assert "ada" not in each.output
    assert rows(town.database, "select count(*) from suppression s where s::text ~ 'ada'") == [(0,)]
    kept = rows(town.database, "select encode(mark, 'escape') from suppression")
    assert "subscribers" not in str(kept)


def test_an_address_taken_off_the_list_is_written_to_again(town: Town, shell: Shell) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    comes_back(town, shell, report(notice=notice(town, "ada"), to=to("ada")))
    found = shell.json("suppression", "remove", "tv", to("ada").title())
    assert found == {"removed": True, "reached_again": 1}
    assert shell("suppression", "remove", "tv", to("ada")).exit_code == 1
    town.days_pass(3)
    assert (town.stage("ada"), mails(town, "ada")) == ("asked", ["ask", "ask"])


def test_marks_of_an_older_key_hold(town: Town, shell: Shell, clock: MovableClock) -> None:
    town.join(row("ada"), row("ada2", email=to("ada"), started_at="2023-09-10T10:00:00Z"))
    asked(town, "ada")
    comes_back(town, shell, report(notice=notice(town, "ada"), to=to("ada")))
    newer = Links(["newer-key-0123456789-0123456789-0123456789", KEY], "http://x")
    changed = Town(town.database, clock, newer, relay=town.relay)
    changed.days_pass(20, at_a_time=5)
    assert len(town.relay.sent) == 1


def test_facts_told_again_do_not_lift_it(town: Town, shell: Shell) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    comes_back(town, shell, report(notice=notice(town, "ada"), to=to("ada")))
    town.clock.advance(HOUR)
    town.join(row("ada", plan="premium"))
    assert reach(town, "ada") == Reach.BOUNCED
    assert read_row(row("ada")).email == to("ada")
