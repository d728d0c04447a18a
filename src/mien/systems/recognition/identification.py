"""Open-set identification protocol: some people are enrolled, the others must stay unknown.

Half of the people, drawn by seed, are enrolled with one photo each. Their other photos are mated
searches, all photos of the other half are non-mated ones. Decisions are made by the gallery itself.

Source:
    ISO/IEC 19795-1: FPIR counts every non-mated search with a candidate at or above the threshold,
    so an ambiguous answer counts as a false alarm too; FNIR counts every mated search whose right
    person is not first, or is below the threshold.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from mien.core.errors import RangeError
from mien.core.keys import new_key
from mien.core.types import Array, Float32, Ints
from mien.faces.contract import Contract
from mien.gallery.calibration import CalibrationTable, Provenance, calibrate
from mien.gallery.decide import Decision, OperatingPoint, Verdict
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.metrics.intervals import Interval, clopper_pearson_interval

Source = Literal["shipped", "enrolled"]
SOURCES: Final[tuple[Source, ...]] = ("shipped", "enrolled")


@dataclass(frozen=True, slots=True)
class OpenSetReport:
    """Figures of one run.

    Attributes:
        contract: Pipeline that was measured.
        calibration: ``"shipped"``: the table in force for the contract. ``"enrolled"``: a table
            measured on the enrolled people only, so that the unknown people are new to it.
        n_enrolled: People enrolled, one photo each.
        n_mated: Searches for them.
        n_nonmated: Searches for unknown people.
        fpir_asked: Tolerated rate.
        point: Threshold and the rates it is said to stand for.
        fpir: Measured, with its Clopper-Pearson interval.
        fnir: Measured, with its Clopper-Pearson interval.
        rank_one: Share of mated searches whose right person is first, whatever the score.
        ambiguous: Answers "ambiguous" among mated and non-mated searches.
        seed: Of the draw of people.
    """

    contract: str
    calibration: Source
    n_enrolled: int
    n_mated: int
    n_nonmated: int
    fpir_asked: float
    point: OperatingPoint
    fpir: Interval
    fnir: Interval
    rank_one: float
    ambiguous: tuple[int, int]
    seed: int

    def as_record(self) -> dict[str, Any]:
        """JSON-ready figures."""
        stated = self.point.fpir_interval or (0.0, 1.0)
        return {
            "contract": self.contract,
            "calibration": self.calibration,
            "enrolled": self.n_enrolled,
            "mated_searches": self.n_mated,
            "nonmated_searches": self.n_nonmated,
            "fpir_asked": self.fpir_asked,
            "threshold": self.point.threshold,
            "fmr": self.point.fmr,
            "fpir_stated": self.point.fpir,
            "fpir_stated_interval": list(stated),
            "supported": self.point.supported,
            "fpir": self.fpir.estimate,
            "fpir_interval": [self.fpir.low, self.fpir.high],
            "fpir_within_stated_interval": stated[0] <= self.fpir.estimate <= stated[1],
            "fnir": self.fnir.estimate,
            "fnir_interval": [self.fnir.low, self.fnir.high],
            "rank_one": self.rank_one,
            "ambiguous_mated": self.ambiguous[0],
            "ambiguous_nonmated": self.ambiguous[1],
            "seed": self.seed,
        }


def evaluate_identification(
    templates: Float32,
    people: Array,
    *,
    contract: Contract,
    fpir: float = 0.01,
    calibration: Source = "shipped",
    table: CalibrationTable | None = None,
    seed: int = 0,
) -> OpenSetReport:
    """Run the protocol.

    Args:
        templates: (n, d) one template a photo.
        people: (n,) who is on it.
        contract: The pipeline that made them.
        fpir: Tolerated rate of false alarms.
        calibration: Which table gives the threshold; see `OpenSetReport`.
        table: A table to use in place of the shipped one.
        seed: Of the draw of people.

    Raises:
        RangeError: If there are fewer than 40 people, or nobody enrolled has a second photo.
        MissingError: If no table is shipped for the contract.
    """
    split = _draw(people, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.gallery"
        with Gallery.create(path, contract, key=new_key()) as gallery:
            gallery.index.upsert([_template(templates, people, int(row)) for row in split.enrolled])
            if calibration == "enrolled":
                table = _own_table(templates, people, split, contract, seed)
            if table is not None:
                gallery.use_calibration(table)
            point = gallery.operating_point(fpir)
            mated = gallery.decide(templates[split.mated], fpir=fpir)
            nonmated = gallery.decide(templates[split.nonmated], fpir=fpir)
    first = np.array([v.candidates[0].person for v in mated]) == people[split.mated]
    above = np.array([v.candidates[0].score >= point.threshold for v in mated])
    alarms = sum(v.candidates[0].score >= point.threshold for v in nonmated)
    return OpenSetReport(
        contract=contract.id,
        calibration=calibration,
        n_enrolled=len(split.enrolled),
        n_mated=len(mated),
        n_nonmated=len(nonmated),
        fpir_asked=fpir,
        point=point,
        fpir=clopper_pearson_interval(int(alarms), len(nonmated)),
        fnir=clopper_pearson_interval(int((~(first & above)).sum()), len(mated)),
        rank_one=float(first.mean()),
        ambiguous=(_count_ambiguous(mated), _count_ambiguous(nonmated)),
        seed=seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    """Rows: one photo of each enrolled person, their others, and everybody else's."""

    enrolled: Ints
    mated: Ints
    nonmated: Ints


def _draw(people: Array, seed: int) -> _Split:
    names = np.unique(people)
    if len(names) < 40:
        raise RangeError(
            what=f"there are {len(names)} people",
            why="an open-set measurement needs at least 40, half of them unknown",
            mend="pass a larger folder",
        )
    drawn = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
    inside = np.isin(people, drawn)
    _, first = np.unique(people, return_index=True)
    is_first = np.zeros(len(people), bool)
    is_first[first] = True
    split = _Split(
        np.flatnonzero(inside & is_first),
        np.flatnonzero(inside & ~is_first),
        np.flatnonzero(~inside),
    )
    if not len(split.mated):
        raise RangeError(
            what="nobody enrolled has a second photo",
            why="the miss rate is measured on further photos of enrolled people",
            mend="pass a folder in which people have several photos",
        )
    return split


def _own_table(
    templates: Float32, people: Array, split: _Split, contract: Contract, seed: int
) -> CalibrationTable:
    rows = np.sort(np.concatenate([split.enrolled, split.mated]))
    provenance = Provenance(
        data="the enrolled people of an open-set run",
        date="",
        version="",
        selection="all photos of the enrolled people",
        seed=seed,
        replicates=100,
    )
    table, _ = calibrate(templates[rows], people[rows], contract=contract.id, provenance=provenance)
    return table


def _template(templates: Float32, people: Array, row: int) -> Template:
    return Template(
        face_id=f"{row:08d}",
        person=str(people[row]),
        vector=templates[row],
        quality=0.0,
        source=f"photo {row}",
        digest=f"{row:064x}",
        box=(0.0, 0.0, 1.0, 1.0),
        consent="",
        enrolled_at="",
    )


def _count_ambiguous(verdicts: list[Verdict]) -> int:
    return sum(verdict.decision is Decision.AMBIGUOUS for verdict in verdicts)
