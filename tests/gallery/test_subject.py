"""What is handed over to a person."""

import json
import zipfile

import pytest

from contracts.gallery_index import DIM, template, unit
from mien.core.errors import IdentityMissingError
from mien.gallery.gallery import Gallery
from mien.gallery.sqlite import SqliteIndex
from mien.gallery.subject import export_subject


@pytest.fixture
def gallery(tmp_path):
    index = SqliteIndex(tmp_path / "people.gallery")
    index.create("toy", DIM)
    with Gallery(index) as made:
        made.add(template("1" * 32, "ann", unit(1)), crop=b"jpeg")
        made.add(template("2" * 32, "bob", unit(2)))
        yield made


def test_all_of_one_person_and_nothing_of_another(gallery, tmp_path):
    assert export_subject(gallery, "ann", tmp_path / "ann.zip") == 1
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        assert sorted(archive.namelist()) == ["README.txt", f"faces/{'1' * 32}.jpg", "record.json"]
        text = archive.read("record.json").decode()
    record = json.loads(text)
    assert record["name"] == "ann"
    assert record["faces"][0]["template"] == [float(v) for v in unit(1)]
    assert record["faces"][0]["consent"] == "signed 2026-11-01"
    assert "bob" not in text
    assert (tmp_path / "ann.zip").stat().st_mode & 0o077 == 0
    assert gallery.journal.entries()[0].op == "subject export"


def test_nobody_of_that_name(gallery, tmp_path):
    with pytest.raises(IdentityMissingError, match="nobody of that name"):
        export_subject(gallery, "eve", tmp_path / "eve.zip")
    assert not (tmp_path / "eve.zip").exists()
