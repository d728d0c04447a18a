"""``mien embed``."""

import shutil

import pytest

from mien.faces.export import EmbeddingExport, read_embeddings


@pytest.fixture
def folder(portraits, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for path in portraits.values():
        shutil.copy(path, root)
    (root / "broken.png").write_bytes(b"x")
    return root


def test_a_folder_becomes_a_table(mien, folder, tmp_path, pipeline):
    answer = mien("embed", folder, "--out", tmp_path / "f.parquet", "--json")
    assert answer.code == 0
    (row,) = answer.rows()
    assert (row["pictures"], row["faces"], row["without_face"]) == (5, 4, 0)
    assert row["failed"][0]["path"].endswith("broken.png")
    table, contract = read_embeddings(tmp_path / "f.parquet")
    assert contract == pipeline.contract.id
    assert len(table) == 4


def test_an_interrupted_run_goes_on(mien, folder, tmp_path, pipeline):
    target = tmp_path / "f.parquet"
    done = sorted(folder.glob("o*.jpg"))[:2]
    EmbeddingExport(target, pipeline.contract.id).add(list(pipeline.analyse_many(done)))
    answer = mien("embed", folder, "--out", target, "--json")
    assert "going on: 2 of 5 pictures are done already" in answer.err
    assert answer.rows()[0]["faces"] == 4


def test_a_folder_without_pictures_is_an_error(mien, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = mien("embed", tmp_path / "empty", "--out", tmp_path / "f.parquet")
    assert answer.code == 2
    assert "holds no pictures" in answer.err


def test_a_picture_named_twice_is_embedded_once(mien, folder, tmp_path):
    target = tmp_path / "f.parquet"
    answer = mien("embed", folder, folder / "obama_1.jpg", folder, "--out", target, "--json")
    assert answer.code == 0, answer.err
    assert (answer.rows()[0]["pictures"], answer.rows()[0]["faces"]) == (5, 4)


def test_an_unknown_engine_is_refused(mien, folder, tmp_path):
    answer = mien("embed", folder, "--out", tmp_path / "f.parquet", "--engine", "spark")
    assert answer.code == 2
    assert all(word in answer.err for word in ("spark", "local", "ray"))
