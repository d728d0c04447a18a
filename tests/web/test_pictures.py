"""Pictures inside the page's markup."""

import numpy as np
import pytest

from mien.faces.draw import Mark
from mien.web.pictures import crop_image, initials, marked_picture


def test_a_picture_is_shrunk_and_lies_in_the_markup():
    pixels = np.full((3000, 1500, 3), 200, np.uint8)
    marks = [Mark((100.0, 100.0, 400.0, 400.0), "one")]
    markup = marked_picture(pixels, marks, alt="a <face>", caption="below").markup
    assert 'src="data:image/jpeg;base64,' in markup
    assert 'alt="a &lt;face&gt;"' in markup
    assert 'height="1000"' in markup
    assert "<figcaption>below</figcaption>" in markup


def test_a_crop_is_shown_as_it_was_kept():
    assert crop_image(b"jpeg", "x").markup == '<img src="data:image/jpeg;base64,anBlZw==" alt="x">'


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ada Lovelace", "AL"), ("Plato", "P"), ("Ada King of Lovelace", "AL"), ("<b>", "&lt;")],
)
def test_initials_stand_for_a_missing_crop(name, letters):
    assert f">{letters}<" in initials(name).markup
