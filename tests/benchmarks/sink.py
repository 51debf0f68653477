"""A sink for mail that keeps nothing and counts: Postfix's smtp-sink, or one of our own."""

import asyncio
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink: where it listens, and how many messages it has taken."""

    port: int
    taken: Callable[[], int]


def name() -> str:
    """Give what stands in for a relay on this machine."""
    return "smtp-sink" if shutil.which("smtp-sink") else "a sink of our own"


@contextmanager
def sink(*, pipelining: bool = True) -> Iterator[Sink]:
    """Give a sink that runs in a process of its own, and stop it."""
    port = free_port()
    program = shutil.which("smtp-sink")
    if program is None:
        counter = multiprocessing.Value("q", 0)
        target = multiprocessing.Process(
            target=_serve, args=(port, pipelining, counter), daemon=True
        )
        target.start()
        yield from _until_done(Sink(port, lambda: int(counter.value)), target.kill)
        return
    options = ["-u", "nobody"] if os.geteuid() == 0 else []
    options += [] if pipelining else ["-p"]
    command = [program, "-c", *options, f"{HOST}:{port}", "64"]
    with (
        tempfile.NamedTemporaryFile() as said,
        subprocess.Popen(command, stdout=said) as process,  # noqa: S603 - our own arguments
    ):
        found = Sink(port, lambda: _last_count(Path(said.name)))
        yield from _until_done(found, process.kill)


def _last_count(said: Path) -> int:
    """Read how far smtp-sink has counted: it says `sess=1 quit=0 mesg=7` and a CR each time."""
    with said.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
        lines = [each for each in file.read().split(b"\r") if b" mesg=" in each]
    return int(lines[-1].rpartition(b"=")[2]) if lines else 0


def _until_done(found: Sink, stop: Callable[[], None]) -> Iterator[Sink]:
    try:
        await_listener(found.port)
        yield found
    finally:
        stop()


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def await_listener(port: int) -> None:
    """Wait until somebody listens on a port."""
    for _ in range(300):
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            sleep(0.1)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")


def _serve(port: int, pipelining: bool, counter: Any) -> None:  # noqa: FBT001 - a process' argument
    greeting = b"250-sink\r\n250 PIPELINING\r\n" if pipelining else b"250 sink\r\n"

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take whatever comes."""
        answers = {b"EHLO": greeting, b"DATA": b"354 go ahead\r\n", b"QUIT": b"221 bye\r\n"}
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            writer.write(answers.get(word, b"250 ok\r\n"))
            if word == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                counter.value += 1
                writer.write(b"250 taken\r\n")
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(session, HOST, port)
        await server.serve_forever()

    asyncio.run(serve())
