"""Services for the tests of routes: one with painted people, one with portraits."""

import pytest

from toys.painted import Painted
from toys.service import running_service
from toys.stage import exact_table


@pytest.fixture(scope="module")
def painted():
    """What sees painted people."""
    return Painted()


@pytest.fixture(scope="module")
def service(tmp_path_factory, painted):
    """A service whose people are painted; one for all tests of a module."""
    pipeline = painted.pipeline()
    folder = tmp_path_factory.mktemp("service")
    table = exact_table(pipeline.contract.id)
    with running_service(folder, pipeline, table=table, keep_sightings_days=7) as one:
        yield one


@pytest.fixture
def collection(service):
    """Path of a collection of one's own."""
    return service.collection()


@pytest.fixture(scope="module")
def portrait_service(tmp_path_factory, pipeline):
    """A service with the default pipeline."""
    with running_service(tmp_path_factory.mktemp("portraits"), pipeline) as one:
        yield one
