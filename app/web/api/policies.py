"""Versions of a policy over HTTP: proposed, talked about, approved, put in force, and their lists.

What a program does is done by its key, `api:NUMBER`: one key is one of the people who agree. The
planning that follows a version that is put in force is the workers'.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.clock import Clock
from app.engine.trial import A_RANGE, Trial
from app.policy import PolicyRefused
from app.store import lists, plans, products
from app.store import versions as store
from app.store.database import Database
from app.store.lists import AskList, Entry
from app.store.versions import Version
from app.versions import Stale, TooMany, Versions, read, state_of
from app.versions.difference import differences
from app.versions.listed import as_csv, everybody
from app.web.api import cursors
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.forecasts import LARGEST, POLICY_BODY, unfit
from app.web.api.keys import key, needs
from app.web.api.shapes import (
    ActivateBody,
    Approval,
    CommentBody,
    Difference,
    DryRun,
    ListApproval,
    ListedPerson,
    ListedVersion,
    ListSample,
    ListState,
    ListToAsk,
    Nothing,
    PolicyVersion,
    PolicyVersions,
    VersionLine,
)
from app.web.api.subscriptions import limit_asked_for
from app.web.problems import problem

OF = "policies"
CSV = "text/csv"
ONCE = "Idempotency-Key"
SAMPLE = 20
SMALL = 16 * 1024
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_SEEN = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_ONCE = re.compile(r"[!-~]{1,255}", re.ASCII)
_COMMENT = msgspec.json.Decoder(CommentBody)
_ACTIVATE = msgspec.json.Decoder(ActivateBody)
_NOTHING = msgspec.json.Decoder(Nothing)
_APPROVAL = msgspec.json.Decoder(ListApproval)


@dataclass(frozen=True, slots=True)
class PolicyCalls:
    """The calls about versions of a policy and the lists of whom they would ask."""

    database: Database
    versions: Versions

    @classmethod
    def on(cls, database: Database, clock: Clock) -> "PolicyCalls":
        """Put the calls on a database."""
        return cls(database, Versions.on(database, clock))

    def register(self, routes: Blueprint) -> None:
        """Put the routes on a blueprint."""
        one = "/policies/<version>"
        for rule, view, method in (
            ("/policies", self.page, "GET"),
            ("/policies", self.propose, "POST"),
            (one, self.show, "GET"),
            (f"{one}/dry-run", self.dry_run, "GET"),
            (f"{one}/comment", self.comment, "POST"),
            (f"{one}/approve", self.approve, "POST"),
            (f"{one}/withdraw", self.withdraw, "POST"),
            (f"{one}/activate", self.activate, "POST"),
            (f"{one}/unschedule", self.unschedule, "POST"),
            (f"{one}/list", self.list_show, "GET"),
            (f"{one}/list.csv", self.list_csv, "GET"),
            (f"{one}/list/sample", self.list_sample, "GET"),
            (f"{one}/list/approve", self.list_approve, "POST"),
            (f"{one}/list/renew", self.list_renew, "POST"),
        ):
            routes.add_url_rule(rule, f"policies_{view.__name__}", view, methods=[method])

    # --- looking ---------------------------------------------------------------------------

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List versions, the newest first."""
        only_parameters("limit", "cursor")
        limit = limit_asked_for()
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            before = int(cursors.place_of(request.args.get("cursor"), OF, row.id, "int"))
            found = store.versions(connection, row.id, before or None, limit + 1)
        listed = [ListedVersion(**_standing(each, row.policy_version)) for each in found[:limit]]
        on = cursors.made(OF, row.id, found[limit - 1].version) if len(found) > limit else None
        return answer(PolicyVersions(listed, on))

    @needs("read")
    def show(self, product: str, version: str) -> ResponseReturnValue:
        """Show one version."""
        only_parameters()
        return self._shown(product, _number(version))

    @needs("read")
    def dry_run(self, product: str, version: str) -> ResponseReturnValue:
        """Say whom a version would ask now, a range of subscriptions at a time."""
        only_parameters("cursor")
        number = _number(version)
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product).id
            policy = read(store.version(connection, product_id, number))
            of = f"dry run {number}"
            after = int(cursors.place_of(request.args.get("cursor"), of, product_id, "int"))
        seen = Trial(self.database, product, policy, self.versions.clock.now()).a_range(after)
        if seen is None:
            return answer(DryRun(version=number, looked_at=0, asked=[], next_cursor=None))
        with self.database.transaction() as connection:
            found = lists.as_entries(connection, dict(seen.asked))
        on = cursors.made(of, product_id, seen.last) if seen.looked_at >= A_RANGE else None
        asked = [_person(each) for each in found]
        return answer(DryRun(version=number, looked_at=seen.looked_at, asked=asked, next_cursor=on))

    def _shown(self, product: str, number: int) -> Response:
        with self.database.transaction() as connection:
            return answer(_described(connection, product, number))

    # --- changing --------------------------------------------------------------------------

    @needs("manage")
    def propose(self, product: str) -> ResponseReturnValue:
        """Write a policy down as a new version."""
        only_parameters("seen")
        seen, once = _seen(), once_only()
        raw = decoded(POLICY_BODY, body_of(LARGEST, JSON))
        try:
            number = self.versions.propose(product, raw, _actor(), seen=seen, key=once)
        except TooMany as refused:
            raise problem("refused", str(refused), field=refused.problems[0][0]) from None
        except PolicyRefused as refused:
            raise unfit(refused) from None
        except Stale as stale:
            raise problem("stale", str(stale), newest=stale.newest, by=stale.by) from None
        return self._shown(product, number)

    @needs("manage")
    def comment(self, product: str, version: str) -> ResponseReturnValue:
        """Say something of a version, as a code."""
        number, body = _asked(version, _COMMENT)
        self.versions.comment(product, number, body.code, _actor())
        return self._shown(product, number)

    @needs("manage")
    def approve(self, product: str, version: str) -> ResponseReturnValue:
        """Approve a version."""
        return self._done(product, version, self.versions.approve)

    @needs("manage")
    def withdraw(self, product: str, version: str) -> ResponseReturnValue:
        """Take back a version that was never in force."""
        return self._done(product, version, self.versions.withdraw)

    @needs("manage")
    def activate(self, product: str, version: str) -> ResponseReturnValue:
        """Put a version in force, now or at a time."""
        number, body = _asked(version, _ACTIVATE)
        if body.at is None:
            self.versions.activate(product, number, _actor())
        else:
            self.versions.schedule(product, number, body.at, _actor())
        return self._shown(product, number)

    @needs("manage")
    def unschedule(self, product: str, version: str) -> ResponseReturnValue:
        """Call off that a version is put in force at a time."""
        return self._done(product, version, self.versions.unschedule)

    def _done(
        self, product: str, version: str, act: Callable[[str, int, str], None]
    ) -> ResponseReturnValue:
        """Do what needs nothing but to be said."""
        number, _ = _asked(version, _NOTHING)
        act(product, number, _actor())
        return self._shown(product, number)

    # --- the list --------------------------------------------------------------------------

    @needs("read")
    def list_show(self, product: str, version: str) -> ResponseReturnValue:
        """Show the list of a version as a whole."""
        only_parameters()
        return answer(_of_list(self._list(product, _number(version))[1]))

    @needs("read")
    def list_csv(self, product: str, version: str) -> ResponseReturnValue:
        """Give everybody on the list of a version, as they are read."""
        only_parameters()
        product_id, found = self._list(product, _number(version))
        reply = Response(as_csv(everybody(self.database, product_id, found)), mimetype=CSV)
        reply.headers["Content-Disposition"] = (
            f'attachment; filename="{product}-version-{found.version}.csv"'
        )
        reply.set_etag(found.hash)
        return reply

    @needs("read")
    def list_sample(self, product: str, version: str) -> ResponseReturnValue:
        """Show some of the list by chance."""
        only_parameters()
        number = _number(version)
        with self.database.transaction() as connection:
            product_id, found = _list_of(connection, product, number)
            some = lists.sample(connection, product_id, number, SAMPLE)
        return answer(ListSample(found.hash, found.people, [_person(each) for each in some]))

    @needs("manage")
    def list_approve(self, product: str, version: str) -> ResponseReturnValue:
        """Approve the list of a version, as it was read."""
        number, body = _asked(version, _APPROVAL)
        self.versions.approve_list(product, number, body.hash, _actor())
        return answer(_of_list(self._list(product, number)[1]))

    @needs("manage")
    def list_renew(self, product: str, version: str) -> ResponseReturnValue:
        """Have the list of a version made anew by the next sweep."""
        return self._done(product, version, self.versions.make_list_anew)

    def _list(self, product: str, number: int) -> tuple[int, AskList]:
        with self.database.transaction() as connection:
            return _list_of(connection, product, number)


# --- what is told ------------------------------------------------------------------------------


def _described(connection: Connection, product: str, number: int) -> PolicyVersion:
    row = products.row_of(connection, product)
    found = store.version(connection, row.id, number)
    in_force = row.policy_version
    before = None if in_force is None else read(store.version(connection, row.id, in_force))
    plan = plans.of(connection, row.id) if number == in_force else None
    told = store.told_of(connection, row.id, number)
    return PolicyVersion(
        **_standing(found, in_force),
        policy=dict(found.body),
        forecast=None if found.forecast is None else dict(found.forecast),
        compared_with=in_force,
        changes=[Difference(**asdict(each)) for each in differences(before, read(found))],
        story=[VersionLine(**asdict(each)) for each in told],
        planned=None if plan is None else round(plan.share, 4),
    )


def _standing(version: Version, in_force: int | None) -> dict[str, Any]:
    same = {name: getattr(version, name) for name in _SAME}
    agreed = [Approval(each.actor, each.at) for each in version.approvals]
    return same | {"state": state_of(version, in_force), "approvals": agreed}


_SAME = [name for name in ListedVersion.__struct_fields__ if name not in ("state", "approvals")]


def _list_of(connection: Connection, product: str, number: int) -> tuple[int, AskList]:
    product_id = products.row_of(connection, product).id
    found = lists.of(connection, product_id, number)
    if found is None:
        raise problem("not-found")
    return product_id, found


def _of_list(found: AskList) -> ListToAsk:
    over: ListState = "in_work" if found.done_at is None else "done"
    return ListToAsk(state="waiting" if found.waits else over, **asdict(found))


def _person(entry: Entry) -> ListedPerson:
    facts = asdict(entry)
    name = facts.pop("external_id")
    return ListedPerson(**facts | {"id": name})


def _asked(version: str, decoder: "msgspec.json.Decoder[Any]") -> tuple[int, Any]:
    """Read the number and the body of a call that changes something."""
    only_parameters()
    return _number(version), decoded(decoder, body_of(SMALL, JSON))


def _number(text: str) -> int:
    """Read the number of a version; 404 where it is none."""
    if not _NUMBER.fullmatch(text):
        raise problem("not-found")
    return int(text)


def _seen() -> int | None:
    text = request.args.get("seen")
    if text is not None and not _SEEN.fullmatch(text):
        mend = "It is the number of the newest version that you know of, 0 for none."
        raise problem("invalid-parameter", mend, field="seen")
    return None if text is None else int(text)


def once_only() -> str | None:
    """Give the key that a call is made once under; None where it carries none."""
    given = request.headers.get(ONCE)
    if given is not None and not _ONCE.fullmatch(given):
        mend = "It is one name of 1 to 255 visible ASCII characters."
        raise problem("invalid-parameter", mend, field=ONCE)
    return given


def _actor() -> str:
    return f"api:{key().id}"
