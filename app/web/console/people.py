"""One person's subscription: found by an exact id or address, its story, and acting for them.

Looking somebody up is noted in history, and so is opening their page: once an hour for each who
does, so that a reload adds nothing. An address is shown with most of it left out: whoever
helps somebody on the phone can compare it, and nobody can collect them here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Response, request
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.clock import Clock
from app.engine import reviews as engine
from app.engine.door import apply_in
from app.engine.explain import Explanation, explain
from app.engine.holds import AT_MOST, LOOKED_AT
from app.errors import Conflict
from app.lifecycle.answers import LIVING
from app.lifecycle.case import Answer, AskReview, Concern, Erasure, Finding, Verdict, Word
from app.store import (
    cases,
    evidence,
    holds,
    outbox,
    population,
    products,
    queues,
    reading,
    reviews,
    tombstones,
)
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.evidence import Shown
from app.store.holds import Reason
from app.web.console.roles import Role
from app.web.console.sayings import ahead, blocked
from app.web.console.sessions import Needs, View, here
from app.web.console.showing import after, said, show
from app.world.mail.draft import Draft
from app.world.mail.wording import again, same_templates

VIEWER, EDITOR = Needs(), Needs(Role.EDITOR)
WORDS = {"keep": Word.KEEP, "resume": Word.RESUME, "stop": Word.CANCEL}
OPENED = "person_opened"
NOTED_EVERY = timedelta(hours=1)
ASKED_BY = ("phone", "mail", "chat", "in_person")
"""How somebody told us what we now do for them."""
DONE = frozenset({Verdict.APPLIED, Verdict.UNCHANGED})
LONGEST = 254
CODES: dict[str, Finding | Erasure] = {str(each): each for each in (*Finding, *Erasure)}
"""What a case can end with."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice as it was sent, and what came back of it."""

    round: int
    notice: str
    language: str
    handed_over_at: datetime
    bounced_at: datetime | None
    complained_at: datetime | None
    subject: str
    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """An effect of somebody that is not done yet."""

    kind: str
    state: str
    not_before: datetime
    tries: int
    error: str | None


@dataclass(frozen=True, slots=True)
class People:
    """The pages about one person."""

    database: Database
    clock: Clock

    def routes(self) -> list[tuple[str, str, View, Needs | None]]:
        """Give the routes."""
        one = "/products/<product>/people/<int:number>"
        return [
            ("GET", "/products/<product>/people", self.ask, VIEWER),
            ("POST", "/products/<product>/people", self.find, VIEWER),
            ("GET", one, self.person, VIEWER),
            ("POST", f"{one}/act", self.act, EDITOR),
            ("POST", f"{one}/review", self.want_review, EDITOR),
            ("POST", f"{one}/reviewed", self.reviewed, EDITOR),
        ]

    # --- finding ---------------------------------------------------------------------------

    def ask(self, product: str) -> Response:
        """Show where to look somebody up."""
        with self.database.transaction() as connection:
            found = products.load(connection, product)
        return show("people", here="people", product=found, found=None, wanted="")

    def find(self, product: str) -> AnyResponse:
        """Find by the exact id at billing, or the exact address."""
        wanted = request.form.get("who", "").strip()[:LONGEST]
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            found = _found(connection, row.id, wanted)
            self._note_look(connection, row.id, found, wanted)
        if len(found) == 1:
            return after(f"/console/products/{product}/people/{found[0][0]}", "")
        return show("people", here="people", product=row, found=found, wanted=wanted)

    def _note_look(
        self, connection: Connection, product_id: int, found: list[tuple[int, str]], wanted: str
    ) -> None:
        why = "by_address" if "@" in wanted else "by_id"
        lines = [HistoryWrite(sid, None, "person_looked_up", why, None) for sid, _ in found]
        nobody = [HistoryWrite(None, None, "person_not_found", why, None)]
        now = self.clock.now()
        cases.insert_history(connection, product_id, now, here().actor, lines or nobody)

    # --- the page --------------------------------------------------------------------------

    def person(self, product: str, number: int) -> Response:
        """Show one subscription: where it stands, why, what was said and what waits.

        Of one that was erased only that, and by which erasure.
        """
        now = self.clock.now()
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            if tombstones.is_of(connection, row.id, number):
                erasure = tombstones.erasure_of(connection, number)
                return show("erased", here="people", product=row, erasure=erasure)
            _check(connection, row.id, number)
            told = explain(connection, row, number, now)
            address = population.addresses(connection, [number])[number]
            letters = [_letter(each) for each in evidence.of_subscription(connection, number)]
            effects = [Waiting(*each) for each in outbox.of_subscription(connection, number)]
            review = reviews.open_of(connection, row.id, number)
            on = holds.on(connection, row.id, number) if told.held else []
            self._note_opening(connection, row.id, number, told)
        mine = here().roles.on(product)
        return show(
            "person",
            here="people",
            product=row,
            number=number,
            told=told,
            ahead=ahead(said(), told.ahead),
            blocks=[blocked(said(), each) for each in told.blocks],
            name=address.external_id,
            address=masked(address.email),
            letters=letters,
            effects=effects,
            review=review,
            holds=on,
            reasons=list(Reason),
            review_on=now.date() + LOOKED_AT,
            soonest=now.date(),
            latest=AT_MOST.after(now.date()),
            may_edit=mine is not None and mine >= Role.EDITOR,
            may_release=mine is not None and mine >= Role.APPROVER,
            acts=_acts(told) if mine is not None and mine >= Role.EDITOR else None,
            asked_by=ASKED_BY,
            concerns=[each for each in Concern if each not in reviews.RIGHTS],
            findings=_findings(review),
        )

    def _note_opening(
        self, connection: Connection, product_id: int, number: int, told: Explanation
    ) -> None:
        now, actor = self.clock.now(), here().actor
        lately = [each for each in told.story if now - each["at"] < NOTED_EVERY]
        if not any(each["what"] == OPENED and each["actor"] == actor for each in lately):
            line = HistoryWrite(number, None, OPENED, "by_number", None)
            cases.insert_history(connection, product_id, now, actor, [line])

    # --- doing -----------------------------------------------------------------------------

    def act(self, product: str, number: int) -> AnyResponse:
        """Keep, resume or stop for somebody who told us so, through the door they go through."""
        word, how = request.form.get("answer", ""), request.form.get("why", "")
        if word not in WORDS or how not in ASKED_BY:
            raise BadRequest
        verdict = self._apply(product, number, Answer(WORDS[word], None, "app"), f"{word}_{how}")
        if verdict not in DONE:
            raise _refusal(verdict)
        return after(f"/console/products/{product}/people/{number}", word)

    def _apply(self, product: str, number: int, event: Answer, why: str) -> Verdict:
        actor = here().actor

        def work(connection: Connection) -> Verdict:
            row, now = products.load(connection, product), self.clock.now()
            _check(connection, row.id, number)
            reply = apply_in(connection, row, [(number, event)], actor, now)[0]
            line = HistoryWrite(number, event.round, "acted_for_them", why, None)
            if reply.verdict in DONE:
                cases.insert_history(connection, row.id, now, actor, [line])
            return reply.verdict

        return self.database.retrying(work, few=True)

    def want_review(self, product: str, number: int) -> AnyResponse:
        """Put a case before a person: until they have looked, nothing follows from silence."""
        concern = request.form.get("why", "")
        if concern not in list(Concern):
            raise BadRequest
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            _check(connection, row.id, number)
            case = cases.read(connection, row.id, [number], row.hearing, lock=False)[number]
        if case.round is None:
            raise _refusal("never_asked")
        event = AskReview(case.round.number, Concern(concern))
        reply = engine.ask(self.database, self.clock, product, number, event, here().actor)
        if reply.verdict not in DONE:
            raise _refusal(reply.verdict)
        return after(f"/console/products/{product}/people/{number}", "review_asked")

    def reviewed(self, product: str, number: int) -> AnyResponse:
        """Take what a person found who has looked; the case goes on."""
        finding = CODES.get(request.form.get("finding", ""))
        if finding is None:
            raise BadRequest
        with self.database.transaction() as connection:
            row = products.load(connection, product)
            _check(connection, row.id, number)
            review = reviews.open_of(connection, row.id, number)
        if review is None:
            raise _refusal("finished")
        engine.finish(self.database, self.clock, product, review.id, finding, here().actor)
        return after(f"/console/products/{product}/people/{number}", "reviewed")


def _findings(review: reviews.Review | None) -> list[Finding] | list[Erasure]:
    """Give what a person may have found: a request to erase ends with codes of its own."""
    wish = review is not None and review.reason == reviews.ERASE
    return list(Erasure) if wish else list(Finding)


def _found(connection: Connection, product_id: int, wanted: str) -> list[tuple[int, str]]:
    """Give (our number, id at billing) of who has exactly this id, or else this address."""
    if not wanted or not wanted.isprintable():
        return []
    by_id = reading.ids_present(connection, product_id, [wanted])
    if by_id:
        return [(by_id[wanted], wanted)]
    return queues.at_address(connection, product_id, wanted) if "@" in wanted else []


def _check(connection: Connection, product_id: int, number: int) -> None:
    """Raise NotFound where the number is of another product, or its person was erased."""
    if number not in reading.in_product(connection, product_id, [number]):
        raise NotFound


def _letter(each: Shown) -> Letter:
    draft = again(Draft(each.words.subject, each.words.text, each.words.html), each.told)
    return Letter(
        each.round,
        each.words.notice,
        each.words.language,
        each.handed_over_at,
        each.bounced_at,
        each.complained_at,
        draft.subject,
        draft.text,
        not same_templates(each.words.language, each.words.notice, each.words.templates),
    )


def _refusal(why: str) -> Conflict:
    """Say in the language of the page why nothing was done."""
    return Conflict(str(said().code("refusal", why)))


def _acts(told: Explanation) -> list[str]:
    """Give what may be done for somebody who says so, by where they stand."""
    stage, outcome = told.facts["stage"], told.facts.get("outcome")
    stopping = told.facts.get("word") == "cancel"
    if stage == "active":
        again = ["keep"] if outcome in ("unreachable", "expired") else []
        return again + (["stop"] if told.subscription.status in LIVING else [])
    if stage == "asked":
        return ["keep"] if stopping else ["keep", "stop"]
    if stage == "suspended":
        return ["resume"] if stopping else ["resume", "stop"]
    return ["resume"] if stage == "canceled" else []


def masked(address: str) -> str:
    """Give an address with most of it left out: `a•••@example.com`; empty where there is none."""
    local, at, host = address.rpartition("@")
    return f"{local[:1]}•••{at}{host}" if at else ""
