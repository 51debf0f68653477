"""The web: what people and systems reach over HTTP.

`create_app` puts the parts together. Every answer carries the strict headers, every error is a
plain page, and nothing that went wrong is logged with an address of a page, which holds a token.
"""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, make_response, render_template, request
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, InternalServerError

from app.clock import Clock
from app.errors import ReconfirmError
from app.inbox import Inbox
from app.links import Links
from app.returns import Returns
from app.store.database import Database
from app.web import mailbox as mailboxes
from app.web.answers import Answers
from app.web.api import Api
from app.web.api.keys import Keys
from app.web.api.limits import Limits
from app.web.certificates import Certificates
from app.web.console import Access, Console
from app.web.console.showing import STYLE as CONSOLE_STYLE
from app.web.inbound import Inbound, Mailers
from app.web.mailbox import Mailbox
from app.web.policies import Policies
from app.web.problems import FOR_SYSTEMS, note_defect, problem_of, problem_response
from app.web.rights import RightsPages
from app.web.style import STYLE, TEMPLATES, allowing, digest
from app.web.tongues import offered, spoken
from app.web.words import Speaker

LARGEST_BODY = 16 * 1024
ERRORS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.GONE: "gone",
    HTTPStatus.METHOD_NOT_ALLOWED: "not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
}
"""Errors with words of their own; other 4xx are `bad_request`, everything else `failed`."""
DOCS_STYLE = TEMPLATES.joinpath("docs.css").read_text("utf-8").strip()


def create_app(  # noqa: PLR0913 - everything the parts need
    database: Database,
    clock: Clock,
    links: Links,
    *,
    base_url: str,
    metrics_token: str | None = None,
    redis_url: str | None = None,
    limited: bool | Limits = True,
    mailbox: Path | None = None,
    console: Access | None = None,
    erasure_ledger: Path | None = None,
    certificate_keys: Sequence[str] = (),
) -> Flask:
    """Make the web application; `base_url` is the address that people reach it at.

    `metrics_token` opens /metrics to other machines; `redis_url` is what /readyz asks as well;
    not `limited`, a key may call as often as it likes: for measuring only. `mailbox` is the Maildir
    that /mailbox shows: for test mode only, since it asks for no sign-in. `console` says how people
    get in to /console/; None leaves it out. `erasure_ledger` is the file that /readyz compares the
    database with; `certificate_keys` are the secret keys that certificates are signed with.
    """
    app = Flask("app.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.url_map.merge_slashes = False  # a mangled address is a 404, and redirected nowhere
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["style"] = Markup(STYLE)  # noqa: S704 - our own file
    app.jinja_env.globals["docs_style"] = Markup(DOCS_STYLE)  # noqa: S704 - our own file
    base = urlsplit(base_url)
    app.register_blueprint(Answers(database, clock, links, base.path.rstrip("/")).blueprint())
    app.register_blueprint(RightsPages(database, clock, links, base.path.rstrip("/")).blueprint())
    app.register_blueprint(Policies(database, clock, base.path.rstrip("/")).blueprint())
    app.register_blueprint(Certificates(database, certificate_keys).blueprint())
    if mailbox is not None:
        styles = f"{digest(STYLE)} {digest(mailboxes.STYLE)}"
        shown = Mailbox(mailbox, database, links, base.path.rstrip("/"), styles)
        app.jinja_env.globals["mailbox_style"] = Markup(mailboxes.STYLE)  # noqa: S704 - our own
        app.register_blueprint(shown.blueprint())
    if console is not None:
        app.jinja_env.globals["console_style"] = Markup(CONSOLE_STYLE)  # noqa: S704 - our own file
        styles = digest(CONSOLE_STYLE)
        shown_to_teams = Console(database, clock, links, base_url, console, styles)
        app.register_blueprint(shown_to_teams.blueprint())
    inbox = Inbox(database, clock, links=links)
    app.register_blueprint(Inbound(inbox).blueprint())
    returns = Returns(database, clock, links)
    app.register_blueprint(Mailers(returns, inbox, Keys(database)).blueprint())
    limits = Limits() if limited is True else limited or None
    api = Api(database, clock, links, base_url, metrics_token, redis_url, limits, erasure_ledger)
    api.register(app)
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/robots.txt", view_func=robots)
    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(ReconfirmError, refused_by_us)
    app.register_error_handler(Exception, failed)
    _harden(app, https=base.scheme == "https")
    return app


def healthz() -> Response:
    """Say that this process is alive, and nothing of what it needs."""
    return _plain("ok\n")


def robots() -> Response:
    """Ask crawlers to leave the pages of people alone."""
    return _plain("User-agent: *\nDisallow: /a/\nDisallow: /c/\nDisallow: /d/\nDisallow: /e/\n")


def refused(error: HTTPException) -> Response:
    """Give the plain page of an error, with the headers it needs (Allow, for one)."""
    if request.path.startswith(FOR_SYSTEMS):
        return problem_response(error)
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        what = "failed"
    else:
        what = ERRORS.get(HTTPStatus(status), "bad_request")
    page = _error_page(what, status)
    page.headers.extend(
        (name, value) for name, value in error.get_headers() if name != "Content-Type"
    )
    return page


def refused_by_us(error: ReconfirmError) -> Response:
    """Give the problem that a refusal of ours is; no page of people's leads to one."""
    if request.path.startswith(FOR_SYSTEMS):
        return problem_response(problem_of(error))
    return failed(error)


def failed(error: Exception) -> Response:
    """Give a plain page for a defect of ours, and log where it was, without what it was about."""
    note_defect(error)
    if request.path.startswith(FOR_SYSTEMS):
        return problem_response(InternalServerError())
    return _error_page("failed", HTTPStatus.INTERNAL_SERVER_ERROR)


def _error_page(what: str, status: int) -> Response:
    tongue = spoken()
    said = Speaker(tongue, {})
    text = render_template(
        "error.html", tongue=tongue, tongues=offered(tongue), say=said, what=what
    )
    return make_response(text, status)


def _plain(text: str) -> Response:
    return Response(text, mimetype="text/plain")


# --- headers -------------------------------------------------------------------------------


def _harden(app: Flask, *, https: bool) -> None:
    """Put the headers on every answer; style sheets are allowed by the hash of their very text."""
    headers = {
        "Content-Security-Policy": allowing(digest(STYLE), digest(DOCS_STYLE)),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000"

    def harden(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    app.after_request(harden)
