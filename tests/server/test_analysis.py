"""Pictures of requests come back analysed, under no name of the client's."""

import asyncio

import pytest

from mien.core.errors import InputError, MediaError, NoFaceError, QualityError
from mien.faces.quality import QualityGate
from mien.server.analysis import SOURCE, analyse, main_row, open_picture, template_of
from mien.server.settings import ServerSettings
from mien.server.state import ServiceState
from toys.painted import NOBODY, Painted, paint


@pytest.fixture
def state(tmp_path):
    settings = ServerSettings(data_folder=tmp_path, max_pixels=100_000)
    opened = ServiceState.open(settings, pipeline=Painted().pipeline())
    yield opened
    asyncio.run(opened.close())


def test_a_picture_is_opened_within_the_limits(state):
    image = asyncio.run(open_picture(state, paint(1)))
    assert (image.width, image.height, image.source) == (200, 200, SOURCE)
    with pytest.raises(MediaError):
        asyncio.run(open_picture(state, b"no picture"))


def test_bytes_and_opened_pictures_give_the_same(state):
    async def both():
        image = await open_picture(state, paint(1))
        return await analyse(state, paint(1)), await analyse(state, image)

    one, other = asyncio.run(both())
    assert (template_of(one, 0) == template_of(other, 0)).all()
    assert one.source == other.source == SOURCE
    assert main_row(one) == 0


def test_a_main_face_that_is_missing_or_unfit_is_told_apart(state):
    with pytest.raises(NoFaceError):
        main_row(asyncio.run(analyse(state, paint(NOBODY))))
    picky = QualityGate(min_inter_eye_px=1000)
    with pytest.raises(QualityError) as caught:
        main_row(asyncio.run(analyse(state, paint(1), picky)))
    assert caught.value.facts["codes"] == ["SMALL_BOUNDING_BOX"]


def test_faces_without_templates_are_not_compared(analyses):
    from dataclasses import replace

    bare = replace(analyses["obama_1"], faces=replace(analyses["obama_1"].faces, embeddings=None))
    with pytest.raises(InputError, match="have no templates"):
        template_of(bare, 0)
