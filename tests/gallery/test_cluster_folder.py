"""Clusters of a folder that are kept, grown and corrected."""

import stat

import numpy as np
import pytest

from mien.core.errors import (
    ConflictError,
    ContractError,
    IntegrityError,
    MissingError,
    RangeError,
)
from mien.gallery.cluster.folder import ClusteredFolder, read_links


@pytest.fixture
def folder(pipeline):
    return ClusteredFolder(pipeline.contract.id)


def outcomes(pipeline, portraits, *names):
    return list(pipeline.analyse_many([portraits[name] for name in names]))


def people(folder):
    """Sets of file stems that are one person."""
    clustering = folder.clusters.clustering()
    groups = [clustering.members(int(label)) for label in clustering.clusters]
    stems = [ref.path.rsplit("/", 1)[-1].removesuffix(".jpg") for ref in folder.faces]
    return sorted(sorted(stems[row] for row in rows) for rows in groups)


def test_one_person_is_one_cluster(folder, pipeline, portraits):
    folder.add(outcomes(pipeline, portraits, *portraits))
    assert people(folder) == [["biden_1"], ["obama_1", "obama_2", "obama_3"]]


def test_adding_later_comes_to_the_same(folder, pipeline, portraits):
    folder.add(outcomes(pipeline, portraits, "obama_1", "biden_1"))
    label = folder.clusters.clustering().labels[0]
    folder.add(outcomes(pipeline, portraits, "obama_2", "obama_3"))
    assert people(folder) == [["biden_1"], ["obama_1", "obama_2", "obama_3"]]
    assert folder.clusters.clustering().labels[0] == label


def test_pictures_without_faces_are_remembered_and_broken_ones_are_not(folder, pipeline, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"x")
    blank = np.full((100, 100, 3), 50, np.uint8)
    folder.add(list(pipeline.analyse_many([tmp_path / "broken.jpg", blank])))
    assert folder.pictures == ("<array>",)
    assert folder.faces == ()


def test_everything_is_there_after_loading(folder, pipeline, portraits, tmp_path):
    folder.add(outcomes(pipeline, portraits, *portraits))
    folder.link([], [(str(portraits["obama_1"]), str(portraits["obama_2"]))])
    folder.save(tmp_path / "state.npz")
    assert stat.S_IMODE((tmp_path / "state.npz").stat().st_mode) == 0o600
    again = ClusteredFolder.load(tmp_path / "state.npz", contract=pipeline.contract.id)
    assert again.faces == folder.faces
    assert again.pictures == folder.pictures
    assert people(again) == people(folder)
    assert len(people(again)) == 3


def test_corrections_name_faces(folder, pipeline, portraits):
    folder.add(outcomes(pipeline, portraits, *portraits))
    biden, obama = str(portraits["biden_1"]), f"{portraits['obama_1']}#0"
    folder.link([(biden, obama)], [])
    assert len(people(folder)) == 1
    with pytest.raises(ConflictError, match="must-links tie them"):
        folder.link([], [(biden, obama)])
    with pytest.raises(RangeError, match="'nobody.jpg' stands for 0 faces"):
        folder.link([("nobody.jpg", biden)], [])


def test_another_pipelines_state_is_refused(folder, pipeline, portraits, tmp_path):
    folder.add(outcomes(pipeline, portraits, "obama_1"))
    folder.save(tmp_path / "state.npz")
    with pytest.raises(ContractError, match="the clusters hold templates of"):
        ClusteredFolder.load(tmp_path / "state.npz", contract="other")


def test_another_file_is_no_state(tmp_path):
    (tmp_path / "state.npz").write_bytes(b"nonsense")
    with pytest.raises(IntegrityError, match="does not hold clusters of a folder"):
        ClusteredFolder.load(tmp_path / "state.npz", contract="x")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(IntegrityError, match="does not hold clusters of a folder"):
        ClusteredFolder.load(tmp_path / "other.npz", contract="x")


def test_links_are_read_from_a_table(tmp_path):
    file = tmp_path / "links.csv"
    file.write_text("link,left,right\nmust,a.jpg,b.jpg#1\ncannot,a.jpg,c.jpg\n")
    assert read_links(file) == ([("a.jpg", "b.jpg#1")], [("a.jpg", "c.jpg")])


def test_faulty_links_are_named(tmp_path):
    file = tmp_path / "links.csv"
    file.write_text("link,left,right\nperhaps,a.jpg,b.jpg\n")
    with pytest.raises(RangeError, match="line 2 of .*must or cannot"):
        read_links(file)
    with pytest.raises(MissingError, match="absent.csv cannot be read"):
        read_links(tmp_path / "absent.csv")
