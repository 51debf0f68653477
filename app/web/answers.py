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
from app.engine import erasures, reviews
from app.engine.door import Door
from app.engine.look import Look, look
from app.lifecycle.case import (
    Answer,
    AskReview,
    Concern,
    Event,
    Reach,
    StopReminders,
    Verdict,
    Word,
)
from app.links import Fresh, Links
from app.returns import Returns
from app.store.database import Database
from app.web.story import erases, erasing, speaker, tell
from app.web.style import wear, worn
from app.web.tongues import kept, offered, spoken
from app.web.words import sentences
from app.world.mail.draft import FALLBACK, Tongue

ACTOR = "subscriber"
IN_USE = "in_use"
REVIEW = "review"
"""What the form says that wants a person to look; it is no answer."""
OFFERED = tuple(each for each in Concern if each is not Concern.RESTRICTION)
"""Why somebody may want a person to look; a lock of their data takes a link of its own."""
ERASE = "erase"
"""What the form says that wants to be erased: it mails a fresh link, and only that link asks."""
SENT = "sent"
"""What pressing that comes to, whether or not anybody can be written to."""
NOTHING_CHANGED = frozenset(
    {Verdict.OLDER_ROUND, Verdict.TOO_LATE, Verdict.ENDED, Verdict.NOTHING_OPEN}
)
"""Verdicts that the page explains; of all others the round itself tells."""
REACHED = frozenset({Verdict.APPLIED, Verdict.UNCHANGED})
"""Verdicts on an answer that is somebody's of today: what they answered has reached them."""


class NotUnderstood(BadRequest):
    """A form that is not one of the page's own; the page is shown again."""

    def __init__(self, token: str) -> None:
        """Keep the token, so that the page can be shown."""
        super().__init__()
        self.token = token


@dataclass(frozen=True, slots=True)
class Answers:
    """The pages under /a/ and /e/; `path` is what stands before it in the addresses people see."""

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
        pages.add_url_rule("/e/<token>", view_func=self.ask_erasure, methods=["GET"])
        pages.add_url_rule("/e/<token>", view_func=self.erase, methods=["POST"])
        pages.register_error_handler(NotUnderstood, self.not_understood)
        return pages

    # --- the page --------------------------------------------------------------------------

    def show(self, token: str) -> Response:
        """Show what a round stands at, and why a click just now changed nothing."""
        so = request.args.get("so", "")
        seen = self._seen(token)
        return self._page(token, seen, _explained(so, seen), so)

    def answer(self, token: str) -> AnyResponse:
        """Take an answer, or the wish for a person or an erasure, and send back to the page."""
        seen = self._seen(token)
        if request.form.getlist("answer") == [ERASE] and "reason" not in request.form:
            return redirect(kept(self._address(token), so=self._mail_link(seen)), 303)
        said = _read_answer(token, seen.round.number)
        word = said.word if isinstance(said, Answer) else REVIEW
        verdict = self._apply(seen, said)
        so = f"{word}-{verdict}" if verdict in NOTHING_CHANGED else ""
        return redirect(kept(self._address(token), so=so), 303)

    def not_understood(self, error: HTTPException) -> Response:
        """Show the page again after a form that is not one of its own."""
        if not isinstance(error, NotUnderstood):
            raise error
        page = self._page(error.token, self._seen(error.token), "notice.not_understood", "")
        page.status_code = 400
        return page

    # --- erasing ---------------------------------------------------------------------------

    def ask_erasure(self, token: str) -> Response:
        """Show what would be erased, and the button: opening a fresh link asks for nothing."""
        named, seen = self._fresh(token)
        return self._erase_page(token, named, seen, "")

    def erase(self, token: str) -> AnyResponse:
        """Take the request to erase, which uses the link up, and send to the answer page."""
        named, seen = self._fresh(token)
        if request.form.getlist("answer") != [ERASE] or "reason" in request.form:
            page = self._erase_page(token, named, seen, "notice.not_understood")
            page.status_code = 400
            return page
        verdict = erasures.request(self.database, self.clock, seen.seller.key, named)
        if verdict is None:
            raise NotFound
        if verdict is Verdict.FAILED:
            raise InternalServerError
        if verdict is Verdict.DOUBTED:
            return redirect(kept(f"{self.path}/e/{token}"), 303)
        if verdict in REACHED:
            self._reached(seen)
        so = f"{ERASE}-{verdict}" if verdict in NOTHING_CHANGED else ""
        return redirect(kept(self._answering(named), so=so), 303)

    def _mail_link(self, seen: Look) -> str:
        """Have a fresh link mailed; give what the page says, the same for everybody."""
        subscription, number = seen.case.subscription.id, seen.round.number
        verdict = erasures.ask_link(
            self.database, self.clock, seen.seller.key, subscription, number
        )
        if verdict is Verdict.FAILED:
            raise InternalServerError
        return f"{ERASE}-{verdict if verdict in NOTHING_CHANGED else SENT}"

    def _fresh(self, token: str) -> tuple[Fresh, Look]:
        """Look at what a fresh link names; 404 where it is not good any more, whyever."""
        named = self.links.read_fresh(token)
        if named is None:
            raise NotFound
        with self.database.transaction() as connection:
            good = erasures.is_good(connection, named, self.clock.wall())
            seen = look(connection, named.subscription, named.round, self.clock.now())
        if not good or seen is None:
            raise NotFound
        if seen.erased:
            raise Gone
        return named, seen

    def _erase_page(self, token: str, named: Fresh, seen: Look, notice: str) -> Response:
        tongue = tongue_of(seen)
        text = render_template(
            "erase.html",
            tongue=tongue,
            say=speaker(seen, tongue),
            page=erasing(seen),
            notice=notice,
            tongues=offered(tongue),
            support=web_address(seen.seller.support_url),
            style=worn(seen.seller.color)[0],
            erase=kept(f"{self.path}/e/{token}"),
            address=kept(self._answering(named)),
            rules=kept(f"{self.path}/p/{seen.seller.key}"),
        )
        return wear(in_tongue(tongue, text), seen.seller.color)

    def _answering(self, named: Fresh) -> str:
        return self._address(self.links.answer_token(named.subscription, named.round))

    # --- reminders -------------------------------------------------------------------------

    def ask_one_click(self, token: str) -> Response:
        """Show the button that stops reminders: a link opened by a program must not press it."""
        seen = self._seen(token)
        tongue, quiet = tongue_of(seen), seen.round.quiet
        name = "one_click_done" if quiet else "one_click"
        text = render_template(
            "one_click.html",
            tongue=tongue,
            say=speaker(seen, tongue),
            title=f"title.{name}",
            lead=f"lead.{name}",
            quiet=quiet,
            tongues=offered(tongue),
            style=worn(seen.seller.color)[0],
            **self._addresses(token, seen),
        )
        return wear(in_tongue(tongue, text), seen.seller.color)

    def one_click(self, token: str) -> AnyResponse:
        """Stop reminders of one round (RFC 8058); it neither keeps nor cancels."""
        seen = self._seen(token)
        if request.form.getlist("List-Unsubscribe") != ["One-Click"]:
            raise NotUnderstood(token)
        self._apply(seen, StopReminders(seen.round.number))
        if request.form.get("from") == "page":
            return redirect(kept(f"{self._address(token)}/one-click"), 303)
        tongue = tongue_of(seen)
        done = in_tongue(tongue, f"{sentences(tongue.folder)['plain.one_click']}\n")
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
        key, subscription = seen.seller.key, seen.case.subscription.id
        if isinstance(event, AskReview):
            reply = reviews.ask(self.database, self.clock, key, subscription, event)
        else:
            door = Door(self.database, self.clock)
            reply = door.apply(key, [(subscription, event)], ACTOR)[0]
        if reply.verdict is Verdict.FAILED:
            raise InternalServerError
        if isinstance(event, Answer) and reply.verdict in REACHED:
            self._reached(seen)
        return reply.verdict

    def _reached(self, seen: Look) -> None:
        """Note that a notice has reached who was thought not to be reached."""
        if seen.case.reach is Reach.BOUNCED:
            returns = Returns(self.database, self.clock, self.links)
            returns.heard_from(seen.seller.key, seen.case.subscription.id, ACTOR)

    def _page(self, token: str, seen: Look, notice: str, so: str) -> Response:
        tongue = tongue_of(seen)
        text = render_template(
            "page.html",
            tongue=tongue,
            say=speaker(seen, tongue),
            page=tell(seen),
            notice=notice,
            concerns=OFFERED,
            tongues=offered(tongue, so=so if notice else ""),
            support=web_address(seen.seller.support_url),
            style=worn(seen.seller.color)[0],
            **self._addresses(token, seen),
        )
        return wear(in_tongue(tongue, text), seen.seller.color)

    def _address(self, token: str) -> str:
        return f"{self.path}/a/{token}"

    def _addresses(self, token: str, seen: Look) -> dict[str, str]:
        """Give the addresses that a page leads to, in the language chosen."""
        address = self._address(token)
        return {
            "address": kept(address),
            "one_click": kept(f"{address}/one-click"),
            "data": kept(f"{address}/data"),
            "rules": kept(f"{self.path}/p/{seen.seller.key}"),
        }


def _read_answer(token: str, number: int) -> Answer | AskReview:
    """Read the form; anything but exactly one known answer is not understood."""
    words, reasons = request.form.getlist("answer"), request.form.getlist("reason")
    if words == [REVIEW] and len(reasons) == 1 and reasons[0] in OFFERED:
        return AskReview(number, Concern(reasons[0]))
    if len(words) != 1 or words[0] not in frozenset(Word):
        raise NotUnderstood(token)
    word = Word(words[0])
    if reasons not in ([], [IN_USE]) or (reasons and word is not Word.KEEP):
        raise NotUnderstood(token)
    return Answer(word, number, ACTOR, reasons[0] if reasons else None)


def _explained(so: str, seen: Look) -> str:
    """Give the sentence for a click that changed nothing, named as `keep-too_late`."""
    word, _, verdict = so.partition("-")
    if so == f"{ERASE}-{SENT}":
        return f"notice.{so}" if erases(seen) else ""
    if word not in (*Word, REVIEW, ERASE) or verdict not in NOTHING_CHANGED:
        return ""
    known = sentences(FALLBACK)
    wanted = (f"notice.{so}", f"notice.{verdict}", "notice.nothing_changed")
    return next(name for name in wanted if name in known)


def tongue_of(seen: Look) -> Tongue:
    """Give the language of a page about somebody."""
    return spoken(seen.language, seen.seller.locale)


def in_tongue(tongue: Tongue, text: str) -> Response:
    """Give a page that says which language it is in."""
    page = make_response(text)
    page.headers["Content-Language"] = tongue.tag
    return page


def web_address(text: str) -> str:
    """Give an address that may be linked to; nothing for any other scheme."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.hostname else ""
