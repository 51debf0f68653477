"""The public page of a product: the rules in force, in words, and how they have changed.

Nothing on it is about a person, so it may be kept for minutes by whoever passes it on. What is long
goes on, on pages of its own: each stays small.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, make_response, render_template, request
from markupsafe import Markup
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound

from app import errors
from app.clock import Clock
from app.policy import Policy
from app.store import brands, products, tables, versions
from app.store.database import Database
from app.store.products import Product
from app.web.rules import ANSWER, ASKED, DATA, Rule, Rules
from app.web.style import wear, worn
from app.web.tongues import kept, offered, spoken
from app.web.words import Speaker
from app.world.mail import say

KEY = re.compile(r"[a-z][a-z0-9-]{0,40}", re.ASCII)
PAGE = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
MINUTES = 5
ROOM = 3000
"""So many bytes of groups and changes stand on one page."""
OUR_KEYS = frozenset({"product_id", "subscription_id"})
"""Columns that only join rows."""
HELD = (
    *(each.name for each in tables.subscription.columns if each.name not in OUR_KEYS),
    *(each.name for each in tables.contact.columns if each.name not in OUR_KEYS),
    "rounds",
)
"""What is held about a subscriber, by the names of its sentences: the columns there are."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something of a long list: the heading it stands under, what it says, and its rules."""

    section: str
    heading: Markup
    lines: tuple[Markup, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def size(self) -> int:
        """About how many bytes it takes on a page."""
        texts = (self.heading, *self.lines, *(each.value for each in self.rules))
        return sum(len(each.encode()) + 30 for each in texts) + 60 * len(self.rules)


@dataclass(frozen=True, slots=True)
class Policies:
    """The pages under /p/; `path` is what stands before it in the addresses people see."""

    database: Database
    clock: Clock
    path: str

    def blueprint(self) -> Blueprint:
        """Give the route."""
        pages = Blueprint("policies", __name__)
        pages.add_url_rule("/p/<product>", view_func=self.show, methods=["GET"])
        return pages

    def show(self, product: str) -> Response:
        """Show the rules of a product; 404 where there is no such product, or no such page."""
        with self.database.transaction() as connection:
            found = _product(connection, product)
            activated = versions.activations(connection, found.id)
            color = brands.read(connection, found.id).color
        tongue = spoken(product=found.locale)
        since = [(found.policies[version], _day(at, found)) for version, at in activated]
        name = {"product": Markup("<bdi>{}</bdi>").format(found.name)}
        rules = Rules(tongue, name)
        pages = list(_paged(_items(rules, found, since)))
        number = _page()
        if number > max(1, len(pages)):
            raise NotFound
        in_force = {"since": say.day(since[-1][1], tongue.locale)} if since else {}
        more = number < len(pages)
        text = render_template(
            "policy.html",
            tongue=tongue,
            tongues=offered(tongue, page=str(number) if number > 1 else ""),
            say=Speaker(tongue, name | in_force),
            sections=_sections(rules, found.policy) if number == 1 else {},
            items=pages[number - 1] if pages else [],
            held=HELD if number == 1 else (),
            first=number == 1,
            in_force=bool(since),
            more=kept(f"{self.path}/p/{product}", page=str(number + 1)) if more else "",
            style=worn(color)[0],
        )
        page = make_response(text)
        page.headers["Content-Language"] = tongue.tag
        page.headers["Cache-Control"] = f"public, max-age={MINUTES * 60}"
        page.headers["Vary"] = "Accept-Language"
        return wear(page, color)


def _product(connection: Connection, key: str) -> Product:
    if KEY.fullmatch(key):
        try:
            return products.load(connection, key)
        except errors.NotFound:
            pass
    raise NotFound


def _page() -> int:
    asked = request.args.getlist("page")
    return int(asked[0]) if len(asked) == 1 and PAGE.fullmatch(asked[0]) else 1


def _day(moment: datetime, product: Product) -> date:
    return moment.astimezone(ZoneInfo(product.timezone)).date()


# --- what stands on it -----------------------------------------------------------------------


def _sections(rules: Rules, policy: Policy | None) -> dict[str, list[Rule]]:
    """Give the rules in force, by section."""
    if policy is None:
        return {}
    told = rules.of(policy)
    sections = {"asked": ASKED, "answer": ANSWER, "data": DATA}
    return {
        section: [told[name] for name in names if name in told]
        for section, names in sections.items()
    }


def _items(rules: Rules, product: Product, since: Sequence[tuple[Policy, date]]) -> Iterator[Item]:
    """Give the groups of the policy in force, and then the changes, the last one first."""
    if product.policy is not None:
        for group in rules.groups(product.policy):
            yield Item("groups", group.who, (), group.rules)
    told = Speaker(rules.tongue, rules.facts)
    for at in range(len(since) - 1, -1, -1):
        policy, day = since[at]
        facts = {"since": say.day(day, rules.tongue.locale)}
        heading = Speaker(rules.tongue, facts)("policy.since")
        changed = rules.changes(since[at - 1][0], policy) if at else [told("policy.first")]
        yield Item("history", heading, tuple(changed or [told("policy.inner")]))


def _paged(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Lay items out on pages, one that is too long for a page on several."""
    page: list[Item] = []
    room = ROOM
    for each in (part for item in items for part in _parts(item)):
        if page and each.size > room:
            yield page
            page, room = [], ROOM
        page.append(each)
        room -= each.size
    if page:
        yield page


def _parts(item: Item) -> Iterator[Item]:
    """Cut an item between its lines, so that each part has room on a page."""
    part = replace(item, lines=())
    for line in item.lines:
        if part.lines and replace(part, lines=(*part.lines, line)).size > ROOM:
            yield part
            part = replace(part, lines=())
        part = replace(part, lines=(*part.lines, line))
    yield part
