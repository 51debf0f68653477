"""The pages on which a person sees what is held about them, and asks more of us than an answer.

Whoever has the link of an answer page may have a link of its own mailed to the address on file;
only that one shows anything, for an hour. Opening it changes nothing and does not use it up. What
it shows is also given as JSON (`?format=json`), and every form on it sends back to it.
"""

from dataclasses import dataclass

import msgspec
from flask import Blueprint, Response, redirect, render_template, request
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest, Gone, InternalServerError, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app import export
from app.clock import Clock
from app.engine import erasures
from app.engine.look import Look, look
from app.engine.rights import ACTOR, Rights, is_good, is_hasty
from app.export import Held
from app.lifecycle.case import Verdict
from app.links import Fresh, Links
from app.rows import RowRefused, address
from app.store import products
from app.store.database import Database
from app.web.answers import in_tongue, tongue_of, web_address
from app.web.held import shown
from app.web.story import erases, speaker, tell
from app.web.style import wear, worn
from app.web.tongues import kept, offered
from app.web.words import sentences

JSON = "application/json"
DATA = "data"
"""What the form says that wants a link to what is held."""
SAID = {
    "data-sent",
    "erase-sent",
    "restricted",
    "unrestricted",
    "objected",
    "corrected",
    "correct-same",
    "data-hasty",
    "nothing_changed",
}
"""What a page may say of a click just now."""
TAKEN = frozenset({Verdict.APPLIED, Verdict.UNCHANGED})


@dataclass(frozen=True, slots=True)
class RightsPages:
    """The pages /a/{token}/data and /d/{token}; `path` is what stands before them."""

    database: Database
    clock: Clock
    links: Links
    path: str

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        pages = Blueprint("rights", __name__)
        pages.add_url_rule("/a/<token>/data", view_func=self.ask, methods=["GET"])
        pages.add_url_rule("/a/<token>/data", view_func=self.mail, methods=["POST"])
        pages.add_url_rule("/d/<token>", view_func=self.show, methods=["GET"])
        pages.add_url_rule("/d/<token>", view_func=self.act, methods=["POST"])
        return pages

    # --- asking for the link ---------------------------------------------------------------

    def ask(self, token: str) -> Response:
        """Show the button that mails the link, and nothing of what is held."""
        return self._ask_page(token, self._seen(token), _said())

    def mail(self, token: str) -> AnyResponse:
        """Have the link mailed; what the page then says is the same for everybody."""
        seen = self._seen(token)
        if request.form.getlist("answer") != [DATA]:
            page = self._ask_page(token, seen, "notice.not_understood")
            page.status_code = 400
            return page
        verdict = self._rights.mail_link(seen.seller.key, seen.case.subscription.id)
        if verdict is Verdict.FAILED:
            raise InternalServerError
        return redirect(kept(f"{self.path}/a/{token}/data", so="data-sent"), 303)

    def _ask_page(self, token: str, seen: Look, notice: str) -> Response:
        tongue = tongue_of(seen)
        text = render_template(
            "data_ask.html",
            tongue=tongue,
            say=speaker(seen, tongue),
            notice=notice,
            tongues=offered(tongue),
            support=web_address(seen.seller.support_url),
            style=worn(seen.seller.color)[0],
            ask=kept(f"{self.path}/a/{token}/data"),
            address=kept(f"{self.path}/a/{token}"),
            rules=kept(f"{self.path}/p/{seen.seller.key}"),
        )
        return wear(in_tongue(tongue, text), seen.seller.color)

    def _seen(self, token: str) -> Look:
        """Look at the round a token names, any of theirs; 404 or 410 as the answer page does."""
        named = self.links.read_answer(token)
        if named is None:
            raise NotFound
        with self.database.transaction() as connection:
            seen = look(connection, *named, self.clock.now())
        return _present(seen)

    # --- what is held ----------------------------------------------------------------------

    def show(self, token: str) -> Response:
        """Show what is held, as a page or as JSON; nothing is changed by it."""
        with self.database.transaction() as connection:
            named, seen = self._fresh(connection, token)
            held = self._held(connection, seen)
        if _wants_json():
            return _as_file(held, seen)
        return self._page(token, named, (seen, held), _said())

    def _fresh(self, connection: Connection, token: str) -> tuple[Fresh, Look]:
        """Look at what a link names; 404 where it is not good any more, whyever."""
        named = self.links.read_data(token)
        if named is None or not is_good(connection, named, self.clock.wall()):
            raise NotFound
        return named, _present(look(connection, named.subscription, named.round, self.clock.now()))

    def _held(self, connection: Connection, seen: Look) -> Held:
        product = products.load(connection, seen.seller.key)
        words = sentences(tongue_of(seen).folder)
        sid, now = seen.case.subscription.id, self.clock.now()
        held = export.everything(connection, self.links, product, sid, now, words)
        if held is None:
            raise Gone
        return held

    def _page(
        self, token: str, named: Fresh, about: tuple[Look, Held], notice: str, status: int = 200
    ) -> Response:
        seen, held = about
        tongue = tongue_of(seen)
        say = speaker(seen, tongue)
        here = f"{self.path}/d/{token}"
        text = render_template(
            "data.html",
            tongue=tongue,
            say=say,
            shown=shown(held, seen, say),
            page=tell(seen),
            erasable=erases(seen),
            charged=seen.charged,
            notice=notice,
            tongues=offered(tongue),
            support=web_address(seen.seller.support_url),
            style=worn(seen.seller.color)[0],
            address=kept(here),
            file=kept(here, format="json"),
            answers=kept(self._answering(named)),
            rules=kept(f"{self.path}/p/{seen.seller.key}"),
        )
        page = wear(in_tongue(tongue, text), seen.seller.color)
        page.status_code = status
        return page

    def _answering(self, named: Fresh) -> str:
        return f"{self.path}/a/{self.links.answer_token(named.subscription, named.round)}"

    # --- doing -----------------------------------------------------------------------------

    def act(self, token: str) -> AnyResponse:
        """Do what a form asks for, and send back to the page, which says what came of it."""
        with self.database.transaction() as connection:
            named, seen = self._fresh(connection, token)
            product = products.load(connection, seen.seller.key)
            hasty = is_hasty(connection, product, named.subscription, self.clock.now())
        wanted = request.form.getlist("answer")
        if len(wanted) != 1 or wanted[0] not in DOES:
            return self._again(token, "not_understood")
        so = "data-hasty" if hasty else DOES[wanted[0]](self, named, seen)
        if f"notice.{so}" in REFUSED:
            return self._again(token, so)
        return redirect(kept(f"{self.path}/d/{token}", so=so), 303)

    def _again(self, token: str, notice: str) -> Response:
        """Show the page with what is wrong about a form; what was written is not shown again."""
        with self.database.transaction() as connection:
            named, seen = self._fresh(connection, token)
            held = self._held(connection, seen)
        return self._page(token, named, (seen, held), f"notice.{notice}", BadRequest.code)

    def restrict(self, named: Fresh, seen: Look) -> str:
        """Lock their data."""
        verdict = self._rights.restrict(seen.seller.key, named.subscription, ACTOR)
        return _came(verdict, "restricted")

    def unrestrict(self, named: Fresh, seen: Look) -> str:
        """Take back a lock of their own."""
        verdict = self._rights.unrestrict(seen.seller.key, named.subscription, ACTOR)
        return _came(verdict, "unrestricted")

    def object(self, named: Fresh, seen: Look) -> str:
        """Take their objection."""
        return _came(self._rights.object(seen.seller.key, named.subscription, ACTOR), "objected")

    def correct(self, named: Fresh, seen: Look) -> str:
        """Write to another address, written twice."""
        first, again = (request.form.get(name, "").strip() for name in ("email", "again"))
        if first != again:
            return "correct-differs"
        try:
            email = address(first)
        except RowRefused:
            return "correct-invalid"
        verdict = self._rights.correct(seen.seller.key, named.subscription, email, ACTOR)
        return "correct-same" if verdict is Verdict.UNCHANGED else _came(verdict, "corrected")

    def erase(self, named: Fresh, seen: Look) -> str:
        """Have the link mailed that asks to erase, where nothing is charged."""
        key, number = seen.seller.key, named.round
        verdict = erasures.ask_link(self.database, self.clock, key, named.subscription, number)
        return _came(verdict, "erase-sent")

    @property
    def _rights(self) -> Rights:
        return Rights(self.database, self.clock)


DOES = {
    "restrict": RightsPages.restrict,
    "unrestrict": RightsPages.unrestrict,
    "object": RightsPages.object,
    "correct": RightsPages.correct,
    "erase": RightsPages.erase,
}
"""What each form of the page does."""
REFUSED = {"notice.correct-differs", "notice.correct-invalid"}


def _present(seen: Look | None) -> Look:
    if seen is None:
        raise NotFound
    if seen.erased:
        raise Gone
    return seen


def _came(verdict: Verdict, done: str) -> str:
    """Give what the page says of what was done, or not."""
    if verdict is Verdict.FAILED:
        raise InternalServerError
    if verdict is Verdict.DOUBTED:
        return "data-hasty"
    return done if verdict in TAKEN else "nothing_changed"


def _said() -> str:
    """Give the sentence for a click just now; nothing where the address asks for none of ours."""
    so = request.args.get("so", "")
    return f"notice.{so}" if so in SAID else ""


def _wants_json() -> bool:
    if "format" in request.args:
        return request.args.getlist("format") == ["json"]
    return request.accept_mimetypes.best_match(["text/html", JSON]) == JSON


def _as_file(held: Held, seen: Look) -> Response:
    file = Response(msgspec.json.format(msgspec.json.encode(held)), mimetype=JSON)
    name = f"reconfirm-{seen.seller.key}.json"
    file.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return file
