"""The `reconfirm` command."""

import sys
from collections.abc import Sequence

import click

from app.cli import clocks, doctor, doing, explaining, importing, policies, setup, showing
from app.errors import ReconfirmError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="reconfirm")
def reconfirm() -> None:
    """Ask subscribers who stopped using what they pay for; stop the charge if nobody answers."""


for command in (
    *setup.COMMANDS,
    *policies.COMMANDS,
    *importing.COMMANDS,
    *doing.COMMANDS,
    *clocks.COMMANDS,
    *explaining.COMMANDS,
    *doctor.COMMANDS,
    *showing.COMMANDS,
):
    reconfirm.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit 0 done, 1 failed, 2 bad usage; a refusal says what to do."""
    try:
        reconfirm.main(args=list(arguments) if arguments is not None else None)
    except ReconfirmError as refused:
        click.echo(f"reconfirm: {refused}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
