"""Small galleries of people who never lived, and all that can be seen of them from outside."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from mien.faces.contract import Contract
from mien.gallery.calibration import CalibrationTable, Provenance, calibrate
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from toys.templates import draw_people

DIM = 16
CONTRACT = Contract("toy", "1", 1, "toy", "1", DIM)


def unit(seed: int) -> np.ndarray:
    """A direction that depends on the seed only."""
    vector = np.random.default_rng(seed).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def near(vector: np.ndarray, cosine: float, seed: int = 0) -> np.ndarray:
    """A direction at a given cosine from another one."""
    side = unit(seed + 10_000).astype(np.float64)
    side -= (side @ vector) * vector
    side /= np.linalg.norm(side)
    return (cosine * vector + np.sqrt(1 - cosine**2) * side).astype(np.float32)


def face(person: str, seed: int, **changes: Any) -> Template:
    """A template whose ids and vector depend on the seed only."""
    rng = np.random.default_rng([seed, 7])
    values: dict[str, Any] = {
        "face_id": rng.bytes(16).hex(),
        "person": person,
        "vector": unit(seed),
        "quality": float(rng.integers(20, 95)),
        "source": f"holiday/photo-{seed}.jpg",
        "digest": rng.bytes(32).hex(),
        "box": (1.0, 2.0, 30.0, 40.5),
        "consent": "signed form 12",
        "enrolled_at": "2026-11-24T10:00:00+00:00",
    }
    return Template(**(values | changes))


def make(path: Path, **options: Any) -> Gallery:
    """An empty gallery for templates of 16 numbers."""
    return Gallery.create(path, CONTRACT, **options)


def reopen(path: Path, **options: Any) -> Gallery:
    return Gallery.open(path, CONTRACT, **options)


def table() -> CalibrationTable:
    """A calibration of people who are easy to tell apart."""
    rows, names = draw_people(60, 3, dim=DIM, spread=0.3)
    provenance = Provenance("toys", "2026-11-24", "0", "all", 0, 20)
    return calibrate(rows, names, contract=CONTRACT.id, provenance=provenance)[0]


def dump(gallery: Gallery) -> dict[str, Any]:
    """All that a gallery says of people, faces and what hangs on them."""
    index, vault = gallery.index, gallery.index.vault
    people = index.query("SELECT person_id, record FROM people ORDER BY person_id")
    faces = index.query(
        "SELECT number, face_id, faces.person_id, retain_until, vector, faces.record "
        "FROM faces ORDER BY number"
    )
    crops = index.query("SELECT face_id, sealed FROM crops ORDER BY face_id")
    rejections = index.query("SELECT * FROM rejections ORDER BY rejection_id")
    sightings = index.query("SELECT sighting_id, sealed FROM sightings ORDER BY number")
    return {
        "people": [(one, vault.open_json(text, "person", one)) for one, text in people],
        "faces": [
            (n, f, p, day, vault.open(v, "vector", f, p), vault.open(r, "face", f, p))
            for n, f, p, day, v, r in faces
        ],
        "crops": [(one, vault.open(sealed, "crop", one)) for one, sealed in crops],
        "separations": index.query("SELECT one, other FROM separations ORDER BY one, other"),
        "rejections": [
            (r, p, vault.open(sealed, "rejection", r, p)) for r, p, sealed in rejections
        ],
        "sightings": [(s, vault.open_json(text, "sighting", s)) for s, text in sightings],
    }


def all_bytes(folder: Path) -> bytes:
    """Everything in a folder's files, one after another."""
    return b"\n".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())


def traces(template: Template) -> dict[str, bytes]:
    """What would give a template away if it stood in a file, by the form it takes there."""
    found: dict[str, bytes] = {}
    for kind, values in (
        ("float32", np.asarray(template.vector, "<f4")),
        ("float64", np.asarray(template.vector, "<f8")),
        ("float32, big endian", np.asarray(template.vector, ">f4")),
    ):
        raw = values.tobytes()
        found[kind] = raw[:24]
        found[f"{kind}, hex"] = raw.hex().encode()[:48]
        found[f"{kind}, base64"] = base64.b64encode(raw)[:32]
    texts = {
        "name": template.person,
        "source": template.source,
        "digest": template.digest,
        "face id": template.face_id,
        "person id": template.person_id,
        "consent": template.consent,
    }
    for kind, text in texts.items():
        for coding in ("utf-8", "utf-16-le", "utf-16-be"):
            if text:
                found[f"{kind}, {coding}"] = text.encode(coding)
    return found


def seen_in(folder: Path, *templates: Template, but: tuple[str, ...] = ()) -> list[str]:
    """Which traces of templates stand in a folder's files; kinds named in ``but`` may."""
    data = all_bytes(folder)
    return [
        kind
        for template in templates
        for kind, trace in traces(template).items()
        if trace in data and not kind.startswith(but or ("\0",))
    ]
