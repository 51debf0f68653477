"""Whom the bodies of messages name: found however JSON, or a form, has written it.

A body is somebody else's text and may not even be what it should be, so it is looked through as
text: as it stands, and with escapes undone, for as often as that changes anything. An id counts
where it stands alone, an address in whatever case; a short id only in quotes, since a price may
look the same.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

DEEPEST = 3
"""JSON in JSON in JSON: so often escapes are undone."""
SHORT = 6
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CHARACTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_TOKEN = re.compile(r"[0-9a-z_-]+")
_LEAST = 3
_WORD = re.compile(r"[^\s\"'<>{}\[\](),;=&\\]+")


@dataclass(frozen=True, slots=True)
class Needles:
    """What one person is called: by ids at billing, and by addresses."""

    ids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def tokens(self) -> list[str]:
        """A piece of each in small letters that stands alone wherever it is named, or is empty."""
        local = [each.rpartition("@")[0] for each in self.addresses]
        return [
            *(_token(each) for each in self.ids),
            *(_token(one) or _token(all_) for one, all_ in zip(local, self.addresses, strict=True)),
        ]

    def pattern(self) -> re.Pattern[str]:
        """Give what finds them in a text."""
        parts = [_as_id(each) for each in self.ids]
        parts += [rf"(?i:(?<![\w.+-]){re.escape(_one_way(each))})(?!\w)" for each in self.addresses]
        return re.compile("|".join(parts))


class Search:
    """Looks for several people at once; a text in which none of their tokens stands is left."""

    def __init__(self, sought: Mapping[int, Needles]) -> None:
        """Take the people, by any number."""
        self._patterns = {number: each.pattern() for number, each in sought.items()}
        self._by_token: dict[str, list[int]] = {}
        for number, each in sought.items():
            for token in each.tokens:
                self._by_token.setdefault(token, []).append(number)
        self._always = set(self._by_token.pop("", ()))

    @property
    def tokens(self) -> list[str] | None:
        """One of these, in whatever case, is in each text that names one of them plainly.

        None where somebody has a name of which nothing can be looked for in advance.
        """
        return None if self._always else list(self._by_token)

    def named_in(self, body: bytes) -> set[int]:
        """Give who is named in a body."""
        found: set[int] = set()
        for text in readings(body):
            found_here = {each.strip("-") for each in _TOKEN.findall(text.lower())}
            tokens = found_here & self._by_token.keys()
            likely = self._always.union(*(self._by_token[each] for each in tokens))
            found |= {each for each in likely if self._patterns[each].search(text)}
        return found


def readings(body: bytes) -> Iterator[str]:
    """Give a body as text, and then with its escapes undone, once more for each time it has any."""
    text = body.decode(errors="replace")
    yield _one_way(text)
    if "%" in text:
        yield _one_way(unquote(text))
    for _ in range(DEEPEST):
        before, text = text, _unescaped(text)
        if text == before:
            return
        yield _one_way(text)


def words(body: bytes, most: int) -> list[str]:
    """Give what may be ids in a body, as many as that: its words, and all that stands in quotes."""
    found: dict[str, None] = {}
    for text in readings(body):
        quoted: Iterable[str] = re.findall(r'"([^"]{1,200})"', text)
        found |= dict.fromkeys((*quoted, *(each for each in _WORD.findall(text))))
    return [each for each in found if each.isprintable()][:most]


def _as_id(name: str) -> str:
    plain = re.escape(_one_way(name))
    if len(name) < SHORT or name.isdigit():
        return f'"{plain}"'
    return rf"(?<![\w-]){plain}(?![\w-])"


def _token(text: str) -> str:
    found = (each.strip("-") for each in _TOKEN.findall(_one_way(text).lower()))
    longest = max(found, key=len, default="")
    return longest if len(longest) >= _LEAST else ""


def _one_way(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_character, text)
    # Two halves of one character, which JSON writes one after the other.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _CHARACTERS.get(found[2], found[2])
