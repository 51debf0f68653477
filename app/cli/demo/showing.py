"""Shows the demo's year: printed, and then to be clicked through while its clock goes on."""

from collections.abc import Callable
from datetime import timedelta
from shlex import quote
from threading import Event, Thread
from typing import Any

import click
from waitress.server import create_server

from app.cli.demo.funnel import FUNNEL
from app.cli.demo.story import Mail, Story
from app.cli.demo.town import KEY
from app.cli.entering import link_for
from app.cli.installation import Installation, say
from app.settings import PREFIX
from app.web.lookout import Window
from app.world.mail.say import money

A_SECOND = 1.0
A_MINUTE = timedelta(minutes=1)
LINE = "─" * 72
WHO = "demo"
"""Who comes by the link into the console, as history names them."""
SHOWN = ("ask", "suspended", "kept")


def print_year(found: dict[str, Any], mails: dict[str, Mail], days: int) -> None:
    """Print three mails as text, the funnel, and the money that is no longer taken."""
    for notice in SHOWN:
        if notice in mails:
            click.echo(f"{LINE}\n{mails[notice].shown.rstrip()}\n")
    click.echo(f"{LINE}\n{found['subscribers']:,} subscribers, {days} days\n")
    for name, words in FUNNEL:
        click.echo(f"{found[name]:8,}  {words}")
    taken = " + ".join(
        money(minor, currency, "en")
        for currency, minor in found["money_no_longer_taken"].items()
        if minor
    )
    avoided = f"charges not taken for something nobody used: {taken or 'none'}"
    click.echo(f"\n{found['charges_avoided']:8,}  {avoided}")
    click.echo(f"{found['charged_after_suspension']:8,}  charges after a suspension\n")


def serve(
    story: Story, bind: tuple[str, int], summary: Callable[[], dict[str, Any]], stopping: Event
) -> None:
    """Serve a window on the town until told to stop; a minute passes there each second."""
    service, base = story.service, story.service.settings.base_url
    window = Window(service.database, service.clock, service.links, KEY, base, summary)
    server = create_server(window.application(), host=bind[0], port=bind[1], threads=4)
    Thread(target=server.run, name="window", daemon=True).start()
    say(f"Look around:   http://{bind[0]}:{bind[1]}/   the year, and everybody's story")
    say(f"The mailbox:   {base}/mailbox   every notice that was sent")
    say(f"The console:   {_way_in(service)}   lets you in as admin, once, within ten minutes")
    say(f"The service:   {base}/docs   its pages, webhooks and API")
    say("A minute passes there each second. End with Ctrl-C. Another link into the console:")
    say(f"  {_another_link(service)}")
    while not stopping.wait(A_SECOND):
        story.pass_time(A_MINUTE, A_MINUTE)


def _way_in(service: Installation) -> str:
    return link_for(service, WHO, "admin", None, f"cli:{WHO}")


def _another_link(service: Installation) -> str:
    """Give the command that makes a link into this very service, from any folder."""
    given = service.settings
    around = {"CLOCK": given.clock, "BIND": given.bind, "DATA_DIR": str(given.data_dir.resolve())}
    named = " ".join(f"{PREFIX}{name}={quote(text)}" for name, text in around.items())
    return f"{named} reconfirm console-link --name {WHO}"
