"""Effects: lease and fence, lanes, and what comes of outcomes that are not known."""

from datetime import timedelta
from typing import Any

import pytest

from app.engine import briefs
from app.engine import door as doors
from app.engine import effects as engine
from app.engine.effects import (
    Effects,
    Result,
    Task,
    pause_after,
    released,
)
from app.lifecycle.case import Kind, Lane
from app.world.connector import Standing
from app.world.outcome import Done, Later, No
from tests.probe import (
    DAY,
    HOUR,
    MINUTE,
    asked,
    brake,
    fingerprint,
    goes,
    kinds,
    leases_run_out,
    lift,
    mails,
    rows,
    suspended,
    waiting,
    window_ends,
)
from tests.world import START, Town, row

UNKNOWN = Later("timeout", unknown=True)


def effects(town: Town) -> Effects:
    return Effects(town.database, town.clock, town.links)


def claim(town: Town, which: Lane = Lane.NOTICE, limit: int = 100) -> list[Task]:
    return effects(town).claim(town.key, which, limit)[1]


def acknowledge(town: Town, task: Task, outcome: Any, standing: Standing | None = None) -> int:
    return effects(town).acknowledge(town.key, [Result(task, outcome, standing)])


def ada(town: Town) -> Town:
    """Have ada's ask wait."""
    town.join(row("ada"))
    town.sweep()
    return town


def silent(town: Town) -> Town:
    """Have ada's suspension wait."""
    town.join(row("ada"))
    asked(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    assert kinds(town, "ada") == ["billing.suspend"]
    return town


# --- lease and fence ---------------------------------------------------------------------------


def test_what_is_claimed_is_claimed_once(town: Town) -> None:
    ada(town)
    (task,) = claim(town)
    assert (task.kind, task.fence, task.tries) == (Kind.ASK, 1, 1)
    assert claim(town) == []


def test_a_lease_that_ran_out_is_claimed_by_another_under_a_new_fence(town: Town) -> None:
    ada(town)
    (first,) = claim(town)
    leases_run_out(town)
    (second,) = claim(town)
    assert (second.id, second.fence, second.unknown) == (first.id, 2, 1)


def test_a_stale_workers_acknowledgement_does_not_count(town: Town) -> None:
    ada(town)
    (first,) = claim(town)
    leases_run_out(town)
    (second,) = claim(town)
    before = fingerprint(town.database)
    assert acknowledge(town, first, Done()) == 0
    assert fingerprint(town.database) == before
    assert acknowledge(town, second, Done()) == 1
    assert kinds(town, "ada") == []


def test_an_acknowledgement_counts_once(town: Town) -> None:
    ada(town)
    (task,) = claim(town)
    assert acknowledge(town, task, Done()) == 1
    assert acknowledge(town, task, Done()) == 0
    assert town.story("ada").count("notice.ask_handed_over") == 1


def test_an_acknowledgement_of_what_was_put_back_does_not_count(town: Town) -> None:
    ada(town)
    (task,) = claim(town)
    acknowledge(town, task, Later("smtp 451"))
    assert acknowledge(town, task, Done()) == 0


def test_a_hand_over_is_on_record_though_the_round_ended_meanwhile(town: Town) -> None:
    ada(town)
    (task,) = claim(town)
    town.use("ada")
    assert town.stage("ada") == "active"
    assert acknowledge(town, task, Done()) == 1
    assert town.story("ada") == ["asked", "returned", "notice.ask_handed_over"]
    assert kinds(town, "ada") == []


def test_what_was_not_begun_waits_as_before(town: Town) -> None:
    ada(town)
    (task,) = claim(town)
    effects(town).release(town.key, [task])
    assert waiting(town, "ada") == [("notice.ask", "pending")]
    assert claim(town)[0].unknown == 0


def test_a_claim_takes_no_more_than_it_was_asked_for(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(5)))
    town.sweep()
    assert [len(claim(town, limit=3)), len(claim(town, limit=3))] == [3, 2]


def test_the_forsaken_count_in_what_a_claim_may_take(town: Town) -> None:
    town.join(*(row(f"p{number}") for number in range(5)))
    town.sweep()
    claim(town, limit=2)
    leases_run_out(town)
    assert [task.unknown for task in claim(town, limit=3)] == [1, 1, 0]


def test_a_claim_takes_effects_of_its_own_product_only(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    ada(town)
    assert claim(radio) == []
    leases_run_out(town)
    claim(town)
    leases_run_out(town)
    assert claim(radio) == []


# --- lanes ---------------------------------------------------------------------------------------


def test_a_lane_goes_in_order(town: Town) -> None:
    ada(town)
    rows(
        town.database,
        "insert into outbox (product_id, subscription_id, round, lane, kind, version, not_before,"
        " state, fence, tries, unknown) select product_id, subscription_id, round, lane,"
        " 'notice.suspended', 1, not_before - interval '1 day', state, 0, 0, 0 from outbox",
    )
    assert [task.kind for task in claim(town)] == [Kind.ASK]
    assert claim(town) == []
    assert kinds(town, "ada") == ["notice.ask", "notice.suspended"]


def test_what_is_parked_in_one_round_does_not_block_another(town: Town) -> None:
    ada(town)
    rows(
        town.database,
        "insert into outbox (id, product_id, subscription_id, round, lane, kind, version,"
        " not_before, state, fence, tries, unknown) overriding system value select -1, product_id,"
        " subscription_id, 7, lane, 'notice.kept', 1, not_before, 'parked', 0, 0, 0 from outbox",
    )
    assert [task.kind for task in claim(town)] == [Kind.ASK]


def test_a_parked_effect_blocks_its_lane_of_that_round_only(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    acknowledge(town, task, No("not today"))
    assert waiting(town, "ada") == [("billing.suspend", "parked")]
    assert claim(town, Lane.BILLING) == []
    rows(
        town.database,
        "insert into outbox (product_id, subscription_id, round, lane, kind, version, not_before,"
        " state, fence, tries, unknown) select product_id, subscription_id, round, 'notice',"
        " 'notice.reminder', 1, not_before, 'pending', 0, 0, 0 from outbox",
    )
    _, tasks, seen = effects(town).claim(town.key, Lane.NOTICE, 10)
    assert (tasks, seen) == ([], True)  # it was looked at; the rules want no reminder this late


def test_a_persons_word_overtakes_what_is_parked(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    acknowledge(town, task, No("not today"))
    town.clock.advance(MINUTE)
    town.answer("ada", "cancel")
    assert waiting(town, "ada") == [("billing.cancel", "pending")]
    town.clock.advance(11 * MINUTE)
    town.deliver()
    assert (town.stage("ada"), town.acts("ada")) == ("canceled", ["cancel"])


def test_a_keep_takes_a_parked_suspension_away(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    acknowledge(town, task, No("not today"))
    town.clock.advance(MINUTE)
    town.answer("ada", "keep")
    assert kinds(town, "ada") == ["notice.kept"]


def test_an_effect_of_an_earlier_round_is_dropped(town: Town) -> None:
    ada(town)
    rows(town.database, "update outbox set round = 7")
    assert claim(town) == []
    assert kinds(town, "ada") == []


# --- pauses ------------------------------------------------------------------------------------


def test_pauses_double_from_a_minute_to_six_hours() -> None:
    assert [pause_after(tries) / MINUTE for tries in (1, 2, 3, 9, 10, 500)] == [
        1, 2, 4, 256, 360, 360,
    ]  # fmt: skip


def test_what_failed_is_tried_again_after_its_pause(town: Town) -> None:
    ada(town)
    acknowledge(town, claim(town)[0], Later("smtp 451"))
    assert claim(town) == []
    town.clock.advance(MINUTE)
    acknowledge(town, claim(town)[0], Later("smtp 451"))
    town.clock.advance(MINUTE)
    assert claim(town) == []
    town.clock.advance(MINUTE)
    assert claim(town)[0].tries == 3


def test_the_pause_that_was_asked_for_is_kept(town: Town) -> None:
    ada(town)
    acknowledge(town, claim(town)[0], Later("rate", retry_after=2 * HOUR))
    town.clock.advance(2 * HOUR - MINUTE)
    assert claim(town) == []
    town.clock.advance(MINUTE)
    assert len(claim(town)) == 1


def test_the_code_of_the_last_failure_is_kept_for_people(town: Town) -> None:
    ada(town)
    acknowledge(town, claim(town)[0], Later("smtp 451"))
    assert rows(town.database, "select error from outbox") == [("smtp 451",)]


# --- notices -----------------------------------------------------------------------------------


def test_a_notice_whose_outcome_stayed_unknown_twice_waits_for_a_person(town: Town) -> None:
    ada(town)
    for _ in range(2):
        (task,) = claim(town)
        acknowledge(town, task, UNKNOWN)
        town.clock.advance(5 * MINUTE)
    assert claim(town) == []
    assert waiting(town, "ada") == [("notice.ask", "parked")]


def test_two_workers_that_died_over_a_notice_are_the_last(town: Town) -> None:
    ada(town)
    for _ in range(2):
        assert len(claim(town)) == 1
        leases_run_out(town)
    assert claim(town) == []
    assert waiting(town, "ada") == [("notice.ask", "parked")]


def test_known_failures_are_not_counted_as_copies(town: Town) -> None:
    ada(town)
    for _ in range(5):
        acknowledge(town, claim(town)[0], Later("smtp 451"))
        town.clock.advance(HOUR)
    assert len(claim(town)) == 1


def test_both_copies_of_a_notice_have_one_message_id_on_another_day_too(town: Town) -> None:
    ada(town)
    (first,) = claim(town)
    acknowledge(town, first, UNKNOWN)
    goes(town, START + DAY)
    (second,) = claim(town)
    assert first.brief is not None
    assert second.brief is not None
    assert first.brief.message_id == second.brief.message_id
    assert first.brief.answer_by is not None
    assert second.brief.answer_by == first.brief.answer_by + DAY


def test_the_latest_date_stated_is_the_promise(town: Town) -> None:
    ada(town)
    acknowledge(town, claim(town)[0], UNKNOWN)
    goes(town, START + DAY)
    (second,) = claim(town)
    acknowledge(town, second, Done())
    current = town.case("ada").round
    assert current is not None
    assert second.brief is not None
    assert current.stated_by == second.brief.answer_by


def test_a_bounce_at_the_relay_makes_the_person_unreachable(town: Town) -> None:
    ada(town)
    acknowledge(town, claim(town)[0], No("smtp 550"))
    case = town.case("ada")
    assert case.round is not None
    assert (case.round.outcome, case.reach) == ("unreachable", "bounced")
    assert kinds(town, "ada") == []


def test_a_notice_that_cannot_be_written_waits_for_a_person_and_accuses_nobody(town: Town) -> None:
    ada(town)
    (task,) = claim(town)
    effects(town).acknowledge(town.key, [Result(task, No("no template"), park=True)])
    assert waiting(town, "ada") == [("notice.ask", "parked")]
    assert town.case("ada").reach == "ok"


def test_a_row_whose_facts_cannot_be_gathered_waits_and_stops_no_other(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()
    bad, real = town.id_of("ada"), briefs.brief_for

    def brief_for(batch: Any, case: Any, *rest: Any) -> Any:
        if case.subscription.id == bad:
            raise ZeroDivisionError
        return real(batch, case, *rest)

    monkeypatch.setattr(engine, "brief_for", brief_for)
    assert [task.subscription_id for task in claim(town)] == [town.id_of("bob")]
    assert waiting(town, "ada") == [("notice.ask", "parked")]


def test_who_used_it_before_the_ask_went_out_is_not_asked(town: Town) -> None:
    ada(town)
    rows(town.database, "update subscription set last_used_on = '2024-09-01'")
    assert claim(town) == []
    assert town.stage("ada") == "active"
    assert kinds(town, "ada") == []


def test_an_ask_the_relay_never_took_is_withdrawn_after_three_days_and_asked_anew(
    town: Town,
) -> None:
    ada(town)
    town.relay.answer = lambda _: Later("connection refused")
    for _ in range(4):
        town.clock.advance(DAY)
        town.hear()
        town.deliver()
    assert town.story("ada")[-1] == "withdrawn"
    town.relay.answer = lambda _: Done()
    town.sweep()
    town.deliver()
    assert mails(town, "ada") == ["ask"]
    current = town.case("ada").round
    assert current is not None
    assert current.number == 2


# --- billing -----------------------------------------------------------------------------------


def test_an_act_goes_out_under_one_key_on_every_try(town: Town) -> None:
    silent(town)
    (first,) = claim(town, Lane.BILLING)
    acknowledge(town, first, UNKNOWN)
    town.clock.advance(5 * MINUTE)
    (second,) = claim(town, Lane.BILLING)
    assert first.order is not None
    assert second.order is not None
    assert first.order.key == second.order.key == f"{town.id_of('ada')}-1-suspend-1"


def test_an_act_with_an_unknown_outcome_is_to_be_read_back_first(town: Town) -> None:
    silent(town)
    (first,) = claim(town, Lane.BILLING)
    assert not first.check_first
    acknowledge(town, first, UNKNOWN)
    town.clock.advance(5 * MINUTE)
    assert claim(town, Lane.BILLING)[0].check_first


def test_an_act_whose_worker_died_is_to_be_read_back_first(town: Town) -> None:
    silent(town)
    claim(town, Lane.BILLING)
    leases_run_out(town)
    assert claim(town, Lane.BILLING)[0].check_first


def test_use_before_the_claim_voids_a_suspension(town: Town) -> None:
    silent(town)
    town.use("ada")
    assert kinds(town, "ada") == []
    assert claim(town, Lane.BILLING) == []


def test_a_keep_before_the_claim_voids_a_suspension(town: Town) -> None:
    silent(town)
    town.answer("ada", "keep")
    assert kinds(town, "ada") == ["notice.kept"]


def test_a_keep_while_billing_is_told_queues_a_resume_behind(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    town.answer("ada", "keep")
    assert kinds(town, "ada") == ["billing.suspend"]
    acknowledge(town, task, Done(), Standing("paused", None))
    assert kinds(town, "ada") == ["billing.resume"]


def test_a_keep_while_billing_is_told_and_was_not_reached_is_a_keep(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    town.answer("ada", "keep")
    acknowledge(town, task, Later("connection refused"))
    assert kinds(town, "ada") == ["notice.kept"]
    assert town.stage("ada") == "active"


def test_after_a_keep_an_unknown_suspension_is_read_back_and_not_repeated(town: Town) -> None:
    silent(town)
    claim(town, Lane.BILLING)
    town.answer("ada", "keep")
    leases_run_out(town)
    (task,) = claim(town, Lane.BILLING)
    assert task.check_only
    acknowledge(town, task, Later("never reached billing"))
    assert kinds(town, "ada") == ["notice.kept"]


def test_a_cancel_while_billing_is_told_and_was_not_reached_takes_its_place(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    town.answer("ada", "cancel")
    acknowledge(town, task, Later("connection refused"))
    assert kinds(town, "ada") == ["billing.cancel"]


def test_giving_back_an_act_whose_earlier_outcome_is_unknown_does_not_call_it_undone(
    town: Town,
) -> None:
    silent(town)
    claim(town, Lane.BILLING)
    leases_run_out(town)
    (task,) = claim(town, Lane.BILLING)
    town.answer("ada", "keep")
    effects(town).acknowledge(town.key, [released(task)])
    current = town.case("ada").round
    assert current is not None
    assert (current.outcome, current.act_state) == (None, "claimed")
    assert claim(town, Lane.BILLING)[0].check_only


def test_giving_back_an_act_that_was_never_begun_leaves_it_queued(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    effects(town).release(town.key, [task])
    town.answer("ada", "keep")
    assert kinds(town, "ada") == ["notice.kept"]


def test_the_notice_of_an_act_is_queued_by_its_acknowledgement(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    assert kinds(town, "ada") == ["billing.suspend"]
    assert town.stage("ada") == "asked"
    acknowledge(town, task, Done(), Standing("paused", START + 60 * DAY))
    assert kinds(town, "ada") == ["notice.suspended"]
    current = town.case("ada").round
    assert current is not None
    assert current.paid_until == START + 60 * DAY


def test_what_billing_refuses_is_parked_and_the_person_stays_asked(town: Town) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    acknowledge(town, task, No("card lost"))
    assert waiting(town, "ada") == [("billing.suspend", "parked")]
    assert town.stage("ada") == "asked"
    assert "suspend_parked" in town.story("ada")


def test_a_suspension_without_a_contact_is_still_told_to_billing(town: Town) -> None:
    silent(town)
    claim(town, Lane.BILLING)
    leases_run_out(town)
    rows(town.database, "delete from contact")
    (task,) = claim(town, Lane.BILLING)
    assert task.order is not None


def choke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "step", lambda *_: 1 / 0)


def test_an_act_that_was_done_and_that_the_rules_choke_on_is_read_back_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent(town)
    (task,) = claim(town, Lane.BILLING)
    choke(monkeypatch)
    acknowledge(town, task, Done(), Standing("paused", None))
    monkeypatch.undo()
    assert waiting(town, "ada") == [("billing.suspend", "pending")]
    town.clock.advance(6 * HOUR)
    (again,) = claim(town, Lane.BILLING)
    assert again.check_first
    acknowledge(town, again, Done(), Standing("paused", None))
    assert town.stage("ada") == "suspended"


def test_a_notice_that_went_out_and_that_the_rules_choke_on_waits_for_a_person(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada(town)
    (task,) = claim(town)
    choke(monkeypatch)
    acknowledge(town, task, Done())
    monkeypatch.undo()
    assert waiting(town, "ada") == [("notice.ask", "parked")]


def test_an_effect_that_the_rules_choke_on_is_tried_again_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada(town)
    choke(monkeypatch)
    assert claim(town) == []
    monkeypatch.undo()
    assert waiting(town, "ada") == [("notice.ask", "pending")]
    town.clock.advance(6 * HOUR)
    assert len(claim(town)) == 1


# --- the brake ---------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [Lane.NOTICE, Lane.BILLING])
def test_a_brake_stops_asks_and_suspensions_that_wait(town: Town, which: Lane) -> None:
    _ = ada(town) if which is Lane.NOTICE else silent(town)
    brake(town)
    assert claim(town, which) == []
    assert len(kinds(town, "ada")) == 1
    lift(town)
    town.clock.advance(MINUTE)
    assert len(claim(town, which)) == (1 if which is Lane.NOTICE else 0)


def test_under_a_brake_an_ask_that_may_have_gone_out_is_not_sent_again(town: Town) -> None:
    ada(town)
    claim(town)
    brake(town)
    leases_run_out(town)
    assert claim(town) == []
    assert waiting(town, "ada") == [("notice.ask", "claimed")]


def test_a_suspension_held_by_a_brake_waits_for_three_more_days(town: Town) -> None:
    silent(town)
    brake(town)
    town.clock.advance(HOUR)
    lift(town)
    lifted = town.clock.now()
    town.sweep()
    town.deliver()
    assert town.acts("ada") == []
    town.clock.set(lifted + 4 * DAY)
    town.hear(town.clock.now().date())
    town.sweep()
    town.deliver()
    assert town.acts("ada") == ["suspend"]


def test_under_a_brake_receipts_and_a_persons_own_cancel_go_on(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    brake(town)
    town.answer("ada", "cancel")
    town.answer("bob", "keep")
    town.clock.advance(11 * MINUTE)
    town.deliver()
    assert (town.acts("ada"), mails(town, "ada")) == (["cancel"], ["ask", "canceled"])
    assert mails(town, "bob") == ["ask", "kept"]


def test_under_a_brake_a_resume_goes_on(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    brake(town)
    town.answer("ada", "resume")
    town.clock.advance(MINUTE)
    town.deliver()
    assert town.acts("ada") == ["suspend", "resume"]


def test_under_a_brake_silence_cancels_nobody(town: Town) -> None:
    town.put_in_force(
        {"on_no_answer": "cancel_at_period_end", "unused_after": "P1Y", "pace": {"ramp": ["100%"]}}
    )
    town.join(row("ada"))
    asked(town, "ada")
    window_ends(town, "ada")
    town.sweep()
    assert kinds(town, "ada") == ["billing.cancel"]
    brake(town)
    assert claim(town, Lane.BILLING) == []
    town.clock.advance(HOUR)
    assert claim(town, Lane.BILLING) == []
    assert waiting(town, "ada") == [("billing.cancel", "pending")]


def test_under_a_brake_an_act_that_may_have_happened_is_read_back_only(town: Town) -> None:
    silent(town)
    claim(town, Lane.BILLING)
    brake(town)
    leases_run_out(town)
    (task,) = claim(town, Lane.BILLING)
    assert task.check_only
    town.answer("ada", "keep")
    acknowledge(town, task, Done(), Standing("paused", None))
    assert kinds(town, "ada") == ["billing.resume"]


def test_under_a_brake_an_act_that_timed_out_is_read_back_only(town: Town) -> None:
    silent(town)
    acknowledge(town, claim(town, Lane.BILLING)[0], UNKNOWN)
    brake(town)
    town.clock.advance(5 * MINUTE)
    (task,) = claim(town, Lane.BILLING)
    assert task.check_only
    acknowledge(town, task, Later("never reached billing"))
    town.clock.advance(timedelta(minutes=10))
    assert claim(town, Lane.BILLING) == []
    assert waiting(town, "ada") == [("billing.suspend", "pending")]


def test_a_late_outcome_of_an_earlier_round_says_nothing_of_the_newer_one(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    effects = Effects(town.database, town.clock, town.links)
    _, (asked,), _ = effects.claim(town.key, Lane.NOTICE, 1)
    town.clock.moment += timedelta(days=4)  # the lease, on the other clock, still runs
    town.hear()
    town.sweep()
    town.sweep()
    effects.claim(town.key, Lane.NOTICE, 1)

    effects.acknowledge(town.key, [Result(asked, Done())])

    current = town.case("ada").round
    assert current is not None
    assert (current.number, current.asked_at) == (2, None)
