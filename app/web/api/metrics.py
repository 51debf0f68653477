"""/metrics for Prometheus: what this process served, and what the database says right now.

Labels are keys of products and words of ours: no id, no address, no token. A figure that cannot be
read is left out and counted in `reconfirm_scrape_failed`. Calls are counted by process: where
several serve, each is to be asked on its own.
"""

import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_address
from typing import Any

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from app.clock import Clock
from app.store import disputes, holds, manifests, measuring, products, standing
from app.store.database import Database
from app.web.problems import problem
from app.world import billing
from app.world.connector import CONFIRMED_WITHIN

ONE_DAY = timedelta(days=1)
A_WEEK = timedelta(days=7)
NOWHERE = "none"
"""The endpoint of a request that names none: an address that does not exist."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Sample = tuple[tuple[str, ...], float]
Read = Callable[[Connection], Iterator[Sample]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One gauge: its name, what it says, its labels, and how it is read."""

    name: str
    says: str
    labels: tuple[str, ...]
    read: Read


@dataclass(frozen=True, slots=True)
class Stock(Collector):
    """What the database says at the moment of the scrape."""

    database: Database
    clock: Clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read every figure, each on its own."""
        failed = GaugeMetricFamily(
            "reconfirm_scrape_failed", "Whether a figure could not be read.", labels=["figure"]
        )
        for figure in self._figures():
            family = GaugeMetricFamily(figure.name, figure.says, labels=figure.labels)
            try:
                with self.database.transaction() as connection:
                    measuring.hurry(connection)
                    samples = list(figure.read(connection))
            except Exception:  # noqa: BLE001 - one figure less must not take the others along
                failed.add_metric([figure.name], 1)
                continue
            for labels, value in samples:
                family.add_metric(labels, value)
            failed.add_metric([figure.name], 0)
            yield family
        yield failed

    def _figures(self) -> Iterator[Figure]:
        yield from _COUNTS
        yield Figure(
            "reconfirm_outbox_oldest_age_seconds",
            "How long the oldest effect has been due, by lane.",
            ("product", "lane"),
            self._oldest,
        )
        yield Figure(
            "reconfirm_job_age_seconds",
            "How long ago each job last ended; job=sweep is the last sweep.",
            ("product", "job"),
            self._jobs,
        )
        yield Figure(
            "reconfirm_feed_age_seconds",
            "How long ago the last day ended that a feed has told, by the feed's number.",
            ("product", "feed"),
            self._feeds,
        )
        yield Figure(
            "reconfirm_review_oldest_age_seconds",
            "How long the oldest case has been before a person that a subscriber put there.",
            ("product",),
            self._reviews,
        )
        yield Figure(
            "reconfirm_erasures_due",
            "Requests to erase whose day is within a week, or past.",
            ("product",),
            self._erasures,
        )
        yield Figure(
            "reconfirm_erasure_request_oldest_age_seconds",
            "How long the oldest request to be erased has been open.",
            ("product",),
            self._requests,
        )
        yield Figure(
            "reconfirm_holds_to_review",
            "Holds whose day of review has come.",
            ("product",),
            self._holds,
        )
        yield Figure(
            "reconfirm_compared_age_seconds",
            "How long ago each product was last compared with its billing system, whole.",
            ("product",),
            self._compared,
        )
        yield Figure(
            "reconfirm_unconfirmed",
            "Acts that billing took and has not confirmed for two days, by its own word.",
            ("product",),
            self._unconfirmed,
        )
        yield Figure(
            "reconfirm_leader_age_seconds", "How long ago a leader was seen.", (), self._leader
        )
        yield Figure(
            "reconfirm_unsealed_age_seconds",
            "How long the oldest line of history has been without a seal.",
            (),
            self._unsealed,
        )
        yield Figure(
            "reconfirm_pulse_today",
            "What happened today (UTC), as the guards count it.",
            ("product", "what"),
            self._pulse,
        )

    def _oldest(self, connection: Connection) -> Iterator[Sample]:
        now = self.clock.now()
        for product, lane, _, oldest in measuring.outbox_pending(connection):
            yield (product, lane), max(0.0, _age(now, oldest)) if oldest else 0.0

    def _jobs(self, connection: Connection) -> Iterator[Sample]:
        wall = self.clock.wall()
        for product, job, finished_at in measuring.job_runs(connection):
            yield (product, job), _age(wall, finished_at)

    def _feeds(self, connection: Connection) -> Iterator[Sample]:
        now = self.clock.now()
        for product, number, until in measuring.feeds(connection):
            ended = datetime.combine(until + ONE_DAY, time(), UTC)
            yield (product, str(number)), max(0.0, _age(now, ended))

    def _reviews(self, connection: Connection) -> Iterator[Sample]:
        now = self.clock.now()
        for product, _, oldest in measuring.reviews(connection):
            yield (product,), max(0.0, _age(now, oldest)) if oldest else 0.0

    def _erasures(self, connection: Connection) -> Iterator[Sample]:
        soon = (self.clock.now() + A_WEEK).date()
        for product, _, due in measuring.erasures(connection, soon):
            yield (product,), due

    def _requests(self, connection: Connection) -> Iterator[Sample]:
        now = self.clock.now()
        for product, asked_at in measuring.own_requests(connection):
            yield (product,), max(0.0, _age(now, asked_at)) if asked_at else 0.0

    def _holds(self, connection: Connection) -> Iterator[Sample]:
        today = self.clock.now().date()
        for product, many in holds.count_to_review(connection, today):
            yield (product,), many

    def _compared(self, connection: Connection) -> Iterator[Sample]:
        now = self.clock.now()
        for product, ended_at, _ in measuring.compared(connection):
            yield (product,), max(0.0, _age(now, ended_at))

    def _unconfirmed(self, connection: Connection) -> Iterator[Sample]:
        """Count for the systems that cannot be asked: the others are read back."""
        until = self.clock.now() - CONFIRMED_WITHIN
        for key in products.keys(connection):
            row = products.row_of(connection, key)
            if not billing.capabilities(row.billing, row.billing_settings).asked:
                yield (key,), standing.count_unconfirmed(connection, row.id, until, measuring.MANY)

    def _leader(self, connection: Connection) -> Iterator[Sample]:
        for (seen_at,) in measuring.leader(connection):
            yield (), _age(self.clock.wall(), seen_at)

    def _unsealed(self, connection: Connection) -> Iterator[Sample]:
        now, found = self.clock.now(), measuring.unsealed(connection)
        yield (), max(0.0, _age(now, found[0][0])) if found else 0.0

    def _pulse(self, connection: Connection) -> Iterator[Sample]:
        today = self.clock.now().astimezone(UTC).date()
        for product, what, many in measuring.pulse(connection, today):
            yield (product, what), many


def _age(now: datetime, then: datetime) -> float:
    return (now - then).total_seconds()


def _counted(rows: Callable[[Connection], Sequence[tuple[Any, ...]]]) -> Read:
    """Read rows whose last column is the figure and whose others are labels."""

    def read(connection: Connection) -> Iterator[Sample]:
        for *labels, many in rows(connection):
            yield tuple(labels), float(many)

    return read


def _pending(connection: Connection) -> Iterator[Sample]:
    for product, lane, many, _ in measuring.outbox_pending(connection):
        yield (product, lane, "pending"), many
    for product, lane, state, many in measuring.outbox_held(connection):
        yield (product, lane, state), many


def _reviews(connection: Connection) -> Iterator[Sample]:
    for product, many, _ in measuring.reviews(connection):
        yield (product,), many


def _erasures(connection: Connection) -> Iterator[Sample]:
    for product, many, _ in measuring.erasures(connection, date.min):
        yield (product,), many


def _failing(connection: Connection) -> Iterator[Sample]:
    for product, _, error in measuring.compared(connection):
        yield (product,), float(error is not None)


_COUNTS = (
    Figure(
        "reconfirm_stage",
        "Subscriptions with an open round, by stage.",
        ("product", "stage"),
        _counted(measuring.stages),
    ),
    Figure(
        "reconfirm_outbox",
        f"Effects by lane and state; those that wait are counted up to {measuring.MANY}.",
        ("product", "lane", "state"),
        _pending,
    ),
    Figure(
        "reconfirm_webhooks",
        "Webhooks out that are not delivered, by state.",
        ("product", "state"),
        _counted(measuring.webhooks),
    ),
    Figure(
        "reconfirm_inbox",
        "Webhooks taken in that wait for a person, by state.",
        ("product", "state"),
        _counted(measuring.inbox),
    ),
    Figure(
        "reconfirm_reviews_open",
        "Cases that subscribers want a person to look at.",
        ("product",),
        _reviews,
    ),
    Figure(
        "reconfirm_erasures_open",
        "Requests of people to be erased that are open.",
        ("product",),
        _erasures,
    ),
    Figure(
        "reconfirm_erasures_under_way",
        "Erasures that were begun and are not over, by what they began by.",
        ("product", "cause"),
        _counted(measuring.erasing),
    ),
    Figure(
        "reconfirm_receipts_parked",
        "Receipts of systems told to erase that wait for a person.",
        ("product",),
        _counted(measuring.parked_receipts),
    ),
    Figure(
        "reconfirm_disputes_too_late",
        "Disputes that came when somebody was being erased already, and wait for a person.",
        ("product",),
        _counted(disputes.count_late),
    ),
    Figure(
        "reconfirm_manifests_waiting",
        "Manifests of who is due to be erased that wait to be approved.",
        ("product",),
        _counted(manifests.waiting),
    ),
    Figure(
        "reconfirm_brakes_on",
        "Brakes that stop a product.",
        ("product",),
        _counted(measuring.brakes),
    ),
    Figure(
        "reconfirm_unexplained",
        "Subscriptions of which billing says what cannot be explained.",
        ("product", "what"),
        _counted(measuring.findings),
    ),
    Figure(
        "reconfirm_refunds",
        "Entries of the refund ledger that are not settled, by state.",
        ("product", "state"),
        _counted(measuring.refunds),
    ),
    Figure(
        "reconfirm_comparison_failing",
        "Whether the comparison with billing cannot go on.",
        ("product",),
        _failing,
    ),
)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counts what is served, and answers scrapes: with the token, or from this machine."""

    database: Database
    clock: Clock
    token: str | None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def register(self, app: Flask) -> None:
        """Count every request of an application, and serve /metrics on it."""
        labels = ("method", "endpoint", "status")
        calls = Counter(
            "reconfirm_http_requests", "Requests served.", labels, registry=self.registry
        )
        took = Histogram(
            "reconfirm_http_request_seconds",
            "How long requests took.",
            ("endpoint",),
            registry=self.registry,
        )
        self.registry.register(Stock(self.database, self.clock))

        def begin() -> None:
            g.began = self.clock.wall()

        def count(response: Response) -> Response:
            endpoint = request.endpoint or NOWHERE
            method = request.method if request.method in METHODS else "other"
            calls.labels(method, endpoint, str(response.status_code)).inc()
            if "began" in g:
                took.labels(endpoint).observe(max(0.0, _age(self.clock.wall(), g.began)))
            return response

        app.before_request(begin)
        app.after_request(count)
        app.add_url_rule("/metrics", view_func=self.metrics)

    def metrics(self) -> ResponseReturnValue:
        """Answer a scrape."""
        self._check()
        return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_LATEST)

    def _check(self) -> None:
        if self.token:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
                refused = problem("unauthorized", "Send RECONFIRM_METRICS_TOKEN as bearer.")
                refused.extra_headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
                raise refused
        elif not _from_here():
            why = "Set RECONFIRM_METRICS_TOKEN to read this from another machine."
            raise problem("forbidden", why)


def _from_here() -> bool:
    """Say whether a request comes from this machine, and was passed on by no proxy."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
