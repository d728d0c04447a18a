"""Uploads stand in a private folder, and addresses are not fetched."""

import asyncio
import os
import stat

import pytest

from mien.core.errors import RefusedError
from mien.web.uploads import private_folder, take_uploads_only


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "to be put back")


def test_the_folder_is_the_owner_s_and_empty(tmp_path):
    folder = private_folder(tmp_path)
    (folder / "left.jpg").write_bytes(b"x")
    assert private_folder(tmp_path) == folder
    assert list(folder.iterdir()) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.environ["GRADIO_TEMP_DIR"] == str(folder)


def test_an_address_in_place_of_an_upload_is_refused():
    class Block:
        async def async_move_resource_to_block_cache(self, path):
            return path

    block = Block()
    take_uploads_only(block)
    assert asyncio.run(block.async_move_resource_to_block_cache("/a.jpg")) == "/a.jpg"
    with pytest.raises(RefusedError, match="an address was sent in place of a file"):
        asyncio.run(block.async_move_resource_to_block_cache("https://example.org/a.jpg"))


def test_gradio_still_has_the_door_that_is_watched():
    import gradio as gr

    assert hasattr(gr.Image, "async_move_resource_to_block_cache")
