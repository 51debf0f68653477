"""The editor of a product's policy, with what it would do beside it, and proposing it.

Trying something out changes nothing. Proposing writes a new version down; that changes nothing
either, until somebody puts it in force.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Response, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from app import guards
from app import policy as policies
from app.clock import Clock
from app.errors import Conflict
from app.forecast import Forecaster
from app.policy import Policy, PolicyRefused
from app.store import products
from app.store import versions as store
from app.store.database import Database
from app.store.products import Product
from app.store.versions import Version
from app.versions import Versions, read
from app.versions.difference import differences
from app.web.console import editing
from app.web.console.editing import Collected, Found, Typed
from app.web.console.fields import Form, Shower, slug
from app.web.console.roles import Role
from app.web.console.saying import Line, lines
from app.web.console.sessions import TOKEN, Needs, View, here
from app.web.console.showing import after, said, show
from app.web.console.static import EDITOR, HTMX
from app.web.console.what_if import WhatIf

LARGEST = 256 * 1024
"""Bytes of a form; a hundred groups with three terms of their own each are half of that."""
VERSION_PAGE = "/console/products/{product}/policy/versions/{version}"
MOST_MONTHS = 120
FEW, HIGHEST = 10, 2**31 - 1
SILENCE = "on_no_answer"
OURS = frozenset({TOKEN, "do", "key", "seen", "again"})
"""What stands in the form and is no part of the policy."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem as it is shown: the field it leads to, and what would be right.

    `group` is the number of the segment it is in, `row` that of its row; 0 where it is in none.
    """

    at: str
    knob: str
    label: str
    group: int
    row: int
    what: str
    mend: str


@dataclass(slots=True)
class Draft:
    """What is typed, and what became of it: a policy, or why it is none.

    `asks` is a policy that asks the same people: there is one before anybody has chosen what
    silence means, since that decides nothing about who is asked.
    """

    typed: Typed
    collected: Collected
    policy: Policy | None = None
    asks: Policy | None = None
    problems: list[Found] = field(default_factory=list)

    @property
    def at_fields(self) -> Mapping[str, list[tuple[str, str]]]:
        """Give the problems by the name of the field that they are shown at."""
        found: dict[str, list[tuple[str, str]]] = {}
        for path, what, mend in self.problems:
            found.setdefault(self.collected.place(path), []).append((what, mend))
        return found


@dataclass(frozen=True, slots=True)
class Known:
    """A product with its newest versions, the newest first."""

    product: Product
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version | None:
        """The newest version; None where there is none."""
        return next(iter(self.versions), None)

    def mine(self, actor: str) -> int:
        """Give the number of the newest version that somebody proposed; 0 where there is none."""
        return next((each.version for each in self.versions if each.proposed_by == actor), 0)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A version that somebody proposed while another was typed, and where the two differ."""

    version: int
    by: str
    differences: list[Line]


@dataclass(frozen=True, slots=True)
class Editor:
    """The pages of the editor; `forecaster` is kept as long as the process lives."""

    database: Database
    clock: Clock
    forecaster: Forecaster

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        looking = Needs(instead=self.what_if, largest=LARGEST)
        proposing = Needs(Role.EDITOR, instead=self.what_if, largest=LARGEST)
        policy = "/products/<product>/policy"
        return [
            ("GET", f"{policy}/edit", self.shown, Needs()),
            ("POST", f"{policy}/edit", self.propose, proposing),
            ("GET", f"{policy}/what-if", self.shown_anew, Needs()),
            ("POST", f"{policy}/what-if", self.what_if, looking),
            ("POST", f"{policy}/what-if.csv", self.as_csv, looking),
        ]

    # --- pages -----------------------------------------------------------------------------

    def shown(self, product: str) -> Response:
        """Show the policy in force in the form; `from` is another version, `months` a threshold."""
        known = self._known(product)
        policy = self._begun_with(known.product)
        months = request.args.get("months", 0, int)
        typed = editing.empty() if policy is None else editing.filled(policies.write(policy))
        if 0 < months <= MOST_MONTHS:
            typed = editing.with_threshold(typed, months)
        draft = judged(known.product, typed)
        if policy is None:
            draft.problems = []  # nobody has typed anything yet that could be wrong
        version = 0 if policy is None else policy.version
        return self._page(known, draft, version=version, begun=True)

    def shown_anew(self, product: str) -> ResponseReturnValue:
        """Begin anew where somebody comes back to the address of an answer without a form."""
        return after(f"/console/products/{product}/policy/edit", "")

    def what_if(self, product: str) -> Response:
        """Say what the policy in the form would do, after a button of a row where one was pressed.

        For a script it is the answer alone, with what stands beside each field.
        """
        known = self._known(product)
        typed = editing.edited(_typed(), request.form.get("do", ""))
        draft = judged(known.product, typed)
        if _by_script():
            facts = self._facts(known, draft) | {"say": said(), "product": known.product}
            return make_response(render_template("console/what_if.html", **facts))
        return self._page(known, draft)

    def as_csv(self, product: str) -> Response:
        """Give the year ahead as CSV; the page with the problems where the form has some."""
        known = self._known(product)
        draft = judged(known.product, _typed())
        if draft.policy is None:
            return self._page(known, draft, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        told = WhatIf.of(self.forecaster.forecast(product, draft.policy))
        answer = Response(told.csv(), mimetype="text/csv")
        answer.headers["Content-Disposition"] = f'attachment; filename="{product}-what-if.csv"'
        return answer

    # --- doing -----------------------------------------------------------------------------

    def propose(self, product: str) -> ResponseReturnValue:
        """Write the form down as a new version, once however often it is sent.

        Whatever keeps it from being written, the page comes back with everything as it was typed.
        """
        known = self._known(product)
        draft = judged(known.product, _typed())
        if draft.policy is None:
            return self._page(known, draft, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        versions = Versions(self.database, self.clock, self.forecaster)
        try:
            version = versions.propose(
                product, draft.collected.raw, here().actor, seen=_seen(), key=_key()
            )
        except Conflict:
            return self._overtaken(product, draft)
        except PolicyRefused as refused:
            draft.problems = list(refused.problems)
            return self._page(known, draft, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return after(VERSION_PAGE.format(product=product, version=version), "")

    # --- inside ----------------------------------------------------------------------------

    def _known(self, key: str) -> Known:
        with self.database.transaction() as connection:
            found = products.load(connection, key)
            newest = store.versions(connection, found.id, limit=FEW)
        return Known(found, tuple(newest))

    def _begun_with(self, product: Product) -> Policy | None:
        """Give the version asked for, or the one in force; None where there is neither."""
        number = request.args.get("from", 0, int)
        if not 0 < number <= HIGHEST:
            return product.policy
        with self.database.transaction() as connection:
            return read(store.version(connection, product.id, number))

    def _overtaken(self, product: str, draft: Draft) -> Response:
        """Show the form again beside what was proposed meanwhile; once more, and it goes through.

        That may be one's own: where somebody went back to a form after they had proposed it.
        """
        known = self._known(product)
        newest = known.newest
        if newest is None or draft.policy is None:
            raise NotFound
        changes = lines(said(), differences(read(newest), draft.policy))
        meanwhile = Meanwhile(newest.version, newest.proposed_by, changes)
        status = HTTPStatus.CONFLICT
        return self._page(known, draft, status=status, meanwhile=meanwhile, seen=newest.version)

    def _page(
        self,
        known: Known,
        draft: Draft,
        *,
        status: int = HTTPStatus.OK,
        seen: int | None = None,
        **more: object,
    ) -> Response:
        sent = request.method == "POST"
        newest = 0 if known.newest is None else known.newest.version
        facts: dict[str, object] = {
            "version": known.product.policy_version or 0,
            "newest": known.newest,
            "mine": known.mine(here().actor),
            "seen": seen if seen is not None else _seen() if sent else newest,
            "key": secrets.token_urlsafe(18),
            "begun": False,
            "meanwhile": None,
            "again": g.get("renewed", False) or "again" in request.form,
            "may_propose": _may_propose(known.product.key),
        }
        facts |= more
        return show(
            "editor",
            here="policy",
            product=known.product,
            status=status,
            scripts=(HTMX, EDITOR),
            **self._facts(known, draft),
            **facts,
        )

    def _facts(self, known: Known, draft: Draft) -> dict[str, Any]:
        """Give what the form and the answer are made of."""
        say = said()
        form = Shower(draft.typed, draft.at_fields, say.tongue.locale).form()
        answer = None
        if draft.asks is not None:
            answer = WhatIf.of(self.forecaster.forecast(known.product.key, draft.asks))
        return {
            "form": form,
            "faults": _faults(form, draft),
            "answer": answer,
            "fragment": _by_script(),
        }


def judged(product: Product, typed: Typed) -> Draft:
    """Read a form as `policy propose` reads a file; it comes back with every problem it has."""
    collected = Collected.of(typed)
    found = Draft(typed, collected, problems=list(collected.problems))
    try:
        policy = policies.read(collected.raw, inherit=product.policy)
        guards.check_policy(product, policy)
    except PolicyRefused as refused:
        found.problems += refused.problems
        if [path for path, _, _ in found.problems] == [SILENCE] and not collected.raw[SILENCE]:
            found.asks = policies.read(collected.raw | {SILENCE: "nothing"})
        return found
    if not found.problems:
        found.policy = found.asks = policy
    return found


def _typed() -> Typed:
    return {
        name: texts for name, texts in request.form.to_dict(flat=False).items() if name not in OURS
    }


def _by_script() -> bool:
    return request.headers.get("HX-Request") == "true"


def _seen() -> int:
    """Give the newest version that stood in the form; 0 where it says none, which suits none."""
    given = request.form.get("seen", "")
    return int(given) if re.fullmatch(r"[0-9]{1,9}", given) else 0


def _key() -> str | None:
    given = request.form.get("key", "")
    return given if re.fullmatch(r"[A-Za-z0-9_-]{16,64}", given) else None


def _may_propose(product: str) -> bool:
    role = here().roles.on(product)
    return role is not None and role >= Role.EDITOR


def _faults(form: Form, draft: Draft) -> list[Fault]:
    """Give each problem with the field that it leads to."""
    fields = {each.name: (each, 0) for each in form.leaves}
    for block in form.segments:
        inner = (leaf for each in (*block.when, *block.own) for leaf in each.leaves)
        fields |= {each.name: (each, block.number) for each in inner}
    blocks = {each.name: each.number for each in form.segments}
    found = []
    for path, what, mend in draft.problems:
        at = draft.collected.place(path)
        if at in fields:
            one, group = fields[at]
            found.append(Fault(one.id, one.knob, one.label, group, one.row, what, mend))
        else:
            group = blocks.get(at, 0)
            found.append(Fault(slug(at) or "policy", "", path, group, 0, what, mend))
    return found
