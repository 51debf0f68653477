"""Kinds of erasure targets, one file each; the sandbox is the one that needs nobody else.

A new file here is a new choice everywhere: for `target add --kind`, and in the tests every kind has
to pass. It describes itself in `KIND`.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from app.world.erasing import Kind


@cache
def names() -> tuple[str, ...]:
    """Give the names of the kinds, which are those of their files."""
    return tuple(sorted(each.name for each in iter_modules(__path__)))


@cache
def kind(name: str) -> Kind | None:
    """Give a kind by its name; None where there is none. Its file is read only now."""
    if name not in names():
        return None
    found: Kind = import_module(f"{__name__}.{name}").KIND
    return found
