"""Choosing detectors and embedders by name, our own and those of other packages."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from mien.core.errors import ConfigError, RefusedError
from mien.faces import parts
from mien.faces.parts import (
    DETECTOR_GROUP,
    EMBEDDER_GROUP,
    PipelineConfig,
    list_parts,
    open_detector,
    open_embedder,
)
from mien.faces.pipeline import FacePipeline


class GreyEmbedder:
    """A plug-in: a template of 16 mean grey levels."""

    name = "grey"
    fingerprint = "1"
    dim = 16

    def crop(self, pixels, box, alignment):
        from mien.faces.align import crop_face

        return crop_face(pixels, alignment, 64)

    def embed(self, crops):
        rows = [crop.mean(2).reshape(4, 16, 4, 16).mean((1, 3)).ravel() for crop in crops]
        values = np.array(rows, np.float32).reshape(-1, 16) + 1
        return values / np.linalg.norm(values, axis=1, keepdims=True)


def make_grey(config):
    assert isinstance(config, PipelineConfig)
    return GreyEmbedder()


def make_broken(config):
    raise RuntimeError("no such camera")


@pytest.fixture
def plugins(monkeypatch):
    points = [
        EntryPoint("grey", f"{__name__}:make_grey", EMBEDDER_GROUP),
        EntryPoint("broken", f"{__name__}:make_broken", EMBEDDER_GROUP),
    ]
    loads = {"grey": make_grey, "broken": make_broken}
    monkeypatch.setattr(EntryPoint, "load", lambda self: loads[self.name])
    monkeypatch.setattr(
        parts, "entry_points", lambda group: [p for p in points if p.group == group]
    )


@pytest.mark.usefixtures("plugins")
def test_an_embedder_of_another_package_is_used(portraits):
    pipeline = FacePipeline.open(PipelineConfig(embedder="grey"))
    faces = pipeline.analyse(portraits["obama_1"]).faces
    assert faces.embeddings.shape == (1, 16)
    assert faces.contract.startswith("grey-16-")


@pytest.mark.usefixtures("plugins")
def test_plugins_are_listed_after_our_own():
    assert list_parts(EMBEDDER_GROUP) == ["sface", "dlib", "broken", "grey"]
    assert list_parts(DETECTOR_GROUP) == ["yunet"]


@pytest.mark.usefixtures("plugins")
def test_a_plugin_that_fails_is_named():
    with pytest.raises(ConfigError, match="embedder 'broken'.*RuntimeError.*no such camera"):
        open_embedder(PipelineConfig(embedder="broken"))


@pytest.mark.usefixtures("plugins")
def test_a_plugin_has_no_licence_card():
    with pytest.raises(RefusedError, match="comes from another package; mien has no licence card"):
        open_embedder(PipelineConfig(embedder="grey", require="commercial"))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="detector is 'hog'; there are yunet; choose one"):
        open_detector(PipelineConfig(detector="hog"))
    with pytest.raises(ConfigError, match="embedder is 'arcface'; there are sface, dlib"):
        open_embedder(PipelineConfig(embedder="arcface"))


def test_unclear_training_data_is_refused_for_commerce():
    with pytest.raises(RefusedError, match="commercial"):
        FacePipeline.open(PipelineConfig(require="commercial"))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="provider is 'tensorrt'; mien knows onnxruntime"):
        PipelineConfig(provider="tensorrt")
    with pytest.raises(ConfigError, match="threads is 0"):
        PipelineConfig(threads=0)
    with pytest.raises(ConfigError, match="require is 'gratis'"):
        PipelineConfig(require="gratis")
    with pytest.raises(ConfigError, match="score_threshold is 1.5"):
        open_detector(PipelineConfig(score_threshold=1.5))
