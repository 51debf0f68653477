"""Bounces and complaints from a mailbox, or from a mail server that hands them to a program."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import installed, print_json, say
from app.errors import ReconfirmError
from app.returns import AT_A_TIME, Came, Returns, Telling, telling_of
from app.world.returns.boxes import is_maildir, messages_below, messages_in
from app.world.returns.reading import read
from app.world.returns.report import Unreadable

TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits: a mail server keeps the mail and hands it over again later."""
MOST_LISTED = 1000
Judged = Telling | str
"""What one message tells, or the code of why it tells nothing."""


@click.command("bounces")
@click.argument(
    "file", type=click.Path(exists=True, allow_dash=True, path_type=Path), metavar="FILE|-"
)
@click.option("--product", "product_key", help="Only notices of this product.")
@json_option
@actor_option
def bounces(file: Path, product_key: str | None, as_json: bool, actor: str) -> None:
    """Take in what mail servers sent back: one message, an mbox, or a Maildir.

    Believed is only what names one of our notices by its signed Message-ID. Ends with 75, as mail
    servers expect, where it could not be done now: give it the same again later, which is harmless.
    """
    judged = [_judge(each) for each in _messages(file)]
    told = [each for each in judged if isinstance(each, Telling)]
    try:
        came = _apply(told, product_key, actor)
    except ReconfirmError as refused:
        say(f"reconfirm: {refused}")
        sys.exit(TRY_AGAIN)
    except Exception as error:  # noqa: BLE001 - a mail server drops the mail on any other code
        say(f"reconfirm: failed: {type(error).__name__}")
        sys.exit(TRY_AGAIN)
    _print(judged, came, as_json=as_json)
    if Came.FAILED in came:
        say("Some subscriptions were put off: give it the same again later.")
        sys.exit(TRY_AGAIN)


def _messages(file: Path) -> Iterator[bytes]:
    if str(file) == "-":
        yield from messages_in(sys.stdin.buffer)
    elif file.is_dir():
        if not is_maildir(file):
            raise click.BadParameter("the folder is no Maildir: it has neither new nor cur")
        yield from messages_below(file)
    else:
        with file.open("rb") as opened:
            yield from messages_in(opened)


def _judge(raw: bytes) -> Judged:
    try:
        report = read(raw)
    except Unreadable as found:
        return f"refused: {found.why}"
    return telling_of(report) or str(report.what)


def _apply(told: Sequence[Telling], product_key: str | None, actor: str) -> list[Came]:
    """Apply what was told, in batches; raises where settings or the database do not serve."""
    came: list[Came] = []
    with installed() as parts:
        returns = Returns(parts.database, parts.clock, parts.links)
        for start in range(0, len(told), AT_A_TIME):
            some = told[start : start + AT_A_TIME]
            came += (
                returns.take(product_key, some, actor)
                if product_key
                else returns.take_for_all(some, actor)
            )
    return came


def _print(judged: Sequence[Judged], came: Sequence[Came], *, as_json: bool) -> None:
    """Print what became of the messages, each by its number in the file, and nothing they say."""
    rest = iter(came)
    results = [str(next(rest)) if isinstance(each, Telling) else each for each in judged]
    counts = Counter(results)
    if as_json:
        print_json(
            {"read": len(results), "results": dict(sorted(counts.items()))} | _listed(results)
        )
        return
    said = [f"{what} {count}" for what, count in sorted(counts.items())]
    click.echo("  ".join([f"read {len(results)}", *said]))


def _listed(results: Sequence[str]) -> dict[str, Any]:
    """Give the first thousand messages that changed nothing, by number from 1, with the reason."""
    passed = [
        {"message": at, "reason": each}
        for at, each in enumerate(results, 1)
        if each not in (Came.APPLIED, Came.UNCHANGED)
    ]
    return {"passed_over": passed[:MOST_LISTED]}


COMMANDS = (bounces,)
