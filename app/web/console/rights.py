"""What somebody may ask of us, done for them by who helps them; and all that is held, to read.

Editors may: they talk with people. The page shows a whole address and every notice, so that each
look is noted in history, and so is each act with how the person told us. Erasing takes two steps.
"""

from dataclasses import dataclass

import msgspec
from flask import Response, request
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app import export
from app.clock import Clock
from app.engine.rights import TAKEN, Rights
from app.errors import Conflict
from app.export import Held
from app.lifecycle.case import Verdict
from app.links import Links
from app.rows import RowRefused, address
from app.store import cases, population, products, reading
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.products import Product
from app.web.console.people import ASKED_BY
from app.web.console.roles import Role
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show
from app.web.words import sentences

EDITOR = Needs(Role.EDITOR)
EXPORTED = "data_exported"


@dataclass(frozen=True, slots=True)
class RightsDesk:
    """The pages about what one person may ask."""

    database: Database
    clock: Clock
    links: Links

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        one = "/products/<product>/people/<int:number>"
        return [
            ("GET", f"{one}/rights", self.shown, EDITOR),
            ("GET", f"{one}/data", self.data, EDITOR),
            ("GET", f"{one}/data.json", self.file, EDITOR),
            ("POST", f"{one}/erase", self.erase, EDITOR),
            ("POST", f"{one}/restrict", self.restrict, EDITOR),
            ("POST", f"{one}/object", self.object, EDITOR),
            ("POST", f"{one}/correct", self.correct, EDITOR),
        ]

    # --- seeing ----------------------------------------------------------------------------

    def shown(self, product: str, number: int) -> Response:
        """Show what may be done for them; nothing of what is held."""
        return self._page("rights", product, number)

    def data(self, product: str, number: int) -> Response:
        """Show all that is held."""
        row, held = self._held(product, number)
        text = msgspec.json.format(msgspec.json.encode(held)).decode()
        return show(
            "data", here="people", product=row, number=number, name=held.subscription.id, text=text
        )

    def file(self, product: str, number: int) -> Response:
        """Give all that is held as a file."""
        _, held = self._held(product, number)
        body = msgspec.json.format(msgspec.json.encode(held))
        file = Response(body, mimetype="application/json")
        file.headers["Content-Disposition"] = f'attachment; filename="reconfirm-{product}.json"'
        return file

    def _held(self, product: str, number: int) -> tuple[Product, Held]:
        """Give all that is held, and note who looked."""
        now = self.clock.now()
        with self.database.transaction() as connection:
            row = _present(connection, product, number)
            words = sentences("en")
            held = export.everything(connection, self.links, row, number, now, words)
            if held is None:
                raise NotFound
            line = HistoryWrite(number, None, EXPORTED, "console", None)
            cases.insert_history(connection, row.id, now, here().actor, [line])
        return row, held

    def _page(
        self, template: str, product: str, number: int, how: str = "", *, cancel: bool = False
    ) -> Response:
        with self.database.transaction() as connection:
            row = _present(connection, product, number)
            name = population.external_ids(connection, [number])[number]
        return show(
            template,
            here="people",
            product=row,
            number=number,
            name=name,
            asked_by=ASKED_BY,
            how=how,
            cancel=cancel,
        )

    # --- doing -----------------------------------------------------------------------------

    def erase(self, product: str, number: int) -> AnyResponse:
        """Ask once more, and then take the request to erase; it begins by itself a day later."""
        how, cancel = _how(), request.form.get("cancel") == "yes"
        if request.form.get("sure") != "yes":
            return self._page("erase", product, number, how, cancel=cancel)
        verdict = self._done(product, number, f"erase_{how}", cancel=cancel)
        if verdict is Verdict.TOO_LATE:
            raise _refusal("still_charged")
        return self._after(product, number, verdict, "erase_asked")

    def restrict(self, product: str, number: int) -> AnyResponse:
        """Lock their data."""
        verdict = self._done(product, number, f"restrict_{_how()}")
        return self._after(product, number, verdict, "restricted")

    def object(self, product: str, number: int) -> AnyResponse:
        """Take their objection."""
        verdict = self._done(product, number, f"object_{_how()}")
        return self._after(product, number, verdict, "objected")

    def correct(self, product: str, number: int) -> AnyResponse:
        """Write to another address, written twice."""
        how = _how()
        first, again = (request.form.get(name, "").strip() for name in ("email", "again"))
        if first != again:
            raise _refusal("differs")
        try:
            email = address(first)
        except RowRefused:
            raise _refusal("no_address") from None
        verdict = self._done(product, number, f"correct_{how}", email=email)
        if verdict is Verdict.UNCHANGED:
            raise _refusal("same_address")
        return self._after(product, number, verdict, "corrected")

    def _done(
        self, product: str, number: int, why: str, *, cancel: bool = False, email: str = ""
    ) -> Verdict:
        """Do it, and note how the person told us."""
        with self.database.transaction() as connection:
            row = _present(connection, product, number)
            never = population.never_asked(connection, number)
        rights, actor = Rights(self.database, self.clock), here().actor
        match why.partition("_")[0]:
            case "erase":
                verdict = rights.erase(product, number, actor, cancel=cancel)
            case "restrict":
                verdict = rights.restrict(product, number, actor)
            case "object" if never:
                raise _refusal("never_asked")
            case "object":
                verdict = rights.object(product, number, actor)
            case _:
                verdict = rights.correct(product, number, email, actor)
        if verdict is Verdict.APPLIED:
            line = HistoryWrite(number, None, "acted_for_them", why, None)
            with self.database.transaction() as connection:
                cases.insert_history(connection, row.id, self.clock.now(), actor, [line])
        return verdict

    @staticmethod
    def _after(product: str, number: int, verdict: Verdict, done: str) -> AnyResponse:
        if verdict not in TAKEN:
            raise _refusal(verdict)
        return after(f"/console/products/{product}/people/{number}", done)


def _present(connection: Connection, product: str, number: int) -> Product:
    """Give the product; NotFound where the number is of another, or its person was erased."""
    row = products.load(connection, product)
    if number not in reading.in_product(connection, row.id, [number]):
        raise NotFound
    return row


def _how() -> str:
    how = request.form.get("why", "")
    if how not in ASKED_BY:
        raise BadRequest
    return how


def _refusal(why: str) -> Conflict:
    return Conflict(str(said().code("refusal", why)))
