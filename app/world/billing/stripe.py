"""Stripe: acts, questions and messages, by its own SDK (`pip install reconfirm[stripe]`).

| `reconfirm product set KEY …` | means |
|---|---|
| `billing_key_file=` | a file with a secret (`sk_…`) or restricted (`rk_…`) key |
| `billing.open_invoices=` | of an invoice that would still be tried after a suspension: `void` (default), `uncollectible`, or `leave` it open without further tries |
| `billing.country=`, `billing.locale=`, `billing.timezone=` | what stands in where a customer says none: else the account's country, `en`, the account's time zone |
| `billing.calls_per_second=` | how many calls all processes together make, at most 100; 20 if not set |
| `billing.test_clock=` | read the subscriptions of a test clock of Stripe's |
| `billing.api_base=` | another address than Stripe's, for tests |

A restricted key needs to write subscriptions, invoices and refunds, and to read customers,
products, charges and the account. A key is of one mode: what is of the other is refused.

`app.world.stripe` does the work: what is said there of each act is part of this page.
"""  # noqa: E501 - a table

import re
from importlib import import_module
from importlib.util import find_spec

from app.errors import Refused
from app.world.connector import Connector, Site, System
from app.world.stripe.messages import read, verify

KEY = re.compile(r"(?:sk|rk)_(?:test|live)_[A-Za-z0-9_]{1,250}")
SDK = "stripe"
SETTINGS = {
    "calls_per_second": r"[1-9][0-9]?|100",
    "open_invoices": r"void|uncollectible|leave",
    "country": r"[A-Z]{2}",
    "locale": r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}",
    "timezone": r"[A-Za-z_]+(?:/[A-Za-z0-9_+-]+){0,2}",
    "test_clock": r"clock_[A-Za-z0-9]{1,100}",
    "api_base": r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?|http://(?:127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}",
}


def _connect(site: Site) -> Connector:
    """Connect with the product's key; Refused says what is missing, and repeats no key."""
    if find_spec(SDK) is None:
        raise Refused("Stripe's SDK is not installed", "run `pip install reconfirm[stripe]`")
    put = f"write it to a file and run `reconfirm product set {site.product} billing_key_file=…`"
    if site.key is None:
        raise Refused(f"{site.product} has no key for Stripe", put)
    if not KEY.fullmatch(site.key):
        raise Refused(
            f"the billing key of {site.product} is no secret key of Stripe's",
            f"take one that begins with sk_ or rk_, then _live_ or _test_; {put}",
        )
    # By its name: the SDK comes with an extra, and this file is read without it, too.
    connected: Connector = import_module("app.world.stripe.account").Stripe(site)
    return connected


SYSTEM = System("Stripe", _connect, verify, read, SETTINGS, makes_secrets=True)
