"""What may be done with people: nobody is lost, nobody is mixed up, nothing old is left behind."""

import numpy as np
import pytest

from mien.core.errors import (
    ConflictError,
    IdentityMissingError,
    InputError,
    RangeError,
    RefusedError,
    ShapeError,
)
from toys.galleries import dump, face, make, near, reopen, seen_in, unit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


@pytest.fixture
def gallery(path):
    """Three faces of Ann, two of Bob, one of Cyd."""
    with make(path) as made:
        for k, name in enumerate(["Ann", "Bob", "Ann", "Ann", "Bob", "Cyd"]):
            made.add(face(name, k), force=True)
        yield made


def faces_by_name(gallery) -> dict[str, list[int]]:
    ids = {face("", k).face_id: k for k in range(20)}
    return {
        p.name: [ids[f.face_id] for f in gallery.people.faces(p.name)] for p in gallery.people.all()
    }


def who_is(gallery, seed: int) -> str:
    return gallery.index.search_grouped(unit(seed)[None], 1)[0][0].person


def test_everybody_is_listed_by_name(gallery):
    assert [(p.name, p.faces) for p in gallery.people.all()] == [("Ann", 3), ("Bob", 2), ("Cyd", 1)]
    assert faces_by_name(gallery) == {"Ann": [0, 2, 3], "Bob": [1, 4], "Cyd": [5]}


def test_a_person_tells_of_their_faces(path):
    with make(path) as gallery:
        gallery.add(face("Ann", 1, quality=30, retain_until="2027-05-01"), force=True)
        gallery.add(face("Ann", 2, quality=90, retain_until="2027-02-01"), force=True)
        gallery.add(face("Ann", 3, quality=60), force=True)
        gallery.add(face("Bob", 4, consent=" "), force=True)
        ann, bob = gallery.people.all()
    assert (ann.faces, ann.retain_until, ann.has_consent) == (3, "2027-02-01", True)
    assert ann.face_id == face("", 2).face_id
    assert (bob.retain_until, bob.has_consent) == ("", False)
    assert len(ann.person_id) == 32


def test_a_person_is_found_by_name_and_by_id(gallery):
    ann = gallery.people.find("Ann")
    assert gallery.people.find(ann.person_id) == ann == gallery.people.find("  Ann ")
    for nobody in ("ann", "", ann.person_id[:-1], face("", 0).face_id):
        with pytest.raises(IdentityMissingError, match="nobody of that name") as caught:
            gallery.people.find(nobody)
        assert not nobody or nobody not in str(caught.value).replace("mien gallery", "")


def test_nobodys_name_stands_in_for_another_ones_id(gallery):
    ann = gallery.people.find("Ann")
    gallery.people.rename("Bob", ann.person_id)
    assert gallery.people.find(ann.person_id) == ann


def test_a_name_changes_and_nothing_else(gallery, path):
    before = gallery.people.find("Bob")
    after = gallery.people.rename("Bob", "  Robert ")
    assert (after.name, after.person_id, after.faces) == ("Robert", before.person_id, 2)
    assert faces_by_name(gallery) == {"Ann": [0, 2, 3], "Cyd": [5], "Robert": [1, 4]}
    assert who_is(gallery, 4) == "Robert"
    with pytest.raises(IdentityMissingError):
        gallery.people.find("Bob")
    assert gallery.verify() == []


def test_an_old_name_is_in_no_file(path):
    for name in ("Robert Zimmerman", "x" * 32, "y" * 64):
        with make(path.with_name(name[:3])) as gallery:
            one = gallery.add(face(name, 1))
            gallery.people.rename(name, "Bob Dylan")
            assert [k for k in seen_in(path.parent, one) if k.startswith("name")] == []
            gallery.journal.undo()
            gallery.people.rename(name, "Bob Dylan")
            assert [k for k in seen_in(path.parent, one) if k.startswith("name")] == []


def test_a_name_that_is_taken_is_refused(gallery):
    before = dump(gallery)
    with pytest.raises(ConflictError, match="somebody of that name is in the gallery already"):
        gallery.people.rename("Bob", "Ann")
    with pytest.raises(ConflictError):
        gallery.people.split([face("", 0).face_id], "Cyd")
    with pytest.raises(InputError, match="name is empty"):
        gallery.people.rename("Bob", "\x00")
    assert dump(gallery) == before


def test_the_same_name_again_is_no_change(gallery):
    revision = len(gallery.journal.entries())
    assert gallery.people.rename("Ann", "Ann").faces == 3
    assert len(gallery.journal.entries()) == revision


def test_a_merge_moves_everything(gallery, path):
    bob = gallery.people.find("Bob")
    gallery.index.search(unit(0)[None], 1)
    rejected = gallery.people.reject("Bob", unit(50))
    merged = gallery.people.merge("Ann", "Bob")
    assert (merged.name, merged.faces) == ("Ann", 5)
    assert faces_by_name(gallery) == {"Ann": [0, 1, 2, 3, 4], "Cyd": [5]}
    assert [who_is(gallery, k) for k in range(6)] == ["Ann"] * 5 + ["Cyd"]
    assert list(gallery.people.rejections()) == [merged.person_id]
    assert rejected in {r for (r,) in gallery.index.query("SELECT rejection_id FROM rejections")}
    with pytest.raises(IdentityMissingError):
        gallery.people.find(bob.person_id)
    assert gallery.verify() == []
    with reopen(path) as again:
        assert [who_is(again, k) for k in range(6)] == ["Ann"] * 5 + ["Cyd"]
        assert again.verify() == []


def test_one_person_cannot_be_merged_with_themselves(gallery):
    with pytest.raises(ConflictError, match="one and the same person; two people are needed"):
        gallery.people.merge("Ann", gallery.people.find("Ann").person_id)
    with pytest.raises(IdentityMissingError):
        gallery.people.merge("Ann", "nobody")
    with pytest.raises(IdentityMissingError):
        gallery.people.merge("nobody", "Ann")


def test_people_who_are_not_one_cannot_be_merged(gallery):
    gallery.people.separate("Bob", "Ann")
    for pair in (("Ann", "Bob"), ("Bob", "Ann")):
        with pytest.raises(ConflictError, match="were noted not to be one person; .*mix two"):
            gallery.people.merge(*pair)
    with pytest.raises(ConflictError, match="one and the same"):
        gallery.people.separate("Ann", "Ann")
    gallery.people.separate("Ann", "Bob")
    assert [e.op for e in gallery.journal.entries(2)] == ["separate", "enrol"]
    gallery.journal.undo()
    assert gallery.people.merge("Ann", "Bob").faces == 5


def test_a_separation_goes_over_to_the_merged_person(gallery):
    gallery.people.separate("Bob", "Cyd")
    gallery.people.merge("Ann", "Bob")
    with pytest.raises(ConflictError, match="noted not to be one"):
        gallery.people.merge("Ann", "Cyd")


def test_a_split_makes_a_person(gallery):
    moved = [face("", 2).face_id, face("", 3).face_id]
    made = gallery.people.split(moved, "Anna")
    assert (made.name, made.faces) == ("Anna", 2)
    assert faces_by_name(gallery) == {"Ann": [0], "Anna": [2, 3], "Bob": [1, 4], "Cyd": [5]}
    assert [who_is(gallery, k) for k in (0, 2, 3)] == ["Ann", "Anna", "Anna"]
    assert gallery.verify() == []


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([], "belong to 0 people"),
        ([0, 1], "belong to 2 people"),
        ([0, 2, 3], "all faces of the person are named; .*rename"),
        ([5], "all faces of the person"),
        ([2, 3, 3, 0], "all faces of the person"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(gallery, seeds, words):
    before = dump(gallery)
    with pytest.raises(InputError, match=words):
        gallery.people.split([face("", k).face_id for k in seeds], "New")
    assert dump(gallery) == before


def test_a_face_named_twice_is_split_off_once(gallery):
    one = face("", 2).face_id
    assert gallery.people.split([one, one], "New").faces == 1
    gallery.journal.undo()
    assert faces_by_name(gallery)["Ann"] == [0, 2, 3]


def test_consent_and_day_can_be_amended(gallery):
    one = face("", 0).face_id
    changed = gallery.people.amend(one, consent="form 13")
    assert (changed.consent, changed.retain_until) == ("form 13", "")
    changed = gallery.people.amend(one, retain_until="2027-01-31")
    assert (changed.consent, changed.retain_until) == ("form 13", "2027-01-31")
    assert gallery.people.amend(one, retain_until="").retain_until == ""
    assert np.array_equal(changed.vector, unit(0))
    assert gallery.verify() == []
    with pytest.raises(InputError, match="the day of deletion is '31.1.2027'; it must be a day"):
        gallery.people.amend(one, retain_until="31.1.2027")
    with pytest.raises(IdentityMissingError, match="no face 'nobody'"):
        gallery.people.amend("nobody", consent="x")


def test_a_strict_gallery_wants_a_ground_and_an_end(path):
    with make(path, strict=True) as gallery:
        assert gallery.is_strict
        for missing in ({"consent": " "}, {"consent": ""}, {}):
            with pytest.raises(RefusedError, match="strict: each template needs both; pass --con"):
                gallery.add(face("Ann", 1, **missing))
        with pytest.raises(RefusedError):
            gallery.add(face("Ann", 1, consent="", retain_until="2027-01-31"))
        one = gallery.add(face("Ann", 1, retain_until="2027-01-31"))
        with pytest.raises(RefusedError):
            gallery.people.amend(one.face_id, retain_until="")
        with pytest.raises(RefusedError):
            gallery.people.amend(one.face_id, consent="")
        gallery.people.amend(one.face_id, retain_until="2028-01-31")
    with reopen(path) as gallery:
        assert gallery.is_strict
        gallery.make_strict(strict=False)
        gallery.add(face("Bob", 2, consent=""), force=True)
        assert not gallery.is_strict


def test_a_rejected_face_is_not_named_so_again(path):
    from toys.galleries import table

    with make(path) as gallery:
        gallery.keep_calibration(table())
        gallery.add(face("Ann", 1))
        look_alike = near(unit(1), 0.97, 3)
        probe = near(look_alike, 0.99, 4)
        assert gallery.decide(probe[None])[0].person == "Ann"
        gallery.people.reject("Ann", look_alike)
        verdict = gallery.decide(probe[None])[0]
        assert verdict.person is None
        assert verdict.reasons[-1] == "a face like this was said not to be the nearest one"
        assert gallery.decide(unit(1)[None])[0].person == "Ann"
        gallery.journal.undo()
        assert gallery.decide(probe[None])[0].person == "Ann"


def test_a_rejection_hides_one_person_and_not_the_next(path):
    from toys.galleries import table

    with make(path) as gallery:
        gallery.keep_calibration(table())
        gallery.add(face("Ann", 1))
        gallery.add(face("Beth", 2, vector=near(unit(1), 0.96)), force=True)
        gallery.people.reject("Ann", unit(1))
        verdict = gallery.decide(near(unit(1), 0.999, 5)[None])[0]
        assert verdict.candidates[0].person == "Beth"


def test_only_templates_can_be_rejected(gallery):
    with pytest.raises(ShapeError):
        gallery.people.reject("Ann", unit(1)[:8])
    with pytest.raises(RangeError):
        gallery.people.reject("Ann", 2 * unit(1))
    with pytest.raises(IdentityMissingError):
        gallery.people.reject("nobody", unit(1))
    assert gallery.people.rejections() == {}


def test_a_crop_comes_back_if_it_was_kept(path):
    with make(path) as gallery:
        one = gallery.add(face("Ann", 1), crop=b"jpeg of Ann")
        two = gallery.add(face("Ann", 2), force=True)
        assert gallery.people.crop(one.face_id) == b"jpeg of Ann"
        assert gallery.people.crop(two.face_id) is None
        assert gallery.people.crop("nobody") is None


def test_nothing_of_anybody_is_in_the_clear(gallery, path):
    rows = list(gallery.index.iterate())
    gallery.people.merge("Ann", "Bob")
    gallery.people.split([face("", 0).face_id], "Eve")
    gallery.people.amend(face("", 0).face_id, consent="form 99 of Eve", retain_until="2030-01-01")
    gallery.people.separate("Ann", "Eve")
    gallery.people.reject("Cyd", unit(0))
    assert seen_in(path.parent, *rows, but=("face id", "person id")) == []
    gallery.close()
    assert seen_in(path.parent, *rows, but=("face id", "person id")) == []


def test_a_change_by_another_process_is_followed(gallery, path):
    assert who_is(gallery, 1) == "Bob"
    with reopen(path) as other:
        other.people.merge("Ann", "Bob")
        assert who_is(gallery, 1) == "Ann"
        other.people.rename("Ann", "Anna")
        assert who_is(gallery, 1) == "Anna"
        gallery.journal.undo()
        gallery.journal.undo()
        assert who_is(other, 1) == "Bob"
    assert gallery.verify() == []
