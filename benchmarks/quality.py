"""Does the quality score predict errors, and does the gate treat groups alike?

Run ``python -m benchmarks.quality --data DIR [--groups CSV] [--out FILE.json]``.

DIR holds ``images/NAME/*.jpg`` and ``pairs.csv``: error against discard (ISO/IEC 29794-1). Genuine
pairs are ordered by the lower quality of their two photos; the worst 0, 5, 10, 20, 30 % are left
out, and FNMR is measured at the threshold that has FMR 1e-3 on all pairs. A score that says nothing
leaves the rate as it is (up to chance: the interval is a Wilson interval).

CSV has a column ``file`` (a path relative to the CSV) and any number of columns of *given* labels:
for each value, the share of photos in which no face was found or the gates refuse the face. mien
infers no such label itself.
"""

import argparse
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.common import machine, write_json
from mien.core.records import read_csv
from mien.core.types import Array
from mien.faces.pipeline import FacePipeline, Ok
from mien.faces.quality import COMPONENTS, QualityGate
from mien.faces.table import choose_main_face
from mien.metrics.intervals import wilson_interval
from mien.metrics.verification import tar_at_far
from mien.systems.recognition.verification import read_pairs

DISCARDED = (0.0, 0.05, 0.1, 0.2, 0.3)


def error_against_discard(data: Path) -> dict[str, Any]:
    pipeline = FacePipeline.open()
    pairs = read_pairs(data / "pairs.csv")
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    outcomes = pipeline.analyse_many([data / "images" / name for name in names], which="main")
    table, place = [], {}
    for name, outcome in zip(names, outcomes, strict=True):
        faces = outcome.analysis.faces if isinstance(outcome, Ok) else None
        if faces is not None and faces.embeddings is not None and len(faces):
            place[name] = len(table)
            quality = np.append(faces.quality.scores[0], faces.quality.unified[0])
            table.append((faces.embeddings[0], quality))
    usable = [pair for pair in pairs if pair.left in place and pair.right in place]
    left, right = ([place[getattr(pair, side)] for pair in usable] for side in ("left", "right"))
    templates, quality = (np.stack(column) for column in zip(*table, strict=True))
    scores = (templates[left] * templates[right]).sum(1)
    same = np.array([pair.same for pair in usable])
    threshold = tar_at_far(scores[same], scores[~same], 1e-3).threshold
    worst = np.minimum(quality[left], quality[right])[same]
    return {
        "pairs": len(pairs),
        "left_out": len(pairs) - len(usable),
        "genuine": int(same.sum()),
        "threshold": threshold,
        "curves": {
            name: curve(scores[same] < threshold, worst[:, k])
            for k, name in enumerate([*COMPONENTS, "unified"])
        },
    }


def curve(is_missed: Array, quality: Array) -> list[dict[str, float]]:
    order = np.argsort(-quality, kind="stable")
    points = []
    for share in DISCARDED:
        kept = is_missed[order[: round(len(order) * (1 - share))]]
        interval = wilson_interval(int(kept.sum()), len(kept))
        points.append(
            {
                "discarded": share,
                "fnmr": interval.estimate,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return points


def refusals_by_group(table: Path) -> dict[str, Any]:
    pipeline = FacePipeline.open()
    rows = read_csv(table, why="it names the photos and their labels", columns="file and labels")
    gates = {"probe": QualityGate.probe(), "enrolment": QualityGate.enrolment()}
    seen: dict[tuple[str, str], list[tuple[bool, bool, bool]]] = defaultdict(list)
    codes: dict[str, int] = defaultdict(int)
    outcomes = pipeline.analyse_many([table.parent / row["file"] for row in rows])
    for row, outcome in zip(rows, outcomes, strict=True):
        faces = outcome.analysis.faces if isinstance(outcome, Ok) else None
        verdict = (True, True, True)
        if faces is not None and len(faces) and isinstance(outcome, Ok):
            main = choose_main_face(faces.boxes, outcome.analysis.size)
            refused = {name: faces.quality.rejects(gate)[main] for name, gate in gates.items()}
            for code in refused["enrolment"]:
                codes[str(code)] += 1
            verdict = (False, bool(refused["probe"]), bool(refused["enrolment"]))
        for column, value in row.items():
            if column != "file":
                seen[column, value].append(verdict)
    return {
        "photos": len(rows),
        "enrolment_codes": dict(codes),
        "groups": [
            {"label": column, "value": value, "photos": len(found)} | _shares(found)
            for (column, value), found in sorted(seen.items())
        ],
    }


def _shares(found: list[tuple[bool, bool, bool]]) -> dict[str, Any]:
    shares: dict[str, Any] = {}
    for k, name in enumerate(("no_face", "refused_as_probe", "refused_for_enrolment")):
        interval = wilson_interval(sum(row[k] for row in found), len(found))
        shares[name] = interval.estimate
        shares[f"{name}_interval"] = [interval.low, interval.high]
    return shares


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="holds images/ and pairs.csv")
    parser.add_argument("--groups", type=Path, help="CSV of photos with given labels")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    if options.data:
        result["discard"] = error_against_discard(options.data)
        show_discard(result["discard"])
    if options.groups:
        result["refusals"] = refusals_by_group(options.groups)
        show_refusals(result["refusals"])
    if options.out:
        write_json(options.out, result)
    return 0


def show_discard(result: dict[str, Any]) -> None:
    print(f"FNMR at FMR 1e-3, {result['genuine']} genuine pairs, by share discarded")
    print(f"{'quality':28}" + "".join(f"{share:>9.0%}" for share in DISCARDED))
    for name, points in result["curves"].items():
        print(f"{name:28}" + "".join(f"{point['fnmr']:9.4f}" for point in points))


def show_refusals(result: dict[str, Any]) -> None:
    print(f"{result['photos']} photos; reasons for enrolment: {result['enrolment_codes']}")
    print(f"{'label':10} {'value':18} {'photos':>6} {'no face':>8} {'probe':>8} {'enrolment':>10}")
    for row in result["groups"]:
        print(
            f"{row['label']:10} {row['value']:18} {row['photos']:6d} {row['no_face']:8.3f} "
            f"{row['refused_as_probe']:8.3f} {row['refused_for_enrolment']:10.3f}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
