"""Faces kept to be looked at: only for a while, sealed, and gone once they are dealt with."""

import numpy as np
import pytest

from mien.core.errors import ConflictError, IdentityMissingError, RangeError, RefusedError
from mien.gallery.decide import Candidate, Decision, decide, not_comparable, point_for_fpir
from toys.galleries import all_bytes, face, make, near, reopen, table, unit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


@pytest.fixture
def gallery(path):
    with make(path) as made:
        made.keep_calibration(table())
        made.add(face("Ann", 1))
        yield made


def keep(gallery, vector, **changes):
    verdict = gallery.decide(vector[None])[0]
    values = {
        "crop": b"jpeg of somebody",
        "quality": 44.5,
        "digest": "d" * 64,
        "box": (1.004, 2.0, 30.5, 40.0),
        "days": 7,
    }
    return gallery.review.keep(vector, verdict, **(values | changes))


def test_a_kept_face_comes_back(gallery, path):
    vector = near(unit(1), 0.3)
    kept = keep(gallery, vector)
    for one in (gallery, reopen(path)):
        found = one.review.find(kept)
        assert np.array_equal(found.vector, vector)
        assert (found.quality, found.digest, found.box) == (44.5, "d" * 64, (1.0, 2.0, 30.5, 40.0))
        assert found.decision is Decision.UNKNOWN
        assert found.person_id == gallery.people.find("Ann").person_id
        assert found.score == pytest.approx(0.3, abs=1e-5)
        assert found.keep_until > found.at[:10]
        assert one.review.crop(kept) == b"jpeg of somebody"
        if one is not gallery:
            one.close()


def test_a_face_that_resembles_nobody_is_kept_too(path):
    with make(path) as gallery:
        kept = gallery.review.keep(
            unit(1),
            not_comparable(["BLUR"]),
            crop=b"",
            quality=0,
            digest="",
            box=(0, 0, 0, 0),
            days=1,
        )
        found = gallery.review.find(kept)
        assert (found.decision, found.person_id, found.score) == (
            Decision.NOT_COMPARABLE,
            "",
            None,
        )


def test_the_newest_comes_first(gallery):
    kept = [keep(gallery, unit(k)) for k in (5, 6, 7)]
    assert [one.sighting_id for one in gallery.review.all()] == kept[::-1]


@pytest.mark.parametrize("days", [0, -1, 366])
def test_nothing_is_kept_for_ever(gallery, days):
    with pytest.raises(RangeError, match=f"kept for {days} days; .* are kept for 1 to 365 days"):
        keep(gallery, unit(5), days=days)
    assert gallery.review.all() == []


def test_a_discarded_face_is_nowhere(gallery, path):
    vector = unit(5)
    kept = keep(gallery, vector)
    assert kept.encode() in all_bytes(path.parent)
    gallery.review.discard(kept)
    data = all_bytes(path.parent)
    assert kept.encode() not in data
    for call in (gallery.review.find, gallery.review.crop, gallery.review.discard):
        with pytest.raises(IdentityMissingError, match="is kept for review; it was dealt with"):
            call(kept)


def test_nothing_of_a_kept_face_is_in_the_clear(gallery, path):
    vector = unit(5)
    keep(gallery, vector)
    data = all_bytes(path.parent)
    for trace in (
        vector.tobytes()[:16],
        vector.tobytes().hex().encode()[:40],
        b"jpeg of",
        b"d" * 40,
    ):
        assert trace not in data


def test_a_confirmed_face_is_enrolled_and_not_kept_any_more(gallery):
    kept = keep(gallery, near(unit(1), 0.9))
    stored = gallery.confirm(kept, "Ann", consent="form 5", retain_until="2030-01-01", actor="me")
    assert (stored.person, stored.consent, stored.retain_until) == ("Ann", "form 5", "2030-01-01")
    assert stored.source.startswith("seen 20")
    assert gallery.people.crop(stored.face_id) == b"jpeg of somebody"
    assert gallery.people.find("Ann").faces == 2
    assert gallery.review.all() == []
    newest = gallery.journal.entries(1)[0]
    assert (newest.op, newest.actor) == ("enrol", "me")
    with pytest.raises(IdentityMissingError):
        gallery.confirm(kept, "Ann")


def test_a_confirmed_face_may_be_somebody_new(gallery):
    assert gallery.confirm(keep(gallery, near(unit(1), -0.2)), "Bob").person == "Bob"
    assert gallery.count().people == 2


def test_a_face_that_cannot_be_confirmed_stays(gallery):
    kept = keep(gallery, near(unit(1), 0.95))
    with pytest.raises(ConflictError, match="DIFFERENT_USER"):
        gallery.confirm(kept, "Bob")
    gallery.make_strict(strict=True)
    with pytest.raises(RefusedError, match="strict"):
        gallery.confirm(kept, "Ann")
    assert len(gallery.review.all()) == 1
    assert gallery.count().faces == 1


def test_one_face_of_one_picture_is_confirmed_once(gallery):
    one, other = (keep(gallery, near(unit(1), 0.9)) for _ in range(2))
    gallery.confirm(one, "Ann")
    with pytest.raises(ConflictError, match="enrolled already, for the same person"):
        gallery.confirm(other, "Ann")


def test_a_sighting_follows_a_merge_and_its_undoing(gallery):
    gallery.add(face("Bob", 2), force=True)
    bob = gallery.people.find("Bob").person_id
    best = Candidate("Bob", 0.1, "f", bob)
    kept = gallery.review.keep(
        unit(9),
        decide([best], point_for_fpir(table(), 0.01, 2)),
        crop=b"",
        quality=0,
        digest="",
        box=(0, 0, 0, 0),
        days=1,
    )
    ann = gallery.people.merge("Ann", "Bob").person_id
    assert gallery.review.find(kept).person_id == ann
    gallery.journal.undo()
    assert gallery.review.find(kept).person_id == bob
