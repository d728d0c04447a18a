"""The description of the API, as clients are generated from it."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import mien
from mien.server.admission import OPEN_PATHS
from mien.server.schemas import ProblemDocument

_ABOUT: Final = """\
Faces of people who are known, and decisions about faces that may be theirs.

Every request but those for health and for this description needs an API key, sent as
`Authorization: Bearer mien_...` or `x-api-key`. A key has scopes: `detect`, `search`, `enrol`,
`delete` and `admin`, everywhere or in some collections. Pictures are sent as fields of a form or,
where this description says so, as the body itself with `Content-Type: image/...`. Every failure is
a problem document (RFC 9457) whose `code` is stable.
"""
_TAGS: Final = {
    "collections": "Sets of people that are searched together.",
    "faces": "Enrolled faces.",
    "people": "Whose faces are enrolled.",
    "search": "Who is on a picture.",
    "pictures": "Pictures without a collection.",
    "jobs": "Films.",
    "review": "Faces that were seen and not enrolled.",
    "history": "What was changed.",
    "receipts": "Proof of deletions.",
    "service": "The service itself.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description; every operation may answer with a problem document."""
    if app.openapi_schema is None:
        made = get_openapi(
            title="mien",
            version=mien.__version__,
            summary="Face recognition with known error rates.",
            description=_ABOUT,
            routes=app.routes,
            tags=[{"name": name, "description": words} for name, words in _TAGS.items()],
        )
        parts = made.setdefault("components", {}).setdefault("schemas", {})
        parts["ProblemDocument"] = ProblemDocument.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        made["components"]["securitySchemes"] = _SCHEMES
        for path, methods in made["paths"].items():
            for operation in methods.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = _PROBLEM
                if path not in OPEN_PATHS:
                    operation["security"] = [{name: []} for name in _SCHEMES]
        app.openapi_schema = made
    return app.openapi_schema


# Keys are looked at in `admission`, before anything else; as dependencies of FastAPI's the schemes
# would only cost time in every request.
_SCHEMES: Final = {
    "HTTPBearer": {
        "type": "http",
        "description": "An API key: `Authorization: Bearer mien_...`",
        "scheme": "bearer",
    },
    "APIKeyHeader": {
        "type": "apiKey",
        "description": "The same key.",
        "in": "header",
        "name": "x-api-key",
    },
}
_PROBLEM: Final = {
    "description": "The request was not served.",
    "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    },
}
