"""The nearest templates and people, spelled out: every product in double precision, one by one."""

import numpy as np

from mien.gallery.index import Hit, Template


def best_faces(rows: list[Template], queries: np.ndarray, k: int) -> list[list[Hit]]:
    """The k most similar templates of each query, ties by order."""
    return [_ranked(rows, query)[:k] for query in queries]


def best_people(rows: list[Template], queries: np.ndarray, k: int) -> list[list[Hit]]:
    """The k most similar people of each query, each with their best template, ties by order."""
    found = []
    for query in queries:
        first: dict[str, Hit] = {}
        for hit in _ranked(rows, query):
            first.setdefault(hit.person, hit)
        found.append(list(first.values())[:k])
    return found


def draw_crowd(seed: int, size: int, dim: int) -> tuple[list[Template], np.ndarray]:
    """A crowd in which vectors, and so scores, repeat; and queries among and beside them."""
    rng = np.random.default_rng(seed)
    distinct = rng.standard_normal((max(1, size // 2), dim))
    distinct = (distinct / np.linalg.norm(distinct, axis=1, keepdims=True)).astype(np.float32)
    which = rng.integers(0, len(distinct), size)
    people = rng.integers(0, max(1, size // 3), size)
    rows = [
        Template(
            face_id=f"f{k}",
            person=f"p{people[k]}",
            vector=distinct[which[k]],
            quality=float(rng.uniform(0, 100)),
            source="",
            digest="",
            box=(0.0, 0.0, 1.0, 1.0),
            consent="",
            enrolled_at="2026-11-24T10:00:00+00:00",
        )
        for k in range(size)
    ]
    queries = np.stack([distinct[0], -distinct[-1]])
    return rows, queries


def _ranked(rows: list[Template], query: np.ndarray) -> list[Hit]:
    wide = query.astype(np.float64)
    scores = [float(np.float32(one.vector.astype(np.float64) @ wide)) for one in rows]
    order = sorted(range(len(rows)), key=lambda k: (-scores[k], k))
    return [Hit(rows[k].face_id, rows[k].person, scores[k]) for k in order]
