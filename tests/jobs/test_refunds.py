"""A charge after a suspension becomes one entry, a person decides, and money goes back once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Conflict, NotFound, Refused
from app.lifecycle.case import Answer, Word
from app.refunding import stop_at
from app.store import looks
from app.store.reconciliation import WALKED_BACK
from app.store.refunds import Line
from app.store.running import LOOK, RECONCILE, REFUND
from app.world.billing.sandbox import Sandbox
from app.world.connector import Away, Capabilities, Charge, Page, Repayment
from app.world.outcome import Done, Later, No, Outcome
from tests.fakebooks import LEASE, FakeBooks, books_of, kept, kept_through_deaths, on_books
from tests.probe import DAY, HOUR, MINUTE, asked, leases_run_out, rows, suspended
from tests.world import ACTOR, START, Town, row

SECOND = timedelta(seconds=1)


@pytest.fixture
def billing(town: Town) -> FakeBooks:
    return on_books(town)


@pytest.fixture
def ada(town: Town, billing: FakeBooks) -> datetime:  # noqa: ARG001
    """Have Ada suspended; give when billing confirmed it."""
    town.join(row("ada"))
    suspended(town, "ada")
    current = town.case("ada").round
    assert current is not None
    assert current.decided_at is not None
    return current.decided_at


def walked(town: Town, billing: Any) -> None:
    """Compare with billing now."""
    books_of(town, billing).run("tv")


def later(town: Town, by: timedelta = HOUR) -> datetime:
    town.clock.advance(by)
    return town.clock.now()


def ledger(town: Town, what: str = "state, amount, refunded, currency, error") -> list[Any]:
    return rows(town.database, f"select {what} from refund order by id")  # noqa: S608


def number(town: Town) -> int:
    ((found,),) = rows(town.database, "select max(id) from refund")
    return int(found)


def approved(town: Town, billing: FakeBooks) -> int:
    """Have what is proposed approved."""
    found = number(town)
    books_of(town, billing).ledger.approve("tv", found, ACTOR)
    return found


def owed(town: Town, billing: FakeBooks, **more: Any) -> int:
    """Have Ada charged an hour after her suspension, and that found and approved."""
    billing.charges_for("ada", later(town), **more)
    walked(town, billing)
    return approved(town, billing)


def make(town: Town, billing: FakeBooks) -> None:
    kept(books_of(town, billing), REFUND)


def later_made(town: Town, billing: FakeBooks, times: int = 3) -> None:
    for _ in range(times):
        make(town, billing)
        town.clock.advance(7 * HOUR)


# --- what is wrong -----------------------------------------------------------------------------


def test_a_charge_after_a_suspension_opens_one_entry_with_the_exact_amount(
    town: Town, billing: FakeBooks, ada: datetime
) -> None:
    at = later(town)
    billing.charges_for("ada", at, 1349)
    for _ in range(3):
        walked(town, billing)
        town.clock.advance(DAY)
    assert ledger(town) == [("proposed", 1349, 0, "GBP", None)]
    ((charged_at, round_, evidence),) = ledger(town, "charged_at, round, evidence")
    assert (charged_at, round_) == (at, 1)
    assert evidence["why"] == "charged_after_suspension"
    assert datetime.fromisoformat(evidence["suspended_at"]) == ada
    assert town.story("ada").count("refund_proposed") == 1


@pytest.mark.parametrize(
    ("after", "wrong"),
    [(-DAY, 0), (-SECOND, 0), (timedelta(0), 0), (SECOND, 1), (30 * DAY, 1)],
)
def test_a_charge_before_billing_confirmed_or_at_that_moment_is_not_wrong(
    town: Town, billing: FakeBooks, ada: datetime, after: timedelta, wrong: int
) -> None:
    town.clock.advance(31 * DAY)
    billing.charges_for("ada", ada + after)
    walked(town, billing)
    assert len(ledger(town)) == wrong


def test_a_charge_of_somebody_who_was_only_asked_is_not_wrong(
    town: Town, billing: FakeBooks
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    billing.charges_for("ada", later(town))
    billing.charges_for("nobody", later(town))
    walked(town, billing)
    assert ledger(town) == []


@pytest.mark.usefixtures("ada")
def test_after_the_persons_own_yes_a_charge_is_right_and_after_its_undo_wrong(
    town: Town,
    billing: FakeBooks,
) -> None:
    town.clock.advance(HOUR)
    town.answer("ada", "resume")
    billing.charges_for("ada", town.clock.now() + SECOND, 1)
    town.clock.advance(5 * SECOND)
    town.answer("ada", "undo")
    billing.charges_for("ada", town.clock.now() + SECOND, 2)
    town.clock.advance(MINUTE)
    town.answer("ada", "resume")
    town.clock.advance(MINUTE)
    town.deliver()
    assert town.case("ada").round.outcome == "resumed"  # type: ignore[union-attr]
    billing.charges_for("ada", later(town), 3)
    walked(town, billing)
    assert ledger(town, "amount") == [(2,)]


def says_keep(town: Town, _task: object) -> None:
    town.tell("ada", Answer(Word.KEEP, 1))


def test_a_yes_said_while_billing_was_being_told_counts(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(40 * DAY)
    town.hear()
    town.sweep()
    worker = town.worker()
    worker.before_act = partial(says_keep, town)
    worker.once()
    assert "suspended" in town.story("ada")
    billing.charges_for("ada", town.clock.now() + SECOND)
    town.clock.advance(HOUR)
    walked(town, billing)
    assert ledger(town) == []


@pytest.mark.usefixtures("ada")
def test_a_resume_by_billing_itself_is_said_and_once_found_right_is_left_alone(
    town: Town,
    billing: FakeBooks,
) -> None:
    billing.changes("ada", status="paused")
    later(town)
    walked(town, billing)
    billing.changes("ada", status="active")
    billing.charges_for("ada", later(town, 2 * HOUR) + MINUTE)
    walked(town, billing)
    ((evidence,),) = ledger(town, "evidence")
    assert "resumed_by_billing_at" in evidence
    books_of(town, billing).ledger.decline("tv", number(town), ACTOR, "not_wrong")
    billing.charges_for("ada", later(town, 2 * DAY))
    walked(town, billing)
    assert ledger(town, "state") == [("declined",)]


@pytest.mark.usefixtures("ada")
def test_what_was_given_back_already_is_reduced_or_needs_no_entry(
    town: Town,
    billing: FakeBooks,
) -> None:
    at = later(town)
    billing.charges_for("ada", at, 1000, refunded=400)
    billing.charges_for("ada", at, 500, refunded=500)
    walked(town, billing)
    assert ledger(town) == [("proposed", 1000, 400, "GBP", None)]
    billing.gives_back("ch_0", 100)
    walked(town, billing)
    assert ledger(town, "amount, refunded") == [(1000, 500)]


@pytest.mark.parametrize(
    ("odd", "error"),
    [
        ({"amount": -1}, "amount absurd"),
        ({"amount": 10**30}, "amount absurd"),
        ({"amount": 5, "refunded": 6}, "amount absurd"),
        ({"amount": 5, "refunded": -1}, "amount absurd"),
        ({"currency": "USD"}, "other currency"),
    ],
)
@pytest.mark.usefixtures("ada")
def test_what_cannot_be_is_for_a_person_and_is_never_made(
    town: Town,
    billing: FakeBooks,
    odd: dict[str, Any],
    error: str,
) -> None:
    billing.charges_for("ada", later(town), **odd)
    walked(town, billing)
    assert ledger(town, "state, error") == [("failed", error)]
    with pytest.raises(Conflict, match="cannot be made"):
        approved(town, billing)
    walked(town, billing)
    assert ledger(town, "state, error") == [("failed", error)]
    books_of(town, billing).ledger.decline("tv", number(town), ACTOR, "other")


@pytest.mark.usefixtures("ada")
def test_a_charge_that_cannot_be_kept_stops_no_other(
    town: Town,
    billing: FakeBooks,
) -> None:
    at = later(town)
    for name, changes in (("a\0b", {}), ("ü", {}), ("x" * 999, {}), ("n", {"amount": None})):
        made = billing.charges_for("ada", at, **changes)  # type: ignore[arg-type]
        object.__setattr__(made, "id", name)
    billing.charges_for("ada", at, 7)
    walked(town, billing)
    assert ledger(town, "amount") == [(7,)]


def test_charges_are_walked_from_where_the_last_run_ended_with_an_overlap(
    town: Town, billing: FakeBooks, ada: datetime
) -> None:
    walked(town, billing)
    billing.charges_for("ada", ada + HOUR)  # made before that run, and seen only now
    town.clock.advance(DAY)
    walked(town, billing)
    assert len(ledger(town)) == 1
    ((since,),) = rows(town.database, "select charges_from from reconciliation")
    assert since == town.clock.now() - 2 * DAY


def test_a_charge_that_is_seen_days_late_is_found_within_a_week_and_once(
    town: Town, billing: FakeBooks, ada: datetime
) -> None:
    walked(town, billing)
    late = billing.charges_for("ada", ada + HOUR)
    billing.made.clear()
    for _ in range(4):
        town.clock.advance(DAY)
        walked(town, billing)
    billing.made.append(late)
    nights = [0]
    for _ in range(15):
        town.clock.advance(DAY)
        walked(town, billing)
        nights.append(len(ledger(town)))
    assert nights == [0, 0, 0, *[1] * 13]
    assert town.story("ada").count("refund_proposed") == 1


def test_only_once_a_week_charges_are_walked_through_far_back(
    town: Town, billing: FakeBooks
) -> None:
    begun: list[datetime] = []
    real = billing.charges

    def charges(since: datetime, after: str | None) -> Page[Charge]:
        begun.append(since)
        return real(since, after)

    billing.charges = charges  # type: ignore[method-assign]
    town.clock.advance(10 * DAY)
    walked(town, billing)
    town.clock.advance(90 * DAY)
    for _ in range(22):
        walked(town, billing)
        town.clock.advance(DAY)
    assert begun[:2] == [START, START + 8 * DAY]
    walks = [START + (100 + place) * DAY - at for place, at in enumerate(begun[1:])]
    assert walks[1:] == ([3 * DAY] * 6 + [WALKED_BACK]) * 3


def test_the_sandbox_that_charges_a_paused_account_is_found_out_and_gives_back(
    town: Town,
) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    at = later(town)
    rows(
        town.database,
        "insert into sandbox_charge values ('tv', 'ada', :at, 1349, 'GBP', 0)",
        at=at,
    )
    billing = Sandbox(town.database.engine, "tv")
    town.clock.advance(2 * DAY)
    kept(books_of(town, billing), RECONCILE)
    assert ledger(town) == [("proposed", 1349, 0, "GBP", None)]
    books_of(town, billing).ledger.approve("tv", number(town), ACTOR)
    kept(books_of(town, billing), REFUND)
    assert rows(town.database, "select refunded from sandbox_charge where charged_at = :at", at=at)
    assert ledger(town) == [("made", 1349, 1349, "GBP", None)]
    assert rows(town.database, "select sum(refunded) from sandbox_charge") == [(1349,)]


# --- after a cancel ----------------------------------------------------------------------------


@pytest.fixture
def ended(town: Town, billing: FakeBooks) -> datetime:
    """Have Ada cancel, and billing confirm it; give when the time she paid for ends."""
    billing.has(row("ada"))
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "cancel")
    town.clock.advance(11 * MINUTE)
    town.deliver()
    current = town.case("ada").round
    assert current is not None
    assert town.stage("ada") == "canceled"
    assert current.paid_until is not None
    assert current.paid_until > town.clock.now() + DAY
    return current.paid_until


@pytest.mark.parametrize(
    ("after", "wrong"), [(-DAY, 0), (-SECOND, 0), (timedelta(0), 1), (HOUR, 1), (30 * DAY, 1)]
)
def test_a_charge_for_the_time_after_a_cancel_is_wrong_and_one_for_the_time_before_is_not(
    town: Town, billing: FakeBooks, ended: datetime, after: timedelta, wrong: int
) -> None:
    canceled_at = town.clock.now()
    town.clock.set(ended + 31 * DAY)
    billing.charges_for("ada", ended + after)
    walked(town, billing)
    assert ledger(town, "state, amount") == [("proposed", 1349)] * wrong
    for (evidence,) in ledger(town, "evidence"):
        assert evidence["why"] == "charged_after_cancel"
        assert datetime.fromisoformat(evidence["canceled_at"]) == canceled_at
        assert datetime.fromisoformat(evidence["paid_until"]) == ended
    if wrong:
        approved(town, billing)
        make(town, billing)
        assert ledger(town, "state, refunded, why") == [("made", 1349, "charged_after_cancel")]
        assert len(billing.given) == 1


def test_where_billing_did_not_say_how_long_was_paid_every_charge_after_it_is_before_a_person(
    town: Town, billing: FakeBooks, ended: datetime
) -> None:
    rows(town.database, "update reconfirmation set paid_until = null")
    billing.charges_for("ada", later(town))
    walked(town, billing)
    ((evidence,),) = ledger(town, "evidence")
    assert "paid_until" not in evidence
    assert town.clock.now() < ended


def test_a_charge_before_a_cancel_was_confirmed_is_not_wrong(
    town: Town, billing: FakeBooks
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "cancel")
    rows(town.database, "update sandbox_account set paid_until = :at", at=town.clock.now())
    town.clock.advance(11 * MINUTE)
    billing.charges_for("ada", town.clock.now() - MINUTE)
    billing.charges_for("ada", town.clock.now())
    town.deliver()
    assert town.stage("ada") == "canceled"
    billing.charges_for("ada", later(town), 7)
    walked(town, billing)
    assert ledger(town, "amount") == [(7,)]


@pytest.mark.usefixtures("billing")
def test_after_a_resume_of_what_was_canceled_a_charge_is_right(
    town: Town, billing: FakeBooks, ended: datetime
) -> None:
    town.clock.advance(HOUR)
    town.answer("ada", "resume")
    town.clock.advance(MINUTE)
    town.deliver()
    assert town.case("ada").round.outcome == "resumed"  # type: ignore[union-attr]
    town.clock.set(ended + DAY)
    billing.charges_for("ada", ended + HOUR)
    walked(town, billing)
    assert ledger(town) == []


def test_who_subscribes_anew_under_the_same_id_is_charged_rightly(
    town: Town, billing: FakeBooks, ended: datetime
) -> None:
    town.clock.set(ended + HOUR)
    billing.changes("ada", status="canceled")
    kept(books_of(town, billing), RECONCILE)
    hinted(town, billing, "ada")
    billing.charges_for("ada", later(town), 1)
    town.clock.advance(5 * DAY)
    billing.changes("ada", status="active", started_at=town.clock.now().isoformat())
    hinted(town, billing, "ada")
    billing.charges_for("ada", later(town), 2)
    walked(town, billing)
    assert ledger(town, "amount") == [(1,)]


def test_who_begins_anew_without_billing_telling_of_the_end_is_known_by_the_start(
    town: Town, billing: FakeBooks, ended: datetime
) -> None:
    """Billing still had it as active until the time was over, and then had another in its place."""
    town.clock.set(ended + 5 * DAY)
    billing.charges_for("ada", ended + HOUR, 1)
    billing.changes("ada", started_at=town.clock.now().isoformat())
    hinted(town, billing, "ada")
    billing.charges_for("ada", later(town), 2)
    walked(town, billing)
    assert ledger(town, "amount") == [(1,)]


def test_what_billing_canceled_by_itself_proves_nothing(town: Town, billing: FakeBooks) -> None:
    billing.has(row("ada"))
    town.join(row("ada"))
    asked(town, "ada")
    billing.changes("ada", status="canceled")
    town.clock.advance(MINUTE)
    hinted(town, billing, "ada")
    assert town.stage("ada") == "canceled"
    town.clock.advance(100 * DAY)
    billing.charges_for("ada", town.clock.now() - HOUR)
    walked(town, billing)
    assert ledger(town) == []


@pytest.mark.usefixtures("ada")
def test_a_cancel_by_billing_under_our_suspension_leaves_charges_wrong(
    town: Town, billing: FakeBooks
) -> None:
    billing.changes("ada", status="canceled")
    town.clock.advance(MINUTE)
    hinted(town, billing, "ada")
    assert town.stage("ada") == "canceled"
    billing.charges_for("ada", later(town))
    walked(town, billing)
    ((evidence,),) = ledger(town, "evidence")
    assert evidence["why"] == "charged_after_suspension"


def hinted(town: Town, billing: FakeBooks, name: str) -> None:
    """Let billing say that somebody has changed, and be asked about them."""
    with town.database.transaction() as connection:
        looks.want(connection, town.product.id, [name], (), town.clock.wall())
    kept(books_of(town, billing), LOOK)


# --- decisions -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("ada")
def test_nothing_is_given_back_without_a_person(
    town: Town,
    billing: FakeBooks,
) -> None:
    billing.charges_for("ada", later(town))
    walked(town, billing)
    later_made(town, billing)
    assert billing.given == {}
    for actor in ("worker", "clock", "subscriber", "reconciliation", ""):
        with pytest.raises(Refused, match="by people"):
            books_of(town, billing).ledger.approve("tv", number(town), actor)


@pytest.mark.usefixtures("ada")
def test_decisions_that_make_no_sense_are_refused(
    town: Town,
    billing: FakeBooks,
) -> None:
    billing.charges_for("ada", later(town))
    walked(town, billing)
    books, found = books_of(town, billing).ledger, number(town)
    with pytest.raises(NotFound):
        books.approve("tv", found + 1, ACTOR)
    with pytest.raises(Refused, match="no reason"):
        books.decline("tv", found, ACTOR, "ada@subscribers.example")
    Town.founded(town.database, town.clock, town.links, "radio")
    with pytest.raises(NotFound):
        books.approve("radio", found, ACTOR)
    books.decline("tv", found, ACTOR, "made_by_hand")
    with pytest.raises(Conflict, match="is declined"):
        books.approve("tv", found, ACTOR)
    assert town.story("ada")[-1] == "refund_declined"


@pytest.mark.usefixtures("ada")
def test_what_is_being_made_cannot_be_declined(
    town: Town,
    billing: FakeBooks,
) -> None:
    found = owed(town, billing)
    refusals = []

    def meanwhile(kind: str, _what: Any) -> None:
        if kind == "refund":
            with pytest.raises(Conflict, match="being made"):
                books_of(town, billing).ledger.decline("tv", found, ACTOR, "other")
            assert books_of(town, billing).ledger.claim(town.product) is None
            refusals.append(1)

    billing.before = meanwhile
    make(town, billing)
    assert refusals
    assert ledger(town, "state") == [("made",)]


# --- making --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ada")
def test_what_is_approved_is_given_back_once(
    town: Town,
    billing: FakeBooks,
) -> None:
    found = owed(town, billing)
    later_made(town, billing)
    assert billing.given == {f"refund-{found}": Repayment("ch_0", 1349, "GBP", f"refund-{found}")}
    assert ledger(town) == [("made", 1349, 1349, "GBP", None)]
    assert town.story("ada")[-3:] == [
        "refund_approved",
        "hold_released",
        "refund_made",
    ]


def held(town: Town) -> list[tuple[str, str, bool]]:
    statement = "select reason, source, released_at is null from hold order by id"
    return rows(town.database, statement)


@pytest.mark.usefixtures("ada")
def test_nobody_is_erased_while_something_may_be_owed_to_them(
    town: Town, billing: FakeBooks
) -> None:
    billing.charges_for("ada", later(town))
    walked(town, billing)
    walked(town, billing)
    source = f"refund:{number(town)}"
    assert held(town) == [("dispute", source, True)]
    assert town.case("ada").held
    approved(town, billing)
    billing.capabilities = Capabilities(refunds=False)
    make(town, billing)
    assert ledger(town, "state") == [("failed",)]
    assert held(town) == [("dispute", source, True)], "a person has to look at it first"
    billing.capabilities = Capabilities()
    approved(town, billing)
    make(town, billing)
    assert ledger(town, "state") == [("made",)]
    assert held(town) == [("dispute", source, False)]
    assert not town.case("ada").held


@pytest.mark.usefixtures("ada")
def test_what_is_declined_holds_nobody_any_more(town: Town, billing: FakeBooks) -> None:
    billing.charges_for("ada", later(town))
    walked(town, billing)
    books_of(town, billing).ledger.decline("tv", number(town), ACTOR, "not_wrong")
    assert [on for _, _, on in held(town)] == [False]
    assert town.story("ada")[-3:] == ["hold_set", "hold_released", "refund_declined"]


def lost(billing: FakeBooks, times: int, raises: Callable[[], Exception]) -> None:
    """Lose the answer of so many refunds after they were made."""
    left = [times]

    def loses() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise raises()

    billing.after_refund = loses


@pytest.mark.parametrize("error", [TimeoutError, lambda: Away("http 500")])
@pytest.mark.parametrize("can_be_read", [True, False])
@pytest.mark.usefixtures("ada")
def test_a_refund_whose_answer_is_lost_is_made_once(
    town: Town,
    billing: FakeBooks,
    error: Any,
    can_be_read: bool,  # noqa: FBT001
) -> None:
    owed(town, billing)
    billing.capabilities = Capabilities(charges=can_be_read)
    lost(billing, 1, error)
    make(town, billing)
    assert ledger(town, "state, unknown") == [("approved", 1)]
    with pytest.raises(Conflict, match="being made"):
        books_of(town, billing).ledger.decline("tv", number(town), ACTOR, "other")
    walked(town, billing)  # and so we learn that all of it was given back
    later_made(town, billing)
    assert len(billing.given) == 1
    assert len(billing.calls("refund")) == (1 if can_be_read else 2)
    assert ledger(town) == [("made", 1349, 1349, "GBP", None)]


@pytest.mark.usefixtures("ada")
def test_a_worker_may_die_at_any_step_of_giving_back(
    town: Town,
    billing: FakeBooks,
) -> None:
    step, died = 0, True
    while died:
        step += 1
        owed(town, billing)
        died = kept_through_deaths(town, billing, step)
        assert ledger(town, "state, refunded") == [("made", 1349)] * step
        assert all(each.refunded == each.amount for each in billing.made)
    assert step > 4


@pytest.mark.usefixtures("ada")
def test_a_refund_in_hand_is_taken_by_no_other_before_its_lease_has_run_out(
    town: Town, billing: FakeBooks
) -> None:
    found = owed(town, billing)
    ledger_ = books_of(town, billing).ledger
    first = ledger_.claim(town.product)
    assert first is not None
    assert (first.id, first.in_hand) == (found, True)
    for _ in range(2):
        assert ledger_.claim(town.product) is None
        town.clock.machine += LEASE / 2
    town.clock.machine += SECOND
    second = ledger_.claim(town.product)
    assert second is not None
    assert (second.id, second.fence, second.tries) == (found, first.fence + 1, 2)


@pytest.mark.usefixtures("ada")
def test_who_has_lost_a_refund_to_another_writes_nothing(town: Town, billing: FakeBooks) -> None:
    owed(town, billing)
    answers: list[str] = []

    def slow(kind: str, _what: Any) -> None:
        if kind == "refund" and not answers:
            answers.append("slow")
            leases_run_out(town)
            books_of(town, billing).ledger.claim(town.product)
            raise ZeroDivisionError

    billing.before = slow
    make(town, billing)
    ((state, in_hand, unknown),) = ledger(town, "state, lease_until is not null, unknown")
    assert (state, in_hand, unknown) == ("approved", True, 1)
    leases_run_out(town)
    make(town, billing)
    assert ledger(town, "state, refunded") == [("made", 1349)]


@pytest.mark.usefixtures("ada")
def test_an_unknown_outcome_that_cannot_be_read_is_not_tried_after_a_day(
    town: Town,
    billing: FakeBooks,
) -> None:
    owed(town, billing)
    billing.capabilities = Capabilities(charges=False)
    lost(billing, 1, TimeoutError)
    make(town, billing)
    town.clock.advance(25 * HOUR)
    make(town, billing)
    assert len(billing.calls("refund")) == 1
    assert ledger(town, "state, error") == [("failed", "outcome unknown")]
    approved(town, billing)
    make(town, billing)
    assert len(billing.calls("refund")) == 1
    billing.capabilities = Capabilities()
    approved(town, billing)
    make(town, billing)
    assert ledger(town, "state") == [("made",)]


@pytest.mark.usefixtures("ada")
def test_a_refund_of_unknown_outcome_beside_anothers_is_for_a_person(
    town: Town,
    billing: FakeBooks,
) -> None:
    owed(town, billing)

    def cut(kind: str, _what: Any) -> None:
        if kind == "refund":
            raise TimeoutError

    billing.before = cut
    make(town, billing)
    billing.before = lambda _kind, _what: None
    billing.gives_back("ch_0", 49)
    later_made(town, billing)
    assert billing.given == {}
    assert ledger(town, "state, error") == [("failed", "outcome unknown")]


@pytest.mark.usefixtures("ada")
def test_what_was_given_back_meanwhile_is_not_given_twice(
    town: Town,
    billing: FakeBooks,
) -> None:
    first = owed(town, billing)
    billing.gives_back("ch_0", 349)
    make(town, billing)
    assert billing.given[f"refund-{first}"].amount == 1000
    assert ledger(town) == [("made", 1349, 1349, "GBP", None)]
    second = owed(town, billing)
    billing.gives_back("ch_1", 1349)
    make(town, billing)
    assert f"refund-{second}" not in billing.given
    assert ledger(town, "state, error")[1] == ("declined", "already refunded")


@pytest.mark.usefixtures("ada")
def test_billing_away_is_waited_for_and_a_no_is_for_a_person(
    town: Town, billing: FakeBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed(town, billing)

    def away(_kind: str, _what: Any) -> None:
        raise Away("http 503", timedelta(hours=2))

    billing.before = away
    make(town, billing)
    assert ledger(town, "state, error, unknown") == [("approved", "http 503", 0)]
    ((until,),) = ledger(town, "not_before")
    assert until == town.clock.now() + 2 * HOUR
    billing.before = lambda _kind, _what: None
    make(town, billing)
    assert billing.given == {}
    town.clock.advance(2 * HOUR)
    answers: list[Outcome] = [Later("http 429", retry_after=MINUTE), No("charge disputed")]
    monkeypatch.setattr(billing, "refund", lambda _: answers.pop(0))
    make(town, billing)
    town.clock.advance(MINUTE)
    make(town, billing)
    assert ledger(town, "state, error") == [("failed", "charge disputed")]
    assert town.story("ada")[-1] == "refund_failed"


@pytest.mark.usefixtures("ada")
def test_who_never_answers_is_before_a_person_at_last(
    town: Town,
    billing: FakeBooks,
) -> None:
    owed(town, billing)

    def away(_kind: str, _what: Any) -> None:
        raise Away("timeout")

    billing.before = away
    later_made(town, billing, 25)
    assert ledger(town, "state, error, tries") == [("failed", "timeout", 20)]


@pytest.mark.usefixtures("ada")
def test_a_system_that_cannot_refund_leaves_the_entry_with_the_reason(
    town: Town,
    billing: FakeBooks,
) -> None:
    owed(town, billing)
    billing.capabilities = Capabilities(refunds=False)
    make(town, billing)
    assert ledger(town, "state, error") == [("failed", "cannot refund")]
    books_of(town, billing).ledger.decline("tv", number(town), ACTOR, "made_by_hand")


def test_two_workers_at_once_give_everything_back_once(town: Town, billing: FakeBooks) -> None:
    town.join(*(row(f"p{one:02}") for one in range(30)))
    suspended(town, "p00")
    at = later(town)
    for one in range(30):
        billing.charges_for(f"p{one:02}", at, 100 + one)
    walked(town, billing)
    for (found,) in ledger(town, "id"):
        books_of(town, billing).ledger.approve("tv", found, ACTOR)
    workers = [Thread(target=make, args=(town, billing)) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    make(town, billing)
    assert ledger(town, "state") == [("made",)] * 30
    assert sorted(each.amount for each in billing.given.values()) == [*range(100, 130)]
    assert len(billing.calls("refund")) == 30


# --- the proof, against another way of saying it ------------------------------------------------

WHATS = {
    "suspended": ("suspended", "billing_acknowledged_suspend"),
    "canceled": ("canceled", "billing_acknowledged_cancel"),
    "ended": ("canceled", "canceled_by_billing"),
    "foreign": ("resumed", "resumed_by_billing"),
    "resumed": ("resumed", "billing_acknowledged_resume"),
    "asked": ("asked", "unused"),
    "yes": ("resume_recorded", "said_by_subscriber"),
    "keep": ("keep_recorded", "said_by_app"),
    "undone": ("answer_undone", "said_by_subscriber"),
    "cancel": ("cancel_recorded", "said_by_subscriber"),
}
ACTS = {"suspended", "canceled", "ended"}
WORDS = {"yes", "keep", "undone", "cancel", "asked", "resumed"}
Story = list[tuple[str, Line]]


def ends(story: Story) -> bool:
    """Say whether an act of ours stands that an end has come on top of."""
    names = [name for name, _ in story]
    if "suspended" not in names:
        return "canceled" in names
    last = len(names) - names[::-1].index("suspended")
    return not {"canceled", "ended"}.isdisjoint(names[last:])


def wrong_because_of(story: Story, at: datetime) -> str | None:
    """Say what forbids a charge, by leaving out all that came before it was last right again."""
    words = [name for name, _ in story if name in WORDS]
    if words and words[-1] in {"yes", "keep"}:
        return None
    start = 0
    for place, (name, _) in enumerate(story):
        anew = name == "foreign" and ends(story[start:place])
        start = place if anew or name in {"asked", "resumed"} else start
    standing = [(name, line) for name, line in story[start:] if name in {"suspended", "canceled"}]
    if any(name == "suspended" for name, _ in standing):
        return "charged_after_suspension"
    until = standing[0][1].paid_until if standing else None
    over = bool(standing) and (until is None or until <= at)
    return "charged_after_cancel" if over else None


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(WHATS)),
            st.integers(0, 3),
            st.none() | st.integers(0, 25).map(lambda seconds: START + seconds * SECOND),
        ),
        max_size=10,
    ),
    st.integers(0, 25),
)
def test_whoever_tells_the_story_otherwise_finds_the_same(
    told: list[tuple[str, int, datetime | None]], when: int
) -> None:
    at, story, moment = START + when * SECOND, [], 0
    for place, (name, pause, until) in enumerate(told):
        moment += pause
        story.append((name, Line(place, START + moment * SECOND, 1, *WHATS[name], until)))
    heard = [
        (name, line) for name, line in story if line.at < at or (line.at == at and name not in ACTS)
    ]
    found = stop_at([line for _, line in story], at)
    assert (found and found.why) == wrong_because_of(heard, at)


def test_a_moment_needs_no_zone_of_ours() -> None:
    line = Line(1, START, 1, "suspended", "billing_acknowledged_suspend")
    assert stop_at([line], datetime(2024, 9, 2, tzinfo=UTC)) is not None
    assert Done() == Done()
