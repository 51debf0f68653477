"""Mail providers, one file each; a new file here is a new address to call.

It describes itself in `PROVIDER`.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from app.world.returns.provider import Provider


@cache
def names() -> tuple[str, ...]:
    """Give the names of the providers, which are those of their files."""
    return tuple(sorted(each.name for each in iter_modules(__path__)))


@cache
def provider(name: str) -> Provider:
    """Give a provider by its name; LookupError where there is none."""
    if name not in names():
        raise LookupError(name)
    found: Provider = import_module(f"{__name__}.{name}").PROVIDER
    return found
