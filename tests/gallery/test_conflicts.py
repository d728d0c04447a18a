"""A face that speaks against its name is refused, with Rekognition's codes, unless forced."""

import numpy as np
import pytest

from mien.core.errors import ConflictError
from mien.gallery.conflicts import Conflict, Likeness, compare, conflict_error, conflicts
from mien.gallery.decide import point_for_fmr, point_for_fpir
from toys.galleries import face, make, near, table, unit

OTHER = Conflict.ASSOCIATED_TO_A_DIFFERENT_USER
LOW = Conflict.LOW_MATCH_CONFIDENCE
TABLE = table()
KNOWN = point_for_fpir(TABLE, 0.01, 10).threshold
STRANGER = point_for_fmr(TABLE, 0.1).threshold


@pytest.fixture
def gallery(tmp_path):
    with make(tmp_path / "people.gallery") as made:
        made.keep_calibration(TABLE)
        yield made


@pytest.mark.parametrize(
    ("own", "other", "codes"),
    [
        (None, None, ()),
        (None, KNOWN + 0.01, (OTHER,)),
        (None, KNOWN - 0.01, ()),
        (KNOWN + 0.02, KNOWN + 0.01, ()),
        (KNOWN + 0.01, KNOWN + 0.02, (OTHER,)),
        (STRANGER - 0.02, STRANGER - 0.01, (LOW,)),
        (STRANGER + 0.01, None, ()),
        (STRANGER - 0.01, None, (LOW,)),
        (STRANGER - 0.01, KNOWN + 0.01, (OTHER, LOW)),
    ],
)
def test_reasons_follow_from_the_scores(own, other, codes):
    assert conflicts(Likeness(own, other, "x"), TABLE, 10) == codes


@pytest.mark.parametrize(
    ("own", "other", "codes"),
    [(None, 0.99, ()), (0.1, None, ()), (0.4, 0.5, (OTHER,)), (0.5, 0.4, ())],
)
def test_without_a_calibration_only_known_people_are_judged(own, other, codes):
    assert conflicts(Likeness(own, other, "x"), None, 10) == codes


def test_a_face_is_compared_with_its_own_person_and_all_others(gallery):
    ann = gallery.add(face("Ann", 1))
    bob = gallery.add(face("Bob", 2), force=True)
    probe = near(ann.vector, 0.8)
    nearest = gallery.nearest(probe[None], 2)[0]
    new = compare(nearest, probe, [], "")
    assert (new.own, new.other_id) == (None, ann.person_id)
    assert new.other == pytest.approx(0.8, abs=1e-5)
    own = compare(nearest, probe, [ann.vector], ann.person_id)
    assert own.own == pytest.approx(0.8, abs=1e-5)
    assert own.other_id == bob.person_id
    assert own.other == pytest.approx(float(probe @ bob.vector), abs=1e-5)


def test_nobody_else_is_nobody(gallery):
    assert compare([], unit(1), [], "") == Likeness(None, None, "")


def test_a_face_of_somebody_else_is_refused(gallery):
    ann = gallery.add(face("Ann", 1))
    again = face("Beth", 5, vector=near(ann.vector, 0.95))
    with pytest.raises(ConflictError, match=r"ASSOCIATED_TO_A_DIFFERENT_USER\); it res") as caught:
        gallery.add(again)
    facts = caught.value.facts
    assert facts["codes"] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    assert facts["other_person"] == ann.person_id
    assert facts["other"] == pytest.approx(0.95, abs=1e-4)
    assert facts["own"] is None
    assert "Ann" not in str(caught.value)
    assert "Beth" not in str(caught.value)
    assert gallery.count().faces == 1
    assert gallery.add(again, force=True).person == "Beth"


def test_a_face_unlike_its_own_person_is_refused(gallery):
    gallery.add(face("Ann", 1))
    stranger = face("Ann", 5, vector=near(unit(1), -0.5))
    with pytest.raises(ConflictError, match=r"LOW_MATCH_CONFIDENCE\); it resembles its own") as err:
        gallery.add(stranger)
    assert err.value.facts["codes"] == ["LOW_MATCH_CONFIDENCE"]
    gallery.add(stranger, force=True)
    assert gallery.people.find("Ann").faces == 2


def test_a_photo_in_the_wrong_folder_has_both_reasons(gallery):
    gallery.add(face("Ann", 1))
    gallery.add(face("Bob", 5, vector=near(unit(1), -0.6)))
    with pytest.raises(ConflictError) as caught:
        gallery.add(face("Ann", 6, vector=near(unit(1), -0.6, 3)))
    assert caught.value.facts["codes"][-1] == "LOW_MATCH_CONFIDENCE"


def test_a_good_further_photo_is_no_conflict(gallery):
    gallery.add(face("Ann", 1))
    gallery.add(face("Bob", 2), force=True)
    gallery.add(face("Ann", 5, vector=near(unit(1), 0.9)))
    assert gallery.people.find("Ann").faces == 2


def test_the_other_one_wins_only_if_nearer(gallery):
    """A twin: very alike, and still nearer to the own photo."""
    gallery.add(face("Ann", 1))
    twin = near(unit(1), 0.85, 4)
    gallery.add(face("Beth", 5, vector=twin), force=True)
    between = unit(1) * 1.2 + twin
    between = (between / np.linalg.norm(between)).astype(np.float32)
    gallery.add(face("Ann", 6, vector=between))
    with pytest.raises(ConflictError, match="DIFFERENT_USER"):
        gallery.add(face("Beth", 7, vector=between))


def test_a_forced_enrolment_says_so_in_the_journal(gallery):
    gallery.add(face("Ann", 1))
    gallery.add(face("Beth", 2, vector=near(unit(1), 0.95)), force=True)
    assert [entry.facts["forced"] for entry in gallery.journal.entries()] == [True, False]


def test_the_error_names_each_reason_once():
    error = conflict_error("a.jpg", (OTHER, LOW), Likeness(0.1, 0.9, "p"))
    assert str(error).startswith("a.jpg: the face speaks against its name (ASSOCIATED_TO_A_DIFF")
    assert "; enrol it" not in error.what
    assert error.why.count(";") == 1
