"""Which files are found, and in which order."""

from pathlib import Path

import pytest

from mien.core.errors import MediaError
from mien.media.folders import find_images


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_order_is_natural_and_goes_by_folder(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/10.jpg", "b/2.JPG", "b/a1.png", "a/x.webp", "B10.gif", "b9.heic", "notes.txt"
    )
    names = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert names == ["a/x.webp", "b/2.JPG", "b/10.jpg", "b/a1.png", "b9.heic", "B10.gif"]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.jpg", ".cache/a.jpg", "seen.jpg")
    assert find_images(str(tmp_path)) == [tmp_path / "seen.jpg"]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    assert find_images(tmp_path) == [tmp_path / "a" / "one.jpg"]


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(MediaError, match=r"holds no pictures; none of its files ends in \.jpg"):
        find_images(tmp_path)


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(MediaError, match=r"is no folder; it is a file"):
        find_images(tmp_path / "a.jpg")
    with pytest.raises(MediaError, match=r"is no folder; there is no such folder"):
        find_images(tmp_path / "gone")
    with pytest.raises(MediaError, match=r"is no folder"):
        find_images("a\0b")
