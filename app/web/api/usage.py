"""Usage over HTTP: JSON, NDJSON of any length, and CloudEvents. All end in `Intake.record`.

Each event is judged on its own. What a call tells of coverage is noted last, when everything in it
has been recorded: a call that breaks off has proved nothing.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from datetime import date, datetime

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from app.errors import Conflict, Refused
from app.mirror import needs_replan, replan
from app.store import products
from app.store.products import Product
from app.store.reading import Key
from app.usage import DEFAULT_FEED, NO_ID, Intake, Reader, Told, Use, told_through
from app.web.api.bodies import (
    JSON,
    NDJSON,
    answer,
    body_of,
    content_type,
    decoded,
    only_parameters,
    what_is_wrong,
)
from app.web.api.keys import key, needs
from app.web.api.shapes import (
    MOST_EVENTS,
    MOST_TOLD,
    Rejected,
    Strict,
    UsageBody,
    UsageEvent,
    UsageResult,
)
from app.web.problems import problem

LARGEST_JSON = 8 * 1024 * 1024
LONGEST_LINE = 16 * 1024
PARAMETERS = ("through", "covers_from")


class _Envelope(Strict):
    """A batch whose events are read one by one, because not all of them are events."""

    events: list[msgspec.Raw] = msgspec.field(default_factory=list)
    through: str | None = None
    covers_from: str | None = None


_BATCH = msgspec.json.Decoder(UsageBody)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_EVENT = msgspec.json.Decoder(UsageEvent)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
Read = UsageEvent | str
"""An event as it was read, or the reason why it could not be."""


@dataclass(slots=True)
class Tally:
    """What has become of the events of a call so far."""

    received: int = 0
    applied: int = 0
    unchanged: int = 0
    unknown: int = 0
    rejected: list[Rejected] = made(default_factory=list)
    rejected_total: int = 0
    latest: date | None = None

    def reject(self, index: int, reason: str) -> None:
        """Count a rejected event, and list it while there is room."""
        self.rejected_total += 1
        if len(self.rejected) < MOST_TOLD:
            self.rejected.append(Rejected(index, reason))

    def result(self) -> UsageResult:
        """Give what the caller is told."""
        self.rejected.sort(key=lambda each: each.index)
        return UsageResult(
            self.received,
            self.applied,
            self.unchanged,
            self.unknown,
            self.rejected,
            self.rejected_total,
        )


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a call says its feed covers."""

    covers_from: date | None
    through: date | None


@dataclass(frozen=True, slots=True)
class UsageCalls:
    """The calls that take in usage."""

    intake: Intake

    @needs("usage")
    def take(self, product: str) -> ResponseReturnValue:
        """Take in a batch, or NDJSON of any length."""
        only_parameters(*PARAMETERS)
        if content_type(JSON, NDJSON) == NDJSON:
            return self._take_lines(product)
        batch = read_batch(body_of(LARGEST_JSON, JSON))
        through, start = batch[1] or parameter("through"), batch[2] or parameter("covers_from")
        return self.record(product, [batch[0]], self.coverage(start, through))

    def _take_lines(self, product: str) -> ResponseReturnValue:
        coverage = self.coverage(parameter("covers_from"), parameter("through"))
        request.max_content_length = sys.maxsize  # any length: None would mean the default
        return self.record(product, _lines(), coverage)

    def coverage(self, start: str | None, through: str | None) -> Coverage:
        """Read the days that a call says its feed covers; a problem where they are none."""
        coverage = Coverage(_day("covers_from", start), _day("through", through))
        for name in PARAMETERS:
            try:
                self.intake.refuse_future(getattr(coverage, name))
            except Refused:
                why = "It lies in the future: name a day that has been told whole."
                raise problem("invalid-parameter", why, field=name) from None
        return coverage

    def record(
        self,
        product: str,
        batches: Iterator[Sequence[Read]] | Sequence[Sequence[Read]],
        coverage: Coverage,
    ) -> ResponseReturnValue:
        """Record batches, a transaction each, and then what the feed covers."""
        used = key()
        if used.feed_retired_at is not None:
            raise problem("conflict", "The feed of this key was retired: make a key with another.")
        feed, actor, tally = used.feed or DEFAULT_FEED, f"api:{used.id}", Tally()
        if used.feed is None:
            self._announce(product, feed)
        for batch in batches:
            self._record(product, batch, actor, tally)
        self._cover(product, feed, used, coverage, tally)
        return answer(tally.result())

    def _announce(self, product: str, feed: str) -> None:
        try:
            self.intake.announce(product, feed)
        except Conflict:
            raise problem("conflict", f"The feed {feed} was retired: use another.") from None

    def _record(self, product: str, batch: Sequence[Read], actor: str, tally: Tally) -> None:
        uses, bad = _uses(batch, self.intake.clock.now(), tally)
        first = tally.received
        tally.received += len(batch)
        if not uses:
            return
        taken = self.intake.record(product, Told.of(uses), actor)
        refused = 0
        if taken.refused:
            places = (place for place in range(first, tally.received) if place not in bad)
            nameless = [
                at for at, use in zip(places, uses, strict=True) if use.name in taken.refused
            ]
            refused = len(nameless)
            for place in nameless:
                tally.reject(place, NO_ID)
        tally.applied += taken.applied
        tally.unknown += taken.unknown
        tally.unchanged += max(0, len(uses) - refused - taken.applied - taken.unknown)
        latest = max(use.day for use in uses)
        tally.latest = latest if tally.latest is None else max(tally.latest, latest)

    def _cover(self, product: str, feed: str, used: Key, coverage: Coverage, tally: Tally) -> None:
        """Note what the feed now covers, and look anew at whom that may make due earlier."""
        until = coverage.through or told_through([tally.latest] if tally.latest else [])
        if until is None and coverage.covers_from is None:
            return
        if _covered_already(used, coverage.covers_from, until):
            return
        before = self._product(product)
        self.intake.covers(product, feed, coverage.covers_from, until)
        if needs_replan(before, self._product(product)):
            replan(self.intake.database, self.intake.clock, product)

    def _product(self, product: str) -> Product:
        with self.intake.database.transaction() as connection:
            return products.load(connection, product)


def _covered_already(used: Key, start: date | None, until: date | None) -> bool:
    """Say whether the feed covers all of that, so that nothing need be written."""
    if used.covers_from is None or used.covers_until is None:
        return False
    return (start is None or start >= used.covers_from) and (
        until is None or until <= used.covers_until
    )


# --- reading -------------------------------------------------------------------------------


def read_batch(body: bytes) -> tuple[Sequence[Read], str | None, str | None]:
    """Read a JSON batch at once, or one by one where some of its events are none."""
    try:
        whole = _BATCH.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        parts = decoded(_ENVELOPE, body)
        if len(parts.events) > MOST_EVENTS:
            why = f"Send at most {MOST_EVENTS} events a call, or NDJSON."
            raise problem("invalid-body", why, field="events") from None
        return [read_event(each) for each in parts.events], parts.through, parts.covers_from
    return whole.events, whole.through, whole.covers_from


def read_event(text: bytes | msgspec.Raw) -> Read:
    """Read one event, or say why it is none."""
    try:
        return _EVENT.decode(text)
    except msgspec.ValidationError as error:
        return what_is_wrong(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "is no JSON object in UTF-8"


def _lines() -> Iterator[Sequence[Read]]:
    """Read NDJSON as it arrives, in batches; blank lines are passed over and not counted."""
    batch: list[Read] = []
    while line := request.stream.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            _skip_line(line)
            batch.append(f"the line is longer than {LONGEST_LINE} bytes")
        elif line.strip():
            batch.append(read_event(line))
        if len(batch) >= MOST_EVENTS:
            yield batch
            batch = []
    if batch:
        yield batch


def _skip_line(line: bytes) -> None:
    """Read to the end of a line that is too long, keeping none of it."""
    while line and not line.endswith(b"\n"):
        line = request.stream.readline(LONGEST_LINE)


def _uses(batch: Sequence[Read], now: datetime, tally: Tally) -> tuple[list[Use], set[int]]:
    """Give the uses of a batch, and the places in the call of those events that are none."""
    uses: list[Use] = []
    bad: set[int] = set()
    read = Reader(now).use
    for place, event in enumerate(batch, tally.received):
        try:
            if isinstance(event, str):
                raise ValueError(event)  # noqa: TRY004, TRY301 - said when it was read
            uses.append(read(event.subscription or "", event.customer or "", event.used_at))
        except ValueError as error:
            tally.reject(place, str(error))
            bad.add(place)
    return uses, bad


def parameter(name: str) -> str | None:
    """Give a parameter of the address; None where it was not given."""
    return request.args.get(name)


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        """A day that no calendar has, such as 2026-02-30."""
    raise problem("invalid-parameter", "Write a day as 2026-09-01.", field=name)
