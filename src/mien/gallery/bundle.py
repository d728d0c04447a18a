"""Bundles: a gallery, or some people of it, as one signed and encrypted file, and back.

The container is `core.sealed`; inside are JSON lines, a kind each: ``gallery``, ``face``,
``separation``, ``rejection``. A bundle is read in one change: all of it enters, or nothing.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from mien.core.errors import ConflictError, IntegrityError
from mien.core.sealed import Passphrase, SealKey, fingerprint_of, read_sealed, write_sealed
from mien.core.types import Float32
from mien.gallery._change import Change
from mien.gallery.calibration import CalibrationTable, check_contract, parse_table
from mien.gallery.deletion import signing_key
from mien.gallery.gallery import CALIBRATION_NOTE, Gallery
from mien.gallery.index import Template, check_templates
from mien.gallery.journal import note
from mien.gallery.people import People, check_day, check_name, check_strict, resolve
from mien.gallery.sqlite import SqliteIndex

PURPOSE: Final = "mien gallery bundle/1"
_CHUNK_BYTES: Final = 2**20
_MAX_LINE_BYTES: Final = 2**22

Taken = Literal["refuse", "join"]


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a bundle held, or what of it was taken in.

    Attributes:
        people: People.
        faces: Templates.
        known: Templates that were in the gallery already, and were passed over.
        signer: Fingerprint of the gallery that signed it.
    """

    people: int
    faces: int
    known: int
    signer: str


def export_bundle(
    gallery: Gallery,
    path: Path,
    secret: Passphrase | SealKey,
    *,
    people: Sequence[str] | None = None,
    actor: str = "",
) -> BundleSummary:
    """Write a gallery, or some people of it, to a signed and encrypted file.

    Args:
        gallery: What to export.
        path: Where; readable by its owner only.
        secret: What opens it again.
        people: Names or ids; None: everybody.
        actor: Who does it, for the journal.

    Raises:
        IdentityMissingError: If one of the people is not there.
        StorageError: If it cannot be written.
    """
    key = signing_key(gallery.index)
    fingerprint = fingerprint_of(key.public_key())
    seen: dict[str, int] = {}
    with gallery.index.snapshot() as store:
        with store.look() as rows:
            wanted = None if people is None else {resolve(rows, who) for who in people}
        write_sealed(
            path,
            _chunks(_lines(store, wanted, fingerprint, seen)),
            purpose=PURPOSE,
            public={"contract": store.contract, "dim": store.dim},
            secret=secret,
            signer=key,
        )
    summary = BundleSummary(len(seen), sum(seen.values()), 0, fingerprint)
    with gallery.index.change() as change:
        facts = {"people": summary.people, "faces": summary.faces}
        note(change, "export", actor=actor, ids=list(wanted or ()), facts=facts)
    return summary


def import_bundle(
    gallery: Gallery,
    path: Path,
    secret: Passphrase | SealKey,
    *,
    signer: str | None = None,
    taken: Taken = "refuse",
    actor: str = "",
) -> BundleSummary:
    """Take the people of a bundle into a gallery; all of them or none.

    Args:
        gallery: Where to.
        path: The bundle.
        secret: What opens it.
        signer: Fingerprint of the gallery that must have signed it; None takes any, and then the
            signature shows only that the file is whole.
        taken: What to do with a person whose name is taken: ``"refuse"`` the bundle, or ``"join"``
            the two.
        actor: Who does it, for the journal.

    Raises:
        RefusedError: If the secret is wrong, or the gallery is strict and a template has no
            consent or day of deletion.
        IntegrityError: If the bundle is damaged, of another signer, or of another pipeline.
        ConflictError: If a name is taken.
    """
    lines = _parse(read_sealed(path, purpose=PURPOSE, secret=secret, expected_signer=signer), path)
    head = next(lines, {})
    if head.get("kind") != "gallery":
        raise _broken(path, "it does not begin with a gallery")
    if not all(isinstance(head.get(key), str) for key in ("contract", "signer")):
        raise _broken(path, "its first record is incomplete")
    gallery.check_contract(head["contract"])
    table = _calibration(gallery, head.get("calibration"), path)
    names: dict[str, str] = {}
    faces = known = 0
    with gallery.index.change() as change:
        for line in lines:
            if line.get("kind") == "face":
                added = _take_face(gallery, change, line, names, path=path, taken=taken)
                faces, known = faces + added, known + (not added)
            else:
                _take_other(change, line, names, path, gallery.index.dim)
        ids = list(dict.fromkeys(names.values()))
        change.drop_empty(ids)
        facts = {"people": len(ids), "faces": faces, "signer": head["signer"]}
        note(change, "import", actor=actor, ids=ids, facts=facts)
        if table is not None:
            change.set_meta(f"note:{CALIBRATION_NOTE}", table.to_json())
    if table is not None:
        gallery.use_calibration(table)
    return BundleSummary(len(names), faces, known, head["signer"])


def _calibration(gallery: Gallery, text: object, path: Path) -> CalibrationTable | None:
    """The bundle's table, if it has one that the gallery lacks."""
    if text is None or gallery.index.read_note(CALIBRATION_NOTE) is not None:
        return None
    if not isinstance(text, str):
        raise _broken(path, "its calibration is no text")
    table = parse_table(text, f"the calibration in {path}")
    check_contract(table, gallery.index.contract)
    return table


def _lines(
    store: SqliteIndex, wanted: set[str] | None, signer: str, seen: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Records of a bundle; ``seen`` counts the faces of each person on the way."""
    people = People(store)
    yield {
        "kind": "gallery",
        "contract": store.contract,
        "signer": signer,
        "calibration": store.read_note("calibration"),
    }
    for template in store.iterate():
        if wanted is None or template.person_id in wanted:
            seen[template.person_id] = seen.get(template.person_id, 0) + 1
            crop = people.crop(template.face_id)
            record = asdict(template)
            record["vector"] = _to_text(template.vector.astype("<f4").tobytes())
            yield record | {"kind": "face", "crop": None if crop is None else _to_text(crop)}
    with store.look() as rows:
        for one, other in rows.all_separations():
            if {one, other} <= seen.keys():
                yield {"kind": "separation", "one": one, "other": other}
    for person_id, vectors in people.rejections().items():
        if person_id in seen:
            for row in vectors:
                text = _to_text(row.astype("<f4").tobytes())
                yield {"kind": "rejection", "person_id": person_id, "vector": text}


def _chunks(lines: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        size += len(held[-1])
        if size >= _CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _parse(chunks: Iterator[bytes], path: Path) -> Iterator[dict[str, Any]]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for text in whole:
            try:
                line = json.loads(text)
            except ValueError as err:
                raise _broken(path, "a line is no JSON") from err
            if not isinstance(line, dict):
                raise _broken(path, "a line is no record")
            yield line
        if len(rest) > _MAX_LINE_BYTES:
            raise _broken(path, "a line is too long")
    if rest:
        raise _broken(path, "its last line is cut off")


def _take_face(
    gallery: Gallery,
    change: Change,
    line: dict[str, Any],
    names: dict[str, str],
    *,
    path: Path,
    taken: Taken,
) -> bool:
    """Take in one face; False if it is in the gallery already. ``names`` maps ids of people."""
    template, crop = _template(line, path)
    check_templates([template], gallery.index.dim)
    check_strict(gallery.index, template.consent, template.retain_until)
    theirs = template.person_id
    if theirs not in names:
        names[theirs] = _place_for(change, template, taken)
    if change.has_face(template.face_id):
        return False
    change.put([replace(template, person=change.person_name(names[theirs]))])
    if crop is not None:
        change.keep_crop(template.face_id, crop)
    return True


def _place_for(change: Change, template: Template, taken: Taken) -> str:
    """The person of the gallery that a person of the bundle becomes."""
    if change.has_person(template.person_id):
        return template.person_id
    known = change.find_person(template.person)
    if known is None:
        return change.add_person(template.person, person_id=template.person_id)
    if taken == "refuse":
        raise ConflictError(
            what="the bundle holds somebody whose name is taken in this gallery",
            why="they may be two people, and would be mixed",
            mend="rename one of them, or join them: --join",
            person=known,
        )
    return known


def _take_other(
    change: Change, line: dict[str, Any], names: dict[str, str], path: Path, dim: int
) -> None:
    try:
        if line.get("kind") == "separation":
            one, other = names[line["one"]], names[line["other"]]
            if one != other:
                change.separate(one, other)
        elif line.get("kind") == "rejection":
            vector = _vector(line["vector"])
            check_templates([Template("", "", vector, 0, "", "", (0, 0, 0, 0), "", "")], dim)
            change.reject(names[line["person_id"]], vector)
        else:
            raise _broken(path, "it holds a record of an unknown kind")
    except (KeyError, ValueError, TypeError) as err:
        raise _broken(path, "a record is incomplete") from err


def _template(line: dict[str, Any], path: Path) -> tuple[Template, bytes | None]:
    try:
        crop = None if line["crop"] is None else base64.b64decode(line["crop"], validate=True)
        x0, y0, x1, y1 = (float(v) for v in line["box"])
        texts = {
            key: str(line[key])
            for key in ("source", "digest", "consent", "enrolled_at", "face_id", "person_id")
        }
        if not all(len(bytes.fromhex(texts[key])) == 16 for key in ("face_id", "person_id")):
            raise ValueError("ids are 32 hexadecimal digits")
        template = Template(
            person=check_name(str(line["person"])),
            vector=_vector(line["vector"]),
            quality=float(line["quality"]),
            box=(x0, y0, x1, y1),
            retain_until=check_day(str(line["retain_until"])),
            **texts,
        )
    except (KeyError, ValueError, TypeError) as err:
        raise _broken(path, "a record of a face is incomplete") from err
    return template, crop


def _vector(text: str) -> Float32:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        what=f"{path} is sealed and signed, but no bundle of a gallery",
        why=why,
        mend="make it anew with: mien gallery export",
    )
