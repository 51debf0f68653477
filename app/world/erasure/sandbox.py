"""The sandbox billing system's own rows of one subscription, once it has ended there.

It accounts for two categories: `account`, which is the account and what it was told to do, and
`charges`, which a policy may keep for a time of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.world.erasing import (
    LEGAL_OBLIGATION,
    Answer,
    Given,
    Kept,
    Kind,
    Place,
    Receipt,
    Request,
)
from app.world.outcome import No

ACCOUNT, CHARGES = "account", "charges"
ROWS = {ACCOUNT: ("sandbox_act", "sandbox_account"), CHARGES: ("sandbox_charge",)}
"""The tables of each category."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The account book of one product."""

    place: Place

    def erase(self, request: Request) -> Answer:
        """Delete the rows of a subscription that has ended; charges stay where a policy says so."""
        until = request.keep.get(CHARGES)
        with self.place.engine.begin() as connection:
            state = self._state(connection, request.subscription)
            if state not in {None, "ended"}:
                return No(f"cannot erase what is {state}")
            going = [each for each in ROWS if each != CHARGES or until is None]
            for category in going:
                self._delete(connection, category, request.subscription)
        kept = () if until is None else (Kept(CHARGES, LEGAL_OBLIGATION, until),)
        return Given(Receipt(request.erasure, tuple(going), kept))

    def _state(self, connection: Connection, subscription: str) -> str | None:
        """Give how the account stands, and hold it; None where there is none."""
        found: str | None = connection.scalar(
            text(
                """select state from sandbox_account
                   where product_key = :product and external_id = :subscription for update"""
            ),
            self._whose(subscription),
        )
        return found

    def _delete(self, connection: Connection, category: str, subscription: str) -> None:
        for table in ROWS[category]:
            connection.execute(
                text(
                    f"delete from {table}"  # noqa: S608 - our own names
                    " where product_key = :product and external_id = :subscription"
                ),
                self._whose(subscription),
            )

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:  # noqa: ARG002
        """Count the rows of a subscription, by their table."""
        with self.place.engine.begin() as connection:
            return {
                table: int(
                    connection.scalar(
                        text(
                            f"select count(*) from {table}"  # noqa: S608 - our own names
                            " where product_key = :product and external_id = :subscription"
                        ),
                        self._whose(subscription),
                    )
                    or 0
                )
                for tables in ROWS.values()
                for table in tables
            }

    def _whose(self, subscription: str) -> dict[str, str]:
        return {"product": self.place.product, "subscription": subscription}


KIND = Kind("the sandbox that stands in for a billing system", Sandbox, categories=tuple(ROWS))
