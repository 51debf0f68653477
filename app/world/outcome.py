"""What came of an act outside: done, later, or no.

Outcomes are values, not exceptions: a refused mail is news, not a defect.  ``reason``
is a short code that may be logged and counted, so it never holds an address, a name
or a token: ``smtp 451``, ``connection refused``, ``timeout after data``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Done:
    """It happened; ``detail`` is what the other side told us about it, if anything."""

    detail: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """It did not happen yet, and trying again may help.

    ``unknown`` means that it may have happened all the same: read back before trying
    again.  ``retry_after`` is the pause the other side asked for.  ``busy`` means that the
    place it was for takes too much already: others that are for the same place had better wait.
    """

    reason: str
    unknown: bool = False
    retry_after: timedelta | None = None
    busy: bool = False


@dataclass(frozen=True, slots=True)
class No:
    """It did not happen, and trying again will not help; a person may look.

    ``ours`` means that the refusal is about us (what we sent, who we are, what is thought of
    us), or may be: it says nothing about the person it was for.
    """

    reason: str
    ours: bool = False


Outcome: TypeAlias = Done | Later | No
