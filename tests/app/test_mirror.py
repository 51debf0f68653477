"""What billing tells, and what it must not set off."""

from collections import Counter
from datetime import timedelta
from threading import Thread
from typing import Any

from app.lifecycle.case import Reach
from app.mirror import Mirror, needs_replan, replan
from app.rows import read as read_row
from tests.probe import HOUR, MINUTE, asked, fingerprint, kinds, rows, suspended, timers
from tests.world import ACTOR, START, YEAR, Town, row


def bring(town: Town, *people: dict[str, str]) -> Counter[str]:
    """Tell again, as a billing system with its own accounts does."""
    facts = [read_row(each) for each in people]
    return Mirror(town.database, town.clock).bring(town.key, facts, ACTOR)


def told(town: Town, name: str, **changes: Any) -> Counter[str]:
    return bring(town, row(name, **changes))


def outcome(town: Town, name: str) -> tuple[str | None, str]:
    current = town.case(name).round
    assert current is not None
    return current.outcome, town.story(name)[-1]


def test_telling_again_changes_nothing(town: Town) -> None:
    bring(town, row("ada"), row("bob"))
    before = fingerprint(town.database)
    assert bring(town, row("bob"), row("ada")) == Counter(applied=0, unchanged=2)
    assert fingerprint(town.database) == before


def test_new_and_changed_are_applied_and_the_rest_is_unchanged(town: Town) -> None:
    bring(town, row("ada"), row("bob"))
    counts = bring(town, row("ada"), row("bob", plan="premium"), row("cyd"))
    assert counts == Counter(applied=2, unchanged=1)


def test_telling_again_after_a_suspension_is_no_act_of_billings(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    before = fingerprint(town.database)
    town.join(row("ada"))
    assert fingerprint(town.database) == before
    assert town.stage("ada") == "suspended"


def test_billings_echo_of_our_suspension_changes_no_stage(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    told(town, "ada", status="paused")
    assert town.stage("ada") == "suspended"
    assert kinds(town, "ada") == []


def test_billings_echo_of_our_suspension_in_flight_changes_nothing(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    rows(
        town.database,
        "update reconfirmation set act = 'suspend', act_version = 1, act_state = 'claimed'",
    )
    told(town, "ada", status="paused")
    assert town.stage("ada") == "asked"


def test_a_higher_price_withdraws_the_notice(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    told(town, "ada", amount="1549")
    assert outcome(town, "ada") == ("withdrawn", "withdrawn")


def test_a_lower_price_leaves_the_notice(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    told(town, "ada", amount="949")
    assert town.stage("ada") == "asked"


def test_an_earlier_charge_withdraws_the_notice(town: Town) -> None:
    bring(town, row("ada"))
    asked(town, "ada")
    told(town, "ada", renews_at="2024-09-09T00:00:00Z")
    assert outcome(town, "ada") == ("withdrawn", "withdrawn")


def test_who_was_withdrawn_gets_a_timer_at_once(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    told(town, "ada", amount="1549")
    assert len(timers(town, "ada")) == 1


def test_a_foreign_pause_while_asked_closes_the_round_and_sends_nothing(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    told(town, "ada", status="paused")
    assert outcome(town, "ada") == ("by_billing", "by_billing")
    assert kinds(town, "ada") == []


def test_a_foreign_pause_voids_the_suspension_that_waits(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    rows(
        town.database,
        "insert into outbox (product_id, subscription_id, round, lane, kind, version, not_before,"
        " state, fence, tries, unknown) select product_id, subscription_id, 1, 'billing',"
        " 'billing.suspend', 1, opened_at, 'pending', 0, 0, 0 from reconfirmation",
    )
    told(town, "ada", status="paused")
    assert kinds(town, "ada") == []


def test_a_foreign_resume_after_our_suspension_closes_it_as_resumed(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    told(town, "ada", status="paused")
    told(town, "ada", status="active")
    assert outcome(town, "ada") == ("resumed", "resumed")


def test_a_foreign_cancel_opens_a_round_so_that_erasure_has_a_home(town: Town) -> None:
    town.join(row("ada"))
    told(town, "ada", status="canceled")
    current = town.case("ada").round
    assert current is not None
    assert (town.stage("ada"), current.why) == ("canceled", "billing_cancel")
    assert current.erase_on is not None


def test_a_foreign_cancel_while_asked_closes_one_round_and_opens_the_next(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    told(town, "ada", status="canceled")
    found = rows(
        town.database, "select number, outcome, stage, latest from reconfirmation order by 1"
    )
    assert found == [(1, "by_billing", "asked", False), (2, None, "canceled", True)]


def test_a_new_address_makes_reachable_and_sets_a_timer_now(town: Town) -> None:
    town.join(row("ada", email=""))
    town.sweep()
    town.deliver()
    assert outcome(town, "ada")[0] == "unreachable"
    assert timers(town, "ada") == []
    told(town, "ada", email="ada@new.example")
    assert town.case("ada").reach == Reach.OK
    assert len(timers(town, "ada")) == 1
    assert town.sweep().counts["asked"] == 1


def test_an_address_taken_away_makes_unreachable(town: Town) -> None:
    town.join(row("ada"))
    told(town, "ada", email="")
    assert town.case("ada").reach == Reach.NO_ADDRESS
    assert rows(town.database, "select email, reach from contact") == [(None, "no_address")]


def test_the_same_address_told_again_does_not_mend_a_bounce(town: Town) -> None:
    town.join(row("ada"))
    rows(town.database, "update contact set reach = 'bounced'")
    told(town, "ada", plan="premium")
    assert town.case("ada").reach == Reach.BOUNCED


def test_the_notice_goes_to_the_address_of_the_moment_it_is_sent(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    told(town, "ada", email="ada@new.example")
    town.deliver()
    assert [to for to, _ in town.relay.sent] == ["ada@new.example"]


def test_one_product_tells_nothing_about_anothers_subscription_of_that_id(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    town.join(row("ada"))
    radio.join(row("ada", plan="premium"))
    asked(town, "ada")
    told(radio, "ada", status="canceled")
    radio.use("ada")
    assert (town.stage("ada"), town.case("ada").subscription.status) == ("asked", "active")
    assert town.case("ada").subscription.last_used_on is None
    assert radio.stage("ada") == "canceled"


def test_two_imports_at_once_bring_everybody_once(town: Town) -> None:
    people = [row(f"p{number:02}") for number in range(40)]
    threads = [Thread(target=bring, args=(town, *people)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(town.database, "select count(*) from subscription") == [(40,)]
    assert rows(town.database, "select count(*) from contact") == [(40,)]


def test_a_change_is_judged_by_what_was_known_before_it(town: Town) -> None:
    town.join(row("ada", amount="900"))
    asked(town, "ada")
    told(town, "ada", amount="949")
    assert town.stage("ada") == "active"


def test_a_replan_tells_how_many_it_looked_at(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(5)))
    seen: list[int] = []
    assert replan(town.database, town.clock, "tv", seen.append, 2) == 5
    assert seen == [2, 2, 1]


def test_a_replan_leaves_open_rounds_alone(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    before = fingerprint(town.database)
    replan(town.database, town.clock, "tv")
    assert fingerprint(town.database) == before


def test_replans_are_needed_for_other_terms_and_not_for_another_pace(town: Town) -> None:
    before = town.product
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 7, "ramp": ["100%"]}})
    assert not needs_replan(before, town.product)
    town.put_in_force(YEAR | {"unused_after": "P6M"})
    assert needs_replan(before, town.product)


def test_use_that_was_remembered_is_there_when_its_subscription_arrives(town: Town) -> None:
    town.use("ada")
    town.join(row("ada"))
    assert town.case("ada").subscription.last_used_on == START.date()
    assert rows(town.database, "select count(*) from unknown_usage") == [(0,)]
    town.clock.advance(MINUTE)
    assert not town.sweep().counts


def test_at_our_own_billing_the_next_charge_is_taken_over(town: Town) -> None:
    town.join(row("ada", renews_at="2023-01-31T00:00:00Z"))
    renews = town.case("ada").subscription.renews_at
    assert renews is not None
    assert renews.isoformat() == "2024-09-30T00:00:00+00:00"
    assert renews - START > timedelta(0)
    assert HOUR
