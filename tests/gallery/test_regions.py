"""Named regions of photographs meet the faces that mien finds."""

import shutil

import numpy as np
from PIL import Image

from mien.gallery.decide import Decision, Verdict
from mien.gallery.gallery import Identification
from mien.gallery.regions import match_regions, write_matches
from mien.media.xmp import FaceRegion, read_regions

NOBODY = Verdict(Decision.UNKNOWN, None, 0.1, None, ())


def match(name, box):
    return Identification(box, Verdict(Decision.MATCH, name, 0.9, None, ()))


def moved(box, share):
    side = box[2] - box[0]
    return tuple(float(v + share * side) for v in box)


def test_a_region_finds_its_face(analyses):
    analysis = analyses["obama_1"]
    (box,) = analysis.faces.boxes
    (found,) = match_regions(analysis, [FaceRegion("Ada", moved(box, 0.15))])
    assert (found.name, found.row) == ("Ada", 0)


def test_a_region_elsewhere_finds_nobody(analyses):
    analysis = analyses["obama_1"]
    box = analysis.faces.boxes[0]
    (found,) = match_regions(analysis, [FaceRegion("Ada", moved(box, 2))])
    assert found.row is None
    assert match_regions(analysis, [FaceRegion("  ", tuple(map(float, box)))]) == []
    assert match_regions(analysis, []) == []


def test_a_face_is_given_to_the_region_that_fits_best(analyses):
    analysis = analyses["obama_1"]
    box = analysis.faces.boxes[0]
    regions = [FaceRegion("near", moved(box, 0.3)), FaceRegion("exact", moved(box, 0))]
    assert [one.row for one in match_regions(analysis, regions)] == [None, 0]


def test_matches_are_written_and_strangers_are_not(portraits, tmp_path):
    photo = tmp_path / "photo.jpg"
    shutil.copy(portraits["obama_2"], photo)
    assert write_matches(photo, [Identification((1, 1, 9, 9), NOBODY)], embed=False) is None
    before = np.asarray(Image.open(photo))
    written = write_matches(photo, [match("Ada", (100.0, 80.0, 300.0, 320.0))], embed=True)
    assert written == photo
    (region,) = read_regions(photo).regions
    assert region.name == "Ada"
    assert np.allclose(region.box, (100, 80, 300, 320), atol=0.5)
    assert np.array_equal(np.asarray(Image.open(photo)), before)
