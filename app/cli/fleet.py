"""The processes of one machine: started together, started again when one dies, ended together."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread

from app import clock, log
from app.embedded import Server
from app.errors import Refused

ROLES = ("web", "worker", "scheduler", "eraser")
LOOK_EVERY = 0.3
HEALTHY_AFTER = timedelta(seconds=10)
"""Who has lived this long is started again at once; who dies sooner waits, longer each time."""
LONGEST_WAIT = timedelta(seconds=30)
GOODBYE = 40.0
"""Seconds that a process is given to finish what it has in hand."""
SAY = log.logger("fleet")


@dataclass
class Process:
    """One role: its process, and when it may be started again."""

    role: str
    process: subprocess.Popen[bytes]
    started: datetime
    deaths: int = 0
    again_at: datetime | None = None


@dataclass
class Keeper:
    """Starts an embedded server again where it has died; what it kept is there as before."""

    start: Callable[[], Server]
    servers: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start it, or join the one that runs."""
        self.servers.append(self.start())

    def look(self) -> None:
        """See whether it answers."""
        if not self.servers[-1].answers():
            SAY.warning("server_died")
            with suppress(Refused):
                self.servers.append(self.start())

    def stop(self) -> None:
        """End every server that this process has started."""
        for each in self.servers:
            each.stop()


@dataclass
class Fleet:
    """Roles of `reconfirm`, each in a process of its own that ends when this one does."""

    roles: Sequence[str] = ROLES
    keepers: Sequence[Keeper] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stopping: Event = field(default_factory=Event)
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self) -> None:
        """Start every role."""
        for role in self.roles:
            self.processes[role] = Process(role, self._spawn(role), clock.wall())

    def watch(self) -> None:
        """Start again who has died, until told to stop."""
        while not self.stopping.wait(LOOK_EVERY):
            for keeper in self.keepers:
                keeper.look()
            for each in self.processes.values():
                self._tend(each)

    def watched(self) -> Thread:
        """Watch in a thread of its own; give the thread."""
        thread = Thread(target=self.watch, name="fleet", daemon=True)
        thread.start()
        return thread

    def _tend(self, each: Process) -> None:
        now = clock.wall()
        if each.process.poll() is None:
            return
        if each.again_at is None:
            each.deaths = 0 if now - each.started >= HEALTHY_AFTER else each.deaths + 1
            wait = min(timedelta(seconds=each.deaths**2), LONGEST_WAIT) * (each.deaths > 1)
            each.again_at = now + wait
            SAY.warning("process_died", role=each.role, code=each.process.returncode)
        if now >= each.again_at and not self.stopping.is_set():
            each.process, each.started, each.again_at = self._spawn(each.role), now, None

    def _spawn(self, role: str) -> subprocess.Popen[bytes]:
        """Start a role; its end of the pipe closes when we are gone, whatever ended us."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "app.cli", role, "--attached"],
            env=dict(self.environ),
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def end(self) -> None:
        """Ask every process to finish, and end those that do not."""
        self.stopping.set()
        for each in self.processes.values():
            with suppress(ProcessLookupError):
                each.process.send_signal(signal.SIGTERM)
        for each in self.processes.values():
            try:
                each.process.wait(GOODBYE)
            except subprocess.TimeoutExpired:
                each.process.kill()
                each.process.wait()
