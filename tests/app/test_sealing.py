"""The history is sealed in order, at no cost to who writes it, and no change of it stays unseen."""

import random
from datetime import timedelta
from threading import Thread

import psycopg
import pytest
from sqlalchemy import Connection, text

from app import sealing
from app.sealing import (
    ADDED,
    BEGINNING,
    CUT,
    EDITED,
    GAP,
    MISSING,
    OTHER,
    Chain,
    Sealer,
    link,
    verify,
)
from app.store import cases
from app.store import sealing as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.sealing import Line
from app.store.tables import history
from tests.probe import rows
from tests.world import START, MovableClock


def write(database: Database, product: int, *whats: str) -> None:
    with database.transaction() as connection:
        lines = [HistoryWrite(7, 1, what, "unused", 1) for what in whats]
        cases.insert_history(connection, product, START, "cli:test", lines)


@pytest.fixture
def sealer(database: Database, clock: MovableClock) -> Sealer:
    return Sealer(database, clock, many=4)


def bad(chains: list[Chain]) -> dict[int, str]:
    return {each.product_id: each.bad.what for each in chains if each.bad is not None}


def many(chains: list[Chain]) -> dict[int, int]:
    return {each.product_id: each.no for each in chains}


# --- sealing -----------------------------------------------------------------------------------


def test_each_product_has_a_chain_of_its_own_and_no_product_too(
    database: Database, sealer: Sealer
) -> None:
    for number in range(9):
        write(database, number % 3, f"asked_{number}")
    write(database, 2, "kept", "resumed")

    assert sealer.seal() == (11, True)

    assert rows(database, "select product_id, array_agg(no order by history_id) from sealed"
        " group by 1 order by 1") == [
        (0, [1, 2, 3]), (1, [1, 2, 3]), (2, [1, 2, 3, 4, 5]),
    ]  # fmt: skip
    assert many(verify(database)) == {0: 3, 1: 3, 2: 5}
    assert bad(verify(database)) == {}
    assert sealer.seal() == (0, True)


def test_every_column_of_the_history_is_sealed() -> None:
    assert tuple(each.name for each in history.columns) == Line._fields


def test_no_two_lines_are_written_alike() -> None:
    line = Line(3, 1, 7, 1, START, "asked", "unused", 1, "clock")
    others = [
        line._replace(what="asked,6:unused", why=""),
        line._replace(subscription_id=None),
        line._replace(round=None, version=None),
        line._replace(at=START + timedelta(microseconds=1)),
        line._replace(why="-"),
        line._replace(id=31, product_id=7),
    ]
    hashes = {link(BEGINNING, 1, each) for each in (line, *others)}
    hashes |= {link(BEGINNING, 2, line), link(bytes(31) + b"1", 1, line)}
    assert len(hashes) == len(others) + 3


def test_the_encoding_never_changes_under_its_version() -> None:
    line = Line(3, 1, None, 1, START, "asked", "ünused", None, "clock")
    assert sealing.VERSION == 1
    assert link(BEGINNING, 1, line).hex() == (
        "03ac0de0b0f6e1451c221fab99cd434ef6829e5431c6fd360081a38673cd0d01"
    )


def test_a_line_that_becomes_visible_after_a_later_one_is_sealed_before_it(
    database: Database, sealer: Sealer
) -> None:
    write(database, 1, "first")
    sealer.seal()
    with psycopg.connect(database.url) as slow:
        slow.execute(
            "insert into history (product_id, at, what, why, actor)"
            " values (1, now(), 'slow', 'x', 'clock')"
        )
        write(database, 1, "fast")
        # The fast one has the higher id, and is there: it may not be sealed before the slow one.
        assert sealer.seal() == (0, True)
        write(database, 1, "faster")
        assert sealer.seal() == (0, True)
        slow.commit()
    assert sealer.seal()[0] == 3
    sealed = "select h.what from sealed s join history h on h.id = s.history_id order by s.no"
    assert rows(database, sealed) == [("first",), ("slow",), ("fast",), ("faster",)]
    assert bad(verify(database)) == {}


def test_an_id_that_was_drawn_and_never_used_holds_up_nothing(
    database: Database, sealer: Sealer
) -> None:
    with psycopg.connect(database.url) as gone:
        gone.execute(
            "insert into history (product_id, at, what, why, actor)"
            " values (1, now(), 'gone', 'x', 'clock')"
        )
        gone.rollback()
    write(database, 1, "there")
    assert sealer.seal() == (1, True)
    assert many(verify(database)) == {1: 1}


def test_with_writers_all_the_time_sealing_goes_on_and_misses_nobody(
    database: Database, sealer: Sealer
) -> None:
    def campaign(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - repeats
        with psycopg.connect(database.url) as mine:
            for number in range(60):
                for _ in range(chance.randint(1, 4)):
                    mine.execute(
                        "insert into history (product_id, at, what, why, actor)"
                        " values (%s, now(), 'asked', 'x', 'clock')",
                        (1 + number % 2,),
                    )
                if chance.random() < 0.2:
                    mine.rollback()
                else:
                    mine.commit()

    threads = [Thread(target=campaign, args=(seed,)) for seed in range(4)]
    for each in threads:
        each.start()
    during = 0
    while any(each.is_alive() for each in threads):
        during += sealer.seal()[0]
    for each in threads:
        each.join()
    sealer.seal_all()

    assert during > 0
    assert rows(database, "select count(*) from history") == rows(
        database, "select count(*) from sealed"
    )
    assert bad(verify(database)) == {}


def test_two_sealers_do_not_seal_the_same(database: Database, clock: MovableClock) -> None:
    write(database, 1, *(f"asked_{number}" for number in range(300)))
    sealers = [Sealer(database, clock, many=7) for _ in range(3)]
    threads = [Thread(target=each.seal) for each in sealers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    sealers[0].seal_all()
    assert many(verify(database)) == {1: 300}
    assert bad(verify(database)) == {}


def test_what_was_sealed_before_is_not_read_again(database: Database, sealer: Sealer) -> None:
    write(database, 1, "asked", "kept")
    sealer.seal()
    rows(database, "update history set what = 'x'")
    write(database, 1, "asked")
    assert sealer.seal() == (1, True)
    assert bad(verify(database)) == {1: EDITED}


# --- finding out -------------------------------------------------------------------------------

Heads = dict[int, tuple[int, bytes]]


@pytest.fixture
def story(database: Database, sealer: Sealer) -> Heads:
    """Write a story of two products, seal it, and export its heads."""
    for number in range(12):
        write(database, 1 + number % 2, f"asked_{number}")
    sealer.seal_all()
    return heads_of(database)


def heads_of(database: Database) -> Heads:
    with database.transaction() as connection:
        return {n: (head.no, head.hash) for n, head in store.heads(connection).items()}


ATTACKS: dict[str, tuple[str, str]] = {
    "what": ("update history set what = 'kept' where id = {id}", EDITED),
    "why": ("update history set why = 'in_use' where id = {id}", EDITED),
    "actor": ("update history set actor = 'subscriber' where id = {id}", EDITED),
    "at": ("update history set at = at + interval '1 microsecond' where id = {id}", EDITED),
    "round": ("update history set round = null where id = {id}", EDITED),
    "version": ("update history set version = 2 where id = {id}", EDITED),
    "subscription": ("update history set subscription_id = 8 where id = {id}", EDITED),
    "product": ("update history set product_id = 3 - product_id where id = {id}", EDITED),
    "line gone": ("delete from history where id = {id}", MISSING),
    "seal gone": ("delete from sealed where history_id = {id}", ADDED),
    "seal edited": ("update sealed set hash = '\\x00' where history_id = {id}", EDITED),
    "seal moved": ("update sealed set no = no + 100 where history_id = {id}", GAP),
    "version of seal": ("update sealed set version = 2 where history_id = {id}", EDITED),
    "both gone": (
        "with a as (delete from history where id = {id})delete from sealed where history_id = {id}",
        GAP,
    ),
    "swapped": (
        (
            "update history h set what = o.what from history o"
            " where h.id in ({id}, {other}) and o.id in ({id}, {other}) and o.id <> h.id"
        ),
        EDITED,
    ),
}


@pytest.mark.parametrize("place", [0, 3, 7])
@pytest.mark.parametrize("name", ATTACKS)
def test_any_single_change_is_found_where_it_is(
    database: Database, story: Heads, name: str, place: int
) -> None:
    ids = [row[0] for row in rows(database, "select id from history order by id")]
    product = 1 + place % 2
    attack, what = ATTACKS[name]
    rows(database, attack.format(id=ids[place], other=ids[place + 2]))

    for chains in (verify(database), verify(database, product), verify(database, None, story)):
        found = {each.product_id: each.bad for each in chains}[product]
        assert found is not None
        wanted = MISSING if (name, len(chains)) == ("product", 1) else what
        assert (found.what, found.no) == (wanted, place // 2 + 1)
    assert 3 - product not in bad(verify(database, 3 - product)) or name == "product"


def test_a_line_put_elsewhere_in_the_order_is_found(database: Database, story: Heads) -> None:
    rows(database, "update history set id = -1 where id = (select max(id) from history)")
    assert bad(verify(database, None, story)) == {2: ADDED}


def made_anew(database: Database, sealer: Sealer) -> None:
    """Do what somebody can who may write everything here: seal all again."""
    rows(database, "delete from sealed")
    rows(database, "delete from seal")
    rows(database, "delete from sealing")
    sealer.seal_all()


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        ("update history set what = 'kept' where id = (select min(id) from history)", OTHER),
        ("delete from history where id = (select max(id) from history)", CUT),
        ("delete from history where id = (select min(id) from history)", CUT),
    ],
)
def test_a_chain_made_anew_is_found_by_its_exported_head(
    database: Database, sealer: Sealer, story: Heads, attack: str, what: str
) -> None:
    rows(database, attack)
    made_anew(database, sealer)
    assert bad(verify(database)) == {}
    assert list(bad(verify(database, None, story)).values()) == [what]


def test_a_chain_cut_short_is_found_also_without_an_export(
    database: Database, story: Heads
) -> None:
    last = "(select max(history_id) from sealed where product_id = 2)"
    rows(database, "delete from history where id = " + last)  # noqa: S608
    rows(database, "delete from sealed where history_id = " + last)  # noqa: S608
    assert bad(verify(database)) == {2: CUT}
    rows(database, "delete from seal where product_id = 2")
    assert bad(verify(database)) == {2: "loose"}
    rows(database, "delete from sealed where product_id = 2")
    rows(database, "delete from history where product_id = 2")
    assert bad(verify(database)) == {}
    assert bad(verify(database, None, story)) == {2: CUT}


def test_a_chain_that_has_grown_since_its_head_was_exported_is_well(
    database: Database, sealer: Sealer, story: Heads
) -> None:
    write(database, 1, "kept")
    sealer.seal_all()
    assert bad(verify(database, None, story)) == {}
    assert story != heads_of(database)


def test_lines_that_wait_to_be_sealed_are_nothing_odd(database: Database, story: Heads) -> None:
    write(database, 1, "kept")
    assert bad(verify(database, None, story)) == {}
    assert many(verify(database)) == {1: 6, 2: 6}


def test_random_damage_is_always_found(database: Database, sealer: Sealer) -> None:
    """Any one change of any one value, of lines and of seals, at random places."""
    chance = random.Random(20260)  # noqa: S311 - repeats
    for number in range(40):
        write(database, 1 + number % 3, f"asked_{number}", f"resumed_{number}")
    sealer.seal_all()
    heads = heads_of(database)
    ids = [row[0] for row in rows(database, "select id from history order by id")]
    for _ in range(60):
        one, other = chance.sample(ids, 2)
        attack, _ = ATTACKS[chance.choice(sorted(ATTACKS))]
        with database.engine.connect() as connection, connection.begin() as transaction:
            connection.execute(text(attack.format(id=one, other=other)))
            found = _verified_inside(connection, heads)
            transaction.rollback()
        assert found, attack.format(id=one, other=other)
    assert bad(verify(database, None, heads)) == {}


def _verified_inside(connection: Connection, heads: Heads) -> dict[int, str]:
    """Verify inside a transaction that will be taken back."""
    audit = sealing.Audit(heads)
    pairs = sealing._paired(store.all_lines(connection, None), store.all_seals(connection, None))
    for line, seal in pairs:
        audit.take(line, seal)
    audit.end(store.heads(connection))
    return bad(list(audit.chains.values()))
