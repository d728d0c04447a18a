"""Pages escape what they are told, refer to nothing outside, and can be read by everybody."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.core.errors import RangeError, ShapeError
from mien.reports import html
from mien.reports._style import STYLE
from mien.reports.html import Cell, Column, Html
from toys.pictures import draw_corner

HOSTILE = "<script>alert('x')</script> \"quoted\" & <b>bold</b>"
VOID = {"img", "meta", "wbr"}


class Outline(HTMLParser):
    """The elements of a page in order, each with its attributes; checks that they nest."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def outline(content: Html) -> list[tuple[str, dict[str, str | None]]]:
    return Outline(content.markup).elements


def make_page(*content: html.Content) -> str:
    return html.page("Title", *content, lead="lead", footer="footer")


@pytest.mark.parametrize(
    "made",
    [
        html.paragraph(HOSTILE),
        html.section(HOSTILE, HOSTILE, anchor=HOSTILE),
        html.facts([(HOSTILE, HOSTILE)]),
        html.table([Column(HOSTILE)], [[HOSTILE], [Cell(HOSTILE)]], caption=HOSTILE),
        html.figure(HOSTILE, HOSTILE),
        html.thumbnail(draw_corner(), HOSTILE),
        html.notice("warning", HOSTILE, HOSTILE),
        html.file_name(HOSTILE),
        html.element("p", HOSTILE, title=HOSTILE),
        html.join([HOSTILE, HOSTILE]),
    ],
)
def test_whatever_is_said_is_escaped(made):
    parsed = Outline(made.markup)
    assert not {"script", "b"} & {tag for tag, _ in parsed.elements}
    assert HOSTILE in "".join(parsed.text) + "".join(str(a.get("alt")) for _, a in parsed.elements)


def test_title_lead_and_footer_are_escaped():
    page = html.page(HOSTILE, lead=HOSTILE, footer=HOSTILE)
    tags = [tag for tag, _ in Outline(page).elements]
    assert "script" not in tags
    assert page.count("&lt;script&gt;") == 4  # the title stands twice


@given(st.text())
def test_any_text_comes_back_as_it_was(text):
    read = "".join(Outline(html.paragraph(text).markup).text)
    assert read == text.replace("\r\n", "\n").replace("\r", "\n") or "\r" in text or "\0" in text


def test_markup_is_kept_only_where_somebody_vouches_for_it():
    assert html.paragraph("a < b ", Html("<b>c</b>")).markup == "<p>a &lt; b <b>c</b></p>"


def test_file_names_that_are_no_utf8_can_be_written():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert b"caf\\udce9.jpg" in make_page(name).encode("utf-8")


def test_attributes_lose_their_underscores():
    made = html.element("img", alt="", http_equiv="x", class_="a b", tabindex=0)
    assert made.markup == '<img alt="" http-equiv="x" class="a b" tabindex="0">'


def test_a_page_stands_alone():
    page = make_page(html.figure(html.thumbnail(draw_corner(), "corner"), "a corner"))
    elements = Outline(page).elements
    tags = {tag for tag, _ in elements}
    assert not tags & {"script", "link", "iframe", "object", "embed"}
    assert all(a["src"].startswith("data:") for _, a in elements if "src" in a)
    assert not re.search(r"https?:|url\(|@import|@font-face", page)
    policy = [a for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy[0]["content"].startswith("default-src 'none'")


def test_a_page_says_its_language_its_letters_and_fits_small_screens():
    page = make_page()
    assert page.startswith("<!doctype html>\n<html lang=")
    elements = Outline(page).elements
    assert elements[0] == ("html", {"lang": "en"})
    assert ("meta", {"charset": "utf-8"}) in elements
    assert any(a.get("name") == "viewport" for _, a in elements)
    assert [tag for tag, _ in elements if tag in {"title", "h1", "main", "footer"}] == [
        "title",
        "main",
        "h1",
        "footer",
    ]


def test_the_style_knows_light_dark_paper_and_narrow_screens():
    for part in ("prefers-color-scheme: dark", "@media print", "max-width: 620px", "system-ui"):
        assert part in STYLE
    assert STYLE.count("{") == STYLE.count("}")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_lies_behind(theme):
    root = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", root))
    pairs = [(ink, paper) for ink in ("ink", "quiet") for paper in ("paper", "wash")]
    pairs += [(name, "paper") for name in ("blue", "orange", "refusal")]
    pairs += [(ink, f"{kind}-wash") for kind in ("warning", "refusal") for ink in (kind, "ink")]
    for ink, paper in pairs:
        low, high = sorted(luminance(colours[name]) for name in (ink, paper))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


def test_numbers_are_set_flush_right_and_rows_have_heads():
    made = html.table(
        [Column("who"), Column("how many", is_number=True)], [["a", "1"]], caption="counts"
    )
    cells = [(tag, a) for tag, a in outline(made) if tag in {"th", "td"}]
    assert cells == [
        ("th", {"scope": "col"}),
        ("th", {"scope": "col", "class": "number"}),
        ("th", {"scope": "row"}),
        ("td", {"class": "number"}),
    ]
    assert "text-align: right" in re.search(r"\.number \{(.*?)\}", STYLE)[1]


def test_a_refusal_may_span_columns():
    columns = [Column("rate"), Column("a", is_number=True), Column("b", is_number=True)]
    made = html.table(columns, [["1", Cell("no", span=2, is_refusal=True)]], caption="c")
    assert outline(made)[-2] == ("td", {"class": "refused", "colspan": "2"})
    alone = html.table(columns, [["1", "2", Cell("no", is_refusal=True)]], caption="c")
    assert outline(alone)[-2] == ("td", {"class": "number refused"})


@pytest.mark.parametrize("row", [[], ["a"], ["a", "b", "c"], ["a", Cell("b", span=2)]])
def test_a_row_that_does_not_fill_its_columns_is_refused(row):
    with pytest.raises(ShapeError, match=r"a row fills \d of 2 columns.*one cell for each column"):
        html.table([Column("a"), Column("b")], [row], caption="c")


def test_tables_and_charts_scroll_by_keyboard_and_keep_their_captions_in_place():
    made = html.table([Column("a")], [["1"]], caption="what it says")
    tags = outline(made)
    assert tags[0][0] == "figure"
    assert tags[1] == (
        "div",
        {"class": "scroll", "role": "group", "aria-label": "what it says", "tabindex": "0"},
    )
    assert tags[-1][0] == "figcaption"


def test_a_caption_may_stand_beside_a_square_chart():
    assert outline(html.figure("x", "c", beside=True))[0] == ("figure", {"class": "beside"})
    assert outline(html.figure("x", "c"))[0] == ("figure", {})


def decode(made: Html) -> Image.Image:
    (_, attributes), *_ = outline(made)
    assert attributes["src"].startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1])))


def test_a_thumbnail_is_the_picture_made_small():
    pixels = draw_corner(300, 400)
    picture = decode(html.thumbnail(pixels, "corner", side_px=80))
    assert (picture.format, picture.size) == ("JPEG", (80, 60))
    small = np.asarray(picture, float)
    expected = pixels.reshape(60, 5, 80, 5, 3).mean((1, 3))
    assert np.abs(small - expected).mean() < 6


def test_a_small_picture_is_not_enlarged():
    made = html.thumbnail(draw_corner(24, 32), "corner", side_px=168)
    assert decode(made).size == (32, 24)
    assert outline(made)[0][1] | {"src": ""} == {
        "src": "",
        "alt": "corner",
        "width": "32",
        "height": "24",
    }


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_picture_is_refused(pixels):
    with pytest.raises(ShapeError, match=r"pixels have shape .*RGB picture.*\(h, w, 3\) uint8"):
        html.thumbnail(pixels, "nothing")


def test_a_thumbnail_has_at_least_a_pixel():
    with pytest.raises(RangeError, match="side_px is 0; nothing would be seen"):
        html.thumbnail(draw_corner(), "corner", side_px=0)


@pytest.mark.parametrize("kind", ["warning", "refusal"])
def test_notices_are_marked_by_kind(kind):
    made = html.notice(kind, "Beware", html.paragraph("of this"))
    assert outline(made)[0] == ("div", {"class": f"notice {kind}", "role": "note"})


def test_paths_may_break_after_a_slash():
    markup = html.file_name("a/b/c.jpg").markup
    assert markup == '<span class="path">a/<wbr>b/<wbr>c.jpg</span>'


def test_sections_can_be_linked_to():
    assert outline(html.section("How", anchor="reading"))[0] == ("section", {"id": "reading"})
    assert outline(html.section("How"))[0] == ("section", {})


def test_the_facts_that_matter_most_are_large():
    assert outline(html.facts([("a", "1")], large=True))[0] == ("dl", {"class": "facts large"})
    assert [tag for tag, _ in outline(html.facts([("a", "1")]))] == ["dl", "div", "dt", "dd"]
