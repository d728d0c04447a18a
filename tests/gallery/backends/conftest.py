"""Servers for the tests of this folder, started once a session."""

import pytest

from toys.postgres import postgres_server


@pytest.fixture(scope="session")
def postgres():
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def lite(tmp_path_factory):
    """Path of a folder for Milvus Lite; every test takes a collection of its own."""
    return tmp_path_factory.mktemp("milvus") / "faces.db"
