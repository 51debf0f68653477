"""Billing systems, one file each; the sandbox is the one that needs nobody else.

A new file here is a new choice everywhere: for `product add --billing`, as a webhook address, in
the tests every system has to pass. It describes itself in `SYSTEM`.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from app.world.connector import Capabilities, System


@cache
def names() -> tuple[str, ...]:
    """Give the names of the systems, which are those of their files."""
    return tuple(sorted(each.name for each in iter_modules(__path__)))


@cache
def system(name: str) -> System | None:
    """Give a system by its name; None where there is none. Its file is read only now."""
    if name not in names():
        return None
    found: System = import_module(f"{__name__}.{name}").SYSTEM
    return found


def capabilities(name: str, settings: Mapping[str, str]) -> Capabilities:
    """Give what a system can do by a product's settings; one that there is not fails as it is told.

    Not to be asked inside a transaction: its file may be read only now.
    """
    found = system(name)
    return Capabilities() if found is None else found.can(settings)
