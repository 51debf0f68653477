"""Calls a server over kept connections, as fast as it answers, and times every answer.

Written for little work a request, since client, server and database share the processors.
"""

import selectors
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds without any answer after which a run is given up."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run came to: answers a second, milliseconds at the median and the 99th percentile.

    `cost` is milliseconds of the server's processor for each answer.
    """

    rate: float
    p50: float
    p99: float
    cost: float = 0.0


def told(what: str, loads: Sequence[Load]) -> str:
    """Give a line about runs of one kind: medians, and how far they were apart."""
    rates = [each.rate for each in loads]
    p50, p99, cost = (
        median(getattr(each, name) for each in loads) for name in ("p50", "p99", "cost")
    )
    return (
        f"{what:36} {median(rates):7,.0f} requests/s ({min(rates):,.0f} to {max(rates):,.0f})"
        f"  p50 {p50:5.1f} ms  p99 {p99:5.1f} ms  server's processor {cost:.2f} ms each"
    )


def ratio(ours: Sequence[Load], peer: Sequence[Load]) -> str:
    """Give what share of a peer's rate ours is, and what it would be by processor time alone."""
    share = median(each.rate for each in ours) / median(each.rate for each in peer)
    cost = median(each.cost for each in ours)
    by_cost = median(each.cost for each in peer) / cost if cost else 0.0
    return f"{share:.2f} (by the server's processor time alone {by_cost:.2f})"


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    sent: float = 0.0
    got: bytearray = field(default_factory=bytearray)


def request(
    method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Give a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{n}: {v}" for n, v in headers)]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def call(
    ports: Sequence[int], requests: Sequence[bytes], connections: int, status: int = 200
) -> Load:
    """Send requests over kept connections, one at a time each, dealt out among the ports.

    Every answer must have the status given.
    """
    left = iter(requests)
    took: list[float] = []
    statuses: Counter[int] = Counter()
    with selectors.EpollSelector() as waiting:
        start = perf_counter()
        for number in range(min(connections, len(requests))):
            address = (HOST, ports[number % len(ports)])
            each = _Connection(socket.create_connection(address, PATIENCE))
            each.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting.register(each.socket, selectors.EVENT_READ, each)
            _send_next(each, left)
        while waiting.get_map():
            ready = waiting.select(PATIENCE)
            if not ready:
                raise SystemExit("the server no longer answers")
            for key, _ in ready:
                found = _read(key.data)
                if found is None:
                    continue
                statuses[found] += 1
                took.append(perf_counter() - key.data.sent)
                if not _send_next(key.data, left):
                    waiting.unregister(key.data.socket)
                    key.data.socket.close()
        seconds = perf_counter() - start
    if set(statuses) != {status}:
        raise SystemExit(f"expected {status} only, and got {dict(statuses)}")
    took.sort()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    return Load(len(took) / seconds, p50 * 1000, p99 * 1000)


def _send_next(connection: _Connection, left: Iterator[bytes]) -> bool:
    """Send the next request; False where none is left."""
    following = next(left, None)
    if following is None:
        return False
    connection.sent = perf_counter()
    connection.socket.sendall(following)
    return True


def _read(connection: _Connection) -> int | None:
    """Read what came; give the status once an answer is whole."""
    some = connection.socket.recv(65536)
    if not some:
        raise SystemExit("the server closed a connection")
    connection.got += some
    head = connection.got.find(b"\r\n\r\n")
    if head < 0:
        return None
    length = connection.got[:head].lower().find(b"content-length:")
    if length < 0:
        raise SystemExit("an answer does not say how long it is")
    end = connection.got.find(b"\r\n", length)
    whole = head + 4 + int(connection.got[length + 15 : end])
    if len(connection.got) < whole:
        return None
    status = int(connection.got[9:12])
    connection.got.clear()
    return status
