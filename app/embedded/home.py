"""What keeps a server, whatever it serves: its account, folder, locks, log and processes.

Two locks, both freed by the kernel whatever dies.  ``server.lock`` is inherited by every
process of the server: free means that none lives, and no pid is ever trusted.
``starter.lock`` is held by whoever started it: free beside a held ``server.lock`` means an
orphan, which is ended and not joined.
"""

import atexit
import contextlib
import ctypes
import fcntl
import os
import pwd
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from app.errors import Refused

LINUX = sys.platform == "linux"
_POLL = 0.01  # seconds between two looks at something that another process brings about
PATIENCE = 60.0  # seconds: recovery after a crash on a slow disk, not a usual start
ELSEWHERE = "Choose another RECONFIRM_DATA_DIR: a new folder, or one that reconfirm made"
READ_LOG = "Mend what the log says, or choose another RECONFIRM_DATA_DIR"
_GOODBYE = 20.0  # seconds that each signal of `stop` is given to do its work
_LOG_BYTES = 5_000_000  # beyond this the log is put aside at a start; one old one is kept
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_MACOS_PEERPID = (0, 2)  # SOL_LOCAL, LOCAL_PEERPID of <sys/un.h>

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
                "A server does not run as root, and there is no account named nobody",
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
        said: bytes = b"",
    ) -> subprocess.Popen[bytes]:
        """Start a command as this account in a session of its own, to end when we end.

        The folder is entered before the rights are given up, so that it may lie where the
        account could not walk to.  ``said`` is what it reads, a few KB at most: a pipe takes
        no more at once.
        """
        process = subprocess.Popen(  # noqa: S603  # no shell, and the command is ours
            argv,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.PIPE if said else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            pass_fds=keep,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            preexec_fn=_die_with_us(),  # noqa: PLW1509  # in the main thread only
        )
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as told:
                told.write(said)
        return process

    def answer(self, *argv: str) -> bytes:
        """Return what a command prints, or nothing where it does not run on this machine.

        Raises PermissionError where it is there and this account may not run it.
        """
        try:
            process = self.launch(argv, cwd=Path("/"), output=subprocess.PIPE)
        except PermissionError:
            raise
        except OSError:
            return b""
        return process.communicate()[0]


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
                f"The data folder {self.folder} cannot be used ({error.strerror})", ELSEWHERE
            ) from error
        if strange:
            raise Refused(f"The data folder {self.folder} was not made by this account", ELSEWHERE)

    def settle(
        self,
        start: Callable[[int], S],
        join: Callable[[], S | None],
        patience: float = PATIENCE,
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

    def spawn(
        self, argv: Sequence[str], lock: int, cwd: Path, said: bytes = b""
    ) -> subprocess.Popen[bytes]:
        """Start a process of the server: it holds the lock and writes the log."""
        with self.log.open("ab") as log:
            return self.account.launch(argv, cwd=cwd, output=log.fileno(), keep=[lock], said=said)

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
        with opened(self._starter_lock) as starter:
            if not _taken(starter, fcntl.LOCK_SH):
                return False
            pid = _listener(self.socket)
            # A new starter renames its lock before its server listens: if the name still
            # means this file, then who listens is not a new one's.
            if pid and os.path.samestat(os.fstat(starter), self._starter_lock.stat()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
        return True


class Server(ABC):
    """A running server: ours to stop if we started it, another's if we joined it."""

    name: ClassVar[str]

    def __init__(self, home: Home, url: str) -> None:
        """Hold what is common to both."""
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

    @abstractmethod
    def answers(self) -> bool:
        """Say whether a real request gets its answer now."""

    def stop(self) -> None:
        """End the server if this process started it; once more does nothing.

        SIGINT lets it end its work; SIGQUIT, when that takes too long, leaves PostgreSQL to
        recover at its next start.  In a forked child, whose child the server is not, Popen
        signals nobody.
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

    def _run(
        self, argv: Sequence[str], lock: int, cwd: Path, *, patience: float, said: bytes = b""
    ) -> None:
        """Start the server under the lock, and leave nothing behind where that fails."""
        self._home.begin_log()
        self._starter = self._home.become_starter()
        try:
            self._process = self._home.spawn(argv, lock, cwd, said)
            atexit.register(self.stop)
            self._await_ready(self._process, patience)
        except BaseException:
            self.stop()
            raise

    def _await_ready(self, process: subprocess.Popen[bytes], patience: float) -> None:
        """Poll until it answers; raises Refused when it will not."""
        deadline = time.monotonic() + patience
        while not self.answers():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)
                raise Refused(f"{self.name} did not start{self._home.last_words()}", READ_LOG)
            if time.monotonic() > deadline:
                late = f"{self.name} was not ready within {patience:g} seconds"
                raise Refused(f"{late}{self._home.last_words()}", READ_LOG)


def _environment() -> dict[str, str]:
    """Return all a server is told: no PG*, no locale of the user's, and none of our secrets."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    path = os.environ.get("PATH") or os.defpath
    return kept | {"PATH": path, "LC_ALL": "C.UTF-8" if LINUX else "C"}


def _die_with_us() -> Callable[[], None] | None:
    """Return what makes a child end (SIGINT) when we do, to be run in it before its program.

    Only on Linux, and only for a child of the main thread: the kernel ties it to the
    thread.  Elsewhere `stop` runs at exit, and after a kill the next start ends the orphan.
    """
    if not LINUX or threading.current_thread() is not threading.main_thread():
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
    level, option = (socket.SOL_SOCKET, socket.SO_PEERCRED) if LINUX else _MACOS_PEERPID
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
def opened(path: Path) -> Iterator[int]:
    """Give the descriptor of a file or folder, to be read or locked."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
