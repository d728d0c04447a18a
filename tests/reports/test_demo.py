"""The demonstration, from Python."""

import numpy as np
import pytest

from mien.core.errors import ConflictError
from mien.core.keys import load_key
from mien.faces.draw import Mark
from mien.gallery.decide import Decision
from mien.gallery.gallery import Gallery
from mien.media.image import load_image
from mien.reports import demo as module
from mien.reports.demo import draw_portrait, frame_of, run_demo


@pytest.fixture(scope="module")
def result(pipeline, tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"), pipeline)


def test_the_four_photos_are_decided_rightly(result):
    decisions = [one.answer.verdict.decision for one in result.answered]
    assert decisions == [Decision.MATCH, Decision.MATCH, Decision.UNKNOWN]
    assert result.is_right
    assert [one.person for one in result.enrolled] == ["Barack Obama", "Eileen Collins"]


def test_pictures_and_page_are_written(result):
    folder = result.report.parent
    for one in (*result.enrolled, *result.answered):
        assert load_image(folder / one.picture).height > 400
    page = result.report.read_text()
    assert page.count("<img") == 5
    assert f"{result.point.threshold:.3f}" in page
    assert "Barack Obama 0." in page
    assert 'src="http' not in page


def test_it_can_be_shown_again_in_the_same_folder(result, pipeline):
    again = run_demo(result.report.parent, pipeline)
    assert again.is_right
    folder = result.report.parent
    with Gallery.open(folder / "people.gallery", key=load_key(folder / "people.key")) as gallery:
        assert gallery.count().faces == 2


def test_a_gallery_of_other_people_is_not_replaced(tmp_path, pipeline, portraits):
    with Gallery.create(tmp_path / "people.gallery", pipeline.contract) as gallery:
        image = load_image(portraits["biden_1"])
        gallery.enrol("Joe", pipeline.analyse(image), pixels=image.pixels)
    with pytest.raises(ConflictError, match="holds people that the demonstration did not enrol"):
        run_demo(tmp_path, pipeline)
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        assert gallery.count().faces == 1


def test_without_the_astronaut_there_is_one_person(tmp_path, pipeline, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    result = run_demo(tmp_path, pipeline)
    assert [one.person for one in result.enrolled] == ["Barack Obama"]
    assert result.is_right


def test_pictures_can_be_laid_side_by_side(portraits):
    pixels = [load_image(path).pixels for path in portraits.values()]
    framed = frame_of(pixels, height_px=200, gap_px=10)
    assert framed.shape[0] == 200
    assert framed.shape[1] > 4 * 80


@pytest.mark.parametrize("box", [(10, 10, 60, 80), (300, 5, 390, 120), (-20, 200, 90, 330)])
def test_a_portrait_shows_the_whole_face_in_one_shape(box):
    picture = np.zeros((400, 400, 3), np.uint8)
    x0, y0, x1, y1 = (max(0, v) for v in box)
    picture[y0:y1, x0:x1] = 255
    drawn = draw_portrait(picture, Mark(box, ""))
    assert drawn.shape[0] == 720
    assert drawn.shape[1] / 720 == pytest.approx(0.8, abs=0.02)
    white = (drawn > 200).all(2).sum() / drawn[:, :, 0].size
    whole = (x1 - x0) * (y1 - y0) / ((box[3] - box[1]) / 0.42) ** 2 / 0.8
    assert white == pytest.approx(whole, rel=0.12)
