"""Two pictures compared by their main faces."""

from mien.gallery.calibration import shipped_table
from mien.gallery.compare import compare_pictures
from mien.gallery.decide import Decision, point_for_fmr


def answer(pipeline, one, other):
    point = point_for_fmr(shipped_table(pipeline.contract.id), 1e-4)
    return compare_pictures([("one", one), ("other", other)], point)


def test_one_person_and_two(pipeline, analyses):
    same = answer(pipeline, analyses["obama_1"], analyses["obama_2"])
    assert same.decision is Decision.MATCH
    different = answer(pipeline, analyses["obama_1"], analyses["biden_1"])
    assert different.decision is Decision.DIFFERENT
    assert different.score < different.point.threshold


def test_a_picture_without_a_face_is_named(pipeline, analyses, tmp_path):
    from PIL import Image

    Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / "blank.png")
    blank = pipeline.analyse(tmp_path / "blank.png")
    verdict = answer(pipeline, analyses["obama_1"], blank)
    assert verdict.decision is Decision.NOT_COMPARABLE
    assert verdict.reasons == ("other: no face was found",)
