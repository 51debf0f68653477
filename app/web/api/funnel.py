"""What came of asking, between two days: the steps that people came to, and what they pay."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import cast

from flask import request
from flask.typing import ResponseReturnValue
from psycopg.errors import QueryCanceled

from app.clock import Clock
from app.errors import Conflict
from app.store import funnel as store
from app.store import products
from app.store.database import Database
from app.store.funnel import Step
from app.web.api.bodies import answer, only_parameters
from app.web.api.keys import needs
from app.web.api.shapes import Funnel, FunnelBy, FunnelMoney, FunnelStep
from app.web.problems import problem

A_MONTH = timedelta(days=29)
LONGEST = timedelta(days=3660)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FunnelCalls:
    """The call that counts."""

    database: Database
    clock: Clock

    @needs("read")
    def show(self, product: str) -> ResponseReturnValue:
        """Count who came to each step between two days, both included; the last thirty if none."""
        only_parameters("from", "to", "by")
        last, by = _day("to") or self.clock.now().date(), _by()
        first = _day("from") or last - A_MONTH
        if last < first or last - first > LONGEST:
            raise problem("invalid-parameter", "It ends before it begins, or is over ten years.")
        try:
            with self.database.transaction() as connection:
                number = products.row_of(connection, product).id
                found = store.came(connection, number, _moment(first), _moment(last + ONE_DAY), by)
        except QueryCanceled:
            raise Conflict("counting takes too long", "ask for fewer days") from None
        return answer(Funnel(first, last, by, [_told(each) for each in store.steps(found, by)]))


def _told(step: Step) -> FunnelStep:
    money = [FunnelMoney(*each) for each in step.monthly]
    return FunnelStep(step.step, step.group, step.people, money)  # type: ignore[arg-type]


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(name: str) -> date | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        found = None
    if found is None or found.isoformat() != text or found == date.max:
        raise problem("invalid-parameter", "Write a day as 2026-09-01.", field=name)
    return found


def _by() -> FunnelBy | None:
    by = request.args.get("by")
    if by is not None and by not in store.BY:
        raise problem("invalid-parameter", f"It is one of {', '.join(store.BY)}.", field="by")
    return cast(FunnelBy | None, by)
