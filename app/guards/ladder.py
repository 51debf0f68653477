"""The ramp as a ladder: its steps, where it stands, when it goes on, and what would stop it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from app.guards.ramp import ramp_is_open, step_size, used_up
from app.guards.rates import RateNow, rates_now
from app.guards.seen import ONE_DAY
from app.policy import Policy, Share
from app.store import pace
from app.store.pace import Halt, RampState
from app.store.products import Product


class RampStands(StrEnum):
    """How a ramp stands: whether anybody is asked under it, and why not."""

    NO_POLICY = "no_policy"
    AT_ONCE = "at_once"
    NOT_BEGUN = "not_begun"
    RUNS = "runs"
    WAITS = "waits"
    OVER = "over"
    PAUSED = "paused"
    STOPPED = "stopped"


class RungStands(StrEnum):
    """Where a step of a ramp stands."""

    DONE = "done"
    HERE = "here"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: as the policy says it, and how many people that is; None before the count."""

    number: int
    says: str
    size: int | None
    stands: RungStands


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ramp of the policy in force.

    `opened` counts the asks of the present step. `next_at` is when the next step may begin: None
    where the present one is not used up, or none of its asks was handed over yet.
    """

    stands: RampStands
    version: int | None = None
    backlog: int | None = None
    opened: int = 0
    handed_over_at: datetime | None = None
    next_at: datetime | None = None
    halt: Halt | None = None
    rungs: tuple[Rung, ...] = ()
    rates: tuple[RateNow, ...] = ()

    @property
    def here(self) -> Rung | None:
        """The present step."""
        return next((each for each in self.rungs if each.stands is RungStands.HERE), None)


def ladder(connection: Connection, product: Product, now: datetime) -> Ladder:
    """Give the ramp of the policy in force, without waiting for anybody."""
    policy = product.policy
    if policy is None:
        return Ladder(RampStands.NO_POLICY)
    found = pace.ramp_of(connection, product.id, policy.version, lock=False)
    state = found or RampState()
    spent = used_up(policy, state)
    return Ladder(
        stands=_stands(product, policy, state),
        version=policy.version,
        backlog=state.backlog,
        opened=state.opened,
        handed_over_at=state.handed_over_at,
        next_at=state.handed_over_at + ONE_DAY if spent and state.handed_over_at else None,
        halt=state.halted,
        rungs=_rungs(policy, state),
        rates=tuple(rates_now(connection, product, now)),
    )


def _stands(product: Product, policy: Policy, state: RampState) -> RampStands:
    if state.halted is not None:
        return RampStands.STOPPED if state.stopped else RampStands.PAUSED
    if ramp_is_open(product):
        return RampStands.AT_ONCE
    if state.backlog is None:
        return RampStands.NOT_BEGUN
    if state.step >= len(policy.pace.ramp):
        return RampStands.OVER
    return RampStands.WAITS if used_up(policy, state) else RampStands.RUNS


def _rungs(policy: Policy, state: RampState) -> tuple[Rung, ...]:
    return tuple(
        Rung(
            number,
            str(step) if isinstance(step, int) else str(Share().write(step)),
            None if state.backlog is None else step_size(step, state.backlog),
            _where(number - 1, state.step),
        )
        for number, step in enumerate(policy.pace.ramp, 1)
    )


def _where(step: int, now_at: int) -> RungStands:
    if step == now_at:
        return RungStands.HERE
    return RungStands.DONE if step < now_at else RungStands.AHEAD
