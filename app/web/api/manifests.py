"""Manifests of who is due to be erased, for systems: read only.

They are approved and refused by people, in the console and on the command line.
"""

from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from app import manifests as shared
from app.clock import Clock
from app.store import manifests as store
from app.store import products
from app.store.database import Database
from app.web.api import cursors
from app.web.api.bodies import answer, only_parameters
from app.web.api.keys import needs
from app.web.api.shapes import (
    Manifest,
    ManifestApproval,
    ManifestCount,
    ManifestEntries,
    ManifestEntry,
    Manifests,
    ManifestShown,
)
from app.web.api.subscriptions import limit_asked_for
from app.web.problems import problem

LONGEST_NUMBER = 9
LIST = "manifests"
_SAME = tuple(name for name in Manifest.__struct_fields__ if name != "hash")
_OF_ENTRY = tuple(name for name in ManifestEntry.__struct_fields__ if name != "subscription")


@dataclass(frozen=True, slots=True)
class ManifestCalls:
    """The calls that read manifests."""

    database: Database
    clock: Clock

    def register(self, routes: Blueprint) -> None:
        """Put the routes on a blueprint."""
        one = "/manifests/<manifest>"
        routes.add_url_rule("/manifests", "manifests", self.page)
        routes.add_url_rule(one, "manifest", self.show)
        routes.add_url_rule(f"{one}/entries", "manifest_entries", self.entries)

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List manifests, the newest first."""
        only_parameters("limit", "cursor")
        limit = limit_asked_for()
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            before = int(cursors.place_of(request.args.get("cursor"), LIST, number, "int"))
            found = store.listed(connection, number, before or None, limit + 1)
        on = cursors.made(LIST, number, found[limit - 1].number) if len(found) > limit else None
        return answer(Manifests([Manifest(**_facts(each)) for each in found[:limit]], on))

    @needs("read")
    def show(self, product: str, manifest: str) -> ResponseReturnValue:
        """Show one manifest: who approved it, and how many are on it by what."""
        only_parameters()
        number = _number(manifest)
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = shared.standing(connection, row, number, self.clock.now())
            counts = store.counts(connection, row.id, number)
        approvals = [
            ManifestApproval(each.actor, each.approved_at, each.actor in found.counting)
            for each in found.approvals
        ]
        told = [
            ManifestCount(cast("Any", of), *each) for of, some in counts.items() for each in some
        ]
        facts = _facts(found.manifest)
        return answer(ManifestShown(**facts, approvals=approvals, lacks=found.lacks, counts=told))

    @needs("read")
    def entries(self, product: str, manifest: str) -> ResponseReturnValue:
        """List who is on a manifest."""
        only_parameters("limit", "cursor")
        number, limit = _number(manifest), limit_asked_for()
        of = f"manifest {number}"
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            whole = store.of(connection, product_id, number)
            if whole is None:
                raise problem("not-found")
            after = int(cursors.place_of(request.args.get("cursor"), of, product_id, "int"))
            found = store.entries(connection, product_id, number, after, limit + 1)
        on = cursors.made(of, product_id, found[limit - 1].id) if len(found) > limit else None
        told = [_entry(each) for each in found[:limit]]
        return answer(ManifestEntries(_hex(whole), told, on))


def _facts(found: store.Manifest) -> dict[str, Any]:
    facts = {name: getattr(found, name) for name in _SAME}
    return facts | {"hash": _hex(found)}


def _hex(found: store.Manifest) -> str | None:
    return None if found.hash is None else found.hash.hex()


def _entry(found: store.Listed) -> ManifestEntry:
    facts = {name: getattr(found, name) for name in _OF_ENTRY}
    return ManifestEntry(subscription=found.external_id, **facts)


def _number(text: str) -> int:
    """Read the number of a manifest; 404 where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise problem("not-found")
    return int(text)
