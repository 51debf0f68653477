"""The answer page, beside hello-world on the same server, and servers beside one another.

Eight kept connections, one request at a time on each. Every POST is another person's answer, which
the rules judge and the database commits durably; hello-world commits nothing.
"""

from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import text

from app.engine.sweep import Sweeper
from app.store.database import Database
from tests.benchmarks import ground
from tests.benchmarks.caller import Load, call, ratio, request, told
from tests.benchmarks.serving import BARE, LINKS, SERVERS, Served, served, timed

MOST = 400_000
CONNECTIONS = 8
TIMES = 3
HELLOS = 6_000
SHOWN = 1_500
ANSWERED = 1_000
"""Requests of each kind at a time, at most; fewer where fewer people were asked."""
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
KEEP = b"answer=keep"


def run(rows: int, servers: str = "ours", processes: int = 1, threads: int = 4) -> None:
    """Measure the pages on each of the servers named, or on `all`."""
    rows, now = min(rows, MOST), datetime.now(UTC)
    names = list(SERVERS) if servers == "all" else servers.split(",")
    with ground.database() as database:
        due = _asked(database, rows, now)
        print(
            f"{rows:,} subscriptions, {due:,} people asked; durable; {CONNECTIONS} connections,"
            f" {processes} server process(es) of {threads} threads; the median of {TIMES}"
        )
        with database.transaction() as connection:
            found = connection.scalars(text("select subscription_id from reconfirmation"))
            tokens = [LINKS.answer_token(each, 1) for each in found]
        each = min(ANSWERED, len(tokens) // (len(names) * TIMES + 1))
        for number, name in enumerate(names):
            mine = tokens[number * TIMES * each :][: TIMES * each]
            with served(database.url, name, processes=processes, threads=threads) as server:
                _measure(name, server, mine)


def _asked(database: Database, rows: int, now: datetime) -> int:
    """Have a tenth of the people asked, and note that each notice was handed over."""
    due = ground.fill(database, rows, now)
    ground.wind(database, now)
    Sweeper(database, ground.KEY, now, batch=2000).run()
    with database.transaction() as connection:
        connection.execute(text("delete from outbox"))
        connection.execute(
            text(
                """update reconfirmation set asked_at = :now, stated_by = cast(:now as date) + 30,
                     answer_by = cast(:now as timestamptz) + interval '31 days'"""
            ),
            {"now": now},
        )
    ground.alone(database, "vacuum analyze reconfirmation")
    return due


def _measure(name: str, server: Served, tokens: list[str]) -> None:
    """Measure one server: hello, GET and POST by turns."""
    hello = [request("GET", f"{BARE}/hello")] * min(HELLOS, 10 * len(tokens))
    shown = [request("GET", f"/a/{token}") for token in tokens[:SHOWN]]
    answers = iter(request("POST", f"/a/{token}", KEEP, FORM) for token in tokens)
    for warm in (hello, shown):
        call(server.ports, warm[:500], CONNECTIONS)
    loads: dict[str, list[Load]] = {"hello": [], "GET": [], "POST": []}
    for _ in range(TIMES):
        loads["hello"].append(timed(server, hello, CONNECTIONS))
        loads["GET"].append(timed(server, shown, CONNECTIONS))
        some = list(islice(answers, len(tokens) // TIMES))
        loads["POST"].append(timed(server, some, CONNECTIONS, 303))
    print(told(f"{name}: hello-world, bare Flask", loads["hello"]))
    for what, target in (("GET", 0.25), ("POST", 0.2)):
        print(told(f"{name}: answer page {what}", loads[what]))
        share = ratio(loads[what], loads["hello"])
        print(f"    {share} of hello-world (target {target}; p99 <= 10 ms)", flush=True)
