"""The ledger of erasures: no gap, no change unseen, and a file that only grows."""

import fcntl
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from app import ledger as ledgers
from app.errors import Refused
from app.store import ledger
from app.store.database import Database
from app.store.ledger import BEGINNING, Entry, Over
from tests.probe import rows
from tests.world import START


def over(number: int) -> Over:
    mark = bytes([number % 256]) * 32
    return Over(f"er_{number:08}", "tv", "request", mark, START + timedelta(seconds=number))


def enter(database: Database, *numbers: int) -> list[int]:
    with database.transaction() as connection:
        return [ledger.append(connection, over(number)) for number in numbers]


def export(database: Database, path: Path) -> int:
    with database.transaction() as connection:
        return ledgers.export(connection, path)


def numbers(path: Path) -> list[int]:
    return [entry.no for entry in ledgers.read(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "erasures.ledger"


def test_numbers_have_no_gap_and_an_erasure_has_one(database: Database) -> None:
    assert enter(database, 1, 2) == [1, 2]
    assert enter(database, 2, 3) == [2, 3]
    with database.engine.connect() as connection:
        ledger.append(connection, over(9))
        connection.rollback()
    assert enter(database, 4) == [4]


def test_those_that_end_at_once_get_numbers_in_turn(database: Database) -> None:
    threads = [Thread(target=enter, args=(database, *range(n * 10, n * 10 + 5))) for n in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with database.transaction() as connection:
        found = [entry for some in ledger.after(connection, 0) for entry in some]
    assert [entry.no for entry in found] == list(range(1, 31))
    previous = BEGINNING
    for entry in found:
        assert entry.previous_hash == previous
        assert ledger.fits(entry)
        previous = entry.hash


def test_every_part_of_an_entry_counts() -> None:
    entry = Entry(1, *over(1), BEGINNING, ledger.digest(1, over(1), BEGINNING))
    assert ledger.fits(entry)
    for other in (
        entry._replace(no=2),
        entry._replace(erasure_id="er_other"),
        entry._replace(product="radio"),
        entry._replace(cause="schedule"),
        entry._replace(mark=bytes(32)),
        entry._replace(ended_at=START),
        entry._replace(previous_hash=bytes(31) + b"1"),
    ):
        assert not ledger.fits(other)
    elsewhere = entry._replace(ended_at=entry.ended_at.astimezone(datetime.now(UTC).tzinfo))
    assert ledger.fits(elsewhere)


def test_the_file_has_what_the_database_has_and_is_only_appended_to(
    database: Database, path: Path
) -> None:
    assert export(database, path) == 0
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"", 0o600)
    assert ledgers.head(path) is None
    enter(database, *range(1, 4))
    assert export(database, path) == 3
    before = path.read_bytes()
    enter(database, 4)
    assert export(database, path) == 1
    assert export(database, path) == 0
    assert path.read_bytes().startswith(before)
    assert numbers(path) == [1, 2, 3, 4]
    last = ledgers.head(path)
    assert last is not None
    assert last.erasure_id == "er_00000004"


def test_many_entries_go_out_some_at_a_time(database: Database, path: Path) -> None:
    enter(database, *range(ledger.MANY + 5))
    assert export(database, path) == ledger.MANY + 5
    assert numbers(path) == list(range(1, ledger.MANY + 6))


def test_it_holds_nobody(database: Database, path: Path) -> None:
    enter(database, 1)
    export(database, path)
    said = json.loads(path.read_text())
    assert set(said) == {
        "no", "erasure", "product", "cause", "mark", "ended_at", "previous", "hash",
    }  # fmt: skip


def test_what_a_crash_left_of_a_line_is_passed_over_and_then_made_whole(
    database: Database, path: Path
) -> None:
    enter(database, 1, 2, 3)
    export(database, path)
    whole = path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[2])):
        os.truncate(path, len(whole) - cut - 1)
        last = ledgers.head(path)
        assert last is not None
        assert last.no == 2
        assert numbers(path) == [1, 2]
        assert export(database, path) == 1
        assert path.read_bytes() == whole


def test_those_who_export_at_once_write_each_entry_once(database: Database, path: Path) -> None:
    enter(database, *range(1, 50))
    threads = [Thread(target=export, args=(database, path)) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert numbers(path) == list(range(1, 50))


def test_who_exports_waits_for_who_is_just_writing(database: Database, path: Path) -> None:
    enter(database, 1, 2)
    export(database, path)
    whole = path.read_bytes()
    path.write_bytes(b"")
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waits = Thread(target=export, args=(database, path))
        waits.start()
        waits.join(0.5)
        file.write(whole)
        file.flush()
    waits.join()
    assert path.read_bytes() == whole


def test_a_file_that_is_ahead_of_the_database_is_not_written(
    database: Database, path: Path
) -> None:
    enter(database, 1, 2)
    export(database, path)
    before = path.read_bytes()
    rows(database, "delete from ledger where no = 2")
    with pytest.raises(Refused, match=r"entry 2, which this database does not have.*restore-check"):
        export(database, path)
    enter(database, 7)
    with pytest.raises(Refused, match="entry 2"):
        export(database, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [0, 1, 2])
def test_whatever_is_done_to_the_file_is_found_and_named(
    database: Database, path: Path, line: int
) -> None:
    enter(database, 1, 2, 3)
    export(database, path)
    lines = path.read_text().splitlines(keepends=True)
    edited = json.loads(lines[line]) | {"cause": "schedule"}
    damages = [
        [json.dumps(edited, separators=(",", ":")) + "\n"],
        ["not one of ours\n"],
        [],
        [lines[line], lines[line]],
    ]
    for damage in damages:
        if line == 2 and not damage:
            continue  # cut off at its end: that the database has more says so
        path.write_text("".join([*lines[:line], *damage, *lines[line + 1 :]]))
        with pytest.raises(Refused, match=f"entry {line + 1}|entry {line + 2}"):
            numbers(path)


def test_a_file_that_cannot_be_read_says_the_mend(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(Refused, match="RECONFIRM_ERASURE_LEDGER"):
        numbers(path)
