"""The embedder's and the detector's networks on every engine, one thread, timed in turn.

Run ``python -m benchmarks.engines [--repeats 30] [--out FILE.json]``. The rows:

* ``onnxruntime``: as mien runs it, with PReLU rewritten (`mien.faces.engines.expand`);
* ``onnxruntime-prelu``: without the rewriting;
* ``openvino``: extra ``fast``;
* ``opencv``: cv2.dnn on the packaged block-quantised file.

Times are milliseconds of one call; ``per image`` is the time over the batch. ``cosine`` is the
lowest cosine of a template with the one of the first row.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from benchmarks.common import machine, timed_in_turn, write_json
from mien.core.types import Array, Float32
from mien.core.weights import resolve_weights
from mien.faces.engines.open import open_engine
from mien.faces.engines.packaged import packaged_network
from mien.faces.pipeline import FacePipeline
from mien.reports.demo import photo_path

Run = Callable[[Float32], Array]


def engines_of(name: str) -> dict[str, Run]:
    """Every engine of a network, as a function from a batch to its first output."""
    rewritten, _ = packaged_network(name, provider="onnxruntime")
    unsplit, _ = packaged_network(name, provider="openvino")
    split = open_engine(rewritten, threads=1)
    plain = open_engine(unsplit, threads=1)
    vino = open_engine(unsplit, provider="openvino", threads=1)
    packaged = cv2.dnn.readNetFromONNX(str(resolve_weights(name).path))

    def run_packaged(batch: Float32) -> Array:
        rows = []
        for row in batch:  # its batch is fixed at one
            packaged.setInput(row[None])
            rows.append(packaged.forward())
        return np.concatenate(rows)

    return {
        "onnxruntime": lambda batch: next(iter(split.run(batch).values())),
        "onnxruntime-prelu": lambda batch: next(iter(plain.run(batch).values())),
        "openvino": lambda batch: next(iter(vino.run(batch).values())),
        "opencv": run_packaged,
    }


def crops() -> Float32:
    """Eight aligned faces, made of the four portraits and their mirrors, (8, 3, 112, 112)."""
    from mien.faces.align import crop_face, fit_alignment
    from mien.media.image import load_image

    pipeline = FacePipeline.open()
    made = []
    for name in ("obama_1", "obama_2", "obama_3", "biden_1"):
        image = load_image(photo_path(f"{name}.jpg"))
        landmarks = pipeline.detect(image).landmarks[0]
        crop = crop_face(image.pixels, fit_alignment(landmarks))
        made += [crop, crop[:, ::-1]]
    return np.stack(made).transpose(0, 3, 1, 2).astype(np.float32)


def compare(name: str, batch: Float32, repeats: int) -> list[dict[str, Any]]:
    engines = engines_of(name)
    outputs = {engine: run(batch).reshape(len(batch), -1) for engine, run in engines.items()}
    first = outputs["onnxruntime"]
    times = timed_in_turn(
        {engine: (lambda _, run=run: run(batch)) for engine, run in engines.items()}, repeats
    )
    base = times["onnxruntime"].median_ms
    rows = []
    for engine, timing in times.items():
        other = outputs[engine]
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(other, axis=1)
        rows.append(
            {
                "network": name,
                "engine": engine,
                "batch": len(batch),
                "per_image_ms": timing.median_ms / len(batch),
                "ratio": timing.median_ms / base,
                "cosine": float(((first * other).sum(1) / lengths).min()),
                **timing.as_record(),
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    eight = crops()
    rows = compare("sface", eight[:1], options.repeats) + compare("sface", eight, options.repeats)
    print(f"{'network':8} {'engine':18} {'batch':>5} {'ms/image':>9} {'ratio':>6} {'cosine':>8}")
    for row in rows:
        print(
            f"{row['network']:8} {row['engine']:18} {row['batch']:5d} {row['per_image_ms']:9.2f} "
            f"{row['ratio']:6.2f} {row['cosine']:8.5f}"
        )
    if options.out:
        write_json(options.out, {"machine": machine(), "rows": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
