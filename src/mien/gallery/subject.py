"""Everything that a gallery keeps about one person, as a file to hand over to them.

The file is a plain zip, readable without mien: a person has a right to a copy of their data in a
common format (GDPR, Articles 15 and 20). It is made readable by its owner only.
"""

import json
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from mien.core.files import write_atomically
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.gallery.journal import note

SCHEMA: Final = "mien.subject/1"

_README: Final = """\
This is everything that a gallery of the face recognition software mien keeps about one person.

record.json   names, consents, days of deletion, and for each enrolled face: when it was enrolled,
              from which picture, where the face was in it, and its template
faces/        the pieces of the pictures that were kept, if any

A template is a row of numbers made from a face. It is not anonymous: whoever has it can find the
same person again. Keep this file as you would keep photographs.
"""


def export_subject(gallery: Gallery, who: str, path: Path, *, actor: str = "") -> int:
    """Write all that is kept about a person to a zip file.

    Args:
        gallery: Where from.
        who: Name or id.
        path: Where to.
        actor: Who does it, for the journal.

    Returns:
        How many faces are in it.

    Raises:
        IdentityMissingError: If there is nobody of that name.
        StorageError: If it cannot be written.
    """
    person = gallery.people.find(who)
    faces = gallery.people.faces(person.person_id)
    rejections = gallery.people.rejections().get(person.person_id)
    with write_atomically(path, private=True) as file, zipfile.ZipFile(file, "w") as archive:
        record = {
            "schema": SCHEMA,
            "mien": version("mien"),
            "contract": gallery.index.contract,
            "person_id": person.person_id,
            "name": person.name,
            "faces": [_record(face) for face in faces],
            "not_this_person": [] if rejections is None else rejections.tolist(),
        }
        archive.writestr("README.txt", _README)
        archive.writestr("record.json", json.dumps(record, ensure_ascii=False, indent=1))
        for face in faces:
            crop = gallery.people.crop(face.face_id)
            if crop is not None:
                archive.writestr(f"faces/{face.face_id}.jpg", crop)
    with gallery.index.change() as change:
        facts = {"faces": len(faces)}
        note(change, "subject export", actor=actor, ids=[person.person_id], facts=facts)
    return len(faces)


def _record(face: Template) -> dict[str, Any]:
    return {
        "face_id": face.face_id,
        "enrolled_at": face.enrolled_at,
        "source": face.source,
        "picture_sha256": face.digest,
        "box": list(face.box),
        "quality": round(face.quality, 1),
        "consent": face.consent,
        "retain_until": face.retain_until,
        "template": [float(v) for v in face.vector],
    }
