"""The certificate of an erasure, as a page to be printed and as the signed document itself.

Whoever has an erasure's id may see it: the id cannot be guessed, and nothing here names a person.
The page is made of the signed document alone, so that both say the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, make_response, render_template
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from app import certificates
from app.certificates import CERTIFICATE
from app.store import brands, proof
from app.store.database import Database
from app.store.proof import OWN, Shown
from app.web.style import TEMPLATES, allowing, digest, worn
from app.web.tongues import offered, spoken
from app.web.words import Speaker
from app.world.mail import say
from app.world.mail.draft import Tongue

ID = re.compile(r"[A-Za-z0-9_-]{8,80}", re.ASCII)
KEYS = "/.well-known/reconfirm-certificate-keys.json"
PRINT = TEMPLATES.joinpath("certificate.css").read_text("utf-8").strip()
CATEGORIES = frozenset({"invoices"})
GROUNDS = frozenset({"legal_obligation", "legal_claim", "contract", "keep_categories"})
"""Why something is kept, where there is a sentence for it; another code is shown as it is."""
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Kept:
    """A category that is kept: what, by whom, why and until when, in words."""

    category: Markup
    where: str
    why: Markup
    until: str


@dataclass(frozen=True, slots=True)
class Certificates:
    """The pages under /c/, and the public keys that certificates are verified with."""

    database: Database
    keys: Sequence[str]

    def blueprint(self) -> Blueprint:
        """Give the routes."""
        pages = Blueprint("certificates", __name__)
        pages.add_url_rule("/c/<erasure>", view_func=self.show, methods=["GET"])
        pages.add_url_rule("/c/<erasure>.json", view_func=self.document, methods=["GET"])
        pages.add_url_rule(KEYS, view_func=self.published, methods=["GET"])
        return pages

    def published(self) -> Response:
        """Give the public keys, newest first, as a JWK set."""
        answer = _json(certificates.published(self.keys))
        answer.headers["Cache-Control"] = f"public, max-age={HOUR}"
        return answer

    def document(self, erasure: str) -> Response:
        """Give the signed certificate; 202 while the erasure is under way, 404 where it is none."""
        found = self._found(erasure)[0]
        if found.certificate is not None:
            return _json(found.certificate)
        if found.ended_at is not None:
            return _json({"erasure": erasure, "state": "over", "ended_at": _utc(found.ended_at)})
        under_way = {"erasure": erasure, "state": "under_way", "begun_at": _utc(found.begun_at)}
        answer = _json(under_way)
        answer.status_code = 202
        return answer

    def show(self, erasure: str) -> Response:
        """Show the certificate, or how far the erasure is; 404 where there is no such."""
        found, color = self._found(erasure)
        tongue = spoken(product=found.locale)
        certified = None if found.certificate is None else found.certificate[CERTIFICATE]
        speak = Speaker(tongue, _facts(found, tongue))
        style = Markup("{}\n{}").format(worn(color)[0], Markup(PRINT))  # noqa: S704 - our own files
        text = render_template(
            "certificate.html",
            tongue=tongue,
            tongues=offered(tongue),
            say=speak,
            style=style,
            state=_state(found),
            facts=[] if certified is None else list(_shown_facts(speak, certified, tongue)),
            own=[] if certified is None else [_own(speak, each) for each in certified["own"]],
            targets=[] if certified is None else certified["targets"],
            kept=[] if certified is None else list(_kept(speak, certified, tongue)),
            erasure=erasure,
            keys_at=KEYS.removeprefix("/"),
        )
        page = make_response(text)
        page.headers["Content-Language"] = tongue.tag
        page.headers["Content-Security-Policy"] = allowing(digest(str(style)))
        return page

    def _found(self, erasure: str) -> tuple[Shown, str]:
        """Give an erasure, and the colour of its product."""
        if not ID.fullmatch(erasure):
            raise NotFound
        with self.database.transaction() as connection:
            found = proof.shown(connection, erasure)
            if found is None:
                raise NotFound
            return found, brands.read(connection, found.product_id).color


def _json(document: Any) -> Response:
    return Response(certificates.laid_out(document), mimetype="application/json")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _state(found: Shown) -> str:
    if found.ended_at is None:
        return "under_way"
    return "over" if found.certificate is None else "certified"


# --- in words ----------------------------------------------------------------------------------


def _facts(found: Shown, tongue: Tongue) -> dict[str, str]:
    return {
        "product": Markup("<bdi>{}</bdi>").format(found.name),
        "erasing_at": _moment(found.begun_at, tongue),
        "erased_at": "" if found.ended_at is None else _moment(found.ended_at, tongue),
    }


def _shown_facts(
    speak: Speaker, certified: dict[str, Any], tongue: Tongue
) -> Iterator[tuple[Markup, Markup]]:
    """Give what is certified as pairs of a name and a value."""

    def value(text: str) -> Markup:
        return Markup("{}").format(text)

    yield speak("certificate.number"), Markup("<code>{}</code>").format(certified["erasure"])
    yield speak("certificate.cause"), speak(f"certificate.cause_{certified['cause']}")
    if certified["since"]:
        yield speak("certificate.since"), value(_day(certified["since"], tongue))
    if certified["warned_on"]:
        days = tuple(date.fromisoformat(each) for each in certified["warned_on"])
        yield speak("certificate.warned"), value(say.days(days, tongue.locale))
    if certified["manifest"] is not None:
        yield speak("certificate.manifest"), value(str(certified["manifest"]))
    for name in ("begun", "ended"):
        at = datetime.fromisoformat(certified[f"{name}_at"])
        yield speak(f"certificate.{name}"), value(_moment(at, tongue))


def _own(speak: Speaker, code: str) -> Markup:
    return speak(f"certificate.own_{code}") if code in OWN else Markup("{}").format(code)


def _kept(speak: Speaker, certified: dict[str, Any], tongue: Tongue) -> Iterator[Kept]:
    """Give what is kept: here, and by each target."""
    for each in certified["kept"]:
        yield _kept_one(speak, each, certified["product_name"], tongue)
    for target in certified["targets"]:
        for each in target["kept"]:
            yield _kept_one(speak, each, target["target"], tongue)


def _kept_one(speak: Speaker, each: dict[str, Any], where: str, tongue: Tongue) -> Kept:
    category, why, until = each["category"], each["why"], each["until"]
    known = category in CATEGORIES
    return Kept(
        speak(f"certificate.category_{category}") if known else Markup("{}").format(category),
        where,
        speak(f"certificate.ground_{why}") if why in GROUNDS else Markup("{}").format(why),
        _day(until, tongue) if until else str(speak("certificate.no_end")),
    )


def _day(text: str, tongue: Tongue) -> str:
    return say.day(date.fromisoformat(text), tongue.locale)


def _moment(at: datetime, tongue: Tongue) -> str:
    return say.moment(at.astimezone(UTC), tongue.locale)
