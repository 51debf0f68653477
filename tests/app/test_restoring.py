"""A restored backup does not serve, and who was erased stays erased."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from app import guards
from app import ledger as ledgers
from app.engine.effects import Effects
from app.engine.wiping import wipe
from app.errors import Refused
from app.links import Links
from app.mirror import Mirror, open_at_sandbox
from app.restoring import (
    AHEAD,
    ELSEWHERE,
    PROMOTED,
    UNFINISHED,
    Restorer,
    Wipe,
    find,
    require_ours,
)
from app.rows import read as read_row
from app.store import installation, ledger, products
from app.store.database import Database
from app.store.installation import Identity
from app.store.products import Product
from jobs.outbox import Worker
from tests.drill import copied, erased, there
from tests.probe import DAY, OddBilling, asked, fingerprint, rows, suspended, window_ends
from tests.world import MovableClock, Town, row

ELSE = "spine_restored"
ADA = "ada@subscribers.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "erasures.ledger"


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links, path: Path) -> Town:
    town = Town.founded(database, clock, links)
    town.join(row("ada"), row("ben"), row("cid"))
    require_ours(database, path, clock.wall())
    return town


@pytest.fixture
def backups() -> Iterator[list[Database]]:
    made: list[Database] = []
    yield made
    for each in made:
        each.close()


def wiping(town: Town) -> Wipe:
    def work(
        connection: Connection,
        product: Product,
        subscription_id: int,
        erasure_id: str,
        at: datetime,
    ) -> object:
        return wipe(
            connection,
            product,
            subscription_id,
            town.links,
            erasure_id,
            at,
        )

    return work


def restorer(town: Town, path: Path | None) -> Restorer:
    return Restorer(town.database, town.clock, town.links, wiping(town), path)


def refused(town: Town, path: Path | None) -> str | None:
    with town.database.transaction() as connection:
        return find(connection, path).why


def worker(town: Town, billing: OddBilling) -> Worker:
    effects = Effects(town.database, town.clock, town.links)
    return Worker(town.database, town.clock, effects, town.relay, lambda _: billing)


# --- which database this is --------------------------------------------------------------------


def test_a_new_database_is_stamped_at_its_first_start_and_serves_ever_after(
    town: Town, path: Path
) -> None:
    assert path.exists()
    assert rows(town.database, "select count(*) from installation") == [(1,)]
    before = fingerprint(town.database)
    require_ours(town.database, path, town.clock.wall())
    assert fingerprint(town.database) == before
    assert refused(town, path) is None


def test_a_copy_of_it_elsewhere_does_not_serve_and_says_the_mend(
    town: Town, path: Path, backups: list[Database]
) -> None:
    backups.append(copied(town.database, ELSE))
    with pytest.raises(Refused, match=r"loaded here.*restore-check --ledger"):
        require_ours(backups[0], path, town.clock.wall())
    assert refused(there(town, backups[0]), None) == ELSEWHERE
    require_ours(town.database, path, town.clock.wall())


def test_a_database_that_lacks_entries_of_the_ledger_does_not_serve(town: Town, path: Path) -> None:
    erased(town, "ada", "er_ada_0001", path)
    require_ours(town.database, path, town.clock.wall())
    rows(town.database, "delete from ledger")
    assert refused(town, path) == AHEAD
    # What only the disk brings back is told by the ledger alone.
    assert refused(town, None) is None


def goes_on_elsewhere_in_time(database: Database) -> None:
    rows(database, "update installation set timeline = timeline + 1")


def test_a_failover_is_told_from_a_restore_by_the_ledger(town: Town, path: Path) -> None:
    erased(town, "ada", "er_ada_0001", path)
    goes_on_elsewhere_in_time(town.database)
    assert refused(town, None) == PROMOTED
    assert refused(town, path.with_name("not-mounted")) == PROMOTED
    require_ours(town.database, path, town.clock.wall())
    assert refused(town, None) is None

    goes_on_elsewhere_in_time(town.database)
    with town.database.transaction() as connection:
        ledgers.export(connection, path)
    rows(town.database, "delete from ledger")
    assert refused(town, path) == AHEAD


def test_a_ledger_that_cannot_be_read_stops_the_start(town: Town, path: Path) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(Refused, match="cannot be used"):
        require_ours(town.database, path, town.clock.wall())


def test_the_identity_is_that_of_the_server(town: Town) -> None:
    with town.database.transaction() as connection:
        here = installation.identity(connection)
    assert here.system.isdigit()
    assert here.timeline == 1
    assert here.same_place(Identity(here.system, here.database, 7))
    assert not here.same_place(Identity(here.system, here.database + 1, 1))
    assert not here.same_place(Identity("1", here.database, 1))


# --- the drill ---------------------------------------------------------------------------------


def test_who_was_erased_stays_erased_and_nobody_is_mailed_or_suspended_again(
    town: Town, path: Path, backups: list[Database]
) -> None:
    asked(town, "ada", "ben", "cid")
    window_ends(town, "ada")
    town.sweep()
    backup = copied(town.database, "spine_backup")
    backups.append(backup)
    # After the backup: all are suspended and told, and one is erased.
    town.deliver()
    assert town.acts("ben") == ["suspend"]
    erased(town, "ada", "er_ada_0001", path)
    outside = OddBilling(town)

    backups.append(copied(backup, ELSE))
    again = there(town, backups[1])
    with pytest.raises(Refused):
        require_ours(again.database, path, again.clock.wall())
    assert again.stage("ada") == "asked"

    found = restorer(again, path).restore("cli:eve")
    require_ours(again.database, path, again.clock.wall())

    assert (found.why, found.lacking, found.again, found.brakes) == (AHEAD, 1, 1, 1)
    assert rows(again.database, "select email from contact c join subscription s"
        " on s.id = c.subscription_id where s.external_id = 'ada'") == []  # fmt: skip
    assert rows(again.database, "select count(*) from contact") == [(2,)]
    assert rows(
        again.database, "select id, cause, ledger_no from erasure where ended_at is not null"
    ) == [("er_ada_0001", "request", 1)]
    assert again.stages() == {"asked": 2, "erased": 1}
    # Nothing goes out, and what may have gone out is before a person, or read back first.
    for _ in range(3):
        again.clock.advance(DAY)
        again.hear()
        again.sweep()
        worker(again, outside).until_idle()
    assert again.relay.sent == []
    assert [order.act for order in outside.orders] == []
    assert set(rows(again.database, "select lane, unknown > 0 from outbox")) == {("billing", True)}
    with again.database.transaction() as connection:
        guards.lift(connection, again.product.id, "cli:eve", "mended", again.clock.now())
    for _ in range(5):
        again.clock.advance(DAY)
        again.hear()
        again.sweep()
        worker(again, outside).until_idle()
    # Whoever is not erased goes on where the backup was, and is told nothing they were not due.
    assert {order.subscription for order in outside.orders} == {"ben", "cid"}
    assert ADA not in {to for to, _ in again.relay.sent}
    assert again.stages() == {"suspended": 2, "erased": 1}


def test_notices_that_wait_are_put_before_a_person(
    town: Town, path: Path, backups: list[Database]
) -> None:
    town.sweep()
    backups.append(copied(town.database, ELSE))
    again = there(town, backups[0])
    assert restorer(again, path).restore("cli:eve").parked == 3
    again.deliver()
    assert again.relay.sent == []
    assert set(rows(again.database, "select state, error from outbox")) == {
        ("parked", "restored backup")
    }


def test_doing_it_twice_changes_nothing_more(
    town: Town, path: Path, backups: list[Database]
) -> None:
    suspended(town, "ada")
    backups.append(copied(town.database, ELSE))
    erased(town, "ada", "er_ada_0001", path)
    again = there(town, backups[0])
    restorer(again, path).restore("cli:eve")
    before, exported = fingerprint(again.database), path.read_bytes()
    with again.database.transaction() as connection:
        products.lift_brake(connection, again.product.id, None, "cli:eve", again.clock.now())
    lifted = fingerprint(again.database)

    found = restorer(again, path).restore("cli:eve")

    assert found.well
    assert fingerprint(again.database) == lifted != before
    assert path.read_bytes() == exported


def test_to_look_changes_nothing(town: Town, path: Path, backups: list[Database]) -> None:
    backups.append(copied(town.database, ELSE))
    erased(town, "ada", "er_ada_0001", path)
    again = there(town, backups[0])
    before = fingerprint(again.database)
    found = restorer(again, path).look()
    assert (found.why, found.entries, found.lacking, found.again) == (AHEAD, 1, 1, 1)
    assert not found.well
    assert fingerprint(again.database) == before


@pytest.mark.parametrize("dies_at", [0, 1])
def test_who_dies_over_it_leaves_a_database_that_does_not_serve(
    town: Town, path: Path, backups: list[Database], dies_at: int
) -> None:
    backups.append(copied(town.database, ELSE))
    for number, name in enumerate(("ada", "ben")):
        erased(town, name, f"er_{name}_{number:04}", path)
    again = there(town, backups[0])
    done: list[str] = []

    def dies(
        connection: Connection,
        product: Product,
        subscription_id: int,
        erasure_id: str,
        at: datetime,
    ) -> object:
        if len(done) == dies_at:
            raise ZeroDivisionError
        done.append(erasure_id)
        return wiping(again)(connection, product, subscription_id, erasure_id, at)

    with pytest.raises(ZeroDivisionError):
        Restorer(again.database, again.clock, again.links, dies, path).restore("cli:eve")
    assert refused(again, path) == UNFINISHED
    with pytest.raises(Refused, match="not finished"):
        require_ours(again.database, path, again.clock.wall())

    assert restorer(again, path).restore("cli:eve").again == 2 - dies_at
    require_ours(again.database, path, again.clock.wall())
    assert rows(again.database, "select count(*) from contact") == [(1,)]
    for name in ("ada", "ben"):
        mark = again.links.subscription_marks(again.product.id, name)[0]
        assert rows(again.database, "select 1 from tombstone where mark = :mark", mark=mark)


def test_who_joined_and_was_erased_after_the_backup_is_not_let_in_again(
    town: Town, path: Path, backups: list[Database]
) -> None:
    backups.append(copied(town.database, ELSE))
    town.join(row("new"))
    erased(town, "new", "er_new_0001", path)
    again = there(town, backups[0])
    found = restorer(again, path).restore("cli:eve")
    assert (found.lacking, found.again) == (1, 0)
    mark = town.links.subscription_marks(again.product.id, "new")[0]
    assert rows(again.database, "select mark from tombstone") == [(mark,)]


def test_who_subscribed_anew_after_an_erasure_known_here_is_left_alone(
    town: Town, path: Path, backups: list[Database]
) -> None:
    erased(town, "ada", "er_ada_0001", path)
    started = (town.clock.now() + timedelta(days=2)).isoformat()
    town.clock.advance(timedelta(days=3))
    Mirror(town.database, town.clock, open_at_sandbox, links=town.links).bring(
        "tv", [read_row(row("ada", started_at=started))], "cli:eve"
    )
    backups.append(copied(town.database, ELSE))
    again = there(town, backups[0])
    found = restorer(again, path).restore("cli:eve")
    assert (found.why, found.again) == (ELSEWHERE, 0)
    assert again.stage("ada") == "active"


def test_rows_brought_back_alone_are_found_too(town: Town, path: Path) -> None:
    kept = rows(town.database, "select to_jsonb(s) from subscription s where external_id = 'ada'")
    sid = town.id_of("ada")
    erased(town, "ada", "er_ada_0001", path)
    rows(town.database, "update subscription set external_id = 'ada' where id = :id", id=sid)
    assert kept
    found = restorer(town, path).restore("cli:eve")
    assert (found.why, found.again, found.brakes) == (None, 1, 1)
    assert restorer(town, path).restore("cli:eve").well


def test_without_a_ledger_it_has_to_be_said(
    town: Town, path: Path, backups: list[Database]
) -> None:
    backups.append(copied(town.database, ELSE))
    again = there(town, backups[0])
    with pytest.raises(Refused, match="--without-ledger"):
        restorer(again, path.with_name("lost")).restore("cli:eve")
    assert restorer(again, None).restore("cli:eve").why == ELSEWHERE
    require_ours(again.database, None, again.clock.wall())


def test_another_installations_ledger_is_refused(
    town: Town, path: Path, backups: list[Database]
) -> None:
    backups.append(copied(town.database, ELSE))
    erased(town, "ada", "er_ada_0001", path)
    other = there(town, backups[0])
    erased(other, "ben", "er_ben_0001", None)
    with pytest.raises(Refused, match="entry 1 of the ledger"):
        restorer(other, path).restore("cli:eve")
    assert rows(other.database, "select erasure_id from ledger") == [("er_ben_0001",)]


def test_an_erasure_that_was_under_way_is_over_and_no_target_is_told_again(
    town: Town, path: Path, backups: list[Database]
) -> None:
    sid = town.id_of("ada")
    rows(
        town.database,
        "insert into erasure (id, product_id, subscription_id, round, cause, begun_at, begun_by)"
        " values ('er_ada_0001', :product, :sid, 1, 'schedule', now(), 'clock')",
        product=town.product.id,
        sid=sid,
    )
    rows(
        town.database,
        "with t as (insert into target (product_id, key, kind, categories, created_by, created_at)"
        " values (:product, 'crm', 'webhook', '[]', 'cli:eve', now()) returning id)"
        " insert into receipt (erasure_id, target_id, product_id, last, state, not_before)"
        " select 'er_ada_0001', id, :product, false, 'due', now() from t",
        product=town.product.id,
    )
    backups.append(copied(town.database, ELSE))
    rows(town.database, "delete from receipt")
    rows(town.database, "delete from erasure")
    erased(town, "ada", "er_ada_0001", path)
    again = there(town, backups[0])
    restorer(again, path).restore("cli:eve")
    assert rows(again.database, "select ended_at is not null, ledger_no from erasure") == [
        (True, 1)
    ]
    assert rows(again.database, "select count(*) from receipt") == [(0,)]


def test_the_numbers_of_the_ledger_go_on_after_it(
    town: Town, path: Path, backups: list[Database]
) -> None:
    backups.append(copied(town.database, ELSE))
    erased(town, "ada", "er_ada_0001", path)
    again = there(town, backups[0])
    restorer(again, path).restore("cli:eve")
    erased(again, "ben", "er_ben_0002", path)
    assert [entry.no for entry in ledgers.read(path)] == [1, 2]
    with again.database.transaction() as connection:
        last = ledger.head(connection)
    assert last is not None
    assert last.erasure_id == "er_ben_0002"
