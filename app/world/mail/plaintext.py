"""The text part: Markdown tokens written as a person would write a letter.

Only what notices use is known: headings, paragraphs, lists, emphasis, links.  Lines
are not wrapped; a phone and a terminal each know their own width.
"""

from collections.abc import Iterable, Sequence

from markdown_it.token import Token

_BREAKS = {"softbreak": " ", "hardbreak": "\n"}
# Emphasis is a matter of type; without type, the words must do.
_SILENT = {"strong_open", "strong_close", "em_open", "em_close"}


def write(tokens: Iterable[Token], colon: str = ": ") -> str:
    """Return the letter: blocks apart, but list items, and an h2 with its text, closed up.

    ``colon`` is what a language puts between the words of a button and its address.
    """
    blocks: list[str] = []
    bullet = ""
    for token in tokens:
        if token.type == "list_item_open":
            bullet = "- "
        elif token.tag == "h2" and token.type == "heading_open":
            blocks.append("")
        elif token.type in {"inline", "heading_close", "bullet_list_close", "paragraph_close"}:
            blocks += _block(token, bullet, colon)
            bullet = "" if token.type == "inline" else bullet
    return "\n".join(blocks).strip("\n") + "\n"


def _block(token: Token, bullet: str, colon: str) -> list[str]:
    """Return the lines that one token adds."""
    if token.type == "inline":
        return [bullet + _line(token.children or [], colon)]
    closed_up = token.hidden or token.tag == "h2"
    return [] if closed_up else [""]


def _line(children: Sequence[Token], colon: str) -> str:
    """Return one paragraph as one line."""
    links = links_only(children)
    if links:
        return "\n".join(f"{label}{colon}{url}" for label, url in links)
    return "".join(_pieces(children))


def _pieces(children: Sequence[Token]) -> Iterable[str]:
    """Yield the words of a paragraph, each link followed by its address."""
    label = url = ""
    for token in children:
        if token.type == "link_open":
            label, url = "", str(token.attrs["href"])
        elif token.type == "link_close":
            yield "" if label == url else f" ({url})"
        elif token.type not in _SILENT:
            label += token.content
            yield _BREAKS.get(token.type, token.content)


def links_only(children: Sequence[Token]) -> list[tuple[str, str]]:
    """Return label and address of each link, if a paragraph holds links and nothing else."""
    links: list[tuple[str, str]] = []
    inside = False
    for token in children:
        if token.type == "link_open":
            links.append(("", str(token.attrs["href"])))
        elif inside and token.type == "text":
            links[-1] = (links[-1][0] + token.content, links[-1][1])
        elif token.type not in {"link_close", "softbreak"} and token.content.strip():
            return []
        inside = token.type == "link_open" or (inside and token.type != "link_close")
    return links
