"""Whatever is sent, the service answers as its description says, and never with a fault of its own.

Bounded: a few examples for each operation, always the same ones.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mien.server.app import create_app
from mien.server.settings import ServerSettings
from toys.painted import Painted, paint
from toys.service import running_service
from toys.stage import exact_table

EXAMPLES = 6
OPERATIONS = sorted(
    operation["operationId"]
    for methods in create_app(ServerSettings()).openapi()["paths"].values()
    for operation in methods.values()
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service with a person, of whom there are two faces, and one face kept for review."""
    options = {"keep_sightings_days": 7, "workers": 1}
    pipeline = Painted().pipeline()
    table = exact_table(pipeline.contract.id)
    with running_service(tmp_path_factory.mktemp("fuzz"), pipeline, table=table, **options) as one:
        yield one


@pytest.fixture(scope="module")
def known(service):
    """Parameters of addresses at which something stands."""
    path = service.collection()
    face = service.enrol(path, "Ada", paint(1), keep_crop="true")
    service.enrol(path, "Ada", paint(1, look=1))
    found = service.ask("POST", f"{path}/search?keep=true", files={"image": paint(2)})
    return {
        "collection_id": path.rpartition("/")[2],
        "face_id": face["face_id"],
        "person_id": face["person_id"],
        "sighting_id": found.json()["faces"][0]["sighting_id"],
    }


@pytest.fixture(scope="module")
def described(service):
    async def app(scope, receive, send):
        if scope["type"] != "lifespan":  # each call would start and end the service
            await service.app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    return schemathesis.openapi.from_asgi("/openapi.json", app)


CASES = [
    pytest.param(operation_id, mode, id=f"{operation_id}-{mode.value}")
    for operation_id in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation_id not in {"get_health", "get_readiness"}
]  # these two take nothing that could be wrong


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
def test_answers_are_as_described(service, known, described, operation_id, mode):
    operation = described.find_operation_by_id(operation_id)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        if mode is GenerationMode.POSITIVE:
            for name in known.keys() & case.path_parameters.keys():
                case.path_parameters[name] = known[name]
        response = case.call(headers={"x-api-key": service.key})
        case.validate_response(response, checks=CHECKS)

    ask()
