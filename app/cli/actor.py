"""Who acts on the command line: a code, recorded as `cli:name`."""

import os
import pwd
import re
from collections.abc import Callable
from typing import Any

import click


def _check(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    name = value or _login()
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise click.BadParameter("write a short name of letters, digits, dots and dashes")
    return f"cli:{name}"


def _login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def actor_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--actor`."""
    return click.option("--actor", callback=_check, help="Who acts; your login name if not given.")(
        command
    )


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)
