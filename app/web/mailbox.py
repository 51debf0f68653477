"""In test mode: every notice that was sent, as its reader sees it, as text, and as it is.

It shows a Maildir that the service itself writes, and only on the test clock, where nobody is real;
so it asks for no sign-in. It only reads.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from importlib.resources import files
from itertools import islice
from pathlib import Path

from flask import Blueprint, Response, abort, render_template, request

from app.links import Links
from app.store import products, reading
from app.store.database import Database
from app.world.mail.logo import CONTENT_ID

A_PAGE = 40
LONGEST_WISH = 254
SAFE_NAME = re.compile(r"[\w.@+-]{1,240}")
HEAD = 4096
"""Bytes of a mail in which its headers stand."""
STYLE = "\n".join(
    files("app.web").joinpath("templates", name).read_text("utf-8").strip()
    for name in ("page.css", "mailbox/mailbox.css")
)
FRAMING = "default-src 'none'; style-src {}; form-action 'self'; frame-src 'self'; base-uri 'none'"
"""What its own pages may do; style sheets are allowed by the hash of their very text."""
SEALED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""What a mail may do in its frame: look like itself."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail: the name of its file, and what its headers say."""

    name: str
    mail: EmailMessage

    @property
    def to(self) -> str:
        """Whom it went to."""
        return str(self.mail["To"] or "")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The pages under /mailbox.

    `path` is what stands before it in the addresses people see, `styles` the hashes of the style
    sheets that its pages may have.
    """

    folder: Path
    database: Database
    links: Links
    path: str
    styles: str

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        pages = Blueprint("mailbox", __name__)
        pages.after_request(self._framing)
        pages.add_url_rule("/mailbox", view_func=self.index)
        pages.add_url_rule("/mailbox/<name>", view_func=self.letter)
        pages.add_url_rule("/mailbox/<name>/html", view_func=self.html)
        pages.add_url_rule("/mailbox/<name>/source", view_func=self.source)
        return pages

    def index(self) -> str:
        """List the newest notices, of all or of one subscriber (`for`: an address or an id)."""
        page = min(max(1, request.args.get("page", 1, int)), 1_000_000)
        wish = request.args.get("for", "").strip()[:LONGEST_WISH]
        letters = self._letters(wish)
        first = (page - 1) * A_PAGE
        found = list(islice(letters, first, first + A_PAGE + 1))
        return render_template(
            "mailbox/index.html",
            path=self.path,
            letters=found[:A_PAGE],
            more=len(found) > A_PAGE,
            page=page,
            wish=wish,
        )

    def letter(self, name: str) -> str:
        """Show one notice, as its reader sees it and as text."""
        mail = _read(self._file(name))
        text = _part(mail, "plain")
        return render_template(
            "mailbox/letter.html", path=self.path, letter=Letter(name, mail), text=text
        )

    def html(self, name: str) -> Response:
        """Give the HTML part, to be shown in a frame."""
        mail = _read(self._file(name))
        # Its links lead out of the frame: the pages of people let themselves be framed by nobody.
        text = _part(mail, "html").replace("<head>", '<head><base target="_top">', 1)
        answer = Response(_with_logo(text, mail), mimetype="text/html")
        answer.headers["Content-Security-Policy"] = SEALED
        return answer

    def source(self, name: str) -> Response:
        """Give a notice as it went over the wire."""
        return Response(self._file(name).read_bytes(), mimetype="text/plain")

    def _framing(self, response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", FRAMING.format(self.styles))
        return response

    # --- inside --------------------------------------------------------------------------------

    def _letters(self, wish: str) -> Iterator[Letter]:
        """Give the notices, newest first, of whom is wished for."""
        found = (Letter(path.name, _head(path)) for path in self._newest_first())
        if not wish:
            return found
        ids = self._ids(wish)
        return (each for each in found if each.to == wish or self._about(each) in ids)

    def _about(self, letter: Letter) -> int | None:
        return self.links.read_notice(str(letter.mail["Message-ID"] or ""))

    def _ids(self, wish: str) -> set[int]:
        """Give our own ids of the subscriptions of that name, in whichever product."""
        if not wish.isprintable():
            return set()
        with self.database.transaction() as connection:
            numbers = [products.row_of(connection, key).id for key in products.keys(connection)]
            found = [reading.ids_present(connection, number, [wish]) for number in numbers]
        return {each for ids in found for each in ids.values()}

    def _newest_first(self) -> Iterable[Path]:
        new = self.folder / "new"
        found = [*new.iterdir()] if new.is_dir() else []
        return sorted(found, key=lambda each: (each.stat().st_mtime_ns, each.name), reverse=True)

    def _file(self, name: str) -> Path:
        path = self.folder / "new" / name
        if not SAFE_NAME.fullmatch(name) or not path.is_file():
            abort(404)
        return path


def _head(path: Path) -> EmailMessage:
    with path.open("rb") as file:
        raw = file.read(HEAD)
    return message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=policy.default)


def _read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=policy.default)


def _part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    return str(body.get_content()) if body else ""


def _with_logo(text: str, mail: EmailMessage) -> str:
    """Put the picture that travels with a mail where its page shows it."""
    for part in mail.walk():
        if part["Content-ID"] == f"<{CONTENT_ID}>":
            picture = base64.b64encode(part.get_payload(decode=True)).decode()  # type: ignore[arg-type]
            return text.replace(
                f"cid:{CONTENT_ID}", f"data:{part.get_content_type()};base64,{picture}"
            )
    return text
