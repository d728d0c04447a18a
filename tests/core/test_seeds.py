import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError
from mien.core.seeds import derive_seed, generator

names = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 2**40)), max_size=3)


def test_a_derived_seed_is_the_first_63_bits_of_a_hash() -> None:
    digest = hashlib.sha256(b'[17, "order", 3]').hexdigest()
    assert derive_seed(17, "order", 3) == int(digest[:16], 16) // 2


def test_derived_seeds_stay_as_they_were_published() -> None:
    assert derive_seed(17, "order", 0) == 5077598287534538999
    assert generator(17, "order").integers(0, 1000, 5).tolist() == [14, 972, 433, 329, 82]


@given(st.integers(0, 2**70), names, st.integers(0, 2**70), names)
def test_different_names_have_different_seeds(a, path_a, b, path_b) -> None:
    same = json.dumps([a, *path_a]) == json.dumps([b, *path_b])
    assert (derive_seed(a, *path_a) == derive_seed(b, *path_b)) == same


@given(st.integers(0, 2**70), names)
def test_a_derived_seed_fits_what_takes_it(seed, path) -> None:
    assert 0 <= derive_seed(seed, *path) < 2**63


def test_a_word_and_a_number_are_different_names() -> None:
    assert derive_seed(0, "1") != derive_seed(0, 1)
    assert derive_seed(0, "a", "b") != derive_seed(0, "ab")


def test_generators_of_one_name_draw_the_same_and_of_two_do_not() -> None:
    one, again, other = (generator(5, name).random(1000) for name in ("x", "x", "y"))
    assert np.array_equal(one, again)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_what_is_no_seed_is_refused(seed) -> None:
    with pytest.raises(RangeError, match="whole numbers from 0"):
        derive_seed(seed)
