"""What a policy would do: asked for as often as a slider moves. It changes nothing."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from flask.typing import ResponseReturnValue

from app import guards
from app import policy as policies
from app.clock import Clock
from app.forecast import Forecaster
from app.policy import Policy, PolicyRefused
from app.store import products
from app.store.database import Database
from app.store.products import Product
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import needs
from app.web.problems import Problem, problem

LARGEST = 256 * 1024
MOST_NAMED = 5
POLICY_BODY: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_OURS = re.compile(r"[a-z][a-z0-9_]{0,40}(\[\d+\])?(\.[a-z][a-z0-9_]{0,40}(\[\d+\])?)*")


@dataclass(frozen=True, slots=True)
class ForecastCalls:
    """The call that forecasts."""

    database: Database
    forecaster: Forecaster

    @classmethod
    def on(cls, database: Database, clock: Clock) -> "ForecastCalls":
        """Put the call on a database."""
        return cls(database, Forecaster(database, clock))

    @needs("read")
    def ask(self, product: str) -> ResponseReturnValue:
        """Say what a policy would do, beside the one in force."""
        only_parameters()
        raw = decoded(POLICY_BODY, body_of(LARGEST, JSON))
        with self.database.transaction() as connection:
            found = products.load(connection, product)
        return answer(self.forecaster.forecast(product, _fitting(raw, found)))


def _fitting(raw: dict[str, Any], product: Product) -> Policy:
    """Read a policy as `policy propose` does; a problem says where it does not fit."""
    try:
        checked = policies.read(raw, inherit=product.policy)
        guards.check_policy(product, checked)
    except PolicyRefused as refused:
        raise unfit(refused) from None
    return checked


def unfit(refused: PolicyRefused) -> Problem:
    """Say which knobs are wrong and what would be right, without what was sent."""
    told = [(path if _OURS.fullmatch(path) else "", mend) for path, _, mend in refused.problems]
    detail = "; ".join(f"{path or 'a member'}: {mend}" for path, mend in told[:MOST_NAMED])
    return problem("invalid-body", f"{detail}.", field=told[0][0])
