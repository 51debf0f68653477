"""Runs: what each day's sweeps did, the ramp as a ladder, and taking a run back.

Taking back is begun here and done by workers: the page says how far they are.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass

from flask import Response, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from app import guards
from app import runs as shared
from app.amends import People
from app.clock import Clock
from app.guards import RampStands
from app.runs import Runs
from app.store import products
from app.store.amends import STANDINGS
from app.store.database import Database
from app.store.products import Product
from app.store.runs import Run
from app.web.console.roles import Role
from app.web.console.sayings import stopped
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show

VIEWER, EDITOR = Needs(), Needs(Role.EDITOR)
TO_RESUME = Needs(Role.EDITOR, fresh=True)
HARD_TO_UNDO = Needs(Role.APPROVER, fresh=True)
A_PAGE = 30
MOST_WRITTEN = 10_000
HIGHEST = 2**31 - 1
HIGHEST_ID = 2**63 - 1
PLACE = ("after", "round")
"""Where a page of people begins: behind our number and a round."""
LEFT = ("open", "in_hand", "suspended", "canceled")
"""How those stand whom taking a run back puts right."""
HEADER = (
    "number",
    "day",
    "version",
    "step",
    "first_at",
    "last_at",
    "actors",
    "asked",
    "reminded",
    "suspended",
    "canceled",
    "withdrawn",
)
RUNS_ON = frozenset(
    {RampStands.AT_ONCE, RampStands.NOT_BEGUN, RampStands.RUNS, RampStands.WAITS, RampStands.OVER}
)
"""How a ramp stands that can be paused."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A guard in figures: how many of how many, and the share that it allows as it is written."""

    cause: str
    bad: int
    of: int
    at_most: str


@dataclass(frozen=True, slots=True)
class RunPages:
    """The pages about runs."""

    database: Database
    clock: Clock

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        of = "/products/<product>"
        return [
            ("GET", f"{of}/runs", self.listed, VIEWER),
            ("GET", f"{of}/runs.csv", self.as_csv, VIEWER),
            ("GET", f"{of}/runs/<int:number>", self.one, VIEWER),
            ("GET", f"{of}/runs/<int:number>/people", self.people, VIEWER),
            ("GET", f"{of}/runs/<int:number>/people.csv", self.people_as_csv, EDITOR),
            ("POST", f"{of}/runs/<int:number>/undo", self.undo, HARD_TO_UNDO),
            ("POST", f"{of}/runs/<int:number>/agree", self.agree, HARD_TO_UNDO),
            ("POST", f"{of}/ramp/pause", self.pause, EDITOR),
            ("POST", f"{of}/ramp/resume", self.resume, TO_RESUME),
            ("POST", f"{of}/ramp/stop", self.stop, HARD_TO_UNDO),
        ]

    @property
    def _runs(self) -> Runs:
        return Runs(self.database, self.clock)

    @property
    def _people(self) -> People:
        return People(self.database, self.clock)

    # --- pages -------------------------------------------------------------------------------

    def listed(self, product: str) -> Response:
        """Show the ramp, and a page of runs."""
        before = min(max(0, request.args.get("before", 0, int)), HIGHEST)
        found = self._product(product)
        with self.database.transaction() as connection:
            brakes = products.brakes(connection, found.id)
        ladder = self._runs.ramp(product)
        runs = self._runs.listed(product, before or None, A_PAGE + 1)
        return show(
            "runs",
            here="runs",
            product=found,
            brakes=[stopped(said(), each) for each in brakes],
            ladder=ladder,
            limits=_limits(ladder.rates),
            runs=runs[:A_PAGE],
            following=runs[A_PAGE - 1].number if len(runs) > A_PAGE else None,
            may_pause=ladder.stands in RUNS_ON and _may(product, Role.EDITOR),
            may_resume=ladder.stands is RampStands.PAUSED and _may(product, Role.EDITOR),
            may_stop=ladder.stands in RUNS_ON | {RampStands.PAUSED}
            and _may(product, Role.APPROVER),
            halted=shared.HALTED,
            resumed=shared.RESUMED,
        )

    def one(self, product: str, number: int) -> Response:
        """Show one run, what became of it, and whom taking it back would put right, or has."""
        found = self._product(product)
        detail = self._runs.detail(product, min(number, HIGHEST))
        undo = detail.run.undo
        under_way = undo is not None and undo.ended_at is None
        counted = Counter(
            self._people.counted(product, detail.run.number) if detail.tally else None
        )
        waits = undo is not None and undo.waits and not under_way
        other = undo is not None and here().actor != undo.actor
        return show(
            "run",
            here="runs",
            product=found,
            run=detail.run,
            tally=detail.tally,
            limits=_limits(detail.rates),
            stands=[(each, counted[each]) for each in STANDINGS if counted[each]],
            stopped=counted["suspended"] + counted["canceled"],
            under_way=under_way,
            waits=waits,
            may_agree=waits and other and _may(product, Role.APPROVER),
            other=found.policy_version not in (None, detail.run.version),
            may_undo=any(counted[each] for each in LEFT)
            and not under_way
            and _may(product, Role.APPROVER),
        )

    def people(self, product: str, number: int) -> Response:
        """Show whom a run asked and how they stand, a page at a time."""
        only = request.args.get("stands", "")
        only = only if only in STANDINGS else ""
        after = tuple(min(max(0, request.args.get(each, 0, int)), HIGHEST_ID) for each in PLACE)
        run = self._runs.detail(product, min(number, HIGHEST)).run
        place = (after[0], min(after[1], HIGHEST))
        found = self._people.some(product, run.number, place, A_PAGE + 1, only or None)
        shown = found[:A_PAGE]
        return show(
            "run_people",
            here="runs",
            product=self._product(product),
            run=run,
            people=shown,
            only=only,
            standings=STANDINGS,
            following=shown[-1].who if len(found) > A_PAGE else None,
            may_take=_may(product, Role.EDITOR),
        )

    def people_as_csv(self, product: str, number: int) -> Response:
        """Give whom a run asked and how they stand as CSV, as it is read: it may be long."""
        run = self._runs.detail(product, min(number, HIGHEST)).run
        answer = Response(self._people.as_csv(product, run.number), mimetype="text/csv")
        name = f"{product}-run-{run.number}-people.csv"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def as_csv(self, product: str) -> Response:
        """Give the newest runs as CSV: counts and codes only, nothing of any person."""
        written = io.StringIO()
        lines = csv.writer(written)
        lines.writerow(HEADER)
        lines.writerows(_line(each) for each in self._runs.listed(product, None, MOST_WRITTEN))
        answer = Response(written.getvalue(), mimetype="text/csv")
        answer.headers["Content-Disposition"] = f'attachment; filename="{product}-runs.csv"'
        return answer

    # --- doing -------------------------------------------------------------------------------

    def pause(self, product: str) -> AnyResponse:
        """Open no new asks until somebody resumes."""
        self._runs.pause(product, here().actor, _chosen(shared.HALTED))
        return after(f"/console/products/{product}/runs", "ramp_paused")

    def resume(self, product: str) -> AnyResponse:
        """Let the ramp go on."""
        self._runs.resume(product, here().actor, _chosen(shared.RESUMED))
        return after(f"/console/products/{product}/runs", "ramp_resumed")

    def stop(self, product: str) -> AnyResponse:
        """Open no new asks under this version ever again."""
        self._runs.stop(product, here().actor, _chosen(shared.HALTED))
        return after(f"/console/products/{product}/runs", "ramp_stopped")

    def undo(self, product: str, number: int) -> AnyResponse:
        """Begin to take a run back: workers do it."""
        resume = request.form.get("how", "told") == "resume"
        self._runs.begin_undo(product, min(number, HIGHEST), here().actor, resume=resume)
        so = "run_resume_wanted" if resume else "run_undone"
        return after(f"/console/products/{product}/runs/{number}", so)

    def agree(self, product: str, number: int) -> AnyResponse:
        """Agree that whom a run stopped is resumed at once, as the second person."""
        self._runs.agree(product, min(number, HIGHEST), here().actor)
        return after(f"/console/products/{product}/runs/{number}", "run_resume_agreed")

    def _product(self, product: str) -> Product:
        with self.database.transaction() as connection:
            return products.load(connection, product)


def _limits(rates: tuple[guards.RateNow, ...] | list[guards.RateNow]) -> list[Limit]:
    return [
        Limit(
            each.cause,
            each.bad,
            each.of,
            said().rate(each.at_most),
        )
        for each in rates
    ]


def _line(each: Run) -> tuple[object, ...]:
    return (
        each.number,
        each.day,
        each.version,
        "" if each.step is None else each.step + 1,
        each.first_at.isoformat(),
        each.last_at.isoformat(),
        " ".join(each.actors),
        each.asked,
        each.reminded,
        each.suspended,
        each.canceled,
        "" if each.undo is None else each.undo.withdrawn,
    )


def _may(product: str, role: Role) -> bool:
    found = here().roles.on(product)
    return found is not None and found >= role


def _chosen(codes: tuple[str, ...]) -> str:
    """Give the code of a form; a form of ours has no other."""
    given = request.form.get("why", "")
    if given not in codes:
        raise BadRequest
    return given
