"""A small page builder: text is escaped unless it is `Html`, and a page is one file.

A page refers to nothing outside itself: its style stands in it, pictures are data URIs, and its
content security policy forbids scripts and everything from elsewhere.
"""

import base64
import html as escaping
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image

from mien.core.errors import RangeError, ShapeError
from mien.core.types import UInt8
from mien.reports._style import STYLE

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_JPEG_QUALITY: Final = 80
_VOID: Final = frozenset({"img", "meta", "wbr"})


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is safe as it stands, such as a chart; whoever makes one vouches for it."""

    markup: str


Content = str | Html
"""Text, which is escaped, or markup, which is kept."""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a table's column.

    Attributes:
        title: Its words.
        is_number: Whether its cells are set flush right.
    """

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that differs from its column.

    Attributes:
        content: What it holds.
        span: Columns that it covers, at least 1.
        is_refusal: Whether it says that a value is refused; it is then set in red.
    """

    content: Content
    span: int = 1
    is_refusal: bool = False


def escape(content: Content) -> str:
    r"""Markup of a content: text escaped, also for use in quoted attributes; `Html` as it is.

    Bytes of file names that are no UTF-8 are written like ``\udc80``, so that the page can be
    encoded.
    """
    if isinstance(content, Html):
        return content.markup
    text = content.encode("utf-8", "backslashreplace").decode("utf-8")
    return escaping.escape(text, quote=True)


def element(tag: str, *content: Content, **attributes: str | int) -> Html:
    """An element with its attributes and content.

    Args:
        tag: Its name.
        content: What it holds, one after the other.
        attributes: Their values are escaped. Python's reserved words take a trailing underscore
            (``class_``); other underscores stand for hyphens.
    """
    names = {name.rstrip("_").replace("_", "-"): str(v) for name, v in attributes.items()}
    head = tag + "".join(f' {name}="{escape(value)}"' for name, value in names.items())
    inside = "".join(map(escape, content))
    return Html(f"<{head}>" if tag in _VOID else f"<{head}>{inside}</{tag}>")


def join(content: Iterable[Content]) -> Html:
    """Contents one after the other."""
    return Html("".join(map(escape, content)))


def paragraph(*content: Content) -> Html:
    """A paragraph."""
    return element("p", *content)


def section(title: str, *content: Content, anchor: str | None = None) -> Html:
    """A part of the page under a heading.

    Args:
        title: The heading.
        content: What it holds.
        anchor: Name for links to it, such as ``"reading"``.
    """
    named: dict[str, str | int] = {"id": anchor} if anchor else {}
    return element("section", element("h2", title), *content, **named)


def facts(items: Iterable[tuple[str, Content]], *, large: bool = False) -> Html:
    """Names with their values, in a grid; ``large`` for the few that matter most."""
    rows = [element("div", element("dt", name), element("dd", value)) for name, value in items]
    return element("dl", *rows, class_="facts large" if large else "facts")


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Content | Cell]], *, caption: str
) -> Html:
    """A table that scrolls sideways where the page is narrow.

    Args:
        columns: Their heads.
        rows: For each column a cell; a `Cell` with a span stands for several. The first of a row
            is its heading.
        caption: What the table says, shown below it.

    Raises:
        ShapeError: If a row does not fill the columns.
    """
    heads = [
        element("th", c.title, scope="col", **({"class_": "number"} if c.is_number else {}))
        for c in columns
    ]
    body = [element("tr", *_cells(columns, row)) for row in rows]
    head = element("thead", element("tr", *heads))
    return figure(element("table", head, element("tbody", *body)), caption)


def figure(content: Content, caption: str, *, beside: bool = False) -> Html:
    """A chart or picture with its caption.

    Args:
        content: The chart or table, usually `Html`.
        caption: What it shows, and how to read it.
        beside: Whether the caption stands at the side where there is room, for square charts.
    """
    words = element("figcaption", caption)
    # It scrolls sideways where the page is narrow, by keyboard too; the caption does not.
    box = element("div", content, class_="scroll", role="group", aria_label=caption, tabindex=0)
    return element("figure", box, words, **({"class_": "beside"} if beside else {}))


def file_name(path: str) -> Html:
    """A path that may be broken over lines after each slash."""
    folders = path.split("/")
    parts: list[Content] = [folders[0]]
    for folder in folders[1:]:
        parts += ["/", element("wbr"), folder]
    return element("span", *parts, class_="path")


def thumbnail(pixels: UInt8, alt: str, *, side_px: int = 168) -> Html:
    """A picture, made small and embedded as JPEG.

    Args:
        pixels: (h, w, 3) uint8, RGB.
        alt: What it shows, for those who do not see it.
        side_px: Longest side of what is embedded, at least 1; smaller pictures stay as they are.

    Raises:
        ShapeError: If it is no picture.
        RangeError: If the side is below 1.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ShapeError(
            what=f"pixels have shape {pixels.shape} and type {pixels.dtype}",
            why="a thumbnail is made from an RGB picture",
            mend="pass (h, w, 3) uint8",
        )
    if side_px < 1:
        raise RangeError(
            what=f"side_px is {side_px}", why="nothing would be seen", mend="pass 1 or more"
        )
    small = Image.fromarray(pixels)
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_JPEG_QUALITY)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return element(
        "img",
        src=f"data:image/jpeg;base64,{data}",
        alt=alt,
        width=small.width,
        height=small.height,
    )


def notice(kind: Literal["warning", "refusal"], title: str, *content: Content) -> Html:
    """A box that must not be overlooked."""
    return element("div", element("strong", title), *content, class_=f"notice {kind}", role="note")


def page(title: str, *content: Content, lead: Content, footer: Content) -> str:
    """A whole page, ready to be written to a file as UTF-8.

    Args:
        title: Its heading, also shown by the browser's tab.
        content: Sections and notices.
        lead: One or two sentences under the heading.
        footer: Small print.
    """
    head = join(
        (
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("title", title),
            element("style", Html(STYLE)),
        )
    )
    header = element("header", element("h1", title), paragraph(lead))
    body = element("body", element("main", header, *content), element("footer", footer))
    document = element("html", element("head", head), body, lang="en")
    return f"<!doctype html>\n{document.markup}\n"


def _cells(columns: Sequence[Column], row: Sequence[Content | Cell]) -> list[Html]:
    cells = [c if isinstance(c, Cell) else Cell(c) for c in row]
    if sum(cell.span for cell in cells) != len(columns):
        raise ShapeError(
            what=f"a row fills {sum(cell.span for cell in cells)} of {len(columns)} columns",
            why="each cell stands under its column's head",
            mend="pass one cell for each column, or one with a span",
        )
    made: list[Html] = []
    at = 0
    for cell in cells:
        is_number = columns[at].is_number and cell.span == 1
        classes = ["number"] * is_number + ["refused"] * cell.is_refusal
        attributes: dict[str, str | int] = {"class_": " ".join(classes)} if classes else {}
        if cell.span > 1:
            attributes["colspan"] = cell.span
        if at == 0:
            attributes["scope"] = "row"
        made.append(element("th" if at == 0 else "td", cell.content, **attributes))
        at += cell.span
    return made
