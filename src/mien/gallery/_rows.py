"""Templates as sealed rows of the table ``faces``, and back."""

from typing import Any

import numpy as np

from mien.gallery.index import Template, check_record
from mien.gallery.vault import Vault


def seal_template(
    vault: Vault, template: Template, person_id: str
) -> tuple[str, str, bytes, str, bytes, bytes]:
    """Face id, person id, digest tag, day of deletion, sealed vector, sealed record."""
    record = {
        "quality": float(template.quality),
        "source": template.source,
        "digest": template.digest,
        "box": [round(float(v), 2) for v in template.box],
        "consent": template.consent,
        "enrolled_at": template.enrolled_at,
        "retain_until": template.retain_until,
    }
    place = (template.face_id, person_id)
    return (
        template.face_id,
        person_id,
        vault.tag("digest", template.digest),
        template.retain_until,
        vault.seal(np.asarray(template.vector).astype("<f4").tobytes(), "vector", *place),
        vault.seal_json(record, "face", *place),
    )


def open_template(vault: Vault, row: tuple[Any, ...]) -> Template:
    """A template from a joined row: the columns of `seal_template`, then the person's record.

    Raises:
        IntegrityError: If a part does not open, or contradicts another.
    """
    face_id, person_id, digest, retain_until, vector, sealed, person = row
    record = vault.open_json(sealed, "face", face_id, person_id)
    x0, y0, x1, y1 = record["box"]
    check_record(
        record["retain_until"] == retain_until and vault.tag("digest", record["digest"]) == digest,
        f"the row of face {face_id} contradicts itself",
    )
    return Template(
        face_id=face_id,
        person=str(vault.open_json(person, "person", person_id)["name"]),
        vector=open_vector(vault, vector, face_id, person_id),
        quality=record["quality"],
        source=record["source"],
        digest=record["digest"],
        box=(x0, y0, x1, y1),
        consent=record["consent"],
        enrolled_at=record["enrolled_at"],
        retain_until=retain_until,
        person_id=person_id,
    )


def open_vector(vault: Vault, sealed: bytes, face_id: str, person_id: str) -> Any:
    """The vector of a face, (d,) float32.

    Raises:
        IntegrityError: If it does not open.
    """
    plain = vault.open(sealed, "vector", face_id, person_id)
    return np.frombuffer(plain, "<f4").astype(np.float32)
