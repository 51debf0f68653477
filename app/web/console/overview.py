"""The products somebody may see, and how one of them stands: funnel, curve, pace, feed, brake."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from flask import Response, request
from psycopg.errors import QueryCanceled
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from app import guards
from app.clock import Clock
from app.forecast import Forecaster
from app.store import cases, erasing_views, funnel, lists, overview, pace, products, versions
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.funnel import Came
from app.store.overview import Standing
from app.store.products import Product
from app.web.console.curves import Curve, drawn
from app.web.console.roles import Role
from app.web.console.sayings import PAUSED, stopped
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show
from app.web.console.threshold import thresholds
from app.web.rules import duration

VIEWER, EDITOR = Needs(), Needs(Role.EDITOR)
TO_LIFT = Needs(Role.EDITOR, fresh=True)
PERIODS = {"30": 30, "90": 90, "365": 365}
"""The periods offered, in days until today."""
PROPOSALS = 3
"""So many versions that wait are named, the newest."""
LONGEST = timedelta(days=3660)
LIFTED = ("looked_into", "mended", "false_alarm", "other")


@dataclass(frozen=True, slots=True)
class Span:
    """The days a funnel counts, both included; `chosen` names a period offered."""

    first: date
    last: date
    chosen: str = ""

    @property
    def begin(self) -> datetime:
        """The first moment (UTC)."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it (UTC)."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step: how many came to it, and what they pay a month by currency; None: not known."""

    name: str
    many: int
    share: float
    worth: list[Came] | None


@dataclass(frozen=True, slots=True)
class Pacing:
    """Notices of today out of what a day may have, and the ramp; None where it is over."""

    taken: int
    at_most: int
    ramp: overview.Ramp | None
    steps: int


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the first checklist: its name, whether it is done, and where the next step is."""

    name: str
    done: bool


@dataclass(frozen=True, slots=True)
class Overviews:
    """The pages about a product as a whole."""

    database: Database
    clock: Clock
    forecaster: Forecaster

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        return [
            ("GET", "/", self.listed, Needs(product=False)),
            ("GET", "/products/<product>/", self.overview, VIEWER),
            ("GET", "/products/<product>/curve.csv", self.as_csv, VIEWER),
            ("POST", "/products/<product>/pause", self.pause, EDITOR),
            ("POST", "/products/<product>/lift", self.lift, TO_LIFT),
            ("POST", "/products/<product>/dry-run-read", self.dry_run_read, EDITOR),
        ]

    # --- pages -----------------------------------------------------------------------------

    def listed(self) -> Response:
        """List the products that this person may see."""
        with self.database.transaction() as connection:
            found = [each for each in products.named(connection) if here().roles.on(each.key)]
            stopped = {each.product for each in products.brakes(connection)}
        admin = here().roles.everywhere is Role.ADMIN
        return show(
            "products", here="products", products=found, stopped=stopped, may_sign_out=admin
        )

    def overview(self, product: str) -> Response:
        """Show how a product stands."""
        now = self.clock.now()
        span = _span(now.date())
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            standing = overview.standing(connection, found.id)
            waits = erasing_views.waits(connection, found.id, now.date())
            counts = overview.steps(connection, found.id, span.first, span.last)
            points = overview.curve(connection, found.id)
            brakes = products.brakes(connection, found.id)
            pacing = self._pacing(connection, found, now)
            proposals = versions.waiting(connection, found.id)
            version = found.policy_version
            made = None if version is None else lists.of(connection, found.id, version)
        return show(
            "overview",
            here="overview",
            product=found,
            standing=standing,
            waits=waits,
            proposals=proposals[-PROPOSALS:],
            made=made if made is not None and made.waits else None,
            checks=_checks(found, standing),
            span=span,
            periods=PERIODS,
            steps=self._funnel(found, counts, span),
            curve=drawn(points, found.policy, now.date()),
            length=partial(duration, locale=said().tongue.locale),
            thresholds=thresholds(self.forecaster, found) if points else [],
            brakes=[stopped(said(), each) for each in brakes],
            pacing=pacing,
            stale=guards.is_stale(found, now),
            may_edit=_may(product, Role.EDITOR),
            paused=PAUSED,
            lifted=LIFTED,
        )

    def as_csv(self, product: str) -> Response:
        """Give the curve as CSV: counts only, nothing of any person."""
        curve = self._curve(product)
        answer = Response(curve.csv(), mimetype="text/csv")
        answer.headers["Content-Disposition"] = f'attachment; filename="{product}-curve.csv"'
        return answer

    # --- doing -----------------------------------------------------------------------------

    def pause(self, product: str) -> AnyResponse:
        """Set the brake of this product by hand."""
        why, now = _chosen(PAUSED), self.clock.now()
        with self.database.transaction() as connection:
            found = products.row_of(connection, product)
            actor = here().actor
            products.set_brake(connection, found.id, guards.BY_HAND, PAUSED[why], actor, now)
            self._note(connection, found.id, "brake_on", why)
        return after(f"/console/products/{product}/", "paused")

    def lift(self, product: str) -> AnyResponse:
        """Lift this product's own brakes; what stops all products is not theirs to lift."""
        why, now = _chosen(LIFTED), self.clock.now()
        with self.database.transaction() as connection:
            found = products.row_of(connection, product)
            guards.lift(connection, found.id, here().actor, why, now)
        return after(f"/console/products/{product}/", "lifted")

    def dry_run_read(self, product: str) -> AnyResponse:
        """Note that somebody has read who would be asked."""
        with self.database.transaction() as connection:
            found = products.row_of(connection, product)
            self._note(connection, found.id, "dry_run_read", "by_hand")
        return after(f"/console/products/{product}/", "noted")

    # --- inside ----------------------------------------------------------------------------

    def _curve(self, product: str) -> Curve:
        with self.database.transaction() as connection:
            found = products.load(connection, product)
            points = overview.curve(connection, found.id)
        return drawn(points, found.policy, self.clock.now().date())

    def _funnel(self, product: Product, often: dict[str, int], span: Span) -> list[FunnelStep]:
        """Give the steps with people where they can be counted in time, or else how often."""
        few = sum(often.values()) <= overview.MOST_LINES
        worth = self._worth(product, span) if few else None
        if worth is None:
            return _steps(often, None)
        counts = dict.fromkeys(often, 0)
        for each in worth:
            counts[each.step] += each.people
        return _steps(counts, worth)

    def _worth(self, product: Product, span: Span) -> list[Came] | None:
        """Give what each step is worth a month; None where that takes too long to find out."""
        try:
            with self.database.transaction() as connection:
                return funnel.came(
                    connection, product.id, span.begin, span.end, None, overview.PATIENCE
                )
        except QueryCanceled:
            return None

    def _pacing(self, connection: Connection, product: Product, now: datetime) -> Pacing | None:
        policy = product.policy
        if policy is None:
            return None
        taken = pace.taken(connection, product.id, guards.day_of(now))
        ramp = overview.ramp(connection, product.id, policy.version)
        over = ramp is None or ramp.step >= len(policy.pace.ramp) or guards.ramp_is_open(product)
        steps = len(policy.pace.ramp)
        return Pacing(taken, policy.pace.notices_per_day, None if over else ramp, steps)

    def _note(self, connection: Connection, product_id: int, what: str, why: str) -> None:
        line = HistoryWrite(None, None, what, why, None)
        cases.insert_history(connection, product_id, self.clock.now(), here().actor, [line])


def _steps(counts: dict[str, int], worth: list[Came] | None) -> list[FunnelStep]:
    most = max(1, *counts.values())
    return [
        FunnelStep(
            name,
            many,
            round(100 * max(0, many) / most, 1),
            None if worth is None else [each for each in worth if each.step == name],
        )
        for name, many in counts.items()
    ]


def _may(product: str, role: Role) -> bool:
    found = here().roles.on(product)
    return found is not None and found >= role


def _chosen(codes: Collection[str]) -> str:
    """Give the code of a form; what is none of the offered ones counts as another reason."""
    given = request.form.get("why", "")
    return given if given in codes else "other"


def _checks(product: Product, standing: Standing) -> list[Check]:
    """Give what a new product needs, in its order."""
    return [
        Check("billing", standing.has_people),
        Check("feed", product.hearing.heard_until is not None),
        Check("relay", standing.relay_tested),
        Check("policy", standing.proposed),
        Check("dry_run", standing.dry_run_read),
        Check("activated", product.policy is not None),
    ]


def _span(today: date) -> Span:
    """Give the days asked for; 30 days where what is asked for is no span of days."""
    wanted = request.args.get("period", "")
    if wanted in PERIODS:
        return Span(today - timedelta(days=PERIODS[wanted] - 1), today, wanted)
    try:
        first = date.fromisoformat(request.args.get("from", ""))
        last = date.fromisoformat(request.args.get("to", ""))
    except ValueError:
        return Span(today - timedelta(days=29), today, "30")
    if last < first or last - first > LONGEST or last > today + timedelta(days=1):
        return Span(today - timedelta(days=29), today, "30")
    return Span(first, last)
