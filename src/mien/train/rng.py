"""The random numbers of torch, numpy and Python: seeding them, and their states as bytes."""

import random  # noqa: TID251  no numbers are drawn: third-party code may use it, so it is kept
import struct
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from mien.core.errors import IntegrityError
from mien.core.seeds import derive_seed

# Mersenne Twister of Python: version, 624 words and a position, and perhaps half a normal pair;
# that of numpy: 624 words, position, and the same half.
_PYTHON: Final = struct.Struct("<q625I?d")
_NUMPY: Final = struct.Struct("<624Iq?d")
_LENGTH: Final = struct.Struct("<q")


def seed_torch(seed: int) -> None:
    """Seed torch, numpy's global numbers and Python's, each with a seed of its own."""
    torch.manual_seed(derive_seed(seed, "torch"))
    np.random.seed(derive_seed(seed, "numpy") % 2**32)  # noqa: NPY002  the state others draw from
    random.seed(derive_seed(seed, "python"))


def rng_state() -> Tensor:
    """(n,) uint8: where all three are. One length for all processes of a machine."""
    version, words, half = random.getstate()
    python = _PYTHON.pack(version, *words, half is not None, half or 0.0)
    other: Any = np.random.get_state(legacy=False)  # noqa: NPY002  as above
    keys, position = other["state"]["key"], other["state"]["pos"]
    numpy = _NUMPY.pack(*keys.tolist(), position, bool(other["has_gauss"]), other["gauss"])
    cpu = torch.get_rng_state().numpy().tobytes()
    parts = [python, numpy, _LENGTH.pack(len(cpu)), cpu]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_rng_state().numpy().tobytes())
    return torch.frombuffer(bytearray(b"".join(parts)), dtype=torch.uint8)


def set_rng_state(state: Tensor) -> None:
    """Put all three back to where they were.

    Raises:
        IntegrityError: If the bytes are not a state of this machine's generators.
    """
    data = state.cpu().numpy().tobytes()
    try:
        version, *words, has_half, half = _PYTHON.unpack_from(data)
        *keys, position, has_other, other = _NUMPY.unpack_from(data, _PYTHON.size)
        at = _PYTHON.size + _NUMPY.size
        (length,) = _LENGTH.unpack_from(data, at)
        cpu, cuda = data[at + 8 : at + 8 + length], data[at + 8 + length :]
        if bool(cuda) != torch.cuda.is_available():
            raise _wrong_state("they have the state of a graphics card, and it is gone, or new")
        random.setstate((version, tuple(words), half if has_half else None))
        np.random.set_state(  # noqa: NPY002  as above
            ("MT19937", np.array(keys, np.uint32), position, int(has_other), other)
        )
        torch.set_rng_state(torch.frombuffer(bytearray(cpu), dtype=torch.uint8))
    except (struct.error, ValueError, RuntimeError, TypeError) as err:
        raise _wrong_state("they are not states of random numbers") from err
    if cuda:
        torch.cuda.set_rng_state(torch.frombuffer(bytearray(cuda), dtype=torch.uint8))


def _wrong_state(why: str) -> IntegrityError:
    return IntegrityError(
        what="the stored random numbers cannot be taken up",
        why=why,
        mend="resume on the kind of machine that the run began on",
    )
