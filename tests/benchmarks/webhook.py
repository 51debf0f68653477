"""Billing's webhooks, each message new and applied, beside a bare Flask route that commits a row.

Both on the same server and database, durable, over kept connections, the same bytes sent to both.
"""

import json
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import text

from app import signing
from app.store import products
from app.store.database import Database
from tests.benchmarks import ground
from tests.benchmarks.caller import Load, call, ratio, request, told
from tests.benchmarks.serving import BARE, Served, served, timed

MOST = 400_000
TIMES = 3
CONNECTIONS = 8
MESSAGES = 1_000
TARGET = 0.5
PATH = f"/webhooks/{ground.KEY}/standard"


def run(rows: int, servers: str = "ours", processes: int = 1, threads: int = 4) -> None:
    """Measure both by turns, and say what became of the messages."""
    rows, now, secret = min(rows, MOST), datetime.now(UTC), signing.new_secret()
    messages = min(MESSAGES, rows // TIMES)
    with ground.database() as database:
        _fill(database, rows, now, secret)
        bodies = [_body(n + 1, now) for n in range(messages * TIMES)]
        with served(database.url, servers, processes=processes, threads=threads) as server:
            bare, ours = _measure(server, bodies, secret)
        applied = ground.number(database, "select count(*) from inbox where state = 'applied'")
    if applied != len(bodies):
        raise SystemExit(f"{applied} of {len(bodies)} messages were applied")
    print(
        f"{rows:,} subscriptions; durable; {CONNECTIONS} kept connections, {processes} server"
        f" process(es) of {threads} threads ({servers}); the median of {TIMES}"
    )
    print(told("limit: bare Flask + INSERT + COMMIT", bare))
    print(told("webhook of billing, new and applied", ours))
    print(f"    {ratio(ours, bare)} of the limit (target {TARGET})")


def _fill(database: Database, rows: int, now: datetime, secret: str) -> None:
    ground.fill(database, rows, now, billing="standard")
    ground.wind(database, now)
    with database.transaction() as connection:
        connection.execute(text("create table bare (id bigserial primary key, body bytea)"))
        number = products.row_of(connection, ground.KEY).id
        products.change(connection, number, {"signing_secrets": [secret]})


def _body(number: int, now: datetime) -> bytes:
    """Give an event about somebody: their next renewal has moved."""
    data = {
        "id": f"sub_{number}",
        "email": f"sub_{number}@subscribers.example",
        "locale": "de",
        "country": "DE",
        "timezone": "Europe/Berlin",
        "plan": "standard",
        "amount": 1349,
        "currency": "EUR",
        "interval": "month",
        "started_at": "2020-01-01T10:00:00Z",
        "renews_at": (now + timedelta(days=25)).isoformat(),
        "status": "active",
    }
    event = {"type": "subscription.updated", "timestamp": now.isoformat(), "data": data}
    return json.dumps(event).encode()


def _signed(number: int, body: bytes, secret: str) -> bytes:
    made = signing.sign([secret], f"msg_{number}", datetime.now(UTC), body)
    return request("POST", PATH, body, (("Content-Type", "application/json"), *made.items()))


def _measure(server: Served, bodies: list[bytes], secret: str) -> tuple[list[Load], list[Load]]:
    """Give the loads of the limit and of the webhook, taken by turns."""
    each = len(bodies) // TIMES
    bare = [request("POST", f"{BARE}/insert", body) for body in bodies[:each]]
    signed = (_signed(number, body, secret) for number, body in enumerate(bodies))
    call(server.ports, bare[:300], CONNECTIONS)
    limits: list[Load] = []
    ours: list[Load] = []
    for _ in range(TIMES):
        limits.append(timed(server, bare, CONNECTIONS))
        ours.append(timed(server, list(islice(signed, each)), CONNECTIONS))
    return limits, ours
