import random  # noqa: TID251  its state is what is tested

import numpy as np
import pytest
import torch

from mien.core.errors import IntegrityError
from mien.train.rng import rng_state, seed_torch, set_rng_state


def draw() -> tuple[float, ...]:
    """Also normal numbers, of which two generators keep every second one back."""
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),  # noqa: NPY002
        np.random.randn(),  # noqa: NPY002
        float(torch.rand(1)),
        float(torch.randn(1)),
    )


@pytest.fixture(autouse=True)
def kept():
    before = rng_state()
    yield
    set_rng_state(before)


@pytest.mark.parametrize("drawn", [0, 1, 2, 700])
def test_numbers_go_on_as_they_would_have(drawn) -> None:
    seed_torch(4)
    for _ in range(drawn):
        draw()
    state = rng_state()
    wanted = [draw() for _ in range(5)]
    seed_torch(99)
    set_rng_state(state)
    assert [draw() for _ in range(5)] == wanted


def test_one_seed_gives_one_state_and_three_unlike_streams() -> None:
    seed_torch(7)
    first = draw()
    seed_torch(7)
    assert draw() == first
    assert len(set(first)) == 6
    seed_torch(8)
    assert draw() != first


def test_states_have_one_length() -> None:
    lengths = set()
    for _ in range(3):
        lengths.add(len(rng_state()))
        draw()
    assert len(lengths) == 1


@pytest.mark.parametrize("cut", [0, 100, 5100, -1])
def test_a_torn_state_is_refused(cut) -> None:
    with pytest.raises(IntegrityError, match="random numbers cannot be taken up"):
        set_rng_state(rng_state()[:cut])
