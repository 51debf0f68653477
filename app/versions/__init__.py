"""Versions of a policy and the people behind them: one proposes, another approves, then it counts.

`Versions` is what command, API and console all call. Nothing here looks at a person; what a version
leads to is the sweep's. Putting a version in force changes the next notice, never the last one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection

from app import guards
from app import policy as policies
from app.clock import Clock
from app.errors import Conflict, Refused
from app.forecast import Forecast, Forecaster
from app.mirror import needs_replan
from app.policy import Policy, PolicyRefused, Problem, Share
from app.store import cases, lists, pace, plans, products
from app.store import versions as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.lists import AskList
from app.store.products import Product
from app.store.versions import Version

FARTHEST = timedelta(days=366)
"""A version is put in force within this time, or proposed again by then."""


class Comment(StrEnum):
    """What somebody says of a version: a code, never words of their own."""

    LOOKS_RIGHT = "looks_right"
    TOO_MANY_PEOPLE = "too_many_people"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    WRONG_SEGMENT = "wrong_segment"
    NUMBERS_WANTED = "numbers_wanted"
    TALK_FIRST = "talk_first"


class State(StrEnum):
    """Where a version stands."""

    PROPOSED = "proposed"
    SCHEDULED = "scheduled"
    IN_FORCE = "in_force"
    WAS_IN_FORCE = "was_in_force"
    WITHDRAWN = "withdrawn"


class Stale(Conflict):
    """Somebody else has proposed a version since the caller looked: `newest`, by `by`."""

    def __init__(self, newest: int, by: str) -> None:
        """Name who was quicker."""
        super().__init__(
            f"version {newest} was proposed meanwhile, by {by}",
            "look at how it differs from yours, and propose again if yours is still what you want",
        )
        self.newest, self.by = newest, by


class TooMany(PolicyRefused):
    """A policy would ask more people at once than its own guards allow."""


def state_of(version: Version, in_force: int | None) -> State:
    """Say where a version stands, beside the one in force."""
    if version.version == in_force:
        return State.IN_FORCE
    if version.withdrawn_at is not None:
        return State.WITHDRAWN
    if version.activate_at is not None:
        return State.SCHEDULED
    return State.PROPOSED if version.activated_at is None else State.WAS_IN_FORCE


def read(version: Version) -> Policy:
    """Give the policy that a version is."""
    kept = version.activated_at is not None
    return policies.read(version.body, version=version.version, kept=kept)


def behind(version: Version, since: datetime | None) -> frozenset[str]:
    """Give who stands behind a version: who proposed it, and who approved what would change.

    What was approved before another version was put in force (`since`) was another change.
    """
    agreed = (each.actor for each in version.approvals if since is None or each.at >= since)
    return frozenset((version.proposed_by, *agreed))


@dataclass(frozen=True, slots=True)
class Versions:
    """Everything that people do to versions of a policy."""

    database: Database
    clock: Clock
    forecaster: Forecaster

    @classmethod
    def on(cls, database: Database, clock: Clock) -> "Versions":
        """Put it on a database, with a forecaster of its own."""
        return cls(database, clock, Forecaster(database, clock))

    # --- proposing -------------------------------------------------------------------------

    def propose(  # noqa: PLR0913 - switches, by name
        self,
        product_key: str,
        raw: object,
        actor: str,
        *,
        seen: int | None = None,
        key: str | None = None,
        caps: bool = True,
    ) -> int:
        """Write a policy down as a new version, with its forecast; give the version's number.

        `seen` is the newest version that the caller knew of (0 for none): Stale where there is a
        newer one. `key` names what is proposed: the same again gives the same version. With `caps`
        a policy that would ask more people at once than its guards allow is refused. Raises
        PolicyRefused with every problem by its field.
        """
        product = self._product(product_key)
        with self.database.transaction() as connection:
            made = _made_once(connection, product.id, key)
        if made is not None:
            return _the_same(made, raw, actor)
        checked = policies.read(raw, inherit=product.policy)
        guards.check_policy(product, checked)
        body = policies.write(checked)
        expected = self.forecaster.forecast(product_key, checked)
        with self.database.transaction() as connection:
            store.take_turns(connection, product.id)
            made = _made_once(connection, product.id, key)
            if made is not None:
                return _the_same(made, raw, actor)
            if caps:
                _refuse_above_caps(connection, product, checked, expected)
            _refuse_stale(connection, product.id, seen)
            number = store.propose(
                connection,
                product.id,
                body,
                actor,
                self.clock.now(),
                based_on=product.policy_version,
                once=key,
                forecast=_kept(expected),
            )
            self._note(connection, product.id, "policy_proposed", "by_hand", number, actor)
        return number

    def comment(self, product_key: str, number: int, comment: Comment, actor: str) -> None:
        """Say something of a version, as a code."""
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product_key).id
            store.version(connection, product_id, number)
            self._note(connection, product_id, "policy_commented", comment, number, actor)

    def approve(self, product_key: str, number: int, actor: str) -> None:
        """Approve a version; Conflict for who proposed it, where others must agree."""
        with self.database.transaction() as connection:
            product = _in_turn(connection, product_key)
            version = _living(store.version(connection, product.id, number))
            if version.proposed_by == actor and product.approvals > 1:
                mend = _command("approve", product.key, number)
                raise Conflict(
                    f"you proposed version {number} yourself",
                    f"somebody else reads and approves it: {mend} --actor NAME",
                )
            store.approve(connection, product.id, number, actor, self.clock.now())
            self._note(connection, product.id, "policy_approved", "by_hand", number, actor)

    def withdraw(self, product_key: str, number: int, actor: str) -> None:
        """Take back a version that was never in force."""
        with self.database.transaction() as connection:
            product_id = _in_turn(connection, product_key).id
            version = _living(store.version(connection, product_id, number))
            if version.activated_at is not None:
                raise Conflict(
                    f"version {number} has been in force",
                    "put another version in force instead",
                )
            store.withdraw(connection, product_id, number, actor, self.clock.now())
            self._note(connection, product_id, "policy_withdrawn", "by_hand", number, actor)

    # --- putting in force ------------------------------------------------------------------

    def activate(self, product_key: str, number: int, actor: str) -> bool:
        """Put a version in force now; say whether people may now be due earlier than planned.

        One that was in force before is put back: it has been agreed on. Where people may be due
        earlier, the planning that follows is written down, and `app.versions.planning` walks it.
        """
        self._check_billing(product_key, number)
        with self.database.transaction() as connection:
            product = _in_turn(connection, product_key)
            version = store.version(connection, product.id, number)
            return self._put_in_force(connection, product, version, actor, "by_hand")

    def schedule(self, product_key: str, number: int, at: datetime, actor: str) -> None:
        """Have a version put in force at a moment (aware); everything is checked again then."""
        now = self.clock.now()
        if at.tzinfo is None:
            raise Refused("the time has no offset", "write it as 2026-12-01T08:00:00Z")
        if not now < at <= now + FARTHEST:
            raise Refused(
                "a version is put in force later than now and within a year",
                "choose another time, or put it in force now",
            )
        at = at.astimezone(UTC)
        self._check_billing(product_key, number)
        with self.database.transaction() as connection:
            product = _in_turn(connection, product_key)
            self._check(connection, product, store.version(connection, product.id, number))
            other = store.scheduled(connection, product.id)
            if other is not None and other.version != number:
                raise Conflict(
                    f"version {other.version} is to be put in force at {other.activate_at:%F %R}"
                    " UTC",
                    f"{_command('unschedule', product_key, other.version)} calls that off",
                )
            store.schedule(connection, product.id, number, at, actor)
            self._note(connection, product.id, "policy_scheduled", f"{at:%F %R}", number, actor)

    def unschedule(self, product_key: str, number: int, actor: str) -> None:
        """Call off that a version is put in force at a time."""
        with self.database.transaction() as connection:
            product_id = _in_turn(connection, product_key).id
            if store.version(connection, product_id, number).activate_at is None:
                raise Conflict(f"version {number} waits for no time", "nothing is to be called off")
            store.schedule(connection, product_id, number, None, actor)
            self._note(connection, product_id, "policy_unscheduled", "by_hand", number, actor)

    def activate_due(self, product_key: str) -> int:
        """Put in force what was to be by now; give how many versions were.

        One that may not be any more is put off with the code of the reason, and stands as such.
        """
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product_key).id
            due = store.scheduled(connection, product_id)
        now = self.clock.now()
        if due is None or not _is_due(due, now):
            return 0
        try:
            self._check_billing(product_key, due.version)
            with self.database.transaction() as connection:
                product = _in_turn(connection, product_key)
                # Whoever called it off or moved it while this one waited for the turn was first.
                version = store.version(connection, product.id, due.version)
                if not _is_due(version, now):
                    return 0
                actor = version.activate_by or "clock"
                self._put_in_force(connection, product, version, actor, "scheduled")
        except Refused as refused:
            return self._put_off(product_key, due.version, PUT_OFF.get(type(refused), "conflict"))
        return 1

    def _put_off(self, product_key: str, number: int, why: str) -> int:
        with self.database.transaction() as connection:
            product_id = _in_turn(connection, product_key).id
            if not _is_due(store.version(connection, product_id, number), self.clock.now()):
                return 0
            store.put_off(connection, product_id, number, why)
            self._note(connection, product_id, "policy_put_off", why, number, "clock")
        return 1

    def _put_in_force(
        self, connection: Connection, before: Product, version: Version, actor: str, why: str
    ) -> bool:
        number, now = version.version, self.clock.now()
        self._check(connection, before, version)
        store.activate(connection, before.id, number, actor, now)
        pace.begin_anew(connection, before.id, number)
        lists.drop(connection, before.id, number)
        why = why if version.activated_at is None else "put_back"
        self._note(connection, before.id, "policy_activated", why, number, actor)
        earlier = needs_replan(before, products.load(connection, before.key))
        if earlier:
            plans.begin(connection, before.id, number, now)
        return earlier

    def _check_billing(self, product_key: str, number: int) -> None:
        """Refuse what billing cannot do; outside of transactions, since it may read a file."""
        product = self._product(product_key)
        with self.database.transaction() as connection:
            version = store.version(connection, product.id, number)
        guards.check_policy(product, read(version))

    def _check(self, connection: Connection, product: Product, version: Version) -> None:
        """Refuse a version that may not be put in force as things stand."""
        number = _living(version).version
        if number == product.policy_version:
            raise Conflict(f"version {number} is in force", "nothing has to be done")
        if version.activated_at is not None:
            return
        people = behind(version, store.last_put_in_force(connection, product.id))
        if len(people) < product.approvals:
            raise Conflict(
                f"version {number} needs {product.approvals} people and has {len(people)}",
                f"somebody else: {_command('approve', product.key, number)} --actor NAME",
            )

    # --- the list --------------------------------------------------------------------------

    def approve_list(self, product_key: str, number: int, seen: str, actor: str) -> AskList:
        """Approve whom a version would ask at once, as a list of hash `seen`; give the list.

        Conflict for who put the version in force, and where the list is another by now.
        """
        now = self.clock.now()
        with self.database.transaction() as connection:
            product = _in_turn(connection, product_key)
            version = store.version(connection, product.id, number)
            found = lists.of(connection, product.id, number)
            if product.policy_version != number or found is None:
                raise Conflict(
                    f"version {number} has no list that waits", "reload to see how it stands now"
                )
            if found.hash != seen:
                raise Conflict("the list is another by now", "read it again before you approve it")
            if version.activated_by == actor:
                raise Conflict(
                    f"you put version {number} in force yourself",
                    "somebody else reads the list and approves it",
                )
            if found.waits:
                lists.approve(connection, product.id, number, actor, now)
                guards.begin_ramp(connection, product, found.people)
                self._note(connection, product.id, "list_approved", "by_hand", number, actor)
        return found

    def make_list_anew(self, product_key: str, number: int, actor: str) -> None:
        """Have the list of a version made anew by the next sweep; not once it is approved."""
        with self.database.transaction() as connection:
            product_id = _in_turn(connection, product_key).id
            found = lists.of(connection, product_id, number)
            if found is None or not found.waits:
                raise Conflict(
                    f"version {number} has no list that waits", "reload to see how it stands now"
                )
            lists.drop(connection, product_id, number)
            self._note(connection, product_id, "list_dropped", "by_hand", number, actor)

    # --- inside ----------------------------------------------------------------------------

    def _product(self, product_key: str) -> Product:
        with self.database.transaction() as connection:
            return products.load(connection, product_key)

    def _note(  # noqa: PLR0913, PLR0917 - a line of history
        self,
        connection: Connection,
        product_id: int,
        what: str,
        why: str,
        number: int,
        actor: str,
    ) -> None:
        line = HistoryWrite(None, None, what, why, number)
        cases.insert_history(connection, product_id, self.clock.now(), actor, [line])


PUT_OFF: Mapping[type[Refused], str] = {PolicyRefused: "billing_cannot", Conflict: "not_approved"}
"""Why a version was not put in force at its time, by what was raised."""


def _is_due(version: Version, now: datetime) -> bool:
    return version.activate_at is not None and version.activate_at <= now


def _in_turn(connection: Connection, product_key: str) -> Product:
    """Give a product as it stands once nobody else is changing its versions."""
    store.take_turns(connection, products.row_of(connection, product_key).id)
    return products.load(connection, product_key)


def _command(what: str, product_key: str, number: int) -> str:
    return f"reconfirm policy {what} {product_key} {number}"


def _made_once(connection: Connection, product_id: int, key: str | None) -> Version | None:
    return None if key is None else store.made_once(connection, product_id, key)


def _the_same(made: Version, raw: object, actor: str) -> int:
    """Give the version that was made already; Conflict where it was not this one.

    What the first call took over from the policy then in force is taken over again, and not checked
    again: the answer to a call that was repeated is that of the first.
    """
    body = policies.write(policies.read(raw, inherit=read(made)))
    if made.proposed_by != actor or made.body != body:
        raise Conflict(
            f"this was sent before, as version {made.version}",
            "propose what you have changed since as a new one",
        )
    return made.version


def _refuse_stale(connection: Connection, product_id: int, seen: int | None) -> None:
    newest = store.newest(connection, product_id)
    if seen is not None and newest > max(0, seen):
        raise Stale(newest, store.version(connection, product_id, newest).proposed_by)


def _living(version: Version) -> Version:
    if version.withdrawn_at is not None:
        raise Conflict(f"version {version.version} was withdrawn", "propose it again")
    return version


def _kept(expected: Forecast) -> Mapping[str, Any]:
    """Give what is kept of a forecast: all but the single days."""
    told: dict[str, Any] = msgspec.to_builtins(expected)
    for each in (told["proposed"], told["in_force"]):
        if each is not None:
            del each["days"], each["weeks"]
    return told


def _refuse_above_caps(
    connection: Connection, product: Product, policy: Policy, expected: Forecast
) -> None:
    """Refuse a policy without a ramp that its own guard would stop on the first day."""
    share = policy.guards.max_newly_due_share
    if policy.pace.ramp != (1.0,) or share >= 1:
        return
    living = pace.living(connection, product.id, guards.EXACT)
    at_most = guards.most_at_once(living, share)
    many = expected.proposed.tomorrow
    if many > at_most:
        wrong = (
            f"would ask {many:,} people at once, more than {Share().write(share)} of"
            f" {living:,} ({at_most:,})"
        )
        mend = (
            'begin with fewer, such as [10, 100, "1%", "10%", "100%"], choose a longer threshold,'
            " or raise guards.max_newly_due_share"
        )
        raise TooMany([Problem("pace.ramp", wrong, mend)])
