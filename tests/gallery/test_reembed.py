"""A gallery made anew for another pipeline."""

import shutil

import numpy as np
import pytest
from PIL import Image

import mien
from mien.core.errors import ConflictError
from mien.gallery.reembed import reembed_gallery


@pytest.fixture
def old(tmp_path, pipeline, portraits):
    with mien.Gallery.create(tmp_path / "old.gallery", pipeline.contract) as gallery:
        for name, person in (("obama_1", "Obama"), ("biden_1", "Biden")):
            photo = tmp_path / f"{name}.jpg"
            shutil.copy(portraits[name], photo)
            image = mien.load_image(photo)
            gallery.enrol(
                person, pipeline.analyse(image), pixels=image.pixels, consent="yes", keep_crop=True
            )
        yield gallery


def test_people_come_along(old, pipeline, tmp_path):
    seen = []
    done = reembed_gallery(
        old, tmp_path / "new.gallery", pipeline, progress=lambda *n: seen.append(n)
    )
    assert (done.faces, done.failed) == (2, ())
    assert seen == [(1, 2), (2, 2)]
    with mien.Gallery.open(tmp_path / "new.gallery", pipeline.contract) as new:
        for ours, theirs in zip(old.index.iterate(), new.index.iterate(), strict=True):
            assert (ours.person, ours.face_id, ours.consent) == (
                theirs.person,
                theirs.face_id,
                theirs.consent,
            )
            assert np.allclose(ours.vector, theirs.vector, atol=1e-5)
            assert new.people.crop(ours.face_id) == old.people.crop(ours.face_id)
        assert new.verify() == []


def test_changed_and_missing_pictures_are_told(old, pipeline, tmp_path):
    picture = Image.open(tmp_path / "obama_1.jpg")
    picture.rotate(1).save(tmp_path / "obama_1.jpg")
    (tmp_path / "biden_1.jpg").unlink()
    done = reembed_gallery(old, tmp_path / "new.gallery", pipeline)
    assert done.faces == 0
    assert [error.code for _, error in done.failed] == ["integrity", "media"]
    assert "not the one that was enrolled" in done.failed[0][1].what


def test_nothing_is_overwritten(old, pipeline, tmp_path):
    with pytest.raises(ConflictError, match="exists"):
        reembed_gallery(old, tmp_path / "old.gallery", pipeline)
