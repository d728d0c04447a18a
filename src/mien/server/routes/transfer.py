"""Taking people out of a collection and into it: one person's data, and bundles."""

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import APIRouter, Request, Response

from mien.core.errors import ContractError, InputError, IntegrityError
from mien.core.files import write_atomically
from mien.core.sealed import Passphrase
from mien.gallery.bundle import BundleSummary, export_bundle, import_bundle
from mien.gallery.gallery import Gallery
from mien.gallery.subject import export_subject
from mien.server.access import Admin, Caller, Counts, person_of
from mien.server.forms import BundleRequest, ImportForm, form_body
from mien.server.routes.people import PersonId
from mien.server.schemas import ImportRecord
from mien.server.uploads import read_form

router = APIRouter(prefix="/v1/collections/{collection_id}", tags=["transfer"])

_FILE = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/people/{person_id}/export",
    operation_id="export_person",
    summary="Everything that is kept about a person",
    response_class=Response,
    responses={200: {"content": {"application/zip": _FILE}}},
)
async def export_person(caller: Admin, person_id: PersonId) -> Response:
    """A plain zip, templates included, to hand over to them. Needs the scope `admin`."""

    def export(gallery: Gallery, counts: Counts) -> bytes:
        person_of(gallery, person_id)
        with _folder(caller) as folder:
            path = Path(folder) / "person.zip"
            counts["people"], counts["faces"] = (
                1,
                export_subject(gallery, person_id, path, actor=caller.actor),
            )
            return path.read_bytes()

    return _download(await caller.change("people.export", export), "application/zip", "person.zip")


@router.post(
    "/export",
    operation_id="export_collection",
    summary="A signed and encrypted bundle of a collection",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": _FILE}}},
)
async def export_collection(caller: Admin, wanted: BundleRequest) -> Response:
    """Everybody, or some people. The signer's fingerprint is in the header `mien-signer`."""
    found: list[BundleSummary] = []

    def export(gallery: Gallery, counts: Counts) -> bytes:
        with _folder(caller) as folder:
            path = Path(folder) / "bundle"
            secret = Passphrase(wanted.passphrase)
            done = export_bundle(gallery, path, secret, people=wanted.people, actor=caller.actor)
            counts["people"], counts["faces"] = done.people, done.faces
            found.append(done)
            return path.read_bytes()

    data = await caller.change("collections.export", export)
    response = _download(data, "application/octet-stream", "collection.mien")
    response.headers["mien-signer"] = found[0].signer
    return response


@router.post(
    "/import",
    operation_id="import_collection",
    summary="Take in the people of a bundle, all or none",
    response_model=ImportRecord,
    openapi_extra=form_body("bundle", fields=ImportForm, url=False),
)
async def import_collection(caller: Admin, request: Request) -> ImportRecord:
    """A name that is taken stops it (409), unless `join` is set. Needs the scope `admin`."""
    form = await read_form(request, files=("bundle",))
    wanted = form.parse(ImportForm)
    data = form.file("bundle")
    if data is None:
        raise InputError(
            what="there is no bundle in the form",
            why="it must be the field 'bundle'",
            mend="send the file that an export answered",
        )

    def take(gallery: Gallery, counts: Counts) -> ImportRecord:
        with _folder(caller) as folder:
            path = Path(folder) / secrets.token_hex(8)
            with write_atomically(path, private=True) as file:
                file.write(data)
            try:
                done = import_bundle(
                    gallery,
                    path,
                    Passphrase(wanted.passphrase),
                    signer=wanted.signer or None,
                    taken="join" if wanted.join else "refuse",
                    actor=caller.actor,
                )
            except ContractError:
                raise
            except IntegrityError as err:  # of what was sent, not of what we keep
                raise InputError(
                    what="the bundle cannot be taken in", why=err.why, mend=err.mend
                ) from err
        counts["people"], counts["faces"] = done.people, done.faces
        return ImportRecord(
            people=done.people, faces=done.faces, known=done.known, signer=done.signer
        )

    return await caller.change("collections.import", take)


def _folder(caller: Caller) -> TemporaryDirectory[str]:
    """A folder that only the service can read, gone afterwards."""
    return TemporaryDirectory(prefix=".transfer-", dir=caller.state.settings.data_folder)


def _download(data: bytes, kind: str, name: str) -> Response:
    disposition = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=kind, headers=disposition)
