"""The clock charges as Stripe does: renewals, retries, trials, ends, pauses and their traps."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from tests.fakestripe import FakeStripe
from tests.fakestripe.records import Pause, Subscription

DAY = 86_400
MONTH = timedelta(days=32)


def status(fake: FakeStripe, sub: Subscription) -> str:
    return fake.shop.subscription(sub).status


def test_a_year_of_months_is_thirteen_charges(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.advance(timedelta(days=365, hours=1))
    charges = fake.shop.charges(sub)
    assert len(charges) == 13
    assert {each.amount for each in charges} == {999}
    days = {datetime.fromtimestamp(each.created, UTC).day for each in charges}
    assert days == {15}


def test_the_charge_comes_an_hour_after_the_draft(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.advance(sub.period_end)
    draft = fake.shop.invoices(sub)[-1]
    assert (draft.status, draft.finalizes_at) == ("draft", sub.period_end + 3_600)
    assert fake.shop.subscription(sub).items[0].start == sub.period_end
    fake.advance(sub.period_end + 3_599)
    assert len(fake.shop.charges(sub)) == 1
    fake.advance(sub.period_end + 3_600)
    assert fake.shop.charged_after(sub, sub.period_end)[0].created == sub.period_end + 3_600


def test_the_31st_is_clamped_and_kept() -> None:
    with FakeStripe(start=datetime(2027, 1, 31, tzinfo=UTC)) as fake:
        sub = fake.shop.subscribe()
        fake.advance(timedelta(days=100))
        starts = [datetime.fromtimestamp(each.created, UTC) for each in fake.shop.invoices(sub)]
    assert [f"{each:%m-%d}" for each in starts] == ["01-31", "02-28", "03-31", "04-30"]


def test_small_steps_are_as_one_big_step(fake: FakeStripe) -> None:
    with FakeStripe(seed=7) as other:
        for each in (fake, other):
            each.shop.cards.share = 0.4
            for _ in range(5):
                each.shop.subscribe()
        fake.advance(timedelta(days=120))
        for _ in range(40):
            other.advance(timedelta(days=3))
        assert fake.shop.charges(failed=True) == other.shop.charges(failed=True)
        assert fake.shop.subscriptions() == other.shop.subscriptions()
        assert any(not each.paid for each in fake.shop.charges(failed=True))


def test_declined_it_is_tried_four_times_and_then_canceled(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.shop.decline(sub.customer)
    first = sub.period_end + 3_600
    fake.advance(first)
    assert status(fake, sub) == "past_due"
    invoice = fake.shop.invoices(sub)[-1]
    assert (invoice.attempts, invoice.next_attempt) == (1, first + 3 * DAY)
    fake.advance(first + 14 * DAY)
    tried = [each.created - first for each in fake.shop.charges(sub, failed=True)[1:]]
    assert tried == [0, 3 * DAY, 8 * DAY, 14 * DAY]
    ended = fake.shop.subscription(sub)
    assert (ended.status, ended.cancel_reason) == ("canceled", "payment_failed")
    assert fake.shop.invoices(sub)[-1].status == "open"


def test_declined_it_may_stay_unpaid_and_drafts_pile_up(fake: FakeStripe) -> None:
    fake.shop.habits.after_retries = "unpaid"
    sub = fake.shop.subscribe()
    fake.shop.decline(sub.customer)
    fake.advance(timedelta(days=100))
    assert status(fake, sub) == "unpaid"
    assert [each.status for each in fake.shop.invoices(sub)] == ["paid", "open", "draft", "draft"]


def test_a_retry_that_works_makes_it_active_again(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.shop.decline(sub.customer)
    fake.advance(MONTH)
    fake.shop.accept(sub.customer)
    fake.advance(timedelta(days=4))
    assert status(fake, sub) == "active"
    assert len(fake.shop.charges(sub)) == 2


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")],
)
def test_paused_collection_makes_invoices_and_charges_nobody(
    fake: FakeStripe, behavior: str, expected: str
) -> None:
    sub = fake.shop.subscribe()
    fake.shop.update(sub, pause=Pause(behavior))
    fake.advance(timedelta(days=200))
    assert status(fake, sub) == "active"
    assert [each.status for each in fake.shop.invoices(sub)[1:]] == [expected] * 6
    assert fake.shop.charged_after(sub, sub.created) == []


def test_paused_collection_does_not_stop_what_is_open(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    """The trap: an older invoice is tried again while collection is paused, and may be paid."""
    sub, other = fake.shop.subscribe(), fake.shop.subscribe()
    for each in (sub, other):
        fake.shop.decline(each.customer)
    fake.advance(MONTH)
    for each in (sub, other):
        client.v1.subscriptions.update(each.id, {"pause_collection": {"behavior": "void"}})
        fake.shop.accept(each.customer)
    owed = client.v1.invoices.list({"subscription": other.id, "status": "open"}).data
    client.v1.invoices.void_invoice(owed[0].id)
    assert status(fake, other) == "active"
    paused_at = fake.now
    fake.advance(timedelta(days=200))
    assert len(fake.shop.charged_after(sub, paused_at)) == 1
    assert fake.shop.charged_after(other, paused_at) == []


def test_nor_does_it_stop_a_draft_of_before(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.advance(sub.period_end + 60)
    fake.shop.update(sub, pause=Pause("void"))
    fake.advance(timedelta(hours=2))
    assert len(fake.shop.charged_after(sub, sub.period_end)) == 1


def test_collection_begins_again_by_itself(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.shop.update(sub, pause=Pause("void", fake.now + 40 * DAY))
    fake.advance(timedelta(days=70))
    assert fake.shop.subscription(sub).pause is None
    assert [each.status for each in fake.shop.invoices(sub)] == ["paid", "void", "paid"]


@pytest.mark.parametrize("how", [{"cancel_at_period_end": True}, {"cancel_at": 1_770_000_000}])
def test_a_planned_end_comes(fake: FakeStripe, how: dict[str, Any]) -> None:
    sub = fake.shop.subscribe(**how)
    assert sub.cancel_at is not None
    fake.advance(sub.cancel_at - 1)
    assert status(fake, sub) == "active"
    fake.advance(timedelta(days=100))
    ended = fake.shop.subscription(sub)
    assert (ended.status, ended.ended_at, ended.canceled_at) == (
        "canceled", sub.cancel_at, sub.created,
    )  # fmt: skip
    assert len(fake.shop.invoices(sub)) == 1


def test_a_cancel_stops_the_retries(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe()
    fake.shop.decline(sub.customer)
    fake.advance(MONTH)
    fake.shop.cancel(sub)
    fake.shop.accept(sub.customer)
    fake.advance(timedelta(days=100))
    assert fake.shop.charged_after(sub, sub.created) == []


def test_a_trial_is_free_and_then_charged(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe(trial_end=fake.now + 14 * DAY)
    assert (sub.status, fake.shop.charges(sub)) == ("trialing", [])
    fake.advance(timedelta(days=12))
    assert len(fake.shop.events("customer.subscription.trial_will_end")) == 1
    fake.advance(timedelta(days=3))
    assert status(fake, sub) == "active"
    assert [each.amount for each in fake.shop.charges(sub)] == [999]


def test_no_news_of_a_trial_that_was_canceled(fake: FakeStripe) -> None:
    sub = fake.shop.subscribe(trial_end=fake.now + 14 * DAY)
    fake.shop.cancel(sub)
    fake.advance(timedelta(days=12))
    assert fake.shop.events("customer.subscription.trial_will_end") == []


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("pause", "paused"), ("cancel", "canceled"), ("create_invoice", "past_due")],
)
def test_a_trial_that_ends_without_a_card(fake: FakeStripe, setting: str, expected: str) -> None:
    poor = fake.shop.customer(payment_method=None)
    sub = fake.shop.subscribe(poor, trial_end=fake.now + DAY, missing_method=setting)
    fake.advance(timedelta(days=2))
    assert status(fake, sub) == expected
    assert fake.shop.charges(sub, failed=True) == []


def test_a_first_payment_that_fails(fake: FakeStripe) -> None:
    customer = fake.shop.customer()
    fake.shop.decline(customer)
    sub = fake.shop.subscribe(customer)
    assert sub.status == "incomplete"
    fake.advance(timedelta(hours=22))
    assert status(fake, sub) == "incomplete"
    fake.advance(timedelta(hours=2))
    assert status(fake, sub) == "incomplete_expired"
    assert fake.shop.invoices(sub)[0].status == "void"


def test_an_invoice_that_is_sent_falls_due(fake: FakeStripe, client: stripe.StripeClient) -> None:
    sub = fake.shop.subscribe(collection="send_invoice", days_until_due=3)
    fake.advance(timedelta(days=4, hours=1))
    assert status(fake, sub) == "past_due"
    invoice = fake.shop.invoices(sub)[0]
    paid = client.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    assert (paid.status, status(fake, sub)) == ("paid", "active")
    assert fake.shop.charges(sub) == []


def test_a_test_clock_moves_its_own_customers(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    clock = client.v1.test_helpers.test_clocks.create({"frozen_time": fake.now})
    customer = client.v1.customers.create(
        {"test_clock": clock.id, "payment_method": "pm_card_visa"}
    )
    sub, other = fake.shop.subscribe(customer.id), fake.shop.subscribe()
    target = fake.now + 100 * DAY
    moving = client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": target})
    assert moving.status == "advancing"
    assert client.v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"
    assert (len(fake.shop.charges(sub)), len(fake.shop.charges(other))) == (4, 1)
    listed = client.v1.subscriptions.list({"status": "all"}).data
    assert [each.id for each in listed] == [other.id]
    mine = client.v1.subscriptions.list({"status": "all", "test_clock": clock.id}).data
    assert [each.id for each in mine] == [sub.id]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": target - 1})


def test_started_in_the_past_nothing_is_charged_for_it(fake: FakeStripe) -> None:
    start = fake.now - 1_000 * DAY
    sub = fake.shop.subscribe(start=start)
    assert fake.shop.charges(sub) == []
    assert sub.items[0].start <= fake.now < sub.items[0].end
    assert sub.start_date == start
    fake.advance(sub.period_end + 3_600)
    assert [each.amount for each in fake.shop.charges(sub)] == [999]


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids(seed: int) -> list[str]:
        with FakeStripe(seed=seed) as fake:
            fake.shop.subscribe()
            fake.advance(MONTH)
            return [each.id for each in fake.shop.events()]

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))
    assert ids(1) != sorted(ids(1))
