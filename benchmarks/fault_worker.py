"""The process that is killed: changes a gallery without end, and tells what it is about to do.

Before each change it writes its intent to a pipe, after it an acknowledgement. Everything about a
change follows from its intent, so that the parent can say what the gallery must hold.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.keys import Key
from mien.core.types import Float32
from mien.gallery import sqlite
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.gallery.sqlite import SqliteIndex

CONTRACT, DIM = "faults-128", 128
KEY = Key(b"a key for galleries under fire..", "benchmark")

State = dict[str, tuple[str, int]]
"""For each face id: the person's name, and the seed of the template."""

Intent = dict[str, Any]


def vector_of(seed: int) -> Float32:
    """The template that belongs to a seed; templates of two seeds are nearly orthogonal."""
    row = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    return np.asarray(row / np.linalg.norm(row), np.float32)


def open_gallery(path: Path, *, accept_loss: bool = False) -> Gallery:
    """The gallery under fire; made if there is none."""
    index = SqliteIndex(path, key=KEY)
    if path.exists():
        index.open(accept_loss=accept_loss)
    else:
        index.create(CONTRACT, DIM)
    return Gallery(index)


def apply(state: State, intent: Intent) -> State:
    """What the gallery must hold after a change."""
    match intent["op"]:
        case "enrol":
            new = {face: (intent["person"], seed) for face, seed in intent["faces"].items()}
            return state | new
        case "delete":
            return {face: one for face, one in state.items() if face not in intent["faces"]}
        case "move":
            return state | {f: (intent["person"], state[f][1]) for f in intent["faces"]}
        case _:  # rotate, reopen, expire: nothing about people changes
            return state


@dataclass
class Worker:
    """Draws changes and makes them."""

    gallery: Gallery
    path: Path
    rng: np.random.Generator
    pipe: int
    state: State
    next_seed: int
    before: list[tuple[State, Intent]] = field(default_factory=list)

    def run(self) -> None:
        """Make changes until killed."""
        self.tell({"ready": True})
        while True:
            intent = self.draw()
            self.tell({"intent": intent})
            self.make(intent)
            self.state = apply(self.state, intent)
            self.tell({"done": True})

    def tell(self, line: dict[str, Any]) -> None:
        """Write a line to the parent."""
        os.write(self.pipe, json.dumps(line).encode() + b"\n")

    def people(self) -> dict[str, list[str]]:
        """The faces of each person, as they must be by now."""
        groups: dict[str, list[str]] = {}
        for face, (person, _) in self.state.items():
            groups.setdefault(person, []).append(face)
        return groups

    def draw(self) -> Intent:
        """The next change."""
        kinds = ["enrol", "delete face", "delete person", "merge", "split", "rename", "rotate",
                 "reopen", "undo"]  # fmt: skip
        share = np.array([50, 8, 4, 8, 8, 8, 1, 5, 8], float)
        groups = self.people()
        kind = str(self.rng.choice(kinds, p=share / share.sum()))
        if len(groups) < 8 or (kind == "enrol" and len(self.state) < 400):
            return self.draw_enrol(groups)
        names = sorted(groups)
        one, other = (str(n) for n in self.rng.choice(names, 2, replace=False))
        match kind:
            case "delete face":
                faces = [str(self.rng.choice(groups[one]))]
                return {"op": "delete", "how": "faces", "faces": faces}
            case "merge":
                faces = groups[other]
                return {"op": "move", "how": "merge", "person": one, "other": other, "faces": faces}
            case "split" if len(groups[one]) > 1:
                name, faces = self.new_name(), groups[one][: len(groups[one]) // 2]
                return {"op": "move", "how": "split", "person": name, "faces": faces}
            case "rename":
                name, faces = self.new_name(), groups[one]
                return {"op": "move", "how": "rename", "person": name, "other": one, "faces": faces}
            case "rotate" | "reopen":
                return {"op": kind}
            case "undo" if self.before:
                return self.before.pop()[1]
            case _:
                return {"op": "delete", "how": "person", "person": one, "faces": groups[one]}

    def draw_enrol(self, groups: dict[str, list[str]]) -> Intent:
        """A new face of somebody, new or known."""
        is_new = not groups or self.rng.random() < 0.4
        person = self.new_name() if is_new else str(self.rng.choice(sorted(groups)))
        self.next_seed += 1
        face = f"{self.next_seed:032x}"
        return {"op": "enrol", "person": person, "faces": {face: self.next_seed}}

    def new_name(self) -> str:
        """A name that nobody has."""
        return f"person {self.rng.integers(0, 2**62):x}"

    def make(self, intent: Intent) -> None:
        """Make a change, and remember how the next one could take it back."""
        gallery = self.gallery
        match intent.get("how", intent["op"]):
            case "enrol":
                ((face, seed),) = intent["faces"].items()
                gallery.add(template_of(face, intent["person"], seed), force=True)
                self.before = [(self.state, {"op": "delete", "how": "undo", "faces": [face]})]
                return
            case "faces":
                gallery.deletion.faces(intent["faces"])
            case "person":
                gallery.deletion.person(intent["person"])
            case "merge":
                gallery.people.merge(intent["person"], intent["other"])
                back = intent | {"how": "undo", "person": intent["other"]}
                self.before = [(self.state, back)]
                return
            case "split":
                owner = self.state[intent["faces"][0]][0]
                gallery.people.split(intent["faces"], intent["person"])
                self.before = [(self.state, intent | {"how": "undo", "person": owner})]
                return
            case "rename":
                gallery.people.rename(intent["other"], intent["person"])
                back = intent | {"how": "undo", "person": intent["other"]}
                self.before = [(self.state, back)]
                return
            case "undo":
                gallery.journal.undo()
            case "rotate":
                gallery.rotate_key(KEY)
            case "reopen":
                gallery.close()
                self.gallery = open_gallery(self.path)
                self.gallery.nearest(vector_of(1)[None], 1)
        self.before = []


def template_of(face: str, person: str, seed: int) -> Template:
    """The template of a face."""
    return Template(
        face_id=face,
        person=person,
        vector=vector_of(seed),
        quality=50.0,
        source=f"{seed}.jpg",
        digest=f"{seed:064x}",
        box=(0.0, 0.0, 10.0, 10.0),
        consent="benchmark",
        enrolled_at="2026-01-01T00:00:00+00:00",
    )


def work(path: Path, pipe: int, seed: int, state: State, next_seed: int) -> None:
    """Entry of the child process."""
    sqlite._MATRIX_ROWS = 32  # noqa: SLF001 - so that the matrix file is written under fire too
    gallery = open_gallery(path)
    gallery.nearest(vector_of(1)[None], 1)
    Worker(gallery, path, np.random.default_rng(seed), pipe, state, next_seed).run()
