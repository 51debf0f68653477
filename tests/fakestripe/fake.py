"""The whole: a fake Stripe that listens, and whose clock a test moves."""

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from tests.fakestripe import clock
from tests.fakestripe.account import Account
from tests.fakestripe.book import Ids
from tests.fakestripe.faults import Faults
from tests.fakestripe.front import Front
from tests.fakestripe.log import Call, Log
from tests.fakestripe.server import Server
from tests.fakestripe.shop import Shop, seconds

START = datetime(2026, 1, 15, 12, tzinfo=UTC)


class FakeStripe:
    """A stateful Stripe on a free port of this machine; use it as a context."""

    def __init__(self, *, start: int | datetime = START, seed: int = 0) -> None:
        """Make it; the same seed and the same calls give the same ids, declines and faults."""
        self._seed = seed
        self._ids = Ids(seed)
        self._now = seconds(start)
        self._front = Front(self._ids, [], faults=Faults(seed))
        self._server: Server | None = None
        self.account = self.open("x")
        self.shop = Shop(self.account, self.account.test, self._front.lock)
        """The default account in test mode: key sk_test_x."""
        self.live_shop = Shop(self.account, self.account.live, self._front.lock)
        """The same in live mode: key sk_live_x."""

    def open(self, name: str) -> Account:
        """Open another account; its keys are sk_test_, sk_live_, rk_test_, rk_live_ and name."""
        with self._front.lock:
            account = Account.opened(name, self._ids, self._now, self._seed)
            self._front.accounts.append(account)
            return account

    def shop_of(self, account: Account, *, live: bool = False) -> Shop:
        return Shop(account, account.live if live else account.test, self._front.lock)

    def __enter__(self) -> Self:
        self._server = Server(self._front)
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.stop()

    @property
    def url(self) -> str:
        """Give the address for the SDK's `base_addresses={"api": …}`."""
        if self._server is None:
            raise RuntimeError("enter the fake first: with FakeStripe() as fake")
        return self._server.url

    @property
    def now(self) -> int:
        """Give the moment on the fake's clock."""
        return self._now

    def advance(self, to: int | datetime | timedelta) -> None:
        """Move the clock to a moment or by a span: renewals, charges, retries, ends are done.

        Test clocks stay: they are moved by their own endpoint.
        """
        with self._front.lock:
            if isinstance(to, timedelta):
                to = self._now + int(to.total_seconds())
            self._now = max(self._now, seconds(to))
            for account in self._front.accounts:
                for book in account.books:
                    clock.advance(book, book.main, self._now)

    def release(self) -> None:
        """Let the calls go that a delay or a hang holds; later ones are held again."""
        self._front.released.set()
        self._front.released.clear()

    @property
    def faults(self) -> Faults:
        return self._front.faults

    @property
    def log(self) -> Log:
        return self._front.log

    def acts(self) -> list[Call]:
        """Give every write, with its idempotency key, whether it was replayed, what it changed."""
        with self._front.lock:
            return self.log.acts()
