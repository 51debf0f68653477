"""Imports of subscriptions and usage from files: CSV or NDJSON, plain or gzipped."""

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, Self, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app import personal, rows
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, product_of, say
from app.errors import Refused
from app.mirror import needs_replan, replan
from app.store import products
from app.usage import Told, day_used, told_through

Row = Mapping[str, str]
SUBSCRIPTIONS_A_BATCH = 1000
USAGE_A_BATCH = 10_000
USAGE_COLUMNS = ("subscription", "customer", "used_at")


@click.group("import")
def import_() -> None:
    """Import subscriptions or usage from a file."""


FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
REJECTS = click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused lines go; FILE.rejected.csv in this folder if not given.",
)
EXTRA = click.option("--ignore-extra", is_flag=True, help="Pass over columns that are not known.")


@import_.command("subscriptions")
@click.argument("product_key", metavar="PRODUCT")
@FILE
@EXTRA
@REJECTS
@json_option
@actor_option
def subscriptions(
    product_key: str,
    file: Path,
    ignore_extra: bool,
    rejects: Path | None,
    as_json: bool,
    actor: str,
) -> None:
    """Import subscriptions as billing knows them; running it again changes nothing."""
    with installed() as parts:
        mirror = parts.mirror(product_of(parts, product_key).billing)
        with opened(
            file, rows.REQUIRED, rows.OPTIONAL, rejects, ignore_extra=ignore_extra
        ) as lines:
            seen: set[str] = set()

            def fact(row: Row) -> Any:
                facts = rows.read(row)
                if facts.external_id in seen:
                    raise ValueError(f"id {facts.external_id[:40]!r} stands in the file twice")
                seen.add(facts.external_id)
                return facts

            for batch in lines.batches(fact, SUBSCRIPTIONS_A_BATCH):
                lines.counts += mirror.bring(product_key, batch, actor)
            report(lines, as_json=as_json)


@import_.command("usage")
@click.argument("product_key", metavar="PRODUCT")
@FILE
@click.option("--feed", default="import", show_default=True, help="The feed it belongs to.")
@click.option("--covers-from", type=click.DateTime(["%Y-%m-%d"]), help="First day the feed covers.")
@click.option("--through", type=click.DateTime(["%Y-%m-%d"]), help="Last day that is told whole.")
@EXTRA
@REJECTS
@json_option
@actor_option
def usage(
    product_key: str,
    file: Path,
    feed: str,
    covers_from: datetime | None,
    through: datetime | None,
    ignore_extra: bool,
    rejects: Path | None,
    as_json: bool,
    actor: str,
) -> None:
    """Import usage; only the latest day of each person is kept."""
    with installed() as parts:
        before, start, end = product_of(parts, product_key), _day(covers_from), _day(through)
        parts.intake.refuse_future(end)
        new = _announce(parts, before.id, feed)
        with opened(
            file, ("used_at",), USAGE_COLUMNS[:2], rejects, ignore_extra=ignore_extra
        ) as lines:
            latest = _record_all(parts, product_key, lines, actor)
            parts.intake.covers(product_key, feed, start, end or told_through(latest))
            if needs_replan(before, product_of(parts, product_key)) and not new:
                replan(parts.database, parts.clock, product_key)
            report(lines, as_json=as_json)
    if new and covers_from is None:
        say(f"Feed {feed!r} counts from today on: --covers-from DATE says since when it covers.")


def _record_all(parts: Installation, product_key: str, lines: "Lines", actor: str) -> list[date]:
    """Record every batch; give the latest day told."""
    now = parts.clock.now()
    latest: list[date] = []
    for batch in lines.batches(lambda row: _use(row, now), USAGE_A_BATCH):
        told = Told(_latest(batch, "subscription"), _latest(batch, "customer"))
        taken = parts.intake.record(product_key, told, actor)
        lines.counts += Counter(
            applied=taken.applied,
            unknown=taken.unknown,
            unchanged=max(0, len(batch) - taken.applied - taken.unknown),
        )
        latest = [max([*latest, *(day for _, _, day in batch)])]
    return latest


def _use(row: Row, now: datetime) -> tuple[str, str, date]:
    subscription, customer = row.get("subscription") or "", row.get("customer") or ""
    if bool(subscription) == bool(customer):
        raise ValueError("name a subscription or a customer, and one of the two only")
    name = subscription or customer
    if len(name) > rows.LONGEST or not name.isprintable() or personal.found_in(name):
        raise ValueError("the name is no id")
    try:
        day = day_used(row.get("used_at") or "", now)
    except ValueError as error:
        raise ValueError(f"used_at {error}") from None
    return ("subscription" if subscription else "customer"), name, day


def _latest(batch: Sequence[tuple[str, str, date]], kind: str) -> dict[str, date]:
    days: dict[str, date] = {}
    for which, name, day in batch:
        if which == kind and days.get(name, date.min) < day:
            days[name] = day
    return days


def _announce(parts: Installation, product_id: int, name: str) -> bool:
    """Make the feed known before its lines are read; say whether it is new.

    Until it has spoken the product counts as unheard, so an import that breaks off asks nobody.
    """
    with parts.database.transaction() as connection:
        known = {each.name for each in products.feeds(connection, product_id)}
        products.feed_named(connection, product_id, name, parts.clock.now())
    return name not in known


def _day(moment: datetime | None) -> date | None:
    return moment.replace(tzinfo=UTC).date() if moment else None


# --- reading files -------------------------------------------------------------------------


@dataclass(slots=True)
class Lines:
    """The rows of a file, with what became of them."""

    rows: Iterator[tuple[int, Row]]
    rejects: "Rejects"
    position: Callable[[], None]
    counts: Counter[str] = field(default_factory=Counter)

    def batches(self, read: Callable[[Row], Any], size: int) -> Iterator[list[Any]]:
        """Read rows in batches; one that cannot be read goes to the rejects with its reason."""
        batch: list[Any] = []
        for number, row in self.rows:
            self.counts["read"] += 1
            try:
                if None in row or None in row.values():
                    raise ValueError("the line has not as many fields as the first one")  # noqa: TRY301
                batch.append(read(row))
            except ValueError as error:
                self.counts["rejected"] += 1
                self.rejects.add(number, str(error), row)
            if len(batch) >= size:
                yield batch
                batch = []
                self.position()
        if batch:
            yield batch
        self.position()


@dataclass(slots=True)
class Rejects:
    """The file of refused lines; made only when there is one."""

    path: Path
    stream: TextIO | None = None

    def add(self, number: int, reason: str, row: Row) -> None:
        """Write one refused line: its number, the reason, and what it said."""
        if self.stream is None:
            self.stream = self.path.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
            csv.writer(self.stream).writerow(["line", "reason", "row"])
        said = json.dumps({str(k): v for k, v in row.items()}, ensure_ascii=True, default=str)
        csv.writer(self.stream).writerow([number, reason, said])

    def __enter__(self) -> Self:
        """Write nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, if there is one."""
        if self.stream is not None:
            self.stream.close()


@contextmanager
def opened(
    file: Path,
    required: Sequence[str],
    optional: Sequence[str],
    rejects: Path | None,
    *,
    ignore_extra: bool,
) -> Iterator[Lines]:
    """Open a file with a progress bar on stderr; Refused where its columns are not right."""
    target = rejects or Path.cwd() / f"{file.name}.rejected.csv"
    with ExitStack() as stack:
        raw = stack.enter_context(file.open("rb"))
        text = stack.enter_context(_text(file, raw))
        refused = stack.enter_context(Rejects(target))
        bar = stack.enter_context(
            Progress(
                TextColumn(f"Importing {file.name}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        )
        task = bar.add_task("", total=max(1, file.stat().st_size))
        known = {*required, *optional}
        found = _rows(file, text, required, known, ignore_extra=ignore_extra)
        yield Lines(found, refused, lambda: bar.update(task, completed=raw.tell()))


def _text(file: Path, raw: IO[bytes]) -> TextIO:
    if file.suffix == ".parquet":
        raise Refused("Parquet is not read yet", "export CSV, or CSV packed with gzip")
    unpacked = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
    return io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _rows(
    file: Path, text: TextIO, required: Sequence[str], known: set[str], *, ignore_extra: bool
) -> Iterator[tuple[int, Row]]:
    kinds = [suffix for suffix in file.suffixes if suffix != ".gz"]
    try:
        if kinds and kinds[-1] in (".ndjson", ".jsonl"):
            yield from _json_rows(text, required, known, ignore_extra=ignore_extra)
        else:
            yield from _csv_rows(text, required, known, ignore_extra=ignore_extra)
    except (EOFError, gzip.BadGzipFile) as error:
        raise Refused(f"{file.name} is damaged: {error}", "pack the file again") from None


def _csv_rows(
    text: TextIO, required: Sequence[str], known: set[str], *, ignore_extra: bool
) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(text)
    _check_columns(reader.fieldnames or [], required, known, ignore_extra=ignore_extra)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = {"": f"the line is no CSV: {error}"}
        yield reader.line_num, row


def _json_rows(
    text: TextIO, required: Sequence[str], known: set[str], *, ignore_extra: bool
) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        row = _json_row(line)
        if number == 1:
            _check_columns(list(row), required, known, ignore_extra=ignore_extra)
        yield number, row


def _json_row(line: str) -> Row:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): "" if value is None else str(value) for name, value in found.items()}


def _check_columns(
    found: Sequence[str], required: Sequence[str], known: set[str], *, ignore_extra: bool
) -> None:
    missing = [name for name in required if name not in found]
    extra = [name for name in found if name not in known]
    if missing:
        raise Refused(
            f"columns are missing: {', '.join(missing)}", "the first line names the columns"
        )
    if len(set(found)) != len(found):
        raise Refused("a column stands in the first line twice", "name each column once")
    if extra and not ignore_extra:
        raise Refused(
            f"columns are not known: {', '.join(extra)}", "remove them, or pass --ignore-extra"
        )


# --- reporting -----------------------------------------------------------------------------

REPORTED = ("read", "applied", "unchanged", "unknown", "rejected")


def report(lines: Lines, *, as_json: bool) -> None:
    """Print what became of the lines."""
    counts: dict[str, Any] = {name: lines.counts[name] for name in REPORTED}
    where = str(lines.rejects.path) if lines.counts["rejected"] else None
    if as_json:
        print_json(counts | {"rejects": where})
    else:
        click.echo("  ".join(f"{name} {count}" for name, count in counts.items()))
    if where:
        say(f"Refused lines with their reasons: {where}")


COMMANDS = (import_,)
