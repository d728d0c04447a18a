"""Answers hold what they should, and no template."""

import json

import numpy as np
import pytest

from mien.gallery.decide import Candidate, OperatingPoint, decide, not_comparable
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.server.records import (
    collection_record,
    detected_face,
    face_record,
    found_face,
    person_record,
    receipt_record,
)
from toys.painted import Painted
from toys.stage import exact_table, random_face


@pytest.fixture
def gallery(tmp_path):
    contract = Painted().pipeline().contract
    with Gallery.create(tmp_path / "a.gallery", contract) as made:
        vector = random_face(np.random.default_rng(1)).astype(np.float32)
        made.add(Template("f", "Ada", vector, 80.04, "x", "0" * 64, (0.04, 1, 2, 3), "form", "t"))
        yield made


def test_a_collection_without_calibration_says_so(gallery):
    told = collection_record("a", gallery, "12345678")
    assert (told.people, told.faces, told.calibration) == (1, 1, None)
    gallery.keep_calibration(exact_table(gallery.index.contract))
    assert collection_record("a", gallery, "12345678").calibration.impostor_pairs == 10**9


def test_faces_and_people_are_told_without_templates(gallery):
    (template,) = gallery.index.get(["f"])
    face, person = face_record(template), person_record(gallery.people.find("Ada"))
    assert (face.box, face.quality) == ([0.0, 1.0, 2.0, 3.0], 80.0)
    assert (person.name, person.has_consent) == ("Ada", True)
    for record in (face, person):
        assert not {"vector", "digest"} & record.model_dump().keys()


def test_a_receipt_is_told_as_it_is_signed(gallery):
    receipt = gallery.deletion.faces(["f"])
    assert json.loads(receipt_record(receipt).model_dump_json(by_alias=True)) == json.loads(
        receipt.to_json()
    )


def test_decisions_bear_their_threshold_and_candidates_only_if_allowed():
    point = OperatingPoint(0.3, 0.01, (0.0, 0.1), 0.01, (0.0, 0.1), 1, supported=True, warning=None)
    verdict = decide([Candidate("Ada", 0.9, "f", "p")], point)
    told = found_face((0, 0, 1, 1), verdict, with_candidates=True)
    assert (told.decision, told.person, told.person_id, told.threshold) == (
        "match",
        "Ada",
        "p",
        0.3,
    )
    assert told.candidates[0].person == "Ada"
    assert found_face((0, 0, 1, 1), verdict, with_candidates=False).candidates is None
    bare = found_face((0, 0, 1, 1), not_comparable(["LOW_SHARPNESS"]), with_candidates=False)
    assert (bare.threshold, bare.fmr, bare.reasons) == (None, None, ["LOW_SHARPNESS"])


def test_poses_are_told_in_degrees(analyses):
    face = analyses["obama_1"].faces.row(0)
    told = detected_face(face, [])
    assert told.pose.yaw_deg == pytest.approx(np.degrees(face.pose.yaw), abs=0.06)
    assert len(told.landmarks) == 5
