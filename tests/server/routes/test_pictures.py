"""Comparing and detecting need no collection, and tell nobody's name."""

import pytest

from mien.cli.verify import _record
from mien.gallery.decide import not_comparable
from mien.server.schemas import Comparison
from toys.painted import paint


def compare(service, source, target, query="", **options):
    files = {"source": source, "target": target}
    return service.ask("POST", f"/v1/compare{query}", files=files, **options)


def test_fields_are_those_of_the_command_line():
    assert _record(not_comparable(["x"])).keys() <= Comparison.model_fields.keys()


def test_two_pictures_of_one_person_are_the_same_and_of_two_are_not(portrait_service, portraits):
    one, two, other = (portraits[n].read_bytes() for n in ("obama_1", "obama_2", "biden_1"))
    same = compare(portrait_service, one, two).json()
    assert (same["same"], same["decision"]) == (True, "match")
    assert same["score"] >= same["threshold"]
    assert same["fmr"] <= 1e-4
    assert same["source_box"] != same["target_box"]
    different = compare(portrait_service, one, other, "?fmr=0.001").json()
    assert (different["same"], different["decision"]) == (False, "different")


def test_a_picture_without_a_face_is_not_comparable(portrait_service, portraits):
    answer = compare(portrait_service, portraits["obama_1"].read_bytes(), paint(1)).json()
    assert (answer["same"], answer["decision"]) == (None, "not_comparable")
    assert answer["reasons"] == ["target: no face was found"]
    assert answer["target_box"] is None


@pytest.mark.parametrize("files", [{"source": paint(1)}, {"image": paint(1)}])
def test_both_pictures_are_needed(service, files):
    assert service.ask("POST", "/v1/compare", files=files).status_code == 422


def test_faces_are_described(portrait_service, portraits):
    data = portraits["obama_1"].read_bytes()
    answer = portrait_service.ask("POST", "/v1/detect", files={"image": data}).json()
    (face,) = answer["faces"]
    x0, y0, x1, y1 = face["box"]
    assert (answer["width"], answer["height"]) == (800, 1000)
    assert 0 <= x0 < x1 <= 800
    assert all(x0 < x < x1 and y0 < y < y1 for x, y in face["landmarks"])
    assert abs(face["pose"]["yaw_deg"]) < 20
    assert face["reasons"] == []
    raw = portrait_service.ask(
        "POST", "/v1/detect", content=data, headers={"content-type": "image/jpeg"}
    )
    assert raw.json() == answer


def test_detecting_and_comparing_need_the_scope_detect(service):
    key = service.key_for("search", "enrol", "delete", "admin")
    assert compare(service, paint(1), paint(2), key=key).status_code == 403
    files = {"image": paint(1)}
    assert service.ask("POST", "/v1/detect", files=files, key=key).status_code == 403
