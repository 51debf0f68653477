"""The demo comes to the same funnel however its processes are killed on the way.

Real processes and servers: whoever is picked by the dice is killed with SIGKILL, and Redis is
flushed, again and again while the days pass; the story told at the end must not change.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import redis

SEED = 4711
STORY = ("--subscribers", "90", "--days", "50", "--seed", str(SEED))
KILLS = 7
ENOUGH = 3
"""On a quick machine the story is over before more have been killed."""
PAUSE = (0.4, 1.4)
PATIENCE = 480
VICTIMS = ("app.cli web", "app.cli worker", "app.cli scheduler", "postgres", "valkey-server")
FLUSH = "flush"
AROUND = {
    "RECONFIRM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/real",
    "RECONFIRM_SMTP_URL": "smtp://127.0.0.1:9",
    "RECONFIRM_CLOCK": "system",
}
"""Settings of a real service around the demo, which it must not come near."""


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("RECONFIRM_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "app.cli", "demo", "--no-serve", "--json", *STORY],
        env=inherited | AROUND | {"RECONFIRM_DATA_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told(folder: Path, *, dice: random.Random | None = None) -> tuple[Any, list[str]]:
    """Run the demo, killing as the dice say; give its summary and who was killed."""
    killed: list[str] = []
    with demo(folder) as process:
        over = Event()
        if dice is not None:
            harm = Thread(target=_kill, args=(process.pid, folder, dice, killed, over))
            harm.start()
        out, err = process.communicate(timeout=PATIENCE)
        over.set()
        if dice is not None:
            harm.join()
        assert process.returncode == 0, err[-3000:]
    return json.loads(out), killed


def _kill(pid: int, folder: Path, dice: random.Random, killed: list[str], over: Event) -> None:
    """Kill children of a process once they are all there."""
    while not over.wait(0.2) and len(_children(pid)) < len(VICTIMS):
        pass
    while len(killed) < KILLS and not over.wait(dice.uniform(*PAUSE)):
        victim = dice.choice((*VICTIMS, FLUSH))
        if _harm(pid, folder, victim):
            killed.append(victim)


def _harm(pid: int, folder: Path, victim: str) -> bool:
    if victim == FLUSH:
        return _flush(folder)
    found = _children(pid).get(victim)
    with suppress(ProcessLookupError):
        if found is not None:
            os.kill(found, signal.SIGKILL)
            return True
    return False


def _flush(folder: Path) -> bool:
    place = folder / "demo" / "redis"
    password = next(place.rglob("password"), None)
    sockets = list(place.rglob("*.sock"))
    if password is None or not sockets:
        return False
    with suppress(redis.RedisError, OSError):
        client = redis.Redis(unix_socket_path=str(sockets[0]), password=password.read_text())
        client.flushall()
        client.close()
        return True
    return False


def _children(pid: int) -> dict[str, int]:
    """Give the direct children of a process by what they are."""
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            number = int(entry.name)
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            said = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if int(status[1]) == pid:
                found |= {victim: number for victim in VICTIMS if victim in said}
    return found


def test_the_funnel_is_the_same_twice_and_under_kill_9_and_a_flushed_redis(tmp_path: Path) -> None:
    undisturbed, _ = told(tmp_path / "quiet")
    harmed, killed = told(tmp_path / "harmed", dice=random.Random(SEED))  # noqa: S311 - dice
    print("killed:", killed)  # noqa: T201 - which dice fell is wanted when it fails
    assert len(killed) >= ENOUGH
    assert harmed == undisturbed
    assert undisturbed["asked"] > 0
    assert undisturbed["suspended"] > 0
    assert undisturbed["charged_after_suspension"] == 0
