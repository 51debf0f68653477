"""What a forecast says: plain figures, as the API and the command give them."""

from datetime import date, datetime
from typing import Literal

from msgspec import Struct


class Price(Struct, frozen=True):
    """What some people pay: the sum of their amounts, in the minor unit, each interval."""

    currency: str
    interval: str
    people: int
    amount: int


class Monthly(Struct, frozen=True):
    """What some people pay a month in one currency, in its minor unit, by all intervals."""

    currency: str
    amount: int


class Span(Struct, frozen=True):
    """How many newly come due from a day on, for a day, a week or the month it is in."""

    starts: date
    people: int
    monthly: list[Monthly]


class Paced(Struct, frozen=True):
    """How long it takes at the pace of a policy, and how many mails that is.

    `done_on` is the first day on which nobody waits any more; None where some still do after a
    year. `most_mails` are the asks and reminders of the fullest day, as if nobody answered.
    """

    notices_per_day: int
    first_day: int
    most_mails: int
    done_on: date | None
    days: int | None
    left_after_a_year: int


class Expected(Struct, frozen=True):
    """How many of those due tomorrow are expected to give an answer, by past answers.

    `low` and `high` are the ends of the interval that holds the true share in 95 of 100 cases.
    """

    answer: Literal["kept", "returned", "canceled", "silent"]
    share: float
    low: float
    high: float
    people: int
    people_low: int
    people_high: int


class Outlook(Struct, frozen=True):
    """What one policy does.

    `today`, `tomorrow` and `in_a_year` count everybody due by then. The rest says of those due
    tomorrow why and at what price, and of the year how many newly come due when: on each day from
    today (with today all who are due already), and by week and calendar month.
    """

    version: int | None
    today: int
    tomorrow: int
    in_a_year: int
    never_used: int
    unused: int
    before_renewal: int
    prices: list[Price]
    monthly: list[Monthly]
    days: list[int]
    weeks: list[Span]
    months: list[Span]
    pace: Paced
    expected: list[Expected]


class Nightly(Struct, frozen=True):
    """Since when those are known whom a threshold alone does not decide about.

    `grain_days` stand as one where there were too many to keep apart; `past_answers` is how many
    answers what is expected is taken from.
    """

    counted_at: datetime | None
    grain_days: int
    past_answers: int


class Forecast(Struct, frozen=True):
    """What a policy would do, beside what the one in force does; `says` is what to bear in mind."""

    product: str
    at: datetime
    day: date
    proposed: Outlook
    in_force: Outlook | None
    nightly: Nightly
    says: list[str]
