"""What is particular to ONNX Runtime; what holds for every engine is in `test_open`."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mien.core.errors import IntegrityError
from mien.faces.engines.expand import expand_network
from mien.faces.engines.onnx_runtime import OnnxRuntimeEngine
from toys.networks import write_embedder_toy


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    expand_network(write_embedder_toy(tmp_path / "toy.onnx"), tmp_path / "out.onnx")
    return tmp_path / "out.onnx"


def test_the_session_gets_its_threads_and_does_not_spin(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    class Watched(onnxruntime.InferenceSession):
        def __init__(self, path, options, providers):
            seen.update(path=path, options=options, providers=providers)
            super().__init__(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Watched)
    OnnxRuntimeEngine(toy, threads=2)
    options = seen["options"]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert seen["providers"] == ["CPUExecutionProvider"]


def test_the_error_says_what_kind_of_fault_the_runtime_met(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    with pytest.raises(IntegrityError, match=r"bad\.onnx cannot be loaded \(Invalid") as caught:
        OnnxRuntimeEngine(tmp_path / "bad.onnx", threads=1)
    assert caught.value.__cause__ is not None


def test_loading_and_running_print_nothing(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = OnnxRuntimeEngine(toy, threads=1)
    assert engine.run(np.zeros((2, 3, 8, 8), np.float32))["template"].shape == (2, 5)
    assert capfd.readouterr() == ("", "")
