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
from app.cli.reconciling import compare, print_run
from app.errors import Refused
from app.mirror import needs_replan, replan
from app.usage import NO_ID, Reader, Told, Use, told_through

Row = Mapping[str, str]
SUBSCRIPTIONS_A_BATCH = 1000
USAGE_A_BATCH = 10_000
ERASED = (
    "the data of this subscription was erased: it is taken in again only as a new one, which"
    " started after that day"
)
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
@click.option("--as-of", help="When the file was true, as 2026-09-08T00:00:00Z; now if not given.")
@EXTRA
@REJECTS
@json_option
@actor_option
def subscriptions(
    product_key: str,
    file: Path,
    as_of: str | None,
    ignore_extra: bool,
    rejects: Path | None,
    as_json: bool,
    actor: str,
) -> None:
    """Import subscriptions as billing knows them; running it again changes nothing.

    What was told of a later moment, by a webhook or another file, stays.
    """
    with installed() as parts:
        told_at = _as_of(as_of, parts.clock.now())
        mirror = parts.mirror(product_of(parts, product_key).billing)
        with opened(
            file, rows.REQUIRED, rows.OPTIONAL, rejects, ignore_extra=ignore_extra
        ) as lines:
            seen: set[str] = set()
            lines_of: dict[str, int] = {}

            def fact(row: Row) -> Any:
                facts = rows.read(row, told_at)
                if facts.external_id in seen:
                    raise ValueError(f"id {facts.external_id[:40]!r} stands in the file twice")
                seen.add(facts.external_id)
                lines_of[facts.external_id] = lines.number
                return facts

            for batch in lines.batches(fact, SUBSCRIPTIONS_A_BATCH):
                brought = mirror.bring(product_key, batch, actor)
                lines.counts += brought
                for name in brought.erased:
                    lines.rejects.add(lines_of[name], ERASED, {"id": name})
                lines_of.clear()
            stale = lines.counts["stale"]
            lines.counts["unchanged"] += stale
            report(lines, as_json=as_json)
            if stale:
                say(f"{stale} of the unchanged are known as of a later moment than this file's.")


def _as_of(text: str | None, now: datetime) -> datetime:
    """Give the moment that a file tells of; Refused where it has not come."""
    if text is None:
        return now
    try:
        found = rows.moment("--as-of", text)
    except rows.RowRefused as refused:
        raise click.BadParameter(str(refused)) from None
    if found > now:
        raise Refused(f"--as-of {text} lies in the future", "name the moment of the export")
    return found


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
        new = parts.intake.announce(product_key, feed)
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
    intake, reader = parts.intake, Reader(parts.clock.now())
    latest: list[date] = []
    for batch in lines.batches(lambda row: _use(row, reader), USAGE_A_BATCH):
        taken = intake.record(product_key, Told.of(batch), actor)
        lines.counts += Counter(
            applied=taken.applied,
            unknown=taken.unknown,
            unchanged=max(0, len(batch) - taken.applied - taken.unknown),
        )
        latest = [max([*latest, *(use.day for use in batch)])]
    return latest


def _use(row: Row, reader: Reader) -> Use:
    use = reader.use(
        row.get("subscription") or "", row.get("customer") or "", row.get("used_at") or ""
    )
    if personal.found_in(use.name):
        raise ValueError(NO_ID)
    return use


def _day(moment: datetime | None) -> date | None:
    return moment.replace(tzinfo=UTC).date() if moment else None


@import_.command("billing")
@click.argument("product_key", metavar="PRODUCT")
@json_option
def billing(product_key: str, as_json: bool) -> None:
    """Import all subscriptions that billing lists; it may be ended and run again at any time."""
    with installed() as parts:
        done = compare(parts, product_key, pages_only=True)
        print_run(done, as_json=as_json)


# --- reading files -------------------------------------------------------------------------


@dataclass(slots=True)
class Lines:
    """The rows of a file, with what became of them."""

    rows: Iterator[tuple[int, Row]]
    rejects: "Rejects"
    position: Callable[[], None]
    counts: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def batches(self, read: Callable[[Row], Any], size: int) -> Iterator[list[Any]]:
        """Read rows in batches; one that cannot be read goes to the rejects with its reason."""
        batch: list[Any] = []
        for number, row in self.rows:
            self.counts["read"] += 1
            self.number = number
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
    if lines.counts["erased"]:
        counts["erased"] = lines.counts["erased"]
    refused = lines.counts["rejected"] + lines.counts["erased"]
    where = str(lines.rejects.path) if refused else None
    if as_json:
        print_json(counts | {"rejects": where})
    else:
        click.echo("  ".join(f"{name} {count}" for name, count in counts.items()))
    if where:
        say(f"Refused lines with their reasons: {where}")


COMMANDS = (import_,)
