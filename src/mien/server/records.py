"""Answers made from what galleries and pipelines say. Templates never leave the service."""

from collections.abc import Sequence

from mien.core.config import to_mapping
from mien.core.errors import MissingError
from mien.faces.table import Face
from mien.gallery.decide import Verdict
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.gallery.people import Person
from mien.gallery.receipts import SCHEMA as RECEIPT_SCHEMA
from mien.gallery.receipts import Receipt
from mien.gallery.review import Sighting
from mien.server.schemas import (
    Calibration,
    CandidateRecord,
    CollectionRecord,
    DetectedFace,
    FaceRecord,
    FoundFace,
    PersonRecord,
    PoseRecord,
    ReceiptRecord,
    SightingRecord,
)


def collection_record(collection_id: str, gallery: Gallery, key_id: str) -> CollectionRecord:
    """What is told about a collection."""
    count = gallery.count()
    return CollectionRecord(
        collection_id=collection_id,
        people=count.people,
        faces=count.faces,
        contract=gallery.index.contract,
        strict=gallery.is_strict,
        key_id=key_id,
        revision=gallery.index.revision,
        calibration=_calibration(gallery),
    )


def face_record(template: Template) -> FaceRecord:
    """What is told about an enrolled face; never its template."""
    return FaceRecord(
        face_id=template.face_id,
        person_id=template.person_id,
        person=template.person,
        quality=round(template.quality, 1),
        box=rounded(template.box),
        consent=template.consent,
        enrolled_at=template.enrolled_at,
        retain_until=template.retain_until,
        source=template.source,
    )


def person_record(person: Person) -> PersonRecord:
    """What is told about a person."""
    return PersonRecord(**to_mapping(person))


def receipt_record(receipt: Receipt) -> ReceiptRecord:
    """A receipt as it is signed."""
    return ReceiptRecord.model_validate({"schema": RECEIPT_SCHEMA} | to_mapping(receipt))


def found_face(box: Sequence[float], verdict: Verdict, *, with_candidates: bool) -> FoundFace:
    """The decision about a face.

    Args:
        box: Where it is.
        verdict: The decision.
        with_candidates: Whether the caller may see whom it resembles.
    """
    point = verdict.point
    nearest = [
        CandidateRecord(
            person=one.person, person_id=one.person_id, score=one.score, face_id=one.face_id
        )
        for one in verdict.candidates
    ]
    return FoundFace(
        box=rounded(box),
        decision=str(verdict.decision),  # type: ignore[arg-type]  # checked by the model
        person=verdict.person,
        person_id=verdict.person_id,
        score=verdict.score,
        threshold=point.threshold if point else None,
        fmr=point.fmr if point else None,
        reasons=list(verdict.reasons),
        candidates=nearest if with_candidates else None,
    )


def detected_face(face: Face, reasons: Sequence[str]) -> DetectedFace:
    """A face as it was detected."""
    yaw, pitch, roll = (round(angle, 1) for angle in face.pose.degrees())
    return DetectedFace(
        box=rounded((face.box.x0, face.box.y0, face.box.x1, face.box.y1)),
        score=round(face.score, 4),
        landmarks=[(round(float(x), 1), round(float(y), 1)) for x, y in face.landmarks],
        pose=PoseRecord(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll),
        quality=round(face.quality, 1),
        reasons=list(reasons),
    )


def sighting_record(sighting: Sighting) -> SightingRecord:
    """What is told about a kept face."""
    return SightingRecord(
        sighting_id=sighting.sighting_id,
        at=sighting.at,
        keep_until=sighting.keep_until,
        quality=round(sighting.quality, 1),
        box=rounded(sighting.box),
        decision=str(sighting.decision),
        person_id=sighting.person_id or None,
        score=sighting.score,
    )


def rounded(box: Sequence[float]) -> list[float]:
    """A box as answers hold it."""
    return [round(float(v), 1) for v in box]


def _calibration(gallery: Gallery) -> Calibration | None:
    try:
        table = gallery.calibration
    except MissingError:  # then searches say so, with the remedy
        return None
    return Calibration(
        data=table.provenance.data,
        date=table.provenance.date,
        version=table.provenance.version,
        people=table.n_people,
        impostor_pairs=table.n_impostor,
        smallest_fmr=table.smallest_fmr,
    )
