import errno
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from mien.core.errors import InputError, IntegrityError, ShapeError, StorageError
from mien.nn.conv import ConvBlock
from mien.nn.export import OPSET, to_onnx

torch.set_num_threads(1)

EXAMPLE = torch.rand(3, 2, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Half of it in training, with running statistics of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(ConvBlock(2, 3, kernel_px=3), nn.Dropout(0.5), nn.Flatten())
    model(EXAMPLE)
    model[0].eval()
    return model


@pytest.fixture(scope="module")
def written(model, tmp_path_factory) -> tuple[Path, float]:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    return path, to_onnx(model, path, EXAMPLE, input_name="maps", output_name="rows")


@pytest.mark.parametrize("b", [1, 2, 7])
def test_the_file_gives_the_networks_numbers_for_any_batch(model, written, b):
    path, difference = written
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = torch.rand(b, 2, 6, 6, generator=torch.Generator().manual_seed(b))
    (seen,) = session.run(["rows"], {"maps": x.numpy()})
    with torch.no_grad():
        expected = nn.Sequential(model[0], model[2])(x)
    np.testing.assert_allclose(seen, expected.numpy(), atol=1e-6)
    assert 0 <= difference < 1e-6


def test_every_layer_has_its_own_mode_back(model, written):
    del written
    assert model.training
    assert not model[0].training
    assert not model[0][0].training
    assert model[1].training


def test_the_file_holds_no_trace_of_the_machine(written):
    proto = onnx.load(written[0])
    assert proto.opset_import[0].version == OPSET
    assert not any(node.metadata_props for node in proto.graph.node)
    assert __file__.encode() not in written[0].read_bytes()
    assert b".py" not in written[0].read_bytes()


class Drifting(nn.Module):
    """Another result each time it is asked: stands for an export that went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            x = x + 1
        return x * 2 + self.offset


def test_a_file_that_differs_is_not_written(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(
        IntegrityError, match="torch and ONNX Runtime differ by 2; more than 0.0001"
    ):
        to_onnx(Drifting(), path, EXAMPLE)
    assert list(tmp_path.iterdir()) == []


class Choosing(nn.Module):
    """Does what its input says: has no form in ONNX."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else x[:1]


def test_a_network_without_a_form_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written as ONNX") as caught:
        to_onnx(Choosing(), tmp_path / "model.onnx", EXAMPLE)
    assert caught.value.__cause__ is not None
    assert list(tmp_path.iterdir()) == []


def test_a_batch_of_one_is_refused_as_example(tmp_path):
    with pytest.raises(ShapeError, match="batch of one would be taken for a fixed size"):
        to_onnx(nn.ReLU(), tmp_path / "model.onnx", EXAMPLE[:1])


def test_a_full_disk_leaves_no_file(model, tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        to_onnx(model, tmp_path / "model.onnx", EXAMPLE)
    assert list(tmp_path.iterdir()) == []
