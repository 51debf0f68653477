"""What every kind of erasure target has to do, whichever it is.

The suite runs over the files of `app/world/erasure`, and grows by itself with each. A new kind
needs one entry in HARNESSES: how a test puts somebody there, and what its other side holds.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from app.errors import Refused
from app.store.database import Database
from app.world import erasure
from app.world.erasing import (
    CONTRACT,
    GROUNDS,
    LEGAL_OBLIGATION,
    Given,
    Owed,
    Receipt,
    Request,
    fault_of,
)
from app.world.outcome import Later, No
from tests.app.world.erasure.harness import (
    EMAIL,
    Harness,
    Person,
    SandboxHarness,
    SqlHarness,
    StripeHarness,
    WebhookHarness,
    another_database,
    receipt_of,
    today,
)
from tests.fakestripe import FakeStripe
from tests.receiver import receiving
from tests.world import MovableClock

A_CODE = re.compile(r"[a-z0-9][a-z0-9 _,:]{0,59}")
"""What a reason may look like: words, and nothing that could be an address, a name or a key."""
FORGOTTEN = timedelta(hours=25)
YEAR = timedelta(days=366)
ODD_IDS = ("sub_nobody", "1", "no such id", "../customers", "a" * 300, "ü", "' or 1=1 --", "%")

Make = Callable[[Database, MovableClock, Path, ExitStack], Harness]


def _webhook(database: Database, clock: MovableClock, _: Path, stack: ExitStack) -> Harness:
    return WebhookHarness(database, clock, stack.enter_context(receiving()))


def _stripe(database: Database, clock: MovableClock, _: Path, stack: ExitStack) -> Harness:
    return StripeHarness(database, clock, stack.enter_context(FakeStripe(seed=7)))


def _sql(database: Database, clock: MovableClock, folder: Path, stack: ExitStack) -> Harness:
    address = stack.enter_context(another_database(f"{database.engine.url.database}_theirs"))
    return SqlHarness(database, clock, address, folder)


HARNESSES: Mapping[str, Make] = {
    "sandbox": lambda database, clock, *_: SandboxHarness(database, clock),
    "sql": _sql,
    "stripe": _stripe,
    "webhook": _webhook,
}


@pytest.mark.parametrize("name", erasure.names())
def test_every_kind_is_put_to_the_test(name: str) -> None:
    assert name in HARNESSES, (
        f"app/world/erasure/{name}.py has no harness, so nothing of it was tested: write a class "
        f"that is a Harness, and put {name!r} into HARNESSES in {__name__.rpartition('.')[2]}.py"
    )


@pytest.fixture(params=[name for name in erasure.names() if name in HARNESSES])
def there(
    request: pytest.FixtureRequest, database: Database, clock: MovableClock, tmp_path: Path
) -> Iterator[Harness]:
    """Give each kind with its other side."""
    with ExitStack() as stack:
        made = HARNESSES[request.param](database, clock, tmp_path, stack)
        stack.callback(made.heals)
        yield made


def told(there: Harness, person: Person, **changes: object) -> object:
    """Tell the target over a new connection, and see that what comes back names nobody."""
    answer = there.target().erase(there.request(person, **changes))
    if isinstance(answer, Later | No):
        assert A_CODE.fullmatch(answer.reason), f"{answer.reason!r} is no short code"
        assert not any(word in answer.reason for word in there.secret_words())
    return answer


def believed(there: Harness, request: Request, receipt: Receipt) -> bool:
    """Say whether the engine would believe a receipt."""
    owed = Owed(request.erasure, request.categories, request.keep)
    return fault_of(receipt, owed, today(there)) is None


# --- erasing -----------------------------------------------------------------------------------


def test_what_it_is_registered_with_is_what_it_accounts_for(there: Harness) -> None:
    if there.described.categories:
        assert sorted(there.described.categories) == sorted(there.categories)


def test_what_is_erased_is_gone_and_its_receipt_is_believed(there: Harness) -> None:
    person = there.begin()
    assert there.held(person) == set(there.categories)
    request = there.request(person)
    receipt = receipt_of(there.target().erase(request))
    assert believed(there, request, receipt)
    assert there.held(person) == {each.category for each in receipt.kept}
    assert set(receipt.erased) == set(there.categories) - there.held(person)
    assert receipt.erased
    assert there.effects(person) == 1


def test_the_same_key_has_one_effect_and_one_receipt(there: Harness) -> None:
    person = there.begin()
    receipts = [receipt_of(told(there, person)) for _ in range(3)]  # type: ignore[arg-type]
    assert len(set(receipts)) == 1
    assert there.effects(person) == 1


def test_a_forgotten_key_has_no_second_effect(there: Harness) -> None:
    person = there.begin()
    at = there.clock.now()
    first = told(there, person, at=at)
    there.clock.advance(FORGOTTEN)
    assert told(there, person, at=at) == first
    assert there.effects(person) == 1


def test_nobody_else_is_touched(there: Harness) -> None:
    before, person, after = there.begin(), there.begin(), there.begin()
    receipt_of(told(there, person))  # type: ignore[arg-type]
    for other in (before, after):
        assert (there.held(other), there.effects(other)) == (set(there.categories), 0)


@pytest.mark.parametrize("name", ODD_IDS)
def test_an_id_that_is_nobodys_takes_nobody_along(there: Harness, name: str) -> None:
    others = [there.begin() for _ in range(3)]
    for customer in (None, name):
        told(there, Person(name, customer)) if there.kind != "webhook" else None
    for other in others:
        assert (there.held(other), there.effects(other)) == (set(there.categories), 0)


def test_what_goes_on_is_not_erased_where_that_can_be_seen(there: Harness) -> None:
    person = there.begin(live=True)
    if not there.sees_life:
        return
    assert isinstance(told(there, person), No)
    assert (there.held(person), there.effects(person)) == (set(there.categories), 0)


def test_what_the_policy_keeps_is_kept_no_longer_than_it_says(there: Harness) -> None:
    for category in there.categories:
        person = there.begin()
        until = today(there) + YEAR
        request = there.request(person, keep={category: until})
        receipt = receipt_of(there.target().erase(request))
        assert believed(there, request, receipt), category
        for kept in receipt.kept:
            assert kept.why in GROUNDS
            if kept.category == category:
                assert kept.until == until


def test_what_belongs_to_a_customer_who_stays_is_not_erased(there: Harness) -> None:
    """Where it holds anything by the customer, and cannot ask about them itself."""
    person = there.begin()
    request = there.request(person, stays=True)
    receipt = receipt_of(there.target().erase(request))
    if there.kind == "sql":
        assert there.held(person) == {"contact"}
        assert [(each.category, each.why, each.until) for each in receipt.kept] == [
            ("contact", CONTRACT, None)
        ]
    assert believed(there, request, receipt)


def test_a_customer_with_another_subscription_stays(there: Harness) -> None:
    if not isinstance(there, StripeHarness):
        return
    person = there.begin()
    there.fake.shop.subscribe(str(person.customer))
    for request in (there.request(person), there.request(person, customer=None)):
        receipt = receipt_of(there.target().erase(request))
        kept = {each.category: (each.why, each.until) for each in receipt.kept}
        assert kept["customer"] == (CONTRACT, None)
        assert kept["invoices"][0] == LEGAL_OBLIGATION
        assert believed(there, request, receipt)
    assert (there.held(person), there.effects(person)) == (set(there.categories), 0)


# --- when something fails ----------------------------------------------------------------------


def test_only_what_lies_in_our_database_has_no_faults(there: Harness) -> None:
    assert bool(there.faults) is (there.kind != "sandbox")


def test_a_fault_is_later_and_is_unknown_where_it_may_have_been_done(there: Harness) -> None:
    for fault, unknown in there.faults.items():
        person = there.begin()
        there.fault(fault)
        answer = told(there, person)
        there.heals()
        assert isinstance(answer, Later), fault
        assert answer.unknown is unknown, fault


def test_after_a_fault_there_is_one_effect_and_a_receipt(there: Harness) -> None:
    for fault in there.faults:
        person = there.begin()
        there.fault(fault)
        told(there, person)
        there.heals()
        receipt = receipt_of(told(there, person))  # type: ignore[arg-type]
        assert there.effects(person) == 1, fault
        assert there.held(person) == {each.category for each in receipt.kept}, fault


def test_a_pause_that_is_asked_for_is_passed_on(there: Harness) -> None:
    for fault in {"http 429", "limit", "lock"} & set(there.faults):
        person = there.begin()
        there.fault(fault)
        answer = told(there, person)
        there.heals()
        assert isinstance(answer, Later)
        assert answer.retry_after == timedelta(seconds=7)


def test_what_it_lacks_is_named_with_its_mend(there: Harness) -> None:
    for place in there.lacking():
        with pytest.raises(Refused) as refused:
            there.described.connect(place)
        assert refused.value.mend
        said = str(refused.value)
        assert not any(word in said for word in there.secret_words())


def test_nothing_is_logged_or_shown_of_a_person_or_a_secret(
    there: Harness, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = ""
    for fault in (None, *there.faults):
        person = there.begin()
        if fault:
            there.fault(fault)
        shown += repr(told(there, person, email=EMAIL))
        shown += repr(there.request(person, email=EMAIL)) + repr(there.place())
        shown += repr(there.target())
        there.heals()
    said = caplog.text + "".join(capfd.readouterr()) + shown
    assert not [word for word in there.secret_words() if word in said]


# --- trying ------------------------------------------------------------------------------------


def test_a_trial_changes_nothing(there: Harness) -> None:
    person = there.begin()
    found = there.target().probe(person.subscription, person.customer)
    assert (there.held(person), there.effects(person)) == (set(there.categories), 0)
    if there.kind != "webhook":
        assert sum(found.values()) > 0
        assert sum(there.target().probe("sub_none", "cus_none").values()) == 0


def test_a_trial_that_fails_says_why_and_names_nobody(there: Harness) -> None:
    for fault in {"no connection", "silent", "http 500"} & set(there.faults):
        person = there.begin()
        there.fault(fault)
        with pytest.raises(Refused) as refused:
            there.target().probe(person.subscription, person.customer)
        there.heals()
        assert refused.value.mend
        assert not any(word in str(refused.value) for word in there.secret_words())


def test_who_has_to_be_tried_first_does_nothing_before(there: Harness) -> None:
    person = there.begin()
    answer = there.target(tried=False).erase(there.request(person))
    if there.described.tried_first:
        assert answer == No("not tried")
        assert (there.held(person), there.effects(person)) == (set(there.categories), 0)
    else:
        assert isinstance(answer, Given)


def test_every_setting_is_read_and_odd_ones_are_refused(there: Harness) -> None:
    for name, read in there.described.settings.items():
        for odd in ("", "\x00", "\n", " ", "a\nb", "x" * 5000):
            with pytest.raises(ValueError, match=r".") as wrong:
                read(odd)
            assert not odd.strip() or odd not in str(wrong.value), name
    assert set(there.described.needed) <= set(there.described.settings)
    assert set(there.settings()) <= set(there.described.settings)


def test_the_address_of_a_person_is_sent_to_nobody_who_did_not_ask(there: Harness) -> None:
    asks = "email" in there.described.settings
    assert asks is there.asks_address
    if not isinstance(there, WebhookHarness):
        return
    for settings, sent in (({}, False), ({"email": "no"}, False), ({"email": "yes"}, True)):
        person = there.begin()
        target = there.target(settings=there.settings() | settings)
        target.erase(there.request(person, email=EMAIL))
        assert (EMAIL in there.receiver.got[-1].body.decode()) is sent
