"""Accounts: their keys, their two modes, and what they may."""

from dataclasses import dataclass, field

from tests.fakestripe.book import Book, Ids
from tests.fakestripe.errors import Refused
from tests.fakestripe.memory import Bucket
from tests.fakestripe.shapes import Shape

VERSION = "2026-10-28.endive"
"""The API version the fake speaks: the one that stripe 16.1 pins."""


@dataclass
class Account:
    """One account of Stripe. Its keys are sk_ and rk_, test_ and live_, and its name."""

    name: str
    id: str
    test: Book
    live: Book
    version: str = VERSION
    """The API version of its events."""
    revoked: set[str] = field(default_factory=set)
    """Keys that are no longer taken."""
    restricted: frozenset[str] = frozenset()
    """What the rk_ keys may write, as the first part of a path: {"subscriptions"}."""
    buckets: dict[bool, Bucket] = field(default_factory=lambda: {False: Bucket(), True: Bucket()})
    """Calls a second, by live mode: `buckets[False].limit(25)`."""

    @classmethod
    def opened(cls, name: str, ids: Ids, now: int, seed: int) -> "Account":
        test, live = (Book(ids, now, seed, live=live) for live in (False, True))
        return cls(name, ids("acct"), test, live)

    @property
    def books(self) -> tuple[Book, Book]:
        return self.test, self.live

    def book(self, key: str) -> Book | None:
        """Give the book that a key opens, None where it is not one of this account's."""
        kind, _, rest = key.partition("_")
        mode, _, name = rest.partition("_")
        if kind not in {"sk", "rk"} or name != self.name:
            return None
        return {"test": self.test, "live": self.live}.get(mode)

    def check(self, key: str, method: str, path: str) -> None:
        """Refuse a key that was revoked, or restricted from what is asked."""
        if key in self.revoked:
            message = f"Expired API Key provided: {masked(key)}"
            raise Refused(message, status=401, code="api_key_expired", began=False)
        thing = path.split("/")[2]
        if key.startswith("rk_") and method != "GET" and thing not in self.restricted:
            right = f"rak_{thing.removesuffix('s')}_write"
            raise Refused(
                f"The provided key '{masked(key)}' does not have the required permissions for this "
                f"endpoint on account '{self.id}'. Having the '{right}' permission would allow "
                "this request to continue.",
                status=403,
                code="more_permissions_required_for_application",
                began=False,
            )

    def shape(self) -> Shape:
        """Give the JSON of /v1/account."""
        return {
            "id": self.id,
            "object": "account",
            "business_profile": {"name": self.name, "support_email": None, "url": None},
            "business_type": "company",
            "capabilities": {"card_payments": "active", "transfers": "active"},
            "charges_enabled": True,
            "country": "DE",
            "default_currency": "eur",
            "details_submitted": True,
            "email": f"{self.name}@shop.example",
            "payouts_enabled": True,
            "settings": {
                "branding": {"icon": None, "logo": None},
                "card_payments": {},
                "dashboard": {"display_name": self.name, "timezone": "Etc/UTC"},
                "payments": {},
            },
            "type": "standard",
        }


def masked(key: str) -> str:
    """Give a key as Stripe repeats it."""
    return f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
