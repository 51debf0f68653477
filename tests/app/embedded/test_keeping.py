"""What holds for every embedded server: real ones, really killed."""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import home
from app.errors import Refused
from tests.app.embedded.processes import NOBODY, Kind, kill, line


@contextlib.contextmanager
def moved(folder: Path, to: Path) -> Iterator[Path]:
    to.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(to)
    try:
        yield to
    finally:
        to.rename(folder)


def test_serves_until_it_is_stopped_and_stops_once(kind: Kind, data: Path) -> None:
    with kind.start(data) as server:
        assert kind.asks(server.url)
        assert server.log.stat().st_size
        server.stop()
        assert kind.is_free(data)
        assert not kind.asks(server.url)
        server.stop()
    server.stop()


def _held(process: int) -> Iterator[str]:
    """Give what a process holds open; what it closes meanwhile is left out."""
    for one in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(one.readlink())


def test_no_port_is_open(kind: Kind, data: Path) -> None:
    with kind.start(data):
        held = set(_held(kind.pid(data)))
        # columns: number, local, remote, state, queues, timer, retransmits, uid, timeout, inode
        open_ports = {
            f"socket:[{row.split()[9]}]"
            for table in ("tcp", "tcp6", "udp", "udp6")
            if Path("/proc/net", table).exists()
            for row in Path("/proc/net", table).read_text().splitlines()[1:]
        }
    assert any(one.startswith("socket:") for one in held)
    assert not held & open_ports


def test_no_other_account_can_walk_to_the_socket(kind: Kind, data: Path) -> None:
    with kind.start(data):
        private = data / kind.name
        assert private.stat().st_uid == os.geteuid()
        assert [(private / part).stat().st_mode & 0o077 for part in ("", kind.folder)] == [0, 0]


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("name", ["with space", "l" * 120, "a,b", 'it\'s "ünï" 100% %20 ; $HOME?#'])
def test_works_in_any_folder(kind: Kind, data: Path, tmp_path: Path, name: str) -> None:
    with moved(data, tmp_path / name) as folder, kind.start(folder) as server:
        assert kind.asks(server.url)
        with kind.start(folder) as joined:
            assert (joined.joined, joined.url) == (True, server.url)


def test_works_in_a_hostile_environment(kind: Kind, data: Path) -> None:
    hostile = {
        "HOME": "",
        "LC_ALL": "xx_YY.nonsense",
        "LANG": "tlh",
        "PGPORT": "1",
        "PGHOST": "nowhere.invalid",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "missing",
        "PGOPTIONS": "-c nonsense=1",
        "PGUSER": "x",
        "PGDATABASE": "x",
        "PGDATA": "/nowhere",
        "PGCONNECT_TIMEOUT": "x",
        "REDIS_URL": "redis://nowhere.invalid",
        "TZ": "Nowhere/Else",
    }
    with kind.child("plain", data, **hostile) as process:
        assert line(process).endswith("started")


def test_a_second_process_joins_and_loses_the_server_with_its_starter(
    kind: Kind, data: Path
) -> None:
    with kind.child("plain", data) as process:
        url, how = line(process).split()
        with kind.start(data) as server:
            assert (how, server.joined, server.url) == ("started", True, url)
            server.stop()  # it is not ours to stop
            assert kind.asks(server.url)
            process.communicate()
            assert not kind.asks(server.url)
    with kind.start(data) as server:
        assert not server.joined


def test_of_two_starts_at_once_one_joins(kind: Kind, data: Path) -> None:
    with kind.child("plain", data) as one, kind.child("plain", data) as other:
        said = [line(one).split(), line(other).split()]
    assert sorted(how for _, how in said) == ["joined", "started"]
    assert said[0][0] == said[1][0]


def test_of_two_first_starts_at_once_one_joins(kind: Kind, tmp_path: Path) -> None:
    with kind.child("plain", tmp_path) as one, kind.child("plain", tmp_path) as other:
        said = [line(one).split(), line(other).split()]
        assert kind.asks(said[0][0])
    assert sorted(how for _, how in said) == ["joined", "started"]
    assert said[0][0] == said[1][0]


def test_one_process_may_ask_twice(kind: Kind, data: Path) -> None:
    with kind.start(data) as first, kind.start(data) as second:
        assert (first.joined, second.joined) == (False, True)


def test_a_forked_child_does_not_stop_the_server(kind: Kind, data: Path) -> None:
    with kind.start(data) as server:
        if (pid := os.fork()) == 0:
            server.stop()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert kind.asks(server.url)


def test_the_server_ends_when_its_starter_is_killed(kind: Kind, data: Path) -> None:
    with kind.child("plain", data) as process:
        line(process)
        server = os.pidfd_open(kind.pid(data))
        kill(process)
    try:
        assert select.select([server], [], [], 20)[0]
    finally:
        os.close(server)


def test_who_had_joined_takes_over_from_a_killed_starter(kind: Kind, data: Path) -> None:
    with kind.child("plain", data) as process:
        line(process)
        with kind.start(data) as joined:
            kill(process)
            with kind.start(data, patience=10) as server:
                assert (joined.joined, server.joined) == (True, False)
                assert joined.url == server.url
                assert kind.asks(joined.url)


def test_a_killed_server_is_taken_over(kind: Kind, data: Path) -> None:
    with kind.start(data) as first:
        os.kill(kind.pid(data), signal.SIGKILL)
        with kind.start(data) as second:
            assert not second.joined
            first.stop()
            assert kind.asks(second.url)


def test_an_orphan_that_the_kernel_does_not_end_is_ended_and_not_joined(
    kind: Kind, data: Path
) -> None:
    with kind.child("thread", data) as process:
        line(process)
        orphan = kind.pid(data)
        kill(process)
    assert not kind.is_free(data)
    with kind.start(data) as server:
        assert not server.joined
        assert kind.pid(data) != orphan


def test_an_ordinary_user_without_a_home_can_run_it(kind: Kind) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        with kind.child("nobody", folder, HOME="") as process:
            assert line(process).endswith("started")
            inner = folder / kind.name / kind.folder
            assert inner.stat().st_uid == folder.stat().st_uid
    finally:
        shutil.rmtree(folder)


def test_a_large_log_is_put_aside(kind: Kind, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_LOG_BYTES", 1)
    with kind.start(data) as server:
        first = server.log.stat().st_ino
    with kind.start(data) as server:
        assert server.log.with_suffix(".log.1").stat().st_ino == first
        assert server.log.stat().st_ino != first


def test_refuses_a_folder_it_did_not_make(kind: Kind, tmp_path: Path) -> None:
    theirs = tmp_path / kind.name / "theirs.txt"
    theirs.parent.mkdir()
    theirs.write_text("dear")
    with pytest.raises(Refused, match="was not made by") as refused:
        kind.start(tmp_path)
    assert "RECONFIRM_DATA_DIR" in refused.value.mend
    assert list(theirs.parent.iterdir()) == [theirs]


def test_refuses_a_folder_of_somebody_else(kind: Kind, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / kind.name).mkdir()
        os.chown(tmp_path / kind.name, NOBODY.pw_uid, NOBODY.pw_gid)
    else:  # who cannot give a folder away
        (tmp_path / kind.name).symlink_to("/usr")
    with pytest.raises(Refused, match="was not made by"):
        kind.start(tmp_path)


def test_refuses_a_file(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be used"):
        kind.start(tmp_path / "file")


def test_gives_up_waiting_for_a_server_that_never_answers(kind: Kind, data: Path) -> None:
    with (data / kind.name / "server.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refused, match=r"did not answer within 0\.1 seconds"):
            kind.start(data, patience=0.1)
