"""The report says what the table says, refuses what the table refuses, and leaks no markup."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from mien.core.errors import InputError, MienError, RangeError
from mien.gallery.calibration import Provenance, ScoredPairs, calibrate
from mien.gallery.decide import point_for_fpir
from mien.metrics.verification import eer
from mien.reports import calibration as module
from mien.reports._pairs import hardest_pairs, people_with_pairs
from mien.reports.calibration import render_calibration, render_refusal
from toys.pictures import draw_corner
from toys.templates import draw_people

HOSTILE = "<script>alert(1)</script>"
PROVENANCE = Provenance(
    data="toy people",
    date="2026-01-02",
    version="0.0.7",
    selection="every photo; all pairs",
    seed=31,
    replicates=40,
)
ASKED = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@pytest.fixture(scope="module")
def sample():
    templates, people = draw_people(40, 3, spread=1.3)
    photos = [f"{name}/photo {k}.jpg" for k, name in enumerate(people)]
    table, pairs = calibrate(templates, people, contract="toy-64-0", provenance=PROVENANCE)
    return table, pairs, photos


@pytest.fixture(scope="module")
def page(sample) -> str:
    table, pairs, photos = sample
    skipped = [("person 007/blur.jpg", "the face cannot be used (blurred)")]
    return render_calibration(
        table, pairs, photos, skipped, thumbnails=lambda _: draw_corner(40, 40)
    )


class Reader(HTMLParser):
    """Text of a page by section: paragraphs in one string, tables as rows of cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.tables: dict[str, list[list[list[str]]]] = {}
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.stack: list[str] = []
        self.title = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag in {"img", "meta", "wbr"}:
            return
        self.stack.append(tag)
        if tag == "h2":
            self.title = ""
        if tag == "table":
            self.tables[self.title] = []
        elif tag == "tr":
            self.tables[self.title].append([])
        elif tag in {"td", "th"}:
            self.tables[self.title][-1].append([])

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        words = data.replace("\u00a0", " ")
        if "h2" in self.stack:
            self.title += words
        elif "style" not in self.stack:
            self.sections[self.title] = self.sections.get(self.title, "") + words
        if {"td", "th"} & set(self.stack) and words.strip():
            self.tables[self.title][-1][-1].append(words.strip())


def read(page: str) -> Reader:
    reader = Reader(page)
    assert reader.stack == []
    return reader


def number(words: str) -> float:
    """The first number of a text, per cent as a share."""
    value = float(re.search(r"-?[\d,]*\.?\d+", words)[0].replace(",", ""))
    return value / 100 if "%" in words else value


def ends(words: str) -> tuple[float, float]:
    low, high = re.findall(r"[\d.]+", words)
    return float(low) / 100, float(high) / 100


def about(value):
    """Equal to three shown digits."""
    return pytest.approx(value, rel=0.006, abs=1e-12)


def test_a_page_is_whole_and_its_charts_are_sound(page):
    read(page)
    found = re.findall(r"<svg.*?</svg>", page)
    assert len(found) == 3
    assert {ET.fromstring(chart).get("role") for chart in found} == {"img"}


def test_no_number_is_missing_or_endless(page, sample):
    table, *_ = sample
    bare = render_calibration(table, None, None, [], thumbnails=None)
    for text in (re.sub(r'src="data:[^"]*"', "", page), bare):
        assert not re.search(r"\b(nan|inf|infinity)\b", text.lower())


def test_it_says_what_was_measured(page, sample):
    table, *_ = sample
    reader = read(page)
    summary = reader.sections["What was measured"]
    for words in ("40", "120", "7,020", "toy-64-0", "mien 0.0.7", "2026-01-02", "31", "95 %"):
        assert words in summary
    assert "every photo; all pairs" in summary
    assert "40 draws of people" in summary
    assert "toy people, 2026-01-02" in reader.sections[""]
    assert f"threshold of {table.threshold_for(1e-3).threshold:.4f}, 1 in 1,000 pairs" in summary


def test_the_thresholds_are_those_of_the_table(page, sample):
    table, *_ = sample
    rows = read(page).tables["Thresholds for comparing two photos"]
    assert [cell[0] for cell in rows[0]] == [
        *("tolerated FMR", "threshold", "FMR there", "FNMR there", "sample"),
    ]
    assert [number(row[0][0]) for row in rows[1:]] == pytest.approx(ASKED)
    for asked, row in zip(ASKED[:3], rows[1:4], strict=True):
        found = table.threshold_for(asked)
        at = found.threshold
        assert number(row[1][0]) == pytest.approx(at, abs=5.1e-5)
        assert number(row[2][0]) == about(found.fmr)
        assert ends(row[2][1]) == about(table.fmr_interval_at(at))
        assert number(row[3][0]) == about(table.fnmr_at(at).rate)
        assert row[3][0].startswith("≤") == table.fnmr_at(at).is_upper_bound
        assert ends(row[3][1]) == about(table.fnmr_interval_at(at))
        assert row[4] == ["supported by this sample"]


def test_rates_that_the_sample_cannot_show_are_refused(page):
    rows = read(page).tables["Thresholds for comparing two photos"]
    for row in rows[4:]:
        assert row[1:] == [
            [
                "sample too small: 7,020 different-person pairs show no FMR below 3/n, 0.0427 %",
            ]
        ]


def test_a_table_that_ends_too_early_is_not_blamed_on_the_sample(sample):
    table, *_ = sample
    copies = replace(table, fmr=tuple(max(rate, 0.002) for rate in table.fmr))
    rows = read(render_calibration(copies, None, None, [], thumbnails=None)).tables
    words = rows["Thresholds for comparing two photos"][3][1][0]
    assert words == (
        "beyond this table: at its highest threshold, 0.90, the FMR is still 0.2 %; look for "
        "mislabelled photos"
    )


def test_the_thresholds_of_galleries_are_those_of_the_decision(page, sample):
    table, *_ = sample
    rows = read(page).tables["Thresholds for searching a gallery"]
    assert [number(cell[0]) for cell in rows[0][1:]] == [0.1, 0.01, 0.001]
    assert [number(row[0][0]) for row in rows[1:]] == [10, 100, 1000, 10_000]
    refused = 0
    for row in rows[1:]:
        for head, cell in zip(rows[0][1:], row[1:], strict=True):
            point = point_for_fpir(table, number(head[0]), int(number(row[0][0])))
            if point.supported:
                assert number(cell[0]) == pytest.approx(point.threshold, abs=5.1e-5)
                assert number(cell[1]) == about(table.fnmr_at(point.threshold).rate)
            else:
                refused += 1
                asked = 1 - (1 - number(head[0])) ** (1 / number(row[0][0]))
                assert cell[0] == "refused"
                assert number(cell[1]) == about(asked)
    assert refused == 9


def test_the_hardest_pairs_are_the_extremes(sample):
    _, pairs, _ = sample
    low, high = hardest_pairs(pairs)
    assert len(low) == len(high) == 10
    assert pairs.same[low].all()
    assert not pairs.same[high].any()
    others = np.setdiff1d(np.flatnonzero(pairs.same), low)
    assert pairs.scores[low].max() <= pairs.scores[others].min()
    assert (np.diff(pairs.scores[low]) >= 0).all()
    others = np.setdiff1d(np.flatnonzero(~pairs.same), high)
    assert pairs.scores[high].min() >= pairs.scores[others].max()
    assert (np.diff(pairs.scores[high]) <= 0).all()


def test_fewer_pairs_than_asked_for_are_all_shown():
    rows = np.arange(3)
    pairs = ScoredPairs(rows, rows + 1, np.array([True, False, False]), np.array([0.3, 0.1, 0.2]))
    low, high = hardest_pairs(pairs)
    assert (low.tolist(), high.tolist()) == ([0], [2, 1])


def test_the_hardest_pairs_are_shown_with_names_scores_and_photos(page, sample):
    _, pairs, photos = sample
    reader = read(page)
    sections = ("Same person, lowest scores", "Different people, highest scores")
    for title, chosen in zip(sections, hardest_pairs(pairs), strict=True):
        text = reader.sections[title]
        at = 0
        for k in chosen:  # each in its place: the score, then both names
            for words in (
                f"{pairs.scores[k]:.3f}",
                photos[pairs.left[k]],
                photos[pairs.right[k]],
            ):
                at = text.index(words, at)
    assert "Check these for mislabelled photos." in reader.sections[sections[1]]
    assert len(reader.images) == 40
    assert all(image["alt"] in photos for image in reader.images)


def test_a_mislabelled_photo_comes_first():
    templates, people = draw_people(30, 3, spread=0.6)
    people = people.copy()
    people[4] = "somebody else"
    table, pairs = calibrate(templates, people, contract="toy", provenance=PROVENANCE)
    _, high = hardest_pairs(pairs, most=2)
    assert all(4 in {pairs.left[k], pairs.right[k]} for k in high)
    page = render_calibration(table, pairs, None, [], thumbnails=None)
    assert read(page).sections["Different people, highest scores"].count("photo 5") >= 2


def test_each_photo_is_asked_for_once(sample):
    table, pairs, photos = sample
    asked: list[str] = []

    def show(photo: str):
        asked.append(photo)
        return None if photo == photos[0] else draw_corner(30, 30)

    page = render_calibration(table, pairs, photos, [], thumbnails=show)
    chosen = np.concatenate(hardest_pairs(pairs))
    rows = set(pairs.left[chosen]) | set(pairs.right[chosen])
    assert sorted(asked) == sorted(photos[row] for row in rows)
    assert len(read(page).images) < 41


def test_a_photo_that_cannot_be_shown_says_so(sample):
    table, pairs, photos = sample
    shown = photos[pairs.left[hardest_pairs(pairs)[0][0]]]
    page = render_calibration(
        table,
        pairs,
        photos,
        [],
        thumbnails=lambda photo: draw_corner(9, 9) if photo == shown else None,
    )
    reader = read(page)
    assert {image["alt"] for image in reader.images} == {shown}
    assert page.count('<span class="blank">no picture</span>') == 40 - len(reader.images)


def test_without_thumbnails_there_are_names_only(sample):
    table, pairs, photos = sample
    page = render_calibration(table, pairs, photos, [], thumbnails=None)
    assert read(page).images == []
    assert photos[pairs.left[hardest_pairs(pairs)[0][0]]] in re.sub("<wbr>", "", page)
    assert "guard it" not in page


def test_a_page_with_photos_asks_to_be_guarded(page):
    assert "This page shows photos and their names: guard it" in page


def test_a_table_alone_makes_a_page_without_pairs(sample):
    table, *_ = sample
    reader = read(render_calibration(table, None, None, [], thumbnails=None))
    assert "Same person, lowest scores" not in reader.sections
    assert "The two kinds of error" in reader.sections
    assert "None: every photo gave a template." in reader.sections["Skipped photos"]


def test_the_equal_error_rate_is_that_of_the_pairs(page, sample):
    _, pairs, _ = sample
    words = read(page).sections["The two kinds of error"]
    shown = number(re.search(r"Both rates are equal at ([\d.]+ %)", words)[1])
    assert shown == about(eer(pairs.scores[pairs.same], pairs.scores[~pairs.same]).rate)


def test_the_photos_that_were_skipped_are_listed_with_their_reasons(page):
    rows = read(page).tables["Skipped photos"]
    assert ["".join(cell) for cell in rows[1]] == [
        *("person 007/blur.jpg", "the face cannot be used (blurred)"),
    ]


def test_a_long_list_of_skipped_photos_is_cut_and_says_so(sample, monkeypatch):
    table, *_ = sample
    monkeypatch.setattr(module, "MOST_SKIPPED", 3)
    skipped = [(f"{k}.jpg", "no face") for k in range(1003)]
    reader = read(render_calibration(table, None, None, skipped, thumbnails=None))
    assert len(reader.tables["Skipped photos"]) == 1 + 3
    assert "… and 1,000 more." in reader.sections["Skipped photos"]
    assert "1,003 photos gave no template" in reader.sections["Skipped photos"]


def test_it_explains_itself_in_plain_words(page):
    words = read(page).sections["How to read this page"]
    for term in ("Score.", "Threshold.", "False match rate", "False non-match", "Intervals."):
        assert term in words
    assert "no probability" in words
    assert 'href="#reading"' in page
    assert 'id="reading"' in page


def test_hostile_names_stay_words(sample):
    table, pairs, photos = sample
    named = replace(
        table,
        contract=HOSTILE,
        provenance=replace(PROVENANCE, data=HOSTILE, date=HOSTILE, version=HOSTILE),
    )
    page = render_calibration(
        named,
        pairs,
        [f"{HOSTILE}{photo}" for photo in photos],
        [(HOSTILE, HOSTILE)],
        thumbnails=lambda _: draw_corner(9, 9),
    )
    assert "script" not in read(page).tags
    assert page.count("&lt;script&gt;") > 40


def test_people_with_two_photos_are_counted():
    people = np.array([*draw_people(10, 2)[1], "alone", "alone too", "b", "b"])
    left, right = np.triu_indices(len(people), 1)
    pairs = ScoredPairs(left, right, people[left] == people[right], np.zeros(len(left)))
    assert people_with_pairs(pairs) == 10 + 1


def test_few_people_with_two_photos_earn_a_warning(page):
    templates, people = draw_people(40, 4)
    kept = [k for k in range(160) if k < 24 or k % 4 == 0]  # four photos of 6, one of 34
    table, pairs = calibrate(templates[kept], people[kept], contract="toy", provenance=PROVENANCE)
    words = read(render_calibration(table, pairs, None, [], thumbnails=None)).sections
    assert "rests on 6 of the people" in words["What was measured"]
    assert "rests on" not in read(page).sections["What was measured"]


def test_a_table_that_supports_no_usual_rate_says_so(sample):
    table, *_ = sample
    tiny = replace(table, n_impostor=20)
    words = read(render_calibration(tiny, None, None, [], thumbnails=None)).sections
    assert "No usual threshold" in words["What was measured"]
    assert "Sample too small: 20 different-person pairs" in words["What was measured"]


def test_pairs_of_another_table_are_refused(sample):
    table, pairs, photos = sample
    with pytest.raises(InputError, match=r"120 same-person and 7020 .*counts 119 and 7020"):
        render_calibration(replace(table, n_genuine=119), pairs, photos, [], thumbnails=None)


def test_photos_that_are_missing_are_refused(sample):
    table, pairs, photos = sample
    with pytest.raises(InputError, match=r"there are 119 photos; the pairs speak of 120"):
        render_calibration(table, pairs, photos[:-1], [], thumbnails=None)


def test_a_refusal_gets_a_page_with_what_why_and_mend():
    with pytest.raises(RangeError) as caught:
        calibrate(*draw_people(7, 2), contract="toy", provenance=PROVENANCE)
    page = render_refusal(
        caught.value, skipped=[(HOSTILE, "no face was found")], provenance=PROVENANCE
    )
    reader = read(page)
    assert "script" not in reader.tags
    assert "notice refusal" in page
    assert "The sample has 7 people and 7 same-person pairs." in reader.sections[""]
    assert "rates would be accidents" in reader.sections[""]
    assert "Add people, with at least two photos" in reader.sections["What to do"]
    assert "7 of at least 20" in reader.sections["What was found"]
    assert "7 of at least 30" in reader.sections["What was found"]
    assert reader.tables["Skipped photos"][1][1] == ["no face was found"]
    assert "toy people, 2026-01-02" in reader.sections[""]


def test_any_refusal_gets_a_page():
    error = MienError(what="nothing was measured", why="of the weather", mend="wait")
    reader = read(render_refusal(error))
    assert "Nothing was measured." in reader.sections[""]
    assert "of at least" not in reader.sections["What was found"]
    assert "None: every photo gave a template." in reader.sections["Skipped photos"]
