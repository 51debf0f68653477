"""A page's form as a browser without scripts would send it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

Attributes = dict[str, str]


@dataclass
class Sheet(HTMLParser):
    """The form of a page: what stands in it, and its buttons by name and value."""

    pairs: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[Attributes] = field(default_factory=list)
    select: str = ""
    options: list[tuple[str, bool]] = field(default_factory=list)
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, page: str, form: str = "policy") -> "Sheet":
        found = cls()
        found.form = form
        found.feed(page)
        return found

    form: str = "policy"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = has.get("id") == self.form
        if not self.inside:
            return
        if tag == "input" and "name" in has:
            self._input(has)
        elif tag == "select":
            self.select, self.options = has["name"], []
        elif tag == "option":
            self.options.append((has["value"], "selected" in has))
        elif tag == "button":
            self.buttons.append(has)

    def _input(self, has: Attributes) -> None:
        ticked = has.get("type") != "checkbox" or "checked" in has
        if ticked:
            self.pairs.setdefault(has["name"], []).append(has.get("value", "on"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self.inside:
            chosen = [value for value, picked in self.options if picked] or [self.options[0][0]]
            self.pairs.setdefault(self.select, []).append(chosen[-1])
        if tag == "form":
            self.inside = False

    def does(self) -> list[str]:
        """Give what the buttons of its rows do."""
        return [each["value"] for each in self.buttons if each.get("name") == "do"]
