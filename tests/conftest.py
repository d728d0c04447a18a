"""Fixtures for all tests. Nothing here touches the network or the user's own folders."""

from pathlib import Path

import pytest
from hypothesis import settings

from toys.portraits import PORTRAITS, portrait_path

# How long an example takes depends on what else the machine does; a deadline would be a timed test.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Derived weights are made once a session, in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def own_key():
    """Galleries of tests are sealed with a key of their own, never with the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_GALLERY_KEY", "dGVzdHMgdGVzdHMgdGVzdHMgdGVzdHMgdGVzdHMgMTI=")
        yield


@pytest.fixture(scope="session")
def pipeline():
    """The default pipeline: YuNet and SFace on ONNX Runtime."""
    from mien.faces.pipeline import FacePipeline

    return FacePipeline.open()


@pytest.fixture(scope="session")
def portraits() -> dict[str, Path]:
    """The four White House portraits by name."""
    return {name: portrait_path(name) for name in PORTRAITS}


@pytest.fixture(scope="session")
def analyses(pipeline, portraits):
    """What the pipeline says about each portrait."""
    return {name: pipeline.analyse(path) for name, path in portraits.items()}
