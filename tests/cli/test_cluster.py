"""``mien cluster``."""

import shutil

import pytest


@pytest.fixture
def photos(tmp_path, portraits):
    root = tmp_path / "photos"
    root.mkdir()
    for path in portraits.values():
        shutil.copy(path, root)
    return root


def sizes(answer):
    return [row["size"] for row in answer.rows()]


def test_people_are_found(mien, photos, tmp_path):
    answer = mien("cluster", photos, "--out", tmp_path / "page.html", "--json")
    assert answer.code == 0
    assert sizes(answer) == [3, 1]
    assert {face["path"][-11:] for face in answer.rows()[0]["faces"]} == {
        "obama_1.jpg", "obama_2.jpg", "obama_3.jpg",
    }  # fmt: skip
    assert "Person" in (tmp_path / "page.html").read_text()


def test_corrections_hold_and_numbers_stay(mien, photos, tmp_path, portraits):
    state, links = tmp_path / "state.npz", tmp_path / "links.csv"
    (photos / "obama_3.jpg").unlink()
    first = mien("cluster", photos, "--state", state, "--json")
    assert sizes(first) == [2, 1]
    links.write_text(f"link,left,right\ncannot,{photos}/obama_1.jpg,{photos}/obama_2.jpg\n")
    assert sizes(mien("cluster", photos, "--state", state, "--links", links, "--json")) == [1, 1, 1]
    shutil.copy(portraits["obama_3"], photos)
    assert sizes(mien("cluster", photos, "--state", state, "--json")) == [2, 1, 1]


def test_only_new_pictures_are_read(mien, photos, tmp_path):
    state = tmp_path / "state.npz"
    mien("cluster", photos, "--state", state)
    for path in photos.iterdir():
        path.write_bytes(b"read again this would fail")
    answer = mien("cluster", photos, "--state", state, "--json")
    assert sizes(answer) == [3, 1]
    assert "failed" not in answer.err


def test_broken_pictures_are_mentioned(mien, photos):
    (photos / "broken.jpg").write_bytes(b"x")
    answer = mien("cluster", photos)
    assert answer.code == 0
    assert "failed:" in answer.err
    assert "4 faces on 4 pictures: 1 people met more than once, 1 met once" in answer.err


def test_a_threshold_out_of_range_is_refused(mien, photos):
    answer = mien("cluster", photos, "--threshold", "2")
    assert answer.code == 2
    assert "threshold is 2.0" in answer.err


def test_a_threshold_for_clusters_that_are_there_is_refused(mien, photos, tmp_path):
    state = tmp_path / "state.npz"
    mien("cluster", photos, "--state", state)
    answer = mien("cluster", photos, "--state", state, "--threshold", "0.5")
    assert answer.code == 2
    assert "holds clusters already" in answer.err
