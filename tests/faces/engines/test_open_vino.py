"""What is particular to OpenVINO; what holds for every engine is in `test_open`."""

import threading
from pathlib import Path

import numpy as np
import openvino
import pytest

from mien.core.errors import IntegrityError
from mien.faces.engines.expand import expand_network
from mien.faces.engines.open_vino import OpenVinoEngine
from toys.networks import write_embedder_toy


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    expand_network(write_embedder_toy(tmp_path / "toy.onnx"), tmp_path / "out.onnx")
    return tmp_path / "out.onnx"


def test_the_network_is_compiled_in_full_precision_with_its_threads(
    toy: Path,
) -> None:
    compiled = OpenVinoEngine(toy, threads=2)._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("EXECUTION_DEVICES") == ["CPU"]


def test_each_thread_has_a_request_of_its_own_and_keeps_it(toy: Path) -> None:
    engine = OpenVinoEngine(toy, threads=1)
    seen: list[tuple[object, object]] = []

    def call() -> None:
        engine.run(np.zeros((1, 3, 8, 8), np.float32))
        first = engine._local.request
        engine.run(np.zeros((1, 3, 8, 8), np.float32))
        seen.append((first, engine._local.request))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert all(first is second for first, second in seen)
    assert len({id(first) for first, _ in seen}) == 3


def test_a_network_it_cannot_compile_is_refused_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    with pytest.raises(IntegrityError, match=r"bad\.onnx cannot be loaded; .*OpenVINO") as caught:
        OpenVinoEngine(tmp_path / "bad.onnx", threads=1)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_loading_and_running_print_nothing(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = OpenVinoEngine(toy, threads=1)
    assert engine.run(np.zeros((2, 3, 8, 8), np.float32))["template"].shape == (2, 5)
    assert capfd.readouterr() == ("", "")
