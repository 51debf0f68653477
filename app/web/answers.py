"""The subscriber's page: GET shows, POST acts and sends back to the page.

No login, no cookie, no script: the token in the address is all there is, and it names one round of
one subscription. Nothing but a POST changes anything, and each change goes through the door.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.exceptions import BadRequest, Gone, HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.engine.door import Door
from app.engine.look import Look, look
from app.lifecycle.case import Answer, Event, StopReminders, Verdict, Word
from app.links import Links
from app.store.database import Database
from app.web.story import speaker, tell
from app.web.words import sentences, speaks
from app.world.mail.draft import FALLBACK, Tongue

ACTOR = "subscriber"
IN_USE = "in_use"
NOTHING_CHANGED = frozenset(
    {Verdict.OLDER_ROUND, Verdict.TOO_LATE, Verdict.ENDED, Verdict.NOTHING_OPEN}
)
"""Verdicts that the page explains; of all others the round itself tells."""


class NotUnderstood(BadRequest):
    """A form that is not one of the page's own; the page is shown again."""

    def __init__(self, token: str) -> None:
        """Keep the token, so that the page can be shown."""
        super().__init__()
        self.token = token


@dataclass(frozen=True, slots=True)
class Answers:
    """The pages under /a/; `path` is what stands before it in the addresses people see."""

    database: Database
    clock: Clock
    links: Links
    path: str

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        pages = Blueprint("answers", __name__)
        pages.add_url_rule("/a/<token>", view_func=self.show, methods=["GET"])
        pages.add_url_rule("/a/<token>", view_func=self.answer, methods=["POST"])
        one_click = "/a/<token>/one-click"
        pages.add_url_rule(one_click, view_func=self.ask_one_click, methods=["GET"])
        pages.add_url_rule(one_click, view_func=self.one_click, methods=["POST"])
        pages.register_error_handler(NotUnderstood, self.not_understood)
        return pages

    # --- the page --------------------------------------------------------------------------

    def show(self, token: str) -> Response:
        """Show what a round stands at, and why a click just now changed nothing."""
        return self._page(token, self._seen(token), _explained(request.args.get("so", "")))

    def answer(self, token: str) -> AnyResponse:
        """Take an answer, and send back to the page."""
        seen = self._seen(token)
        said = _read_answer(token, seen.round.number)
        verdict = self._apply(seen, said)
        return self._back(token, f"?so={said.word}-{verdict}" if verdict in NOTHING_CHANGED else "")

    def not_understood(self, error: HTTPException) -> Response:
        """Show the page again after a form that is not one of its own."""
        if not isinstance(error, NotUnderstood):
            raise error
        page = self._page(error.token, self._seen(error.token), "notice.not_understood")
        page.status_code = 400
        return page

    # --- reminders -------------------------------------------------------------------------

    def ask_one_click(self, token: str) -> Response:
        """Show the button that stops reminders: a link opened by a program must not press it."""
        seen = self._seen(token)
        tongue, quiet = _tongue(seen), seen.round.quiet
        name = "one_click_done" if quiet else "one_click"
        text = render_template(
            "one_click.html",
            tongue=tongue,
            say=speaker(seen, tongue),
            title=f"title.{name}",
            lead=f"lead.{name}",
            quiet=quiet,
            address=self._address(token),
        )
        return _in(tongue, text)

    def one_click(self, token: str) -> AnyResponse:
        """Stop reminders of one round (RFC 8058); it neither keeps nor cancels."""
        seen = self._seen(token)
        if request.form.getlist("List-Unsubscribe") != ["One-Click"]:
            raise NotUnderstood(token)
        self._apply(seen, StopReminders(seen.round.number))
        if request.form.get("from") == "page":
            return self._back(token, "/one-click")
        tongue = _tongue(seen)
        done = _in(tongue, f"{sentences(tongue.folder)['plain.one_click']}\n")
        done.mimetype = "text/plain"
        return done

    # --- inside ----------------------------------------------------------------------------

    def _seen(self, token: str) -> Look:
        """Look at the round a token names; 404 where it names none, 410 where it was erased."""
        named = self.links.read_answer(token)
        if named is None:
            raise NotFound
        now = self.clock.now()
        with self.database.transaction() as connection:
            seen = look(connection, *named, now)
        if seen is None:
            raise NotFound
        if seen.erased:
            raise Gone
        return seen

    def _apply(self, seen: Look, event: Event) -> Verdict:
        door = Door(self.database, self.clock)
        replies = door.apply(seen.seller.key, [(seen.case.subscription.id, event)], ACTOR)
        if replies[0].verdict is Verdict.FAILED:
            raise InternalServerError
        return replies[0].verdict

    def _page(self, token: str, seen: Look, notice: str) -> Response:
        tongue = _tongue(seen)
        text = render_template(
            "page.html",
            tongue=tongue,
            say=speaker(seen, tongue),
            page=tell(seen),
            notice=notice,
            address=self._address(token),
            support=_web_address(seen.seller.support_url),
        )
        return _in(tongue, text)

    def _address(self, token: str) -> str:
        return f"{self.path}/a/{token}"

    def _back(self, token: str, rest: str) -> AnyResponse:
        return redirect(f"{self._address(token)}{rest}", 303)


def _read_answer(token: str, number: int) -> Answer:
    """Read the form; anything but exactly one known answer is not understood."""
    words, reasons = request.form.getlist("answer"), request.form.getlist("reason")
    if len(words) != 1 or words[0] not in frozenset(Word):
        raise NotUnderstood(token)
    word = Word(words[0])
    if reasons not in ([], [IN_USE]) or (reasons and word is not Word.KEEP):
        raise NotUnderstood(token)
    return Answer(word, number, ACTOR, reasons[0] if reasons else None)


def _explained(so: str) -> str:
    """Give the sentence for an answer that changed nothing, named as `keep-too_late`."""
    word, _, verdict = so.partition("-")
    if word not in frozenset(Word) or verdict not in NOTHING_CHANGED:
        return ""
    known = sentences(FALLBACK)
    wanted = (f"notice.{so}", f"notice.{verdict}", "notice.nothing_changed")
    return next(name for name in wanted if name in known)


def _tongue(seen: Look) -> Tongue:
    accepted = [tag for tag, quality in request.accept_languages if quality]
    return speaks(seen.language, *accepted, seen.seller.locale)


def _in(tongue: Tongue, text: str) -> Response:
    page = make_response(text)
    page.headers["Content-Language"] = tongue.tag
    return page


def _web_address(text: str) -> str:
    """Give an address that may be linked to; nothing for any other scheme."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.hostname else ""
