"""What the service answers about collections, faces, people and decisions.

Names of fields equal those of the command line's JSON. Answers are made in `records`; what
requests hold is in `forms`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Box = Annotated[list[float], Field(min_length=4, max_length=4, description="x0 y0 x1 y1, pixels.")]
Codes = Annotated[list[str], Field(description="Why, in words or codes.")]


class ProblemDocument(BaseModel):
    """Why a request was not served (RFC 9457), with mien's own words and codes."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Of the kind of error; stable.", examples=["no_face"])
    what: str = Field(description="What was found.")
    why: str = Field(description="Why that cannot work.")
    mend: str = Field(description="What to do instead.")
    facts: dict[str, Any] = Field(
        description="Details; refused faces have their reasons in `codes`, as Rekognition's."
    )
    request_id: str = Field(description="Under which the service's log has more.")


class Calibration(BaseModel):
    """Where the thresholds come from."""

    data: str
    date: str
    version: str
    people: int
    impostor_pairs: int
    smallest_fmr: float = Field(description="The least false match rate that the data can show.")


class CollectionRecord(BaseModel):
    """One collection."""

    collection_id: str
    people: int
    faces: int
    contract: str = Field(description="The pipeline whose templates it holds.")
    strict: bool = Field(description="Whether each face needs a consent and a day of deletion.")
    key_id: str = Field(description="Which key it is sealed with.")
    revision: int = Field(description="Number of the last change.")
    calibration: Calibration | None


class CollectionList(BaseModel):
    """Ids of the collections that the key may see."""

    collections: list[str]


class FaceRecord(BaseModel):
    """One enrolled face."""

    face_id: str
    person_id: str
    person: str
    quality: float = Field(description="Unified quality, 0-100.")
    box: Box
    consent: str
    enrolled_at: str
    retain_until: str = Field(description="Day after which it is deleted; empty for none.")
    source: str


class FacePage(BaseModel):
    """Some faces; `next` names the last if there may be more."""

    faces: list[FaceRecord]
    next: str | None = Field(description="Pass as `after` for those that follow.")


class PersonRecord(BaseModel):
    """Somebody enrolled."""

    person_id: str
    name: str
    faces: int
    has_consent: bool
    retain_until: str
    face_id: str = Field(description="The face of the best quality.")


class PersonPage(BaseModel):
    """Some people; `next` names the last if there may be more."""

    people: list[PersonRecord]
    next: str | None = Field(description="Pass as `after` for those that follow.")


class ReceiptRecord(BaseModel):
    """Signed proof of a deletion: ids and counts, what was looked at afterwards, and was found."""

    model_config = {"populate_by_name": True, "extra": "forbid"}

    schema_: Literal["mien.receipt/1"] = Field(alias="schema")
    gallery: str
    number: int
    at: str
    cause: str
    people: list[str]
    faces: list[str]
    removed: dict[str, int]
    checks: dict[str, str]
    previous: str
    signer: str
    signature: str


class CandidateRecord(BaseModel):
    """Somebody whom a face resembles."""

    person: str
    person_id: str
    score: float
    face_id: str


class FoundFace(BaseModel):
    """The decision about one face of a picture."""

    box: Box
    decision: Literal["match", "unknown", "ambiguous", "not_comparable"]
    person: str | None
    person_id: str | None
    score: float | None = Field(description="Cosine to the nearest person.")
    threshold: float | None
    fmr: float | None = Field(description="False match rate of one comparison at the threshold.")
    reasons: Codes
    candidates: list[CandidateRecord] | None = Field(
        default=None, description="The nearest people; for keys with the scope enrol only."
    )
    sighting_id: str | None = Field(default=None, description="If it was kept for review.")


class SearchAnswer(BaseModel):
    """The faces of a picture, the largest first."""

    faces: list[FoundFace]
    faces_found: int = Field(description="How many there are, those beyond max_faces included.")


class Comparison(BaseModel):
    """Whether the main faces of two pictures are one person."""

    same: bool | None = Field(description="null if they cannot be compared.")
    score: float | None
    threshold: float | None
    fmr: float | None
    decision: Literal["match", "different", "not_comparable"]
    reasons: Codes
    source_box: Box | None
    target_box: Box | None


class PoseRecord(BaseModel):
    """How a head is turned, degrees."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


class DetectedFace(BaseModel):
    """One face of a picture, without saying whose."""

    box: Box
    score: float = Field(description="Confidence of the detector, 0-1.")
    landmarks: list[tuple[float, float]] = Field(
        description="Right eye, left eye, nose, right and left corner of the mouth; pixels."
    )
    pose: PoseRecord
    quality: float = Field(description="Unified quality, 0-100.")
    reasons: Codes = Field(description="Why it could not be enrolled; empty if it could.")


class Detection(BaseModel):
    """The faces of a picture, best first."""

    faces: list[DetectedFace]
    width: int
    height: int


class SightingRecord(BaseModel):
    """A face that was seen, not enrolled, and kept for somebody to look at."""

    sighting_id: str
    at: str
    keep_until: str
    quality: float
    box: Box
    decision: str
    person_id: str | None = Field(description="Whom it resembled most.")
    score: float | None


class SightingList(BaseModel):
    """Kept faces, newest first."""

    sightings: list[SightingRecord]


class HistoryEntry(BaseModel):
    """One change of a collection."""

    number: int
    at: str
    op: str
    actor: str = Field(description="Id of the key, or who it was otherwise.")
    facts: dict[str, Any] = Field(description="Ids and counts.")
    can_undo: bool
    is_undone: bool


class History(BaseModel):
    """Changes, newest first."""

    entries: list[HistoryEntry]


class ReceiptList(BaseModel):
    """All receipts of a collection, oldest first."""

    signer: str = Field(description="Public key that signs them, Ed25519, base64.")
    receipts: list[ReceiptRecord]


class Faults(BaseModel):
    """What is wrong, in words; empty if nothing is."""

    faults: list[str]


class Expiry(BaseModel):
    """What was due."""

    receipt: ReceiptRecord | None


class Rejection(BaseModel):
    """A note that a face is not a person's."""

    rejection_id: str


class JobRecord(BaseModel):
    """A film being watched."""

    job_id: str
    collection: str
    created_at: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: Annotated[float, Field(ge=0, le=1)]
    frames: int
    error: dict[str, Any] | None = Field(description="Why it failed: code, what, why, mend.")


class JobList(BaseModel):
    """The jobs of the key, oldest first."""

    jobs: list[JobRecord]


class JobResult(BaseModel):
    """Who was seen: the end of every track, as `mien watch --json` writes it."""

    frames: int
    tracks: list[dict[str, Any]]


class Health(BaseModel):
    """The service lives."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the service can do its work, and what is in the way."""

    ready: bool
    checks: dict[str, str] = Field(description="Each part with `ok`, or what is wrong.")


class Version(BaseModel):
    """What runs here."""

    version: str
    contract: str


class ImportRecord(BaseModel):
    """What of a bundle was taken in."""

    people: int
    faces: int
    known: int = Field(description="Faces that were there already.")
    signer: str = Field(description="Fingerprint of the gallery that signed it.")
