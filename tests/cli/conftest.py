"""A command to call and a gallery to look into."""

import pytest

from toys.command import Mien


@pytest.fixture
def mien(capfd, monkeypatch):
    return Mien(capfd, monkeypatch)


@pytest.fixture
def gallery(mien, portraits, tmp_path):
    """One person, one template."""
    path = tmp_path / "people.gallery"
    answer = mien("enrol", portraits["obama_1"], "--name", "Barack Obama", "-g", path, "--json")
    assert answer.code == 0, answer.err
    return path
