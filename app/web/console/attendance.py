"""Who is signed in, for admins of all products, and ending their sessions.

Ending is not barring: whoever may sign in can do so again. A role is taken away where it was given.
"""

from dataclasses import dataclass

from flask import Response, redirect, request
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.store import cases
from app.store import console as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.web.console.roles import Role
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, show

ADMIN = Needs(Role.ADMIN, product=False)
LONGEST_NAME = 64


def end_sessions(
    connection: Connection, clock: Clock, actor: str, name: str | None = None
) -> list[str]:
    """End the sessions of one person, or (None) of everybody; history names whose they were.

    Gives the names of those who were signed in.
    """
    ended = store.end_all(connection, clock.wall(), name)
    lines = [HistoryWrite(None, None, "sessions_ended", f"console:{each}", None) for each in ended]
    cases.insert_history(connection, 0, clock.now(), actor, lines)
    return ended


@dataclass(frozen=True, slots=True)
class Attendance:
    """The page of who is signed in."""

    database: Database
    clock: Clock

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        return [
            ("GET", "/sessions", self.shown, ADMIN),
            ("POST", "/sessions/end", self.end, ADMIN),
        ]

    def shown(self) -> Response:
        """List who is signed in."""
        with self.database.transaction() as connection:
            found = store.signed_in(connection, self.clock.wall())
        return show("sessions", people=found)

    def end(self) -> AnyResponse:
        """End the sessions of one person, or of everybody; who ends their own is signed out."""
        name, everybody = request.form.get("name", ""), request.form.get("everybody") == "yes"
        if everybody == bool(name) or len(name) > LONGEST_NAME:
            raise BadRequest
        mine = here()
        with self.database.transaction() as connection:
            end_sessions(connection, self.clock, mine.actor, None if everybody else name)
        if everybody or name == mine.session.name:
            return redirect("/console/sign-in", 303)
        return after("/console/sessions", "sessions_ended")
