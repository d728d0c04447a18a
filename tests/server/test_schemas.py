"""Answers keep to what is promised of them."""

import pytest
from pydantic import BaseModel, ValidationError

from mien.core.errors import NoFaceError
from mien.server import schemas
from mien.server.problems import document
from mien.server.schemas import FoundFace, JobRecord, ProblemDocument, ReceiptRecord

MODELS = [
    one
    for one in vars(schemas).values()
    if isinstance(one, type) and issubclass(one, BaseModel) and one is not BaseModel
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_answer_is_described_and_in_snake_case(model):
    assert model.__doc__
    assert all(name == name.lower() for name in model.model_fields)


def test_a_problem_document_fits_its_description():
    error = NoFaceError(what="a", why="b", mend="c", codes=["NO_FACE"])
    told = document(error, "0" * 16)
    assert ProblemDocument.model_validate(told).model_dump() == told


def test_unknown_decisions_and_states_are_not_told():
    face = {"box": [0, 0, 1, 1], "person": None, "person_id": None, "score": None}
    face |= {"threshold": None, "fmr": None, "reasons": []}
    with pytest.raises(ValidationError, match="decision"):
        FoundFace.model_validate(face | {"decision": "perhaps"})
    with pytest.raises(ValidationError, match="progress"):
        JobRecord.model_validate(
            {
                "job_id": "a",
                "collection": "b",
                "created_at": "c",
                "state": "done",
                "progress": 2,
                "frames": 0,
                "error": None,
            }
        )


def test_a_receipt_is_of_its_schema_only():
    with pytest.raises(ValidationError, match="schema"):
        ReceiptRecord.model_validate({"schema": "mien.receipt/2"})
