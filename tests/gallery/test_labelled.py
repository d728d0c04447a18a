"""Photos in a folder per person."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import InputError, MediaError
from mien.gallery.labelled import embed_labelled, find_people


@pytest.fixture
def tree(tmp_path, portraits):
    for person, names in {"Obama": ("obama_1", "obama_2"), "Biden": ("biden_1",)}.items():
        (tmp_path / person).mkdir()
        for name in names:
            shutil.copy(portraits[name], tmp_path / person)
    return tmp_path


def test_people_are_named_by_their_folders(tree):
    found = [(person, path.name) for person, path in find_people(tree)]
    assert found == [
        ("Biden", "biden_1.jpg"),
        ("Obama", "obama_1.jpg"),
        ("Obama", "obama_2.jpg"),
    ]


def test_deeper_folders_belong_to_the_first(tree):
    (tree / "Obama" / "2012").mkdir()
    shutil.move(tree / "Obama" / "obama_1.jpg", tree / "Obama" / "2012")
    assert [person for person, _ in find_people(tree)].count("Obama") == 2


def test_loose_pictures_are_refused(tree):
    shutil.copy(tree / "Biden" / "biden_1.jpg", tree / "who.jpg")
    with pytest.raises(InputError, match="1 pictures lie in .* itself, such as who.jpg"):
        find_people(tree)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(MediaError, match="holds no pictures"):
        find_people(tmp_path)


def test_templates_come_with_names_and_paths(tree, pipeline, analyses):
    data = embed_labelled(pipeline, tree)
    assert list(data.people) == ["Biden", "Obama", "Obama"]
    assert data.paths == ("Biden/biden_1.jpg", "Obama/obama_1.jpg", "Obama/obama_2.jpg")
    assert float(data.templates[1] @ analyses["obama_1"].faces.embeddings[0]) > 0.9999
    assert data.skipped == ()
    assert (data.quality > 50).all()


def test_what_cannot_be_used_is_listed_with_reasons(tree, pipeline):
    (tree / "Biden" / "a.jpg").write_bytes(b"no picture")
    Image.fromarray(np.full((200, 200, 3), 99, np.uint8)).save(tree / "Biden" / "b.png")
    data = embed_labelled(pipeline, tree)
    skipped = {path: error.code for path, error in data.skipped}
    assert skipped == {"Biden/a.jpg": "media", "Biden/b.png": "no_face"}
    assert len(data.templates) == 3


def test_nobody_at_all_gives_an_empty_table(tmp_path, pipeline):
    (tmp_path / "Nobody").mkdir()
    Image.fromarray(np.full((200, 200, 3), 99, np.uint8)).save(tmp_path / "Nobody" / "b.png")
    data = embed_labelled(pipeline, tmp_path)
    assert data.templates.shape == (0, 128)
    assert len(data.skipped) == 1
