"""Verification protocol: same or different, over a list of picture pairs.

A picture whose main face is not found, or must not be compared, gives its pairs the score minus
infinity; such a pair counts as an error in the accuracy, never as left out.

Source:
    Huang et al., "Labeled Faces in the Wild", 2007: ten folds, the threshold of each chosen on the
    other nine. Rates after ISO/IEC 19795-1.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import MissingError, RangeError
from mien.core.records import read_csv
from mien.core.threads import resolve_threads
from mien.core.types import Bools, Float32, Float64, Ints
from mien.faces.pipeline import FacePipeline, Failed
from mien.metrics.folds import FoldAccuracy, assign_folds, fold_accuracy
from mien.metrics.intervals import Interval, wilson_interval
from mien.metrics.verification import OperatingPoint, auc, d_prime, eer, tar_at_far

FARS: Final = (1e-2, 1e-3)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures and the truth about them; paths relative to the images' folder."""

    left: str
    right: str
    same: bool


@dataclass(frozen=True, slots=True, eq=False)
class VerificationReport:
    """Figures of one run.

    Attributes:
        contract: Pipeline that was measured.
        n_pairs: Pairs; half of them usually genuine.
        n_genuine: Pairs of one person.
        n_images: Different pictures.
        failures_to_enrol: Pictures without a usable main face.
        unreadable: Of those, pictures that could not be read.
        accuracy: Ten-fold accuracy.
        accuracy_interval: Wilson interval of the pooled pairs.
        tar: TAR at each FAR of `FARS`, with a Wilson interval.
        eer: Equal error rate, 0-1; failures count on both sides.
        auc: Area under the ROC curve.
        d_prime: Separation of the scores that exist, in pooled deviations.
        ms_per_image: Reading, detecting, aligning, embedding: wall time by number of pictures.
        workers: Pictures in work at once while timing.
        pairs: The pairs, in order.
        scores: Their cosines; -inf for failures.
        folds: Their folds.
    """

    contract: str
    n_pairs: int
    n_genuine: int
    n_images: int
    failures_to_enrol: int
    unreadable: int
    accuracy: FoldAccuracy
    accuracy_interval: Interval
    tar: tuple[tuple[OperatingPoint, Interval], ...]
    eer: float
    auc: float
    d_prime: float
    ms_per_image: float
    workers: int
    pairs: Sequence[Pair]
    scores: Float64
    folds: Ints

    def as_record(self) -> dict[str, Any]:
        """JSON-ready figures, without the pairs."""
        return {
            "contract": self.contract,
            "pairs": self.n_pairs,
            "genuine_pairs": self.n_genuine,
            "images": self.n_images,
            "failures_to_enrol": self.failures_to_enrol,
            "fte": self.failures_to_enrol / self.n_images,
            "unreadable": self.unreadable,
            "accuracy": self.accuracy.mean,
            "accuracy_standard_error": self.accuracy.standard_error,
            "accuracy_interval": [self.accuracy_interval.low, self.accuracy_interval.high],
            "tar_at_far": {
                f"{point.far_asked:g}": {
                    "tar": point.tar,
                    "interval": [interval.low, interval.high],
                    "threshold": point.threshold,
                    "far_measured": point.far_measured,
                    "supported": point.supported,
                }
                for point, interval in self.tar
            },
            "eer": self.eer,
            "auc": self.auc,
            "d_prime": self.d_prime,
            "ms_per_image": self.ms_per_image,
            "workers": self.workers,
        }

    def rows(self) -> list[dict[str, Any]]:
        """One record a pair."""
        return [
            {
                "left": pair.left,
                "right": pair.right,
                "same": pair.same,
                "score": float(score),
                "fold": int(fold),
            }
            for pair, score, fold in zip(self.pairs, self.scores, self.folds, strict=True)
        ]


def read_pairs(path: Path) -> list[Pair]:
    """Read a CSV file with the columns left, right, same.

    Raises:
        MissingError: If it cannot be read.
        RangeError: If a column is missing, a value is not 0 or 1, or there are no rows.
    """
    rows = read_csv(path, why="the protocol needs a list of pairs", columns="left,right,same")
    flags = {"1": True, "0": False, "true": True, "false": False}
    pairs = []
    for number, row in enumerate(rows, 2):
        flag = flags.get((row.get("same") or "").strip().lower())
        if not row.get("left") or not row.get("right") or flag is None:
            raise RangeError(
                what=f"line {number} of {path} is {row}",
                why="a pair has a left picture, a right picture, and 1 or 0 for same",
                mend="write the columns left,right,same",
            )
        pairs.append(Pair(str(row["left"]), str(row["right"]), flag))
    if not pairs:
        raise RangeError(
            what=f"{path} holds no pairs",
            why="there is nothing to measure",
            mend="write the columns left,right,same and a row a pair",
        )
    return pairs


def evaluate_verification(
    pipeline: FacePipeline,
    pairs: Sequence[Pair],
    images: Path,
    *,
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> VerificationReport:
    """Run the protocol.

    Args:
        pipeline: What is measured.
        pairs: At least 20, genuine and impostor.
        images: Folder that the pairs' paths start from.
        workers: Pictures in work at once; 1 gives the time of one thread.
        progress: Called with pictures done and all pictures.

    Raises:
        RangeError: If there are too few pairs, or only one kind.
        MissingError: If a picture does not exist.
    """
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    _check_exist(names, images)
    embedded = _embed(pipeline, names, images, workers, progress)
    scores = np.array([_score(embedded.templates, pair) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    folds = assign_folds(len(pairs))
    accuracy = fold_accuracy(scores, same, folds)
    genuine, impostor = scores[same], scores[~same]
    return VerificationReport(
        contract=pipeline.contract.id,
        n_pairs=len(pairs),
        n_genuine=int(same.sum()),
        n_images=len(names),
        failures_to_enrol=len(names) - len(embedded.templates),
        unreadable=embedded.unreadable,
        accuracy=accuracy,
        accuracy_interval=_pooled(scores, same, folds, accuracy),
        tar=tuple(_tar(genuine, impostor, far) for far in FARS),
        eer=eer(genuine, impostor).rate,
        auc=auc(genuine, impostor),
        d_prime=d_prime(genuine[np.isfinite(genuine)], impostor[np.isfinite(impostor)]),
        ms_per_image=embedded.seconds * 1e3 / len(names),
        workers=embedded.workers,
        pairs=pairs,
        scores=scores,
        folds=folds,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    templates: dict[str, Float32]
    unreadable: int
    seconds: float
    workers: int


def _embed(
    pipeline: FacePipeline,
    names: list[str],
    images: Path,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> _Embedded:
    count = resolve_threads(workers)
    paths = [images / name for name in names]
    for _ in pipeline.analyse_many(paths[:8], workers=1, which="main"):
        pass  # buffers are allocated on the first pictures; they are not what is timed
    templates: dict[str, Float32] = {}
    unreadable = 0
    start = time.perf_counter()
    outcomes = pipeline.analyse_many(paths, workers=count, which="main")
    for done, (name, outcome) in enumerate(zip(names, outcomes, strict=True), 1):
        if isinstance(outcome, Failed):
            unreadable += 1
        else:
            faces = outcome.analysis.faces
            if len(faces) and faces.embeddings is not None:
                templates[name] = faces.embeddings[0]
        if progress:
            progress(done, len(names))
    return _Embedded(templates, unreadable, time.perf_counter() - start, count)


def _check_exist(names: list[str], images: Path) -> None:
    missing = [name for name in names if not (images / name).is_file()]
    if missing:
        raise MissingError(
            what=f"{len(missing)} of {len(names)} pictures do not exist, such as {missing[0]}",
            why=f"the pairs' paths start from {images}",
            mend="pass the folder that they are relative to with --images",
        )


def _score(templates: dict[str, Float32], pair: Pair) -> float:
    if pair.left in templates and pair.right in templates:
        return float(templates[pair.left] @ templates[pair.right])
    return float("-inf")


def _pooled(scores: Float64, same: Bools, folds: Ints, accuracy: FoldAccuracy) -> Interval:
    """Wilson interval of all pairs, each judged at the threshold of its fold."""
    thresholds = np.array(accuracy.thresholds)[np.searchsorted(np.unique(folds), folds)]
    right = ((scores >= thresholds) == same) & np.isfinite(scores)
    return wilson_interval(int(right.sum()), len(scores))


def _tar(genuine: Float64, impostor: Float64, far: float) -> tuple[OperatingPoint, Interval]:
    point = tar_at_far(genuine, impostor, far)
    return point, wilson_interval(round(point.tar * len(genuine)), len(genuine))
