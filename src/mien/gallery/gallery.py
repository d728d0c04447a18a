"""The gallery: enrol people and identify faces; decisions instead of neighbours.

What else may be done with people is in `people`, `deletion`, `journal` and `review`, which a
gallery brings along.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mien.core.errors import (
    ConflictError,
    ContractError,
    InputError,
    MissingError,
    QualityError,
)
from mien.core.keys import Key
from mien.core.types import Float32, UInt8
from mien.faces.contract import Contract
from mien.faces.pipeline import Analysis, no_face
from mien.faces.quality import QualityGate
from mien.gallery._change import Change
from mien.gallery.calibration import CalibrationTable, check_contract, parse_table, shipped_table
from mien.gallery.conflicts import compare, conflict_error, conflicts
from mien.gallery.crops import crop_jpeg
from mien.gallery.decide import (
    AMBIGUITY_MARGIN,
    Candidate,
    OperatingPoint,
    Verdict,
    decide,
    not_comparable,
    point_for_fpir,
)
from mien.gallery.deletion import Deletion
from mien.gallery.index import Count, Hit, Template, check_templates
from mien.gallery.journal import Journal, Step, note
from mien.gallery.people import People, check_day, check_name, check_strict, is_strict
from mien.gallery.review import Review
from mien.gallery.search import Precision
from mien.gallery.sqlite import SqliteIndex

if TYPE_CHECKING:
    from mien.gallery.mirror import Mirror

DEFAULT_FPIR: Final = 0.01
CALIBRATION_NOTE: Final = "calibration"
_CANDIDATES: Final = 3
_MOST_CANDIDATES: Final = 50  # of whom some may have been rejected
_SAME_FACE: Final = 0.999


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
    """Known people, and decisions about faces that may be theirs. Safe to use from threads.

    Args of `open` and `create` name the contract of the pipeline in use; a gallery made by another
    pipeline is refused.

    Attributes:
        index: The store.
        people: Everybody: list, rename, merge, split, separate, reject.
        deletion: Delete, expire, receipts.
        journal: What was changed, and undoing it.
        review: Faces kept to be looked at.
        mirror: The server that searches in the gallery's place, if there is one.
    """

    def __init__(self, index: SqliteIndex) -> None:
        self.index = index
        self.people = People(index)
        self.deletion = Deletion(index, self._left_elsewhere)
        self.journal = Journal(index)
        self.review = Review(index)
        self.mirror = _reopen_mirror(index)
        self._table: CalibrationTable | None = None
        self._rejected: tuple[int, dict[str, Float32]] | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        contract: Contract,
        *,
        precision: Precision = "float32",
        key: Key | None = None,
        strict: bool = False,
    ) -> "Gallery":
        """Make an empty gallery, sealed.

        Args:
            path: Its file.
            contract: The pipeline whose templates it will hold.
            precision: ``"int8"`` for the faster search of large galleries.
            key: Opens it; None: the key that `core.keys.find_key` finds, or makes.
            strict: Whether each template needs a consent and a day of deletion.

        Raises:
            ConflictError: If there is a file already.
            StorageError: If the place cannot be written.
        """
        index = SqliteIndex(path, precision=precision, key=key)
        index.create(contract.id, contract.dim)
        gallery = cls(index)
        if strict:
            gallery.make_strict(strict=True)
        return gallery

    @classmethod
    def open(
        cls,
        path: Path,
        contract: Contract | None = None,
        *,
        precision: Precision = "float32",
        key: Key | None = None,
    ) -> "Gallery":
        """Open a gallery.

        Args:
            path: Its file.
            contract: The pipeline in use; None to look at the gallery without one.
            precision: ``"int8"`` for the faster search of large galleries.
            key: Opens it; None: the key that `core.keys.find_key` finds.

        Raises:
            MissingError: If there is none, or no key.
            RefusedError: If it is sealed with another key.
            ContractError: If it was made by another pipeline.
            IntegrityError: If the file is not a gallery, or has lost acknowledged changes.
        """
        index = SqliteIndex(path, precision=precision, key=key)
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
        """Let go of the file, and of the search server."""
        if self.mirror is not None:
            self.mirror.flush_or_wait()
            self.mirror.close()
            self.mirror = None
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
            own = self.index.read_note(CALIBRATION_NOTE)
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
        self.index.write_note(CALIBRATION_NOTE, table.to_json())

    def enrol(
        self,
        person: str,
        analysis: Analysis,
        *,
        pixels: UInt8,
        consent: str = "",
        retain_until: str = "",
        gate: QualityGate | None = None,
        row: int | None = None,
        force: bool = False,
        keep_crop: bool = False,
        actor: str = "",
    ) -> Template:
        """Add one face of one picture to a person.

        Args:
            person: The person's name in the gallery.
            analysis: What the pipeline found, all faces of the picture.
            pixels: The picture, for its digest and the crop.
            consent: What the person agreed to.
            retain_until: Day after which the template is to be deleted, such as ``2027-01-31``.
            gate: Quality demanded; `QualityGate.enrolment` by default.
            row: Which of the analysis' faces; None demands that there is one face only.
            force: Enrol even if the face resembles another person more, or its own too little.
            keep_crop: Whether to keep the piece of the picture that shows the face, sealed.
            actor: Who does it, for the journal.

        Returns:
            The template as stored.

        Raises:
            InputError: If the name is empty, or the picture shows several faces.
            NoFaceError: If there is no face.
            QualityError: If the face is not fit; the codes are in ``facts["codes"]``.
            ConflictError: If this face of this picture is enrolled already, or the face speaks
                against the name; the codes are in ``facts["codes"]``.
            RefusedError: If the gallery is strict, and consent or day of deletion is missing.
            ContractError: If another pipeline made the analysis.
        """
        name = check_name(person)
        chosen = _choose_row(analysis, row)
        faces = analysis.faces
        self.check_contract(faces.contract)
        codes = faces.quality.rejects(gate or QualityGate.enrolment())[chosen]
        if codes:
            raise _unfit(analysis.source, [str(code) for code in codes])
        x0, y0, x1, y1 = (float(v) for v in faces.boxes[chosen])
        template = Template(
            face_id=uuid.uuid4().hex,
            person=name,
            vector=_vector(analysis, chosen),
            quality=float(faces.quality.unified[chosen]),
            source=analysis.source,
            digest=digest_of(pixels),
            box=(x0, y0, x1, y1),
            consent=consent,
            enrolled_at=datetime.now(UTC).isoformat(timespec="seconds"),
            retain_until=check_day(retain_until),
        )
        crop = crop_jpeg(pixels, template.box) if keep_crop else None
        return self.add(template, crop=crop, force=force, actor=actor)

    def add(
        self, template: Template, *, crop: bytes | None = None, force: bool = False, actor: str = ""
    ) -> Template:
        """Add a template that was made elsewhere; the checks of `enrol` that need no picture.

        Args:
            template: Of this gallery's contract; its person is found by name, or made.
            crop: The piece of the picture that shows the face, JPEG.
            force: Add it even if it speaks against its name.
            actor: Who does it, for the journal.

        Raises:
            ConflictError: As for `enrol`.
            RefusedError: As for `enrol`.
        """
        check_templates([template], self.index.dim)
        check_strict(self.index, template.consent, template.retain_until)
        with self.index.change() as change:
            self._refuse_duplicate(template)
            person_id = change.find_person(template.person)
            if not force:
                self._refuse_conflict(change, template, person_id or "")
            change.put([template])
            if crop is not None:
                change.keep_crop(template.face_id, crop)
            stored = change.template(template.face_id)
            ids = [template.face_id, stored.person_id]
            facts = {"face_id": template.face_id, "person": stored.person_id, "forced": force}
            undo: list[Step] = [["remove", [template.face_id], stored.person_id]]
            note(change, "enrol", actor=actor, ids=ids, facts=facts, undo=undo)
        return stored

    def confirm(
        self,
        sighting_id: str,
        person: str,
        *,
        consent: str = "",
        retain_until: str = "",
        force: bool = False,
        actor: str = "",
    ) -> Template:
        """Enrol a face that was kept for review.

        Args:
            sighting_id: The kept face.
            person: Whom it shows; a name that is new makes a new person.
            consent: What the person agreed to.
            retain_until: Day after which the template is to be deleted.
            force: As for `enrol`.
            actor: Who does it.

        Raises:
            IdentityMissingError: If the face is not kept any more.
            ConflictError: As for `enrol`.
            RefusedError: As for `enrol`.
        """
        kept = self.review.find(sighting_id)
        template = Template(
            face_id=uuid.uuid4().hex,
            person=check_name(person),
            vector=kept.vector,
            quality=kept.quality,
            source=f"seen {kept.at}",
            digest=kept.digest,
            box=kept.box,
            consent=consent,
            enrolled_at=datetime.now(UTC).isoformat(timespec="seconds"),
            retain_until=check_day(retain_until),
        )
        crop = self.review.crop(sighting_id)
        stored = self.add(template, crop=crop, force=force, actor=actor)
        self.review.discard(sighting_id)
        return stored

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
        rejections = self._rejections()
        spare = _CANDIDATES + len(rejections)
        hits = self.nearest(templates, min(spare, _MOST_CANDIDATES))
        verdicts = []
        for vector, found in zip(templates, hits, strict=True):
            kept = [hit for hit in found if not _is_rejected(hit, vector, rejections)]
            candidates = [
                Candidate(h.person, h.score, h.face_id, h.person_id) for h in kept[:_CANDIDATES]
            ]
            verdict = decide(candidates, point, margin=margin)
            if kept[:1] != found[:1]:
                reasons = (*verdict.reasons, "a face like this was said not to be the nearest one")
                verdict = replace(verdict, reasons=reasons)
            verdicts.append(verdict)
        return verdicts

    def nearest(self, templates: Float32, k: int) -> list[list[Hit]]:
        """The k most similar people of each template, from the search server if there is one."""
        if self.mirror is not None:
            return self.mirror.search_grouped(templates, k)
        return self.index.search_grouped(templates, k)

    def attach(self, url: str) -> None:
        """Let a server search from now on; see `mirror`.

        Raises:
            ConflictError: If there is one already.
            StorageError: If it cannot be used.
        """
        from mien.gallery.mirror import Mirror

        self.mirror = Mirror.attach(self.index, url)

    def detach(self) -> None:
        """Let go of the search server, if there is one; everything is removed from it."""
        if self.mirror is not None:
            self.mirror.detach()
            self.mirror = None

    def count(self) -> Count:
        """How many templates and people there are."""
        return self.index.count()

    def verify(self) -> list[str]:
        """Prove that what is searched equals the store, that every row opens, and the receipts.

        Returns:
            What is wrong, in words; empty if nothing is.
        """
        faults = self.index.verify(matrix=self.mirror is None) or self.deletion.chain_faults()
        return faults or (self.mirror.faults() if self.mirror else [])

    def rotate_key(self, key: Key) -> int:
        """Seal everything anew with a fresh data key, wrapped by another key.

        Returns:
            How many faces were sealed again.
        """
        return self.index.rotate(key)

    @property
    def is_strict(self) -> bool:
        """Whether each template needs a consent and a day of deletion."""
        return is_strict(self.index)

    def make_strict(self, *, strict: bool) -> None:
        """Demand, or no longer demand, a consent and a day of deletion with each new template."""
        self.index.write_note("strict", "yes" if strict else "no")

    def _left_elsewhere(self, face_ids: Sequence[str]) -> dict[str, str]:
        """For a receipt: whether faces are still in the search server."""
        if self.mirror is None:
            return {}
        if not self.mirror.flush_or_wait():
            return {"search server": "pending: it cannot be reached"}
        found = self.mirror.holds(face_ids)
        return {"search server": "still there" if found else "absent"}

    def _rejections(self) -> dict[str, Float32]:
        """Rejections of each person, read once after a change."""
        revision = self.index.revision
        if self._rejected is None or self._rejected[0] != revision:
            self._rejected = (revision, self.people.rejections())
        return self._rejected[1]

    def _refuse_duplicate(self, template: Template) -> None:
        for known in self.index.find_digest(template.digest):
            if float(known.vector @ template.vector) > _SAME_FACE:
                raise _duplicate(template, known)

    def _refuse_conflict(self, change: Change, template: Template, person_id: str) -> None:
        own = [face.vector for face in change.faces_of(person_id)] if person_id else []
        nearest = self.nearest(template.vector[None], 2)[0]
        likeness = compare(nearest, template.vector, own, person_id)
        codes = conflicts(likeness, self._table_or_none(), self.count().faces)
        if codes:
            raise conflict_error(template.source, codes, likeness)

    def _table_or_none(self) -> CalibrationTable | None:
        try:
            return self.calibration
        except MissingError:
            return None


def _reopen_mirror(index: SqliteIndex) -> "Mirror | None":
    if not index.has_secret("mirror"):
        return None
    from mien.gallery.mirror import Mirror

    return Mirror.reopen(index)


def digest_of(pixels: UInt8) -> str:
    """SHA-256 of a picture's pixels, 64 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _is_rejected(hit: Hit, vector: Float32, rejections: Mapping[str, Float32]) -> bool:
    """Whether the face is nearer to one that was said not to be this person than to the person."""
    rows = rejections.get(hit.person_id)
    return rows is not None and float((rows @ vector).max()) > hit.score


def _duplicate(template: Template, known: Template) -> ConflictError:
    same = known.person == template.person
    whom = "for the same person" if same else "for another person"
    return ConflictError(
        what=f"{template.source}: this face of this picture is enrolled already, {whom}",
        why="a second copy adds nothing, and under another name it would make both ambiguous",
        mend="leave it out, or delete the other one first",
        face_id=known.face_id,
        same_person=same,
    )


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
            codes=["EXCEEDS_MAX_FACES"],
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
