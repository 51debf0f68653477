"""What an erasure target is told and answers, and when what it answers may be believed.

Each file of `app/world/erasure` is one kind of target and names it in `KIND`; nothing else lists
them. A target is a system that holds data of a product's subscribers. It is told to erase those of
one subscription, and owes a receipt: what it has erased, and what it must keep, on which ground and
until when. A receipt counts only where it accounts for every category of data that the target was
registered with.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Engine

from app.clock import Clock
from app.errors import Refused
from app.world.document import Unreadable
from app.world.hooks import Sender
from app.world.outcome import Later, No

# --- what is asked for -----------------------------------------------------------------------

CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,40}")
"""The name of a category of data: the same names as in a policy's `keep_categories`."""
MOST_CATEGORIES = 50
EMAIL = "email"
"""The setting by which a target asks for the address, too: `yes`; without it none is sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to erase, the same on every try.

    `subscription` and `customer` are their ids at billing; `stays` says that the customer has other
    subscriptions that are not erased, so that what belongs to the customer as such must not go.
    `email` is None unless the target asks for it. `keep` says of categories until which day they
    may be kept at most. `key` is the same on every try, `at` is when the erasure began, and `token`
    is what proves a receipt that comes later.
    """

    erasure: str
    product: str
    target: str
    subscription: str
    customer: str | None
    categories: tuple[str, ...]
    keep: Mapping[str, date]
    key: str
    at: datetime
    token: str = field(repr=False)
    stays: bool = False
    email: str | None = field(default=None, repr=False)


# --- what is answered ------------------------------------------------------------------------

LEGAL_OBLIGATION = "legal_obligation"
LEGAL_CLAIM = "legal_claim"
CONTRACT = "contract"
GROUNDS = (LEGAL_OBLIGATION, LEGAL_CLAIM, CONTRACT)
"""Why data may be kept: the law asks for it, a claim is open, a contract still runs."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A category that is kept: on which ground, and until which day.

    Only a contract may have no such day: nobody knows when it ends.
    """

    category: str
    why: str
    until: date | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of each category of data of one erasure."""

    erasure: str
    erased: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """The target has erased, and says so at once."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Accepted:
    """The target knows that it is to erase; its receipt comes later."""


Answer: TypeAlias = Given | Accepted | Later | No
"""What came of telling a target, as a value; a No waits for a person."""


# --- whether it may be believed --------------------------------------------------------------

LONGEST_KEPT = timedelta(days=36525)
"""A hundred years, as a policy may say at most: nothing is kept for ever."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What a receipt must account for: each category of one erasure, and what may be kept."""

    erasure: str
    categories: tuple[str, ...]
    keep: Mapping[str, date]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a receipt is not believed: a code, and the same in words; neither repeats what came."""

    code: str
    says: str


def fault_of(receipt: Receipt, owed: Owed, today: date) -> Fault | None:
    """Say what is wrong with a receipt; None where it may be believed.

    It has to be of this erasure, and to name each registered category once and no other. What is
    kept needs a ground, and a day to come until which it is, no later than the policy allows.
    """
    if receipt.erasure != owed.erasure:
        return Fault("another erasure", "it does not repeat the id of this erasure")
    named = [*receipt.erased, *(each.category for each in receipt.kept)]
    if not set(named) <= set(owed.categories):
        registered = ", ".join(owed.categories)
        return Fault("unknown category", f"it names a category that is none of: {registered}")
    twice = next((each for each in owed.categories if named.count(each) > 1), None)
    if twice is not None:
        return Fault("category twice", f"it names {twice} more than once: erased or kept, not both")
    missing = next((each for each in owed.categories if each not in named), None)
    if missing is not None:
        return Fault("category left out", f"it says nothing of {missing}: name it erased or kept")
    found = (_fault_of_kept(each, owed.keep.get(each.category), today) for each in receipt.kept)
    return next((each for each in found if each is not None), None)


def _fault_of_kept(kept: Kept, longest: date | None, today: date) -> Fault | None:
    name = kept.category
    if kept.why not in GROUNDS:
        grounds = ", ".join(GROUNDS)
        return Fault("no ground", f"{name} is kept on a ground that is none of: {grounds}")
    limit = longest or today + LONGEST_KEPT
    if kept.until is None:
        endless = kept.why == CONTRACT and longest is None
        says = f"{name} is kept without a day until when; it may be until {limit}"
        return None if endless else Fault("kept without end", says)
    if kept.until <= today:
        return Fault("kept until the past", f"{name} is kept until a day that is not to come")
    if kept.until > limit:
        return Fault("kept too long", f"{name} is kept for longer than until {limit}")
    return None


# --- how it is written -----------------------------------------------------------------------


def written(receipt: Receipt) -> dict[str, Any]:
    """Give the body of a receipt as it is stored and shown, in one order however it came."""
    return {
        "erased": sorted(receipt.erased),
        "kept": [
            {
                "category": each.category,
                "why": each.why,
                "until": None if each.until is None else each.until.isoformat(),
            }
            for each in sorted(receipt.kept, key=lambda each: each.category)
        ],
    }


def read(said: Mapping[str, Any]) -> Receipt:
    """Read a receipt out of a document; Unreadable names what is missing, and repeats nothing.

    Whether it may be believed is for `fault_of` to say.
    """
    erasure = said.get("erasure")
    if not isinstance(erasure, str):
        raise Unreadable("erasure is missing: repeat the id of the request")
    erased, kept = said.get("erased", []), said.get("kept", [])
    if not _is_list(erased, str) or not all(map(CATEGORY.fullmatch, erased)):
        raise Unreadable("erased is no list of categories")
    if not _is_list(kept, dict):
        raise Unreadable("kept is no list of objects")
    if "erased" not in said and "kept" not in said:
        raise Unreadable("it says neither what was erased nor what is kept")
    return Receipt(erasure, tuple(erased), tuple(_read_kept(each) for each in kept))


def _is_list(found: Any, kind: type) -> bool:
    return (
        isinstance(found, list)
        and len(found) <= MOST_CATEGORIES
        and all(isinstance(each, kind) for each in found)
    )


def _read_kept(said: Mapping[str, Any]) -> Kept:
    category, why, until = said.get("category"), said.get("why"), said.get("until")
    if not isinstance(category, str) or not CATEGORY.fullmatch(category):
        raise Unreadable("kept.category is no category")
    if not isinstance(why, str):
        raise Unreadable("kept.why is missing")
    if until is None:
        return Kept(category, why, None)
    try:
        # Only the one way of writing a day: `date` also reads others.
        day = date.fromisoformat(until)
    except (ValueError, TypeError):
        day = None
    if day is None or day.isoformat() != until:
        raise Unreadable("kept.until is no day: write it as 2036-12-31")
    return Kept(category, why, day)


# --- one target ------------------------------------------------------------------------------


class Target(Protocol):
    """What can be told to erase, and tried before."""

    def erase(self, request: Request) -> Answer:
        """Have it erase; running it again under the same key has no further effect.

        An earlier try may have no known outcome, so whoever can look does so first. Nothing that
        the other side says or does raises anything.
        """

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:
        """Say without changing anything how much there is of somebody, by what it is.

        Raises Refused where that cannot be found out, naming the mend.
        """


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target works: one product's, with whatever a kind may need of its surroundings.

    `settings` are as its kind has read them; `tried` says that it was tried since they were set.
    `billing_key` is the product's API key at billing, `pace` waits until one more call may be made
    to that account, of so many a second, and `answers` is the address that takes receipts, for an
    erasure's id.
    """

    product: str
    target: str
    categories: tuple[str, ...]
    settings: Mapping[str, Any]
    clock: Clock
    engine: Engine
    sender: Sender
    secrets: Sequence[str] = field(default=(), repr=False)
    tried: bool = False
    billing_key: str | None = field(default=None, repr=False)
    pace: Callable[[int], None] = lambda _: None
    answers: Callable[[str], str] = lambda _: ""


Reader = Callable[[str], Any]
"""Reads a setting as it is given into what is kept (plain JSON); ValueError says what is wrong."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of target, as its file describes it.

    `connect` raises Refused, naming the mend, where it lacks what it needs. `settings` are those it
    knows, and `needed` those it cannot be without. `categories`: it accounts for these and no
    others, whatever a product calls them. `signs`: what it is told is signed with secrets of its
    own. `tried_first`: it is told nothing before it was tried. `check` looks at the settings as a
    whole, beside the categories.
    """

    title: str
    connect: Callable[[Place], Target]
    settings: Mapping[str, Reader] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    signs: bool = False
    tried_first: bool = False
    check: Callable[[Mapping[str, Any], Sequence[str]], None] = lambda *_: None


NOT_TRIED = No("not tried")
"""What a target says that has to be tried before it may erase, and was not."""


def fits(pattern: str, says: str) -> Reader:
    """Give what reads a setting that is text of a pattern; `says` describes what to write."""

    def read_one(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ValueError(f"write {says}")
        return given

    return read_one


PATH = fits(r"[^\s\x00-\x1f][^\x00-\x1f]{0,499}", "the path of a file")
"""Reads a setting that names a file of this machine's."""


def held_in(path: str, what: str) -> str:
    """Give what a file holds, without space around it; Refused where it cannot be read or is empty.

    What it holds is a secret, so that no error repeats it.
    """
    try:
        held = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise Refused(
            f"the file of {what} cannot be read: {type(error).__name__}",
            "put it there, readable for this account",
        ) from None
    if not held:
        raise Refused(f"the file of {what} is empty", "write it there")
    return held
