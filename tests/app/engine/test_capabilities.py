"""What billing cannot do is not promised, not queued, and said; what it never confirmed too."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app import guards
from app import policy as policies
from app.clock import Clock
from app.engine.explain import explain
from app.errors import Refused
from app.links import Links
from app.mirror import Mirror
from app.rows import read as read_row
from app.signing import new_secret
from app.store import products, standing
from app.store.database import Database
from app.store.standing import Unconfirmed
from app.world import billing
from app.world.billing.standard import Standard
from app.world.connector import CONFIRMED_WITHIN, Capabilities, Order
from app.world.hooks import Limits, Sender
from app.world.outcome import No
from tests.probe import DAY, HOUR, MINUTE, asked, fingerprint, goes, kinds, mails, rows, window_ends
from tests.receiver import Receiver, receiving
from tests.world import START, YEAR, MovableClock, Town, row

EVERY_WAY = ("suspend", "cancel_at_period_end", "nothing")
SECRET = new_secret()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    made = Town.founded(database, clock, links)
    with database.transaction() as connection:
        products.change(connection, made.product.id, {"billing": "standard"})
    return made


def says_it_can(town: Town, can: str) -> None:
    with town.database.transaction() as connection:
        products.change(connection, town.product.id, {"billing_settings": {"can": can}})


def told(town: Town, name: str, **changes: Any) -> None:
    """Let billing tell of somebody, as of now."""
    facts = replace(read_row(row(name, **changes)), told_at=town.clock.now())
    Mirror(town.database, town.clock).bring(town.key, [facts], "billing:standard")


def brakes(town: Town) -> list[tuple[str, str]]:
    with town.database.transaction() as connection:
        return [(each.cause, each.why) for each in products.brakes(connection, town.product.id)]


def blocked(town: Town, name: str) -> list[str]:
    with town.database.transaction() as connection:
        sid, now = town.id_of(name), town.clock.now()
        return explain(connection, town.product, sid, now).blocked_by


# --- what a system can do, by its settings alone -------------------------------------------------


@pytest.mark.parametrize(
    ("can", "acts", "follows"),
    [
        ({}, {"suspend", "resume", "cancel", "end"}, set(EVERY_WAY)),
        ({"can": "pause,cancel"}, {"suspend", "resume", "cancel", "end"}, set(EVERY_WAY)),
        ({"can": "pause"}, {"suspend", "resume"}, {"suspend", "nothing"}),
        ({"can": "cancel"}, {"cancel", "end"}, {"cancel_at_period_end", "nothing"}),
        ({"can": "nothing"}, set(), {"nothing"}),
    ],
)
def test_what_standard_can_do_is_what_the_product_says(
    can: dict[str, str], acts: set[str], follows: set[str]
) -> None:
    found = billing.capabilities("standard", can)
    assert (set(found.acts), set(guards.follows(found)), found.asked) == (acts, follows, False)


@pytest.mark.parametrize("name", [each for each in billing.names() if each != "standard"])
def test_every_other_system_can_do_all_of_it(name: str) -> None:
    assert guards.follows(billing.capabilities(name, {})) == set(EVERY_WAY)


def test_a_system_there_is_not_fails_as_it_is_told_and_not_before() -> None:
    assert billing.capabilities("abacus", {}) == Capabilities()


@pytest.mark.parametrize(
    ("can", "act"),
    [("nothing", "cancel"), ("pause", "cancel"), ("cancel", "suspend"), ("cancel", "resume")],
)
def test_a_command_it_has_no_means_for_is_not_sent(receiver: Receiver, can: str, act: str) -> None:
    sender = Sender(Clock(), local=True, limits=Limits(connect=0.5, whole=0.5))
    able = billing.capabilities("standard", {"can": can})
    order = Order("tv", "sub_1", act, f"7-1-{act}-1", START, START)
    assert Standard(sender, receiver.url, [SECRET], able).carry_out(order) == No(f"cannot {act}")
    assert receiver.got == []


# --- a policy that cannot be followed ----------------------------------------------------------


def refused(town: Town, **knobs: Any) -> str:
    with pytest.raises(Refused) as error:
        guards.check_policy(town.product, policies.read(YEAR | knobs))
    return str(error.value)


@pytest.mark.parametrize("can", ["cancel", "nothing"])
def test_a_policy_that_suspends_is_refused_with_the_mend(town: Town, can: str) -> None:
    says_it_can(town, can)
    says = refused(town)
    assert says.startswith("the policy is refused: on_no_answer: is not what billing can do")
    assert "standard cannot pause" in says
    assert "nothing" in says
    assert ("cancel_at_period_end or nothing" in says) == (can == "cancel")
    assert "reconfirm product set tv billing.can=pause,cancel" in says


def test_a_segment_that_suspends_is_refused_by_its_name(town: Town) -> None:
    says_it_can(town, "cancel")
    fine, wrong = {"when": {"plan": ["a"]}}, {"when": {"plan": ["b"]}, "on_no_answer": "suspend"}
    says = refused(town, on_no_answer="nothing", segments=[fine, wrong])
    assert "segments[1].on_no_answer: is not what billing can do" in says
    assert "refused: on_no_answer" not in says
    assert "segments[0]" not in says


@pytest.mark.parametrize(
    ("can", "what"),
    [
        ("pause", "suspend"),
        ("cancel", "cancel_at_period_end"),
        ("nothing", "nothing"),
        ("pause,cancel", "suspend"),
        ("pause,cancel", "cancel_at_period_end"),
    ],
)
def test_a_policy_that_billing_can_follow_is_taken(town: Town, can: str, what: str) -> None:
    says_it_can(town, can)
    guards.check_policy(town.product, policies.read(YEAR | {"on_no_answer": what}))


# --- lost later --------------------------------------------------------------------------------


def test_where_billing_loses_the_means_a_brake_stops_the_product(town: Town) -> None:
    told(town, "ada")
    says_it_can(town, "cancel")
    done = town.sweep()
    assert not done.counts
    assert "promises what the billing system can no longer do" in str(done.stopped)
    assert "on_no_answer: cancel_at_period_end or nothing" in str(done.stopped)
    assert brakes(town) == [("billing_cannot", "billing_cannot_suspend")]
    assert town.stage("ada") == "active"
    assert any("billing (standard) cannot suspend" in each for each in blocked(town, "ada"))


def test_a_dry_run_says_so_too_and_writes_nothing(town: Town) -> None:
    told(town, "ada")
    says_it_can(town, "cancel")
    before = fingerprint(town.database)
    dry = town.sweep(dry=True)
    assert fingerprint(town.database) == before
    assert (dry.counts, dry.stopped) == ({}, town.sweep().stopped)


def test_nothing_is_queued_for_who_stayed_silent(town: Town) -> None:
    told(town, "ada")
    asked(town, "ada")
    says_it_can(town, "cancel")
    window_ends(town, "ada")
    town.sweep()
    assert (town.stage("ada"), kinds(town, "ada")) == ("asked", [])


@pytest.mark.parametrize("mend", ["billing", "policy"])
def test_once_mended_the_brake_lifts_itself_and_no_deadline_falls_in_three_days(
    town: Town, mend: str
) -> None:
    told(town, "ada")
    asked(town, "ada")
    says_it_can(town, "cancel")
    window_ends(town, "ada")
    town.sweep()
    if mend == "billing":
        says_it_can(town, "pause,cancel")
    else:
        town.put_in_force(YEAR | {"on_no_answer": "cancel_at_period_end"})
    town.sweep()
    assert brakes(town) == []
    assert "billing.suspend" not in kinds(town, "ada")
    town.deliver()
    goes(town, town.clock.now() + 4 * DAY)
    town.hear(town.clock.now().date())
    town.sweep()
    # Under the other policy the promise still stands as it was made, and cannot be kept: it waits.
    assert kinds(town, "ada") == (["billing.suspend"] if mend == "billing" else [])


def held(town: Town) -> None:
    """Have ada asked under a policy that suspends, and then the means and the policy changed."""
    told(town, "ada")
    asked(town, "ada")
    says_it_can(town, "cancel")
    town.put_in_force(YEAR | {"on_no_answer": "cancel_at_period_end"})
    window_ends(town, "ada")
    town.sweep()


def test_an_earlier_promise_that_cannot_be_kept_is_held_and_asks_the_others_on(town: Town) -> None:
    held(town)
    assert (town.stage("ada"), kinds(town, "ada"), brakes(town)) == ("asked", [], [])
    assert any("cannot suspend" in each for each in blocked(town, "ada"))
    told(town, "bob")
    assert town.sweep().counts["asked"] == 1


def test_a_held_round_is_not_read_by_every_sweep(town: Town) -> None:
    held(town)
    before = fingerprint(town.database)
    town.clock.advance(MINUTE)
    town.sweep()
    assert fingerprint(town.database) == before
    wakes = rows(town.database, "select wake_at from reconfirmation")
    assert wakes[0][0] > town.clock.now()


def test_nobody_is_reminded_of_what_cannot_be_kept(town: Town) -> None:
    told(town, "ada")
    asked(town, "ada")
    says_it_can(town, "cancel")
    town.put_in_force(YEAR | {"on_no_answer": "cancel_at_period_end"})
    goes(town, START + 8 * DAY)
    assert not town.sweep().counts
    says_it_can(town, "pause,cancel")
    town.clock.advance(2 * HOUR)
    assert town.sweep().counts == {"reminder_queued": 1}


def test_a_held_round_goes_on_when_billing_can_again(town: Town) -> None:
    held(town)
    says_it_can(town, "pause,cancel")
    town.clock.advance(2 * HOUR)
    town.sweep()
    assert kinds(town, "ada") == ["billing.suspend"]


@pytest.mark.parametrize("word", ["keep", "cancel"])
def test_whoever_is_held_may_still_answer(town: Town, word: str) -> None:
    held(town)
    town.answer("ada", word)
    found = {"keep": "notice.kept", "cancel": "billing.cancel"}[word]
    assert found in kinds(town, "ada")


def test_who_is_asked_under_what_billing_can_do_is_told_and_canceled(town: Town) -> None:
    says_it_can(town, "cancel")
    town.put_in_force(YEAR | {"on_no_answer": "cancel_at_period_end"})
    told(town, "ada")
    asked(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    assert kinds(town, "ada") == ["billing.cancel"]


# --- taken, and never confirmed ----------------------------------------------------------------


def suspended(town: Town, receiver: Receiver) -> None:
    told(town, "ada")
    asked(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    works(town, receiver)
    assert town.stage("ada") == "suspended"


def works(town: Town, receiver: Receiver) -> None:
    sender = Sender(Clock(), local=True, limits=Limits(connect=0.5, whole=0.5))
    worker = town.worker()
    worker.connector = lambda _: Standard(sender, receiver.url, [SECRET])
    worker.until_idle()


def unconfirmed(town: Town) -> list[Unconfirmed]:
    until = town.clock.now() - CONFIRMED_WITHIN
    with town.database.transaction() as connection:
        return standing.unconfirmed(connection, town.product.id, until, 10)


@pytest.mark.parametrize(("after", "many"), [(2 * DAY - MINUTE, 0), (2 * DAY, 1), (40 * DAY, 1)])
def test_what_billing_took_and_never_confirmed_is_before_a_person_after_two_days(
    town: Town, receiver: Receiver, after: timedelta, many: int
) -> None:
    suspended(town, receiver)
    since = town.clock.now()
    town.clock.advance(after)
    assert unconfirmed(town) == [Unconfirmed("ada", "suspend", since)] * many
    found = [each for each in blocked(town, "ada") if "has not confirmed it" in each]
    assert len(found) == many
    assert (town.stage("ada"), mails(town, "ada")[-1]) == ("suspended", "suspended")


def test_its_own_word_confirms_it(town: Town, receiver: Receiver) -> None:
    suspended(town, receiver)
    town.clock.advance(MINUTE)
    told(town, "ada", status="paused")
    town.clock.advance(3 * DAY)
    assert unconfirmed(town) == []
    assert not any("confirmed" in each for each in blocked(town, "ada"))


def test_a_word_that_comes_late_or_before_the_answer_confirms_it_too(
    town: Town, receiver: Receiver
) -> None:
    suspended(town, receiver)
    town.clock.advance(5 * DAY)
    told(town, "ada", plan="other")
    assert len(unconfirmed(town)) == 1
    town.clock.advance(MINUTE)
    told(town, "ada", status="paused")
    assert unconfirmed(town) == []


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_resume_waits_for_its_own_word_and_not_for_an_earlier_one(
    town: Town, receiver: Receiver, *, confirmed: bool
) -> None:
    suspended(town, receiver)
    if confirmed:
        told(town, "ada", status="paused")
    town.clock.advance(HOUR)
    town.answer("ada", "resume")
    town.clock.advance(MINUTE)
    works(town, receiver)
    assert town.stage("ada") == "active"
    town.clock.advance(2 * DAY)
    assert [each.act for each in unconfirmed(town)] == ["resume"]
    told(town, "ada", status="active", plan="other")
    assert unconfirmed(town) == []


def test_a_cancel_waits_for_its_own_word(town: Town, receiver: Receiver) -> None:
    told(town, "ada")
    asked(town, "ada")
    town.answer("ada", "cancel")
    town.clock.advance(HOUR)
    works(town, receiver)
    assert town.stage("ada") == "canceled"
    town.clock.advance(2 * DAY)
    assert [each.act for each in unconfirmed(town)] == ["cancel"]
    told(town, "ada", status="canceled")
    assert unconfirmed(town) == []


def test_what_billing_did_by_itself_needs_no_word(town: Town) -> None:
    told(town, "ada")
    asked(town, "ada")
    told(town, "ada", status="canceled")
    told(town, "bob")
    town.clock.advance(9 * DAY)
    assert unconfirmed(town) == []


def test_a_resume_by_billing_itself_needs_no_word_though_it_is_told_as_it_happens(
    town: Town, receiver: Receiver
) -> None:
    suspended(town, receiver)
    town.clock.advance(HOUR)
    told(town, "ada", status="paused")
    town.clock.advance(HOUR)
    told(town, "ada", status="active")
    current = town.case("ada").round
    assert current is not None
    assert (current.outcome, current.decided_by) == ("resumed", "billing")
    town.clock.advance(9 * DAY)
    assert unconfirmed(town) == []
    assert not any("confirmed" in each for each in blocked(town, "ada"))


def test_what_was_never_confirmed_is_found_without_reading_every_round(
    town: Town, receiver: Receiver
) -> None:
    suspended(town, receiver)
    town.clock.advance(9 * DAY)
    others(town, 5000, 50)
    until = town.clock.now() - CONFIRMED_WITHIN
    with town.database.transaction() as connection:
        before = read(connection)
        assert len(standing.unconfirmed(connection, town.product.id, until, 100)) == 51
        assert 51 <= read(connection) - before < 200
        before = read(connection)
        assert standing.count_unconfirmed(connection, town.product.id, until, 100) == 51
        assert read(connection) - before < 200
        before = read(connection)
        assert len(standing.unconfirmed(connection, town.product.id, until, 9, ada(town))) == 1
        assert read(connection) - before <= 3


def ada(town: Town) -> int:
    return town.id_of("ada")


def others(town: Town, many: int, silent: int) -> None:
    """Add so many who were asked and stay, and some whom billing took a suspension of."""
    rows(
        town.database,
        """insert into subscription (id, product_id, external_id, status, plan, country, "interval",
             amount, currency, started_on, told)
           overriding system value
           select 1000000 + n, product_id, 'o' || n, status, plan, country, "interval", amount,
             currency, started_on, told
           from subscription, generate_series(1, :many) n where external_id = 'ada'""",
        many=many,
    )
    rows(
        town.database,
        """insert into reconfirmation (subscription_id, number, product_id, latest, stage, why,
             opened_at, version, outcome, reminded, quiet, act_version, decided_by, decided_at)
           select 1000000 + n, 1, product_id, true,
             case when n <= :silent then stage else 'asked' end, why, opened_at, version,
             case when n > :silent then 'kept' end, 0, false, 0, 'silence', decided_at
           from reconfirmation, generate_series(1, :many) n""",
        many=many,
        silent=silent,
    )
    for table in ("subscription", "reconfirmation"):
        rows(town.database, f"analyze {table}")


def read(connection: Connection) -> int:
    """Give how many rounds this transaction has read so far."""
    statement = """select seq_tup_read + coalesce(idx_tup_fetch, 0)
        from pg_stat_xact_user_tables where relname = 'reconfirmation'"""
    return int(connection.execute(text(statement)).scalar_one())


def test_a_system_that_can_be_asked_was_read_back_and_owes_no_word(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = Town.founded(database, clock, links)
    town.join(row("ada"))
    asked(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    town.deliver()
    town.clock.advance(9 * DAY)
    assert not any("confirmed" in each for each in blocked(town, "ada"))
