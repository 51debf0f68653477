"""What stops or slows a product by itself: feeds, brake, quota, ramp, and odd numbers.

Guards trim what the engine may do; they never look at a person. Everything fails closed: a feed
that has never spoken, a counter that cannot be read, a brake that cannot be asked mean no.

feeds.py    up to when a product has been heard
ability.py  what billing can do
brake.py    the one stop, and its words
quota.py    how many may be asked a day
ramp.py     and under a new policy; ladder.py shows it
rates.py    bounces, complaints, odd answers
crowd.py    who comes due at once
seen.py     what a person has acknowledged of all that
"""

from app.guards.ability import check_billing, check_policy, follows, impossible, mend_of
from app.guards.brake import BY_HAND, CAUSES, RESTORED, braked, in_words, lift, restored, trip
from app.guards.crowd import EXACT, Crowd, crowd_in_question, most_at_once, stop_crowd, wants_list
from app.guards.feeds import check_feeds, horizon, is_stale, told_until
from app.guards.ladder import Ladder, RampStands, Rung, ladder
from app.guards.quota import allowance, count_asked
from app.guards.ramp import (
    UNLIMITED,
    Allowance,
    begin_ramp,
    halted,
    held_back,
    ramp_is_open,
    ramp_step,
    ramp_unknown,
)
from app.guards.rates import RateNow, count, rates_now, rates_of_day
from app.guards.seen import day_of

__all__ = [
    "BY_HAND",
    "CAUSES",
    "EXACT",
    "RESTORED",
    "UNLIMITED",
    "Allowance",
    "Crowd",
    "Ladder",
    "RampStands",
    "RateNow",
    "Rung",
    "allowance",
    "begin_ramp",
    "braked",
    "check_billing",
    "check_feeds",
    "check_policy",
    "count",
    "count_asked",
    "crowd_in_question",
    "day_of",
    "follows",
    "halted",
    "held_back",
    "horizon",
    "impossible",
    "in_words",
    "is_stale",
    "ladder",
    "lift",
    "mend_of",
    "most_at_once",
    "ramp_is_open",
    "ramp_step",
    "ramp_unknown",
    "rates_now",
    "rates_of_day",
    "restored",
    "stop_crowd",
    "told_until",
    "trip",
    "wants_list",
]
