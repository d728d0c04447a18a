import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mien.core.errors import ConfigError
from mien.train.checkpoint import Checkpoints
from mien.train.runtime import PlainRuntime
from toys import training


def test_gradients_are_cut_to_a_length_and_the_length_is_told() -> None:
    p = nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([3.0, 4.0])
    assert PlainRuntime().clip_gradients([p], None) == 5.0
    assert p.grad.tolist() == [3.0, 4.0]
    assert PlainRuntime().clip_gradients([p], 1.0) == 5.0
    assert p.grad.tolist() == pytest.approx([0.6, 0.8])


def test_one_process_is_its_own_mean() -> None:
    runtime, values = PlainRuntime(), torch.tensor([1.0, 2.0])
    runtime.average([values])
    runtime.wait()
    assert values.tolist() == [1.0, 2.0]
    assert runtime.gather(values).tolist() == [[1.0, 2.0]]


def test_autocast_is_off_on_a_cpu() -> None:
    with PlainRuntime().autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32
    with pytest.raises(ConfigError, match="precision is 'bfloat16' on a CPU"):
        PlainRuntime(precision="bfloat16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_refused_not_replaced() -> None:
    with pytest.raises(ConfigError, match="device is 'cuda:0'; .* has no CUDA"):
        PlainRuntime("cuda:0")


def test_two_processes_train_as_one(tmp_path) -> None:
    """Real processes that talk by gloo over the loopback; they find each other by a file."""
    (tmp_path / "two").mkdir()
    training.train(tmp_path / "one", line=training.Line(noise=False))
    command = [sys.executable, training.__file__, str(tmp_path / "two"), "gloo"]
    common = {
        "GLOO_SOCKET_IFNAME": "lo",
        "ACCELERATE_USE_CPU": "true",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
    }
    ranks = [
        subprocess.Popen(
            command, env=training.script_environment() | common | {"RANK": rank, "LOCAL_RANK": rank}
        )
        for rank in ("0", "1")
    ]
    assert [process.wait(timeout=60) for process in ranks] == [0, 0]
    one, two = (Checkpoints(tmp_path / name / "checkpoints").load() for name in ("one", "two"))
    assert len(two.rng) == 2
    for a, b in ((one.model, two.model), (one.ema, two.ema), (one.optimiser, two.optimiser)):
        assert a.keys() == b.keys()
        for name in a:
            assert torch.allclose(a[name], b[name], atol=2e-5), name
    lines = [
        [json.loads(x) for x in (tmp_path / name / "logbook.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for x, y in zip(*lines, strict=True):
        assert x.keys() == y.keys()
        assert np.allclose(list(x.values()), list(y.values()), rtol=1e-4, atol=1e-4)
