"""Many seeds from one, each by its name.

A run has one seed. Everything random in it asks for a seed of its own by name, so that a part that
draws more numbers than before leaves all other parts as they were. Seeding torch is not done here:
see `mien.train.rng`.
"""

import hashlib
import json

import numpy as np

from mien.core.errors import RangeError


def derive_seed(seed: int, *path: str | int) -> int:
    """The seed of one named part of a run.

    Args:
        seed: The seed of the run, 0 or more.
        path: The part's name, from the general to the special, such as ``"order", 3``. The word
            ``"3"`` and the number 3 are different names.

    Returns:
        A whole number of 63 bits: the first of the SHA-256 of seed and path.

    Raises:
        RangeError: If the seed is negative or not a whole number.

    Example:
        >>> derive_seed(17, "order", 0)
        5077598287534538999
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise RangeError(
            what=f"the seed is {seed!r}",
            why="seeds are whole numbers from 0",
            mend="pass such a number",
        )
    digest = hashlib.sha256(json.dumps([seed, *path]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """A generator of random numbers for one named part of a run.

    PCG64 by name, not numpy's default, which may change between versions.

    Args:
        seed: The seed of the run.
        path: The part's name, as for `derive_seed`.
    """
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *path)))
