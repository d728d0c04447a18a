"""Known people out of other programs' collections: who is on which picture, and what is missing.

Reads what CompreFace's REST service answers, and the folder that the command line of
face_recognition takes; a folder for each person is `mien.gallery.labelled`. No picture is opened
and no gallery is touched here.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from mien.core.errors import InputError
from mien.media.folders import find_images
from mien.media.formats import SUFFIXES

MAX_PAGE_BYTES: Final = 64 * 2**20
"""Larger pages are not read: at 100 bytes a face that is more than half a million faces."""

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COUNTS: Final = ("page_number", "total_pages", "total_elements")
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class ForeignFace:
    """One picture of one person.

    Attributes:
        person: Their name, as it was spelt there.
        path: The picture, of that person alone.
        source_id: What the other program calls the picture.
    """

    person: str
    path: Path
    source_id: str


@dataclass(frozen=True, slots=True)
class ForeignFaces:
    """All of a collection that can be used, and all that cannot.

    Attributes:
        faces: The pictures, in the order of the collection.
        problems: What is missing, doubtful or left out, a sentence each, without names of people.
    """

    faces: tuple[ForeignFace, ...]
    problems: tuple[str, ...]

    def __iter__(self) -> Iterator[ForeignFace]:
        return iter(self.faces)

    def __len__(self) -> int:
        return len(self.faces)


@dataclass(frozen=True, slots=True)
class _Page:
    """An answer of ``GET /api/v1/recognition/faces``."""

    place: str
    faces: list[Any]
    number: int | None
    pages: int | None
    elements: int | None


def read_compreface(place: Path) -> ForeignFaces:
    """A collection saved from CompreFace's REST service.

    Pages are what ``GET /api/v1/recognition/faces`` answers, each in a JSON file of its own, or
    several as a list in one. Pictures lie beside them or in folders below, named by their
    ``image_id``, as ``/api/v1/recognition/faces/{image_id}/img`` gives them.

    Args:
        place: The folder of pages and pictures, or one JSON file beside the pictures.

    Raises:
        InputError: If a file is no JSON, or none of them is such a page.
    """
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    problems: list[str] = []
    pages = [page for file in files for page in _read_pages(file, problems)]
    if not pages:
        raise InputError(
            what=f"{place} holds no page of CompreFace",
            why='none of its JSON files is an object with a list called "faces"',
            mend="save the answers of GET /api/v1/recognition/faces?page=0, 1, ... there",
        )
    subjects = _read_subjects(pages, problems)
    problems += _count(pages, len(subjects))
    pictures = _pictures_by_id(place if place.is_dir() else place.parent)
    problems += _compare(subjects, pictures)
    faces = tuple(
        ForeignFace(subject, pictures[image_id][0], image_id)
        for image_id, subject in subjects.items()
        if subject is not None and image_id in pictures and pictures[image_id][0].stat().st_size
    )
    return ForeignFaces(faces, tuple(problems))


def read_known_people(folder: Path) -> ForeignFaces:
    """The folder of known people that the command line of face_recognition takes.

    Each picture shows one person, and the file's name without its suffix is the person's, to the
    letter: ``ann_2.jpg`` is of a person called ``ann_2``, as it is for that program
    (``scan_known_people`` in ``face_recognition_cli.py``).

    Args:
        folder: The folder. Pictures in folders below are listed as problems.

    Raises:
        MediaError: If it is no folder, or holds no pictures.
    """
    found = find_images(folder)
    faces = tuple(
        ForeignFace(path.stem, path, path.name) for path in found if path.parent == folder
    )
    deeper = len(found) - len(faces)
    problems = [f"{deeper} pictures in folders below were left out"] if deeper else []
    return ForeignFaces(faces, tuple(problems))


def _read_pages(file: Path, problems: list[str]) -> list[_Page]:
    content = _read_json(file)
    several = isinstance(content, list)
    pages = []
    for number, page in enumerate(content if several else [content]):
        place = f"{file.name}[{number}]" if several else file.name
        if isinstance(page, dict) and isinstance(page.get("faces"), list):
            counts = [_whole(page.get(key)) for key in _COUNTS]
            pages.append(_Page(place, page["faces"], *counts))
        else:
            problems.append(f"{place} is no page of faces and was left out")
    return pages


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_json(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_PAGE_BYTES + 1)
    except OSError as err:
        raise InputError(
            what=f"{file} cannot be opened",
            why=err.strerror or str(err),
            mend="pass a folder with pages of CompreFace, or one JSON file",
        ) from err
    if len(data) > MAX_PAGE_BYTES:
        raise InputError(
            what=f"{file} has more than {MAX_PAGE_BYTES:,} bytes",
            why="one page of CompreFace is far smaller",
            mend="ask for the collection in several pages: ?page=0&size=1000",
        )
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as err:
        raise InputError(
            what=f"{file} is not JSON",
            why=str(err) if isinstance(err, json.JSONDecodeError) else type(err).__name__,
            mend="save the answer again; several pages in one file have to be a list",
        ) from err


def _read_subjects(pages: list[_Page], problems: list[str]) -> dict[str, str | None]:
    """Subjects by image id; None for an id that is given to several people."""
    subjects: dict[str, str | None] = {}
    for page in pages:
        for number, face in enumerate(page.faces):
            place = f"{page.place}, face {number}"
            image_id, subject = _read_face(face)
            if image_id is None:
                problems.append(f"{place}: its image_id is not a UUID; left out")
            elif subject is None:
                problems.append(f"{place}: {image_id} has no subject; left out")
            elif image_id not in subjects:
                subjects[image_id] = subject
            elif subjects[image_id] == subject:
                problems.append(f"{place}: {image_id} is listed again; taken once")
            else:
                subjects[image_id] = None
                problems.append(f"{place}: {image_id} is given to several people; left out")
    return subjects


def _read_face(face: object) -> tuple[str | None, str | None]:
    """Id and subject of an entry, each None if it is not one."""
    if not isinstance(face, dict):
        return None, None
    image_id, subject = face.get("image_id"), face.get("subject")
    named = isinstance(subject, str) and subject.strip()
    if not isinstance(image_id, str) or not _ID.fullmatch(image_id):
        return None, None
    return image_id.lower(), subject if named else None


def _count(pages: list[_Page], found: int) -> Iterator[str]:
    """What the pages' own counts say is missing."""
    numbers = Counter(page.number for page in pages if page.number is not None)
    totals = {page.pages for page in pages if page.pages is not None}
    elements = {page.elements for page in pages if page.elements is not None}
    if numbers and totals:
        yield from _missing(set(numbers), max(totals))
    twice = sorted(number for number, times in numbers.items() if times > 1)
    if twice:
        yield f"pages {_list(twice, len(twice))} are there more than once"
    if len(totals) > 1 or len(elements) > 1:
        yield "the pages differ in their totals: the collection changed while it was saved"
    elif elements and found != (total := elements.pop()):
        yield f"the collection has {total} faces, the pages name {found}"


def _missing(numbers: set[int], total: int) -> Iterator[str]:
    count = total - sum(0 <= number < total for number in numbers)
    if count > 0:  # counted, not listed: the total comes from outside and may be anything
        first = list(islice((n for n in range(total) if n not in numbers), _SHOWN))
        yield f"of {total} pages, {_list(first, count)} are missing"


def _list(numbers: list[int], count: int) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return shown if count <= _SHOWN else f"{shown} and {count - _SHOWN} more"


def _pictures_by_id(folder: Path) -> dict[str, list[Path]]:
    """Files that are named by an id, with the suffix of a picture or with none.

    Found by listing the folder: no path is ever made from an id.
    """
    pictures: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        named = _ID.fullmatch(path.stem) and path.suffix.lower() in {"", *SUFFIXES}
        if named and path.is_file():
            pictures[path.stem.lower()].append(path)
    return dict(pictures)


def _compare(subjects: dict[str, str | None], pictures: dict[str, list[Path]]) -> Iterator[str]:
    """Where pages and pictures do not fit each other."""
    for image_id in subjects:
        paths = pictures.get(image_id, [])
        if not paths:
            yield f"{image_id}: there is no picture of that name"
        elif not paths[0].stat().st_size:
            yield f"{image_id}: its picture is empty, as CompreFace answers if it has none"
        elif len(paths) > 1:
            yield f"{image_id}: of {len(paths)} pictures of that name, {paths[0].name} is taken"
    unknown = len(pictures.keys() - subjects.keys())
    if unknown:
        yield f"{unknown} pictures are named by ids that no page lists"
