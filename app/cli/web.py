"""The role `web`: pages, webhooks, the API."""

import click

from app.cli.role import attached_option, role
from app.cli.server import serve
from app.settings import Settings
from app.web import create_app
from app.web.console import Access


def access(settings: Settings) -> Access:
    """Give how people get in to the console, by the settings."""
    secret = settings.oidc_client_secret
    return Access(
        [key.get_secret_value() for key in settings.secret_keys],
        settings.oidc_issuer,
        settings.oidc_client_id or "",
        secret.get_secret_value() if secret is not None else "",
        settings.oidc_roles_claim,
    )


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
            console=access(parts.settings),
            erasure_ledger=parts.settings.erasure_ledger,
            certificate_keys=[key.get_secret_value() for key in parts.settings.secret_keys],
        )
        serve(app, parts.settings.bind, stopping)


COMMANDS = (web,)
