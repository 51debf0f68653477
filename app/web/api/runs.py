"""Runs for systems: what each day's sweeps did, the ramp they keep to, and taking one back."""

import re
from dataclasses import dataclass

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from app import runs as shared
from app.amends import Affected, People
from app.clock import Clock
from app.guards import Ladder, RateNow
from app.policy import Share
from app.runs import Detail
from app.store import products, runs
from app.store.amends import STANDINGS
from app.store.database import Database
from app.web.api import cursors, shapes
from app.web.api.bodies import JSON, answer, body_of, decoded, only_parameters
from app.web.api.keys import key, needs
from app.web.api.shapes import RampPause, RampResume, RampStop
from app.web.api.subscriptions import limit_asked_for
from app.web.problems import problem

LARGEST = 16 * 1024
LONGEST_NUMBER = 9
LIST = "runs"
PEOPLE = "run people"
_PLACE = re.compile(r"([0-9]{1,18})-([0-9]{1,9})", re.ASCII)
_ACT = msgspec.json.Decoder(RampPause | RampResume | RampStop)


@dataclass(frozen=True, slots=True)
class RunCalls:
    """The calls about runs and the ramp."""

    database: Database
    clock: Clock

    @property
    def _runs(self) -> shared.Runs:
        return shared.Runs(self.database, self.clock)

    @needs("read")
    def page(self, product: str) -> ResponseReturnValue:
        """List runs, the newest first."""
        only_parameters("limit", "cursor")
        limit = limit_asked_for()
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
            before = int(cursors.place_of(request.args.get("cursor"), LIST, number, "int"))
            found = runs.listed(connection, number, before or None, limit + 1)
        on = cursors.made(LIST, number, found[limit - 1].number) if len(found) > limit else None
        return answer(shapes.Runs([_told(each) for each in found[:limit]], on))

    @needs("read")
    def show(self, product: str, run: str) -> ResponseReturnValue:
        """Show one run and what became of it."""
        only_parameters()
        return answer(_detailed(self._runs.detail(product, _number(run))))

    @needs("read")
    def people(self, product: str, run: str) -> ResponseReturnValue:
        """List whom a run asked and how they stand, by our number."""
        only_parameters("limit", "cursor", "stands")
        limit, run_number = limit_asked_for(), _number(run)
        only = request.args.get("stands")
        if only is not None and only not in STANDINGS:
            raise problem(
                "invalid-parameter", f"It is one of {', '.join(STANDINGS)}.", field="stands"
            )
        with self.database.transaction() as connection:
            number = products.row_of(connection, product).id
        of = f"{PEOPLE} {run_number} {only or ''}"
        after = _place(str(cursors.place_of(request.args.get("cursor"), of, number, "str")))
        asked = People(self.database, self.clock)
        found = asked.some(product, run_number, after, limit + 1, only)
        shown = [_person(each) for each in found[:limit]]
        last = found[limit - 1].who if len(found) > limit else None
        on = cursors.made(of, number, f"{last.id}-{last.round}") if last else None
        return answer(shapes.RunPeople(shown, on))

    @needs("manage")
    def undo(self, product: str, run: str) -> ResponseReturnValue:
        """Begin to take a run back; workers withdraw its rounds, and the run says how many."""
        only_parameters()
        number = _number(run)
        self._runs.begin_undo(product, number, f"api:{key().id}")
        return answer(_detailed(self._runs.detail(product, number)))

    @needs("read")
    def ramp(self, product: str) -> ResponseReturnValue:
        """Show the ramp of the policy in force."""
        only_parameters()
        return answer(_ladder(self._runs.ramp(product)))

    @needs("manage")
    def act(self, product: str) -> ResponseReturnValue:
        """Pause, resume or stop the ramp of the policy in force."""
        only_parameters()
        said = decoded(_ACT, body_of(LARGEST, JSON))
        acts = {
            RampPause: self._runs.pause,
            RampResume: self._runs.resume,
            RampStop: self._runs.stop,
        }
        return answer(_ladder(acts[type(said)](product, f"api:{key().id}", said.why)))


def _told(each: runs.Run) -> shapes.Run:
    names = (name for name in shapes.Run.__struct_fields__ if name not in ("step", "undo"))
    step = None if each.step is None else each.step + 1
    undo = None if each.undo is None else _undo(each.undo)
    return shapes.Run(**{name: getattr(each, name) for name in names}, step=step, undo=undo)


def _place(text: str) -> tuple[int, int]:
    """Read where a page of people begins: behind our number and a round."""
    found = _PLACE.fullmatch(text)
    if found is None and text:
        raise problem("bad-cursor", field="cursor")
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _person(each: Affected) -> shapes.RunPerson:
    who = each.who
    return shapes.RunPerson(
        subscription=who.subscription,
        stands=who.stands,  # type: ignore[arg-type]
        erase_on=who.erase_on,
        told_at=who.amended_at,
        owed=who.owed,
        currency=who.currency,
        not_resumed=each.alone,
    )


def _undo(undo: runs.Undo) -> shapes.RunUndo:
    return shapes.RunUndo(
        **{name: getattr(undo, name) for name in shapes.RunUndo.__struct_fields__}
    )


def _detailed(found: Detail) -> shapes.RunDetail:
    tally = found.tally
    became = (
        None
        if tally is None
        else shapes.Became(
            asked=tally.asked,
            handed_over=tally.handed_over,
            open=tally.open,
            in_hand=tally.in_hand,
            suspended=tally.suspended,
            canceled=tally.canceled,
            closed=dict(sorted(tally.outcomes.items())),
        )
    )
    rates = [_rate(each) for each in found.rates]
    return shapes.RunDetail(run=_told(found.run), became=became, rates_of_day=rates)


def _rate(rate: RateNow) -> shapes.Rate:
    return shapes.Rate(rate.cause, rate.bad, rate.of, str(Share().write(rate.at_most)))  # type: ignore[arg-type]


def _ladder(ladder: Ladder) -> shapes.Ramp:
    halt = ladder.halt
    return shapes.Ramp(
        stands=ladder.stands.value,
        version=ladder.version,
        backlog=ladder.backlog,
        opened=ladder.opened,
        next_at=ladder.next_at,
        halted=None if halt is None else shapes.Halt(halt.at, halt.by, halt.why),
        steps=[
            shapes.RampStep(each.number, each.says, each.size, each.stands.value)
            for each in ladder.rungs
        ],
        rates=[_rate(each) for each in ladder.rates],
    )


def _number(text: str) -> int:
    """Read the number of a run; 404 where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise problem("not-found")
    return int(text)
