"""Whether the service lives and is ready, its figures and its version."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

import mien
from mien.server.access import AnyKey, Overseer
from mien.server.metrics import CONTENT_TYPE
from mien.server.schemas import Health, Readiness, Version
from mien.server.state import ServiceState, state_of

open_router = APIRouter(tags=["service"])
router = APIRouter(tags=["service"])

_LEAST_FREE_BYTES: Final = 64 * 2**20


@open_router.get("/healthz", operation_id="get_health", summary="Whether the service lives")
async def get_health() -> Health:
    """Answers as long as the process does. Needs no key."""
    return Health(status="ok")


@open_router.get("/favicon.ico", status_code=204, include_in_schema=False)
async def get_icon() -> None:
    """Nothing: browsers ask for it without a key, which would look like an attempt to get in."""


@open_router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether the service can do its work",
    responses={503: {"model": Readiness, "description": "Something is in the way."}},
)
async def get_readiness(request: Request, response: Response) -> Readiness:
    """Looks at the pipeline, the collections, the disk and the clock. Needs no key."""
    checks = await state_of(request).call(_check, state_of(request))
    is_ready = set(checks.values()) == {"ok"}
    if not is_ready:
        response.status_code = 503
    return Readiness(ready=is_ready, checks=checks)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(caller: Overseer) -> Response:
    """How fast, how much, how sure; without names. Needs the scope `admin`."""
    text = await caller.state.call(caller.state.metrics.text)
    return Response(text, headers={"content-type": CONTENT_TYPE})


@router.get("/v1/version", operation_id="get_version", summary="What runs here")
async def get_version(caller: AnyKey) -> Version:
    """The version of mien, and the contract of its pipeline."""
    return Version(version=mien.__version__, contract=caller.state.pipeline.contract.id)


def _check(state: ServiceState) -> dict[str, str]:
    """Each part with ``ok`` or what is wrong, in counts: whoever asks needs no key."""
    faults = len(state.collections.faults)
    refused = len(state.retention.refused)
    leap_s = state.retention.leap_s
    return {
        "pipeline": "ok",  # without it the service does not start
        "collections": f"{faults} cannot be opened" if faults else "ok",
        "disk": _check_disk(state.settings.data_folder),
        "clock": f"was set by {leap_s:.0f} s" if state.retention.is_suspended else "ok",
        "retention": f"refused in {refused} collections" if refused else "ok",
    }


def _check_disk(folder: Path) -> str:
    path = folder / f".probe-{secrets.token_hex(4)}"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        path.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as err:
        return err.strerror or "cannot be written"
    return "ok" if free >= _LEAST_FREE_BYTES else "almost full"
