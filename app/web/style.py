"""The style sheet of people's pages, in the colour of the product, and what the browser may apply.

It stands in the page itself, so that a page is one request, and is allowed by the hash of its very
text: nothing else that finds its way into a page can restyle it.
"""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files

from flask import Response
from markupsafe import Markup

from app.colors import shades

TEMPLATES = files("app.web").joinpath("templates")
STYLE = TEMPLATES.joinpath("page.css").read_text("utf-8").strip()
_WORN = (
    ":root {{ --deed: {0.deed}; --deed-over: {0.deed}; --on-deed: {0.on_deed};"
    " --link: {0.link}; }}\n"
    "@media (prefers-color-scheme: dark) {{ :root {{ --deed: {0.dark_deed};"
    " --deed-over: {0.dark_deed}; --on-deed: {0.on_dark_deed}; --link: {0.dark_link}; }} }}"
)


def digest(style: str) -> str:
    """Give what allows a style sheet in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def allowing(*digests: str) -> str:
    """Give the Content-Security-Policy of a page that has these style sheets and nothing else."""
    return (
        f"default-src 'none'; style-src {' '.join(digests)}; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    )


@lru_cache(maxsize=256)
def worn(color: str) -> tuple[Markup, str]:
    """Give the style sheet in a product's colour (empty: ours), and the policy that allows it."""
    style = f"{STYLE}\n{_WORN.format(shades(color))}" if color else STYLE
    return Markup(style), allowing(digest(style))  # noqa: S704 - our own file, and checked colours


def wear(page: Response, color: str) -> Response:
    """Allow a page the style sheet that it has."""
    page.headers["Content-Security-Policy"] = worn(color)[1]
    return page
