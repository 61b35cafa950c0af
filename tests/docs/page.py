"""docs.html as its readers get it: the samples, the answers, the tables."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[2] / "dashboard" / "docs.html"

_VOID: Final = {"meta", "link", "img", "br", "hr", "input"}


class Element:
    """An element of the page; `text` is what a reader sees of it and would copy."""

    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str | None = None, attribute: str | None = None) -> list["Element"]:
        """Every element below this one with this tag and this attribute, in the order of the page."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if (tag is None or child.tag == tag) and (attribute is None or attribute in child.attributes):
                    found.append(child)
                found += child.all(tag, attribute)
        return found

    def named(self, attribute: str) -> dict[str, str]:
        """The texts of the elements with this attribute, by its value."""
        return {element.attributes[attribute] or "": element.text for element in self.all(None, attribute)}


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self._open[-1].tag != tag:
            raise ValueError(f"line {self.getpos()[0]}: </{tag}> where <{self._open[-1].tag}> is open")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    """The tree of a page; ValueError where an element is not closed by its own end tag."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    if len(builder._open) > 1:
        raise ValueError(f"<{builder._open[-1].tag}> is not closed")
    return builder.root
