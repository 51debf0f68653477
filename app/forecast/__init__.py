"""What a policy would do: who would be asked, when, at what price, and what is to be expected.

Thresholds and segments are exact: they come from counts that are kept with every change
(`app.store.counts`), and a person's terms and days are told by the rules themselves. Whom an open
round, an answer before, or `before_renewal` sets apart comes from counts of last night, whose time
is shown. Pace is arithmetic.

A day is everybody's own: who is due on a day is asked once it has begun where they live, and so by
noon UTC everywhere, provided that the feeds have told the day before. The forecast holds if nobody
uses the product meanwhile; every use makes it less.
"""

from app.forecast.asking import Forecaster
from app.forecast.expecting import ENOUGH, expected, wilson
from app.forecast.groups import HORIZON, last_day
from app.forecast.keeping import Keeper
from app.forecast.pace import paced
from app.forecast.said import Expected, Forecast, Monthly, Nightly, Outlook, Paced, Price, Span

__all__ = [
    "ENOUGH",
    "HORIZON",
    "Expected",
    "Forecast",
    "Forecaster",
    "Keeper",
    "Monthly",
    "Nightly",
    "Outlook",
    "Paced",
    "Price",
    "Span",
    "expected",
    "last_day",
    "paced",
    "wilson",
]
