"""Films: send one, follow it, and ask who was seen."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from mien.core.errors import ConflictError, MienError, MissingError
from mien.gallery.gallery import DEFAULT_FPIR, Gallery
from mien.server.access import Caller, Searcher, Watcher, person_of
from mien.server.films import save_film
from mien.server.forms import form_body
from mien.server.jobs import Job, JobState
from mien.server.problems import document
from mien.server.routes.search import Fpir
from mien.server.schemas import JobList, JobRecord, JobResult

router = APIRouter(prefix="/v1", tags=["jobs"])

JobId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the job.")]

_LOOK_S: Final = 0.1
_LINES: Final = "application/x-ndjson"


@router.post(
    "/collections/{collection_id}/jobs",
    status_code=202,
    operation_id="create_job",
    summary="Have a film watched",
    response_model=JobRecord,
    openapi_extra=form_body("video", raw=True, url=False),
)
async def create_job(
    caller: Searcher, request: Request, response: Response, fpir: Fpir = DEFAULT_FPIR
) -> JobRecord:
    """The film is the field `video` of a form, or the body. Needs the scope `search`.

    It is kept, readable by the service only, until it was watched. Films are watched one after
    another; the job and its result belong to the key, and are forgotten after a while.
    """
    jobs = caller.state.jobs
    await caller.look(lambda gallery: gallery.operating_point(fpir))  # what would fail later
    jobs.check_room()
    film = await save_film(request, jobs.folder)

    def start() -> Job:
        with caller.state.audit.change(
            "films.watch",
            request_id=caller.request_id,
            key_id=caller.actor,
            collection=caller.collection,
        ):
            return jobs.start(film, key_id=caller.actor, collection=caller.collection, fpir=fpir)

    try:
        job = await caller.state.call(start)
    except MienError:
        film.unlink(missing_ok=True)
        raise
    response.headers["Location"] = f"/v1/jobs/{job.job_id}"
    return _record(job, caller)


@router.get("/jobs", operation_id="list_jobs", summary="List jobs")
async def list_jobs(caller: Watcher) -> JobList:
    """The jobs of this key, oldest first."""
    return JobList(jobs=[_record(job, caller) for job in caller.state.jobs.all(caller.actor)])


@router.get("/jobs/{job_id}", operation_id="get_job", summary="Where a job stands")
async def get_job(caller: Watcher, job_id: JobId) -> JobRecord:
    """Its state, and how much of the film was watched."""
    return _record(caller.state.jobs.find(job_id, caller.actor), caller)


@router.get(
    "/jobs/{job_id}/events",
    operation_id="get_job_events",
    summary="What becomes known, as it does",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A JSON object a line, as `mien watch --json` writes them.",
            "content": {_LINES: {"schema": {"type": "string"}}},
        }
    },
)
async def get_job_events(caller: Watcher, job_id: JobId) -> StreamingResponse:
    """From the first event on, until the job is over."""
    job = caller.state.jobs.find(job_id, caller.actor)
    caller.principal.require("search", job.collection)
    return StreamingResponse(_lines(caller, job), media_type=_LINES)


@router.get("/jobs/{job_id}/result", operation_id="get_job_result", summary="Who was seen")
async def get_job_result(caller: Watcher, job_id: JobId) -> JobResult:
    """The end of every track. Until the job is done, and if it failed, there is none (409)."""
    job = caller.state.jobs.find(job_id, caller.actor)
    caller.principal.require("search", job.collection)
    if job.state is not JobState.DONE:
        raise ConflictError(
            what=f"the job is {job.state}",
            why="only a job that is done has a result",
            mend="ask where it stands, and wait until it is done",
            state=str(job.state),
        )
    rows = await _named(caller, job, job.tracks)
    return JobResult(frames=job.frames, tracks=rows)


@router.delete(
    "/jobs/{job_id}", status_code=204, operation_id="delete_job", summary="Cancel or forget a job"
)
async def delete_job(caller: Watcher, job_id: JobId) -> None:
    """A job that is waiting or running is cancelled; one that is over is forgotten."""
    caller.state.jobs.drop(caller.state.jobs.find(job_id, caller.actor))


async def _lines(caller: Caller, job: Job) -> AsyncIterator[str]:
    told = 0
    while True:
        is_over = job.is_over  # before the events: none comes after it
        fresh = job.events[told:]
        told += len(fresh)
        for row in await _named(caller, job, fresh) if fresh else []:
            yield json.dumps(row) + "\n"
        if is_over:
            return
        await asyncio.sleep(_LOOK_S)


async def _named(caller: Caller, job: Job, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the names that people have now; whoever was deleted has none."""

    def work() -> list[dict[str, Any]]:
        with caller.state.collections.use(job.collection) as gallery:
            names = {str(row["person_id"]): "" for row in rows if row["person_id"]}
            known = {person_id: _name(gallery, person_id) for person_id in names}
        return [row | {"person": known.get(str(row["person_id"]))} for row in rows]

    return await caller.state.call(work)


def _name(gallery: Gallery, person_id: str) -> str | None:
    try:
        return person_of(gallery, person_id).name
    except MissingError:
        return None


def _record(job: Job, caller: Caller) -> JobRecord:
    error = None
    if job.error is not None and job.state is JobState.FAILED:
        error = document(job.error, caller.request_id)
    return JobRecord(
        job_id=job.job_id,
        collection=job.collection,
        created_at=job.created_at,
        state=job.state.value,
        progress=round(job.progress, 4),
        frames=job.frames,
        error=error,
    )
