"""The role `web`: pages, webhooks, the API."""

import click

from app.cli.role import attached_option, role
from app.cli.server import serve
from app.web import create_app


@click.command("web")
@attached_option
def web(is_attached: bool) -> None:
    """Serve pages, webhooks and the API."""
    with role("web", is_attached=is_attached) as (parts, stopping):
        app = create_app(
            parts.database,
            parts.clock,
            parts.links,
            base_url=parts.settings.base_url,
            metrics_token=parts.metrics_token,
            redis_url=parts.redis_url(),
            mailbox=parts.mailbox,
        )
        serve(app, parts.settings.bind, stopping)


COMMANDS = (web,)
