"""Calibration: what a score of one contract says about error rates, measured on named data.

A table holds score distributions and rates with intervals, never pictures or templates. mien
ships one for its default contract; `mien calibrate` makes one from photos of your own.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.config import from_mapping, to_mapping
from mien.core.errors import ContractError, IntegrityError, MissingError, RangeError, ShapeError
from mien.core.files import write_atomically
from mien.core.types import Array, Bools, Float32, Float64, Ints
from mien.metrics.calibration import (
    RateAtScore,
    ThresholdForRate,
    fmr_at_score,
    fnmr_at_score,
    score_histogram,
    threshold_for_fmr,
)
from mien.metrics.subject_bootstrap import subject_bootstrap_rates

SCHEMA: Final = "mien.calibration/1"
MIN_PEOPLE: Final = 20
MIN_GENUINE: Final = 30

_CUTS: Final = np.round(np.arange(-0.1, 0.9001, 0.005), 4)
_EDGES: Final = np.round(np.arange(-0.5, 1.0001, 0.02), 4)
_MAX_IMPOSTORS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a table comes from.

    Attributes:
        data: Name of the data, in words.
        date: Day of the measurement, ISO 8601.
        version: Version of mien that measured.
        selection: Which photos and which pairs were used.
        seed: Of the bootstrap and of the sampling of pairs.
        replicates: Bootstrap samples.
    """

    data: str
    date: str
    version: str
    selection: str
    seed: int
    replicates: int


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """Error rates of one contract at rising thresholds.

    Attributes:
        contract: Id of the pipeline that made the templates.
        thresholds: (t,) rising cosines; accepted means ``score >= threshold``.
        fmr: (t,) false match rate, with the ends of its interval.
        fmr_low: (t,) lower end.
        fmr_high: (t,) upper end.
        fnmr: (t,) false non-match rate, with the ends of its interval.
        fnmr_low: (t,) lower end.
        fnmr_high: (t,) upper end.
        confidence: Of the intervals, by a bootstrap over people.
        edges: (k + 1,) borders of the histograms' bins; scores beyond them are in the outer bins.
        genuine_counts: (k,) same-person pairs in each bin.
        impostor_counts: (k,) different-person pairs in each bin.
        n_people: People in the sample.
        n_photos: Photos in the sample.
        n_genuine: Same-person pairs.
        n_impostor: Different-person pairs.
        provenance: Where it comes from.
    """

    contract: str
    thresholds: tuple[float, ...]
    fmr: tuple[float, ...]
    fmr_low: tuple[float, ...]
    fmr_high: tuple[float, ...]
    fnmr: tuple[float, ...]
    fnmr_low: tuple[float, ...]
    fnmr_high: tuple[float, ...]
    confidence: float
    edges: tuple[float, ...]
    genuine_counts: tuple[int, ...]
    impostor_counts: tuple[int, ...]
    n_people: int
    n_photos: int
    n_genuine: int
    n_impostor: int
    provenance: Provenance

    @property
    def smallest_fmr(self) -> float:
        """The least FMR the sample can show: 3 / n by the rule of three."""
        return min(1.0, 3 / self.n_impostor)

    @property
    def smallest_fnmr(self) -> float:
        """The least FNMR the sample can show."""
        return min(1.0, 3 / self.n_genuine)

    def threshold_for(self, fmr: float) -> ThresholdForRate:
        """The lowest threshold that keeps the false match rate; says if it is not supported.

        Raises:
            RangeError: If the rate lies outside (0, 1].
        """
        return threshold_for_fmr(fmr, self.thresholds, self.fmr, smallest=self.smallest_fmr)

    def fmr_at(self, score: float) -> RateAtScore:
        """The false match rate of a threshold equal to the score."""
        return fmr_at_score(score, self.thresholds, self.fmr, smallest=self.smallest_fmr)

    def fnmr_at(self, score: float) -> RateAtScore:
        """The false non-match rate of a threshold equal to the score."""
        return fnmr_at_score(score, self.thresholds, self.fnmr, smallest=self.smallest_fnmr)

    def fmr_interval_at(self, score: float) -> tuple[float, float]:
        """Lower and upper end of the false match rate at a threshold, read between the cuts.

        It always holds the rate of `fmr_at`.
        """
        return self._interval(score, self.fmr_low, self.fmr_high, self.fmr_at(score))

    def fnmr_interval_at(self, score: float) -> tuple[float, float]:
        """Lower and upper end of the false non-match rate; always holds that of `fnmr_at`."""
        return self._interval(score, self.fnmr_low, self.fnmr_high, self.fnmr_at(score))

    def _interval(
        self, score: float, low: tuple[float, ...], high: tuple[float, ...], read: RateAtScore
    ) -> tuple[float, float]:
        least, most = (float(np.interp(score, self.thresholds, ends)) for ends in (low, high))
        beyond = not self.thresholds[0] <= score <= self.thresholds[-1]
        return 0.0 if beyond else min(least, read.rate), max(most, read.rate)

    def to_json(self) -> str:
        """The table as JSON text, for `parse_table`."""
        return json.dumps({"schema": SCHEMA} | to_mapping(self))

    def save(self, path: Path) -> None:
        """Write `to_json` to a file, in one step.

        Raises:
            StorageError: If it cannot be written.
        """
        with write_atomically(path) as file:
            file.write(self.to_json().encode())


def parse_table(text: str | bytes, source: str) -> CalibrationTable:
    """A table from its JSON text.

    Raises:
        IntegrityError: If it is not a calibration table, or its numbers contradict each other.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        return _checked(from_mapping(CalibrationTable, values))
    except ValueError as err:
        raise IntegrityError(
            what=f"{source} is not a calibration table",
            why=str(err),
            mend="make one with: mien calibrate DIR --table table.json",
        ) from err


def _checked(table: CalibrationTable) -> CalibrationTable:
    """The table, unless it cannot be read without a fault; every error is a ValueError."""
    if min(table.n_people, table.n_photos, table.n_genuine, table.n_impostor) < 1:
        raise ValueError("people, photos and pairs of both kinds must be counted")
    ends = (table.fmr_low, table.fmr_high, table.fnmr_low, table.fnmr_high)
    if any(len(e) != len(table.thresholds) or not all(0 <= v <= 1 for v in e) for e in ends):
        raise ValueError("each threshold has two intervals, with ends from 0 to 1")
    counts = (table.genuine_counts, table.impostor_counts)
    if any(len(c) != len(table.edges) - 1 or not all(v >= 0 for v in c) for c in counts):
        raise ValueError("each bin of the histograms has two counts, none negative")
    if not all(low < high for low, high in pairwise(table.edges)):
        raise ValueError("the borders of the bins must rise")
    table.threshold_for(1.0)
    table.fnmr_at(table.thresholds[0])
    return table


def load_table(path: Path) -> CalibrationTable:
    """Read a table that `CalibrationTable.save` wrote.

    Raises:
        MissingError: If there is no such file.
        IntegrityError: If it is not a calibration table.
    """
    try:
        text = path.read_bytes()
    except OSError as err:
        raise MissingError(
            what=f"{path} cannot be read ({type(err).__name__})",
            why="a calibration table is needed to turn error rates into thresholds",
            mend="check the path, or make one with: mien calibrate DIR --table table.json",
        ) from err
    return parse_table(text, str(path))


def shipped_table(contract: str) -> CalibrationTable:
    """The table that mien ships for a contract.

    Raises:
        MissingError: If mien ships none.
    """
    place = files("mien") / "assets" / "calibration" / f"{contract}.json"
    if not place.is_file():
        raise MissingError(
            what=f"mien ships no calibration for the contract {contract}",
            why="thresholds follow from measured error rates, and nobody has measured this one",
            mend="measure it on photos of your own: mien calibrate DIR --table table.json",
            contract=contract,
        )
    return parse_table(place.read_text(encoding="utf-8"), place.name)


def check_contract(table: CalibrationTable, contract: str) -> None:
    """Refuse a table that was measured on another pipeline.

    Raises:
        ContractError: If the contracts differ.
    """
    if table.contract != contract:
        raise ContractError(
            what=f"the calibration is of {table.contract}, the templates are of {contract}",
            why="scores of two pipelines have different error rates",
            mend="calibrate this pipeline: mien calibrate DIR --table table.json",
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """All same-person pairs of a sample, and different-person pairs, all of them or a draw.

    Attributes:
        left: (n,) rows of the left photo.
        right: (n,) rows of the right photo.
        same: (n,) whether both show one person.
        scores: (n,) cosines.
    """

    left: Ints
    right: Ints
    same: Bools
    scores: Float64


def score_pairs(templates: Float32, people: Array, *, seed: int) -> ScoredPairs:
    """Compare every photo with every other one.

    Args:
        templates: (n, d) rows of length 1.
        people: (n,) who each photo shows.
        seed: Of the draw, made if there are more than two million different-person pairs.

    Raises:
        ShapeError: If the arrays disagree.
    """
    if templates.ndim != 2 or people.shape != (len(templates),):
        raise ShapeError(
            what=f"templates are {templates.shape}, people {people.shape}",
            why="each template belongs to one person",
            mend="pass (n, d) and (n,)",
        )
    _, codes = np.unique(people, return_inverse=True)
    left, right = _pair_rows(codes, np.random.default_rng(seed))
    scores = np.concatenate(
        [
            np.einsum("nd,nd->n", templates[a], templates[b])
            for a, b in zip(_split(left), _split(right), strict=True)
        ]
        or [np.zeros(0)]
    )
    return ScoredPairs(left, right, codes[left] == codes[right], scores.astype(np.float64))


def _split(rows: Ints) -> list[Ints]:
    return [rows[k : k + 100_000] for k in range(0, len(rows), 100_000)]


def _pair_rows(codes: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Rows of all genuine pairs, and of all impostor pairs or of a uniform draw of them."""
    n = len(codes)
    if n * (n - 1) // 2 <= _MAX_IMPOSTORS + 500_000:
        left, right = np.triu_indices(n, 1)
        return left.astype(np.int64), right.astype(np.int64)
    groups = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    inside = [np.stack(np.triu_indices(len(g), 1)) for g in groups]
    same = np.concatenate([g[pairs] for g, pairs in zip(groups, inside, strict=True)], 1)
    drawn = rng.integers(0, n, (2, int(_MAX_IMPOSTORS * 1.1)))
    drawn = drawn[:, codes[drawn[0]] != codes[drawn[1]]]
    keys = np.unique(drawn.min(0) * n + drawn.max(0))
    # The keys are sorted: cutting them off would leave out the last people of the sample.
    kept = np.sort(rng.permutation(len(keys))[:_MAX_IMPOSTORS])
    other = np.stack(np.divmod(keys[kept], n))
    both = np.concatenate([same, other], 1).astype(np.int64)
    return both[0], both[1]


def calibrate(
    templates: Float32,
    people: Array,
    *,
    contract: str,
    provenance: Provenance,
) -> tuple[CalibrationTable, ScoredPairs]:
    """Measure error rates on labelled templates.

    Args:
        templates: (n, d) rows of length 1, all of one contract.
        people: (n,) who each photo shows.
        contract: Id of that contract.
        provenance: Where the photos come from; its seed and replicates are used.

    Returns:
        The table, and the scored pairs behind it.

    Raises:
        ShapeError: If the arrays disagree.
        RangeError: If the sample is too small to say anything: fewer than 20 people, or fewer
            than 30 same-person pairs.
    """
    n_people = len(np.unique(people))
    pairs = score_pairs(templates, people, seed=provenance.seed)
    n_genuine = int(pairs.same.sum())
    if n_people < MIN_PEOPLE or n_genuine < MIN_GENUINE:
        raise RangeError(
            what=f"the sample has {n_people} people and {n_genuine} same-person pairs",
            why=f"below {MIN_PEOPLE} people and {MIN_GENUINE} such pairs it is too small: rates "
            "would be accidents of the people in it",
            mend="add people, with at least two photos of most of them",
            n_people=n_people,
            n_genuine=n_genuine,
        )
    rates = subject_bootstrap_rates(
        pairs.scores,
        people[pairs.left],
        people[pairs.right],
        pairs.same,
        _CUTS,
        replicates=provenance.replicates,
        seed=provenance.seed,
    )
    inside = np.clip(pairs.scores, _EDGES[0], np.nextafter(_EDGES[-1], -1))  # copies score 1.0
    genuine, impostor = (
        score_histogram(inside[mask], _EDGES) for mask in (pairs.same, ~pairs.same)
    )
    table = CalibrationTable(
        contract=contract,
        thresholds=_floats(_CUTS),
        fmr=_floats(rates.fmr),
        fmr_low=_floats(rates.fmr_low),
        fmr_high=_floats(rates.fmr_high),
        fnmr=_floats(rates.fnmr),
        fnmr_low=_floats(rates.fnmr_low),
        fnmr_high=_floats(rates.fnmr_high),
        confidence=rates.confidence,
        edges=_floats(_EDGES),
        genuine_counts=tuple(int(v) for v in genuine.counts),
        impostor_counts=tuple(int(v) for v in impostor.counts),
        n_people=n_people,
        n_photos=len(templates),
        n_genuine=n_genuine,
        n_impostor=int((~pairs.same).sum()),
        provenance=provenance,
    )
    return table, pairs


def _floats(values: Array) -> tuple[float, ...]:
    """Unrounded: a rate of exactly 3 / n must not end up above the least one supported."""
    return tuple(float(v) for v in values)
