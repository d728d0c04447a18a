"""Collections of other programs: nobody is lost silently, and nobody is made up."""

import json
import uuid
from pathlib import Path

import pytest

from mien.core.errors import InputError, MediaError
from mien.gallery import foreign
from mien.gallery.foreign import ForeignFace, read_compreface, read_known_people

IDS = [str(uuid.UUID(int=number)) for number in range(1, 8)]
NAMES = ["Ann", "Bob", "Ann", "Zoë", "Bob"]


def page(numbers, page_number=0, total_pages=1, total=None, size=20):
    return {
        "faces": [{"image_id": IDS[n], "subject": NAMES[n]} for n in numbers],
        "page_number": page_number,
        "page_size": size,
        "total_pages": total_pages,
        "total_elements": len(numbers) if total is None else total,
    }


def save(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{IDS[number]}.jpg").write_bytes(b"a picture")
    return tmp_path


def found(result):
    return [(face.person, face.path.name, face.source_id) for face in result]


ALL = [(NAMES[n], f"{IDS[n]}.jpg", IDS[n]) for n in range(5)]


def test_pages_in_files_of_their_own_give_all_faces(folder):
    save(folder / "page-0.json", page([0, 1, 2], 0, 2, 5, 3))
    save(folder / "page-1.json", page([3, 4], 1, 2, 5, 3))
    result = read_compreface(folder)
    assert found(result) == ALL
    assert (len(result), result.problems) == (5, ())
    assert result.faces[0] == ForeignFace("Ann", folder / "images" / f"{IDS[0]}.jpg", IDS[0])


def test_one_file_gives_all_faces(folder):
    file = save(folder / "faces.json", page(range(5)))
    assert found(read_compreface(file)) == ALL
    assert found(read_compreface(folder)) == ALL


def test_several_pages_in_one_file_are_a_list(folder):
    file = save(folder / "all.json", [page([0, 1, 2], 0, 2, 5), page([3, 4], 1, 2, 5)])
    assert found(read_compreface(file)) == ALL
    assert read_compreface(file).problems == ()


def test_pages_of_old_services_state_no_counts(folder):
    save(folder / "faces.json", {"faces": page(range(5))["faces"]})
    assert found(read_compreface(folder)) == ALL
    assert read_compreface(folder).problems == ()


def test_missing_pages_and_faces_are_listed(folder):
    save(folder / "a.json", page([0, 1], 0, 4, 8, 2))
    save(folder / "b.json", page([3], 2, 4, 8, 2))
    assert read_compreface(folder).problems[:2] == (
        "of 4 pages, 1, 3 are missing",
        "the collection has 8 faces, the pages name 3",
    )


def test_many_missing_pages_are_counted(folder):
    save(folder / "a.json", page([0], 0, 21, 1))
    assert "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 10 more are missing" in "".join(
        read_compreface(folder).problems
    )


def test_a_total_out_of_all_proportion_takes_no_time(folder):
    save(folder / "a.json", page([0], 0, 10**18, 1))
    assert f"and {10**18 - 11} more are missing" in "".join(read_compreface(folder).problems)


def test_a_page_that_is_there_twice_is_listed_and_its_faces_taken_once(folder):
    for name in ("a", "b"):
        save(folder / f"{name}.json", page(range(5)))
    result = read_compreface(folder)
    assert found(result) == ALL
    assert f"b.json, face 0: {IDS[0]} is listed again; taken once" in result.problems
    assert "pages 0 are there more than once" in result.problems


def test_pages_saved_while_the_collection_changed_are_noted(folder):
    save(folder / "a.json", page([0, 1, 2], 0, 2, 5))
    save(folder / "b.json", page([3, 4], 1, 2, 6))
    assert read_compreface(folder).problems == (
        "the pages differ in their totals: the collection changed while it was saved",
    )


def test_a_picture_that_is_given_to_two_people_is_given_to_nobody(folder):
    content = page(range(5))
    content["faces"].append({"image_id": IDS[0], "subject": "Bob"})
    content["faces"].append({"image_id": IDS[0], "subject": "Ann"})
    save(folder / "faces.json", content)
    result = read_compreface(folder)
    assert found(result) == ALL[1:]
    assert f"faces.json, face 5: {IDS[0]} is given to several people; left out" in result.problems


@pytest.mark.parametrize(
    "image_id",
    ["../../etc/passwd", "..\\secret", "/etc/passwd", "", None, 7, IDS[0] + "/..", IDS[0] + "\n"],
)
def test_an_id_that_is_no_uuid_is_refused(folder, image_id):
    (folder / "etc").mkdir()
    (folder / "etc" / "passwd").write_bytes(b"x")
    content = page([1])
    content["faces"].append({"image_id": image_id, "subject": "Ann"})
    save(folder / "faces.json", content)
    result = read_compreface(folder)
    assert found(result) == [ALL[1]]
    assert "faces.json, face 1: its image_id is not a UUID; left out" in result.problems


@pytest.mark.parametrize("subject", [None, "", "  ", 5, ["Ann"]])
def test_a_face_without_a_subject_is_listed(folder, subject):
    save(folder / "faces.json", {"faces": [{"image_id": IDS[0], "subject": subject}, "Ann"]})
    result = read_compreface(folder)
    assert len(result) == 0
    assert result.problems[:2] == (
        f"faces.json, face 0: {IDS[0]} has no subject; left out",
        "faces.json, face 1: its image_id is not a UUID; left out",
    )


def test_missing_empty_double_and_unknown_pictures_are_listed(folder):
    save(folder / "faces.json", page(range(4)))
    (folder / "images" / f"{IDS[0]}.jpg").unlink()
    (folder / "images" / f"{IDS[1]}.jpg").write_bytes(b"")
    (folder / "images" / f"{IDS[2]}.png").write_bytes(b"another")
    result = read_compreface(folder)
    assert found(result) == [ALL[2], ALL[3]]
    assert result.problems == (
        f"{IDS[0]}: there is no picture of that name",
        f"{IDS[1]}: its picture is empty, as CompreFace answers if it has none",
        f"{IDS[2]}: of 2 pictures of that name, {IDS[2]}.jpg is taken",
        "1 pictures are named by ids that no page lists",
    )


def test_pictures_may_have_no_suffix_and_ids_any_case(folder):
    name = "ABCDEFab-0000-4000-8000-00000000000F"
    (folder / name).write_bytes(b"x")
    save(folder / "faces.json", {"faces": [{"image_id": name, "subject": "Ann"}]})
    assert found(read_compreface(folder)) == [("Ann", name, name.lower())]


def test_problems_name_nobody(folder):
    content = page(range(5), total=9, total_pages=3)
    content["faces"] += [
        {"image_id": IDS[0], "subject": "Zoë"},
        {"image_id": "?", "subject": "Zoë"},
    ]
    save(folder / "faces.json", content)
    problems = " ".join(read_compreface(folder).problems)
    assert problems
    assert not any(name in problems for name in NAMES)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"faces": []}{"faces": []}', b"\xff\xfe\x00", b"[" * 10**5]
)
def test_what_is_not_json_is_refused(folder, data):
    (folder / "faces.json").write_bytes(data)
    with pytest.raises(InputError, match="faces.json is not JSON; .* have to be a list"):
        read_compreface(folder)


@pytest.mark.parametrize("content", [{}, [], 5, {"subjects": ["Ann"]}, {"faces": {}}])
def test_json_without_a_page_is_refused(folder, content):
    save(folder / "faces.json", content)
    with pytest.raises(InputError, match="holds no page of CompreFace"):
        read_compreface(folder)


def test_other_json_beside_the_pages_is_listed(folder):
    save(folder / "faces.json", page(range(5)))
    save(folder / "subjects.json", {"subjects": NAMES})
    result = read_compreface(folder)
    assert found(result) == ALL
    assert result.problems == ("subjects.json is no page of faces and was left out",)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        read_compreface(tmp_path / "none.json")


def test_a_page_beyond_the_limit_is_refused(folder, monkeypatch):
    save(folder / "faces.json", page(range(5)))
    monkeypatch.setattr(foreign, "MAX_PAGE_BYTES", 100)
    with pytest.raises(InputError, match="more than 100 bytes; .* several pages"):
        read_compreface(folder)


def test_known_people_are_called_as_their_files_to_the_letter(tmp_path):
    for name in ("Ann Lee.jpg", "ann_2.JPEG", "zoë.b.png", "Ann Lee.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    result = read_known_people(tmp_path)
    assert [(face.person, face.source_id) for face in result] == [
        ("Ann Lee", "Ann Lee.jpg"),
        ("Ann Lee", "Ann Lee.png"),
        ("ann_2", "ann_2.JPEG"),
        ("zoë.b", "zoë.b.png"),
    ]
    assert result.problems == ()


def test_known_people_in_folders_below_are_listed(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("ann.jpg", "deep/bob.jpg"):
        (tmp_path / name).write_bytes(b"x")
    result = read_known_people(tmp_path)
    assert [face.person for face in result] == ["ann"]
    assert result.problems == ("1 pictures in folders below were left out",)


def test_a_folder_without_known_people_is_refused(tmp_path):
    with pytest.raises(MediaError, match="holds no pictures"):
        read_known_people(tmp_path)
