"""At which size are landmarks best? The detector's working size and its second look.

Run ``python -m benchmarks.alignment --data DIR [--out FILE.json]``. DIR holds ``images/`` with a
folder for each person, and ``pairs.csv`` (columns left, right, same). What is judged is what
landmarks are for: how far the cosines of one person's photos lie above those of two people (d').

* ``working size``: the pairs of ``pairs.csv``; small photos enlarged to 192 … 512 pixels for the
  first look, with and without the second.
* ``small``: photos shrunk until the face has so many pixels, pasted into drawn pictures of
  1280 x 960, twelve each; with the second look at several sizes, and without it.
* ``large``: photos enlarged, the last to 12 megapixels; likewise.

For ``small`` and ``large`` people with several photos are drawn, and all pairs of the photos whose
face every variant found are compared. Intervals are of 95 %, from drawing people; ``gain`` is the
difference from the first row of a table over the same draws. ``others`` are faces besides those
asked for: bystanders and false ones. ``ms`` is CPU time of the detector a picture, on one thread.

The constants of ``faces.detect`` were chosen with this script on LFW's development photos. So on
these data the figures compare choices; they do not estimate what other data would give.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from benchmarks.common import machine, write_json
from mien.core.types import Array, Bools, Float32, Float64, Ints, UInt8
from mien.faces.align import crop_face, fit_alignment
from mien.faces.detect import pyramid, yunet
from mien.faces.detect.protocol import Detections
from mien.faces.parts import PipelineConfig, open_detector, open_embedder
from mien.faces.table import choose_main_face
from mien.media.geometry import resize
from mien.media.image import load_image
from mien.metrics.folds import assign_folds, fold_accuracy
from mien.metrics.verification import d_prime, tar_at_far
from mien.systems.recognition.verification import Pair, read_pairs

NOTE = "the detector's constants were chosen on these data: compare, do not extrapolate"
SMALL_PX = (16, 20, 24, 28, 40, 60, 80, 100, 130)
LARGE = {1: 200, 4: 200, 8: 200, 14: 60}  # enlargement -> people
SCENE = (1280, 960)
CELL = 320
PHOTOS_A_PERSON = 3
SAME_IOU = 0.3  # from which a found face is the one that was pasted
FAR = 1e-3
SCORE = 0.6

Patch = Callable[[], AbstractContextManager[Any]]
Scene = tuple[UInt8, dict[str, Array]]  # a picture, and the box of the face of each photo in it


def first_only(
    _detector: yunet.YunetDetector, _images: list[UInt8], found: list[Array]
) -> list[Array]:
    """In place of the second look: what the first one found."""
    return found


def look_at(face_px: int, canvas_px: int) -> AbstractContextManager[Any]:
    return mock.patch.multiple(yunet, _LOOK_FACE_PX=float(face_px), _LOOK_PX=canvas_px)


def no_second() -> AbstractContextManager[Any]:
    return mock.patch.object(yunet.YunetDetector, "_look_again", first_only)


LOOKS: dict[str, Patch] = {
    "as shipped": nullcontext,
    "no second look": no_second,
    "second look, 125 in 192": lambda: look_at(125, 192),
    "second look, 160 in 256": lambda: look_at(160, 256),
    "second look, 300 in 448": lambda: look_at(300, 448),
}

WORK: dict[str, tuple[float, Patch]] = {
    "256 px": (256.0, nullcontext),
    "192 px": (192.0, nullcontext),
    "384 px": (384.0, nullcontext),
    "512 px": (512.0, nullcontext),
} | {f"{side} px, no second look": (float(side), no_second) for side in (256, 320, 384, 512)}


class Lab:
    """Detector, embedder and photos."""

    def __init__(self, folder: Path, seed: int, replicates: int) -> None:
        config = PipelineConfig()
        self.detector = open_detector(config)
        self.embedder = open_embedder(config)
        self.folder = folder
        self.seed = seed
        self.replicates = replicates

    def photo(self, name: str) -> UInt8:
        """Pixels of a photo."""
        return load_image(self.folder / name).pixels

    def main_box(self, name: str) -> Array | None:
        """The box of its main face."""
        pixels = self.photo(name)
        (found,) = self.detector.detect([pixels])
        size = pixels.shape[1], pixels.shape[0]
        return found.boxes[choose_main_face(found.boxes, size)] if len(found) else None


@dataclass
class Measured:
    """Templates by photo, and what was counted on the way."""

    templates: dict[str, Float32]
    faces: int
    others: int
    ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and pairs.csv")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--people", type=int, default=200, help="at most, for small and large")
    parser.add_argument("--replicates", type=int, default=300, help="draws of people")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    lab = Lab(options.data / "images", options.seed, options.replicates)
    names = draw_people(lab.folder, options.people, options.seed)
    boxes = {name: box for name in names if (box := lab.main_box(name)) is not None}
    print(f"{NOTE}\nseed {lab.seed}; {len(boxes)} photos of {count_people(boxes)} people\n")
    tables = {"working size": working_size(lab, read_pairs(options.data / "pairs.csv"))}
    for px in SMALL_PX:
        title = f"small, {px} px"
        tables[title] = second_look(lab, title, lambda px=px: draw_scenes(lab, boxes, px))
    for factor, people in LARGE.items():
        some = keep_people(boxes, people)
        title = f"large, x{factor}, {count_people(some)} people"
        tables[title] = second_look(lab, title, lambda f=factor, b=some: enlarge(lab, b, f))
    if options.out:
        facts = {"note": NOTE, "seed": lab.seed, "replicates": lab.replicates, "far": FAR}
        sample = {"people": count_people(boxes), "photos": len(boxes)}
        write_json(options.out, {"machine": machine()} | facts | sample | {"tables": tables})
    return 0


def working_size(lab: Lab, pairs: list[Pair]) -> list[dict[str, Any]]:
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    boxes = {name: box for name in names if (box := lab.main_box(name)) is not None}
    same = np.array([pair.same for pair in pairs])
    left = np.array([person(pair.left) for pair in pairs])
    right = np.array([person(pair.right) for pair in pairs])
    rows: list[dict[str, Any]] = []
    baseline = None
    for variant, (side, patch) in WORK.items():
        with mock.patch.multiple(pyramid, _WORK_PX=side, _SEEN_PX=1.0), patch():
            measured = measure(lab, enlarge(lab, boxes, 1))
        scores = np.array([score(measured.templates, pair) for pair in pairs])
        compared = np.isfinite(scores)
        draws = d_prime_draws(lab, scores[compared], left[compared], right[compared])
        baseline = draws if baseline is None else baseline
        rows.append(
            {
                "variant": variant,
                **count(measured, len(names)),
                **judge(scores, same),
                "d_prime_interval": interval(draws),
                "gain": interval(draws - baseline),
                "accuracy": fold_accuracy(scores, same, assign_folds(len(pairs))).mean,
            }
        )
    show("working size", rows)
    return rows


def second_look(
    lab: Lab, title: str, scenes: Callable[[], Iterable[Scene]]
) -> list[dict[str, Any]]:
    """One table. All variants are judged on the photos whose face every variant found."""
    results = {}
    for variant, patch in LOOKS.items():
        with patch():
            results[variant] = measure(lab, scenes())
    names = sorted(set.intersection(*(set(one.templates) for one in results.values())))
    people = np.array([person(name) for name in names])
    left, right = np.triu_indices(len(people), 1)
    rows: list[dict[str, Any]] = []
    baseline = None
    for variant, measured in results.items():
        table = np.stack([measured.templates[name] for name in names])
        scores = np.einsum("nd,nd->n", table[left], table[right])
        draws = d_prime_draws(lab, scores, people[left], people[right])
        baseline = draws if baseline is None else baseline
        rows.append(
            {
                "variant": variant,
                **count(measured, measured.faces),
                **judge(scores, people[left] == people[right]),
                "d_prime_interval": interval(draws),
                "gain": interval(draws - baseline),
            }
        )
    show(title, rows)
    return rows


def measure(lab: Lab, scenes: Iterable[Scene]) -> Measured:
    crops: dict[str, UInt8] = {}
    faces = others = pictures = 0
    seconds = 0.0
    for pixels, boxes in scenes:
        begin = time.process_time()
        (found,) = lab.detector.detect([pixels])
        seconds += time.process_time() - begin
        rows = {name: find(found, box) for name, box in boxes.items()}
        hits = {name: row for name, row in rows.items() if row is not None}
        for name, row in hits.items():
            crops[name] = crop_face(pixels, fit_alignment(found.landmarks[row]))
        faces += len(boxes)
        others += len(found) - len(set(hits.values()))
        pictures += 1
    templates = dict(zip(crops, lab.embedder.embed(list(crops.values())), strict=True))
    return Measured(templates, faces, others, seconds * 1e3 / pictures)


def find(found: Detections, box: Array) -> int | None:
    """The row of the face that overlaps a box most, if any does enough."""
    if not len(found):
        return None
    low = np.maximum(found.boxes[:, :2], box[:2])
    high = np.minimum(found.boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(1)
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    iou = shared / (areas + (box[2:] - box[:2]).prod() - shared)
    return int(iou.argmax()) if iou.max() >= SAME_IOU else None


def count(measured: Measured, photos: int) -> dict[str, Any]:
    return {
        "faces": photos,
        "found": len(measured.templates),
        "others": measured.others,
        "ms": measured.ms,
    }


def judge(scores: Float64, same: Bools) -> dict[str, Any]:
    compared = np.isfinite(scores)
    return {
        "genuine": int((compared & same).sum()),
        "impostor": int((compared & ~same).sum()),
        "d_prime": d_prime(scores[compared & same], scores[compared & ~same]),
        "tar": tar_at_far(scores[same], scores[~same], FAR).tar,
    }


def score(templates: dict[str, Float32], pair: Pair) -> float:
    if not {pair.left, pair.right} <= templates.keys():
        return -np.inf
    return float(templates[pair.left] @ templates[pair.right])


def d_prime_draws(lab: Lab, scores: Float64, left: Array, right: Array) -> Float64:
    """D' over draws of people; a pair counts as often as its people were drawn.

    A person is drawn by name, so that two variants of one table see the same draws.
    """
    names = np.unique(np.concatenate([left, right]))
    first, second = np.searchsorted(names, left), np.searchsorted(names, right)
    same = first == second
    draws = np.empty(lab.replicates)
    for k in range(lab.replicates):
        weight = weights(names, np.random.default_rng([lab.seed, k]))
        genuine = moments(scores[same], weight[first[same]])
        impostor = moments(scores[~same], weight[first[~same]] * weight[second[~same]])
        draws[k] = (genuine[0] - impostor[0]) / np.sqrt((genuine[1] + impostor[1]) / 2)
    return draws


def weights(names: Array, rng: np.random.Generator) -> Ints:
    return np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))


def moments(values: Float64, weight: Array) -> tuple[float, float]:
    mean = float(np.average(values, weights=weight))
    return mean, float(np.average((values - mean) ** 2, weights=weight))


def interval(draws: Float64) -> list[float]:
    return [float(v) for v in np.quantile(draws, [0.025, 0.975])]


def draw_people(folder: Path, count: int, seed: int) -> list[str]:
    """Photos, at most three each, of people with several."""
    photos = {
        one.name: sorted(f"{one.name}/{path.name}" for path in one.glob("*.jpg"))
        for one in sorted(folder.iterdir())
        if one.is_dir()
    }
    several = [name for name, paths in photos.items() if len(paths) > 1]
    chosen = np.random.default_rng(seed).permutation(several)[:count]
    return [path for name in chosen for path in photos[name][:PHOTOS_A_PERSON]]


def person(name: str) -> str:
    return name.split("/", maxsplit=1)[0]


def count_people(boxes: dict[str, Array]) -> int:
    return len({person(name) for name in boxes})


def keep_people(boxes: dict[str, Array], count: int) -> dict[str, Array]:
    people = list(dict.fromkeys(map(person, boxes)))[:count]
    return {name: box for name, box in boxes.items() if person(name) in people}


def enlarge(lab: Lab, boxes: dict[str, Array], factor: int) -> Iterator[Scene]:
    for name, box in boxes.items():
        yield resize(lab.photo(name), factor), {name: box * factor}


def draw_scenes(lab: Lab, boxes: dict[str, Array], face_px: int) -> Iterator[Scene]:
    """Drawn pictures with photos pasted in, their main faces ``face_px`` on the longer side."""
    rng = np.random.default_rng([lab.seed, face_px])
    places = [(x, y) for y in range(0, SCENE[1], CELL) for x in range(0, SCENE[0], CELL)]
    names = list(boxes)
    for start in range(0, len(names), len(places)):
        scene = draw_background(rng)
        wanted = {}
        for name, (left, top) in zip(names[start : start + len(places)], places, strict=False):
            photo, box = shrink(lab.photo(name), boxes[name], face_px)
            height, width = photo.shape[:2]
            x = left + int(rng.integers(0, CELL - width + 1))
            y = top + int(rng.integers(0, CELL - height + 1))
            scene[y : y + height, x : x + width] = photo
            wanted[name] = box + np.array([x, y, x, y])
        yield scene, wanted


def shrink(photo: UInt8, box: Array, face_px: int) -> tuple[UInt8, Array]:
    """A photo with its face at a size; cut around the face where it would not fit its cell."""
    scale = face_px / (box[2:] - box[:2]).max()
    small, box = resize(photo, scale), box * scale
    room = np.maximum(np.array([small.shape[1], small.shape[0]]) - CELL, 0)
    x, y = np.clip((box[:2] + box[2:] - CELL) / 2, 0, room).astype(int)
    return small[y : y + CELL, x : x + CELL], box - (x, y, x, y)


def draw_background(rng: np.random.Generator) -> UInt8:
    """Soft colours, grain, lines and triangles: not a face anywhere."""
    width, height = SCENE
    soft = rng.integers(0, 256, (height // 64, width // 64, 3), dtype=np.uint8)
    grain = rng.integers(-20, 21, (height, width, 1), dtype=np.int16)
    smooth = cv2.resize(soft, SCENE, interpolation=cv2.INTER_CUBIC)
    scene = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    for k in range(30):
        points = rng.integers(0, SCENE, (3, 2)).astype(np.int32)
        colour = rng.integers(0, 256, 3).tolist()
        if k % 3:
            cv2.polylines(scene, [points[:2]], isClosed=False, color=colour, thickness=3)
        else:
            cv2.fillPoly(scene, [points], colour)
    return scene


def show(title: str, rows: list[dict[str, Any]]) -> None:
    head = ("found", "others", "ms", "d'", "95 %", "gain", "TAR", "accuracy")
    print("{:28} {:>10} {:>6} {:>7} {:>5} {:>13} {:>15} {:>6} {:>8}".format(title, *head))
    for row in rows:
        low, high = row["d_prime_interval"]
        least, most = row["gain"]
        accuracy = f"{row['accuracy']:8.4f}" if "accuracy" in row else ""
        print(
            f"  {row['variant']:26} {row['found']:5d}/{row['faces']:<4d} {row['others']:6d} "
            f"{row['ms']:7.1f} {row['d_prime']:5.2f} {low:6.2f} {high:6.2f} "
            f"{least:+7.2f} {most:+7.2f} {row['tar']:6.3f} {accuracy}"
        )
    print(flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
