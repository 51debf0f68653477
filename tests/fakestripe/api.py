"""The routes: which handler answers what, with which parameters, and what is expanded."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fakestripe import events
from tests.fakestripe.account import VERSION, Account
from tests.fakestripe.book import KINDS, PREFIXES, Any_, Book
from tests.fakestripe.errors import Refused, invalid, missing
from tests.fakestripe.events import Event
from tests.fakestripe.hooks import pending
from tests.fakestripe.records import Customer, Record
from tests.fakestripe.shapes import Shape, listed
from tests.fakestripe.wire import Given

PAGING = "limit starting_after ending_before"
MOST = 100
DEEPEST = 4
"""Steps of an `expand`."""


@dataclass
class Request:
    """What a handler sees."""

    book: Book
    account: Account
    path: str
    given: Given
    version: str
    ids: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.ids[0]

    def the(self, kind: type[Any_]) -> Any_:
        """Give the object the path names, and look at its clock."""
        return self.named(kind, self.id, param="id")

    def named(self, kind: type[Any_], id_: str, *, param: str) -> Any_:
        """Give an object by its id; one of the other mode is refused in words of its own."""
        found = self.book.find(kind, id_)
        if found is None:
            other = self.account.test if self.book.live else self.account.live
            mode = "live" if other.live else "test"
            known = other.find(kind, id_) is not None
            raise missing(KINDS[kind][1], id_, param=param, other_mode=mode if known else None)
        self.book.look_at(
            found.id if isinstance(found, Customer) else getattr(found, "customer", None)
        )
        return found


Handler = Callable[[Request], Record | Shape]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    allowed: frozenset[str]
    handler: Handler


ROUTES: list[Route] = []


def route(method: str, path: str, allowed: str = "") -> Callable[[Handler], Handler]:
    """Register a handler for `/v1/things/{id}`; parameters that are not `allowed` are refused."""
    pattern = re.compile(re.sub(r"\{\w+\}", r"([^/]+)", path))

    def registered(handler: Handler) -> Handler:
        words = frozenset(allowed.split()) | {"expand"}
        ROUTES.append(Route(method, pattern, words, handler))
        return handler

    return registered


def answer(method: str, request: Request) -> Shape:
    """Do what is asked and give the JSON of the answer."""
    for each in ROUTES:
        match = each.pattern.fullmatch(request.path)
        if match is not None and each.method == method:
            request.given.only(each.allowed)
            request.ids = match.groups()
            said = each.handler(request)
            said = shown(request.book, said, request.account) if isinstance(said, Record) else said
            for path in request.given.texts("expand"):
                _expand(request, said, path.split("."), path)
            return said
    raise unknown(method, request.path)


def unknown(method: str, path: str) -> Refused:
    """Give the refusal of a path that is none."""
    message = f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs."
    return Refused(message, status=404, began=False)


def shown(book: Book, record: Record, account: Account | None = None) -> Shape:
    """Give the JSON of a record; of a deleted customer little is left."""
    if isinstance(record, Event):
        version = VERSION if account is None else account.version
        waits = pending(book, record.id)
        return events.event(record, live=book.live, version=version, pending=waits)
    if isinstance(record, Customer) and record.deleted:
        return {"id": record.id, "object": "customer", "deleted": True}
    return events.shape(record, live=book.live)


def page(
    request: Request,
    kind: type[Any_],
    keep: Callable[[Any_], bool] = lambda _: True,
    ids: Sequence[str] | None = None,
) -> Shape:
    """Give a page of a list, newest first; `ids`: the only ones that come into question."""
    given = request.given
    limit = given.whole("limit") if "limit" in given else 10
    if limit is None or not 1 <= limit <= MOST:
        raise invalid(f"Invalid integer: limit must be between 1 and {MOST}", "limit")
    order = request.book.shelves[kind].ids if ids is None else ids
    backwards = given.text("ending_before")
    records = request.book.shelves[kind].records
    found = []
    for id_ in _from_cursor(request, kind, order, backwards):
        if keep(records[id_]):
            found.append(records[id_])
            if len(found) > limit:
                break
    shown_ = found[:limit][::-1] if backwards else found[:limit]
    data = [shown(request.book, each, request.account) for each in shown_]
    return listed(request.path, data, has_more=len(found) > limit)


def _from_cursor(
    request: Request, kind: type[Record], order: Sequence[str], backwards: str | None
) -> Iterable[str]:
    """Walk ids from the cursor: to older ones, or backwards to newer ones."""
    after = request.given.text("starting_after")
    if backwards and after:
        message = "You cannot parameterize `starting_after` and `ending_before` simultaneously."
        raise Refused(message, began=False)
    cursor = backwards or after
    if cursor is None:
        return reversed(order)
    request.named(kind, cursor, param="ending_before" if backwards else "starting_after")
    try:
        place = order.index(cursor)
    except ValueError:
        return ()
    return order[place + 1 :] if backwards else reversed(order[:place])


INCLUDED: dict[tuple[str, str], Callable[[Book, str], Shape]] = {}
"""What is only there when it is asked for: (object, key) -> its JSON from the id."""


def _expand(request: Request, said: Any, steps: list[str], path: str) -> None:
    """Put an object in the place of its id, wherever the steps lead."""
    refusal = invalid(f"This property cannot be expanded ({path}).", "expand")
    if len(steps) > DEEPEST:
        raise invalid(f"You cannot expand more than {DEEPEST} levels of a property", "expand")
    step, rest = steps[0], steps[1:]
    for each in said if isinstance(said, list) else [said]:
        if not isinstance(each, dict):
            raise refusal
        included = INCLUDED.get((each.get("object", ""), step))
        if included is not None and step not in each:
            each[step] = included(request.book, each["id"])
        if step not in each:
            raise refusal
        value = each[step]
        if isinstance(value, str):
            each[step] = value = _object(request, value, refusal)
        elif not rest and value is not None and included is None:
            raise refusal
        if rest and value is not None:
            _expand(request, value, rest, path)


def _object(request: Request, id_: str, refusal: Refused) -> Shape:
    kind = PREFIXES.get(id_.partition("_")[0])
    found = None if kind is None else request.book.find(kind, id_)
    if found is None:
        raise refusal
    return shown(request.book, found)
