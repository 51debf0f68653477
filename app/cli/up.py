"""All roles on one machine, with embedded servers where no address is set."""

import click

from app import log
from app.cli.fleet import Fleet
from app.cli.installation import say
from app.cli.role import until_told
from app.cli.serving import serving


@click.command("up")
def up() -> None:
    """Run web, workers and scheduler on this machine; embedded servers where no address is set."""
    with until_told() as stopping, serving() as parts:
        log.begin(parts.settings.log_level)
        fleet = Fleet(keepers=parts.keepers(), stopping=stopping)
        fleet.start()
        say(f"Serving on http://{parts.settings.bind} (end with Ctrl-C)")
        fleet.watch()
        fleet.end()


COMMANDS = (up,)
