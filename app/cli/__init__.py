"""The `reconfirm` command.

Each command is a file, loaded when it is called: a worker need not load what draws progress bars.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from app.errors import ReconfirmError

PLACES = {
    "demo": "demo",
    "up": "up",
    "web": "web",
    "worker": "worker",
    "eraser": "eraser",
    "scheduler": "scheduler",
    "migrate": "setup",
    "product": "setup",
    "brand": "brands",
    "feed": "setup",
    "apikey": "setup",
    "brake": "setup",
    "policy": "policies",
    "forecast": "forecasts",
    "import": "importing",
    "inbox": "inbox",
    "bounces": "bounces",
    "suppression": "suppression",
    "endpoint": "endpoints",
    "webhook": "endpoints",
    "target": "targets",
    "reconcile": "reconciling",
    "refund": "refunds",
    "review": "reviews",
    "hold": "holds",
    "manifest": "manifests",
    "sweep": "doing",
    "run": "runs",
    "deliver": "doing",
    "notice": "notices",
    "console-link": "entering",
    "console": "entering",
    "clock": "clocks",
    "subject": "rights",
    "funnel": "looking",
    "outbox": "looking",
    "audit": "auditing",
    "certificate": "certifying",
    "restore-check": "restored",
    "doctor": "doctor",
}
"""Where each command is found: in the COMMANDS of a file beside this one."""


class Lazily(click.Group):
    """A group that loads a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the names, in the order of a first acquaintance."""
        return list(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Give one command; None where there is none of that name."""
        if cmd_name not in PLACES:
            return None
        found: Sequence[click.Command] = import_module(f"app.cli.{PLACES[cmd_name]}").COMMANDS
        return next(each for each in found if each.name == cmd_name)


@click.group(
    cls=Lazily,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="reconfirm")
def reconfirm() -> None:
    """Ask subscribers who stopped using what they pay for; stop the charge if nobody answers."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit 0 done, 1 failed, 2 bad usage; a refusal says what to do."""
    try:
        reconfirm.main(args=list(arguments) if arguments is not None else None)
    except ReconfirmError as refused:
        click.echo(f"reconfirm: {refused}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
