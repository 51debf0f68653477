"""The ramp of a policy: a few are asked first, then more."""

from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sqlalchemy import Connection

from app.guards.seen import ONE_DAY
from app.policy import Policy
from app.store import pace
from app.store.products import Product

UNLIMITED = 1 << 40


@dataclass(slots=True)
class Allowance:
    """How many may still be asked, and why no more; `used` counts those asked by this batch.

    `only` are those who may be asked at all; None where anybody may.
    """

    left: int
    because: str
    used: int = 0
    only: frozenset[int] | None = None

    def covers(self, subscription_id: int) -> bool:
        """Say whether this one may be asked at all, as far as a list of people goes."""
        return self.only is None or subscription_id in self.only

    def take(self) -> bool:
        """Take one; False where none is left."""
        if self.used >= self.left:
            return False
        self.used += 1
        return True


def ramp_left(connection: Connection, product: Product, now: datetime) -> Allowance:
    """Give what the current step of the ramp still allows.

    The next step follows a day after the last hand-over, once the current one is used up. Where
    nothing of it was handed over, because all came back or nobody could be reached, it is repeated.
    """
    policy = product.policy
    if policy is None:
        return Allowance(UNLIMITED, "no ramp")
    at_once = ramp_is_open(product)
    found = pace.ramp_of(connection, product.id, policy.version, lock=not at_once)
    state = found or pace.RampState()
    if state.halted is not None:
        return Allowance(0, halted_in_words(product.key, policy.version, state))
    if at_once:
        return Allowance(UNLIMITED, "no ramp")
    if state.backlog is None:
        return Allowance(0, "the ramp has not begun: the next sweep counts who would be asked")
    steps, step, opened = policy.pace.ramp, state.step, state.opened
    if used_up(policy, state):
        following = _step_after(connection, product, state, now)
        if following is not None:
            step, opened = following, 0
            pace.next_step(connection, product.id, policy.version, step)
    if step >= len(steps):
        return Allowance(UNLIMITED, "the ramp is over")
    size = step_size(steps[step], state.backlog)
    return Allowance(max(0, size - opened), f"step {step + 1} of the ramp allows {size}")


def halted(connection: Connection, product: Product) -> pace.RampState | None:
    """Give the state of a ramp that somebody has paused or stopped; None where nobody has."""
    if product.policy is None:
        return None
    state = pace.ramp_of(connection, product.id, product.policy.version, lock=False)
    return None if state is None or state.halted is None else state


def held_back(connection: Connection, product: Product) -> str | None:
    """Say who keeps new asks back under the policy in force; None where nobody does."""
    state = halted(connection, product)
    if state is None or product.policy is None:
        return None
    return halted_in_words(product.key, product.policy.version, state)


def halted_in_words(key: str, version: int, state: pace.RampState) -> str:
    """Say who keeps new asks back under a version of the policy, and how they can go on."""
    halt = state.halted
    if halt is None:
        return ""
    if state.stopped is not None:
        return (
            f"the ramp of version {version} is stopped by {halt.by} ({halt.why}): activate another"
            " version, or this one anew"
        )
    return f"the ramp is paused by {halt.by} ({halt.why}): `reconfirm run resume {key}`"


def used_up(policy: Policy, state: pace.RampState) -> bool:
    """Say whether the current step has taken as many as it allows."""
    steps = policy.pace.ramp
    if state.step >= len(steps):
        return False
    return state.opened >= step_size(steps[state.step], state.backlog)


def _step_after(
    connection: Connection, product: Product, state: pace.RampState, now: datetime
) -> int | None:
    """Give the step that follows one that is used up; None where it still has to be waited for."""
    if state.handed_over_at is not None:
        return state.step + 1 if now - state.handed_over_at >= ONE_DAY else None
    return None if pace.any_queued(connection, product.id) else state.step


def step_size(step: float, backlog: int | None) -> int:
    """Give how many people a step takes: as many as it says, or its share of the backlog."""
    return step if isinstance(step, int) else max(1, ceil(step * (backlog or 0)))


def ramp_is_open(product: Product) -> bool:
    """Say whether the policy asks everybody at once."""
    return product.policy is not None and product.policy.pace.ramp == (1.0,)


def ramp_step(connection: Connection, product: Product) -> int | None:
    """Give the present step of the ramp, from 0; None where there is none, or it is over."""
    policy = product.policy
    if policy is None or ramp_is_open(product):
        return None
    state = pace.ramp_of(connection, product.id, policy.version, lock=False)
    return state.step if state is not None and state.step < len(policy.pace.ramp) else None


def ramp_unknown(connection: Connection, product: Product) -> bool:
    """Say whether a ramp is wanted whose backlog has not been counted yet."""
    policy = product.policy
    if policy is None or ramp_is_open(product):
        return False
    state = pace.ramp_of(connection, product.id, policy.version, lock=False)
    return state is None or (state.backlog is None and state.halted is None)


def begin_ramp(connection: Connection, product: Product, backlog: int) -> None:
    """Begin the ramp of the policy in force with the backlog found."""
    if product.policy is not None:
        pace.begin_ramp(connection, product.id, product.policy.version, backlog)
