"""What the console's pages take of the server, and how large they are, for a product of some size.

A tenth of the people have been asked, with four lines of history each; most effects are done, a few
are parked. A page is asked for in this process, as somebody who is signed in, a few times after a
first one. The aims are 100 ms and 100 KB.
"""

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from statistics import median
from time import perf_counter

from flask.testing import FlaskClient
from sqlalchemy import text

from app.clock import Clock
from app.links import Links
from app.store import console as store
from app.store import runs
from app.store.database import Database
from app.versions import Versions
from app.web import create_app
from app.web.console import Access
from tests.app.web.console.forms import Sheet
from tests.benchmarks import ground
from tests.benchmarks.forecast import peopled
from tests.conftest import KEYS

BASE = "https://reconfirm.example"
TIMES = 15
LONG_AGO = 300
HAPPENED = {
    "contact": """insert into contact (subscription_id, email, locale, timezone, reach)
        select id, external_id || '@subscribers.example', 'en', 'UTC', 'ok' from subscription""",
    "reconfirmation": """insert into reconfirmation (subscription_id, number, product_id, latest,
          stage, why, opened_at, version, outcome, closed_at, reminded, quiet, act_version)
        select id, 1, product_id, true, case when id % 5 = 0 then 'suspended' else 'asked' end,
          'unused', :now - make_interval(days => (id % :days)::int), 1,
          case when id % 5 = 0 then null when id % 50 = 1 then 'unreachable' else 'kept' end,
          case when id % 5 = 0 then null else :now - make_interval(days => (id % :days)::int) end,
          0, false, 0 from subscription where id % 10 = 0 or id % 50 = 1""",
    "history": """insert into history (product_id, subscription_id, round, at, what, why, version,
          actor) select r.product_id, r.subscription_id, 1, r.opened_at, w, 'unused', 1, 'clock'
        from reconfirmation r, unnest(array['asked', 'notice.ask_handed_over',
          'notice.reminder_handed_over', 'kept']) w""",
    "pulse": """insert into pulse (product_id, day, what, many)
        select p.id, cast(:now as date) - n, w, 700 from product p, generate_series(0, 400) n,
          unnest(array['asked', 'notice.ask_handed_over', 'kept', 'returned', 'suspended']) w""",
    "outbox": """insert into outbox (product_id, subscription_id, round, lane, kind, version,
          not_before, state, fence, tries, unknown, error)
        select product_id, subscription_id, 1, 'notice', 'notice.ask', 1, :now,
          case when subscription_id % 400 = 0 then 'parked' else 'pending' end, 1, 1, 0, 'refused'
        from reconfirmation where subscription_id % 20 = 0""",
}


def run(rows: int) -> None:
    """Measure every page."""
    now = datetime.now(UTC)
    with ground.database() as database:
        print(f"{rows:,} subscriptions; medians of {TIMES}, behind the first")
        peopled(database, rows, now)
        _let_happen(database, now)
        client, token = _signed_in(database)
        product = f"/console/products/{ground.KEY}"
        person = ground.number(database, "select min(subscription_id) from reconfirmation")
        for path in (
            "",
            "?period=365",
            "policy",
            "policy/edit",
            "policy/versions/2",
            "policy/versions/2/dry-run",
            "runs",
            "runs/1",
            "people",
            f"people/{person}",
            "queues?queue=parked",
        ):
            ask = partial(client.get, f"{product}/{path}", base_url=BASE)
            _timed(f"GET {path or 'overview'}", ask)
        _what_if(client, product, token)


def _let_happen(database: Database, now: datetime) -> None:
    """Let a tenth of the people have been asked, and a version be proposed."""
    for statement in HAPPENED.values():
        with database.transaction() as connection:
            connection.execute(text(statement), {"now": now, "days": LONG_AGO})
    with database.transaction() as connection:
        product = ground.number(database, "select min(id) from product")
        for ago in range(LONG_AGO):
            at = now - timedelta(days=ago)
            runs.count(connection, product, at, runs.Did(at.date(), "clock", 1, None, asked=600))
    segments = [{"when": {"country": ["FR"]}, "unused_after": "P6M"}]
    body = ground.POLICY | {"unused_after": "P9M", "segments": segments}
    Versions.on(database, Clock()).propose(ground.KEY, body, "console:ann")
    ground.alone(database, "vacuum analyze")


def _signed_in(database: Database) -> tuple[FlaskClient, str]:
    """Give a browser of somebody who may do everything, and the token of their forms."""
    clock = Clock()
    links = Links(KEYS, BASE)
    app = create_app(database, clock, links, base_url=BASE, console=Access(KEYS))
    cookie, wall = secrets.token_urlsafe(32), clock.wall()
    with database.transaction() as connection:
        who = store.person(connection, b"bench", "bench", "bench-2", ["admin"], wall)
        store.begin(connection, hashlib.sha256(cookie.encode()).digest(), who, wall, wall)
    client = app.test_client()
    client.set_cookie("__Host-reconfirm", cookie, domain="reconfirm.example", secure=True)
    return client, hashlib.sha256(f"csrf\0{cookie}".encode()).hexdigest()


def _what_if(client: FlaskClient, product: str, token: str) -> None:
    """Measure what follows a slider: the form of version 2, with other thresholds each time."""
    page = client.get(f"{product}/policy/edit?from=2", base_url=BASE).text
    form = Sheet.of(page).pairs | {"csrf": [token]}
    dice = Random(4711)  # noqa: S311 - no secret

    def slid() -> object:
        form["unused_after"] = [str(dice.randrange(1, 37))]
        return client.post(
            f"{product}/policy/what-if",
            data=form,
            base_url=BASE,
            headers={"Origin": BASE, "HX-Request": "true"},
        )

    _timed("POST policy/what-if", slid)


def _timed(name: str, ask: Callable[[], object]) -> None:
    took, size = [], 0
    for _ in range(TIMES + 1):
        begun = perf_counter()
        answer = ask()
        took.append((perf_counter() - begun) * 1000)
        assert answer.status_code == 200, (name, answer.status_code)  # type: ignore[attr-defined]
        size = len(answer.data)  # type: ignore[attr-defined]
    print(
        f"    {name:28} {median(took[1:]):7.1f} ms, first {took[0]:6.1f}, most"
        f" {max(took[1:]):6.1f}; {size / 1000:6.1f} KB"
    )
