"""The gallery: enrol people, identify faces, list and delete; decisions instead of neighbours."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.errors import (
    ConflictError,
    ContractError,
    IdentityMissingError,
    InputError,
    QualityError,
)
from mien.core.types import Float32, UInt8
from mien.faces.contract import Contract
from mien.faces.pipeline import Analysis, no_face
from mien.faces.quality import QualityGate
from mien.gallery.calibration import CalibrationTable, check_contract, parse_table, shipped_table
from mien.gallery.decide import (
    AMBIGUITY_MARGIN,
    Candidate,
    OperatingPoint,
    Verdict,
    decide,
    not_comparable,
    point_for_fpir,
)
from mien.gallery.index import Count, Template
from mien.gallery.search import Precision
from mien.gallery.sqlite import SqliteIndex

DEFAULT_FPIR: Final = 0.01
_CALIBRATION_NOTE: Final = "calibration"
_CANDIDATES: Final = 3


@dataclass(frozen=True, slots=True)
class Identification:
    """The answer for one face of a picture.

    Attributes:
        box: Where the face is, x0 y0 x1 y1 pixels.
        verdict: Who it is, or why that cannot be said.
    """

    box: tuple[float, float, float, float]
    verdict: Verdict


class Gallery:
    """Known people, and decisions about faces that may be theirs.

    Args of `open` and `create` name the contract of the pipeline in use; a gallery made by another
    pipeline is refused.
    """

    def __init__(self, index: SqliteIndex) -> None:
        self.index = index
        self._table: CalibrationTable | None = None

    @classmethod
    def create(
        cls, path: Path, contract: Contract, *, precision: Precision = "float32"
    ) -> "Gallery":
        """Make an empty gallery.

        Raises:
            ConflictError: If there is a file already.
            StorageError: If the place cannot be written.
        """
        index = SqliteIndex(path, precision=precision)
        index.create(contract.id, contract.dim)
        return cls(index)

    @classmethod
    def open(
        cls, path: Path, contract: Contract | None = None, *, precision: Precision = "float32"
    ) -> "Gallery":
        """Open a gallery.

        Args:
            path: Its file.
            contract: The pipeline in use; None to look at the gallery without one.
            precision: ``"int8"`` for the faster search of large galleries.

        Raises:
            MissingError: If there is none.
            ContractError: If it was made by another pipeline.
            IntegrityError: If the file is not a gallery.
        """
        index = SqliteIndex(path, precision=precision)
        index.open()
        gallery = cls(index)
        try:
            if contract is not None:
                gallery.check_contract(contract.id)
        except ContractError:
            index.close()
            raise
        return gallery

    def close(self) -> None:
        """Let go of the file."""
        self.index.close()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_contract(self, contract: str) -> None:
        """Refuse templates of another pipeline.

        Raises:
            ContractError: If the contracts differ.
        """
        if contract != self.index.contract:
            raise ContractError(
                what=f"the gallery holds templates of {self.index.contract}, not of {contract}",
                why="scores between templates of two pipelines mean nothing",
                mend="use the detector and embedder that the gallery was made with, or enrol anew",
            )

    @property
    def calibration(self) -> CalibrationTable:
        """The table in force: the gallery's own, else the one that mien ships.

        Raises:
            MissingError: If there is neither.
        """
        if self._table is None:
            own = self.index.read_note(_CALIBRATION_NOTE)
            if own is None:
                self._table = shipped_table(self.index.contract)
            else:
                self._table = parse_table(own, "the gallery's calibration")
        return self._table

    def use_calibration(self, table: CalibrationTable) -> None:
        """Take thresholds from another table, as long as the gallery is open.

        Raises:
            ContractError: If it was measured on another pipeline.
        """
        check_contract(table, self.index.contract)
        self._table = table

    def keep_calibration(self, table: CalibrationTable) -> None:
        """Store a table with the gallery; it replaces the one that mien ships.

        Raises:
            ContractError: If it was measured on another pipeline.
            StorageError: If it cannot be stored.
        """
        self.use_calibration(table)
        self.index.write_note(_CALIBRATION_NOTE, table.to_json())

    def enrol(
        self,
        person: str,
        analysis: Analysis,
        *,
        pixels: UInt8,
        consent: str = "",
        gate: QualityGate | None = None,
        row: int | None = None,
    ) -> Template:
        """Add one face of one picture to a person.

        Args:
            person: The person's name in the gallery.
            analysis: What the pipeline found, all faces of the picture.
            pixels: The picture, for its digest.
            consent: What the person agreed to.
            gate: Quality demanded; `QualityGate.enrolment` by default.
            row: Which of the analysis' faces; None demands that there is one face only.

        Returns:
            The template as stored.

        Raises:
            InputError: If the name is empty, or the picture shows several faces.
            NoFaceError: If there is no face.
            QualityError: If the face is not fit; the codes are in ``facts["codes"]``.
            ConflictError: If this face of this picture is enrolled already.
            ContractError: If another pipeline made the analysis.
        """
        name = _check_name(person)
        chosen = _choose_row(analysis, row)
        faces = analysis.faces
        self.check_contract(faces.contract)
        codes = faces.quality.rejects(gate or QualityGate.enrolment())[chosen]
        if codes:
            raise _unfit(analysis.source, [str(code) for code in codes])
        digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        box = tuple(float(v) for v in faces.boxes[chosen])
        vector = _vector(analysis, chosen)
        self._check_new(name, digest, vector, analysis.source)
        template = Template(
            face_id=uuid.uuid4().hex,
            person=name,
            vector=vector,
            quality=float(faces.quality.unified[chosen]),
            source=analysis.source,
            digest=digest,
            box=(box[0], box[1], box[2], box[3]),
            consent=consent,
            enrolled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.index.upsert([template])
        return template

    def operating_point(self, fpir: float = DEFAULT_FPIR) -> OperatingPoint:
        """The threshold that keeps false alarms at ``fpir`` in a gallery of the present size."""
        return point_for_fpir(self.calibration, fpir, self.count().faces)

    def identify(
        self,
        analysis: Analysis,
        *,
        fpir: float = DEFAULT_FPIR,
        margin: float = AMBIGUITY_MARGIN,
    ) -> list[Identification]:
        """Decide for every face of a picture who it is.

        Args:
            analysis: What the pipeline found.
            fpir: Tolerated share of unknown faces that are named, in (0, 1).
            margin: Cosine by which the best person must lead the second best.

        Returns:
            One answer a face; faces that were refused are not comparable, with their reasons.

        Raises:
            ContractError: If another pipeline made the analysis.
            MissingError: If there is no calibration for the contract.
            RangeError: If ``fpir`` is out of range.
        """
        faces = analysis.faces
        verdicts: list[Verdict] = []
        if len(faces) and faces.embeddings is not None:
            self.check_contract(faces.contract)
            verdicts = self.decide(faces.embeddings, fpir=fpir, margin=margin)
        refused = [not_comparable([str(code) for code in codes]) for codes in analysis.reasons]
        boxes = [*faces.boxes, *analysis.refused.boxes]
        return [
            Identification((float(b[0]), float(b[1]), float(b[2]), float(b[3])), verdict)
            for b, verdict in zip(boxes, [*verdicts, *refused], strict=True)
        ]

    def decide(
        self, templates: Float32, *, fpir: float = DEFAULT_FPIR, margin: float = AMBIGUITY_MARGIN
    ) -> list[Verdict]:
        """`identify` for templates, (n, d) rows of length 1 of this gallery's contract."""
        point = self.operating_point(fpir)
        hits = self.index.search_grouped(templates, _CANDIDATES)
        return [
            decide([Candidate(h.person, h.score, h.face_id) for h in found], point, margin=margin)
            for found in hits
        ]

    def count(self) -> Count:
        """How many templates and people there are."""
        return self.index.count()

    def delete_person(self, person: str) -> int:
        """Remove a person with all templates.

        Returns:
            How many templates were removed.

        Raises:
            IdentityMissingError: If nobody has that name.
        """
        face_ids = [template.face_id for template in self.index.iterate(person)]
        if not face_ids:
            raise missing_person()
        return self.index.delete(face_ids)

    def _check_new(self, person: str, digest: str, vector: Float32, source: str) -> None:
        for known in self.index.find_digest(digest):
            if float(known.vector @ vector) > 0.999:
                raise duplicate(source, known, same=known.person == person)


def missing_person() -> IdentityMissingError:
    """The error for a name that the gallery does not hold; the name itself is not repeated."""
    return IdentityMissingError(
        what="nobody of that name is in the gallery",
        why="they were never enrolled, or were deleted",
        mend="see `mien gallery list`; names are case-sensitive",
    )


def duplicate(source: str, known: Template, *, same: bool) -> ConflictError:
    """The error for a face that is in the gallery already."""
    whom = "for the same person" if same else "for another person"
    return ConflictError(
        what=f"{source}: this face of this picture is enrolled already, {whom}",
        why="a second copy adds nothing, and under another name it would make both ambiguous",
        mend="leave it out, or delete the other one first",
        face_id=known.face_id,
        same_person=same,
    )


def _check_name(person: str) -> str:
    name = person.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InputError(
            what="the person's name is empty, over 200 characters, or holds control characters",
            why="people are found again by their names",
            mend="pass a name such as 'Ada Lovelace'",
        )
    return name


def _choose_row(analysis: Analysis, row: int | None) -> int:
    found, refused = len(analysis.faces), len(analysis.refused)
    if found == 0 and refused == 0:
        raise no_face(analysis.source)
    if row is not None and 0 <= row < found:
        return row
    if found + refused > 1:
        raise InputError(
            what=f"{analysis.source}: {found + refused} faces were found",
            why="it is not clear which of them is meant",
            mend="crop the picture to one face, or choose the main face: --face main",
            faces=found + refused,
        )
    if found == 0:
        raise _unfit(analysis.source, [str(code) for code in analysis.reasons[0]])
    return 0


def _unfit(source: str, codes: Sequence[str]) -> QualityError:
    return QualityError(
        what=f"{source}: the face is not fit for enrolment ({', '.join(codes)})",
        why="a poor reference harms every later search",
        mend="use a sharper, larger, evenly lit and more frontal picture",
        codes=list(codes),
    )


def _vector(analysis: Analysis, row: int) -> Float32:
    if analysis.faces.embeddings is None:
        raise InputError(
            what=f"{analysis.source}: its faces have no templates",
            why="they were only detected",
            mend="use FacePipeline.analyse",
        )
    return np.asarray(analysis.faces.embeddings[row], np.float32)
