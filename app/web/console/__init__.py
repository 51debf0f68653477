"""The console: where a product team sees what happens, helps people and clears what waits.

Every page but those of signing in says in `Needs` which role it wants; a test goes through role by
route by method. Pages are made on the server and need no script. Who does something is the actor
`console:name` in history, as commands are `cli:name`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, g
from werkzeug.exceptions import HTTPException

from app.clock import Clock
from app.errors import Refused
from app.forecast import Forecaster
from app.links import Links
from app.store.database import Database
from app.versions import Versions
from app.web.console import static
from app.web.console.attendance import Attendance
from app.web.console.editor import Editor
from app.web.console.erasures import ErasurePages
from app.web.console.holds import HoldPages
from app.web.console.manifests import ManifestPages
from app.web.console.oidc import Provider
from app.web.console.overview import Overviews
from app.web.console.people import People
from app.web.console.queues import Queues
from app.web.console.rights import RightsDesk
from app.web.console.runs import RunPages
from app.web.console.sessions import Needs, NotFromHere, Sessions, View
from app.web.console.showing import broken, failing, refused
from app.web.console.signing_in import SigningIn
from app.web.console.versions import VersionPages

Route = tuple[str, str, View, Needs | None]
"""Method, path below /console, what answers, and what it wants of its caller; None: anybody."""


@dataclass(frozen=True, slots=True)
class Access:
    """How people get in: the keys that cookies are signed with, newest first, and the provider.

    Without a provider only one-time links let people in.
    """

    keys: Sequence[str]
    issuer: str | None = None
    client_id: str = ""
    client_secret: str = ""
    roles_claim: str = "roles"

    def provider(self, base_url: str) -> Provider | None:
        """Give the identity provider, if one is set."""
        if self.issuer is None:
            return None
        callback = f"{base_url.rstrip('/')}/console/callback"
        return Provider(self.issuer, self.client_id, self.client_secret, self.roles_claim, callback)


@dataclass(frozen=True, slots=True)
class Console:
    """The pages under /console/; `styles` are the hashes of the style sheets they may have."""

    database: Database
    clock: Clock
    links: Links
    base_url: str
    access: Access
    styles: str

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        sessions = Sessions(self.database, self.clock, self.base_url)
        pages = Blueprint("console", __name__, url_prefix="/console")
        for method, path, view, needs in self._routes(sessions):
            name = f"{method.lower()}_{view.__qualname__.replace('.', '_')}"
            checked = view if needs is None else sessions.guard(view, needs)
            pages.add_url_rule(path, name, checked, methods=[method])
        pages.register_error_handler(HTTPException, failing)
        pages.register_error_handler(NotFromHere, failing)
        pages.register_error_handler(Refused, refused)
        pages.register_error_handler(Exception, broken)
        pages.after_request(self._framed)
        return pages

    def _routes(self, sessions: Sessions) -> list[Route]:
        forecaster = Forecaster(self.database, self.clock)
        provider = self.access.provider(self.base_url)
        entry = SigningIn(self.database, self.clock, sessions, provider, self.access.keys)
        versions = Versions.on(self.database, self.clock)
        return [
            *entry.routes(),
            *Attendance(self.database, self.clock).routes(),
            *static.routes(),
            *Overviews(self.database, self.clock, forecaster).routes(),
            *Editor(self.database, self.clock, forecaster).routes(),
            *People(self.database, self.clock).routes(),
            *RightsDesk(self.database, self.clock, self.links).routes(),
            *RunPages(self.database, self.clock).routes(),
            *Queues(self.database, self.clock, self.links).routes(),
            *ManifestPages(self.database, self.clock).routes(),
            *HoldPages(self.database, self.clock).routes(),
            *ErasurePages(self.database, self.clock).routes(),
            *VersionPages(self.database, self.clock, versions).routes(),
        ]

    def _framed(self, response: Response) -> Response:
        """Put on the headers that differ from those of other pages."""
        # Without a referrer the browser would not even tell us that a form is our own.
        response.headers.setdefault("Referrer-Policy", "same-origin")
        scripts = " script-src 'self'; connect-src 'self';" if g.get("scripted") else ""
        response.headers.setdefault(
            "Content-Security-Policy",
            f"default-src 'none'; style-src {self.styles};{scripts} form-action 'self';"
            " frame-ancestors 'none'; base-uri 'none'",
        )
        return response
