"""After erasure nothing gives the data back: somebody with a rare name is wiped and looked for."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from app.engine.mailbox import clear_mailbox
from app.engine.wiping import Subject, wipe_all
from app.errors import NotFound
from app.links import Links
from app.policy import Period
from app.store import counts, products, suppression, tombstones, wiping
from app.store.database import cursor
from app.store.fates import DECISIONS, Fate
from app.store.tables import metadata
from tests import canary
from tests.canary import EMAIL, LIKE, NAME, Nest, lived, rows_of, traces, undone, wiped, wiped_in
from tests.conftest import KEYS
from tests.probe import fingerprint, rows, suspended
from tests.world import Town, row

KEPT = (("invoices", Period(months=120)), ("messages", Period(days=30)))


@pytest.fixture
def nest(town: Town, tmp_path: Path) -> Nest:
    return Nest(town, tmp_path / "mailbox")


def found_in(town: Town) -> list[tuple[str, str]]:
    """Give where the canary stands in the database."""
    with town.database.transaction() as connection:
        return traces(canary.every_value(connection))


def letters_of(town: Town, sid: int) -> list[int]:
    return [
        each[0]
        for each in rows(town.database, "select id from webhook where subscription_id = :s", s=sid)
    ]


def neighbours(town: Town) -> list[dict[str, list[str]]]:
    with town.database.transaction() as connection:
        return [rows_of(connection, town.id_of(each["name"]), each["name"]) for each in LIKE]


# --- what is left --------------------------------------------------------------------------------


def test_nothing_of_somebody_who_was_wiped_is_found_anywhere(
    nest: Nest, capfd: pytest.CaptureFixture[str]
) -> None:
    town = nest.town
    sid = lived(nest)
    with town.database.transaction() as connection:
        cursor(connection).execute("analyze")
    everywhere = {where for where, _ in found_in(town)}
    assert everywhere >= {
        *("subscription", "contact", "webhook", "inbox", "look", "unknown_usage", "refund"),
        *("hold", "reconciliation", "sandbox_account", "samples of contact"),
    }
    assert len(canary.mails_to(nest.folder, EMAIL)) == 3
    letters, like = letters_of(town, sid), neighbours(town)
    mark = town.links.address_marks(town.product.id, EMAIL)[0]

    done = wiped(town, sid)
    assert clear_mailbox(town.database, town.links, nest.folder) == 3
    with town.database.transaction() as connection:
        wiping.forget_samples(connection)

    assert found_in(town) == []
    with town.database.transaction() as connection:
        assert undone(connection, sid, letters, mark) == []
    assert canary.mails_to(nest.folder, EMAIL) == []
    assert len(canary.mails_in(nest.folder)) == 3 * len(LIKE)
    assert neighbours(town) == like
    assert done.rows["contact"] == done.rows["subscription"] == 1
    assert done.rows["inbox"] >= 5
    told = "".join(capfd.readouterr())
    assert traces(iter([("log", told)])) == []


def test_nothing_of_somebody_who_was_wiped_is_in_a_dump(nest: Nest) -> None:
    town = nest.town
    sid = lived(nest)
    assert traces(iter([("dump", canary.dumped(town))])) != []
    wiped(town, sid)
    assert traces(iter([("dump", canary.dumped(town))])) == []


def _where(connection: Connection) -> list[str]:
    found = traces(canary.every_value(connection))
    return [where for where, _ in found if not where.startswith("samples")]


def test_each_statement_is_needed(nest: Nest, monkeypatch: pytest.MonkeyPatch) -> None:
    town = nest.town
    sid = lived(nest)
    letters = letters_of(town, sid)
    mark = town.links.address_marks(town.product.id, EMAIL)[0]
    needless = []
    for place, step in enumerate(wiping.STEPS):
        rest = wiping.STEPS[:place] + wiping.STEPS[place + 1 :]
        monkeypatch.setattr(wiping, "STEPS", rest)
        with town.database.engine.connect() as connection, connection.begin() as transaction:
            wiped_in(connection, town, sid)
            left = undone(connection, sid, letters, mark) + _where(connection)
            if not left:
                needless.append(step.what)
            transaction.rollback()
        monkeypatch.undo()
    assert needless == []


def test_bodies_nobody_put_a_name_to_are_looked_through(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = nest.town
    sid = lived(nest)
    unbound = "select count(*) from inbox where body is not null and subscription_id is null"
    assert rows(town.database, unbound) > [(3 * (1 + len(LIKE)),)]
    monkeypatch.setattr("app.engine.wiping.wipe_bodies", lambda *_: Counter[int]())
    wiped(town, sid)
    assert {where for where, _ in found_in(town)} >= {"inbox"}


def test_wiping_again_changes_nothing(nest: Nest) -> None:
    town = nest.town
    sid = lived(nest)
    first = wiped(town, sid)
    before = fingerprint(town.database)
    again = wiped(town, sid)
    assert fingerprint(town.database) == before
    assert (again.mark, again.before, dict(again.rows)) == (first.mark, True, {})


def test_several_are_wiped_with_one_look_at_the_messages(nest: Nest) -> None:
    town = nest.town
    sid = lived(nest)
    ids = [sid, *(town.id_of(each["name"]) for each in LIKE)]
    with town.database.transaction() as connection:
        product = products.load(connection, town.key)
        subjects = [Subject(each, "none") for each in ids]
        done = wipe_all(connection, product, subjects, town.links, town.clock.now())
    assert [done[each].rows["inbox"] for each in ids] == [6, 6, 6]
    assert rows(town.database, "select count(*) from inbox where body is not null") == [(0,)]
    assert rows(town.database, "select count(*) from contact") == [(0,)]


def test_a_subscription_of_another_product_is_not_wiped(town: Town) -> None:
    (sid,) = town.join(row("ada"))
    other = Town.founded(town.database, town.clock, town.links, "radio")
    with town.database.transaction() as connection, pytest.raises(NotFound):
        wipe_all(connection, other.product, [Subject(sid, "x")], town.links, town.clock.now())


def test_an_open_refund_keeps_its_charge_until_it_is_settled(nest: Nest) -> None:
    town = nest.town
    sid = lived(nest)
    charge = "select charge from refund where subscription_id = :sid"
    rows(town.database, "update refund set state = 'approved'")
    wiped(town, sid)
    assert rows(town.database, charge, sid=sid) == [(canary.CHARGE,)]
    settle = wiping.blank_settled
    with town.database.transaction() as connection:
        assert settle(connection) == 0
    rows(town.database, "update refund set state = 'made'")
    with town.database.transaction() as connection:
        assert (settle(connection), settle(connection)) == (1, 0)
    assert (
        traces(iter([("refund", each[0]) for each in rows(town.database, charge, sid=sid)])) == []
    )


def test_the_counts_of_the_forecast_have_one_less(town: Town) -> None:
    ids = town.join(row("ada"), row("bob"))
    wiped(town, ids[0])
    with town.database.transaction() as connection:
        counts.fold(connection, town.product.id)
    with town.database.transaction() as connection:
        assert counts.check(connection, town.product.id) == (0, [])
    people = "select sum(people) from count_day join count_part on id = part_id where plan <> ''"
    assert rows(town.database, people) == [(1,)]


# --- what others share ---------------------------------------------------------------------------


def test_a_shared_address_and_customer_stay_with_who_is_still_here(town: Town) -> None:
    both = {"email": "home@family.example", "customer": "cus_family"}
    ids = town.join(row("ada", **both), row("bob", **both))
    number = town.product.id
    with town.database.transaction() as connection:
        mark = town.links.address_marks(number, both["email"])[0]
        reasons = {mark: suppression.Reason.BOUNCED}
        suppression.add(connection, number, reasons, "cli:test", town.clock.now())
        insert = """insert into inbox (product_id, source, message_id, received_at, state, body)
            values (%s, 'standard', %s, %s, 'unreadable', %s)"""
        for name, body in {"a": b'"cus_family"', "b": b'"home@family.example"'}.items():
            cursor(connection).execute(insert, (number, name, town.clock.now(), body))
    bodies = "select count(*) from inbox where body is not null"
    wiped(town, ids[0])
    assert rows(town.database, bodies) == [(2,)]
    assert rows(town.database, "select count(*) from suppression") == [(1,)]
    wiped(town, ids[1])
    assert rows(town.database, bodies) == [(0,)]
    assert rows(town.database, "select count(*) from suppression") == [(0,)]


def test_a_complaint_is_remembered_without_the_address(town: Town) -> None:
    (sid,) = town.join(row("ada"))
    with town.database.transaction() as connection:
        marks = town.links.address_marks(town.product.id, "ada@subscribers.example")
        why = {marks[0]: suppression.Reason.COMPLAINED}
        suppression.add(connection, town.product.id, why, "cli:test", town.clock.now())
    wiped(town, sid)
    with town.database.transaction() as connection:
        assert suppression.found(connection, town.product.id, marks) == why


def test_mails_of_another_subscription_at_the_same_address_stay(nest: Nest) -> None:
    town = nest.town
    both = {"email": "home@family.example"}
    ids = town.join(row("ada", **both), row("bob", **both))
    town.sweep()
    nest.deliver()
    assert canary.mails_in(nest.folder) == ["home@family.example"] * 2
    assert clear_mailbox(town.database, town.links, nest.folder) == 0
    (nest.folder / "new" / "from-elsewhere.1").write_bytes(b"Subject: hello\r\n\r\nhello")
    wiped(town, ids[0])
    assert clear_mailbox(town.database, town.links, nest.folder) == 1
    assert clear_mailbox(town.database, town.links, nest.folder) == 0
    left = [path.name for path in (nest.folder / "new").iterdir()]
    assert len(left) == 2
    assert "from-elsewhere.1" in left


def test_a_mail_that_was_read_or_never_written_to_the_end_goes_too(nest: Nest) -> None:
    town = nest.town
    (sid,) = town.join(row("ada"))
    town.sweep()
    nest.deliver()
    (mail,) = (nest.folder / "new").iterdir()
    (nest.folder / "tmp" / "0123456789abcdef").write_bytes(mail.read_bytes())
    mail.rename(nest.folder / "cur" / f"{mail.name}:2,S")
    wiped(town, sid)
    assert clear_mailbox(town.database, town.links, nest.folder) == 2
    assert list(nest.folder.glob("*/*")) == []


# --- what is kept --------------------------------------------------------------------------------


def test_what_a_policy_keeps_goes_to_the_archive_and_nowhere_else(nest: Nest) -> None:
    town = nest.town
    sid = lived(nest)
    done = wiped(town, sid, KEPT)
    assert done.archived == ("invoices",)
    assert {where for where, _ in found_in(town) if not where.startswith("samples")} == {"archive"}
    ((category, body, until),) = rows(
        town.database, "select category, body, keep_until from archive"
    )
    day = town.clock.now().date()
    assert (category, until) == ("invoices", day.replace(year=day.year + 10))
    assert (body["subscription"], body["charges"][0]["charge"]) == (NAME, canary.CHARGE)


def test_who_has_no_charges_leaves_nothing_in_the_archive(town: Town) -> None:
    (sid,) = town.join(row("ada"))
    assert wiped(town, sid, KEPT).archived == ()
    assert rows(town.database, "select count(*) from archive") == [(0,)]


def test_only_the_archivist_reads_the_archive(nest: Nest) -> None:
    town = nest.town
    wiped(town, lived(nest), KEPT)
    with town.database.transaction() as connection:
        run = cursor(connection)
        run.execute("create role plain_service nologin")
        run.execute("grant all on archive, erasure to plain_service")
        run.execute("set role plain_service")
        assert run.execute("select count(*) from archive").fetchone() == (0,)
        assert run.execute("delete from archive where true").rowcount == 0
        run.execute(
            "insert into archive (product_id, erasure_id, category, body, keep_until)"
            " select product_id, id, 'other', '{}', '2030-01-01' from erasure"
        )
        assert run.rowcount == 1
        run.execute("reset role")
        run.execute("set role reconfirm_archivist")
        assert run.execute("select count(*) from archive").fetchone() == (2,)
        run.execute("reset role")
        connection.rollback()


def test_the_owner_of_the_tables_is_no_archivist(nest: Nest) -> None:
    town = nest.town
    wiped(town, lived(nest), KEPT)
    with town.database.transaction() as connection:
        run = cursor(connection)
        run.execute("create role plain_owner nologin")
        run.execute("grant create on schema public to plain_owner")
        run.execute("alter table archive owner to plain_owner")
        run.execute("set role plain_owner")
        assert run.execute("select count(*) from archive").fetchone() == (0,)
        connection.rollback()


def test_what_has_expired_is_taken_out_by_who_cannot_read_it(nest: Nest) -> None:
    town = nest.town
    wiped(town, lived(nest), KEPT)
    ((until,),) = rows(town.database, "select keep_until from archive")
    with town.database.transaction() as connection:
        run = cursor(connection)
        run.execute("create role plain_eraser nologin")
        run.execute("grant execute on function expire_archive(date) to plain_eraser")
        run.execute("set role plain_eraser")
        assert wiping.expire_archive(connection, until) == 0
        assert wiping.expire_archive(connection, until + timedelta(days=1)) == 1
        run.execute("reset role")
        assert connection.scalar(text("select count(*) from archive")) == 0
        connection.rollback()


# --- marks ---------------------------------------------------------------------------------------


def test_a_tombstone_is_found_under_an_older_key_and_not_without_any(town: Town) -> None:
    (sid,) = town.join(row("ada"))
    day = town.clock.now().date()
    wiped(town, sid)
    newer = Links(["another-key-0123456789-0123456789-01234567", *KEYS], "http://x")
    number = town.product.id
    many = [f"n{each}" for each in range(50)] + ["ada"]
    with town.database.transaction() as connection:
        for links in (town.links, newer):
            assert tombstones.erased_on(connection, links, number, ["ada", "bob"]) == {"ada": day}
            assert tombstones.erased_on(connection, links, number, many) == {"ada": day}
        with pytest.raises(LookupError):
            tombstones.erased_on(connection, None, number, ["bob"])
        assert tombstones.erased_on(connection, None, number + 1, ["bob"]) == {}


def test_who_is_erased_twice_has_two_rows_and_two_tombstones(town: Town) -> None:
    (sid,) = town.join(row("ada"))
    suspended(town, "ada")
    first = wiped(town, sid)
    day = town.clock.now().date() + timedelta(days=1)
    town.clock.advance(timedelta(days=2))
    (again,) = town.join(row("ada", started_at=f"{day}T00:00:00Z"))
    second = wiped(town, again)
    assert (first.mark, False) == (second.mark, second.before)
    found = rows(town.database, "select external_id from subscription order by id")
    assert found == [(f"erased:{first.mark.hex()}",), (f"erased:{first.mark.hex()}.{again}",)]
    with town.database.transaction() as connection:
        last = tombstones.erased_on(connection, town.links, town.product.id, ["ada"])
    assert last == {"ada": date.fromordinal(day.toordinal() + 1)}


# --- decisions -----------------------------------------------------------------------------------


def test_somebody_has_decided_about_every_column() -> None:
    decided = [(each.table, name) for each in DECISIONS for name in each.columns]
    there = {(table.name, column.name) for table in metadata.sorted_tables for column in table.c}
    assert len(decided) == len(set(decided))
    assert set(decided) == there
    assert all(each.why for each in DECISIONS)


def test_what_is_done_is_what_was_decided() -> None:
    done = {step.what.partition(".")[0] for step in wiping.STEPS}
    decided = {each.table for each in DECISIONS if each.fate in (Fate.DELETED, Fate.BLANKED)}
    assert done == decided


def test_the_planner_forgets_the_samples_of_a_table_that_has_become_empty(town: Town) -> None:
    town.join(row("ada"))
    sampled = "select count(*) from pg_stats where tablename = 'contact'"
    rows(town.database, "analyze contact")
    assert rows(town.database, sampled) != [(0,)]
    rows(town.database, "delete from contact")
    with town.database.transaction() as connection:
        wiping.forget_samples(connection)
    assert rows(town.database, sampled) == [(0,)]
