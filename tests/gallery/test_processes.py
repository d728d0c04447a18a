"""Several processes with one gallery: nobody is lost, nobody is mixed up, all see everything."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.core.errors import ConflictError, MienError
from mien.gallery.gallery import Gallery
from toys.galleries import face, make, near, reopen, table, unit

TURNS = 12


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "people.gallery"
    with make(path) as gallery:
        gallery.keep_calibration(table())
        gallery.add(face("nobody's rival", 999))
    return path


def run(path: Path, *tasks: Any) -> list[Any]:
    """Each task in a process of its own, all begun at once; what they returned, in order."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(len(tasks)), context.Queue()
    processes = [
        context.Process(target=_work, args=(path, start, answers, number, *task))
        for number, task in enumerate(tasks)
    ]
    for process in processes:
        process.start()
    found = dict(answers.get(timeout=120) for _ in tasks)
    for process in processes:
        process.join()
    failed = [one for one in found.values() if isinstance(one, BaseException)]
    assert failed == []
    return [found[number] for number in range(len(tasks))]


def _work(path: Path, start: Any, answers: Any, number: int, task: Any, *given: Any) -> None:
    with reopen(path) as gallery:
        start.wait(60)
        try:
            answers.put((number, task(gallery, *given)))
        except MienError as err:
            answers.put((number, err))


def _enrol_each(gallery: Gallery, name: str) -> list[int]:
    """Enrol the same faces as the others do, under a name of one's own; which were taken."""
    won = []
    for k in range(TURNS):
        try:
            gallery.add(face(f"{name} {k}", k, face_id=f"{name}-{k}"))
            won.append(k)
        except ConflictError:
            continue
    return won


def test_of_two_names_for_one_face_exactly_one_is_enrolled(path):
    with reopen(path) as gallery:
        free = [k for k in range(TURNS) if (unit(k) @ unit(999)) < 0.5]
    ours, theirs = run(path, (_enrol_each, "ours"), (_enrol_each, "theirs"))
    assert set(ours) & set(theirs) == set()
    with reopen(path) as gallery:
        names = {one.name for one in gallery.people.all()} - {"nobody's rival"}
        assert names == {f"ours {k}" for k in ours} | {f"theirs {k}" for k in theirs}
        assert len(names) > len(free) / 2
        for k in range(TURNS):
            rivals = [n for n in names if n.endswith(f" {k}")]
            assert len(rivals) <= 1
        assert gallery.verify() == []


def _twins(gallery: Gallery, name: str) -> list[int]:
    """Enrol another photo of each person than the others do, under a name of one's own."""
    won = []
    for k in range(TURNS):
        vector = near(_corner(k), 0.97, 50 + len(name))
        try:
            gallery.add(face(f"{name} {k}", 200 + k, vector=vector, face_id=f"{name}-{k}"))
            won.append(k)
        except ConflictError:
            continue
    return won


def _corner(k: int) -> np.ndarray:
    return np.eye(16, dtype=np.float32)[k]


def test_two_photos_of_one_person_do_not_get_two_names(path):
    ours, theirs = run(path, (_twins, "ours"), (_twins, "theirs"))
    assert set(ours) & set(theirs) == set()
    assert len(ours) + len(theirs) >= TURNS - 2  # the rival may be alike some of them
    with reopen(path) as gallery:
        assert gallery.verify() == []


def _change_all_the_time(gallery: Gallery, name: str, start: int) -> tuple[int, int]:
    """Enrol, merge, rename and delete one's own people; count what is seen wrong."""
    wrong = 0
    seen: set[str] = set()
    for k in range(start, start + TURNS):
        one = gallery.add(face(f"{name} {k}", k), force=True)
        gallery.add(face(f"{name} twin {k}", 5000 + k), force=True)
        gallery.people.merge(f"{name} {k}", f"{name} twin {k}")
        gallery.people.rename(f"{name} {k}", f"{name} final {k}")
        hit = gallery.index.search_grouped(one.vector[None], 1)[0][0]
        wrong += (hit.person, hit.person_id) != (f"{name} final {k}", one.person_id)
        if k % 3 == 0:
            gallery.deletion.person(f"{name} final {k}")
            wrong += gallery.index.search(one.vector[None], 1)[0][0].score > 0.999
        seen |= {h.person.split()[0] for h in gallery.index.search(unit(7)[None], 200)[0]}
    return wrong, len(seen - {"nobody's"})


def test_nobody_is_lost_and_all_changes_are_seen(path):
    answers = run(
        path,
        (_change_all_the_time, "ours", 1000),
        (_change_all_the_time, "theirs", 2000),
    )
    assert [wrong for wrong, _ in answers] == [0, 0]
    assert max(seen for _, seen in answers) == 2  # one saw the other's people, while they came
    with reopen(path) as gallery:
        wanted = {
            f"{name} final {k}": 2
            for name, start in (("ours", 1000), ("theirs", 2000))
            for k in range(start, start + TURNS)
            if k % 3
        }
        assert {p.name: p.faces for p in gallery.people.all()} == wanted | {"nobody's rival": 1}
        for name in wanted:
            for one in gallery.people.faces(name):
                assert gallery.index.search(one.vector[None], 1)[0][0].person == name
        assert len(gallery.deletion.receipts()) == 8
        assert gallery.verify() == []


def _read_all_the_time(gallery: Gallery) -> int:
    """How many answers are wrong while others rename: a name keeps its first word."""
    wrong = 0
    for k in range(60):
        for hit in gallery.index.search(unit(k)[None], 300)[0]:
            (one,) = gallery.index.get([hit.face_id]) if hit.score > 0.9999 else (None,)
            wrong += one is not None and hit.person.split()[0] != one.person.split()[0]
        gallery.people.all()
    return wrong


def _rename_all_the_time(gallery: Gallery) -> int:
    for k in range(40):
        gallery.add(face(f"p {k}", k), force=True)
        gallery.people.rename(f"p {k}", f"p renamed {k}")
    return 0


def test_readers_see_whole_states_only(path):
    assert run(path, (_read_all_the_time,), (_rename_all_the_time,)) == [0, 0]
