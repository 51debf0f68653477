"""The way of a request: faults, key, rate, idempotency, the act, and faults again."""

from dataclasses import dataclass, field
from math import ceil
from re import fullmatch
from threading import Event as Signal
from threading import RLock
from time import monotonic
from typing import Any

from msgspec.json import encode

from tests.fakestripe import api, money, people, returns, subscriptions
from tests.fakestripe.account import VERSION, Account
from tests.fakestripe.book import Book, Ids
from tests.fakestripe.errors import Refused
from tests.fakestripe.faults import Fault, Faults, Kind, spoiled
from tests.fakestripe.log import Call, Log
from tests.fakestripe.memory import Answer, Memory
from tests.fakestripe.wire import Given, read

ROOMS = (money, people, returns, subscriptions)
"""Imported for their routes."""
WRONG = "An error occurred with our connection to Stripe's servers. (fault ordered by a test)"


class Dropped(Exception):
    """The client gets no answer."""


@dataclass
class Front:
    """Takes requests and answers them, one at a time but for those that a fault holds."""

    ids: Ids
    accounts: list[Account]
    lock: RLock = field(default_factory=RLock)
    log: Log = field(default_factory=Log)
    memory: Memory = field(default_factory=Memory)
    faults: Faults = field(default_factory=Faults)
    released: Signal = field(default_factory=Signal)

    def serve(
        self, method: str, target: str, headers: dict[str, str], body: str
    ) -> tuple[Answer, bool]:
        """Answer a request; the flag: cut the connection in the middle. May raise Dropped."""
        with self.lock:
            call = self._noted(method, target, headers)
            fault = self.faults.meet(call.method, call.path)
            call.fault = None if fault is None else fault.kind.value
        try:
            call.params = read(body if method == "POST" else target.partition("?")[2])
            answer = self._stopped(call, fault) or self._checked(call, fault)
        except Refused as refusal:
            answer = _refused(call, refusal)
        if fault is not None and fault.applied:
            if fault.kind in {Kind.DROP, Kind.HANG}:
                raise Dropped
            answer = spoiled(fault, answer)
        call.status = answer.status
        return answer, fault is not None and fault.kind is Kind.CUT

    def _noted(self, method: str, target: str, headers: dict[str, str]) -> Call:
        call = Call(
            number=len(self.log.calls) + 1,
            at=self.accounts[0].test.main.now,
            wall=monotonic(),
            method=method,
            path=target.partition("?")[0],
            params={},
            version=headers.get("stripe-version"),
            key=headers.get("idempotency-key"),
            api_key=headers.get("authorization", "").removeprefix("Bearer ") or None,
            headers=headers,
            request=self.ids("req"),
        )
        self.log.calls.append(call)
        return call

    def _stopped(self, call: Call, fault: Fault | None) -> Answer | None:
        """Give what a fault answers before Stripe's own checks, None where it lets pass."""
        if fault is None or fault.applied:
            return None
        match fault.kind:
            case Kind.DROP:
                raise Dropped
            case Kind.LIMIT:
                raise _limited("global-rate", fault.seconds)
            case Kind.LOCK:
                raise _limited("resource-specific", fault.seconds, code="lock_timeout")
            case Kind.UNAVAILABLE:
                raise Refused(WRONG, status=503, kind="api_error", began=False)
            case Kind.HTML | Kind.EMPTY:
                return spoiled(fault, _said(call, 502, {}))
        return None

    def _checked(self, call: Call, fault: Fault | None) -> Answer:
        """Check key, version and rate, then do it under its idempotency key."""
        account, book = self._opened(call)
        with self.lock:
            wait = account.buckets[book.live].take()
        if wait:
            raise _limited("global-rate", wait)
        if call.method != "POST" or call.key is None:
            return self._done(call, account, book, fault)[0]
        scope = f"{account.id}:{book.live}"
        asked = (call.method, call.path, call.params)
        with self.lock:
            again = self.memory.begin(scope, call.key, asked, book.main.now)
        if again is not None:
            call.replayed = True
            told = {**again.headers, "Idempotent-Replayed": "true", "Request-Id": call.request}
            return Answer(again.status, told, again.body)
        keep: Answer | None = None
        try:
            answer, began = self._done(call, account, book, fault)
            keep = answer if began else None
        finally:
            with self.lock:
                self.memory.end(scope, call.key, keep)
        return answer

    def _opened(self, call: Call) -> tuple[Account, Book]:
        """Give whose key it is; refuse one that is none, and an unknown version."""
        if call.api_key is None:
            raise Refused("You did not provide an API key.", status=401, began=False)
        for account in self.accounts:
            book = account.book(call.api_key)
            if book is not None:
                break
        else:
            shown = f"{call.api_key[:8]}{'*' * 8}{call.api_key[-4:]}"
            raise Refused(f"Invalid API Key provided: {shown}", status=401, began=False)
        call.account, call.live = account.id, book.live
        if not fullmatch(r"\d{4}-\d{2}-\d{2}(\.\w+)?", call.version or VERSION):
            raise Refused(f"Invalid Stripe API version: {call.version}", began=False)
        account.check(call.api_key, call.method, call.path)
        if call.headers.get("stripe-account") not in {None, account.id}:
            other = call.headers["stripe-account"]
            message = f"The provided key does not have access to account '{other}'."
            raise Refused(message, status=403, code="account_invalid", began=False)
        return account, book

    def _done(
        self, call: Call, account: Account, book: Book, fault: Fault | None
    ) -> tuple[Answer, bool]:
        """Do what is asked and give the answer; the flag: the endpoint had begun."""
        self._held(fault, applied=False)
        failing = _failing(fault)
        if failing is None or (fault is not None and fault.applied):
            answer, began = self._acted(call, account, book)
        if failing is not None:
            answer, began = _refused(call, failing), True
        self._held(fault, applied=True)
        return answer, began

    def _held(self, fault: Fault | None, *, applied: bool) -> None:
        """Wait where a fault says so; the idempotency key is in use all the while."""
        if fault is None or fault.applied is not applied:
            return
        if fault.kind is Kind.DELAY:
            self.released.wait(fault.seconds)
        elif fault.kind is Kind.HANG:
            self.released.wait()
            if not applied:
                raise Dropped

    def _acted(self, call: Call, account: Account, book: Book) -> tuple[Answer, bool]:
        version = call.version or account.version
        request = api.Request(book, account, call.path, Given(call.params), version)
        with self.lock:
            before = book.changes
            book.request, book.key = call.request, call.key
            book.look_at(None)
            try:
                return _said(call, 200, api.answer(call.method, request)), True
            except Refused as refusal:
                return _refused(call, refusal), refusal.began
            finally:
                book.look_at(None)
                book.request = book.key = None
                call.changes = book.changes - before


def _failing(fault: Fault | None) -> Refused | None:
    """Give what a fault says in the place of an endpoint that has begun, if it does."""
    if fault is not None and fault.kind is Kind.ERROR:
        return Refused(WRONG, status=500, kind="api_error")
    if fault is not None and fault.kind is Kind.REFUSE:
        return Refused(WRONG, status=fault.status or 400)
    return None


def _said(call: Call, status: int, shape: dict[str, Any]) -> Answer:
    headers = {
        "Content-Type": "application/json",
        "Request-Id": call.request,
        "Stripe-Version": call.version or VERSION,
    }
    if call.key is not None:
        headers |= {"Idempotency-Key": call.key, "Original-Request": call.request}
    return Answer(status, headers, encode(shape))


def _refused(call: Call, refusal: Refused) -> Answer:
    answer = _said(call, refusal.status, refusal.body(call.request))
    headers = dict(answer.headers)
    if refusal.status == 500:
        # The key remembers it: the same again would be the same again.
        headers["Stripe-Should-Retry"] = "false"
    if isinstance(refusal, _Limited):
        headers |= {"Retry-After": str(refusal.seconds), "Stripe-Rate-Limited-Reason": refusal.why}
    return Answer(answer.status, headers, answer.body)


class _Limited(Refused):
    """Too many requests, which no key remembers."""

    why = ""
    seconds = 1


def _limited(why: str, seconds: float, code: str = "rate_limit") -> Refused:
    refusal = _Limited(
        "Request rate limit exceeded. Learn more about rate limits: https://stripe.com/docs/rate-limits.",
        status=429,
        code=code,
        began=False,
    )
    refusal.why, refusal.seconds = why, max(1, ceil(seconds))
    return refusal
