"""The picture and the rate of false alarms."""

from types import SimpleNamespace

import pytest

from mien.core.errors import InputError, MediaError
from mien.media.limits import ImageLimits
from mien.web.inputs import fpir_of, fpir_slider, fpir_words, picture_input, read_upload
from toys.portraits import portrait_path
from toys.stage import Stage, make_gallery, random_face


@pytest.fixture
def visit():
    limits = ImageLimits(max_bytes=10**7)
    return SimpleNamespace(state=SimpleNamespace(settings=SimpleNamespace(image_limits=limits)))


def test_an_upload_is_not_opened_before_mien_looks_at_it(tmp_path):
    place = picture_input("Picture")
    path = tmp_path / "x.jpg"
    path.write_bytes(b"no picture at all")
    payload = SimpleNamespace(url=None, path=str(path))
    assert place.preprocess(payload) == str(path)
    assert place.preprocess(None) is None


def test_an_upload_is_read_within_the_limits_and_its_path_is_not_told(visit, tmp_path):
    image = read_upload(visit, str(portrait_path("obama_1")))
    assert image.source == "the picture"
    with pytest.raises(InputError, match="no picture was chosen"):
        read_upload(visit, None)
    bad = tmp_path / "x.jpg"
    bad.write_bytes(b"no picture")
    with pytest.raises(MediaError, match="^the picture is plain text"):
        read_upload(visit, str(bad))


def test_the_slider_goes_by_factors_and_begins_at_the_usual_rate():
    slider = fpir_slider()
    assert fpir_of(slider.value) == 0.01
    assert fpir_of(slider.value - 1) == 0.001
    assert fpir_of(-99) == 1e-5
    assert fpir_of(99) == pytest.approx(0.32)


def test_what_a_rate_means_is_said_with_the_threshold(tmp_path):
    import numpy as np

    ada = random_face(np.random.default_rng(1))
    with make_gallery(tmp_path / "a.gallery", Stage([]).pipeline(), {"Ada": ada}) as gallery:
        words = fpir_words(SimpleNamespace(gallery=gallery), -2.0)
        assert "At most 1\u00a0in\u00a0100 faces of strangers" in words
        assert "With 1 enrolled face that means a threshold of 0.2" in words
