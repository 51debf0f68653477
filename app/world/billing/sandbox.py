"""A billing system to try things on: stateful, in the database, charging on renewal dates.

It stands outside: it knows nothing of rounds or policies, keeps its own tables (`sandbox_*`), and
is told things only through the connector. It can be asked who was charged when.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from app.world.connector import (
    REACHED,
    Capabilities,
    Charge,
    Order,
    Page,
    Repayment,
    Standing,
    System,
    TellsNothing,
)
from app.world.outcome import Done, No, Outcome

DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "year": 12}
NEXT_STATE = {
    ("suspend", "active"): "paused",
    ("suspend", "canceling"): "paused",
    ("resume", "paused"): "active",
    ("resume", "canceling"): "active",
    ("cancel", "active"): "canceling",
    ("cancel", "paused"): "canceling",
    ("end", "active"): "ended",
    ("end", "paused"): "ended",
    ("end", "canceling"): "ended",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A subscription as the sandbox opens it; `renews_at` is any date of its series of charges."""

    subscription: str
    amount: int
    currency: str
    interval: str
    renews_at: datetime


# --- dates of charges ----------------------------------------------------------------------


def charge_after(anchor: datetime, interval: str, after: datetime) -> datetime:
    """Give the first date of a series after a moment, winding back or on by whole intervals."""
    if interval in DAYS:
        step = timedelta(days=DAYS[interval])
        return anchor + ((after - anchor) // step + 1) * step
    months = MONTHS[interval]
    elapsed = (after.year - anchor.year) * 12 + after.month - anchor.month
    periods = elapsed // months - 1
    while (found := _months_on(anchor, periods * months)) <= after:
        periods += 1
    return found


def _months_on(anchor: datetime, months: int) -> datetime:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    day = date(year, month + 1, min(anchor.day, last))
    return datetime.combine(day, anchor.timetz())


# --- the account book ----------------------------------------------------------------------


def open_accounts(
    connection: Connection, product: str, accounts: Sequence[Account], now: datetime
) -> dict[str, datetime]:
    """Open accounts that are not open yet; give when each is charged next."""
    if accounts:
        connection.execute(
            text(
                """insert into sandbox_account (product_key, external_id, amount, currency,
                     "interval", anchor, renews_at, paid_until, state)
                   values (:product, :subscription, :amount, :currency, :interval, :anchor,
                     :renews_at, :renews_at, 'active') on conflict do nothing"""
            ),
            [_opening(product, each, now) for each in accounts],
        )
    rows = connection.execute(
        text(
            """select external_id, renews_at from sandbox_account
               where product_key = :product and external_id = any(:ids)"""
        ),
        {"product": product, "ids": [each.subscription for each in accounts]},
    )
    return {row.external_id: row.renews_at for row in rows}


def _opening(product: str, account: Account, now: datetime) -> dict[str, Any]:
    return {
        "product": product,
        "subscription": account.subscription,
        "amount": account.amount,
        "currency": account.currency,
        "interval": account.interval,
        "anchor": account.renews_at,
        "renews_at": charge_after(account.renews_at, account.interval, now),
    }


def next_renewal(connection: Connection) -> datetime | None:
    """Give when the sandbox charges or ends the next account."""
    statement = text("select min(renews_at) from sandbox_account where state <> 'ended'")
    found: datetime | None = connection.scalar(statement)
    return found


def charge_due(connection: Connection, now: datetime) -> int:
    """Charge, skip or end every account whose renewal has come; give how many were charged."""
    charged = 0
    while True:
        rows = connection.execute(
            text(
                """select * from sandbox_account where renews_at <= :now and state <> 'ended'
                   order by renews_at, external_id limit 1000 for update"""
            ),
            {"now": now},
        ).all()
        if not rows:
            return charged
        charged += _charge(connection, [row for row in rows if row.state == "active"])
        _renew(connection, rows)


def _charge(connection: Connection, rows: Sequence[Any]) -> int:
    if rows:
        connection.execute(
            text(
                """insert into sandbox_charge (product_key, external_id, charged_at, amount,
                     currency)
                   values (:product, :subscription, :at, :amount, :currency)"""
            ),
            [
                {
                    "product": row.product_key,
                    "subscription": row.external_id,
                    "at": row.renews_at,
                    "amount": row.amount,
                    "currency": row.currency,
                }
                for row in rows
            ],
        )
    return len(rows)


def _renew(connection: Connection, rows: Sequence[Any]) -> None:
    """Move on: who was canceling has ended; who is paused pays for no more time."""
    connection.execute(
        text(
            """update sandbox_account set renews_at = :next, state = :state,
                 paid_until = case when state = 'active' then :next else paid_until end
               where product_key = :product and external_id = :subscription"""
        ),
        [
            {
                "product": row.product_key,
                "subscription": row.external_id,
                "state": "ended" if row.state == "canceling" else row.state,
                "next": charge_after(row.anchor, row.interval, row.renews_at),
            }
            for row in rows
        ],
    )


def charges(connection: Connection, product: str) -> list[tuple[str, datetime, int, str]]:
    """Give (subscription, when, minor units, currency) of every charge, in order."""
    rows = connection.execute(
        text(
            """select external_id, charged_at, amount, currency from sandbox_charge
               where product_key = :product order by charged_at, external_id"""
        ),
        {"product": product},
    )
    return [tuple(row) for row in rows]


def acts(connection: Connection, product: str) -> list[tuple[str, str, datetime, str, int]]:
    """Give (subscription, act, when, key, replays) of every act that had an effect, in order."""
    rows = connection.execute(
        text(
            """select external_id, act, at, idempotency_key, replays from sandbox_act
               where product_key = :product order by at, idempotency_key"""
        ),
        {"product": product},
    )
    return [tuple(row) for row in rows]


# --- the connector -------------------------------------------------------------------------


CAPABILITIES = Capabilities(lists=False)
"""Its accounts know no person: they were opened from the mirror, and cannot fill it."""
A_PAGE = 500
NOBODY = ""
"""Comes before every id, so that charges of the moment itself are given."""


class Sandbox(TellsNothing):
    """The connector to it, for one product."""

    capabilities = CAPABILITIES

    def __init__(self, engine: Engine, product: str) -> None:
        """Take the database its account book lies in."""
        self.engine = engine
        self.product = product

    def carry_out(self, order: Order) -> Outcome:
        """Act once for each key."""
        with self.engine.begin() as connection:
            row = _locked(connection, order.product, order.subscription)
            if row is None:
                return No("billing does not know the subscription")
            if _replayed(connection, order):
                return Done()
            if row.state in REACHED[order.act]:
                return Done()
            state = NEXT_STATE.get((order.act, row.state))
            if state is None:
                return No(f"cannot {order.act} what is {row.state}")
            _write(connection, order, state, row.paid_until)
            return Done()

    def read(self, order: Order) -> Standing | None:
        """Give how an account stands, and until when the last charge has paid."""
        with self.engine.begin() as connection:
            row = _locked(connection, order.product, order.subscription)
            return None if row is None else Standing(row.state, row.paid_until)

    def charges(self, since: datetime, after: str | None) -> Page[Charge]:
        """Give charges in the order in which they were made."""
        at, who = _place(after) if after else (since, NOBODY)
        with self.engine.begin() as connection:
            rows = connection.execute(
                text(
                    """select external_id, charged_at, amount, currency, refunded
                       from sandbox_charge where product_key = :product
                         and (charged_at, external_id) > (:at, :who)
                       order by charged_at, external_id limit :most"""
                ),
                {
                    "product": self.product,
                    "at": at,
                    "who": who,
                    "most": A_PAGE,
                },
            ).all()
        found = tuple(
            Charge(
                _charge_id(row.external_id, row.charged_at),
                row.external_id,
                row.charged_at,
                row.amount,
                row.currency,
                row.refunded,
            )
            for row in rows
        )
        return Page(found, found[-1].id if len(found) == A_PAGE else None)

    def refund(self, repayment: Repayment) -> Outcome:
        """Give back once for each key, and never more than was taken."""
        at, who = _place(repayment.charge)
        values = {
            "product": self.product,
            "subscription": who,
            "at": at,
            "amount": repayment.amount,
            "key": repayment.key,
        }
        with self.engine.begin() as connection:
            _locked(connection, self.product, who)
            if connection.execute(
                text(
                    """update sandbox_act set replays = replays + 1
                       where product_key = :product and idempotency_key = :key"""
                ),
                values,
            ).rowcount:
                return Done()
            done = connection.execute(
                text(
                    """update sandbox_charge set refunded = refunded + :amount
                       where product_key = :product and external_id = :subscription
                         and charged_at = :at and refunded + :amount <= amount"""
                ),
                values,
            )
            if not done.rowcount:
                return No("no such charge, or less of it is left")
            connection.execute(
                text(
                    """insert into sandbox_act (product_key, idempotency_key, external_id, act, at,
                         state, replays)
                       values (:product, :key, :subscription, 'refund', :at, 'refunded', 0)"""
                ),
                values,
            )
        return Done()


def _charge_id(subscription: str, at: datetime) -> str:
    return f"{at.astimezone(UTC).isoformat()}/{subscription}"


def _place(charge: str) -> tuple[datetime, str]:
    at, _, subscription = charge.partition("/")
    return datetime.fromisoformat(at), subscription


def _locked(connection: Connection, product: str, subscription: str) -> Any:
    return connection.execute(
        text(
            """select * from sandbox_account
               where product_key = :product and external_id = :subscription for update"""
        ),
        {"product": product, "subscription": subscription},
    ).first()


def _replayed(connection: Connection, order: Order) -> bool:
    done = connection.execute(
        text(
            """update sandbox_act set replays = replays + 1
               where product_key = :product and idempotency_key = :key"""
        ),
        {"product": order.product, "key": order.key},
    )
    return bool(done.rowcount)


def _write(connection: Connection, order: Order, state: str, paid_until: datetime) -> None:
    values = {
        "product": order.product,
        "subscription": order.subscription,
        "state": state,
        "key": order.key,
        "act": order.act,
        "at": order.at,
        "paid_until": paid_until,
    }
    connection.execute(
        text(
            """update sandbox_account set state = :state
               where product_key = :product and external_id = :subscription"""
        ),
        values,
    )
    connection.execute(
        text(
            """insert into sandbox_act (product_key, idempotency_key, external_id, act, at, state,
                 paid_until, replays)
               values (:product, :key, :subscription, :act, :at, :state, :paid_until, 0)"""
        ),
        values,
    )


def avoided(connection: Connection, product: str, now: datetime) -> dict[str, tuple[int, int]]:
    """Give, by currency, how many charges and minor units were not taken since accounts stopped.

    That one is ended for good before its data is erased takes nothing from what it was spared.
    """
    rows = connection.execute(
        text(
            """select a.anchor, a."interval", a.amount, a.currency,
                 coalesce(max(s.at) filter (where s.act <> 'end'), max(s.at)) as stopped
               from sandbox_account a
               join sandbox_act s using (product_key, external_id)
               where a.product_key = :product and a.state <> 'active'
               group by a.anchor, a."interval", a.amount, a.currency, a.external_id"""
        ),
        {"product": product},
    )
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        at, many = charge_after(row.anchor, row.interval, row.stopped), 0
        while at <= now:
            many, at = many + 1, charge_after(row.anchor, row.interval, at)
        count, minor = found.get(row.currency, (0, 0))
        found[row.currency] = (count + many, minor + many * row.amount)
    return found


SYSTEM = System(
    "none: a sandbox to try things on",
    lambda site: Sandbox(site.engine, site.product),
    can=lambda _: CAPABILITIES,
)
