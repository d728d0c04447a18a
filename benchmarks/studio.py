"""How many fully labelled faces a second the studio draws on one core, and how many are found.

Run ``OMP_NUM_THREADS=1 python -m benchmarks.studio [--count 200] [--sizes 128 256]``. A picture
counts from its ready-made scene to image, landmarks, visibility, depth, normals, albedo and
regions; compiling is not counted. Once every picture shows a new person, once one person is drawn
over and over. Afterwards frontal heads of other seeds go through the default detector: found means
exactly one face, with an overlap (IoU) of a half or more with the label's box.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import machine, write_json
from mien.core.types import Box
from mien.faces.pipeline import FacePipeline
from mien.metrics.intervals import wilson_interval
from mien.studio.draw import draw
from mien.studio.sampling import draw_identity, draw_scene


def per_second(size: int, count: int, *, one_person: bool) -> float:
    scenes = [draw_scene(seed, size=size) for seed in range(count)]
    if one_person:
        scenes = [replace(scene, identity=draw_identity(0)) for scene in scenes]
    draw(draw_scene(count, size=size))
    begin = time.perf_counter()
    for scene in scenes:
        draw(scene)
    return count / (time.perf_counter() - begin)


def found_share(size: int, count: int) -> dict[str, Any]:
    pipeline = FacePipeline.open()
    found = 0
    for seed in range(10_000, 10_000 + count):
        drawing = draw(draw_scene(seed, size=size, frontal=True))
        faces = pipeline.detect(drawing.image)
        if len(faces) == 1:
            x0, y0, x1, y1 = (float(v) for v in faces.boxes[0])
            found += drawing.labels.box.iou(Box(x0, y0, x1, y1)) >= 0.5
    interval = wilson_interval(found, count)
    return {
        "size": size,
        "frontal_heads": count,
        "found": found,
        "interval_95": [round(interval.low, 4), round(interval.high, 4)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        for one_person in (False, True):
            rate = per_second(size, options.count, one_person=one_person)
            rows.append({"size": size, "one_person": one_person, "per_second": round(rate, 1)})
            print(rows[-1])
    detected = [found_share(size, options.count) for size in options.sizes]
    for one in detected:
        print(one)
    if options.out:
        write_json(options.out, {"machine": machine(), "rows": rows, "detected": detected})
    return 0


if __name__ == "__main__":
    sys.exit(main())
