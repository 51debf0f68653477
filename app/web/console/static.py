"""The two scripts of the console: htmx, and what keeps a form. Each under a name of its own text.

Every page works without them. A browser may keep them for ever: another text has another name.
"""

import hashlib
from importlib.resources import files

from flask import Response
from werkzeug.exceptions import NotFound

from app.web.console.sessions import Needs, View

FOLDER = files("app.web").joinpath("static")
HTMX = "htmx-2.0.11.js"
"""Word for word the `dist/htmx.min.js` of that version; its licence lies beside it."""
_OURS = FOLDER.joinpath("editor.js").read_bytes()
EDITOR = f"editor-{hashlib.sha256(_OURS).hexdigest()[:12]}.js"
TEXTS = {HTMX: FOLDER.joinpath(HTMX).read_bytes(), EDITOR: _OURS}
FOR_EVER = "public, max-age=31536000, immutable"


def routes() -> list[tuple[str, str, View, Needs | None]]:
    """Give the route."""
    return [("GET", "/static/<name>", script, None)]


def script(name: str) -> Response:
    """Give one of the scripts; 404 for any other name."""
    if name not in TEXTS:
        raise NotFound
    answer = Response(TEXTS[name], mimetype="text/javascript")
    answer.headers["Cache-Control"] = FOR_EVER
    return answer
