"""JSON with something else in some of its places, for readers that nothing may upset."""

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


def spoiled(data: st.DataObject, said: Any, most: int = 3) -> Any:
    """Give a document of which up to so many places hold any value."""
    for _ in range(data.draw(st.integers(1, most))):
        said = _put(said, data.draw(st.sampled_from(list(_places(said)))), data.draw(VALUES))
    return said


def each_spoiled(said: Any, deepest: int, values: Sequence[Any]) -> Iterator[Any]:
    """Give the document once for each place down to a depth and each value it might hold."""
    for path in _places(said):
        for value in values if len(path) <= deepest else ():
            yield _put(said, path, value)


def _places(said: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = said if isinstance(said, dict | list) else ()
    for step, each in inside.items() if isinstance(inside, dict) else enumerate(inside):
        yield from _places(each, (*path, step))


def _put(said: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copied = dict(said) if isinstance(said, dict) else list(said)
    copied[path[0]] = _put(said[path[0]], path[1:], value)
    return copied
