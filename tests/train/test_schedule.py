import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.train.schedule import SCHEDULES, constant, cosine, linear


def test_a_warm_up_rises_in_equal_steps_to_one() -> None:
    for schedule in SCHEDULES.values():
        rates = [schedule(step, steps=10, warmup_steps=4) for step in range(5)]
        assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_constant_stays() -> None:
    assert [constant(step, steps=5) for step in range(6)] == [1.0] * 6


def test_linear_falls_along_a_straight_line() -> None:
    rates = [linear(step, steps=6, warmup_steps=2, final_ratio=0.2) for step in range(7)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2])


def test_cosine_is_half_a_wave_as_written_in_the_paper() -> None:
    # SGDR, eq. 5: least + (most - least) (1 + cos(pi T_cur / T_i)) / 2
    for step in range(3, 23):
        literal = 0.1 + 0.5 * (1 - 0.1) * (1 + math.cos((step - 3) / 20 * math.pi))
        assert cosine(step, steps=23, warmup_steps=3, final_ratio=0.1) == pytest.approx(literal)


def test_cosine_and_linear_agree_with_torch() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    wave = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=30, eta_min=0.05)
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    line = torch.optim.lr_scheduler.LinearLR(other, 1.0, 0.05, total_iters=30)
    for step in range(31):
        assert cosine(step, steps=30, final_ratio=0.05) == pytest.approx(wave.get_last_lr()[0])
        assert linear(step, steps=30, final_ratio=0.05) == pytest.approx(line.get_last_lr()[0])
        optimiser.step(), other.step(), wave.step(), line.step()


@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 500),
    st.integers(0, 499),
    st.floats(0, 1),
    st.integers(0, 1000),
)
def test_every_factor_lies_between_nothing_and_one(name, steps, warmup_steps, final, step) -> None:
    factor = SCHEDULES[name](step, steps=steps, warmup_steps=warmup_steps, final_ratio=final)
    assert 0 <= factor <= 1


@given(st.sampled_from(["linear", "cosine"]), st.integers(2, 200), st.floats(0, 1))
def test_after_the_warm_up_no_rate_rises(name, steps, final) -> None:
    warmup_steps = steps // 3
    rates = [
        SCHEDULES[name](step, steps=steps, warmup_steps=warmup_steps, final_ratio=final)
        for step in range(warmup_steps, steps + 1)
    ]
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(rates))
    assert rates[-1] == pytest.approx(final)
