"""Drawn folders, and the command that writes them."""

import numpy as np
import pytest

from mien.core.errors import StorageError
from mien.studio.folder import contact_sheet, write_folder
from mien.studio.sampling import draw_scene


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        write_folder(tmp_path / "file" / "below", [(1, draw_scene(1, size=16))])


def test_an_interrupted_run_leaves_no_labels(tmp_path):
    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path, [(1, draw_scene(1, size=16))], advance=stop)
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_sheet_holds_all_pictures():
    pictures = [np.full((4, 4, 3), n, np.uint8) for n in range(5)]
    sheet = contact_sheet(pictures)
    assert sheet.shape == (8, 12, 3)
    assert sheet[4, 4, 0] == 4
