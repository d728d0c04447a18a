"""Who is on a picture, and on many pictures one after another."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from mien.core.errors import InputError, MienError, RefusedError
from mien.core.types import UInt8
from mien.faces.pipeline import Analysis
from mien.faces.quality import QualityGate
from mien.gallery.crops import crop_jpeg
from mien.gallery.decide import Decision
from mien.gallery.gallery import DEFAULT_FPIR, Gallery, Identification, digest_of
from mien.server.access import Caller, Counts, Searcher
from mien.server.analysis import analyse, open_picture, template_of
from mien.server.forms import form_body
from mien.server.problems import document
from mien.server.records import found_face
from mien.server.schemas import FoundFace, SearchAnswer
from mien.server.uploads import MAX_PICTURES, Upload, read_form, read_picture

router = APIRouter(prefix="/v1/collections/{collection_id}/search", tags=["search"])

Fpir = Annotated[
    float, Query(gt=0, lt=1, description="Tolerated share of unknown faces that are named.")
]
MaxFaces = Annotated[int, Query(ge=1, le=100, description="The largest faces only.")]

_AHEAD: Final = 16  # pictures of one request in work at once
_LINES: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class _Wish:
    """How to search."""

    fpir: float
    max_faces: int


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One face of a picture whose pixels are at hand."""

    analysis: Analysis
    pixels: UInt8
    row: int


@router.post(
    "",
    operation_id="search_faces",
    summary="Who is on a picture",
    response_model=SearchAnswer,
    openapi_extra=form_body("image", raw=True),
)
async def search_faces(
    caller: Searcher,
    request: Request,
    fpir: Fpir = DEFAULT_FPIR,
    max_faces: MaxFaces = 20,
    *,
    keep: Annotated[bool, Query(description="Keep faces without a match for review.")] = False,
) -> Response:
    """A decision for each face: match, unknown, ambiguous or not comparable, with its error rates.

    Needs the scope `search`; with `enrol` too, the nearest people are answered as well. `keep`
    needs a service that is set to keep faces, and puts their ids into `sighting_id`.
    """
    days = caller.state.settings.keep_sightings_days
    if keep and not days:
        raise _keeps_nothing()
    data = await read_picture(request, caller.state)
    wish = _Wish(fpir, max_faces)
    if not keep:
        return _as_json(await _search(caller, data, wish))
    image = await open_picture(caller.state, data)
    analysis = await analyse(caller.state, image, QualityGate.probe())

    def search(gallery: Gallery, counts: Counts) -> SearchAnswer:
        answers = gallery.identify(analysis, fpir=fpir)
        kept = [
            _keep(gallery, _Seen(analysis, image.pixels, row), one, days)
            for row, one in enumerate(answers)
        ]
        counts["sightings"] = sum(one is not None for one in kept)
        return _answer(caller, answers, kept, wish)

    return _as_json(await caller.change("sightings.keep", search))


@router.post(
    "/stream",
    operation_id="search_faces_stream",
    summary="Who is on many pictures",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A JSON object a line: `index`, `name`, and `faces` or `error`.",
            "content": {_LINES: {"schema": {"type": "string"}}},
        }
    },
    openapi_extra=form_body("image", many=True),
)
async def search_faces_stream(
    caller: Searcher, request: Request, fpir: Fpir = DEFAULT_FPIR, max_faces: MaxFaces = 20
) -> StreamingResponse:
    """Pictures in fields `image` of one form; a line for each, in their order, as they are done.

    A picture that cannot be read is a line with `error`. Ends when the client goes away.
    """
    form = await read_form(request, files=("image",), max_files=MAX_PICTURES)
    if not form.files or form.fields:
        raise InputError(
            what="the form holds no pictures, or other fields",
            why="each picture is a field 'image'",
            mend="send one form with as many fields 'image' as there are pictures",
        )
    await caller.look(lambda gallery: gallery.operating_point(fpir))  # errors of all pictures
    lines = _lines(caller, deque(form.files), _Wish(fpir, max_faces))
    return StreamingResponse(lines, media_type=_LINES)


def _as_json(answer: SearchAnswer) -> Response:
    """The answer as it is: FastAPI would check it once more, which takes as long as a search."""
    return Response(answer.model_dump_json(), media_type="application/json")


async def _search(caller: Caller, data: bytes, wish: _Wish) -> SearchAnswer:
    start = time.perf_counter()
    analysis = await analyse(caller.state, data, QualityGate.probe())

    def search(gallery: Gallery) -> SearchAnswer:
        answers = gallery.identify(analysis, fpir=wish.fpir)
        answer = _answer(caller, answers, [None] * len(answers), wish)
        caller.note_now("faces.search", start, {"faces": len(answers)})
        return answer

    return await caller.look(search)  # one trip to a thread: each costs as much as a search


def _answer(
    caller: Caller, answers: list[Identification], kept: list[str | None], wish: _Wish
) -> SearchAnswer:
    with_candidates = caller.principal.may("enrol", caller.collection)
    faces: list[FoundFace] = []
    for answer, sighting_id in zip(answers, kept, strict=True):
        caller.state.metrics.decision(str(answer.verdict.decision), answer.verdict.score)
        face = found_face(answer.box, answer.verdict, with_candidates=with_candidates)
        faces.append(face.model_copy(update={"sighting_id": sighting_id}))
    faces.sort(key=_size, reverse=True)
    return SearchAnswer(faces=faces[: wish.max_faces], faces_found=len(faces))


def _keep(gallery: Gallery, seen: _Seen, answer: Identification, days: int) -> str | None:
    """Keep a face for review, unless it was named or must not be compared; its id."""
    if answer.verdict.decision not in {Decision.UNKNOWN, Decision.AMBIGUOUS}:
        return None
    return gallery.review.keep(
        template_of(seen.analysis, seen.row),
        answer.verdict,
        crop=crop_jpeg(seen.pixels, answer.box),
        quality=float(seen.analysis.faces.quality.unified[seen.row]),
        digest=digest_of(seen.pixels),
        box=answer.box,
        days=days,
    )


async def _lines(caller: Caller, files: deque[Upload], wish: _Wish) -> AsyncIterator[str]:
    """A line for each picture; some are worked on ahead, and all are given up at the end."""
    ahead: deque[tuple[str, asyncio.Task[dict[str, Any]]]] = deque()
    index = 0
    try:
        while files or ahead:
            while files and len(ahead) < _AHEAD:
                upload = files.popleft()
                ahead.append((upload.name, asyncio.create_task(_row(caller, upload.data, wish))))
            name, task = ahead[0]
            yield json.dumps({"index": index, "name": name} | await task) + "\n"
            ahead.popleft()
            index += 1
    finally:
        for _, task in ahead:
            task.cancel()


async def _row(caller: Caller, data: bytes, wish: _Wish) -> dict[str, Any]:
    try:
        return (await _search(caller, data, wish)).model_dump()
    except MienError as err:
        return {"error": document(err, caller.request_id)}


def _size(face: FoundFace) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _keeps_nothing() -> RefusedError:
    return RefusedError(
        what="faces are not kept for review by this service",
        why="it is set to keep_sightings_days = 0",
        mend="search without keep, or have the setting changed",
    )
