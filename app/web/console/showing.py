"""How a page of the console is shown: the frame, the language, what was done, and errors."""

from collections.abc import Sequence
from http import HTTPStatus
from importlib.resources import files

from flask import Response, g, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.errors import NotFound, Refused
from app.store.products import Product
from app.web.console.sessions import NotFromHere, Present, SignedOut
from app.web.console.words import Said, languages, sentences, spoken
from app.web.problems import note_defect

_FOLDER = files("app.web").joinpath("templates")
_COLORS = _FOLDER.joinpath("page.css").read_text("utf-8").partition("* {")[0].strip()
STYLE = f"{_COLORS}\n{_FOLDER.joinpath('console', 'console.css').read_text('utf-8').strip()}"
"""The colours of every page of ours, and the console's own look."""
ERRORS = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not_allowed",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many",
}

OURS: dict[type[HTTPException], str] = {NotFromHere: "not_from_here", SignedOut: "signed_out"}


def said() -> Said:
    """Give who speaks on this page: the language of the session, or of the browser."""
    who: Present | None = g.get("present")
    return Said(spoken(who.session.language if who else ""))


def show(
    template: str,
    *,
    here: str = "",
    product: Product | None = None,
    status: int = HTTPStatus.OK,
    scripts: Sequence[str] = (),
    **facts: object,
) -> Response:
    """Make a page; `here` names its place in the navigation, `product` whose page it is.

    `scripts` are those of ours that it may have, by their names in `static`.
    """
    say = said()
    g.scripted = bool(scripts)
    done = request.args.get("so", "")
    text = render_template(
        f"console/{template}.html",
        say=say,
        tongue=say.tongue,
        tongues=languages(),
        who=g.get("present"),
        here=here,
        product=product,
        scripts=scripts,
        so=done if f"so.{done}" in sentences(say.tongue.folder) else "",
        **facts,
    )
    return make_response(text, status)


def after(path: str, done: str) -> AnyResponse:
    """Send to a page of the console that says what was done, by the name of a sentence."""
    told = f"{'&' if '?' in path else '?'}so={done}" if done else ""
    return redirect(f"{path}{told}", HTTPStatus.SEE_OTHER)


def failing(error: HTTPException) -> Response:
    """Give the plain page of an error; it says nothing of what was asked for."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    what = OURS.get(type(error)) or ERRORS.get(status, "bad_request")
    page = show("error", status=status, what=what, mend="")
    page.headers.extend(
        (name, value) for name, value in error.get_headers() if name != "Content-Type"
    )
    return page


def refused(error: Refused) -> Response:
    """Give the page of a refusal of ours; nothing was done.

    Where something is not there it is not said what is: that may be another product's.
    """
    if isinstance(error, NotFound):
        return show("error", status=HTTPStatus.NOT_FOUND, what="not_found", mend="")
    return show("error", status=HTTPStatus.CONFLICT, what="refused", mend=error.what)


def broken(error: Exception) -> Response:
    """Give the page of a defect of ours, and log where it was."""
    note_defect(error)
    return show("error", status=HTTPStatus.INTERNAL_SERVER_ERROR, what="broken", mend="")
