"""How long it takes to ask so many at the pace of a policy: arithmetic."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from math import ceil

from app.forecast.said import Paced
from app.policy import Policy


def paced(new: Sequence[int], policy: Policy, today: date, *, ramped: bool) -> Paced:
    """Say how long it takes to ask so many as newly come due each day, today first.

    A day takes so many notices, reminders of those asked before first; a ramp takes a step a day,
    in counts or shares of those due at first. Reminders are counted as if nobody answered.
    """
    steps = _ramp(policy, new[0]) if ramped else iter(())
    reminders: Counter[int] = Counter()
    offsets = [round(each.rough_days) for each in policy.terms.reminders]
    waiting = first = most = 0
    done: int | None = None
    for day, many in enumerate(new):
        waiting += many
        room = max(0, policy.pace.notices_per_day - reminders[day])
        asks = min(waiting, room, next(steps, waiting))
        waiting -= asks
        reminders.update({day + offset: asks for offset in offsets})
        first = asks if day == 0 else first
        most = max(most, asks + reminders[day])
        if done is None and not waiting:
            done = day
    on = None if done is None else today + timedelta(days=done)
    return Paced(policy.pace.notices_per_day, first, most, on, done, waiting)


def _ramp(policy: Policy, backlog: int) -> Iterator[int]:
    """Give how many each step of a ramp allows, but for the last, after which it is over."""
    for step in policy.pace.ramp[:-1]:
        yield step if isinstance(step, int) else max(1, ceil(step * backlog))
