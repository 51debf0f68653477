"""Notices: written by our composer beside the plain way, handed over beside Postfix's smtp-source.

Everything stays on this machine and goes into a sink that keeps nothing. Each figure is the median
of three. Writing is measured in processor time, so that whoever else uses the machine counts
little; handing over in time by the wall. Where Postfix is not installed, a sink and a sender of our
own stand in for its two.
"""

import multiprocessing
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import cycle, islice
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from statistics import median
from time import perf_counter, process_time

from app.world.mail.brief import Brand, Brief
from app.world.mail.compose import Composer
from app.world.mail.plain import compose_plainly
from app.world.mail.relay import open_relay
from app.world.outcome import Done
from tests.benchmarks import sink
from tests.benchmarks.sink import HOST

TARGET = 100_000
TIMES = 3
PLAINLY = 2_000
MOST_BUILT = 500_000
MOST_SENT = 50_000
CHUNK = 10_000
DISTINCT = 1_000
PROCESSES = 2
WAIT = 120.0
"""No part may take longer than this many seconds."""
PLANS = ("Standard", "Family", "Premium & 4K")
PRICES = (799, 1349, 1799)
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
BRAND = Brand(
    key="tv",
    name="Northlight TV",
    from_address="care@northlight.example",
    reply_to="help@northlight.example",
    support_url="https://northlight.example/help",
)
Mails = Iterator[tuple[str, bytes]]
Sender = Callable[[int, Mails], int]


def run(rows: int) -> None:
    """Measure writing and handing over, each beside what it is measured against."""
    _write(rows)
    _hand_over(min(rows, MOST_SENT))


# --- writing -----------------------------------------------------------------------------------


def person(number: int) -> Brief:
    """Give the ask for one of any number of people; few plans, prices and dates among them."""
    url = f"https://my.northlight.example/a/{number:09d}.kJ3h5Gf8sQpLmN2bV7cXwQ"
    return Brief(
        notice="ask",
        to=f"person.{number}@subscribers.example",
        message_id=f"{number}.1.ask.0@northlight.example",
        sent_at=NOW,
        language="en-GB",
        timezone="Europe/London",
        plan=PLANS[number % len(PLANS)],
        amount=PRICES[number % len(PRICES)],
        currency="GBP",
        interval="month",
        started_on=date(2021, 3, 1) + timedelta(days=number % 400),
        answer_url=url,
        one_click_url=f"{url}/one-click",
        next_charge=NOW + timedelta(days=number % 28 + 1),
        last_used_on=date(2024, 1, 1) + timedelta(days=number % 200),
        answer_by=date(2026, 10, 1),
        erase_on=date(2027, 8, 5),
    )


def _write(rows: int) -> None:
    composer = Composer()
    size = len(composer.compose(BRAND, person(0)))
    print(f"an ask of {size:,} bytes, text and HTML, to people of whom no two are alike; one core")
    plainly = _writing(min(rows, PLAINLY), lambda brief: compose_plainly(composer, BRAND, brief))
    _say("plain way: facts put in, EmailMessage each", plainly)
    ours = _writing(min(rows, MOST_BUILT), lambda brief: composer.compose(BRAND, brief))
    _say("our composer: bytes with gaps, filled", ours)
    print(
        f"    {ours / plainly:,.0f} times the plain way; {ours / TARGET:.2f} of the target 100,000"
    )


def _writing(people: int, write: Callable[[Brief], bytes]) -> float:
    """Give messages a second: the median of as many runs, each over people of its own."""
    each = max(1, people // TIMES)
    return median(_once(range(n * each, (n + 1) * each), write) for n in range(TIMES))


def _once(people: range, write: Callable[[Brief], bytes]) -> float:
    """Give messages a second over some people; making the briefs is not counted."""
    seconds = 0.0
    for start in range(people.start, people.stop, CHUNK):
        briefs = [person(number) for number in people[start - people.start :][:CHUNK]]
        begin = process_time()
        for brief in briefs:
            write(brief)
        seconds += process_time() - begin
    return len(people) / seconds


def _say(what: str, rate: float) -> None:
    print(f"{what:60} {rate:10,.0f} messages/s")


# --- handing over ------------------------------------------------------------------------------


def _hand_over(messages: int) -> None:
    where = f"{sink.name()} on loopback"
    print(f"{messages:,} messages from {PROCESSES} kept connections to {where}")
    for pipelining in (True, False):
        offered = "PIPELINING offered" if pipelining else "PIPELINING not offered"
        with sink.sink(pipelining=pipelining) as found:
            peer = median(_peer(found.port, messages) for _ in range(TIMES))
            ours = median(_together(_send_ours, found.port, messages) for _ in range(TIMES))
        _say(f"{_peer_name()}; {offered}", peer)
        _say(f"our Smtp relay, {PROCESSES} processes; {offered}", ours)
        print(f"    {ours / peer:.2f} of the peer (target {1.0 if pipelining else 0.5})")


def _peer_name() -> str:
    if shutil.which("smtp-source"):
        return f"smtp-source (C, 1 process, {PROCESSES} sessions)"
    return f"raw sockets, {PROCESSES} processes"


def _peer(port: int, messages: int) -> float:
    """Give messages a second of smtp-source, or of sockets that do nothing but send."""
    program = shutil.which("smtp-source")
    if program is None:
        return _together(_send_raw, port, messages)
    length = len(Composer().compose(BRAND, person(0)))
    options = f"-d -s {PROCESSES} -m {messages} -l {length} -f {BRAND.from_address} -t"
    command = [program, *options.split(), person(0).to, f"{HOST}:{port}"]
    begin = perf_counter()
    subprocess.run(command, check=True, timeout=WAIT)  # noqa: S603 - our own arguments
    return messages / (perf_counter() - begin)


def _together(send: Sender, port: int, messages: int) -> float:
    """Give messages a second of several processes that begin at once."""
    barrier = multiprocessing.Barrier(PROCESSES + 1)
    taken: Queue[int] = multiprocessing.Queue()
    share = messages // PROCESSES
    workers = [
        multiprocessing.Process(target=_work, args=(send, port, first, share, barrier, taken))
        for first in range(0, PROCESSES * DISTINCT, DISTINCT)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(WAIT)
    begin = perf_counter()
    total = sum(taken.get(timeout=WAIT) for _ in workers)
    seconds = perf_counter() - begin
    for worker in workers:
        worker.join(WAIT)
    if total != share * PROCESSES:
        raise SystemExit(f"{total} of {share * PROCESSES} messages were taken")
    return total / seconds


def _work(  # noqa: PLR0913, PLR0917 - what a process is given
    send: Sender, port: int, first: int, count: int, barrier: Barrier, taken: "Queue[int]"
) -> None:
    """Build messages, wait for the others, send, and say how many were taken."""
    composer = Composer()
    briefs = map(person, range(first, first + DISTINCT))
    mails = [(brief.to, composer.compose(BRAND, brief)) for brief in briefs]
    barrier.wait(WAIT)
    taken.put(send(port, islice(cycle(mails), count)))


def _send_ours(port: int, mails: Mails) -> int:
    """Send through our relay; give how many were taken."""
    with open_relay(f"smtp://{HOST}:{port}") as relay:
        outcomes = (relay.send(BRAND.from_address, *mail) for mail in mails)
        return sum(isinstance(outcome, Done) for outcome in outcomes)


def _send_raw(port: int, mails: Mails) -> int:
    """Send with nothing but a socket, four round trips a message; give how many were taken."""
    taken = 0
    with (
        socket.create_connection((HOST, port), WAIT) as connection,
        connection.makefile("rb") as answers,
    ):
        answers.readline()
        connection.sendall(b"HELO peer\r\n")
        answers.readline()
        for to, message in mails:
            for part in (
                f"MAIL FROM:<{BRAND.from_address}>\r\n".encode(),
                f"RCPT TO:<{to}>\r\n".encode(),
                b"DATA\r\n",
                message + b".\r\n",
            ):
                connection.sendall(part)
                answer = answers.readline()
            taken += answer.startswith(b"250")
    return taken
