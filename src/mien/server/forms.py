"""What requests hold besides pictures. Names of people stand in bodies only, never in addresses."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _check_name(name: str) -> str:
    if _ID.fullmatch(name.strip()):
        raise ValueError("a name that looks like an id would be taken for one")
    return name


_ID: Final = re.compile(r"[0-9a-f]{32}")

Name = Annotated[
    str,
    Field(min_length=1, max_length=200, description="Name of a person, as it is shown."),
    AfterValidator(_check_name),
]
Consent = Annotated[
    str, Field(max_length=2000, description="What the person agreed to, or another ground.")
]
Day = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$",
        description="Day after which it is deleted, such as 2027-01-31; empty for none.",
    ),
]
Passphrased = Annotated[
    str,
    Field(min_length=12, max_length=1000, description="Opens the bundle; 12 characters or more."),
]
Id = Annotated[str, Field(min_length=1, max_length=200)]

RAW_TYPE: Final = "application/octet-stream"
"""Stands for ``image/*`` in the description, where a type with an asterisk helps no client."""

_URL: Final = {
    "type": "string",
    "description": "Address of the picture instead of it, if the service fetches.",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCollection(_Strict):
    """A collection to be made."""

    collection_id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Its id.", examples=["staff"]
    )
    strict: bool | None = Field(
        default=None,
        description="Demand a consent and a day of deletion with each face; by default as the "
        "service is set.",
    )


class EnrolForm(_Strict):
    """Fields beside the picture of somebody to be enrolled."""

    person: Name
    consent: Consent = ""
    retain_until: Day = ""
    face: Literal["only", "main"] = Field(
        default="only", description="`only` refuses pictures of several faces; `main` takes one."
    )
    force: bool = Field(default=False, description="Enrol although the face speaks against it.")
    keep_crop: bool = Field(default=False, description="Keep the piece that shows the face.")
    url: str = Field(default="", description="Instead of the picture, if the service fetches.")


class RejectForm(_Strict):
    """Fields of a face that is not somebody; either a picture, or a face kept for review."""

    sighting_id: str = Field(default="", max_length=200)
    url: str = Field(default="", description="Instead of the picture, if the service fetches.")


class FaceChange(_Strict):
    """What to change about an enrolled face; null leaves it."""

    consent: Consent | None = None
    retain_until: Day | None = None


class NewName(_Strict):
    """A person's new name."""

    name: Name


class Other(_Strict):
    """Another person of the collection."""

    other: Id = Field(description="Their person_id.")


class Split(_Strict):
    """Faces that are somebody else's."""

    face_ids: list[Id] = Field(min_length=1, max_length=1000)
    name: Name


class Confirmation(_Strict):
    """Whom a kept face shows."""

    person: Name
    consent: Consent = ""
    retain_until: Day = ""
    force: bool = False


class BundleRequest(_Strict):
    """What to put into a bundle, and what opens it."""

    passphrase: Passphrased
    people: list[Id] | None = Field(
        default=None, min_length=1, max_length=10_000, description="Their ids; null: everybody."
    )


class ImportForm(_Strict):
    """Fields beside a bundle."""

    passphrase: Passphrased
    signer: str = Field(
        default="", max_length=200, description="Fingerprint of who must have signed it."
    )
    join: bool = Field(default=False, description="People of the same name become one person.")


class ExpiryForm(_Strict):
    """How to delete what is due."""

    confirm: bool = Field(default=False, description="The clock is right although it has leapt.")


def form_body(
    *files: str,
    fields: type[BaseModel] | None = None,
    raw: bool = False,
    many: bool = False,
    url: bool = True,
) -> dict[str, Any]:
    """A form with files, for the description of the API.

    Args:
        *files: Fields that are files.
        fields: The other fields.
        raw: Whether the body may be the file itself instead.
        many: Whether a field may hold several files.
        url: Whether one file may be named by its address instead.
    """
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    if fields:
        schema = fields.model_json_schema()
    one: dict[str, Any] = {"type": "string", "format": "binary"}
    held = {"type": "array", "items": one, "minItems": 1} if many else one
    schema["properties"] |= dict.fromkeys(files, held)
    has_choice = url and len(files) == 1 and not many
    if has_choice:
        schema["properties"]["url"] = _URL
    else:
        schema["required"] = [*schema.get("required", []), *files]
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema}}
    if raw:
        content[RAW_TYPE] = {"schema": one}
    return {"requestBody": {"required": True, "content": content}}
