"""Versions of a policy: what each changes, what it was expected to do, what came of it, who agrees.

Acts are those of `app.versions`; here is who may, and what they see before they press a button.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flask import Response, request
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.engine.trial import Trial
from app.store import cases, lists, overview, plans, products
from app.store import versions as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.lists import Entry
from app.store.plans import Plan
from app.store.products import Product
from app.store.versions import Version
from app.versions import Comment, State, Versions, behind, read, state_of
from app.versions.difference import differences
from app.versions.listed import as_csv, everybody
from app.web.console.roles import Role
from app.web.console.saying import Line, lines
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show
from app.web.console.static import HTMX

VIEWER, EDITOR, APPROVER = Needs(), Needs(Role.EDITOR), Needs(Role.APPROVER)
TO_ACTIVATE = Needs(Role.APPROVER, fresh=True)
A_PAGE = 20
LOOKED_AT = 5000
"""So many subscriptions a dry run looks at for one page; the command looks at all."""
SHOWN = 200
HIGHEST = 2**63 - 1
SAMPLE = 20
NOT_OF_IT = frozenset({"erasing", "erased"})
"""Steps of the funnel that come so much later that they say nothing of a version."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A version as it stands in the list."""

    version: Version
    state: State
    changes: list[Line]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a version while it was last in force; `until` None: it is still."""

    since: datetime
    until: datetime | None
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class May:
    """What somebody may do to a version as it stands."""

    comment: bool
    withdraw: bool
    approve: bool
    activate: bool
    put_back: bool
    unschedule: bool
    approve_list: bool
    lacks: int
    own: bool


@dataclass(frozen=True, slots=True)
class VersionPages:
    """The pages of versions."""

    database: Database
    clock: Clock
    versions: Versions

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        one = "/products/<product>/policy/versions/<int:number>"
        return [
            ("GET", "/products/<product>/policy", self.listed, VIEWER),
            ("GET", one, self.shown, VIEWER),
            ("GET", f"{one}/dry-run", self.dry_run, VIEWER),
            ("GET", f"{one}/dry-run.csv", self.dry_run_as_csv, EDITOR),
            ("POST", f"{one}/dry-run", self.dry_run_read, EDITOR),
            ("POST", f"{one}/comment", self.comment, EDITOR),
            ("POST", f"{one}/withdraw", self.withdraw, EDITOR),
            ("POST", f"{one}/approve", self.approve, APPROVER),
            ("POST", f"{one}/activate", self.activate, TO_ACTIVATE),
            ("POST", f"{one}/schedule", self.schedule, TO_ACTIVATE),
            ("POST", f"{one}/unschedule", self.unschedule, APPROVER),
            ("GET", f"{one}/list.csv", self.list_as_csv, EDITOR),
            ("POST", f"{one}/list/approve", self.approve_list, TO_ACTIVATE),
            ("POST", f"{one}/list/renew", self.renew_list, EDITOR),
        ]

    # --- pages -----------------------------------------------------------------------------

    def listed(self, product: str) -> Response:
        """Show the versions there are, the newest first, with what each changed."""
        before = request.args.get("before", None, int)
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = store.versions(connection, row.id, before, A_PAGE + 1)
            plan = plans.of(connection, row.id)
            known = {each.version: each for each in found}
            entries = [_entry(connection, row, each, known) for each in found[:A_PAGE]]
        more = found[A_PAGE - 1].version if len(found) > A_PAGE else None
        return show(
            "versions",
            here="policy",
            product=row,
            entries=entries,
            following=more,
            plan=plan,
            scripts=_scripts(plan),
            may_edit=_role(product) >= Role.EDITOR,
        )

    def shown(self, product: str, number: int) -> Response:
        """Show one version."""
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            version = store.version(connection, row.id, number)
            state = state_of(version, row.policy_version)
            against = _against(version, state, row)
            made = lists.of(connection, row.id, number)
            sample = lists.sample(connection, row.id, number, SAMPLE) if made else ()
            people = behind(version, store.last_put_in_force(connection, row.id))
            story = store.told_of(connection, row.id, number)
            outcome = _outcome(connection, row, version)
            plan = plans.of(connection, row.id) if state is State.IN_FORCE else None
            changes = _changes(connection, row, version, against)
        may = _may(row, version, state, people, waits=made is not None and made.waits)
        return show(
            "version",
            here="policy",
            product=row,
            version=version,
            state=state,
            against=against,
            changes=changes,
            made=made,
            sample=sample,
            story=story,
            outcome=outcome,
            plan=plan,
            scripts=_scripts(plan),
            may=may,
            comments=list(Comment),
            soonest=self.clock.now() + timedelta(hours=1),
            first_step=_first_step(version),
        )

    def list_as_csv(self, product: str, number: int) -> Response:
        """Give whom a version would ask as CSV, as it is read: it may be long."""
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            version = store.version(connection, product_id, number).version
            found = lists.of(connection, product_id, version)
        if found is None:
            raise NotFound
        listed = everybody(self.database, product_id, found)
        answer = Response(as_csv(listed), mimetype="text/csv")
        name = f"{product}-version-{number}-list.csv"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def dry_run(self, product: str, number: int) -> Response:
        """Show whom a version would ask today, a range of subscriptions at a time."""
        following = min(max(0, request.args.get("after", 0, int)), HIGHEST)
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            version = store.version(connection, row.id, number)
        now = self.clock.now()
        seen = Trial(self.database, product, read(version), now).a_range(following, LOOKED_AT)
        why = dict(seen.asked) if seen else {}
        with self.database.transaction() as connection:
            entries = lists.as_entries(connection, dict(list(why.items())[:SHOWN]))
        return show(
            "dry_run",
            here="policy",
            product=row,
            version=version,
            forecast=self.versions.forecaster.forecast(product, read(version)),
            seen=seen,
            more=seen is not None and seen.looked_at >= LOOKED_AT,
            entries=entries,
            first=not following,
            may_edit=_role(product) >= Role.EDITOR,
        )

    def dry_run_as_csv(self, product: str, number: int) -> Response:
        """Give whom a version would ask today as CSV, a range of subscriptions at a time."""
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            version = store.version(connection, row.id, number)
        trial = Trial(self.database, product, read(version), self.clock.now())
        answer = Response(as_csv(self._everybody(trial)), mimetype="text/csv")
        name = f"{product}-version-{number}-dry-run.csv"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _everybody(self, trial: Trial) -> Iterator[Entry]:
        for seen in trial.everybody():
            with self.database.transaction() as connection:
                found = lists.as_entries(connection, dict(seen.asked))
            yield from found

    # --- doing -----------------------------------------------------------------------------

    def dry_run_read(self, product: str, number: int) -> AnyResponse:
        """Note that somebody has read whom a version would ask."""
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            version = store.version(connection, row.id, number).version
            line = HistoryWrite(None, None, "dry_run_read", "by_hand", version)
            cases.insert_history(connection, row.id, self.clock.now(), here().actor, [line])
        return _back(product, number, "noted")

    def comment(self, product: str, number: int) -> AnyResponse:
        """Say something of a version, as a code."""
        code = request.form.get("code", "")
        if code not in list(Comment):
            raise BadRequest
        self.versions.comment(product, number, Comment(code), here().actor)
        return _back(product, number, "commented")

    def withdraw(self, product: str, number: int) -> AnyResponse:
        """Take a version back."""
        self.versions.withdraw(product, number, here().actor)
        return _back(product, number, "withdrawn")

    def approve(self, product: str, number: int) -> AnyResponse:
        """Approve what somebody else proposed."""
        self.versions.approve(product, number, here().actor)
        return _back(product, number, "approved")

    def activate(self, product: str, number: int) -> AnyResponse:
        """Put a version in force; workers do the planning that follows."""
        self.versions.activate(product, number, here().actor)
        return _back(product, number, "activated")

    def schedule(self, product: str, number: int) -> AnyResponse:
        """Have a version put in force at a moment, as the form has it: of UTC, to the minute."""
        try:
            at = datetime.fromisoformat(request.form.get("at", "")).replace(tzinfo=UTC)
        except ValueError:
            raise BadRequest from None
        self.versions.schedule(product, number, at, here().actor)
        return _back(product, number, "scheduled")

    def unschedule(self, product: str, number: int) -> AnyResponse:
        """Call off that a version is put in force at a time."""
        self.versions.unschedule(product, number, here().actor)
        return _back(product, number, "unscheduled")

    def approve_list(self, product: str, number: int) -> AnyResponse:
        """Approve whom a version would ask, as the list that was on the page."""
        seen = request.form.get("hash", "")
        self.versions.approve_list(product, number, seen, here().actor)
        return _back(product, number, "list_approved")

    def renew_list(self, product: str, number: int) -> AnyResponse:
        """Have the list made anew."""
        self.versions.make_list_anew(product, number, here().actor)
        return _back(product, number, "list_renewed")


def _entry(
    connection: Connection, product: Product, version: Version, known: Mapping[int, Version]
) -> Listed:
    """Give a version of the list beside the one it was made from, which mostly stands there too."""
    base = None if version.based_on is None else known.get(version.based_on)
    if base is None:
        changes = _changes(connection, product, version, version.based_on)
    else:
        changes = lines(said(), differences(read(base), read(version)))
    return Listed(version, state_of(version, product.policy_version), changes)


def _against(version: Version, state: State, product: Product) -> int | None:
    """Give the version that one is compared with: that in force, or the one it replaced."""
    if state in (State.IN_FORCE, State.WAS_IN_FORCE):
        return version.based_on
    return product.policy_version


def _changes(
    connection: Connection, product: Product, version: Version, against: int | None
) -> list[Line]:
    before = None if against is None else store.version(connection, product.id, against)
    found = differences(None if before is None else read(before), read(version))
    return lines(said(), found)


def _outcome(connection: Connection, product: Product, version: Version) -> Outcome | None:
    """Say what came of a version, by the days it was last in force."""
    activated = store.activations(connection, product.id)
    places = [place for place, (number, _) in enumerate(activated) if number == version.version]
    if not places:
        return None
    since = activated[places[-1]][1]
    until = activated[places[-1] + 1][1] if places[-1] + 1 < len(activated) else None
    last = date.max if until is None else until.date()
    counts = overview.steps(connection, product.id, since.date(), last)
    return Outcome(since, until, {step: counts[step] for step in counts if step not in NOT_OF_IT})


def _may(
    product: Product, version: Version, state: State, people: frozenset[str], *, waits: bool
) -> May:
    role, actor = _role(product.key), here().actor
    own = version.proposed_by == actor
    lacks = max(0, product.approvals - len(people))
    waiting = state in (State.PROPOSED, State.SCHEDULED)
    approver = role >= Role.APPROVER
    return May(
        comment=role >= Role.EDITOR and state is not State.WITHDRAWN,
        withdraw=role >= Role.EDITOR and waiting,
        approve=approver and waiting and actor not in people,
        activate=approver and waiting and lacks == 0,
        put_back=approver and state is State.WAS_IN_FORCE,
        unschedule=approver and state is State.SCHEDULED,
        approve_list=approver and waits and version.activated_by != actor,
        lacks=lacks,
        own=own,
    )


def _scripts(plan: Plan | None) -> tuple[str, ...]:
    """Give the script that follows a planning while there is one."""
    return (HTMX,) if plan is not None and plan.finished_at is None else ()


def _first_step(version: Version) -> int | None:
    """Give how many are asked first, where a version begins with a number of people."""
    first = read(version).pace.ramp[0]
    return first if isinstance(first, int) else None


def _role(product: str) -> Role:
    return here().roles.on(product) or Role.VIEWER


def _back(product: str, number: int, done: str) -> AnyResponse:
    return after(f"/console/products/{product}/policy/versions/{number}", done)
