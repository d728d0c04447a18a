"""What a request may hold is described as it is checked."""

import pytest
from pydantic import ValidationError

from mien.server.forms import (
    RAW_TYPE,
    EnrolForm,
    ExpiryForm,
    FaceChange,
    NewCollection,
    NewName,
    Split,
    form_body,
)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (EnrolForm, {"person": "Ada", "unknown": 1}),
        (EnrolForm, {"person": "x" * 201}),
        (EnrolForm, {"person": "0" * 32}),
        (EnrolForm, {"person": "Ada", "face": "largest"}),
        (FaceChange, {"retain_until": "31.1.2027"}),
        (NewCollection, {"collection_id": "a\n"}),
        (NewName, {"name": ""}),
        (NewName, {"name": "\ud800"}),
        (Split, {"face_ids": [], "name": "Ada"}),
        (ExpiryForm, {"confirm": "perhaps"}),
    ],
)
def test_what_does_not_fit_is_refused(model, values):
    with pytest.raises(ValidationError):
        model.model_validate(values)


def test_defaults_are_the_careful_ones():
    form = EnrolForm(person="Ada")
    assert (form.face, form.force, form.keep_crop, form.url) == ("only", False, False, "")


def test_a_form_is_described_with_its_files_and_fields():
    content = form_body("image", fields=EnrolForm)["requestBody"]["content"]
    schema = content["multipart/form-data"]["schema"]
    assert schema["properties"]["image"] == {"type": "string", "format": "binary"}
    assert {"person", "consent", "retain_until", "url"} <= schema["properties"].keys()
    assert schema["required"] == ["person"]
    assert schema["additionalProperties"] is False
    assert RAW_TYPE not in content


def test_files_that_must_be_there_are_required():
    content = form_body("source", "target")["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["required"] == ["source", "target"]
    many = form_body("image", many=True)["requestBody"]["content"]["multipart/form-data"]
    assert many["schema"]["properties"]["image"]["type"] == "array"
    assert RAW_TYPE in form_body("image", raw=True)["requestBody"]["content"]
