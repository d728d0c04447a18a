"""Pictures without a collection: compare two, and detect the faces of one."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request

from mien.core.errors import InputError
from mien.faces.pipeline import Analysis
from mien.faces.quality import QualityGate
from mien.gallery.calibration import shipped_table
from mien.gallery.compare import compare_pictures
from mien.gallery.decide import (
    Decision,
    Verdict,
    point_for_fmr,
)
from mien.server.access import Detector
from mien.server.analysis import analyse
from mien.server.forms import form_body
from mien.server.records import detected_face, rounded
from mien.server.schemas import Comparison, Detection
from mien.server.uploads import read_form, read_picture

router = APIRouter(prefix="/v1", tags=["pictures"])

DEFAULT_FMR = 1e-4


@router.post(
    "/compare",
    operation_id="compare_faces",
    summary="Whether two pictures show one person",
    response_model=Comparison,
    openapi_extra=form_body("source", "target"),
)
async def compare_faces(
    caller: Detector,
    request: Request,
    fmr: Annotated[
        float, Query(gt=0, le=1, description="Tolerated share of strangers taken for the same.")
    ] = DEFAULT_FMR,
) -> Comparison:
    """The main faces of `source` and `target` are compared. Needs the scope `detect`."""
    start = time.perf_counter()
    form = await read_form(request, files=("source", "target"))
    pictures = {name: form.file(name) for name in ("source", "target")}
    if form.fields or not all(pictures.values()):
        raise InputError(
            what="the form does not hold just two pictures",
            why="two are compared",
            mend="send the fields source and target, a picture each",
        )
    gate = QualityGate.probe()
    analyses = await asyncio.gather(
        *(analyse(caller.state, data or b"", gate) for data in pictures.values())
    )
    found = dict(zip(pictures, analyses, strict=True))
    table = await caller.state.call(shipped_table, caller.state.pipeline.contract.id)
    verdict = compare_pictures(list(found.items()), point_for_fmr(table, fmr))
    caller.state.metrics.decision(str(verdict.decision), verdict.score)
    await caller.note("pictures.compare", start, {"pictures": 2})
    return _comparison(verdict, found)


@router.post(
    "/detect",
    operation_id="detect_faces",
    summary="Where faces are on a picture",
    response_model=Detection,
    openapi_extra=form_body("image", raw=True),
)
async def detect_faces(caller: Detector, request: Request) -> Detection:
    """Boxes, landmarks, pose and quality; nobody is looked for. Needs the scope `detect`."""
    start = time.perf_counter()
    analysis = await analyse(caller.state, await read_picture(request, caller.state))
    refused = [[str(code) for code in codes] for codes in analysis.reasons]
    weak = analysis.faces.quality.rejects(QualityGate.enrolment())
    reasons = [*([str(code) for code in codes] for codes in weak), *refused]
    faces = [*analysis.faces, *analysis.refused]
    rows = [detected_face(face, why) for face, why in zip(faces, reasons, strict=True)]
    await caller.note("pictures.detect", start, {"faces": len(rows)})
    width, height = analysis.size
    rows.sort(key=lambda face: face.score, reverse=True)
    return Detection(faces=rows, width=width, height=height)


def _comparison(verdict: Verdict, pictures: dict[str, Analysis]) -> Comparison:
    is_compared = verdict.decision is not Decision.NOT_COMPARABLE
    point = verdict.point
    return Comparison(
        same=verdict.decision is Decision.MATCH if is_compared else None,
        score=verdict.score,
        threshold=point.threshold if point else None,
        fmr=point.fmr if point else None,
        decision=str(verdict.decision),  # type: ignore[arg-type]  # checked by the model
        reasons=list(verdict.reasons),
        source_box=_main_box(pictures["source"]),
        target_box=_main_box(pictures["target"]),
    )


def _main_box(analysis: Analysis) -> list[float] | None:
    row = analysis.main_face()
    return None if row is None else rounded(analysis.faces.boxes[row])
