import subprocess
import sys

import numpy as np

from mien.core.seeds import generator
from mien.data.dataset import Batch, Dataset
from toys.training import Cloud, Points, collate


def read(dataset: Dataset, index: int):
    return dataset.item(index, generator(0, "item", index))


def test_the_toy_items_do_not_depend_on_what_was_read_before() -> None:
    forwards = [read(Cloud(), index) for index in range(40)]
    cloud = Cloud()
    backwards = [read(cloud, index) for index in reversed(range(40))][::-1]
    for (x, y), (other_x, other_y) in zip(forwards, backwards, strict=True):
        assert np.array_equal(x, other_x)
        assert y == other_y


def test_the_toy_batch_is_a_batch_of_its_own_kind() -> None:
    batch: Batch = collate([read(Cloud(), index) for index in range(3)])
    assert isinstance(batch.to("cpu"), Points)


def test_the_floor_of_data_needs_no_torch() -> None:
    code = "import sys, mien.data.dataset, mien.data.feed; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
