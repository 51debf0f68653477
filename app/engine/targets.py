"""Setting up erasure targets: what is checked before a system is told to erase anything.

Whatever is changed about how a target is reached, or what it holds, has to be tried anew where its
kind asks for that.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app import signing
from app.clock import Clock
from app.engine.receipts import LAST, no_target
from app.errors import Conflict, NotFound, Refused
from app.store import cases, products, receipts, targets
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.targets import Target
from app.world import erasure
from app.world.erasing import CATEGORY, MOST_CATEGORIES, Kind, fits
from app.world.hooks import checked_url

KEY = re.compile(r"[a-z][a-z0-9-]{0,40}")
MOST_TARGETS = 50
URL = "url"
_LAST = fits(r"yes|no", "yes or no")


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of products, for who sets them up; `local` is the test mode."""

    database: Database
    clock: Clock
    local: bool = False

    def add(  # noqa: PLR0913, PLR0917 - whose, which, what and by whom
        self,
        product_key: str,
        key: str,
        kind: str,
        categories: Sequence[str],
        settings: Mapping[str, str],
        actor: str,
    ) -> str | None:
        """Add a target; give the secret that its requests are signed with, where they are.

        Refused or Conflict names what is wrong, and the mend.
        """
        if not KEY.fullmatch(key):
            raise Refused(
                f"{key[:60]!r} is no key of a target",
                "a key is lower-case letters, digits and dashes, such as crm",
            )
        known = kind_of(kind)
        held = _categories(known, categories)
        read = self._settings(known, {}, settings, held)
        secret = signing.new_secret() if known.signs else None
        values = {
            "key": key,
            "kind": kind,
            "categories": held,
            "settings": read,
            "secrets": [secret] if secret else [],
            "created_by": actor,
            "created_at": self.clock.now(),
        }

        def work(connection: Connection) -> None:
            number = products.row_of(connection, product_key).id
            live = targets.live(connection, number)
            if any(each.key == key for each in live):
                raise Conflict(f"{product_key} has a target {key!r} already", "take another key")
            if len(live) >= MOST_TARGETS:
                raise Conflict(f"{product_key} has {MOST_TARGETS} targets", "retire one first")
            targets.add(connection, number, values)
            self._note(connection, number, "target_added", key, actor)

        self.database.retrying(work)
        return secret

    def change(
        self,
        product_key: str,
        key: str,
        categories: Sequence[str],
        settings: Mapping[str, str],
        actor: str,
    ) -> Target:
        """Change settings, an empty one being taken out, and categories where some are given.

        While the target owes a receipt its categories stay: it was told of those.
        """

        def work(connection: Connection) -> Target:
            number, found = self._found(connection, product_key, key)
            known = kind_of(found.kind)
            held = _categories(known, categories) if categories else list(found.categories)
            if sorted(held) != sorted(found.categories):
                _refuse_owing(connection, found, "its categories cannot change")
            read = self._settings(known, found.settings, settings, held)
            targets.set_up(connection, found.id, held, read)
            self._note(connection, number, "target_set", key, actor)
            return self._found(connection, product_key, key)[1]

        return self.database.retrying(work)

    def rotate(self, product_key: str, key: str, actor: str, *, finish: bool) -> str | None:
        """Give a target a new secret, both signing until `finish`, which drops the older."""
        secret = None if finish else signing.new_secret()

        def work(connection: Connection) -> None:
            number, found = self._found(connection, product_key, key)
            if not kind_of(found.kind).signs:
                raise Refused(f"requests to {key} are not signed: it is of kind {found.kind}")
            targets.set_secrets(connection, found.id, _rotated(found, secret))
            self._note(connection, number, "target_rotated", key, actor)

        self.database.retrying(work)
        return secret

    def retire(self, product_key: str, key: str, actor: str) -> None:
        """Tell a target nothing more; Conflict while it owes receipts."""

        def work(connection: Connection) -> None:
            number, found = self._found(connection, product_key, key)
            _refuse_owing(connection, found, "it cannot be retired")
            targets.retire(connection, found.id, self.clock.now())
            self._note(connection, number, "target_retired", key, actor)

        self.database.retrying(work)

    # --- trying ------------------------------------------------------------------------------

    def to_try(
        self, product_key: str, key: str, subscription: str | None
    ) -> tuple[Target, str, str | None]:
        """Give a target, and the id and customer of who it is tried on: somebody named, or any."""
        with self.database.transaction() as connection:
            number, found = self._found(connection, product_key, key)
            probed = targets.probed(connection, number, subscription)
        if probed is None:
            raise NotFound(
                f"{product_key} has no such subscription to try it on",
                "name one with --subscription, as billing calls it",
            )
        return found, *probed

    def tried(self, product_key: str, target: Target, found: Mapping[str, int], actor: str) -> None:
        """Write what a trial found; Conflict where the target was changed meanwhile."""

        def work(connection: Connection) -> None:
            number = products.row_of(connection, product_key).id
            if not targets.note_trial(connection, target, found, self.clock.now()):
                raise Conflict(f"target {target.key} was changed meanwhile", "try it again")
            self._note(connection, number, "target_tried", target.key, actor)

        self.database.retrying(work)

    # --- what many of these do ---------------------------------------------------------------

    def _found(self, connection: Connection, product_key: str, key: str) -> tuple[int, Target]:
        number = products.row_of(connection, product_key).id
        found = targets.named(connection, number, key)
        if found is None:
            raise no_target(product_key, key)
        return number, found

    def _settings(
        self,
        kind: Kind,
        before: Mapping[str, Any],
        given: Mapping[str, str],
        categories: Sequence[str],
    ) -> dict[str, Any]:
        """Give the settings after a change, checked by what the kind allows."""
        readers = {**kind.settings, LAST: _LAST}
        found = dict(before)
        for name, value in given.items():
            if name not in readers:
                there = ", ".join(sorted(readers))
                raise Refused(f"there is no setting {name[:60]!r}", f"there are: {there}")
            if not value:
                found.pop(name, None)
                continue
            try:
                found[name] = readers[name](value)
            except ValueError as error:
                raise Refused(f"the setting {name} is not usable", str(error)) from None
        missing = [name for name in kind.needed if name not in found]
        if missing:
            raise Refused(
                f"settings are missing: {', '.join(missing)}", "give each with --setting name=value"
            )
        if URL in found:
            found[URL] = checked_url(str(found[URL]), local=self.local)
        kind.check(found, categories)
        return found

    def _note(
        self, connection: Connection, product_id: int, what: str, key: str, actor: str
    ) -> None:
        line = HistoryWrite(None, None, what, key, None)
        cases.insert_history(connection, product_id, self.clock.now(), actor, [line])


def kind_of(name: str) -> Kind:
    """Give a kind of targets by its name; NotFound names those there are."""
    found = erasure.kind(name)
    if found is None:
        raise NotFound(
            f"there is no kind of target {name[:60]!r}",
            f"there are: {', '.join(erasure.names())}",
        )
    return found


def _categories(kind: Kind, given: Sequence[str]) -> list[str]:
    """Give the categories a target is registered with, in order."""
    named = sorted(set(given))
    if kind.categories:
        if named and named != sorted(kind.categories):
            raise Refused(
                f"{kind.title} accounts for {', '.join(kind.categories)}, and nothing else",
                "leave --category out",
            )
        return list(kind.categories)
    if not 1 <= len(named) <= MOST_CATEGORIES:
        raise Refused(
            "a target needs the categories of data that it holds",
            f"name 1 to {MOST_CATEGORIES} with --category, such as profile",
        )
    wrong = next((each for each in named if not CATEGORY.fullmatch(each)), None)
    if wrong is not None:
        raise Refused(
            f"{wrong[:60]!r} is no name of a category",
            "use lower-case letters, digits and underscores, such as watch_history",
        )
    return named


def _rotated(found: Target, secret: str | None) -> list[str]:
    if secret is None:
        if len(found.secrets) < 2:  # noqa: PLR2004 - the new and the old
            raise Conflict(f"target {found.key} is not rotating", "run it without --finish first")
        return list(found.secrets[:1])
    if len(found.secrets) > 1:
        raise Conflict(f"target {found.key} is rotating already", "run it with --finish first")
    return [secret, *found.secrets]


def _refuse_owing(connection: Connection, target: Target, what: str) -> None:
    many = receipts.owed_by(connection, target.id)
    if many:
        raise Conflict(
            f"target {target.key} owes {many} receipts: {what}",
            "wait for them; where it can give none any more, `reconfirm target answer` gives them",
        )
