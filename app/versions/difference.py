"""How two policies differ, knob by knob: what a reviewer reads before anything else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.policy import Policy, write


@dataclass(frozen=True, slots=True)
class Change:
    """One knob that differs, by its JSON path; None where it is not there (a whole segment)."""

    path: str
    before: Any
    after: Any


def differences(before: Policy | None, after: Policy) -> list[Change]:
    """Give what differs, in the order of the knobs; against nothing, everything does."""
    old = {} if before is None else write(before)
    new = write(after)
    segments = (old.pop("segments", []), new.pop("segments"))
    return [*_changed(old, new, ""), *_segments(*segments)]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> Iterator[Change]:
    for name in [*new, *(each for each in old if each not in new)]:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _changed(before, after, f"{prefix}{name}.")
        else:
            yield Change(f"{prefix}{name}", before, after)


def _segments(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> Iterator[Change]:
    """Compare segments by their place, since the first that fits a subscription holds for it."""
    for place in range(max(len(old), len(new))):
        before = old[place] if place < len(old) else None
        after = new[place] if place < len(new) else None
        path = f"segments[{place}]"
        if before is None or after is None:
            yield Change(path, before, after)
        else:
            yield from _changed(before, after, f"{path}.")
