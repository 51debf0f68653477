"""Stripe: deletes the customer, once none of their subscriptions goes on.

It accounts for two categories: `customer`, which is the customer with name, addresses and means of
payment, and `invoices`, which Stripe keeps whatever it is told. An invoice that was finalized keeps
the name and the address it was made out to; what Stripe calls redaction is not for every account.

| setting | means |
|---|---|
| `key_file` | a file with a key that may write customers; the product's `billing_key_file` if not set |
| `invoices_kept` | how long invoices are kept from the erasure on, such as `P10Y`, which counts if not set; never longer than the policy says |
| `calls_per_second` | how many calls all processes together make, at most 100; 20 if not set |
| `api_base` | another address than Stripe's, for tests |

`app.world.stripe.customers` does the work.
"""  # noqa: E501 - a table

from importlib import import_module
from importlib.util import find_spec

from app.errors import Refused
from app.policy import Period
from app.world.billing.stripe import KEY, SDK, SETTINGS
from app.world.erasing import PATH, Kind, Place, Target, fits, held_in

CUSTOMER, INVOICES = "customer", "invoices"


def _connect(place: Place) -> Target:
    """Connect with the target's own key or the product's; Refused repeats none."""
    if find_spec(SDK) is None:
        raise Refused("Stripe's SDK is not installed", "run `pip install reconfirm[stripe]`")
    path = place.settings.get("key_file")
    key = held_in(path, "the key of Stripe") if path else place.billing_key
    mend = f"run `reconfirm target set {place.product} {place.target} --setting key_file=…`"
    if key is None:
        raise Refused(f"target {place.target} has no key for Stripe", mend)
    if not KEY.fullmatch(key):
        raise Refused(f"the key of target {place.target} is no secret key of Stripe's", mend)
    # By its name: the SDK comes with an extra, and this file is read without it, too.
    made: Target = import_module("app.world.stripe.customers").Customers(place, key)
    return made


def _period(given: str) -> str:
    """Read how long invoices are kept; ValueError where it is no such time."""
    try:
        found = Period.parse(given)
    except ValueError:
        raise ValueError("write a duration such as P10Y") from None
    if not 1 <= found.rough_days <= 36525:  # noqa: PLR2004 - a day, and a hundred years
        raise ValueError("write a duration of a day to a hundred years, such as P10Y")
    return str(found)


KIND = Kind(
    "Stripe: the customer",
    _connect,
    {
        "key_file": PATH,
        "invoices_kept": _period,
        "calls_per_second": fits(SETTINGS["calls_per_second"], "a number from 1 to 100"),
        "api_base": fits(SETTINGS["api_base"], "an address such as https://api.example.com"),
    },
    categories=(CUSTOMER, INVOICES),
)
