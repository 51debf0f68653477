"""Manifests of who is due to be erased: read, searched, approved by two people, refused.

What an approval means is in `app.manifests`; here is who may press the button, and what they have
seen before they do: how many by what, how they were warned, and some by chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Response, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from app import manifests as shared
from app.clock import Clock
from app.errors import Conflict
from app.manifests import GOOD_FOR, NEEDED, Manifests, Standing
from app.store import manifests as store
from app.store import products
from app.store.database import Database
from app.web.console.roles import Role
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show

VIEWER, EDITOR = Needs(), Needs(Role.EDITOR)
TO_APPROVE, APPROVER = Needs(Role.APPROVER, fresh=True), Needs(Role.APPROVER)
A_PAGE = 30
SAMPLE = 20
LONGEST = 254
HIGHEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class May:
    """What somebody may do to a manifest as it stands."""

    approve: bool
    refuse: bool
    download: bool
    own: bool
    has: bool


@dataclass(frozen=True, slots=True)
class ManifestPages:
    """The pages of manifests."""

    database: Database
    clock: Clock

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        one = "/products/<product>/manifests/<int:number>"
        return [
            ("GET", "/products/<product>/manifests", self.listed, VIEWER),
            ("GET", one, self.shown, VIEWER),
            ("GET", f"{one}/people.csv", self.as_csv, EDITOR),
            ("POST", f"{one}/approve", self.approve, TO_APPROVE),
            ("POST", f"{one}/refuse", self.refuse, APPROVER),
        ]

    def listed(self, product: str) -> Response:
        """Show the manifests, newest first."""
        before = min(max(1, request.args.get("before", HIGHEST, int)), HIGHEST)
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = store.listed(connection, row.id, before, A_PAGE + 1)
        return show(
            "manifests",
            here="erasing",
            product=row,
            entries=found[:A_PAGE],
            following=found[A_PAGE - 1].number if len(found) > A_PAGE else None,
        )

    def shown(self, product: str, number: int) -> Response:
        """Show one manifest."""
        wanted = request.args.get("who", "").strip()[:LONGEST]
        now = self.clock.now()
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = shared.standing(connection, row, number, now)
            counts = store.counts(connection, row.id, number)
            proved = store.proved(connection, row.id, number)
            sample = store.sample(connection, row.id, number, SAMPLE)
            looked = store.search(connection, row.id, number, wanted) if wanted else None
            story = store.story(connection, row.id, number)
        return show(
            "manifest",
            here="erasing",
            product=row,
            found=found,
            manifest=found.manifest,
            counts=_shown(counts),
            became={name: counts[name] for name in ("state", "skipped") if counts[name]},
            proved=proved,
            sample=sample,
            wanted=wanted,
            looked=looked,
            story=story,
            needed=NEEDED,
            good_until=found.manifest.made_at + GOOD_FOR,
            may=_may(found, product, now),
        )

    def as_csv(self, product: str, number: int) -> Response:
        """Give everybody on a manifest as CSV, as it is read: it may be long."""
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            if store.of(connection, row.id, number) is None:
                raise NotFound
        everybody = shared.everybody(self.database, row, number)
        answer = Response(shared.as_csv(everybody), mimetype="text/csv")
        name = f"{product}-manifest-{number}.csv"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    # --- doing -----------------------------------------------------------------------------

    def approve(self, product: str, number: int) -> AnyResponse:
        """Approve the very people that were on the page, by their hash."""
        seen = request.form.get("hash", "")
        desk = Manifests(self.database, self.clock)
        try:
            found = desk.approve(product, number, seen, here().actor)
        except Conflict:
            raise Conflict(str(said()("refusal.manifest"))) from None
        done = "manifest_agreed" if found.manifest.state == store.APPROVED else "manifest_approved"
        return after(f"/console/products/{product}/manifests/{number}", done)

    def refuse(self, product: str, number: int) -> AnyResponse:
        """Refuse a manifest, approved or not."""
        try:
            Manifests(self.database, self.clock).refuse(product, number, here().actor)
        except Conflict:
            raise Conflict(str(said()("refusal.manifest"))) from None
        return after(f"/console/products/{product}/manifests/{number}", "manifest_refused")


def _shown(counts: Mapping[str, list[tuple[str, int]]]) -> dict[str, list[tuple[str, int]]]:
    return {name: counts[name] for name in ("why", "stage", "plan", "country")}


def _may(found: Standing, product: str, now: datetime) -> May:
    role, actor = here().roles.on(product), here().actor
    manifest = found.manifest
    approver = role is not None and role >= Role.APPROVER
    goes_on = manifest.state in store.OPEN and now - manifest.made_at < GOOD_FOR
    own = manifest.made_by == actor
    has = any(each.actor == actor for each in found.approvals)
    return May(
        approve=approver and goes_on and not own and not has and bool(manifest.people),
        refuse=approver and manifest.state in store.OPEN,
        download=role is not None and role >= Role.EDITOR,
        own=own,
        has=has,
    )
