"""What billing said has changed is read back: once, whatever fails on the way."""

from datetime import timedelta
from threading import Thread

import pytest

from app.errors import Refused
from app.store import looks
from app.store.running import LOOK
from app.world.connector import Away, Connector
from jobs.billing import Books
from tests.fakebooks import FakeBooks, books_of, kept, kept_through_deaths, on_books
from tests.probe import HOUR, MINUTE, asked, leases_run_out, rows
from tests.world import Town, row


@pytest.fixture
def billing(town: Town) -> FakeBooks:
    return on_books(town)


def hint(town: Town, *names: str) -> None:
    with town.database.transaction() as connection:
        looks.want(connection, town.product.id, names, (), town.clock.wall())


def waiting(town: Town) -> dict[str, tuple[str, str | None]]:
    found = rows(town.database, "select external_id, state, error from look")
    return {name: (state, error) for name, state, error in found}


def plans(town: Town) -> dict[str, str]:
    return dict(rows(town.database, "select external_id, plan from subscription"))


def known(town: Town, billing: FakeBooks, *names: str) -> None:
    """Have people mirrored, and then changed at billing without any news."""
    town.join(*(row(name) for name in names))
    for name in names:
        billing.changes(name, plan="premium")
    town.clock.advance(MINUTE)


def unexplained(town: Town) -> list[tuple[str, str]]:
    return rows(
        town.database,
        "select s.external_id, u.what from unexplained u join subscription s"
        " on s.id = u.subscription_id order by 1",
    )


def test_many_hints_are_one_look(town: Town, billing: FakeBooks) -> None:
    known(town, billing, "ada", "ben")
    for _ in range(3):
        hint(town, "ada", "ben")
    assert books_of(town, billing).work(LOOK, "tv", lambda: True) == (2, True)
    assert billing.calls("look") == ["ada", "ben"]
    assert plans(town) == {"ada": "premium", "ben": "premium"}
    assert waiting(town) == {}


def test_somebody_new_is_taken_in(town: Town, billing: FakeBooks) -> None:
    billing.has(row("ada"))
    hint(town, "ada")
    kept(books_of(town, billing), LOOK)
    assert plans(town) == {"ada": "standard"}


def test_facts_are_as_of_the_moment_of_asking(town: Town, billing: FakeBooks) -> None:
    known(town, billing, "ada")
    hint(town, "ada")
    kept(books_of(town, billing), LOOK)
    assert rows(town.database, "select told_at from subscription") == [(town.clock.now(),)]


def test_a_hint_that_comes_while_it_is_read_is_read_again(town: Town, billing: FakeBooks) -> None:
    known(town, billing, "ada")
    hint(town, "ada")
    told: list[str] = []

    def another(_kind: str, name: str) -> None:
        if not told:
            told.append(name)
            hint(town, name)

    billing.before = another
    kept(books_of(town, billing), LOOK)
    assert billing.calls("look") == ["ada", "ada"]
    assert waiting(town) == {}


def test_who_was_slow_strikes_off_no_later_hint(town: Town) -> None:
    hint(town, "ada")
    number = town.product.id
    with town.database.transaction() as connection:
        slow = looks.claim(connection, number, town.clock.wall(), MINUTE, 10)
        leases_run_out(town)
        quick = looks.claim(connection, number, town.clock.wall(), MINUTE, 10)
        looks.done(connection, number, slow)
    with town.database.transaction() as connection:
        looks.done(connection, number, quick)
    hint(town, "ada")
    with town.database.transaction() as connection:
        looks.done(connection, number, slow)
        looks.put_off(connection, number, slow, town.clock.wall() + HOUR, "late")
        assert len(looks.claim(connection, number, town.clock.wall(), MINUTE, 10)) == 1


def test_the_claim_of_who_was_slow_is_over(town: Town) -> None:
    hint(town, "ada")
    number = town.product.id
    with town.database.transaction() as connection:
        slow = looks.claim(connection, number, town.clock.wall(), MINUTE, 10)
        leases_run_out(town)
        looks.claim(connection, number, town.clock.wall(), MINUTE, 10)
    with town.database.transaction() as connection:
        looks.done(connection, number, slow)
    assert waiting(town) == {"ada": ("claimed", None)}


def test_billing_away_puts_the_rest_off_and_is_asked_once(town: Town, billing: FakeBooks) -> None:
    names = [f"p{number:03}" for number in range(120)]
    known(town, billing, *names)
    hint(town, *names)

    def away(_kind: str, name: str) -> None:
        if name >= "p003":
            raise Away("http 503", timedelta(minutes=7))

    billing.before = away
    books = books_of(town, billing)
    assert books.work(LOOK, "tv", lambda: True) == (3, True)
    assert len(billing.asked) == 4
    assert {state for state, _ in waiting(town).values()} == {"waiting"}
    billing.before = lambda _kind, _name: None
    town.clock.advance(6 * MINUTE)
    assert books.work(LOOK, "tv", lambda: True) == (0, True)
    town.clock.advance(2 * MINUTE)
    kept(books, LOOK)
    town.clock.advance(HOUR)
    kept(books, LOOK)
    assert waiting(town) == {}
    assert set(plans(town).values()) == {"premium"}


def test_the_pauses_grow_and_end_at_six_hours(town: Town, billing: FakeBooks) -> None:
    known(town, billing, "ada", "ben")
    hint(town, "ada", "ben")

    def away(_kind: str, _name: str) -> None:
        raise Away("timeout", timedelta(days=3650) if len(billing.asked) == 12 else None)

    billing.before = away
    books, pauses = books_of(town, billing), []
    for _ in range(12):
        books.work(LOOK, "tv", lambda: True)
        (until,) = rows(town.database, "select min(not_before) from look")[0]
        pauses.append(until - town.clock.wall())
        town.clock.set(until)
    assert pauses[0] == MINUTE
    assert pauses == sorted(pauses)
    assert max(pauses) == 6 * HOUR


def test_one_whose_answer_is_always_away_starves_no_other(town: Town, billing: FakeBooks) -> None:
    known(town, billing, "ada", "ben", "cyd")
    hint(town, "ada", "ben", "cyd")

    def away(_kind: str, name: str) -> None:
        if name == "ada":
            raise Away("answer unreadable")

    billing.before = away
    books = books_of(town, billing)
    for _ in range(4):
        books.work(LOOK, "tv", lambda: True)
        town.clock.advance(2 * MINUTE)
    assert plans(town) == {"ada": "standard", "ben": "premium", "cyd": "premium"}


def test_what_cannot_be_read_waits_for_a_person_and_stops_nobody(
    town: Town, billing: FakeBooks
) -> None:
    known(town, billing, "ada", "ben")
    billing.unfit["ada"] = "currency is no ISO 4217 code"
    hint(town, "ada", "ben")
    kept(books_of(town, billing), LOOK)
    assert waiting(town) == {"ada": ("parked", "currency is no ISO 4217 code")}
    assert plans(town) == {"ada": "standard", "ben": "premium"}
    town.clock.advance(30 * HOUR)
    assert books_of(town, billing).work(LOOK, "tv", lambda: True) == (0, True)
    billing.unfit.clear()
    hint(town, "ada")
    kept(books_of(town, billing), LOOK)
    assert plans(town)["ada"] == "premium"


@pytest.mark.parametrize("poison", ["connector", "database"])
def test_a_poisoned_row_stops_nobody_and_ends_before_a_person(
    town: Town, billing: FakeBooks, poison: str
) -> None:
    known(town, billing, "ada", "ben", "cyd")
    hint(town, "ada", "ben", "cyd")

    def raises(_kind: str, name: str) -> None:
        if name == "ben":
            raise ZeroDivisionError("ben@subscribers.example")

    if poison == "connector":
        billing.before = raises
    else:
        broken = billing.people["ben"]
        object.__setattr__(broken, "plan", "a\0b")
    books = books_of(town, billing)
    kept(books, LOOK)
    assert plans(town) == {"ada": "premium", "ben": "standard", "cyd": "premium"}
    assert waiting(town)["ben"][0] == "waiting"
    for _ in range(12):
        town.clock.advance(7 * HOUR)
        kept(books, LOOK)
    state, error = waiting(town)["ben"]
    assert state == "parked"
    assert "subscribers.example" not in str(error)


def test_who_is_alive_and_not_known_to_billing_is_reported_and_never_ended(
    town: Town, billing: FakeBooks
) -> None:
    town.join(row("ada"), row("ben", status="canceled"))
    asked(town, "ada")
    hint(town, "ada", "ben", "nobody")
    kept(books_of(town, billing), LOOK)
    assert unexplained(town) == [("ada", "unknown_to_billing")]
    assert town.stage("ada") == "asked"
    assert town.story("ada")[-1] == "unexplained"
    assert waiting(town) == {}
    billing.has(row("ada"))
    town.clock.advance(MINUTE)
    hint(town, "ada")
    kept(books_of(town, billing), LOOK)
    assert unexplained(town) == []


def test_where_billing_cannot_be_asked_the_look_is_dropped_and_noted(
    town: Town, billing: FakeBooks
) -> None:
    hint(town, "ada", "ben")
    kept(books_of(town, town.worker().connector("tv")))  # type: ignore[arg-type]
    assert waiting(town) == {}
    assert rows(town.database, "select why from history where what = 'looks_dropped'") == [
        ("billing_cannot_be_asked",)
    ]
    assert billing.asked == []


def test_without_a_connection_everything_waits(town: Town) -> None:
    def none(_: str) -> Connector:
        raise Refused("there is no key")

    hint(town, "ada")
    books = Books(town.database, town.clock, none)
    assert books.work(LOOK, "tv", lambda: True) == (0, True)
    assert waiting(town) == {"ada": ("waiting", "not connected")}


def test_who_is_asked_to_end_gives_back_what_was_not_asked(town: Town, billing: FakeBooks) -> None:
    known(town, billing, "ada", "ben", "cyd")
    hint(town, "ada", "ben", "cyd")
    assert books_of(town, billing).work(LOOK, "tv", lambda: len(billing.asked) < 1) == (1, False)
    assert waiting(town) == {"ben": ("waiting", None), "cyd": ("waiting", None)}
    kept(books_of(town, billing), LOOK)
    assert waiting(town) == {}


def test_a_worker_may_die_at_any_step(town: Town, billing: FakeBooks) -> None:
    names = ["ada", "ben", "cyd"]
    known(town, billing, *names)
    step, died = 1, True
    while died:
        town.clock.advance(MINUTE)
        for name in names:
            billing.changes(name, plan=f"plan{step}")
        hint(town, *names)
        died = kept_through_deaths(town, billing, step)
        assert waiting(town) == {}
        assert set(plans(town).values()) == {f"plan{step}"}
        step += 1
    assert step > 5


def test_two_workers_at_once_read_everything_back(town: Town, billing: FakeBooks) -> None:
    names = [f"p{number:03}" for number in range(200)]
    known(town, billing, *names)
    hint(town, *names)
    workers = [Thread(target=kept, args=(books_of(town, billing), LOOK)) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    kept(books_of(town, billing), LOOK)
    assert waiting(town) == {}
    assert set(plans(town).values()) == {"premium"}
    assert sorted(billing.calls("look")) == names
