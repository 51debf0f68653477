"""Manifests: two different people approve the very people on one, and nothing else erases (R13)."""

import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from app import manifests
from app.errors import Conflict, NotFound, Refused
from app.manifests import Header, Manifests, Standing, digest
from app.store import manifests as store
from app.store.manifests import Entry
from tests.manifests import DAY, hash_of, made, person, write
from tests.manifests import entry as entry_of
from tests.probe import rows
from tests.world import Town, row

ANN, BEN, EVE = "console:ann", "console:ben", "cli:eve"
WEEK = timedelta(days=7)


@pytest.fixture
def town(town: Town) -> Town:
    town.join(row("a"), row("b", plan="gold", country="FR"), row("c"))
    person(town, "ann", "approver")
    person(town, "ben", "tv:admin")
    return town


def desk(town: Town) -> Manifests:
    return Manifests(town.database, town.clock)


def approve(town: Town, number: int, actor: str, seen: str = "") -> Standing:
    return desk(town).approve("tv", number, seen or hash_of(town, number), actor)


def counting(town: Town, number: int) -> list[str]:
    with town.database.transaction() as connection:
        return manifests.approvals_that_count(connection, town.product, number, town.clock.now())


def state(town: Town, number: int) -> str:
    statement = "select state from manifest where number = :number"
    return str(rows(town.database, statement, number=number)[0][0])


def given(town: Town, number: int, *actors: str, hash_: bytes | None = None) -> None:
    """Write approvals as they would stand, without asking whether they may."""
    for actor in actors:
        with town.database.transaction() as connection:
            seen = hash_ or bytes.fromhex(hash_of(town, number))
            store.approve(connection, town.product.id, number, actor, seen, town.clock.now())


def audited(town: Town) -> list[tuple[Any, ...]]:
    statement = "select what, why, actor from history where what like 'manifest%' order by id"
    return rows(town.database, statement)


# --- the hash --------------------------------------------------------------------------------

ENTRY = Entry(
    7,
    1,
    "suspended",
    "unused",
    date(2024, 1, 1),
    date(2024, 11, 1),
    date(2024, 9, 2),
    date(2024, 10, 18),
    2,
)
HEADER = Header("tv", 3, date(2024, 11, 1))


def test_the_hash_is_of_these_very_lines() -> None:
    head = '["tv",3,"2024-11-01"]\n'
    line = '[7,1,"suspended","unused","2024-01-01","2024-11-01","2024-09-02","2024-10-18",2]\n'
    assert digest(HEADER, [ENTRY]) == hashlib.sha256((head + line).encode()).digest()
    assert digest(HEADER, []) == hashlib.sha256(head.encode()).digest()


def test_a_manifest_hashes_to_what_its_rows_say(town: Town) -> None:
    number = made(town, "c", "a", "b")
    with town.database.transaction() as connection:
        found = manifests.hash_of(connection, town.product, number)
        listed = list(store.written(connection, town.product.id, number, batch=1))
        with pytest.raises(NotFound):
            manifests.hash_of(connection, town.product, number + 1)
    assert found.hex() == hash_of(town, number)
    assert [each.subscription_id for each in listed] == sorted(map(town.id_of, "abc"))


# --- two people ------------------------------------------------------------------------------


def test_two_people_approve_it(town: Town) -> None:
    number = made(town, "a", "b")
    assert approve(town, number, ANN).lacks == 1
    assert state(town, number) == "waiting"
    after = approve(town, number, EVE)
    assert (after.lacks, after.counting) == (0, [ANN, EVE])
    assert state(town, number) == "approved"
    assert after.manifest.approved_at == town.clock.now()
    assert audited(town) == [
        ("manifest_approved", "manifest_1", ANN),
        ("manifest_approved", "manifest_1", EVE),
    ]


@pytest.mark.parametrize(
    ("actors", "count"),
    [
        ((ANN, BEN), [ANN, BEN]),
        ((ANN, EVE), [ANN, EVE]),
        ((ANN, ANN), [ANN]),
        # The command line is one person, whatever it calls itself.
        (("cli:eve", "cli:bob"), ["cli:bob"]),
        (("cli:eve", "cli:bob", "cli:root"), ["cli:bob"]),
        (("cli:ann", ANN), [ANN]),
        (("cli:bob", "cli:ann", ANN), [ANN]),
        # No key, nobody unknown, and nobody with a smaller role or one of another product.
        (("api:1", "api:2"), []),
        (("clock", "worker", "subscriber", "system"), []),
        (("console:nobody", "console:"), []),
        (("console:zoe", "console:rob"), []),
        (("console:zoe", ANN), [ANN]),
    ],
)
def test_who_counts(town: Town, actors: tuple[str, ...], count: list[str]) -> None:
    person(town, "zoe", "tv:editor", "radio:admin")
    person(town, "rob", "viewer")
    number = made(town, "a")
    given(town, number, *actors)
    assert counting(town, number) == count


@pytest.mark.parametrize("name", ["api:7", "clock", "subscriber", "billing:stripe", "console", ""])
def test_only_people_decide(town: Town, name: str) -> None:
    number = made(town, "a")
    with pytest.raises(Refused, match="by people"):
        approve(town, number, name)
    with pytest.raises(Refused, match="by people"):
        desk(town).refuse("tv", number, name)
    assert not audited(town)


@pytest.mark.parametrize(
    ("maker", "actor"), [(ANN, ANN), ("cli:eve", "cli:eve"), ("cli:eve", "cli:bob")]
)
def test_who_had_it_made_does_not_approve_it(town: Town, maker: str, actor: str) -> None:
    number = made(town, "a", made_by=maker)
    with pytest.raises(Conflict, match="you had manifest 1 made"):
        approve(town, number, actor)
    given(town, number, actor, BEN)
    assert counting(town, number) == [BEN]


@pytest.mark.parametrize(("maker", "actor"), [("cli:ann", ANN), (ANN, "cli:ann")])
def test_who_had_it_made_is_the_same_by_another_way_in(town: Town, maker: str, actor: str) -> None:
    number = made(town, "a", made_by=maker)
    given(town, number, actor, BEN)
    assert counting(town, number) == [BEN]


def test_who_has_left_or_lost_the_role_does_not_count_any_more(town: Town) -> None:
    number = made(town, "a")
    approve(town, number, ANN)
    assert approve(town, number, BEN).manifest.state == "approved"
    person(town, "ben", "tv:editor")
    assert counting(town, number) == [ANN]
    person(town, "ben", "radio:approver")
    assert counting(town, number) == [ANN]
    rows(town.database, "delete from console_person where name = 'ann'")
    assert counting(town, number) == []
    assert state(town, number) == "approved"
    approve(town, number, EVE)
    person(town, "ben", "tv:approver")
    assert counting(town, number) == [BEN, EVE], "others may stand in"


def test_an_approval_is_of_this_hash(town: Town) -> None:
    first, second = made(town, "a"), made(town, "b")
    with pytest.raises(Conflict, match="another hash"):
        approve(town, first, ANN, hash_of(town, second))
    for wrong in ("", "*", "all", "0" * 64, hash_of(town, first)[:12], hash_of(town, first) + "0"):
        with pytest.raises(Conflict, match="another hash"):
            desk(town).approve("tv", first, wrong, ANN)
    given(town, first, ANN, BEN, hash_=bytes.fromhex(hash_of(town, second)))
    assert counting(town, first) == []
    assert state(town, first) == "waiting"


def test_the_same_person_again_changes_nothing(town: Town) -> None:
    number = made(town, "a")
    for _ in range(3):
        assert approve(town, number, ANN).lacks == 1
    for name in ("cli:eve", "cli:bob"):
        approve(town, number, name)
    assert counting(town, number) == [ANN, "cli:bob"]
    assert [who for _, _, who in audited(town)] == [ANN, "cli:eve", "cli:bob"]


# --- what was approved stays what it is ------------------------------------------------------

CHANGES = {
    "round": "2",
    "stage": "'canceled'",
    "why": "'never_used'",
    "since": "since - 1",
    "erase_on": "erase_on - 1",
    "warned_from": "warned_from - 1",
    "warned_on": "warned_on - 1",
    "warned": "3",
    "subscription_id": "subscription_id + 1000",
    "number": "number + 1",
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_manifest_says_of_somebody_cannot_be_changed(town: Town, name: str) -> None:
    number = made(town, "a", "b")
    with pytest.raises(DBAPIError, match="is not changed"):
        rows(town.database, f"update manifest_entry set {name} = {CHANGES[name]}")  # noqa: S608
    rows(town.database, "update manifest_entry set state = 'skipped', skipped = 'held'")
    with town.database.transaction() as connection:
        assert manifests.hash_of(connection, town.product, number).hex() == hash_of(town, number)


@pytest.mark.parametrize("stands", ["waiting", "approved", "done"])
def test_nobody_is_added_to_a_manifest_that_is_complete(town: Town, stands: str) -> None:
    number = made(town, "a", state=stands)
    with pytest.raises(DBAPIError, match="takes nobody in"):
        write(town.database, town.product, number, entry_of(town, "b"))


def unguarded(town: Town, statement: str) -> None:
    """Change what is guarded, as somebody with the keys to the database could."""
    with town.database.transaction() as connection:
        connection.exec_driver_sql("alter table manifest_entry disable trigger user")
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql("alter table manifest_entry enable trigger user")


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"number"}))
def test_a_manifest_that_was_changed_all_the_same_is_not_approved(town: Town, name: str) -> None:
    number = made(town, "a", "b")
    approve(town, number, ANN)
    change = f"update manifest_entry set {name} = {CHANGES[name]}"  # noqa: S608
    unguarded(town, f"{change} where subscription_id = {town.id_of('a')}")
    with pytest.raises(Conflict, match="not as it was made"):
        approve(town, number, BEN)
    assert state(town, number) == "waiting"
    with town.database.transaction() as connection:
        assert manifests.hash_of(connection, town.product, number).hex() != hash_of(town, number)


def test_somebody_less_or_more_is_another_manifest(town: Town) -> None:
    number = made(town, "a", "b")
    statement = "delete from manifest_entry where subscription_id = :id"
    rows(town.database, statement, id=town.id_of("a"))
    with pytest.raises(Conflict, match="not as it was made"):
        approve(town, number, ANN)


# --- what cannot be approved -----------------------------------------------------------------


def test_an_empty_manifest_is_done_and_nothing_else(town: Town) -> None:
    number = made(town)
    assert approve(town, number, ANN).manifest.state == "done"
    assert not rows(town.database, "select 1 from manifest_approval")
    with pytest.raises(Conflict, match="is done"):
        approve(town, number, BEN)


@pytest.mark.parametrize("stands", ["making", "done", "refused", "expired"])
def test_what_does_not_wait_is_not_approved(town: Town, stands: str) -> None:
    number = made(town, "a", state=stands)
    seen = "0" * 64 if stands == "making" else hash_of(town, number)
    with pytest.raises(Conflict, match="still being made" if stands == "making" else stands):
        desk(town).approve("tv", number, seen, ANN)
    if stands != "refused":
        with pytest.raises(Conflict):
            desk(town).refuse("tv", number, ANN)
    assert state(town, number) == stands


def test_what_another_product_has_does_not_exist(town: Town) -> None:
    number = made(town, "a")
    other = Town.founded(town.database, town.clock, town.links, "radio")
    calls: tuple[Callable[[], object], ...] = (
        lambda: desk(town).approve("radio", number, hash_of(town, number), ANN),
        lambda: desk(town).refuse("radio", number, ANN),
        lambda: desk(town).approve("tv", number + 1, hash_of(town, number), ANN),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
    with town.database.transaction() as connection:
        now = town.clock.now()
        assert not manifests.approvals_that_count(connection, other.product, number, now)
        assert not store.entries(connection, other.product.id, number, 0, 9)
        assert not store.search(connection, other.product.id, number, "a")


# --- refusing --------------------------------------------------------------------------------


@pytest.mark.parametrize("agreed", [False, True])
def test_one_person_refuses_it_also_once_it_is_approved(town: Town, agreed: bool) -> None:  # noqa: FBT001
    number = made(town, "a")
    if agreed:
        approve(town, number, ANN)
        approve(town, number, BEN)
    after = desk(town).refuse("tv", number, EVE)
    assert (after.manifest.state, after.manifest.refused_by) == ("refused", EVE)
    assert desk(town).refuse("tv", number, ANN).manifest.refused_by == EVE
    with pytest.raises(Conflict, match="is refused"):
        approve(town, number, ANN)
    assert audited(town)[-1] == ("manifest_refused", "manifest_1", EVE)


def test_its_people_are_left_alone_for_thirty_days(town: Town) -> None:
    number, _ = made(town, "a"), made(town, "b")
    desk(town).refuse("tv", number, ANN)
    ids = [town.id_of(name) for name in "abc"]

    def left_alone() -> set[int]:
        with town.database.transaction() as connection:
            since = town.clock.now() - manifests.LEFT_ALONE
            return store.refused_since(connection, town.product.id, ids, since)

    assert left_alone() == {ids[0]}
    town.clock.advance(30 * DAY)
    assert left_alone() == set()


# --- time ------------------------------------------------------------------------------------


def test_a_week_later_neither_it_nor_its_approvals_count(town: Town) -> None:
    number = made(town, "a", "b")
    approve(town, number, ANN)
    approve(town, number, BEN)
    town.clock.advance(WEEK - timedelta(seconds=1))
    assert counting(town, number) == [ANN, BEN]
    assert desk(town).expire("tv") == []
    town.clock.advance(timedelta(seconds=1))
    assert counting(town, number) == []
    assert desk(town).expire("tv") == [number]
    assert desk(town).expire("tv") == []
    assert state(town, number) == "expired"
    assert audited(town)[-1] == ("manifest_expired", "manifest_1", "clock")


def test_who_approves_too_late_is_told_so(town: Town) -> None:
    number = made(town, "a")
    approve(town, number, ANN)
    town.clock.advance(WEEK)
    with pytest.raises(Conflict, match="is expired"):
        approve(town, number, BEN)
    assert state(town, number) == "expired"


def test_an_approval_older_than_a_week_does_not_count_by_itself(town: Town) -> None:
    number = made(town, "a")
    given(town, number, ANN, BEN)
    early = town.clock.now() - WEEK
    rows(
        town.database,
        "update manifest_approval set approved_at = :at where actor = :who",
        at=early,
        who=ANN,
    )
    assert counting(town, number) == [BEN]


# --- at once ---------------------------------------------------------------------------------


def at_once(*jobs: Callable[[], object]) -> list[object]:
    line, found = Barrier(len(jobs)), list[object]()

    def go(job: Callable[[], object]) -> None:
        line.wait()
        try:
            found.append(job())
        except Conflict as refused:
            found.append(refused)

    threads = [Thread(target=go, args=(job,)) for job in jobs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def test_two_who_approve_at_once_have_approved_it_once(town: Town) -> None:
    number = made(town, "a", "b")
    at_once(*(lambda who=who: approve(town, number, who) for who in (ANN, BEN, ANN, BEN)))
    assert state(town, number) == "approved"
    assert sorted(who for _, _, who in audited(town)) == [ANN, BEN]


def test_one_who_approves_at_once_under_many_names_is_one(town: Town) -> None:
    number = made(town, "a")
    at_once(*(lambda who=who: approve(town, number, f"cli:p{who}") for who in range(5)))
    assert state(town, number) == "waiting"
    assert len(counting(town, number)) == 1


def test_refused_and_approved_at_once_is_refused(town: Town) -> None:
    number = made(town, "a")
    approve(town, number, ANN)
    came = at_once(lambda: approve(town, number, BEN), lambda: desk(town).refuse("tv", number, EVE))
    assert state(town, number) == "refused"
    assert all(isinstance(each, Standing | Conflict) for each in came)
    assert [what for what, *_ in audited(town)][-1] == "manifest_refused"


# --- reading ---------------------------------------------------------------------------------


def test_what_is_on_a_manifest_can_be_read_until_somebody_is_erased(town: Town) -> None:
    number = made(town, "a", "b", "c")
    rows(town.database, "delete from contact where subscription_id = :id", id=town.id_of("c"))
    product_id = town.product.id
    with town.database.transaction() as connection:
        found = store.entries(connection, product_id, number, 0, 9)
        counts = store.counts(connection, product_id, number)
        warned = store.proved(connection, product_id, number)
        assert store.sample(connection, product_id, number, 9) == found
        assert len(store.sample(connection, product_id, number, 2)) == 2
        assert [each.id for each in store.search(connection, product_id, number, "b")] == [
            town.id_of("b")
        ]
        assert not store.search(connection, product_id, number, "c")
        assert not store.search(connection, product_id, number, "%")
        assert store.entries(connection, product_id, number, found[1].id, 9) == found[2:]
    assert [(each.external_id, each.plan) for each in found] == [
        ("a", "standard"),
        ("b", "gold"),
        (None, None),
    ]
    assert counts["why"] == [("unused", 3)]
    assert counts["stage"] == [("suspended", 3)]
    assert counts["plan"] == [("standard", 2), ("gold", 1)]
    assert counts["country"] == [("GB", 2), ("FR", 1)]
    assert counts["state"] == [("waiting", 3)]
    assert counts["skipped"] == []
    assert warned is not None
    assert (warned.fewest, warned.shortest_apart) == (2, 46)


def test_a_sample_is_chosen_by_the_hash_of_the_whole(town: Town) -> None:
    names = [f"p{each:02}" for each in range(40)]
    town.join(*map(row, names))
    first, second = made(town, *names), made(town, *names)
    with town.database.transaction() as connection:
        one, again, other = (
            [each.id for each in store.sample(connection, town.product.id, number, 8)]
            for number in (first, first, second)
        )
    assert one == again
    assert one != other


def test_a_file_of_it_goes_out_in_pieces_and_runs_nothing(town: Town) -> None:
    town.join(row("=1+1"))
    number = made(town, "=1+1", "a")
    found = manifests.everybody(town.database, town.product, number, batch=1)
    text = "".join(manifests.as_csv(found))
    head, first, second = text.splitlines()
    assert head.startswith("external_id,plan,country,round,stage,why,since,erase_on")
    assert first.startswith("a,standard,GB,1,suspended,unused,2023-11-06,2024-09-01")
    assert second.startswith("'=1+1,")
