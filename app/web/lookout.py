"""The demo's window: what the year came to, and the story of each subscriber.

It stands beside the service and only reads. Whoever opens a mail here and clicks in it lands on
the real page of the running service.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from flask import Flask, Response, abort, render_template, request
from jinja2 import StrictUndefined
from markupsafe import Markup

from app.clock import Clock
from app.engine.explain import Explanation, explain
from app.links import Links
from app.store import lookout, population, products
from app.store.database import Database
from app.world.mail.say import money

A_PAGE = 40
STYLE = "\n".join(
    files("app.web").joinpath("templates", name).read_text("utf-8").strip()
    for name in ("page.css", "lookout/lookout.css")
)
STEPS = (
    ("asked", "were asked whether they still want it", "asked"),
    ("kept", "said that they keep it", "good"),
    ("returned", "used it again, and were left alone", "good"),
    ("canceled", "canceled with a click", "ended"),
    ("suspended", "stayed silent: no charge from then on", "ended"),
    ("resumed", "came back after that, by their own yes", "good"),
    ("unreachable", "could not be reached: nothing happens to them", "soft"),
    ("still_waiting", "still have time to answer", "soft"),
)
WORDS = {
    "asked": "Found inactive; a round opens",
    "notice.ask_handed_over": "Asked by mail: do you still want this?",
    "notice.reminder_handed_over": "Reminded by mail",
    "reminder_queued": "A reminder is due",
    "kept": "Keeps it",
    "returned": "Used it again: the question is off",
    "cancel_recorded": "Says cancel; billing is told in ten minutes",
    "resume_recorded": "Says resume",
    "answer_undone": "Takes the answer back",
    "suspend_queued": "No answer: billing is told to stop charging",
    "suspended": "Billing confirms: no more charges",
    "canceled": "Billing confirms: ends with the time paid",
    "resumed": "Billing confirms: charged again",
    "unreachable": "The mail did not arrive: silence means nothing",
    "welcomed_back": "Used it while suspended: asked whether to resume, nothing charged",
    "erasure_scheduled": "A day is fixed on which the data goes",
    "erasure_stopped": "The data stays",
    "apology_queued": "Stopped by mistake: told so, and asked whether to resume",
    "restore_queued": "Stopped by mistake: two people have it resumed",
    "withdrawn": "The question is withdrawn",
    "notice.suspended_handed_over": "Told by mail that charging has stopped",
    "notice.canceled_handed_over": "Receipt of the cancel by mail",
    "notice.kept_handed_over": "Receipt by mail",
    "notice.resumed_handed_over": "Told by mail that it goes on",
    "notice.apology_handed_over": "Told by mail that it was a mistake",
    "notice.welcome_back_handed_over": "Welcome-back mail",
    "fresh_link_asked": "Wants to be erased: a fresh link goes out by mail",
    "notice.fresh_link_handed_over": "The fresh link went out by mail",
    "erasure_asked": "Wants to be erased: it begins by itself a day later",
    "data_link_asked": "Wants to see what is held: a link of its own goes out by mail",
    "notice.data_link_handed_over": "The link to what is held went out by mail",
    "erasure_withdrawn": "Takes back the request to erase",
    "erasure_settled": "A person has settled the request to erase",
}
"""Codes of history in words; what is not listed here is shown as it is."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the demo shows: its service, and how to count what came of it."""

    database: Database
    clock: Clock
    links: Links
    product: str
    service: str
    summary: Callable[[], dict[str, Any]]

    def application(self) -> Flask:
        """Give the pages."""
        app = Flask("app.web", static_folder=None)
        app.jinja_env.undefined = StrictUndefined
        app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
        app.jinja_env.globals |= {
            "style": Markup(STYLE),  # noqa: S704 - our own file
            "service": self.service,
            "words": WORDS,
        }
        app.add_url_rule("/", view_func=self.index)
        app.add_url_rule("/people", view_func=self.people)
        app.add_url_rule("/people/<name>", view_func=self.person)
        app.after_request(_harden)
        return app

    # --- pages -------------------------------------------------------------------------------

    def index(self) -> str:
        """Show what the year came to, and where to look further."""
        found = self.summary()
        most = max(1, found["asked"])
        steps = [
            (name, words, kind, found[name], 100 * found[name] / most)
            for name, words, kind in STEPS
        ]
        return render_template(
            "lookout/index.html",
            steps=steps,
            found=found,
            money=_amounts(found["money_no_longer_taken"]),
            answer_page=self._open_question(),
            today=self.clock.now(),
        )

    def people(self) -> str:
        """List subscribers by what happened to them."""
        what = request.args.get("what", "suspended")
        with self.database.transaction() as connection:
            product = products.load(connection, self.product)
            found = lookout.people(connection, product.id, what, A_PAGE)
        return render_template("lookout/people.html", what=what, people=found, steps=STEPS)

    def person(self, name: str) -> str:
        """Tell the story of one subscriber."""
        told = self._explained(name)
        if told is None:
            abort(404)
        return render_template("lookout/person.html", name=name, told=told)

    def _explained(self, name: str) -> Explanation | None:
        with self.database.transaction() as connection:
            product = products.load(connection, self.product)
            number = population.find(connection, product.id, name)
            if number is None:
                return None
            return explain(connection, product, number, self.clock.now())

    def _open_question(self) -> str | None:
        """Give the page of somebody who is asked right now."""
        with self.database.transaction() as connection:
            product = products.load(connection, self.product)
            waiting = lookout.waiting(connection, product.id)
        return self.links.answer_url(*waiting) if waiting else None


def _amounts(by_currency: dict[str, int]) -> list[str]:
    return [money(minor, currency, "en") for currency, minor in by_currency.items() if minor]


def _harden(response: Response) -> Response:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    response.headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'self'; base-uri 'none'",
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
