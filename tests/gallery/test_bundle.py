"""Bundles: what goes in comes out, all of it or nothing."""

import numpy as np
import pytest

from contracts.gallery_index import DIM, template, unit
from mien.core.errors import ConflictError, ContractError, IntegrityError, RefusedError
from mien.core.sealed import Passphrase, write_sealed
from mien.gallery.bundle import PURPOSE, export_bundle, import_bundle
from mien.gallery.deletion import signing_key
from mien.gallery.gallery import Gallery
from mien.gallery.sqlite import SqliteIndex

HEAD = b'{"kind": "gallery", "contract": "toy", "signer": "s"}\n'
SECRET = Passphrase("correct horse battery staple")


def make(path, contract="toy"):
    index = SqliteIndex(path)
    index.create(contract, DIM)
    return Gallery(index)


def face(number, person, **changes):
    one = template(f"{number:032x}", person, unit(number))
    return type(one)(**{name: getattr(one, name) for name in one.__dataclass_fields__} | changes)


@pytest.fixture
def full(tmp_path):
    gallery = make(tmp_path / "full.gallery")
    for number, person in enumerate(("ann", "ann", "bob", "cyd <é>")):
        gallery.add(face(number + 1, person, retain_until="2031-02-03"), crop=b"jpeg" * number)
    gallery.people.separate("ann", "bob")
    gallery.people.reject("ann", unit(99))
    yield gallery
    gallery.close()


def dump(gallery):
    return {
        t.face_id: (t.person, t.person_id, t.vector.tobytes(), t.consent, t.retain_until, t.box)
        for t in gallery.index.iterate()
    }


def test_a_bundle_holds_everything(full, tmp_path):
    out = export_bundle(full, tmp_path / "b", SECRET)
    assert (out.people, out.faces) == (3, 4)
    with make(tmp_path / "new.gallery") as new:
        taken = import_bundle(new, tmp_path / "b", SECRET, signer=out.signer)
        assert (taken.people, taken.faces, taken.known, taken.signer) == (3, 4, 0, out.signer)
        assert dump(new) == dump(full)
        assert new.people.crop(f"{2:032x}") == b"jpeg"
        assert new.people.crop(f"{1:032x}") == b""
        with pytest.raises(ConflictError, match="noted not to be one person"):
            new.people.merge("ann", "bob")
        (rows,) = new.people.rejections().values()
        assert np.array_equal(rows, unit(99)[None])
        assert new.verify() == []


def test_some_people_alone(full, tmp_path):
    out = export_bundle(full, tmp_path / "b", SECRET, people=["bob"])
    assert (out.people, out.faces) == (1, 1)
    with make(tmp_path / "new.gallery") as new:
        import_bundle(new, tmp_path / "b", SECRET)
        assert [person.name for person in new.people.all()] == ["bob"]
    text = (tmp_path / "b").read_bytes()
    assert b"bob" not in text
    assert unit(3).tobytes() not in text


def test_taking_it_twice_changes_nothing(full, tmp_path):
    export_bundle(full, tmp_path / "b", SECRET)
    before = dump(full)
    taken = import_bundle(full, tmp_path / "b", SECRET)
    assert (taken.faces, taken.known) == (0, 4)
    assert dump(full) == before
    assert full.verify() == []


def test_a_taken_name_stops_all_of_it(full, tmp_path):
    export_bundle(full, tmp_path / "b", SECRET)
    with make(tmp_path / "new.gallery") as new:
        new.add(face(50, "bob"))
        with pytest.raises(ConflictError, match=r"name is taken .*; .* --join"):
            import_bundle(new, tmp_path / "b", SECRET)
        assert new.count().faces == 1
        import_bundle(new, tmp_path / "b", SECRET, taken="join")
        assert {p.name: p.faces for p in new.people.all()} == {"ann": 2, "bob": 2, "cyd <é>": 1}
        assert new.verify() == []


def test_a_strict_gallery_takes_only_what_it_would_enrol(full, tmp_path):
    full.add(face(9, "dan"))
    export_bundle(full, tmp_path / "b", SECRET)
    with make(tmp_path / "new.gallery") as new:
        new.make_strict(strict=True)
        with pytest.raises(RefusedError, match="strict"):
            import_bundle(new, tmp_path / "b", SECRET)
        assert new.count().faces == 0


def test_another_pipeline_or_signer_or_secret_is_refused(full, tmp_path):
    export_bundle(full, tmp_path / "b", SECRET)
    with make(tmp_path / "other.gallery", "another") as other:
        with pytest.raises(ContractError, match="of another, not of toy"):
            import_bundle(other, tmp_path / "b", SECRET)
        with pytest.raises(IntegrityError, match="sign"):
            import_bundle(full, tmp_path / "b", SECRET, signer="0" * 16)
        with pytest.raises(RefusedError):
            import_bundle(full, tmp_path / "b", Passphrase("wrong"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b'{"kind": "face"}\n', "does not begin with a gallery"),
        (b"[]\n", "a line is no record"),
        (b"x\n", "a line is no JSON"),
        (
            b'{"kind": "gallery", "contract": "toy", "signer": "s"}\n{"kind": "face"}\n',
            "incomplete",
        ),
        (b'{"kind": "gallery", "contract": "toy", "signer": "s"}\n{"kind": "q"}\n', "unknown kind"),
        (b'{"kind": "gallery", "contract": "toy", "signer": "s"}\n{"kind"', "cut off"),
        (
            b'{"kind": "gallery", "contract": "toy", "signer": "s"}\n'
            b'{"kind": "separation", "one": "a", "other": "b"}\n',
            "incomplete",
        ),
    ],
)
def test_what_is_signed_and_still_no_bundle_is_refused(full, tmp_path, lines, words):
    before = dump(full)
    key = signing_key(full.index)
    write_sealed(tmp_path / "b", [lines], purpose=PURPOSE, public={}, secret=SECRET, signer=key)
    with pytest.raises(IntegrityError, match=words):
        import_bundle(full, tmp_path / "b", SECRET)
    assert dump(full) == before
