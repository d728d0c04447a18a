"""What workers work with: here, or in a process of its own."""

import os
import signal
import time

import numpy as np
import psutil
import pytest

from mien.core.errors import InternalError, MediaError, MienError
from mien.faces.parts import PipelineConfig
from mien.faces.quality import QualityGate
from mien.media.image import ImageLimits, load_image
from mien.server.analysers import BatchAnalyser, PipelineProcess

LIMITS = ImageLimits(max_pixels=4_000_000)


@pytest.fixture(scope="module")
def process():
    one = PipelineProcess(PipelineConfig(threads=1), LIMITS)
    yield one
    one.close()


def test_a_process_answers_as_the_pipeline_here(process, pipeline, portraits):
    sources = [path.read_bytes() for path in portraits.values()]
    sources.insert(1, b"no picture")
    sources.append(load_image(portraits["obama_1"]))
    here = BatchAnalyser(pipeline, LIMITS)(sources, QualityGate.probe(), "all")
    there = process(sources, QualityGate.probe(), "all")
    assert isinstance(there[1], MediaError)
    assert str(there[1]) == str(here[1])
    for ours, theirs in zip(here, there, strict=True):
        if not isinstance(ours, MienError):
            assert np.array_equal(ours.faces.boxes, theirs.faces.boxes)
            assert np.allclose(ours.faces.embeddings, theirs.faces.embeddings, atol=1e-5)
            assert ours.size == theirs.size
            assert ours.faces.contract == theirs.faces.contract


def test_limits_hold_over_there(process, portraits):
    small = PipelineProcess(PipelineConfig(threads=1), ImageLimits(max_pixels=1000))
    try:
        (found,) = small([portraits["obama_1"].read_bytes()], None, "all")
    finally:
        small.close()
    assert isinstance(found, MediaError)
    assert "too many pixels" in str(found)


def test_a_process_that_is_killed_ends_one_batch_and_comes_back(process, portraits):
    source = portraits["obama_1"].read_bytes()
    process([source], None, "all")
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.join()
    with pytest.raises(InternalError, match="worker process ended"):
        process([source], None, "all")
    (found,) = process([source], None, "all")
    assert len(found.faces) == 1


def test_a_closed_process_is_gone(portraits):
    one = PipelineProcess(PipelineConfig(threads=1), LIMITS)
    one([portraits["obama_1"].read_bytes()], None, "all")
    pid = one._process.pid
    one.close()
    for _ in range(100):
        if not psutil.pid_exists(pid):
            break
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
