"""What the API does, call by call, in words and examples: what the document is made of.

parts.py          what an operation is, and what many of them share
usage.py          telling use
subscriptions.py  where people stand; what they answered elsewhere, and mail that came back
runs.py           what a day of sweeps did, and the ramp
reviews.py        cases before a person
erasures.py       erasures, and what targets say of them
erasing.py        holds, and manifests of who is due to be erased
rights.py         what people may ask of us
forecasts.py      what a policy would do
funnel.py         what came of asking
brake.py          the one stop
policies.py       versions of a policy, and the lists of whom they would ask
inbound.py        the webhooks taken in
running.py        whether the service is there, and its figures
"""

from app.web.api.operations.brake import brake_operations
from app.web.api.operations.erasing import erasing_operations
from app.web.api.operations.erasures import erasure_operations
from app.web.api.operations.forecasts import forecast_operations
from app.web.api.operations.funnel import funnel_operations
from app.web.api.operations.inbound import inbound_operations
from app.web.api.operations.parts import Body, Operation, Parameter
from app.web.api.operations.policies import policy_operations
from app.web.api.operations.reviews import review_operations
from app.web.api.operations.rights import rights_operations
from app.web.api.operations.running import running_operations
from app.web.api.operations.runs import run_operations
from app.web.api.operations.subscriptions import subscription_operations, telling_operations
from app.web.api.operations.usage import usage_operations

__all__ = ["Body", "Operation", "Parameter", "inbound_operations", "operations"]


def operations() -> tuple[Operation, ...]:
    """Give every operation of the service that a system calls."""
    return (
        *usage_operations(),
        *subscription_operations(),
        *telling_operations(),
        *run_operations(),
        *review_operations(),
        *erasure_operations(),
        *erasing_operations(),
        *rights_operations(),
        *forecast_operations(),
        *policy_operations(),
        *funnel_operations(),
        *brake_operations(),
        *inbound_operations(),
        *running_operations(),
    )
