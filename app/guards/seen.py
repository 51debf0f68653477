"""Bad news and its rates, and what a person has seen of them who lifted a guard's brake."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection

from app.store import products, pulse

NEWLY_DUE = "newly_due"
ONE_DAY = timedelta(days=1)
SPAN = timedelta(days=7)
"""Rates are those of the last seven days, today among them; no acknowledgment lasts longer."""


def day_of(now: datetime) -> date:
    """Give the day that quotas count by (UTC)."""
    return now.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Rate:
    """A guard of bad news: counter by the day of the ask, and the knob that limits its rate."""

    cause: str
    news: str
    knob: str

    @property
    def counter(self) -> str:
        """Where its news are counted, by the day of the ask."""
        return f"ask_{self.news}"


RATES = (
    Rate("bounces", "bounced", "max_bounce_rate"),
    Rate("complaints", "complained", "max_complaint_rate"),
    Rate("in_use", pulse.IN_USE, "max_in_use_rate"),
)
OF = (pulse.HANDED_OVER, pulse.REFUSED)
"""Rates are of the asks handed over, and of those that came back in that moment."""


# --- what has been acknowledged ------------------------------------------------------------


NAMED = f"{NEWLY_DUE}_named"
SEEN = {
    NEWLY_DUE: (pulse.ASKED, NAMED),
    **{rate.cause: (rate.counter, *OF) for rate in RATES},
}
"""What a person who lifts a guard's brake has seen: where these counters stood."""


def mark_of(cause: str, what: str) -> str:
    """Give the counter that says where another stood when a guard's brake was lifted."""
    return f"seen_{cause}_{what}"


def acknowledge(connection: Connection, product_id: int, today: date) -> None:
    """Note where the counters of the guards that have tripped stand on the day of the lift."""
    on = [each for each in products.brakes(connection, product_id) if each.product is not None]
    causes = [each.cause for each in on if each.cause in SEEN]
    if not causes:
        return
    pulse.hold(connection, product_id, today)
    counts = pulse.since(connection, product_id, min(day_of(each.set_at) for each in on))
    for cause in causes:
        seen = {what: counts[today, what] for what in SEEN[cause]}
        if cause == NEWLY_DUE:
            named = max((day for day, what in counts if what == NAMED), default=today)
            seen[NAMED] = counts[named, NAMED]
        values = {mark_of(cause, what): many for what, many in seen.items()}
        pulse.put(connection, product_id, today, values)


def lifted_on(counts: pulse.Counts, cause: str) -> date | None:
    """Give the day on which a person last lifted a guard's brake; None where none is known."""
    mark = mark_of(cause, SEEN[cause][0])
    return max((day for day, what in counts if what == mark), default=None)


def told(counts: pulse.Counts, cause: str, what: str) -> int:
    """Sum a counter over the days read, or over what came since the guard's brake was lifted."""
    lifted = lifted_on(counts, cause)
    if lifted is None:
        return sum(many for (_, each), many in counts.items() if each == what)
    later = sum(many for (day, each), many in counts.items() if each == what and day >= lifted)
    return later - counts.get((lifted, mark_of(cause, what)), 0)
